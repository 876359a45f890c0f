"""The steps of notebook 09: right files pass, every mistake is named, none harms the kernel."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from streamlib import lab
from streamlib.lab.lessons import checks
from streamlib.lab.lessons.checks import looking
from streamlib.lab.lessons.checks.exercises import EXERCISES
from streamlib.lab.lessons.checks.judging import Answer, Hint
from streamlib.lab.lessons.checks.lesson_09 import STEPS, judge
from tests.drawn import drawn
from tests.lab.lessons.own_log.planted import PLANTED, RIGHT, log
from tests.notebooks import running

FILES = {"Log": "my_log.py", "Publishers": "my_publishers.py", "Cursor": "my_cursor.py"}

FEW = [
    pytest.param(step, number, marks=() if few else pytest.mark.soak)
    for step, answers in PLANTED.items()
    for number, (_, hint) in enumerate(answers)
    if (few := hint == RIGHT or number % 4 == 0) or drawn(number // 2)
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the notebook would be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(step: str, source: str) -> str:
    name = FILES[STEPS[step].cls]
    Path(name).write_text(source, encoding="utf-8")
    return name


def test_every_step_has_at_least_six_planted_mistakes_and_two_right_ones() -> None:
    assert PLANTED.keys() == STEPS.keys() <= EXERCISES.keys()
    for answers in PLANTED.values():
        hints = [hint for _, hint in answers]
        assert hints.count(RIGHT) >= 2
        assert len(hints) - hints.count(RIGHT) >= 6


@pytest.mark.parametrize(("step", "number"), FEW)
async def test_a_right_file_passes_and_a_mistake_is_named(step: str, number: int) -> None:
    source, hint = PLANTED[step][number]
    name = written(step, source)
    ok, said = await told(step, name)
    assert (ok, "streamlib/" in said) == (hint == RIGHT, False), said
    assert (hint or "did the right thing in 200 random programs") in said


async def told(step: str, name: str) -> tuple[bool, str]:
    """What the step says of the file, in this very process: it comes to an end."""
    try:
        return True, await judge(Answer(name), STEPS[step])
    except Hint as hint:
        return False, str(hint)


async def test_what_never_ends_is_ended_and_its_line_is_named() -> None:
    name = written("9.6", log("while True: pass"))
    found = await checks.judge("9.6", name)
    assert not found.ok
    assert "did not come to an end in time. It was still at `while True: pass`" in found.says


@pytest.mark.parametrize("source", ["import os; os._exit(0)", "exit()", "print('x' * 10**6)\n1/0"])
async def test_a_file_that_ends_its_process_or_floods_it_harms_nothing(source: str) -> None:
    found = await checks.judge("9.6", written("9.6", source))
    assert not found.ok
    assert "Traceback" not in found.says


async def test_a_check_prints_the_tape_below_the_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = log(truncate="del self._items[: up_to_offset - self.base_offset]")
    await lab.check("9.8", written("9.8", source))
    out = capsys.readouterr().out
    assert out.startswith("9.8  → After ")
    assert "\n\n       offset   0" in out
    assert "\n       right " in out


async def test_a_file_that_is_not_there_or_is_none_is_told_so() -> None:
    assert "Not answered yet: run the cell that writes my_log.py" in (
        (await checks.judge("9.6", "my_log.py")).says
    )
    for answer in ("my_log", 3, log):
        assert "Give the file's name, in quotes" in (await checks.judge("9.6", answer)).says
    Path("my_log.py").write_bytes(b"\xef\xbb\xbf" + log().encode())  # some editors' mark
    assert (await told("9.6", "my_log.py"))[0]
    Path("my_log.py").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in (await checks.judge("9.6", "my_log.py")).says


def test_the_notebooks_stub_is_red_and_its_solution_is_what_is_planted_as_right() -> None:
    teacher = json.loads((running.SOLUTIONS / "09_build_your_own_log.ipynb").read_text())
    sources = {cell["id"]: "".join(cell["source"]) for cell in teacher["cells"]}
    solved = sources["my-log"].split("\n", 1)[1]
    assert compile(solved, "my_log.py", "exec")
    for line in log().splitlines():
        assert not line.strip() or line.strip() in solved


async def test_a_program_that_ends_gives_the_next_one_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved: list[looking.Deadline] = []
    monkeypatch.setattr(looking.Deadline, "gets_on", lambda self: moved.append(self))
    monkeypatch.setattr("streamlib.lab.lessons.checks.judging.PATIENCE", 60.0)
    ok, said = await told("9.6", written("9.6", log()))
    assert ok, said
    assert len(moved) >= 100


def test_a_deadline_moves_as_long_as_something_gets_done_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(looking, "time", SimpleNamespace(monotonic=lambda: now[0]))
    deadline = looking.Deadline(7, longest=10)
    assert deadline.at == 107
    now[0] = 102
    deadline.gets_on()
    assert deadline.at == 109
    now[0] = 108
    deadline.gets_on()
    assert deadline.at == deadline.last == 110
    assert looking.Deadline(7).last == 115


async def test_whoever_is_slow_all_the_time_is_told_that(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATIENCE", "LONGEST"):
        monkeypatch.setattr(f"streamlib.lab.lessons.checks.judging.{name}", 0.4)
    slow = log().replace("base_offset, []", "base_offset, []; import time; time.sleep(0.03)")
    ok, said = await told("9.6", written("9.6", slow))
    assert not ok
    assert "was not stuck: it is slow, or this machine is busy just now" in said

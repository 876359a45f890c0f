"""Planted answers: the right ones pass, every mistake gets *its* hint, none harms the kernel."""

from __future__ import annotations

import asyncio
import linecache
import re
import textwrap
import uuid
from typing import Any

import pytest

from streamlib import WorkflowStreamClient, lab
from streamlib.lab.lessons import checks
from streamlib.lab.lessons.checks.exercises import EXERCISES
from streamlib.lab.lessons.checks.judging import Exercise
from streamlib.scenarios.connect import connect
from tests.drawn import drawn
from tests.lab.lessons.planted import PLANTED, RIGHT
from tests.notebooks import running

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

AT_ONCE = 4
"""Answers that are judged at a time: they mostly wait."""


def stub_of(exercise: str) -> tuple[str, str]:
    """The notebook's first cell and the exercise's own, by its number."""
    name = next(name for name in running.names() if name.startswith(f"0{exercise[0]}"))
    cells = running.code_cells(name)
    (stub,) = [source for _, source in cells if f'lab.check("{exercise}"' in source]
    return cells[0][1], stub


def typed(exercise: str, answer: str, notebook: dict[str, Any]) -> Any:
    """The answer as a learner's cell would have it: in `__main__`, beside what is there."""
    start, stub = stub_of(exercise)
    signature = re.match(r"(?:async )?def .*:\n", stub)
    if signature is None:
        return answer
    scope: dict[str, Any] = {"__name__": "__main__", "asyncio": asyncio, **notebook}
    exec("\n".join(re.findall(r"^(?:from|import) .*$", start, re.MULTILINE)), scope)
    head = signature[0]
    if re.search("await|async", answer) and not head.startswith("async"):
        head = f"async {head}"  # as whoever writes `await` there is told by Python
    return defined(head + textwrap.indent(answer, "    ") + "\n", scope)


def defined(source: str, scope: dict[str, Any]) -> Any:
    """The function that a cell defines; its lines are known, as those of a cell are."""
    cell = f"<cell {uuid.uuid4().hex}>"
    linecache.cache[cell] = (len(source), None, source.splitlines(keepends=True), cell)
    before = {*scope}
    exec(compile(source, cell, "exec"), scope)
    (name,) = {*scope} - before - {"__builtins__"}
    return scope[name]


async def notebook() -> dict[str, Any]:
    """What lives in a notebook's kernel, and cannot be sent anywhere."""
    session = await lab.start(quiet=True)
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    return {
        "session": session,
        "stream": stream,
        "hub": hub,
        "status": stream.topic("status"),
        **dict.fromkeys(["events", "items", "back", "ann"], stream.subscribe()),
        "screen": stream,
        "lab_connect": connect,
    }


Told = dict[str, list[checks.Verdict]]


def planted(exercise: str, *, many: bool) -> list[tuple[str, str]]:
    """What is planted there: the first right one and every twelfth, or the half that is drawn."""
    answers = PLANTED[exercise]
    right = next(each for each in answers if each[1] == RIGHT)
    few = {n for n, each in enumerate(answers) if each is right or n % 12 == 6}
    return [each for n, each in enumerate(answers) if (drawn(n) if many else n in few)]


async def judged(exercises: list[str], *, many: bool) -> Told:
    """The planted answers of these exercises, some at a time: they mostly wait."""
    there = await notebook()
    some = asyncio.Semaphore(AT_ONCE)

    async def told(exercise: str, answer: str) -> checks.Verdict:
        async with some:
            return await checks.judge(exercise, typed(exercise, answer, there))

    async def all_told(exercise: str) -> list[checks.Verdict]:
        answers = planted(exercise, many=many)
        return await asyncio.gather(*(told(exercise, answer) for answer, _ in answers))

    try:
        return dict(zip(exercises, await asyncio.gather(*map(all_told, exercises)), strict=True))
    finally:
        await lab.close_hosts(there["session"])


def asked_for(request: pytest.FixtureRequest, *, many: bool) -> Told:
    wanted = {
        name for item in request.session.items for name in PLANTED if f"[{name}]" in item.name
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JPY_SESSION_NAME", f"planted-{uuid.uuid4().hex}")
        return asyncio.run(judged(sorted(wanted), many=many))


@pytest.fixture(scope="module")
def some_verdicts(worker: None, request: pytest.FixtureRequest) -> Told:
    return asked_for(request, many=False)


@pytest.fixture(scope="module")
def all_verdicts(worker: None, request: pytest.FixtureRequest) -> Told:
    return asked_for(request, many=True)


def test_every_exercise_has_at_least_ten_planted_answers_and_a_right_one() -> None:
    # What needs no stream is planted beside its own checks: in `own_log`.
    on_streams = {number for number, each in EXERCISES.items() if isinstance(each, Exercise)}
    assert PLANTED.keys() == on_streams
    for answers in PLANTED.values():
        assert len(answers) >= 12
        assert RIGHT in [hint for _, hint in answers]


def check(exercise: str, verdicts: Told, *, many: bool) -> None:
    wrong = []
    answers = planted(exercise, many=many)
    for (answer, hint), verdict in zip(answers, verdicts[exercise], strict=True):
        if verdict.ok != (hint == RIGHT) or hint not in verdict.says:
            wrong.append((answer, hint, verdict))
        assert "Traceback" not in verdict.says
        assert "streamlib/" not in verdict.says
    assert not wrong, "\n\n".join(f"{answer}\n  {hint!r}: {said}" for answer, hint, said in wrong)


@pytest.mark.parametrize("exercise", PLANTED)
def test_right_answers_pass_and_a_mistake_gets_its_own_hint(
    exercise: str, some_verdicts: Told
) -> None:
    check(exercise, some_verdicts, many=False)


@pytest.mark.soak
@pytest.mark.alone  # all at once they are load enough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("exercise", PLANTED)
def test_right_answers_pass_and_each_mistake_gets_its_own_hint(
    exercise: str, all_verdicts: Told
) -> None:
    check(exercise, all_verdicts, many=True)

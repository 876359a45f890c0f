"""*Run All* as a person does it: every cell queued at once, in a real kernel, on a real server."""

from __future__ import annotations

import asyncio
import os
import random
import re
from pathlib import Path

import pytest

from streamlib import lab
from streamlib.scenarios.connect import connect
from tests.drawn import TEACHERS_COPY, third
from tests.notebooks import lessons, running
from tests.notebooks.conftest import Start
from tests.notebooks.running import Kernel, Ran

pytestmark = pytest.mark.server

ORDER = """\
[status] received: order=order-1
[progress] charging card...
[progress] card charged
[status] shipped: order=order-1
[progress] charge id: charge-order-1
[status] complete: order=order-1
workflow result: charge-order-1
"""

SEEDS = [int(each) for each in os.environ["STREAMLIB_SEEDS"].split()]
"""Other restart points each time (`tests/shared_out.py`); a test's name holds its seed."""

LONGEST = 15.0 * max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) - 1)
"""Seconds that a cell may take: 15, and more where three processes share two cores."""

CRASHES = ("Traceback", "Fatal", "panicked", "core dumped", "Segmentation", "never awaited")


PASS = [name for name in running.names() if name.startswith(("00", "06", "appendix", "your"))]
"""One after the other in one home. Of the others 02 is run with its restart, and 04 in the browser;
`make test-all` runs each: alone with a restart, or on ipykernel 6 and in JupyterLab.
"""


@pytest.mark.parametrize("name", PASS)
async def test_all_cells_queued_at_once(name: str, course_home: Path, start: Start) -> None:
    async with start(name) as kernel:
        await teaches(kernel, name)
        await stop_playing(kernel, name)
    assert_ended_well(kernel)
    await assert_nothing_is_left_open()


async def teaches(kernel: Kernel, name: str) -> list[Ran]:
    """Run it: every cell ends well, its solutions are right, and it shows what it is about.

    Returns:
        What its cells did.
    """
    ran = await run_all(kernel, name)
    for solution in await kernel.execute(running.solutions(name)):
        written = re.match(r"(Overw|W)riting my_\w+\.py$", solution.printed)
        right = "Yes." in solution.printed or written is not None
        assert (solution.error, right) == ("", True), solution
    assert_it_came_as_the_teacher_predicts(name, ran)
    if name.startswith("01"):
        assert "".join(each.printed for each in ran).count(ORDER) == 1
        assert [each.printed for each in ran if "[status]" in each.printed] == [ORDER]
    if name.startswith("05"):
        assert_its_worker_was_killed_and_the_text_shown_once(ran)
    if look := lessons.LESSONS.get(name):
        look(lessons.shown(ran))
    return ran


def assert_it_came_as_the_teacher_predicts(name: str, ran: list[Ran]) -> None:
    came = dict(
        re.findall(r"^([\d.]+)  it is: (.+?)   \(", "".join(each.printed for each in ran), re.M)
    )
    solved = "\n".join(source for _, source in running.code_cells(name, running.SOLUTIONS))
    said = re.findall(r'lab\.predict\("([\d.]+)", answer="?(.+?)"?\)', solved)
    assert came == dict(said)


async def stop_playing(kernel: Kernel, name: str) -> None:
    """Notebook 04 leaves its playground open, and only that."""
    if name.startswith("04"):
        (closed,) = await kernel.execute([("", "print(await lab.close_hosts(session))")])
        assert (closed.error, closed.printed) == ("", "1\n")


def assert_its_worker_was_killed_and_the_text_shown_once(ran: list[Ran]) -> None:
    by_cell = {each.cell: each for each in ran}
    killed, restarted = (
        re.search(r"pid (\d+), (\w+)", by_cell[cell].printed)
        for cell in ("break-kill", "break-fix")
    )
    assert killed is not None
    assert restarted is not None
    assert (killed[2], restarted[2], killed[1] != restarted[1]) == ("dead", "running", True)
    (before,) = by_cell["break-kill"].shown.values()
    (after,) = by_cell["break-watch"].shown.values()
    assert by_cell["break-watch"].printed.count("rewind, attempt 2 starts over") == 1
    assert after[0] == before[-1]  # it goes on where the worker left it, takes that back,
    assert after[-1].count("no model wrote this") == 1  # and ends with one whole text
    assert "screen == result: True" in by_cell["confirm-2"].printed


async def run_all(kernel: Kernel, name: str) -> list[Ran]:
    """Run it; every cell must begin, end, and end well."""
    cells = running.code_cells(name)
    ran = await kernel.execute(cells)
    check(name, ran)
    assert "all is well" in ran[-1].printed
    return ran


def check(name: str, ran: list[Ran]) -> None:
    assert all(each.began <= each.ended for each in ran)
    may_fail = {
        cell.id
        for cell in running.read(name).cells
        if "raises-exception" in cell.metadata.get("tags", [])
    }
    assert [each for each in ran if each.error and each.cell not in may_fail] == []
    assert [(each.cell, each.seconds) for each in ran[1:] if each.seconds > LONGEST] == []


def assert_ended_well(kernel: Kernel) -> None:
    assert kernel.exit_code == 0
    assert [crash for crash in CRASHES if crash in kernel.said] == [], kernel.said


async def assert_nothing_is_left_open() -> None:
    """Server and worker go on, as the last cell says; no workflow does."""
    assert (await lab.status()).ok
    client = await connect()
    for _ in range(50):  # what the server lists is a moment late
        still = [each.id async for each in client.list_workflows("ExecutionStatus = 'Running'")]
        if not still:
            break
        await asyncio.sleep(0.1)
    assert still == []


async def test_notebook_02_resumes_from_its_file_after_a_real_kernel_restart(
    course_home: Path, start: Start
) -> None:
    name = "02_disconnect_resume"
    cells = dict(running.code_cells(name))
    async with start(name) as kernel:
        before = await kernel.execute([(cell, cells[cell]) for cell in ("start", "leave-2")])
        await kernel.restart()
        forgotten = ("forgotten", "print('note' in dir(), 'session' in dir())")
        after = ["start", "predict-2", "run-2", "confirm-2", "stop"]
        ran = await kernel.execute([forgotten, *((cell, cells[cell]) for cell in after)])
    check(name, [*before, *ran])
    assert ran[0].printed == "False False\n"
    lesson = lessons.shown(ran)
    lessons.resumed(lesson)
    saved_by, read_by = re.findall(r"process (\d+)", lesson["confirm-2"])
    assert saved_by != read_by
    assert "restart the kernel" not in lesson["confirm-2"]
    assert_ended_well(kernel)
    await assert_nothing_is_left_open()


@pytest.mark.parametrize("reading", ["", "task = asyncio.create_task(events.__anext__())"])
async def test_a_kernel_with_an_open_subscription_ends_cleanly(
    reading: str, course_home: Path, start: Start
) -> None:
    cells = [
        "import asyncio; from streamlib import WorkflowStreamClient, lab",
        "session = await lab.start()",
        "hub = await lab.host(session, again=True)",
        "events = WorkflowStreamClient.create(session.client, hub.id).subscribe()",
        "await lab.arrived(events, patience=0.3)",
        reading,
    ]
    async with start("exit") as kernel:
        ran = await kernel.execute([(source, source) for source in cells])
        assert [each.error for each in ran if each.error] == []
    assert_ended_well(kernel)
    async with start("exit") as kernel:
        again = await kernel.execute(
            [(source, source) for source in [*cells[:4], "print(hub.id)", "await lab.stop()"]]
        )
        closed = await kernel.execute([("close", "print(await lab.close_hosts(session))")])
    assert again[4].printed.startswith("hub-")
    assert closed[0].printed == "1\n"  # the second kernel found the first one's stream


@pytest.mark.matrix
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", third(running.names(), TEACHERS_COPY))
async def test_the_teachers_copy_alone_and_restarted_in_the_middle_of_any_cell(
    name: str, seed: int, empty_home: Path, start: Start
) -> None:
    """Restarted there, whoever runs the start cell goes on from the heading.

    Where nothing is asked, it is the notebook itself.
    """
    cells = running.code_cells(name, running.SOLUTIONS) or running.code_cells(name)
    last = random.Random(seed).randrange(1, len(cells))
    print(f"seed {seed}: restarted in cell {cells[last][0]!r}")
    async with start(name) as kernel:
        before = await kernel.execute(cells[: last + 1], until=lambda ran: ran.began > 0)
        await kernel.restart()
        sources = dict(cells)
        rest = [cell for cell, _ in running.from_section_of(name, cells[last][0])]
        after = [cells[0], *((cell, sources[cell]) for cell in rest)]
        for asked, ran in ((cells, before[:-1]), (after, await kernel.execute(after))):
            check(name, ran)
            is_right_throughout(asked, ran)
        await stop_playing(kernel, name)
    assert_ended_well(kernel)
    await assert_nothing_is_left_open()


def is_right_throughout(cells: list[tuple[str, str]], ran: list[Ran]) -> None:
    """Every check that ran said yes, and every prediction came true: it is the teacher's copy."""
    asked = {cell for cell, source in cells if "lab.check(" in source}
    assert [each for each in ran if each.cell in asked and "Yes." not in each.printed] == []
    assert "not as you predicted" not in "".join(each.printed for each in ran)

"""A check, whatever it is given: it looks at the worker first, ends in time, and harms nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from typing import Any

import psutil
import pytest
from temporalio.client import WorkflowExecutionStatus

from streamlib import lab
from streamlib.lab.lessons import checks, record
from streamlib.lab.lessons.checks.exercises import EXERCISES
from tests.lab.lessons.test_exercises import defined, stub_of

pytestmark = pytest.mark.server


def right(item: Any) -> Any:
    return item.offset + 1


def typed(source: str) -> Any:
    return defined(source, {"__name__": "__main__", "asyncio": asyncio})


BUSY = typed("def next_start(item):\n    while True: pass\n")
HANGS = typed("async def next_start(item):\n    await asyncio.sleep(3600)\n")
CATCHES_ALL = typed(
    "async def next_start(item):\n"
    "    while True:\n"
    "        try: await asyncio.sleep(3600)\n"
    "        except BaseException: pass\n"
)
STARTS = typed(
    "def next_start(item):\n"
    "    import subprocess\n"
    "    subprocess.Popen(['sleep', '86421'])\n"
    "    return item.offset + 1\n"
)
IN_C = typed("def next_start(item): return sum(range(10**13))\n")
FORKS = typed("def next_start(item):\n    import signal; signal.pause()\n")


@pytest.mark.parametrize("exercise", EXERCISES)
async def test_a_stub_gets_a_nudge_at_once(
    exercise: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, stub = stub_of(exercise)
    scope: dict[str, Any] = {"lab": lab}
    exec("async def cell():\n" + textwrap.indent(stub, "    "), scope)
    began = time.monotonic()
    await scope["cell"]()
    assert time.monotonic() - began < 1
    assert capsys.readouterr().out.startswith(f"{exercise}  → Not answered yet")


async def test_the_number_may_be_a_number_and_an_unknown_one_is_named(
    session: lab.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.check(1.4, right)  # type: ignore[arg-type]
    assert capsys.readouterr().out.startswith("1.4  Yes.")
    assert record.kept()["1.4"] == {"solved": "yes"}
    with pytest.raises(LookupError, match=r"no exercise '1\.9'; there are 1\.4"):
        await lab.check("1.9", 1)


@pytest.mark.parametrize("answer", [2, None, [], "DCAB", asyncio, 1.5])
async def test_what_is_no_function_is_told_so(answer: Any, session: lab.Session) -> None:
    found = await checks.judge("1.4", answer)
    assert (found.ok, "Give the function itself" in found.says) == (False, True)


async def test_a_function_that_was_called_is_told_so_and_warns_of_nothing(
    session: lab.Session,
) -> None:
    found = await checks.judge("1.7", HANGS(None))
    assert "no parentheses" in found.says


@pytest.mark.timeout(120)
async def test_no_answer_takes_more_than_ten_seconds_or_holds_the_notebook_up(
    session: lab.Session,
) -> None:
    await checks.judge("1.4", right)  # what is forked from is there by now
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.05)
            longest = max(longest, time.monotonic() - began)

    beating = asyncio.create_task(beat())
    for answer in (BUSY, HANGS, CATCHES_ALL, IN_C, FORKS):
        began = time.monotonic()
        found = await checks.judge("1.4", answer)
        assert time.monotonic() - began < 20, answer  # ten, and this machine's other work
        assert "did not come to an end" in found.says
    beating.cancel()
    assert longest < 5, "the cell's loop stood still while an answer was judged"
    assert [child for child in descendants() if child.cpu_percent(0.1) > 50] == []


def descendants() -> list[psutil.Process]:
    return psutil.Process(os.getpid()).children(recursive=True)


async def test_a_line_that_never_ends_is_named(session: lab.Session) -> None:
    found = await checks.judge("1.4", HANGS)
    assert "It was still at `await asyncio.sleep(3600)`." in found.says


async def test_an_interrupted_check_ends_its_process_and_its_streams_are_closed(
    session: lab.Session,
) -> None:
    await checks.judge("1.4", right)
    before = len(descendants())
    checking = asyncio.create_task(checks.judge("1.4", BUSY))
    while len(descendants()) == before:
        await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert len(descendants()) == before
    await lab.close_hosts(session)
    assert await open_checks(session) == []


async def open_checks(session: lab.Session) -> list[str]:
    """The ids of check streams that are open; what the server lists is a moment late."""
    for _ in range(100):
        running = session.client.list_workflows("ExecutionStatus = 'Running'")
        found = [each.id async for each in running if each.id.startswith("check-")]
        if not found:
            break
        await asyncio.sleep(0.1)
    return found


@pytest.mark.timeout(120)
async def test_a_dead_worker_is_named_and_no_answer_is_blamed(
    session: lab.Session, stream: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    await session.worker.kill()
    try:
        for answer in (right, BUSY):
            began = time.monotonic()
            await lab.check("1.4", answer)
            assert time.monotonic() - began < 8, "it waited for the ten seconds of an answer"
            said = " ".join(capsys.readouterr().out.split())
            assert "This says nothing about your answer: the worker is not well (dead" in said
            assert "await lab.start() brings it back; then run this cell again." in said
        await session.worker.pause()
    finally:
        await session.worker.restart()
    assert (await checks.judge("1.4", right)).ok
    handle = session.client.get_workflow_handle(stream.workflow_id)
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_what_an_answer_started_ends_with_its_check(session: lab.Session) -> None:
    found = await checks.judge("1.4", STARTS)
    assert found.ok, found.says
    for _ in range(100):
        if not any("86421" in each.info["cmdline"] for each in _processes()):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("a process that an answer started is left")


def _processes() -> list[psutil.Process]:
    """All that run; one that ended meanwhile has no command line."""
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"]]


CHECKED = """
import asyncio, os
from multiprocessing import forkserver, resource_tracker
from streamlib.lab.lessons import checks

def interval(latency, bursts):
    return latency

print(asyncio.run(checks.judge("8.6", interval)).ok)
beside = forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid
print([os.getpgid(pid) == os.getpgrp() for pid in beside], *beside)
"""


def test_what_stays_beside_a_kernel_is_no_part_of_its_group_and_ends_with_it() -> None:
    """A kernel waits for its group when it is shut down: it took half a minute."""
    told = subprocess.run(
        [sys.executable, "-c", CHECKED], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert told[:3] == ["True", "[False,", "False]"]
    until = time.monotonic() + 10
    while any(map(psutil.pid_exists, map(int, told[3:]))):
        assert time.monotonic() < until
        time.sleep(0.05)


async def test_what_a_function_needs_comes_with_it(session: lab.Session) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "from math import floor\n"
        "class Next:\n"
        "    def __init__(self, step): self.step = step\n"
        "    def after(self, item): return floor(item.offset + self.step)\n"
        "one = Next(1)\n"
        "def helper(item): return one.after(item)\n"
        "def next_start(item): return helper(item)\n",
        scope,
    )
    found = await checks.judge("1.4", scope["next_start"])
    assert found.ok, found.says

"""What a person in a terminal sees when something is away: soon, in one line, and a calm end."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from streamlib.lab.machine import processes, server, workers
from streamlib.scenarios.connect import connect
from streamlib.scenarios.home import checkout
from tests.waits import without_waits

from .conftest import Program

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("own_home")]

Run = Callable[..., Program]
SCENARIO = ("-m", "streamlib.scenarios")
POLLS = "Ctrl-C ends it"


def says_within_five_seconds(program: Program, text: str) -> None:
    """By its own clock: how long a busy machine takes to start it is no test's business."""
    program.until_prints(text)
    waited = re.search(
        rf"^Waiting since \S+ \((\d+) s\): .*{re.escape(text)}", program.printed, re.M
    )
    assert waited is not None, program.printed
    assert int(waited[1]) < 5


def ends_calmly(program: Program, *, within: float = 5.0) -> None:
    assert program.ctrl_c(within) == 0
    assert "Traceback" not in program.printed
    assert "Exception ignored" not in program.printed
    assert " WARN " not in program.printed


async def test_a_scenario_says_that_no_worker_takes_its_task_and_then_that_it_goes_on(
    run: Run,
) -> None:
    await server.start()
    worker = await workers.start()
    await worker.kill()  # the server still lists it among the pollers, for minutes
    program = run(*SCENARIO, "order")
    says_within_five_seconds(program, "no worker takes a task of workflow-stream-order-")
    assert re.search(r"Waiting since \d\d:\d\d:\d\d \(\d s\): no worker takes", program.printed)
    assert "run `python worker.py`" in program.printed
    await worker.restart()
    assert program.ends() == 0
    assert "... it goes on, after" in program.printed
    assert "workflow result: charge-order-1" in program.printed


async def test_a_scenario_says_that_an_activitys_worker_is_silent(run: Run) -> None:
    await server.start()
    worker = await workers.start()
    program = run(*SCENARIO, "order")
    program.until_prints("charging card")
    await worker.kill()
    says_within_five_seconds(program, f"charge_card, which {worker.identity} took and is silent")
    ends_calmly(program)


@pytest.mark.parametrize("name", ["pipeline", "ticker"])
async def test_a_scenario_says_that_the_server_does_not_answer_and_ends_calmly(
    run: Run, name: str, tmp_path: Path
) -> None:
    running = await server.start()
    await workers.start()
    folder = tmp_path / "tmp"
    folder.mkdir()
    program = run(*SCENARIO, name, TMPDIR=str(folder))
    program.until_prints("offset= 1")
    await running.kill()
    says_within_five_seconds(program, f"the Temporal server at {running.address} does not answer")
    ends_calmly(program)
    assert list(folder.iterdir()) == []


async def test_a_paused_server_is_said_too_also_before_anything_is_connected(run: Run) -> None:
    running = await server.start()
    await running.pause()
    program = run(*SCENARIO, "order")
    says_within_five_seconds(program, f"the Temporal server at {running.address} does not answer")
    await running.resume()
    program.until_prints("No worker polls")
    ends_calmly(program)


async def test_a_worker_says_that_its_server_is_away_and_that_it_is_back(run: Run) -> None:
    running = await server.start()
    program = run("worker.py")
    program.until_prints(POLLS)
    await running.kill()
    says_within_five_seconds(program, f"the Temporal server at {running.address} does not answer")
    await server.start()
    program.until_prints("... it goes on, after")
    since = program.printed.partition(POLLS)[2]
    assert since.count("\n") == 3, "the rest of that line, that it waits, and that it goes on"
    ends_calmly(program)


@pytest.mark.parametrize("again", range(5))
async def test_a_worker_whose_server_died_as_it_began_to_poll_ends_at_once(
    run: Run, again: int
) -> None:
    program = run("worker.py")
    program.until_prints(POLLS)
    running = processes.find("server")
    assert running is not None
    psutil.Process(running.pid).kill()
    await asyncio.sleep(0.05)
    ends_calmly(program)
    assert without_waits(program.printed).count("\n") == 3, "it started a server, polled, and ended"


@pytest.mark.parametrize("name", ["hub", "pipeline", "order"])
async def test_ctrl_c_twice_within_50_ms_is_as_calm_as_once(
    run: Run, name: str, tmp_path: Path
) -> None:
    await server.start()
    await workers.start()
    folder = tmp_path / "tmp"
    folder.mkdir()
    program = run(*SCENARIO, name, TMPDIR=str(folder))
    program.until_prints("[")
    program.process.send_signal(signal.SIGINT)
    await asyncio.sleep(0.03)
    ends_calmly(program)
    assert list(folder.iterdir()) == []


async def test_a_hub_that_nobody_closes_ends_by_itself(run: Run) -> None:
    await server.start()
    await workers.start()
    program = run(*SCENARIO, "hub")
    program.until_prints("[publisher] sent")
    program.process.kill()
    client = await connect()
    while not (hubs := [each async for each in client.list_workflows()]):
        await asyncio.sleep(0.1)  # visibility is a moment behind
    run_of = await client.get_workflow_handle(hubs[0].id).describe()
    limit = run_of.raw_description.execution_config.workflow_execution_timeout.ToTimedelta()
    assert timedelta(0) < limit <= timedelta(hours=1)


@pytest.mark.parametrize("what", [("worker.py",), (*SCENARIO, "order")], ids=["worker", "order"])
async def test_a_namespace_that_is_not_there_is_one_line(run: Run, what: tuple[str, ...]) -> None:
    running = await server.start()
    program = run(*what, TEMPORAL_ADDRESS=running.address, TEMPORAL_NAMESPACE="nope")
    assert program.ends() == 1
    said = without_waits(program.printed)
    assert said.count("\n") == 1, said
    assert "nope" in said
    assert "TEMPORAL_NAMESPACE" in said


async def test_a_reader_that_has_enough_ends_it_without_a_word() -> None:
    await server.start()
    await workers.start()
    command = f"{sys.executable} -u -m streamlib.scenarios order | head -1"
    done = subprocess.run(
        command, shell=True, cwd=checkout(), capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.count("\n"), without_waits(done.stderr)) == (1, "")


@pytest.mark.parametrize("after", [0.1, 0.2, 0.35, 0.5, 0.8, 1.2, 1.6])
async def test_ctrl_c_at_any_moment_of_a_start_is_quiet_and_leaves_nothing_half_begun(
    run: Run, after: float
) -> None:
    program = run("worker.py")
    await asyncio.sleep(after)
    assert program.ctrl_c(8) in (0, -signal.SIGINT)
    assert "Traceback" not in program.printed
    if "started the dev server" not in program.printed:
        assert [found.name() for found in processes.marked()] == []
        assert server.last() is None
    else:
        assert await server.status() is not None


async def test_without_what_windows_lacks_a_worker_works_and_ends(run: Run) -> None:
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "import asyncio.unix_events as unix\n"
        "def refuse(*_): raise NotImplementedError\n"
        "unix._UnixSelectorEventLoop.add_signal_handler = refuse\n"
        "from streamlib_cli import main; sys.exit(main(['worker']))"
    )
    program = run("-W", "ignore", "-c", code)
    program.until_prints(POLLS)
    ends_calmly(program)


@pytest.mark.parametrize("command", ["lab", "start", "stop", "doctor"])
async def test_on_windows_one_sentence_names_wsl(run: Run, command: str) -> None:
    code = (
        "import streamlib_cli, sys; sys.platform = 'win32'\n"
        f"sys.exit(streamlib_cli.main([{command!r}]))"
    )
    program = run("-c", code)
    assert program.ends() == 1
    assert program.printed.count("\n") == 1
    assert "use WSL" in program.printed

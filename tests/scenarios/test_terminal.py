"""The scenarios as a person runs them: the worker in one terminal, the scenario in another."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from tests.waits import without_waits

ROOT = Path(__file__).parents[2]

ORDER = """\
[status] received: order=order-1
[progress] charging card...
[progress] card charged
[status] shipped: order=order-1
[progress] charge id: charge-order-1
[status] complete: order=order-1
workflow result: charge-order-1
"""

pytestmark = pytest.mark.server


@pytest.fixture
def environment(server: str) -> dict[str, str]:
    return {**os.environ, "TEMPORAL_ADDRESS": server}


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`python worker.py`, stopped by Ctrl-C."""
    process = run_in_background(["worker.py"], environment)
    yield process
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def run_in_background(args: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def scenario(name: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamlib.scenarios", name],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_scenario_1_prints_exactly_this_and_no_more(
    worker: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    for _ in range(2):
        done = scenario("order", environment)
        assert (done.stdout, done.returncode) == (ORDER, 0)
        # Only on the first run may the worker not have begun to poll yet.
        assert "Traceback" not in done.stderr
    assert without_waits(done.stderr) == ""


async def test_without_a_worker_it_says_what_to_run_and_ctrl_c_ends_it(
    client: Client, environment: dict[str, str]
) -> None:
    # The server lists pollers for minutes after they left, so this needs a namespace of its own.
    namespace = await new_namespace(client)
    process = run_in_background(
        ["-m", "streamlib.scenarios", "order"], {**environment, "TEMPORAL_NAMESPACE": namespace}
    )
    assert process.stdout is not None
    first = await asyncio.to_thread(process.stdout.readline)
    assert re.match(r"No worker polls 'workflow-stream-task-queue-[0-9a-f]{6}' yet", first)
    assert "python worker.py" in first
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest, _ = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, rest) == (0, "")
    assert time.monotonic() - begun < 5


async def new_namespace(client: Client) -> str:
    name = f"empty-{uuid.uuid4().hex[:8]}"
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=86400)
        )
    )
    other = Client(**{**client.config(), "namespace": name})
    for _ in range(300):  # it takes a moment until all of the server knows it
        try:
            await other.start_workflow("nobody", id="probe", task_queue="nobody")
            return name
        except RPCError:
            await asyncio.sleep(0.1)
    raise TimeoutError(name)


PIPELINE = """\
[phase 1] connecting and reading first few events
offset= 0 stage=validating
offset= 1 stage=loading data
[phase 1] persisted resume offset=2 -> /tmp/...; disconnecting
[phase 2] reconnecting and resuming from persisted offset
offset= 2 stage=transforming
offset= 3 stage=writing output
offset= 4 stage=verifying
offset= 5 stage=complete
workflow result: pipeline workflow-stream-pipeline-... done
"""


def test_scenario_2_resumes_with_continuous_offsets(
    worker: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    done = scenario("pipeline", environment)
    printed = re.sub(r"-> \S+; dis", "-> /tmp/...; dis", done.stdout)
    printed = re.sub(r"pipeline-[0-9a-f]{8}", "pipeline-...", printed)
    assert (printed, done.returncode) == (PIPELINE, 0)


def test_scenario_3_sends_and_receives_five_headlines_and_ends_with_the_hub(
    worker: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    done = scenario("hub", environment)
    lines = done.stdout.splitlines()
    sent = [line.split(": ", 1)[1] for line in lines if line.startswith("[publisher] sent: ")]
    received = [line for line in lines if line.startswith("[subscriber] offset=")]
    assert len(sent) == 5
    assert received == [f"[subscriber] offset={n}: {line}" for n, line in enumerate(sent)]
    assert "[publisher] sent the last item, and closed the hub" in lines
    assert lines[-2] == "[subscriber] the stream has ended, after the last item"
    assert re.fullmatch(r"workflow result: hub workflow-stream-hub-[0-9a-f]{8} closed", lines[-1])
    assert (len(lines), done.returncode) == (13, 0)


def test_scenario_4_the_fast_reader_sees_all_and_the_slow_one_counts_what_it_missed(
    worker: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    done = scenario("ticker", environment)
    lines = done.stdout.splitlines()
    tick = re.compile(r"\[(fast|slow)\] offset=\s*(\d+) n=\s*(\d+)(?:  \((\d+) dropped .*\))?")
    read: dict[str, list[tuple[int, int]]] = {"fast": [], "slow": []}
    for match in filter(None, map(tick.fullmatch, lines)):
        name, offset, n, missed = match.groups()
        assert offset == n
        read[name].append((int(offset), int(missed or 0)))
    assert [offset for offset, _ in read["fast"]] == list(range(30))
    at, dropped = 0, 0
    for offset, missed in read["slow"]:
        assert offset == at + missed  # each jump says exactly how far it went
        at, dropped = offset + 1, dropped + missed
    assert (at, dropped > 0) == (30, True)
    assert "[fast] done: 0 dropped" in lines
    assert f"[slow] done: {dropped} dropped" in lines
    assert lines[-1] == "workflow result: ticker emitted 30 events"
    assert done.returncode == 0


def test_without_a_server_it_says_so_in_one_line() -> None:
    environment = {**os.environ, "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    done = scenario("order", environment)
    assert done.returncode == 1
    assert done.stdout == ""
    said = without_waits(done.stderr)
    assert said.count("\n") == 1
    assert "127.0.0.1:1" in said

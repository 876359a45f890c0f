"""The scenarios as a person runs them: the worker in one terminal, the scenario in another."""

from __future__ import annotations

import asyncio
import os
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
    assert done.stderr == ""


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
    assert first.startswith("No worker polls 'workflow-stream-task-queue' yet")
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


def test_without_a_server_it_says_so_in_one_line() -> None:
    environment = {**os.environ, "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    done = scenario("order", environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "127.0.0.1:1" in done.stderr

"""A worker in a process of its own, stages on it, and servers that may be killed."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from streamlib.lab.machine import server as servers
from streamlib.lab.machine import workers
from tests.faults.stage import QUEUE, Stage, StageInput
from tests.server import hosts

Start = Callable[..., Awaitable[WorkflowHandle[Any, Any]]]
COMMAND = (sys.executable, "-m", "tests.faults.worker")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/faults/" in str(item.path) and item.path.name != "test_history.py":
            item.add_marker(pytest.mark.server)


async def start_worker(name: str = "stages", task_queue: str = QUEUE) -> workers.Worker:
    """A worker process for stages; returns when it polls."""
    return await workers.start(name, task_queue=task_queue, command=COMMAND)


@pytest.fixture(scope="session")
def stage_worker(server: str) -> Iterator[None]:
    """The worker process that the tests share which do it no harm."""
    asyncio.run(start_worker())
    yield
    asyncio.run(workers.stop("stages"))


@pytest.fixture
def patient_worker(server: str) -> Iterator[str]:
    """The task queue of a worker process that may take its time: the SDK ends no task of its."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_DEBUG", "1")
        asyncio.run(start_worker("patient", "patient"))
    yield "patient"
    asyncio.run(workers.stop("patient"))


@pytest.fixture
async def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A server and a home of this test's own, so that they may be killed; a function starts it.

    On a port where no other test session looks for one: while the server is down, another's there
    would be taken for it, and would know nothing of our workflows.
    """
    monkeypatch.setenv("STREAMLIB_HOME", str(tmp_path / "home"))
    first = 12_000 + os.getpid() % 1_000 * 20
    ports = {"grpc_port": first, "ui_port": first + 1, "http_port": first + 2}
    monkeypatch.setattr(servers, "PORTS", ports)
    yield servers.start
    for name in workers.names():
        await workers.stop(name)
    await servers.stop()


class Starter:
    """Starts stages, and terminates at the end those that are still open."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.task_queue = QUEUE
        self._ids: list[str] = []

    async def __call__(
        self, workflow: Any = Stage, *args: Any, workflow_id: str = "", **options: Any
    ) -> Any:
        """Start a workflow, by default a stage; keyword arguments are those of its input."""
        kinds = {Stage: StageInput, hosts.OurHub: hosts.HubInput, hosts.PeerHub: hosts.PeerHubInput}
        args = args or ((kinds[workflow](**options),) if workflow in kinds else ())
        workflow_id = workflow_id or f"stage-{uuid.uuid4().hex[:8]}"
        self._ids.append(workflow_id)
        await self.client.start_workflow(
            workflow.run, args=args, id=workflow_id, task_queue=self.task_queue
        )
        return self.client.get_workflow_handle(workflow_id)

    async def clean(self) -> None:
        for workflow_id in self._ids:
            with suppress(RPCError):  # it has closed
                await self.client.get_workflow_handle(workflow_id).terminate()


@pytest.fixture
async def start(client: Client, stage_worker: None) -> AsyncIterator[Starter]:
    """Start stages on the shared server and worker process."""
    starter = Starter(client)
    yield starter
    await starter.clean()

"""A worker in this process, and hubs of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from tests.server import hosts

Start = Callable[..., Awaitable[WorkflowHandle[Any, Any]]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/server/" in str(item.path):
            item.add_marker(pytest.mark.server)


@pytest.fixture
def task_queue() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(params=["cached"])
async def worker(
    client: Client, task_queue: str, request: pytest.FixtureRequest
) -> AsyncIterator[Worker]:
    """A worker for the hubs. Parametrize it with "no cache" to replay on every task.

    Without the SDK's check that a task takes less than two seconds: that is the machine's, and a
    worker that found one does not come to its end.
    """
    async with Worker(
        client,
        task_queue=task_queue,
        workflows=hosts.WORKFLOWS,
        activities=hosts.ACTIVITIES,
        debug_mode=True,
        max_cached_workflows=0 if request.param == "no cache" else 100,
        **({"max_concurrent_workflow_tasks": 1} if request.param == "no cache" else {}),
    ) as running:
        yield running


@pytest.fixture
async def start(client: Client, task_queue: str, worker: Worker) -> AsyncIterator[Start]:
    """Start a hub; whatever is still open at the end of the test is terminated."""
    handles: list[WorkflowHandle[Any, Any]] = []

    async def start(workflow: Any = hosts.OurHub, *args: Any, **options: Any) -> Any:
        if not args and workflow is hosts.OurHub:
            args = (hosts.HubInput(),)
        elif not args and workflow in (hosts.PeerHub, hosts.UpdateOnlyHub):
            args = (hosts.PeerHubInput(),)
        options.setdefault("id", f"hub-{uuid.uuid4().hex[:8]}")
        handle = await client.start_workflow(
            workflow.run, args=args, task_queue=task_queue, **options
        )
        handles.append(handle)
        return client.get_workflow_handle(handle.id)

    yield start
    for handle in handles:
        try:
            await client.get_workflow_handle(handle.id).terminate()
        except Exception as error:
            assert "already completed" in str(error)  # noqa: PT017

"""Chains of runs on a real server: a replaced log is told, one that was carried is read."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, Interceptor, OutboundInterceptor, WorkflowExecutionStatus
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from streamlib import StreamChangedError, Subscription, WorkflowStreamClient
from streamlib.client.registry import _kept
from tests.server.chains import Attempts, Carrier
from tests.server.conftest import Start
from tests.server.passed_through import PassedThrough, Rolled
from tests.server.reading import LIMIT, becomes, drain, take, told


@pytest.fixture
async def attempts(client: Client, task_queue: str) -> AsyncIterator[Any]:
    """Start the workflow whose runs are begun anew."""
    ids: list[str] = []

    async def start(**options: Any) -> Any:
        ids.append(f"attempts-{uuid.uuid4().hex[:8]}")
        await client.start_workflow(Attempts.run, id=ids[-1], task_queue=task_queue, **options)
        return client.get_workflow_handle(ids[-1])

    async with Worker(client, task_queue=task_queue, workflows=[Attempts]):
        yield start
        for each in ids:
            await client.get_workflow_handle(each).terminate()


async def reset(client: Client, handle: Any) -> None:
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    tasks = [e.event_id async for e in handle.fetch_history_events() if e.event_type == done]
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=tasks[0],
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
            request_id="reset",
        )
    )


RETRY = {"retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=50))}
CRON = {"cron_schedule": "@every 1s"}


async def until_it_ends(items: Subscription[Any]) -> list[Any]:
    """What it still delivers before it is told that the log was replaced."""
    seen = []
    try:
        while True:
            seen.append((await asyncio.wait_for(anext(items), LIMIT)).data)
    except StreamChangedError as error:
        seen.append(error)
    return seen


@pytest.mark.parametrize(
    ("how", "options"), [("fail", RETRY), ("end", CRON), ("forget", {}), ("reset", {})]
)
async def test_a_live_reader_of_a_log_that_was_replaced_gets_all_of_it_and_is_told(
    client: Client, attempts: Any, how: str, options: dict[str, Any]
) -> None:
    handle = await attempts(**options)
    stream = WorkflowStreamClient.create(client, handle.id)
    at_the_end, behind = stream.subscribe(), stream.subscribe()
    old = [item.data for item in await take(at_the_end, 3)]
    await take(behind, 1)
    saved, stream_id = at_the_end.position, at_the_end.stream_id
    waiting = asyncio.create_task(until_it_ends(at_the_end))
    if how == "reset":
        await reset(client, handle)
    else:
        await handle.signal("want", how)
    [error] = await waiting
    *rest, told_too = await until_it_ends(behind)
    assert rest == old[1:]
    assert (error.expected, error.actual) == (told_too.expected, told_too.actual)
    assert error.expected == stream_id == old[0][0]
    assert await drain(at_the_end) == []
    assert (at_the_end.status, at_the_end.missed) == (None, 0)

    with pytest.raises(StreamChangedError):
        await take(stream.subscribe(from_offset=saved, stream_id=stream_id), 1)
    async with stream.subscribe() as fresh:
        new = [item.data for item in await take(fresh, 3)]
        assert fresh.stream_id == error.actual
    if how != "reset":  # whose replay is its first task's, under the old run's name
        assert {run for run, _ in new} == {error.actual}
    async with stream.subscribe(from_offset=2, stream_id=error.actual) as resumed:
        assert [item.data for item in await take(resumed, 1)] == new[2:]


async def test_what_was_carried_to_a_run_that_never_began_is_read_from_the_run_before(
    client: Client, task_queue: str
) -> None:
    handle = await client.start_workflow(
        Carrier.run, id=f"carrier-{task_queue}", task_queue=task_queue
    )
    handle, first = client.get_workflow_handle(handle.id), handle.first_execution_run_id
    stream = WorkflowStreamClient.create(client, handle.id)
    live = stream.subscribe()
    async with Worker(client, task_queue=task_queue, workflows=[Carrier]):
        await take(live, 4)
        await handle.signal("roll")
        await becomes(handle.describe, lambda now: now.run_id != first)
        await handle.terminate()
        assert [data for _, data in told(await drain(live))] == [*range(4, 10)]
        late = stream.subscribe()
        assert [data for _, data in told(await drain(late))] == [*range(10)]
        for each in (live, late):
            assert (each.missed, each.status) == (0, WorkflowExecutionStatus.TERMINATED)
            assert each.stream_id == first


async def test_a_workflow_file_that_passes_the_library_through_the_sandbox_rolls_over(
    client: Client, task_queue: str
) -> None:
    """With `from __future__ import annotations`, and by one name only: `streamlib`."""
    workflow_id = f"passed-through-{task_queue}"
    async with Worker(client, task_queue=task_queue, workflows=[PassedThrough]):
        handle = await client.start_workflow(
            PassedThrough.run, Rolled(), id=workflow_id, task_queue=task_queue
        )
        try:
            async with WorkflowStreamClient.create(client, workflow_id) as stream:
                stream.topic("t").publish("a")
            assert await asyncio.wait_for(handle.result(), LIMIT) == 1
        except BaseException:
            await client.get_workflow_handle(workflow_id).terminate()
            raise


async def test_the_clients_interceptors_see_what_goes_through_its_own_calls(
    client: Client, start: Start
) -> None:
    seen: list[str] = []

    class Outbound(OutboundInterceptor):
        async def describe_workflow(self, input: Any) -> Any:
            seen.append("describe")
            return await super().describe_workflow(input)

    class Seen(Interceptor):
        def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
            return Outbound(super().intercept_client(next))

    hub = await start()
    config = client.config()
    config["interceptors"] = [Seen()]
    async with WorkflowStreamClient.create(Client(**config), hub.id).subscribe():
        assert seen == ["describe"]


async def test_a_token_that_the_server_does_not_know_costs_nothing_but_another_look(
    client: Client, start: Start
) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    await hub.signal("say", args=["t", [0]])
    async with stream.subscribe() as items:
        await take(items, 1)
        run_id = items._feed.run_id  # type: ignore[union-attr]
        await becomes(hub.describe)
    key = await becomes(lambda: _key_of(run_id))
    _kept[key].token = b"no token of this server's"
    async with stream.subscribe() as items:
        await take(items, 1)
        await hub.signal("say", args=["t", [1]])
        assert told(await take(items, 1)) == [(1, 1)]


async def _key_of(run_id: str | None) -> Any:
    return next((key for key in [*_kept] if key[1] == run_id), None)

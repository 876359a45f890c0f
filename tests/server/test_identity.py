"""Whose log it is: one id for as long as the log goes on, and a new one for every new log."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.contrib import workflow_streams as peer

import streamlib as ours
from streamlib.wire import shapes
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import becomes, roll_over

QUICK = RetryPolicy(initial_interval=timedelta(milliseconds=10), backoff_coefficient=1)


async def run_of(hub: WorkflowHandle[Any, Any]) -> str:
    return str((await hub.describe()).run_id)


async def id_of(hub: WorkflowHandle[Any, Any]) -> str:
    """The log's id, of which a poll and a description say the same."""
    answer = await hub.query(shapes.POLL, {})
    about = await hub.query(shapes.DESCRIBE_QUERY)
    assert answer["stream_id"] == about["stream_id"]
    return str(answer["stream_id"])


async def next_run(hub: WorkflowHandle[Any, Any], before: str) -> str:
    """The run that comes after `before`, as soon as it has begun."""
    return await becomes(lambda: run_of(hub), lambda now: now != before)


async def reset(client: Client, hub: WorkflowHandle[Any, Any]) -> None:
    """Reset the current run to right after its first task."""
    run = await run_of(hub)

    async def first_task() -> int:
        async for event in client.get_workflow_handle(hub.id, run_id=run).fetch_history_events():
            if event.HasField("workflow_task_completed_event_attributes"):
                return event.event_id
        return 0

    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=hub.id, run_id=run),
            workflow_task_finish_event_id=await becomes(first_task),
            request_id=uuid.uuid4().hex,
        )
    )
    await next_run(hub, run)


async def test_a_first_run_gives_the_log_its_id_and_hand_overs_keep_it(start: Start) -> None:
    hub = await start()
    first = await run_of(hub)
    assert await id_of(hub) == first
    for _ in range(3):
        await hub.signal("say", args=["t", [1]])
        await roll_over(hub, 1)
        assert await id_of(hub) == first != await run_of(hub)


async def test_a_hand_over_without_its_state_begins_a_new_log(start: Start) -> None:
    hub = await start()
    first = await run_of(hub)
    await roll_over(hub, 1)
    second = await run_of(hub)
    await hub.signal("want", "forget")
    third = await next_run(hub, second)
    assert await id_of(hub) == third != first
    await roll_over(hub, 1)
    assert await id_of(hub) == third


@pytest.mark.parametrize("rolls", [0, 1])
async def test_a_workflow_retry_begins_a_new_log(start: Start, rolls: int) -> None:
    hub = await start(retry_policy=QUICK)
    first = await run_of(hub)
    await hub.signal("say", args=["t", [1]])
    await roll_over(hub, rolls)
    failed = await run_of(hub)
    await hub.signal("fail")
    retried = await next_run(hub, failed)
    assert await id_of(hub) == retried != first
    # It starts from the input of the run that failed, so from what was carried to that one.
    assert await hub.query(shapes.OFFSET_QUERY) == rolls
    await roll_over(hub, 1)
    assert await id_of(hub) == retried, "and that log goes on"


async def test_a_cron_run_begins_a_new_log(start: Start) -> None:
    hub = await start(cron_schedule="@every 1s")
    first = await run_of(hub)
    assert await id_of(hub) == first
    await hub.signal("say", args=["t", [1]])
    await hub.signal("want", "close")
    second = await next_run(hub, first)
    assert await id_of(hub) == second != first
    assert await hub.query(shapes.OFFSET_QUERY) == 0
    await roll_over(hub, 1)
    assert await id_of(hub) == second, "and that log goes on"


@pytest.mark.parametrize("rolls", [0, 1])
async def test_a_reset_begins_a_new_log(client: Client, start: Start, rolls: int) -> None:
    hub = await start()
    first = await run_of(hub)
    await hub.signal("say", args=["t", [1]])
    await roll_over(hub, rolls)
    await hub.signal("say", args=["t", [2]])
    await reset(client, hub)
    new = await run_of(hub)
    assert await id_of(hub) == new != first
    await roll_over(hub, 1)
    assert await id_of(hub) == new, "and that log goes on"


async def test_a_log_that_the_peer_left_keeps_the_chains_first_run(start: Start) -> None:
    hub = await start(hosts.PeerHub)
    first = await run_of(hub)
    await hub.signal("say", args=["t", [1]])
    await hub.signal("want", "move")
    second = await next_run(hub, first)
    assert await id_of(hub) == first, "as readers saved it when the peer was the host"
    await roll_over(hub, 1)
    assert await id_of(hub) == first not in (second, await run_of(hub))


async def test_a_reset_run_that_the_peer_handed_over_to_has_a_new_log(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.PeerHub)
    first = await run_of(hub)
    await hub.signal("want", "move")
    await next_run(hub, first)
    await reset(client, hub)
    assert await id_of(hub) == await run_of(hub)


async def test_a_state_that_somebody_queried_and_started_from_is_a_new_log(start: Start) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1]])
    state = await hub.query("state", result_type=ours.WorkflowStreamState)
    assert state.stream_id == state.handed_over_by == await run_of(hub)
    twin = await start(hosts.OurHub, hosts.HubInput(state))
    assert await id_of(twin) == await run_of(twin) != await id_of(hub)
    assert await twin.query(shapes.OFFSET_QUERY) == 1


async def test_the_peer_takes_up_our_state_and_its_clients_our_answers(
    client: Client, start: Start
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1]])
    await roll_over(hub, 1)
    state = await hub.query("state", result_type=dict[str, Any])
    assert {"stream_id", "handed_over_by", "limits"} <= state.keys()
    theirs = await start(hosts.PeerHub, {"stream_state": state})
    for each in (hub, theirs):
        reader = peer.WorkflowStreamClient.create(client, each.id)
        async for item in reader.subscribe():
            assert (item.offset, item.data) == (0, 1)
            break

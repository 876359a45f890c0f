"""A stream on a real server: publish, subscribe, truncate, roll over, end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.worker import Worker

from streamlib import WorkflowStreamClient
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import drain, eventually, roll_over, take, told


@pytest.mark.parametrize("worker", ["cached", "no cache"], indirect=True)
async def test_what_is_published_is_read_in_order_and_the_end_is_told(
    client: Client, start: Start
) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    subscription = stream.subscribe()
    async with stream:
        for n in range(5):
            stream.topic("n").publish(n)
    await hub.signal("say", args=["own", ["a", "b"]])
    assert told(await take(subscription, 7)) == [*enumerate(range(5)), (5, "a"), (6, "b")]
    assert await stream.get_offset() == 7
    assert subscription.status is None
    await hub.signal("say", args=["own", ["last"]])
    await hub.signal("want", "close")
    assert told(await drain(subscription)) == [(7, "last")]
    assert subscription.status is WorkflowExecutionStatus.COMPLETED


async def test_failed_and_terminated_are_told_apart_and_drained_first(
    client: Client, start: Start
) -> None:
    ends = {"fail": WorkflowExecutionStatus.FAILED, "stop": WorkflowExecutionStatus.TERMINATED}
    for how, status in ends.items():
        hub = await start()
        await hub.signal("say", args=["t", [1, 2]])
        subscription = WorkflowStreamClient.create(client, hub.id).subscribe()
        assert told(await take(subscription, 1)) == [(0, 1)]
        await (hub.signal("fail") if how == "fail" else hub.terminate())
        assert told(await drain(subscription)) == [(1, 2)]
        assert subscription.status is status


async def test_a_closed_stream_can_still_be_read_from_any_offset(
    client: Client, start: Start
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", list(range(10))])
    await hub.signal("want", "close")
    await hub.result()
    stream = WorkflowStreamClient.create(client, hub.id)
    assert [item.offset for item in await drain(stream.subscribe(from_offset=7))] == [7, 8, 9]
    assert await drain(stream.subscribe("other")) == []


async def test_topics_filter_as_none_empty_string_and_list(client: Client, start: Start) -> None:
    hub = await start()
    for topic in "abca":
        await hub.signal("say", args=[topic, [topic]])
    await hub.signal("want", "close")
    stream = WorkflowStreamClient.create(client, hub.id)
    for topics, offsets in [
        (None, [0, 1, 2, 3]),
        ([], [0, 1, 2, 3]),
        ("a", [0, 3]),
        (["b", "c"], [1, 2]),
    ]:
        assert [item.offset for item in await drain(stream.subscribe(topics))] == offsets


async def test_subscribers_cost_no_history_events(client: Client, start: Start) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    subscriptions = [stream.subscribe() for _ in range(20)]
    await hub.signal("say", args=["t", [1]])
    assert [told(await take(s, 1)) for s in subscriptions] == [[(0, 1)]] * 20
    kinds = [event.event_type async for event in hub.fetch_history_events()]
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED not in kinds
    # Started; a workflow task, with the two events of the patch; a signal; a workflow task.
    assert len(kinds) <= 1 + 3 + 2 + 1 + 3
    for subscription in subscriptions:
        await subscription.aclose()


async def test_a_slow_reader_sees_exactly_how_many_items_it_missed(
    client: Client, start: Start
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", list(range(10))])
    stream = WorkflowStreamClient.create(client, hub.id)
    waiting, late = stream.subscribe(), stream.subscribe(from_offset=2)
    assert len(await take(waiting, 10)) == 10
    await hub.execute_update("truncate", 6)
    [first] = await take(late, 1)
    assert (first.offset, first.missed, late.missed) == (6, 4, 4)
    await hub.execute_update("truncate", 10)
    await hub.signal("say", args=["t", ["new"]])
    [item] = await take(waiting, 1)
    assert (item.offset, item.missed, waiting.missed) == (10, 0, 0)


async def test_truncating_past_the_end_fails_the_update_and_nothing_else(
    client: Client, start: Start
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1, 2, 3]])
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await hub.execute_update("truncate", 4)
    cause: Any = caught.value.cause
    assert cause.type == "TruncateOutOfRange"
    assert "offset 4" in str(cause)
    stream = WorkflowStreamClient.create(client, hub.id)
    assert told(await take(stream.subscribe(), 3)) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("worker", ["cached", "no cache"], indirect=True)
async def test_a_roll_over_under_load_loses_nothing_and_nobody_notices(
    client: Client, start: Start
) -> None:
    hub = await start()
    subscriptions = [WorkflowStreamClient.create(client, hub.id).subscribe() for _ in range(3)]
    readers = [asyncio.create_task(drain(s)) for s in subscriptions]
    stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=5)
    rolled = asyncio.create_task(roll_over(hub, times=4))
    published = 0
    async with stream:
        while not rolled.done():
            stream.topic("n").publish(published)
            published += 1
            await asyncio.sleep(0.005)
    await rolled
    await hub.signal("want", "close")
    for reader in readers:
        assert told(await reader) == list(enumerate(range(published)))
    assert await hub.result() == "rolled 4 times"


async def test_a_duplicate_is_dropped_also_after_a_roll_over(client: Client, start: Start) -> None:
    hub = await start()
    sent: list[Any] = []

    class Twice:
        """A handle that delivers every signal twice, and says so only once."""

        def __init__(self) -> None:
            self.id, self.run_id = hub.id, None

        async def signal(self, name: str, arg: Any) -> None:
            sent.append((name, arg))
            await hub.signal(name, arg)
            await hub.signal(name, arg)

    stream = WorkflowStreamClient(Twice(), client=client)  # type: ignore[arg-type]
    stream.topic("t").publish("once")
    await stream.flush()
    await roll_over(hub, times=1)
    await hub.signal(*sent[0])
    await hub.signal("say", args=["t", ["end"]])
    await hub.signal("want", "close")
    assert told(await drain(stream.subscribe())) == [(0, "once"), (1, "end")]


async def test_a_subscription_never_walks_into_a_new_stream_under_the_same_id(
    client: Client, start: Start
) -> None:
    first = await start()
    await first.signal("say", args=["t", ["old"]])
    subscription = WorkflowStreamClient.create(client, first.id).subscribe()
    await take(subscription, 1)
    await first.signal("want", "close")
    await first.result()
    second = await start(id=first.id)
    await second.signal("say", args=["t", ["new", "new"]])
    assert await drain(subscription) == []
    fresh = WorkflowStreamClient.create(client, first.id).subscribe()
    assert [item.data for item in await take(fresh, 2)] == ["new", "new"]


async def test_a_reader_waits_for_a_worker_and_says_so(client: Client, task_queue: str) -> None:
    handle = await client.start_workflow(
        hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
    )
    subscription = WorkflowStreamClient.create(client, handle.id).subscribe()
    first = asyncio.create_task(take(subscription, 1))
    await eventually(lambda: subscription.trouble)
    async with Worker(client, task_queue=task_queue, workflows=hosts.WORKFLOWS):
        await handle.signal("say", args=["t", ["at last"]])
        assert told(await first) == [(0, "at last")]
        assert subscription.trouble is None
        await subscription.aclose()
        await handle.terminate()


async def test_a_waiting_reader_says_when_the_worker_is_gone(
    client: Client, task_queue: str
) -> None:
    def worker() -> Worker:
        sticky = timedelta(seconds=1)  # else the next task waits ten seconds for the old worker
        return Worker(
            client,
            task_queue=task_queue,
            workflows=hosts.WORKFLOWS,
            sticky_queue_schedule_to_start_timeout=sticky,
        )

    async with worker():
        hub = await client.start_workflow(
            hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
        )
        await hub.signal("say", args=["t", [0]])
        subscription = WorkflowStreamClient.create(client, hub.id).subscribe()
        assert told(await take(subscription, 1)) == [(0, 0)]
        waiting = asyncio.create_task(take(subscription, 1))
    await hub.signal("say", args=["t", [1]])
    await eventually(lambda: "no worker" in (subscription.trouble or ""))
    async with worker():
        assert told(await waiting) == [(1, 1)]
        assert subscription.trouble is None
        await subscription.aclose()
        await hub.terminate()


async def test_an_open_subscription_outlives_the_cells_that_use_it(
    client: Client, start: Start
) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    subscription = stream.subscribe()
    for n in range(3):  # one cell publishes, the next looks what arrived
        stream.topic("t").publish(n, force_flush=True)
        assert told(await take(subscription, 1)) == [(n, n)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(subscription.__anext__(), 0.05)
    assert (subscription.position, subscription.lag) == (3, 0)
    await subscription.aclose()

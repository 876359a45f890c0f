"""A watch on a real server: it counts what history holds, says what waits, and writes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.converter import DataConverter
from temporalio.worker import Worker

from streamlib import RunSnapshot, StreamWatch, WaitingBatch, WorkflowStreamClient
from streamlib.client.registry import running_feeds
from streamlib.wire import shapes
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import LIMIT, becomes, eventually, roll_over, take, told
from tests.server.test_codec import Rot

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED


async def until(watch: StreamWatch, wanted: Callable[[RunSnapshot], object]) -> RunSnapshot:
    """The first thing it says that is wanted."""

    async def look() -> RunSnapshot:
        async for activity in watch:
            if wanted(activity):
                return activity
        raise AssertionError("it ended")

    return await asyncio.wait_for(look(), LIMIT)


async def ends(watch: StreamWatch) -> list[RunSnapshot]:
    async def look() -> list[RunSnapshot]:
        return [activity async for activity in watch]

    return await asyncio.wait_for(look(), LIMIT)


async def counted(hub: WorkflowHandle[Any, Any]) -> tuple[int, int, int]:
    """Events, signals and accepted updates, from the history itself."""
    events = (await hub.fetch_history()).events
    kinds = Counter(event.event_type for event in events)
    return len(events), kinds[SIGNALED], kinds[ACCEPTED]


def counts(watch: StreamWatch) -> tuple[int, int, int]:
    return watch.history_events, watch.signals, watch.updates


def agrees(watch: StreamWatch, hub: WorkflowHandle[Any, Any]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return counts(watch) == await counted(hub)

    return ask


async def follow(watch: StreamWatch) -> None:
    async for _ in watch:
        pass


async def use(client: Client, hub: WorkflowHandle[Any, Any], items: int) -> None:
    """Publish in batches of one, and truncate twice."""
    stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=1)
    async with stream:
        for n in range(items):
            stream.topic("t").publish(n)
    await hub.execute_update("truncate", 1)
    await hub.execute_update("truncate", 2)


async def test_the_counts_are_those_of_the_history(client: Client, start: Start) -> None:
    hub = await start()
    await use(client, hub, 300)  # several pages of history
    before = WorkflowStreamClient.create(client, hub.id).watch()
    first = await until(before, lambda said: said.caught_up)
    assert (first.history_events, first.signals, first.updates) == await counted(hub)
    run = await hub.describe()
    assert (before.run_id, before.stream_id) == (run.run_id, run.run_id)
    assert before.run_began is not None
    assert abs(before.run_began - run.start_time) < timedelta(seconds=1)
    following = asyncio.create_task(follow(before))
    await use(client, hub, 10)
    assert await becomes(agrees(before, hub))
    assert (before.updates, before.waiting_count, before.trouble) == (4, 0, None)
    await before.aclose()
    await following


async def test_a_rejected_update_leaves_no_trace(client: Client, start: Start) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1]])
    async with WorkflowStreamClient.create(client, hub.id).watch() as watch:
        await until(watch, lambda said: said.caught_up)
        following = asyncio.create_task(follow(watch))
        for n in range(5):
            with pytest.raises(WorkflowUpdateFailedError):
                await hub.execute_update(shapes.POLL, {"from_offset": "malformed"})
            await hub.signal("say", args=["t", [n]])
        assert await becomes(agrees(watch, hub))
        assert (watch.signals, watch.updates) == (6, 0)
    await following


def worked(hub: WorkflowHandle[Any, Any]) -> Callable[[], Awaitable[bool]]:
    """Whether the last workflow task is done; what it has decided may stand behind it."""

    async def ends() -> bool:
        kinds = [event.event_type for event in (await hub.fetch_history()).events]
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        begun = (
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        )
        return [kind for kind in kinds if kind in (*begun, done)][-1] == done

    return ends


async def test_watching_writes_no_history(client: Client, start: Start) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1]])
    stream = WorkflowStreamClient.create(client, hub.id)
    async with stream.watch() as watch:
        await until(watch, lambda said: said.caught_up)
        assert (await anext(stream.subscribe())).offset == 0  # the signal's task is done,
        assert await becomes(worked(hub))  # and written down
        before = await counted(hub)
        for _ in range(20):
            async with WorkflowStreamClient.create(client, hub.id).watch() as other:
                await anext(other)
                assert await other.waiting() == []
        assert await counted(hub) == before


async def test_roll_overs_are_followed_to_the_end(client: Client, start: Start) -> None:
    hub = await start()
    watch = WorkflowStreamClient.create(client, hub.id).watch()
    seen: list[RunSnapshot] = []

    async def look() -> None:
        seen.extend([activity async for activity in watch])

    looking = asyncio.create_task(look())
    await hub.signal("say", args=["t", [1]])
    await roll_over(hub, 2)
    await use(client, hub, 3)
    run = await hub.describe()
    await eventually(lambda: watch.run_id == run.run_id)
    assert await becomes(agrees(watch, hub))
    await hub.signal("want", "close")
    await asyncio.wait_for(looking, LIMIT)
    assert watch.status is WorkflowExecutionStatus.COMPLETED
    assert counts(watch) == await counted(hub)
    assert len({said.run_id for said in seen}) == 3
    assert watch.stream_id != watch.run_id


async def test_a_closed_stream_is_told_once_and_counted(client: Client, start: Start) -> None:
    hub = await start()
    await use(client, hub, 5)
    await hub.terminate()
    watch = WorkflowStreamClient.create(client, hub.id).watch()
    assert len(await ends(watch)) == 1
    assert watch.status is WorkflowExecutionStatus.TERMINATED
    assert counts(watch) == await counted(hub)


def worker_of(client: Client, task_queue: str) -> Worker:
    sticky = timedelta(seconds=1)  # else the next task waits ten seconds for the old worker
    return Worker(
        client,
        task_queue=task_queue,
        workflows=hosts.WORKFLOWS,
        sticky_queue_schedule_to_start_timeout=sticky,
    )


async def test_what_no_worker_has_handled_is_listed_until_one_has(
    client: Client, task_queue: str
) -> None:
    hub = await client.start_workflow(
        hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
    )
    stream = WorkflowStreamClient.create(client, hub.id)
    async with worker_of(client, task_queue):
        stream.topic("t").publish(0)
        await stream.flush()
        await becomes(stream.get_offset, 1)
    watch = stream.watch()
    await until(watch, lambda said: said.caught_up)
    for sequence in (2, 3):
        stream.topic("a").publish(1)
        stream.topic("b").publish(2)
        await stream.flush()
        said = await until(watch, lambda said, n=sequence - 1: said.waiting == n)
        assert (await watch.waiting())[-1] == WaitingBatch(
            stream.publisher_id, sequence, ["a", "b"]
        )
    await hub.signal(shapes.PUBLISH_SIGNAL, "malformed")
    said = await until(watch, lambda said: said.waiting == 3)
    assert [batch.sequence for batch in await watch.waiting()] == [2, 3]
    said = await until(watch, lambda said: said.trouble)
    assert "no worker" in str(said.trouble)
    late = WorkflowStreamClient.create(client, hub.id)
    async with late.watch() as other:  # one that comes when everything has happened already
        await until(other, lambda said: said.trouble)
        assert len(await other.waiting()) == 2
    async with worker_of(client, task_queue):
        await until(watch, lambda said: said.trouble is None and said.waiting == 0)
        assert await watch.waiting() == []
        assert counts(watch) == await counted(hub)
        await hub.terminate()
        await ends(watch)


async def test_a_watch_that_begins_while_no_worker_runs_says_so(
    client: Client, task_queue: str
) -> None:
    hub = await client.start_workflow(
        hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
    )
    stream = WorkflowStreamClient.create(client, hub.id)
    stream.topic("t").publish(0)
    await stream.flush()
    async with stream.watch() as watch:  # its task was scheduled before the signal came
        said = await until(watch, lambda said: said.trouble)
        assert said.waiting == 1
    await hub.terminate()


async def test_behind_a_codec_what_waits_is_decoded(client: Client, task_queue: str) -> None:
    config = client.config()
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=Rot())
    secret = Client(**config)
    hub = await secret.start_workflow(
        hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
    )
    stream = WorkflowStreamClient.create(secret, hub.id)
    stream.topic("t").publish("canary-value")
    await stream.flush()
    for each, batches in (
        (stream, [WaitingBatch(stream.publisher_id, 1, ["t"])]),
        (WorkflowStreamClient.create(client, hub.id), []),  # it cannot read them, but count them
    ):
        async with each.watch() as watch:
            await until(watch, lambda said: said.waiting == 1)
            assert await watch.waiting() == batches
    await hub.terminate()


async def test_twenty_watches_and_subscriptions_share_one_wait(
    client: Client, start: Start
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [0]])
    streams = [WorkflowStreamClient.create(client, hub.id) for _ in range(20)]
    watches = [stream.watch() for stream in streams]
    readers = [stream.subscribe() for stream in streams]
    assert [told(await take(reader, 1)) for reader in readers] == [[(0, 0)]] * 20
    await asyncio.gather(*(until(watch, lambda said: said.caught_up) for watch in watches))
    assert len(running_feeds()) == 1
    progress = watches[0].progress
    await hub.signal("say", args=["t", [1]])
    await asyncio.gather(
        *(until(watch, lambda said: said.progress > progress) for watch in watches)
    )
    assert [told(await take(reader, 1)) for reader in readers] == [[(1, 1)]] * 20
    for each in [*watches, *readers]:
        await each.aclose()

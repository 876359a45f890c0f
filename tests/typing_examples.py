"""What the strict type checker must understand; `test_typing.py` runs it on this file.

A line that must be rejected says so with an ignore: if it were accepted, the ignore would be
unused, which is an error too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from typing_extensions import assert_type

from streamlib import (
    Batch,
    ItemDescription,
    Outcome,
    PublisherDescription,
    ReaderDescription,
    Receipt,
    Retention,
    RollOverReason,
    RunSnapshot,
    StreamDescription,
    Subscription,
    TopicHandle,
    WaitingBatch,
    WorkflowStream,
    WorkflowStreamClient,
    WorkflowStreamItem,
    WorkflowTopicHandle,
    open_subscriptions,
)


@dataclass
class Event:
    """A value of some topic."""

    name: str


async def reading(client: WorkflowStreamClient) -> None:
    async for item in client.subscribe("events", result_type=Event):
        assert_type(item, WorkflowStreamItem[Event])
        assert_type(item.data, Event)
        assert_type((item.topic, item.offset, item.missed), tuple[str, int, int])
    async for mixed in client.subscribe():
        assert_type(mixed.data, Any)
    assert_type(client.subscribe(["a", "b"], 3, result_type=RawValue), Subscription[RawValue])
    assert_type(client.subscribe(result_type=None), Subscription[Any])
    async with client.subscribe(result_type=str) as items:
        assert_type(items, Subscription[str])
        assert_type((await anext(items)).data, str)
        assert_type((items.position, items.lag, items.missed), tuple[int, int, int])
    guarded = client.subscribe("a", "latest", on_truncated="raise", stream_id="saved")
    assert_type(guarded, Subscription[Any])
    assert_type(await guarded.start(), Subscription[Any])
    assert_type((guarded.stream_id, guarded.trouble), tuple[str | None, str | None])
    assert_type(client.subscribe(None, "latest", result_type=Event), Subscription[Event])
    assert_type(await client.get_offset(), int)
    async with client as same:
        assert_type(same, WorkflowStreamClient)


async def a_typed_topic(client: WorkflowStreamClient) -> None:
    events = client.topic("events", type=Event)
    assert_type(events, TopicHandle[Event])
    assert_type(events.type, type[Event])
    events.publish(Event("a"))
    events.publish(Payload(), force_flush=True)
    assert_type(events.subscribe("latest", on_truncated="raise"), Subscription[Event])
    async for item in events.subscribe(from_offset=1):
        assert_type(item.data, Event)
    assert_type(client.topic("mixed"), TopicHandle[Any])
    receipt = await events.send(Event("a"))
    assert_type(receipt, Receipt)
    assert_type(await receipt, Outcome)
    by_name = events.subscribe(name="billing", rewind=3)
    assert_type(by_name.committed, int | None)
    await by_name.commit(5)


async def a_description(client: WorkflowStreamClient) -> None:
    told = await client.describe(items=5, from_offset=3, batches=5)
    assert_type(told, StreamDescription)
    assert_type((told.base_offset, told.end_offset, told.size), tuple[int, int, int])
    assert_type(told.publishers, list[PublisherDescription])
    assert_type(told.publishers[0].last_seen, datetime)
    assert_type(told.batches, list[Batch])
    assert_type(told.batches[0].first_offset, int | None)
    assert_type(told.items, list[ItemDescription])
    assert_type(told.items[0].publisher_id, str | None)
    assert_type(told.seams, list[int])
    assert_type(told.retention, Retention | None)
    assert_type(told.readers, list[ReaderDescription] | None)


async def a_watch(client: WorkflowStreamClient) -> None:
    async with client.watch() as watch:
        async for activity in watch:
            assert_type(activity, RunSnapshot)
            assert_type(await watch.waiting(), list[WaitingBatch])
    assert_type(watch.run_began, datetime | None)
    assert_type(open_subscriptions(client.workflow_id), list[Subscription[Any]])


async def rolling_over(stream: WorkflowStream) -> None:
    assert_type(stream.should_roll_over(), list[RollOverReason])
    if stream.should_roll_over():
        await stream.continue_as_new(lambda state: [state], on_too_large="truncate")
    await stream.roll_over_when_due(lambda state: [state], until=lambda: True)
    stream.retain(Retention(max_items=3))


def in_the_workflow(stream: WorkflowStream) -> None:
    assert_type(stream.topic("events", type=Event), WorkflowTopicHandle[Event])
    assert_type(stream.topic("mixed"), WorkflowTopicHandle[Any])
    stream.topic("events", type=Event).publish(Event("a"))


def rejected(client: WorkflowStreamClient, stream: WorkflowStream) -> None:
    client.topic("events", type=Event).publish("a")  # type: ignore[arg-type]
    stream.topic("events", type=Event).publish(3)  # type: ignore[arg-type]
    client.topic(3)  # type: ignore[call-overload]
    client.subscribe(result_type="Event")  # type: ignore[call-overload]
    client.subscribe(poll_cooldown=0.1)  # type: ignore[call-overload]
    client.subscribe(from_offset="earliest")  # type: ignore[call-overload]
    client.subscribe(on_truncated="stop")  # type: ignore[call-overload]
    client.subscribe(stream_id=3)  # type: ignore[call-overload]
    client.subscribe(name=3)  # type: ignore[call-overload]
    stream.retain(5)  # type: ignore[arg-type]
    client.topic("a").subscribe("oldest")  # type: ignore[arg-type]
    stream.topic("events").subscribe()  # type: ignore[attr-defined]
    stream.truncate("5")  # type: ignore[arg-type]

"""Bad input: a typed error that says what to do, and nothing lost; nothing harms the workflow."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.testing import ActivityEnvironment

from streamlib import (
    InvalidOffsetError,
    InvalidTopicError,
    ItemEncodeError,
    ItemTooLargeError,
    NotAStreamError,
    StreamNotFoundError,
    WorkflowStreamClient,
)
from streamlib.wire import encode, shapes
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import becomes, drain, noise, roll_over, take, told


def item(data: Any = None, topic: Any = "t") -> dict[str, Any]:
    good = encode.encode_payload(Payload(metadata={"encoding": b"json/plain"}, data=b"1"))
    return {"topic": topic, "data": good if data is None else data}


MALFORMED_PUBLISHES: list[list[Any]] = [
    [],
    [1],
    [None],
    ["text"],
    [{}, {}],
    [{"items": {}}],
    [{"items": [1]}],
    [{"items": [{}]}],
    [{"items": [item()], "publisher_id": 7}],
    [{"items": [item()], "publisher_id": "p", "sequence": -1}],
    [{"items": [item()], "publisher_id": "p", "sequence": 2**63}],
    [{"items": [item()], "publisher_id": "p", "sequence": 1.5}],
    [{"items": [item()], "publisher_id": "p", "sequence": True}],
    [{"items": [item(topic="")], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(topic=3)], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(topic="\ud800\udfff\ud800")], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(topic="t" * 1_001)], "publisher_id": "p", "sequence": 1}],
    [{"items": 1, "publisher_id": "\ud800", "sequence": 1}],
    [{"items": [item(data="")], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(data="***")], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(data="ä")], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(), item(data=5)], "publisher_id": "p", "sequence": 1}],
    [{"items": [item(base64.b64encode(b"\xff\xff").decode())], "publisher_id": "p"}],
    [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{not json"))],
    [RawValue(Payload(metadata={"encoding": b"from/mars"}, data=b"?"))],
    [RawValue(Payload())],
]


async def test_no_signal_that_arrives_harms_the_stream(client: Client, start: Start) -> None:
    hub = await start()
    for args in MALFORMED_PUBLISHES:
        await hub.signal(shapes.PUBLISH_SIGNAL, args=args)
    good = {"items": [item()], "publisher_id": "p", "sequence": 1, "later": "field"}
    await hub.signal(shapes.PUBLISH_SIGNAL, good)
    await hub.signal("want", "close")
    # What was refused left no item, and no sequence that could shut the publisher out.
    assert told(await drain(WorkflowStreamClient.create(client, hub.id).subscribe())) == [(0, 1)]


MALFORMED_POLLS: list[list[Any]] = [
    [],
    [1],
    [{}, {}],
    [{"topics": "ab"}],
    [{"topics": [1]}],
    [{"from_offset": -1}],
    [{"from_offset": 1.9}],
    [{"from_offset": True}],
    [{"from_offset": "0"}],
]


@pytest.mark.parametrize("args", MALFORMED_POLLS, ids=str)
async def test_a_malformed_poll_is_refused_and_writes_nothing(start: Start, args: Any) -> None:
    hub = await start()
    with pytest.raises(Exception, match=r"(?i)malformed poll|update failed"):
        await hub.query(shapes.POLL, args=args)
    before = (await hub.describe()).history_length
    with pytest.raises(Exception, match=r"(?i)malformed poll|update failed"):
        await hub.execute_update(shapes.POLL, args=args)
    assert (await hub.describe()).history_length <= before + 3  # a rejected update's task at most
    assert await hub.query(shapes.OFFSET_QUERY) == 0


async def test_a_poll_for_half_a_surrogate_pair_finds_nothing_and_harms_nothing(
    start: Start,
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1]])
    poll = {"topics": ["\ud800"], "from_offset": 0}
    assert (await hub.query(shapes.POLL, poll))["items"] == []
    assert (await hub.execute_update(shapes.POLL, poll))["next_offset"] == 1


async def test_a_huge_offset_waits_like_any_offset_beyond_the_end(start: Start) -> None:
    hub = await start()
    answer = await hub.query(shapes.POLL, {"from_offset": 10**30})
    assert answer["items"] == []
    assert answer["next_offset"] == 10**30


async def test_subscribing_to_nonsense_says_what_is_wrong(client: Client, start: Start) -> None:
    stream = WorkflowStreamClient.create(client, "no-such-workflow")
    for offset in (-1, 1.5, "0", True, None):
        with pytest.raises(InvalidOffsetError, match="not an offset"):
            stream.subscribe(from_offset=offset)  # type: ignore[call-overload]
    with pytest.raises(InvalidTopicError, match="not a topic name"):
        stream.subscribe([""])
    with pytest.raises(RuntimeError, match="result_type=RawValue"):
        stream.subscribe(result_type=Payload)
    with pytest.raises(StreamNotFoundError, match="no-such-workflow"):
        await take(stream.subscribe(), 1)
    with pytest.raises(StreamNotFoundError, match="no-such-workflow"):
        await stream.get_offset()
    other = await start(hosts.NoStream)
    not_a_stream = WorkflowStreamClient.create(client, other.id)
    with pytest.raises(NotAStreamError, match="hosts no stream"):
        await take(not_a_stream.subscribe(), 1)
    with pytest.raises(NotAStreamError, match="hosts no stream"):
        await not_a_stream.get_offset()


async def test_publishing_nonsense_loses_nothing(client: Client, start: Start) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    topic = stream.topic("t")
    topic.publish("before")
    with pytest.raises(ItemEncodeError, match="object at 0x"):
        topic.publish(object())
    with pytest.raises(ItemTooLargeError, match="Store the value elsewhere"):
        topic.publish("x" * 1_500_000)
    with pytest.raises(InvalidTopicError):
        stream.topic("")
    topic.publish("after")
    await stream.flush()
    assert told(await take(stream.subscribe(), 2)) == [(0, "before"), (1, "after")]


async def test_the_largest_item_and_many_large_ones_arrive(client: Client, start: Start) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    values = ["y" * 742_000, *("x" * 100_000 for _ in range(30))]
    for value in values:
        stream.topic("t").publish(value)
    await stream.flush()
    assert [i.data for i in await take(stream.subscribe(), 31)] == values


async def test_publishing_to_a_closed_stream_raises_and_keeps_the_items(
    client: Client, start: Start
) -> None:
    hub = await start()
    await hub.signal("want", "close")
    await hub.result()
    stream = WorkflowStreamClient.create(client, hub.id)
    stream.topic("t").publish(1)
    with pytest.raises(StreamNotFoundError):
        await stream.flush()
    reborn = await start(id=hub.id)
    await stream.flush()
    assert told(await take(stream.subscribe(), 1)) == [(0, 1)]
    await reborn.terminate()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (
            "second stream",
            "RuntimeError: WorkflowStream must be constructed directly from the workflow's",
        ),
        ("rebind", "RuntimeError: Topic 'bound' is already bound to type <class 'int'>"),
        ("payload type", "RuntimeError: Cannot bind topic 'bound' to Payload"),
        ("empty topic", "InvalidTopicError: '' is not a topic name"),
        ("unserializable", "ItemEncodeError: Cannot serialize this object"),
        ("too large", "ItemTooLargeError: An item for topic 'any' has 2,6"),
    ],
)
async def test_misuse_in_the_workflow_is_told_and_the_stream_goes_on(
    client: Client, start: Start, what: str, says: str
) -> None:
    hub = await start()
    assert (await hub.execute_update("misuse", what)).startswith(says)
    offset = await hub.query(shapes.OFFSET_QUERY)
    await hub.signal("say", args=["t", ["still here"]])
    stream = WorkflowStreamClient.create(client, hub.id)
    assert told(await take(stream.subscribe("t"), 1)) == [(offset, "still here")]


async def test_a_state_too_large_to_carry_is_refused_before_anything_is_lost(
    client: Client, start: Start
) -> None:
    hub = await start()
    values = [noise(700_000, seed) for seed in range(3)]
    for value in values:
        await hub.signal("say", args=["t", [value]])
    await hub.signal("want", "roll")
    text = await becomes(lambda: hub.query("last_error"))
    assert text.startswith("StateTooLarge: The state to carry over has 2,1")
    # Polls are open again, everything is there, and the advice works.
    poll = await hub.execute_update(shapes.POLL, {"from_offset": 2})
    assert [i["offset"] for i in poll["items"]] == [2]
    subscription = WorkflowStreamClient.create(client, hub.id).subscribe()
    assert [i.data for i in await take(subscription, 3)] == values
    await hub.execute_update("truncate", 2)
    await roll_over(hub, times=1)
    await hub.signal("want", "close")
    assert await drain(subscription) == []
    assert await hub.result() == "rolled 1 times"


async def test_a_state_typed_any_is_named_as_the_mistake(start: Start) -> None:
    hub = await start(hosts.AnyState, {"log": [], "base_offset": 0, "publishers": {}})
    assert "prior_state is a dict" in await hub.result()
    assert "WorkflowStreamState | None" in await hub.result()


async def test_from_within_activity_needs_a_workflow(client: Client, start: Start) -> None:
    host = await start(hosts.ActivityHost)
    assert await host.result() == "published"
    stream = WorkflowStreamClient.create(client, host.id)
    assert told(await drain(stream.subscribe("activity"))) == [(0, "hello")]


async def test_from_within_a_standalone_activity_names_create() -> None:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.default_info(), workflow_id=None)
    text = await environment.run(hosts.publish_in_activity)
    assert "WorkflowStreamClient.create(activity.client(), workflow_id)" in text

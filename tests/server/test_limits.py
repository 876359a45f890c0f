"""What was accepted can always be read and carried over: by every client, behind any codec."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.contrib import workflow_streams as peer
from temporalio.converter import DataConverter, PayloadCodec, PayloadConverter
from temporalio.worker import Worker

import streamlib as ours
from streamlib.wire import encode, shapes
from streamlib.wire.compress import pack
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import becomes, noise, roll_over, take, told

CLIENTS: dict[str, Any] = {
    "ours": ours.WorkflowStreamClient,
    "the peer's": peer.WorkflowStreamClient,
}


async def running(hub: Any) -> bool:
    return bool((await hub.describe()).status == WorkflowExecutionStatus.RUNNING)


# --- pages

MANY = {
    "25,000 ints on a topic in Russian": ("заказы", 25_000),
    "12,000 ints on a topic of forty letters": ("ж" * 40, 12_000),
    "3,000 ints on the longest topic that is taken": ("я" * 166, 3_000),
}


@pytest.mark.parametrize("reader", CLIENTS)
@pytest.mark.parametrize(("topic", "count"), MANY.values(), ids=MANY)
async def test_many_small_items_on_a_topic_that_travels_wide_are_read(
    client: Client, start: Start, topic: str, count: int, reader: str
) -> None:
    hub = await start()
    # Not all at once: a workflow task that takes two seconds is given up, on a slow machine too.
    for first in range(0, count, 1_000):
        await hub.signal("say", args=[topic, list(range(first, min(first + 1_000, count)))])
    await becomes(lambda: hub.query(shapes.OFFSET_QUERY), count)
    # By the poll update too, which is what ended the workflow.
    answer = await hub.execute_update(shapes.POLL, {"from_offset": 0})
    assert answer["more_ready"]
    items = await take(CLIENTS[reader].create(client, hub.id).subscribe(), count)
    assert [(item.offset, item.data) for item in items] == [(n, n) for n in range(count)]
    assert {item.topic for item in items} == {topic}
    assert await running(hub)


@pytest.mark.parametrize("publisher", CLIENTS)
@pytest.mark.parametrize("reader", CLIENTS)
async def test_the_largest_item_is_read_whoever_publishes_it_and_whoever_reads(
    client: Client, start: Start, publisher: str, reader: str
) -> None:
    hub = await start()
    payload = Payload(metadata={"encoding": b"binary/plain"}, data=b"")
    frame = encode.encode_item("t", payload, PayloadConverter.default).size
    size = (ours.StreamLimits().item_bytes - frame - 8) // 4 * 3
    payload.data = b"x" * size
    limit = encode.encode_item("t", payload, PayloadConverter.default).size
    assert 0 <= ours.StreamLimits().item_bytes - limit < 20
    stream = CLIENTS[publisher].create(client, hub.id)
    for _ in range(2):
        stream.topic("t").publish(payload)
        await stream.flush()
    items = await take(CLIENTS[reader].create(client, hub.id).subscribe(result_type=bytes), 2)
    assert [len(item.data) for item in items] == [size, size]
    assert await running(hub)


async def test_a_topic_too_long_to_be_read_is_refused_and_seen(
    client: Client, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await start()
    item = encode.encode_item("t", 1, PayloadConverter.default)
    good = {"topic": "t", "data": item.data}
    with caplog.at_level(logging.WARNING):
        for publisher_id in ("", "p"):
            items = [good, {**good, "topic": "я" * 900_000}]
            batch = {"items": items, "publisher_id": publisher_id, "sequence": 1}
            # As other languages write it: 2 bytes a letter, so that it gets through.
            text = json.dumps(batch, ensure_ascii=False).encode()
            payload = Payload(metadata={"encoding": b"json/plain"}, data=text)
            await hub.signal(shapes.PUBLISH_SIGNAL, RawValue(payload))
        await hub.signal("say", args=["t", ["after"]])
        stream = ours.WorkflowStreamClient.create(client, hub.id)
        assert told(await take(stream.subscribe(), 1)) == [(0, "after")]
    peers = peer.WorkflowStreamClient.create(client, hub.id)
    assert told(await take(peers.subscribe(), 1)) == [(0, "after")]
    about = await stream.describe(batches=9)
    assert about.refused == 2
    assert [batch.publisher_id for batch in about.batches] == ["", "p"]
    reason = "topic has 5,400,000 bytes as it travels, 1,000 at most"
    assert [batch.reason for batch in about.batches] == [reason] * 2
    lines = [record.getMessage() for record in caplog.records if reason in record.getMessage()]
    assert len(lines) == 2
    assert "'p'" in lines[1]


async def test_a_topic_too_long_is_refused_in_the_workflow_by_name(start: Start) -> None:
    hub = await start()
    text = await hub.execute_update("misuse", "long topic")
    assert text.startswith("InvalidTopicError: The topic name 'яяя")
    assert "1,002 bytes as it travels; a name may have 1,000" in text


async def test_a_flood_of_refused_batches_is_counted_and_no_flood_of_lines(
    client: Client, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    hub = await start()
    with caplog.at_level(logging.WARNING):
        for _ in range(200):
            await hub.signal(shapes.PUBLISH_SIGNAL, "nonsense")
        about = await ours.WorkflowStreamClient.create(client, hub.id).describe(batches=500)
    assert (about.refused, len(about.batches)) == (200, 200)
    lines = [record for record in caplog.records if "was refused" in record.getMessage()]
    assert 10 <= len(lines) <= 20


# --- limits that an author sets


async def test_an_authors_limits_decide_and_are_carried(client: Client, start: Start) -> None:
    limits = ours.StreamLimits(
        item_bytes=2_000, batch_bytes=3_000, page_bytes=2_000, topic_bytes=20, signals=3
    )
    hub = await start(hosts.LimitedHub, hosts.LimitedInput(limits=limits))
    stream = ours.WorkflowStreamClient.create(client, hub.id)
    for run in range(2):
        before = (await stream.describe()).end_offset
        for topic, text, count in (
            ("fits", "x" * 900, 1),
            ("item", "x" * 2_000, 1),
            ("batch", "x" * 900, 3),
            ("topic is longer than 20", "x", 1),
        ):
            items = [
                encode.encode_item(topic, text, PayloadConverter.default) for _ in range(count)
            ]
            await hub.signal(shapes.PUBLISH_SIGNAL, encode.publish_json(items, "", 0))
        about = await stream.describe(batches=4)
        assert about.end_offset == before + 1
        assert [batch.reason.split(" has ")[0] for batch in about.batches] == [
            "",
            "item",
            "publish signal",
            "topic",
        ]
        assert await hub.query("reasons") == ["4 signals, roll over from 3 on"]
        await hub.signal("say", args=["t", ["y" * 900] * 3])
        page = await hub.query(shapes.POLL, {"from_offset": before})
        assert (len(page["items"]), page["more_ready"]) == (1, True)
        if run == 0:
            await roll_over(hub, 1)  # whose input says no limits: the state does
    state = await hub.query("state", result_type=dict[str, Any])
    assert ours.StreamLimits(**state["limits"]) == limits


async def test_a_constructor_that_says_otherwise_than_the_state_is_followed(start: Start) -> None:
    hub = await start(hosts.LimitedHub, hosts.LimitedInput(limits=ours.StreamLimits(signals=1)))
    state = await hub.query("state", result_type=ours.WorkflowStreamState)
    assert state.limits["signals"] == 1
    other = ours.StreamLimits(signals=2)
    hub = await start(hosts.LimitedHub, hosts.LimitedInput(state, 1, other))
    for _ in range(2):
        assert await hub.query("reasons") == []
        await hub.signal(shapes.PUBLISH_SIGNAL, {})
    assert await hub.query("reasons") == ["2 signals, roll over from 2 on"]


async def test_an_item_as_large_as_an_authors_limits_allow_is_published_from_outside(
    client: Client, start: Start
) -> None:
    limits = ours.StreamLimits(
        item_bytes=1_900_000, batch_bytes=2_000_000, page_bytes=2_000_000, state_bytes=2_000_000
    )
    hub = await start(hosts.LimitedHub, hosts.LimitedInput(limits=limits))
    stream = ours.WorkflowStreamClient.create(client, hub.id, max_batch_bytes=1_900_000)
    large = "x" * 1_200_000
    stream.topic("t").publish("small")
    stream.topic("t").publish(large)
    await stream.flush()
    assert told(await take(stream.subscribe(), 2)) == [(0, "small"), (1, large)]
    with pytest.raises(ours.ItemTooLargeError):
        stream.topic("t").publish("x" * 1_500_000)


BROKEN: dict[str, Any] = {
    "limits of a wrong type": {"limits": {"item_bytes": "much"}},
    "limits that are none": {"limits": 7},
    "limits that contradict": {"limits": {"page_bytes": 1}},
    "an id that is a number": {"stream_id": 7, "handed_over_by": []},
    "seams of text": {"seams": ["<b>"]},
    "seams that are no offsets of it": {"seams": [-5, 2, 2**70, 1]},
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN)
async def test_what_is_wrong_beside_the_log_of_a_state_does_not_keep_the_stream_from_going_on(
    client: Client, start: Start, fields: Any
) -> None:
    item = encode.encode_item("t", "kept", PayloadConverter.default)
    log = [{"topic": "t", "data": item.data, "offset": 4}]
    state = {"log": log, "base_offset": 4, "publishers": {}, **fields}
    hub = await start(hosts.LimitedHub, {"stream_state": state})
    await hub.signal("say", args=["t", ["new"]])
    stream = ours.WorkflowStreamClient.create(client, hub.id)
    assert told(await take(stream.subscribe(), 2)) == [(4, "kept"), (5, "new")]
    assert (await stream.describe()).seams[-1] == 5


async def test_updates_are_counted_and_speak_for_a_roll_over(start: Start) -> None:
    hub = await start(hosts.LimitedHub, hosts.LimitedInput(limits=ours.StreamLimits(updates=2)))
    await hub.signal("say", args=["t", [1]])
    for n in range(2):
        assert await hub.query("reasons") == [], n
        await hub.execute_update(shapes.POLL, {"from_offset": 0})
    assert await hub.query("reasons") == ["2 updates, roll over from 2 on"]


# --- an item that nobody can decode


async def test_an_undecodable_item_that_the_peer_carried_is_told_and_the_rest_lives(
    client: Client, start: Start
) -> None:
    theirs = await start(hosts.PeerHub)
    await theirs.signal("say", args=["t", ["before"]])
    bad = {"topic": "t", "data": "no base64 of anything"}
    state = await theirs.query("state", result_type=dict[str, Any])
    state["log"] += [{**bad, "offset": 1}, {**bad, "offset": 2, "topic": "\ud800"}]
    small = ours.StreamLimits(topic_bytes=10, item_bytes=1_000, state_bytes=1_600)
    for limits in (ours.StreamLimits(), small):  # the second hands over a packed log
        fields = {"stream_state": state, "limits": dataclasses.asdict(limits)}
        hub = await start(hosts.LimitedHub, fields)
        if limits is small:
            await hub.signal("say", args=["t", ["a" * 400] * 3])
            packed = await hub.query("state", result_type=dict[str, Any])
            assert isinstance(packed["log"], str)
        await roll_over(hub, 2)
        await hub.signal("say", args=["t", ["after"]])
        subscription = ours.WorkflowStreamClient.create(client, hub.id).subscribe()
        [first] = await take(subscription, 1)
        assert first.data == "before"
        for offset in (1, 2):
            with pytest.raises(ours.ItemDecodeError) as raised:
                await take(subscription, 1)
            assert raised.value.offset == offset
        rest = await take(subscription, 4 if limits is small else 1)
        assert rest[-1].data == "after"


async def test_an_item_that_an_earlier_version_took_and_nobody_could_read_holds_nobody_up(
    client: Client, start: Start
) -> None:
    good = encode.encode_item("t", "good", PayloadConverter.default).data
    log = pack([("t", good), ("я" * 900_000, good), ("t", good)])
    hub = await start(hosts.OurHub, {"stream_state": {"log": log, "base_offset": 0}})
    assert (await hub.execute_update(shapes.POLL, {"from_offset": 1}))["next_offset"] == 2
    subscription = ours.WorkflowStreamClient.create(client, hub.id).subscribe()
    assert told(await take(subscription, 1)) == [(0, "good")]
    with pytest.raises(ours.ItemDecodeError) as raised:
        await take(subscription, 1)
    assert raised.value.offset == 1
    assert told(await take(subscription, 1)) == [(2, "good")]
    raw = peer.WorkflowStreamClient.create(client, hub.id).subscribe(result_type=RawValue)
    assert [item.offset for item in await take(raw, 3)] == [0, 1, 2]
    await roll_over(hub, 1)
    assert await running(hub)


# --- the carried state, behind a codec


class Growing(PayloadCodec):
    """A codec whose output has `factor` times the bytes of what it gets."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encoded(payload.SerializeToString()) for payload in payloads]

    def _encoded(self, data: bytes) -> Payload:
        if self._factor == 4 / 3:
            grown = base64.b64encode(data)
        else:
            grown = data + bytes(int((self._factor - 1) * len(data)))
        size = str(len(data)).encode()
        return Payload(metadata={"encoding": b"test/grown", "size": size}, data=grown)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._decoded(payload) for payload in payloads]

    def _decoded(self, payload: Payload) -> Payload:
        data = payload.data
        if self._factor == 4 / 3:
            return Payload.FromString(base64.b64decode(data))
        return Payload.FromString(data[: int(payload.metadata["size"])])


@pytest.fixture(params=[1, 4 / 3, 2], ids=["no codec", "a third more", "twice"])
async def grown(
    client: Client, task_queue: str, request: pytest.FixtureRequest
) -> AsyncIterator[Client]:
    """A client behind a codec, and a worker with it."""
    config = client.config()
    codec = Growing(request.param)
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=codec)
    grown = Client(**config)
    async with Worker(grown, task_queue=task_queue, workflows=hosts.WORKFLOWS):
        yield grown


FILLS = {
    "plain, just below the limit": ([73_000] * 10, "rolls"),
    "packed, since just above it": ([76_000] * 10, "rolls"),
    "packed, just below it": ([73_000] * 13, "rolls"),
    "too large also packed": ([73_000] * 16, "refuses"),
}


@pytest.mark.parametrize(("sizes", "outcome"), FILLS.values(), ids=FILLS)
async def test_a_hand_over_behind_a_codec_never_ends_the_stream(
    grown: Client, task_queue: str, sizes: list[int], outcome: str
) -> None:
    hub = await grown.start_workflow(
        hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
    )
    hub = grown.get_workflow_handle(hub.id)
    values = [noise(size, seed) for seed, size in enumerate(sizes)]
    for value in values:
        await hub.signal("say", args=["t", [value]])
    if outcome == "rolls":
        await roll_over(hub, 2)
    else:
        await hub.signal("want", "roll")
        text = await becomes(lambda: hub.query("last_error"))
        assert text.startswith("StateTooLarge: The state to carry over has 1,")
        await hub.execute_update("truncate", 6)
        await roll_over(hub, 1)
    assert await running(hub)
    gone = 0 if outcome == "rolls" else 6
    stream = ours.WorkflowStreamClient.create(grown, hub.id)
    items = await take(stream.subscribe(), len(values) - gone)
    assert [item.data for item in items] == values[gone:]
    await hub.terminate()


async def test_an_author_whose_codec_grows_more_can_lower_the_limit(
    client: Client, task_queue: str
) -> None:
    config = client.config()
    codec = Growing(5)
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=codec)
    grown = Client(**config)
    limits = ours.StreamLimits(
        item_bytes=300_000, batch_bytes=400_000, page_bytes=400_000, state_bytes=400_000
    )
    async with Worker(grown, task_queue=task_queue, workflows=[hosts.LimitedHub]):
        hub = await grown.start_workflow(
            hosts.LimitedHub.run,
            hosts.LimitedInput(limits=limits),
            id=f"hub-{task_queue}",
            task_queue=task_queue,
        )
        hub = grown.get_workflow_handle(hub.id)
        for seed in range(8):
            await hub.signal("say", args=["t", [noise(73_000, seed)]])
        await hub.signal("want", "roll")
        text = await becomes(lambda: hub.query("last_error"))
        assert "the next run takes 400,000" in text
        await hub.execute_update("truncate", 4)
        await roll_over(hub, 2)
        stream = ours.WorkflowStreamClient.create(grown, hub.id)
        items = await take(stream.subscribe(), 4)
        assert [item.data for item in items] == [noise(73_000, seed) for seed in range(4, 8)]
        await hub.terminate()

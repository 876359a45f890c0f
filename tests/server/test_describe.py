"""The stream about itself on a real server: what it says, across a roll-over, and its cost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.converter import PayloadConverter

from streamlib import (
    ItemDescription,
    NotAStreamError,
    PublisherDescription,
    StreamNotFoundError,
    WorkflowStreamClient,
)
from streamlib.wire import encode, shapes
from streamlib.wire.describe import MAX_ROWS
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import becomes, roll_over


def batch(publisher_id: str, sequence: int, *values: Any, topic: str = "t") -> dict[str, Any]:
    items = [encode.encode_item(topic, value, PayloadConverter.default) for value in values]
    return encode.publish_json(items, publisher_id, sequence)


async def test_an_empty_stream_describes_itself(client: Client, start: Start) -> None:
    hub = await start()
    about = await WorkflowStreamClient.create(client, hub.id).describe(items=5, batches=5)
    run = await hub.describe()
    assert (about.stream_id, about.run_id) == (run.run_id, run.run_id)
    assert (about.base_offset, about.end_offset, about.size, about.signals) == (0, 0, 0, 0)
    assert (about.publishers, about.batches, about.items, about.refused) == ([], [], [], 0)


async def test_it_tells_bounds_publishers_batches_and_items(client: Client, start: Start) -> None:
    hub = await start()
    for args in (
        batch("p", 1, "a", "b", topic="x"),
        batch("q", 4, "c", topic="y"),
        batch("p", 1, "a", "b", topic="x"),  # again
        {"items": "none", "publisher_id": "q", "sequence": 5},
        {"items": "none", "publisher_id": "stranger"},
    ):
        await hub.signal(shapes.PUBLISH_SIGNAL, args)
    await hub.signal("say", args=["own", ["d"]])
    await hub.execute_update("truncate", 1)
    stream = WorkflowStreamClient.create(client, hub.id)
    about = await stream.describe(items=9, batches=9)
    assert (about.base_offset, about.end_offset, about.refused) == (1, 4, 2)
    assert about.signals == 5
    assert about.size == sum(item.size for item in about.items)
    p, q = about.publishers
    assert p == PublisherDescription("p", 1, 1, 1, 0, p.last_seen)
    assert q == PublisherDescription("q", 4, 1, 0, 1, q.last_seen)
    assert p.last_seen <= q.last_seen
    assert [each[:5] for each in about.batches] == [
        ("p", 1, "accepted", 0, 2),
        ("q", 4, "accepted", 2, 1),
        ("p", 1, "duplicate", 0, 2),  # beside the copy that won
        ("q", 5, "refused", None, 0),
        ("stranger", 0, "refused", None, 0),
    ]
    assert "items is no list" in about.batches[-1].reason
    assert about.items == [
        ItemDescription(1, "x", about.items[0].size, "p", 1),
        ItemDescription(2, "y", about.items[1].size, "q", 4),
        ItemDescription(3, "own", about.items[2].size, None, None),
    ]


async def test_items_come_in_pages(client: Client, start: Start) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=10)
    async with stream:
        for n in range(95):
            stream.topic("t").publish(n)
    found: list[ItemDescription] = []
    while page := (await stream.describe(items=20, from_offset=len(found))).items:
        found += page
    assert [item.offset for item in found] == list(range(95))
    assert {item.publisher_id for item in found} == {stream.publisher_id}
    assert [item.sequence for item in found] == [1 + n // 10 for n in range(95)]
    assert len((await stream.describe(batches=3)).batches) == 3


async def test_after_a_roll_over_the_counts_are_there_and_the_batches_forgotten(
    client: Client, start: Start
) -> None:
    hub = await start()
    for args in (batch("p", 1, "a"), batch("p", 1, "a"), {"items": 1, "publisher_id": "p"}):
        await hub.signal(shapes.PUBLISH_SIGNAL, args)
    stream = WorkflowStreamClient.create(client, hub.id)
    before = await stream.describe()
    await roll_over(hub, 1)
    await hub.signal(shapes.PUBLISH_SIGNAL, batch("p", 2, "b"))
    about = await stream.describe(items=9, batches=9)
    assert (about.stream_id, about.run_id != before.run_id) == (before.stream_id, True)
    [row] = about.publishers
    assert (row.sequence, row.accepted, row.dropped, row.refused) == (2, 2, 1, 1)
    assert [(item.publisher_id, item.sequence) for item in about.items] == [(None, None), ("p", 2)]
    assert [each.first_offset for each in about.batches] == [1]
    assert (before.refused, about.refused) == (1, 0)


async def test_the_seams_are_where_runs_took_over(client: Client, start: Start) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id)
    assert (await stream.describe()).seams == []
    await hub.signal("say", args=["t", [1, 2]])
    await roll_over(hub, 2)  # the second one at the same offset
    await hub.signal("say", args=["t", [3]])
    await hub.execute_update("truncate", 3)
    await roll_over(hub, 1)
    assert (await stream.describe()).seams == [2, 3]


async def test_of_the_peers_state_the_hand_over_itself_is_known(
    client: Client, start: Start
) -> None:
    theirs = await start(hosts.PeerHub)
    await theirs.signal("say", args=["t", [1, 2]])
    state = await theirs.query("state", result_type=dict[str, Any])
    ours = await start(hosts.OurHub, {"stream_state": state})
    assert (await WorkflowStreamClient.create(client, ours.id).describe()).seams == [2]


async def test_a_full_page_of_items_is_light(client: Client, start: Start) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=10)
    async with stream:
        for n in range(MAX_ROWS):
            stream.topic(f"topic-{n % 50}").publish({"n": n})
    page = await stream.describe(items=MAX_ROWS)
    assert [item.offset for item in page.items] == [*range(MAX_ROWS)]
    assert {item.topic for item in page.items} == {f"topic-{n}" for n in range(50)}
    answer = await hub.query(shapes.DESCRIBE_QUERY, {"items": MAX_ROWS})
    assert len(json.dumps(answer)) < 50_000


@pytest.mark.parametrize("workflow", [hosts.PeerHub, hosts.NoStream])
async def test_a_host_that_does_not_describe_itself_is_named(
    client: Client, start: Start, workflow: Any
) -> None:
    hub = await start(workflow)
    with pytest.raises(NotAStreamError, match=f"'{hub.id}' hosts no stream.*__streamlib_describe"):
        await WorkflowStreamClient.create(client, hub.id).describe()


async def test_a_workflow_that_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(StreamNotFoundError, match="no-such"):
        await WorkflowStreamClient.create(client, "no-such").describe()


async def test_a_closed_stream_describes_itself_still(client: Client, start: Start) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1, 2]])
    await hub.signal("want", "close")
    await hub.result()
    assert (await WorkflowStreamClient.create(client, hub.id).describe()).end_offset == 2


async def test_it_writes_no_history(client: Client, start: Start) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1, 2]])
    stream = WorkflowStreamClient.create(client, hub.id)
    await stream.describe()
    before = (await hub.describe()).history_length
    for _ in range(50):
        await stream.describe(items=2, batches=2)
    assert (await hub.describe()).history_length == before


async def test_its_answer_grows_with_what_is_asked_and_not_with_the_log(
    client: Client, start: Start
) -> None:
    hub = await start()

    async def size(**asked: int) -> int:
        return len(json.dumps(await hub.query(shapes.DESCRIBE_QUERY, asked)))

    stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=100)
    sizes = []
    for count in (100, 9_900):
        async with stream:
            for n in range(count):
                stream.topic("t").publish("x" * 100 + str(n))
        sizes.append((await size(), await size(items=100, batches=1)))
    assert (await stream.describe()).end_offset == 10_000
    assert sizes[1][0] < sizes[0][0] + 20, "a hundred times the log, and the same answer"
    assert sizes[1][1] < sizes[0][1] + 300
    for n in range(20):
        await hub.signal(shapes.PUBLISH_SIGNAL, batch(f"publisher {n}", 1, n))
    assert await size() < sizes[1][0] + 20 * 100


@pytest.mark.parametrize("asked", [1, {"items": -1}, {"from_offset": 1.5}, {"batches": True}])
async def test_a_question_that_is_none_is_refused_and_harms_nothing(
    client: Client, start: Start, asked: Any
) -> None:
    hub = await start()
    with pytest.raises(Exception, match="Malformed describe query"):
        await hub.query(shapes.DESCRIBE_QUERY, asked)
    assert (await WorkflowStreamClient.create(client, hub.id).describe()).end_offset == 0


async def test_a_view_that_asks_all_the_time_sees_the_stream_grow(
    client: Client, start: Start
) -> None:
    hub = await start()
    stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=1)
    seen: list[int] = []

    async def look() -> int:
        seen.append((await stream.describe(items=5)).end_offset)
        return seen[-1]

    async with stream:
        for n in range(30):
            stream.topic("t").publish(n)
        await becomes(look, 30)
    assert seen == sorted(seen)

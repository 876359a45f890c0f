"""Hand-over: roll-overs under load, states too large for one input, and when to roll over."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from streamlib import WorkflowStreamClient
from streamlib.wire import encode, shapes
from tests.faults.actors import Author, reader
from tests.faults.conftest import Starter
from tests.faults.history import History
from tests.server.reading import becomes, eventually, noise, polls_of, roll_over, take, told

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def run_id(stage: WorkflowHandle[Any, Any]) -> str:
    return (await stage.describe()).run_id


async def table(stream: WorkflowStreamClient) -> dict[str, Any]:
    about = await stream.describe()
    rows = {row.publisher_id: row for row in about.publishers}
    return {"base": about.base_offset, "end": about.end_offset, "publishers": rows}


async def test_roll_overs_under_load_lose_nothing_and_no_reader_notices(
    client: Client, server: str, start: Starter
) -> None:
    """Three publishers, 200 items a second in all; five readers, two of them behind other doors."""
    history, times = History(), 5  # twenty: `tests/server/test_flow_soak.py`
    stage = await start()
    other = await Client.connect(server)
    doors = [client, client, client, other, other]
    streams = [WorkflowStreamClient.create(each, stage.id) for each in doors]
    topics = [None, None, ["t"], None, ["t"]]
    readers = [
        reader(history, s, f"reader {n}", t)
        for n, (s, t) in enumerate(zip(streams, topics, strict=True))
    ]
    rolling = asyncio.create_task(roll_over(stage, times))
    authors = [
        Author(history, WorkflowStreamClient.create(client, stage.id, max_batch_size=size), name)
        for name, size in (("a", 1), ("b", 7), ("c", 50))
    ]
    await asyncio.gather(*(author.write_until(rolling.done, pause=0.015) for author in authors))
    await rolling
    before = await table(streams[0])
    await roll_over(stage, 1)
    assert await table(streams[0]) == before, "base, end and deduplication are carried unchanged"
    await stage.signal("want", "close")
    await asyncio.wait_for(asyncio.gather(*readers), 60)
    assert await stage.result() == times + 1
    history.check(end_offset=len(history.writes), status=COMPLETED)
    assert all(reading.missed == 0 for reading in history.readings)


async def test_a_batch_sent_again_after_a_roll_over_is_dropped_and_shown(
    client: Client, start: Starter
) -> None:
    stage = await start()
    batch = encode.publish_json(
        [encode.encode_item("t", 1, client.data_converter.payload_converter)], "p", 1
    )
    await stage.signal(shapes.PUBLISH_SIGNAL, batch)
    await roll_over(stage, 1)
    await stage.signal(shapes.PUBLISH_SIGNAL, batch)
    about = await WorkflowStreamClient.create(client, stage.id).describe(batches=9, items=9)
    assert (about.end_offset, about.publishers[0].accepted, about.publishers[0].dropped) == (
        1,
        1,
        1,
    )
    assert about.batches == [("p", 1, "duplicate", None, 0, "")]
    assert about.items[0].publisher_id is None, "which batch gave it, the run before knew"


async def test_more_than_two_megabytes_that_compress_are_carried_restored_and_read(
    client: Client, start: Starter
) -> None:
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    values = [{"n": n, "text": "the same words again and again " * 30} for n in range(4_000)]
    async with stream:
        for value in values:
            stream.topic("t").publish(value)
    before = await stream.describe()
    assert before.size > 4_000_000
    first = await run_id(stage)
    await roll_over(stage, 2)
    assert await stage.query("carried") == "str"
    about = await stream.describe()
    assert (about.run_id != first, about.base_offset, about.end_offset, about.size) == (
        True,
        0,
        4_000,
        before.size,
    )
    assert [item.data for item in await take(stream.subscribe(), 4_000)] == values


async def test_what_does_not_fit_is_refused_before_anything_is_lost_and_polls_open_again(
    client: Client, start: Starter
) -> None:
    history = History()
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    items = reader(history, stream, "reader")
    values = [noise(700_000, seed) for seed in range(3)]
    for value in values:
        history.invoke("stage", value, outcome="ok")
        await stage.signal("say", args=["t", [value]])
    waiting = asyncio.create_task(stage.execute_update(shapes.POLL, {"from_offset": 3}))
    first = await run_id(stage)
    await becomes(lambda: polls_of(stage), 1)  # one that comes after the refusal waits, rightly
    await stage.signal("want", "roll")
    assert "StateTooLarge" in await becomes(lambda: stage.query("last_error"))
    assert (await waiting)["items"] == [], "a waiting poll was sent on, as for any hand-over"
    assert (await stage.execute_update(shapes.POLL, {"from_offset": 2}))["next_offset"] == 3
    assert await run_id(stage) == first
    assert await stage.query("carried") == "StateTooLarge"
    author = Author(history, stream, "late")
    await author.write_batch(5)
    await stage.execute_update("truncate", 2)
    await roll_over(stage, 1)
    await author.write_batch(5)
    await stage.signal("want", "close")
    await asyncio.wait_for(items, 30)
    history.check(base_offset=2, end_offset=13, status=COMPLETED)


async def test_asked_to_truncate_it_drops_the_oldest_and_every_reader_sees_how_many(
    client: Client, start: Starter
) -> None:
    stage = await start(on_too_large="truncate")
    stream = WorkflowStreamClient.create(client, stage.id)
    quick = stream.subscribe()
    for seed in range(6):
        await stage.signal("say", args=["t", [noise(600_000, seed), f"small {seed}"]])
    assert len(await take(quick, 12)) == 12
    await roll_over(stage, 1)
    base = (await stream.describe()).base_offset
    assert 0 < base < 12
    late = stream.subscribe(from_offset=1)
    await stage.signal("say", args=["t", ["after"]])
    items = await take(late, 13 - base)
    assert [item.offset for item in items] == list(range(base, 13))
    assert (items[0].missed, late.missed) == (base - 1, base - 1)
    assert told(await take(quick, 1)) == [(12, "after")]
    assert quick.missed == 0


async def test_what_even_an_empty_log_does_not_make_fit_costs_no_item(
    client: Client, start: Starter
) -> None:
    """Truncating helps only where the log is what is too large."""
    stage = await start(on_too_large="truncate")
    await stage.signal("say", args=["t", [1, 2, 3]])
    await stage.signal("load", 2_500_000)
    await stage.signal("want", "roll")
    assert "StateTooLarge" in await becomes(lambda: stage.query("last_error"))
    stream = WorkflowStreamClient.create(client, stage.id)
    assert told(await take(stream.subscribe(), 3)) == [(0, 1), (1, 2), (2, 3)]


async def test_many_small_items_never_make_a_state_that_no_run_takes(
    client: Client, start: Starter
) -> None:
    """The frame of a small item weighs more than the item."""
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    async with stream:
        for _ in range(14_000):
            stream.topic("t").publish(1)
    assert (await stream.describe()).size > 1_000_000
    assert await stage.query("carried") == "str"


@pytest.mark.soak
async def test_a_log_too_large_to_pack_in_time_is_still_refused_and_not_retried_forever(
    client: Client, start: Starter
) -> None:
    """A workflow task that computes for two seconds is taken for a deadlock, again and again."""
    stage = await start(on_too_large="truncate")
    chance = random.Random(7)
    stream = WorkflowStreamClient.create(client, stage.id)
    async with stream:
        for _ in range(40):
            stream.topic("t").publish(noise(700_000, chance.randrange(10**9)))
    await roll_over(stage, 1)
    about = await stream.describe()
    assert (about.end_offset, about.base_offset > 0) == (40, True)


async def test_a_fresh_stream_has_no_reason_to_roll_over(start: Starter) -> None:
    stage = await start()
    assert await stage.query("reasons_now") == []


@pytest.mark.soak
@pytest.mark.alone  # ten thousand signals in one task take the machine
@pytest.mark.timeout(900)  # its speed is the server's
async def test_a_workflow_that_obeys_the_advice_survives_twelve_thousand_signals(
    client: Client, start: Starter, patient_worker: str
) -> None:
    """Forty at once keep a small server from its workflow tasks: then the run gets full first.

    The task that takes it all in computes for about two seconds, after which a worker that checks
    ends it, again and again: that is the SDK's limit, and not what is looked at here.
    """
    start.task_queue = patient_worker
    history, publishers = History(), 40
    stage = await start(obedient=True)
    streams = [
        WorkflowStreamClient.create(client, stage.id, max_batch_size=1) for _ in range(publishers)
    ]
    items = reader(history, streams[0], "reader")

    async def write(name: str, stream: WorkflowStreamClient) -> None:
        author = Author(history, stream, name)
        for _ in range(12_000 // publishers):
            await author.write_batch(1)

    await asyncio.gather(*(write(f"p{n}", stream) for n, stream in enumerate(streams)))
    # All that the server took while it left the worker no task is taken in, and read, only now.
    await eventually(lambda: len(history.readings[0].seen) == 12_000, seconds=300)
    rolls, reasons = await stage.query("rolls"), await stage.query("reasons")
    print(f"{publishers} publishers, {rolls} roll-overs: {reasons}")
    assert rolls >= 1
    assert len(reasons) >= rolls
    await stage.signal("want", "close")
    await asyncio.wait_for(items, 60)
    history.check(end_offset=12_000, status=COMPLETED)

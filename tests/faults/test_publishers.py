"""Publishers: flushes that return, forged and malformed batches, tables that stay small."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from streamlib import BatchTimeoutError, WorkflowStreamClient
from streamlib.wire import encode, shapes
from tests.faults.actors import Author, reader
from tests.faults.conftest import Starter
from tests.faults.history import History
from tests.server.reading import becomes, roll_over
from tests.server.test_bad_input import MALFORMED_PUBLISHES

COMPLETED = WorkflowExecutionStatus.COMPLETED


def batch(publisher_id: str, sequence: int, *values: Any) -> dict[str, Any]:
    items = [encode.encode_item("t", value, PayloadConverter.default) for value in values]
    return encode.publish_json(items, publisher_id, sequence)


async def test_a_flush_under_a_steady_producer_returns(client: Client, start: Starter) -> None:
    history = History()
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    readers = [reader(history, stream, "reader")]
    author, over = Author(history, stream, "p"), asyncio.Event()
    producing = asyncio.create_task(author.write_until(over.is_set, pause=0.001))
    for _ in range(10):
        await asyncio.wait_for(author.flush(), 6)
    over.set()
    await producing
    await stage.signal("want", "close")
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    history.check(end_offset=len(history.writes), status=COMPLETED)


async def test_a_forged_sequence_silences_nobody_else_and_is_seen(
    client: Client, start: Starter
) -> None:
    """Signals carry no authentication: who knows an id can speak as it, and that shows."""
    history = History()
    stage = await start()
    victim = WorkflowStreamClient.create(client, stage.id)
    other = WorkflowStreamClient.create(client, stage.id)
    readers = [reader(history, other, "reader")]
    await Author(history, victim, "victim").write_batch(1)
    history.invoke("forger", "forged", outcome="ok")
    forged = batch(victim.publisher_id, 2**63 - 1, "forged")
    await stage.signal(shapes.PUBLISH_SIGNAL, forged)
    await Author(history, other, "other").write_batch(3)
    victim.topic("t").publish("dropped")
    history.invoke("victim", "dropped")
    await victim.flush()
    rows = {row.publisher_id: row for row in (await other.describe()).publishers}
    row = rows[victim.publisher_id]
    assert (row.sequence, row.accepted, row.dropped) == (2**63 - 1, 2, 1)
    assert rows[other.publisher_id].dropped == 0
    await stage.signal("want", "close")
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    history.check(end_offset=5, status=COMPLETED)


HOSTILE: list[list[Any]] = [
    *MALFORMED_PUBLISHES,
    [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"[" * 100_000))],
    [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b'{"sequence":' + b"9" * 9000))],
    [{"items": [], "publisher_id": "p" * 1001, "sequence": 1}],
    [{"items": [{"topic": "\ud800", "data": "AAAA"}]}],
    [{"items": [{"topic": "t", "data": "A" * 2_000_001}]}],
]


async def test_malformed_batches_are_counted_and_change_nothing_else(
    client: Client, start: Starter
) -> None:
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    await stage.signal(shapes.PUBLISH_SIGNAL, batch("p", 1, "good"))
    for args in HOSTILE:
        await stage.signal(shapes.PUBLISH_SIGNAL, args=args)
    undecodable = sum(isinstance(args[0], RawValue) for args in HOSTILE if args)
    about = await stream.describe(batches=100)
    assert (about.end_offset, len(about.publishers)) == (1, 1)
    assert about.refused >= len(HOSTILE) - undecodable, (
        "what the SDK cannot decode never gets to us"
    )
    noted = [each for each in about.batches if each.verdict != "accepted"]
    assert about.refused == len(noted)
    stored = [each[:2] for each in noted if each.verdict == "duplicate"]
    assert {*stored} == {("p", 1)}, "what says that it is the good one is not told as not stored"
    assert all(each.reason for each in about.batches if each.verdict == "refused")
    await stage.signal(shapes.PUBLISH_SIGNAL, batch("p", 2, "still here"))
    assert (await stream.describe()).end_offset == 2


async def test_any_mixture_of_retries_gaps_and_forgeries_gives_the_naive_log(
    client: Client, start: Starter
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    stage = await start()
    last: dict[str, int] = {}
    expected: list[str] = []
    for number in range(150):
        name, sequence = chance.choice("abc"), chance.choice([0, 1, 2, 3, 5, 8, 2**62, 2**63, -1])
        values = [f"{number}-{n}" for n in range(chance.randint(0, 3))]
        await stage.signal(shapes.PUBLISH_SIGNAL, batch(name, sequence, *values))
        if 0 <= sequence < 2**63 and sequence > last.get(name, -1):
            last[name] = sequence
            expected += values
        if number == 75:
            await roll_over(stage, 1)
    stream = WorkflowStreamClient.create(client, stage.id)
    await stage.signal("want", "close")
    assert [item.data async for item in stream.subscribe()] == expected
    rows = {row.publisher_id: row.sequence for row in (await stream.describe()).publishers}
    assert rows == last


async def test_three_hundred_publishers_are_all_heard(client: Client, start: Starter) -> None:
    history = History()
    stage = await start()
    readers = [reader(history, WorkflowStreamClient.create(client, stage.id), "reader")]
    streams = [WorkflowStreamClient.create(client, stage.id) for _ in range(300)]
    authors = [Author(history, s, f"p{n}") for n, s in enumerate(streams)]
    await asyncio.gather(*(author.write_batch(2) for author in authors))
    about = await streams[0].describe()
    assert len(about.publishers) == 300
    # Where all that takes longer than a send waits, some came again, and were dropped.
    assert {(row.accepted, row.refused) for row in about.publishers} == {(1, 0)}
    await roll_over(stage, 1)
    assert sorted((await streams[0].describe()).publishers) == sorted(about.publishers)
    await stage.signal("want", "close")
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    history.check(end_offset=600, status=COMPLETED)


@pytest.mark.parametrize("ttl", [3.0, None])
async def test_the_live_table_forgets_the_idle_if_it_was_asked_to(
    client: Client, start: Starter, ttl: float | None
) -> None:
    stage = await start(publisher_ttl=ttl)
    for n in range(20):
        await stage.signal(shapes.PUBLISH_SIGNAL, batch(f"passing {n}", 1, n))
    stream = WorkflowStreamClient.create(client, stage.id)
    names = {row.publisher_id for row in (await stream.describe()).publishers}
    assert len(names) == 20

    async def publishers() -> int:
        stream.topic("t").publish("tick")
        await stream.flush()
        return len((await stream.describe()).publishers)

    if ttl is None:
        assert await publishers() == 21
        return
    assert await becomes(publishers, 1) == 1
    # Past its time a retry is taken for new: that is the price, and it is documented.
    await stage.signal(shapes.PUBLISH_SIGNAL, batch("passing 0", 1, "again"))
    about = await stream.describe(batches=1)
    assert about.batches[-1].verdict == "accepted"


class Hanging:
    """A handle that delivers its first signal and never returns from it."""

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.id, self.run_id = handle.id, None
        self.delivered = asyncio.Event()
        self._handle = handle

    async def signal(self, name: str, batch: dict[str, Any]) -> None:
        await self._handle.signal(name, batch)
        if not self.delivered.is_set():
            self.delivered.set()
            await asyncio.Event().wait()


async def test_what_the_stream_may_have_forgotten_is_given_up_and_never_stored_twice(
    client: Client, start: Starter
) -> None:
    stage = await start(publisher_ttl=0.5)
    handle: Any = Hanging(stage)
    stream = WorkflowStreamClient(handle, client=client, max_retry_duration=timedelta(seconds=0.3))
    other = WorkflowStreamClient.create(client, stage.id)
    stream.topic("t").publish("once")
    flush = asyncio.create_task(stream.flush())
    await asyncio.wait_for(handle.delivered.wait(), 30)
    flush.cancel()
    await asyncio.wait([flush])

    async def known() -> bool:
        other.topic("t").publish("tick")
        await other.flush()
        rows = (await other.describe()).publishers
        return stream.publisher_id in {row.publisher_id for row in rows}

    assert await becomes(known, False) is False
    with pytest.raises(BatchTimeoutError, match="may be stored, or not"):
        await stream.flush()
    stream.topic("t").publish("later")
    await stream.flush()
    about = await other.describe(items=100)
    assert about.end_offset == other.stats.sent + 2, "the one that was given up, and the later one"

"""A watch on a stream with scripted faults: it is told what happens, late but never wrongly."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import DataConverter
from temporalio.service import RPCError

import streamlib.client.feed
import streamlib.client.patience
from streamlib import RunSnapshot, StreamNotFoundError, StreamWatch, Subscription, WaitingBatch
from streamlib.client.registry import shared_feed
from streamlib.client.tally import KEPT
from tests.client.test_subscriber import feeds_running, rest, subscribe, take, waits
from tests.fakes import (
    NOON,
    Blocked,
    FakeHost,
    FakeTransport,
    LostReply,
    busy,
    event,
    happens,
    not_found,
    permission_denied,
    quiet,
    signaled,
    unavailable,
)

COMPLETED = WorkflowExecutionStatus.COMPLETED


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


async def decode(payloads: Sequence[Payload]) -> list[Any]:
    return await DataConverter.default.decode(payloads)


def watching(host: FakeHost) -> StreamWatch:
    return StreamWatch(lambda: shared_feed(host.key, lambda: FakeTransport(host)), decode)


async def look(watch: StreamWatch) -> RunSnapshot:
    """What it says next."""
    return await asyncio.wait_for(anext(watch), 5)


async def now(watch: StreamWatch) -> RunSnapshot:
    """The last thing it has to say before it waits."""
    said = await look(watch)
    while True:
        task = asyncio.create_task(look(watch))
        await quiet()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            return said
        said = task.result()


async def rest_of(watch: StreamWatch) -> list[RunSnapshot]:
    """All it says up to the end."""

    async def read() -> list[RunSnapshot]:
        return [activity async for activity in watch]

    return await asyncio.wait_for(read(), 5)


# --- what it tells


async def test_it_tells_at_once_and_again_when_history_was_read_to_its_end(host: FakeHost) -> None:
    host.note(event(1, "STARTED"), signaled(2))
    blocked = Blocked()
    host.faults["history"] = [blocked]
    async with watching(host) as watch:
        first = await look(watch)
        assert (first.run_id, first.caught_up, first.history_events) == ("run-1", False, 0)
        blocked.release()
        second = await look(watch)
        assert second == RunSnapshot("run-1", True, 1, 2, 1, 0, 1, None)
        assert (watch.stream_id, watch.run_id, watch.progress) == ("run-1", "run-1", 1)
        assert (watch.history_events, watch.signals, watch.updates) == (2, 1, 0)
        assert (watch.caught_up, watch.waiting_count, watch.trouble) == (True, 1, None)
        assert watch.run_began == NOON + timedelta(seconds=1)


def test_before_the_start_nothing_is_known(host: FakeHost) -> None:
    watch = watching(host)
    assert (watch.run_id, watch.stream_id, watch.run_began, watch.trouble) == (None,) * 4
    assert (watch.history_events, watch.signals, watch.updates, watch.progress) == (0,) * 4
    assert (watch.waiting_count, watch.caught_up, watch.status) == (0, False, None)


async def test_what_happens_meanwhile_is_told_once_as_it_is_then(host: FakeHost) -> None:
    async with watching(host) as watch:
        await now(watch)
        for number in range(1, 5):
            host.note(signaled(number))
        await quiet()
        assert (await look(watch)).signals == 4
        waiting = asyncio.create_task(look(watch))
        await quiet()
        assert not waiting.done(), "there is nothing new"
        host.append(1)
        assert (await waiting).progress == 1


async def test_a_roll_over_is_followed_and_the_new_run_counts_from_nothing(host: FakeHost) -> None:
    host.note(event(1, "STARTED"), signaled(2))
    async with watching(host) as watch:
        assert (await now(watch)).signals == 1
        host.roll_over()
        assert await now(watch) == RunSnapshot("run-2", True, 2, 0, 0, 0, 0, None)
        host.note(event(1, "STARTED"), event(2, "UPDATE_ACCEPTED"))
        after = await now(watch)
        assert (after.history_events, after.signals, after.updates) == (2, 0, 1)
        assert (watch.stream_id, watch.run_id) == ("run-1", "run-2")


async def test_the_end_ends_it_with_the_status_and_the_last_counts(host: FakeHost) -> None:
    async with watching(host) as watch:
        await now(watch)
        host.note(signaled(1))
        host.close(WorkflowExecutionStatus.TERMINATED)
        assert await rest_of(watch) == []
        assert watch.status is WorkflowExecutionStatus.TERMINATED
        assert (watch.signals, watch.waiting_count) == (1, 1)
    with pytest.raises(StopAsyncIteration):
        await look(watch)


async def test_a_stream_that_was_closed_before_is_told_once_and_counted(host: FakeHost) -> None:
    host.note(event(1, "STARTED"), signaled(2))
    host.close()
    watch = watching(host)
    assert len(await rest_of(watch)) == 1
    assert (watch.status, watch.history_events, watch.signals) == (COMPLETED, 3, 1)
    await happens(lambda: feeds_running() == 0)


async def test_its_end_does_not_wait_for_readers(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlib.client.feed, "_HOLD", 0.01)
    host.append(0)
    items, watch = subscribe(host), watching(host)
    assert await take(items, 1) == [0]
    waiting = await waits(host, items)
    await now(watch)
    blocked = Blocked()
    host.faults["read"] = [blocked]
    host.append(1)
    host.close()
    await rest_of(watch)
    assert (watch.status, items.status) == (COMPLETED, None)
    blocked.release()
    assert [(await waiting).data, *await rest(items)] == [1]
    assert items.status is COMPLETED


# --- what waits


async def test_batches_that_no_task_has_handled_are_listed_oldest_first(host: FakeHost) -> None:
    host.note(signaled(1), event(2, "TASK_COMPLETED"), signaled(3), signaled(4), signaled(5))
    async with watching(host) as watch:
        assert (await now(watch)).waiting == watch.waiting_count == 3
        assert await watch.waiting(2) == [WaitingBatch("p", 3, ["t"]), WaitingBatch("p", 4, ["t"])]
        host.note(event(6, "TASK_COMPLETED"))
        await now(watch)
        assert (watch.waiting_count, await watch.waiting()) == (0, [])


async def test_each_batch_that_waits_is_decoded_once_however_often_somebody_looks(
    host: FakeHost,
) -> None:
    decoded = []

    async def counted(payloads: Sequence[Payload]) -> list[Any]:
        decoded.append(payloads)
        return await decode(payloads)

    def watch() -> StreamWatch:
        return StreamWatch(lambda: shared_feed(host.key, lambda: FakeTransport(host)), counted)

    host.note(event(1, "STARTED"), signaled(2), signaled(3))
    async with watch() as one, watch() as two:
        await now(one)
        for _ in range(10):
            assert [batch.sequence for batch in await one.waiting()] == [2, 3]
        assert await two.waiting() == await one.waiting()
        assert len(decoded) == 2
        host.note(signaled(4))
        await now(one)
        assert len(await one.waiting()) == 3
        assert len(decoded) == 3
        host.work()
        await now(one)
        assert await one.waiting() == []


async def test_of_more_batches_than_are_kept_the_decoded_ones_go_with_the_oldest(
    host: FakeHost,
) -> None:
    host.note(event(1, "STARTED"), *(signaled(n) for n in range(KEPT)))
    async with watching(host) as watch:
        await now(watch)
        assert [batch.sequence for batch in await watch.waiting(3)] == [0, 1, 2]
        host.note(signaled(1), signaled(2))
        await now(watch)
        assert [batch.sequence for batch in await watch.waiting(2)] == [2, 3]
        assert watch._feed is not None
        assert len(watch._feed.tally.decoded) == 2


async def test_who_asks_an_ended_watch_again_and_again_can_be_stopped(host: FakeHost) -> None:
    host.close()
    watch = watching(host)
    await rest_of(watch)

    turns = 0

    async def for_ever() -> None:
        nonlocal turns
        while True:
            turns += 1
            async for _ in watch:
                pass

    task = asyncio.create_task(for_ever())
    await happens(lambda: turns > 3)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


@pytest.mark.parametrize("args", [(1,), ({"items": 1},), ({}, {}), (b"\xff",)])
async def test_a_malformed_batch_counts_and_is_not_listed(
    host: FakeHost, args: tuple[object, ...]
) -> None:
    broken = signaled(3)
    payload = broken.workflow_execution_signaled_event_attributes.input.payloads[0]
    payload.metadata["encoding"] = b"unheard/of"
    host.note(signaled(1, *args), signaled(2), broken)
    async with watching(host) as watch:
        await now(watch)
        assert watch.waiting_count == 3
        assert await watch.waiting() == [WaitingBatch("p", 2, ["t"])]


# --- trouble


async def test_an_outage_is_told_and_its_end_too_and_nothing_counts_twice(host: FakeHost) -> None:
    host.note(event(1, "STARTED"), signaled(2))
    async with watching(host) as watch:
        assert (await now(watch)).signals == 1
        blocked = Blocked()
        # After the first one a wait has another one beside it: two at a time.
        host.faults["history"] = [*[unavailable("no server")] * 3, blocked, blocked]
        host.note(signaled(3))
        while (said := await look(watch)).trouble is None:
            pass
        assert said.trouble == watch.trouble == "no server"
        blocked.release()
        while (said := await look(watch)).trouble is not None:
            pass
        assert (said.history_events, said.signals) == (3, 2)


async def test_a_task_that_no_worker_takes_is_told_until_one_does(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlib.client.patience, "PATIENCE", 0.01)
    async with watching(host) as watch:
        await now(watch)
        host.wait_for_a_worker()
        while (said := await look(watch)).trouble is None:
            pass
        assert "no worker" in (said.trouble or "")
        host.wait_for_a_worker()  # another task of the same kind: it is not said anew
        host.note(signaled(1))
        assert (await now(watch)).trouble == said.trouble
        host.append(1)
        assert (await now(watch)).trouble is None


async def test_a_read_that_gets_no_answer_does_not_hold_up_the_watch(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlib.client.feed, "_HOLD", 0.01)
    host.append(0)
    items, watch = subscribe(host), watching(host)
    assert await take(items, 1) == [0]
    waiting = await waits(host, items)
    blocked = Blocked()
    host.faults["read"] = [blocked]
    host.append(1)
    await blocked.reached.wait()
    host.note(signaled(1))
    host.append(2)
    host.note(signaled(2))
    while (await look(watch)).signals < 2:
        pass
    assert not waiting.done()
    blocked.release()
    assert [(await waiting).data, *await take(items, 1)] == [1, 2]
    await items.aclose()
    await watch.aclose()


@pytest.mark.parametrize("error", [not_found(), permission_denied()])
async def test_what_trying_again_does_not_mend_is_raised(host: FakeHost, error: Exception) -> None:
    host.faults["resolve"] = [error]
    with pytest.raises((StreamNotFoundError, RPCError)):
        await look(watching(host))


async def test_a_refusal_while_it_watches_is_raised(host: FakeHost) -> None:
    watch = watching(host)
    await now(watch)
    host.faults["history"] = [permission_denied()]
    host.note(signaled(1))
    with pytest.raises(RPCError):
        await rest_of(watch)


# --- what it costs


async def test_it_reads_nothing(host: FakeHost) -> None:
    host.append(0)
    async with watching(host) as watch:
        await now(watch)
        for n in range(3):
            host.append(n)
            await now(watch)
    assert (host.calls["resolve"], host.calls["read"], host.calls["offset"]) == (1, 0, 0)


async def test_watches_and_subscriptions_share_one_feed(host: FakeHost) -> None:
    host.append(0)
    watches, readers = [watching(host) for _ in range(20)], [subscribe(host) for _ in range(20)]
    assert await asyncio.gather(*(take(reader, 1) for reader in readers)) == [[0]] * 20
    said = await asyncio.gather(*(now(watch) for watch in watches))
    assert {each.run_id for each in said} == {"run-1"}
    assert (host.calls["resolve"], host.watching, feeds_running()) == (1, 1, 1)
    for each in [*watches, *readers]:
        await each.aclose()
    await happens(lambda: feeds_running() == 0)


async def test_reading_stops_with_the_last_reader_and_begins_again_with_the_next(
    host: FakeHost,
) -> None:
    host.append(0)
    items, watch = subscribe(host), watching(host)
    assert await take(items, 1) == [0]
    await now(watch)
    blocked = Blocked()
    host.faults["read"] = [blocked]
    host.append(1)
    await blocked.reached.wait()
    await items.aclose()  # in the middle of a read
    reads = host.calls["read"]
    host.append(2)
    assert (await now(watch)).trouble is None
    assert (host.calls["read"], host.watching) == (reads, 1)
    async with subscribe(host, from_offset=1) as items:
        assert await take(items, 2) == [1, 2]
        host.append(3)
        assert await take(items, 1) == [3]
    await watch.aclose()
    await happens(lambda: feeds_running() == 0)


@pytest.mark.parametrize("started", [False, True])
async def test_a_reader_that_comes_while_the_last_ones_read_ends_gets_its_items(
    host: FakeHost, started: bool
) -> None:
    host.append(0)
    async with watching(host) as watch:
        await now(watch)
        host.faults["read"] = [Blocked()]
        old, new = subscribe(host), subscribe(host)
        reading = asyncio.create_task(take(old, 1))
        await happens(lambda: host.calls["read"])
        await old.aclose()
        if started:
            await new.start()
            await asyncio.wait([reading])
        assert await take(new, 1) == [0]
        with pytest.raises(StopAsyncIteration):
            await reading
        host.append(1)
        assert await take(new, 1) == [1]
        await new.aclose()


@pytest.mark.parametrize("seed", range(15))
async def test_readers_that_come_and_go_beside_a_watch_get_every_item(
    host: FakeHost, seed: int
) -> None:
    """Random appends, roll-overs and faults, while readers come and go; the seed is the id."""
    chance = random.Random(seed)
    host.page_bytes = chance.choice([1, 200, 1_000_000])
    readers: list[tuple[Subscription[Any], int, asyncio.Task[list[int]]]] = []

    async def read(reader: Subscription[Any]) -> list[int]:
        return [item.offset async for item in reader]

    async def happen(number: int) -> None:
        match chance.choice("aaaaoocccrwfs"):
            case "a":
                host.append(number)
            case "o":
                start = chance.choice([0, len(host.log)])
                reader = subscribe(host, from_offset=start)
                readers.append((reader, start, asyncio.create_task(read(reader))))
            case "c" if readers:
                await chance.choice(readers)[0].aclose()
            case "r":
                host.roll_over()
            case "w":
                await quiet()
            case "f":
                fault = chance.choice([unavailable, busy, LostReply])()
                host.faults[chance.choice(["read", "read", "history"])].append(fault)
            case _:
                await asyncio.sleep(chance.choice([0, 0.001, 0.02]))

    async with watching(host) as watch:
        await look(watch)
        for number in range(80):
            await happen(number)
        host.faults.clear()
        host.close()
        await rest_of(watch)
    for reader, start, reading in readers:
        offsets = await asyncio.wait_for(reading, 5)
        assert offsets == list(range(start, start + len(offsets)))
        assert reader.closed or start + len(offsets) == len(host.log)
    await happens(lambda: feeds_running() == 0)


async def test_a_dropped_watch_leaves_also_in_the_middle_of_a_wait(host: FakeHost) -> None:
    watch = watching(host)
    await now(watch)
    waiting = asyncio.create_task(anext(watch))
    await quiet()
    waiting.cancel()
    await asyncio.wait([waiting])
    del watch, waiting
    gc.collect()
    await happens(lambda: feeds_running() == 0)


async def test_a_reader_goes_on_when_a_watch_leaves(host: FakeHost) -> None:
    host.append(0)
    items, watch = subscribe(host), watching(host)
    assert await take(items, 1) == [0]
    await now(watch)
    await watch.aclose()
    host.append(1)
    assert await take(items, 1) == [1]
    await items.aclose()


# --- its life


async def test_closing_ends_the_iteration_also_for_a_task_that_waits(host: FakeHost) -> None:
    one, two = watching(host), watching(host)
    await now(one)
    await now(two)
    waiting = asyncio.create_task(anext(one))
    await quiet()
    await one.aclose()
    await one.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    with pytest.raises(StopAsyncIteration):
        await look(one)
    assert one.status is None
    host.append(0)
    assert (await look(two)).progress == 1
    await two.aclose()


async def test_a_watch_that_was_never_started_can_be_closed(host: FakeHost) -> None:
    watch = watching(host)
    await watch.aclose()
    assert await watch.start() is watch
    assert await rest_of(watch) == []
    assert feeds_running() == 0


async def test_a_cancelled_wait_loses_nothing(host: FakeHost) -> None:
    async with watching(host) as watch:
        await now(watch)
        waiting = asyncio.create_task(anext(watch))
        await quiet()
        waiting.cancel()
        await asyncio.wait([waiting])
        host.note(signaled(1))
        assert (await look(watch)).signals == 1


async def test_two_tasks_on_one_watch_raise(host: FakeHost) -> None:
    async with watching(host) as watch:
        await now(watch)
        waiting = asyncio.create_task(anext(watch))
        await quiet()
        with pytest.raises(RuntimeError, match="another task"):
            await anext(watch)
        waiting.cancel()
        await asyncio.wait([waiting])

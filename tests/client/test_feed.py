"""The feed: one waiter and one read for all, gone with its last reader, and never a lost item."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

import streamlib.client.feed
from streamlib import StreamChangedError, Subscription, WorkflowStreamItem
from streamlib.client.registry import running_feeds
from tests.client.test_subscriber import feeds_running, rest, subscribe, take, waits
from tests.fakes import (
    Blocked,
    BlockedReply,
    FakeHost,
    LostReply,
    busy,
    happens,
    quiet,
    unavailable,
)
from tests.world.clock import simulated


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


async def test_many_subscriptions_share_one_waiter_and_one_read(host: FakeHost) -> None:
    host.append(0)
    readers = [subscribe(host) for _ in range(50)]
    assert await asyncio.gather(*(take(r, 1) for r in readers)) == [[0]] * 50
    assert (host.calls["resolve"], host.calls["read"], host.watching) == (1, 1, 1)
    waiting = [await waits(host, reader) for reader in readers]
    reads = host.calls["read"]
    host.append(1)
    assert {item.data for item in await asyncio.gather(*waiting)} == {1}
    assert host.calls["read"] - reads <= 2  # one for this item, one for having caught up
    await happens(lambda: host.watching == 1)
    for reader in readers:
        await reader.aclose()
    await happens(lambda: feeds_running() == 0)


async def test_of_many_readers_one_reads_what_came_while_the_window_opened(host: FakeHost) -> None:
    host.append(0)
    late = BlockedReply()
    host.faults["read"] = [late]
    readers = [subscribe(host) for _ in range(50)]
    reading = [asyncio.create_task(take(reader, 2)) for reader in readers]
    await late.reached.wait()
    await quiet()
    host.append(1)
    await quiet()
    late.release()
    assert await asyncio.gather(*reading) == [[0, 1]] * 50
    assert host.calls["read"] <= 3
    for reader in readers:
        await reader.aclose()


async def test_readers_behind_the_window_that_ask_the_same_share_the_answer(
    host: FakeHost,
) -> None:
    host.append(*range(4))
    blocked = Blocked()
    host.faults["read"] = [blocked]
    readers = [subscribe(host, ["t"], 1) for _ in range(5)] + [subscribe(host, ["t"], 2)]
    reading = [asyncio.create_task(take(reader, 1)) for reader in readers]
    await blocked.reached.wait()
    blocked.release()
    assert await asyncio.gather(*reading) == [[1]] * 5 + [[2]]
    assert host.calls["read"] == 2
    for reader in readers:
        await reader.aclose()


async def test_it_goes_on_until_the_last_reader_leaves(host: FakeHost) -> None:
    host.append(0)
    one, two = subscribe(host), subscribe(host)
    assert await take(one, 1) == await take(two, 1) == [0]
    await one.aclose()
    host.append(1)
    assert await take(two, 1) == [1]
    await two.aclose()
    await happens(lambda: feeds_running() == 0)
    await happens(lambda: host.watching == 0)  # when a generator is closed depends on the Python


async def test_a_reader_that_comes_right_after_the_last_one_left_gets_a_live_feed(
    host: FakeHost,
) -> None:
    host.append(0)
    old = subscribe(host)
    assert await take(old, 1) == [0]
    await old.aclose()
    new = subscribe(host)  # the old feed's task has not ended yet
    assert await take(new, 1) == [0]
    host.append(1)
    assert await take(new, 1) == [1]
    await new.aclose()


async def test_a_dropped_reader_leaves_too_also_in_the_middle_of_a_wait(host: FakeHost) -> None:
    items = subscribe(host)
    waiting = await waits(host, items)
    waiting.cancel()
    await asyncio.wait([waiting])
    del items, waiting
    gc.collect()
    await happens(lambda: feeds_running() == 0)


async def test_a_dropped_reader_does_not_stop_the_others(host: FakeHost) -> None:
    kept, dropped = subscribe(host), subscribe(host)
    waiting = await waits(host, kept)
    host.append(0)
    assert await take(dropped, 1) == [0]
    del dropped
    gc.collect()
    await quiet()
    host.append(1)
    assert [(await waiting).data, *await take(kept, 1)] == [0, 1]
    await kept.aclose()


def test_each_event_loop_has_a_feed_of_its_own(host: FakeHost) -> None:
    async def read_two() -> list[object]:
        async with subscribe(host) as items:
            return await take(items, 2)

    host.append(0, 1)
    assert asyncio.run(read_two()) == asyncio.run(read_two()) == [0, 1]
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(asyncio.run, read_two()) for _ in range(2)]
        assert [run.result(5) for run in runs] == [[0, 1], [0, 1]]


# What asyncio has to say of tasks that a closed loop left behind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_feed_whose_loop_was_closed_over_it_goes_when_the_next_one_comes() -> None:
    async def leave_open() -> None:
        host = FakeHost()
        host.append(0)
        items = subscribe(host)
        await take(items, 1)
        left.append(weakref.ref(running_feeds()[0]))
        waiting.append(asyncio.ensure_future(anext(items)))
        await asyncio.sleep(0.01)

    async def come() -> None:
        host = FakeHost()
        host.append(0)
        async with subscribe(host) as items:
            assert await take(items, 1) == [0]

    left, waiting = list[weakref.ref[Any]](), list[Any]()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave_open())
        loop.close()
        waiting.clear()
    del loop
    gc.collect()
    asyncio.run(come())
    gc.collect()
    assert [reference() for reference in left] == [None] * 3


async def test_the_watch_starts_again_where_the_run_is_when_it_was_interrupted(
    host: FakeHost,
) -> None:
    async with subscribe(host) as items:
        for n in range(3):
            host.faults["history"] = [unavailable()]
            host.append(n)
            assert await take(items, 1) == [n]


async def test_the_window_is_bounded_and_who_falls_out_of_it_reads_for_itself(
    host: FakeHost,
) -> None:
    host.append("first")
    slow, quick = subscribe(host), subscribe(host)
    assert await take(slow, 1) == await take(quick, 1) == ["first"]
    for n in range(12):
        host.append(str(n) * 600_000)
        await take(quick, 1)
    assert [value[0] for value in await take(slow, 12)] == list("012345678911")
    assert slow.missed == 0
    await slow.aclose()
    await quick.aclose()


# --- what it asks for


def asked_topics(host: FakeHost) -> list[frozenset[str]]:
    return [topics for _, topics, _ in host.asked]


async def test_it_asks_for_the_union_of_its_readers_topics_and_for_nothing_else(
    host: FakeHost,
) -> None:
    a, b = subscribe(host, ["a"]), subscribe(host, ["b", "c"])
    waiting = [await waits(host, each) for each in (a, b)]
    host.append("x" * 1000, topic="loud")
    host.append(1, topic="a")
    assert (await waiting[0]).data == 1
    await happens(lambda: b.position == 2)
    assert set(asked_topics(host)) <= {frozenset("a"), frozenset("bc"), frozenset("abc")}
    await a.aclose()
    host.append(2, topic="c")
    assert (await waiting[1]).data == 2
    assert asked_topics(host)[-1] == frozenset("bc")
    await b.aclose()


async def test_a_reader_of_a_new_topic_skips_nothing_that_came_while_the_union_grew(
    host: FakeHost,
) -> None:
    a = subscribe(host, ["a"])
    waiting = await waits(host, a)
    held = BlockedReply()
    host.append(0, topic="a")
    host.faults["read"] = [held]
    await held.reached.wait()  # the union's question is answered, and not here yet
    b, everything = subscribe(host, ["b"]), subscribe(host)
    host.append(1, topic="b")
    others = [asyncio.create_task(take(each, n)) for each, n in ((b, 1), (everything, 2))]
    await quiet()
    held.release()
    assert (await waiting).data == 0
    assert await asyncio.gather(*others) == [[1], [0, 1]]
    for n in range(2, 5):
        host.append(n, topic="b")
        assert await take(b, 1) == await take(everything, 1) == [n]
    assert (b.missed, everything.missed) == (0, 0)
    for each in (a, b, everything):
        await each.aclose()


# --- history is read once


async def test_who_comes_again_does_not_page_the_whole_history_again(host: FakeHost) -> None:
    host.history_page = 10
    for n in range(100):
        host.append(n)
    async with subscribe(host, from_offset=100) as items:
        await waits(host, items)
        await happens(lambda: host.watching)
    await happens(lambda: feeds_running() == 0)
    first = host.events_sent
    assert first == 100
    host.append(100)
    async with subscribe(host, from_offset=100) as items:
        assert await take(items, 1) == [100]
        host.append(101)
        assert await take(items, 1) == [101]
        await happens(lambda: host.watching)
    assert host.events_sent - first == 2


@pytest.mark.parametrize("ends", [False, True])
async def test_what_comes_while_the_window_is_read_is_read_after_it(
    host: FakeHost, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlib.client.feed, "_HOLD", 0.01)
    items = subscribe(host)
    reading = asyncio.create_task(take(items, 2))
    await quiet()
    early = BlockedReply()  # it has found the first, and not the second
    host.faults["read"] = [early]
    host.append(0)
    await asyncio.wait_for(early.reached.wait(), 5)
    host.append(1)
    if ends:
        host.close()
    [feed] = running_feeds()
    heard = feed.source.progress
    await happens(lambda: feed.source.progress > heard)
    await quiet()
    early.release()
    assert await asyncio.wait_for(reading, 5) == [0, 1]
    await items.aclose()


async def test_after_a_lost_connection_history_goes_on_where_it_was(host: FakeHost) -> None:
    for n in range(100):
        host.append(n)
    async with subscribe(host, from_offset=100) as items:
        await waits(host, items)
        for n in range(100, 103):
            host.faults["history"] = [unavailable(), unavailable()]
            host.append(n)
            await happens(lambda: not host.faults["history"])
    assert host.events_sent <= 103


async def test_a_token_that_the_server_refuses_is_given_up_and_nothing_counts_twice(
    host: FakeHost,
) -> None:
    for n in range(10):
        host.append(n)
    async with subscribe(host, from_offset=10) as items:
        waiting = await waits(host, items)
        host.tokens = set()
        host.append(10)
        assert (await waiting).data == 10
        host.tokens = None
        host.append(11)
        assert await take(items, 1) == [11]
        assert items._feed is not None
        await happens(lambda: items._feed.tally.history_events == 12)  # type: ignore[union-attr]


async def test_a_run_that_has_closed_is_not_followed_again(host: FakeHost) -> None:
    host.append(0)
    host.close()
    for _ in range(3):
        items = subscribe(host)
        assert (await rest(items), items.status) == ([0], WorkflowExecutionStatus.COMPLETED)
    assert host.events_sent == 2


# --- calls that hang


def hanging(host: FakeHost, call: str, count: int) -> None:
    host.faults[call] = [Blocked() for _ in range(count)]


@pytest.mark.parametrize("calls", [["read"], ["history"], ["read", "history"]])
async def test_within_three_seconds_of_the_servers_return_all_is_read_whatever_hangs(
    host: FakeHost, calls: list[str]
) -> None:
    """Calls hang for a while, and those that hung then never come back; others answer again."""
    loop = asyncio.get_running_loop()
    host.append(0)
    async with subscribe(host) as items:
        assert await take(items, 1) == [0]
        waiting = await waits(host, items)
        for call in calls:
            hanging(host, call, 1_000)
        host.faults["read"] = host.faults["read"] or [unavailable()]
        host.append(1)
        await asyncio.sleep(4)
        host.append(2)
        assert not waiting.done() or "read" not in calls
        for call in calls:
            host.faults[call].clear()
        back = loop.time()
        got = [(await asyncio.wait_for(waiting, 5)).data]
        while got[-1] != 2:
            got += await take(items, 1)
        assert got == [1, 2]
        assert loop.time() - back < 3


async def test_that_it_hangs_which_run_was_before_one_that_never_began_is_found_out(
    host: FakeHost,
) -> None:
    host.append(0)
    host.roll_over()
    host.run.began = False
    host.close(WorkflowExecutionStatus.TERMINATED)
    host.faults["run_before"] = [Blocked()]
    assert await asyncio.wait_for(rest(subscribe(host)), 5) == [0]


async def test_while_nothing_is_wrong_one_wait_lasts_and_an_item_costs_one_read(
    host: FakeHost,
) -> None:
    async with subscribe(host) as items:
        host.append(0)
        assert await take(items, 1) == [0]
        host.append(1)
        assert await take(items, 1) == [1]
        await happens(lambda: host.watching)
        reads, waited = host.calls["read"], host.calls["history"]
        for n in range(2, 12):
            host.append(n)
            assert await take(items, 1) == [n]
            await happens(lambda: host.watching)
        assert host.calls["history"] - waited == 10
        assert host.calls["read"] - reads <= 10
        assert {wait.total_seconds() for wait in host.waits} == {25}


# --- the races at the end


EVENTS = ["append", "roll over", "append", "close"]


@pytest.mark.parametrize("fault", [Blocked, BlockedReply])
@pytest.mark.parametrize("released_after", range(len(EVENTS) + 1))
@pytest.mark.parametrize("pauses", list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("at_the_end", [False, True], ids=["behind", "at the end"])
async def test_no_item_is_lost_between_a_readers_own_read_and_the_close(
    host: FakeHost,
    fault: type[Blocked],
    released_after: int,
    pauses: tuple[bool, bool],
    at_the_end: bool,
) -> None:
    """One read is held up, before or after it looked, while the run goes on and closes."""
    host.append(0)
    items = subscribe(host)
    if at_the_end:
        assert await take(items, 1) == [0]
    blocked = fault()
    host.faults["read"] = [blocked]
    reading = asyncio.create_task(rest(items))
    await quiet()
    for number, event in enumerate([*EVENTS, "end"]):
        if number == released_after:
            blocked.release()
        match event:
            case "append":
                host.append(len(host.log))
            case "roll over":
                host.roll_over()
            case "close":
                host.close()
        if pauses[number % 2]:
            await quiet()
    assert await asyncio.wait_for(reading, 5) == [0, 1, 2][at_the_end:]
    assert items.status is WorkflowExecutionStatus.COMPLETED


async def collect(
    reader: Subscription[Any], chance: random.Random
) -> list[WorkflowStreamItem[Any]]:
    """Read to the end, now and then slowly."""
    items = []
    async for item in reader:
        items.append(item)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
    return items


@pytest.mark.parametrize("seed", range(25))
async def test_any_interleaving_delivers_every_item_once_or_counts_it_as_missed(
    host: FakeHost, seed: int
) -> None:
    """Random appends, truncations, roll-overs and faults under four readers; the seed is the id."""
    chance = random.Random(seed)
    host.page_bytes = chance.choice([1, 200, 1_000_000])
    starts = [(topics, chance.choice([0, 0, 3])) for topics in ([], [], ["a"], ["a", "b"])]
    readers = [subscribe(host, topics, start) for topics, start in starts]
    seen = [asyncio.create_task(collect(reader, chance)) for reader in readers]
    for number in range(60):
        match chance.choice("aaaabbbctrwfffs"):
            case "a" | "b" | "c" as topic:
                host.append(number, topic=topic)
            case "t":
                base, end = host.log.base_offset, host.log.end_offset
                host.truncate(chance.randint(base, end))
            case "r":
                host.roll_over()
            case "w":
                await quiet()
            case "f":
                fault = chance.choice([unavailable, busy, LostReply])()
                host.faults[chance.choice(["read", "read", "history"])].append(fault)
            case "s":
                await asyncio.sleep(chance.choice([0, 0.001, 0.02]))
    host.faults.clear()
    host.close()
    results = await asyncio.wait_for(asyncio.gather(*seen), 10)
    for (topics, start), reader, items in zip(starts, readers, results, strict=True):
        offsets = [item.offset for item in items]
        assert offsets == sorted(set(offsets))
        assert sum(item.missed for item in items) <= reader.missed
        wanted = {
            offset
            for offset, (topic, _) in enumerate(host.everything)
            if offset >= start and (not topics or topic in topics)
        }
        assert set(offsets) <= wanted
        assert all(host.everything[item.offset] == (item.topic, item.data) for item in items)
        if host.page_bytes > 1:  # what was seen to be others' is not counted
            assert reader.missed <= host.log.base_offset
        lost = wanted - set(offsets)
        assert len(lost) <= reader.missed
        assert not lost or max(lost) < host.log.base_offset
        if not topics:
            assert len(offsets) + reader.missed == max(0, host.log.end_offset - start)
        assert reader.status is WorkflowExecutionStatus.COMPLETED


async def test_a_reader_that_wants_few_pages_does_not_slow_the_others_down(host: FakeHost) -> None:
    slow = subscribe(host, poll_cooldown=timedelta(seconds=60))
    quick = subscribe(host)
    host.append(0)
    assert await take(slow, 1) == await take(quick, 1) == [0]
    for n in range(1, 4):
        host.append(n)
        assert await take(quick, 1) == [n]
    for reader in (slow, quick):
        await reader.aclose()


@pytest.mark.parametrize("goes", [False, True])
@simulated
async def test_one_that_comes_while_a_slow_one_has_the_read_asleep_waits_for_no_cooldown_of_its(
    goes: bool,
) -> None:
    host, now = FakeHost(), asyncio.get_running_loop().time
    await asyncio.sleep(100)  # a clock that begins at 0 has a cooldown at the beginning
    host.append(0)
    slow = subscribe(host, poll_cooldown=timedelta(seconds=60))
    reading = asyncio.create_task(all_of(slow))
    for n in (1, 2):  # the second read waits out the cooldown
        await asyncio.sleep(1)
        host.append(n)
    await asyncio.sleep(3)
    asked = host.calls["read"]
    quick = subscribe(host, from_offset="latest")
    waiting = asyncio.create_task(take(quick, 1))
    await asyncio.sleep(1)
    if goes:
        await slow.aclose()
    for n in (3, 4):
        began = now()
        host.append(n)
        assert await waiting == [n]
        assert now() - began < 0.05
        waiting = asyncio.create_task(take(quick, 1))
        await asyncio.sleep(3)
    assert host.calls["read"] - asked <= 7, "the slow one does not make anybody read for nothing"
    began = now()
    host.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert now() - began < 0.1
    await quick.aclose()
    assert await reading == ([0] if goes else [0, 1, 2, 3, 4])


@simulated
async def test_alone_a_slow_one_keeps_its_cooldown_also_after_a_quick_one_has_left() -> None:
    host = FakeHost()
    await asyncio.sleep(100)
    host.append(0)
    slow = subscribe(host, poll_cooldown=timedelta(seconds=60))
    reading = asyncio.create_task(all_of(slow))
    await asyncio.sleep(1)
    async with subscribe(host) as quick:
        await take(quick, 1)
    asked = host.calls["read"]
    for n in range(1, 10):
        host.append(n)
        await asyncio.sleep(5)
    assert host.calls["read"] - asked <= 1
    await asyncio.sleep(120)
    host.close()
    assert await reading == [*range(10)]


@pytest.mark.parametrize("end", [FakeHost.close, FakeHost.fail_and_retry])
async def test_what_was_read_for_a_window_that_has_gone_does_not_count_for_the_next(
    host: FakeHost, end: Callable[[FakeHost], None]
) -> None:
    of_x, of_all = subscribe(host, ["x"]), subscribe(host)
    await waits(host, of_x)
    own, for_the_window = BlockedReply(), BlockedReply()  # both have found an empty log
    host.faults["read"] = [own]
    reading = asyncio.create_task(all_of(of_all))
    await asyncio.wait_for(own.reached.wait(), 5)
    host.faults["read"] = [for_the_window]
    host.work()
    await asyncio.wait_for(for_the_window.reached.wait(), 5)
    await of_x.aclose()  # and the window goes
    host.append(0, 1, 2)
    end(host)
    await happens(lambda: feeds_running() == 0)
    own.release()  # a window is opened for the other one
    await quiet()
    for_the_window.release()
    assert await asyncio.wait_for(reading, 5) == [0, 1, 2]


async def all_of(items: Subscription[Any]) -> list[Any]:
    """What it delivers before it ends, or is told that the log was replaced."""
    got = []
    with contextlib.suppress(StreamChangedError):
        async for item in items:
            got.append(item.data)
    return got

"""A subscription on a stream with scripted faults: every item once, in order, no gap unnamed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError

from streamlib.client.registry import running_feeds, shared_feed
from streamlib.client.source import BEYOND
from streamlib.client.subscriber import ReadCounts, Subscription, open_subscriptions
from streamlib.client.transport import PollQueryMissingError
from streamlib.errors import (
    InvalidOffsetError,
    ItemDecodeError,
    OffsetTruncatedError,
    StreamChangedError,
    StreamNotFoundError,
    UnreadItemsError,
)
from tests.fakes import (
    WORKFLOW_ID,
    Blocked,
    BlockedReply,
    FakeHost,
    FakeTransport,
    Fault,
    busy,
    happens,
    not_found,
    permission_denied,
    quiet,
    unavailable,
)

COMPLETED = WorkflowExecutionStatus.COMPLETED
FAILED = WorkflowExecutionStatus.FAILED


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


def subscribe(
    host: FakeHost,
    topics: list[str] | None = None,
    from_offset: int | Literal["latest"] = 0,
    *,
    result_type: Any = None,
    poll_cooldown: timedelta | None = None,
    on_truncated: Literal["skip", "raise"] = "skip",
    stream_id: str | None = None,
    counts: ReadCounts | None = None,
) -> Subscription[Any]:
    return Subscription(
        lambda: shared_feed(host.key, lambda: FakeTransport(host)),
        PayloadConverter.default,
        topics or [],
        from_offset,
        workflow_id=WORKFLOW_ID,
        result_type=result_type,
        poll_cooldown=poll_cooldown,
        on_truncated=on_truncated,
        stream_id=stream_id,
        counts=counts,
    )


async def take(items: Subscription[Any], count: int) -> list[Any]:
    """The next `count` values."""
    return [(await asyncio.wait_for(anext(items), 5)).data for _ in range(count)]


async def rest(items: Subscription[Any]) -> list[Any]:
    """All values up to the end."""

    async def read() -> list[Any]:
        return [item.data async for item in items]

    return await asyncio.wait_for(read(), 5)


async def waits(host: FakeHost, items: Subscription[Any]) -> asyncio.Task[Any]:
    """A task that waits for the next item: there is none yet."""
    task = asyncio.create_task(items.__anext__())
    await quiet()
    assert not task.done()
    return task


def feeds_running() -> int:
    return len(running_feeds())


# --- what it delivers


async def test_it_delivers_what_is_there_and_then_what_comes(host: FakeHost) -> None:
    host.append("a", "b")
    async with subscribe(host) as items:
        assert await take(items, 2) == ["a", "b"]
        host.append("c")
        assert await take(items, 1) == ["c"]


async def test_an_item_says_its_topic_and_offset(host: FakeHost) -> None:
    host.append("a")
    host.append("b", topic="u")
    async with subscribe(host, from_offset=1) as items:
        item = await anext(items)
    assert (item.topic, item.data, item.offset, item.missed) == ("u", "b", 1, 0)


async def test_the_first_page_does_not_wait_for_the_watch(host: FakeHost) -> None:
    host.faults["history"] = [Blocked()]
    host.append("a")
    async with subscribe(host) as items:
        assert await take(items, 1) == ["a"]


async def test_pages_are_followed_to_the_end(host: FakeHost) -> None:
    host.page_bytes = 1
    host.append(*range(20))
    host.close()
    assert await rest(subscribe(host)) == list(range(20))


@pytest.mark.parametrize("topics", [None, [], ["t", "u"]])
async def test_without_a_filter_or_with_all_topics_it_delivers_all(
    host: FakeHost, topics: list[str] | None
) -> None:
    host.append(1)
    host.append(2, topic="u")
    host.close()
    assert await rest(subscribe(host, topics)) == [1, 2]


async def test_a_filter_holds_in_the_first_page_and_in_the_window(host: FakeHost) -> None:
    host.append(1, 2, topic="other")
    host.append(3)
    async with subscribe(host, ["t"]) as items:
        assert await take(items, 1) == [3]
        host.append(4, topic="other")
        host.append(5)
        assert await take(items, 1) == [5]


async def test_beyond_the_end_it_waits_and_does_not_disturb_the_others(host: FakeHost) -> None:
    host.append(0, 1)
    async with subscribe(host, from_offset=4) as ahead, subscribe(host, from_offset=2) as behind:
        first = await waits(host, ahead)
        second = await waits(host, behind)
        reads = host.calls["read"]
        await quiet()
        assert host.calls["read"] - reads <= 1, "a reader at the end does not query in a loop"
        host.append(2, 3, 4)
        assert ((await first).offset, (await second).offset) == (4, 2)


async def test_at_the_last_offset_of_all_it_waits(host: FakeHost) -> None:
    host.append(0)
    async with subscribe(host, from_offset=2**63 - 1) as items:
        waiting = await waits(host, items)
        host.append(1)
        await quiet()
        assert not waiting.done()


@pytest.mark.parametrize("offset", [-1, 1.5, True, 2**63, 10**100])
def test_what_is_no_offset_raises_at_once(host: FakeHost, offset: Any) -> None:
    with pytest.raises(InvalidOffsetError):
        subscribe(host, from_offset=offset)


# --- what views are told


async def test_a_subscription_names_its_workflow_and_topics(host: FakeHost) -> None:
    items = subscribe(host, ["b", "a"])
    assert (items.workflow_id, items.topics, items.closed) == (WORKFLOW_ID, ["b", "a"], False)
    assert subscribe(host).topics == []


async def test_open_subscriptions_are_listed_in_the_order_of_opening(host: FakeHost) -> None:
    before = open_subscriptions(WORKFLOW_ID)
    host.append(0)
    opened = [subscribe(host) for _ in range(4)]

    def listed() -> list[int]:
        return [opened.index(s) for s in open_subscriptions(WORKFLOW_ID) if s not in before]

    assert listed() == [0, 1, 2, 3]
    assert open_subscriptions("another") == []
    await take(opened[2], 1)
    await opened[1].aclose()
    assert opened[1].closed
    assert listed() == [0, 2, 3]
    host.close()
    assert await rest(opened[0]) == [0]
    assert (opened[0].status, opened[0].closed) == (COMPLETED, False)
    assert listed() == [0, 2, 3], "one that has come to the end stays"
    opened[3] = opened[2]
    gc.collect()
    assert len(listed()) == 2, "one that nobody refers to any more is gone"


# --- decoding


@dataclass
class Event:
    name: str


async def test_items_are_decoded_as_the_result_type(host: FakeHost) -> None:
    host.append(Event("a"))
    async with subscribe(host, result_type=Event) as items:
        assert await take(items, 1) == [Event("a")]


async def test_raw_values_are_not_decoded(host: FakeHost) -> None:
    host.append("a")
    async with subscribe(host, result_type=RawValue) as items:
        (raw,) = await take(items, 1)
    assert raw.payload.data == b'"a"'


async def test_an_item_that_cannot_be_decoded_raises_with_its_offset_and_reading_goes_on(
    host: FakeHost,
) -> None:
    host.append(Event("a"), 5)
    host.append_undecodable()
    host.append(Event("b"))
    async with subscribe(host, result_type=Event) as items:
        assert await take(items, 1) == [Event("a")]
        for offset in (1, 2):
            with pytest.raises(ItemDecodeError) as raised:
                await anext(items)
            assert (raised.value.offset, items.position) == (offset, offset + 1)
        assert await take(items, 1) == [Event("b")]


async def test_a_gap_before_an_item_that_cannot_be_decoded_is_told_by_the_next(
    host: FakeHost,
) -> None:
    host.append(0, 1)
    host.append_undecodable()
    host.append(3)
    host.truncate(2)
    async with subscribe(host) as items:
        with pytest.raises(ItemDecodeError):
            await anext(items)
        assert ((await anext(items)).missed, items.missed) == (2, 2)


# --- gaps


async def test_what_was_truncated_before_is_missed_by_the_first_item(host: FakeHost) -> None:
    host.append(*range(5))
    host.truncate(3)
    async with subscribe(host, from_offset=1) as items:
        item = await anext(items)
        assert (item.data, item.missed, items.missed) == (3, 2, 2)
        assert (await anext(items)).missed == 0


async def test_a_slow_reader_reads_for_itself_and_sees_the_gap_that_opened(host: FakeHost) -> None:
    host.page_bytes = 1
    host.append(*range(3))
    async with subscribe(host) as slow, subscribe(host, from_offset=3) as quick:
        assert await take(slow, 1) == [0]
        waiting = await waits(host, quick)
        host.append(*range(3, 10))
        assert [(await waiting).data, *await take(quick, 6)] == list(range(3, 10))
        host.truncate(8)
        item = await anext(slow)
        assert (item.offset, item.missed, slow.missed, quick.missed) == (8, 7, 7, 0)


async def test_a_filtered_reader_counts_every_offset_that_was_truncated(host: FakeHost) -> None:
    host.append(0, 1, topic="other")
    host.append(2)
    host.append(3)
    host.truncate(3)
    async with subscribe(host, ["t"]) as items:
        assert ((await anext(items)).missed, items.missed) == (3, 3)


async def test_all_truncated_while_it_waits_is_missed_by_the_next_item(host: FakeHost) -> None:
    host.append(0)
    async with subscribe(host, from_offset=1) as items:
        waiting = await waits(host, items)
        host.append(1, 2, 3)
        host.truncate(4)
        host.append(4)
        seen = [(await waiting)]
        while seen[-1].offset < 4:
            seen.append(await anext(items))
        assert sum(item.missed for item in seen) + len(seen) == 4


async def test_a_host_that_does_not_tell_its_base_shows_a_gap_to_an_open_filter(
    host: FakeHost,
) -> None:
    host.tells_bounds = False
    host.append(*range(4))
    host.truncate(3)
    async with subscribe(host, from_offset=1) as items:
        assert (await anext(items)).missed == 2
        host.append(4)
        host.append(5)
        assert await take(items, 2) == [4, 5]


# --- where it stands


async def test_position_and_lag_move_item_by_item(host: FakeHost) -> None:
    host.append(*range(3))
    async with subscribe(host) as items:
        assert (items.position, items.lag, items.trouble) == (0, 0, None)
        await take(items, 1)
        assert (items.position, items.lag) == (1, 2)
        await take(items, 2)
        assert (items.position, items.lag) == (3, 0)


async def test_position_passes_what_the_filter_left_out(host: FakeHost) -> None:
    host.append(0)
    async with subscribe(host, ["t"]) as items:
        await take(items, 1)
        waiting = await waits(host, items)
        host.append(1, 2, topic="other")
        await happens(lambda: items.position == 3)
        assert items.lag == 0
        host.append(3)
        assert (await waiting).offset == 3


async def test_a_subscription_resumes_from_a_saved_position(host: FakeHost) -> None:
    host.append(*range(4))
    async with subscribe(host) as items:
        await take(items, 2)
        saved = items.position
    async with subscribe(host, from_offset=saved) as items:
        assert await take(items, 2) == [2, 3]


# --- how it ends


@pytest.mark.parametrize("status", [COMPLETED, FAILED])
async def test_it_ends_with_the_runs_status_after_everything_was_delivered(
    host: FakeHost, status: WorkflowExecutionStatus
) -> None:
    host.append(0, 1)
    items = subscribe(host)
    assert await take(items, 1) == [0]
    host.append(2)
    host.close(status)
    assert items.status is None
    assert await rest(items) == [1, 2]
    assert items.status is status
    assert await rest(items) == []


async def test_a_run_that_was_closed_before_is_read_to_its_end(host: FakeHost) -> None:
    host.append(0)
    host.close()
    items = subscribe(host)
    assert (await rest(items), items.status) == ([0], COMPLETED)


async def test_an_empty_stream_that_closes_ends_a_waiting_reader(host: FakeHost) -> None:
    items = subscribe(host)
    waiting = await waits(host, items)
    host.close()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert items.status is COMPLETED


async def test_a_roll_over_is_followed(host: FakeHost) -> None:
    host.append(0)
    items = subscribe(host)
    assert await take(items, 1) == [0]
    for n in range(1, 4):
        host.roll_over()
        host.append(n)
        assert await take(items, 1) == [n]
    host.roll_over()
    host.close()
    assert (await rest(items), items.status) == ([], COMPLETED)


# --- what may go wrong


@pytest.mark.parametrize("call", ["resolve", "read", "history"])
@pytest.mark.parametrize("faults", [[unavailable()], [busy(), busy()], [unavailable(), busy()]])
async def test_transient_errors_are_ridden_out(
    host: FakeHost, call: str, faults: list[Fault]
) -> None:
    host.faults[call] = list(faults)
    host.append(0)
    items = subscribe(host)
    assert await take(items, 1) == [0]
    host.append(1)
    host.close()
    assert await rest(items) == [1]
    assert not host.faults[call]


async def test_trouble_says_why_nothing_comes_and_goes_when_it_does(host: FakeHost) -> None:
    blocked = Blocked()
    host.faults["resolve"] = [*[unavailable("no worker polls")] * 2, blocked]
    host.append(0)
    items = subscribe(host)
    waiting = asyncio.create_task(items.__anext__())
    await blocked.reached.wait()
    assert items.trouble == "no worker polls"
    blocked.release()
    assert (await waiting).data == 0
    assert items.trouble is None
    await items.aclose()


async def test_a_busy_host_is_no_trouble(host: FakeHost) -> None:
    blocked = Blocked()
    host.faults["read"] = [busy(), blocked]
    host.append(0)
    items = subscribe(host)
    waiting = asyncio.create_task(items.__anext__())
    await blocked.reached.wait()
    assert items.trouble is None
    blocked.release()
    assert (await waiting).data == 0
    await items.aclose()


@pytest.mark.parametrize("call", ["resolve", "read"])
@pytest.mark.parametrize(
    ("fault", "error"), [(not_found, StreamNotFoundError), (permission_denied, RPCError)]
)
async def test_what_trying_again_does_not_mend_raises(
    host: FakeHost, call: str, fault: Callable[[], Exception], error: type[Exception]
) -> None:
    host.faults[call] = [fault()]
    with pytest.raises(error):
        async with subscribe(host) as items:
            await anext(items)


async def test_a_watch_that_is_refused_raises_after_what_is_there_was_delivered(
    host: FakeHost,
) -> None:
    host.faults["history"] = [permission_denied()]
    host.append(0)
    items = subscribe(host)
    with pytest.raises(RPCError):
        assert await take(items, 2) == [0]


# --- waiting, cancelling, leaving


async def test_a_wait_that_times_out_loses_nothing(host: FakeHost) -> None:
    async with subscribe(host) as items:
        for n in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(items), 0.001)
            host.append(n)
            assert await take(items, 1) == [n]


async def test_a_read_that_is_cancelled_loses_nothing(host: FakeHost) -> None:
    host.append(0, 1)
    blocked = Blocked()
    host.faults["read"] = [blocked]
    items = subscribe(host)
    waiting = asyncio.create_task(items.__anext__())
    await blocked.reached.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    blocked.release()
    assert await take(items, 2) == [0, 1]
    await items.aclose()


async def test_two_tasks_on_one_subscription_raise(host: FakeHost) -> None:
    async with subscribe(host) as items:
        waiting = await waits(host, items)
        with pytest.raises(RuntimeError, match="open one for each task"):
            await anext(items)
        host.append(0)
        assert (await waiting).data == 0


async def test_closing_ends_the_iteration_also_for_a_task_that_waits(host: FakeHost) -> None:
    items = subscribe(host)
    waiting = await waits(host, items)
    await items.aclose()
    await items.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    assert (await rest(items), items.status) == ([], None)


@pytest.mark.parametrize("call", ["resolve", "read"])
async def test_closing_ends_a_wait_also_when_nothing_answers(host: FakeHost, call: str) -> None:
    blocked = Blocked()
    host.faults[call] = [blocked]
    items = subscribe(host)
    waiting = asyncio.create_task(items.__anext__())
    await blocked.reached.wait()
    await items.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    await happens(lambda: feeds_running() == 0)


@pytest.mark.parametrize("another", [False, True])
async def test_closing_ends_a_cooldown_at_once_and_nothing_is_read_any_more(
    host: FakeHost, another: bool
) -> None:
    host.append(0)
    items = subscribe(host, poll_cooldown=timedelta(hours=1))
    assert await take(items, 1) == [0]
    waiting = await waits(host, items)
    if another:  # then the feed stays
        await subscribe(host).start()
    reads = host.calls["read"]
    await items.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    await quiet()
    assert host.calls["read"] == reads


@pytest.mark.parametrize("fault", [Blocked(), unavailable()])
async def test_closing_ends_a_read_that_catches_up(host: FakeHost, fault: Fault) -> None:
    items, waiting, late = await about_to_catch_up(host)
    host.faults["read"] = [fault] * 1_000
    late.release()
    assert (await waiting).data == 0
    waiting = await waits(host, items)
    await items.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    reads = host.calls["read"]
    await asyncio.sleep(0.5)
    assert host.calls["read"] == reads


async def about_to_catch_up(
    host: FakeHost,
) -> tuple[Subscription[Any], asyncio.Task[Any], BlockedReply]:
    """A reader, what waits for its first item, and the answer: something comes before that."""
    host.append(0)
    late = BlockedReply()
    host.faults["read"] = [late]
    items = subscribe(host)
    waiting = asyncio.create_task(items.__anext__())
    await late.reached.wait()
    host.append(1)
    await quiet()
    return items, waiting, late


async def test_one_that_is_cancelled_while_it_catches_up_stops_it_for_nobody(
    host: FakeHost,
) -> None:
    items, waiting, late = await about_to_catch_up(host)
    blocked = Blocked()
    host.faults["read"] = [blocked]
    late.release()
    assert (await waiting).data == 0
    waiting = await waits(host, items)
    await blocked.reached.wait()
    reads = host.calls["read"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    waiting = await waits(host, items)
    blocked.release()
    assert (await waiting).data == 1
    assert host.calls["read"] == reads, "it was under way"
    await items.aclose()


async def test_what_catching_up_meets_for_good_is_raised_and_reading_goes_on(
    host: FakeHost,
) -> None:
    items, waiting, late = await about_to_catch_up(host)
    host.faults["read"] = [permission_denied()]
    late.release()
    assert (await waiting).data == 0
    with pytest.raises(RPCError):
        await anext(items)
    assert await take(items, 1) == [1]
    await items.aclose()


@pytest.mark.parametrize("queries", [True, False])
async def test_closing_ends_a_wait_for_an_answer_also_beside_another_reader(
    host: FakeHost, queries: bool
) -> None:
    host.queries = queries
    late = Blocked()
    host.faults["read" if queries else "poll"] = [late]  # an outage; or nothing is there yet
    goes, stays = subscribe(host), subscribe(host)
    waiting, other = [asyncio.create_task(each.__anext__()) for each in (goes, stays)]
    await late.reached.wait()
    await goes.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)
    host.append(0)
    late.release()
    assert (await asyncio.wait_for(other, 5)).data == 0, "the answer that both waited for"
    await stays.aclose()


@pytest.mark.parametrize("options", [{"from_offset": "latest"}, {"stream_id": "run-1"}])
async def test_closing_ends_a_start_also_beside_another_reader(
    host: FakeHost, options: dict[str, Any]
) -> None:
    host.roll_over()  # so the id is not known before somebody answers
    other = await subscribe(host).start()
    host.faults["read"] = [late := Blocked()]
    items = subscribe(host, **options)
    starting = asyncio.create_task(items.start())
    await late.reached.wait()
    await items.aclose()
    assert await asyncio.wait_for(starting, 5) is items
    assert await rest(items) == []
    await other.aclose()


async def test_a_feed_that_was_stopped_reads_no_more(host: FakeHost) -> None:
    items = await subscribe(host).start()
    [feed] = running_feeds()
    await items.aclose()
    answer = await feed.source.read((), 0)
    assert (answer.page.items, host.calls["read"]) == ([], 0)


async def test_a_subscription_that_was_never_read_can_be_closed(host: FakeHost) -> None:
    items = subscribe(host)
    await items.aclose()
    assert [item async for item in items] == []
    assert host.calls["resolve"] == 0


async def test_after_break_and_drop_no_task_is_left(host: FakeHost) -> None:
    host.append(0, 1)
    async for _ in subscribe(host):
        break
    gc.collect()
    await happens(lambda: feeds_running() == 0)
    assert host.watching == 0


@pytest.mark.parametrize("cooldown", [timedelta(microseconds=-1), 0.1, 0, "1s"])
def test_what_is_no_cooldown_raises_where_it_is_given(host: FakeHost, cooldown: Any) -> None:
    with pytest.raises(ValueError, match=r"poll_cooldown is .*must be a timedelta, 0 or more"):
        subscribe(host, poll_cooldown=cooldown)


@pytest.mark.parametrize("way", ["Raise", "", True, None, ["skip"]])
def test_what_is_no_way_to_treat_a_gap_raises_where_it_is_given(host: FakeHost, way: Any) -> None:
    with pytest.raises(ValueError, match=r'on_truncated is .*must be "skip".* or "raise"'):
        subscribe(host, on_truncated=way)


# --- hosts that answer only updates


@pytest.fixture
def old_host(host: FakeHost) -> FakeHost:
    host.queries = False
    return host


async def test_a_host_without_the_query_is_read_by_updates(old_host: FakeHost) -> None:
    old_host.append(0)
    items = subscribe(old_host, poll_cooldown=timedelta(0))
    assert await take(items, 1) == [0]
    waiting = asyncio.create_task(items.__anext__())
    await happens(lambda: old_host.calls["poll"] == 2)
    old_host.append(1)
    assert (await waiting).data == 1
    old_host.roll_over()
    old_host.append(2)
    assert await take(items, 1) == [2]
    old_host.close(FAILED)
    assert (await rest(items), items.status) == ([], FAILED)


async def test_an_update_that_finds_its_offset_truncated_starts_at_the_oldest(
    old_host: FakeHost,
) -> None:
    old_host.append(*range(5))
    old_host.truncate(3)
    async with subscribe(old_host, from_offset=1) as items:
        assert ((await anext(items)).offset, items.missed) == (3, 2)


async def test_a_run_that_was_closed_before_ends_without_an_update(old_host: FakeHost) -> None:
    old_host.close()
    items = subscribe(old_host)
    assert (await rest(items), items.status) == ([], COMPLETED)


async def test_updates_that_were_not_waited_for_do_not_pile_up(old_host: FakeHost) -> None:
    items = subscribe(old_host, ["t"], poll_cooldown=timedelta(0))
    for _ in range(4):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(items), 0.005)
        old_host.truncate(0)  # something happens, but there is no item
    assert old_host.calls["poll"] <= 2
    await items.aclose()
    await happens(lambda: feeds_running() == 0)


async def test_updates_are_paced_and_a_named_cooldown_holds(old_host: FakeHost) -> None:
    now = asyncio.get_running_loop().time
    for cooldown, least in ((None, 0.1), (timedelta(milliseconds=30), 0.03)):
        old_host.append(0)
        async with subscribe(old_host, poll_cooldown=cooldown) as items:
            end = len(old_host.log)
            await take(items, end)
            start = now()
            old_host.append(1)
            await take(items, 1)
            assert now() - start >= least * 0.9


async def test_a_named_cooldown_holds_between_pages_of_the_query_too(host: FakeHost) -> None:
    now = asyncio.get_running_loop().time
    host.append(0)
    async with subscribe(host, poll_cooldown=timedelta(milliseconds=30)) as items:
        start = now()  # before the first page: when that came, only the reader knows
        await take(items, 1)
        host.append(1)
        await take(items, 1)
        assert now() - start >= 0.027


# --- told, not skipped: on_truncated="raise"


async def test_a_gap_raises_once_with_its_bounds_and_reading_goes_on_with_missed(
    host: FakeHost,
) -> None:
    host.append(*range(10))
    host.truncate(6)
    async with subscribe(host, from_offset=2, on_truncated="raise") as items:
        with pytest.raises(OffsetTruncatedError) as raised:
            await anext(items)
        assert (raised.value.from_offset, raised.value.base_offset) == (2, 6)
        assert (items.position, items.missed) == (6, 4)
        item = await anext(items)
        assert (item.offset, item.missed, items.missed) == (6, 4, 4)
        assert (await anext(items)).missed == 0


async def test_each_gap_raises_also_one_that_opens_while_it_reads(host: FakeHost) -> None:
    host.page_bytes = 1
    host.append(*range(4))
    async with subscribe(host, on_truncated="raise") as items:
        assert await take(items, 2) == [0, 1]
        for base in (3, 6):
            host.append(*range(4))
            host.truncate(base)
            with pytest.raises(OffsetTruncatedError) as raised:
                await take(items, 3)
            assert raised.value.base_offset == base
            assert (await anext(items)).offset == base


@pytest.mark.parametrize("topics", [None, ["t"]])
async def test_from_the_oldest_there_is_never_raises_and_counts_the_base_as_missed(
    host: FakeHost, topics: list[str] | None
) -> None:
    host.append(*range(5))
    host.truncate(3)
    async with subscribe(host, topics, on_truncated="raise") as items:
        item = await anext(items)
        assert (item.offset, item.missed, items.missed) == (3, 3, 3)


async def test_at_the_base_there_is_no_gap(host: FakeHost) -> None:
    host.append(*range(5))
    host.truncate(3)
    async with subscribe(host, from_offset=3, on_truncated="raise") as items:
        assert await take(items, 2) == [3, 4]
        assert items.missed == 0


async def test_a_gap_that_reaches_to_the_end_is_told_before_anything_comes(
    host: FakeHost,
) -> None:
    host.append(*range(5))
    host.truncate(5)
    async with subscribe(host, from_offset=2, on_truncated="raise") as items:
        with pytest.raises(OffsetTruncatedError):
            await anext(items)
        host.append(5)
        assert ((await anext(items)).missed, items.missed) == (3, 3)


async def test_a_filtered_reader_is_told_too(host: FakeHost) -> None:
    host.append(0, 1, 2, topic="other")
    host.append(3)
    host.truncate(3)
    async with subscribe(host, ["t"], 1, on_truncated="raise") as items:
        with pytest.raises(OffsetTruncatedError):
            await anext(items)
        assert ((await anext(items)).missed, items.missed) == (2, 2)


async def test_a_gap_and_an_end_are_both_told(host: FakeHost) -> None:
    host.append(0, 1)
    host.truncate(2)
    host.close()
    items = subscribe(host, from_offset=1, on_truncated="raise")
    with pytest.raises(OffsetTruncatedError):
        await anext(items)
    assert (await rest(items), items.missed, items.status) == ([], 1, COMPLETED)


# --- "latest"


async def test_latest_is_the_end_at_the_start(host: FakeHost) -> None:
    host.append(0, 1)
    items = subscribe(host, from_offset="latest")
    assert items.awaits_latest
    assert not subscribe(host, from_offset=1).awaits_latest
    host.append(2)
    assert await items.start() is items
    assert (items.position, items.missed, items.awaits_latest) == (3, 0, False)
    host.append(3)
    assert await take(items, 1) == [3]
    await items.aclose()


async def test_latest_is_resolved_when_a_block_is_entered(host: FakeHost) -> None:
    host.append(0)
    async with subscribe(host, from_offset="latest") as items:
        host.append(1)
        assert await take(items, 1) == [1]


async def test_latest_without_a_start_is_resolved_by_the_first_read(host: FakeHost) -> None:
    host.append(0)
    items = subscribe(host, from_offset="latest")
    host.append(1)
    waiting = await waits(host, items)
    host.append(2)
    assert (await waiting).data == 2
    await items.aclose()


@pytest.mark.parametrize("queries", [True, False])
async def test_a_host_that_does_not_tell_its_bounds_is_asked_for_its_end(
    host: FakeHost, queries: bool
) -> None:
    host.tells_bounds, host.queries = False, queries
    host.append(0, 1)
    async with subscribe(host, from_offset="latest") as items:
        assert (items.position, items.lag, host.calls["offset"]) == (2, 0, 1)


async def test_latest_of_an_empty_stream_misses_nothing(host: FakeHost) -> None:
    async with subscribe(host, from_offset="latest", on_truncated="raise") as items:
        host.append(0)
        assert ((await anext(items)).missed, items.missed) == (0, 0)


async def test_starting_again_changes_nothing(host: FakeHost) -> None:
    async with subscribe(host, from_offset="latest") as items:
        host.append(0)
        await items.start()
        assert await take(items, 1) == [0]
        await items.start()
    await items.start()
    ends = [asked for asked in host.asked if asked[2] == BEYOND]
    assert (len(ends), host.calls["resolve"]) == (1, 1)


@pytest.mark.parametrize("call", ["resolve", "read"])
async def test_a_start_that_was_cancelled_can_be_made_again(host: FakeHost, call: str) -> None:
    blocked = Blocked()
    host.faults[call] = [blocked]
    host.append(0)
    items = subscribe(host, from_offset="latest")
    starting = asyncio.create_task(items.start())
    await blocked.reached.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    host.append(1)
    blocked.release()
    await items.start()
    assert items.position == 2, "it starts when it starts, not when it was first tried"
    await items.aclose()


async def test_a_start_beside_a_reading_task_skips_nothing(host: FakeHost) -> None:
    host.append("old")
    items, late = subscribe(host, from_offset="latest"), BlockedReply()
    host.faults["read"] = [late]
    starting = asyncio.create_task(items.start())
    await asyncio.wait_for(late.reached.wait(), 5)
    host.append("a")
    reading = asyncio.create_task(take(items, 3))
    await quiet()
    host.append("b", "c")
    await quiet()
    late.release()
    assert await starting is items
    assert await reading == ["a", "b", "c"]
    assert (items.position, items.missed) == (4, 0)
    await items.aclose()


async def test_of_two_that_start_the_second_starts_when_the_first_is_cancelled(
    host: FakeHost,
) -> None:
    host.append("old")
    items, never = subscribe(host, from_offset="latest"), Blocked()
    host.faults["read"] = [never]
    starting = asyncio.create_task(items.start())
    await asyncio.wait_for(never.reached.wait(), 5)
    reading = asyncio.create_task(take(items, 1))
    await quiet()
    starting.cancel()
    never.release()
    await happens(lambda: not items.awaits_latest)
    host.append("new")
    assert await reading == ["new"]
    await items.aclose()


async def test_a_start_rides_out_what_passes(host: FakeHost) -> None:
    host.faults["resolve"] = [unavailable()]
    host.faults["read"] = [busy(), unavailable()]
    host.append(0)
    async with subscribe(host, from_offset="latest") as items:
        assert items.position == 1


async def test_starting_where_no_stream_is_raises(host: FakeHost) -> None:
    host.faults["resolve"] = [not_found(), not_found()]
    with pytest.raises(StreamNotFoundError):
        await subscribe(host).start()
    with pytest.raises(StreamNotFoundError):
        async with subscribe(host):
            pass


# --- a saved offset is guarded by the stream's id


async def test_a_stream_tells_its_id_and_keeps_it_over_a_roll_over(host: FakeHost) -> None:
    items = subscribe(host)
    assert items.stream_id is None
    await items.start()
    assert items.stream_id == "run-1"
    host.roll_over()
    host.append(0)
    assert await take(items, 1) == [0]
    assert items.stream_id == "run-1"
    await items.aclose()


async def test_an_offset_saved_for_this_stream_is_taken(host: FakeHost) -> None:
    host.append(0, 1)
    async with subscribe(host, from_offset=1, stream_id="run-1") as items:
        assert await take(items, 1) == [1]


@pytest.mark.parametrize("from_offset", [1, "latest"])
async def test_an_offset_saved_for_another_stream_raises_and_reads_nothing(
    host: FakeHost, from_offset: Any
) -> None:
    host.append(0, 1)
    for how in ("start", "async with", "first read"):
        items = subscribe(host, from_offset=from_offset, stream_id="run-0")
        with pytest.raises(StreamChangedError) as raised:
            await {"start": items.start, "async with": items.__aenter__}.get(how, items.__anext__)()
        assert (raised.value.expected, raised.value.actual) == ("run-0", "run-1")
        assert (await rest(items), items.status) == ([], None)
    assert host.calls["read"] == 0
    await happens(lambda: feeds_running() == 0)


# --- a log that another one replaces


def forget(host: FakeHost) -> None:
    host.roll_over(forgetful=True)


REPLACED = [FakeHost.fail_and_retry, FakeHost.reset, forget]


@pytest.mark.parametrize("replace", REPLACED)
@pytest.mark.parametrize("read_before", [0, 2, 3])
async def test_a_live_reader_gets_all_of_the_old_log_and_is_then_told_and_ends(
    host: FakeHost, replace: Callable[[FakeHost], None], read_before: int
) -> None:
    host.page_bytes = 1
    host.append(0, 1, 2)
    items = await subscribe(host).start()
    assert await take(items, read_before) == [0, 1, 2][:read_before]
    replace(host)
    host.append("new", "newer")
    assert await take(items, 3 - read_before) == [0, 1, 2][read_before:]
    with pytest.raises(StreamChangedError) as raised:
        await asyncio.wait_for(anext(items), 5)
    assert (raised.value.expected, raised.value.actual) == ("run-1", "run-2")
    assert await rest(items) == []
    assert (items.missed, items.status, items.stream_id) == (0, None, "run-1")
    async with subscribe(host) as fresh:
        assert await take(fresh, 2) == ["new", "newer"]
        assert fresh.stream_id == "run-2"


@pytest.mark.parametrize("replace", REPLACED)
async def test_a_reader_that_waits_at_the_end_is_told_too(
    host: FakeHost, replace: Callable[[FakeHost], None]
) -> None:
    host.append(0)
    items = subscribe(host)
    assert await take(items, 1) == [0]
    waiting = await waits(host, items)
    replace(host)
    host.append("new")
    with pytest.raises(StreamChangedError):
        await asyncio.wait_for(waiting, 5)
    await happens(lambda: feeds_running() == 0)


@pytest.mark.parametrize("replace", REPLACED)
async def test_an_offset_saved_for_the_replaced_log_is_not_taken_for_the_new_one(
    host: FakeHost, replace: Callable[[FakeHost], None]
) -> None:
    host.append(*range(5))
    async with subscribe(host) as items:
        await take(items, 3)
        saved, stream_id = items.position, items.stream_id
    replace(host)
    host.append(*"abcdef")
    late = subscribe(host, from_offset=saved, stream_id=stream_id)
    with pytest.raises(StreamChangedError) as raised:
        await anext(late)
    assert (raised.value.expected, raised.value.actual) == ("run-1", "run-2")
    async with subscribe(host, from_offset=2, stream_id="run-2") as items:
        assert await take(items, 1) == ["c"]


async def test_a_workflow_that_was_terminated_and_not_reset_ends_with_that_status(
    host: FakeHost,
) -> None:
    host.append(0)
    items = subscribe(host)
    assert await take(items, 1) == [0]
    host.close(WorkflowExecutionStatus.TERMINATED)
    assert (await rest(items), items.status) == ([], WorkflowExecutionStatus.TERMINATED)


async def test_the_id_of_a_stream_that_rolled_over_before_we_came_is_told_by_its_host(
    host: FakeHost,
) -> None:
    host.append(0)
    host.roll_over()
    async with subscribe(host) as items:
        assert items.stream_id is None
        assert await take(items, 1) == [0]
        assert items.stream_id == "run-1"


# --- a run that never began


@pytest.mark.parametrize("came_before", [True, False])
@pytest.mark.parametrize("runs", [1, 3])
async def test_what_a_run_carried_that_never_began_is_read_from_the_one_before_it(
    host: FakeHost, came_before: bool, runs: int
) -> None:
    host.append(*range(10))
    items = subscribe(host, on_truncated="raise")
    if came_before:
        assert await take(items, 4) == [0, 1, 2, 3]
    for _ in range(runs):
        host.roll_over()
        host.run.began = False
    host.close(WorkflowExecutionStatus.TERMINATED)
    assert await rest(items) == list(range(10))[4 * came_before :]
    assert (items.missed, items.status) == (0, WorkflowExecutionStatus.TERMINATED)
    late = subscribe(host, from_offset="latest")
    await late.start()
    assert late.position == 10


async def test_a_stream_whose_first_run_never_began_is_empty(host: FakeHost) -> None:
    host.run.began = False
    host.close(WorkflowExecutionStatus.TERMINATED)
    items = subscribe(host)
    assert (await rest(items), items.status) == ([], WorkflowExecutionStatus.TERMINATED)


# --- what a filtered reader may have missed, and nothing else


@pytest.mark.parametrize("look", [True, False], ids=["looked at", "not looked at"])
@pytest.mark.parametrize("on_truncated", ["skip", "raise"])
async def test_others_items_that_came_and_went_while_it_waited_are_no_gap(
    host: FakeHost, look: bool, on_truncated: Any
) -> None:
    host.append(0)
    async with subscribe(host, ["t"], on_truncated=on_truncated) as items:
        await take(items, 1)
        waiting = await waits(host, items)
        before = host.calls["read"]
        host.append(*range(10), topic="other")
        await happens(lambda: host.calls["read"] > before)
        await quiet()
        if look:
            assert items.position == 11
        host.truncate(11)
        host.append("mine")
        item = await waiting
        assert (item.data, item.missed, items.missed) == ("mine", 0, 0)


async def test_it_moves_past_others_items_also_between_two_of_its_own_reads(
    host: FakeHost,
) -> None:
    host.append(0)
    async with subscribe(host, ["t"]) as busy, subscribe(host, ["other"]) as other:
        await take(busy, 1)
        waiting = await waits(host, busy)
        host.append(1)
        assert (await waiting).data == 1
        reading = await waits(host, other)
        host.append("x", topic="other")
        assert (await reading).data == "x"
        assert busy.position == 3, "it is not reading just now"
        host.truncate(3)
        host.append(2)
        assert ((await anext(busy)).missed, busy.missed) == (0, 0)


async def test_looking_at_the_position_changes_nothing(host: FakeHost) -> None:
    host.append(0)
    async with subscribe(host, ["t"]) as items:
        await take(items, 1)
        waiting = await waits(host, items)
        before = host.calls.total()
        assert [items.position for _ in range(3)] == [1, 1, 1]
        assert (items.lag, items.missed, host.calls.total()) == (0, 0, before)
        waiting.cancel()


async def test_a_page_is_passed_to_its_end_with_its_last_item_and_not_before(
    host: FakeHost,
) -> None:
    host.append(0, 1)
    host.append("x", "y", topic="other")
    async with subscribe(host, ["t"]) as items:
        await take(items, 1)
        assert items.position == 1
        await take(items, 1)
        assert items.position == 4


# --- a host of updates only, closed before all was read


@pytest.mark.parametrize("known", [True, False])
async def test_items_that_no_update_can_reach_any_more_are_told(
    old_host: FakeHost, known: bool
) -> None:
    old_host.append(0)
    items = subscribe(old_host, poll_cooldown=timedelta(0))
    assert await take(items, 1) == [0]
    waiting = await waits(old_host, items)
    old_host.run.closed = True  # what comes now, no update sees
    old_host._append("t", "")
    old_host._append("t", "")
    old_host.run.closed = False
    if not known:
        old_host.faults["offset"] = [PollQueryMissingError(WORKFLOW_ID)]
    old_host.close()
    with pytest.raises(UnreadItemsError) as raised:
        await asyncio.wait_for(waiting, 5)
    assert (raised.value.from_offset, raised.value.end_offset) == (1, 3 if known else None)
    assert await rest(items) == []


# --- the end is no trap


async def test_who_asks_an_ended_subscription_again_and_again_can_be_stopped(
    host: FakeHost,
) -> None:
    host.close()
    items = subscribe(host)
    assert await rest(items) == []
    closed = subscribe(host)
    await closed.aclose()

    turns = 0

    async def for_ever(each: Subscription[Any]) -> None:
        nonlocal turns
        while True:
            turns += 1
            async for _ in each:
                pass

    for each in (items, closed):
        task, before = asyncio.create_task(for_ever(each)), turns
        await happens(lambda before=before: turns > before + 3)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()


# --- what can be watched


async def test_reads_waits_and_misses_are_counted(host: FakeHost) -> None:
    counts = ReadCounts()
    host.append(0, 1, 2)
    async with subscribe(host, counts=counts) as items:
        assert await take(items, 3) == [0, 1, 2]
        assert counts == ReadCounts(reads=1)
        waiting = await waits(host, items)
        host.append(3)
        await waiting
        assert counts == ReadCounts(reads=2, waits=1)
        host.append(4, 5)
        host.truncate(5)
        assert await take(items, 1) == [5]
        assert (counts.missed, items.missed) == (1, 1)
    async with subscribe(host, from_offset=2, counts=counts) as items:
        assert await take(items, 1) == [5]
    assert counts.missed == 4, "those of all subscriptions"


async def test_each_change_of_trouble_is_logged_once_and_nothing_in_normal_life(
    host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="streamlib")
    host.append(0)
    async with subscribe(host) as items:
        assert await take(items, 1) == [0]
        waiting = await waits(host, items)
        host.append(1)
        await waiting
        assert caplog.records == []
        host.faults["read"] = [unavailable("no worker")] * 3
        host.append(2)
        assert await take(items, 1) == [2]
        assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
            ("WARNING", "The stream 'order-1' cannot be read: no worker"),
            ("INFO", "The stream 'order-1' can be read again"),
        ]


async def test_a_reader_that_leaves_in_trouble_does_not_say_that_all_is_well(
    host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="streamlib")
    host.faults["read"] = [unavailable("no worker")] * 50
    items = subscribe(host)
    reading = asyncio.create_task(items.__anext__())
    await happens(lambda: items.trouble)
    await items.aclose()
    await asyncio.wait([reading])
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# --- closed, or cancelled, in any moment


@pytest.mark.parametrize("turns", range(12))
async def test_an_answer_that_comes_as_it_is_closed_is_handed_over_before_that_or_never(
    host: FakeHost, turns: int
) -> None:
    host.append(0)
    late = BlockedReply()
    host.faults["read"] = [late]
    async with subscribe(host), subscribe(host) as items:
        waiting = asyncio.create_task(items.__anext__())
        await late.reached.wait()
        late.release()
        for _ in range(turns):
            await asyncio.sleep(0)
        came = waiting.done()
        await items.aclose()
        if came:
            assert (await waiting).data == 0
        else:
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(waiting, 5)


async def test_a_read_that_is_cancelled_in_its_cooldown_leaves_no_task(host: FakeHost) -> None:
    host.append(0)
    async with subscribe(host, poll_cooldown=timedelta(minutes=1)) as items:
        assert await take(items, 1) == [0]
        host.append(1)
        await quiet()
        before = asyncio.all_tasks()
        waiting = await waits(host, items)
        assert asyncio.all_tasks() > before | {waiting}
        waiting.cancel()
        await quiet()
        assert asyncio.all_tasks() == before


async def test_closing_ends_a_start_while_another_one_still_looks_for_the_stream(
    host: FakeHost,
) -> None:
    host.faults["resolve"] = [Blocked(), Blocked(), Blocked()]
    items, other = subscribe(host), subscribe(host)
    starting, others = (asyncio.create_task(each.start()) for each in (items, other))
    await quiet()
    await items.aclose()
    assert await asyncio.wait_for(starting, 5) is items
    assert not others.done()
    await other.aclose()
    await asyncio.wait_for(others, 5)


async def test_who_closes_while_it_is_looked_what_is_unread_is_not_told_of_it() -> None:
    host = FakeHost(queries=False)
    host.append(0)
    items = await subscribe(host).start()
    assert await take(items, 1) == [0]
    host.close()
    asked = Blocked()
    host.faults["offset"] = [asked]
    waiting = asyncio.create_task(items.__anext__())
    await asyncio.wait_for(asked.reached.wait(), 5)
    await items.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)

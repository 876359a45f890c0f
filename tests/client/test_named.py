"""A reader with a name: it resumes, at least once, and knows when the name is its own no longer.

All of it happens on a simulated clock, so that every second is exact.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError

from streamlib.client.named import COMMIT_EVERY, LAST_WORD, LOOK_EVERY
from streamlib.client.registry import shared_feed
from streamlib.client.subscriber import Subscription
from streamlib.core.readers import MOST, ReaderTold
from streamlib.errors import (
    InvalidCommitError,
    InvalidReaderNameError,
    NameLostError,
    NamesUnsupportedError,
    NotAStreamError,
    StreamChangedError,
    StreamNotFoundError,
    StreamUnavailableError,
    TooManyReadersError,
)
from tests.fakes import (
    NOON,
    WORKFLOW_ID,
    Blocked,
    BlockedReply,
    FakeHost,
    FakeTransport,
    LostReply,
    permission_denied,
    unavailable,
)
from tests.world.clock import run

Living = Callable[[FakeHost], Coroutine[Any, Any, None]]


def live(living: Living) -> FakeHost:
    """Live through a test with a host, in simulated time."""
    host = FakeHost()
    run(living(host))
    return host


def subscribe(host: FakeHost, name: str | None = "billing", **options: Any) -> Subscription[Any]:
    return Subscription(
        lambda: shared_feed(host.key, lambda: FakeTransport(host)),
        PayloadConverter.default,
        options.pop("topics", []),
        options.pop("from_offset", 0),
        workflow_id=WORKFLOW_ID,
        name=name,
        **options,
    )


async def take(items: Subscription[Any], count: int) -> list[Any]:
    return [(await asyncio.wait_for(anext(items), 60)).data for _ in range(count)]


async def waits(items: Subscription[Any], seconds: float) -> None:
    """Ask for the next item, for so long; there is none."""
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(items), seconds)


async def read_slowly(
    items: Subscription[Any], pause: float, read: list[Any] | None = None
) -> list[Any]:
    """All values up to the end, with a pause after each."""
    read = [] if read is None else read
    async for item in items:
        read.append(item.data)
        await asyncio.sleep(pause)
    return read


def position(host: FakeHost, name: str = "billing") -> int:
    return dict(host.stream.readers.items())[name].position


def told(host: FakeHost) -> list[tuple[str, int]]:
    return [(each["action"], each["position"]) for each in host.told]


# --- where it begins


def test_a_new_name_begins_where_it_says_and_resumes_where_it_was() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abcdef")
        async with subscribe(host, from_offset=1) as items:
            assert (items.name, items.committed, items.position) == ("billing", 1, 1)
            assert await take(items, 3) == ["b", "c", "d"]
        assert position(host) == 3, "d was in hand, and not handled"
        async with subscribe(host, from_offset=0) as items:
            assert await take(items, 3) == ["d", "e", "f"], "at least once"

    live(living)


def test_latest_is_where_a_new_name_begins_and_a_known_one_does_not_care() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        async with subscribe(host, from_offset="latest") as items:
            host.append("b")
            assert await take(items, 1) == ["b"]
        host.append("c")
        async with subscribe(host, from_offset="latest") as items:
            assert await take(items, 2) == ["b", "c"]

    live(living)


def test_a_rewind_begins_there_also_further_back() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abc")
        async with subscribe(host, from_offset=3):
            assert position(host) == 3
        async with subscribe(host, rewind=1) as items:
            assert await take(items, 2) == ["b", "c"]
        assert position(host) == 2
        for wrong in (4, -1, True, 1.0, "1"):
            with pytest.raises(InvalidCommitError):
                await subscribe(host, rewind=wrong).start()
        assert position(host) == 2

    live(living)


def test_a_name_cannot_begin_beyond_the_end_and_nothing_is_sent() -> None:
    async def living(host: FakeHost) -> None:
        with pytest.raises(InvalidCommitError) as raised:
            await subscribe(host, from_offset=1).start()
        assert (raised.value.position, raised.value.end_offset) == (1, 0)
        assert host.told == []

    live(living)


def test_what_is_no_name_raises_where_it_is_given() -> None:
    host = FakeHost()
    for name in ("", "n" * 10_000, "\ud800", 7):
        with pytest.raises(InvalidReaderNameError):
            subscribe(host, name)  # type: ignore[arg-type]


def test_to_rewind_there_must_be_a_name() -> None:
    with pytest.raises(InvalidReaderNameError):
        subscribe(FakeHost(), None, rewind=1)


def test_a_host_without_names_raises_before_anything_is_sent() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        host.knows_names = False
        with pytest.raises(NamesUnsupportedError):
            await anext(subscribe(host))
        host.faults["describe"] = [NotAStreamError(WORKFLOW_ID, "no such query")]
        with pytest.raises(NamesUnsupportedError):
            await subscribe(host).start()
        assert host.told == []
        assert await take(subscribe(host, None), 1) == ["a"], "without a name all is as ever"

    live(living)


def test_of_a_thousand_names_the_stream_keeps_as_many_as_it_can() -> None:
    async def living(host: FakeHost) -> None:
        for n in range(MOST):
            await subscribe(host, f"n{n}").aclose()
            await (items := subscribe(host, f"n{n}")).start()
            await items.aclose()
        with pytest.raises(TooManyReadersError):
            await subscribe(host, "one more").start()
        assert len(host.told) == MOST
        await subscribe(host, "n7").start()

    live(living)


def test_a_name_that_was_one_too_many_only_when_it_came_says_so() -> None:
    async def living(host: FakeHost) -> None:
        blocked = Blocked()
        host.faults["tell"] = [blocked]
        joining = asyncio.create_task(subscribe(host, "one more").start())
        await blocked.reached.wait()
        for n in range(MOST):
            host.stream.readers.join(f"n{n}", "t", 0, NOON, 0)
        blocked.release()
        with pytest.raises(TooManyReadersError):
            await joining

    live(living)


def test_a_stream_that_closed_before_it_took_the_reader_up_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def living(host: FakeHost) -> None:
        monkeypatch.setattr(host, "hear", lambda _: None)  # stored, and never handled
        with pytest.raises(StreamNotFoundError, match="before it took the reader up"):
            await subscribe(host).start()

    live(living)


def test_joining_waits_for_server_and_worker_as_long_as_it_takes() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        host.faults["describe"] = [unavailable()] * 20
        host.faults["tell"] = [unavailable(), LostReply()] * 5
        assert await take(subscribe(host), 1) == ["a"]

    live(living)


def test_one_that_is_closed_while_it_joins_ends() -> None:
    async def living(host: FakeHost) -> None:
        host.faults["describe"] = [Blocked(), Blocked(), Blocked()]
        items = subscribe(host)
        asking = asyncio.create_task(anext(items))
        await asyncio.sleep(0.1)
        await items.aclose()
        with pytest.raises(StopAsyncIteration):
            await asking
        assert host.told == []

    live(living)


def test_another_log_under_the_same_workflow_id_is_not_joined() -> None:
    async def living(host: FakeHost) -> None:
        blocked = Blocked()
        host.faults["tell"] = [blocked]
        joining = asyncio.create_task(subscribe(host).start())
        await blocked.reached.wait()
        host.fail_and_retry()
        blocked.release()
        with pytest.raises(StreamChangedError):
            await joining
        assert len(host.stream.readers) == 0
        assert host.stream.readers.refused == 1

    live(living)


# --- what is committed, and when


def test_an_item_is_handled_when_the_next_is_asked_for() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a", "b")
        items = subscribe(host)
        assert await take(items, 1) == ["a"]
        await items.commit()
        assert position(host) == 0
        assert await take(items, 1) == ["b"]
        await items.commit()
        assert position(host) == items.committed == 1
        await waits(items, 0.1)
        await items.aclose()
        assert position(host) == 2

    live(living)


def test_it_commits_once_every_five_seconds_and_once_at_the_close() -> None:
    async def living(host: FakeHost) -> None:
        items = subscribe(host)
        for n in range(300):  # half a minute
            host.append(n)
            assert await take(items, 1) == [n]
            await asyncio.sleep(0.1)
        commits = [position for action, position in told(host) if action == "commit"]
        assert 5 <= len(commits) <= 30 / COMMIT_EVERY + 1
        assert commits == sorted(commits)
        assert 300 - commits[-1] <= 10 * (COMMIT_EVERY + LOOK_EVERY) + 1
        await items.aclose()
        assert position(host) == 299
        assert len(told(host)) == 1 + len(commits) + 1
        await items.aclose()
        assert len(told(host)) == 1 + len(commits) + 1

    live(living)


def test_while_nothing_happens_nothing_is_sent_and_nothing_asked() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        items = subscribe(host)
        assert await take(items, 1) == ["a"]
        await waits(items, 30)
        calls = host.calls["describe"], host.calls["tell"]
        await waits(items, 3_600)
        assert (host.calls["describe"], host.calls["tell"]) == calls
        assert position(host) == 1

    live(living)


def test_others_items_that_it_passes_while_it_waits_are_committed_too() -> None:
    async def living(host: FakeHost) -> None:
        items = subscribe(host, topics=["mine"])
        waiting = asyncio.create_task(anext(items))
        for n in range(20):
            host.append(n)
            await asyncio.sleep(1)
        await asyncio.sleep(COMMIT_EVERY + LOOK_EVERY)
        assert position(host) == 20
        host.append("mine", topic="mine")
        assert (await waiting).data == "mine"
        await items.aclose()
        assert position(host) == 20

    live(living)


def test_the_item_in_hand_can_be_committed_and_nothing_that_was_not_read() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abcd")
        async with subscribe(host, from_offset=1) as items:
            item = await anext(items)
            await items.commit(item.offset + 1)
            assert position(host) == items.committed == 2
            for wrong in (3, 1, -1, 2.0, True, 10**30, "2"):
                with pytest.raises(InvalidCommitError):
                    await items.commit(wrong)  # type: ignore[arg-type]
            assert position(host) == 2
            assert host.stream.readers.refused == 0

    live(living)


def test_to_commit_less_than_was_handled_takes_nothing_back() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abcd")
        items = subscribe(host)
        await take(items, 4)
        await items.commit(1)
        await items.aclose()
        assert position(host) == 3

    live(living)


def test_an_explicit_commit_waits_for_its_turn() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*range(100))
        loop = asyncio.get_running_loop()
        items, began = subscribe(host), loop.time()
        for n in range(10):
            item = await anext(items)
            assert item.data == n
            await items.commit(item.offset + 1)
        assert loop.time() - began >= 9 * COMMIT_EVERY
        assert position(host) == 10

    live(living)


def test_one_without_a_name_and_one_that_has_not_started_commit_nothing() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        plain = subscribe(host, None)
        await take(plain, 1)
        assert (plain.name, plain.committed) == (None, None)
        for items in (plain, subscribe(host)):
            with pytest.raises(RuntimeError, match="with a name"):
                await items.commit()

    live(living)


def test_a_commit_that_had_no_answer_is_told_again() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abc")
        items = subscribe(host)
        assert await take(items, 2) == ["a", "b"]
        host.faults["tell"] = [unavailable(), unavailable()]
        with pytest.raises(StreamUnavailableError):
            await items.commit()
        await asyncio.sleep(3 * (COMMIT_EVERY + LOOK_EVERY))
        assert position(host) == items.committed == 1

    live(living)


def test_a_close_waits_for_no_server_that_is_gone() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a", "b")
        items = subscribe(host)
        await take(items, 2)
        await asyncio.sleep(60)
        await waits(items, 0.01)
        host.faults["tell"] = [Blocked()]
        began = asyncio.get_running_loop().time()
        await items.aclose()
        assert asyncio.get_running_loop().time() - began <= LAST_WORD + 0.1

    live(living)


def test_one_that_is_dropped_leaves_nothing_behind() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        items = subscribe(host)
        await take(items, 1)
        del items
        gc.collect()
        await asyncio.sleep(1)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert position(host) == 0

    live(living)


# --- who has the name


def test_the_last_to_join_has_the_name_and_the_one_before_is_told_within_five_seconds() -> None:
    async def living(host: FakeHost) -> None:
        loop = asyncio.get_running_loop()
        host.append("a")
        older = subscribe(host)
        assert await take(older, 1) == ["a"]
        waiting = asyncio.create_task(anext(older))
        await asyncio.sleep(100)
        newer, began = subscribe(host), loop.time()
        assert await take(newer, 0) == []
        await newer.start()
        with pytest.raises(NameLostError, match="another reader has joined"):
            await waiting
        assert loop.time() - began < 5
        with pytest.raises(StopAsyncIteration):
            await anext(older)
        with pytest.raises(NameLostError):
            await older.commit()
        await older.aclose()
        host.append("b")
        assert await take(newer, 1) == ["b"], "a was committed"

    live(living)


def test_one_that_is_busy_with_items_is_told_too_and_its_commits_are_refused() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*range(1_000))
        older, loop = subscribe(host), asyncio.get_running_loop()
        await take(older, 5)
        newer = subscribe(host)
        await newer.start()
        began, stood = loop.time(), position(host)
        with pytest.raises(NameLostError):
            await read_slowly(older, 0.05)
        assert loop.time() - began < 5
        assert position(host) == stood

    live(living)


def test_one_that_stands_in_a_cooldown_is_told_too_and_asks_nothing_any_more() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        await asyncio.sleep(3600)  # a clock that begins at 0 has a cooldown at the beginning
        first = subscribe(host, poll_cooldown=timedelta(hours=1))
        assert await take(first, 1) == ["a"]
        waiting = asyncio.create_task(first.__anext__())
        host.append("b")
        await asyncio.sleep(1)
        async with subscribe(host, poll_cooldown=timedelta(hours=1)):
            with pytest.raises(NameLostError):
                await asyncio.wait_for(waiting, 2 * LOOK_EVERY)
        reads = host.calls["read"]
        await asyncio.sleep(60)
        assert host.calls["read"] == reads

    live(living)


def test_two_that_join_in_the_same_moment_do_not_both_have_the_name() -> None:
    async def living(host: FakeHost) -> None:
        blocked = Blocked()
        host.faults["describe"] = []
        first = asyncio.create_task(subscribe(host).start())
        await asyncio.sleep(0)
        while not host.told:
            host.faults["describe"] = [blocked] if host.calls["tell"] else []
            await asyncio.sleep(0)
        host.hear(ReaderTold("join", "billing", "another", 0, None)._asdict())
        blocked.release()
        with pytest.raises(NameLostError):
            await first

    live(living)


def test_an_explicit_commit_of_who_has_lost_the_name_says_so_and_the_reader_ends() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abc")
        older, newer = subscribe(host), subscribe(host)
        await take(older, 1)
        await asyncio.sleep(COMMIT_EVERY + 1)
        await newer.start()
        with pytest.raises(NameLostError, match="another reader has joined"):
            await older.commit(1)
        assert position(host) == 0
        with pytest.raises(NameLostError):
            await anext(older)
        with pytest.raises(StopAsyncIteration):
            await anext(older)
        assert await take(newer, 1) == ["a"]
        await newer.commit(1)
        assert position(host) == newer.committed == 1

    live(living)


def test_an_explicit_commit_costs_one_query_and_waits_no_longer_than_it_says() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abc")
        items, loop = subscribe(host), asyncio.get_running_loop()
        await take(items, 1)
        await asyncio.sleep(3 * COMMIT_EVERY)
        asked = host.calls["describe"]
        await items.commit(1)
        assert (host.calls["describe"], position(host)) == (asked + 1, 1)
        await take(items, 1)
        await asyncio.sleep(3 * COMMIT_EVERY)
        host.faults["describe"], began = [unavailable()] * 100, loop.time()
        with pytest.raises(StreamUnavailableError):
            await items.commit(2)
        assert loop.time() - began < 20
        assert (position(host), items.committed) == (2, 2), "it was told all the same"

    live(living)


def test_an_explicit_commit_to_another_log_or_to_none_says_so() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abc")
        items = subscribe(host)
        await take(items, 1)
        host.fail_and_retry()
        with pytest.raises(StreamChangedError):
            await items.commit(1)
        host.close()
        with pytest.raises(StreamChangedError):
            await items.commit(1)

    async def closing(host: FakeHost) -> None:
        host.append(*"abc")
        items = subscribe(host)
        await take(items, 1)
        host.close()
        with pytest.raises(StreamNotFoundError):
            await items.commit(1)
        assert await take(items, 2) == ["b", "c"]

    live(living)
    live(closing)


def test_a_name_that_was_forgotten_is_told_as_that() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        items = subscribe(host)
        await take(items, 1)
        host.stream.readers.prune(NOON + 2 * host.stream.readers.ttl, end=1)
        host.append("b")
        await take(items, 1)
        with pytest.raises(NameLostError, match="forgotten"):
            await asyncio.wait_for(anext(items), 5)

    live(living)


def test_what_the_server_refuses_for_good_is_told() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a", "b")
        items = subscribe(host)
        host.faults["tell"] = []
        await take(items, 1)
        host.faults["tell"] = [permission_denied()]
        await asyncio.sleep(COMMIT_EVERY + LOOK_EVERY)
        await take(items, 1)
        with pytest.raises(RPCError, match="unauthorized"):
            await asyncio.wait_for(anext(items), 10)

    live(living)


# --- what becomes of the stream


def test_a_name_goes_with_the_stream_into_its_next_runs() -> None:
    async def living(host: FakeHost) -> None:
        items = subscribe(host)
        for n in range(10):
            host.append(n)
            host.roll_over()
            assert await take(items, 1) == [n]
            await asyncio.sleep(COMMIT_EVERY)
        await items.aclose()
        assert position(host) == 9

    live(living)


def test_a_closed_stream_is_read_to_its_end_though_it_takes_no_commits() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*range(50))
        items = subscribe(host)
        await take(items, 1)
        host.close()
        assert await read_slowly(items, 1) == [*range(1, 50)]
        assert items.status is not None
        await items.aclose()

    live(living)


def test_a_name_is_resumed_also_when_its_workflow_has_closed_and_stays_where_it_was() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abcd")
        async with subscribe(host) as items:
            assert await take(items, 2) == ["a", "b"]
        host.close()
        told_before = len(host.told)
        ways: list[tuple[dict[str, Any], str]] = [
            ({}, "bcd"),
            ({"rewind": 3}, "d"),
            ({"rewind": 0}, "abcd"),
            ({"name": "new", "from_offset": 2}, "cd"),
            ({"name": "last", "from_offset": "latest"}, ""),
        ]
        for options, read in ways:
            items = subscribe(host, **options)
            stood = 1 if items.name == "billing" else 4 - len(read)
            async with items:
                assert "".join(await read_slowly(items, 1)) == read
                assert items.committed == stood
                with pytest.raises(StreamNotFoundError, match="closed"):
                    await items.commit()
            assert items.status is not None
        assert position(host) == 1
        with pytest.raises(InvalidCommitError):
            await subscribe(host, rewind=5).start()
        assert {each["action"] for each in host.told[told_before:]} <= {"join"}

    live(living)


def test_a_stream_that_closes_between_the_join_and_the_rewind_is_read_from_there() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*"abc")
        hear = host.hear

        def hear_and_close(reader: dict[str, Any]) -> None:
            hear(reader)
            host.close()

        host.hear = hear_and_close  # type: ignore[method-assign]
        items = subscribe(host, rewind=1)
        assert await read_slowly(items, 0) == ["b", "c"]

    live(living)


def test_of_a_handle_that_names_a_closed_run_no_name_is_resumed() -> None:
    async def living(host: FakeHost) -> None:
        def open_feed() -> Any:
            transport = FakeTransport(host)
            transport.pinned_run_id = "run-1"
            return shared_feed(host.key, lambda: transport)

        host.append("a")
        host.close()
        items = Subscription[Any](
            open_feed, PayloadConverter.default, [], 0, workflow_id=WORKFLOW_ID, name="billing"
        )
        with pytest.raises(StreamNotFoundError, match="read it without one"):
            await items.start()

    live(living)


def test_a_name_that_stands_in_another_log_than_the_one_that_is_read_is_not_resumed() -> None:
    async def living(host: FakeHost) -> None:
        host.append("a")
        plain = subscribe(host, None)
        await take(plain, 1)
        host.fail_and_retry()
        host.close()  # the feed has not heard of it
        with pytest.raises(StreamChangedError):
            await subscribe(host).start()

    live(living)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("replace", [FakeHost.reset, FakeHost.fail_and_retry])
def test_what_is_read_is_no_other_log_than_the_one_in_which_the_name_stands(
    replace: Callable[[FakeHost], None], rolled: bool
) -> None:
    async def living(host: FakeHost) -> None:
        if rolled:  # then only an answer says which log a run hosts
            host.roll_over()
        host.append(*range(10))
        host.faults["history"] = [BlockedReply()]  # the feed does not hear of what happens now
        plain = subscribe(host, None)
        await take(plain, 10)
        replace(host)
        host.append(*(f"new {n}" for n in range(12)))
        with pytest.raises(StreamChangedError) as changed:
            await subscribe(host).start()
        assert changed.value.expected == "run-1", "the log that is read"
        assert changed.value.actual == host.run.stream_id
        assert host.told == [], "nobody loses the name, and nothing is rewound"

    live(living)


def test_a_name_is_joined_also_when_the_feed_has_not_heard_of_a_roll_over() -> None:
    async def living(host: FakeHost) -> None:
        host.roll_over()
        host.append("a")
        host.faults["history"] = [BlockedReply()]
        items = subscribe(host, None)
        assert await take(items, 1) == ["a"]
        host.roll_over()
        reads = host.calls["read"]
        async with subscribe(host) as named:
            assert host.calls["read"] == reads, "the log is known"
            assert await take(named, 1) == ["a"]
        assert told(host)[0] == ("join", 0)

    live(living)


def test_a_log_that_was_replaced_is_read_to_its_end_and_gets_no_commits() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*range(20))
        items = subscribe(host)
        await take(items, 1)
        host.fail_and_retry()
        read = list[int]()
        with pytest.raises(StreamChangedError):
            await read_slowly(items, 1, read)
        assert read == [*range(1, 20)]
        await items.aclose()

    live(living)


def test_who_has_the_name_in_the_log_that_came_after_takes_it_from_nobody() -> None:
    async def living(host: FakeHost) -> None:
        host.append(*range(20))
        items = subscribe(host)
        await take(items, 1)
        host.faults["history"] = [Blocked()]  # for a while it does not know of the other log
        host.append(20)
        await asyncio.sleep(0.1)
        host.fail_and_retry()
        host.stream.readers.join("billing", "another one", 0, NOON, 0)
        looks = host.calls["describe"]
        read = list[int]()
        with pytest.raises(StreamChangedError):
            await read_slowly(items, 1, read)
        assert read == [*range(1, 21)]
        assert host.calls["describe"] > looks
        await items.aclose()

    live(living)

"""The publisher on a stream with scripted faults: what is accepted is stored once, or named."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError

from streamlib.client.publisher import Publisher
from streamlib.errors import ItemEncodeError, StreamNotFoundError, UnsentItemsWarning
from tests.fakes import (
    Blocked,
    BlockedReply,
    FakeHost,
    FakeTransport,
    LostReply,
    happens,
    not_found,
    permission_denied,
    unavailable,
)

NEVER = timedelta(hours=1)
MakePublisher = Callable[..., Publisher]


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def make(host: FakeHost) -> MakePublisher:
    def make(**options: Any) -> Publisher:
        defaults = {"batch_interval": NEVER, "max_batch_size": None, "max_retry_duration": NEVER}
        return Publisher(FakeTransport(host), PayloadConverter.default, **defaults | options)

    return make


@pytest.fixture
def unsent() -> Iterator[Callable[[], list[str]]]:
    """What the warnings of unsent items said so far, once the publishers are gone."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def texts() -> list[str]:
            gc.collect()
            return [str(w.message) for w in caught if w.category is UnsentItemsWarning]

        yield texts


def sequences(host: FakeHost) -> list[int]:
    return [batch["sequence"] for batch in host.batches]


# --- when it sends


async def test_what_is_buffered_or_in_flight_counts_as_unsent(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make(max_batch_size=2)
    assert publisher.unsent == 0
    late = BlockedReply()
    host.faults["send"] = [late]
    for n in range(3):
        publisher.publish("t", n)
    await late.reached.wait()
    assert (len(host.values), publisher.unsent) == (2, 3), "stored, but not acknowledged"
    late.release()
    await happens(lambda: publisher.unsent == 0)
    assert host.values == [0, 1, 2]


async def test_flush_sends_what_was_published_as_one_batch(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    publisher.publish("a", 1)
    publisher.publish("b", {"x": "ü"})
    assert host.values == []
    await publisher.flush()
    assert host.values == [1, {"x": "ü"}]
    assert [(b["publisher_id"], b["sequence"]) for b in host.batches] == (
        [(publisher.publisher_id, 1)]
    )


async def test_flush_with_nothing_to_send_sends_nothing(
    host: FakeHost, make: MakePublisher
) -> None:
    await make().flush()
    assert host.batches == []


async def test_inside_async_with_it_sends_every_batch_interval(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make(batch_interval=timedelta(milliseconds=1))
    await publisher.start()
    for n in range(3):
        publisher.publish("t", n)
        await happens(lambda n=n: host.values == list(range(n + 1)))
    await publisher.stop()
    assert sequences(host) == [1, 2, 3]


async def test_a_full_batch_is_sent_at_once_and_none_is_larger(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make(max_batch_size=2)
    await publisher.start()
    for n in range(5):
        publisher.publish("t", n)
    await happens(lambda: host.values == [0, 1, 2, 3, 4])
    await publisher.stop()
    assert [len(batch["items"]) for batch in host.batches] == [2, 2, 1]


@pytest.mark.parametrize("size", [0, -1])
async def test_a_batch_size_below_one_raises_and_names_it(make: MakePublisher, size: int) -> None:
    with pytest.raises(ValueError, match=f"max_batch_size is {size};"):
        make(max_batch_size=size)


async def test_large_items_are_spread_over_batches_that_the_server_takes(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    for _ in range(30):
        publisher.publish("t", "x" * 100_000)
    await publisher.flush()
    assert len(host.values) == 30
    assert all(sum(len(i["data"]) for i in b["items"]) <= 1_000_000 for b in host.batches)


@pytest.mark.parametrize("inside", [True, False])
async def test_force_flush_sends_at_once_inside_and_outside_of_async_with(
    host: FakeHost, make: MakePublisher, inside: bool
) -> None:
    publisher = make()
    if inside:
        await publisher.start()
    publisher.publish("t", 1)
    publisher.publish("t", 2, force_flush=True)
    await happens(lambda: host.values == [1, 2])
    await publisher.stop()


async def test_force_flush_still_sends_after_an_async_with_has_ended(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    await publisher.start()
    await publisher.stop()
    publisher.publish("t", 1, force_flush=True)
    await happens(lambda: host.values == [1])


async def test_a_forced_publish_while_another_is_under_way_is_sent_after_it(
    host: FakeHost, make: MakePublisher
) -> None:
    blocked = Blocked()
    host.faults["send"] = [blocked]
    publisher = make()
    publisher.publish("t", 1, force_flush=True)
    await blocked.reached.wait()
    publisher.publish("t", 2, force_flush=True)
    publisher.publish("t", 3, force_flush=True)
    blocked.release()
    await happens(lambda: host.values == [1, 2, 3])
    assert sequences(host) == [1, 2]


def test_with_no_loop_running_publish_buffers_and_a_later_flush_sends(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    publisher.publish("t", 1, force_flush=True)
    asyncio.run(publisher.flush())
    assert host.values == [1]


async def test_entering_twice_raises(make: MakePublisher) -> None:
    publisher = make()
    await publisher.start()
    with pytest.raises(RuntimeError, match="already"):
        await publisher.start()
    await publisher.stop()
    await publisher.start()
    await publisher.stop()


# --- flush


async def test_flush_returns_under_a_steady_producer_and_waits_for_no_later_item(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher, producing, produced = make(max_batch_size=1), True, 0

    async def produce() -> None:
        nonlocal produced
        while producing:
            publisher.publish("t", produced)
            produced += 1
            await asyncio.sleep(0)

    producer = asyncio.create_task(produce())
    await happens(lambda: produced > 3)
    await asyncio.wait_for(publisher.flush(), 5)
    producing = False
    await producer
    await publisher.flush()
    assert host.values == list(range(produced))


async def test_two_flushes_at_once_send_each_batch_once(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make(max_batch_size=1)
    for n in range(4):
        publisher.publish("t", n)
    await asyncio.gather(publisher.flush(), publisher.flush())
    assert (host.values, sequences(host)) == ([0, 1, 2, 3], [1, 2, 3, 4])


# --- what may go wrong


async def test_a_batch_is_retried_under_its_sequence_and_stored_once(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [unavailable(), LostReply(), LostReply()]
    publisher = make()
    publisher.publish("t", 1)
    await publisher.flush()
    publisher.publish("t", 2)
    await publisher.flush()
    assert host.values == [1, 2]
    assert sequences(host) == [1, 1, 1, 2]  # the first try never arrived


async def test_past_max_retry_duration_the_batch_is_dropped_and_the_next_is_fresh(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [unavailable("server down")]
    publisher = make(max_batch_size=1, max_retry_duration=timedelta(0))
    publisher.publish("t", "lost")
    publisher.publish("t", "kept")
    with pytest.raises(TimeoutError, match=r"Batch 1 \(1 items\).*server down"):
        await publisher.flush()
    await publisher.flush()
    assert (host.values, sequences(host)) == (["kept"], [2])


async def test_a_given_up_batch_may_be_stored_and_the_next_one_still_is(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [LostReply()]
    publisher = make(max_retry_duration=timedelta(0))
    publisher.publish("t", 1)
    with pytest.raises(TimeoutError, match="it may be in the log, or not"):
        await publisher.flush()
    publisher.publish("t", 2)
    await publisher.flush()
    assert host.values == [1, 2]


@pytest.mark.parametrize(
    ("fault", "error"), [(not_found, StreamNotFoundError), (permission_denied, RPCError)]
)
async def test_what_trying_again_does_not_mend_raises_and_keeps_the_items(
    host: FakeHost, make: MakePublisher, fault: Callable[[], Exception], error: type[Exception]
) -> None:
    host.faults["send"] = [fault()]
    publisher = make()
    publisher.publish("t", 1)
    with pytest.raises(error):
        await publisher.flush()
    assert len(host.batches) == 0
    await publisher.flush()
    assert (host.values, sequences(host)) == ([1], [1])


async def test_a_value_that_cannot_be_serialized_raises_at_publish_and_harms_no_other(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    publisher.publish("t", 1)
    with pytest.raises(ItemEncodeError):
        publisher.publish("t", object())
    publisher.publish("t", 2)
    await publisher.flush()
    assert host.values == [1, 2]


async def failed_in_the_background(host: FakeHost, publisher: Publisher) -> None:
    host.faults["send"] = [permission_denied()]
    publisher.publish("t", 1, force_flush=True)
    await happens(lambda: host.calls["send"] == 1)


@pytest.mark.parametrize("inside", [True, False])
async def test_a_background_failure_surfaces_at_the_next_publish_once(
    host: FakeHost, make: MakePublisher, inside: bool
) -> None:
    publisher = make()
    if inside:
        await publisher.start()
    await failed_in_the_background(host, publisher)
    with pytest.raises(RPCError):
        publisher.publish("t", "not buffered")
    publisher.publish("t", 2)
    await publisher.stop()
    assert host.values == [1, 2]


async def test_a_background_failure_surfaces_at_the_next_flush_once(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    await failed_in_the_background(host, publisher)
    with pytest.raises(RPCError):
        await publisher.flush()
    await publisher.flush()
    assert host.values == [1]


async def test_exit_drains_first_and_raises_the_background_failure_after(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    await publisher.start()
    await failed_in_the_background(host, publisher)
    with pytest.raises(RPCError):
        await publisher.stop()
    assert host.values == [1]
    await publisher.stop()


async def test_exit_raises_the_first_failure_also_when_its_own_drain_fails(
    host: FakeHost, make: MakePublisher, unsent: Callable[[], list[str]]
) -> None:
    publisher = make(max_retry_duration=timedelta(0))
    host.faults["send"] = [unavailable("the first"), not_found()]
    for _ in range(2):
        publisher.publish("t", "x" * 700_000)  # two batches
    with pytest.raises(TimeoutError, match="the first"):
        await publisher.stop()
    del publisher
    assert [text.split(" for ")[0] for text in unsent()] == ["1 published items"]


async def test_after_a_batch_was_given_up_exit_still_sends_the_others(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make(max_batch_size=1, max_retry_duration=timedelta(0))
    host.faults["send"] = [unavailable()]
    for n in range(3):
        publisher.publish("t", n)
    with pytest.raises(TimeoutError):
        await publisher.stop()
    assert host.values == [1, 2]


@pytest.mark.parametrize("other", ["force_flush", "flush"])
async def test_flush_raises_when_another_task_had_to_give_its_batch_up(
    host: FakeHost, make: MakePublisher, other: str
) -> None:
    blocked = Blocked(then=unavailable())
    host.faults["send"] = [blocked]
    publisher = make(max_retry_duration=timedelta(0))
    publisher.publish("t", "lost", force_flush=other == "force_flush")
    first = asyncio.create_task(publisher.flush() if other == "flush" else asyncio.sleep(0))
    await blocked.reached.wait()
    second = asyncio.create_task(publisher.flush())
    await asyncio.sleep(0)
    blocked.release()
    with pytest.raises(TimeoutError):
        await second
    await asyncio.gather(first, return_exceptions=True)
    assert host.values == []


# --- cancellation, and leaving without sending


async def test_a_cancelled_flush_keeps_the_items_and_they_are_stored_once(
    host: FakeHost, make: MakePublisher
) -> None:
    under_way = BlockedReply()  # stored, not acknowledged
    host.faults["send"] = [under_way]
    publisher = make()
    publisher.publish("t", 1)
    flush = asyncio.create_task(publisher.flush())
    await under_way.reached.wait()
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    publisher.publish("t", 2)
    await publisher.flush()
    assert (host.values, sequences(host)) == ([1, 2], [1, 1, 2])


async def test_a_cancelled_exit_passes_through_leaves_no_task_and_names_what_is_left(
    host: FakeHost, make: MakePublisher, unsent: Callable[[], list[str]]
) -> None:
    async def publish_and_cancel_the_exit() -> None:
        blocked = Blocked()
        host.faults["send"] = [blocked]
        publisher = make()
        await publisher.start()
        publisher.publish("t", 1)
        publisher.publish("t", 2, force_flush=True)
        await blocked.reached.wait()
        leaving = asyncio.create_task(publisher.stop())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert leaving.cancelled()

    await publish_and_cancel_the_exit()
    await happens(lambda: not [t for t in asyncio.all_tasks() if "Publisher" in repr(t)])
    await happens(lambda: len(unsent()) > 0)
    assert unsent()[0].startswith("2 published items for 'order-1' were never acknowledged.")


@pytest.mark.parametrize("fault", [unavailable, not_found])
async def test_a_hurried_exit_tries_once_and_does_not_hide_the_cancellation(
    host: FakeHost,
    make: MakePublisher,
    unsent: Callable[[], list[str]],
    fault: Callable[[], Exception],
) -> None:
    publisher = make()
    await publisher.start()
    host.faults["send"] = [fault()]
    publisher.publish("t", 1)
    await publisher.stop(hurry=True)
    assert (host.calls["send"], host.values) == (1, [])
    del publisher
    assert len(unsent()) == 1


async def test_a_hurried_exit_sends_what_is_left_when_it_can(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    await publisher.start()
    publisher.publish("t", 1)
    await publisher.stop(hurry=True)
    assert host.values == [1]


async def test_a_publisher_that_goes_away_with_unsent_items_warns_and_says_what_to_do(
    make: MakePublisher, unsent: Callable[[], list[str]]
) -> None:
    publisher = make()
    for n in range(3):
        publisher.publish("t", n)
    del publisher
    assert unsent() == [
        "3 published items for 'order-1' were never acknowledged. "
        "Call `await client.flush()`, or publish inside `async with client`."
    ]


async def test_a_publisher_that_has_sent_everything_goes_away_silently(
    make: MakePublisher, unsent: Callable[[], list[str]]
) -> None:
    publisher = make()
    publisher.publish("t", 1)
    await publisher.flush()
    del publisher
    assert unsent() == []

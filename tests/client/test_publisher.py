"""The publisher on a stream with scripted faults: what is accepted is stored once, or named."""

from __future__ import annotations

import asyncio
import base64
import gc
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError

from streamlib.client.publisher import Publisher
from streamlib.client.stats import ClientStats
from streamlib.client.transport import BatchRefusedError
from streamlib.core.dedup import Publishers
from streamlib.errors import (
    BatchGivenUpError,
    BatchTimeoutError,
    GivenUpBatch,
    ItemEncodeError,
    StreamNotFoundError,
    StreamUnavailableError,
    UnsentItemsWarning,
)
from streamlib.wire.encode import encode_item
from tests.fakes import (
    Blocked,
    BlockedReply,
    FakeHost,
    FakeTransport,
    LostReply,
    busy,
    happens,
    not_found,
    permission_denied,
    rate_limited,
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


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(seconds=-1), 0.5, None])
async def test_a_batch_interval_that_is_no_time_above_zero_raises_and_says_what_to_do(
    make: MakePublisher, interval: Any
) -> None:
    with pytest.raises(ValueError, match=r"batch_interval is .*above 0.*force_flush=True"):
        make(batch_interval=interval)


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), 5, None])
async def test_a_retry_duration_that_is_no_time_or_below_zero_raises_where_it_is_given(
    make: MakePublisher, duration: Any
) -> None:
    with pytest.raises(ValueError, match=r"max_retry_duration is .*try once.*publisher_ttl"):
        make(max_retry_duration=duration)


@pytest.mark.parametrize("size", [0, -1, True])
@pytest.mark.parametrize("name", ["max_batch_size", "max_batch_bytes"])
async def test_a_batch_limit_below_one_raises_and_names_it(
    make: MakePublisher, name: str, size: int
) -> None:
    with pytest.raises(ValueError, match=f"{name} is {size};"):
        make(**{name: size})


async def test_a_batch_holds_as_many_bytes_as_it_may_and_no_more(
    host: FakeHost, make: MakePublisher
) -> None:
    size = encode_item("t", "x", PayloadConverter.default).size
    publisher = make(max_batch_bytes=3 * size)
    for _ in range(7):
        publisher.publish("t", "x")
    await publisher.flush()
    assert [len(batch["items"]) for batch in host.batches] == [3, 3, 1]
    publisher = make(max_batch_bytes=3 * size, max_batch_size=2)
    for _ in range(3):
        publisher.publish("t", "x")
    await publisher.flush()
    assert [len(batch["items"]) for batch in host.batches][3:] == [2, 1]


async def test_an_item_larger_than_max_batch_bytes_travels_alone(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make(max_batch_bytes=1)
    for n in range(2):
        publisher.publish("t", n)
    await publisher.flush()
    assert (host.values, sequences(host)) == ([0, 1], [1, 2])


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


async def test_a_flush_whose_items_another_one_sends_waits_for_no_later_item(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher, first, later = make(), Blocked(), Blocked()
    host.faults["send"] = [first, later]
    publisher.publish("t", 0)
    flushes = asyncio.gather(publisher.flush(), publisher.flush())
    await first.reached.wait()
    publisher.publish("t", 1)
    first.release()
    await asyncio.wait_for(flushes, 5)
    assert (host.values, publisher.unsent) == ([0], 1)
    later.release()
    await publisher.flush()
    assert host.values == [0, 1]


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
    with pytest.raises(TimeoutError, match=r"Batch 1 \(item 1 .*server down"):
        await publisher.flush()
    await publisher.flush()
    assert (host.values, sequences(host)) == (["kept"], [2])


async def test_a_given_up_batch_may_be_stored_and_the_next_one_still_is(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [LostReply()]
    publisher = make(max_retry_duration=timedelta(0))
    publisher.publish("t", 1)
    with pytest.raises(TimeoutError, match="may be stored, or not"):
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


# --- refused for good


def values_of(batch: dict[str, Any]) -> list[Any]:
    payloads = [Payload.FromString(base64.b64decode(item["data"])) for item in batch["items"]]
    return PayloadConverter.default.from_payloads(payloads)


def poison(host: FakeHost, *values: object) -> None:
    """Every batch that holds one of these values is refused for good."""
    host.refuses = lambda batch: any(value in values for value in values_of(batch))


async def test_a_refused_batch_is_split_until_all_of_it_is_stored_in_order(
    host: FakeHost, make: MakePublisher
) -> None:
    host.refuses = lambda batch: len(batch["items"]) > 2
    publisher = make()
    for n in range(9):
        publisher.publish("t", n)
    await publisher.flush()
    assert host.values == list(range(9))
    assert sequences(host) == list(range(1, len(host.batches) + 1)), "each has its own number"
    assert publisher.unsent == 0


async def test_a_poisoned_item_is_given_up_by_name_and_all_others_are_stored(
    host: FakeHost, make: MakePublisher
) -> None:
    poison(host, 5)
    publisher = make()
    for n in range(8):
        publisher.publish(f"topic-{n}", n)
    with pytest.raises(BatchGivenUpError) as raised:
        await publisher.flush()
    assert not isinstance(raised.value, TimeoutError)
    assert host.values == [0, 1, 2, 3, 4, 6, 7]
    size = encode_item("topic-5", 5, PayloadConverter.default).size
    [sequence] = [b["sequence"] for b in host.batches if values_of(b) == [5]]
    reason = "refused for good: too large"
    assert raised.value.batches == (
        GivenUpBatch(5, 1, ("topic-5",), size, sequence, reason, may_be_stored=False),
    )
    await publisher.flush()


async def test_a_server_that_refuses_everything_ends_with_every_item_named(
    host: FakeHost, make: MakePublisher
) -> None:
    host.refuses = lambda batch: True
    publisher = make()
    for n in range(20):
        publisher.publish("t", n)
    with pytest.raises(BatchGivenUpError) as raised:
        await publisher.flush()
    assert [(b.first, b.count) for b in raised.value.batches] == [(n, 1) for n in range(20)]
    assert (host.values, publisher.unsent, len(host.batches)) == ([], 0, 39)
    host.refuses = lambda batch: False
    publisher.publish("t", "later")
    await publisher.flush()
    assert host.values == ["later"]


async def test_what_is_published_while_a_batch_is_split_comes_after_it(
    host: FakeHost, make: MakePublisher
) -> None:
    refused = Blocked(then=BatchRefusedError("too large"))
    half = Blocked()
    host.faults["send"] = [refused, half]
    publisher = make()
    for n in range(4):
        publisher.publish("t", n)
    flush = asyncio.create_task(publisher.flush())
    for n, blocked in ((4, refused), (5, half)):
        await blocked.reached.wait()
        publisher.publish("t", n)
        blocked.release()
    await flush
    assert host.values == [0, 1, 2, 3], "flush waits for no later item"
    await publisher.flush()
    assert host.values == [0, 1, 2, 3, 4, 5]


async def test_a_batch_that_may_be_stored_is_not_split_but_named_as_such(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [LostReply(), BatchRefusedError("too large")]
    publisher = make()
    publisher.publish("a", 1)
    publisher.publish("b", 2)
    with pytest.raises(BatchTimeoutError) as raised:
        await publisher.flush()
    assert host.values == [1, 2], "stored, and not twice"
    [given_up] = raised.value.batches
    assert (given_up.count, given_up.topics, given_up.may_be_stored) == (2, ("a", "b"), True)
    assert given_up.reason == "refused for good: too large. Last: the reply was lost"


async def test_each_of_two_flushes_learns_of_every_poisoned_item_of_its_own_and_once(
    host: FakeHost, make: MakePublisher
) -> None:
    poison(host, 1, 4)
    blocked = Blocked()
    host.faults["send"] = [blocked]
    publisher = make(max_batch_size=2)
    told: list[list[int]] = []

    async def flush() -> None:
        try:
            await publisher.flush()
            told.append([])
        except BatchGivenUpError as error:
            told.append([batch.first for batch in error.batches])

    for n in range(3):
        publisher.publish("t", n)
    first = asyncio.create_task(flush())
    await blocked.reached.wait()
    for n in range(3, 6):
        publisher.publish("t", n)
    second = asyncio.create_task(flush())
    await asyncio.sleep(0)
    blocked.release()
    await asyncio.gather(first, second)
    assert sorted(told) == [[1], [1, 4]]
    assert host.values == [0, 2, 3, 5]
    await publisher.flush()


async def test_what_was_given_up_in_the_background_is_told_once_and_nothing_waited_for_it(
    host: FakeHost, make: MakePublisher
) -> None:
    poison(host, 0, 2)
    publisher = make(max_batch_size=1)
    await publisher.start()
    for n in range(4):
        publisher.publish("t", n)
    await happens(lambda: host.values == [1, 3] and publisher.unsent == 0)
    with pytest.raises(BatchGivenUpError) as raised:
        publisher.publish("t", "not buffered")
    assert [batch.first for batch in raised.value.batches] == [0, 2]
    publisher.publish("t", 5)
    await publisher.stop()
    assert host.values == [1, 3, 5]


async def test_a_flush_tells_what_was_given_up_before_it_and_sends_all_the_same(
    host: FakeHost, make: MakePublisher
) -> None:
    poison(host, 0)
    publisher = make()
    publisher.publish("t", 0, force_flush=True)
    await happens(lambda: publisher.unsent == 0)
    with pytest.raises(BatchGivenUpError):
        publisher.publish("t", "not buffered")
    publisher.publish("t", 0, force_flush=True)
    publisher.publish("t", 1)
    await happens(lambda: publisher.unsent == 0)
    with pytest.raises(BatchGivenUpError) as raised:
        await publisher.flush()
    assert [batch.first for batch in raised.value.batches] == [1]
    assert host.values == [1]
    await publisher.flush()


async def test_what_a_cancelled_flush_would_have_told_is_told_by_the_next_one(
    host: FakeHost, make: MakePublisher
) -> None:
    poison(host, 0)
    blocked = Blocked()
    publisher = make(max_batch_bytes=1)
    publisher.publish("t", 0)
    publisher.publish("t", 1)
    host.faults["send"] = [BatchRefusedError("too large"), blocked]
    flush = asyncio.create_task(publisher.flush())
    await blocked.reached.wait()
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    with pytest.raises(BatchGivenUpError) as raised:
        await publisher.flush()
    assert [batch.first for batch in raised.value.batches] == [0]
    assert host.values == [1]


async def test_what_was_given_up_is_told_beside_an_error_that_ends_the_flush(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [BatchRefusedError("too large"), permission_denied()]
    publisher = make(max_batch_bytes=1)
    publisher.publish("t", 0)
    publisher.publish("t", 1)
    with pytest.raises(BatchGivenUpError) as raised:
        await publisher.flush()
    assert isinstance(raised.value.__cause__, RPCError)
    await publisher.flush()
    assert host.values == [1]


async def test_exit_stores_all_but_the_poisoned_items_and_names_them(
    host: FakeHost, make: MakePublisher
) -> None:
    poison(host, 1, 3)
    publisher = make()
    await publisher.start()
    for n in range(5):
        publisher.publish("t", n)
    with pytest.raises(BatchGivenUpError) as raised:
        await publisher.stop()
    assert [batch.first for batch in raised.value.batches] == [1, 3]
    assert host.values == [0, 2, 4]


async def test_after_a_poisoned_item_exit_still_waits_for_an_outage_to_end(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [BatchRefusedError("too large"), unavailable(), unavailable()]
    publisher = make(max_batch_size=1)
    for n in range(2):
        publisher.publish("t", n)
    with pytest.raises(BatchGivenUpError):
        await publisher.stop()
    assert host.values == [1]


async def test_a_hurried_exit_with_a_poisoned_batch_stores_the_rest_and_ends(
    host: FakeHost, make: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    poison(host, 1)
    publisher = make()
    await publisher.start()
    for n in range(5):
        publisher.publish("t", n)
    await publisher.stop(hurry=True)
    assert host.values == [0, 2, 3, 4]
    assert "certainly not stored" in caplog.text


# --- too old


async def test_a_batch_that_is_too_old_is_given_up_before_it_is_sent_again(
    host: FakeHost, make: MakePublisher
) -> None:
    under_way = BlockedReply()  # stored, not acknowledged
    host.faults["send"] = [under_way]
    publisher = make(max_retry_duration=timedelta(milliseconds=20))
    publisher.publish("t", 1)
    flush = asyncio.create_task(publisher.flush())
    await under_way.reached.wait()
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    host.publishers = Publishers()  # the stream has forgotten the publisher meanwhile
    began = asyncio.get_running_loop().time()
    await happens(lambda: asyncio.get_running_loop().time() > began + 0.02)
    publisher.publish("t", 2)
    with pytest.raises(BatchTimeoutError, match="cancelled before there was an answer") as raised:
        await publisher.flush()
    [given_up] = raised.value.batches
    assert (given_up.first, given_up.count, given_up.may_be_stored) == (0, 1, True)
    await publisher.flush()
    assert (host.values, sequences(host)) == ([1, 2], [1, 2])


async def test_a_flush_waits_for_no_second_batch_once_the_first_was_too_old(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [unavailable()]
    publisher = make(max_batch_bytes=1, max_retry_duration=timedelta(0))
    for n in range(2):
        publisher.publish("t", n)
    with pytest.raises(BatchTimeoutError):
        await publisher.flush()
    assert (host.calls["send"], host.values, publisher.unsent) == (1, [], 1)
    await publisher.flush()
    assert host.values == [1]


async def test_once_a_batch_was_too_old_exit_tries_what_is_left_once_and_names_it(
    host: FakeHost, make: MakePublisher, unsent: Callable[[], list[str]]
) -> None:
    host.faults["send"] = [unavailable() for _ in range(9)]
    publisher = make(max_batch_bytes=1, max_retry_duration=timedelta(0))
    for n in range(3):
        publisher.publish("t", n)
    with pytest.raises(BatchTimeoutError) as raised:
        await publisher.stop()
    assert [batch.first for batch in raised.value.batches] == [0]
    assert (host.calls["send"], publisher.unsent) == (2, 2)
    del publisher, raised
    assert [text.split(" for ")[0] for text in unsent()] == ["2 published items"]


async def test_once_sending_failed_for_good_exit_tries_what_is_left_once(
    host: FakeHost, make: MakePublisher
) -> None:
    publisher = make()
    await failed_in_the_background(host, publisher)
    host.faults["send"] = [unavailable() for _ in range(9)]
    with pytest.raises(RPCError):
        await publisher.stop()
    assert host.calls["send"] == 2
    host.faults["send"] = []
    await publisher.flush()
    assert host.values == [1]


async def test_what_the_server_said_no_to_is_sent_however_late(
    host: FakeHost, make: MakePublisher
) -> None:
    host.faults["send"] = [permission_denied()]
    publisher = make(max_retry_duration=timedelta(0))
    publisher.publish("t", 1)
    with pytest.raises(RPCError):
        await publisher.flush()
    await publisher.flush()
    assert host.values == [1]


# --- what it says


async def test_normal_life_is_silent(
    host: FakeHost, make: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="streamlib")
    publisher = make()
    publisher.publish("t", 1)
    await publisher.flush()
    assert caplog.records == []


@pytest.mark.parametrize("fault", [unavailable, rate_limited])
async def test_trouble_is_logged_once_and_its_end_once(
    host: FakeHost,
    make: MakePublisher,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[], StreamUnavailableError],
) -> None:
    caplog.set_level("INFO", logger="streamlib")
    publisher = make()
    for n in range(2):
        host.faults["send"] = [fault(), fault()]
        publisher.publish("t", n)
        await publisher.flush()
    assert [(r.levelname, r.getMessage().split(",")[0]) for r in caplog.records] == [
        ("WARNING", "The stream 'order-1' takes no batches"),
        ("INFO", "The stream 'order-1' takes batches again"),
    ] * 2
    assert fault().reason in caplog.text


async def test_a_buffer_that_is_full_for_a_moment_is_not_worth_a_line(
    host: FakeHost, make: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="streamlib")
    host.faults["send"] = [busy(), busy()]
    publisher = make()
    publisher.publish("t", 1)
    await publisher.flush()
    assert (host.values, caplog.records) == ([1], [])


async def test_what_was_given_up_is_logged_and_counted(
    host: FakeHost, make: MakePublisher, caplog: pytest.LogCaptureFixture
) -> None:
    poison(host, 1)
    host.faults["send"] = [unavailable()]
    publisher = make(max_batch_size=2)
    assert publisher.stats == ClientStats()
    publisher.publish("first", 0)
    await publisher.flush()
    publisher.publish("fine", 0)
    publisher.publish("secret", 1)
    with pytest.raises(BatchGivenUpError):
        await publisher.flush()
    [error] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "'secret'" in error
    assert "Batch 4 (item 3 of this client" in error
    assert publisher.stats == ClientStats(sent=2, retried=1, refused=2, given_up=1)


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

    before = asyncio.all_tasks()
    await publish_and_cancel_the_exit()
    await happens(lambda: asyncio.all_tasks() - {asyncio.current_task()} <= before)
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

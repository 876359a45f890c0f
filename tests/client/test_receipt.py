"""A bounded buffer, and receipts that say what became of an item; on a simulated clock."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.converter import PayloadConverter

import streamlib.client.receipt
from streamlib.client.publisher import Publisher
from streamlib.client.receipt import Outcome, Receipt
from streamlib.core.limits import StreamLimits
from streamlib.errors import (
    BatchGivenUpError,
    BatchTimeoutError,
    BufferFullError,
    ItemTooLargeError,
    NotAStreamError,
    StreamNotFoundError,
    StreamUnavailableError,
)
from streamlib.wire.encode import encode_item
from tests.fakes import (
    NOON,
    WORKFLOW_ID,
    Blocked,
    FakeHost,
    FakeTransport,
    LostReply,
    not_found,
    unavailable,
)
from tests.world.clock import run

# Some are left with items that were never sent.
pytestmark = pytest.mark.filterwarnings("ignore::streamlib.errors.UnsentItemsWarning")

Living = Callable[[FakeHost], Coroutine[Any, Any, None]]

SIZE = encode_item("t", "x", PayloadConverter.default).size
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """What was dropped is buried before the next test, and warns nobody there."""
    yield
    gc.collect()


def live(living: Living) -> FakeHost:
    """Live through a test with a host, in simulated time."""
    host = FakeHost()
    run(living(host))
    return host


def publisher(host: FakeHost, **options: Any) -> Publisher:
    defaults = {"batch_interval": HOUR, "max_batch_size": None, "max_retry_duration": HOUR}
    return Publisher(FakeTransport(host), PayloadConverter.default, **defaults | options)


async def outcome(receipt: Receipt) -> Outcome:
    return await asyncio.wait_for(receipt, 60)


# --- a buffer with a bound


def test_publish_on_a_full_buffer_raises_loses_nothing_and_has_what_is_there_sent() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_buffer_bytes=2 * SIZE)
        mine.publish("t", "a")
        mine.publish("t", "b")
        with pytest.raises(BufferFullError) as raised:
            mine.publish("t", "c")
        assert (raised.value.size, raised.value.buffered) == (SIZE, 2 * SIZE)
        assert raised.value.limit == 2 * SIZE
        await asyncio.sleep(1)
        mine.publish("t", "c")
        await mine.flush()
        assert host.values == ["a", "b", "c"]

    live(living)


def test_without_a_bound_there_is_always_room() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        for n in range(1_000):
            mine.publish("t", n)
        await mine.flush()
        assert len(host.values) == 1_000

    live(living)


def test_an_item_that_is_larger_than_the_buffer_is_refused_at_once() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_buffer_bytes=SIZE - 1)
        with pytest.raises(ItemTooLargeError) as raised:
            mine.publish("t", "a")
        with pytest.raises(ItemTooLargeError):
            await asyncio.wait_for(mine.send("t", "a"), 1)
        assert raised.value.limit == SIZE - 1
        assert mine.unsent == 0

    live(living)


@pytest.mark.parametrize("size", [0, -1, 1.5, float("nan"), "9"])
def test_a_buffer_for_less_than_a_byte_or_for_what_is_no_number_cannot_be(size: Any) -> None:
    with pytest.raises(ValueError, match="max_buffer_bytes"):
        publisher(FakeHost(), max_buffer_bytes=size)


def test_send_waits_for_room_and_many_enter_in_their_turn() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_buffer_bytes=3 * SIZE)
        receipts = await asyncio.gather(*(mine.send("t", chr(65 + n)) for n in range(20)))
        assert mine.unsent <= 3
        assert [(await outcome(each)).offset for each in receipts] == [*range(20)]
        assert host.values == [chr(65 + n) for n in range(20)]

    live(living)


def test_a_publisher_that_is_faster_than_the_stream_keeps_no_more_than_its_bound() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_buffer_bytes=10 * SIZE)
        host.faults["send"] = [unavailable(), LostReply()] * 30
        await mine.start()
        for n in range(300):
            await mine.send("t", chr(1_000 + n))
            assert mine._outbox.unsettled_bytes <= 10 * (SIZE + 20)
        await mine.stop()
        assert host.values == [chr(1_000 + n) for n in range(300)]
        assert mine._outbox.unsettled_bytes == 0

    live(living)


def test_a_cancelled_wait_for_room_buffers_nothing() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_buffer_bytes=SIZE)
        blocked = Blocked()
        host.faults["send"] = [blocked]
        await mine.send("t", "a")
        waiting = asyncio.create_task(mine.send("t", "b"))
        await blocked.reached.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert mine.unsent == 1
        blocked.release()
        await mine.flush()
        assert host.values == ["a"]

    live(living)


def test_who_waits_for_room_is_told_what_keeps_it_from_it_and_nothing_is_lost() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_buffer_bytes=SIZE)
        host.faults["send"] = [not_found()]
        await mine.send("t", "a")
        with pytest.raises(StreamNotFoundError):
            await mine.send("t", "b")
        await mine.send("t", "b")
        await mine.flush()
        assert host.values == ["a", "b"]

    live(living)


# --- receipts


def test_a_receipt_tells_the_offset() -> None:
    async def living(host: FakeHost) -> None:
        host.append("before")
        mine = publisher(host, max_batch_size=3)
        receipts = [await mine.send("t", n) for n in range(7)]
        assert [await outcome(each) for each in receipts] == [
            Outcome("stored", offset) for offset in range(1, 8)
        ]
        assert await receipts[3] == Outcome("stored", 4), "again, and as often as one likes"

    live(living)


def test_all_that_wait_are_asked_for_by_one_query_and_never_by_an_update() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_batch_size=1)
        receipts = [await mine.send("t", n) for n in range(50)]
        await mine.flush()
        told = await asyncio.gather(*map(outcome, receipts))
        assert [each.offset for each in told] == [*range(50)]
        assert host.calls["describe"] == 1
        assert host.calls["poll"] == 0
        await asyncio.gather(*map(outcome, receipts))
        assert host.calls["describe"] == 1, "what is known is not asked again"

    live(living)


def test_what_had_no_room_in_an_answer_is_asked_for_again() -> None:
    async def living(host: FakeHost) -> None:
        host.stream.limits = StreamLimits(item_bytes=3_000, topic_bytes=100, page_bytes=4_000)
        mine = publisher(host, max_batch_size=1)
        receipts = [await mine.send("t", n) for n in range(150)]
        await mine.flush()
        told = await asyncio.gather(*map(outcome, receipts))
        assert told == [Outcome("stored", n) for n in range(150)]
        assert 1 < host.calls["describe"] < 10

    live(living)


def test_a_host_that_leaves_out_more_than_it_was_asked_for_is_not_asked_for_ever() -> None:
    class Lies(FakeHost):
        def described(self, *asked: Any) -> dict[str, Any]:
            return super().described(*asked) | {"verdicts": [], "verdicts_left_out": 2**62}

    async def living(host: FakeHost) -> None:
        receipt = await publisher(host).send("t", "x")
        assert (await outcome(receipt)).verdict == "unknown"
        assert host.calls["describe"] == 1

    run(living(Lies()))


def test_an_item_whose_acknowledgement_was_lost_is_stored_where_its_first_copy_is() -> None:
    async def living(host: FakeHost) -> None:
        host.faults["send"] = [LostReply()]
        mine = publisher(host)
        assert await outcome(await mine.send("t", "a")) == Outcome("stored", 0)
        assert [batch["sequence"] for batch in host.batches] == [1, 1]

    live(living)


def test_a_batch_that_the_stream_takes_for_an_old_one_is_a_duplicate() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.publishers.accept(mine.publisher_id, 9, NOON)  # forged
        assert await outcome(await mine.send("t", "a")) == Outcome("duplicate")

    live(living)


def test_a_batch_that_the_host_refused_says_why() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        receipt = await mine.send("t", "a")
        host.publish = lambda batch: None  # type: ignore[method-assign]
        host.stream.refuse(mine.publisher_id, "it is too large", NOON, 1)
        assert await outcome(receipt) == Outcome("refused", reason="it is too large")

    live(living)


def test_a_batch_that_cannot_be_sent_is_refused_and_told_to_who_waits_for_all_of_it() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.refuses = lambda batch: True
        receipt = await mine.send("t", "a")
        told = await outcome(receipt)
        assert (told.verdict, told.offset) == ("refused", None)
        assert "too large" in told.reason
        mine.publish("t", "b")
        with pytest.raises(BatchGivenUpError) as raised:
            await mine.flush()
        assert [batch.sequence for batch in raised.value.batches] == [2], "1 was told"

    live(living)


def test_what_nobody_waits_for_is_told_as_ever() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.refuses = lambda batch: True
        waited = await mine.send("t", "a")
        await mine.send("t", "b")
        assert (await outcome(waited)).verdict == "refused"
        await asyncio.sleep(1)
        with pytest.raises(BatchGivenUpError) as raised:
            mine.publish("t", "c")
        assert [batch.first for batch in raised.value.batches] == [1], "b's receipt lies unread"

    live(living)


def test_a_batch_of_which_somebody_waits_for_a_part_is_told_as_ever() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_retry_duration=timedelta(seconds=5))
        host.faults["send"] = [unavailable()] * 30
        waited = await mine.send("t", "a")
        mine.publish("t", "b")
        assert (await outcome(waited)).verdict == "unknown"
        with pytest.raises(BatchTimeoutError) as raised:
            await mine.flush()
        assert [(batch.first, batch.count) for batch in raised.value.batches] == [(0, 2)]

    live(living)


def test_of_a_batch_without_an_answer_the_host_is_asked_all_the_same() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_retry_duration=timedelta(seconds=5))
        host.faults["send"] = [LostReply(), *[unavailable()] * 30]
        assert await outcome(await mine.send("t", "a")) == Outcome("stored", 0)
        host.faults["send"] = [unavailable()] * 30
        told = await outcome(await mine.send("t", "b"))
        assert (told.verdict, told.offset) == ("unknown", None)
        assert "does not remember" in told.reason
        host.faults["send"] = [unavailable()] * 30
        mine.publish("t", "c")
        with pytest.raises(BatchTimeoutError):
            await mine.flush()

    live(living)


def test_a_host_that_does_not_say_leaves_it_unknown() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.knows_names = False
        assert (await outcome(await mine.send("t", "a"))).verdict == "unknown"
        for error in (NotAStreamError(WORKFLOW_ID), not_found()):
            host.faults["describe"] = [error]
            told = await outcome(await mine.send("t", "a"))
            assert (told.verdict, bool(told.reason)) == ("unknown", True)

    live(living)


def test_of_many_batches_a_query_asks_for_no_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_batch_size=1)
        receipts = [await mine.send("t", n) for n in range(25)]
        await mine.flush()
        told = await asyncio.gather(*map(outcome, receipts))
        assert [each.offset for each in told] == [*range(25)]
        assert host.calls["describe"] == 3

    monkeypatch.setattr(streamlib.client.receipt, "MOST", 10)
    live(living)


def test_a_query_that_hangs_is_asked_again_in_time() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.faults["describe"] = [Blocked()]
        assert await outcome(await mine.send("t", "a")) == Outcome("stored", 0)

    live(living)


def test_a_host_that_does_not_answer_can_be_asked_again() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.faults["describe"] = [unavailable()] * 1_000
        receipt = await mine.send("t", "a")
        with pytest.raises(StreamUnavailableError):
            await outcome(receipt)
        host.faults["describe"] = []
        assert await outcome(receipt) == Outcome("stored", 0)

    live(living)


def test_what_keeps_an_item_from_being_sent_is_raised_and_the_item_is_kept() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host)
        host.faults["send"] = [not_found(), not_found()]
        receipts = [await mine.send("t", n) for n in range(2)]
        told = await asyncio.gather(*map(outcome, receipts), return_exceptions=True)
        assert all(isinstance(each, StreamNotFoundError) for each in told)
        assert [(await outcome(each)).offset for each in receipts] == [0, 1]

    live(living)


def test_a_cancelled_receipt_changes_nothing_and_the_others_get_their_answer() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, max_batch_size=1)
        blocked = Blocked()
        host.faults["describe"] = [blocked]
        receipts = [await mine.send("t", n) for n in range(3)]
        first, second = (asyncio.create_task(outcome(each)) for each in receipts[:2])
        await blocked.reached.wait()
        third = asyncio.create_task(outcome(receipts[2]))
        await asyncio.sleep(0.1)
        first.cancel()
        blocked.release()
        assert [(await each).offset for each in (second, third)] == [1, 2]
        assert (await outcome(receipts[0])).offset == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    live(living)


def test_receipts_go_on_while_the_client_sends_in_the_background() -> None:
    async def living(host: FakeHost) -> None:
        mine = publisher(host, batch_interval=timedelta(seconds=2))
        await mine.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        receipt = await mine.send("t", "a")
        assert await outcome(receipt) == Outcome("stored", 0)
        assert loop.time() - began < 1, "who waits does not wait for the interval"
        await mine.stop()

    live(living)

"""The outbox: every retry rule of a publisher, without a clock and without `await`."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamlib.core.outbox import Batch, InFlight, Outbox


def box_of(text: str, max_items: int | None = None, max_bytes: int = 100) -> Outbox[str]:
    """An outbox with an entry of one byte for each letter."""
    box: Outbox[str] = Outbox(max_items, max_bytes)
    for letter in text:
        box.add(letter, size=1)
    return box


def test_an_empty_outbox_has_nothing_to_send() -> None:
    box = box_of("")
    assert box.next_batch(now=0.0) is None
    assert (box.in_flight, box.unsettled, box.added, box.settled) == (None, 0, 0, 0)


def test_without_a_limit_one_batch_takes_it_all() -> None:
    assert box_of("abc").next_batch(now=0.0) == Batch(("a", "b", "c"), 1)


def test_a_batch_holds_at_most_max_items() -> None:
    box = box_of("abc", max_items=2)
    assert box.next_batch(now=0.0) == Batch(("a", "b"), 1)
    box.acknowledge()
    assert box.next_batch(now=0.0) == Batch(("c",), 2)


def test_a_batch_holds_at_most_max_bytes_but_one_entry_always_fits() -> None:
    box = box_of("abc", max_bytes=2)
    box.add("huge", size=50)
    batches = []
    while batch := box.next_batch(now=0.0):
        batches.append(batch.entries)
        box.acknowledge()
    assert batches == [("a", "b"), ("c",), ("huge",)]


def test_until_its_fate_is_known_the_same_batch_is_sent_again() -> None:
    box = box_of("a")
    first = box.next_batch(now=1.0)
    box.add("b", size=1)
    assert box.next_batch(now=5.0) is first
    assert first is not None
    assert box.in_flight == InFlight(first, since=1.0)
    assert (box.unsettled, box.settled) == (2, 0)


def test_a_given_up_batch_takes_its_sequence_with_it() -> None:
    box = box_of("ab", max_items=1)
    box.next_batch(now=0.0)
    assert box.give_up() == Batch(("a",), 1)
    assert box.next_batch(now=9.0) == Batch(("b",), 2)
    assert box.in_flight == InFlight(Batch(("b",), 2), since=9.0)


def test_it_is_full_when_the_buffer_alone_holds_a_whole_batch() -> None:
    box = box_of("ab", max_items=2)
    assert box.full
    box.next_batch(now=0.0)
    assert not box.full
    assert not box_of("abc").full


@pytest.mark.parametrize("letters", ["", "ab"])
@pytest.mark.parametrize("call", ["acknowledge", "give_up"])
def test_settling_what_is_not_in_flight_raises_and_changes_nothing(call: str, letters: str) -> None:
    box = box_of(letters)
    with pytest.raises(RuntimeError, match="no batch is in flight"):
        getattr(box, call)()
    assert (box.unsettled, box.in_flight) == (len(letters), None)
    assert (box.next_batch(now=0.0) or Batch((), 1)) == Batch(tuple(letters), 1)


class OutboxUnderAnyCalls(RuleBasedStateMachine):
    """Entries are numbers that count up, with a size; whatever happens, none is lost or moved."""

    MAX_ITEMS, MAX_BYTES = 3, 10

    def __init__(self) -> None:
        super().__init__()
        self.box: Outbox[int] = Outbox(self.MAX_ITEMS, self.MAX_BYTES)
        self.sizes: list[int] = []
        self.settled: list[Batch[int]] = []
        self.now = 0.0

    @rule(size=st.integers(0, 12))
    def add(self, size: int) -> None:
        self.box.add(len(self.sizes), size)
        self.sizes.append(size)

    @rule(passed=st.floats(0, 10))
    def next_batch(self, passed: float) -> None:
        self.now += passed
        before = self.box.in_flight
        batch = self.box.next_batch(self.now)
        assert batch is None if before is None and not self.box.unsettled else batch is not None
        if before is not None:
            assert (self.box.in_flight, batch) == (before, before.batch)
        elif batch is not None:
            assert self.box.in_flight == InFlight(batch, self.now)

    @rule(stored=st.booleans())
    def settle(self, stored: bool) -> None:
        in_flight = self.box.in_flight
        if in_flight is None:
            with pytest.raises(RuntimeError):
                self.box.acknowledge() if stored else self.box.give_up()
            return
        self.box.acknowledge() if stored else self.box.give_up()
        self.settled.append(in_flight.batch)

    @invariant()
    def nothing_is_lost_or_moved_and_sequences_count_up(self) -> None:
        in_flight = self.box.in_flight
        batches = self.settled + ([in_flight.batch] if in_flight else [])
        sent = [entry for batch in batches for entry in batch.entries]
        assert sent == list(range(len(sent)))
        assert [batch.sequence for batch in batches] == list(range(1, len(batches) + 1))
        assert self.box.added == len(self.sizes)
        assert self.box.settled == sum(len(batch.entries) for batch in self.settled)
        assert self.box.unsettled == len(self.sizes) - self.box.settled

    @invariant()
    def no_batch_is_larger_than_its_limits(self) -> None:
        for batch in self.settled:
            assert 1 <= len(batch.entries) <= self.MAX_ITEMS
            size = sum(self.sizes[entry] for entry in batch.entries)
            assert size <= self.MAX_BYTES or len(batch.entries) == 1


TestOutboxUnderAnyCalls = OutboxUnderAnyCalls.TestCase
TestOutboxUnderAnyCalls.settings = settings(max_examples=50, deadline=None)

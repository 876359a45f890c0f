"""The outbox: every retry rule of a publisher, without a clock and without `await`."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamlib.core.outbox import InFlight, Outbox, OutgoingBatch


def box_of(
    text: str,
    max_items: int | None = None,
    max_bytes: int = 100,
    max_age: float = math.inf,
) -> Outbox[str]:
    """An outbox with an entry of one byte for each letter."""
    box: Outbox[str] = Outbox(max_items, max_bytes, max_age)
    for letter in text:
        box.add(letter, size=1)
    return box


def test_an_empty_outbox_has_nothing_to_send() -> None:
    box = box_of("")
    assert box.next_batch(now=0.0) is None
    assert (box.in_flight, box.unsettled, box.added, box.settled) == (None, 0, 0, 0)


def test_without_a_limit_one_batch_takes_it_all() -> None:
    assert box_of("abc").next_batch(now=0.0) == OutgoingBatch(("a", "b", "c"), 1)


def test_a_batch_holds_at_most_max_items() -> None:
    box = box_of("abc", max_items=2)
    assert box.next_batch(now=0.0) == OutgoingBatch(("a", "b"), 1)
    box.acknowledge()
    assert box.next_batch(now=0.0) == OutgoingBatch(("c",), 2)


def test_entries_of_just_max_bytes_are_one_batch_and_empty_ones_cost_nothing() -> None:
    box = box_of("abc", max_bytes=3)
    for _ in range(5):
        box.add("", size=0)
    assert box.next_batch(now=0.0) == OutgoingBatch(("a", "b", "c", "", "", "", "", ""), 1)


def test_whichever_limit_is_reached_first_ends_a_batch() -> None:
    box = box_of("abcd", max_items=3, max_bytes=4)
    box.add("wide", size=4)
    batches = []
    while batch := box.next_batch(now=0.0):
        batches.append(batch.entries)
        box.acknowledge()
    assert batches == [("a", "b", "c"), ("d",), ("wide",)]


def test_a_batch_holds_at_most_max_bytes_but_one_entry_always_fits() -> None:
    box = box_of("abc", max_bytes=2)
    box.add("huge", size=50)
    batches = []
    while batch := box.next_batch(now=0.0):
        batches.append(batch.entries)
        box.acknowledge()
    assert batches == [("a", "b"), ("c",), ("huge",)]


def test_until_it_is_settled_the_same_batch_is_sent_again() -> None:
    box = box_of("a")
    first = box.next_batch(now=1.0)
    box.doubt("no answer")
    box.add("b", size=1)
    assert box.next_batch(now=5.0) is first
    assert first is not None
    assert box.in_flight == InFlight(first, since=1.0, doubt="no answer")
    assert (box.unsettled, box.settled) == (2, 0)


def test_it_is_full_when_the_buffer_alone_holds_a_whole_batch() -> None:
    box = box_of("ab", max_items=2)
    assert box.full
    box.next_batch(now=0.0)
    assert not box.full
    assert not box_of("abc").full


# --- too old


def test_what_was_in_doubt_for_longer_than_it_may_is_given_up_before_it_is_sent_again() -> None:
    box = box_of("ab", max_items=1, max_age=10.0)
    first = box.next_batch(now=1.0)
    box.doubt("no answer")
    assert box.expire(now=11.0) is None, "just as old as it may be"
    assert box.expire(now=11.1) == InFlight(first, 1.0, "no answer")
    assert (box.settled, box.in_flight) == (1, None)
    assert box.next_batch(now=12.0) == OutgoingBatch(("b",), 2), "its sequence went with it"
    assert box.in_flight == InFlight(OutgoingBatch(("b",), 2), since=12.0)


def test_what_is_certainly_not_stored_never_grows_too_old() -> None:
    box = box_of("a", max_age=10.0)
    box.next_batch(now=0.0)
    assert box.expire(now=99.0) is None, "the server said no: nobody has it"
    box.next_batch(now=99.0)
    box.doubt("no answer")
    assert box.expire(now=100.0) is None, "only now it is in doubt"
    box.next_batch(now=105.0)
    box.doubt("no answer again")
    assert box.expire(now=109.1) == InFlight(OutgoingBatch(("a",), 1), 99.0, "no answer again")


def test_an_empty_outbox_has_nothing_that_is_too_old() -> None:
    assert box_of("", max_age=0.0).expire(now=9.0) is None
    assert box_of("a", max_age=0.0).expire(now=9.0) is None


# --- refused for good


def sent_of(box: Outbox[str], refused: str) -> list[tuple[str, int]]:
    """Send it all, refuse what holds a letter of `refused`: what was stored, under which number."""
    stored = []
    while batch := box.next_batch(now=0.0):
        if set(batch.entries) & set(refused):
            box.refuse()
        else:
            stored.append(("".join(batch.entries), batch.sequence))
            box.acknowledge()
    assert box.unsettled == 0
    return stored


def test_a_refused_batch_goes_again_as_its_halves_before_what_came_later() -> None:
    box = box_of("abcde")
    box.next_batch(now=0.0)
    box.add("f", size=1)
    assert box.refuse() is None
    assert (box.in_flight, box.settled, box.unsettled) == (None, 0, 6)
    assert box.next_batch(now=3.0) == OutgoingBatch(("a", "b"), 2)
    box.acknowledge()
    assert box.next_batch(now=3.0) == OutgoingBatch(("c", "d", "e"), 3)
    box.acknowledge()
    assert box.next_batch(now=3.0) == OutgoingBatch(("f",), 4)


def test_a_single_entry_that_is_refused_is_given_up_and_what_follows_goes_on() -> None:
    box = box_of("ab", max_items=1)
    batch = box.next_batch(now=1.0)
    assert box.refuse() == InFlight(batch, since=1.0)
    assert (box.settled, box.unsettled) == (1, 1)
    assert box.next_batch(now=1.0) == OutgoingBatch(("b",), 2)


@pytest.mark.parametrize(
    ("refused", "stored"),
    [
        ("a", [("b", 5), ("cd", 6), ("efgh", 7)]),
        ("e", [("abcd", 2), ("f", 6), ("gh", 7)]),
        ("dh", [("ab", 3), ("c", 5), ("ef", 8), ("g", 10)]),
        ("abcdefgh", []),
    ],
)
def test_only_the_poisoned_entries_are_lost_and_the_others_keep_their_order(
    refused: str, stored: list[tuple[str, int]]
) -> None:
    assert sent_of(box_of("abcdefgh"), refused) == stored


def test_what_may_be_stored_is_not_split_since_its_halves_would_be_stored_again() -> None:
    box = box_of("ab")
    batch = box.next_batch(now=1.0)
    box.doubt("the reply was lost")
    box.next_batch(now=2.0)
    assert box.refuse() == InFlight(batch, 1.0, "the reply was lost")
    assert (box.settled, box.unsettled) == (2, 0)


@pytest.mark.parametrize("letters", ["", "ab"])
@pytest.mark.parametrize("call", ["acknowledge", "refuse", "doubt"])
def test_settling_what_is_not_in_flight_raises_and_changes_nothing(call: str, letters: str) -> None:
    box = box_of(letters)
    with pytest.raises(RuntimeError, match="no batch is in flight"):
        getattr(box, call)(*["why"] if call == "doubt" else [])
    assert (box.unsettled, box.in_flight) == (len(letters), None)
    assert (box.next_batch(now=0.0) or OutgoingBatch((), 1)) == OutgoingBatch(tuple(letters), 1)


class OutboxUnderAnyCalls(RuleBasedStateMachine):
    """Entries are numbers that count up, with a size; whatever happens, none is lost or moved."""

    MAX_ITEMS, MAX_BYTES, MAX_AGE = 5, 15, 20.0

    def __init__(self) -> None:
        super().__init__()
        self.box: Outbox[int] = Outbox(self.MAX_ITEMS, self.MAX_BYTES, self.MAX_AGE)
        self.sizes: list[int] = []
        self.settled: list[int] = []
        self.sent: dict[int, tuple[int, ...]] = {}  # by sequence
        self.first_doubt: float | None = None  # of the batch in flight
        self.tried = 0.0
        self.now = 0.0

    @rule(size=st.integers(0, 20))
    def add(self, size: int) -> None:
        self.box.add(len(self.sizes), size)
        self.sizes.append(size)

    @rule(passed=st.floats(0, 10))
    def send(self, passed: float) -> None:
        self.now += passed
        before = self.box.in_flight
        old = self.first_doubt is not None and self.now - self.first_doubt > self.MAX_AGE
        expired = self.box.expire(self.now)
        assert (expired is not None) == old
        if expired is not None:
            self.settles(expired.batch.entries)
            return
        self.tried = self.now
        batch = self.box.next_batch(self.now)
        assert (batch is None) == (self.box.unsettled == 0)
        if before is not None:
            assert batch is before.batch
        elif batch is not None:
            assert batch.sequence == len(self.sent) + 1
            self.sent[batch.sequence] = batch.entries

    @rule()
    def no_answer(self) -> None:
        if self.box.in_flight is not None:
            self.box.doubt("no answer")
            if self.first_doubt is None:
                self.first_doubt = self.tried

    @rule()
    def stored(self) -> None:
        if (flight := self.box.in_flight) is not None:
            self.box.acknowledge()
            self.settles(flight.batch.entries)

    @rule()
    def refused(self) -> None:
        if (flight := self.box.in_flight) is not None:
            given_up = self.box.refuse()
            if len(flight.batch.entries) == 1 or self.first_doubt is not None:
                assert given_up == flight
                self.settles(flight.batch.entries)
            else:
                assert given_up is None

    def settles(self, entries: tuple[int, ...]) -> None:
        self.settled += entries
        self.first_doubt = None

    @invariant()
    def nothing_is_lost_or_moved(self) -> None:
        flight = self.box.in_flight
        sent = self.settled + list(flight.batch.entries if flight else ())
        assert sent == list(range(len(sent)))
        assert self.box.added == len(self.sizes)
        assert self.box.settled == len(self.settled)
        assert self.box.unsettled == len(self.sizes) - len(self.settled)
        assert (flight is not None and flight.doubt is not None) == (self.first_doubt is not None)

    @invariant()
    def no_batch_is_larger_than_its_limits(self) -> None:
        for entries in self.sent.values():
            assert 1 <= len(entries) <= self.MAX_ITEMS
            size = sum(self.sizes[entry] for entry in entries)
            assert size <= self.MAX_BYTES or len(entries) == 1


TestOutboxUnderAnyCalls = OutboxUnderAnyCalls.TestCase
TestOutboxUnderAnyCalls.settings = settings(max_examples=80, deadline=None)

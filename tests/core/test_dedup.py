"""Deduplication against the naive model: a set of all batches that ever came."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.dedup import PublisherRow, Publishers

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def test_a_batch_that_comes_again_is_a_duplicate() -> None:
    table = Publishers()
    assert table.accept("p", 1, NOON)
    assert not table.accept("p", 1, NOON)


def test_a_batch_older_than_the_last_accepted_one_is_a_duplicate() -> None:
    table = Publishers()
    assert table.accept("p", 5, NOON)
    assert not table.accept("p", 4, NOON)


def test_a_gap_in_the_sequence_is_accepted_because_a_publisher_may_give_a_batch_up() -> None:
    table = Publishers()
    assert [table.accept("p", n, NOON) for n in (1, 3, 4)] == [True, True, True]


def test_publishers_do_not_disturb_each_other() -> None:
    table = Publishers()
    assert table.accept("p", 9, NOON)
    assert table.accept("q", 1, NOON)
    assert (len(table), sorted(table)) == (2, ["p", "q"])


def test_a_batch_without_a_publisher_is_always_new_and_leaves_no_row() -> None:
    table = Publishers()
    assert table.accept("", 1, NOON)
    assert table.accept("", 1, NOON)
    assert len(table) == 0


def test_a_dropped_duplicate_does_not_keep_its_publisher_alive() -> None:
    table = Publishers()
    table.accept("p", 1, NOON)
    table.accept("p", 1, NOON + MINUTE)
    assert table.snapshot(NOON, MINUTE) == {"p": PublisherRow(1, NOON, accepted=1, dropped=1)}


def test_what_became_of_each_batch_is_counted() -> None:
    table = Publishers()
    for sequence in (1, 2, 2, 1, 3):
        table.accept("p", sequence, NOON)
    table.refuse("p")
    assert dict(table.items()) == {"p": PublisherRow(3, NOON, accepted=3, dropped=2, refused=1)}


def test_a_refused_batch_changes_no_sequence_and_keeps_nobody_alive() -> None:
    table = Publishers()
    table.accept("p", 1, NOON)
    table.refuse("p")
    assert table.accept("p", 2, NOON)
    table.refuse("p")
    assert table.snapshot(NOON + MINUTE, timedelta(0)) == {}


def test_a_refused_batch_from_a_stranger_leaves_no_row() -> None:
    table = Publishers()
    table.refuse("stranger")
    table.refuse("")
    assert len(table) == 0


def test_pruning_forgets_the_idle_and_only_them() -> None:
    table = Publishers()
    table.accept("old", 1, NOON)
    table.accept("new", 1, NOON + MINUTE)
    table.prune(NOON + 2 * MINUTE, MINUTE)
    assert [name for name, _ in table.items()] == ["new"]
    assert not table.accept("new", 1, NOON + 2 * MINUTE)
    assert table.accept("old", 1, NOON + 2 * MINUTE), "past the TTL a retry is taken for new"


def test_publishers_come_in_the_order_they_first_came() -> None:
    table = Publishers()
    for name in ("b", "a", "b", "c"):
        table.accept(name, 9, NOON)
    assert [name for name, _ in table.items()] == ["b", "a", "c"]


def test_a_snapshot_leaves_out_who_was_idle_for_longer_than_the_ttl() -> None:
    table = Publishers()
    table.accept("old", 1, NOON)
    table.accept("just", 2, NOON + MINUTE)
    now = NOON + 2 * MINUTE
    assert table.snapshot(now, MINUTE) == {"just": PublisherRow(2, NOON + MINUTE, accepted=1)}
    assert table.snapshot(now, 2 * MINUTE).keys() == {"old", "just"}


def test_a_snapshot_is_a_copy() -> None:
    table = Publishers()
    table.accept("p", 1, NOON)
    table.snapshot(NOON, MINUTE)["p"].sequence = 99
    assert table.accept("p", 2, NOON)


def test_a_table_made_from_a_snapshot_goes_on_where_the_old_one_was() -> None:
    table = Publishers({"p": PublisherRow(3, NOON)})
    assert not table.accept("p", 3, NOON)
    assert table.accept("p", 4, NOON)


@given(st.data())
def test_in_order_sends_with_any_duplicates_are_accepted_exactly_once(data: st.DataObject) -> None:
    """A publisher sends 1, 2, 3 … and may repeat any earlier batch at any time."""
    table, accepted = Publishers(), set[tuple[str, int]]()
    sent = dict.fromkeys("pq", 0)
    for _ in range(data.draw(st.integers(0, 30))):
        name = data.draw(st.sampled_from("pq"))
        sequence = data.draw(st.integers(1, sent[name] + 1))
        sent[name] = max(sent[name], sequence)
        assert table.accept(name, sequence, NOON) == ((name, sequence) not in accepted)
        accepted.add((name, sequence))


@given(st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 9))))
def test_in_any_order_nothing_is_accepted_twice_and_the_sequence_never_goes_back(
    batches: list[tuple[str, int]],
) -> None:
    table = Publishers()
    accepted = [batch for batch in batches if table.accept(*batch, NOON)]
    assert len(accepted) == len(set(accepted))
    for name in "pq":
        sequences = [sequence for who, sequence in accepted if who == name]
        assert sequences == sorted(sequences)
        assert not sequences or sequences[-1] == max(s for who, s in batches if who == name)


@given(
    st.lists(st.tuples(st.sampled_from("pqr"), st.integers(1, 5), st.integers(0, 9)), max_size=40)
)
def test_a_pruned_table_never_loses_who_was_seen_within_the_ttl(
    batches: list[tuple[str, int, int]],
) -> None:
    """As the stream does it: prune before each batch. Times only go forward."""
    pruned, kept, now = Publishers(), Publishers(), NOON
    for name, sequence, minutes in batches:
        now += minutes * MINUTE
        pruned.prune(now, 5 * MINUTE)
        recent = kept.snapshot(now, 5 * MINUTE)
        assert pruned.snapshot(now, 5 * MINUTE) == recent
        assert pruned.accept(name, sequence, now) == (
            name not in recent or sequence > recent[name].sequence
        )
        kept = Publishers(recent)
        kept.accept(name, sequence, now)

"""The cursor: it only ever moves on, and no gap is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.cursor import Cursor
from streamlib.errors import InvalidOffsetError


def test_it_starts_where_it_is_told_and_has_missed_nothing() -> None:
    cursor = Cursor(4)
    assert (cursor.position, cursor.missed) == (4, 0)


@pytest.mark.parametrize("offset", [-1, 1.0, 1.9, True, "3", None])
def test_no_cursor_starts_at_what_is_no_offset(offset: object) -> None:
    with pytest.raises(InvalidOffsetError) as raised:
        Cursor(offset)  # type: ignore[arg-type]
    assert raised.value.offset == offset


def test_a_gap_is_reported_once_with_the_next_item() -> None:
    cursor = Cursor(1)
    cursor.skip_to(3)
    assert [cursor.deliver(3), cursor.deliver(4)] == [2, 0]
    assert (cursor.position, cursor.missed) == (5, 2)


def test_gaps_with_no_item_between_them_add_up() -> None:
    cursor = Cursor()
    cursor.skip_to(2)
    cursor.skip_to(5)
    assert cursor.deliver(6) == 5


def test_a_base_at_or_behind_the_position_is_no_gap() -> None:
    cursor = Cursor(5)
    cursor.skip_to(5)
    cursor.skip_to(1)
    assert (cursor.position, cursor.missed) == (5, 0)


def test_what_the_filter_passes_over_is_not_missed() -> None:
    cursor = Cursor()
    cursor.pass_over(7)
    assert (cursor.position, cursor.missed, cursor.deliver(9)) == (7, 0, 0)


def test_a_page_that_ends_behind_it_does_not_move_it_back() -> None:
    cursor = Cursor(7)
    cursor.pass_over(3)
    assert cursor.position == 7


MOVES = st.tuples(st.sampled_from(["skip_to", "deliver", "pass_over"]), st.integers(0, 30))


@given(st.integers(0, 10), st.lists(MOVES))
def test_whatever_happens_each_offset_is_either_passed_or_missed(
    start: int, moves: list[tuple[str, int]]
) -> None:
    cursor = Cursor(start)
    passed, missed, reported = set[int](), set[int](), 0
    for move, offset in moves:
        ahead = set(range(cursor.position, offset + (move == "deliver")))
        (missed if move == "skip_to" else passed).update(ahead)
        reported += getattr(cursor, move)(offset) or 0
        assert cursor.position == start + len(passed) + len(missed)
        assert cursor.missed == len(missed)
        assert reported <= cursor.missed
    assert reported + cursor.deliver(99) == cursor.missed

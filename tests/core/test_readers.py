"""Named readers, without a stream: who has a name, and where it has come to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamlib.core.readers import FORGOTTEN, MOST, TTL, ReaderRow, Readers

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


def joined(position: int = 3, end: int = 9) -> Readers:
    readers = Readers()
    assert readers.join("billing", "new", position, NOON, end)
    return readers


def row(readers: Readers, name: str = "billing") -> ReaderRow:
    return dict(readers.items())[name]


def test_a_new_name_begins_where_it_says_and_a_known_one_resumes() -> None:
    readers = joined()
    readers.commit("billing", "new", 5, NOON, 9)
    assert readers.join("billing", "newer", 0, NOON + SECOND, 9)
    assert row(readers) == ReaderRow(5, "newer", NOON + SECOND, commits=1)


def test_the_last_to_join_has_the_name_and_older_commits_are_refused() -> None:
    readers = joined()
    readers.join("billing", "newer", 0, NOON, 9)
    assert not readers.commit("billing", "new", 5, NOON, 9)
    assert readers.commit("billing", "newer", 4, NOON, 9)
    assert (row(readers).position, row(readers).refused, readers.refused) == (4, 1, 1)


@pytest.mark.parametrize(
    ("name", "token", "position"),
    [("billing", "new", 10), ("billing", "new", 2), ("billing", "forged", 5), ("who", "new", 5)],
)
def test_what_cannot_be_committed_is_refused_counted_and_changes_nothing(
    name: str, token: str, position: int
) -> None:
    readers = joined()
    assert not readers.commit(name, token, position, NOON + SECOND, 9)
    assert (row(readers).position, row(readers).commits, row(readers).last_seen) == (3, 0, NOON)
    assert (row(readers).refused, readers.refused) == (name == "billing", 1)
    assert len(readers) == 1


def test_to_commit_the_same_position_again_is_no_fault() -> None:
    readers = joined()
    assert readers.commit("billing", "new", 3, NOON + SECOND, 9)
    assert (row(readers).last_seen, readers.refused) == (NOON + SECOND, 0)


def test_only_a_rewind_goes_back_and_by_the_newest_token() -> None:
    readers = joined()
    assert not readers.commit("billing", "old", 1, NOON, 9, rewind=True)
    assert readers.commit("billing", "new", 1, NOON, 9, rewind=True)
    assert row(readers).position == 1
    assert not readers.commit("billing", "new", 10, NOON, 9, rewind=True)


def test_a_stream_keeps_so_many_names_and_no_more() -> None:
    readers = Readers()
    joins = [readers.join(f"n{n}", "t", 0, NOON, 0) for n in range(MOST + 900)]
    assert joins == [True] * MOST + [False] * 900
    assert (len(readers), readers.refused) == (MOST, 900)
    assert readers.join("n0", "again", 0, NOON, 0), "a name that is there is no new one"


def test_a_new_name_cannot_begin_beyond_the_end() -> None:
    readers = Readers()
    assert not readers.join("n", "t", 10, NOON, 9)
    assert (len(readers), readers.refused) == (0, 1)


def test_a_name_is_forgotten_when_nobody_came_for_what_there_is_to_read() -> None:
    readers = joined(position=3)
    readers.prune(NOON + TTL, end=9)
    assert len(readers) == 1
    readers.prune(NOON + TTL + SECOND, end=9)
    assert len(readers) == 0
    [gone] = readers.forgotten
    assert (gone.name, gone.position, gone.at) == ("billing", 3, NOON + TTL + SECOND)


def test_who_has_nothing_to_read_is_not_forgotten_and_has_its_time_when_something_comes() -> None:
    readers = joined(position=9)
    readers.prune(NOON + 10 * TTL, end=9)
    readers.prune(NOON + 11 * TTL, end=10)
    assert len(readers) == 1
    readers.prune(NOON + 11 * TTL + SECOND, end=10)
    assert len(readers) == 0


def test_only_the_last_that_were_forgotten_are_told() -> None:
    readers = Readers(ttl=SECOND)
    for n in range(MOST):
        readers.join(f"n{n}", "t", 0, NOON, 9)
    readers.prune(NOON + 2 * SECOND, 9)
    assert [each.name for each in readers.forgotten] == [
        f"n{n}" for n in range(MOST - FORGOTTEN, MOST)
    ]


def test_the_slowest_is_the_one_with_the_lowest_position() -> None:
    readers = joined(position=3)
    assert Readers().slowest is None
    readers.join("audit", "t", 1, NOON, 9)
    assert readers.slowest == 1


def test_a_snapshot_is_a_copy() -> None:
    readers = joined()
    readers.snapshot(NOON, 9)["billing"].position = 99
    assert row(readers).position == 3


def test_a_snapshot_leaves_out_whom_a_look_would_forget_and_forgets_nobody() -> None:
    readers = joined(position=3)
    readers.join("waits", "t", 9, NOON, 9)
    assert readers.snapshot(NOON + TTL, 9).keys() == {"billing", "waits"}
    assert readers.snapshot(NOON + TTL + SECOND, 9).keys() == {"waits"}
    assert (len(readers), len(readers.forgotten)) == (2, 0)
    assert row(readers, "waits").last_seen == NOON


class ReadersAgainstADict(RuleBasedStateMachine):
    """Random joins and commits; `stands` and `tokens` are what somebody would note by hand."""

    names = st.sampled_from(["a", "b"])
    tokens = st.sampled_from(["x", "y", "z"])
    positions = st.integers(0, 8)

    def __init__(self) -> None:
        super().__init__()
        self.readers, self.end = Readers(), 0
        self.stands: dict[str, int] = {}
        self.token: dict[str, str] = {}
        self.refused = 0

    @rule(count=st.integers(0, 3))
    def items_come(self, count: int) -> None:
        self.end += count

    @rule(name=names, token=tokens, position=positions)
    def join(self, name: str, token: str, position: int) -> None:
        fine = name in self.stands or position <= self.end
        assert self.readers.join(name, token, position, NOON, self.end) == fine
        self.refused += not fine
        if fine:
            self.stands.setdefault(name, position)
            self.token[name] = token

    @rule(name=names, token=tokens, position=positions, rewind=st.booleans())
    def commit(self, name: str, token: str, position: int, rewind: bool) -> None:
        fine = self.token.get(name) == token and position <= self.end
        fine = fine and (rewind or position >= self.stands[name])
        done = self.readers.commit(name, token, position, NOON, self.end, rewind=rewind)
        assert done == fine
        self.refused += not fine
        if fine:
            self.stands[name] = position

    @invariant()
    def it_stands_where_the_notes_say(self) -> None:
        rows = dict(self.readers.items())
        assert {name: row.position for name, row in rows.items()} == self.stands
        assert {name: row.token for name, row in rows.items()} == self.token
        assert self.readers.refused == self.refused
        assert all(row.position <= self.end for row in rows.values())


TestReadersAgainstADict = ReadersAgainstADict.TestCase
TestReadersAgainstADict.settings = settings(max_examples=50, deadline=None)


@pytest.mark.parametrize("ttl", [5, "soon", timedelta(), timedelta(seconds=-1)])
def test_what_is_no_ttl_is_told_at_once_and_not_when_a_name_would_be_forgotten(ttl: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="reader_ttl"):
        Readers(ttl=ttl)

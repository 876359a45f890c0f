"""A stream of somebody's own parts does what one of ours does."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import settings

from streamlib.core.dedup import PublisherRow, Publishers
from streamlib.core.hosting import HostedStream
from streamlib.core.log import Item, Log, Page
from streamlib.core.parts import LogOf, PublishersOf, StreamParts
from tests.core.test_log import LogAgainstAList

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


class SmallLog:
    """No more than is asked for: plain attributes, positional arguments, a list and a slice."""

    def __init__(self, base_offset: int = 0) -> None:
        self.base_offset = self.end_offset = base_offset
        self.kept: list[tuple[int, Item]] = []

    def append(self, item: Item, /) -> int:
        self.kept.append((self.end_offset, item))
        self.end_offset += 1
        return self.end_offset - 1

    def read(self, from_offset: int, topics: Collection[str], max_bytes: int, /) -> Page:
        log = Log(self.base_offset)
        for _, item in self.kept:
            log.append(item)
        return log.read(from_offset, topics, max_bytes)

    def truncate(self, up_to_offset: int, /) -> None:
        Log(self.end_offset).truncate(up_to_offset)  # raises what it should
        self.kept = [each for each in self.kept if each[0] >= up_to_offset]
        self.base_offset = max(self.base_offset, up_to_offset)


class SmallTable:
    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def accept(self, publisher_id: str, sequence: int, now: datetime, /) -> bool:
        new = not publisher_id or sequence > self.last.get(publisher_id, 0)
        if new and publisher_id:
            self.last[publisher_id] = sequence
        return new


OWN = StreamParts(SmallLog, SmallTable)


class OwnLogAgainstAList(LogAgainstAList):
    def __init__(self) -> None:
        super().__init__()
        self.log = OWN.make_log()


TestOwnLogAgainstAList = OwnLogAgainstAList.TestCase
TestOwnLogAgainstAList.settings = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize(("part", "whole"), [(LogOf, Log), (PublishersOf, Publishers)])
def test_nothing_of_a_part_is_answered_from_a_log_or_a_table_of_ours(
    part: type[Log], whole: type[Log]
) -> None:
    rows = {"knows", "refuse", "snapshot", "items", "__len__", "__iter__"}  # of what was decided
    members = {
        name
        for name, value in vars(whole).items()
        if callable(value) or isinstance(value, property)
        if not name.startswith("_") or name in ("__len__", "__iter__")
    }
    assert members - (rows if part is PublishersOf else set()) <= set(vars(part))


def test_a_stream_is_made_of_ours_unless_others_are_named() -> None:
    assert type(StreamParts().make_log(5)) is Log
    assert type(StreamParts().make_publishers({})) is Publishers
    log, table = OWN.make_log(5), OWN.make_publishers({})
    assert (type(log), log.base_offset, type(table)) == (LogOf, 5, PublishersOf)


def test_a_host_appends_to_an_own_log_what_an_own_table_takes() -> None:
    stream = HostedStream(OWN.make_log(), OWN.make_publishers({}), now=NOON)
    item = Item("t", "data", 9)
    assert [stream.take([item, item], "p", n, NOON) for n in (1, 1, 2)] == [
        "accepted",
        "duplicate",
        "accepted",
    ]
    assert [offset for offset, _ in stream.read(0).items] == [0, 1, 2, 3]
    assert (stream.log.size, len(stream.log)) == (36, 4)
    assert [offset for offset, _ in stream.log.items_from(1, 2)] == [1, 2]
    assert dict(stream.publishers.items()) == {"p": PublisherRow(2, NOON, accepted=2, dropped=1)}


def test_a_duplicate_keeps_nobody_alive_in_an_own_table() -> None:
    table = OWN.make_publishers({})
    for now in (NOON, NOON + MINUTE):
        table.accept("p", 1, now)
    assert dict(table.items()) == {"p": PublisherRow(1, NOON, accepted=1, dropped=1)}


def test_an_own_table_knows_whom_the_rows_know_and_forgets_whom_they_forget() -> None:
    rows = {"old": PublisherRow(3, NOON), "new": PublisherRow(3, NOON + MINUTE)}
    table = OWN.make_publishers(rows)
    assert not table.accept("old", 3, NOON + MINUTE)
    table.prune(NOON + 2 * MINUTE, MINUTE)
    now = NOON + 2 * MINUTE
    assert (table.accept("old", 3, now), table.accept("new", 3, now)) == (True, False)
    assert table.accept("", 1, now)
    assert table.accept("", 1, now)
    assert sorted(table) == ["new", "old"]

"""Deduplication: which batch of which publisher was here already.

A publisher numbers its batches 1, 2, 3 … and sends a batch again, under the same number, until it
is acknowledged. So the last accepted number is all that has to be remembered:

    last accepted 3:   1 2 3 | 4 5 …
               duplicate <---|---> accepted, and remembered

A gap (3, then 5) is accepted: it is a batch that the publisher gave up. Pure: the time of a batch
is an argument. Publishers are forgotten by age alone, never by count: forgetting one that is still
retrying would let its duplicate in.

Next: `retry.py` and `outbox.py`, the other end: how a publisher retries and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass
class PublisherRow:
    """What the log knows of one publisher: its last accepted sequence, and when that came.

    And how many of its batches were accepted, dropped as duplicates, and refused as invalid.
    """

    sequence: int
    last_seen: datetime
    accepted: int = 0
    dropped: int = 0
    refused: int = 0


class Publishers:
    """The publishers' table.

    Invariant: a publisher's sequence never goes back, and only `accept` changes it: neither a
    duplicate nor a refused batch does.

    Example:
        >>> table, noon = Publishers(), datetime(2026, 1, 1, 12)
        >>> table.accept("p", 1, noon), table.accept("p", 1, noon), table.accept("p", 2, noon)
        (True, False, True)
    """

    def __init__(self, rows: Mapping[str, PublisherRow] | None = None) -> None:
        self._rows = dict(rows or {})

    def accept(self, publisher_id: str, sequence: int, now: datetime) -> bool:
        """Return whether the batch is new, and remember it if so.

        A batch without a publisher id cannot be told from another, and is always new.
        """
        if not publisher_id:
            return True
        row = self._rows.get(publisher_id)
        if row is None:
            row = self._rows[publisher_id] = PublisherRow(sequence, now)
        elif sequence <= row.sequence:
            row.dropped += 1
            return False
        row.sequence, row.last_seen = sequence, now
        row.accepted += 1
        return True

    def knows(self, publisher_id: str, sequence: int) -> bool:
        """Whether a batch that says it has this sequence, from 1 on, would be a duplicate."""
        row = self._rows.get(publisher_id)
        return row is not None and 0 < sequence <= row.sequence

    def refuse(self, publisher_id: str) -> None:
        """Count an invalid batch. One from nobody we know leaves no row."""
        if (row := self._rows.get(publisher_id)) is not None:
            row.refused += 1

    def snapshot(self, now: datetime, ttl: timedelta) -> dict[str, PublisherRow]:
        """Return a copy of the rows that were seen within `ttl`. The table itself is unchanged."""
        return {
            publisher_id: replace(row)
            for publisher_id, row in self._rows.items()
            if now - row.last_seen <= ttl
        }

    def prune(self, now: datetime, ttl: timedelta) -> None:
        """Forget the publishers that were not seen within `ttl`."""
        self._rows = self.snapshot(now, ttl)

    def items(self) -> Iterator[tuple[str, PublisherRow]]:
        """All publishers. The rows are the table's own."""
        return iter(self._rows.items())

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

"""Named readers: where each has come to, kept with the stream, so that it resumes there.

    join    a new token: the last one to join has the name   -> resume at the position
    commit  all before a position was handled                -> the position moves on
    rewind  the same, backwards, because somebody says so    -> the position moves back

    what is told                  by the newest token       by an older one, or by a forged one
    ----------------------------  ------------------------  -----------------------------------
    from the position to the end  taken                     refused
    back                          refused, unless a rewind  refused
    beyond the end                refused                   refused

A name is for one reader at a time, and items are handled at least once: what was handled and not
yet committed comes again. Pure: the time is an argument, and tokens are made by who joins.

Next: `hosting.py`, which keeps them beside the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from streamlib.errors import InvalidLimitsError, shown

MOST = 100
"""How many names a stream keeps: a state, and an answer, must hold them all."""

NAME_BYTES = 200
"""The most that a name may have, as it travels."""

TTL = timedelta(days=7)
"""How long a name is kept whose reader has something to read, and does not come."""

FORGOTTEN = 16
"""How many of the names that were forgotten are told."""


Action = Literal["join", "commit", "rewind"]


class ReaderTold(NamedTuple):
    """Who says where it stands, in the log of which id (None: whichever this is)."""

    action: Action
    name: str
    token: str
    position: int
    stream_id: str | None


@dataclass
class ReaderRow:
    """What the stream knows of one name: all before `position` was handled.

    `refused` counts the commits under this name that were none; `last_seen` is when it joined or
    committed last, or was last known to have nothing to read.
    """

    position: int
    token: str
    last_seen: datetime
    commits: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Forgotten:
    """A name that was forgotten, where it stood, and when."""

    name: str
    position: int
    at: datetime


class Readers:
    """The table of named readers.

    Invariants: a position goes back only by a rewind; it is never beyond the end; there are `MOST`
    names at most; what is refused changes counters, and nothing else.

    Example:
        >>> readers, noon = Readers(), datetime(2026, 1, 1, 12)
        >>> readers.join("billing", "a", 0, noon, end=9), readers.commit("billing", "a", 5, noon, 9)
        (True, True)
        >>> readers.join("billing", "b", 0, noon, end=9), readers.commit("billing", "a", 7, noon, 9)
        (True, False)
        >>> readers.slowest
        5
    """

    def __init__(self, rows: Mapping[str, ReaderRow] | None = None, ttl: timedelta = TTL) -> None:
        """Begin with these rows.

        Raises:
            TypeError, InvalidLimitsError: The TTL is no time, or none above 0.
        """
        if not isinstance(ttl, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"reader_ttl is {shown(ttl)}, and no timedelta")
        if ttl <= timedelta():
            raise InvalidLimitsError("reader_ttl", ttl, "a time above 0, or None")
        self._rows = dict(rows or {})
        self._ttl = ttl
        self.refused = 0  # of this run, of all names and of none
        self.forgotten: deque[Forgotten] = deque(maxlen=FORGOTTEN)

    @property
    def ttl(self) -> timedelta:
        """How long a name is kept whose reader has something to read, and does not come."""
        return self._ttl

    @property
    def slowest(self) -> int | None:
        """The lowest position of all; None without any."""
        return min((row.position for row in self._rows.values()), default=None)

    def join(self, name: str, token: str, position: int, now: datetime, end: int) -> bool:
        """Give the name to who has this token; one that is new begins at `position`.

        Returns:
            False: It is one name too many, or begins beyond the end. It was refused.
        """
        row = self._rows.get(name)
        if row is not None:
            row.token, row.last_seen = token, now
        elif len(self._rows) >= MOST or position > end:
            self.refused += 1
            return False
        else:
            self._rows[name] = ReaderRow(position, token, now)
        return True

    def commit(
        self, name: str, token: str, position: int, now: datetime, end: int, *, rewind: bool = False
    ) -> bool:
        """Note that all before `position` was handled; False if that was refused."""
        row = self._rows.get(name)
        if row is None or row.token != token or position > end:
            return self._refuse(row)
        if position < row.position and not rewind:
            return self._refuse(row)
        row.position, row.last_seen = position, now
        row.commits += 1
        return True

    def refuse(self) -> None:
        """Count what was no commit at all."""
        self.refused += 1

    def prune(self, now: datetime, end: int) -> None:
        """Forget the names that had something to read for longer than the TTL, and did not come."""
        for name, row in [*self._rows.items()]:
            if row.position >= end:
                row.last_seen = now  # it waits for items, as it should
            elif self._is_gone(row, now, end):
                del self._rows[name]
                self.forgotten.append(Forgotten(name, row.position, now))

    def snapshot(self, now: datetime, end: int) -> dict[str, ReaderRow]:
        """Return a copy of the rows that `prune` would leave. The table itself is unchanged."""
        return {
            name: replace(row)
            for name, row in self._rows.items()
            if not self._is_gone(row, now, end)
        }

    def items(self) -> Iterator[tuple[str, ReaderRow]]:
        """All names. The rows are the table's own."""
        return iter(self._rows.items())

    def __len__(self) -> int:
        return len(self._rows)

    def _is_gone(self, row: ReaderRow, now: datetime, end: int) -> bool:
        return row.position < end and now - row.last_seen > self._ttl

    def _refuse(self, row: ReaderRow | None) -> bool:
        self.refused += 1
        if row is not None:
            row.refused += 1
        return False

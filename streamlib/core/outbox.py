"""The outbox: what a publisher has accepted and the stream has not acknowledged yet.

              add                    next_batch             acknowledge
    (caller) -----> buffered items ------------> in flight -------------> gone, all is well
                                                  |  ^  |
                                next_batch: again |__|  | give_up: gone, may or may not be stored

    state \\ call | add   | next_batch         | acknowledge | give_up
    -------------+-------+--------------------+-------------+------------
    empty        | keeps | None               | error       | error
    buffered     | keeps | cuts one, numbers  | error       | error
    in flight    | keeps | the same one again | settles it  | settles it

At most one batch is in flight, so a publisher's order survives every retry. Pure: the time is an
argument, in seconds of any clock that never goes back.

Next: `cursor.py`, the reader's side of the same honesty.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(frozen=True)
class Batch(Generic[E]):
    """Some entries that are accepted or dropped as a whole, under one sequence number."""

    entries: tuple[E, ...]
    sequence: int


@dataclass(frozen=True)
class InFlight(Generic[E]):
    """The batch that was sent and is not acknowledged yet, and since when."""

    batch: Batch[E]
    since: float


class Outbox(Generic[E]):
    """Buffers entries, cuts them into numbered batches, keeps a batch until its fate is known.

    Invariants: entries leave in the order they came; a sequence number is used for one batch only,
    also after that batch was given up (the stream may have accepted it).

    Example:
        >>> box = Outbox(max_items=2)
        >>> for entry in "abc": box.add(entry, size=1)
        >>> box.next_batch(now=0.0)
        Batch(entries=('a', 'b'), sequence=1)
        >>> box.acknowledge(); box.next_batch(now=0.0)
        Batch(entries=('c',), sequence=2)
    """

    def __init__(self, max_items: int | None = None, max_bytes: int = 1_000_000) -> None:
        """Take the most that one batch may hold: entries, and bytes (one entry always fits)."""
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._buffer: deque[tuple[E, int]] = deque()
        self._in_flight: InFlight[E] | None = None
        self._sequence = 0
        self._added = 0

    @property
    def in_flight(self) -> InFlight[E] | None:
        """The batch whose fate is not known yet."""
        return self._in_flight

    @property
    def unsettled(self) -> int:
        """How many entries are buffered or in flight."""
        return len(self._buffer) + (len(self._in_flight.batch.entries) if self._in_flight else 0)

    @property
    def added(self) -> int:
        """How many entries were ever added: a mark to wait for with `settled`."""
        return self._added

    @property
    def settled(self) -> int:
        """How many entries were acknowledged or given up; they settle in the order they came."""
        return self._added - self.unsettled

    @property
    def full(self) -> bool:
        """Whether the buffer holds a whole batch, so that it is time to send."""
        return self._max_items is not None and len(self._buffer) >= self._max_items

    def add(self, entry: E, size: int) -> None:
        """Buffer one entry of `size` bytes."""
        self._buffer.append((entry, size))
        self._added += 1

    def next_batch(self, now: float) -> Batch[E] | None:
        """Return the batch to send now: the one in flight, else a new one, else None."""
        if self._in_flight is None and self._buffer:
            self._sequence += 1
            self._in_flight = InFlight(Batch(self._cut(), self._sequence), now)
        return self._in_flight.batch if self._in_flight else None

    def acknowledge(self) -> None:
        """The batch in flight is stored.

        Raises:
            RuntimeError: Nothing is in flight. Nothing has changed.
        """
        self._settle()

    def give_up(self) -> Batch[E]:
        """Drop the batch in flight and return it: it may be stored, or not.

        Raises:
            RuntimeError: Nothing is in flight. Nothing has changed.
        """
        return self._settle()

    def _settle(self) -> Batch[E]:
        if self._in_flight is None:
            raise RuntimeError("no batch is in flight")
        batch, self._in_flight = self._in_flight.batch, None
        return batch

    def _cut(self) -> tuple[E, ...]:
        """Take the oldest entries off the buffer, as many as one batch may hold."""
        entries: list[E] = []
        size = 0
        while self._buffer and (self._max_items is None or len(entries) < self._max_items):
            size += self._buffer[0][1]
            if entries and size > self._max_bytes:
                break
            entries.append(self._buffer.popleft()[0])
        return tuple(entries)

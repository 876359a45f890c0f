"""The outbox: what a publisher has accepted and the stream has not acknowledged yet.

              add                    next_batch             acknowledge
    (caller) -----> buffered items ------------> in flight -------------> gone, it is stored
                      ^                           |  ^  |
                      |     next_batch: again ____|__|  |  expire: gone, it may be stored
                      |                                 |
                      |______ refuse, of several: ______|  refuse, of one: gone, it is not stored
                              its halves

    state \\ call | add   | next_batch         | doubt   | acknowledge | refuse      | expire
    -------------+-------+--------------------+---------+-------------+-------------+-------------
    empty        | keeps | None               | error   | error       | error       | None
    buffered     | keeps | cuts one, numbers  | error   | error       | error       | None
    in flight    | keeps | the same one again | notes   | settles it  | splits it,  | None
      in doubt   | keeps | the same one again | keeps   | settles it  | or gives up | gives up, if
                 |       |                    |         |             | what may be | it is too old
                 |       |                    |         |             | stored      |

At most one batch is in flight, so a publisher's order survives every retry. A batch is in doubt
once a try had no answer: it may be stored. Only such a batch grows too old, since only that could
be stored twice, once the stream has forgotten its publisher. And it is never cut anew: its halves
have sequences of their own, and the stream would take them for something new.

Pure: the time is an argument, in seconds of any clock that never goes back. Next: `cursor.py`,
the reader's side of the same honesty.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(frozen=True)
class OutgoingBatch(Generic[E]):
    """Some entries that are accepted or dropped as a whole, under one sequence number."""

    entries: tuple[E, ...]
    sequence: int


@dataclass(frozen=True)
class InFlight(Generic[E]):
    """The batch that was sent and is not acknowledged yet."""

    batch: OutgoingBatch[E]
    since: float  # when the first try began of which nobody knows whether it was stored
    doubt: str | None = None  # why nobody knows; None: it is certainly not stored


class Outbox(Generic[E]):
    """Buffers entries, cuts them into numbered batches, keeps a batch until it is settled.

    Invariants: entries leave in the order they came; a sequence number is used for one batch only,
    also after that batch was given up or split (the stream may have accepted it).

    Example:
        >>> box = Outbox(max_items=2)
        >>> for entry in "abc": box.add(entry, size=1)
        >>> box.next_batch(now=0.0)
        OutgoingBatch(entries=('a', 'b'), sequence=1)
        >>> box.acknowledge(); box.next_batch(now=0.0)
        OutgoingBatch(entries=('c',), sequence=2)
    """

    def __init__(
        self,
        max_items: int | None = None,
        max_bytes: int = 1_000_000,
        max_age: float = math.inf,
        max_buffer: int | None = None,
    ) -> None:
        """Take what bounds a batch: entries, bytes (one entry always fits), seconds in doubt.

        Args:
            max_buffer: The most bytes that may be unsettled; None: as many as come. Who adds asks
                first whether there is room.
        """
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._max_buffer = max_buffer
        self._buffer: deque[tuple[E, int]] = deque()
        self._halves: deque[tuple[E, ...]] = deque()  # of refused batches; they go first
        self._in_flight: InFlight[E] | None = None
        self._sizes: deque[int] = deque()  # of all that is not settled, in order
        self._bytes = 0
        self._sequence = 0
        self._added = 0
        self._settled = 0

    @property
    def in_flight(self) -> InFlight[E] | None:
        """The batch that is not settled yet."""
        return self._in_flight

    @property
    def added(self) -> int:
        """How many entries were ever added: a mark to wait for with `settled`."""
        return self._added

    @property
    def settled(self) -> int:
        """How many entries were acknowledged or given up; they settle in the order they came."""
        return self._settled

    @property
    def unsettled(self) -> int:
        """How many entries are buffered or in flight."""
        return self._added - self._settled

    @property
    def unsettled_bytes(self) -> int:
        """The bytes of the entries that are buffered or in flight."""
        return self._bytes

    def has_room(self, size: int) -> bool:
        """Whether an entry of so many bytes can be added now."""
        return self._max_buffer is None or self._bytes + size <= self._max_buffer

    @property
    def full(self) -> bool:
        """Whether the buffer holds a whole batch, so that it is time to send."""
        return self._max_items is not None and len(self._buffer) >= self._max_items

    def add(self, entry: E, size: int) -> None:
        """Buffer one entry of `size` bytes."""
        self._buffer.append((entry, size))
        self._sizes.append(size)
        self._bytes += size
        self._added += 1

    def next_batch(self, now: float) -> OutgoingBatch[E] | None:
        """Return the batch to send now: the one in flight, else a new one, else None.

        Call `expire` first: a batch that is too old may not be sent again.
        """
        if self._in_flight is not None:
            if self._in_flight.doubt is None:
                self._in_flight = replace(self._in_flight, since=now)
        elif entries := self._halves.popleft() if self._halves else self._cut():
            self._sequence += 1
            self._in_flight = InFlight(OutgoingBatch(entries, self._sequence), now)
        return self._in_flight.batch if self._in_flight else None

    def doubt(self, reason: str) -> None:
        """A try of the batch in flight had no answer: from now on it may be stored, or not.

        Raises:
            RuntimeError: Nothing is in flight. Nothing has changed.
        """
        self._in_flight = replace(self._flying(), doubt=reason)

    def acknowledge(self) -> None:
        """The batch in flight is stored.

        Raises:
            RuntimeError: Nothing is in flight. Nothing has changed.
        """
        self._settle()

    def refuse(self) -> InFlight[E] | None:
        """The batch in flight was refused for good: it would be again.

        One of several entries that is certainly not stored is split: its halves are the next
        batches, and the answer is None. Any other is given up and returned.

        Raises:
            RuntimeError: Nothing is in flight. Nothing has changed.
        """
        flight = self._flying()
        entries = flight.batch.entries
        if flight.doubt is not None or len(entries) == 1:
            return self._settle()
        middle = len(entries) // 2
        self._halves.extendleft([entries[middle:], entries[:middle]])
        self._in_flight = None
        return None

    def expire(self, now: float) -> InFlight[E] | None:
        """Give up and return the batch in flight, if it was in doubt for too long; else None."""
        flight = self._in_flight
        if flight is None or flight.doubt is None or now - flight.since <= self._max_age:
            return None
        return self._settle()

    def _flying(self) -> InFlight[E]:
        if self._in_flight is None:
            raise RuntimeError("no batch is in flight")
        return self._in_flight

    def _settle(self) -> InFlight[E]:
        flight, self._in_flight = self._flying(), None
        self._settled += len(flight.batch.entries)
        self._bytes -= sum(self._sizes.popleft() for _ in flight.batch.entries)
        return flight

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

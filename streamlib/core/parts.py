"""The seam by which a stream takes its parts: a log and a publishers' table of somebody's own.

    StreamParts(log=MyLog, publishers=MyPublishers)  -->  WorkflowStream(parts=...)

`LogPart` and `PublishersPart` are all that is asked of them. What else a host wants to know (how
many bytes, which rows) is derived from that here, so it costs O(log) where ours costs O(1). What
each method has to do, ours say: `log.py`, `dedup.py`.

Next: `hosting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from streamlib.core.dedup import PublisherRow, Publishers
from streamlib.core.log import Item, Log, Page

_ALL = 2**63  # bytes: no page has more


class LogPart(Protocol):
    """What a stream needs of a log. The bounds may be properties, or plain attributes."""

    @property
    def base_offset(self) -> int:
        """As `Log.base_offset`."""

    @property
    def end_offset(self) -> int:
        """As `Log.end_offset`."""

    def append(self, item: Item) -> int:
        """As `Log.append`."""

    def read(self, from_offset: int, topics: Collection[str], max_bytes: int) -> Page:
        """As `Log.read`; arguments come by position."""

    def truncate(self, up_to_offset: int) -> None:
        """As `Log.truncate`."""


class PublishersPart(Protocol):
    """What a stream needs of a publishers' table."""

    def accept(self, publisher_id: str, sequence: int, now: datetime) -> bool:
        """As `Publishers.accept`."""


class StreamParts(NamedTuple):
    """What a stream is made of: ours, where nothing else is named.

    They are part of the workflow's code: a change to what they do is to be guarded as any other.

    Example:
        self.stream = WorkflowStream(parts=StreamParts(MyLog, MyPublishers))
    """

    log: Callable[[int], LogPart] = Log
    """Makes an empty log whose first item gets the given offset."""

    publishers: Callable[[], PublishersPart] = Publishers
    """Makes a table that knows nobody."""

    def make_log(self, base_offset: int = 0) -> Log:
        """An empty log for a host."""
        return Log(base_offset) if self.log is Log else LogOf(self.log(base_offset))

    def make_publishers(self, rows: Mapping[str, PublisherRow]) -> Publishers:
        """A table for a host, which knows the publishers of `rows`."""
        if self.publishers is Publishers:
            return Publishers(rows)
        return PublishersOf(self.publishers, rows)


class LogOf(Log):
    """A part, with all that a host asks of a log. It holds nothing: each answer is the part's."""

    def __init__(self, part: LogPart) -> None:
        self._part = part

    @property
    def base_offset(self) -> int:
        """The part's."""
        return self._part.base_offset

    @property
    def end_offset(self) -> int:
        """The part's."""
        return self._part.end_offset

    @property
    def size(self) -> int:
        """The bytes of all items that the part has."""
        return sum(item.size for item in self)

    def __len__(self) -> int:
        return self.end_offset - self.base_offset

    def __iter__(self) -> Iterator[Item]:
        return (item for _, item in self.items_from(self.base_offset, len(self)))

    def append(self, item: Item) -> int:
        """The part's."""
        return self._part.append(item)

    def read(
        self, from_offset: int, topics: Collection[str] = (), max_bytes: int = 1_000_000
    ) -> Page:
        """The part's."""
        return self._part.read(from_offset, topics, max_bytes)

    def items_from(self, from_offset: int, count: int) -> list[tuple[int, Item]]:
        """At most `count` items of what the part reads from there."""
        return self._part.read(from_offset, (), _ALL).items[:count]

    def truncate(self, up_to_offset: int) -> None:
        """The part's."""
        self._part.truncate(up_to_offset)


class PublishersOf(Publishers):
    """A part that decides, and the rows of what it decided, to be described and carried."""

    def __init__(
        self, make: Callable[[], PublishersPart], rows: Mapping[str, PublisherRow]
    ) -> None:
        super().__init__(rows)
        self._make = make
        self._part = self._begun()

    def accept(self, publisher_id: str, sequence: int, now: datetime) -> bool:
        """Return what the part says, and note it."""
        new = self._part.accept(publisher_id, sequence, now)
        if publisher_id:
            row = self._rows.setdefault(publisher_id, PublisherRow(sequence, now))
            if new:
                row.sequence, row.last_seen = sequence, now
            row.accepted += new
            row.dropped += not new
        return new

    def prune(self, now: datetime, ttl: timedelta) -> None:
        """Begin with a new part, which knows only those seen within `ttl`."""
        super().prune(now, ttl)
        self._part = self._begun()

    def _begun(self) -> PublishersPart:
        """A new part that is told what is known of each publisher."""
        part = self._make()
        for publisher_id, row in self._rows.items():
            part.accept(publisher_id, row.sequence, row.last_seen)
        return part

"""The log: items in the order they arrived, each at an offset that is never given twice.

                 base                        end
                  |                           |
      0 . . . . . 5   6   7   8   9  10  11  12   offsets
      [truncated ][a] [b] [a] [a] [c] [b] [a] ->  next item goes here
                           ^
                           a reader at position 7 has a lag of 5

All topics share one sequence of offsets: a topic is a label to filter by, not a partition.
Pure: no I/O, no clock. To this module an item's data is opaque; it only knows its size.

Next: `dedup.py`, which decides whether a batch gets here at all.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from streamlib.core.chunks import Chunks
from streamlib.errors import TruncateOutOfRangeError


class Item(NamedTuple):
    """One value in the log. `size` is what it adds to a page, in bytes."""

    topic: str
    data: Any
    size: int


class Page(NamedTuple):
    """What one read returns, oldest first.

    `next_offset` is where to read on. If `more_ready`, the page was cut to its limit and more is
    there already; if not, `next_offset` is the end of the log, or the question if that was beyond.
    """

    items: list[tuple[int, Item]]
    next_offset: int
    more_ready: bool


class Log:
    """An append-only list that can lose its oldest items, and nothing else.

    Invariant: the item at offset `o` is there for `base_offset <= o < end_offset`; neither bound
    ever moves back. To truncate costs what is dropped, however much stays.

    Example:
        >>> log = Log()
        >>> log.append(Item("status", "shipped", 7)), log.append(Item("progress", "50%", 3))
        (0, 1)
        >>> log.read(0, topics=["progress"]).items
        [(1, Item(topic='progress', data='50%', size=3))]
        >>> log.truncate(1); log.base_offset, log.end_offset
        (1, 2)
    """

    def __init__(self, base_offset: int = 0) -> None:
        self._items: Chunks[Item] = Chunks(base_offset)
        self._by_topic: dict[str, Chunks[int]] = {}  # the offsets of each topic, ascending
        self._size = 0

    @property
    def base_offset(self) -> int:
        """The oldest offset that is still there."""
        return self._items.first

    @property
    def end_offset(self) -> int:
        """The offset that the next item will get."""
        return self._items.end

    @property
    def size(self) -> int:
        """The bytes of all items that are still there."""
        return self._size

    def __len__(self) -> int:
        return self.end_offset - self.base_offset

    def __iter__(self) -> Iterator[Item]:
        return self._items.from_(self.base_offset)

    def append(self, item: Item) -> int:
        """Add an item at the end and return its offset."""
        offset = self.end_offset
        self._items.append(item)
        self._size += item.size
        offsets = self._by_topic.get(item.topic)
        if offsets is None:
            offsets = self._by_topic[item.topic] = Chunks(make=partial(array, "q"))
        offsets.append(offset)
        return offset

    def read(
        self, from_offset: int, topics: Collection[str] = (), max_bytes: int = 1_000_000
    ) -> Page:
        """Return the items from `from_offset` on, of `topics` (none named: all of them).

        Below the base it reads from the base: compare `base_offset` to see the gap. At or beyond
        the end the page is empty and `next_offset` is the question, so a reader never moves back.
        A page holds at most `max_bytes`, but always at least one item, so a reader always moves on.
        """
        items: list[tuple[int, Item]] = []
        size = 0
        for offset, item in self._found(max(from_offset, self.base_offset), topics):
            size += item.size
            if items and size > max_bytes:
                return Page(items, offset, True)
            items.append((offset, item))
        return Page(items, max(from_offset, self.end_offset), False)

    def items_from(self, from_offset: int, count: int) -> list[tuple[int, Item]]:
        """Return at most `count` items from `from_offset` on, of all topics and of any size."""
        start = max(from_offset, self.base_offset)
        return list(enumerate(islice(self._items.from_(start), count), start))

    def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`; nothing happens if that is not above the base.

        Raises:
            TruncateOutOfRangeError: It is past the end, or no whole number. Nothing has changed.
        """
        if type(up_to_offset) is not int or up_to_offset > self.end_offset:
            raise TruncateOutOfRangeError(up_to_offset, self.base_offset, self.end_offset)
        dropped = Counter[str]()
        for item in islice(
            self._items.from_(self.base_offset), max(0, up_to_offset - self.base_offset)
        ):
            self._size -= item.size
            dropped[item.topic] += 1
        for topic, count in dropped.items():
            offsets = self._by_topic[topic]
            offsets.drop_to(offsets.first + count)
            if offsets.first == offsets.end:
                del self._by_topic[topic]
        self._items.drop_to(max(up_to_offset, self.base_offset))

    def _found(self, start: int, topics: Collection[str]) -> Iterator[tuple[int, Item]]:
        """What is there from `start` on, of `topics`, ascending; not by a full scan."""
        if not topics:
            return enumerate(self._items.from_(start), start)
        chosen = (self._by_topic[t] for t in set(topics) if t in self._by_topic)
        offsets = merge(*(self._from(each, start) for each in chosen))
        return ((offset, self._items[offset]) for offset in offsets)

    @staticmethod
    def _from(offsets: Chunks[int], start: int) -> Iterator[int]:
        return offsets.from_(bisect_left(offsets, start, offsets.first, offsets.end))

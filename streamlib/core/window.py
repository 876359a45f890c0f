"""The window: what the newest pages hold, for which topics, and how far they have seen.

    since["a"]        since["b"]                    seen
        |                 |                           |
        4   5   6   7   8   9  10  11  12  13  14  15
        a       a   a       b       a       b           <- what it keeps: items of its topics
                                                      ^ everybody who has nothing in hand

It reads for all seats at once: the union of their topics, from `seen` on. What it did not ask for
it cannot know: a topic that is new is held only from where the window had come to. A seat whose
topics or position it does not hold reads for itself, until it has come to where they are held.

Pure; knows no network and no task. Next: `retry.py`, when to try again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection

from streamlib.core.cursor import Cursor
from streamlib.core.log import Item, Page

WINDOW_BYTES = 4_000_000
"""The most items a window keeps, as they travel; but always one."""


class Seat:
    """A reader, as the window sees it: where it stands, what it wants, whether it has something.

    `idle` says that it has no item in hand: the window may then move it past what is not its own.
    """

    def __init__(self, cursor: Cursor, topics: Collection[str]) -> None:
        self.cursor = cursor
        self.topics = frozenset(topics)  # empty: all
        self.idle = False


class Window:
    """The newest items of a stream, shared by the seats that stand in it.

    Invariants: for each of its topics it holds every item from where it began to ask for it up to
    `seen`, unless the item is below `start`; `start` and `seen` never go down; an idle seat that
    it holds stands at `seen`, or at the first item that is its own.

    Example:
        >>> window, seat = Window(0), Seat(Cursor(0), ["a"])
        >>> window.join(seat); seat.idle = True
        >>> page = Page([(2, Item("a", "x", 1))], 5, False)
        >>> [seat.cursor.position for seat in window.take(page, 0, window.topics)]
        [2]
        >>> window.read(2, ["a"]).next_offset
        5
    """

    def __init__(self, seen: int, max_bytes: int = WINDOW_BYTES) -> None:
        self._start = self._seen = seen
        self._max_bytes = max_bytes
        self._since: dict[str, int] = {}  # from where on it holds a topic
        self._all_since: int | None = None  # from where on it holds all topics
        self._seats: dict[Seat, None] = {}
        self._wanted: Counter[str] = Counter()  # by how many seats
        self._unfiltered = 0  # how many seats want all
        self._offsets = array("q")
        self._items: list[Item] = []
        self._size = 0
        self._news = seen  # where the newest page begins
        self._firsts: dict[str, int] = {}  # its first item of each topic
        self._pages: dict[tuple[int, frozenset[str]], Page] = {}  # what was read since it came

    @property
    def start(self) -> int:
        """Below this it holds nothing: it was truncated, or there was no room for it."""
        return self._start

    @property
    def seen(self) -> int:
        """The next offset to ask for."""
        return self._seen

    @property
    def size(self) -> int:
        """The bytes of all items that it keeps."""
        return self._size

    @property
    def topics(self) -> frozenset[str]:
        """What to ask for: the union of the seats' topics; empty for all."""
        return frozenset(self._since) if self._all_since is None else frozenset()

    def __len__(self) -> int:
        """How many seats there are; without one there is nothing to ask for."""
        return len(self._seats)

    def join(self, seat: Seat) -> None:
        """Take a seat in; from now on its topics are asked for too. May be called again."""
        if seat in self._seats:
            return
        self._seats[seat] = None
        if not seat.topics:
            self._unfiltered += 1
            self._all_since = self._seen if self._all_since is None else self._all_since
        for topic in seat.topics:
            self._wanted[topic] += 1
            since = self._seen if self._all_since is None else self._all_since
            self._since.setdefault(topic, since)

    def leave(self, seat: Seat) -> None:
        """Let a seat go, and no longer ask for what only it wanted. May be called again."""
        if seat not in self._seats:
            return
        del self._seats[seat]
        self._unfiltered -= not seat.topics
        if not self._unfiltered:
            self._all_since = None
        for topic in seat.topics:
            self._wanted[topic] -= 1
            if not self._wanted[topic]:
                del self._wanted[topic], self._since[topic]

    def holds(self, position: int, topics: frozenset[str]) -> bool:
        """Whether it has all that a reader of `topics` at `position` needs, or will have it."""
        if position < self._start:
            return False
        if self._all_since is not None and self._all_since <= position:
            return True
        none = position + 1
        return bool(topics) and all(self._since.get(t, none) <= position for t in topics)

    def read(self, position: int, topics: frozenset[str] = frozenset()) -> Page:
        """Return the items of `topics` from `position` on, for a reader that `holds` lets in."""
        page = self._pages.get((position, topics))  # many ask the same
        if page is None:
            numbers = range(bisect_left(self._offsets, position), len(self._items))
            items = [
                (self._offsets[i], self._items[i])
                for i in numbers
                if not topics or self._items[i].topic in topics
            ]
            page = Page(items, max(position, self._seen), False)
            self._pages[(position, topics)] = page
        return page

    def take(self, page: Page, base_offset: int | None, topics: Collection[str]) -> list[Seat]:
        """Take the answer to "what is there of `topics`, from `seen` on", and return whom to wake.

        Idle seats move past what is not theirs. To be woken are those that have an item now, and
        those that the window holds no longer.

        Args:
            page: The answer's items, and where to read on.
            base_offset: Where the log begins; None from a host that does not say.
            topics: What was asked for: the union may have grown since, and the answer knows
                nothing of what came to it.
        """
        if base_offset is None:
            # Nobody says what was truncated: keep just this page. One of all topics that does not
            # begin where it should shows a gap.
            shown = page.items[0][0] if page.items else page.next_offset
            base_offset = self._seen if topics else max(self._seen, shown)
        self._pages.clear()
        self._firsts.clear()
        self._news = self._seen
        for offset, item in page.items:
            self._offsets.append(offset)
            self._items.append(item)
            self._size += item.size
            self._firsts.setdefault(item.topic, offset)
        self._seen = max(self._seen, page.next_offset)
        self._forget_what_was_not_asked(topics)
        self._drop_below(min(base_offset, self._seen))
        while len(self._items) > 1 and self._size > self._max_bytes:
            self._drop_below(self._offsets[(len(self._items) + 1) // 2])
        return [seat for seat in self._seats if seat.idle and self.advance(seat)]

    def advance(self, seat: Seat) -> bool:
        """Move an idle seat past what is not its own; whether there is something for it to do."""
        position = seat.cursor.position
        if not self.holds(position, seat.topics):
            return True
        own = self._first_own(position, seat.topics)
        seat.cursor.pass_over(self._seen if own is None else own)
        return own is not None

    def _first_own(self, position: int, topics: frozenset[str]) -> int | None:
        """The first item from `position` on that is of `topics`."""
        if topics and position == self._news:  # where nearly all seats stand
            return min((self._firsts[t] for t in topics if t in self._firsts), default=None)
        for i in range(bisect_left(self._offsets, position), len(self._items)):
            if not topics or self._items[i].topic in topics:
                return self._offsets[i]
        return None

    def _forget_what_was_not_asked(self, topics: Collection[str]) -> None:
        """What joined while the question was under way is held only from here on."""
        if not topics:
            return
        if self._all_since is not None:
            self._all_since = self._seen
        self._since |= dict.fromkeys(self._since.keys() - topics, self._seen)

    def _drop_below(self, offset: int) -> None:
        count = bisect_left(self._offsets, offset)
        self._size -= sum(item.size for item in self._items[:count])
        del self._offsets[:count], self._items[:count]
        self._start = max(self._start, offset)

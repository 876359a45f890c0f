"""The hand: what a reader has of the log, and has not handed over yet.

    [ page in hand ][ the page after it ]
    ^ next item                           both come next, whatever is truncated meanwhile
                     ^ asked for while the page in hand is handed over, where more was there already

Next: `subscriber.py`, whose hand it is.
"""

from __future__ import annotations

from collections import deque

from streamlib.client.source import Asked
from streamlib.core.log import Item, Page


class Hand:
    """One page, item by item, and perhaps the next one.

    Invariants: offsets ascend; what it holds is never asked for again.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[int, Item]] = deque()
        self._end = 0  # where to read on behind them
        self._ahead: Asked | None = None

    @property
    def empty(self) -> bool:
        """Whether no item can be handed over at once."""
        return not self._items

    @property
    def held(self) -> int:
        """How many items it holds, in both pages."""
        return len(self._items) + (len(page.items) if (page := self._next) is not None else 0)

    def held_to(self, position: int) -> int:
        """The offset after the last that it holds; `position`, where it holds none."""
        if (page := self._next) is not None:
            return page.next_offset
        return self._end if self._items else position

    def take(self, page: Page) -> None:
        """Take a page, when the one before has been handed over."""
        self._items.extend(page.items)
        self._end = page.next_offset

    def pop(self) -> tuple[int, Item, int]:
        """The next item, behind its offset; and where to read on when it has been handed over."""
        offset, item = self._items.popleft()
        return offset, item, offset + 1 if self._items else max(offset + 1, self._end)

    def await_next(self, asked: Asked) -> None:
        """The page behind the one in hand has been asked for."""
        self._ahead = asked

    def next_asked(self) -> Asked | None:
        """The page that was asked for behind the one handed over; from now on nobody holds it.

        None: there was none, it failed, or there is a gap before it, which is told as it is by now.
        """
        asked, self._ahead = self._ahead, None
        there = asked is not None and asked.task.done()
        return None if asked is None or (there and asked.page is None) else asked

    def clear(self) -> None:
        """Hold nothing any more."""
        self._items.clear()
        self._ahead = None

    @property
    def _next(self) -> Page | None:
        return self._ahead.page if self._ahead is not None else None

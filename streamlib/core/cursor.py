"""The cursor: where one reader stands, and what it never got to see.

       base          position              end
        |               |                   |
        3   4   5   6   7   8   9  10  11  12
        <-- delivered -> <------ lag ------>

    A reader at position 1 finds base 3: the gap [1, 3) was truncated before it was read, and the
    next item it gets says `missed=2`.

Pure. The position only ever moves on; a page that ends behind it is ignored.

Next: `window.py`, which moves many of them.
"""

from __future__ import annotations

from streamlib.errors import InvalidOffsetError


class Cursor:
    """The next offset to read, and the gaps met on the way.

    Invariant: `position` and `missed` never go down.

    Example:
        >>> cursor = Cursor(1)
        >>> cursor.skip_to(3); cursor.deliver(3), cursor.deliver(4)
        (2, 0)
        >>> cursor.position, cursor.missed
        (5, 2)
    """

    def __init__(self, from_offset: int = 0) -> None:
        """Start at `from_offset`.

        Raises:
            InvalidOffsetError: It is negative, or no whole number.
        """
        if type(from_offset) is not int or from_offset < 0:
            raise InvalidOffsetError(from_offset)
        self._position = from_offset
        self._missed = 0
        self._unreported = 0

    @property
    def position(self) -> int:
        """The next offset to read."""
        return self._position

    @property
    def missed(self) -> int:
        """How many offsets were truncated before they were read, in all."""
        return self._missed

    def skip_to(self, base_offset: int) -> None:
        """The log now begins at `base_offset`: what lies before it and was not read is missed."""
        gap = base_offset - self._position
        if gap > 0:
            self._position = base_offset
            self._missed += gap
            self._unreported += gap

    def deliver(self, offset: int) -> int:
        """Move past the item at `offset`, and return how many were missed just before it."""
        self.pass_over(offset + 1)
        missed, self._unreported = self._unreported, 0
        return missed

    def pass_over(self, next_offset: int) -> None:
        """Move on to `next_offset`: all before it was read, or was filtered out."""
        self._position = max(self._position, next_offset)

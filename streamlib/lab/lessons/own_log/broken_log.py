"""A log that gives offsets twice: what notebook 09 breaks on purpose."""

from __future__ import annotations

from collections.abc import Collection

from streamlib.core.log import Item, Page


class Log:
    """As a log should be, but for one line that is missing."""

    def __init__(self, base_offset: int = 0) -> None:
        self.base_offset = base_offset
        self._items: list[Item] = []

    @property
    def end_offset(self) -> int:
        """The offset that the next item gets."""
        return self.base_offset + len(self._items)

    def append(self, item: Item) -> int:
        """Add it at the end."""
        self._items.append(item)
        return self.end_offset - 1

    def read(self, from_offset: int, topics: Collection[str] = (), max_bytes: int = 0) -> Page:
        """All there is, in one page."""
        start = max(from_offset, self.base_offset)
        found = [each for each in enumerate(self._items, self.base_offset) if each[0] >= start]
        return Page(found, max(from_offset, self.end_offset), False)

    def truncate(self, up_to_offset: int) -> None:
        """Drop what lies below, and forget that it was ever there."""
        del self._items[: up_to_offset - self.base_offset]
        # Missing: self.base_offset = up_to_offset

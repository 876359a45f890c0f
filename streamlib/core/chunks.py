"""A sequence that grows at its end and is dropped at its front, at the cost of what is dropped.

    index      5   6   7 | 8   9  10  11 |12  13
               chunk 1   |    chunk 2    | chunk 3     (here 4 to a chunk; 0 to 4 are dropped)

A list that is cut at its front moves all that stays. Here whole chunks go, and of the first one
that stays at most its own few are moved. An index is given once and never again. Pure.

Next: `log.py`, which keeps its items so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

T = TypeVar("T")

CHUNK = 256
"""How many are kept together."""


class Chunks(Generic[T]):
    """Values at the indices `[first, end)`.

    Example:
        >>> numbers = Chunks(first=7)
        >>> numbers.append("a"); numbers.append("b"); numbers.drop_to(8)
        >>> numbers[8], numbers.first, numbers.end
        ('b', 8, 9)
    """

    def __init__(self, first: int = 0, make: Callable[[], Any] = list) -> None:
        """Begin empty; `make` makes a chunk: a list, or an array that takes less room."""
        self.first = self.end = first
        self._make = make
        self._chunks: dict[int, Any] = {}
        self._last: Any = None  # the chunk that grows

    def append(self, value: T) -> None:
        """Add a value at `end`."""
        if self._last is None or self.end % CHUNK == 0:
            self._last = self._chunks[self.end // CHUNK] = self._make()
        self._last.append(value)
        self.end += 1

    def __getitem__(self, index: int) -> T:
        """The value at an index from `first` on, below `end`."""
        number = index // CHUNK
        value: T = self._chunks[number][index - max(number * CHUNK, self.first)]
        return value

    def from_(self, index: int) -> Iterator[T]:
        """The values from an index on, which is `first` at least."""
        number = index // CHUNK
        skipped = index - max(number * CHUNK, self.first)
        while (chunk := self._chunks.get(number)) is not None:
            yield from islice(chunk, skipped, None)
            number, skipped = number + 1, 0

    def drop_to(self, index: int) -> None:
        """Forget what lies below an index, which is `end` at most."""
        for number in range(self.first // CHUNK, index // CHUNK):
            self._chunks.pop(number, None)
        number = index // CHUNK
        if (chunk := self._chunks.get(number)) is not None:
            del chunk[: index - max(number * CHUNK, self.first)]
            if not chunk:
                del self._chunks[number]
        if not self._chunks:
            self._last = None
        self.first = index

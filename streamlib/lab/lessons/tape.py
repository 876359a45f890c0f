"""A stream's log as a line of text: what is there, what is gone, and where its readers stand.

    offset   4  5  6  7  8  9 10 11 12
    log      ·  ·  n  n  w  n  w  n  |
    slow        ^ 5, 1 below the base
    fast                             ^ 12

Owns the picture, in plain text. What it draws is the stream's own answer (`describe`) and the
readers' own `position`; it looks at nothing else.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import Any

from streamlib import StreamDescription, Subscription, WorkflowStreamClient

MOST = 22
"""How many offsets a tape shows at most: the last ones."""

WIDTH = 76
"""Characters a tape may take, so that no notebook breaks its lines."""

GONE, END = "·", "|"


async def show_log(stream: WorkflowStreamClient, **readers: Subscription[Any] | int) -> Tape:
    """Return the end of a stream's log as a picture, with its readers below.

    Args:
        stream: Whose log.
        **readers: By the name to show: subscriptions, or positions as plain offsets.

    Raises:
        StreamError: As `WorkflowStreamClient.describe`.

    Example:
        await lab.show_log(stream, fast=fast, slow=slow, saved=3)
    """
    bounds = await stream.describe()
    begin = max(bounds.base_offset, bounds.end_offset - MOST)
    log = await stream.describe(from_offset=begin, items=2 * MOST)  # more may have come by now
    positions = {
        name: reader if isinstance(reader, int) else reader.position
        for name, reader in readers.items()
    }
    return Tape(log, positions)


class Tape:
    """The picture; `print` it, or leave it as a cell's last line."""

    def __init__(self, log: StreamDescription, positions: Mapping[str, int]) -> None:
        self._log = log
        self._positions = positions

    def __repr__(self) -> str:
        """A ruler, the items by their topics' letters, a line a reader, and what it all means."""
        log = self._log
        label = max(map(len, ["offset", *self._positions])) + 1
        cell = max(3, len(str(log.end_offset)) + 1)
        first = max(0, log.end_offset - min(MOST, (WIDTH - label) // cell - 1))
        offsets = range(first, log.end_offset + 1)
        letters = _letters(item.topic for item in log.items if item.offset >= first)
        marks = {item.offset: letters[item.topic] for item in log.items if item.offset >= first}

        def line(name: str, cells: Iterable[object]) -> str:
            return f"{name:<{label}}" + "".join(f"{each!s:>{cell}}" for each in cells)

        lines = [
            line("offset", offsets),
            line("log", [*(marks.get(offset, GONE) for offset in offsets[:-1]), END]),
        ]
        for name, position in self._positions.items():
            at = min(max(position, first), log.end_offset)
            arrow = "<" if position < first else ">" if position > log.end_offset else "^"
            below = log.base_offset - position
            note = f", {below} below the base" if below > 0 else ""
            lines.append(line(name, [*[""] * (at - first), arrow]) + f" {position}{note}")
        bounds = f"base offset {log.base_offset}, end offset {log.end_offset}"
        legend = [f"{letter}: {_plain(topic)}" for topic, letter in letters.items()]
        gone = [f"{GONE}: truncated"] if first < log.base_offset else []
        return "\n".join([*lines, "   ".join([bounds, *legend, *gone])])


def _letters(topics: Iterable[str]) -> dict[str, str]:
    """A letter for each topic: one of its own if there is one left."""
    letters: dict[str, str] = {}
    for topic in dict.fromkeys(topics):
        own = [letter for letter in topic.lower() if letter in string.ascii_lowercase]
        taken = set(letters.values())
        free = (letter for letter in [*own, *string.ascii_letters] if letter not in taken)
        letters[topic] = next(free, "?")
    return letters


def _plain(text: str) -> str:
    """Text that neither moves the cursor nor breaks a line."""
    return text if text.isprintable() else repr(text)

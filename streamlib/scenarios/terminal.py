"""Text on a terminal that can be taken back: what the run of scenario 5 writes with.

Owns the ANSI escapes, and the arithmetic of lines that are longer than the terminal is wide. Knows
nothing of streams. It is used by `llm.py`.
"""

from __future__ import annotations

import shutil
import unicodedata
from typing import TextIO


def plain(text: str) -> str:
    """Text that cannot steer a terminal: no control characters but line ends.

    What a model writes is untrusted: an escape sequence in it could clear the screen or worse.
    """
    spaced = text.replace("\t", "    ")
    return "".join(c for c in spaced if c == "\n" or unicodedata.category(c) != "Cc")


def rows_below_start(text: str, columns: int) -> int:
    """How many rows the cursor has moved down once `text` was written from column 0.

    A row that is exactly full does not move it yet: terminals wrap when the next character comes.

        rows_below_start("abcd", 4) == 0
        rows_below_start("abcde", 4) == 1
        rows_below_start("abcd\\n", 4) == 1
    """
    row = column = 0
    for character in text:
        if character == "\n":
            row, column = row + 1, 0
            continue
        width = _width(character)
        if column + width > columns:
            row, column = row + 1, 0
        column += width
    return row


def _width(character: str) -> int:
    """Columns that a character takes: 2 for a wide one, 0 for one that joins the one before."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    """Text that grows at the end of a terminal, and can be rewound to where it began.

    A text longer than the terminal is high can be rewound only as far as it is still on screen:
    what has scrolled away is out of reach of any escape sequence.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown = ""

    def append(self, text: str) -> None:
        """Write more text, at once."""
        self._shown += (text := plain(text))
        self._out.write(text)
        self._out.flush()

    def rewind(self) -> None:
        """Take back all that was appended: up to its first row, and clear from there on."""
        # Asked for now, not at the start: a terminal that was resized has wrapped its text anew.
        rows = rows_below_start(self._shown, shutil.get_terminal_size().columns)
        self._out.write("\r" + (f"\x1b[{rows}A" if rows else "") + "\x1b[J")
        self._out.flush()
        self._shown = ""

    def end(self) -> None:
        """End the last line; the text is final."""
        if self._shown and not self._shown.endswith("\n"):
            self._out.write("\n")
        self._out.flush()
        self._shown = ""

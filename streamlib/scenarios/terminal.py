"""Text on a terminal that can be taken back: what the run of scenario 5 writes with.

Owns the ANSI escapes, and the breaking of lines that are longer than the terminal is wide. Knows
nothing of streams. It is used by `llm.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import unicodedata
import weakref
from collections.abc import Iterator
from typing import TextIO

STEERING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Kinds of characters that turn the direction of the text around them."""


def plain(text: str) -> str:
    """Text that cannot steer a terminal, and that every terminal can be sent.

    Without control characters but line ends, without other separators of lines, without those that
    turn the direction of what follows; halves of characters are replaced. What a model writes is
    untrusted: an escape sequence in it could clear the screen or worse.
    """
    return "".join(map(_plain, text.replace("\t", "    ")))


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    steers = category in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(character) in STEERING
    return "" if steers and character != "\n" else character


def widest(character: str) -> int:
    """The most columns that any terminal gives to a character.

    They differ: a family of emoji is 2 columns here and 8 there, Hangul in parts 2 or 4. Who
    breaks lines by the most is never surprised by a line that the terminal broke by itself.
    """
    if character == "\ufe0f":  # asks for the picture, which is wider than the sign before it
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    wide = character >= "\U0001f000" or unicodedata.east_asian_width(character) in "WF"
    return 2 if wide else 1


class Screen:
    """Text that grows at the end of a terminal, and can be rewound to where it began.

    It breaks the lines itself, so that it knows in which row it is: a rewind never reaches above
    its own first row, whatever the text and the terminal. Where the text has scrolled away, or the
    terminal was made narrower meanwhile, some of it stays. What is no terminal, a file or a pipe,
    gets no escape sequence, and the text once, when it is final.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty() and os.environ.get("TERM") != "dumb"
        self._held = ""
        self._row = self._column = 0
        self._told: tuple[int, int] | None = None  # where the text stood, if a word stands below it

    def append(self, text: str) -> None:
        """Write more text, at once on a terminal."""
        if not self._terminal:
            self._held += plain(text)
            return
        self._take_back_what_was_told()
        self._write(text)
        _open.add(self)

    def tell(self, line: str) -> None:
        """Say something below the text; what is appended next takes its place."""
        self._take_back_what_was_told()
        self._told = self._row, self._column
        self._write(f"\n{line}")

    def _take_back_what_was_told(self) -> None:
        if self._told is None:
            return
        (row, column), self._told = self._told, None
        up = self._row - row - 1  # to the first row of it; all from there on is cleared
        self._out.write("\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J")
        self._out.write("\x1b[1A" + (f"\x1b[{column}C" if column else ""))
        self._row, self._column = row, column

    def _write(self, text: str) -> None:
        # Asked for now, not at the start: a terminal can be resized.
        columns = shutil.get_terminal_size().columns
        self._out.write("".join(self._placed(each, columns) for each in plain(text)))
        self._out.flush()

    def _placed(self, character: str, columns: int) -> str:
        """The character, in a new row if there is no room for it in this one."""
        width = 0 if character == "\n" else widest(character)
        full = self._column + width > columns
        if character == "\n" or full:
            self._row, self._column = self._row + 1, 0
        self._column += width
        return f"\n{character}" if full else character

    def rewind(self) -> None:
        """Take back all that was appended: up to its first row, and clear from there on."""
        if self._terminal:
            self._out.write("\r" + (f"\x1b[{self._row}A" if self._row else "") + "\x1b[J")
            self._out.flush()
        self._held, self._told = "", None
        self._row = self._column = 0

    def end(self) -> None:
        """End the last line; the text is final."""
        self._take_back_what_was_told()
        _open.discard(self)
        self._out.write(self._held)
        if self._column or (self._held and not self._held.endswith("\n")):
            self._out.write("\n")
        self._out.flush()
        self._held = ""
        self._row = self._column = 0


_open: weakref.WeakSet[Screen] = weakref.WeakSet()  # with text that has not ended yet


def tell(line: str) -> bool:
    """Say something below the text that grows on this terminal; False if none does."""
    for screen in _open:
        screen.tell(line)
    return len(_open) > 0


@contextlib.contextmanager
def ending_quietly(out: TextIO) -> Iterator[None]:
    """Write what `out` cannot encode as `?`; when its reader has gone (`| head`), just end."""
    if reconfigure := getattr(out, "reconfigure", None):
        reconfigure(errors="replace")
    try:
        try:
            yield
        finally:
            out.flush()
    except BrokenPipeError:
        # Python flushes once more as it ends: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())

"""A terminal in a few lines: what a person sees after a program's bytes; and a real one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlib.scenarios.terminal import widest

ROOT = Path(__file__).parents[2]
COLUMNS = 60
TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|(.)", re.DOTALL)


class Terminal:
    """Lines, a cursor, wrapping as terminals do it: only when the next character comes."""

    def __init__(self, columns: int, width: Callable[[str], int] = widest) -> None:
        self.columns = columns
        self.width = width
        self.row = self.column = 0
        self.cells: list[list[str]] = [[]]

    def write(self, printed: str) -> Terminal:
        for match in TOKEN.finditer(printed):
            number, command, character = match.groups()
            if command:
                self._obey(command, int(number or 1))
            else:
                self._put(character)
        return self

    def _obey(self, command: str, number: int) -> None:
        match command:
            case "A":
                self.row = max(0, self.row - number)
                self.column = min(self.column, self.columns - 1)
            case "C":
                self.column = min(self.column + number, self.columns - 1)
            case "J":
                del self.cells[self.row + 1 :]
                del self.cells[self.row][self.column :]
            case _:
                raise NotImplementedError(command)

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._to_row(self.row + 1)
        else:
            width = self.width(character)
            if width == 0:
                return  # drawn over what is there
            if self.column + width > self.columns:
                self._to_row(self.row + 1)
                self.column = 0
            line = self.cells[self.row]
            line.extend(" " * (self.column + width - len(line)))
            line[self.column : self.column + width] = [character, *[""] * (width - 1)]
            self.column += width

    def _to_row(self, row: int) -> None:
        self.row = row
        while len(self.cells) <= row:
            self.cells.append([])

    @property
    def lines(self) -> list[str]:
        return ["".join(line).rstrip() for line in self.cells]


class InATerminal:
    """`python -m streamlib.scenarios llm` in a real pseudo-terminal."""

    def __init__(self) -> None:
        self.side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlib.scenarios", "llm"],
            cwd=ROOT,
            env=environment,
            stdin=other,
            stdout=other,
            stderr=other,
        )
        os.close(other)
        self.printed = b""

    def read_until(self, done: Any, seconds: float = 40.0) -> str:
        """Read until `done(text)`, or to the end."""
        deadline = time.monotonic() + seconds
        while not done(self.text) and time.monotonic() < deadline:
            try:
                self.printed += os.read(self.side, 4096)
            except OSError:  # it has ended
                break
        return self.text

    @property
    def text(self) -> str:
        return self.printed.decode("utf-8", "ignore")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.side)

"""A terminal in a few lines: what a person sees after a program's bytes."""

from __future__ import annotations

import re
import unicodedata

TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|(.)", re.DOTALL)


class Terminal:
    """Lines, a cursor, wrapping as terminals do it: only when the next character comes."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
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
            width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
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

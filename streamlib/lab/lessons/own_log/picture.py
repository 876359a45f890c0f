"""What went wrong, as a sentence and as a tape: what is right above what the learner's code said.

    After append × 5, truncate(3): the next item gets offset 2, not 5.

    offset   0  1  2  3  4  5
    right    ·  ·  ·  a  a  |
    yours    a  a  |

Owns the words and the drawing, in plain text. What is right is for `laws.py` to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

GONE, END, NEXT = "·", "|", ">"

Row = Mapping[int, str]
"""What stands in which column."""


class Counterexample(Exception):
    """The smallest operations found after which something is not as it must be."""

    def __init__(self, operations: Sequence[str], wrong: str, picture: str = "") -> None:
        super().__init__(operations, wrong)
        self.operations = operations
        self.wrong = wrong
        self.picture = picture
        self.program: Any = None
        """The operations again, to be run once more."""

    def __str__(self) -> str:
        """One sentence: after what, and what is wrong then."""
        done = ", ".join(_repeated(self.operations))
        return f"After {done}: {self.wrong}" if done else f"At once: {self.wrong}"


def _repeated(operations: Sequence[str]) -> Iterable[str]:
    """`append × 5` for five in a row."""
    for operation, group in groupby(operations):
        count = len([*group])
        yield operation if count == 1 else f"{operation} × {count}"


def drawn(ruler: str, columns: Sequence[object], **rows: Row) -> str:
    """Rows below a ruler, each mark in its column; a row's name is its keyword.

    Example:
        >>> print(drawn("offset", [0, 1, 2], right={0: "·", 1: "a", 2: "|"}, yours={0: "a"}))
        offset   0  1  2
        right    ·  a  |
        yours    a
    """
    label = max(map(len, [ruler, *rows])) + 1
    cell = max(3, max((len(str(each)) for each in columns), default=0) + 1)
    marks = [{0: ""} | dict(row) for row in rows.values()]
    cell = max([cell, *(len(mark) + 1 for row in marks for mark in row.values())])

    def line(name: str, cells: Iterable[object]) -> str:
        return (f"{name:<{label}}" + "".join(f"{each!s:>{cell}}" for each in cells)).rstrip()

    lines = [line(ruler, columns)]
    for name, row in rows.items():
        lines.append(line(name, (row.get(at, "") for at in range(len(columns)))))
    return "\n".join(lines)

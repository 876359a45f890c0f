"""A short report that reads well in a terminal and in a notebook, and is never HTML.

Owns its looks only. `doctor.py` and `status.py` fill it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One line of a report."""

    name: str
    ok: bool
    says: str
    """What was found."""
    todo: str = ""
    """What to do about it; empty if nothing."""


@dataclass(frozen=True)
class Report:
    """Some parts, each ok or with what to do."""

    parts: tuple[Part, ...]

    @property
    def ok(self) -> bool:
        """Whether every part is."""
        return all(part.ok for part in self.parts)

    def __repr__(self) -> str:
        """One line a part; what to do below it."""
        width = max((len(part.name) for part in self.parts), default=0)
        lines: list[str] = []
        for part in self.parts:
            lines.append(f"{'ok' if part.ok else '!!'}  {part.name:<{width}}  {part.says}")
            if part.todo:
                lines.append(f"    {'':<{width}}  -> {part.todo}")
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        """The same as a table, every text escaped."""
        rows = [
            f"| {'✓' if part.ok else '✗'} | {_cell(part.name)} | {_cell(part.says)} "
            f"| {_cell(part.todo)} |"
            for part in self.parts
        ]
        return "\n".join(["| | part | found | what to do |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    """Text as text: no HTML, no Markdown, and no end of the table's cell."""
    safe = html.escape(text).replace("\n", " ")
    return "".join(f"\\{char}" if char in "\\`*_[]|~" else char for char in safe)

"""The notebooks from their one source: `python tools/course.py`, or `--check` to compare only.

    course/01_….md      what people write: prose, code, stubs and solutions
      -> notebooks/01_….ipynb         the learner's: stubs, the solutions folded
      -> teach/solutions/01_….ipynb   the teacher's: every prediction and exercise answered

A source is Markdown. A line `<!-- id tag … -->` begins a cell; a cell that is one ```python fence
is a code cell. A cell `<!-- id solution -->` after the cell `id` is its answer: of a prediction,
of an exercise, or of a file that an exercise asks to write (`%%writefile`). A figure is a file
in `course/figures/`; in a notebook it stands in the page itself, so that a page is one file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "course"

CELL = re.compile(r"^<!-- ([\w-]+)((?: [\w-]+)*) -->\n", re.MULTILINE)
FENCE = re.compile(r"```python\n(.*)\n```", re.DOTALL)
FIGURE = re.compile(r"(!\[[^\]]*\]\()(figures/[\w-]+\.svg)\)")
CHECK = re.compile(r'^await lab\.check\("([\d.]+)"', re.MULTILINE)
FILE = re.compile(r"^%%writefile (\S+)")


@dataclass(frozen=True)
class Cell:
    """A cell of a source."""

    id: str
    tags: tuple[str, ...]
    text: str
    """Markdown, or the code of a code cell."""
    code: bool


def cells(source: str) -> list[Cell]:
    """A source's cells, in order."""
    marks = list(CELL.finditer(source))
    ends = [mark.start() for mark in marks[1:]] + [len(source)]
    found = []
    for mark, end in zip(marks, ends, strict=True):
        text = source[mark.end() : end].strip("\n")
        fence = FENCE.fullmatch(text)
        found.append(
            Cell(mark[1], tuple(mark[2].split()), fence[1] if fence else text, fence is not None)
        )
    return found


def for_learners(given: list[Cell]) -> Iterator[Cell]:
    """Stubs; the exercises' solutions folded into one cell below the last of them."""
    exercises = {cell.id for cell in given if "exercise" in cell.tags or FILE.match(cell.text)}
    folded = [_folded(cell) for cell in given if _is_solution(cell) and cell.id in exercises]
    last = max((number for number, cell in enumerate(given) if cell.id in exercises), default=-1)
    for number, cell in enumerate(given):
        if not _is_solution(cell):
            yield cell
        if folded and number == last:
            yield Cell("solutions", ("solution",), "\n".join(folded), code=False)


def for_teachers(given: list[Cell]) -> Iterator[Cell]:
    """Every cell that has a solution, with it."""
    solutions = {cell.id: cell.text for cell in given if _is_solution(cell)}
    for cell in given:
        if not _is_solution(cell):
            answer = solutions.get(cell.id)
            yield cell if answer is None else replace(cell, text=_answered(cell.text, answer))


def notebook(given: Iterator[Cell]) -> str:
    """The text of an .ipynb file, as Jupyter itself would save it, without outputs."""
    content = {
        "cells": [_cell(cell) for cell in given],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Every notebook's path and what it should hold."""
    sources = {path.stem: cells(path.read_text(encoding="utf-8")) for path in SOURCES.glob("*.md")}
    unsolved = {name for name, given in sources.items() if not any(map(_is_solution, given))}
    files = {}
    for name, given in sorted(sources.items()):
        files[ROOT / "notebooks" / f"{name}.ipynb"] = notebook(for_learners(given))
        if name not in unsolved:
            solved = notebook(for_teachers(given))
            for page in unsolved:  # which is not beside it
                solved = solved.replace(f"]({page}.ipynb)", f"](../../notebooks/{page}.ipynb)")
            files[ROOT / "teach" / "solutions" / f"{name}.ipynb"] = solved
    return files


def stale() -> list[Path]:
    """The notebooks that are not what their sources say, and those that have no source."""
    wanted = generated()
    there = {path for folder in {each.parent for each in wanted} for path in folder.glob("*.ipynb")}
    return [
        path
        for path in sorted(there | wanted.keys())
        if path not in there or path.read_text(encoding="utf-8") != wanted.get(path)
    ]


def _is_solution(cell: Cell) -> bool:
    return "solution" in cell.tags


def _folded(cell: Cell) -> str:
    what = CHECK.search(cell.text) or FILE.match(cell.text)
    assert what is not None, f"the solution of {cell.id} checks nothing"
    summary = f"<details><summary>Solution of {what[1]}</summary>"
    return f"{summary}\n\n```python\n{cell.text}\n```\n</details>"


def _answered(asked: str, answer: str) -> str:
    """The answer in place of the stub; what the cell says in a string of its own stays."""
    text = re.match(r'""".*?"""\n', asked, re.DOTALL)
    return (text[0] if text else "") + answer


def _cell(cell: Cell) -> dict[str, object]:
    metadata = {"tags": list(cell.tags)} if cell.tags else {}
    lines = FIGURE.sub(_inlined, cell.text).splitlines(keepends=True)
    if cell.code:
        return {
            "cell_type": "code",
            "execution_count": None,
            "id": cell.id,
            "metadata": metadata,
            "outputs": [],
            "source": lines,
        }
    return {"cell_type": "markdown", "id": cell.id, "metadata": metadata, "source": lines}


def _inlined(link: re.Match[str]) -> str:
    svg = re.sub(r">\s+<", "><", (SOURCES / link[2]).read_text(encoding="utf-8").strip())
    return f"{link[1]}data:image/svg+xml,{quote(svg, safe='/:=,.')})"


if __name__ == "__main__":
    found = stale()
    if "--check" not in sys.argv:
        for path, text in generated().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in found:
        print(("not as its source says: " if "--check" in sys.argv else "") + path.name)
    sys.exit(bool(found) and "--check" in sys.argv)

"""What a learner predicted, what came, and why; exercises solved and open: as a page to keep.

Owns the page's looks. What is on record: `record.py`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

from streamlib.lab.lessons.checks.exercises import EXERCISES
from streamlib.lab.lessons.questions import QUESTIONS
from streamlib.lab.lessons.record import Kept, is_of, kept


class Review:
    """A page about what was predicted and solved; shows itself, and can be saved.

    Example:
        lab.review("01")                        # this notebook, as a cell's last line
        lab.review().save("my-course.html")     # the course, to print or keep
    """

    def __init__(self, rows: Kept, exercises: Iterable[str], title: str) -> None:
        self._rows = rows
        self._exercises = [*exercises]
        self._questions = [key for key in QUESTIONS if key in rows]
        self._title = title

    def save(self, path: str | Path) -> Path:
        """Write it as one HTML file, which needs nothing else; returns where it is."""
        page = f"<!doctype html><meta charset=utf-8><title>{html.escape(self._title)}</title>"
        where = Path(path).expanduser().resolve()
        where.write_text(f"{page}\n<style>{STYLE}</style>\n{self._repr_html_()}", encoding="utf-8")
        return where

    def _repr_html_(self) -> str:
        cells = [[_text(each) for each in row] for row in self._table()]
        body = "".join(f"<tr>{''.join(f'<td>{each}</td>' for each in row)}</tr>" for row in cells)
        head = "".join(f"<th>{name}</th>" for name in HEAD)
        return (
            f"<h3>{_text(self._title)}</h3>\n<p>{_text(self._summary())}</p>\n"
            # JupyterLab sets tables to the right, as numbers are: these are sentences.
            "<style>.review :is(th, td) {text-align: left !important}</style>"
            f"<table class='review'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>\n"
            f"<p>{_text(self._exercised())}</p>"
        )

    def __repr__(self) -> str:
        """The same as text."""
        rows = [f"{number}  {', '.join(cells)}" for number, *cells in self._table()]
        return "\n".join([self._title, self._summary(), *rows, self._exercised()])

    def _table(self) -> Iterable[tuple[str, ...]]:
        for number in self._questions:
            row, question = self._rows[number], QUESTIONS[number]
            said = row.get("said", "–")
            if "later" in row:
                said += f" (after the result: {row['later']})"
            explained = question.because if "came" in row else ""
            yield number, question.asks, said, row.get("came", "not run yet"), explained

    def _summary(self) -> str:
        rows = [self._rows[number] for number in self._questions]
        made = [row for row in rows if "said" in row and "came" in row]
        right = sum(row["said"] == row["came"] for row in made)
        if not made:
            return "Nothing was predicted before it was seen."
        return f"Predicted: {len(made)}, as it came: {right}. The others taught more."

    def _exercised(self) -> str:
        if not self._exercises:
            return "No exercises."
        done = [each for each in self._exercises if self._rows.get(each, {}).get("solved") == "yes"]
        still = [each for each in self._exercises if each not in done]
        return f"Exercises solved: {', '.join(done) or 'none'}. Open: {', '.join(still) or 'none'}."


HEAD = ["", "question", "you predicted", "it came", "because"]
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left;"
    "vertical-align:top}"
)


def review(notebook: str = "") -> Review:
    """Every prediction beside what happened, and the exercises: of one notebook, or the course.

    Args:
        notebook: Its number, such as `"01"`; empty for all.

    Raises:
        LookupError: That is no notebook's number.
    """
    notebook = str(notebook)
    if notebook and not re.fullmatch("0?[0-9]", notebook):
        raise LookupError(f'no notebook {notebook!r}: give its number, as in lab.review("01")')
    rows = {key: row for key, row in kept().items() if not notebook or is_of(key, notebook)}
    exercises = [key for key in EXERCISES if not notebook or is_of(key, notebook)]
    return Review(rows, exercises, f"Notebook {notebook}" if notebook else "Your course")


def _text(text: str) -> str:
    """As text; what stands in backticks, as questions write names, as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))

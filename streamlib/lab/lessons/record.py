"""What a learner predicted, what happened, and which exercises are solved; kept in a file.

One file in the lab's home, so that a kernel restart forgets nothing and the course's last page
knows all notebooks; learners who share a home have one each, by `$STREAMLIB_LEARNER`. What was
said first stays: a change after the result stands beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from streamlib.scenarios.home import home, location

Kept = dict[str, dict[str, str]]
"""For each question and exercise, by its number: "said", "later", "came", "solved"."""


def kept() -> Kept:
    """Everything on record; empty if nothing is, or if the file cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {key: row for key, row in found.items() if _is_a_row(key, row)}
    return {}


def _is_a_row(key: str, row: object) -> bool:
    """Whether that was written here: anybody can write to a file."""
    numbered = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})+", key)
    return (
        bool(numbered) and isinstance(row, dict) and all(isinstance(v, str) for v in row.values())
    )


def predicted(question: str, answer: str) -> dict[str, str]:
    """Keep an answer; what is on record about the question then.

    Before the result is known an answer replaces the one before; after it, it stands beside it.
    """
    row = kept().get(question, {})
    if "came" not in row:
        row["said"] = answer
    elif answer != row.get("said"):
        row["later"] = answer
    else:
        row.pop("later", None)
    return _keep(question, row)


def came(question: str, actual: str) -> dict[str, str]:
    """Keep what happened; what is on record about the question then."""
    return _keep(question, {**kept().get(question, {}), "came": actual})


def solved(exercise: str, ok: bool) -> None:
    """Keep that an exercise was tried. Once it is solved, it stays so."""
    row = kept().get(exercise, {})
    _keep(exercise, {**row, "solved": "yes" if ok else row.get("solved", "no")})


def forget(notebook: str = "") -> None:
    """Forget what is on record: of one notebook, such as `"01"`, or all of it.

    Raises:
        LookupError: That is no notebook's number.
    """
    notebook = str(notebook)
    if notebook and not re.fullmatch("0?[0-9]", notebook):
        raise LookupError(f'no notebook {notebook!r}: give its number, as in lab.forget("01")')
    _write({key: row for key, row in kept().items() if notebook and not is_of(key, notebook)})


def is_of(key: str, notebook: str) -> bool:
    """Whether a question or an exercise is of that notebook."""
    return int(key.split(".")[0]) == int(notebook)


def _keep(key: str, row: dict[str, str]) -> dict[str, str]:
    _write({**kept(), key: row})
    return row


def _file() -> Path:
    who = os.environ.get("STREAMLIB_LEARNER", "")
    # Of any name a part that a file's name can hold, and that no two have in common.
    part = hashlib.blake2s(who.encode(errors="replace"), digest_size=6).hexdigest()
    return location() / (f"course-{part}.json" if who else "course.json")


def _write(rows: Kept) -> None:
    home()
    fresh = _file().with_suffix(f".{os.getpid()}.new")  # another kernel may write at this moment
    fresh.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    fresh.replace(_file())  # a reader sees the old file or the new one, never half of one

"""The notebooks, where a learner finds them: the checkout's, or a copy in the folder one is in.

Owns the copy: whole or not at all, never over a file that was changed, and after an upgrade the
new one beside the changed one. What was copied is noted in the folder, by its SHA-256. It opens
nothing (`jupyter.py` does).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import streamlib
from streamlib.lab.errors import LabError
from streamlib.scenarios.home import checkout
from streamlib.scenarios.program import in_one_line

FOLDER = "streamlib-course"
FIRST = "00_start.ipynb"
NOTE = ".streamlib-course.json"
"""In the copy: of each file, the digest of what we wrote there."""


def folder() -> tuple[Path, list[str]]:
    """Where the notebooks are, copied there if need be, and what was done, a line each.

    Raises:
        LabError: They cannot be copied, or are not in this installation; nothing was left behind.
    """
    if root := checkout():
        return root / "notebooks", []
    source = Path(streamlib.__file__).parent / "notebooks"
    if not source.is_dir():
        raise LabError("this installation holds no notebooks: pip install 'streamlib[lab]' anew.")
    target = Path.cwd() / FOLDER
    new = not target.exists()
    try:
        return target, copy(source, target)
    except OSError as error:
        if new:
            shutil.rmtree(target, ignore_errors=True)
        why = in_one_line(OSError(error.errno, "")) or error.strerror
        raise LabError(f"the notebooks cannot be copied to {target}: {why}.") from error


def copy(source: Path, target: Path) -> list[str]:
    """Bring `target` up to date with `source`; what was done, a line each.

    A file that is there and was not changed since we wrote it is replaced by a newer one; beside
    one that was changed, the newer one is put under another name, once. All is written before
    anything is put in place.

    Raises:
        OSError: It cannot be written; then no file of the target was changed.
    """
    noted = _noted(target)
    digests = {name: _digest(path) for name, path in _files(source)}
    changes = [
        (path, *change)
        for name, path in _files(source)
        if (change := _change(target / name, digests[name], noted.get(name)))
    ]
    if changes or digests != noted:
        _put(target, [(path, place) for path, place, _ in changes], json.dumps(digests, indent=1))
    copied = sum(says == "copied" for *_, says in changes)
    done = [f"copied {copied} files"] if copied else []
    return done + [f"{place.name}: {says}" for _, place, says in changes if says != "copied"]


def _change(place: Path, digest: str, noted: str | None) -> tuple[Path, str] | None:
    """Where the file of that digest goes, and why; None if it need not go anywhere."""
    if not place.exists():
        return place, "copied"
    found = _digest(place)
    if digest in (found, noted):  # as it is, or changed by the learner and nothing newer to offer
        return None
    if found == noted:
        return place, "updated"
    for number in itertools.count(1):
        again = f"-{number}" if number > 1 else ""
        beside = place.with_name(f"{place.stem}.new-{_version()}{again}{place.suffix}")
        if not beside.exists():
            return beside, f"the new {place.name}; yours, which you changed, is as it was"
        if _digest(beside) == digest:
            return None
    raise AssertionError("there is always another number")


def _put(target: Path, changes: list[tuple[Path, Path]], note: str) -> None:
    """Write all of it, then put it in place, file by file."""
    target.mkdir(exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target, prefix=".new-"))
    try:
        (fresh / NOTE).write_text(note)
        for number, (path, _) in enumerate(changes):
            shutil.copyfile(path, fresh / str(number))
        for number, (_, place) in enumerate(changes):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh / str(number), place)
        os.replace(fresh / NOTE, target / NOTE)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _files(source: Path) -> list[tuple[str, Path]]:
    """What the course is made of, by its name in the folder: every file but hidden ones, and
    modules, which a learner's own cells have written."""
    found = ((path.relative_to(source), path) for path in sorted(source.rglob("*")))
    return [
        (name.as_posix(), path)
        for name, path in found
        if path.is_file() and path.suffix != ".py"
        if not any(part.startswith((".", "__")) for part in name.parts)
    ]


def _noted(target: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError):
        read = json.loads((target / NOTE).read_text())
        return {str(name): str(digest) for name, digest in read.items()}
    return {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _version() -> str:
    return metadata.version("streamlib")

"""The copy of the notebooks: whole or not at all, and never over what a learner changed."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from streamlib.lab import course


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "pictures").mkdir(parents=True)
    (folder / "00.ipynb").write_text("zero")
    (folder / "01.ipynb").write_text("one")
    (folder / "pictures" / "a.svg").write_text("<svg/>")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "00.ipynb").write_text("old")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "my_log.pyc").write_text("compiled")
    (folder / "my_log.py").write_text("written by a cell")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "streamlib-course"


def seen(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != course.NOTE
    }


def test_all_is_copied_once_but_what_is_hidden_or_was_written_by_a_cell(
    source: Path, target: Path
) -> None:
    assert course.copy(source, target) == ["copied 3 files"]
    assert seen(target) == {"00.ipynb": "zero", "01.ipynb": "one", "pictures/a.svg": "<svg/>"}
    assert course.copy(source, target) == []


def test_an_upgrade_replaces_what_was_not_touched_and_puts_the_rest_beside(
    source: Path, target: Path
) -> None:
    course.copy(source, target)
    (target / "01.ipynb").write_text("one, mine")
    (source / "00.ipynb").write_text("zero, newer")
    (source / "01.ipynb").write_text("one, newer")
    done = course.copy(source, target)
    beside = f"01.new-{course._version()}.ipynb"
    assert done[0] == "00.ipynb: updated"
    assert done[1].startswith(f"{beside}: the new 01.ipynb; yours")
    expected = {"00.ipynb": "zero, newer", "01.ipynb": "one, mine", beside: "one, newer"}
    assert seen(target) == {**expected, "pictures/a.svg": "<svg/>"}
    assert course.copy(source, target) == [], "offered once"
    (target / beside).write_text("changed too")
    (source / "01.ipynb").write_text("one, newest")
    assert course.copy(source, target)[0].startswith(f"01.new-{course._version()}-2.ipynb")
    assert (target / beside).read_text() == "changed too"


def test_a_changed_file_with_nothing_newer_is_left_alone(source: Path, target: Path) -> None:
    course.copy(source, target)
    (target / "00.ipynb").write_text("mine")
    (target / "01.ipynb").unlink()
    assert course.copy(source, target) == ["copied 1 files"]
    assert (seen(target)["00.ipynb"], seen(target)["01.ipynb"]) == ("mine", "one")


def test_a_folder_that_was_there_without_our_note_loses_nothing(source: Path, target: Path) -> None:
    target.mkdir()
    (target / "00.ipynb").write_text("somebody's")
    (target / course.NOTE).write_text("not JSON")
    course.copy(source, target)
    assert seen(target)["00.ipynb"] == "somebody's"


def test_a_copy_that_fails_changes_nothing(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.copy(source, target)
    before = seen(target)
    for name in ("00.ipynb", "01.ipynb"):
        (source / name).write_text("newer")
    copyfile, copied = shutil.copyfile, []

    def fails_at_the_second(path: Path, to: Path) -> object:
        copied.append(path)
        if len(copied) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return copyfile(path, to)

    monkeypatch.setattr(shutil, "copyfile", fails_at_the_second)
    with pytest.raises(OSError, match="No space"):
        course.copy(source, target)
    assert seen(target) == before

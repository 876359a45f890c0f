"""The browser's half of the live view: its pure functions in node, its size, what it keeps off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from streamlib.lab.widgets.stream_view import travelling

HERE = Path(__file__).parent
VIEW = HERE.parents[2] / "streamlib" / "lab" / "widgets"
SOURCES = [VIEW / "stream_view.js", VIEW / "stream_view.css"]


def test_its_pure_functions_in_node() -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs node: without it nobody tests the view's functions")
        pytest.skip("needs node")
    tests = sorted(map(str, HERE.glob("*.test.mjs")))
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(tests) >= 3


def test_it_travels_light() -> None:
    """It travels with every view that is shown, and anywidget waits two seconds for it."""
    sizes = {path.name: len(travelling(path.read_text("utf-8")).encode()) for path in SOURCES}
    assert sum(sizes.values()) <= 60 * 1024, sizes


def test_no_line_depends_on_its_indentation() -> None:
    """So that `travelling` changes nothing: no text runs over the end of its line."""
    for number, line in enumerate(
        VIEW.joinpath("stream_view.js").read_text("utf-8").splitlines(), 1
    ):
        assert line.count("`") % 2 == 0, f"line {number}"


@pytest.mark.parametrize(
    "unwanted",
    [
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write",
        r"\beval\(|new Function|import\(",
        r"https?://|\bfetch\(|XMLHttpRequest|WebSocket|@import|url\(",
        r"save_changes|model\.set\(",
        r"localStorage|sessionStorage|document\.cookie",
    ],
)
def test_it_neither_writes_markup_nor_calls_out_nor_sets_a_trait(unwanted: str) -> None:
    for path in SOURCES:
        assert not re.search(unwanted, path.read_text("utf-8")), path.name

"""The browser's half of the live view: its modules in node, its bundle, and what it keeps off."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from streamlib.lab.widgets.stream_view import StreamView, packed

HERE = Path(__file__).parent
WIDGETS = HERE.parents[2] / "streamlib" / "lab" / "widgets"
SOURCES = [each for each in (WIDGETS / "js").glob("*") if each.suffix in (".js", ".jsx", ".css")]
BUNDLE = [WIDGETS / "stream_view.js", WIDGETS / "stream_view.css"]


def tool(name: str) -> str:
    """A tool of Node.js."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {name}: without it nobody tests the view's functions")
        pytest.skip(f"needs {name}")
    return path


def run(*command: str, cwd: Path = HERE) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, beside which nothing is built yet, with what they need."""
    copy = tmp_path_factory.mktemp("widgets") / "js"
    installed = WIDGETS / "js" / "node_modules"
    shutil.copytree(WIDGETS / "js", copy, ignore=shutil.ignore_patterns("node_modules"))
    if installed.is_dir():
        (copy / "node_modules").symlink_to(installed)
    else:
        run(tool("npm"), "ci", "--no-audit", "--no-fund", cwd=copy)
    return copy


def test_its_pure_functions_in_node() -> None:
    tests = sorted(map(str, HERE.glob("*.test.mjs")))
    run(tool("node"), "--test", *tests)
    assert len(tests) >= 4


def test_its_types_hold(js: Path) -> None:
    run(tool("npm"), "run", "--silent", "types", cwd=js)


def test_the_bundle_is_what_the_sources_make(js: Path) -> None:
    run(tool("npm"), "run", "--silent", "build", cwd=js)
    for committed in BUNDLE:
        built = js.parent / committed.name
        assert built.read_text("utf-8") == committed.read_text("utf-8"), "run `make widgets`"


def test_what_it_is_built_with_is_pinned_and_names_no_registry() -> None:
    lock = (WIDGETS / "js" / "package-lock.json").read_text("utf-8")
    assert lock.count('"integrity"') > 3
    assert "resolved" not in lock
    assert not re.search(r'"[~^]', (WIDGETS / "js" / "package.json").read_text("utf-8"))


def test_it_travels_light() -> None:
    """It travels with every view that is shown, and anywidget waits two seconds for it."""
    module, style = packed(BUNDLE[0].read_text("utf-8")), BUNDLE[1].read_text("utf-8")
    assert len(module.encode()) + len(style.encode()) <= 60 * 1024
    assert StreamView._css == style or style in str(StreamView._css)


def test_what_travels_is_the_bundle() -> None:
    bundle = BUNDLE[0].read_text("utf-8")
    found = re.search(r'unpack\("([A-Za-z0-9+/=]+)"\)', packed(bundle))
    assert found is not None
    assert zlib.decompress(base64.b64decode(found[1])).decode() == bundle


@pytest.mark.parametrize(
    "unwanted",
    [
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write",
        r"\beval\(|new Function|import\(\w",
        r"https?://|\bfetch\(|XMLHttpRequest|WebSocket|@import|url\(",
        r"save_changes|model\.set\(",
        r"localStorage|sessionStorage|document\.cookie",
    ],
)
def test_it_neither_writes_markup_nor_calls_out_nor_sets_a_trait(unwanted: str) -> None:
    assert len(SOURCES) >= 8
    for path in SOURCES:
        assert not re.search(unwanted, path.read_text("utf-8")), path.name

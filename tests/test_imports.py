"""Imports run one way: a learner who reads a folder needs only the folders before it.

errors <- core <- wire <- { host | client } <- scenarios <- lab <- notebooks
                                     lab: machine <- session, doctor <- lessons | widgets
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "streamlib"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "leaving": set(),
    "core": {"errors"},
    "wire": {"errors", "core"},
    "host": {"errors", "core", "wire"},
    "client": {"errors", "leaving", "core", "wire"},
    "__init__": {"errors", "core", "wire", "host", "client"},
    "scenarios": {"errors", "leaving", ""},  # the rest through the one public door
    # core: notebook 09 builds it anew
    "lab": {"errors", "leaving", "", "core", "wire", "scenarios"},
}
"""What a folder may import of the others. "" is `streamlib` itself, the public door."""

PURE = {
    "__future__", "array", "bisect", "collections", "dataclasses", "datetime", "enum", "functools",
    "heapq", "itertools", "math", "typing",
}  # fmt: skip
NOTEBOOK = {"IPython", "anywidget", "ipykernel", "ipywidgets", "jupyter_client", "nest_asyncio2"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The absolute names of all modules that a file imports, at any depth of it."""
    here = ["streamlib", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{name.name}" for name in node.names)


def module_of(name: str) -> str | None:
    """The module of the library that an imported name is, or is in; None if it is foreign."""
    parts = name.split(".")
    if parts[0] != "streamlib":
        return None
    for end in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[1:end])
        if path.with_suffix(".py").is_file() and end > 1:
            return ".".join(parts[1:end])
        if path.is_dir():
            return ".".join([*parts[1:end], "__init__"])
    raise AssertionError(f"{name} is nowhere")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def siblings(path: Path) -> set[str]:
    """The modules of the library that a file imports."""
    return {module for name in imports(path) if (module := module_of(name))} - {name_of(path)}


def folder(module: str) -> str:
    """The first part of a module's name; "" for the public door."""
    return "" if module == "__init__" else module.split(".")[0]


def files(*folders: str) -> list[Path]:
    return [path for path in FILES if path.relative_to(PACKAGE).parts[0] in folders]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_folder_imports_only_the_folders_before_it(path: Path) -> None:
    own = folder(name_of(path)) or "__init__"
    assert {folder(module) for module in siblings(path)} <= MAY_IMPORT[own] | {own}


def test_no_two_modules_import_each_other() -> None:
    graph = {name_of(path): siblings(path) for path in FILES}
    # A workflow's topic handle names the stream's type, for the type checker only.
    graph["host.topic"] -= {"host.stream"}
    # A view's type is named where it is made, before anything of Jupyter is imported.
    graph["lab.widgets.__init__"] -= {"lab.widgets.stream_view"}
    while leaves := [module for module, needs in graph.items() if not needs & graph.keys()]:
        for leaf in leaves:
            del graph[leaf]
    assert not graph


def test_in_the_lab_the_machine_knows_no_lesson_and_no_widget() -> None:
    for path in files("lab"):
        room = path.relative_to(PACKAGE).parts[1]
        known = {module.split(".")[1] for module in siblings(path) if module.startswith("lab.")}
        if room == "machine":
            assert known <= {"machine", "errors"}, path
        if room in ("session.py", "doctor.py", "status.py", "lessons", "widgets"):
            assert not known & ({"lessons", "widgets"} - {room}), path


@pytest.mark.parametrize("path", [*files("core"), PACKAGE / "errors.py"], ids=name_of)
def test_the_core_is_pure_no_io_no_clock_no_asyncio_no_temporalio(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)} - {"streamlib"}
    assert roots <= PURE
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not called & {"now", "utcnow", "today", "open", "print", "input"}


def test_only_the_lab_knows_notebooks() -> None:
    for path in FILES:
        if "lab" not in path.relative_to(PACKAGE).parts:
            assert not {name.split(".")[0] for name in imports(path)} & NOTEBOOK, path.name

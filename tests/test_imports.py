"""Imports run one way: a learner who reads a file needs only the files before it.

errors <- log, dedup, outbox, cursor <- binding <- wire <- carry, topic, stream     (workflow)
                                                        <- transport <- publisher, feed
                                                           <- subscriber, watch <- client  (client)
... <- scenarios <- lab <- notebooks
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "streamlib"

CORE = ["errors", "log", "dedup", "outbox", "cursor", "ledger"]
SHARED = [*CORE, "binding", "wire", "compress", "describe", "rollover"]
WORKFLOW = ["carry", "topic", "stream"]
CLIENT = ["transport", "publisher", "tally", "feed", "subscriber", "watch", "client"]
SURROUNDINGS = ["home", "connect"]  # of scenarios and lab
KNOWN = [*SHARED, *WORKFLOW, *CLIENT, *SURROUNDINGS, "__init__"]

# What each module may import of the package: itself a promise of the reading order.
MAY_IMPORT: dict[str, list[str]] = {
    "errors": [],
    **dict.fromkeys(CORE[1:], CORE),
    "binding": CORE,
    "wire": [*CORE, "binding"],
    **dict.fromkeys(("compress", "describe", "rollover"), SHARED),
    **{name: [*SHARED, *WORKFLOW] for name in WORKFLOW},
    "transport": SHARED,
    "publisher": [*SHARED, "transport"],
    "tally": SHARED,
    "feed": [*SHARED, "transport", "tally"],
    "subscriber": [*SHARED, "transport", "feed"],
    "watch": [*SHARED, "transport", "tally", "feed"],
    "client": [*SHARED, *CLIENT],
    "home": [],
    "connect": ["home"],
    "__init__": [*SHARED, *WORKFLOW, *CLIENT],
}

PURE = {
    "__future__", "array", "bisect", "collections", "dataclasses", "datetime", "heapq", "typing",
}  # fmt: skip
NOTEBOOK = {"IPython", "anywidget", "ipykernel", "ipywidgets", "jupyter_client", "nest_asyncio"}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The absolute names of all modules that a file imports, at any depth of it."""
    here = ["streamlib", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def siblings(path: Path) -> set[str]:
    """The modules and subpackages of the library that a file imports."""
    parts = [name.split(".") for name in imports(path)]
    names = {part[1] for part in parts if part[0] == "streamlib" and len(part) > 1}
    return names & {*MODULES, "scenarios", "lab"}


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PACKAGE / folder).rglob("*.py"))


def test_every_module_has_a_place_in_the_reading_order() -> None:
    assert set(MODULES) <= set(KNOWN)
    assert set(KNOWN) == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_is_read_before_it(module: str) -> None:
    assert siblings(PACKAGE / f"{module}.py") <= set(MAY_IMPORT[module])


def test_no_two_modules_import_each_other() -> None:
    graph = {module: siblings(PACKAGE / f"{module}.py") for module in MODULES}
    # A workflow's topic handle names the stream's type, for the type checker only.
    graph["topic"] -= {"stream"}
    while leaves := [module for module, needs in graph.items() if not needs & graph.keys()]:
        for leaf in leaves:
            del graph[leaf]
    assert not graph


@pytest.mark.parametrize("module", [name for name in CORE if name in MODULES])
def test_the_core_is_pure_no_io_no_clock_no_asyncio_no_temporalio(module: str) -> None:
    path = PACKAGE / f"{module}.py"
    roots = {name.split(".")[0] for name in imports(path)} - {"streamlib"}
    assert roots <= PURE
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not called & {"now", "utcnow", "today", "open", "print", "input"}


def test_the_two_halves_never_import_each_other() -> None:
    for module in WORKFLOW:
        assert not siblings(PACKAGE / f"{module}.py") & set(CLIENT)
    for module in CLIENT:
        assert not siblings(PACKAGE / f"{module}.py") & set(WORKFLOW)


@pytest.mark.parametrize("path", files("scenarios"), ids=lambda path: path.name)
def test_scenarios_do_not_know_the_lab_and_use_only_what_is_public(path: Path) -> None:
    assert siblings(path) <= {"__init__", "scenarios", *SURROUNDINGS}


def test_only_the_lab_knows_notebooks() -> None:
    for path in [*PACKAGE.glob("*.py"), *files("scenarios")]:
        assert not {name.split(".")[0] for name in imports(path)} & NOTEBOOK, path.name

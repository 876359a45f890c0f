"""Every supported Python from the one lock, and the lowest versions allowed: `make test-all`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamlib.scenarios.home import checkout
from tests.drawn import drawn

VERSIONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
LIBRARY = ["tests/core", "tests/wire", "tests/host", "tests/client"]
RUNS = [
    *("tests/server/test_exit.py", "tests/server/test_stream.py"),
    *("tests/scenarios/test_terminal.py", "tests/notebooks/test_run_all.py"),
]
"""What can differ between Pythons beside the library: its runs, in terminals and in kernels.

The lab's processes and the faults run once, on the Python of `make test`.
"""
LESS = [*LIBRARY[:3], *RUNS[:1]]
"""What is enough for a Python between the oldest and the newest; and for one of these two, which
is drawn."""

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(1800)]


def interpreter(version: str) -> str | None:
    """A Python of that version: on PATH, or kept by pyenv."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in (shutil.which(f"python{version}"), *map(str, kept)):
        # pyenv puts names on PATH that do not run
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("version", VERSIONS)
def test_it_passes_on_python(version: str) -> None:
    root = checkout()
    assert root is not None
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return  # all of `make test` ran on it
    environment = root / ".venvs" / version
    own = environment / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    pip = [*uv, "pip", "install", "-q", "--python", str(own)]
    less = version in ("3.11", "3.12") or not drawn(VERSIONS.index(version))
    tests = LESS if less else [*LIBRARY, *RUNS]
    commands = [
        [*uv, "venv", "-q", "--clear", "--python", python, str(environment)],
        [*pip, "--require-hashes", "-r", "requirements.lock"],
        [*pip, "--no-deps", "--no-build-isolation", "-e", "."],
        [str(own), "-m", "pytest", "-q", *tests],
    ]
    run_all(commands)


def test_the_lowest_versions_allowed_run_the_notebooks(tmp_path: Path) -> None:
    """What `pyproject.toml` says of its dependencies is so: on this Python, beside no lock."""
    own = tmp_path / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    pip = [*uv, "pip", "install", "-q", "--python", str(own)]
    tools = ["nbclient", "pytest", "pytest-asyncio", "pytest-timeout", "pytest-cov"]
    tools += ["pytest-xdist", "hypothesis"]
    run_all(
        [
            [*uv, "venv", "-q", "--python", sys.executable, str(tmp_path / "venv")],
            [*pip, "--resolution", "lowest-direct", "-e", ".[lab]"],
            [*pip, *tools],
            [str(own), "-m", "pytest", "-q", "tests/notebooks/test_run_all.py"],
        ]
    )


def run_all(commands: Sequence[Sequence[str]]) -> None:
    """In the checkout, one after the other; the first that fails fails the test."""
    # They are no part of the run that this may be a part of.
    env = {name: each for name, each in os.environ.items() if not name.startswith("PYTEST_")}
    for command in commands:
        done = subprocess.run(command, cwd=checkout(), env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"

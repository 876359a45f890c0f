"""Every supported Python, each in an environment of its own from the one lock: `make test-all`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from streamlib.scenarios.home import checkout

# What can differ between Pythons: the library on a server, terminal runs, kernels. The lab's
# processes and the faults run once, on the Python of `make test`.
TESTS = [
    *("tests/core", "tests/wire", "tests/host", "tests/client"),
    *("tests/server", "tests/scenarios", "tests/notebooks"),
]

SPREAD = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(1800)]


def interpreter(version: str) -> str | None:
    """A Python of that version: on PATH, or kept by pyenv."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in (shutil.which(f"python{version}"), *map(str, kept)):
        # pyenv puts names on PATH that do not run
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_it_passes_on_python(version: str) -> None:
    root = checkout()
    assert root is not None
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    environment = root / ".venvs" / version
    own = environment / "bin" / "python"
    pip = [str(own), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    fast = sorted(str(path) for path in Path(__file__).parent.glob("test_*.py"))
    commands = [
        [python, "-m", "venv", str(environment)],
        [*pip, "--require-hashes", "-r", "requirements.lock"],
        [*pip, "--no-deps", "--no-build-isolation", "-e", "."],
        [str(own), "-m", "pytest", "-q", *SPREAD, *TESTS, *fast],
    ]
    for command in commands:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"

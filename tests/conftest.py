"""Fixtures every test may use: a private home, one real dev server, a connected client.

The server is started once a session, only if a test asks for it, in a throwaway home; the
user's own server, worker and files are never looked at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

# Of what `nbformat` loads, this takes five seconds, for a check of addresses; it is optional.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

pytest_plugins = ["tests.covered", "tests.later", "tests.shared_out", "tests.watchdog"]


def pytest_configure() -> None:
    """A time limit around the run ends it as Ctrl-C does: the fixtures still stop the server.

    And Ctrl-C works in what tests start, also where a shell runs this in the background: there
    it is ignored, and children inherit that.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[Path]:
    """A state folder of this test session's own, known to every process it starts."""
    folder = Path(tempfile.mkdtemp(prefix="streamlib-test-"))
    with pytest.MonkeyPatch.context() as patch:
        # Nobody's server, nobody's bill, and nobody's hub.
        ours = tuple(f"STREAMLIB_{name}" for name in ("LEARNER", "UI", "PORT"))
        strangers = ("TEMPORAL_", "OPENAI_", "JUPYTERHUB_", *ours)
        for name in [name for name in os.environ if name.startswith(strangers)]:
            patch.delenv(name)
        patch.setenv("STREAMLIB_HOME", str(folder))
        # What is killed in a test comes back at its port, which another process may not take.
        number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        first = int(os.environ.get("STREAMLIB_TEST_PORT", "7233")) + int(number)
        patch.setenv("STREAMLIB_PORT", str(first))  # and every tenth from there
        patch.setenv("STREAMLIB_TEST_PORT", str(first + 3))  # of a run of tests within this one
        patch.setenv("TEMPORAL_CONFIG_FILE", str(folder / "no-such-profile.toml"))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The address of a real dev server, shared by the whole session."""
    from streamlib.lab.machine import server as servers

    try:
        yield asyncio.run(servers.start()).address
    finally:
        asyncio.run(servers.stop())


@pytest.fixture
async def client(server: str) -> Client:
    """A client of the shared server's default namespace."""
    return await Client.connect(server)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome: one that is there, else Playwright's own download.

    Without either, the tests that need one are skipped, and say so; in CI they fail.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    on_a_mac = (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    )
    for name in (*names, *on_a_mac):
        if path := shutil.which(name):
            return path
    if path := _downloaded_chromium():
        return path
    missing = "no Chromium or Chrome here, and Playwright could not download one"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def _downloaded_chromium() -> str | None:
    install = [sys.executable, "-m", "playwright", "install", "chromium"]
    if subprocess.run(install, capture_output=True, timeout=300, check=False).returncode:
        return None
    where = (
        "from playwright.sync_api import sync_playwright as start\n"
        "with start() as playwright: print(playwright.chromium.executable_path)"
    )
    answer = subprocess.run([sys.executable, "-c", where], capture_output=True, text=True)
    path = answer.stdout.strip()
    return path if Path(path).is_file() else None

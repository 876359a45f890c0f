"""Fixtures every test may use: a private home, one real dev server, a connected client.

The server is started once a session, only if a test asks for it, on free ports and in a
throwaway home; the user's own server, worker and files are never looked at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[Path]:
    """A state folder of this test session's own, known to every process it starts."""
    folder = Path(tempfile.mkdtemp(prefix="streamlib-test-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
            patch.delenv(name)
        patch.setenv("STREAMLIB_HOME", str(folder))
        patch.setenv("TEMPORAL_CONFIG_FILE", str(folder / "no-such-profile.toml"))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The address of a real dev server, shared by the whole session."""
    go_bin = str(Path.home() / "go" / "bin")
    binary = shutil.which("temporal") or shutil.which("temporal", path=go_bin)
    assert binary, "no temporal binary"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [binary, "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        + ["--port", str(port), "--log-level", "never"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asyncio.run(_until_up(f"127.0.0.1:{port}"))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def _until_up(address: str) -> None:
    for _ in range(300):
        try:
            await Client.connect(address)
            return
        except RuntimeError:
            await asyncio.sleep(0.1)
    raise TimeoutError(f"no server at {address}")


@pytest.fixture
async def client(server: str) -> AsyncIterator[Client]:
    """A client of the shared server's default namespace."""
    yield await Client.connect(server)

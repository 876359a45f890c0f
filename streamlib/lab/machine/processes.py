"""Background processes that outlive the kernel that started them, and are found again.

Owns one file a process (`<home>/run/<name>.json`: pid, birth, what it was started with) and one
log. A pid counts only together with the birth, so a pid that was reused by somebody else is never
mistaken for ours, and nothing we did not start is ever signalled. One whose file was never
written, because we were killed at that moment, is found by a mark in its environment. It does not
know what runs. Next: `server.py` and `workers.py`, which do.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import psutil

import streamlib.scenarios.home
from streamlib.scenarios.home import home, location, subfolder, write_private

MARK = "STREAMLIB_PROCESS"
"""The environment variable that says whose a process is: its home and name; children inherit it."""

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
    born: str
    """When, as `born(pid)` tells it: with the pid, the process's identity."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What it was started with, for whoever finds it again."""
    owner: str = ""
    """Who first started what goes by this name: whose it is, also once somebody restarted it."""

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
    def mine(self) -> bool:
        """Whether this very process of ours started it, or what it was restarted in place of."""
        return self.owner == _us()

    @property
    def exit_code(self) -> int | None:
        """The exit code, known only to the process that started it."""
        child = _children.get(self.pid)
        return child.poll() if child else None

    def log_tail(self, lines: int = 20) -> str:
        """The last `lines` lines it wrote."""
        return tail(self.log, lines)

    async def stop(self, grace: float = 5.0) -> None:
        """End it, and forget it. Idempotent."""
        await self.end(grace)
        _forget(self)

    async def end(self, grace: float = 5.0) -> None:
        """Ask it to end (SIGTERM), kill it after `grace` seconds; it is known what it was.

        A paused one is resumed first, or it could not hear. What it started in its own session
        ends with it. Idempotent.
        """
        if handle := self._handle():
            with suppress(psutil.NoSuchProcess):
                handle.resume()
                _signal(handle, signal.SIGTERM)
            if not await self.gone(grace):
                await self.kill()

    async def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; what it was started with is kept."""
        if handle := self._handle():
            _signal(handle, getattr(signal, "SIGKILL", signal.SIGTERM))
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

    async def gone(self, seconds: float = float("inf"), *, pause: float = 0.02) -> bool:
        """Wait up to `seconds` for its end, with a look every `pause`; whether it ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.alive:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(pause)
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
            alive = handle.status() != psutil.STATUS_ZOMBIE
            return handle if alive and _same(born(self.pid), self.born) else None
        except psutil.NoSuchProcess:
            return None

    def __str__(self) -> str:
        """One line: which."""
        return f"{self.name} (pid {self.pid})"


def born(pid: int) -> str:
    """What tells this process from all that had its pid, or will have it; empty if it is gone.

    On Linux the boot and the clock ticks since then: the time of day may be set meanwhile, and is
    by a machine that wakes up. Elsewhere the time of creation.
    """
    if sys.platform != "linux":
        with suppress(psutil.NoSuchProcess):
            return f"{psutil.Process(pid).create_time():.2f}"
        return ""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return f"{boot} {after_name[19].decode()}"


def _same(one: str, other: str) -> bool:
    if not one or sys.platform == "linux":
        return bool(one) and one == other
    with suppress(ValueError):
        # The tolerance is for the boot time, which some systems round and adjust.
        return abs(float(one) - float(other)) < 2.0
    return False


def spawn(
    name: str,
    command: Sequence[str],
    *,
    facts: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    log: bool = True,
) -> Process:
    """Start `command` in a session of its own, its output in a fresh private log.

    The session is what lets it outlive a kernel restart and a Ctrl-C in the terminal.

    Args:
        name: What to find it under again; it takes the place of what an older record names.
        command: The program and its arguments; no shell.
        facts: Kept with the record, for whoever finds the process again.
        env: Its whole environment; None means a copy of ours.
        log: False lets it write where we do, instead of to a log.

    Raises:
        OSError: The command cannot be run, or there is no room for its log.
        HomeError: The state folder cannot be used.
    """
    output = _fresh_log(name) if log else None
    before = last(name)
    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
            umask=0o077 if log else -1,  # what it writes in our folder is nobody else's
            env={**(os.environ if env is None else env), MARK: _mark(name)},
        )
    finally:
        if output is not None:
            os.close(output)
    _children[child.pid] = child
    owner = before.owner if before and _lives(before.owner) else _us()
    process = Process(name, child.pid, born(child.pid), dict(facts or {}), owner)
    try:
        _remember(process)
    except BaseException:
        child.kill()  # nobody would find it
        child.wait()
        raise
    return process


def find(name: str) -> Process | None:
    """The running process of that name, whoever of us started it; None if it is gone."""
    process = last(name)
    return process if process and process.alive else None


def last(name: str) -> Process | None:
    """The process last started under that name and not stopped since, alive or dead."""
    try:
        saved = json.loads(_record(name).read_text(encoding="utf-8"))
        facts = {str(key): str(value) for key, value in dict(saved["facts"]).items()}
        owner = str(saved.get("owner", ""))
        return Process(name, int(saved["pid"]), str(saved["born"]), facts, owner)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never started, or a record cut short by a crash: either way, not there


def names() -> list[str]:
    """Every name that has a record, alive or dead."""
    return sorted(
        path.stem for path in (location() / "run").glob("*.json") if not path.name.startswith(".")
    )


def marked(name: str | None = None) -> list[psutil.Process]:
    """Every process of that name (None: of this home) by its mark, noted or not, but none of ours.

    Found so: an orphan that nobody noted, and what our processes started. This process and those
    above it are never among them.
    """
    us = psutil.Process()
    spared = {us.pid, *(above.pid for above in us.parents())}
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK, "") if process.pid not in spared else ""
            if mark == _mark(name) if name else mark.startswith(_mark("")):
                found.append(process)
    return found


async def end_marked(name: str | None = None) -> list[int]:
    """End all that `marked` finds: asked first, killed after three seconds; their pids."""
    found = marked(name)
    for process in found:
        with suppress(psutil.Error):
            process.resume()
            process.terminate()
    _, stubborn = await asyncio.to_thread(psutil.wait_procs, found, 3.0)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    await asyncio.to_thread(psutil.wait_procs, stubborn, 3.0)
    return [process.pid for process in found]


def python_path() -> str:
    """A PYTHONPATH with which a child imports the very streamlib that we do."""
    ours = str(Path(streamlib.scenarios.home.__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [ours, os.environ.get("PYTHONPATH", "")]))


def log_path(name: str) -> Path:
    """The log of the process of that name; nothing is created."""
    return location() / "logs" / f"{name}.log"


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
    lock = filelock.FileLock(home() / f"{name}.lock", mode=0o600)
    while True:
        with suppress(filelock.Timeout):
            lock.acquire(timeout=0)
            break
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


def _signal(handle: psutil.Process, number: int) -> None:
    """To it and all that it started in its session: a program may be a script around another."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        if hasattr(os, "killpg") and os.getpgid(handle.pid) == handle.pid:
            os.killpg(handle.pid, number)
        else:
            handle.send_signal(number)


def _us() -> str:
    return f"{os.getpid()} {born(os.getpid())}"


def _lives(owner: str) -> bool:
    pid, _, since = owner.partition(" ")
    return pid.isdigit() and _same(born(int(pid)), since)


def _mark(name: str) -> str:
    return f"{location()}:{name}"


def _record(name: str) -> Path:
    return location() / "run" / f"{name}.json"


def _fresh_log(name: str) -> int:
    """A file that was not there before: what is found in its place, a link too, goes."""
    path = subfolder("logs") / f"{name}.log"
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)


def _remember(process: Process) -> None:
    kept = {"pid": process.pid, "born": process.born, "owner": process.owner}
    text = json.dumps({**kept, "facts": dict(process.facts)})
    write_private(subfolder("run") / f"{process.name}.json", text)


def _forget(process: Process) -> None:
    recorded = last(process.name)
    if recorded and recorded.pid == process.pid:
        _record(process.name).unlink(missing_ok=True)

"""Background worker processes, started and stopped from a notebook cell.

Owns a worker's life: started once and found again by every kernel, really polling when `start`
returns, killed and restarted on purpose in lessons. What the worker runs is not known here
(`streamlib/scenarios/worker.py`). How a process is kept: `processes.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil

from streamlib.lab.errors import LabError, WorkerDiedError
from streamlib.lab.machine import processes
from streamlib.lab.machine.processes import Process
from streamlib.scenarios import TASK_QUEUE
from streamlib.scenarios.connect import connect, identity, polls, target
from streamlib.scenarios.connect import task_queue as queue_named

READY_TIMEOUT = 60.0
"""Seconds a worker may take from its start to its first poll."""

HEARD = 2.0
"""Seconds that a server may take to hear of a worker's death; one that hangs never does."""

COMMAND = (sys.executable, "-m", "streamlib.scenarios.worker")


class Worker:
    """One background worker; stays valid over `kill` and `restart`, whatever its pid.

    Example:
        worker = await lab.workers.start()
        await worker.kill()      # as a crash would: its workflows wait
        await worker.restart()   # and go on
    """

    def __init__(self, process: Process) -> None:
        self.name = process.name
        """The name to find it under."""
        self._known = process

    @property
    def _process(self) -> Process:
        """The process now behind the name, whichever kernel started it; the last one known."""
        self._known = processes.last(self.name) or self._known
        return self._known

    @property
    def pid(self) -> int:
        """The process id of the worker, or of the one that died."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.alive

    @property
    def paused(self) -> bool:
        """Whether it is alive and does nothing, since `pause`."""
        return self._process.paused

    @property
    def task_queue(self) -> str:
        """The queue it polls."""
        return self._process.facts["task_queue"]

    @property
    def identity(self) -> str:
        """Its name in the server's list of pollers, and in the histories it writes."""
        return identity(self.pid)

    def log_tail(self, lines: int = 20) -> str:
        """The last `lines` lines of its log."""
        return self._process.log_tail(lines)

    async def polling(self) -> bool:
        """Whether it runs and the server lists it as a poller for workflows and activities.

        A paused one does not poll, though the server lists it for some minutes.

        Raises:
            ServerUnavailableError: No server answers.
        """
        return (
            self.alive
            and not self.paused
            and await polls(await connect(), self.task_queue, self.identity)
        )

    async def kill(self) -> None:
        """SIGKILL it, as a crash would; returns when its server has heard, or after two seconds.

        Idempotent.

        A server that has not may hand the next task to the dead worker, and waits ten seconds for
        what became of it: a lesson that publishes in the next line would stand still.
        """
        process = self._process
        lines = _lines(process)
        await process.kill()
        await _heard(lines)

    async def pause(self) -> None:
        """Let it do nothing, as a machine that hangs would; `resume` lets it go on. Idempotent.

        What it had taken times out: workflow tasks after ten seconds, as a rule, and then they
        wait for it or another worker.
        """
        await self._process.pause()

    async def resume(self) -> None:
        """Let it go on where it was paused. Idempotent."""
        await self._process.resume()

    async def stop(self) -> None:
        """Let it finish what it holds, then end it. Idempotent."""
        async with processes.only_one(self.name):
            await self._process.stop()

    async def restart(self) -> None:
        """End it if it runs, start it again, and wait until it polls.

        Raises:
            WorkerDiedError: The new one died at once; holds the end of its log.
        """
        async with processes.only_one(self.name):
            await self._process.end()
            facts = self._process.facts
            command = json.loads(facts["command"])
            purpose = facts.get("purpose", "")
            self._known = await _launch(self.name, self.task_queue, command, purpose)

    def __str__(self) -> str:
        """One line: which, and whether it lives."""
        state = ("paused" if self.paused else "running") if self.alive else "dead"
        return f"{self.name} (pid {self.pid}, {state})"

    __repr__ = __str__


async def start(
    name: str = "worker",
    *,
    task_queue: str | None = None,
    command: Sequence[str] = COMMAND,
    purpose: str = "",
) -> Worker:
    """The worker of that name, started if it does not run; returns when it is really polling.

    A running one is kept, and resumed if it is paused, unless it works for another server, queue
    or purpose: then it is replaced.

    Args:
        name: One worker a name.
        task_queue: The queue to poll; None means that of scenarios 1 to 4.
        command: The program to run; it gets `--task-queue` and must poll under `identity(pid)`.
        purpose: What else it was set up for, in a word; kept on disk, so no secret. A worker
            without one asks no LLM, and is given nobody's key.

    Raises:
        ServerUnavailableError: No server answers.
        WorkerDiedError: It died while it started; holds the end of its log.
    """
    await connect()  # a worker without a server would only die less clearly
    task_queue = task_queue or queue_named(TASK_QUEUE)
    async with processes.only_one(name):
        running = processes.find(name)
        if running and _fits(running, task_queue, purpose):
            await running.resume()
            await _until_polling(running)
            return Worker(running)
        if running:
            await running.end()
        else:
            await processes.end_marked(name)  # one that nobody could note
        return Worker(await _launch(name, task_queue, command, purpose))


async def status(name: str = "worker") -> Worker | None:
    """The worker of that name, running or dead; None if it was never started, or was stopped."""
    process = processes.last(name)
    return Worker(process) if process else None


async def stop(name: str = "worker") -> None:
    """Stop the worker of that name, whoever started it. Idempotent."""
    if worker := await status(name):
        await worker.stop()


def names() -> list[str]:
    """The names of all workers that were started and not stopped since, alive or dead."""
    return [name for name in processes.names() if "task_queue" in _facts(name)]


async def _launch(name: str, task_queue: str, command: Sequence[str], purpose: str) -> Process:
    goal = target()
    process = processes.spawn(
        name,
        [*command, "--task-queue", task_queue],
        facts={
            "address": goal.address,
            "namespace": goal.namespace,
            "task_queue": task_queue,
            "purpose": purpose,
            "command": json.dumps(list(command)),
        },
        env=_environment(purpose),
    )
    try:
        await _until_polling(process)
    except (WorkerDiedError, asyncio.CancelledError):
        await asyncio.shield(process.stop(grace=1.0))  # nothing to find again
        raise
    return process


def _environment(purpose: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if purpose or not _is_key(key)}
    return {**kept, "PYTHONPATH": processes.python_path(), "PYTHONUNBUFFERED": "1"}


def _is_key(name: str) -> bool:
    return name.startswith("OPENAI_")


def _facts(name: str) -> Mapping[str, str]:
    process = processes.last(name)
    return process.facts if process else {}


def _fits(process: Process, task_queue: str, purpose: str) -> bool:
    goal = target()
    wanted = {
        "address": goal.address,
        "namespace": goal.namespace,
        "task_queue": task_queue,
        "purpose": purpose,
    }
    return all(process.facts.get(key) == value for key, value in wanted.items())


async def _until_polling(process: Process) -> None:
    client = await connect()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    queue = process.facts["task_queue"]
    while not await polls(client, queue, identity(process.pid)):
        if not process.alive:
            code = process.exit_code
            how = "" if code is None else f" (exit code {code})"
            raise WorkerDiedError(
                f"the {process.name} died while it started{how}.", process.log_tail()
            )
        if loop.time() > deadline:
            raise LabError(
                f"the {process.name} (pid {process.pid}) runs but does not poll {queue!r} after "
                f"{READY_TIMEOUT:.0f} s. Try `await worker.restart()`; its log: {process.log}"
            )
        await asyncio.sleep(0.05)


def _lines(process: Process) -> set[tuple[int, int]]:
    """Its connections to the server: here and there, as ports."""
    there = process.facts.get("address", "").rpartition(":")[2]
    with suppress(psutil.Error):
        ours = psutil.Process(process.pid).net_connections("tcp") if process.alive else []
        return {(near, far) for near, far in _ends(ours) if str(far) == there}
    return set()


async def _heard(lines: set[tuple[int, int]]) -> None:
    """Wait until both ends of `lines` are closed. Where one may not look, it does not wait."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + HEARD
    with suppress(psutil.Error):
        while lines and loop.time() < deadline:
            left = _ends(await asyncio.to_thread(psutil.net_connections, "tcp"))
            lines = {(near, far) for near, far in lines if {(near, far), (far, near)} & left}


def _ends(connections: Iterable[Any]) -> set[tuple[int, int]]:
    return {
        (each.laddr.port, each.raddr.port)
        for each in connections
        if each.raddr and each.status != psutil.CONN_TIME_WAIT
    }

"""What a notebook starts with: a server, a worker that polls, and a connected client.

Owns the first and the last cell of every notebook. Both are idempotent, and a restarted kernel
finds everything again. The parts: `server.py`, `workers.py`; what each says when it is not well:
`doctor.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.client import Client

from streamlib.lab.errors import ServerUnavailableError, WorkerDiedError
from streamlib.lab.machine import scripted, small, workers
from streamlib.lab.machine import server as servers
from streamlib.lab.machine.server import Server
from streamlib.lab.machine.workers import Worker
from streamlib.scenarios.connect import connect


@dataclass(frozen=True)
class Session:
    """Everything a lesson works with. It shows itself in one line a part.

    Example:
        session = await lab.start()
        session.client   # a temporalio.client.Client
        await session.worker.kill()
        await session.stop()
    """

    client: Client
    """Connected to the server, in its namespace; reconnects by itself."""
    worker: Worker
    """The background worker, whatever its pid."""
    started_on: Server
    """The server as this session found it."""

    @property
    def server(self) -> Server:
        """The server as it is now: also after it was killed and started again."""
        return servers.last() or self.started_on

    @property
    def task_queue(self) -> str:
        """The queue that the worker polls: start workflows on it."""
        return self.worker.task_queue

    async def stop(self, *, everything: bool = False) -> None:
        """The same as `lab.stop`."""
        await stop(everything=everything)

    def __repr__(self) -> str:
        """One line a part."""
        lines = [f"server  {self.server}", f"worker  {self.worker} polls {self.task_queue!r}"]
        if self.server.ui_url:
            lines.append(f"UI      {self.server.ui_url}")
        return "\n".join(lines)


_sessions: list[Session] = []


def last() -> Session | None:
    """The session that this kernel started last, if any."""
    return _sessions[0] if _sessions else None


async def start(*, quiet: bool = False) -> Session:
    """Start what is not running yet, and connect. Idempotent, also over kernel restarts.

    Args:
        quiet: Print nothing, not even while a server is being fetched.

    Raises:
        ServerUnavailableError: There is no server; says what to do.
        WorkerDiedError: The worker died while it started; holds the end of its log.
    """
    server = await servers.start(say=_silent if quiet else print)
    worker = await workers.start()
    session = Session(await connect(), worker, server)
    _sessions[:] = [session]
    if not quiet:
        print(session)
    return session


async def stop(*, everything: bool = False, quiet: bool = False) -> None:
    """End a lesson: check that server and worker are still well, and say what goes on running.

    The check is the point: cells can pass while the worker behind them is long dead. Idempotent.

    Args:
        everything: Also stop the worker and the dev server. Without it they stay, for the next
            notebook; `make stop` ends them later.
        quiet: Print nothing.

    Raises:
        WorkerDiedError: The worker had died; holds the end of its log.
        ServerUnavailableError: The server had died.
    """
    say = _silent if quiet else print
    parts = [f"server {found}"] if (found := servers.last()) else []
    running = [worker for name in workers.names() if (worker := await workers.status(name))]
    parts += map(str, running)
    if llm := scripted.last():
        parts.append(str(llm))
    if not parts:
        say("nothing runs.")
        return
    try:
        await _check(running)
    finally:
        if everything:
            for worker in running:
                await worker.stop()
            await scripted.stop()
            await small.stop()
            await servers.stop()
    if everything:
        say(f"all was well; stopped: {', '.join(parts)}.")
    else:
        say("\n  ".join(["all is well; left running for the next notebook:", *parts]))
        say("`await lab.stop(everything=True)` or `make stop` ends them.")


async def _check(running: Sequence[Worker]) -> None:
    if await servers.status() is None:
        raise ServerUnavailableError(
            "the Temporal server no longer answers. `await lab.start()` brings it back."
        )
    for worker in running:
        if not await worker.polling():
            state = "runs but does not poll" if worker.alive else "is dead"
            state, mend = ("is paused", "resume") if worker.paused else (state, "restart")
            whose = {"worker": "session", "llm-worker": "llm"}.get(worker.name, "own")
            raise WorkerDiedError(
                f"{worker.name} (pid {worker.pid}) {state}. `await {whose}.worker.{mend}()` "
                "brings it back.",
                worker.log_tail(),
            )


def _silent(_: str) -> None:
    pass

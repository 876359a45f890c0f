"""The Temporal server behind the notebooks: the user's own, or a dev server that we run.

Owns the dev server's life: its ports, its database file, its profile file and when it counts as
ready. Its process is its own, so no kernel restart touches it; it listens on loopback only. A
server that the environment or a Temporal profile names is never started, stopped or changed.
Where the binary comes from: `binary.py`. How others find it: `scenarios/connect.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from streamlib.lab.errors import LabError, ServerUnavailableError
from streamlib.lab.machine import binary, processes
from streamlib.lab.machine.binary import Say
from streamlib.lab.machine.processes import Process
from streamlib.scenarios.connect import Target, connect, target
from streamlib.scenarios.home import home, profile_path

NAME = "server"
HOST = "127.0.0.1"
GRPC_PORT, UI_PORT = 7233, 8233
READY_TIMEOUT = 45.0
"""Seconds a dev server may take from its start to its first answer."""


@dataclass(frozen=True)
class Server:
    """A server that answered when this was made.

    Example:
        server = await lab.server.start()
        server.address        # '127.0.0.1:7233'
        await server.kill()   # as a crash would; `start` brings it back with its workflows
    """

    address: str
    """`host:port` of the gRPC service."""
    namespace: str
    """The namespace that clients use."""
    ui_url: str | None
    """The web page of the dev server; None for a server that is not ours."""
    process: Process | None
    """The dev server's process; None for a server that is not ours."""

    @property
    def external(self) -> bool:
        """Whether the environment or a profile named it, so that it is not ours to run."""
        return self.process is None

    @property
    def pid(self) -> int | None:
        """The dev server's process id; None for a server that is not ours."""
        return self.process.pid if self.process else None

    @property
    def alive(self) -> bool:
        """Whether its process runs; a server that is not ours counts as alive."""
        return self.process is None or self.process.alive

    @property
    def paused(self) -> bool:
        """Whether its process is alive and does nothing, since `pause`."""
        return self.process is not None and self.process.paused

    async def kill(self) -> None:
        """SIGKILL the dev server, for lessons. Its database and its ports are kept for `start`.

        Raises:
            LabError: The server is not ours.
        """
        await self._own("killed").kill()

    async def pause(self) -> None:
        """Let the dev server do nothing: it answers nobody, as behind a network that hangs.

        `resume` or `start` lets it go on. Idempotent.

        Raises:
            LabError: The server is not ours.
        """
        await self._own("paused").pause()

    async def resume(self) -> None:
        """Let the dev server go on where it was paused. Idempotent.

        Raises:
            LabError: The server is not ours.
        """
        await self._own("paused").resume()

    def _own(self, what: str) -> Process:
        if self.process is None:
            raise LabError(f"the server at {self.address} is not ours: it is never {what}.")
        return self.process

    async def stop(self) -> None:
        """The same as `stop()` of this module."""
        await stop()

    def __str__(self) -> str:
        """One line: where, and whose."""
        whose = "external" if self.process is None else f"pid {self.pid}"
        return f"{self.address} ({whose})"


async def start(*, say: Say = print) -> Server:
    """The server to use: the configured one, else the dev server, started if it does not run.

    A paused one is resumed. Idempotent, from any kernel or terminal. Returns only when the
    namespace can be used.

    Args:
        say: Where progress goes, when a binary must be fetched first.

    Raises:
        ServerUnavailableError: The configured server does not answer, there is no binary to be
            had, or the dev server died; says which, and what to do.
    """
    goal = target()
    if goal.external:
        await connect()
        return _external(goal)
    async with processes.only_one(NAME):
        running = processes.find(NAME)
        if running is None:
            return await _launch(await binary.obtain(say))
        await running.resume()
        await _until_ready(running)
        _write_profile(running)
        return _ours(running)


async def status() -> Server | None:
    """The server in use if it answers now; None if it does not, or none was started."""
    found = last()
    if found and found.alive and not found.paused:
        with suppress(ServerUnavailableError):
            await connect()
            return found
    return None


def last() -> Server | None:
    """The server in use, whether it answers or not; None if there is none to use."""
    goal = target()
    if goal.external:
        return _external(goal)
    recorded = processes.last(NAME)
    return _ours(recorded) if recorded else None


async def stop() -> None:
    """Stop the dev server and remove its profile; the database stays. Idempotent.

    A server that is not ours is left alone.
    """
    async with processes.only_one(NAME):
        if recorded := processes.last(NAME):
            await recorded.stop(grace=10.0)
            profile_path().unlink(missing_ok=True)


async def _launch(program: Path) -> Server:
    """Start it on the ports it had before if they are free; somebody may be quicker: try again."""
    for last_try in (False, False, False, True):
        process = _spawn(program, *await _choose_ports())
        try:
            await _until_ready(process)
        except ServerUnavailableError:
            await process.stop()
            # Not its last lines only: a hundred lines of a Go panic may follow.
            if last_try or "address already in use" not in process.log_tail(1000):
                raise
        else:
            _write_profile(process)
            break
    return _ours(process)


def _spawn(program: Path, grpc_port: int, ui_port: int) -> Process:
    command = [str(program), "server", "start-dev", "--ip", HOST, "--ui-ip", HOST]
    command += ["--port", str(grpc_port), "--ui-port", str(ui_port)]
    command += ["--db-filename", str(_database()), "--log-level", "error"]
    # It needs none of our settings, and no key that a worker may need.
    strangers = ("TEMPORAL_", "OPENAI_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(strangers)}
    facts = {
        "address": f"{HOST}:{grpc_port}",
        "grpc_port": str(grpc_port),
        "ui_port": str(ui_port),
    }
    try:
        return processes.spawn(NAME, command, facts=facts, env=env)
    except OSError as error:
        raise ServerUnavailableError(
            f"{program} cannot be run ({error}). Remove or replace it, then try again."
        ) from error


def _database() -> Path:
    path = home() / "temporal.db"
    if path.is_file() and path.stat().st_size == 0:
        path.unlink()  # a first start that was cut short: an empty file gets no schema
    return path


async def _until_ready(process: Process) -> None:
    """Wait until the default namespace can be described: the port alone opens too early.

    By this very process: where two start at once on one port, the other one may answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    port = int(process.facts["grpc_port"])
    while not (_listens(process.pid, port) and await _answers(process.facts["address"])):
        if not process.alive:
            why = "the Temporal dev server ended while it started."
        elif loop.time() > deadline:
            why = f"the Temporal dev server does not answer after {READY_TIMEOUT:.0f} s."
        else:
            await asyncio.sleep(0.05)
            continue
        raise ServerUnavailableError(f"{why} Its log ({process.log}) ends:\n{process.log_tail()}")


def _listens(pid: int, port: int) -> bool:
    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:  # it has ended
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets)


async def _answers(address: str) -> bool:
    try:
        client = await asyncio.wait_for(Client.connect(address), 2.0)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="default"), retry=False
        )
        return True
    except (RuntimeError, RPCError, asyncio.TimeoutError):
        return False


async def _choose_ports() -> tuple[int, int]:
    """The ports it had before it died, else the usual ones, else the next that are free.

    Never one that the system would hand out by itself: while a server is down, a client that
    keeps trying such a port can end up connected to itself, and hold it.
    """
    if before := processes.last(NAME):
        grpc, ui = int(before.facts["grpc_port"]), int(before.facts["ui_port"])
        for _ in range(20):  # what a killed process held may take a moment to be let go
            if is_free(grpc) and is_free(ui):
                return grpc, ui
            await asyncio.sleep(0.1)
    return first_free(GRPC_PORT), first_free(UI_PORT)


def first_free(usual: int) -> int:
    """The usual port if it is free, else one near it.

    Raises:
        ServerUnavailableError: None is.
    """
    for port in range(usual, usual + 1000, 10):
        if is_free(port):
            return port
    raise ServerUnavailableError(f"no free port between {usual} and {usual + 1000}.")


def is_free(port: int) -> bool:
    """Nobody answers there, and it can be bound (which alone misses a wildcard listener)."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def _write_profile(process: Process) -> None:
    """Say where the server is in Temporal's own format, for code that does not know the lab."""
    text = f'[profile.default]\naddress = "{process.facts["address"]}"\nnamespace = "default"\n'
    (home() / profile_path().name).write_text(text)


def _ours(process: Process) -> Server:
    return Server(
        address=process.facts["address"],
        namespace="default",
        ui_url=f"http://{HOST}:{process.facts['ui_port']}",
        process=process,
    )


def _external(goal: Target) -> Server:
    return Server(goal.address, goal.namespace, ui_url=None, process=None)

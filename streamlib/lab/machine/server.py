"""The Temporal server behind the notebooks: the user's own, or a dev server that we run.

Owns the dev server's life: its ports, its database file, its profile file and when it counts as
ready. Its process is its own, so no kernel restart touches it; it listens on loopback only. A
server that the environment or a Temporal profile names is never started, stopped or changed.
Where the binary comes from: `binary.py`. Its page, and from where it is seen: `page.py`. How
others find it: `scenarios/connect.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from streamlib.lab.errors import LabError, ServerUnavailableError
from streamlib.lab.machine import binary, page, processes
from streamlib.lab.machine.binary import Binary, Say
from streamlib.lab.machine.processes import Process
from streamlib.leaving import leave_calmly
from streamlib.scenarios.connect import Target, connect, target
from streamlib.scenarios.home import HomeError, home, profile_path, write_private
from streamlib.scenarios.program import in_one_line

NAME = "server"
HOST = "127.0.0.1"
PORTS = {"grpc_port": 7233, "ui_port": 8233, "http_port": 7238}
"""Those of the dev server, where they are free: the service, its page, its HTTP API."""

_FIRST = PORTS["grpc_port"]

NO_BROWSER = "no-browser.invalid"
"""The one Host that the HTTP API answers: a name that nobody can have, so that no page in a
browser gets in. Nothing of ours uses that API, and it can not be switched off."""

READY_TIMEOUT = 45.0
"""Seconds a dev server may take from its start to its first answer."""


RESET = (
    "its database {database} {why}. `streamlib doctor --reset` moves it aside and begins a new "
    "one; or move it away yourself."
)
KNOWN = {
    "database or disk is full": "The disk is full: make room, then try again.",
    "no space left on device": "The disk is full: make room, then try again.",
    "file is not a database": RESET.replace("{why}", "is not one"),
    "database disk image is malformed": RESET.replace("{why}", "is damaged"),
    "no such table": RESET.replace("{why}", "is not one of this server's"),
    "no such column": RESET.replace("{why}", "is of another version of the server"),
    "schema": RESET.replace("{why}", "is of another version of the server"),
}
"""Words in the log of a server that did not start, and what they mean."""


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
    """Its web page as the browser reaches it; None if it cannot, or the server is not ours."""
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
        HomeError: The state folder cannot be used.
        CancelledError: Cancelled; what was begun is ended.
    """
    goal = target()
    if goal.external:
        await connect()
        return _external(goal)
    async with processes.only_one(NAME):
        running = processes.find(NAME)
        if running is None or not _complete(running.facts):
            await processes.end_marked(NAME)  # one that nobody could note: it has our database
            return await _launch(await binary.obtain(say))
        await running.resume()
        await _until_ready(running)
        _write_profile(running.facts["address"])
        return _ours(running)


async def status() -> Server | None:
    """The server in use if it answers now; None if it does not, or none was started."""
    found = last()
    if found is None or not found.alive or found.paused:
        return None
    if not found.external:
        # At its own address: without a profile, somebody else may answer at the usual one.
        return found if await answers(found.address) else None
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
    return _ours(recorded) if recorded and _complete(recorded.facts) else None


async def stop() -> None:
    """Stop the dev server and remove its profile; the database stays. Idempotent.

    A server that is not ours is left alone.
    """
    if processes.last(NAME) is None:
        return
    async with processes.only_one(NAME):
        if recorded := processes.last(NAME):
            await recorded.stop(grace=10.0)
            profile_path().unlink(missing_ok=True)


def database() -> Path:
    """The dev server's SQLite file; SQLite keeps more beside it, under longer names."""
    return home() / "temporal.db"


async def _launch(program: Binary) -> Server:
    """Start it on the ports it had before if they are free; somebody may be quicker: try again."""
    for last_try in (False, False, False, True):
        process = _spawn(program, await _choose_ports())
        try:
            _write_profile(process.facts["address"])  # now: this may be cut short at any moment
            await _until_ready(process)
            return _ours(process)
        except BaseException as error:
            await asyncio.shield(_undo(process))
            # Not its last lines only: a hundred lines of a Go panic may follow.
            taken = "address already in use" in processes.tail(process.log, 1000)
            if last_try or not taken or not isinstance(error, ServerUnavailableError):
                raise
    raise AssertionError("the last try returns or raises")


async def _undo(process: Process) -> None:
    """End what was begun, with all that it started, and leave nothing that points to it."""
    await process.stop(grace=2.0)
    await processes.end_marked(NAME)
    profile_path().unlink(missing_ok=True)


def _spawn(program: Binary, ports: Mapping[str, int]) -> Process:
    command = [str(program.path), "server", "start-dev", "--ip", HOST, "--ui-ip", HOST]
    command += ["--port", str(ports["grpc_port"]), "--ui-port", str(ports["ui_port"])]
    command += ["--http-port", str(ports["http_port"])]
    command += ["--dynamic-config-value", f'frontend.httpAllowedHosts=["{NO_BROWSER}"]']
    command += ["--db-filename", str(_usable_database()), "--log-level", "error"]
    command += page.options(ports["ui_port"])
    # It needs none of our settings, and no key that a worker may need.
    strangers = ("TEMPORAL_", "OPENAI_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(strangers)}
    facts = {
        "address": f"{HOST}:{ports['grpc_port']}",
        "binary": str(program),
        **{name: str(port) for name, port in ports.items()},
    }
    try:
        return processes.spawn(NAME, command, facts=facts, env=env)
    except OSError as error:
        raise ServerUnavailableError(in_one_line(error) or f"{program.path}: {error}") from error


def _usable_database() -> Path:
    path = database()
    if path.is_symlink():
        raise HomeError(f"{path} is a link, which is not followed. Remove it, then try again.")
    if path.is_file() and path.stat().st_size == 0:
        path.unlink()  # a first start that was cut short: an empty file gets no schema
    return path


def _complete(facts: Mapping[str, str]) -> bool:
    """Whether a record tells all that is needed: a damaged one counts as none."""
    try:
        return bool(facts["address"]) and all(0 < int(facts[name]) < 65536 for name in PORTS)
    except (KeyError, ValueError):
        return False


async def _until_ready(process: Process) -> None:
    """Wait until the default namespace can be described: the port alone opens too early.

    By this very process: where two start at once on one port, the other one may answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    port = int(process.facts["grpc_port"])
    while not (_listens(process.pid, port) and await answers(process.facts["address"])):
        if not process.alive:
            why = "the Temporal dev server ended while it started."
        elif loop.time() > deadline:
            why = f"the Temporal dev server does not answer after {READY_TIMEOUT:.0f} s."
        else:
            await asyncio.sleep(0.05)
            continue
        log = process.log_tail(1000)
        if known := next((says for words, says in KNOWN.items() if words in log.lower()), None):
            raise ServerUnavailableError(f"{why} {known.format(database=database())}")
        raise ServerUnavailableError(f"{why} Its log ({process.log}) ends:\n{process.log_tail()}")


def _listens(pid: int, port: int) -> bool:
    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:  # it has ended
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets)


async def answers(address: str) -> bool:
    """Whether a server is ready there: its default namespace can be described."""
    leave_calmly()
    try:
        client = await asyncio.wait_for(Client.connect(address), 2.0)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="default"), retry=False
        )
        return True
    except (RuntimeError, RPCError, asyncio.TimeoutError):
        return False


async def _choose_ports() -> dict[str, int]:
    """The ports it had before it died, else the usual ones, else the next that are free.

    Never one that the system would hand out by itself: while a server is down, a client that
    keeps trying such a port can end up connected to itself, and hold it.
    """
    if (before := processes.last(NAME)) and _complete(before.facts):
        had = {name: int(before.facts[name]) for name in PORTS}
        for _ in range(20):  # what a killed process held may take a moment to be let go
            if all(map(is_free, had.values())):
                return had
            await asyncio.sleep(0.1)
    return {name: first_free(usual) for name, usual in PORTS.items()}


def first_free(usual: int) -> int:
    """The usual port if it is free, else one near it.

    `$STREAMLIB_PORT` moves them all: to 7333, say, and each of ours by 100.

    Raises:
        ServerUnavailableError: None is, or the variable is no port.
    """
    first = usual + _moved_by()
    for port in range(first, first + 1000, 10):
        if is_free(port):
            return port
    raise ServerUnavailableError(f"no free port between {first} and {first + 1000}.")


def _moved_by() -> int:
    told = os.environ.get("STREAMLIB_PORT") or str(_FIRST)
    if not (told.isascii() and told.isdecimal() and 1024 <= int(told[:6]) <= 60_000):
        must_be = "a port from 1024 to 60000: the dev server's, or unset"
        raise ServerUnavailableError(f"STREAMLIB_PORT is {told[:20]!r}; it must be {must_be}.")
    return int(told) - _FIRST


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


def _write_profile(address: str) -> None:
    """Say where the server is in Temporal's own format, for code that does not know the lab."""
    text = f'[profile.default]\naddress = "{address}"\nnamespace = "default"\n'
    write_private(home() / profile_path().name, text)


def _ours(process: Process) -> Server:
    return Server(
        address=process.facts["address"],
        namespace="default",
        ui_url=page.link(int(process.facts["ui_port"])),
        process=process,
    )


def _external(goal: Target) -> Server:
    return Server(goal.address, goal.namespace, ui_url=page.external_link(), process=None)

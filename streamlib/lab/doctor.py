"""Is everything here that the course needs? Each part by name: ok, or what to do.

Owns the questions; it starts and changes nothing, and fetches nothing. (`doctor --reset` does:
`machine/everything.py`.)
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from datetime import timedelta
from importlib import metadata

import psutil
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.service import RPCError

from streamlib.lab.machine import binary, processes, server
from streamlib.lab.report import Part, Report
from streamlib.lab.status import scripted_parts, server_part, worker_parts
from streamlib.scenarios.connect import ServerUnavailableError, connect, target
from streamlib.scenarios.home import ROOM, location, problem, room
from streamlib.scenarios.program import in_one_line

LOOPBACK = ("127.", "::1", "::ffff:127.")
TRIED = ((3, 10), (3, 14))
"""The oldest Python that is supported, and the newest on which the course was tried."""
OLDEST = {"jupyterlab": (4, 4), "ipykernel": (6, 29), "ipywidgets": (8, 1), "anywidget": (0, 9)}


async def doctor() -> Report:
    """Look at every part the course needs; nothing is started or changed.

    Returns:
        A report that shows itself, in a notebook as a table; `.ok` if all is well.
    """
    return Report(
        (
            _python(),
            _package("temporalio", (1, 35)),
            *(_package(name, oldest) for name, oldest in OLDEST.items()),
            _home(),
            *await _binary(),
            await server_part(),
            *await _server_version(),
            *await worker_parts(),
            *scripted_parts(),
            _loopback(),
        )
    )


def _python() -> Part:
    oldest, newest = TRIED
    where = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < oldest:
        return Part("python", False, where, "use Python 3.10 or later")
    if sys.version_info[:2] > newest:
        tried = ".".join(map(str, newest))
        return Part("python", True, f"{where}; newer than any that was tried, which is {tried}")
    return Part("python", True, where)


def _package(name: str, oldest: tuple[int, ...]) -> Part:
    wanted = ".".join(map(str, oldest))
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Part(
            name,
            False,
            "not installed",
            f"`make lab` (or `pip install 'streamlib[lab]'`) installs it ({wanted} or later)",
        )
    ok = _numbers(found.split(".")) >= oldest
    return Part(
        name,
        ok,
        found,
        "" if ok else f"`make lab`, or `pip install 'streamlib[lab]'`: {wanted} or later",
    )


def _numbers(parts: Iterable[str]) -> tuple[int, ...]:
    return tuple(int(part) for part in parts if part.isdigit())


def _home() -> Part:
    folder = location()
    if said := problem():
        todo = "set STREAMLIB_HOME to a folder of your own, or to one that is not there yet"
        return Part("state", False, said, todo)
    if (free := room()) < ROOM:
        return Part("state", False, f"{folder}: {free // 2**20} MB are free", "make room")
    if folder.exists() and folder.stat().st_mode & 0o077:
        return Part("state", False, f"{folder} is open to others", f"chmod 700 {folder}")
    return Part("state", True, str(folder))


async def _binary() -> tuple[Part, ...]:
    """Which binary runs, or would; and each that was found and is of no use."""
    goal = target()
    if goal.external:
        return (Part("temporal binary", True, f"not needed: {goal.address} is configured"),)
    running = processes.find(server.NAME)
    if running and (which := running.facts.get("binary")):
        return (Part("temporal binary", True, which),)
    unusable: list[str] = []
    found = await binary.installed(unusable.append)
    parts = [Part("temporal binary", True, line) for line in unusable]
    says = str(found) if found else "none yet: will be downloaded, else built with go, if there"
    return (*parts, Part("temporal binary", True, says))


async def _server_version() -> tuple[Part, ...]:
    nothing = Part("server version", False, "unknown", "start the server first")
    if server.last() is None:  # whoever answers at the usual address is not ours
        return (nothing,)
    try:
        client = await connect()
        info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
        version = Part("server version", True, info.server_version or "not told")
        request = DescribeNamespaceRequest(namespace=client.namespace)
        await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=10))
    except ServerUnavailableError:
        return (nothing,)
    except RPCError as error:
        todo = "set TEMPORAL_NAMESPACE, or the Temporal profile, to one that may be used"
        said = in_one_line(error) or str(error)
        return (version, Part("namespace", False, f"{client.namespace!r}: {said}", todo))
    return (version, Part("namespace", True, client.namespace))


def _loopback() -> Part:
    """Every socket our processes listen on, from the system's own list."""
    opened = [
        address
        for name in processes.names()
        if (process := processes.find(name))
        for address in listening(process.pid)
    ]
    if strangers := [address for address in opened if not address.startswith(LOOPBACK)]:
        return Part("ports", False, f"open to the network: {strangers}", "`make stop`, then report")
    if server.last() is None or not opened:
        return Part("ports", True, "none open")
    return Part("ports", True, f"{len(opened)} open, loopback only")


def listening(pid: int) -> list[str]:
    """The addresses (`ip:port`) that a process of ours listens on."""
    sockets = psutil.Process(pid).net_connections(kind="inet")
    found = (each.laddr for each in sockets if each.status == psutil.CONN_LISTEN and each.laddr)
    return sorted(f"{address.ip}:{address.port}" for address in found)

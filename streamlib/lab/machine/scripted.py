"""The scripted LLM's process: started where no LLM is configured, and found again.

Owns its life, its port, and the calls that make it fail. What it answers: `scripted_llm.py`. Who
uses it: `llm.py` from a notebook, `worker.py --llm` from a terminal.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamlib.lab.errors import LabError
from streamlib.lab.machine import processes
from streamlib.lab.machine.processes import Process
from streamlib.lab.machine.server import HOST, first_free, is_free

NAME = "scripted-llm"
PORT = 8400
PACE = 0.05
"""Seconds a token, unless told otherwise."""

READY_TIMEOUT = 30.0
"""Seconds it may take from its start to its first answer."""

TIMEOUT = 2.0
"""Seconds without a token after which an attempt has failed: a lesson need not wait for longer."""


@dataclass(frozen=True)
class Scripted:
    """A scripted server that answered when this was made."""

    process: Process

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self.process.facts["port"])

    @property
    def base_url(self) -> str:
        """The address for `OPENAI_BASE_URL`."""
        return f"http://{HOST}:{self.port}/v1"

    async def control(self, **change: object) -> dict[str, Any]:
        """Change what it will do, if asked; return all of it.

        Args:
            **change: `faults`, a list of `scripted_llm.Fault` as JSON; `pace`, seconds a token.

        Raises:
            LabError: It does not answer, or does not understand.
        """
        try:
            status, answer = await asyncio.to_thread(_call, self.port, "/control", change)
        except OSError as error:
            raise LabError(
                f"the scripted LLM at {self.base_url} does not answer ({error}). "
                "`await lab.start_llm(session)` brings it back."
            ) from error
        if status != 200:
            raise LabError(f"the scripted LLM says: {answer['error']['message']}")
        return answer

    def __str__(self) -> str:
        """One line: where, and that it is scripted."""
        return f"{NAME} (pid {self.process.pid}) at {self.base_url}"


async def stand_in() -> None:
    """Let this process, a worker's, use the scripted server; start it if need be, and say so.

    Raises:
        LabError: It did not start.
    """
    server = await start()
    os.environ["OPENAI_BASE_URL"] = server.base_url
    os.environ["OPENAI_MODEL"] = "scripted"
    os.environ.setdefault("LLM_TIMEOUT", str(TIMEOUT))
    # A proxy would look for itself on loopback.
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), HOST]))
    print(
        "SCRIPTED: no OPENAI_API_KEY or OPENAI_BASE_URL is set, so no model writes the text. "
        f"A script does, in {server} (`make stop` ends it)",
        flush=True,
    )


async def start() -> Scripted:
    """The scripted server, started if it does not run; on its old port if that is free.

    Raises:
        LabError: It died while it started, or something it needs is not installed.
    """
    async with processes.only_one(NAME):
        if running := processes.find(NAME):
            await _until_ready(running)
            return Scripted(running)
        if missing := [each for each in ("starlette", "uvicorn") if not _is_installed(each)]:
            raise LabError(f"{' and '.join(missing)}: not installed. `make lab` installs it.")
        return Scripted(await _launch())


def last() -> Scripted | None:
    """The one that was started and not stopped since, alive or dead."""
    recorded = processes.last(NAME)
    return Scripted(recorded) if recorded else None


async def stop() -> None:
    """Stop it, whoever started it. Idempotent."""
    if last() is None:
        return
    async with processes.only_one(NAME):
        if recorded := processes.last(NAME):
            await recorded.stop()


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


async def _launch() -> Process:
    before = processes.last(NAME)
    known = int(before.facts["port"]) if before else PORT
    port = known if is_free(known) else first_free(PORT)
    # It needs none of our settings, least of all a key.
    strangers = ("TEMPORAL_", "OPENAI_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(strangers)}
    process = processes.spawn(
        NAME,
        [sys.executable, "-m", "streamlib.lab.machine.scripted_llm", "--port", str(port)],
        facts={"port": str(port)},
        env={**env, "PYTHONPATH": processes.python_path(), "PYTHONUNBUFFERED": "1"},
    )
    try:
        await _until_ready(process)
    except LabError:
        await process.stop()
        raise
    return process


async def _until_ready(process: Process) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    while True:
        try:
            await asyncio.to_thread(_call, int(process.facts["port"]), "/control")
            return
        except OSError:
            if not process.alive or loop.time() > deadline:
                raise LabError(
                    f"the scripted LLM did not start. Its log ends:\n{process.log_tail()}"
                ) from None
        await asyncio.sleep(0.05)


def _call(
    port: int, path: str, change: Mapping[str, object] | None = None
) -> tuple[int, dict[str, Any]]:
    """One request, past any proxy; blocks."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        body = json.dumps(change) if change else None
        headers = {"Content-Type": "application/json"} if change else {}
        connection.request("POST" if change else "GET", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()

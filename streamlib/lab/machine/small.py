"""A second dev server, with limits of the learner's own: so low that a lesson hits them at once.

Owns that server and its worker, for the time of a lesson: all of it is in memory, and gone when it
is stopped. The notebooks' own server is never changed: `server.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from dataclasses import dataclass

from temporalio.client import Client

from streamlib.lab.errors import LabError, ServerUnavailableError
from streamlib.lab.machine import binary, processes
from streamlib.lab.machine.processes import Process
from streamlib.lab.machine.server import HOST, NO_BROWSER, answers, first_free
from streamlib.scenarios import TASK_QUEUE
from streamlib.scenarios.connect import identity, polls
from streamlib.scenarios.home import home

NAME, WORKER = "small-server", "small-worker"

PORTS = 7433, 7438
"""From here on, every tenth: the service, and the HTTP API that can not be switched off."""

READY_TIMEOUT = 45.0
"""Seconds each of the two may take until it is ready."""


@dataclass(frozen=True)
class SmallServer:
    """A server with low limits, and a worker of it; `lab.host_workflow` takes it for a session."""

    client: Client
    task_queue: str
    address: str
    signals: int
    """How many signals a run may get."""

    async def stop(self) -> None:
        """The same as `stop()` of this module."""
        await stop()

    def __repr__(self) -> str:
        """One line."""
        return f"a server of your own at {self.address}: {self.signals} signals a run at most"


async def start(*, signals: int = 50) -> SmallServer:
    """Start a server whose runs take so many signals, and a worker of it.

    One that runs already is replaced. It is in memory: what was on it is gone.

    Args:
        signals: In place of the 10,000 that are usual.

    Raises:
        ServerUnavailableError: There is no binary to be had, or the server died.
        LabError: The worker died, or does not poll.
        CancelledError: Cancelled; what was begun is ended.
    """
    async with processes.only_one(NAME):
        await _stop()
        program = await binary.obtain(_say_nothing)
        begin = 10 * random.randrange(50)  # two that start at once do not take the same
        port, http = (first_free(usual + begin) for usual in PORTS)
        command = [str(program.path), "server", "start-dev", "--headless", "--ip", HOST]
        command += ["--port", str(port), "--http-port", str(http), "--log-level", "error"]
        for setting in (
            f'frontend.httpAllowedHosts=["{NO_BROWSER}"]',
            f"history.maximumSignalsPerExecution={signals}",
        ):
            command += ["--dynamic-config-value", setting]
        address = f"{HOST}:{port}"
        try:
            server = processes.spawn(NAME, command, env=_environment())
            await _until_ready(server, address)
            worker = processes.spawn(
                WORKER,
                [sys.executable, "-m", "streamlib.scenarios.worker", "--task-queue", TASK_QUEUE],
                env={
                    **_environment(),
                    "TEMPORAL_ADDRESS": address,
                    "TEMPORAL_CONFIG_FILE": str(home() / "no-profile.toml"),  # nobody's TLS
                },
            )
            client = await Client.connect(address)
            await _until_polling(worker, client)
        except BaseException:
            await asyncio.shield(_stop())
            raise
        return SmallServer(client, TASK_QUEUE, address, signals)


async def stop() -> None:
    """End the server and its worker, whoever started them. Idempotent."""
    if any(map(processes.last, (WORKER, NAME))):
        async with processes.only_one(NAME):
            await _stop()


async def _stop() -> None:
    for name in (WORKER, NAME):
        if process := processes.last(name):
            await process.stop()


def _environment() -> dict[str, str]:
    """Nobody's settings, and no key that a model may need."""
    strangers = ("TEMPORAL_", "OPENAI_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(strangers)}
    return {**env, "PYTHONPATH": processes.python_path(), "PYTHONUNBUFFERED": "1"}


async def _until_ready(process: Process, address: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    while not await answers(address):
        if not process.alive or loop.time() > deadline:
            raise ServerUnavailableError(
                f"the server of your own does not answer. Its log ends:\n{process.log_tail()}"
            )
        await asyncio.sleep(0.05)


async def _until_polling(process: Process, client: Client) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_TIMEOUT
    while not await polls(client, TASK_QUEUE, identity(process.pid)):
        if not process.alive or loop.time() > deadline:
            raise LabError(f"its worker does not poll. Its log ends:\n{process.log_tail()}")
        await asyncio.sleep(0.05)


def _say_nothing(_: str) -> None:
    pass

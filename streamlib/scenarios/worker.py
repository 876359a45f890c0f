"""The background worker: it runs every scenario's workflow and activity until it is told to end.

Owns the worker's life from connecting to a clean exit. It does not know who started it (a
terminal through `worker.py`, or a notebook through `streamlib.lab.workers`). Next: `order.py`,
the first workflow that it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from streamlib.connect import ServerUnavailableError, connect
from streamlib.scenarios import ACTIVITIES, TASK_QUEUE, WORKFLOWS

Prepare = Callable[[], Awaitable[None]]

SETTLE = 0.2
"""Seconds that the SDK's last calls get before the interpreter goes: one that answers while it
goes crashes the process (SDK 1.35; seen in 2 of 6 runs whose server had died)."""

STICKY = timedelta(seconds=2)
"""How long a workflow's next task waits for the worker that had it last. The SDK's default, 10 s,
is how long every workflow would stand still in a lesson that kills the worker and starts it."""


def identity(pid: int) -> str:
    """The name under which the server lists the worker process `pid` of this machine."""
    return f"streamlib-{pid}@{socket.gethostname()}"


async def run_worker(task_queue: str = TASK_QUEUE, *, client: Client | None = None) -> None:
    """Poll `task_queue` until SIGINT or SIGTERM arrives, then end cleanly.

    Cancelling it ends the worker as cleanly.

    Args:
        task_queue: The queue whose workflows and activities it runs.
        client: An open connection; None connects to the configured server.

    Raises:
        ServerUnavailableError: No server answers.
    """
    client = client or await connect()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        identity=identity(os.getpid()),
        graceful_shutdown_timeout=timedelta(milliseconds=300),
        sticky_queue_schedule_to_start_timeout=STICKY,
    )
    async with worker:
        where = client.service_client.config.target_host
        print(f"worker {os.getpid()} polls {task_queue!r} at {where}; Ctrl-C ends it", flush=True)
        await told.wait()
        print(f"worker {os.getpid()} ends", flush=True)
    await asyncio.sleep(SETTLE)


def main(arguments: Sequence[str] | None = None, *, prepare: Prepare | None = None) -> int:
    """Run the worker as a program.

    Args:
        arguments: The command line; None means `sys.argv`.
        prepare: Awaited first, for instance to start a server.

    Returns:
        The exit code: 0 after a signal, 1 if no server answers (said in one line).
    """
    parser = argparse.ArgumentParser(prog="worker.py", description="Run the scenarios' worker.")
    parser.add_argument("--task-queue", default=TASK_QUEUE, help="default: %(default)s")
    task_queue: str = parser.parse_args(arguments).task_queue
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)

    async def run() -> None:
        if prepare:
            await prepare()
        await run_worker(task_queue)

    try:
        asyncio.run(run())
    except ServerUnavailableError as error:
        print(f"worker.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before there was a worker to shut down
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

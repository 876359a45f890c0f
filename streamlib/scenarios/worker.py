"""The background worker: it runs the scenarios' workflows and activities until it is told to end.

One process serves scenarios 1 to 4; with `--llm`, one serves scenario 5, which needs `openai` and
is killed in its lesson. Owns the worker's life from connecting to a clean exit. It does not know
who started it (a terminal through `worker.py`, or a notebook through the lab).
Next: `order.py`, the first workflow that it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from streamlib import UnsentItemsWarning
from streamlib.scenarios import ACTIVITIES, TASK_QUEUE, WORKFLOWS
from streamlib.scenarios.connect import OneLineError, connect
from streamlib.scenarios.llm import LLM_TASK_QUEUE, LLMWorkflow, stream_completion
from streamlib.scenarios.model import NoLLMError, settings, source

Prepare = Callable[[bool], Awaitable[None]]
"""Awaited first; told whether the worker is the one for the LLM."""

SETTLE = 0.2
"""Seconds that the SDK's last calls get before the interpreter goes: one that answers while it
goes crashes the process (SDK 1.35; seen in 2 of 6 runs whose server had died)."""

STICKY = timedelta(seconds=2)
"""How long a workflow's next task waits for the worker that had it last. The SDK's default, 10 s,
is how long every workflow would stand still in a lesson that kills the worker and starts it."""

HEARTBEATS = timedelta(seconds=1)
"""How often heartbeats reach the server at least: with the SDK's default, 80 % of a time-out of
3 s, a busy machine is soon taken for a dead one."""


def identity(pid: int) -> str:
    """The name under which the server lists the worker process `pid` of this machine."""
    return f"streamlib-{pid}@{socket.gethostname()}"


async def run_worker(
    task_queue: str = TASK_QUEUE, *, llm: bool = False, client: Client | None = None
) -> None:
    """Poll `task_queue` until SIGINT or SIGTERM arrives, then end cleanly.

    Cancelling it ends the worker as cleanly.

    Args:
        task_queue: The queue whose workflows and activities it runs.
        llm: Run scenario 5 instead of 1 to 4.
        client: An open connection; None connects to the configured server.

    Raises:
        ServerUnavailableError: No server answers.
        NoLLMError: For the LLM: `openai` is not installed, nothing says which LLM to ask, or
            what says it cannot be used.
    """
    if llm:
        _load_openai()
    client = client or await connect()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[LLMWorkflow] if llm else WORKFLOWS,
        activities=[stream_completion] if llm else ACTIVITIES,
        identity=identity(os.getpid()),
        graceful_shutdown_timeout=timedelta(milliseconds=300),
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_heartbeat_throttle_interval=HEARTBEATS,
    )
    async with worker:
        where = client.service_client.config.target_host
        print(f"worker {os.getpid()} polls {task_queue!r} at {where}; Ctrl-C ends it", flush=True)
        await told.wait()
        print(f"worker {os.getpid()} ends", flush=True)
    await asyncio.sleep(SETTLE)


def _load_openai() -> None:
    """Import it before the first activity does: it takes a second, in which nothing else runs."""
    if importlib.util.find_spec("openai") is None:
        raise NoLLMError("`openai` is not installed: `make lab`, or `pip install streamlib[llm]`.")
    settings()  # refused here, not at each attempt
    if (named := source()) is None:
        raise NoLLMError(
            "no LLM is configured. Set OPENAI_API_KEY for OpenAI, or OPENAI_BASE_URL for any "
            "compatible server; or run `python worker.py --llm`, which brings a scripted one."
        )
    for module in ("openai", "openai.resources.chat"):  # the second one it would load later
        importlib.import_module(module)
    print(f"the text comes from {named}", flush=True)


def in_one_line(record: logging.LogRecord) -> bool:
    """What an activity raised on purpose is logged in one line; anything else has its traceback."""
    error = record.exc_info[1] if record.exc_info else None
    told = getattr(record, "temporal_activity", None)
    if isinstance(error, ApplicationError) and told:
        record.msg, record.exc_info = "%s, attempt %s: %s", None
        record.args = (told["workflow_id"], told["attempt"], error)
    return True


def main(arguments: Sequence[str] | None = None, *, prepare: Prepare | None = None) -> int:
    """Run the worker as a program.

    Args:
        arguments: The command line; None means `sys.argv`.
        prepare: Awaited first, for instance to start a server.

    Returns:
        The exit code: 0 after a signal, 1 if no server answers (said in one line).
    """
    parser = argparse.ArgumentParser(prog="worker.py", description="Run the scenarios' worker.")
    parser.add_argument("--llm", action="store_true", help="serve scenario 5 instead of 1 to 4")
    parser.add_argument("--task-queue", help="default: the scenario's own")
    given = parser.parse_args(arguments)
    llm: bool = given.llm
    task_queue: str = given.task_queue or (LLM_TASK_QUEUE if llm else TASK_QUEUE)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(in_one_line)
    if llm:  # a question that was cancelled leaves text unsent: nobody waits for it
        warnings.simplefilter("ignore", UnsentItemsWarning)

    async def run() -> None:
        if prepare:
            await prepare(llm)
        await run_worker(task_queue, llm=llm)

    try:
        asyncio.run(run())
    except OneLineError as error:
        print(f"worker.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before there was a worker to shut down
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

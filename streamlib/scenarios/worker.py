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
import sys
import warnings
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import Worker

from streamlib import UnsentItemsWarning
from streamlib.scenarios import ACTIVITIES, TASK_QUEUE, WORKFLOWS
from streamlib.scenarios.connect import connect, identity, polls, target
from streamlib.scenarios.connect import task_queue as queue_named
from streamlib.scenarios.llm import LLM_TASK_QUEUE, LLMWorkflow, stream_completion
from streamlib.scenarios.model import NoLLMError, settings, source
from streamlib.scenarios.program import run_program
from streamlib.scenarios.waiting import Waiting

Prepare = Callable[[bool], Awaitable[None]]
"""Awaited first; told whether the worker is the one for the LLM."""

SETTLE = 0.2
"""Seconds that the SDK's last calls get before the interpreter goes: one that answers while it
goes crashes the process (SDK 1.35; seen in 2 of 6 runs whose server had died)."""

STICKY = timedelta(seconds=2)
"""How long a workflow's next task waits for the worker that had it last. The SDK's default, 10 s,
is how long every workflow would stand still in a lesson that kills the worker and starts it."""

END = 3.0
"""Seconds that a worker gets for its end; what a dead server holds up by then, it always will."""

QUIET = TelemetryConfig(
    logging=LoggingConfig(TelemetryFilter(core_level="ERROR", other_level="ERROR"))
)
"""While a server is away, the SDK's core warns at every try. `Waiting` says it in one line."""

HEARTBEATS = timedelta(seconds=1)
"""How often heartbeats reach the server at least: with the SDK's default, 80 % of a time-out of
3 s, a busy machine is soon taken for a dead one."""

BUILD = "streamlib-scenarios-without-versions"
"""What the server is told of our code. The SDK's default is a digest of every module that is
loaded: it reads them all, which takes as long as to import them."""


async def run_worker(
    task_queue: str | None = None,
    *,
    llm: bool = False,
    client: Client | None = None,
    workflows: Sequence[type] = WORKFLOWS,
) -> None:
    """Poll `task_queue` until cancelled, then end: cleanly, or at the latest after `END` seconds.

    Says that it polls when the server has it among the pollers, not before.

    Args:
        task_queue: The queue whose workflows and activities it runs; None means the scenarios'.
        llm: Run scenario 5 instead of 1 to 4.
        client: An open connection; None connects to the configured server.
        workflows: What it runs, if not the LLM.

    Raises:
        ServerUnavailableError: No server answers.
        NoLLMError: For the LLM: `openai` is not installed, nothing says which LLM to ask, or
            what says it cannot be used.
        RPCError: There is no such namespace, or it may not be used.
        CancelledError: Cancelled; it has ended. Where a server that is gone keeps it from that,
            the process exits here, with 0.
    """
    if llm:
        _load_openai()
    task_queue = task_queue or queue_named(LLM_TASK_QUEUE if llm else TASK_QUEUE)
    waiting = Waiting(target().address)
    async with waiting.told():
        client = waiting.client = client or await connect()
        # The SDK would look too, and say the same as a bare RuntimeError.
        namespace = DescribeNamespaceRequest(namespace=client.namespace)
        await client.workflow_service.describe_namespace(namespace)
        worker = Worker(
            client,
            task_queue=task_queue,
            workflows=[LLMWorkflow] if llm else workflows,
            activities=[stream_completion] if llm else ACTIVITIES,
            identity=identity(os.getpid()),
            build_id=BUILD,
            graceful_shutdown_timeout=timedelta(milliseconds=300),
            sticky_queue_schedule_to_start_timeout=STICKY,
            max_heartbeat_throttle_interval=HEARTBEATS,
        )
        running = asyncio.create_task(worker.run())
        try:
            await _until_polling(running, client, task_queue)
            where = client.service_client.config.target_host
            print(f"worker {os.getpid()} polls {task_queue!r} at {where}; Ctrl-C ends it")
            await asyncio.wait([running])  # it ends by itself only if it fails
            running.result()
        finally:
            await asyncio.shield(_end(worker, running))


async def _until_polling(running: asyncio.Task[None], client: Client, task_queue: str) -> None:
    """Wait until the server lists this process for workflows and activities, or it fails."""
    while not (running.done() or await polls(client, task_queue, identity(os.getpid()))):
        await asyncio.sleep(0.02)
    if running.done():
        running.result()


async def _end(worker: Worker, running: asyncio.Task[None]) -> None:
    """Let it finish what it holds, for `END` seconds at most."""
    print(f"worker {os.getpid()} ends")
    ending = asyncio.ensure_future(worker.shutdown())
    await asyncio.wait([running], timeout=END)
    if not running.done():
        sys.stdout.flush()
        os._exit(0)  # a call that is in flight would hang or crash the interpreter's own end
    running.exception()  # after its end was asked for, how it failed is of no interest
    ending.cancel()
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


def main(
    arguments: Sequence[str] | None = None,
    *,
    prepare: Prepare | None = None,
    workflows: Sequence[type] = WORKFLOWS,
) -> int:
    """Run the worker as a program.

    Args:
        arguments: The command line; None means `sys.argv`.
        prepare: Awaited first, for instance to start a server.
        workflows: As `run_worker`.

    Returns:
        The exit code: 0 after a signal, 1 if no server answers (said in one line).
    """
    parser = argparse.ArgumentParser(prog="worker.py", description="Run the scenarios' worker.")
    parser.add_argument("--llm", action="store_true", help="serve scenario 5 instead of 1 to 4")
    parser.add_argument("--task-queue", help="default: the scenario's own")
    given = parser.parse_args(arguments)
    llm: bool = given.llm
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(in_one_line)
    if llm:  # a question that was cancelled leaves text unsent: nobody waits for it
        warnings.simplefilter("ignore", UnsentItemsWarning)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    Runtime.set_default(Runtime(telemetry=QUIET))

    async def run() -> None:
        if prepare:
            await prepare(llm)
        await run_worker(given.task_queue, llm=llm, workflows=workflows)

    return run_program(run, name="worker")


if __name__ == "__main__":
    sys.exit(main())

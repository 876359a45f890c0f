"""Runs one scenario in a terminal: `python -m streamlib.scenarios order`.

Needs a worker (`python worker.py`, in another terminal) and says so if there is none. Ctrl-C ends
it quietly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from . import TASK_QUEUE, hub, llm, order, pipeline, ticker
from .connect import connect, target
from .connect import task_queue as queue_named
from .program import run_program
from .waiting import Waiting

RUNS: dict[str, tuple[str, Callable[[Client], Awaitable[None]]]] = {
    "order": (TASK_QUEUE, order.run),
    "pipeline": (TASK_QUEUE, pipeline.run),
    "hub": (TASK_QUEUE, hub.run),
    "ticker": (TASK_QUEUE, ticker.run),
    "llm": (llm.LLM_TASK_QUEUE, llm.run),
}

WORKERS = {
    TASK_QUEUE: "`python worker.py` (or `streamlib worker`)",
    llm.LLM_TASK_QUEUE: "`python worker.py --llm` (or `streamlib worker --llm`)",
}
"""What to run for the workers of a queue."""


async def run(*names: str) -> None:
    """Run scenarios on the configured server, one after the other.

    Raises:
        ServerUnavailableError: No server answers.
    """
    for name in names:
        of_scenario, scenario = RUNS[name]
        task_queue, worker = queue_named(of_scenario), WORKERS[of_scenario]
        waiting = Waiting(target().address, worker=worker)
        async with waiting.told():
            client = waiting.client = await connect(interceptors=[waiting])
            await _say_if_nobody_works(client, task_queue, worker)
            await scenario(client)


async def _say_if_nobody_works(client: Client, task_queue: str, worker: str) -> None:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(
        request, timeout=timedelta(seconds=10)
    )
    if not answer.pollers:
        print(
            f"No worker polls {task_queue!r} yet: run {worker} in another terminal. "
            "Waiting for it …",
            file=sys.stderr,
        )


def main(names: Sequence[str]) -> int:
    """Run scenarios as a program; the exit code is 0, or 1 with one line on stderr."""
    return run_program(lambda: run(*names), name="streamlib run")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m streamlib.scenarios", description=__doc__)
    parser.add_argument("scenario", choices=sorted(RUNS), nargs="+")
    sys.exit(main(parser.parse_args().scenario))

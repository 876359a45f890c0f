"""Runs one scenario in a terminal: `python -m streamlib.scenarios order`.

Needs a worker (`python worker.py`, in another terminal) and says so if there is none. Ctrl-C ends
it quietly.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from streamlib.scenarios.connect import ServerUnavailableError, connect

from . import TASK_QUEUE, hub, llm, order, pipeline, ticker

RUNS: dict[str, tuple[str, Callable[[Client], Awaitable[None]]]] = {
    "order": (TASK_QUEUE, order.run),
    "pipeline": (TASK_QUEUE, pipeline.run),
    "hub": (TASK_QUEUE, hub.run),
    "ticker": (TASK_QUEUE, ticker.run),
    "llm": (llm.LLM_TASK_QUEUE, llm.run),
}


async def main(name: str) -> None:
    """Run the scenario `name` on the configured server."""
    task_queue, run = RUNS[name]
    client = await connect()
    await _say_if_nobody_works(client, task_queue)
    await run(client)


async def _say_if_nobody_works(client: Client, task_queue: str) -> None:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(
        request, timeout=timedelta(seconds=10)
    )
    if not answer.pollers:
        command = (
            "python worker.py --llm" if task_queue == llm.LLM_TASK_QUEUE else "python worker.py"
        )
        print(
            f"No worker polls {task_queue!r} yet: run `{command}` in another terminal. "
            "Waiting for it …",
            file=sys.stderr,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m streamlib.scenarios", description=__doc__)
    parser.add_argument("scenario", choices=sorted(RUNS))
    try:
        asyncio.run(main(parser.parse_args().scenario))
    except KeyboardInterrupt:
        pass
    except ServerUnavailableError as error:
        sys.exit(str(error))

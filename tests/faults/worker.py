"""A worker process for stages and hubs: `python -m tests.faults.worker --task-queue NAME`."""

from __future__ import annotations

import argparse
import asyncio
import os

from temporalio.worker import Worker

from streamlib.scenarios.connect import connect, identity
from streamlib.scenarios.worker import STICKY
from tests.faults.stage import Stage
from tests.server import hosts


async def main(task_queue: str) -> None:
    """Poll until killed."""
    worker = Worker(
        await connect(),
        task_queue=task_queue,
        workflows=[Stage, *hosts.WORKFLOWS],
        activities=hosts.ACTIVITIES,
        identity=identity(os.getpid()),
        sticky_queue_schedule_to_start_timeout=STICKY,
    )
    async with worker:
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--task-queue", required=True)
    asyncio.run(main(parser.parse_args().task_queue))

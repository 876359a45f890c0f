"""A worker process for one side's hub, so that no client shares its interpreter.

`python -m bench.worker ADDRESS TASK_QUEUE SIDE`; ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from temporalio.client import Client
from temporalio.worker import Worker

from bench.hubs import BARE, SIDES

SETTLE = 0.2
"""Seconds that the SDK's last calls get before the interpreter goes."""


async def serve(address: str, task_queue: str, side_name: str) -> None:
    """Run the side's hub until told to end."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    [side] = [side for side in (*SIDES, BARE) if side.name == side_name]
    client = await Client.connect(address)
    # No check for two seconds: a slow machine takes longer over the largest batches, ours or not.
    hubs = [side.hub]
    async with Worker(client, task_queue=task_queue, workflows=hubs, debug_mode=True):
        await told.wait()
    await asyncio.sleep(SETTLE)


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))

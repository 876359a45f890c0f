"""A worker process for our hub and the peer's: `python -m tests.browser.hosts ADDRESS QUEUE`."""

from __future__ import annotations

import asyncio
import sys

from temporalio.client import Client
from temporalio.worker import Worker

from bench.grown import GrownHub
from tests.server.hosts import PeerHub


async def serve(address: str, task_queue: str) -> None:
    """Run hubs until killed."""
    client = await Client.connect(address)
    async with Worker(client, task_queue=task_queue, workflows=[GrownHub, PeerHub]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))

"""A reader in a process of its own: `python -m bench.reader ADDRESS HUB ITEMS`.

Says "ready" when it reads, and at the end, in one line of JSON, how long each item took to arrive.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from temporalio.client import Client

from streamlib import WorkflowStreamClient


async def main(address: str, hub: str, items: int) -> None:
    """Read the items, whose values begin with the time of day they were published at."""
    seen: list[float] = []
    async with WorkflowStreamClient.create(await Client.connect(address), hub).subscribe() as each:
        print("ready", flush=True)
        async for item in each:
            seen.append(time.time() - item.data[0])
            if len(seen) == items:
                break
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

"""Programs that the fault tests run in processes of their own: `python -m tests.faults.programs`.

    read ADDRESS WORKFLOW FOLDER COUNT      COUNT readers, each in a process of its own
    publish ADDRESS WORKFLOW                publishes a batch and is told nothing of its fate
    named ADDRESS WORKFLOW NAME             reads by name, commits once, and prints what it handled

The readers are forked from one process that has imported everything: starting twenty
interpreters would take longer than what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from temporalio.client import Client

from streamlib import WorkflowStreamClient


async def read(address: str, workflow_id: str, report: Path) -> None:
    """Read to the end; report a line when ready, one for each item, and the status."""
    stream = WorkflowStreamClient.create(await Client.connect(address), workflow_id)
    with report.open("w", buffering=1) as lines:
        async with stream.subscribe() as items:
            print(json.dumps("ready"), file=lines)
            async for item in items:
                print(json.dumps([item.offset, item.data, item.missed, time.time()]), file=lines)
        print(json.dumps(items.status.name if items.status else None), file=lines)


def read_in_many(address: str, workflow_id: str, folder: Path, count: int) -> int:
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            asyncio.run(read(address, workflow_id, folder / f"{number}.jsonl"))
            return 0
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return max(codes, key=abs)


async def read_by_name(address: str, workflow_id: str, name: str) -> None:
    stream = WorkflowStreamClient.create(await Client.connect(address), workflow_id)
    async with stream.subscribe(name=name) as items:
        async for item in items:
            print(item.offset, flush=True)
            if item.offset == 1:
                await items.commit(2)


async def publish_and_hang(address: str, workflow_id: str) -> None:
    client = await Client.connect(address)
    handle: Any = client.get_workflow_handle(workflow_id)

    class NeverAcknowledged:
        id, run_id = workflow_id, None

        async def signal(self, name: str, batch: Any) -> None:
            await handle.signal(name, batch)
            print("delivered", flush=True)
            await asyncio.Event().wait()

    stream = WorkflowStreamClient(NeverAcknowledged(), client=client)  # type: ignore[arg-type]
    for n in range(3):
        stream.topic("t").publish(f"killed-{n}")
    await stream.flush()


if __name__ == "__main__":
    what, address, workflow_id, *rest = sys.argv[1:]
    if what == "read":
        sys.exit(read_in_many(address, workflow_id, Path(rest[0]), int(rest[1])))
    if what == "named":
        asyncio.run(read_by_name(address, workflow_id, rest[0]))
    else:
        asyncio.run(publish_and_hang(address, workflow_id))

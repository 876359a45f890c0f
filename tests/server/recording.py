"""Record a run for the replay tests, before its code changes: its history, and what it held.

    python -m tests.server.recording ADDRESS NAME WORKFLOW_ID [RUN_ID]

The run has ended, and a worker with the code that ran it still serves its task queue.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from streamlib.wire import shapes

HISTORIES = Path(__file__).parent / "histories"
COLUMNS = ("sequence", "accepted", "dropped", "refused", "last_seen")


def record_of(about: dict[str, Any], items: list[list[Any]]) -> dict[str, Any]:
    """What a stream held: items as [offset, topic, data], and its description in the rest."""
    return {
        "base_offset": about["base_offset"],
        "end_offset": about["end_offset"],
        "items": items,
        "refused": about["refused"],
        "readers": about.get("readers"),
        "publishers": {
            name: dict(zip(COLUMNS, row, strict=True)) for name, *row in about["publishers"]
        },
    }


async def record(name: str, handle: WorkflowHandle[Any, Any]) -> None:
    """Write the history of the handle's run, and what its stream held in the end."""
    items, at, more = [], 0, True
    while more:
        page = await handle.query(shapes.POLL, {"from_offset": at})
        at, more = page["next_offset"], page["more_ready"]
        items += [[item["offset"], item["topic"], item["data"]] for item in page["items"]]
    about = await handle.query(shapes.DESCRIBE_QUERY)
    text = json.dumps(record_of(about, items), indent=1)
    (HISTORIES / f"{name}.recorded.json").write_text(text + "\n")
    history = await handle.fetch_history()
    (HISTORIES / f"{name}.json").write_text(history.to_json() + "\n")


async def main(address: str, name: str, workflow_id: str, run_id: str | None = None) -> None:
    client = await Client.connect(address)
    await record(name, client.get_workflow_handle(workflow_id, run_id=run_id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

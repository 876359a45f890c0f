"""Replay: today's code must take the same decisions on histories that were recorded earlier.

`python -m tests.server.test_replay ADDRESS` records them anew, on a server of your own; do that
only when a change of the decisions is meant.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, Worker

from streamlib import WorkflowStreamClient
from streamlib.scenarios import ACTIVITIES, TASK_QUEUE, WORKFLOWS
from streamlib.scenarios.order import OrderInput, OrderWorkflow
from streamlib.wire import shapes
from tests.server import hosts

HISTORIES = Path(__file__).parent / "histories"


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    replayer = Replayer(workflows=[*WORKFLOWS, *hosts.WORKFLOWS])
    await replayer.replay_workflow(history)


def test_histories_were_recorded() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == {"hub", "hub-rolled", "order"}


async def record(address: str) -> None:
    client = await Client.connect(address)
    served = [*WORKFLOWS, *hosts.WORKFLOWS]
    async with Worker(client, task_queue=TASK_QUEUE, workflows=served, activities=ACTIVITIES):
        order = await client.start_workflow(
            OrderWorkflow.run, OrderInput("order-1"), id="order", task_queue=TASK_QUEUE
        )
        await order.result()
        hub = await client.start_workflow(
            hosts.OurHub.run, hosts.HubInput(), id="hub", task_queue=TASK_QUEUE
        )
        stream = WorkflowStreamClient.create(client, hub.id, max_batch_size=2)
        waiting = asyncio.create_task(hub.execute_update(shapes.POLL, {"from_offset": 3}))
        async with stream:
            for n in range(5):
                stream.topic("t").publish(n)
        await waiting
        await hub.signal(shapes.PUBLISH_SIGNAL, "malformed")
        await hub.execute_update("truncate", 2)
        first = (await hub.describe()).run_id
        await hub.signal("want", "roll")
        while (await hub.describe()).run_id == first:
            await asyncio.sleep(0.05)
        stream.topic("t").publish("after")
        await stream.flush()
        await client.get_workflow_handle("hub").signal("want", "close")
        await client.get_workflow_handle("hub").result()
    HISTORIES.mkdir(exist_ok=True)
    for name, handle in {
        "order": order,
        "hub": client.get_workflow_handle("hub", run_id=first),
        "hub-rolled": client.get_workflow_handle("hub"),
    }.items():
        history = await handle.fetch_history()
        (HISTORIES / f"{name}.json").write_text(history.to_json() + "\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))

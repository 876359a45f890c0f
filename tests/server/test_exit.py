"""A process that uses the library exits by itself, with code 0, soon after its last line.

The SDK hangs or aborts when a call is under way, or just over, as the interpreter goes down.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest
from temporalio.client import Client

from streamlib import WorkflowStreamClient
from tests.server.conftest import Start
from tests.server.reading import take

PROGRAM = """
import asyncio, sys
from datetime import timedelta
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client
from streamlib import WorkflowStreamClient

how, address, workflow_id = sys.argv[1:]
kept = []

async def main():
    stream = WorkflowStreamClient.create(await Client.connect(address), workflow_id)
    items = stream.subscribe()
    kept.append(items)
    await items.__anext__()
    if how == "reads in a task":
        async def read():
            async for item in items: pass
        kept.append(asyncio.create_task(read()))
        await asyncio.sleep(0.1)
    elif how == "watches in a task":
        await items.aclose()
        async def look():
            async for activity in stream.watch(): pass
        kept.append(asyncio.create_task(look()))
        await asyncio.sleep(0.1)
    elif how == "dropped":
        kept.clear()
        del items
    elif how == "publishes last":
        stream.topic("t").publish("bye")
        await stream.flush()
    elif how == "raises":
        print("last line", flush=True)
        raise SystemExit(0)
    elif how == "interrupted":
        print("last line", flush=True)
        await items.__anext__()
    elif how == "many calls under way":
        await items.aclose()
        client, execution = stream.temporal_client, WorkflowExecution(workflow_id=workflow_id)
        asked = GetWorkflowExecutionHistoryRequest(
            namespace="default", execution=execution, wait_new_event=True,
            history_event_filter_type=2)
        for n in range(100):
            call = client.workflow_service.get_workflow_execution_history(
                asked, timeout=timedelta(seconds=9))
            kept.append(asyncio.ensure_future(call))
        await asyncio.sleep(0.02)
        print("last line", flush=True)
        return
    print("last line", flush=True)

if how == "loop left lying":
    asyncio.new_event_loop().run_until_complete(main())
else:
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
"""

WAYS = ["left open", "reads in a task", "watches in a task", "dropped", "publishes last", "raises"]


@pytest.mark.parametrize("how", [*WAYS, "loop left lying", "interrupted", "many calls under way"])
async def test_it_exits_cleanly_within_a_second(
    client: Client, server: str, start: Start, how: str
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", [1]])
    await take(WorkflowStreamClient.create(client, hub.id).subscribe(), 1)
    for _ in range(3):
        await asyncio.to_thread(run_once, how, server, hub.id)


def run_once(how: str, address: str, workflow_id: str) -> None:
    command = [sys.executable, "-c", PROGRAM, how, address, workflow_id]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "last line\n", process.communicate()
    last_line = time.monotonic()
    if how == "interrupted":
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    # One second is the promise; the machine may be busy with other tests.
    assert time.monotonic() - last_line < 5

"""Workers, servers, publishers and connections that die: nothing lost, nothing twice, nobody told.

Every test has a real server and a worker in a process of its own; what is killed gets SIGKILL.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from streamlib import WorkflowStreamClient
from streamlib.scenarios.home import checkout
from tests.faults.actors import Author, Deaf, follow, reader
from tests.faults.conftest import Starter, start_worker
from tests.faults.history import History
from tests.faults.proxy import Proxy
from tests.server.reading import becomes, eventually, take

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def closed_and_checked(history: History, stage: Any, readers: list[Any]) -> None:
    """Close the stage, let the readers end, and check all."""
    await stage.signal("want", "close")
    await asyncio.wait_for(asyncio.gather(*readers), 60)
    history.check(end_offset=len(history.writes), status=COMPLETED)


@pytest.mark.parametrize("times", [1, pytest.param(6, marks=pytest.mark.soak)])
async def test_a_worker_killed_in_the_middle_is_ridden_out(
    client: Client, server: str, times: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    history, start = History(), Starter(client)
    start.task_queue = "killed"
    worker = await start_worker("killed", "killed")
    stage = await start()
    streams = [WorkflowStreamClient.create(client, stage.id, max_batch_size=5) for _ in range(2)]
    readers = [reader(history, stream, f"reader {n}") for n, stream in enumerate(streams)]
    try:

        async def torment() -> None:
            for _ in range(times):
                await asyncio.sleep(chance.uniform(0.3, 0.8))
                await worker.kill()
                await worker.restart()

        tormented = asyncio.create_task(torment())
        authors = [Author(history, s, f"p{n}") for n, s in enumerate(streams)]
        await asyncio.gather(*(a.write_until(tormented.done, pause=0.01) for a in authors))
        await tormented
        await closed_and_checked(history, stage, readers)
    finally:
        await worker.stop()
        await start.clean()


@pytest.mark.parametrize(
    "seconds",
    [
        1.0,
        pytest.param(4.0, marks=pytest.mark.soak),
        pytest.param(14.0, marks=pytest.mark.soak),
        pytest.param(30.0, marks=pytest.mark.soak),
    ],
)
async def test_a_server_killed_and_back_is_ridden_out(own_server: Any, seconds: float) -> None:
    """On the same file; longer than the SDK itself tries for, in the long ones."""
    history = History()
    server = await own_server()
    client = await Client.connect(server.address)
    await start_worker()
    start = Starter(client)
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id, max_batch_size=20)
    readers = [reader(history, stream, "warm")]
    over = asyncio.Event()
    author = Author(history, stream, "p")
    writing = asyncio.create_task(author.write_until(over.is_set, pause=0.02))
    await eventually(lambda: history.readings[0].seen)
    await server.kill()
    readers.append(reader(history, WorkflowStreamClient.create(client, stage.id), "came too early"))
    await asyncio.sleep(seconds)
    assert not writing.done()
    assert (await own_server()).address == server.address, "somebody else took its port"
    before, warm = len(history.writes), history.readings[0]
    await eventually(lambda: warm.raised or len(warm.seen) > before)
    over.set()
    await asyncio.wait_for(writing, 60)
    await closed_and_checked(history, stage, readers)


async def test_a_lost_acknowledgement_stores_a_batch_once(client: Client, start: Starter) -> None:
    history = History()
    stage = await start()
    deaf = Deaf(stage, times=4)
    stream = WorkflowStreamClient(deaf, client=client)  # type: ignore[arg-type]
    readers = [reader(history, stream, "reader")]
    author = Author(history, stream, "p")
    for _ in range(3):
        await author.write_batch(3)
    assert [batch["sequence"] for batch in deaf.sent] == [1, 1, 1, 1, 1, 2, 3]
    about = await stream.describe(batches=9)
    [row] = about.publishers
    assert (row.sequence, row.accepted, row.dropped) == (3, 3, 4)
    assert {batch[3:5] for batch in about.batches if batch.verdict == "duplicate"} == {(0, 3)}
    await closed_and_checked(history, stage, readers)


async def test_replies_that_a_network_drops_after_delivery_store_nothing_twice(
    client: Client, server: str, start: Starter
) -> None:
    """Through a proxy that passes requests on, swallows the answers, and then cuts the line."""
    history = History()
    stage = await start()
    async with Proxy(server) as proxy:
        behind = await Client.connect(proxy.address)
        stream = WorkflowStreamClient.create(behind, stage.id, max_batch_size=5)
        readers = [reader(history, stream, "behind the proxy")]
        readers.append(reader(history, WorkflowStreamClient.create(client, stage.id), "beside it"))
        await stream.get_offset()

        async def torment() -> None:
            for _ in range(4):
                await asyncio.sleep(0.3)
                await proxy.swallow_replies(0.2)

        tormented = asyncio.create_task(torment())
        await Author(history, stream, "p").write_until(tormented.done, pause=0.01)
        await tormented
        assert proxy.swallowed > 0, "the proxy did drop answers"
        await closed_and_checked(history, stage, readers)


async def test_what_hung_while_a_network_lost_all_answers_holds_up_nobody_when_it_is_back(
    client: Client, server: str, start: Starter
) -> None:
    stage = await start()
    beside = WorkflowStreamClient.create(client, stage.id)
    async with Proxy(server) as proxy:
        stream = WorkflowStreamClient.create(await Client.connect(proxy.address), stage.id)
        async with stream.subscribe() as items:
            beside.topic("t").publish(0)
            await beside.flush()
            await take(items, 1)
            waiting = asyncio.create_task(take(items, 1))
            silent = asyncio.create_task(proxy.swallow_replies(4))
            beside.topic("t").publish(1)
            await beside.flush()
            await silent
            back = time.monotonic()
            assert [item.data for item in await waiting] == [1]
            assert time.monotonic() - back < 5


async def test_a_publisher_killed_before_it_was_told_leaves_its_batch_whole_or_not_at_all(
    client: Client, server: str, start: Starter
) -> None:
    history = History()
    stage = await start()
    for n in range(3):
        history.invoke("killed", f"killed-{n}", batch=1)
    command = [sys.executable, "-m", "tests.faults.programs", "publish", server, stage.id]
    program = subprocess.Popen(command, cwd=checkout(), stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert await asyncio.to_thread(program.stdout.readline) == "delivered\n"
    program.kill()
    program.communicate()
    stream = WorkflowStreamClient.create(client, stage.id)
    readers = [reader(history, stream, "reader")]
    await Author(history, stream, "next").write_batch(3)
    await closed_and_checked(history, stage, readers)
    assert len(history.readings[0].seen) == 6


async def test_a_run_that_is_terminated_ends_its_readers_with_that_status(
    client: Client, start: Starter
) -> None:
    history = History()
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    readers = [reader(history, stream, f"reader {n}") for n in range(3)]
    await Author(history, stream, "p").write_batch(5)
    await eventually(lambda: all(len(reading.seen) == 5 for reading in history.readings))
    await stage.terminate()
    await asyncio.wait_for(asyncio.gather(*readers), 30)
    history.check(end_offset=5, status=WorkflowExecutionStatus.TERMINATED)


async def test_a_run_that_ends_before_it_began_ends_its_readers_too(
    client: Client, server: str
) -> None:
    """No worker ever had it, so there is nobody who could answer for it."""
    start = Starter(client)
    start.task_queue = "nobody"
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    waiting = [follow(History().reading("r"), stream.subscribe(None, at)) for at in (0, "latest")]
    readings = asyncio.gather(*waiting)
    stream.topic("t").publish("unheard")
    await stream.flush()
    await stage.terminate()
    for reading in await asyncio.wait_for(readings, 30):
        assert (reading.seen, reading.raised) == ([], "")
        assert reading.ended is WorkflowExecutionStatus.TERMINATED
    assert await stream.get_offset() == 0


async def test_a_reset_ends_the_readers_honestly_and_those_who_come_anew_read_what_is_there(
    client: Client, start: Starter
) -> None:
    """A reset terminates the run and begins another, from a point in the old one's history."""
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    old = stream.subscribe()
    await stage.signal("say", args=["t", ["kept"]])
    await take(old, 1)
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    tasks = [e.event_id async for e in stage.fetch_history_events() if e.event_type == done]
    await stage.signal("say", args=["t", ["taken back"]])
    await take(old, 1)
    run = await stage.describe()
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=stage.id, run_id=run.run_id),
            workflow_task_finish_event_id=tasks[-1],
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_NONE,
            request_id="reset",
        )
    )
    reading = await asyncio.wait_for(follow(History().reading("old"), old), 30)
    assert (reading.seen, reading.ended) == ([], None)
    assert reading.raised.startswith("StreamChangedError")
    fresh = WorkflowStreamClient.create(client, stage.id)
    assert (await becomes(fresh.describe)).run_id != run.run_id
    await stage.signal("say", args=["t", ["new"]])
    new = fresh.subscribe()
    assert [item.data for item in await take(new, 2)] == ["kept", "new"]
    assert (old.stream_id, new.stream_id) == (run.run_id, (await stage.describe()).run_id)

"""Many, slow, dropped and resumed readers: all are served, none at another's expense."""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus

from streamlib import WorkflowStreamClient
from streamlib.client.registry import running_feeds
from streamlib.scenarios.home import checkout
from tests.faults.actors import Author, Steps, follow, reader
from tests.faults.conftest import Starter
from tests.faults.history import History
from tests.server.reading import becomes, drain, eventually, take, told

COMPLETED = WorkflowExecutionStatus.COMPLETED
UPDATE = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[int(len(values) * percent / 100)]


@contextmanager
def calls_of(client: Client, name: str) -> Iterator[list[str]]:
    """The calls of one kind that go to the server meanwhile."""
    service, calls = client.workflow_service, list[str]()
    original = getattr(service, name)

    async def counted(request: Any, **options: Any) -> Any:
        calls.append(name)
        return await original(request, **options)

    setattr(service, name, counted)
    try:
        yield calls
    finally:
        setattr(service, name, original)


@pytest.mark.parametrize("count", [1_000])
async def test_a_thousand_readers_in_one_process_are_all_served(
    client: Client, start: Starter, count: int
) -> None:
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    sent: dict[str, float] = {}
    delays: list[float] = []

    async def read(items: Any) -> list[str]:
        seen = []
        async for item in items:
            delays.append(time.monotonic() - sent[item.data[:10]])
            seen.append(item.data)
        return seen

    readers = [asyncio.create_task(read(stream.subscribe())) for _ in range(count)]
    with calls_of(client, "query_workflow") as queries:
        for n in range(20):
            value = f"{n:010}" + "x" * 1_000
            sent[value[:10]] = time.monotonic()
            stream.topic("t").publish(value, force_flush=True)
            await eventually(lambda n=n: len(delays) >= count * (n + 1))
        await stage.signal("want", "close")
        results = await asyncio.wait_for(asyncio.gather(*readers), 60)
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 20
    p50, p95 = percentile(delays, 50), percentile(delays, 95)
    print(f"{count} readers: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, {len(queries)=}")
    assert len(queries) < 20 * 4, "one read for all of them"
    kinds = [event.event_type async for event in stage.fetch_history_events()]
    assert UPDATE not in kinds


async def test_twenty_processes_of_one_reader_each_are_served_alike(
    client: Client, server: str, start: Starter, tmp_path: Path
) -> None:
    count, items = 20, 10
    stage = await start()
    command = (sys.executable, "-m", "tests.faults.programs", "read", server, stage.id)
    program = await asyncio.create_subprocess_exec(
        *command, str(tmp_path), str(count), cwd=checkout()
    )
    stream = WorkflowStreamClient.create(client, stage.id)
    reports = [tmp_path / f"{number}.jsonl" for number in range(count)]

    def lines() -> list[int]:
        return [len(r.read_text().splitlines()) if r.exists() else 0 for r in reports]

    await eventually(lambda: min(lines()) >= 1)
    sent = []
    for n in range(items):
        sent.append(time.time())
        stream.topic("t").publish(f"v{n}", force_flush=True)
        await eventually(lambda n=n: min(lines()) >= n + 2)  # nobody starves
    await stage.signal("want", "close")
    assert await asyncio.wait_for(program.wait(), 60) == 0
    delays = []
    for report in reports:
        _, *seen, status = map(json.loads, report.read_text().splitlines())
        assert [(offset, value, missed) for offset, value, missed, _ in seen] == [
            (n, f"v{n}", 0) for n in range(items)
        ]
        assert status == "COMPLETED"
        delays.append([at - begun for (*_, at), begun in zip(seen, sent, strict=True)])
    spreads = [max(each) - min(each) for each in zip(*delays, strict=True)]
    medians = [statistics.median(each) for each in delays]
    print(
        f"{count} processes: delay {min(map(min, delays)):.3f} to {max(map(max, delays)):.3f} s, "
        f"first to last {statistics.median(spreads):.3f} s (most {max(spreads):.3f}), medians of "
        f"the readers {min(medians):.3f} to {max(medians):.3f} s"
    )
    assert max(medians) < 10 * min(medians) + 2, "no reader is served much later than the others"


async def test_a_dozen_opened_and_dropped_cost_nobody_anything(
    client: Client, start: Starter
) -> None:
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    await stage.signal("say", args=["t", [0]])
    kept = stream.subscribe()
    await take(kept, 1)
    await becomes(lambda: stream.get_offset(), 1)
    before = (await stage.describe()).history_length
    for _ in range(12):
        dropped = stream.subscribe()
        await take(dropped, 1)
        waiting = asyncio.create_task(dropped.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        del dropped, waiting
    gc.collect()
    assert (await stage.describe()).history_length == before
    late = stream.subscribe()
    assert told(await take(late, 1)) == [(0, 0)]
    await stage.signal("say", args=["t", [1]])
    assert told(await take(kept, 1)) == told(await take(late, 1)) == [(1, 1)]
    del kept, late
    gc.collect()
    await eventually(lambda: not running_feeds())


async def test_a_slow_reader_next_to_a_fast_one_meets_truncation_with_exact_gaps(
    client: Client, start: Starter
) -> None:
    history = History()
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id, max_batch_size=10)
    slow_reading = history.reading("slow")
    slow = asyncio.create_task(follow(slow_reading, stream.subscribe(), pause=0.02))
    fast = reader(history, stream, "fast")
    author = Author(history, stream, "p")
    for _ in range(12):
        author.publish(100)
        await author.flush()
        end = await stream.get_offset()
        await eventually(lambda end=end: len(history.readings[1].seen) == end)
        await stage.execute_update("truncate", end - 5)
    await stage.signal("want", "close")
    await asyncio.wait_for(asyncio.gather(slow, fast), 60)
    history.check(base_offset=1195, end_offset=1200, status=COMPLETED)
    assert history.readings[1].missed == 0
    assert slow_reading.missed > 0
    assert slow_reading.missed + len(slow_reading.seen) == 1200


async def test_a_filtered_reader_of_a_quiet_topic_is_not_woken_by_a_busy_one(
    client: Client, start: Starter
) -> None:
    stage = await start()
    stream = WorkflowStreamClient.create(client, stage.id)
    await stage.signal("say", args=["quiet", [0]])
    items = stream.subscribe("quiet")
    await take(items, 1)
    steps = Steps(items.__anext__())
    waiting = asyncio.ensure_future(steps)
    history = (await stage.describe()).history_length
    with calls_of(client, "query_workflow") as queries:
        for n in range(60):
            stream.topic("busy").publish(n, force_flush=True)
            await stream.flush()
        await eventually(lambda: items.position == 61)
        woken = steps.count
        print(f"60 items on another topic: woken {woken} times, {len(queries)} queries")
        events = (await stage.describe()).history_length - history
    assert not waiting.done()
    assert woken <= 12, "it may read on its own until the tail has caught up"
    assert events <= 60 * 4, "a signal and three events of a workflow task, each at most"
    await stage.signal("say", args=["quiet", ["news"]])
    await asyncio.wait_for(waiting, 30)
    assert items.position == 62


async def test_a_resumed_reader_gets_its_first_page_before_the_tail_has_caught_up(
    client: Client, start: Starter
) -> None:
    """The tail is held back altogether: the first items come all the same."""
    stage = await start()
    author = WorkflowStreamClient.create(client, stage.id, max_batch_size=1)
    async with author:
        for n in range(400):
            author.topic("t").publish(n)
    assert (await stage.describe()).history_length > 400
    service, gate, order = client.workflow_service, asyncio.Event(), list[str]()
    history = service.get_workflow_execution_history

    async def held_back(request: Any, **options: Any) -> Any:
        order.append("history asked")
        await gate.wait()
        order.append("history")
        return await history(request, **options)

    service.get_workflow_execution_history = held_back  # type: ignore[method-assign]
    try:
        items = WorkflowStreamClient.create(client, stage.id).subscribe(from_offset=390)
        assert told(await take(items, 10)) == [(n, n) for n in range(390, 400)]
        order.append("items")
        gate.set()
        await stage.signal("say", args=["t", ["live"]])
        assert told(await take(items, 1)) == [(400, "live")]
    finally:
        service.get_workflow_execution_history = history  # type: ignore[method-assign]
    assert order.index("items") < order.index("history")
    await items.aclose()


def test_two_event_loops_read_and_publish_side_by_side(server: str, stage_worker: None) -> None:
    async def begin() -> str:
        return str((await Starter(await Client.connect(server))()).id)

    async def one_loop(workflow_id: str, name: str) -> list[tuple[int, str]]:
        stream = WorkflowStreamClient.create(await Client.connect(server), workflow_id)
        reading = asyncio.create_task(drain(stream.subscribe()))
        async with stream:
            for n in range(50):
                stream.topic("t").publish(f"{name}-{n}", force_flush=n % 10 == 0)
        if name == "b":
            await becomes(stream.get_offset, 100)
            stage = (await Client.connect(server)).get_workflow_handle(workflow_id)
            await stage.signal("want", "close")
        return told(await reading)

    workflow_id = asyncio.run(begin())
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(asyncio.run, one_loop(workflow_id, name)) for name in "ab"]
        one, two = (run.result(60) for run in runs)
    assert one == two
    for name in "ab":
        mine = [value for _, value in one if value.startswith(name)]
        assert mine == [f"{name}-{n}" for n in range(50)]

"""Retention, receipts, named readers and roll-over on a real server."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHistory, WorkflowUpdateStage
from temporalio.worker import Replayer

from streamlib import (
    NameLostError,
    NamesUnsupportedError,
    Outcome,
    StreamNotFoundError,
    WorkflowStreamClient,
)
from streamlib.wire.shapes import READER_SIGNAL
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import LIMIT, becomes, take, told
from tests.wire.test_flow import JOIN, junk


def stream_of(client: Client, handle: Any, **options: Any) -> WorkflowStreamClient:
    return WorkflowStreamClient.create(client, handle.id, **options)


async def run_id(handle: Any) -> str:
    return str((await handle.describe()).run_id)


@pytest.mark.parametrize("worker", ["no cache"], indirect=True)
async def test_a_stream_keeps_so_much_and_says_so_also_after_it_rolled_over(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(max_items=5, max_age=3600.0, signals=3))
    stream = stream_of(client, hub)
    first = await run_id(hub)
    for n in range(12):
        stream.topic("t").publish(n)
        if n % 4 == 3:
            await stream.flush()
    await becomes(lambda: run_id(hub), lambda now: now != first)
    about = await stream.describe()
    assert (about.base_offset, about.end_offset) == (7, 12)
    assert about.retention is not None
    assert (about.retention.max_items, about.retention.max_age) == (5, timedelta(hours=1))
    items = stream.subscribe()
    assert told(await take(items, 5)) == [(n, n) for n in range(7, 12)]
    assert items.missed == 7
    await hub.execute_update("retain", 2)
    assert (await stream.describe()).base_offset == 10
    await hub.execute_update("retain", None)
    assert (await stream.describe()).retention is None
    history = await client.get_workflow_handle(hub.id, run_id=first).fetch_history()
    await Replayer(workflows=[hosts.FlowHub]).replay_workflow(
        WorkflowHistory.from_json(hub.id, history.to_json())
    )


@pytest.mark.parametrize("worker", ["no cache"], indirect=True)
async def test_what_retain_said_outlasts_a_constructor_that_says_another(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(max_items=5, signals=1, insists=True))
    stream = stream_of(client, hub)

    async def kept_after_a_roll_over() -> int | None:
        before = await run_id(hub)
        stream.topic("t").publish("a")
        await stream.flush()
        await becomes(lambda: run_id(hub), lambda now: now != before)
        kept = (await stream.describe()).retention
        return None if kept is None else kept.max_items

    assert await kept_after_a_roll_over() == 5
    for said in (8, None, 9):
        await hub.execute_update("retain", said)
        assert await kept_after_a_roll_over() == said
        last = await run_id(hub)
        assert await kept_after_a_roll_over() == said, "and in the run after"
    history = await client.get_workflow_handle(hub.id, run_id=last).fetch_history()
    await Replayer(workflows=[hosts.FlowHub]).replay_workflow(
        WorkflowHistory.from_json(hub.id, history.to_json())
    )


async def test_a_reader_with_a_name_resumes_in_the_tenth_run_after(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(signals=4, max_items=1_000))
    stream = stream_of(client, hub)
    publish = stream.topic("t").publish
    publish("a")
    publish("b")
    await stream.flush()
    async with stream.subscribe(name="billing") as items:
        assert told(await take(items, 2)) == [(0, "a"), (1, "b")]
        await items.commit(1)
    runs = {await run_id(hub)}
    while len(runs) < 11:
        publish(len(runs))
        await stream.flush()
        runs.add(await run_id(hub))
    [row] = (await stream.describe()).readers or []
    assert (row.name, row.position, row.lag) == ("billing", 1, (await stream.get_offset()) - 1)
    async with stream.subscribe(name="billing") as items:
        assert told(await take(items, 1)) == [(1, "b")]


async def test_the_successor_of_a_reader_that_was_killed_has_all_that_it_had_not_committed(
    client: Client, server: str, start: Start
) -> None:
    hub = await start()
    stream = stream_of(client, hub)
    for n in range(6):
        stream.topic("t").publish(n)
    await stream.flush()
    command = (sys.executable, "-m", "tests.faults.programs", "named", server, hub.id, "billing")
    reader = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert reader.stdout is not None
        handled = [int(await asyncio.wait_for(reader.stdout.readline(), 30)) for _ in range(4)]
    finally:
        reader.kill()
        await reader.wait()
    assert handled == [0, 1, 2, 3]
    async with stream.subscribe(name="billing") as items:
        first = await take(items, 1)
        assert first[0].offset in range(2, 5), "committed it had 2, and later what it could"
        rest = await take(items, 5 - first[0].offset)
    assert [item.offset for item in first + rest] == [*range(first[0].offset, 6)]


async def test_a_run_to_which_nothing_has_come_stays_though_it_began_above_a_threshold(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(history_bytes=1))
    first, stream = await run_id(hub), stream_of(client, hub)
    assert await stream.get_offset() == 0  # its first task is done
    assert await run_id(hub) == first
    stream.topic("t").publish("a")
    await stream.flush()
    await becomes(lambda: run_id(hub), lambda now: now != first)
    assert await stream.get_offset() == 1


async def test_the_one_before_is_told_within_five_seconds(client: Client, start: Start) -> None:
    hub = await start()
    stream = stream_of(client, hub)
    loop = asyncio.get_running_loop()
    async with stream.subscribe(name="billing") as older:
        waiting = asyncio.ensure_future(anext(older))
        async with stream.subscribe(name="billing"):
            began = loop.time()
            with pytest.raises(NameLostError):
                await asyncio.wait_for(waiting, 30)
            assert loop.time() - began < 5


async def test_who_commits_for_a_name_that_another_one_has_is_told_by_that_very_commit(
    client: Client, start: Start
) -> None:
    stream = stream_of(client, await start())
    stream.topic("t").publish("a")
    await stream.flush()
    items = stream.subscribe(name="billing")
    assert told(await take(items, 1)) == [(0, "a")]
    successor = await stream.subscribe(name="billing").start()
    with pytest.raises(NameLostError):
        await items.commit(1)
    await successor.commit(0)
    assert successor.committed == 0
    await items.aclose()
    await successor.aclose()


async def test_a_name_is_resumed_where_it_stands_also_when_the_workflow_has_closed(
    client: Client, start: Start
) -> None:
    hub = await start()
    stream = stream_of(client, hub)
    for value in "abcd":
        stream.topic("t").publish(value)
    await stream.flush()
    async with stream.subscribe(name="billing") as items:
        await take(items, 3)
        await items.commit(2)
    await hub.signal("want", "close")
    await hub.result()
    async with stream.subscribe(name="billing") as items:
        assert [item.data async for item in items] == ["c", "d"]
        with pytest.raises(StreamNotFoundError):
            await items.commit()
    [row] = (await stream.describe()).readers or []
    assert row.position == 2, "who has closed keeps nothing any more"


@pytest.mark.parametrize("kind", [hosts.PeerHub, hosts.UpdateOnlyHub])
async def test_a_host_of_another_library_raises_and_gets_no_signal(
    client: Client, start: Start, kind: Any
) -> None:
    hub = await start(kind)
    stream = stream_of(client, hub)
    with pytest.raises(NamesUnsupportedError):
        await stream.subscribe(name="billing").start()
    stream.topic("t").publish("a")
    receipt = await stream.topic("t").send("b")
    assert (await receipt).verdict == "unknown"
    signals = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in (await hub.fetch_history()).events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert READER_SIGNAL not in signals


async def test_receipts_tell_offsets_and_a_run_that_is_over_no_longer(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(signals=3))
    stream = stream_of(client, hub, max_buffer_bytes=2_000, max_batch_size=2)
    receipts = [await stream.topic("t").send(n) for n in range(3)]
    assert [await each for each in receipts] == [Outcome("stored", n) for n in range(3)]
    late, before = await stream.topic("t").send("late"), await run_id(hub)
    await stream.flush()
    await becomes(lambda: run_id(hub), lambda now: now != before)
    told_late = await late
    assert (told_late.verdict, "remember" in told_late.reason) == ("unknown", True)


async def test_a_roll_over_waits_until_all_is_ready_and_never_in_a_handler(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(signals=1))
    stream, before = stream_of(client, hub), await run_id(hub)
    assert "from a handler" in await hub.execute_update("roll_in_a_handler")
    await hub.signal("be_busy", True)
    stream.topic("t").publish("a")
    await stream.flush()
    await becomes(lambda: hub.query("waits_for_ready"))
    assert await run_id(hub) == before
    await hub.signal("be_busy", False)
    await becomes(lambda: run_id(hub), lambda now: now != before)
    await hub.signal("be_busy", True)
    stream.topic("t").publish("b")
    await stream.flush()
    await becomes(lambda: hub.query("waits_for_ready"))
    await hub.signal("close")
    assert await hub.result() == "rolled 1 times", "also while it waits to be ready"


async def test_what_ends_the_run_while_a_roll_over_waits_for_handlers_ends_it_instead(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(signals=1))
    stream = stream_of(client, hub)
    work = await hub.start_update("work", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    stream.topic("t").publish("a")
    await stream.flush()
    await becomes(lambda: hub.query("waits_for_ready"))
    await hub.signal("close")
    await hub.signal("stop")
    assert await work.result() == "done"
    assert await asyncio.wait_for(hub.result(), LIMIT) == "rolled 0 times"


async def test_hostile_reader_signals_fail_no_task_and_lose_nothing(
    client: Client, start: Start
) -> None:
    hub = await start()
    stream = stream_of(client, hub)
    stream.topic("t").publish("a")
    await stream.flush()
    chance = random.Random(1)
    for n in range(60):
        hostile: Any = {**JOIN, chance.choice([*JOIN]): junk(chance), "name": f"n{n}"}
        args = chance.choice([[hostile], [hostile, 1], [], [junk(chance)]])
        await hub.signal(READER_SIGNAL, args=args)
    async with stream.subscribe(name="billing") as items:
        assert told(await take(items, 1)) == [(0, "a")]
        forged = {**JOIN, "action": "commit", "token": "forged", "position": 1, "stream_id": None}
        await hub.signal(READER_SIGNAL, forged)
        about = await stream.describe()
        [row] = [row for row in about.readers or [] if row.name == "billing"]
        assert (row.position, row.refused) == (0, 1)
        assert about.readers_refused > 10
    failed = [
        event
        for event in (await hub.fetch_history()).events
        if event.HasField("workflow_task_failed_event_attributes")
    ]
    assert failed == []

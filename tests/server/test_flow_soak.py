"""Flow for minutes: roll-overs under load, a million items, a publisher faster than its server.

Each prints its figures: `pytest -m soak -s tests/server/test_flow_soak.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
import pytest
from temporalio.client import Client

from streamlib import (
    Outcome,
    Receipt,
    StreamUnavailableError,
    UnsentItemsWarning,
    WorkflowStreamClient,
)
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import becomes

pytestmark = pytest.mark.soak

MEGABYTE = 2**20
TENTH = timedelta(seconds=0.1)


def memory() -> float:
    """What this process holds, worker and clients together, in MB."""
    return float(psutil.Process().memory_info().rss / MEGABYTE)


async def rolls(client: Client, workflow_id: str) -> int:
    """How many times the workflow has rolled over."""
    runs = client.list_workflows(f"WorkflowId = {workflow_id!r}".replace("'", '"'))
    return len([run async for run in runs]) - 1


class Witness:
    """Reads to the end, and notes what came, when, and how late."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.values: list[str] = []
        self.delays: list[float] = []
        self.gaps: list[float] = []
        self.missed = 0
        self.starts = [0]

    async def read(self, open_one: Callable[[], Any], leave_every: float = 0.0) -> None:
        """Read; with `leave_every` come back by name every so many seconds."""
        while True:
            left, last = False, time.time()
            began = last
            async with open_one() as items:
                async for item in items:
                    now = time.time()
                    value, sent = item.data
                    self.offsets.append(item.offset)
                    self.values.append(value)
                    self.delays.append(now - sent)
                    self.gaps.append(now - last)
                    self.missed += item.missed
                    last = now
                    if leave_every and now - began > leave_every:
                        left = True
                        break
            if not left:
                return
            self.starts.append(len(self.offsets))


async def patiently(receipt: Receipt) -> Outcome:
    """What became of an item, however long the worker needs."""
    while True:
        with contextlib.suppress(StreamUnavailableError):
            return await receipt


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[int(part * (len(values) - 1))]


@pytest.mark.timeout(360)
async def test_twenty_roll_overs_at_200_items_a_second_lose_nothing_and_double_nothing(
    client: Client, start: Start
) -> None:
    hub = await start(
        hosts.FlowHub, hosts.FlowInput(signals=150, max_items=2_000, until_read=False)
    )
    stream = WorkflowStreamClient.create(client, hub.id)
    readers, named = [Witness() for _ in range(5)], Witness()
    reading = [asyncio.ensure_future(each.read(stream.subscribe)) for each in readers]
    by_name = named.read(lambda: stream.subscribe(name="billing"), leave_every=9.0)
    reading.append(asyncio.ensure_future(by_name))
    sent: list[str] = []
    over = asyncio.Event()

    async def publish(name: str) -> None:
        mine = WorkflowStreamClient.create(client, hub.id, batch_interval=TENTH)
        async with mine:
            number, due = 0, time.time()
            while not over.is_set():
                value = f"{name}-{number}"
                mine.topic("t").publish([value, time.time()])
                sent.append(value)
                number += 1
                due += 3 / 200  # what a busy machine held up is caught up with
                await asyncio.sleep(due - time.time())

    began = time.time()
    publishing = [asyncio.ensure_future(publish(f"p{n}")) for n in range(3)]
    await asyncio.wait_for(_rolled(client, hub.id, 20), 300)
    over.set()
    await asyncio.gather(*publishing)
    seconds = time.time() - began
    about = await stream.describe()
    await hub.signal("close")
    await asyncio.wait_for(asyncio.gather(*reading), 60)
    delays = [delay for each in readers for delay in each.delays]
    gaps = [gap for each in readers for gap in each.gaps]
    print(
        f"\n{len(sent)} items in {seconds:.0f} s, {await rolls(client, hub.id)} roll-overs: "
        f"delivery p50 {percentile(delays, 0.5):.3f} s, p99 {percentile(delays, 0.99):.3f} s, "
        f"max {max(delays):.3f} s; pause between items p99 {percentile(gaps, 0.99):.3f} s, "
        f"max {max(gaps):.3f} s; the named reader came {len(named.starts)} times, "
        f"and had {len(named.values) - len(set(named.values))} items again"
    )
    assert len(sent) / seconds > 180, "what the name says, or this machine is too busy to say"
    assert about.end_offset - about.base_offset <= 2_000, "retention is at work all the while"
    assert about.base_offset > 0
    for each in readers:
        assert each.missed == 0
        assert each.offsets == [*range(len(sent))]
        assert sorted(each.values) == sorted(sent)
    assert set(named.values) == set(sent), "at least once"
    for first, end in zip(named.starts, [*named.starts[1:], None], strict=True):
        part = named.offsets[first:end]
        assert part == [*range(part[0], part[0] + len(part))], "in order, between two leaves"


async def _rolled(client: Client, workflow_id: str, times: int) -> None:
    while await rolls(client, workflow_id) < times:
        await asyncio.sleep(1)


@pytest.mark.timeout(900)
async def test_a_million_items_live_through_as_many_runs_as_they_need(
    client: Client, start: Start
) -> None:
    count = 1_000_000
    hub = await start(hosts.FlowHub, hosts.FlowInput(max_bytes=500_000))
    stream = WorkflowStreamClient.create(
        client, hub.id, max_buffer_bytes=1_000_000, max_batch_size=1_000
    )
    before, began, peak, lengths = memory(), time.time(), 0.0, list[int]()
    seen = {"items": 0, "missed": 0}

    async def read() -> None:
        async for item in stream.subscribe(name="all"):
            assert item.offset == seen["items"] + seen["missed"] + item.missed
            seen["items"] += 1
            seen["missed"] += item.missed

    reading = asyncio.ensure_future(read())
    async with stream:
        for n in range(count):
            receipt = await stream.topic("t").send(f"{n:0100}")
            if n % 20_000 == 0:  # so far ahead of the worker, and no further
                assert (await patiently(receipt)).verdict in ("stored", "unknown")
                peak = max(peak, memory() - before)
                lengths.append((await hub.describe()).history_length)
    seconds = time.time() - began
    about = await stream.describe()
    assert (about.end_offset, about.size <= 500_000) == (count, True)
    runs = await rolls(client, hub.id) + 1
    await hub.signal("close")
    await asyncio.wait_for(reading, 60)
    print(
        f"\n{count:,} items in {seconds:.0f} s, {runs} runs, longest history seen "
        f"{max(lengths)} events, memory + {peak:.0f} MB at most; the reader had "
        f"{seen['items']:,}, and was told of {seen['missed']:,} that retention took before it"
    )
    assert seen["items"] + seen["missed"] == count
    assert runs > 20
    assert peak < 400
    assert max(lengths) < 10_000


@pytest.mark.timeout(400)
@pytest.mark.filterwarnings(f"error::{UnsentItemsWarning.__module__}.UnsentItemsWarning")
async def test_a_publisher_faster_than_the_server_for_five_minutes_keeps_its_memory_flat(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.FlowHub, hosts.FlowInput(max_bytes=200_000))
    stream = WorkflowStreamClient.create(
        client, hub.id, max_buffer_bytes=1_000_000, max_batch_size=100
    )
    end, sent, levels = time.time() + 290, 0, list[float]()
    async with stream:
        while time.time() < end:
            receipt = await stream.topic("t").send(sent)
            sent += 1
            if sent % 5_000 == 0:
                levels.append(memory())
                assert stream.unsent * 80 <= 1_000_000
        told = await patiently(receipt)
    assert (told.verdict, told.offset) in [("stored", sent - 1), ("unknown", None)]
    assert await stream.get_offset() == sent, "nothing was lost, and nothing came twice"
    half = len(levels) // 2
    first, second = levels[len(levels) // 10 : half], levels[half:]
    growth = percentile(second, 0.5) - percentile(first, 0.5)
    print(
        f"\n{sent:,} items in 290 s, {await rolls(client, hub.id)} roll-overs; memory "
        f"{levels[0]:.0f} MB at first, {levels[-1]:.0f} MB at last, median of the second half "
        f"{growth:+.1f} MB beside the first"
    )
    assert growth < 40
    await becomes(lambda: stream.get_offset(), sent)

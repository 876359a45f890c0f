"""What is measured. Each experiment runs on a fresh hub and returns numbers by name.

    live         an item at a time, at a steady pace, to some readers: delivery, history, calls, CPU
    bulk         many items, published as fast as it goes and read back
    memory       what many items add to a fresh worker's resident memory
    peers_limit  what more readers than ten do to the peer

Publisher and readers are in this process, the hub's worker is in another. Next: `gates.py`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any

from bench.hubs import PEER, Side
from bench.quiet import Figures
from bench.rig import Rig, Spent

SETTLE = 0.5
"""Seconds until nothing goes on any more that came before what is measured."""

BATCH = 4000
"""Items a flush, about 0.9 MB, which is the quickest for both sides. The peer sends all that is
buffered as one signal, and the server takes no more than 2 MB of it."""

KB = "k" * 1000
ITEM = "i" * 98  # 100 bytes, as JSON


@dataclass(frozen=True)
class Pace:
    """A `live` experiment: how often an item, how many readers, how many items, what beside."""

    interval: float
    readers: int
    items: int
    padding: str = ""


async def live(rig: Rig, side: Side, pace: Pace) -> Figures:
    """Publish at a steady pace, each item sent at once; measure what delivering it takes.

    Not what it takes to arrive: a first item, which does not count, shows that everybody is there.
    """
    async with rig.hub(side) as hub:
        there = Roll(pace.readers)
        readers = [
            asyncio.create_task(latencies(rig, side, hub, pace.items, there))
            for _ in range(pace.readers)
        ]
        await publish_at_pace(rig, side, hub, replace(pace, items=1))
        await asyncio.wait(
            [asyncio.create_task(there.full.wait()), *readers],
            return_when=asyncio.FIRST_COMPLETED,  # a reader that ends now has failed
        )
        await asyncio.sleep(SETTLE)
        before = await rig.spent(side, hub)
        await publish_at_pace(rig, side, hub, pace)
        seen = [latency for each in await asyncio.gather(*readers) for latency in each]
        spent = (await rig.spent(side, hub)).since(before)
    return {
        "p50 ms": 1000 * median(seen),
        "p95 ms": 1000 * quantiles(seen, n=20)[-1],
        "delivered": len(seen) / (pace.items * pace.readers),
        "history bytes per delivery": spent.history_bytes / len(seen),
        **per_item(spent, pace.items),
    }


async def bulk(rig: Rig, side: Side, items: int, batch: int = BATCH) -> Figures:
    """Publish as fast as flushes are acknowledged; then read all of it back, from offset 0."""
    async with rig.hub(side) as hub:
        before = await rig.spent(side, hub)
        started = time.perf_counter()
        await publish_many(rig, side, hub, items, batch)
        published = time.perf_counter() - started
        await rig.until_applied(side, hub, items)
        publishing = (await rig.spent(side, hub)).since(before)
        started, count = time.perf_counter(), 0
        async for _ in side.client.create(rig.client, hub).subscribe():
            count += 1
            if count == items:
                break
        read = time.perf_counter() - started
        reading = (await rig.spent(side, hub)).since(before)
    return {
        "published per s": items / published,
        "read per s": items / read,
        "publishing's history bytes per item": publishing.history_bytes / items,
        "reading's history bytes per item": (reading.history_bytes - publishing.history_bytes)
        / items,
        "worker CPU s per 1,000": 1000 * reading.worker_cpu / items,
        "client CPU s per 1,000": 1000 * reading.client_cpu / items,
    }


async def memory(rig: Rig, side: Side, items: int) -> Figures:
    """Publish to a fresh worker, and see how much larger it has become."""
    async with rig.worker(side), rig.hub(side) as hub:
        await publish_many(rig, side, hub, BATCH)  # what the first batch loads is not the items'
        await rig.until_applied(side, hub, BATCH)
        before = rig.resident_bytes(side)
        for done in range(BATCH, BATCH + items, BATCH):
            # One by one: with many batches in one task the peer's worker takes more than the two
            # seconds after which the SDK fails the task as a deadlock.
            await publish_many(rig, side, hub, BATCH)
            await rig.until_applied(side, hub, done + BATCH)
        await asyncio.sleep(SETTLE)
        return {"MB": (rig.resident_bytes(side) - before) / 1e6}


async def peers_limit(rig: Rig, readers: int, seconds: float) -> str:
    """What happens to the peer with more readers than the ten updates that may wait; in words."""
    pace = Pace(1.0, readers, int(seconds), KB)
    async with rig.hub(PEER) as hub:
        started = time.perf_counter()
        tasks = [asyncio.create_task(latencies(rig, PEER, hub, pace.items)) for _ in range(readers)]
        publishing = asyncio.create_task(publish_at_pace(rig, PEER, hub, pace))
        done, _ = await asyncio.wait(
            tasks, timeout=seconds + 10.0, return_when=asyncio.FIRST_EXCEPTION
        )
        after = time.perf_counter() - started
        errors = [error for task in done if (error := task.exception()) is not None]
        for task in (*tasks, publishing):
            task.cancel()
        await asyncio.gather(*tasks, publishing, return_exceptions=True)
    if errors:
        return f"{readers} readers: after {after:.0f} s one raises {_named(errors[0])}"
    return f"{readers} readers: {len(done)} of them were served whole"


class Roll:
    """Who is there already, of so many; `full` once all are."""

    def __init__(self, missing: int) -> None:
        self._missing = missing
        self.full = asyncio.Event()

    def here(self) -> None:
        """One more."""
        self._missing -= 1
        if not self._missing:
            self.full.set()


async def latencies(
    rig: Rig, side: Side, hub: str, items: int, there: Roll | None = None
) -> list[float]:
    """Read `items` items as one reader, and return how long each took, in seconds.

    With a roll one more is read first, which says no more than that this reader is there.
    """
    seen: list[float] = []
    async for item in side.client.create(rig.client, hub).subscribe():
        if there is not None:
            there.here()
            there = None
            continue
        seen.append(time.perf_counter() - item.data[0])
        if len(seen) == items:
            break
    return seen


async def publish_at_pace(rig: Rig, side: Side, hub: str, pace: Pace) -> None:
    """Publish items that carry the moment they were published at."""
    async with side.client.create(rig.client, hub) as stream:
        for _ in range(pace.items):
            value = [time.perf_counter(), pace.padding]
            stream.topic("items").publish(value, force_flush=True)
            await asyncio.sleep(pace.interval)


async def publish_many(rig: Rig, side: Side, hub: str, items: int, batch: int = BATCH) -> None:
    """Publish as fast as flushes are acknowledged."""
    stream = side.client.create(rig.client, hub)
    topic = stream.topic("items")
    for _ in range(items // batch):
        for _ in range(batch):
            topic.publish(ITEM)
        await stream.flush()


def per_item(spent: Spent, items: int) -> Figures:
    """What one item cost, or a thousand of them."""
    return {
        "history events per item": spent.events / items,
        "history bytes per item": spent.history_bytes / items,
        "queries per item": spent.calls["QueryWorkflow"] / items,
        "updates per item": spent.calls["UpdateWorkflowExecution"] / items,
        "history reads per item": spent.calls["GetWorkflowExecutionHistory"] / items,
        "worker CPU s per 1,000": 1000 * spent.worker_cpu / items,
        "client CPU s per 1,000": 1000 * spent.client_cpu / items,
        "server CPU s per 1,000": 1000 * spent.server_cpu / items,
    }


def _named(error: BaseException) -> str:
    status: Any = getattr(error, "status", None)
    return f"{type(error).__name__} {getattr(status, 'name', '')}".strip()

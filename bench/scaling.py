"""How cost grows: with the length of a log, the number of readers, the size of an item.

    long_log  append, truncate, read the end, describe: on a log of that length
    readers   live delivery to many readers of this process, and what each takes of it
    sized     publish and read back items of a size; beside a signal handler that keeps nothing

Next: `gates.py`, which rows they fill; `scale.py`, what follows from them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, NamedTuple

import psutil

from bench.experiments import Pace, live
from bench.grown import GrownHub, GrownInput
from bench.hubs import BARE, Side
from bench.quiet import Figures
from bench.rig import Rig
from streamlib import WorkflowStreamClient

TIMES = 20
"""How often each step is timed on a long log; the median counts."""

GROWING = 200.0
"""Seconds that a log of a million items may take to grow."""


class Size(NamedTuple):
    """Items of so many bytes as JSON: how many, and how many a flush (below a megabyte)."""

    bytes: int
    items: int
    batch: int


async def long_log(rig: Rig, side: Side, length: int) -> Figures:
    """Time four steps on a hub of ours whose log has that many items already."""
    async with rig.grown() as queue:
        handle = await rig.client.start_workflow(
            GrownHub.run, GrownInput(length), id=f"grown-{length}-{queue}", task_queue=queue
        )
        stream = side.client.create(rig.client, handle.id)
        await _reaches(stream, length)
        about = await stream.describe()
        base = about.base_offset

        async def append() -> None:
            stream.topic("items").publish("one more")
            await stream.flush()

        async def truncate() -> None:
            nonlocal base
            base += length // (2 * TIMES)
            await handle.execute_update(GrownHub.truncate, base)

        async def read_end() -> None:
            end = await stream.get_offset()
            async with stream.subscribe(from_offset=end - 10) as items:
                async for item in items:
                    if item.offset == end - 1:
                        return

        async def describe() -> None:
            await stream.describe()

        steps = {"append": append, "read the end": read_end, "describe": describe}
        figures = {f"{name} ms": await _timed(step) for name, step in steps.items()}
        figures["truncate ms"] = await _timed(truncate)
        await handle.terminate()
    return figures


async def _timed(step: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds that a step takes, in the middle."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await step()
        took.append(1000 * (time.perf_counter() - began))
    return median(took)


async def _reaches(stream: WorkflowStreamClient, length: int) -> None:
    deadline = time.monotonic() + GROWING
    while True:
        try:
            if await stream.get_offset() >= length:
                return
        except Exception:  # the worker is at work on 20,000 items: no query gets in between
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)


async def readers(rig: Rig, side: Side, pace: Pace) -> Figures:
    """`live`, with what a reader takes of this process: memory, and CPU a delivery."""
    me = psutil.Process()
    before = me.memory_info().rss
    most = before
    running = asyncio.ensure_future(live(rig, side, pace))
    while not running.done():
        await asyncio.wait([running], timeout=0.5)
        most = max(most, me.memory_info().rss)
    figures = await running
    return {
        **figures,
        "KB a reader": (most - before) / 1000 / pace.readers,
        "client CPU us a delivery": 1000 * figures["client CPU s per 1,000"] / pace.readers,
    }


async def sized(rig: Rig, side: Side, size: Size) -> Figures:
    """Publish items of a size as fast as it goes, until they are applied; read them back."""
    if side is BARE:
        async with rig.worker(side):
            return await _sized(rig, side, size)
    return await _sized(rig, side, size)


async def _sized(rig: Rig, side: Side, size: Size) -> Figures:
    item = "i" * (size.bytes - 2)
    async with rig.hub(side) as hub:
        stream: Any = side.client.create(rig.client, hub)
        before, began = await rig.spent(side, hub), time.perf_counter()
        for first in range(0, size.items, size.batch):
            for _ in range(min(size.batch, size.items - first)):
                stream.topic("items").publish(item)
            await stream.flush()
        await rig.until_applied(side, hub, size.items)
        published = time.perf_counter() - began
        spent = (await rig.spent(side, hub)).since(before)
        figures = {
            "published per s": size.items / published,
            "history bytes per item": spent.history_bytes / size.items,
        }
        if side is not BARE:
            began, count = time.perf_counter(), 0
            async for _ in stream.subscribe():
                count += 1
                if count == size.items:
                    break
            figures["read per s"] = size.items / (time.perf_counter() - began)
    return figures

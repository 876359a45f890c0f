"""What reading pulls over the network, and many processes that read. Ours alone; see `experiments`.

quiet_topic  a reader of one topic beside much on another
restart      a reader on a long history, whose server goes and comes again
processes    readers in processes of their own
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

from temporalio.client import Client

from bench.hubs import Side
from bench.quiet import Figures
from bench.rig import ROOT, Rig

CALLS = ("query_workflow", "get_workflow_execution_history")


class Meter:
    """Counts the bytes of answers."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def metered(client: Client) -> Iterator[Meter]:
    """Count what the client's reading calls are answered meanwhile."""
    service, meter = client.workflow_service, Meter()
    originals = {name: getattr(service, name) for name in CALLS}

    def counting(call: Any) -> Any:
        async def counted(*args: Any, **options: Any) -> Any:
            answer = await call(*args, **options)
            meter.bytes += answer.ByteSize()
            return answer

        return counted

    for name, call in originals.items():
        setattr(service, name, counting(call))
    try:
        yield meter
    finally:
        for name, call in originals.items():
            setattr(service, name, call)


async def quiet_topic(rig: Rig, side: Side, batches: int, size: int) -> Figures:
    """Read a quiet topic while `batches` of `size` bytes are published on another."""
    async with rig.hub(side) as hub:
        stream = side.client.create(rig.client, hub)
        with metered(rig.client) as reading:
            async with stream.subscribe(["quiet"]) as items:
                waiting = asyncio.create_task(anext(items))
                for _ in range(batches):
                    stream.topic("loud").publish("x" * size)
                    await stream.flush()
                stream.topic("quiet").publish("news")
                await stream.flush()
                await waiting
        with metered(rig.client) as once:
            await rig.client.get_workflow_handle(hub).fetch_history()
    return {"pulled / history once": reading.bytes / once.bytes, "MB": once.bytes / 1e6}


async def restart(rig: Rig, side: Side, megabytes: int) -> Figures:
    """Attach to a long history; then let the server go and come again, and read on."""
    async with rig.hub(side) as hub:
        stream = side.client.create(rig.client, hub)
        for _ in range(megabytes * 2):
            stream.topic("items").publish("x" * 350_000)  # base64 of it makes half a megabyte
            await stream.flush()
        await rig.until_applied(side, hub, megabytes * 2)
        with metered(rig.client) as first:
            items = stream.subscribe(from_offset="latest")
            waiting = asyncio.create_task(anext(items))
            async for run in stream.watch():
                if run.caught_up:
                    break
        with metered(rig.client) as again:
            began = time.perf_counter()
            await rig.restart_server()
            await rig.until_applied(side, hub, megabytes * 2)
            stream.topic("items").publish("news")
            await stream.flush()
            await waiting
        await items.aclose()
        took = time.perf_counter() - began
    return {
        "again / first": again.bytes / first.bytes,
        "MB": first.bytes / 1e6,
        "s": took,
    }


async def processes(rig: Rig, side: Side, readers: int, items: int) -> Figures:
    """Publish an item a second to readers that have a process each."""
    async with rig.hub(side) as hub:
        command = (sys.executable, "-m", "bench.reader", rig.address, hub, str(items))
        running = [
            await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
            for _ in range(readers)
        ]
        lines = [each.stdout.readline for each in running if each.stdout is not None]
        assert {await line() for line in lines} == {b"ready\n"}
        async with side.client.create(rig.client, hub) as stream:
            for _ in range(items):
                stream.topic("items").publish([time.time()], force_flush=True)
                await asyncio.sleep(1)
        seen = [latency for line in lines for latency in json.loads(await line())]
        await asyncio.gather(*(each.wait() for each in running))
    return {
        "p50 ms": 1000 * median(seen),
        "p95 ms": 1000 * quantiles(seen, n=20)[-1],
        "delivered": len(seen) / (items * readers),
    }

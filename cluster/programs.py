"""What runs beside the cluster, each in a process of its own: `python -m cluster.programs OUT`...

    worker SIDE PORT QUEUE     runs one side's hubs
    load   SIDE PORT HUB...    publishes to hubs and reads from them, until told to end
    probe  PORT HUB...         looks at each hub, twice a second, through one node after the other

They write down in OUT what they saw, a JSON line each: a kind, the hub, what there is to say, and
the time by this machine's monotonic clock, which is one for all processes. Next: `judge.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import DnsLoadBalancingConfig, RPCError
from temporalio.worker import Worker

from bench.hubs import SIDES, Side
from cluster.machines import ADDRESSES, NAME

ANSWER = 3.0
"""Seconds that the probe waits for an answer; it goes on looking meanwhile."""

WAITS = 1.0
"""Seconds after which a workflow task that no worker has done is not done in time."""

PAUSE = 1.0
"""Seconds between two items of a publisher."""

TICK = 0.5
"""Seconds between two looks of the probe at a hub."""

DRAIN = 60.0
"""Seconds that readers get for what is left, when nothing is published any more."""

SETTLE = 0.2
"""Seconds that the SDK's last calls get before the interpreter goes."""

Note = Callable[..., None]
"""Writes down a kind, a hub, and what there is to say of them, with the time."""


async def connect(port: int) -> Client:
    """A client that takes the cluster's nodes in turn, and leaves out those that are gone."""
    return await Client.connect(
        f"{NAME}:{port}", dns_load_balancing_config=DnsLoadBalancingConfig.default
    )


async def work(side: Side, port: int, queue: str) -> None:
    """Run a side's hubs until told to end."""
    async with Worker(await connect(port), task_queue=queue, workflows=[side.hub]):
        await _told()


class Load:
    """Two publishers and two readers a hub, and what came of them.

    A publisher that is refused asks again, with the same client; a reader that raises or ends is
    restarted behind the last item that it had. Both are noted: nobody's user would like to do so.
    """

    def __init__(self, side: Side, note: Note) -> None:
        self._side, self._note = side, note
        self._told = asyncio.create_task(_told())
        self._stored: defaultdict[str, set[str]] = defaultdict(set)  # values, by hub
        self._read: defaultdict[tuple[str, str], set[str]] = defaultdict(set)  # by hub and reader

    async def run(self, port: int, hubs: list[str]) -> None:
        """Publish and read until told to end; then read what is left, and each log once more."""
        publishers, readers = [], []
        for number in (1, 2):  # connections of their own: then nothing is shared
            writing, reading = await connect(port), await connect(port)
            publishers += [self._publish(writing, hub, f"publisher-{number}") for hub in hubs]
            readers += [self._follow(reading, hub, f"reader-{number}") for hub in hubs]
        following = [asyncio.create_task(reader) for reader in readers]
        await asyncio.gather(*publishers)
        await self._until_all_is_read()
        for reader in following:
            reader.cancel()
        await asyncio.wait(following)
        client = await connect(port)
        await asyncio.gather(*(self._read_back(client, hub) for hub in hubs))

    async def _publish(self, client: Client, hub: str, name: str) -> None:
        stream, number = self._side.client.create(client, hub), 0
        while not self._told.done():
            value = f"{name}-{number}"
            self._note("sent", hub, value)
            stream.topic("t").publish(value)
            while True:
                try:
                    await stream.flush()
                    break
                except Exception as error:
                    self._note("raised", hub, name, _short(error))
                    await asyncio.sleep(PAUSE)
            self._note("stored", hub, value)
            self._stored[hub].add(value)
            number += 1
            await asyncio.sleep(PAUSE)

    async def _follow(self, client: Client, hub: str, name: str) -> None:
        stream, position = self._side.client.create(client, hub), 0
        self._note("opened", hub, name)
        seen = self._read[hub, name]
        while True:
            why = "it ended"
            try:
                async for item in stream.subscribe("t", position, result_type=str):
                    self._note("read", hub, name, item.offset, item.data)
                    seen.add(item.data)
                    position = item.offset + 1
            except Exception as error:
                why = _short(error)
            self._note("restarted", hub, name, why)
            await asyncio.sleep(PAUSE)

    async def _until_all_is_read(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN
        while loop.time() < deadline:
            if all(self._stored[hub] <= read for (hub, _), read in self._read.items()):
                break
            await asyncio.sleep(0.1)

    async def _read_back(self, client: Client, hub: str) -> None:
        """What the log holds, by a client that has seen nothing of the run."""
        stream = self._side.client.create(client, hub)
        end = await stream.get_offset()
        async for item in stream.subscribe("t", result_type=str):
            self._note("log", hub, item.offset, item.data)
            if item.offset >= end - 1:
                break


async def probe(port: int, note: Note, hubs: list[str]) -> None:
    """Look at each hub twice a second, through one node after the other.

    It counts as up where the server answers and no task of the hub waits for its worker. A query
    would ask more, but each run has room for one alone, which is the readers'.
    """
    told = asyncio.create_task(_told())
    nodes = [await Client.connect(f"{address}:{port}") for address in ADDRESSES]

    async def look(node: Client, hub: str) -> None:
        request = DescribeWorkflowExecutionRequest(
            namespace=node.namespace, execution=WorkflowExecution(workflow_id=hub)
        )
        with suppress(RPCError):
            answer = await node.workflow_service.describe_workflow_execution(
                request, retry=False, timeout=timedelta(seconds=ANSWER)
            )
            since = answer.pending_workflow_task.scheduled_time.ToNanoseconds()
            if not since or time.time_ns() - since < WAITS * 1e9:
                note("answered", hub)

    looking: set[asyncio.Task[None]] = set()
    for node in itertools.cycle(nodes):
        for hub in hubs:
            task = asyncio.create_task(look(node, hub))
            looking.add(task)
            task.add_done_callback(looking.discard)
            await asyncio.sleep(TICK / len(hubs))
        if told.done():
            break
    await asyncio.gather(*looking)


async def _told() -> None:
    """Return when told to end."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


async def main(what: str, note: Note, *arguments: str) -> None:
    """Be the program that is named."""
    if what == "worker":
        name, port, queue = arguments
        await work(_side(name), int(port), queue)
    elif what == "load":
        name, port, *hubs = arguments
        await Load(_side(name), note).run(int(port), hubs)
    else:
        port, *hubs = arguments
        await probe(int(port), note, hubs)
    await asyncio.sleep(SETTLE)


def _side(name: str) -> Side:
    [side] = [side for side in SIDES if side.name == name]
    return side


def _noting(lines: TextIO) -> Note:
    def note(kind: str, hub: str, *what: Any) -> None:
        print(json.dumps([kind, hub, *what, time.monotonic()]), file=lines)

    return note


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    out, what, *arguments = sys.argv[1:]
    with Path(out).open("a", buffering=1, encoding="utf-8") as lines:
        asyncio.run(main(what, _noting(lines), *arguments))

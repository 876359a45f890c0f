"""A crowd of readers in this process, as a web server with many browsers behind it.

Owns the crowd for the time of one call, and the count of what it asked the server: it reads over a
connection of its own, whose calls the SDK counts.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

from temporalio.client import Client
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.service import ServiceClient

from streamlib import Subscription, WorkflowStreamClient


@dataclass(frozen=True)
class Crowd:
    """What a crowd of readers came to; shows itself in a few words."""

    readers: int
    items: int
    """Delivered, to all of them together."""
    queries: int
    """What they asked the workflow: on Temporal Cloud, each is an action."""
    events: int
    """By how many the run's history grew meanwhile."""
    seconds: float

    def __repr__(self) -> str:
        """One line."""
        who = "1 reader" if self.readers == 1 else f"{self.readers:,} readers"
        asked = "1 query" if self.queries == 1 else f"{self.queries} queries"
        return (
            f"{who} got {self.items:,} items in {self.seconds:.1f} s: {asked}, {self.events} events"
        )


async def read_many(stream: WorkflowStreamClient, readers: int = 1000) -> Crowd:
    """Let many readers read a stream from its beginning to its present end, all at once.

    Args:
        stream: Whose.
        readers: How many subscriptions, each with a position of its own.

    Raises:
        StreamError: As `Subscription.__anext__`.
        CancelledError: Cancelled; all are closed.
    """
    end = await stream.get_offset()
    handle = stream.temporal_client.get_workflow_handle(stream.workflow_id)
    before = (await handle.describe()).history_length
    own = WorkflowStreamClient.create(await _counted(stream.temporal_client), stream.workflow_id)
    crowd = [own.subscribe() for _ in range(readers)]
    began = time.perf_counter()
    _calls()  # those of somebody before
    try:
        got = await asyncio.gather(*(_read(reader, end) for reader in crowd))
    finally:
        await asyncio.gather(*(reader.aclose() for reader in crowd))
    seconds = time.perf_counter() - began
    after = (await handle.describe()).history_length
    return Crowd(readers, sum(got), _calls()["QueryWorkflow"], after - before, seconds)


async def _read(reader: Subscription[object], end: int) -> int:
    """Read to that offset; how many items came."""
    count = 0
    while reader.position < end:
        await anext(reader)
        count += 1
    return count


@cache
def _runtime() -> tuple[Runtime, MetricBuffer]:
    buffer = MetricBuffer(10_000)
    return Runtime(telemetry=TelemetryConfig(metrics=buffer)), buffer


async def _counted(client: Client) -> Client:
    """The same server and namespace, over a connection whose calls are counted."""
    config = replace(client.service_client.config, runtime=_runtime()[0])
    service = await ServiceClient.connect(config)
    return Client(service, namespace=client.namespace, data_converter=client.data_converter)


def _calls() -> Counter[str]:
    """How often the server was called since last asked, by the call's name."""
    calls: Counter[str] = Counter()
    for update in _runtime()[1].retrieve_updates():
        if update.metric.name == "temporal_request":
            calls[str(update.attributes["operation"])] += int(update.value)
    return calls

"""Scenarios 3 and 4 on a log and a publishers' table of your own.

This file, `my_log.py` and `my_publishers.py` are copied beside each other, for a worker that runs
them in Temporal's sandbox: each run of a workflow imports them anew. `parts` is the whole
difference to the scenarios.
"""

from __future__ import annotations

from my_log import Log  # type: ignore[import-not-found]
from my_publishers import Publishers  # type: ignore[import-not-found]
from temporalio import workflow

from streamlib import StreamParts, WorkflowStream
from streamlib.scenarios.hub import HubInput, HubWorkflow
from streamlib.scenarios.ticker import TickerInput, TickerWorkflow, TickEvent

PARTS = StreamParts(Log, Publishers)


@workflow.defn
class OwnHub(HubWorkflow):
    """Hosts a stream of these parts until it is told to close."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        self.stream = WorkflowStream(parts=PARTS)
        self.closed = False

    @workflow.run
    async def run(self, input: HubInput) -> str:
        """As the hub does."""
        return await super().run(input)


@workflow.defn
class OwnTicker(TickerWorkflow):
    """Ticks into a stream of these parts."""

    @workflow.init
    def __init__(self, input: TickerInput) -> None:
        self.stream = WorkflowStream(parts=PARTS)
        self.tick = self.stream.topic("tick", type=TickEvent)

    @workflow.run
    async def run(self, input: TickerInput) -> str:
        """As the ticker does."""
        return await super().run(input)

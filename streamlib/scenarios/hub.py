"""Scenario 3's host: a workflow that does nothing but host a stream.

    publishers outside --signal--> HubWorkflow's log --query--> subscribers outside

Others publish and subscribe, from notebooks, services or scheduled jobs; `close` ends the run, and
with it every subscription. Read `order.py` first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from temporalio import workflow

from streamlib import WorkflowStream, WorkflowStreamState


@dataclass
class HubInput:
    """The hub's name; `stream_state` is what a previous run of the workflow left, if any."""

    hub_id: str
    stream_state: WorkflowStreamState | None = None


@workflow.defn
class HubWorkflow:
    """Hosts the stream until it is told to close."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state)
        self.closed = False

    @workflow.run
    async def run(self, input: HubInput) -> str:
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())
        return f"hub {input.hub_id} closed"

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`; past the end, the update fails and nothing else."""
        await asyncio.sleep(0)  # publish signals that came with the first task go first
        self.stream.truncate(up_to_offset)

    @workflow.signal
    def close(self) -> None:
        """End the run."""
        self.closed = True

"""Scenario 4: a log that is kept short, and what that means for a slow reader.

    TickerWorkflow   publishes a tick, and now and then truncates to the last few
    fast reader      keeps up, and sees every offset
    slow reader      falls behind a truncation, jumps to the base, and sees how many it missed

`python -m streamlib.scenarios ticker` runs it. Next: `llm.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client

from streamlib import WorkflowStream, WorkflowStreamClient, WorkflowStreamState

from .connect import task_queue
from .order import TASK_QUEUE


@dataclass
class TickerInput:
    """How many ticks, how many at once, how often (in seconds), and how much of the log is kept.

    After every `truncate_every` ticks all but the last `keep_last` items go; 0 keeps everything.
    A server's timers are good to about a second, so a faster ticker ticks several times at once.
    `stream_state` is what a previous run of the workflow left, if any.
    """

    ticks: int = 30
    at_once: int = 3
    interval_seconds: float = 1.0
    keep_last: int = 4
    truncate_every: int = 6
    stream_state: WorkflowStreamState | None = None


@dataclass
class TickEvent:
    """Topic `tick`: the number of this tick, from 0."""

    n: int


@workflow.defn
class TickerWorkflow:
    """Ticks, and keeps its log short."""

    @workflow.init
    def __init__(self, input: TickerInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state)
        self.tick = self.stream.topic("tick", type=TickEvent)

    @workflow.run
    async def run(self, input: TickerInput) -> str:
        """Tick to the end, and truncate on the way."""
        for n in range(input.ticks):
            self.tick.publish(TickEvent(n))
            if input.keep_last and (n + 1) % input.truncate_every == 0:
                self.stream.truncate(self.stream.end_offset - input.keep_last)
            if (n + 1) % input.at_once == 0:
                await workflow.sleep(timedelta(seconds=input.interval_seconds))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return f"ticker emitted {input.ticks} events"

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`; past the end, the update fails and nothing else."""
        await asyncio.sleep(0)  # publish signals that came with the first task go first
        self.stream.truncate(up_to_offset)


async def run(client: Client) -> None:
    """Let a fast and a slow reader follow the same ticker."""
    handle = await client.start_workflow(
        TickerWorkflow.run,
        TickerInput(),
        id=f"workflow-stream-ticker-{uuid.uuid4().hex[:8]}",
        task_queue=task_queue(TASK_QUEUE),
    )
    await asyncio.gather(
        follow(client, handle.id, "fast", timedelta(0)),
        follow(client, handle.id, "slow", timedelta(seconds=0.8)),
    )
    print(f"workflow result: {await handle.result()}")


async def follow(client: Client, workflow_id: str, name: str, pause: timedelta) -> None:
    """Print every item that reaches this reader, and how many were gone before each."""
    ticks = WorkflowStreamClient.create(client, workflow_id).topic("tick", type=TickEvent)
    async with ticks.subscribe() as items:
        async for item in items:
            gap = f"  ({item.missed} dropped before it was read)" if item.missed else ""
            print(f"[{name}] offset={item.offset:2d} n={item.data.n:2d}{gap}")
            await asyncio.sleep(pause.total_seconds())  # the reader's own work
        print(f"[{name}] done: {items.missed} dropped")

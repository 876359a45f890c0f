"""Scenario 3: publishing from outside, to a workflow that does nothing but host the stream.

    publishers outside --signal--> HubWorkflow's log --query--> subscribers outside

Others publish and subscribe, from notebooks, services or scheduled jobs; `close` ends the run, and
with it every subscription. `python -m streamlib.scenarios hub` runs it. Next: `ticker.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle

from streamlib import Retention, WorkflowStream, WorkflowStreamClient, WorkflowStreamState

from .connect import task_queue
from .order import TASK_QUEUE

HEADLINES = [
    "rates unchanged at 3.25%",
    "rain expected over the weekend",
    "library opens its night reading room",
    "ferry runs again after repairs",
    "museum free on Sunday",
]
LAST = ""  # the sentinel: a headline that says there will be no more


@dataclass
class HubInput:
    """The hub's name; `stream_state` is what a previous run of the workflow left, if any.

    Publishers that were idle for `publisher_ttl_seconds` are forgotten; None: only at a roll-over.
    """

    hub_id: str
    stream_state: WorkflowStreamState | None = None
    publisher_ttl_seconds: float | None = None


@workflow.defn
class HubWorkflow:
    """Hosts the stream until it is told to close."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        ttl = input.publisher_ttl_seconds
        self.stream = WorkflowStream(
            prior_state=input.stream_state,
            publisher_ttl=None if ttl is None else timedelta(seconds=ttl),
        )
        self.closed = False

    @workflow.run
    async def run(self, input: HubInput) -> str:
        """Wait until it is closed, and let the updates that are under way finish."""
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())
        return f"hub {input.hub_id} closed"

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`; past the end, the update fails and nothing else."""
        await asyncio.sleep(0)  # publish signals that came with the first task go first
        self.stream.truncate(up_to_offset)

    @workflow.update
    async def retain(self, max_items: int | None) -> None:
        """Keep no more than the last `max_items` from now on; None: everything."""
        await asyncio.sleep(0)
        self.stream.retain(Retention(max_items=max_items))

    @workflow.signal
    def close(self) -> None:
        """End the run."""
        self.closed = True


@dataclass
class NewsEvent:
    """Topic `news`; an empty headline is the last one."""

    headline: str


async def run(client: Client) -> None:
    """Publish five headlines from here, and read them beside it, until the hub has closed."""
    hub_id = f"workflow-stream-hub-{uuid.uuid4().hex[:8]}"
    await client.start_workflow(
        HubWorkflow.run,
        HubInput(hub_id),
        id=hub_id,
        task_queue=task_queue(TASK_QUEUE),
        execution_timeout=timedelta(hours=1),  # if this process dies, nobody closes it
    )
    hub = client.get_workflow_handle_for(HubWorkflow.run, hub_id)
    await asyncio.gather(publish_news(client, hub), read_news(client, hub_id))
    print(f"workflow result: {await hub.result()}")


async def publish_news(client: Client, hub: WorkflowHandle[HubWorkflow, str]) -> None:
    """What a backend service would do: it did not start the workflow, and knows only its id."""
    stream = WorkflowStreamClient.create(client, hub.id, batch_interval=timedelta(milliseconds=200))
    async with stream:
        news = stream.topic("news", type=NewsEvent)
        for headline in HEADLINES:
            news.publish(NewsEvent(headline))
            print(f"[publisher] sent: {headline}")
            await asyncio.sleep(0.3)
        news.publish(NewsEvent(LAST))
    # All is stored now, since `async with` has ended: the hub may close.
    await hub.signal(HubWorkflow.close)
    print("[publisher] sent the last item, and closed the hub")


async def read_news(client: Client, hub_id: str) -> None:
    """Read until the run has closed; the sentinel says that it was meant to."""
    stream = WorkflowStreamClient.create(client, hub_id)
    complete = False
    async with stream.topic("news", type=NewsEvent).subscribe() as items:
        async for item in items:
            complete = item.data.headline == LAST
            if not complete:
                print(f"[subscriber] offset={item.offset}: {item.data.headline}")
    how = "after the last item" if complete else "before the last item came"
    print(f"[subscriber] the stream has ended, {how}")

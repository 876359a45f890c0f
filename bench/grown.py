"""A hub that comes with a long log, for looking at: its workflow, and a worker process for it.

`python -m bench.grown ADDRESS TASK_QUEUE`; ends on SIGTERM. What the workflow publishes itself is
in no history, so its log can be longer than a run could ever be sent.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from streamlib import WorkflowStream, WorkflowStreamState

TOPICS = ("delta", "status", "progress", "log")
AT_ONCE = 20_000
"""Items in one workflow task, which may take ten seconds."""


@dataclass
class GrownInput:
    """How many items to begin with; how often to roll over then, keeping the last `keep`."""

    items: int
    rolls: int = 0
    keep: int = 1_000
    stream_state: WorkflowStreamState | None = None


def next_input(input: GrownInput, rolls: int, state: WorkflowStreamState) -> list[GrownInput]:
    """The arguments of the next run."""
    return [replace(input, rolls=rolls, stream_state=state)]


@workflow.defn
class GrownHub:
    """A hub with a past."""

    @workflow.init
    def __init__(self, input: GrownInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state)
        self.rolls = input.rolls
        self.closed = False

    @workflow.run
    async def run(self, input: GrownInput) -> None:
        """Publish the items, roll over as often as was asked, and host the stream until closed."""
        for number in range(0 if input.stream_state else input.items):
            self.stream.publish(TOPICS[(number // 3) % len(TOPICS)], number)
            if (number + 1) % AT_ONCE == 0:
                await workflow.sleep(timedelta(milliseconds=1))
        while True:
            await workflow.wait_condition(lambda: self.rolls > 0 or self.closed)
            if self.closed:
                await workflow.wait_condition(workflow.all_handlers_finished)
                return
            self.stream.truncate(max(self.stream.base_offset, self.stream.end_offset - input.keep))
            await self.stream.continue_as_new(partial(next_input, input, self.rolls - 1))

    @workflow.signal
    def roll(self) -> None:
        """Roll over once."""
        self.rolls += 1

    @workflow.signal
    def close(self) -> None:
        """End the run."""
        self.closed = True

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`."""
        await asyncio.sleep(0)
        self.stream.truncate(up_to_offset)


async def serve(address: str, task_queue: str) -> None:
    """Run hubs until told to end."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    client = await Client.connect(address)
    # Without the SDK's check for a task that takes two seconds: on a busy machine these do.
    async with Worker(client, task_queue=task_queue, workflows=[GrownHub], debug_mode=True):
        await told.wait()
    await asyncio.sleep(0.2)  # the SDK's last calls


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))

"""Scenario 2: a subscriber disconnects, and a fresh client resumes where it left off.

    offset    0 validating   1 loading data   2 transforming   3 writing output   ...   5 complete
    reader    phase 1: reads, and saves "2"   phase 2: from_offset=2
                                           ^ gone: nothing is left but the file

`python -m streamlib.scenarios pipeline` runs it. Next: `hub.py`, publishing from outside.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client

from streamlib import Subscription, WorkflowStream, WorkflowStreamClient, WorkflowStreamState

from .connect import task_queue
from .order import TASK_QUEUE

STAGES = ["validating", "loading data", "transforming", "writing output", "verifying", "complete"]


@dataclass
class PipelineInput:
    """The pipeline's id, and how long each stage takes, in seconds.

    `stream_state` is what a previous run of the workflow left, if any.
    """

    pipeline_id: str
    stage_seconds: float = 2.0
    stream_state: WorkflowStreamState | None = None


@dataclass
class StageEvent:
    """Topic `stage`: the pipeline has entered it."""

    stage: str


@workflow.defn
class PipelineWorkflow:
    """Takes about ten seconds over five stages, and says which one it is in."""

    @workflow.init
    def __init__(self, input: PipelineInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state)
        self.stage = self.stream.topic("stage", type=StageEvent)

    @workflow.run
    async def run(self, input: PipelineInput) -> str:
        """Go through the stages."""
        for stage in STAGES[:-1]:
            self.stage.publish(StageEvent(stage))
            await workflow.sleep(timedelta(seconds=input.stage_seconds))
        self.stage.publish(StageEvent(STAGES[-1]))
        return f"pipeline {input.pipeline_id} done"


async def run(client: Client) -> None:
    """Read two stages, save where to go on, disconnect; resume with a fresh client."""
    workflow_id = f"workflow-stream-pipeline-{uuid.uuid4().hex[:8]}"
    handle = await client.start_workflow(
        PipelineWorkflow.run,
        PipelineInput(workflow_id),
        id=workflow_id,
        task_queue=task_queue(TASK_QUEUE),
    )
    with tempfile.TemporaryDirectory(prefix="streamlib-") as folder:
        await read_in_two_phases(client, workflow_id, Path(folder) / f"{workflow_id}.offset")
    print(f"workflow result: {await handle.result()}")


async def read_in_two_phases(client: Client, workflow_id: str, saved: Path) -> None:
    """Read two stages and save where to go on; away for a while; go on from there."""
    print("[phase 1] connecting and reading first few events")
    async with stages(client, workflow_id, from_offset=0) as items:
        for _ in range(2):
            item = await anext(items)
            print(f"offset={item.offset:2d} stage={item.data.stage}")
            saved.write_text(str(item.offset + 1))  # after the item was handled, never before
    print(f"[phase 1] persisted resume offset={saved.read_text()} -> {saved}; disconnecting")

    await asyncio.sleep(timedelta(seconds=3).total_seconds())  # away: the pipeline goes on

    print("[phase 2] reconnecting and resuming from persisted offset")
    async with stages(client, workflow_id, from_offset=int(saved.read_text())) as items:
        async for item in items:
            print(f"offset={item.offset:2d} stage={item.data.stage}")


def stages(client: Client, workflow_id: str, from_offset: int) -> Subscription[StageEvent]:
    """Subscribe with a client of its own, as a process that knows only these values would."""
    stream = WorkflowStreamClient.create(client, workflow_id)
    return stream.topic("stage", type=StageEvent).subscribe(from_offset)

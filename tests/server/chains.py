"""Workflows whose runs begin anew: with a log of their own, or where no worker has them."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from streamlib import WorkflowStream, WorkflowStreamState


@workflow.defn
class Attempts:
    """Publishes three items that name its run, and ends as it is told."""

    @workflow.init
    def __init__(self) -> None:
        self.stream = WorkflowStream()
        self.wanted = ""

    @workflow.run
    async def run(self) -> None:
        for n in range(3):
            self.stream.publish("t", [workflow.info().run_id, n])
        await workflow.wait_condition(lambda: self.wanted != "")
        if self.wanted == "fail":
            raise ApplicationError("as was asked for")
        if self.wanted == "forget":
            workflow.continue_as_new()

    @workflow.signal
    async def want(self, what: str) -> None:
        await asyncio.sleep(0)
        self.wanted = what


@workflow.defn
class Carrier:
    """Publishes ten items, and hands them over to a run on a task queue that nobody serves."""

    @workflow.init
    def __init__(self, state: WorkflowStreamState | None = None) -> None:
        self.stream = WorkflowStream(prior_state=state)
        self.wanted = False

    @workflow.run
    async def run(self, state: WorkflowStreamState | None = None) -> None:
        for n in range(10):
            self.stream.publish("t", n)
        await workflow.wait_condition(lambda: self.wanted)
        workflow.continue_as_new(self.stream.get_state(), task_queue="nobody")

    @workflow.signal
    async def roll(self) -> None:
        await asyncio.sleep(0)
        self.wanted = True

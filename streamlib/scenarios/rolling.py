"""A hub that outlives its history: after some signals a new run takes over, with the same log.

    run 1  --ContinuedAsNew, with the stream's state-->  run 2  --...-->  run 3
    ForgetfulWorkflow hands over without the state: a lesson breaks it on purpose
    HandOverWorkflow  hands over by steps, in the order that its input says: an exercise

Next: `llm.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from streamlib import StreamLimits, WorkflowStream, WorkflowStreamState


@dataclass
class RollingInput:
    """After how many publish signals a run hands over, and how large the state may be, in bytes.

    `stream_state` is what a previous run of the workflow left, if any.
    """

    signals: int = 5
    state_bytes: int = 1_000_000
    stream_state: WorkflowStreamState | None = None


class RollingHub:
    """What the three have in common: a stream, and how it is closed."""

    def __init__(self, input: RollingInput) -> None:
        limits = StreamLimits(signals=input.signals, state_bytes=input.state_bytes)
        self.stream = WorkflowStream(input.stream_state, limits=limits)
        self.closed = False

    async def until_due(self) -> None:
        """Wait until this run should roll over, or end."""
        await workflow.wait_condition(lambda: self.closed or bool(self.stream.should_roll_over()))

    async def truncated(self) -> None:
        """Wait until somebody truncates, or closes."""
        base = self.stream.base_offset
        await workflow.wait_condition(lambda: self.closed or self.stream.base_offset > base)

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`; past the end, the update fails and nothing else."""
        await asyncio.sleep(0)  # publish signals that came with the first task go first
        self.stream.truncate(up_to_offset)

    @workflow.update
    async def announce(self, text: str) -> None:
        """Publish `text` on topic `notes` after a second: a handler that takes its time."""
        await workflow.sleep(1)
        self.stream.publish("notes", text)

    @workflow.signal
    def close(self) -> None:
        """End the run."""
        self.closed = True


@workflow.defn
class RollingWorkflow(RollingHub):
    """Hosts a stream for ever, in runs of so many signals."""

    @workflow.init
    def __init__(self, input: RollingInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: RollingInput) -> str:
        """Host the stream; hand it over to a new run when that is due."""
        await self.until_due()
        while not self.closed:
            try:
                await self.stream.continue_as_new(
                    lambda state: [RollingInput(input.signals, input.state_bytes, state)]
                )
            except ApplicationError:  # the state is too large; nothing was lost
                await self.truncated()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return f"closed at offset {self.stream.end_offset}"


@workflow.defn
class ForgetfulWorkflow(RollingHub):
    """The same, but for one line: it forgets the state."""

    @workflow.init
    def __init__(self, input: RollingInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: RollingInput) -> str:
        """Host the stream; begin anew when a roll-over is due."""
        await self.until_due()
        if not self.closed:
            self.stream.detach_pollers()
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(RollingInput(input.signals, input.state_bytes))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return f"closed at offset {self.stream.end_offset}"


@dataclass
class HandOverInput(RollingInput):
    """`steps`: of "detach", "wait", "state" and "continue", in the order to do them."""

    steps: tuple[str, ...] = ("detach", "wait", "state", "continue")


@workflow.defn
class HandOverWorkflow(RollingHub):
    """Hands over step by step, in the order it is told: what `continue_as_new` does in its own."""

    @workflow.init
    def __init__(self, input: HandOverInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: HandOverInput) -> str:
        """Host the stream; when a roll-over is due, do the steps."""
        await self.until_due()
        state: WorkflowStreamState | None = None
        for step in () if self.closed else input.steps:
            match step:
                case "detach":
                    self.stream.detach_pollers()
                case "wait":
                    await workflow.wait_condition(
                        lambda: self.closed or workflow.all_handlers_finished()
                    )
                case "state":
                    state = self.stream.get_state()
                case _:
                    workflow.continue_as_new(
                        HandOverInput(input.signals, input.state_bytes, state, input.steps)
                    )
        await workflow.wait_condition(lambda: self.closed)
        self.stream.detach_pollers()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return f"closed at offset {self.stream.end_offset}"

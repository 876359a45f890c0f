"""The workflow that the fault tests torment.

A stage hosts a stream, publishes, truncates, rolls over and closes on request; with `obedient` it
also rolls over by itself whenever `should_roll_over` gives a reason. Run by `worker.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from streamlib import WorkflowStream, WorkflowStreamState

QUEUE = "stages"


@dataclass
class StageInput:
    """What a run starts from."""

    stream_state: WorkflowStreamState | None = None
    rolls: int = 0
    obedient: bool = False
    publisher_ttl: float | None = None  # seconds
    on_too_large: Literal["raise", "truncate"] = "raise"
    ballast: str = ""  # something else that the next run must carry
    reasons: list[str] | None = None  # for which the runs before rolled over


@workflow.defn(name="Stage")
class Stage:
    """Hosts a stream and does what it is told."""

    @workflow.init
    def __init__(self, input: StageInput) -> None:
        self.stream = WorkflowStream(
            prior_state=input.stream_state,
            publisher_ttl=input.publisher_ttl and timedelta(seconds=input.publisher_ttl),
        )
        self.input = input
        self.wanted = ""
        self.error = ""

    @workflow.run
    async def run(self, input: StageInput) -> int:
        while True:
            await workflow.wait_condition(self._is_due)
            if self.wanted == "close":
                break
            self.wanted = ""
            try:
                await self.stream.continue_as_new(self._next, on_too_large=input.on_too_large)
            except ApplicationError as error:
                self.error = str(error)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return input.rolls

    def _is_due(self) -> bool:
        return bool(self.wanted or (self.input.obedient and self.stream.should_roll_over()))

    def _next(self, state: WorkflowStreamState) -> list[Any]:
        reasons = [str(reason) for reason in self.stream.should_roll_over()]
        return [
            replace(
                self.input,
                stream_state=state,
                rolls=self.input.rolls + 1,
                reasons=[*(self.input.reasons or []), *reasons],
            )
        ]

    @workflow.signal
    async def want(self, what: str) -> None:
        await asyncio.sleep(0)
        self.wanted = what

    @workflow.signal
    async def say(self, topic: str, values: list[Any]) -> None:
        await asyncio.sleep(0)  # publish signals of the first task come first
        for value in values:
            self.stream.publish(topic, value)

    @workflow.signal
    async def load(self, size: int) -> None:
        """Let the next run carry `size` bytes of something else."""
        self.input = replace(self.input, ballast="x" * size)

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        await asyncio.sleep(0)
        self.stream.truncate(up_to_offset)

    @workflow.query
    def last_error(self) -> str:
        return self.error

    @workflow.query
    def rolls(self) -> int:
        return self.input.rolls

    @workflow.query
    def reasons(self) -> list[str]:
        return self.input.reasons or []

    @workflow.query
    def reasons_now(self) -> list[str]:
        return [str(reason) for reason in self.stream.should_roll_over()]

    @workflow.query
    def carried(self) -> str:
        """What kind of log the state would hold now, or why it cannot be carried."""
        try:
            return type(self.stream.get_state().log).__name__
        except ApplicationError as error:
            return str(error.type)

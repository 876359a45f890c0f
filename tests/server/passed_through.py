"""A workflow file as the SDK's guides write it: names that annotations wait for, passed through."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import streamlib as sl


@dataclass
class Rolled:
    """What a run starts from; all that an author would put there of ours."""

    state: sl.WorkflowStreamState | None = None
    limits: sl.StreamLimits | None = None
    retention: sl.Retention | None = None
    rolls: int = 0


@workflow.defn
class PassedThrough:
    """Rolls over once, as soon as something has come; the second run says how much it has."""

    @workflow.init
    def __init__(self, input: Rolled) -> None:
        self.stream = sl.WorkflowStream(input.state, limits=input.limits, retention=input.retention)

    @workflow.run
    async def run(self, input: Rolled) -> int:
        if not input.rolls:
            await workflow.wait_condition(lambda: self.stream.end_offset > 0)
            limits, retention = sl.StreamLimits(signals=9), sl.Retention(max_items=9)
            await self.stream.continue_as_new(lambda state: [Rolled(state, limits, retention, 1)])
        return int(self.stream.end_offset)

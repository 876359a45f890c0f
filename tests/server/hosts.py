"""The workflows that the server tests run: one hub, with our stream and with the peer's.

A hub publishes, truncates, rolls over and closes on request; it does nothing by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.contrib import workflow_streams as peer
from temporalio.exceptions import ApplicationError

import streamlib as ours
from streamlib.wire import shapes


@dataclass
class HubInput:
    """What a run of our hub starts from."""

    stream_state: ours.WorkflowStreamState | None = None
    rolls: int = 0


@dataclass
class PeerHubInput:
    """What a run of the peer's hub starts from."""

    stream_state: peer.WorkflowStreamState | None = None
    rolls: int = 0


class HubBase:
    """Handlers that both hubs share."""

    stream: Any

    def __init__(self, rolls: int) -> None:
        self.rolls = rolls
        self.wanted = ""
        self.error = ""

    async def serve(self, input_type: Any) -> str:
        while True:
            await workflow.wait_condition(lambda: self.wanted != "")
            wanted, self.wanted = self.wanted, ""
            if wanted == "roll":
                try:
                    await self.stream.continue_as_new(
                        lambda state: [input_type(stream_state=state, rolls=self.rolls + 1)]
                    )
                except ApplicationError as error:
                    self.error = str(error)
                    continue
            if wanted == "forget":
                workflow.continue_as_new(input_type(rolls=self.rolls + 1))
            if wanted == "move":  # to our hub, as if the code had changed between two runs
                state = self.stream.get_state()
                args = [input_type(stream_state=state, rolls=self.rolls + 1)]
                workflow.continue_as_new(workflow="OurHub", args=args)
            await workflow.wait_condition(workflow.all_handlers_finished)
            return f"rolled {self.rolls} times"

    @workflow.signal
    async def want(self, what: str) -> None:
        await asyncio.sleep(0)
        self.wanted = what

    @workflow.query
    def last_error(self) -> str:
        return self.error

    @workflow.signal
    async def say(self, topic: str, values: list[Any]) -> None:
        await asyncio.sleep(0)  # publish signals of the first task come first
        for value in values:
            self.stream.topic(topic).publish(value)

    @workflow.update
    async def truncate(self, up_to_offset: int) -> None:
        await asyncio.sleep(0)
        self.stream.truncate(up_to_offset)


@workflow.defn(name="OurHub")
class OurHub(HubBase):
    """A hub on our stream."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        super().__init__(input.rolls)
        self.stream = ours.WorkflowStream(prior_state=input.stream_state)

    @workflow.run
    async def run(self, input: HubInput) -> str:
        return await self.serve(HubInput)

    @workflow.signal
    async def fail(self) -> None:
        raise ApplicationError("asked to fail")

    @workflow.query
    def state(self) -> ours.WorkflowStreamState:
        return self.stream.get_state()  # type: ignore[no-any-return]

    @workflow.update
    async def misuse(self, what: str) -> str:
        """Do something forbidden and return the error's type and text."""
        try:
            if what == "second stream":
                self.second_stream()
            elif what == "rebind":
                self.stream.topic("bound", type=int)
                self.stream.topic("bound", type=str)
            elif what == "payload type":
                self.stream.topic("bound", type=Payload)
            elif what == "empty topic":
                self.stream.topic("")
            elif what == "long topic":
                self.stream.topic("я" * 167).publish(1)
            elif what == "unserializable":
                self.stream.topic("any").publish(object())
            elif what == "too large":
                self.stream.topic("any").publish("x" * 2_000_000)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "nothing was raised"

    def second_stream(self) -> None:
        ours.WorkflowStream()


@dataclass
class LimitedInput:
    """What a hub starts from whose author set limits, and how it rolls over."""

    stream_state: ours.WorkflowStreamState | None = None
    rolls: int = 0
    limits: ours.StreamLimits | None = None


@workflow.defn
class LimitedHub(HubBase):
    """A hub with limits of its own, for as many runs as it is told them."""

    @workflow.init
    def __init__(self, input: LimitedInput) -> None:
        super().__init__(input.rolls)
        self.stream = ours.WorkflowStream(input.stream_state, limits=input.limits)

    @workflow.run
    async def run(self, input: LimitedInput) -> str:
        return await self.serve(LimitedInput)

    @workflow.query
    def state(self) -> ours.WorkflowStreamState:
        return self.stream.get_state()  # type: ignore[no-any-return]

    @workflow.query
    def reasons(self) -> list[str]:
        return [str(reason) for reason in self.stream.should_roll_over()]


@workflow.defn
class SelfRollingHub:
    """Rolls over as soon as its stream says so, and closes when told."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        self.stream = ours.WorkflowStream(prior_state=input.stream_state)
        self.closed = False

    @workflow.run
    async def run(self, input: HubInput) -> str:
        await workflow.wait_condition(lambda: self.closed or bool(self.stream.should_roll_over()))
        if not self.closed:
            await self.stream.continue_as_new(lambda state: [HubInput(state, input.rolls + 1)])
        return f"rolled {input.rolls} times"

    @workflow.signal
    def close(self) -> None:
        self.closed = True


@workflow.defn(name="SelfRollingHub")
class SelfRollingHubOfAnotherMind(SelfRollingHub):
    """The same workflow, after its author set limits."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        limits = ours.StreamLimits(history_bytes=10**9, signals=10**6)
        self.stream = ours.WorkflowStream(prior_state=input.stream_state, limits=limits)
        self.closed = False

    @workflow.run
    async def run(self, input: HubInput) -> str:
        return await super().run(input)


@dataclass
class FlowInput:
    """What a hub starts from that keeps so much, and rolls over by itself; bounds as JSON."""

    stream_state: ours.WorkflowStreamState | None = None
    rolls: int = 0
    max_items: int | None = None
    max_bytes: int | None = None
    max_age: float | None = None  # seconds
    until_read: bool = False
    signals: int = 8_000  # from here on, it rolls over
    history_bytes: int = 4 * 1024 * 1024
    state_bytes: int = 1_000_000
    insists: bool = False  # on what it keeps, in each run


@workflow.defn
class FlowHub:
    """Keeps what it is told to keep, rolls over when that is due, and closes when told."""

    @workflow.init
    def __init__(self, input: FlowInput) -> None:
        age = None if input.max_age is None else timedelta(seconds=input.max_age)
        keep = ours.Retention(input.max_items, input.max_bytes, age, input.until_read)
        limits = ours.StreamLimits(
            signals=input.signals,
            history_bytes=input.history_bytes,
            history_events=50_000,
            state_bytes=input.state_bytes,
        )
        # Mostly only in its first run: the next ones go on with what the state says.
        first = input.stream_state is None
        self.stream = ours.WorkflowStream(
            input.stream_state,
            limits=limits if first else None,
            retention=keep if (first or input.insists) and keep else None,
        )
        self.input = input
        self.closed = self.busy = self.stopped = False
        self.readied = 0
        self.error = ""

    @workflow.run
    async def run(self, input: FlowInput) -> str:
        await self.stream.roll_over_when_due(self.next_input, ready=self.ready, until=self.is_over)
        return f"rolled {input.rolls} times"

    def next_input(self, state: ours.WorkflowStreamState) -> list[FlowInput]:
        return [replace(self.input, stream_state=state, rolls=self.input.rolls + 1)]

    async def ready(self) -> None:
        self.readied += 1
        await workflow.wait_condition(lambda: not self.busy)

    def is_over(self) -> bool:
        return self.closed

    @workflow.signal
    def be_busy(self, busy: bool) -> None:
        self.busy = busy

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    @workflow.update
    async def roll_in_a_handler(self) -> str:
        try:
            await self.stream.roll_over_when_due(self.next_input)
        except RuntimeError as error:
            return str(error)
        return "nothing was raised"

    @workflow.update
    async def retain(self, max_items: int | None) -> None:
        self.stream.retain(ours.Retention(max_items=max_items))

    @workflow.update
    async def work(self) -> str:
        """Goes on until it is told to stop; a roll-over waits for it."""
        await workflow.wait_condition(lambda: self.stopped)
        return "done"

    @workflow.signal
    def stop(self) -> None:
        self.stopped = True

    @workflow.query
    def waits_for_ready(self) -> bool:
        return self.readied > 0


@workflow.defn(name="OurHub")
class OurHubThatKeepsLittle(HubBase):
    """The same workflow, after its author asked for retention."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        super().__init__(input.rolls)
        keep = ours.Retention(max_items=1)
        self.stream = ours.WorkflowStream(prior_state=input.stream_state, retention=keep)

    @workflow.run
    async def run(self, input: HubInput) -> str:
        return await self.serve(HubInput)


@workflow.defn
class TightHub(SelfRollingHub):
    """Rolls over after five signals: its author says so."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        limits = ours.StreamLimits(signals=5, topic_bytes=20)
        self.stream = ours.WorkflowStream(prior_state=input.stream_state, limits=limits)
        self.closed = False

    @workflow.run
    async def run(self, input: HubInput) -> str:
        return await super().run(input)


@workflow.defn(name="TightHub")
class TightHubWithout(SelfRollingHub):
    """The same workflow, after its author took the limits away, without a patch."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: HubInput) -> str:
        return await super().run(input)


@workflow.defn(name="PeerHub")
class OurHubForThePeers(HubBase):
    """Ours in the place of the peer's: what becomes of its workflow when the import changes."""

    @workflow.init
    def __init__(self, input: HubInput) -> None:
        super().__init__(input.rolls)
        self.stream = ours.WorkflowStream(prior_state=input.stream_state)

    @workflow.run
    async def run(self, input: HubInput) -> str:
        return await self.serve(HubInput)


@workflow.defn(name="PeerHub")
class PeerHub(HubBase):
    """A hub on the peer's stream."""

    @workflow.init
    def __init__(self, input: PeerHubInput) -> None:
        super().__init__(input.rolls)
        self.stream = peer.WorkflowStream(prior_state=input.stream_state)

    @workflow.run
    async def run(self, input: PeerHubInput) -> str:
        return await self.serve(PeerHubInput)

    @workflow.query
    def state(self) -> peer.WorkflowStreamState:
        return self.stream.get_state()  # type: ignore[no-any-return]


@workflow.defn(name="UpdateOnlyHub")
class UpdateOnlyHub(HubBase):
    """A hub without the poll query, like those of older releases and some other languages."""

    @workflow.init
    def __init__(self, input: PeerHubInput) -> None:
        super().__init__(input.rolls)
        self.stream = peer.WorkflowStream(prior_state=input.stream_state)
        workflow.set_query_handler(shapes.POLL, None)

    @workflow.run
    async def run(self, input: PeerHubInput) -> str:
        return await self.serve(PeerHubInput)


@workflow.defn
class NoStream:
    """A workflow that hosts no stream."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn
class AnyState:
    """The mistake that the reference warns of: the state's field is typed `Any`."""

    @workflow.init
    def __init__(self, state: Any) -> None:
        self.stream: ours.WorkflowStream | None = None
        try:
            self.stream = ours.WorkflowStream(prior_state=state)
        except TypeError as error:
            self.error = str(error)

    @workflow.run
    async def run(self, state: Any) -> str:
        return self.error


@activity.defn
async def publish_in_activity(workflow_id: str | None = None) -> str:
    """Publish one item through `from_within_activity`, or say why that cannot be."""
    try:
        client = ours.WorkflowStreamClient.from_within_activity()
    except RuntimeError as error:
        return str(error)
    async with client:
        client.topic("activity").publish("hello")
    return "published"


@workflow.defn
class ActivityHost:
    """Runs the activity above and hosts what it publishes."""

    @workflow.init
    def __init__(self) -> None:
        self.stream = ours.WorkflowStream()

    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            publish_in_activity, start_to_close_timeout=timedelta(seconds=20)
        )


WORKFLOWS = [
    OurHub,
    LimitedHub,
    SelfRollingHub,
    FlowHub,
    TightHub,
    PeerHub,
    UpdateOnlyHub,
    NoStream,
    AnyState,
    ActivityHost,
]
ACTIVITIES = [publish_in_activity]

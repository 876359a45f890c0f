"""A stream without a server: a log and a publishers' table in memory, with scripted faults.

`FakeHost` is the workflow, built from the same pure core as the real one; `FakeTransport` is one
client's way to it. A test says what the next calls will meet:

    host.faults["send"] = [unavailable(), LostReply()]     # then all is well again
    host.faults["read"] = [Blocked()]                      # until the test releases it

and what becomes of the run: `host.truncate(5)`, `host.roll_over()`, `host.close()`. Everything
happens at once, so no test has to sleep until it has.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta, timezone
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.transport import (
    BatchRefusedError,
    Closed,
    Happening,
    Noted,
    PollQueryMissingError,
    Progress,
    RolledOver,
    Run,
    TruncatedDuringPollError,
    WorkWaits,
)
from streamlib.core.dedup import Publishers
from streamlib.core.limits import LEGACY
from streamlib.core.log import Item, Log
from streamlib.errors import Cause, StreamNotFoundError, StreamUnavailableError
from streamlib.wire.encode import answer_json, encode_item, publish_json, wire_size
from streamlib.wire.parse import parse_answer, parse_publish
from streamlib.wire.shapes import PUBLISH_SIGNAL, Answer

WORKFLOW_ID = "order-1"
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


class LostReply:
    """The call does its work, and its answer never arrives."""


class Blocked:
    """The call waits until the test releases it, and then goes on, or raises `then`.

    `reached` says that it waits.
    """

    def __init__(self, then: Exception | None = None) -> None:
        self.reached = asyncio.Event()
        self._released = asyncio.Event()
        self._then = then

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        self.reached.set()
        await self._released.wait()
        if self._then is not None:
            raise self._then


class BlockedReply(Blocked):
    """The call does its work, and its answer waits until the test releases it."""


Fault = Exception | LostReply | Blocked


def unavailable(reason: str = "no worker") -> StreamUnavailableError:
    return StreamUnavailableError(WORKFLOW_ID, reason)


def busy() -> StreamUnavailableError:
    return StreamUnavailableError(WORKFLOW_ID, "query buffer is full", cause=Cause.BUSY)


def rate_limited() -> StreamUnavailableError:
    return StreamUnavailableError(WORKFLOW_ID, "rate limit exceeded", cause=Cause.RATE)


def not_found() -> StreamNotFoundError:
    return StreamNotFoundError(WORKFLOW_ID, "workflow not found")


def permission_denied() -> RPCError:
    return RPCError("Request unauthorized.", RPCStatusCode.PERMISSION_DENIED, b"")


def event(number: int, kind: str) -> HistoryEvent:
    """An event of history, its kind without the prefixes that all have."""
    names = (f"EVENT_TYPE_WORKFLOW_{kind}", f"EVENT_TYPE_WORKFLOW_EXECUTION_{kind}")
    [name] = [name for name in names if name in EventType.keys()]  # noqa: SIM118
    made = HistoryEvent(event_id=number, event_type=EventType.Value(name))
    made.event_time.FromDatetime(NOON + timedelta(seconds=number))
    return made


def signaled(number: int, *args: object, name: str = PUBLISH_SIGNAL) -> HistoryEvent:
    """A signal's event; without arguments, a batch whose publisher is "p", and `number` its."""
    made = event(number, "SIGNALED")
    attributes = made.workflow_execution_signaled_event_attributes
    attributes.signal_name = name
    batch = publish_json([encode_item("t", 1, PayloadConverter.default)], "p", number)
    payloads = PayloadConverter.default.to_payloads(args or [batch])
    attributes.input.payloads.extend(payloads)
    return made


async def happens(condition: Callable[[], object]) -> None:
    """Let the other tasks run until `condition` holds."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0)

    await asyncio.wait_for(poll(), 5)


async def quiet(host: FakeHost) -> None:
    """Let the other tasks run until they ask the host for nothing more, timers aside."""
    before = -1
    for _ in range(50):
        if before == (before := host.calls.total()):
            return
        for _ in range(20):
            await asyncio.sleep(0)
    raise AssertionError(f"it asks without end: {host.calls}")


class FakeHost:
    """The workflow: a chain of runs, whose log goes on from run to run."""

    def __init__(self, *, page_bytes: int = 1_000_000, queries: bool = True) -> None:
        self.log = Log()
        self.everything: list[tuple[str, Any]] = []  # topic and value, of `append`; none is dropped
        self.publishers = Publishers()
        self.page_bytes = page_bytes
        self.queries = queries  # whether it answers the poll query
        self.tells_bounds = True  # whether its answers say base and end, as the peer's do not
        self.refuses: Callable[[dict[str, Any]], bool] = lambda batch: False  # a batch, for good
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)  # of each call's next tries
        self.calls: Counter[str] = Counter()
        self.batches: list[dict[str, Any]] = []  # as they were sent, repeats too
        self.histories: list[list[Happening]] = [[]]  # of each run
        self.watching = 0
        self._happened: list[asyncio.Future[None]] = []

    # What a test does to it.

    def append(self, *values: object, topic: str = "t") -> None:
        """Append values, as the workflow itself does."""
        for value in values:
            self._append(topic, encode_item(topic, value, PayloadConverter.default, LEGACY).data)
            self.everything.append((topic, value))
        self._happens(Progress())

    def append_undecodable(self, topic: str = "t") -> None:
        self._append(topic, "")
        self._happens(Progress())

    def note(self, *events: HistoryEvent) -> None:
        """Write events to history, as the server does."""
        self._happens(Noted([*events]))

    def wait_for_a_worker(self) -> None:
        self._happens(WorkWaits())

    def truncate(self, up_to_offset: int) -> None:
        self.log.truncate(up_to_offset)
        self._happens(Progress())

    def roll_over(self) -> None:
        self._happens(RolledOver(f"run-{len(self.histories) + 1}"))
        self.histories.append([])

    def close(self, status: WorkflowExecutionStatus = WorkflowExecutionStatus.COMPLETED) -> None:
        self._happens(Closed(status))

    @property
    def values(self) -> list[Any]:
        """What is in the log, decoded."""
        page = parse_answer(
            answer_json(self.log.read(0, max_bytes=self.log.size), self.log, "")
        ).page
        return [PayloadConverter.default.from_payload(item.data) for _, item in page.items]

    # What a transport asks of it.

    @property
    def closed(self) -> bool:
        return any(isinstance(happening, Closed) for happening in self.histories[-1])

    def publish(self, batch: dict[str, Any]) -> None:
        self.batches.append(batch)
        if self.closed:
            raise not_found()
        parsed = parse_publish([batch])
        if self.publishers.accept(parsed.publisher_id, parsed.sequence, NOON):
            for entry in parsed.items:
                self._append(entry.topic, entry.data)
        self._happens(Progress())

    def answer(self, topics: Collection[str], from_offset: int) -> Answer:
        page = self.log.read(from_offset, topics, self.page_bytes)
        answer = parse_answer(answer_json(page, self.log, "run-1"))
        return answer if self.tells_bounds else answer._replace(base_offset=None, end_offset=None)

    async def something_happens(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._happened.append(future)
        await future

    def _append(self, topic: str, data: str) -> None:
        self.log.append(Item(topic, data, wire_size(topic, data)))

    def _happens(self, happening: Happening) -> None:
        assert not self.closed, "nothing happens to a closed run"
        self.histories[-1].append(happening)
        waiting, self._happened = self._happened, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class FakeTransport:
    """A `Transport` to a `FakeHost`."""

    def __init__(self, host: FakeHost) -> None:
        self.workflow_id = WORKFLOW_ID
        self.host = host

    async def send(self, batch: dict[str, Any]) -> None:
        late = await self._meet("send")
        if self.host.refuses(batch):
            self.host.batches.append(batch)
            raise BatchRefusedError("too large")
        self.host.publish(batch)
        await self._reply(late)

    async def resolve(self) -> Run:
        await self._meet("resolve")
        number = len(self.host.histories)
        return Run(f"run-{number}", "run-1", len(self.host.histories[-1]))

    async def read(
        self, run_id: str, topics: Collection[str], from_offset: int, timeout: timedelta
    ) -> Answer:
        late = await self._meet("read")
        if not self.host.queries:
            raise PollQueryMissingError(WORKFLOW_ID)
        answer = self.host.answer(topics, from_offset)
        await self._reply(late)
        return answer

    async def offset(self, run_id: str, timeout: timedelta) -> int:
        await self._meet("offset")
        return self.host.log.end_offset

    async def poll(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer:
        await self._meet("poll")
        log = self.host.log
        while from_offset >= log.end_offset:
            if self.host.closed:
                raise not_found()
            await self.host.something_happens()
        if 0 < from_offset < log.base_offset:
            raise TruncatedDuringPollError
        return self.host.answer(topics, from_offset)

    async def watch(self, run: Run) -> AsyncIterator[Happening]:
        history = self.host.histories[int(run.run_id.removeprefix("run-")) - 1]
        seen, caught_up = 0, run.history_length == 0
        self.host.watching += 1
        try:
            while True:
                await self._meet("watch")
                for happening in history[seen : run.history_length]:
                    if isinstance(happening, Noted):
                        yield happening
                if not caught_up:
                    seen, caught_up = run.history_length, True
                    ended = (h for h in history if isinstance(h, RolledOver | Closed))
                    yield next(ended, Progress())
                for happening in history[seen:]:
                    seen += 1
                    yield happening
                if seen == len(history):
                    await self.host.something_happens()
        finally:
            self.host.watching -= 1

    async def _meet(self, call: str) -> LostReply | BlockedReply | None:
        """Meet the next fault that the test has scripted for `call`."""
        self.host.calls[call] += 1
        fault = self.host.faults[call].pop(0) if self.host.faults[call] else None
        match fault:
            case LostReply() | BlockedReply():
                return fault
            case Blocked():
                await fault.wait()
            case Exception():
                raise fault
        return None

    async def _reply(self, fault: LostReply | BlockedReply | None) -> None:
        match fault:
            case LostReply():
                raise unavailable("the reply was lost")
            case BlockedReply():
                await fault.wait()

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
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.follow import Run
from streamlib.client.transport import (
    BatchRefusedError,
    NeverBeganError,
    PollQueryMissingError,
    TokenRefusedError,
    TruncatedDuringPollError,
)
from streamlib.core.hosting import HostedStream
from streamlib.core.limits import LEGACY
from streamlib.core.log import Item, Log
from streamlib.errors import Cause, StreamNotFoundError, StreamUnavailableError
from streamlib.wire.describe import DescribeInput, description_json
from streamlib.wire.encode import answer_json, encode_item, publish_json, wire_size
from streamlib.wire.flow import parse_reader
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
        turns = 0
        while not condition():
            turns += 1
            # Now and then time has to pass, also where it is simulated.
            await asyncio.sleep(0 if turns % 20 else 0.001)

    await asyncio.wait_for(poll(), 5)


class _TellingSelector(selectors.DefaultSelector):
    """Before it waits for the outer world, it tells those who wait for that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[None]] = []

    def select(self, timeout: float | None = None) -> list[Any]:
        if self.waiting and (timeout is None or timeout > 0):  # nobody has anything to do
            waiting, self.waiting = self.waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)
            timeout = 0
        return super().select(timeout)


class TellingLoop(asyncio.SelectorEventLoop):
    """An event loop that knows when all its tasks wait."""

    def __init__(self) -> None:
        self.selector = _TellingSelector()
        super().__init__(self.selector)


async def quiet() -> None:
    """Return when every other task waits for something that has not happened, timers aside."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TellingLoop)
    everybody_waits = loop.create_future()
    loop.selector.waiting.append(everybody_waits)
    await asyncio.wait_for(everybody_waits, 5)


class FakeRun:
    """One run of the workflow: its history, and the log that it hosts."""

    def __init__(self, run_id: str, log: Log, stream_id: str, before: str | None = None) -> None:
        self.run_id = run_id
        self.log = log
        self.stream_id = stream_id
        self.before = before  # the run that handed its log over
        self.events: list[HistoryEvent] = []
        self.closed = False
        self.began = True  # whether a worker ever had it


class FakeHost:
    """The workflow: a chain of runs, whose log goes on from run to run unless a test says so."""

    def __init__(self, *, page_bytes: int = 1_000_000, queries: bool = True) -> None:
        self.key = object()  # names it, among all the streams of a process
        self.runs = [FakeRun("run-1", Log(), "run-1")]
        self.everything: list[tuple[str, Any]] = []  # topic and value, of `append`; none is dropped
        self.stream = HostedStream(self.runs[0].log, now=NOON)  # what describes itself
        self.now = NOON
        self.publishers = self.stream.publishers
        self.knows_names = True  # as hosts of other libraries do not
        self.told: list[dict[str, Any]] = []  # by named readers, repeats too
        self.page_bytes = page_bytes
        self.history_page = 1_000  # events a page
        self.queries = queries  # whether it answers the poll query
        self.tells_bounds = True  # whether its answers say base, end and id, as the peer's do not
        self.refuses: Callable[[dict[str, Any]], bool] = lambda batch: False  # a batch, for good
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)  # of each call's next tries
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, frozenset[str], int]] = []  # run, topics, offset of each read
        self.events_sent = 0  # how many events histories have given, repeats too
        self.tokens: set[bytes] | None = None  # those that hold; None: all
        self.waits: list[timedelta] = []  # how long each wait was to last
        self.batches: list[dict[str, Any]] = []  # as they were sent, repeats too
        self.watching = 0
        self._happened: list[asyncio.Future[None]] = []

    # What a test does to it.

    @property
    def run(self) -> FakeRun:
        """The newest run."""
        return self.runs[-1]

    @property
    def log(self) -> Log:
        return self.run.log

    def append(self, *values: object, topic: str = "t") -> None:
        """Append values, as the workflow itself does."""
        for value in values:
            self._append(topic, encode_item(topic, value, PayloadConverter.default, LEGACY).data)
            self.everything.append((topic, value))
        self.work()

    def append_undecodable(self, topic: str = "t") -> None:
        self._append(topic, "")
        self.work()

    def work(self) -> None:
        """Let a workflow task complete."""
        self.note(event(1, "TASK_COMPLETED"))

    def note(self, *events: HistoryEvent) -> None:
        """Write events to history, as the server does, and number them."""
        assert not self.run.closed, "nothing happens to a closed run"
        for each in events:
            each.event_id = len(self.run.events) + 1
            self.run.events.append(each)
        self._happens()

    def wait_for_a_worker(self) -> None:
        self.note(event(1, "TASK_SCHEDULED"))

    def truncate(self, up_to_offset: int) -> None:
        self.log.truncate(up_to_offset)
        self.work()

    def roll_over(self, *, forgetful: bool = False) -> None:
        """Continue as new; forgetful: without the state."""
        rolled = event(1, "CONTINUED_AS_NEW")
        attributes = rolled.workflow_execution_continued_as_new_event_attributes
        attributes.new_execution_run_id = self._next_id
        before = self.run
        self._end(rolled)
        if forgetful:
            self.runs.append(FakeRun(self._next_id, Log(), self._next_id, before.run_id))
        else:
            log, stream_id = before.log, before.stream_id
            self.runs.append(FakeRun(self._next_id, log, stream_id, before.run_id))

    def fail_and_retry(self) -> None:
        """Fail, and let the server begin the workflow anew."""
        failed = event(1, "FAILED")
        attributes = failed.workflow_execution_failed_event_attributes
        attributes.new_execution_run_id = self._next_id
        self._end(failed)
        self.runs.append(FakeRun(self._next_id, Log(), self._next_id))

    def reset(self) -> None:
        """Terminate the run, and begin another one from somewhere in its history."""
        before = self.run
        self.runs.append(FakeRun(self._next_id, Log(), self._next_id))
        self.runs[-1].events = before.events[:1]
        before.events.append(event(len(before.events) + 1, "TERMINATED"))
        before.closed = True
        self._happens()

    def close(self, status: WorkflowExecutionStatus = WorkflowExecutionStatus.COMPLETED) -> None:
        self._end(event(1, status.name))

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
        return self.run.closed

    def named(self, run_id: str) -> FakeRun:
        return next(run for run in self.runs if run.run_id == run_id)

    def publish(self, batch: dict[str, Any]) -> None:
        self.batches.append(batch)
        if self.closed:
            raise not_found()
        parsed = parse_publish([batch])
        self.stream.log = self.log
        items = [Item(each.topic, each.data, wire_size(*each[:2])) for each in parsed.items]
        self.stream.take(items, parsed.publisher_id, parsed.sequence, self.now)
        self.work()

    def hear(self, reader: dict[str, Any]) -> None:
        """Hear where a named reader stands."""
        self.told.append(reader)
        if self.closed:
            raise not_found()
        self.stream.log = self.log
        self.stream.hear(parse_reader([reader]), self.run.stream_id, self.now)
        self.work()

    def described(self, run: FakeRun, asked: DescribeInput) -> dict[str, Any]:
        self.stream.log = run.log
        about = description_json(asked, self.stream, stream_id=run.stream_id, run_id=run.run_id)
        return about if self.knows_names else {**about, "readers": None, "verdicts": None}

    def answer(self, run: FakeRun, topics: Collection[str], from_offset: int) -> Answer:
        self.asked.append((run.run_id, frozenset(topics), from_offset))
        page = run.log.read(from_offset, topics, self.page_bytes)
        answer = parse_answer(answer_json(page, run.log, run.stream_id))
        if self.tells_bounds:
            return answer
        return answer._replace(base_offset=None, end_offset=None, stream_id=None)

    async def something_happens(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._happened.append(future)
        await future

    @property
    def _next_id(self) -> str:
        return f"run-{len(self.runs) + 1}"

    def _append(self, topic: str, data: str) -> None:
        self.log.append(Item(topic, data, wire_size(topic, data)))

    def _end(self, ending: HistoryEvent) -> None:
        run = self.run
        self.note(ending)
        run.closed = True

    def _happens(self) -> None:
        waiting, self._happened = self._happened, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class FakeTransport:
    """A `Transport` to a `FakeHost`."""

    def __init__(self, host: FakeHost) -> None:
        self.workflow_id = WORKFLOW_ID
        self.pinned_run_id = ""
        self.host = host

    async def send(self, batch: dict[str, Any]) -> None:
        late = await self._meet("send")
        if self.host.refuses(batch):
            self.host.batches.append(batch)
            raise BatchRefusedError("too large")
        self.host.publish(batch)
        await self._reply(late)

    async def resolve(self, run_id: str, timeout: timedelta) -> Run:
        await self._meet("resolve")
        run = self.host.named(run_id) if run_id else self.host.run
        return Run(run.run_id, "run-1", len(run.events))

    async def history(
        self, run_id: str, token: bytes, timeout: timedelta
    ) -> tuple[list[HistoryEvent], bytes]:
        late = await self._meet("history", timeout)
        if token and self.host.tokens is not None and token not in self.host.tokens:
            raise TokenRefusedError(WORKFLOW_ID, "no such token")
        run, seen = self.host.named(run_id), int(token or b"0")
        if seen == len(run.events) and not run.closed:
            self.host.waits.append(timeout)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news(run, seen), timeout.total_seconds())
        events = run.events[seen : seen + self.host.history_page]
        self.host.events_sent += len(events)
        seen += len(events)
        await self._reply(late)
        return events, b"" if run.closed and seen == len(run.events) else str(seen).encode()

    async def run_before(self, run_id: str, timeout: timedelta) -> str | None:
        await self._meet("run_before")
        return self.host.named(run_id).before

    async def read(
        self, run_id: str, topics: Collection[str], from_offset: int, timeout: timedelta
    ) -> Answer:
        late = await self._meet("read", timeout)
        run = self.host.named(run_id)
        if not run.began:
            raise NeverBeganError(WORKFLOW_ID)
        if not self.host.queries:
            raise PollQueryMissingError(WORKFLOW_ID)
        answer = self.host.answer(run, topics, from_offset)
        await self._reply(late)
        return answer

    async def offset(self, run_id: str, timeout: timedelta) -> int:
        await self._meet("offset")
        return self.host.named(run_id).log.end_offset

    async def describe(self, run_id: str, asked: DescribeInput, timeout: timedelta) -> Any:
        late = await self._meet("describe", timeout)
        run = self.host.named(run_id) if run_id else self.host.run
        about = self.host.described(run, asked)
        await self._reply(late)
        return about

    async def tell(self, reader: dict[str, Any]) -> None:
        late = await self._meet("tell")
        self.host.hear(reader)
        await self._reply(late)

    async def poll(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer:
        await self._meet("poll")
        run = self.host.named(run_id)
        while from_offset >= run.log.end_offset:
            if run.closed:
                raise not_found()
            await self.host.something_happens()
        if run.closed:
            raise not_found()
        if 0 < from_offset < run.log.base_offset:
            raise TruncatedDuringPollError
        return self.host.answer(run, topics, from_offset)

    async def _news(self, run: FakeRun, seen: int) -> None:
        self.host.watching += 1
        try:
            while seen == len(run.events) and not run.closed:
                await self.host.something_happens()
        finally:
            self.host.watching -= 1

    async def _meet(
        self, call: str, timeout: timedelta = timedelta(seconds=60)
    ) -> LostReply | BlockedReply | None:
        """Meet the next fault that the test has scripted for `call`."""
        self.host.calls[call] += 1
        fault = self.host.faults[call].pop(0) if self.host.faults[call] else None
        match fault:
            case LostReply() | BlockedReply():
                return fault
            case Blocked():
                try:
                    await asyncio.wait_for(fault.wait(), timeout.total_seconds())
                except asyncio.TimeoutError as error:
                    raise unavailable("no answer in time") from error
            case Exception():
                raise fault
        return None

    async def _reply(self, fault: LostReply | BlockedReply | None) -> None:
        match fault:
            case LostReply():
                raise unavailable("the reply was lost")
            case BlockedReply():
                await fault.wait()

"""The simulated Temporal: a chain of runs with their histories, a worker that can die, a network.

    clients --call--> network (lost, late, doubled, hanging, refused) --> Server --> worker, hosts

The server writes history and answers long-polls; the worker does the workflow's tasks with the
library's own host decisions, and rebuilds a host from its run's history when it was killed. Beside
each host a naive model keeps the log as somebody would who had only read about it: a dict of
offsets (`Truth`). Where the two differ, the host is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadConverter

from streamlib.core.hosting import Carried, HostedStream, RunFacts, id_of_log
from streamlib.core.limits import StreamLimits
from streamlib.core.log import Log
from streamlib.core.readers import Readers, ReaderTold
from streamlib.core.retention import Retention
from streamlib.errors import (
    Cause,
    MalformedInputError,
    StreamUnavailableError,
)
from streamlib.host.carry import (
    arguments,
    carried_identity,
    carried_keeper,
    carried_readers,
    carried_retention,
    restore,
    state_of,
)
from streamlib.wire.encode import decode_payload, encode_item
from streamlib.wire.flow import parse_reader
from streamlib.wire.parse import parse_publish
from streamlib.wire.shapes import PUBLISH_SIGNAL, READER_SIGNAL, WorkflowStreamState
from tests.world.clock import in_time

T = TypeVar("T")

WORKFLOW_ID = "world"
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
TTL = timedelta(seconds=40)
CONVERTER = PayloadConverter.default

LIMITS = StreamLimits(
    item_bytes=900, batch_bytes=1_600, page_bytes=1_600, state_bytes=3_000, topic_bytes=200
)
PAYLOAD_BYTES = 2 * 1_600 + 100
"""What the server takes in one piece, after the codec: about twice the limits, as the real one."""

_numbers = itertools.count()

_TYPES = {
    name: EventType.Value(f"EVENT_TYPE_WORKFLOW_{name}")
    for name in (
        *("TASK_SCHEDULED", "TASK_STARTED", "TASK_COMPLETED", "TASK_TIMED_OUT", "TASK_FAILED"),
        *("EXECUTION_STARTED", "EXECUTION_SIGNALED", "EXECUTION_CONTINUED_AS_NEW"),
        *("EXECUTION_COMPLETED", "EXECUTION_FAILED", "EXECUTION_TERMINATED"),
    )
}


@dataclass
class Truth:
    """One log as it should be: what was ever at each offset, and which batches were taken."""

    log_id: str
    items: dict[int, tuple[str, Any]] = field(default_factory=dict)
    base: int = 0
    end: int = 0
    taken: dict[str, tuple[int, float]] = field(default_factory=dict)
    keep: tuple[str, float] | None = None
    sizes: dict[int, int] = field(default_factory=dict)
    came: dict[int, float] = field(default_factory=dict)
    names: dict[str, tuple[int, str]] = field(default_factory=dict)  # position and token

    def append(self, topic: str, value: Any) -> None:
        self.items[self.end] = (topic, value)
        if self.keep and self.keep[0] == "max_bytes":  # nobody else asks
            self.sizes[self.end] = encode_item(topic, value, CONVERTER, LIMITS).size
        self.end += 1

    def take(self, publisher: str, sequence: int, items: list[tuple[str, Any]], now: float) -> None:
        if sequence <= self.taken.get(publisher, (0, 0.0))[0]:
            return
        self.taken[publisher] = (sequence, now)
        for item in items:
            self.append(*item)
        self.retain(now)

    def retain(self, at: float, *, exactly: bool = False) -> None:
        """Let go what is not to be kept, one item after the other; by age, what surely is."""
        if self.keep is None:
            return
        for offset in range(self.base, self.end):
            self.came.setdefault(offset, at)
        while self.base < self.end and self._goes(*self.keep, at, exactly):
            self.base += 1

    def _goes(self, kind: str, bound: float, at: float, exactly: bool) -> bool:
        kept = range(self.base, self.end)
        match kind:
            case "max_items":
                return len(kept) > bound
            case "max_bytes":
                return len(kept) > 1 and sum(self.sizes[n] for n in kept) > bound
            case "max_age":
                return at - self.came[self.base] > bound * (1.0 if exactly else 1.0101)
            case _:
                slowest = min((position for position, _ in self.names.values()), default=0)
                return len(kept) > bound or self.base < slowest

    def hear(self, told: ReaderTold) -> None:
        """What a named reader says, as somebody would note it by hand."""
        position, token = self.names.get(told.name, (told.position, ""))
        if told.stream_id not in (None, self.log_id) or told.position > self.end:
            if told.action != "join" or told.name not in self.names:
                return
            if told.stream_id not in (None, self.log_id):
                return
        if told.action == "join":
            self.names[told.name] = (position, told.token)
        elif token == told.token and (told.action == "rewind" or told.position >= position):
            self.names[told.name] = (told.position, token)

    def copy(self, log_id: str) -> Truth:
        return Truth(
            *(log_id, dict(self.items), self.base, self.end, dict(self.taken), self.keep),
            *(dict(self.sizes), dict(self.came), dict(self.names)),
        )


@dataclass
class SimRun:
    """One run: what it started from, its history, and how its log should be."""

    run_id: str
    first_run_id: str
    original_run_id: str
    before: SimRun | None
    attempt: int
    started: float
    state: WorkflowStreamState | None
    truth: Truth
    start: Truth
    events: list[HistoryEvent] = field(default_factory=list)
    signals: dict[int, tuple[str, Any, float]] = field(default_factory=dict)  # by event id
    buffered: list[tuple[str, Any]] = field(default_factory=list)  # came while a task ran
    open_task: bool = False
    running: bool = False
    began: bool = False
    closed: str = ""
    handled: int = 0  # the last event id whose signal was handled

    @property
    def facts(self) -> RunFacts:
        before = self.before.run_id if self.before else None
        return RunFacts(self.run_id, self.original_run_id, self.first_run_id, before, self.attempt)


class Server:
    """The server, its one worker, and the network to it."""

    def __init__(
        self,
        chance: random.Random,
        *,
        codec: float = 1.0,
        keep: tuple[str, float] | None = None,
    ) -> None:
        self.number = next(_numbers)  # no two worlds share what a process keeps
        self.chance = chance
        self.codec = codec  # how much larger it makes what travels
        self.keep = keep
        self.commits: dict[str, list[float]] = {}  # by token: when it committed
        self.runs: list[SimRun] = []
        self.hosts: dict[str, HostedStream] = {}  # in the worker's memory
        self.worker, self.lives = True, 0
        self.up = True
        self.queries = True  # whether the host answers them
        self.throttled: float | None = None  # since when every call is one too many
        self.refusals = 0  # of calls, since then
        self.faults: dict[str, float] = {}  # how likely each is, of a call
        self.wrong: list[str] = []  # what must never be, and was
        self.tell: Callable[[str], None] | None = None
        self.moments: dict[int, tuple[float, float]] = {}  # when each offset came, and went
        self.appended = 0  # how often the workflow itself appended
        self.limited = False  # whether a call was ever one too many
        self.hung = False  # whether a wait for the next event ever did
        self.told_late = False  # whether a named reader's signal ever hung until its time-out
        self.swallowed: set[Any] = set()  # what runs got, and were ended before they did it
        self.batches: dict[Any, list[Any]] = {}  # by each value: all that was sent with it
        self.read: dict[str, dict[Any, int]] = {}  # by log: where readers got what
        self._waiting: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin(None, None, Truth("run-1", keep=keep))

    @property
    def run(self) -> SimRun:
        """The newest run."""
        return self.runs[-1]

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def find(self, run_id: str) -> SimRun:
        return next((r for r in self.runs if r.run_id == run_id), self.run)

    def truth(self, log_id: str) -> Truth:
        """The log of this id, as the last run had it that went on with it."""
        return next(r.truth for r in reversed(self.runs) if r.truth.log_id == log_id)

    # What happens to runs.

    def signal(self, name: str, argument: Any = None) -> bool:
        """Deliver a signal; False if nobody is there to take it."""
        run = self.run
        if run.closed:
            return False
        if run.running:
            run.buffered.append((name, argument))
        else:
            self._signaled(run, name, argument)
        return True

    def terminate(self) -> None:
        """End the newest run from outside. What it had not done yet is never done."""
        run = self.run
        undone = [
            s[1] for n, s in run.signals.items() if n > run.handled and s[0] == PUBLISH_SIGNAL
        ]
        undone += [argument for name, argument in run.buffered if name == PUBLISH_SIGNAL]
        for batch in undone:
            if isinstance(batch["items"], list):
                self.swallowed |= {value_of(item["data"]) for item in batch["items"]}
        self._close(run, "TERMINATED")

    def reset(self) -> None:
        """Begin the newest run anew from one of its finished tasks, as an operator does."""
        old = self.run
        ends = [e.event_id for e in old.events if e.event_type == _TYPES["TASK_COMPLETED"]]
        if not ends or old.closed or old.running:
            return
        upto = self.chance.choice(ends)
        name = f"run-{len(self.runs) + 1}"
        run = SimRun(
            *(name, old.first_run_id, old.original_run_id, old.before, old.attempt, old.started),
            *(old.state, old.start.copy(name), old.start),
            events=old.events[:upto],
            signals={n: s for n, s in old.signals.items() if n <= upto},
            began=True,
            handled=upto,
        )
        for _, signal in sorted(run.signals.items()):
            _naively(run.truth, signal)
        self._close(old, "TERMINATED")
        self.runs.append(run)
        self._agree_on_age(run, self.host(run))
        for number, (kind, argument, _) in sorted(old.signals.items()):
            # The server applies them again.
            if number > upto and kind in (PUBLISH_SIGNAL, READER_SIGNAL):
                self._signaled(run, kind, argument)
        self._schedule(run)

    def _begin(
        self,
        before: SimRun | None,
        state: WorkflowStreamState | None,
        truth: Truth,
        attempt: int = 1,
    ) -> None:
        name = f"run-{len(self.runs) + 1}"
        first = before.first_run_id if before else name
        began = self.now if before else 0.0
        run = SimRun(name, first, name, before, attempt, began, state, truth, truth.copy(""))
        self.runs.append(run)
        event = self._write(run, "EXECUTION_STARTED")
        if before is not None:
            began = event.workflow_execution_started_event_attributes
            began.continued_execution_run_id = before.run_id
        self._schedule(run)

    def _signaled(self, run: SimRun, name: str, argument: Any) -> None:
        event = self._write(run, "EXECUTION_SIGNALED")
        event.workflow_execution_signaled_event_attributes.signal_name = name
        run.signals[event.event_id] = (name, argument, self.now)
        self._schedule(run)

    def _schedule(self, run: SimRun) -> None:
        if not run.open_task and not run.closed:
            run.open_task = True
            self._write(run, "TASK_SCHEDULED")
            self.spawn(self._work(run))

    def _close(self, run: SimRun, how: str, next_run_id: str = "") -> None:
        if run.closed:
            return
        run.closed, run.open_task = how, False
        event = self._write(run, f"EXECUTION_{how}")
        if how == "CONTINUED_AS_NEW":
            rolled = event.workflow_execution_continued_as_new_event_attributes
            rolled.new_execution_run_id = next_run_id
        elif how == "FAILED":
            failed = event.workflow_execution_failed_event_attributes
            failed.new_execution_run_id = next_run_id

    def _write(self, run: SimRun, kind: str) -> HistoryEvent:
        event = HistoryEvent(event_id=len(run.events) + 1, event_type=_TYPES[kind])
        seconds = NOON.timestamp() + self.now
        event.event_time.seconds = int(seconds)
        event.event_time.nanos = int(seconds % 1 * 1e6) * 1_000
        run.events.append(event)
        self.ring()
        return event

    def ring(self) -> None:
        """Let everybody look who waits for something to happen."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            _let(each)

    async def changed(self, within: float | None = None) -> None:
        """Wait until something is written, or until server or worker come or go, from now on.

        Not longer than `within` seconds.
        """
        loop = asyncio.get_running_loop()
        rings: asyncio.Future[None] = loop.create_future()
        self._waiting.append(rings)
        timer = loop.call_later(within, _let, rings) if within is not None else None
        try:
            await rings
        finally:
            if timer is not None:
                timer.cancel()

    def spawn(self, doing: Coroutine[Any, Any, None]) -> None:
        """Let something go on by itself; an error of it is wrong in any world."""
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def strangers(self) -> list[str]:
        """What goes on in the world besides the server's own doing, and who looks."""
        mine = {asyncio.current_task(), *self._tasks}
        return [repr(task.get_coro()) for task in asyncio.all_tasks() - mine]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.wrong.append(f"(17) a workflow task failed: {error!r}")

    # The worker.

    def kill_worker(self) -> None:
        self.worker = False
        self.lives += 1
        self.hosts.clear()
        self.ring()

    def start_worker(self) -> None:
        self.worker = True
        self.ring()

    def host(self, run: SimRun) -> HostedStream:
        """The run's host: from the worker's memory, or rebuilt from history."""
        host = self.hosts.get(run.run_id)
        if host is None:
            log, publishers = restore(run.state)
            wanted = retention_of(self.keep) if run.state is None else carried_retention(run.state)
            began = NOON + timedelta(seconds=run.started)
            host = HostedStream(
                *(log, publishers),
                now=NOON,
                limits=LIMITS,
                publisher_ttl=TTL,
                readers=carried_readers(run.state, log.end_offset),
                keeper=carried_keeper(run.state, wanted or Retention(), log, began),
            )
            for number, signal in sorted(run.signals.items()):
                if number <= run.handled:
                    self._handle(host, signal, self.log_id(run))
            self.hosts[run.run_id] = host
        return host

    def log_id(self, run: SimRun) -> str:
        return id_of_log(run.facts, carried_identity(run.state))

    async def _work(self, run: SimRun) -> None:
        """Do one workflow task, on whatever worker there is."""
        await asyncio.sleep(self.chance.uniform(0.001, 0.01))
        while not (self.worker and self.up):
            await self.changed()
        if run.closed:
            return
        run.running, life = True, self.lives
        self._write(run, "TASK_STARTED")
        todo = {n: s for n, s in sorted(run.signals.items()) if n > run.handled}
        await asyncio.sleep(self.chance.uniform(0.001, 0.01))
        run.running = False
        if run.closed:
            return
        command = next((s[0] for s in todo.values() if s[0] in _COMMANDS), "")
        if life != self.lives or (command and run.buffered):  # died; or there is more to do first
            self.hosts.pop(run.run_id, None)
            self._write(run, "TASK_TIMED_OUT" if life != self.lives else "TASK_FAILED")
        else:
            host = self.host(run)
            for signal in todo.values():
                base, end = run.truth.base, run.truth.end
                self._handle(host, signal, self.log_id(run))
                _naively(run.truth, signal)
                self._agree_on_age(run, host)
                self.moments |= dict.fromkeys(range(end, run.truth.end), (self.now, 0.0))
                went = {n: (self.moments[n][0], self.now) for n in range(base, run.truth.base)}
                self.moments |= went
            run.handled, run.began = max(todo, default=run.handled), True
            self._write(run, "TASK_COMPLETED")
            self._compare(run, host)
            if command:
                self._command(run, host, command)
                return
        run.open_task = False
        buffered, run.buffered = run.buffered, []
        for name, argument in buffered:
            self._signaled(run, name, argument)
        if any(number > run.handled for number in run.signals):
            self._schedule(run)

    def _agree_on_age(self, run: SimRun, host: HostedStream) -> None:
        """An item may stay up to a hundredth longer than its age: where, the host decides."""
        if run.truth.keep is None or run.truth.keep[0] != "max_age":
            return
        exact, at = run.truth.copy(""), max(run.truth.came.values(), default=0.0)
        exact.retain(at, exactly=True)
        if run.truth.base <= host.log.base_offset <= exact.base:
            run.truth.base = host.log.base_offset

    def _handle(self, host: HostedStream, signal: tuple[str, Any, float], log_id: str) -> None:
        name, argument, at = signal
        now = NOON + timedelta(seconds=at)
        if name == PUBLISH_SIGNAL:
            try:
                batch = parse_publish([argument], LIMITS)
            except MalformedInputError as error:
                host.refuse("", error.reason, now)
            else:
                host.take(batch.items, batch.publisher_id, batch.sequence, now)
                ages = [now - row.last_seen for _, row in host.publishers.items()]
                if max(ages) > 1.15 * TTL:
                    self.wrong.append(f"(16) host: remembers a publisher of {max(ages)} ago")
        elif name == "append":
            for topic, value in argument:
                host.append(encode_item(topic, value, CONVERTER, LIMITS), now)
        elif name == READER_SIGNAL:
            host.hear(parse_reader([argument]), log_id, now)
        elif name == "truncate":
            host.log.truncate(min(argument, host.log.end_offset))

    def _command(self, run: SimRun, host: HostedStream, command: str) -> None:
        """End the run as its workflow asked."""
        next_run_id = f"run-{len(self.runs) + 1}"
        if command == "close":
            self._close(run, "COMPLETED")
        elif command == "fail":  # with a retry policy: the next attempt has the same input
            truth = run.start.copy(next_run_id)
            self._close(run, "FAILED", next_run_id)
            self._begin(run, run.state, truth, run.attempt + 1)
        elif command == "forget":
            self._close(run, "CONTINUED_AS_NEW", next_run_id)
            self._begin(run, None, Truth(next_run_id, keep=self.keep))
        else:
            host.retain(NOON + timedelta(seconds=self.now))
            run.truth.retain(self.now)
            self._agree_on_age(run, host)
            state = self._state(run, host)
            truth = run.truth.copy(run.truth.log_id)
            truth.base = state.base_offset
            run.truth.base = max(run.truth.base, truth.base)
            self._close(run, "CONTINUED_AS_NEW", next_run_id)
            self._begin(run, state, truth)

    def _state(self, run: SimRun, host: HostedStream) -> WorkflowStreamState:
        identity = Carried(self.log_id(run), run.run_id)
        now = NOON + timedelta(seconds=self.now)

        def build(log: Log, packed: bool) -> WorkflowStreamState:
            table, limits = host.publishers, host.limits
            return state_of(
                *(log, table, now, TTL),
                identity=identity,
                limits=limits,
                packed=packed,
                readers=host.readers,
                keeper=host.keeper,
            )

        [state] = arguments(host, lambda s: [s], CONVERTER, build, truncate=True)
        size = sum(p.ByteSize() for p in CONVERTER.to_payloads([state])) * self.codec
        if size > 2 * LIMITS.state_bytes + 100:
            self.wrong.append(
                f"(10) hand-over: a state of {size:.0f} bytes, and the run is terminated"
            )
        carried: WorkflowStreamState
        [carried] = CONVERTER.from_payloads(CONVERTER.to_payloads([state]), [WorkflowStreamState])
        self._compare_carried(run.truth, carried)
        return carried

    def _compare_carried(self, truth: Truth, carried: WorkflowStreamState) -> None:
        """Hold what the next run gets against the naive model."""
        log, publishers = restore(carried)
        rows = {name: row.sequence for name, row in publishers.items()}
        young = self.now - TTL.total_seconds()
        known = {name: sequence for name, (sequence, seen) in truth.taken.items() if seen >= young}
        if (log.end_offset, rows) != (truth.end, known):
            self.wrong.append(
                f"(10) hand-over: ends at {log.end_offset} and knows {rows}, "
                f"not {truth.end} and {known}"
            )
        self._compare_names(truth, carried_readers(carried, log.end_offset), "hand-over")
        if not truth.base <= log.base_offset <= log.end_offset:
            self.wrong.append(f"(10) hand-over: begins at {log.base_offset}, not {truth.base}")

    def _compare(self, run: SimRun, host: HostedStream) -> None:
        """Hold the host against the naive model."""
        truth = run.truth
        log_id = self.log_id(run)
        if (host.log.base_offset, host.log.end_offset, log_id) != (
            *(truth.base, truth.end),
            truth.log_id,
        ):
            self.wrong.append(
                f"(6, 11, 15) host: {run.run_id} has [{host.log.base_offset}, "
                f"{host.log.end_offset}) of {log_id}, not [{truth.base}, {truth.end}) of "
                f"{truth.log_id}"
            )
        self._compare_names(truth, host.readers, "host")
        page = host.log.items_from(max(truth.base, truth.end - 5), 5)
        for offset, item in page:
            expected = truth.items.get(offset)
            if (item.topic, value_of(item.data)) != expected:
                self.wrong.append(f"(6) host: {item} at {offset}, not {expected}")

    def _compare_names(self, truth: Truth, readers: Readers, where: str) -> None:
        stand = {name: (row.position, row.token) for name, row in readers.items()}
        if stand != truth.names:
            self.wrong.append(f"(21) {where}: the names stand at {stand}, not {truth.names}")

    # The network.

    async def call(self, kind: str, do: Callable[[], Awaitable[T]], timeout: float) -> T:
        """Make a call over a network in which anything may happen to it.

        Raises:
            StreamUnavailableError: It was lost, or its answer was, or the server refused it.
        """
        await asyncio.sleep(self.chance.uniform(0.0005, 0.003))
        fault = self._fault(kind)
        if self.tell is not None:
            self.tell(f"{self.now:.6f} {kind} {fault}")
        if not self.up:
            raise self.trouble(Cause.OUTAGE, "the server is down")
        if self.throttled is not None:
            self.refusals += 1
            self.limited = True
            raise self.trouble(Cause.RATE, "too many calls")
        self.limited = self.limited or fault == "rate"
        if fault in ("rate", "busy"):
            raise self.trouble(Cause.RATE if fault == "rate" else Cause.BUSY, fault)
        if fault in ("lost", "hangs"):
            self.hung = self.hung or (fault == "hangs" and kind in _WAITS)
            self.told_late = self.told_late or (fault == "hangs" and kind == "tell")
            await asyncio.sleep(timeout if fault == "hangs" else self.chance.uniform(0, 0.5))
            raise self.trouble(Cause.OUTAGE, fault)
        if fault == "delayed":  # the caller gives up, and it arrives all the same, later
            self.spawn(self._later(do))
            raise self.trouble(Cause.OUTAGE, fault)
        if fault == "late":
            await asyncio.sleep(self.chance.uniform(0, 2))
        if fault == "doubled":
            self.spawn(self._later(do))
        try:
            answer = await (do() if kind in _AT_ONCE else in_time(do(), timeout))
        except asyncio.TimeoutError:
            raise self.trouble(Cause.OUTAGE, "timed out") from None
        if kind in _SIGNALS:  # there is a moment in which it is stored, and nobody knows
            await asyncio.sleep(self.chance.uniform(0.0005, 0.003))
        if fault == "deaf":
            raise self.trouble(Cause.OUTAGE, "the reply was lost")
        return answer

    def trouble(self, cause: Cause, reason: str) -> StreamUnavailableError:
        return StreamUnavailableError(WORKFLOW_ID, reason, cause=cause)

    async def _later(self, do: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.sleep(self.chance.uniform(0, 3))
        try:
            await do()
        except Exception:  # nobody hears of it
            return

    def _fault(self, kind: str) -> str:
        for fault, likely in self.faults.items():
            if kind in _AT.get(fault, (kind,)) and self.chance.random() < likely:
                return fault
        return ""


_WAITS = ("history", "poll")
_SIGNALS = ("send", "tell")
_AT_ONCE = (*_SIGNALS, "resolve", "history")  # or with a time-out of its own
_COMMANDS = {"roll", "forget", "close", "fail"}
_AT = {  # where a fault can be; the others: at every call
    "busy": ("query",),
    "delayed": _SIGNALS,
    "doubled": _SIGNALS,
    "deaf": (*_SIGNALS, "query", "resolve"),
}


def _let(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _naively(truth: Truth, signal: tuple[str, Any, float]) -> None:
    """What a signal means to a log, as somebody would write it down who had no time."""
    name, argument, at = signal
    for publisher, (_, seen) in list(truth.taken.items()):
        if at - seen > 1.25 * TTL.total_seconds():
            del truth.taken[publisher]
    if name == PUBLISH_SIGNAL:
        if not isinstance(argument["items"], list):
            return  # hostile, and refused
        items = [(item["topic"], value_of(item["data"])) for item in argument["items"]]
        truth.take(argument["publisher_id"], argument["sequence"], items, at)
    elif name == "append":
        for item in argument:
            truth.append(*item)
            truth.retain(at)
    elif name == READER_SIGNAL:
        truth.hear(parse_reader([argument]))
    elif name == "truncate":
        truth.base = max(truth.base, min(argument, truth.end))


def retention_of(keep: tuple[str, float] | None) -> Retention | None:
    """A plan's retention."""
    match keep:
        case ("max_items", bound):
            return Retention(max_items=int(bound))
        case ("max_bytes", bound):
            return Retention(max_bytes=int(bound))
        case ("max_age", bound):
            return Retention(max_age=timedelta(seconds=bound))
        case ("until_read", bound):
            return Retention(max_items=int(bound), until_read=True)
        case _:
            return None


@cache
def value_of(data: str) -> Any:
    """What an item's data holds: a string, asked for again and again."""
    return CONVERTER.from_payload(decode_payload(data))


def travels(value: Any) -> int:
    """The bytes of a value as JSON, before the codec."""
    return len(json.dumps(value))

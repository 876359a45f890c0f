"""Who lives in a world: publishers and readers, the library's own, and what they hold true.

Each holds what it sees against the naive model (`server.Truth`) as it goes, and notes in
`server.wrong` what must never be. The numbers are those of the properties that they stand for:

    1 no lost write    2 no phantom    3 no duplicate    4 order    5 atomic batches
    6 agreement    7 contiguity    8 no silent skip    9 monotonic    11 incarnation
    12 honest end    13 cancelling loses nothing, and leaves nothing    14 liveness
    16 bounds    20 own misses only    21 names stand where they were committed
    22 a name is for one    23 at least once    24 commits are few    25 receipts are true

The others (10, 15, 18, 19) server and network hold.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from streamlib.client import named, newest
from streamlib.client.feed import Feed
from streamlib.client.publisher import Publisher
from streamlib.client.receipt import Receipt
from streamlib.client.registry import shared_feed
from streamlib.client.subscriber import Subscription
from streamlib.errors import (
    BatchGivenUpError,
    BufferFullError,
    NameLostError,
    NamesUnsupportedError,
    OffsetTruncatedError,
    StreamChangedError,
    StreamNotFoundError,
    StreamUnavailableError,
    UnreadItemsError,
)
from streamlib.wire.shapes import WorkflowStreamItem
from tests.world.clock import in_time
from tests.world.network import SimTransport
from tests.world.plan import Reader, Step
from tests.world.server import CONVERTER, LIMITS, WORKFLOW_ID, Server, Truth

MAX_RETRY = timedelta(seconds=20)


class Author:
    """Publishes values of its own, and knows what became of each."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.lives = 0
        self.count = 0
        self.stored: list[tuple[str, str]] = []  # log id as it was then, and value
        self.lost: set[str] = set()  # certainly not stored
        self.sent: set[str] = set()  # their receipts say what became of them
        self.receipts: set[asyncio.Task[None]] = set()
        self._begin()

    def _begin(self) -> None:
        self.lives += 1
        self.open: list[str] = []  # in the order of publishing, not settled
        self.settled = 0
        batch_size = [None, None, 1, 3][self.count % 4]
        self.publisher = Publisher(
            SimTransport(self.server),
            CONVERTER,
            batch_interval=timedelta(seconds=0.5),
            max_batch_size=batch_size,
            max_batch_bytes=LIMITS.batch_bytes,
            max_retry_duration=MAX_RETRY,
            max_buffer_bytes=[None, 4_000][self.lives % 2],
        )

    def publish(self, items: list[tuple[str, int]], *, force: bool = False) -> None:
        for topic, size in items:
            value = f"{self.name}.{self.lives}-{self.count}" + ("☠" if size < 0 else "." * size)
            self.count += 1
            try:
                self.publisher.publish(topic, value, force_flush=force)
            except BufferFullError:
                self.lost.add(value)
            except Exception as error:  # of the background; this value was not buffered
                self._hear(error)
            else:
                self.open.append(value)

    async def send(self, items: list[tuple[str, int]]) -> None:
        for topic, size in items:
            value = f"{self.name}.{self.lives}-{self.count}" + ("☠" if size < 0 else "." * size)
            self.count += 1
            try:
                receipt = await self.publisher.send(topic, value)
            except Exception as error:  # of the background; this value was not buffered
                self._hear(error)
            else:
                self.open.append(value)
                self.sent.add(value)
                self.receipts.add(asyncio.ensure_future(self._read(value, receipt)))

    async def _read(self, value: str, receipt: Receipt) -> None:
        """Hold a receipt against the truth."""
        while True:
            try:
                told = await receipt
            except (StreamUnavailableError, StreamNotFoundError):
                if self.server.run.closed:
                    return  # for good
                await asyncio.sleep(1)
            else:
                break
        logs = [run.truth.items for run in self.server.runs]
        if told.verdict == "refused":
            self.lost.add(value)
        elif told.verdict == "stored":
            if not any(items.get(told.offset or 0, ("", ""))[1] == value for items in logs):
                self.server.wrong.append(f"(25) {self.name}: {value} is not there: {told}")
        elif told.verdict == "duplicate":  # of a copy that a run took which is over
            there = any(value == each for items in logs for _, each in items.values())
            if not there or len(logs) == 1:
                self.server.wrong.append(f"(25) {self.name}: {value} is told to be a duplicate")

    async def hear_of_receipts(self) -> None:
        """All is well again: each receipt has an answer soon."""
        if self.receipts and not self.server.run.closed:
            _, waiting = await asyncio.wait(self.receipts, timeout=30)
            if waiting and not self.server.run.closed:
                self.server.wrong.append(
                    f"(14) {self.name}: {len(waiting)} receipts have no answer"
                )

    def forget(self) -> None:
        """Nobody waits for receipts any more."""
        for receipt in self.receipts:
            receipt.cancel()

    async def flush(self) -> None:
        """Flush, and settle what was told."""
        log_id = self.server.run.truth.log_id
        try:
            await self.publisher.flush()
        except Exception as error:
            self._hear(error)
        else:
            done, self.open = self.open[: self._left()], self.open[self._left() :]
            self.settled += len(done)
            if self.server.run.truth.log_id == log_id:
                self.stored += [(log_id, value) for value in done if value not in self.sent]

    def _left(self) -> int:
        return len(self.open) - self.publisher.unsent

    def _hear(self, error: Exception) -> None:
        """An error settles what was sent so far, one way or the other; some of it is named."""
        if isinstance(error, BatchGivenUpError):
            for batch in error.batches:
                named = range(batch.first - self.settled, batch.first - self.settled + batch.count)
                if not batch.may_be_stored:
                    self.lost |= {self.open[n] for n in named if 0 <= n < len(self.open)}
        elif not isinstance(error, StreamNotFoundError):
            self.server.wrong.append(f"{self.name}: publishing raised {error!r}")
        gone = self._left()
        self.settled += gone
        del self.open[:gone]

    async def live(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            await asyncio.sleep(max(0.0, step.at - self.server.now))
            match step.what:
                case "publish":
                    self.publish(step.how)
                case "force":
                    self.publish(step.how, force=True)
                case "send":
                    await self.send(step.how)
                case "flush":
                    await self.flush()
                case "cancel":
                    await self._cancelled_flush(step.how)
                case "pause":
                    await asyncio.sleep(step.how)
                case "abandon":  # and come back, when the stream has forgotten who this is
                    await self._cancelled_flush(0.003)
                    await asyncio.sleep(step.how)
                    await self.flush()
                case "crash":
                    await self._crash()

    async def _cancelled_flush(self, seconds: float) -> None:
        flush = asyncio.ensure_future(self.publisher.flush())
        await asyncio.wait([flush], timeout=seconds)
        flush.cancel()
        [ended] = await asyncio.gather(flush, return_exceptions=True)
        if isinstance(ended, Exception):
            self._hear(ended)

    async def _crash(self) -> None:
        """Its process dies: nothing of it is sent any more. Another one takes over its name."""
        self.forget()
        await self.publisher.stop(hurry=True)
        self._begin()


class Follower:
    """Reads by the plan, and holds every item against the truth."""

    def __init__(self, server: Server, name: str, plan: Reader, *, calm: bool) -> None:
        self.server, self.name, self.plan, self.calm = server, name, plan, calm
        self.topics = frozenset(plan.topics)
        self.log_id: str | None = None
        self.expected: int | None = None  # the next offset; None: not known yet
        self.ended = ""
        self.told = 0
        self.waits_since: float | None = None
        self.returned = False  # and nothing was read since
        self.handled: int | None = None  # by name: all before it was
        self.rivals: list[Follower] = []  # who have the same name
        self.items: Subscription[Any] | None = None
        self.feed: Feed | None = None

    def subscribe(self, from_offset: Any, stream_id: str | None) -> Subscription[Any]:
        return Subscription(
            self._open_feed,
            CONVERTER,
            list(self.plan.topics),
            from_offset,
            workflow_id=WORKFLOW_ID,
            on_truncated="raise" if self.plan.raises else "skip",
            stream_id=stream_id,
            name=self.plan.name or None,
        )

    def _open_feed(self) -> Feed:
        key = (self.server.number, self.plan.process)
        self.feed = shared_feed(key, lambda: SimTransport(self.server))
        return self.feed

    async def live(self) -> None:
        await asyncio.sleep(self.plan.begins)
        self.items = self.subscribe("latest" if self.plan.latest else 0, None)
        try:
            await self._read_to_the_end()
        finally:
            await self.items.aclose()

    async def _read_to_the_end(self) -> None:
        assert self.items is not None
        self.expected = None if self.plan.latest or self.plan.name else 0
        count = 0
        while not self.ended:
            self._hold_bounds()
            try:
                if self.plan.name and self.expected is None:
                    await self._join(self.items)
                item = await self._next(self.items)
            except asyncio.TimeoutError:
                continue  # it was cancelled: nothing may be lost by that
            except StopAsyncIteration:
                self._end(self.items.status)
            except OffsetTruncatedError as error:
                self._truncated(error)
            except StreamChangedError as error:
                self._changed(error)
            except StreamNotFoundError:
                self.ended = "not found"
            except UnreadItemsError as error:
                self._unread(error)
            except NameLostError:
                self.ended = "lost"
            except NamesUnsupportedError as error:
                self.ended = "no names"
                if self.server.queries:
                    self.wrong(f"(22) {error}")
            except Exception as error:
                self.wrong(f"raised {error!r}")
                self.ended = "raised"
            else:
                self._hold(item)
                count += 1
                if self.plan.pause:
                    await asyncio.sleep(self.plan.pause)
                if self._leaves(count):
                    await self._come_back()

    def _leaves(self, count: int) -> bool:
        if self.plan.name and self.server.run.closed:
            return False  # it keeps nothing any more: one would begin at the same item for ever
        return bool(self.plan.leaves_after) and count % self.plan.leaves_after == 0

    async def _next(self, items: Subscription[Any]) -> WorkflowStreamItem[Any]:
        self.waits_since = self.server.now if self.waits_since is None else self.waits_since
        if not self.plan.impatience:
            return await anext(items)
        return await in_time(anext(items), self.plan.impatience)

    async def _join(self, items: Subscription[Any]) -> None:
        """Begin where the name stands, which is nowhere beyond what was handled."""
        self.returned = True  # to whichever log there is
        await items.start()
        if self.log_id != items.stream_id:  # another log by now, which has names of its own
            self.log_id = self.handled = None
        if not self.rivals and self.handled is not None and items.position > self.handled:
            self.wrong(f"(23) resumes at {items.position}, and had handled {self.handled}")
        if not items.closed:
            self.expected = items.position

    async def _come_back(self) -> None:
        """Close, and subscribe again at the position, guarded by the log's id."""
        assert self.items is not None
        position, log_id = self.items.position, self.items.stream_id
        await self.items.aclose()
        await asyncio.sleep(self.server.chance.uniform(0, 1))
        self.waits_since, self.returned = None, True
        if self.plan.name:
            self.items, self.expected = self.subscribe(0, None), None
        else:
            self.items = self.subscribe(position, log_id)
            self._pass(position)

    def _hold(self, item: WorkflowStreamItem[Any]) -> None:
        """Hold one item against the truth."""
        assert self.items is not None
        log_id = self.items.stream_id or ""
        if self.log_id is None:
            self.log_id = log_id
        if log_id != self.log_id:
            self.wrong(f"(11) reads {log_id}, it had begun with {self.log_id}")
        truth = self._truth(log_id)
        if truth is None:
            self.wrong(f"(11) the log {log_id!r} never was")
            return
        if truth.items.get(item.offset) != (item.topic, item.data):
            there = truth.items.get(item.offset)
            self.wrong(f"(2, 6) has {item.data!r} at {item.offset} of {log_id}, not {there!r}")
        if self.topics and item.topic not in self.topics:
            self.wrong(f"(8) got topic {item.topic!r}")
        if self.expected is not None:
            self._hold_gap(truth, self.expected, item.offset, item.missed)
        self.expected = item.offset + 1
        self.handled = item.offset
        self.waits_since, self.returned = None, False
        self.server.read.setdefault(log_id, {})[item.data] = item.offset

    def _hold_bounds(self) -> None:
        """What a process keeps of a stream stays within what was configured."""
        window = self.feed.newest.window if self.feed is not None else None
        if window is not None and window.size > newest.WINDOW_BYTES:
            self.wrong(f"(16) the window has {window.size} bytes")

    def _hold_gap(self, truth: Truth, begin: int, offset: int, missed: int) -> None:
        if offset < begin:
            self.wrong(f"(9) got {offset} after {begin - 1}")
        skipped = [n for n in range(begin, offset) if self._mine(truth, n)]
        there = [n for n in skipped if n >= truth.base]
        if there:
            self.wrong(f"(7, 8) skipped {there}, which are in the log, before {offset}")
        if len(skipped) > missed:
            self.wrong(f"(8) skipped {skipped} before {offset} and was told of {missed}")
        gone = min(offset, truth.base) - begin
        if missed > max(0, gone):
            self.wrong(f"(20) was told of {missed} missed before {offset}, {gone} may be")
        if missed and self.calm and not self.plan.pause and not self.plan.latest:
            self._hold_misses(begin, offset, missed)
        self.told += missed

    def _hold_misses(self, begin: int, offset: int, missed: int) -> None:
        """In a world without trouble, who waited while an item lay there has not missed it."""
        since = self.waits_since
        if since is None or self.plan.impatience or self.plan.leaves_after:
            return
        moments = self.server.moments
        missing = 0
        for n in range(begin, offset):
            came, went = moments.get(n, (0.0, 0.0))
            missing += came < since + 0.5 or went - came < 0.5
        if missed > missing:
            self.wrong(f"(20) was told of {missed} missed before {offset}, and waited all the time")

    def _mine(self, truth: Truth, offset: int) -> bool:
        return offset in truth.items and (not self.topics or truth.items[offset][0] in self.topics)

    def _truth(self, log_id: str) -> Truth | None:
        known = [r.truth for r in self.server.runs if r.truth.log_id == log_id]
        return known[-1] if known else None

    def _pass(self, position: int) -> None:
        """Its position moved on past what is not its own; or what is gone."""
        truth = self._truth(self.log_id or "")
        if self.expected is None or truth is None:
            self.expected = position if self.expected is not None else None
            return
        passed = [
            n for n in range(self.expected, position) if self._mine(truth, n) and n >= truth.base
        ]
        if passed:
            self.wrong(f"(8) its position {position} is past {passed}, which are its own")
        self.expected = max(self.expected, position)

    def _truncated(self, error: OffsetTruncatedError) -> None:
        if not self.plan.raises or error.from_offset == 0:
            self.wrong(f"(20) raised {error!r}")
        truth = self._truth((self.items and self.items.stream_id) or "")
        if truth is not None and error.base_offset > truth.base:
            self.wrong(f"(20) says the base is {error.base_offset}, it is {truth.base}")
        self.waits_since = None

    def _changed(self, error: StreamChangedError) -> None:
        if error.expected == error.actual:
            self.wrong(f"(11) {error!r}")
        if not self.returned:  # who comes back to another log is told so at once
            self._all_was_delivered(error.expected)
        self.ended = "changed"

    def _unread(self, error: UnreadItemsError) -> None:
        if self.server.queries or not any(run.closed for run in self.server.runs):
            self.wrong(f"(12) raised {error!r}")
        self.ended = "unread"

    def _end(self, status: WorkflowExecutionStatus | None) -> None:
        run = self.server.run
        self.ended = status.name if status else "no status"
        if not run.closed or self.ended != run.closed:
            self.wrong(f"(12) ended with {self.ended}, the run is {run.closed or 'open'}")
        # What a roll-over was to hand over nobody knows, if the next run never began.
        told = run.began or run.attempt > 1
        if told and self.log_id is not None and self.log_id != run.truth.log_id:
            self.wrong(f"(11) ended, as if {self.log_id} had not become {run.truth.log_id}")
        stillborn = not run.began and run.attempt > 1  # it never had a log
        if self.log_id is not None or not stillborn:
            self._all_was_delivered(self.log_id or run.truth.log_id)

    def _all_was_delivered(self, log_id: str) -> None:
        truth = self._truth(log_id)
        if truth is None or self.expected is None:
            return
        left = [n for n in range(max(self.expected, truth.base), truth.end) if self._mine(truth, n)]
        if left:
            self.wrong(f"(12) ended before {left} of {log_id}")

    def slowness(self) -> float:
        """Seconds that it needs by itself for what lies before it."""
        each = self.plan.pause + (1.2 / self.plan.leaves_after if self.plan.leaves_after else 0)
        truth = self._truth(self.log_id or self.server.run.truth.log_id)
        # What was truncated too: it may be in its hands already.
        left = truth.end - (self.expected or 0) if truth is not None else 0
        return 1.2 * each * (left + 3) if each else 0.0

    def should_have_all(self) -> bool:
        """Whether it reads on, and no living rival keeps it from getting anywhere.

        Two that come and go under one name take it from each other; what neither may commit is
        read again.
        """
        return not self.ended and all(each.ended for each in self.rivals)

    def behind(self) -> list[int]:
        """What of its own it has not got."""
        truth = self._truth(self.log_id or self.server.run.truth.log_id)
        if truth is None or self.expected is None:
            return []
        return [n for n in range(max(self.expected, truth.base), truth.end) if self._mine(truth, n)]

    def lags(self) -> int:
        """How far it stands behind the end, though nothing before it is its own."""
        truth = self._truth(self.log_id or self.server.run.truth.log_id)
        if self.items is None or truth is None or not self.server.queries:
            return 0
        return truth.end - self.items.position

    def wrong(self, what: str) -> None:
        self.server.wrong.append(f"{self.name} {what}")


def check_commits(server: Server) -> None:
    """One commit a name every five seconds at most, but for the last, at the close."""
    for token, times in server.commits.items():
        pauses = [later - before for before, later in pairwise(times)]
        if any(pause < named.COMMIT_EVERY - 0.001 for pause in pauses[:-1]):
            server.wrong.append(f"(24) {token} commits after {pauses}")


def check_writes(server: Server, authors: list[Author]) -> None:
    """Hold what publishers were told against what is in the logs."""
    logs = {run.truth.log_id: run.truth for run in server.runs}
    for log_id, truth in logs.items():
        counts = Counter(value for _, value in truth.items.values())
        if doubled := [value for value, count in counts.items() if count > 1]:
            server.wrong.append(f"(3) {log_id} has twice: {doubled[:3]}")
        _check_batches(server, truth)
    for author in authors:
        everywhere = {value for truth in logs.values() for _, value in truth.items.values()}
        if phantoms := author.lost & everywhere:
            server.wrong.append(f"(2) {author.name}: certainly not stored, and there: {phantoms}")
        for log_id, value in author.stored:
            kept = {v for _, v in logs[log_id].items.values()}
            if value not in kept | everywhere | server.swallowed:
                server.wrong.append(f"(1) {author.name}: {value} was stored, and is nowhere")
        for truth in logs.values():
            orders: dict[
                str, list[int]
            ] = {}  # of each life of it: another one is another publisher
            for _, (_, value) in sorted(truth.items.items()):
                life, _, number = value.rstrip(".☠").partition("-")
                if life.startswith(f"{author.name}."):
                    orders.setdefault(life, []).append(int(number))
            for life, order in orders.items():
                if order != sorted(order):
                    server.wrong.append(f"(4) {life}: in the order {order}")


def _check_batches(server: Server, truth: Truth) -> None:
    """Of what a reader got, the whole batch is there: before it and after it, without a gap."""
    for value, offset in server.read.get(truth.log_id, {}).items():
        batch = server.batches.get(value, [])
        begin = offset - batch.index(value) if batch else offset
        there = [truth.items.get(begin + n, ("", None))[1] for n in range(len(batch))]
        if there != batch:
            server.wrong.append(f"(5) {batch} was sent as one, {there} is there from {begin} on")

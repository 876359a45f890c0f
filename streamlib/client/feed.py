"""The feed: one waiter for all subscriptions of a process to one stream.

    watch (history) --> something happened --> read once (query) --> window of the newest items
                                                                       |       |       |
                                                                    reader   reader   reader
    a reader that is behind the window reads for itself ---------------------------------^

Waiting writes nothing to history and needs no worker; reading needs one query for everybody. The
window is a `Log` again, bounded in bytes, and truncated where the stream's own log is: nothing is
queued for a slow reader. Runs are followed by their ids, so a feed never strays into a new stream
under an old workflow id. A watcher looks on: it is told what happens, and causes no reading. Next:
`subscriber.py`, a reader.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import random
import weakref
from collections.abc import Awaitable, Callable, Collection, Hashable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import WorkflowExecutionStatus

from streamlib.client.tally import Tally
from streamlib.client.transport import (
    Closed,
    Happening,
    Noted,
    PollQueryMissingError,
    Progress,
    RolledOver,
    Run,
    Transport,
    TruncatedDuringPollError,
    WorkWaits,
)
from streamlib.core.log import Log, Page
from streamlib.core.retry import PATIENCE, Retry
from streamlib.errors import StreamNotFoundError, StreamUnavailableError
from streamlib.wire.shapes import MAX_PAGE_BYTES, Answer

R = TypeVar("R")
V = TypeVar("V")

COALESCE = 0.01  # seconds between two query reads
_WINDOW_BYTES = 4 * MAX_PAGE_BYTES
_HOLD = 1.0  # seconds that the watch waits for a read; one that takes longer goes on beside it
_READ_TIMEOUTS = (2.0, 4.0, 8.0, 16.0, 30.0)  # seconds; a query can hang, a long replay takes time

_feeds: dict[tuple[Hashable, asyncio.AbstractEventLoop], Feed] = {}


class Feed:
    """What the subscriptions to one stream share, in one process and event loop.

    Invariants: the window holds consecutive offsets; `status` is set only when the window reaches
    the end of a closed run, or no window was opened; it runs while a reader or a watcher is open,
    and has no window without a reader.
    """

    def __init__(self, transport: Transport) -> None:
        self.window: Log | None = None
        self.status: WorkflowExecutionStatus | None = None
        self.ended: WorkflowExecutionStatus | None = None  # how the runs ended, read or not
        self.failure: Exception | None = None
        self.tally = Tally()  # of the current run
        self.caught_up = False  # whether the tally has come to the end of history
        self.changes = 0  # how often there was something new for a watcher
        self.by_update = False
        self.progress = 0  # how often something happened: tells whether an answer may be old
        self.end_offset = 0  # the highest end seen
        self._transport = transport
        self._run: Run | None = None
        self._trouble: str | None = None
        self._readers: dict[object, float] = {}  # and their cooldowns, in seconds
        self._watchers: dict[object, None] = {}
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._due = False  # whether there may be something that was not read
        self._reads: dict[Hashable, asyncio.Task[Answer]] = {}
        self._waiting: dict[asyncio.Future[None], tuple[int, Collection[str]]] = {}
        self._resolved = asyncio.Event()
        self._last_read = 0.0
        self._abandoned = False
        self._worry: asyncio.TimerHandle | None = None
        self._behind = False  # whether the window was opened a moment too late
        self._reading_on = asyncio.Lock()

    @classmethod
    def shared(cls, key: Hashable, make_transport: Callable[[], Transport]) -> Feed:
        """Return the feed for `key` in the running event loop; a new one if there is none."""
        loop = asyncio.get_running_loop()
        feed = _feeds.get((key, loop))
        if feed is None or feed.over:
            feed = _feeds[(key, loop)] = cls(make_transport())
            feed._task = loop.create_task(feed._run_until_over((key, loop)))
        return feed

    @property
    def over(self) -> bool:
        """Whether nothing more will come: the run has closed, or it failed for good."""
        return self.status is not None or self.failure is not None or self._abandoned

    @property
    def trouble(self) -> str | None:
        """Why nothing comes just now; None if all is well."""
        return self._trouble

    def join(self, reader: object, cooldown: float) -> Callable[[], None]:
        """Keep the feed running for `reader`; return how to leave. A reader that is gone leaves."""
        return self._admit(reader, self._readers, cooldown)

    def look_on(self, watcher: object) -> Callable[[], None]:
        """Keep the feed running for `watcher`, as `join` does, but read nothing for it."""
        return self._admit(watcher, self._watchers, None)

    def _admit(self, guest: object, guests: dict[object, V], value: V) -> Callable[[], None]:
        token, loop = object(), asyncio.get_running_loop()
        guests[token] = value

        def leave() -> None:
            guests.pop(token, None)
            if not self._readers and not self._watchers:
                self.stop()
            elif not self._readers:
                self._stop_reading()
            self.ring()  # for the one that leaves, if it waits

        def gone() -> None:  # a finalizer runs anywhere
            with contextlib.suppress(RuntimeError):  # the loop is closed: so is the feed
                loop.call_soon_threadsafe(leave)

        weakref.finalize(guest, gone).atexit = False
        return leave

    def stop(self) -> list[asyncio.Task[Any]]:
        """End all waiting and reading, and return what is being ended.

        A reader that comes now gets a new feed.
        """
        self._abandoned = True
        tasks = self._stop_reading()
        if self._task is not None:
            self._task.cancel()
            tasks.append(self._task)
        return tasks

    def _stop_reading(self) -> list[asyncio.Task[Any]]:
        """End all reading, and keep nothing: no reader is left. Return what is being ended."""
        tasks: list[asyncio.Task[Any]] = [*self._reads.values()]
        if self._reading is not None:
            tasks.append(self._reading)
        for task in tasks:
            task.cancel()
        # Gone at once, though they take a moment to end: a reader that comes now shares none.
        self._reads, self._reading = {}, None
        self.window, self._behind = None, False
        self._wake()
        return tasks

    async def bell(self) -> None:
        """Return at the next ring: look at `changes` then. It also rings for no reason."""
        await self._bell.wait()

    def ring(self) -> None:
        """Let the watchers look."""
        self._bell.set()
        self._bell = asyncio.Event()

    def _tell(self) -> None:
        """There is something new for a watcher."""
        self.changes += 1
        self.ring()

    def _say(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._tell()

    async def run(self) -> Run | None:
        """Return the run that the stream lives in, once it is known; None if nobody waits for it.

        Raises:
            StreamNotFoundError: There is none.
        """
        await self._resolved.wait()
        if self._run is None and self.failure is not None:
            raise self.failure
        return self._run

    async def latest(self) -> int:
        """Return the end offset as it is now."""
        run_id = self._current().run_id
        timeout = timedelta(seconds=_READ_TIMEOUTS[0])
        end = await self._persist(lambda _: self._transport.offset(run_id, timeout))
        self.end_offset = max(self.end_offset, end)
        return end

    def holds(self, position: int) -> bool:
        """Whether the window can serve a reader at `position`, now or when more has come."""
        return self.window is not None and self.window.base_offset <= position

    def open_window(self, end_offset: int, progress: int) -> None:
        """Begin to keep what comes from `end_offset` on, the end when `progress` had been made."""
        if self.window is None and self._readers:
            self.window = Log(end_offset)
            self._behind = self.progress != progress

    async def catch_up(self) -> None:
        """Read what came between a reader's own read and the opening of the window, if anything."""
        if self._behind:
            async with self._reading_on:
                if self._behind:  # of many readers, the first does it for all
                    await self._read_to_end()

    async def wait(self, position: int, topics: Collection[str]) -> None:
        """Return when the window has something for this reader, or nothing more will come."""
        if self._is_due(position, topics):
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = (position, topics)
        try:
            await future
        finally:
            del self._waiting[future]

    async def read(self, topics: Collection[str], from_offset: int) -> Answer:
        """Return a page from the stream itself; readers that ask the same share one answer.

        Raises:
            StreamError, RPCError: What trying again does not mend.
        """
        # An answer to a query may be old when something has happened since; an update waits for it.
        key = (frozenset(topics), from_offset, None if self.by_update else self.progress)
        task = self._reads.get(key)
        if task is None:
            task = asyncio.create_task(self._read(topics, from_offset))
            self._reads[key] = task
            task.add_done_callback(lambda done: self._read_is_over(key, done))
        await asyncio.wait([task])  # whoever asks may be cancelled; the others still get it
        return _nothing(from_offset) if task.cancelled() else task.result()

    def _read_is_over(self, key: Hashable, task: asyncio.Task[Answer]) -> None:
        if self._reads.get(key) is task:
            del self._reads[key]
        if not task.cancelled():
            task.exception()  # looked at, also when everyone who asked has gone

    async def _read(self, topics: Collection[str], from_offset: int) -> Answer:
        await self._resolved.wait()
        answer = await self._persist(lambda tries: self._try_read(topics, from_offset, tries))
        end = answer.end_offset
        self.end_offset = max(self.end_offset, answer.page.next_offset if end is None else end)
        return answer

    async def _try_read(self, topics: Collection[str], from_offset: int, tries: int) -> Answer:
        if self.failure is not None:
            raise self.failure
        assert self._run is not None
        run_id = self._run.run_id
        if not self.by_update:
            seconds = _READ_TIMEOUTS[min(tries, len(_READ_TIMEOUTS) - 1)]
            try:
                timeout = timedelta(seconds=seconds)
                return await self._transport.read(run_id, topics, from_offset, timeout)
            except PollQueryMissingError:
                self.by_update = True
                if self.window is not None:  # the stream has moved to a host without the query
                    self.window = None
                    self._wake()
                    return _nothing(from_offset)
        if self.status is not None:  # an update does not reach a closed run
            return _nothing(from_offset)
        try:
            return await self._transport.poll(run_id, topics, from_offset)
        except TruncatedDuringPollError:
            return await self._transport.poll(run_id, topics, 0)
        except StreamNotFoundError as error:  # the run has ended; how, the watch is about to say
            raise StreamUnavailableError(error.workflow_id, error.detail) from error

    async def _run_until_over(self, key: tuple[Hashable, asyncio.AbstractEventLoop]) -> None:
        try:
            self._run = await self._persist(lambda _: self._transport.resolve())
            self._resolved.set()
            self._tell()
            await self._follow()
        except Exception as error:
            self.failure = error
        finally:
            if _feeds.get(key) is self:
                del _feeds[key]
            self._resolved.set()
            self._stop_worrying()
            self._wake()
            self._tell()

    async def _follow(self) -> None:
        """Follow the chain of runs to its end, and read on whenever something happened."""
        ended: Closed | None = None
        while ended is None:
            ended = await self._persist(lambda _: self._watch_one(self._current()))
        self.ended = ended.status
        self._tell()
        await self._read_on()
        self.progress += 1
        self.status = ended.status

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that hosts the stream."""
        return self._transport.workflow_id

    @property
    def stream_id(self) -> str | None:
        """The id of the stream: of the first run in its workflow's chain; None if not known yet."""
        return self._run.stream_id if self._run is not None else None

    @property
    def run_id(self) -> str | None:
        """The run that the stream lives in now; None if not known yet."""
        return self._run.run_id if self._run is not None else None

    def _current(self) -> Run:
        assert self._run is not None
        return self._run

    async def _watch_one(self, run: Run) -> Closed | None:
        """Watch one run until it ends; None if it has rolled over."""
        self._forget_worry()
        self.caught_up = self.caught_up or run.history_length == 0
        async for happening in self._transport.watch(run):
            self._hear(happening)
            match happening:
                case Progress():
                    await self._read_on(_HOLD)
                case RolledOver(run_id):
                    self._run, self.tally = Run(run_id, run.stream_id, 0), Tally()
                    return None
                case Closed():
                    return happening
                case _:
                    pass
        raise StreamUnavailableError(self._transport.workflow_id, "the history ended early")

    def _hear(self, happening: Happening) -> None:
        match happening:
            case Noted(events):
                self.tally.note(events)
            case WorkWaits():
                self._begin_to_worry()
            case _:
                self._stop_worrying()
                self.caught_up = True
                self.progress += 1
        if self.caught_up:
            self._tell()

    def _begin_to_worry(self) -> None:
        if self._worry is None:
            self._say(None)  # of the connection: it is back
            self._worry = asyncio.get_running_loop().call_later(PATIENCE, self._say_it_waits)

    def _stop_worrying(self) -> None:
        self._say(None)
        self._forget_worry()

    def _forget_worry(self) -> None:
        if self._worry is not None:
            self._worry.cancel()
            self._worry = None

    def _say_it_waits(self) -> None:
        self._say(f"no worker has done the workflow's next task for {PATIENCE:.0f} s")

    async def _read_on(self, patience: float | None = None) -> None:
        """Move the window to the end of the log, and wait for that.

        Not longer than `patience` seconds: reading then goes on by itself, and so can the watch.
        """
        self._due = True
        if self.window is None:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_while_due())
        await asyncio.wait([self._reading], timeout=patience)

    async def _read_while_due(self) -> None:
        try:
            while self._due:
                self._due = False
                async with self._reading_on:
                    await self._read_to_end()
        except Exception as error:
            self.failure = error
            assert self._task is not None
            self._task.cancel()

    async def _read_to_end(self) -> None:
        more = True
        while more and self.window is not None:
            await self._pace()
            if (window := self.window) is None:
                break
            answer = await self._read((), window.end_offset)
            if self.window is window:
                self._extend_window(answer)
            more = answer.page.more_ready
            self._wake()
        self._behind = False

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        interval = max(COALESCE, min(self._readers.values(), default=0.0))
        await asyncio.sleep(max(0.0, self._last_read + interval - loop.time()))
        self._last_read = loop.time()

    def _extend_window(self, answer: Answer) -> None:
        assert self.window is not None
        page, base = answer.page, answer.base_offset
        for offset, item in page.items:
            if offset != self.window.end_offset:  # a gap: what came before it is gone for all
                self.window = Log(offset)
            self.window.append(item)
        if page.next_offset > self.window.end_offset:  # truncated to its end
            self.window = Log(page.next_offset)
        if base is None:  # a host that does not say what it truncated: keep just this page
            base = page.items[0][0] if page.items else self.window.base_offset
        while len(self.window) > 1 and self.window.size > _WINDOW_BYTES:
            self.window.truncate(self.window.base_offset + (len(self.window) + 1) // 2)
        self.window.truncate(min(base, self.window.end_offset))

    def _wake(self) -> None:
        """Wake the readers that have something to do; the others sleep on."""
        for future, (position, topics) in self._waiting.items():
            if not future.done() and self._is_due(position, topics):
                future.set_result(None)

    def _is_due(self, position: int, topics: Collection[str]) -> bool:
        if self.over or self.window is None:  # closed while they waited: they read for themselves
            return True
        base = self.window.base_offset
        return base > position or bool(self.window.read(position, topics, 1).items)

    async def _persist(self, attempt: Callable[[int], Awaitable[R]]) -> R:
        """Try until it works: a reader waits for server and worker as long as it takes."""
        retry, slow, loop = Retry(), 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                result = await attempt(slow)
                self._say(None)
                return result
            except StreamUnavailableError as error:
                now = loop.time()
                slow += now - began > 1.0  # what failed at once does not need more time
                pause = retry.failed(error.cause, began=began, now=now, chance=random.random())
                if retry.trouble:
                    self._say(error.reason)
                await asyncio.sleep(pause)


def _nothing(from_offset: int) -> Answer:
    """The answer where none is to be had."""
    return Answer(Page([], from_offset, False), None, None, None)


@atexit.register
def _stop_all() -> None:
    """End the long-polls of loops that were just left lying: one in flight hangs the exit."""
    for (_, loop), feed in list(_feeds.items()):
        if loop.is_closed() or loop.is_running():
            continue
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.gather(*feed.stop(), return_exceptions=True))

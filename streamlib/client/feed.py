"""The feed: one waiter for all subscriptions of a process to one stream.

    history --> Follow --> something happened --> read once (Source) --> Window of the newest items
                                                                          |       |       |
                                                                       reader   reader   reader
    a reader that is behind the window reads for itself --------------------------^

Waiting writes nothing to history and needs no worker; reading needs one query for everybody, of
what somebody wants. It decides nothing itself: what happened says `follow.py`, what is whose
`core/window.py`, when to try again `patience.py`. A watcher looks on: it is told what happens, and
causes no reading. Next: `subscriber.py`, a reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from streamlib.client.follow import (
    Chain,
    Closed,
    Ending,
    Follow,
    Happening,
    Progress,
    Replaced,
    RolledOver,
    Run,
    WorkWaits,
)
from streamlib.client.patience import Patience
from streamlib.client.source import Source
from streamlib.client.tally import Tally
from streamlib.client.transport import TokenRefusedError, Transport
from streamlib.core.window import Seat, Window

K = TypeVar("K")
V = TypeVar("V")

COALESCE = 0.01  # seconds between two query reads
_HOLD = 1.0  # seconds that the follower waits for a read; a longer one goes on beside it
_DESCRIBE = timedelta(seconds=1)


class Feed:
    """What the subscriptions to one stream share, in one process and event loop.

    Invariants: `status` is set only when the window has come to the end of a log to which nothing
    is added any more, or no window was opened; it runs while a reader or a watcher is open, and has
    no window without a reader.

    Args:
        transport: The way to the workflow.
        recall: What is known of a run from before, or nothing yet.
    """

    def __init__(self, transport: Transport, recall: Callable[[Run], Follow] = Follow) -> None:
        self.window: Window | None = None
        self.status: WorkflowExecutionStatus | None = None
        self.ended: WorkflowExecutionStatus | None = None  # how the runs ended, read or not
        self.changes = 0  # how often there was something new for a watcher
        self.follow: Follow | None = None  # of the current run
        self._recall = recall
        self._transport = transport
        self._patience = Patience(self._tell)
        self.source = Source(transport, self._patience)
        self._readers: dict[Seat, float] = {}  # and their cooldowns, in seconds
        self._watchers: dict[object, None] = {}
        self._waiting: dict[Seat, asyncio.Future[None]] = {}
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._due = False  # whether there may be something that was not read
        self._behind = False  # whether the window was opened a moment too late
        self._reading_on = asyncio.Lock()
        self._last_read = 0.0
        self._abandoned = False

    def start(self, when_over: Callable[[], None]) -> None:
        """Begin to run, and call `when_over` at the end."""
        self._task = asyncio.get_running_loop().create_task(self._run_until_over(when_over))

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that hosts the stream."""
        return self._transport.workflow_id

    @property
    def run_id(self) -> str | None:
        """The run that the stream lives in now; None if not known yet."""
        return self.follow.run_id if self.follow is not None else None

    @property
    def tally(self) -> Tally:
        """What the current run's history holds, as far as it was read."""
        return self.follow.tally if self.follow is not None else Tally()

    @property
    def caught_up(self) -> bool:
        """Whether the tally has come to the end of history."""
        return self.follow is not None and self.follow.caught_up

    @property
    def progress(self) -> int:
        """How often something happened."""
        return self.source.progress

    @property
    def over(self) -> bool:
        """Whether nothing more will come: the log has ended, or it failed for good."""
        return self.status is not None or self.failure is not None or self._abandoned

    @property
    def failure(self) -> Exception | None:
        """What trying again does not mend."""
        return self.source.failure

    @property
    def replaced_by(self) -> str | None:
        """The id of the log that has taken the place of this one."""
        return self.source.chain.replaced_by if self.source.chain is not None else None

    @property
    def trouble(self) -> str | None:
        """Why nothing comes just now; None if all is well."""
        return self._patience.trouble

    # Those who come and go.

    def join(self, reader: object, seat: Seat, cooldown: float) -> Callable[[], None]:
        """Keep the feed running for `reader`; return how to leave. A reader that is gone leaves."""
        return self._admit(reader, self._readers, seat, cooldown)

    def look_on(self, watcher: object) -> Callable[[], None]:
        """Keep the feed running for `watcher`, as `join` does, but read nothing for it."""
        return self._admit(watcher, self._watchers, object(), None)

    def _admit(self, guest: object, guests: dict[K, V], key: K, value: V) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        guests[key] = value

        def leave() -> None:
            guests.pop(key, None)
            if isinstance(key, Seat):
                self._give_up(key)
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

    def _give_up(self, seat: Seat) -> None:
        if self.window is not None:
            self.window.leave(seat)
            if not len(self.window):
                self._close_window()
        self._wake([seat])

    def stop(self) -> list[asyncio.Task[Any]]:
        """End all waiting and reading, and return what is being ended.

        A reader that comes now gets a new feed.
        """
        self._abandoned = True
        tasks = [*self._stop_reading(), *self._patience.stop()]
        if self._task is not None:
            self._task.cancel()
            tasks.append(self._task)
        return tasks

    def _stop_reading(self) -> list[asyncio.Task[Any]]:
        """End all reading, and keep nothing: no reader is left. Return what is being ended."""
        tasks = self.source.stop_reading()
        if self._reading is not None:
            self._reading.cancel()
            tasks.append(self._reading)
        self._reading = None
        self._close_window()
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

    # The window, for readers.

    def serves(self, seat: Seat) -> bool:
        """Whether the window serves a reader where it stands, now or when more has come."""
        window = self.window
        if window is None or not window.holds(seat.cursor.position, seat.topics):
            return False
        if seat not in self._readers:  # it has left
            return False
        window.join(seat)
        return True

    def open_window(self, seat: Seat, end_offset: int, progress: int) -> None:
        """A reader has come to the end: to `end_offset`, when `progress` had been made."""
        if seat not in self._readers:
            return
        if self.window is None:
            self.window = Window(end_offset)
            self._behind = self.progress != progress
        self.window.join(seat)

    async def catch_up(self) -> None:
        """Read what came between a reader's own read and the opening of the window, if anything."""
        if self._behind:
            async with self._reading_on:
                if self._behind:  # of many readers, the first does it for all
                    await self._read_to_end()

    async def wait(self, seat: Seat) -> None:
        """Return when the window has something for this reader, or nothing more will come."""
        if self.over or self.window is None or self.window.advance(seat):
            return
        self._waiting[seat] = future = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            del self._waiting[seat]

    def _wake(self, seats: list[Seat]) -> None:
        for seat in seats:
            future = self._waiting.get(seat)
            if future is not None and not future.done():
                future.set_result(None)

    def _close_window(self) -> None:
        """Let the readers read for themselves."""
        self.window, self._behind = None, False
        self._wake([*self._waiting])

    # What happens, and reading on when it has.

    async def _run_until_over(self, when_over: Callable[[], None]) -> None:
        try:
            run = await self._patience.persist(
                "history", lambda: self._transport.resolve(self._transport.pinned_run_id, _DESCRIBE)
            )
            self.source.found(run)
            follow = self.follow = self._recall(run)
            self._tell()
            for happening in follow.again(run):
                self._hear(happening)
            self.ended = await self._follow_chain(run)
            self._tell()
            await self._read_on()
            self.source.closed = True
            self.source.progress += 1
            self.status = self.ended
        except Exception as error:
            self.source.failure = error
        finally:
            when_over()
            self.source.found(None)
            self._patience.work_done()
            self._wake([*self._waiting])
            self._tell()

    async def _follow_chain(self, run: Run) -> WorkflowExecutionStatus:
        """Follow the chain of runs to the end of its log, and return how that came."""
        chain, follow = self.source.chain, self.follow
        assert chain is not None
        assert follow is not None
        while True:
            match await self._follow_run(follow, chain):
                case RolledOver(run_id):
                    chain.rolled_over(run_id)
                    follow = self.follow = Follow(Run(run_id, run.first_run_id, 0))
                    self._patience.work_done()
                    self._tell()
                case Replaced(status, run_id):
                    chain.replaced(run_id)
                    return status
                case Closed(status):
                    if status is WorkflowExecutionStatus.TERMINATED:
                        await self._look_for_a_reset(run, chain)
                    return status
                case None:
                    return WorkflowExecutionStatus.CONTINUED_AS_NEW

    async def _follow_run(self, follow: Follow, chain: Chain) -> Ending | None:
        """Follow one run to its end; None if another log has taken the place of this one."""
        while follow.ended is None and chain.replaced_by is None:
            page = await self._patience.persist("history", lambda: self._page(follow))
            if page is None:
                continue
            events, token = page
            happenings = follow.take(events, token)
            if events and follow.caught_up:
                self._tell()
            for happening in happenings:
                self._hear(happening)
                if isinstance(happening, Progress):
                    await self._read_on(_HOLD)
        return follow.ended

    async def _page(self, follow: Follow) -> tuple[list[HistoryEvent], bytes] | None:
        def ask(timeout: timedelta) -> Any:
            return self._transport.history(follow.run_id, follow.token, timeout)

        try:
            if follow.caught_up:
                return await self._patience.wait(ask)
            return await self._patience.hedged("history", ask)
        except TokenRefusedError:
            follow.start_over()
            raise

    async def _look_for_a_reset(self, run: Run, chain: Chain) -> None:
        """A reset terminates the run, and begins another one in the same chain."""
        newest = await self._patience.persist(
            "history", lambda: self._transport.resolve("", _DESCRIBE)
        )
        if newest.first_run_id == run.first_run_id and newest.run_id != self.run_id:
            chain.replaced(newest.run_id)

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, WorkWaits):
            self._patience.work_waits()
            return
        self._patience.work_done()
        self.source.progress += 1
        self._tell()

    async def _read_on(self, patience: float | None = None) -> None:
        """Move the window to the end of the log, and wait for that.

        Not longer than `patience` seconds: reading then goes on by itself, and so can the follower.
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
            self.source.failure = error
            assert self._task is not None
            self._task.cancel()

    async def _read_to_end(self) -> None:
        more = True
        while more and self.window is not None:
            await self._pace()
            if (window := self.window) is None:
                break
            topics = window.topics
            answer = await self.source.read_alone(topics, window.seen, by_query=True)
            more = answer.page.more_ready
            if self.source.by_update:  # the stream has moved to a host without the query
                self._close_window()
            elif self.window is window:
                self._wake(window.take(answer.page, answer.base_offset, topics))
        self._behind = False

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        interval = max(COALESCE, min(self._readers.values(), default=0.0))
        await asyncio.sleep(max(0.0, self._last_read + interval - loop.time()))
        self._last_read = loop.time()

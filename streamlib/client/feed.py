"""The feed: one waiter for all subscriptions of a process to one stream.

    history --> Follow --> something happened --> Newest reads once, for all readers
                                   |
                                   +--> watchers are told, and cause no reading

Waiting writes nothing to history and needs no worker. It decides nothing itself: what happened says
`follow.py`, which run to read its `Chain`, when to try again `patience.py`. Runs are followed by
their ids, so a feed never strays into a new stream under an old workflow id. Next: `subscriber.py`,
a reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
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
from streamlib.client.newest import Newest
from streamlib.client.patience import Patience
from streamlib.client.source import Source
from streamlib.client.tally import Tally
from streamlib.client.transport import TokenRefusedError, Transport
from streamlib.core.window import Seat

R = TypeVar("R")

_log = logging.getLogger("streamlib")

_HOLD = 1.0  # seconds that the follower waits for a read; a longer one goes on beside it


class Feed:
    """What the subscriptions to one stream share, in one process and event loop.

    Invariants: `status` is set only when the newest items were read to the end of a log to which
    nothing is added any more, or nobody wanted them; it runs while a reader or a watcher is open.

    Args:
        transport: The way to the workflow.
        recall: What is known of a run from before, or nothing yet.
    """

    def __init__(self, transport: Transport, recall: Callable[[Run], Follow] = Follow) -> None:
        self.status: WorkflowExecutionStatus | None = None
        self.ended: WorkflowExecutionStatus | None = None  # how the runs ended, read or not
        self.changes = 0  # how often there was something new for a watcher
        self.follow: Follow | None = None  # of the current run
        self._recall = recall
        self._transport = transport
        self._patience = Patience(self._trouble_changed)
        self.source = Source(transport, self._patience)
        self.newest = Newest(self.source, lambda: self.over, self._fail)
        self._guests: dict[object, None] = {}  # readers and watchers
        self.listeners: set[Callable[[], None]] = set()  # called at each ring
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
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

    def join(self, reader: object, seat: Seat, cooldown: float) -> Callable[[], None]:
        """Keep the feed running for `reader`; return how to leave. A reader that is gone leaves."""
        self.newest.admit(seat, cooldown)
        return self._admit(reader, seat)

    def look_on(self, watcher: object) -> Callable[[], None]:
        """Keep the feed running for `watcher`, as `join` does, but read nothing for it."""
        return self._admit(watcher, None)

    def _admit(self, guest: object, seat: Seat | None) -> Callable[[], None]:
        token, loop = object(), asyncio.get_running_loop()
        self._guests[token] = None
        # Not held by the finalizer: in a loop that was closed it may hold the guest that waits.
        leave = weakref.WeakMethod(self._dismiss)

        def gone() -> None:  # a finalizer runs anywhere
            if (dismiss := leave()) is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: so is the feed
                    loop.call_soon_threadsafe(dismiss, token, seat)

        weakref.finalize(guest, gone).atexit = False
        return partial(self._dismiss, token, seat)

    def _dismiss(self, token: object, seat: Seat | None) -> None:
        self._guests.pop(token, None)
        if seat is not None:
            self.newest.dismiss(seat)
        if not self._guests:
            self.stop()
        self.ring()  # for the one that leaves, if it waits

    def stop(self) -> list[asyncio.Task[Any]]:
        """End all waiting and reading, and return what is being ended.

        A reader that comes now gets a new feed.
        """
        self._abandoned = self.source.stopped = True
        tasks = [*self.newest.stop(), *self._patience.stop()]
        if self._task is not None:
            self._task.cancel()
            tasks.append(self._task)
        return tasks

    def _fail(self, error: Exception) -> None:
        """Reading met what trying again does not mend."""
        self.source.failure = error
        assert self._task is not None
        self._task.cancel()

    async def bell(self) -> None:
        """Return at the next ring: look at `changes` then. It also rings for no reason."""
        await self._bell.wait()

    def ring(self) -> None:
        """Let the watchers look."""
        self._bell.set()
        self._bell = asyncio.Event()
        for listener in self.listeners:
            listener()

    async def persist(self, call: Callable[[], Awaitable[R]]) -> R:
        """Make a call of a reader's own until it works."""
        return await self._patience.persist("name", call)

    async def ask(self, call: Callable[[timedelta], Awaitable[R]]) -> R:
        """Ask until there is an answer; a slow one gets a second one beside it."""
        return await self.persist(lambda: self._patience.hedged("name", call))

    def _trouble_changed(self) -> None:
        if self._guests:  # else nobody reads any more: nothing is known to be well
            if (trouble := self.trouble) is not None:
                _log.warning("The stream %r cannot be read: %s", self.workflow_id, trouble)
            else:
                _log.info("The stream %r can be read again", self.workflow_id)
        self._tell()

    def _tell(self) -> None:
        """There is something new for a watcher."""
        self.changes += 1
        self.ring()

    async def _run_until_over(self, when_over: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            run = await self._describe(self._transport.pinned_run_id)
            self.source.found(run)
            follow = self.follow = self._recall(run)
            self._tell()
            for happening in follow.again(run):
                self._hear(happening)
            self.ended = await self._follow_chain(run)
            self._hear(Closed(self.ended))
            await self.newest.read_on()
            self.source.closed = True
            self.source.progress += 1
            self.status = self.ended
        except Exception as error:
            self.source.failure = error
        finally:
            if not loop.is_closed():  # else the garbage collector ends it, and nobody is left
                when_over()
                self.source.found(None)
                self._patience.work_done()
                self.newest.wake_all()
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
                    self._hear(RolledOver(run_id))
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
            if follow.ended is not None:
                break
            if events and follow.caught_up:
                self._tell()
            for happening in happenings:
                self._hear(happening)
                if isinstance(happening, Progress):
                    await self.newest.read_on(_HOLD)
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
        newest = await self._describe("")
        if newest.first_run_id == run.first_run_id and newest.run_id != self.run_id:
            chain.replaced(newest.run_id)

    async def _describe(self, run_id: str) -> Run:
        def ask(timeout: timedelta) -> Any:
            return self._transport.resolve(run_id, timeout)

        return await self._patience.persist(
            "history", lambda: self._patience.hedged("history", ask)
        )

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, WorkWaits):
            self._patience.work_waits()
            return
        self._patience.work_done()
        self.source.progress += 1
        self._tell()

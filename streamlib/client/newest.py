"""The newest items: read once for all readers of a feed, and kept in a window that they share.

    something happened --> read once (Source) --> Window
                                                  |  |  |
                                             reader  |  reader
    a reader that is behind the window reads --------^
    for itself (Source)

It asks for what somebody wants, and for nothing while nobody has come to the end. Nothing is queued
for a slow reader. What is whose, `core/window.py` decides. Next: `feed.py`, which says when
something happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from streamlib.client.source import Source
from streamlib.core.window import WINDOW_BYTES, Seat, Window

R = TypeVar("R")

COALESCE = 0.01  # seconds between two query reads


class Newest:
    """Keeps a window at the end of the log, while a reader stands in it.

    Args:
        source: Where to read.
        over: Whether nothing more will come.
        fail: What to do when reading meets what trying again does not mend.
    """

    def __init__(
        self, source: Source, over: Callable[[], bool], fail: Callable[[Exception], None]
    ) -> None:
        self.window: Window | None = None
        self._source = source
        self._over = over
        self._fail = fail
        self._cooldowns: dict[Seat, float] = {}  # of all readers, in seconds
        self._gone: dict[Seat, asyncio.Future[None]] = {}  # done when that reader has left
        self._waiting: dict[Seat, asyncio.Future[None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._due = False  # whether there may be something that was not read
        self.behind = False  # whether the window was opened a moment too late
        self._reading_on = asyncio.Lock()
        self._last_read = 0.0
        self._interval = 0.0  # between two reads, as the pause of this moment reckons it
        self._pause: asyncio.Future[None] | None = None  # until the next read

    def admit(self, seat: Seat, cooldown: float) -> None:
        """A reader comes: one with a shorter cooldown than all others shortens their pause."""
        self._cooldowns[seat] = cooldown
        self._gone[seat] = asyncio.get_running_loop().create_future()
        if self._pause is not None and max(COALESCE, cooldown) < self._interval:
            _end(self._pause)

    def dismiss(self, seat: Seat) -> None:
        """A reader goes."""
        self._cooldowns.pop(seat, None)
        if (gone := self._gone.pop(seat, None)) is not None:
            _end(gone)
        if self.window is not None:
            self.window.leave(seat)
        self._wake([seat])
        if not self._cooldowns:
            self.stop()
        elif self.window is not None and not len(self.window):
            self._close()

    def stop(self) -> list[asyncio.Task[Any]]:
        """End all reading, and keep nothing: no reader is left. Return what is being ended."""
        tasks = self._source.stop_reading()
        for task in (self._reading, self._catching_up):
            if task is not None:
                task.cancel()
                tasks.append(task)
        self._reading = self._catching_up = None
        self._close()
        return tasks

    async def while_here(self, seat: Seat, doing: Coroutine[Any, Any, R]) -> R | None:
        """Do something for a reader, as long as it stays; None if it has left, or leaves."""
        gone = self._gone.get(seat)
        if gone is None:
            doing.close()
            return None
        task = asyncio.ensure_future(doing)
        task.add_done_callback(_look_at)
        try:
            either: list[asyncio.Future[Any]] = [task, gone]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
        return None if gone.done() else task.result()

    def serves(self, seat: Seat) -> bool:
        """Whether the window serves a reader where it stands, now or when more has come."""
        window = self.window
        if window is None or not window.holds(seat.cursor.position, seat.topics):
            return False
        if seat not in self._cooldowns:  # it has left
            return False
        window.join(seat)
        return True

    def open(self, seat: Seat, end_offset: int, progress: int) -> None:
        """A reader has come to the end: to `end_offset`, when `progress` had been made."""
        if seat not in self._cooldowns:
            return
        if self.window is None:
            self.window = Window(end_offset, WINDOW_BYTES)
            self.behind = self._source.progress != progress
        self.window.join(seat)

    async def catch_up(self) -> None:
        """Read what came between a reader's own read and the opening of the window, if anything."""
        if not self.behind:
            return
        if self._catching_up is None or self._catching_up.done():
            # No reader's own: it goes on for the others when the first to come is cancelled.
            self._catching_up = asyncio.create_task(self._catch_up())
            self._catching_up.add_done_callback(_look_at)
        task = self._catching_up
        await asyncio.wait([task])
        if not task.cancelled():  # it is when no reader is left
            task.result()

    async def _catch_up(self) -> None:
        async with self._reading_on:
            if self.behind:  # it may have been read meanwhile
                await self._read_to_end()

    async def wait(self, seat: Seat) -> None:
        """Return when the window has something for this reader, or nothing more will come."""
        if self._over() or self.window is None or self.window.advance(seat):
            return
        self._waiting[seat] = future = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            del self._waiting[seat]

    def wake_all(self) -> None:
        """Nothing more will come: let the readers look."""
        self._wake([*self._waiting])

    async def read_on(self, patience: float | None = None) -> None:
        """Move the window to the end of the log, and wait for that.

        Not longer than `patience` seconds: reading then goes on by itself, and so can who asked.
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
            self._fail(error)

    async def _read_to_end(self) -> None:
        more = True
        while more and self.window is not None:
            await self._pace()
            if (window := self.window) is None:
                break
            topics = window.topics
            answer = await self._source.read_alone(topics, window.seen, by_query=True)
            if self._source.by_update:  # the stream has moved to a host without the query
                self._close()
            elif self.window is window:
                self._wake(window.take(answer.page, answer.base_offset, topics))
            # Another window may have been opened meanwhile: the answer says nothing to that one.
            more = answer.page.more_ready or self.window is not window
        self.behind = False

    async def _pace(self) -> None:
        """Keep the shortest cooldown of all readers between two reads, also of those that come."""
        loop = asyncio.get_running_loop()
        while loop.time() < (due := self._next_read()):
            self._pause = loop.create_future()
            timer = loop.call_at(due, _end, self._pause)
            try:
                await self._pause
            finally:
                timer.cancel()
                self._pause = None
        self._last_read = loop.time()

    def _next_read(self) -> float:
        self._interval = max(COALESCE, min(self._cooldowns.values(), default=0.0))
        return self._last_read + self._interval

    def _close(self) -> None:
        """Let the readers read for themselves."""
        self.window, self.behind = None, False
        self.wake_all()

    def _wake(self, seats: Iterable[Seat]) -> None:
        for seat in seats:
            if (future := self._waiting.get(seat)) is not None:
                _end(future)


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _look_at(done: asyncio.Task[Any]) -> None:
    """An error is not lost without a word, though nobody waits for it any more."""
    if not done.cancelled():
        done.exception()

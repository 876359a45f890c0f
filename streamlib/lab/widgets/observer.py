"""Watches one stream for a view, and hands over a new frame when something has changed.

    client.watch()   something happened     --> describe once, at most ten times a second
    open_subscriptions()                    --> where this kernel's readers stand
    the lab's processes, once a second      --> server and workers
                                            --> frame --> show

It writes nothing to the workflow's history: it waits through the reader that all subscriptions
share, and reads by query what is new since it last looked. Out of sight it asks now and then
whether the run has moved, so that there is something to see later; while no browser has the view,
it does nothing.
Belongs to one event loop; knows no widget. Next: `commands.py`, what a view's buttons do.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import RPCError, WorkflowExecutionStatus, WorkflowQueryFailedError

from streamlib import (
    ItemDescription,
    NotAStreamError,
    StreamDescription,
    StreamError,
    StreamNotFoundError,
    StreamWatch,
    Subscription,
    WorkflowStreamClient,
    open_subscriptions,
)
from streamlib.lab.widgets import background
from streamlib.lab.widgets.frame import (
    BATCHES,
    ITEMS,
    Cost,
    Frame,
    Reader,
    Seen,
    frame,
    milliseconds,
)
from streamlib.wire.describe import MAX_ROWS

PACE = 0.1
"""Seconds between two frames, at least."""

SAMPLE = 0.2
"""Seconds between two looks at what changes in this process: readers, unsent items."""

REST = 2.0
"""Seconds between two looks while the view is out of sight."""

BACKGROUND = 1.0
"""Seconds between two looks at the processes behind the stream."""

Show = Callable[[Frame], None]


class Observer:
    """Looks at one stream while `looking`; calls `show` with each new frame.

    Readers are told apart by `name`: given by the caller, else the variable that holds them.
    """

    def __init__(
        self,
        client: WorkflowStreamClient,
        show: Show,
        *,
        epoch: int = 0,
        readers: Mapping[str, Subscription[Any]] | None = None,
    ) -> None:
        self.client = client
        self.seen = Seen(client.workflow_id, epoch)
        self.hidden: WeakSet[Subscription[Any]] = WeakSet()
        """Subscriptions that are no learner's: the view's own peeks."""
        self.own: dict[str, Subscription[Any]] = {}
        """Subscriptions that the view opened, by key."""
        self._show = show
        self._given = WeakKeyDictionary({reader: name for name, reader in (readers or {}).items()})
        self._keys: WeakKeyDictionary[Subscription[Any], str] = WeakKeyDictionary()
        self._tail: deque[ItemDescription] = deque(maxlen=ITEMS)
        self._shown: Frame = {}
        self._rev = 0
        self._looking = asyncio.Event()
        self._near = asyncio.Event()
        self._woken = asyncio.Event()
        self._stale = True
        self._watch: StreamWatch | None = None
        self._failure = ""
        self._mark: object = None
        """Where the run stood when the server was last asked."""
        self._run_asked = ""
        """The run that was asked which updates it takes."""
        self._over = False
        """Whether the stream has ended, as far as is known."""
        self._final = False
        """Whether the description was taken after the end, so that nothing can change any more."""
        self._tasks: list[asyncio.Task[None]] = []
        self._describing: asyncio.Task[None] | None = None
        self._next_background = 0.0

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._run())]

    async def stop(self) -> None:
        """End everything this began. What the view opened for itself is closed."""
        tasks = [*self._tasks, *([self._describing] if self._describing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for reader in self.own.values():
            await reader.aclose()
        if self._watch is not None:
            await self._watch.aclose()

    def look(self, looking: bool, *, near: bool = True) -> None:
        """Begin to look, or stop to; what was missed meanwhile is caught up at once.

        `near`: a browser still has the view, if out of sight.
        """
        if near:
            self._near.set()
        else:
            self._near.clear()
        if not looking:
            self._looking.clear()
        elif not self._looking.is_set():  # a browser says so again and again
            self.wake()
            self._looking.set()

    def wake(self) -> None:
        """Look at everything again now."""
        self._stale = True
        self._next_background = 0.0
        self._woken.set()

    def reader(self, key: str) -> Subscription[Any] | None:
        """The open subscription that a frame calls `key`."""
        return next((each for each in self._open() if self._key(each) == key), None)

    def adopt(self, reader: Subscription[Any], name: str) -> None:
        """Keep a subscription that the view opened, and show it under this name."""
        self._given[reader] = name
        self.own[self._key(reader)] = reader
        self.wake()

    def disown(self, reader: Subscription[Any]) -> bool:
        """Let go of a subscription; whether it was the view's own."""
        self._given.pop(reader, None)
        return self.own.pop(self._key(reader), None) is not None

    async def first_look(self) -> Frame:
        """One look, for a picture without a browser. Raises nothing; says what is the matter."""
        try:
            await self._describe()
        except Exception as error:
            self._failure = str(error)
        self._note_readers()
        await self._note_background()
        return self.frame()

    def frame(self) -> Frame:
        """The frame as it is now."""
        return {**self._frame(), "rev": self._rev, "now": milliseconds(time.time())}

    def _frame(self) -> Frame:
        self.seen.trouble = self._trouble()
        return frame(self.seen)

    async def _follow(self) -> None:
        """Learn when something happened. Ends with the stream."""
        while True:
            await self._looking.wait()
            try:
                async with self.client.watch() as self._watch:
                    described = -1
                    async for activity in self._watch:
                        # Not at each event: a query asked while a task runs waits for it.
                        self._stale |= activity.progress != described
                        described = activity.progress
                        self._woken.set()
                        await self._looking.wait()
                self._over = True
                self._stale = True
                self._woken.set()
                return
            except (StreamError, RPCError) as error:
                self._failure = str(error)
                self._woken.set()
                await asyncio.sleep(BACKGROUND)

    async def _run(self) -> None:
        """Look, show, and rest. One look that fails is no reason to be blind for ever."""
        while True:
            await self._near.wait()
            in_sight = self._looking.is_set()
            alarm = asyncio.get_running_loop().call_later(
                SAMPLE if in_sight else REST, self._woken.set
            )
            await self._woken.wait()  # `wait_for` may swallow a cancellation, before Python 3.12
            alarm.cancel()
            self._woken.clear()
            begun = time.monotonic()
            try:
                if not in_sight:
                    self._stale |= await self._has_moved()
                await self._look()
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
            if self._looking.is_set():
                self._show_if_new()
            await asyncio.sleep(max(0.0, begun + PACE - time.monotonic()))

    async def _look(self) -> None:
        if self._stale and (self._describing is None or self._describing.done()):
            self._stale = False
            self._describing = asyncio.create_task(self._describe_and_say())
        if self._describing is not None:  # it takes ten seconds where no worker answers
            await asyncio.wait([self._describing], timeout=PACE)
        self._note_readers()
        if time.monotonic() >= self._next_background:
            self._next_background = time.monotonic() + BACKGROUND
            before = [(part.name, part.state) for part in self.seen.parts]
            await self._note_background()
            if before != [(part.name, part.state) for part in self.seen.parts]:
                self._stale |= not self._final  # somebody may be back who can answer
        await self._note_watch()

    async def _has_moved(self) -> bool:
        """Whether the run has, by the server's word: no worker is troubled for it."""
        if self._final:
            return False
        handle = self.client.temporal_client.get_workflow_handle(self.client.workflow_id)
        before = self._mark
        with suppress(RPCError):
            about = await handle.describe(rpc_timeout=timedelta(seconds=BACKGROUND))
            self._mark = about.run_id, about.status, about.history_length
            self._over |= about.status not in (None, WorkflowExecutionStatus.RUNNING)
        return self._mark != before

    def _show_if_new(self) -> None:
        seen = self._frame()
        if seen != self._shown:
            self._rev += 1
            self._shown = seen
            self._show(self.frame())

    async def _describe_and_say(self) -> None:
        over = self._over or self.seen.status != "RUNNING"
        try:
            await self._describe()
            self._failure = ""
            self._final = over
        except Exception as error:
            self._failure = str(error)
            self._stale = not isinstance(error, (NotAStreamError, StreamNotFoundError))
            with suppress(RPCError):
                await self._note_run()
            await asyncio.sleep(BACKGROUND)
        self._woken.set()

    async def _describe(self) -> None:
        """Read what is new since the last look: O(new), whatever the log holds."""
        try:
            before = self.seen.description or await self.client.describe()
            about = await self._describe_from(max(before.base_offset, self._next_offset(before)))
        except NotAStreamError:
            self.seen.undescribed_end = await self.client.get_offset()
            self.seen.at = milliseconds(time.time())
            return
        if about.stream_id != before.stream_id or about.end_offset < before.end_offset:
            self._tail.clear()
        if about.end_offset > self._next_offset(about):  # more has come than one page holds
            self._tail.clear()
            about = await self._describe_from(max(about.base_offset, about.end_offset - ITEMS))
        while self._tail and self._tail[0].offset < about.base_offset:
            self._tail.popleft()
        self.seen.description = about
        self.seen.tail = list(self._tail)
        self.seen.at = milliseconds(time.time())
        await self._note_run()
        if about.run_id != self._run_asked:
            self._run_asked = about.run_id
            self.seen.no_truncate = await self._why_no_truncate()

    async def _describe_from(self, offset: int) -> StreamDescription:
        about = await self.client.describe(items=MAX_ROWS, from_offset=offset, batches=BATCHES)
        for item in about.items:
            if self._tail and item.offset != self._tail[-1].offset + 1:
                self._tail.clear()
            self._tail.append(item)
        return about

    def _next_offset(self, about: StreamDescription) -> int:
        """The offset after the last item that is known; at first, one near the end."""
        if self._tail:
            return self._tail[-1].offset + 1
        return max(about.base_offset, about.end_offset - ITEMS)

    async def _note_run(self) -> None:
        """What the server knows of the run; it needs no worker for it."""
        handle = self.client.temporal_client.get_workflow_handle(self.client.workflow_id)
        about = await handle.describe()
        info = about.raw_description.workflow_execution_info
        watch = self._watch
        self.seen.status = about.status.name if about.status else "RUNNING"
        self.seen.cost = Cost(
            began=milliseconds(about.start_time.timestamp()),
            events=info.history_length,
            bytes=info.history_size_bytes,
            signals=self.seen.description.signals if self.seen.description else 0,
            updates=watch.updates if watch else 0,
        )
        self.seen.ui = background.ui_of(self.client.workflow_id, about.run_id)

    async def _why_no_truncate(self) -> str:
        client = self.client.temporal_client
        handle = client.get_workflow_handle(self.client.workflow_id)
        try:
            about: WorkflowMetadata = await handle.query(
                "__temporal_workflow_metadata", result_type=WorkflowMetadata
            )
        except (RPCError, WorkflowQueryFailedError):
            return "the workflow does not say which updates it takes"
        if any(update.name == "truncate" for update in about.definition.update_definitions):
            return ""
        return f"{about.definition.type} takes no update `truncate`: it alone decides what goes"

    async def _note_watch(self) -> None:
        """What waits in the history for a worker."""
        if (watch := self._watch) is None:
            return
        self.seen.waiting_count = watch.waiting_count
        self.seen.waiting = await watch.waiting() if watch.waiting_count else []
        if self.seen.cost is not None and watch.run_id == self._run_id():
            self.seen.cost = Cost(
                **{
                    **vars(self.seen.cost),
                    "events": max(self.seen.cost.events, watch.history_events),
                    "updates": watch.updates,
                }
            )

    def _run_id(self) -> str | None:
        return self.seen.description.run_id if self.seen.description else None

    def _note_readers(self) -> None:
        self.seen.unsent = self.client.unsent
        variables = background.variables()
        self.seen.readers = [self._describe_reader(each, variables) for each in self._open()]

    def _open(self) -> Sequence[Subscription[Any]]:
        return [
            each for each in open_subscriptions(self.client.workflow_id) if each not in self.hidden
        ]

    def _key(self, reader: Subscription[Any]) -> str:
        return self._keys.setdefault(reader, f"r{len(self._keys) + 1}")

    def _describe_reader(self, reader: Subscription[Any], variables: Mapping[int, str]) -> Reader:
        key = self._key(reader)
        name = self._given.get(reader) or variables.get(id(reader)) or f"reader {key[1:]}"
        end = self.seen.description.end_offset if self.seen.description else 0
        base = self.seen.description.base_offset if self.seen.description else 0
        position = reader.position
        return Reader(
            key=key,
            name=name,
            topics=reader.topics,
            position=position,
            lag=max(0, end - max(position, base)),
            missed=reader.missed,
            state=f"ended {reader.status.name}" if reader.status else "open",
            own=key in self.own,
        )

    async def _note_background(self) -> None:
        self.seen.parts = await background.parts()

    def _trouble(self) -> str:
        watch = self._watch
        if self._final:
            return ""
        if self.seen.status != "RUNNING":
            return self._failure
        return background.trouble(self.seen.parts) or (watch and watch.trouble) or self._failure

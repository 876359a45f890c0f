"""What a view watches: one stream, as it describes itself, and its run, as the server knows it.

    client.watch()   something happened     --> stale: describe once, O(new)
    describe query   what the stream says   --> Seen
    server           status, size, run      --> Seen; needs no worker

It writes nothing to the workflow's history: it waits through the reader that all subscriptions
share, and reads by query what is new since it last looked. When to look, and what to tell, is
`observer.py`'s; this knows no view.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    RPCError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)

from streamlib import (
    ItemDescription,
    NotAStreamError,
    StreamDescription,
    StreamError,
    StreamNotFoundError,
    StreamWatch,
    WorkflowStreamClient,
)
from streamlib.lab.widgets import background
from streamlib.lab.widgets.frame import BATCHES, ITEMS, Cost, Seen, milliseconds
from streamlib.wire.describe import MAX_ROWS

AGAIN = 1.0
"""Seconds until the next try, after one that failed; and for what the server knows by itself."""

MOST_RUNS = 64
"""How many runs back a chain is followed to count them."""


class Source:
    """Fills `seen` with what is true of one stream. `happened` is called when something did."""

    def __init__(
        self, client: WorkflowStreamClient, seen: Seen, happened: Callable[[], None]
    ) -> None:
        self.client = client
        self.seen = seen
        self.failure = ""
        """Why the last look failed; empty if it did not."""
        self.stale = True
        """Whether there may be something new to describe."""
        self.final = False
        """Whether the description was taken after the end: nothing can change any more."""
        self._happened = happened
        self._over = False
        self._watch: StreamWatch | None = None
        self._tail: deque[ItemDescription] = deque(maxlen=ITEMS)
        self._mark: object = None  # where the run stood when the server was last asked
        self._run_asked = ""  # the run that was asked which updates it takes
        self._runs: dict[str, int | None] = {}
        self._waits_seen: object = None

    @property
    def trouble(self) -> str:
        """Why nothing happens just now; empty if all is well."""
        return (self._watch and self._watch.trouble) or self.failure

    async def follow(self, looking: asyncio.Event) -> None:
        """Learn when something happened, while `looking` is set. Ends with the stream."""
        while True:
            await looking.wait()
            try:
                async with self.client.watch() as self._watch:
                    told = None
                    async for run in self._watch:
                        # Not at each event: a query asked while a task runs waits for it, and
                        # that a task begins is no news.
                        self.stale |= told is None or told.progress != run.progress
                        if told is None or run._replace(history_events=0) != told:
                            self._happened()
                        told = run._replace(history_events=0)
                        await looking.wait()
                self._over = self.stale = True
                self._happened()
                return
            except (StreamError, RPCError) as error:
                self.failure = str(error)
                self._happened()
                await asyncio.sleep(AGAIN)

    async def has_moved(self) -> bool:
        """Whether the run has, by the server's word: no worker is troubled for it."""
        if self.final:
            return False
        before = self._mark
        with suppress(RPCError):
            about = await self._handle.describe(rpc_timeout=timedelta(seconds=AGAIN))
            self._mark = about.run_id, about.status, about.history_length
            self._over |= about.status not in (None, WorkflowExecutionStatus.RUNNING)
        return self._mark != before

    async def look(self) -> None:
        """Describe the stream, as it is now. Raises nothing; `failure` says what went wrong."""
        over = self._over or self.seen.status != "RUNNING"
        self.stale = False
        try:
            await asyncio.gather(self._describe(), self._note_run())
            self.failure = ""
            self.final = over
            self.stale |= not over and self.seen.status != "RUNNING"  # once more, after the end
        except Exception as error:
            self.failure = str(error)
            self.stale = not isinstance(error, (NotAStreamError, StreamNotFoundError))
            await asyncio.sleep(AGAIN)
        self._happened()

    async def look_once(self) -> None:
        """One look, in any event loop. Raises nothing."""
        try:
            await asyncio.gather(self._describe(), self._note_run())
        except Exception as error:
            self.failure = str(error)

    async def note_waiting(self) -> None:
        """What waits in the history for a worker. Decodes batches only when there are others."""
        if self.seen.cost is not None:
            self.seen.cost = self._counted(self.seen.cost)
        if (watch := self._watch) is None:
            return
        seen = watch.waiting_count, watch.history_events, watch.run_id
        if seen != self._waits_seen:
            self._waits_seen = seen
            self.seen.waiting_count = watch.waiting_count
            self.seen.waiting = await watch.waiting() if watch.waiting_count else []

    def _counted(self, cost: Cost) -> Cost:
        """The same run's cost, by whoever knows of more.

        The stream counts the batches that it took, its history what waits and other signals too.
        """
        about, watch = self.seen.description, self._watch
        if watch is not None and watch.run_id == self.seen.run_id and watch.caught_up:
            cost = replace(
                cost,
                events=max(cost.events, watch.history_events),
                signals=max(cost.signals or 0, watch.signals),
                updates=watch.updates,
            )
        if about is not None and about.run_id == self.seen.run_id and cost.signals is not None:
            cost = replace(cost, signals=max(cost.signals, about.signals))
        return cost

    @property
    def _handle(self) -> WorkflowHandle[object, object]:
        return self.client.temporal_client.get_workflow_handle(self.client.workflow_id)

    async def _describe(self) -> None:
        """Read what is new since the last look: O(new), whatever the log holds."""
        try:
            before = self.seen.description or await self._first_description()
            about = await self._describe_from(max(before.base_offset, self._next_offset(before)))
        except NotAStreamError:
            self.seen.undescribed_end = await self.client.get_offset()
            self.seen.at = milliseconds(time.time())
            self.seen.no_truncate = await self._why_no_truncate()
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
        if about.run_id != self._run_asked:
            self._run_asked = about.run_id
            self.seen.no_truncate = await self._why_no_truncate()

    async def _first_description(self) -> StreamDescription:
        """The stream's bounds; meanwhile it is asked what it takes: a cell waits for both."""
        about, self.seen.no_truncate = await asyncio.gather(
            self.client.describe(), self._why_no_truncate()
        )
        self._run_asked = about.run_id
        return about

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
        """What the server knows of the run; it needs no worker for it. Raises nothing."""
        with suppress(RPCError):  # what it cannot find is said better by the stream's client
            await self._note(await self._handle.describe(rpc_timeout=timedelta(seconds=5)))

    async def _note(self, about: WorkflowExecutionDescription) -> None:
        info = about.raw_description.workflow_execution_info
        before = self.seen.cost if about.run_id == self.seen.run_id else None
        self.seen.run = await self._number(about.run_id)  # first: the rest is of one moment
        self.seen.status = about.status.name if about.status else "RUNNING"
        self.seen.run_id = about.run_id
        self.seen.cost = Cost(
            began=milliseconds(about.start_time.timestamp()),
            events=info.history_length,
            bytes=info.history_size_bytes,
            signals=before.signals if before else None,
            updates=before.updates if before else None,
        )
        self.seen.cost = self._counted(self.seen.cost)
        self.seen.ui = background.ui_of(self.client.workflow_id, about.run_id) or ""

    async def _number(self, run_id: str) -> int | None:
        """Which run of its chain this is; each is asked once for the run before it."""
        chain: list[str] = []
        while run_id and run_id not in self._runs and len(chain) < MOST_RUNS:
            chain.append(run_id)
            run_id = await self._run_before(run_id)
        number = self._runs.get(run_id) if run_id else 0
        for each in reversed(chain):
            number = number + 1 if number is not None else None
            self._runs[each] = number
        return self._runs[chain[0]] if chain else number

    async def _run_before(self, run_id: str) -> str:
        """The run that handed over to this one; "" if none did."""
        client, workflow_id = self.client.temporal_client, self.client.workflow_id
        events = client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events(
            page_size=1
        )
        try:
            first = await anext(events)
        except (RPCError, StopAsyncIteration):
            return "forgotten"  # the server has deleted it: nobody can count any more
        return first.workflow_execution_started_event_attributes.continued_execution_run_id

    async def _why_no_truncate(self) -> str:
        try:
            about: WorkflowMetadata = await self._handle.query(
                "__temporal_workflow_metadata", result_type=WorkflowMetadata
            )
        except (RPCError, WorkflowQueryFailedError):
            return "the workflow does not say which updates it takes"
        updates = {update.name for update in about.definition.update_definitions}
        self.seen.can_retain = "retain" in updates
        if "truncate" in updates:
            return ""
        return f"{about.definition.type} takes no update `truncate`: it alone decides what goes"

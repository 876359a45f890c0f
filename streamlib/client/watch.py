"""A watch: told when something happened to a stream, for views. It reads nothing.

    feed --(history events, progress, roll-over, trouble, end)--> RunSnapshot, the latest

It waits on the feed that subscriptions share: no query, no history event, no items, and no worker
is needed. What it says of the run is counted from the run's own history (`tally.py`). Next:
`client.py`, where it is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from streamlib.client.feed import Feed
from streamlib.client.tally import Tally
from streamlib.wire.parse import parse_publish


class RunSnapshot(NamedTuple):
    """A stream's current run at one moment, as far as its history tells.

    The counts are those of the run's history up to its event `history_events`; they are complete
    once `caught_up`. `progress` grows whenever there may be new items: the moment to describe or
    read. `waiting` is how many batches no workflow task has handled yet.
    """

    run_id: str
    caught_up: bool
    progress: int
    history_events: int
    signals: int
    updates: int
    waiting: int
    trouble: str | None


class WaitingBatch(NamedTuple):
    """A batch that is stored in the run's history, and that no workflow task has handled yet.

    `topics` are those of its items, in order. Whether it will be accepted is not known yet.
    """

    publisher_id: str
    sequence: int
    topics: list[str]


class StreamWatch:
    """Says when something happened to a stream, from run to run, to its end.

    Invariants: what happens between two reads is told by the next one, once, as the latest state;
    nothing is written to history, and no items are read. One that is dropped costs nothing.

    Example:
        async with client.watch() as watch:
            async for run in watch:
                print(run.history_events, run.waiting, run.trouble)
        print(watch.status)
    """

    def __init__(
        self,
        open_feed: Callable[[], Feed],
        decode: Callable[[Sequence[Payload]], Awaitable[list[Any]]],
    ) -> None:
        self._open_feed = open_feed
        self._decode = decode
        self._feed: Feed | None = None
        self._leave: Callable[[], None] | None = None
        self._seen = -1  # the feed's changes when it last told
        self._waits = False
        self._closed = False
        self._status: WorkflowExecutionStatus | None = None

    @property
    def run_id(self) -> str | None:
        """The current run; None before the start."""
        return self._feed.run_id if self._feed else None

    @property
    def stream_id(self) -> str | None:
        """The stream's id; None as long as no answer to a reader has told it.

        Known from the start where the current run is the first of its workflow.
        """
        return self._feed.source.stream_id if self._feed else None

    @property
    def trouble(self) -> str | None:
        """Why nothing happens just now (no worker, no server); None if all is well."""
        return self._feed.trouble if self._feed else None

    @property
    def status(self) -> WorkflowExecutionStatus | None:
        """How the workflow ended, once the iteration has ended; None before that."""
        return self._status

    @property
    def caught_up(self) -> bool:
        """Whether the counts are complete: history has been read to its end."""
        return self._feed is not None and self._feed.caught_up

    @property
    def progress(self) -> int:
        """Grows whenever there may be new items: the moment to describe or read."""
        return self._feed.source.progress if self._feed else 0

    @property
    def history_events(self) -> int:
        """How many events the run's history has."""
        return self._tally.history_events

    @property
    def signals(self) -> int:
        """How many signals the run got, of any name."""
        return self._tally.signals

    @property
    def updates(self) -> int:
        """How many updates the run accepted, of any name."""
        return self._tally.updates

    @property
    def run_began(self) -> datetime | None:
        """When the run began, by the server's clock; None if not known yet."""
        return self._tally.began

    @property
    def waiting_count(self) -> int:
        """How many batches are stored in history that no workflow task has handled yet."""
        return self._tally.waiting_count

    async def waiting(self, limit: int = 50) -> list[WaitingBatch]:
        """Return the batches that no workflow task has handled yet, oldest first.

        Malformed ones are left out here, but counted by `waiting_count`. Each is decoded once,
        when it is first looked at.

        Args:
            limit: How many of them to look at. Of more than 1,000 the oldest are not kept.

        Raises:
            CancelledError: Cancelled, while a codec decoded.
        """
        tally = self._tally
        batches = [await self._batch(tally, event) for event in [*islice(tally.waiting, limit)]]
        return [batch for batch in batches if batch is not None]

    async def start(self) -> StreamWatch:
        """Find the stream, and return this watch. `async with` does so, and so does the first read.

        Raises:
            StreamNotFoundError: There is no such workflow.
            RPCError: The server refuses us (permission denied, say).
            CancelledError: Cancelled; it can be started again.
        """
        if not self._closed:
            await self._join().source.is_found()
        return self

    def __aiter__(self) -> AsyncIterator[RunSnapshot]:
        return self

    async def __anext__(self) -> RunSnapshot:
        """Return what the stream's run is like, once something has happened since the last time.

        At first at once, when the run is known; then when its history was read to the end; then
        whenever events were written, work was done, the run rolled over, or trouble came or went.

        Raises:
            StopAsyncIteration: The run chain has closed (`status` says how), or this was closed.
            StreamNotFoundError: There is no such workflow.
            RPCError: The server refuses us (permission denied, say).
            RuntimeError: Another task is reading from this watch just now.
            CancelledError: Cancelled. Nothing is lost; the next call tells it.
        """
        if self._waits:
            raise RuntimeError("another task reads from this watch; open one for each task")
        self._waits = True
        try:
            return await self._next()
        finally:
            self._waits = False

    async def aclose(self) -> None:
        """Stop watching; the next `__anext__` ends the iteration. May be called again."""
        self._closed = True
        if self._leave is not None:
            self._leave()

    async def __aenter__(self) -> StreamWatch:
        """Start. Raises as `start` does."""
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _next(self) -> RunSnapshot:
        await self.start()
        while not self._closed:
            feed = self._join()
            over = feed.ended is not None or feed.over
            if self._seen < 0 or (feed.changes > self._seen and not over):
                self._seen = feed.changes
                return self._snapshot(feed)
            if over:
                await self._finish(feed)
            else:
                await feed.bell()
        await asyncio.sleep(0)  # who asks again and again still lets the others run
        raise StopAsyncIteration

    async def _finish(self, feed: Feed) -> None:
        await self.aclose()
        self._status = feed.ended
        if feed.ended is None and feed.failure is not None:
            raise feed.failure

    def _snapshot(self, feed: Feed) -> RunSnapshot:
        tally = feed.tally
        return RunSnapshot(
            feed.run_id or "",
            feed.caught_up,
            feed.source.progress,
            tally.history_events,
            tally.signals,
            tally.updates,
            tally.waiting_count,
            feed.trouble,
        )

    def _join(self) -> Feed:
        if self._feed is None:
            self._feed = self._open_feed()
            self._leave = self._feed.look_on(self)
        return self._feed

    @property
    def _tally(self) -> Tally:
        return self._feed.tally if self._feed else Tally()

    async def _batch(self, tally: Tally, event: HistoryEvent) -> WaitingBatch | None:
        """What is in a publish signal; None if it is malformed, or the codec cannot read it."""
        if event.event_id not in tally.decoded:
            payloads = event.workflow_execution_signaled_event_attributes.input.payloads
            batch = None
            with contextlib.suppress(Exception):
                it = parse_publish(await self._decode(payloads))
                topics = [entry.topic for entry in it.items]
                batch = WaitingBatch(it.publisher_id, it.sequence, topics)
            await asyncio.sleep(0)  # a large one takes milliseconds
            if event in tally.waiting:
                tally.decoded[event.event_id] = batch
            return batch
        known = tally.decoded[event.event_id]
        return known if isinstance(known, WaitingBatch) else None

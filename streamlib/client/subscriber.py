"""A subscription: an async iterator over a stream that stays open for as long as you want.

    behind the window  --> read a page for itself --> deliver, item by item
    in the window      --> take what is there     --> deliver
    at the end         --> wait for the feed
    closed and at the end --> stop, with the run's status

It pulls: nothing is queued for it but the page in hand. Cancelling a wait loses no item. Next:
`client.py`, where it is opened.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar

from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import PayloadConverter

from streamlib.client.feed import Feed
from streamlib.client.named import NamedReader
from streamlib.client.options import check_reading
from streamlib.core.cursor import Cursor
from streamlib.core.log import Item, Page
from streamlib.core.window import Seat
from streamlib.errors import (
    InvalidOffsetError,
    ItemDecodeError,
    MalformedInputError,
    OffsetTruncatedError,
    StreamChangedError,
    UnreadItemsError,
)
from streamlib.wire.shapes import WorkflowStreamItem

T = TypeVar("T")
R = TypeVar("R")

_opened: weakref.WeakValueDictionary[int, Subscription[Any]] = weakref.WeakValueDictionary()
_numbers = itertools.count()

_MOST_OFFSET = 2**63 - 1  # that the wire carries
_UPDATE_COOLDOWN = 0.1  # seconds between poll updates, each of which is written to history


@dataclass
class ReadCounts:
    """What a client's subscriptions have read so far, together."""

    reads: int = 0  # pages that they took, of their own or shared
    waits: int = 0  # times that one had all there was, and waited for more
    missed: int = 0  # offsets that were truncated before they were read


class Subscription(Generic[T]):
    """Reads one stream from one offset on, following it across roll-overs to its end.

    Invariants: offsets strictly increase; `position` never goes back; what was truncated before it
    was read is counted in `missed`. Ends when its workflow's run chain has closed and everything
    was delivered, or by `aclose`. One that is dropped costs nothing.

    Example:
        async with client.subscribe(["status"], result_type=StatusEvent) as items:
            async for item in items:
                print(item.offset, item.data)
        print(items.status)
    """

    def __init__(
        self,
        open_feed: Callable[[], Feed],
        converter: PayloadConverter,
        topics: list[str],
        from_offset: int | Literal["latest"],
        *,
        workflow_id: str,
        result_type: Any = None,
        poll_cooldown: timedelta | None = None,
        on_truncated: Literal["skip", "raise"] = "skip",
        stream_id: str | None = None,
        counts: ReadCounts | None = None,
        name: str | None = None,
        rewind: int | None = None,
    ) -> None:
        check_reading(poll_cooldown, on_truncated)
        self._workflow_id = workflow_id
        self._counts = counts or ReadCounts()
        self._open_feed = open_feed
        self._converter = converter
        self._names, self._topics = [*topics], frozenset(topics)
        self._latest = from_offset == "latest"
        self._cursor = Cursor(0 if from_offset == "latest" else _checked(from_offset))
        begins = None if self._latest else self.position
        # Who rewinds must have a name.
        self._named = NamedReader(name, begins, rewind) if (name, rewind) != (None, None) else None
        self._cursor = self._named.of(self) if self._named else self._cursor
        self._raise_on_gap = on_truncated == "raise"
        self._expected_id = stream_id
        self._result_type = result_type
        self._cooldown = poll_cooldown.total_seconds() if poll_cooldown is not None else None
        self._seat = Seat(self._cursor, self._topics)
        self._feed: Feed | None = None
        self._leave: Callable[[], None] | None = None
        self._page: deque[tuple[int, Item]] = deque()
        self._page_end, self._last_take = 0, 0.0
        self._closed = self._ended = self._told_unread = self._started = self._reading = False
        self._starting = asyncio.Lock()  # of two that start, the second finds it started
        self._status: WorkflowExecutionStatus | None = None
        _opened[next(_numbers)] = self

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that hosts the stream."""
        return self._workflow_id

    @property
    def topics(self) -> list[str]:
        """The topics it was opened for; an empty list for all."""
        return [*self._names]

    @property
    def name(self) -> str | None:
        """The name under which the stream keeps its position; None for a reader without one."""
        return self._named.name if self._named else None

    @property
    def committed(self) -> int | None:
        """Where it would resume: all before was handled, and told; None without a name."""
        return self._named.committed if self._named else None

    @property
    def closed(self) -> bool:
        """Whether it was closed by `aclose`, or by leaving `async with`. An end is no close."""
        return self._closed

    @property
    def position(self) -> int:
        """The next offset to read. Persist it (or `item.offset + 1`) to resume from there.

        A filtered subscription moves past others' items also while it waits.
        """
        return self._cursor.position

    @property
    def awaits_latest(self) -> bool:
        """Whether it begins at "latest" and has not started: where that is, its start will tell."""
        return self._latest and not self._started

    @property
    def lag(self) -> int:
        """How many offsets lie between `position` and the end, as last seen."""
        return max(0, self._feed.source.end_offset - self.position) if self._feed else 0

    @property
    def held(self) -> int:
        """How many items it holds already: they come next, also if they are truncated meanwhile."""
        return len(self._page)

    @property
    def held_to(self) -> int:
        """The offset after the last that it holds; `position` if it holds none."""
        return self._page_end if self._page else self.position

    @property
    def missed(self) -> int:
        """How many offsets were truncated before they were read, in all."""
        return self._cursor.missed

    @property
    def status(self) -> WorkflowExecutionStatus | None:
        """How the workflow ended, once everything was delivered; None before that."""
        return self._status

    @property
    def trouble(self) -> str | None:
        """Why nothing can be read just now (no worker, no server); None if all is well."""
        return self._feed.trouble if self._feed else None

    @property
    def stream_id(self) -> str | None:
        """The stream's id, known from the first item on. Save it beside an offset, to guard that.

        After the start it is known already where the workflow has never rolled over; elsewhere
        only the host can tell, so it is None until it has answered.
        """
        return self._feed.source.stream_id if self._feed else None

    async def start(self) -> Subscription[T]:
        """Start now, and return this subscription: find the stream, resolve "latest".

        `async with` does so, and so does the first read. Call it where the moment matters:
        "latest" means the end at this moment. Beside another start it waits for that one. A name
        whose workflow has closed is resumed too, but keeps nothing any more: `committed` stays.

        Raises:
            StreamNotFoundError: There is no such workflow; or, by name, it closed just now, or the
                handle names a run that has closed.
            StreamChangedError: It hosts another stream than the `stream_id` that was given.
            NamesUnsupportedError: It was opened by name, and the host knows none.
            TooManyReadersError: The name would be one more than the stream keeps.
            InvalidCommitError: The name would begin, or rewind to, beyond the end.
            NameLostError: Another one has joined under the name in this moment.
            CancelledError: Cancelled; it can be started again.
        """
        async with self._starting:
            if not (self._started or self._closed):
                await self._start(self._join())
        return self

    async def _start(self, feed: Feed) -> None:
        if not await self._while_open(feed, feed.source.is_found()):
            return
        if self._expected_id is not None:
            actual = await self._while_open(feed, feed.source.identify())
            if actual is None:
                return
            if self._expected_id != actual:
                await self.aclose()
                raise StreamChangedError(feed.workflow_id, self._expected_id, actual)
        if self._named is not None:
            assert self._leave is not None
            if not await self._named.join(feed, self._leave):  # closed meanwhile
                return
        elif self._latest:
            end = await self._while_open(feed, feed.source.latest())
            if end is None:
                return
            self._cursor.pass_over(end)
        self._started = True

    async def commit(self, position: int | None = None) -> None:
        """Tell the stream now that all before `position` was handled, and return when it knows.

        Not needed: it is told every five seconds, and at the close. It waits for its turn, and then
        asks the stream (one query) whether it knows.

        Args:
            position: None: all that was handled, which an item is when the next is asked for. The
                item in hand too: `item.offset + 1`.

        Raises:
            RuntimeError: It has no name, or has not started.
            InvalidCommitError: The position is before what was committed, or beyond what was read.
            NameLostError: Another reader has the name now: it was refused, and this one has ended.
            StreamUnavailableError: No answer, of the server or a worker. What the server did not
                take is told later.
            StreamNotFoundError: The workflow has closed, and takes no commits.
            StreamChangedError: The workflow hosts another log by now, which knows nothing of it.
            CancelledError: Cancelled; it is told later.
        """
        if self._named is None or self._feed is None:
            raise RuntimeError("only a subscription with a name commits, once it has started")
        await self._named.commit(self._feed, position)

    def __aiter__(self) -> AsyncIterator[WorkflowStreamItem[T]]:
        return self

    async def __anext__(self) -> WorkflowStreamItem[T]:
        """Return the next item; waits for it without limit, through outages and roll-overs.

        Raises:
            StopAsyncIteration: The run has closed and all was delivered, or this was closed.
            ItemDecodeError: The item cannot be decoded as asked. The next call goes on after it.
            OffsetTruncatedError: Items were truncated before they were read, and `on_truncated`
                is "raise". The next call goes on at the base.
            StreamNotFoundError: There is no such workflow.
            StreamChangedError: It hosts another stream than the `stream_id` that was given; or
                the log was replaced by another one (a retry, a cron schedule, a reset, a roll-over
                without its state), and all that the old one held was delivered. It has ended.
            UnreadItemsError: The workflow has closed, and its host cannot be asked for the rest.
            NotAStreamError: The workflow hosts no stream.
            NameLostError: Another reader has the name now. It has ended.
            RPCError: The server refuses us (permission denied, say).
            RuntimeError: Another task is reading from this subscription just now.
            CancelledError: Cancelled. No item is lost; the next call returns it.
        """
        if self._reading:
            raise RuntimeError("another task reads from this subscription; open one for each task")
        self._reading = True
        if self._named is not None:
            self._named.asks()
        try:
            while self._has_name() and not self._page:
                if not self._started:
                    await self.start()
                if self._closed or self._ended or not await self._fetch():
                    self._has_name()
                    await asyncio.sleep(0)  # who asks again and again still lets the others run
                    raise StopAsyncIteration
        finally:
            self._reading = False
            if self._named is not None:
                self._named.rests()
        offset, item = self._page.popleft()
        if self._named is not None:
            self._named.rests(offset)
        self._cursor.pass_over(offset + 1 if self._page else max(offset + 1, self._page_end))
        self._seat.idle = not self._page
        value = self._decode(offset, item)
        return WorkflowStreamItem(item.topic, value, offset, self._cursor.deliver(offset))

    async def aclose(self) -> None:
        """Stop reading; the next `__anext__` ends the iteration. May be called again."""
        self._closed = True
        self._page.clear()
        if self._leave is not None:
            self._leave()
        if self._named is not None:
            await self._named.close(self._feed)

    async def __aenter__(self) -> Subscription[T]:
        """Start. Raises as `start` does."""
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _has_name(self) -> bool:
        """Whether it may read on; raises, once, if another reader has its name."""
        if self._named is not None and not self._closed:
            try:
                self._named.check()
            except Exception:
                self._page.clear()
                self._ended = True
                raise
        return True

    async def _while_open(self, feed: Feed, doing: Coroutine[Any, Any, R]) -> R | None:
        """Wait for that; None if this is closed meanwhile, or has lost its name."""
        return await feed.newest.while_here(self._seat, doing)

    async def _fetch(self) -> bool:
        """Get a page, perhaps an empty one; False when there will be no other.

        Whether this was closed meanwhile, or has lost its name, looks who asked.
        """
        feed = self._join()
        newest = feed.newest
        if self._cooldown is not None or feed.source.by_update:
            await self._pace(feed)
        if newest.behind and newest.serves(self._seat):
            await self._while_open(feed, newest.catch_up())
        if newest.serves(self._seat) and newest.window is not None:
            self._take(newest.window.read(self._cursor.position, self._topics))
            if not self._page:
                if feed.over:
                    return await self._finish(feed)
                self._counts.waits += 1
                await newest.wait(self._seat)
            return True
        self._seat.idle = False
        position, mark, over = self._cursor.position, feed.source.progress, feed.status is not None
        answer = await self._while_open(feed, feed.source.read(self._topics, position))
        if answer is None:
            return True
        base = self._skip_gap(answer.base_offset, answer.page)
        self._take(answer.page)
        if self._raise_on_gap and 0 < position < base:
            raise OffsetTruncatedError(position, base)
        if feed.source.by_update:
            return bool(self._page) or not over or await self._finish(feed)
        if not answer.page.more_ready:
            # Not at `next_offset`: that is the question, if it was asked beyond the end.
            end = answer.end_offset
            newest.open(self._seat, answer.page.next_offset if end is None else end, mark)
        return True

    def _join(self) -> Feed:
        if self._feed is None:
            self._feed = self._open_feed()
            self._leave = self._feed.join(self, self._seat, self._cooldown or 0.0)
        return self._feed

    async def _pace(self, feed: Feed) -> None:
        """Keep a named cooldown between pages, and the default one between poll updates."""
        default = _UPDATE_COOLDOWN if feed.source.by_update else 0.0
        cooldown = default if self._cooldown is None else self._cooldown
        now = asyncio.get_running_loop().time()
        if cooldown and self._last_take + cooldown > now:
            pause = asyncio.sleep(self._last_take + cooldown - now)
            await self._while_open(feed, pause)

    def _skip_gap(self, base_offset: int | None, page: Page) -> int:
        """Note what was truncated, and return where the log begins, as far as can be told.

        A host that does not say its base offset (the peer's) shows a gap only to a reader of all
        topics, by the offset of the first item, or of the end: to others the items between may have
        been theirs or not.
        """
        if base_offset is None:
            first = page.items[0][0] if page.items else page.next_offset
            base_offset = 0 if self._topics else first
        before = self._cursor.missed
        self._cursor.skip_to(base_offset)
        self._counts.missed += self._cursor.missed - before
        return base_offset

    def _take(self, page: Page) -> None:
        self._counts.reads += bool(page.items)
        self._page.extend(page.items)
        self._page_end = page.next_offset
        self._seat.idle = not page.items
        if not page.items:
            self._cursor.pass_over(page.next_offset)
        if not page.more_ready:
            self._last_take = asyncio.get_running_loop().time()

    async def _finish(self, feed: Feed) -> bool:
        """Nothing more will come: raise what there is to say of that, each once, and end."""
        if feed.failure is not None:
            raise feed.failure
        if feed.source.by_update and feed.status is not None and not self._told_unread:
            position = self._cursor.position
            end = await self._while_open(feed, feed.source.end_of_closed())
            if self._closed:
                return False
            self._told_unread = True
            if end is None or end > position:
                raise UnreadItemsError(feed.workflow_id, position, end)
        self._ended = True
        if feed.replaced_by is not None and feed.status is not None:
            raise StreamChangedError(feed.workflow_id, str(self.stream_id), feed.replaced_by)
        self._status = feed.status
        return False

    def _decode(self, offset: int, item: Item) -> Any:
        payload: Payload | MalformedInputError = item.data
        if isinstance(payload, MalformedInputError):
            raise ItemDecodeError(offset, item.topic, payload.reason) from payload
        try:
            if self._result_type is None:
                return self._converter.from_payload(payload)
            return self._converter.from_payload(payload, self._result_type)
        except Exception as error:
            raise ItemDecodeError(offset, item.topic, f"{type(error).__name__}: {error}") from error


def _checked(from_offset: int) -> int:
    if type(from_offset) is int and from_offset > _MOST_OFFSET:
        raise InvalidOffsetError(from_offset)
    return from_offset  # the cursor checks the rest


def open_subscriptions(workflow_id: str) -> list[Subscription[Any]]:
    """Return this process's subscriptions to that workflow's stream, in the order of opening.

    For views. Holds those that somebody still refers to, also ones that have not started or have
    come to the stream's end; not the closed ones.
    """
    there = [reference() for reference in _opened.valuerefs()]
    return [s for s in there if s and s.workflow_id == workflow_id and not s.closed]

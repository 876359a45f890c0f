"""A reader's name: the position that is kept with the stream, and who may move it.

    probe   describe: does the host know names?     no -> raise, and nothing was sent
    join    signal, with a token                    then describe: is it ours? where does it stand?
    keep    while something happens: commit what was handled, and look whether the name is lost
    commit  told at once, and looked at at once: what is refused shows
    close   one last commit

Commits are signals, of which a run has 10,000: so there is one every five seconds at most, and one
at the close. While nothing happens nothing is sent, and nothing asked. Next: `subscriber.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.service import RPCError

from streamlib.client.feed import Feed
from streamlib.client.patience import patiently
from streamlib.core.cursor import Cursor
from streamlib.core.readers import MOST, Action, ReaderTold
from streamlib.errors import (
    InvalidCommitError,
    NameLostError,
    NamesUnsupportedError,
    NotAStreamError,
    StreamChangedError,
    StreamError,
    StreamNotFoundError,
    StreamUnavailableError,
    TooManyReadersError,
)
from streamlib.wire.describe import (
    DescribeInput,
    ReaderDescription,
    StreamDescription,
    parse_description,
)
from streamlib.wire.flow import check_name

R = TypeVar("R")
Ask = Callable[[Callable[[timedelta], Awaitable[Any]]], Awaitable[Any]]
"""How to ask: for as long as it takes, or not."""

COMMIT_EVERY = 5.0
"""Seconds between two commits of a reader, at least."""

LOOK_EVERY = 2.5
"""Seconds between two looks at what became of the name, at least; only if something happened."""

LAST_WORD = 2.0
"""Seconds for which a close waits for its commit."""

_REPLACED = "another reader has joined under this name"
_FORGOTTEN = "the stream has forgotten it, as nobody came for a long time"


class NamedReader:
    """Keeps one name for one subscription.

    Invariants: `committed` never goes back after the join; nothing is committed that was not
    handled: an item is when the next one is asked for. It holds no subscription: one that is
    dropped leaves its name where it was committed last.
    """

    def __init__(self, name: object, begins: int | None, rewind: int | None) -> None:
        """Take a name, and where it begins if it is new; None: at the end.

        Args:
            rewind: Where it begins, new or not; None: where it stood.

        Raises:
            InvalidReaderNameError: The name is empty, no string, or too long.
        """
        self.name = check_name(name)
        self.committed = 0
        self.failure: Exception | None = None  # why it is ours no longer
        self._begins, self._rewind = begins, rewind
        self._cursor = Cursor()
        self._token = uuid.uuid4().hex
        self._stream_id: str | None = None
        self._handled = 0
        self._asking = self._has_joined = self._told_failure = False
        self._leave: Callable[[], None] | None = None  # once it has joined
        self._sending = asyncio.Lock()
        self._last_commit = -COMMIT_EVERY
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    # What the subscription says.

    def of(self, subscription: object) -> Cursor:
        """Go when it goes. Return the cursor to read by, which moves to where the name stands."""
        weakref.finalize(subscription, self.stop).atexit = False
        return self._cursor

    async def join(self, feed: Feed, leave: Callable[[], None]) -> bool:
        """Take the name, and move the cursor to where it stands; False if it was closed meanwhile.

        A workflow that has closed takes nobody in, but can be read from there.

        Args:
            leave: Called when the name is lost.

        Raises:
            NamesUnsupportedError: The host knows no names. Nothing was sent.
            TooManyReadersError: It keeps as many as it can, and this would be one more.
            InvalidCommitError: It would begin beyond the end.
            NameLostError: Another one has joined in this moment.
            StreamChangedError: The workflow hosts another log by now than the one that is read.
            StreamNotFoundError: It closed just now; or the run that the handle names has.
        """
        joining = self._begin(self._join(feed))
        try:
            await asyncio.wait([joining])
        finally:
            joining.cancel()
        if joining.cancelled():
            return False
        self._handled = joining.result()
        self._cursor.pass_over(self._handled)
        if not self._has_joined:
            return True
        self.committed, self._leave = self._handled, leave
        self._begin(self._keep(feed))
        return True

    def asks(self) -> None:
        """The next item is asked for: what was delivered is handled."""
        self._handled, self._asking = self._cursor.position, True
        self._news.set()

    def rests(self, offset: int | None = None) -> None:
        """The asking has ended, with the item at an offset, or with none."""
        self._handled = self._cursor.position if offset is None else offset
        self._asking = False

    def check(self) -> None:
        """Raise why the name is lost, once, if it is."""
        if self.failure is not None and not self._told_failure:
            self._told_failure = True
            raise self.failure

    async def commit(self, feed: Feed, position: int | None) -> None:
        """Commit a position, when it is time for it, and see that the stream knows; None: all.

        The look is the answer: a query is answered when what was told before was heard. The server
        acknowledges also what the stream then refuses.

        Raises:
            InvalidCommitError: It is before what was committed, or beyond what was read.
            NameLostError: The name is ours no longer.
            StreamChangedError: The workflow hosts another log by now.
            StreamNotFoundError: It has closed.
        """
        if self.failure is not None:
            raise self.failure
        if not self._has_joined:
            raise StreamNotFoundError(feed.workflow_id, "it had closed, and takes no commits")
        if position is not None:
            self._handled = max(self._handled, self._that_can_be(position))
        async with self._sending:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self._last_commit + COMMIT_EVERY - now)
            await self._commit(feed)
        about = await self._describe(feed, patiently)
        if about.stream_id != self._stream_id:
            raise StreamChangedError(feed.workflow_id, str(self._stream_id), about.stream_id)
        try:
            self._look_at(about, feed.workflow_id)
        except NameLostError as error:
            self._lose(error)
            raise

    async def close(self, feed: Feed | None) -> None:
        """Commit what was handled, once, if that can be; it waits for no server that is gone."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if feed is not None and self._has_joined and self.failure is None:
            with contextlib.suppress(StreamError, RPCError, asyncio.TimeoutError):
                await asyncio.wait_for(self._commit(feed), LAST_WORD)

    def stop(self) -> None:
        """End what goes on in the background; from any thread."""
        for task in [*self._tasks]:
            with contextlib.suppress(RuntimeError):  # the loop is closed: so is the task
                task.get_loop().call_soon_threadsafe(task.cancel)

    # What goes on.

    async def _join(self, feed: Feed) -> int:
        about = await self._describe(feed, feed.ask)
        # A feed that has not heard of a reset, a retry or the next cron run reads the log before.
        if about.stream_id != (read := await feed.source.identify()):
            raise StreamChangedError(feed.workflow_id, read, about.stream_id)
        row, end = self._row(about), about.end_offset
        if row is None and len(about.readers or ()) >= MOST:
            raise TooManyReadersError(feed.workflow_id, self.name, MOST)
        begins = row.position if row else end if self._begins is None else self._begins
        wanted = begins if self._rewind is None else self._rewind
        asked: object = wanted  # it is anybody's
        if type(asked) is not int or not 0 <= wanted <= end:
            raise InvalidCommitError(self.name, asked, row.position if row else 0, end)
        self._stream_id = about.stream_id
        begins = min(begins, end)
        try:
            await self._tell(feed, "join", begins)
            if self._rewind is not None:
                await self._tell(feed, "rewind", wanted)
        except StreamNotFoundError as error:
            if feed.source.transport.pinned_run_id:  # the log may go on in the next run
                reason = "that run has closed, and takes no names: read it without one"
                raise StreamNotFoundError(feed.workflow_id, reason) from error
            self.committed = begins
            return wanted
        about = await self._describe(feed, feed.ask)
        row = self._row(about)
        if about.stream_id != self._stream_id:
            raise StreamChangedError(feed.workflow_id, self._stream_id, about.stream_id)
        if row is None and len(about.readers or ()) < MOST:
            raise StreamNotFoundError(feed.workflow_id, "it closed before it took the reader up")
        if row is None:
            raise TooManyReadersError(feed.workflow_id, self.name, MOST)
        if row.token != self._token:
            raise NameLostError(feed.workflow_id, self.name, _REPLACED)
        self._has_joined = True
        return row.position

    async def _keep(self, feed: Feed) -> None:
        """Commit, and look whether the name is lost, until it is, or the stream has ended."""
        feed.listeners.add(self._news.set)
        try:
            await self._commit_and_look(feed)
        except StreamNotFoundError:
            return  # it has closed: what is left of it can be read all the same
        except (StreamError, RPCError) as error:
            self._lose(error)
        finally:
            feed.listeners.discard(self._news.set)

    def _lose(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
            if self._leave is not None:
                self._leave()

    async def _commit_and_look(self, feed: Feed) -> None:
        loop, looked = asyncio.get_running_loop(), feed.source.progress
        while not feed.over:
            began = loop.time()
            try:
                if began >= self._last_commit + COMMIT_EVERY:
                    async with self._sending:
                        await self._commit(feed)
                if feed.source.progress != looked:
                    looked = feed.source.progress
                    self._look_at(await self._describe(feed, feed.ask), feed.workflow_id)
            except StreamUnavailableError:
                looked = -1  # once more
            await asyncio.sleep(began + LOOK_EVERY - loop.time())
            while self._is_idle(feed, looked):
                self._news.clear()
                await self._news.wait()

    def _is_idle(self, feed: Feed, looked: int) -> bool:
        return not (feed.over or feed.source.progress != looked or self._has_more)

    @property
    def _stands(self) -> int:
        """All before it was handled."""
        return self._cursor.position if self._asking else self._handled

    @property
    def _has_more(self) -> bool:
        """Whether there is something to commit."""
        return self._stands > self.committed

    def _that_can_be(self, position: object) -> int:
        end = self._cursor.position
        if type(position) is not int or not self.committed <= position <= end:
            raise InvalidCommitError(self.name, position, self.committed, end)
        return position

    async def _commit(self, feed: Feed) -> None:
        if self._has_more:
            position, self._last_commit = self._stands, asyncio.get_running_loop().time()
            await feed.source.transport.tell(self._told("commit", position))
            self.committed = max(self.committed, position)

    def _look_at(self, about: StreamDescription, workflow_id: str) -> None:
        """See whether the name is ours still. A log that was replaced is read to its end."""
        row = self._row(about)
        if about.stream_id == self._stream_id and (row is None or row.token != self._token):
            reason = _FORGOTTEN if row is None else _REPLACED
            raise NameLostError(workflow_id, self.name, reason)

    async def _tell(self, feed: Feed, action: Action, position: int) -> None:
        told = self._told(action, position)
        await feed.persist(lambda: feed.source.transport.tell(told))

    def _told(self, action: Action, position: int) -> dict[str, Any]:
        told = ReaderTold(action, self.name, self._token, position, self._stream_id)
        return told._asdict()

    async def _describe(self, feed: Feed, ask: Ask) -> StreamDescription:
        transport = feed.source.transport
        # The run that takes our signals, which may be newer than the one that is read just now.
        run_id, nothing = transport.pinned_run_id, DescribeInput()
        try:
            answer = await ask(lambda timeout: transport.describe(run_id, nothing, timeout))
        except NotAStreamError as error:
            raise NamesUnsupportedError(feed.workflow_id) from error
        about = parse_description(answer)
        if about.readers is None:
            raise NamesUnsupportedError(feed.workflow_id)
        return about

    def _row(self, about: StreamDescription) -> ReaderDescription | None:
        return next((row for row in about.readers or () if row.name == self.name), None)

    def _begin(self, doing: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        task = asyncio.ensure_future(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

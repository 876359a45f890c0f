"""The source: where a feed's log is read, whatever becomes of its runs.

    read(topics, offset) --> the newest run of the chain --> an answer of this log
                                 |
                                 it never began, or hosts another log: the run before it

By query, or by update where the host knows no query. Readers that ask the same share one answer.
Next: `newest.py`, which reads for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Hashable
from functools import partial
from typing import Any, TypeVar

from streamlib.client.follow import Chain, Run
from streamlib.client.patience import Patience
from streamlib.client.transport import (
    NeverBeganError,
    PollQueryMissingError,
    Transport,
    TruncatedDuringPollError,
)
from streamlib.core.log import Page
from streamlib.errors import NotAStreamError, StreamNotFoundError, StreamUnavailableError
from streamlib.wire.shapes import Answer

R = TypeVar("R")

BEYOND = 2**31 - 1
"""An offset beyond the end of any log: who asks from there is told of bounds, and gets no item."""


class Source:
    """Reads one stream, with patience.

    Invariants: every answer is of the log with `chain.stream_id`; `end_offset` never goes down.
    """

    def __init__(self, transport: Transport, patience: Patience) -> None:
        self.transport = transport
        self.chain: Chain | None = None  # None: not found yet
        self.failure: Exception | None = None  # why nothing more is to be had
        self.by_update = False
        self.stopped = False  # whether nobody reads any more, and never will
        self.closed = False  # whether nothing more will be appended
        self.progress = 0  # how often something happened: tells whether an answer may be old
        self.end_offset = 0  # the highest end seen
        self._patience = patience
        self._found = asyncio.Event()
        self._reads: dict[Hashable, asyncio.Task[Answer]] = {}

    def found(self, run: Run | None) -> None:
        """The stream's run is known now; None: it never will be."""
        self.chain = Chain(run) if run is not None else self.chain
        self._found.set()

    async def is_found(self) -> bool:
        """Return once it is known where the stream is; False if nobody looks for it any more.

        Raises:
            StreamNotFoundError: There is none.
        """
        await self._found.wait()
        if self.chain is None and self.failure is not None:
            raise self.failure
        return self.chain is not None

    @property
    def stream_id(self) -> str | None:
        """The log's id; None if not known yet."""
        return self.chain.stream_id if self.chain is not None else None

    async def identify(self) -> str:
        """Return the log's id; asks for it only if it is not known."""
        if self.stream_id is None:
            await self.read((), BEYOND)
        assert self.chain is not None
        return self.chain.identity

    async def latest(self) -> int:
        """Return the end offset as it is now."""
        answer = await self.read((), BEYOND)
        end = answer.end_offset
        if end is None:  # a host that does not say, or is not to be asked
            end = await self._patience.persist("read", self._offset)
        self.end_offset = max(self.end_offset, end)
        return end

    async def end_of_closed(self) -> int | None:
        """Return where the log of a closed run ended; None if it cannot say."""
        try:
            return await self._patience.persist("read", self._offset)
        except (NotAStreamError, StreamNotFoundError):
            return None

    async def read(self, topics: Collection[str], from_offset: int) -> Answer:
        """Return a page from the stream itself; readers that ask the same share one answer.

        Raises:
            StreamError, RPCError: What trying again does not mend.
        """
        if self.stopped:
            return _nothing(from_offset)
        # An answer to a query may be old when something has happened since; an update waits for it.
        key = (frozenset(topics), from_offset, None if self.by_update else self.progress)
        task = self._reads.get(key)
        if task is None:
            task = asyncio.create_task(self.read_alone(topics, from_offset))
            self._reads[key] = task
            task.add_done_callback(lambda done: self._read_is_over(key, done))
        await asyncio.wait([task])  # whoever asks may be cancelled; the others still get it
        return _nothing(from_offset) if task.cancelled() else task.result()

    async def read_alone(
        self, topics: Collection[str], from_offset: int, *, by_query: bool = False
    ) -> Answer:
        """Return a page, as `read` does, for one that nobody shares; perhaps only by query."""
        await self._found.wait()
        answer = await self._patience.persist(
            "read", lambda: self._ask(topics, from_offset, by_query)
        )
        self._patience.say("work", None)  # somebody has answered
        end = answer.end_offset
        if end is None:
            end = 0 if from_offset == BEYOND else answer.page.next_offset
        self.end_offset = max(self.end_offset, end)
        return answer

    def stop_reading(self) -> list[asyncio.Task[Any]]:
        """End all reading, and return what is being ended."""
        tasks: list[asyncio.Task[Any]] = [*self._reads.values()]
        for task in tasks:
            task.cancel()
        # Gone at once, though they take a moment to end: a reader that comes now shares none.
        self._reads = {}
        self._patience.say("read", None)
        return tasks

    def _read_is_over(self, key: Hashable, task: asyncio.Task[Answer]) -> None:
        if self._reads.get(key) is task:
            del self._reads[key]
        if not task.cancelled():
            task.exception()  # looked at, also when everyone who asked has gone

    async def _ask(self, topics: Collection[str], from_offset: int, by_query: bool) -> Answer:
        """Ask the newest run, and the one before it if that one cannot say."""
        while True:
            if self.failure is not None:
                raise self.failure
            assert self.chain is not None
            run_id = self.chain.newest
            try:
                answer = await self._query(run_id, topics, from_offset)
                if answer is None and not (by_query or self.closed or from_offset == BEYOND):
                    answer = await self._update(run_id, topics, from_offset)
            except NeverBeganError:
                before = await self._patience.hedged(
                    "read", partial(self.transport.run_before, run_id)
                )
                if not self.chain.never_began(run_id, before):
                    return _nothing(from_offset)
            else:
                if answer is None:  # an update does not reach a closed run, and waits for an item
                    return _nothing(from_offset)
                if self.chain.answered(run_id, answer.stream_id):
                    return answer
                self._patience.give_up_waiting()  # for a run that is none of ours

    async def _query(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer | None:
        """The query's answer; None if the host knows no such query."""
        if self.by_update:
            return None
        try:
            return await self._patience.hedged(
                "read", lambda timeout: self.transport.read(run_id, topics, from_offset, timeout)
            )
        except PollQueryMissingError:
            self.by_update = True
            return None

    async def _update(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer:
        """The update's answer, when there is something."""
        try:
            return await self.transport.poll(run_id, topics, from_offset)
        except TruncatedDuringPollError:
            return await self.transport.poll(run_id, topics, 0)
        except StreamNotFoundError as error:  # the run has ended; how, the follower is about to say
            raise StreamUnavailableError(error.workflow_id, error.detail) from error

    def _offset(self) -> Awaitable[int]:
        assert self.chain is not None
        run_id = self.chain.newest
        return self._patience.hedged("read", lambda timeout: self.transport.offset(run_id, timeout))


def _nothing(from_offset: int) -> Answer:
    """The answer where none is to be had."""
    return Answer(Page([], from_offset, False), None, None, None)

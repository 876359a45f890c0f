"""A `Transport` to the simulated server: what a client calls, over a network that may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.api.history.v1 import HistoryEvent

from streamlib.client.follow import Run
from streamlib.client.transport import (
    BatchRefusedError,
    NeverBeganError,
    PollQueryMissingError,
    TruncatedDuringPollError,
)
from streamlib.core.hosting import HostedStream
from streamlib.errors import NotAStreamError, StreamNotFoundError
from streamlib.wire.describe import DescribeInput, description_json
from streamlib.wire.encode import answer_json
from streamlib.wire.parse import parse_answer
from streamlib.wire.shapes import PUBLISH_SIGNAL, READER_SIGNAL, Answer
from tests.world.server import PAYLOAD_BYTES, WORKFLOW_ID, Server, SimRun, travels, value_of

T = TypeVar("T")

EMPTY_AFTER = 20.0
"""Seconds after which the server answers a wait for events with none."""


SEND_TIMEOUT = 5.0
"""Seconds after which a signal without an acknowledgement is given up, as the real one is."""

MOST_WAITS = 3
"""At once: one that hangs, one beside it, and one that is just given up."""


class SimTransport:
    """One client's way to the server."""

    def __init__(self, server: Server) -> None:
        self.workflow_id = WORKFLOW_ID
        self.pinned_run_id = ""
        self.server = server
        self.waits = 0  # for events, at this moment

    async def send(self, batch: dict[str, Any]) -> None:
        async def deliver() -> None:
            self.server.batches |= dict.fromkeys(values, values)
            if not self.server.signal(PUBLISH_SIGNAL, batch):
                raise StreamNotFoundError(WORKFLOW_ID, "workflow execution already completed")

        values = [value_of(item["data"]) for item in batch["items"]]
        size = travels(batch) * self.server.codec
        if size > PAYLOAD_BYTES or any("☠" in value for value in values):
            await asyncio.sleep(0.005)
            raise BatchRefusedError(f"{size:.0f} bytes, or poison")
        await self.server.call("send", deliver, SEND_TIMEOUT)

    async def resolve(self, run_id: str, timeout: timedelta) -> Run:
        async def describe() -> Run:
            run = self.server.find(run_id)
            return Run(run.run_id, run.first_run_id, len(run.events))

        return await self.server.call("resolve", describe, timeout.total_seconds())

    async def history(
        self, run_id: str, token: bytes, timeout: timedelta
    ) -> tuple[list[HistoryEvent], bytes]:
        seconds = timeout.total_seconds()

        async def page() -> tuple[list[HistoryEvent], bytes]:
            run, begin = self.server.find(run_id), int(token or b"0")
            until = self.server.now + min(EMPTY_AFTER, seconds - 1)
            while len(run.events) <= begin and not run.closed:
                if (left := until - self.server.now) < 0.001:
                    break
                await self.server.changed(left)
            events = run.events[begin : begin + 50]
            end = begin + len(events)
            over = run.closed and end == len(run.events)
            return events, b"" if over else str(end).encode()

        self.waits += 1
        if self.waits > MOST_WAITS:
            self.server.wrong.append(f"(16) {self.waits} waits for the same events")
        try:
            return await self.server.call("history", page, seconds)
        finally:
            self.waits -= 1

    async def run_before(self, run_id: str, timeout: timedelta) -> str | None:
        async def first() -> str | None:
            run = self.server.find(run_id)
            return run.before.run_id if run.before and run.attempt == 1 else None

        return await self.server.call("resolve", first, timeout.total_seconds())

    async def read(
        self, run_id: str, topics: Collection[str], from_offset: int, timeout: timedelta
    ) -> Answer:
        if not self.server.queries:
            raise PollQueryMissingError(WORKFLOW_ID)
        return await self._ask(run_id, self._answer(topics, from_offset), timeout)

    def _answer(
        self, topics: Collection[str], from_offset: int
    ) -> Callable[[SimRun, HostedStream], Answer]:
        def answer(run: SimRun, host: HostedStream) -> Answer:
            page = host.read(from_offset, list(topics))
            told = answer_json(page, host.log, self.server.log_id(run))
            size = travels(told) * self.server.codec
            if size > PAYLOAD_BYTES:
                self.server.wrong.append(f"readable: an answer of {size:.0f} bytes")
            return parse_answer(told)

        return answer

    async def describe(self, run_id: str, asked: DescribeInput, timeout: timedelta) -> Any:
        if not self.server.queries:
            raise NotAStreamError(WORKFLOW_ID, "no such query")

        def describe(run: SimRun, host: HostedStream) -> dict[str, Any]:
            log_id = self.server.log_id(run)
            return description_json(asked, host, stream_id=log_id, run_id=run.run_id)

        return await self._ask(run_id, describe, timeout)

    async def tell(self, reader: dict[str, Any]) -> None:
        async def deliver() -> None:
            if not self.server.signal(READER_SIGNAL, reader):
                raise StreamNotFoundError(WORKFLOW_ID, "workflow execution already completed")

        if not self.server.queries:
            self.server.wrong.append("(22) a host that knows no names was told of one")
        if reader["action"] == "commit":
            self.server.commits.setdefault(reader["token"], []).append(self.server.now)
        await self.server.call("tell", deliver, SEND_TIMEOUT)

    async def offset(self, run_id: str, timeout: timedelta) -> int:
        return await self._ask(run_id, lambda _, host: host.log.end_offset, timeout)

    async def poll(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer:
        async def wait() -> Answer:
            run = self.server.find(run_id)
            while True:
                if run.closed:
                    raise StreamNotFoundError(WORKFLOW_ID, "workflow execution already completed")
                if self.server.worker and not run.open_task:
                    host = self.server.host(run)
                    if 0 < from_offset < host.log.base_offset:
                        raise TruncatedDuringPollError
                    if host.may_answer(from_offset):
                        return self._answer(topics, from_offset)(run, host)
                await self.server.changed()

        return await self.server.call("poll", wait, 20.0)

    async def _ask(
        self, run_id: str, say: Callable[[SimRun, HostedStream], T], timeout: timedelta
    ) -> T:
        """A query: a worker answers it, after the task that is open."""

        async def ask() -> T:
            run = self.server.find(run_id)
            while not self.server.worker or (run.open_task and not run.closed):
                await self.server.changed()
            await asyncio.sleep(self.server.chance.uniform(0.001, 0.004))
            if run.closed and not run.began:
                raise NeverBeganError(WORKFLOW_ID, "closed before its first task")
            while not self.server.worker:
                await self.server.changed()
            return say(run, self.server.host(run))

        asked: Callable[[], Awaitable[T]] = ask
        return await self.server.call("query", asked, timeout.total_seconds())

"""Publishers and readers that note in a `History` what they did and saw."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from streamlib import Subscription, WorkflowStreamClient

from .history import History, Reading, Seen, Write


class Author:
    """Publishes unique values, a batch at a time, and notes what became of them."""

    def __init__(
        self, history: History, stream: WorkflowStreamClient, name: str, **about: Any
    ) -> None:
        self.history, self.stream, self.name, self.about = history, stream, name, about
        self._numbers = itertools.count()
        self._batches = itertools.count(1)
        self._open: list[Write] = []

    def publish(self, count: int = 1, *, topic: str = "t", batch: object = None) -> None:
        for _ in range(count):
            value = f"{self.name}-{next(self._numbers)}"
            about = {"topic": topic, "batch": batch, **self.about}
            self._open.append(self.history.invoke(self.name, value, **about))
            self.stream.topic(topic).publish(value)

    async def flush(self) -> None:
        """Flush, and note that what was published before is stored."""
        before = list(self._open)
        await self.stream.flush()
        self._note("ok", before)

    async def write_batch(self, count: int) -> None:
        """Publish a batch of its own: nothing may come between its items."""
        self.publish(count, batch=next(self._batches))
        await self.flush()

    async def write_until(self, done: Callable[[], bool], *, pause: float, count: int = 1) -> None:
        """Publish at a steady pace inside `async with`, which stores the rest."""
        async with self.stream:
            while not done():
                self.publish(count)
                await asyncio.sleep(pause)
        self._note("ok", list(self._open))

    def _note(self, outcome: Any, writes: list[Write]) -> None:
        for write in writes:
            write.outcome = outcome
            self._open.remove(write)


async def follow(reading: Reading, items: Subscription[Any], *, pause: float = 0.0) -> Reading:
    """Read to the end, and note every item; an error is noted too, and ends the reading."""
    try:
        async for item in items:
            reading.seen.append(Seen(item.offset, item.data, item.missed))
            if pause:
                await asyncio.sleep(pause)
    except Exception as error:
        reading.raised = f"{type(error).__name__}: {error}"
    reading.missed, reading.ended = items.missed, items.status
    return reading


def reader(
    history: History, stream: WorkflowStreamClient, name: str, topics: list[str] | None = None
) -> asyncio.Task[Reading]:
    """A reader in the background, from offset 0 to the end."""
    reading = history.reading(name, topics=frozenset(topics or []))
    return asyncio.create_task(follow(reading, stream.subscribe(topics)))


class Deaf:
    """A handle that delivers every signal and loses the acknowledgement of the first `times`."""

    def __init__(self, handle: WorkflowHandle[Any, Any], times: int) -> None:
        self.id, self.run_id = handle.id, None
        self.sent: list[dict[str, Any]] = []
        self._handle, self._times = handle, times

    async def signal(self, name: str, batch: dict[str, Any]) -> None:
        self.sent.append(batch)
        await self._handle.signal(name, batch)
        if len(self.sent) <= self._times:
            raise RPCError("connection reset", RPCStatusCode.UNAVAILABLE, b"")


class Steps:
    """Awaits something and counts how often it was woken before it was done."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.count = 0
        self._awaitable = awaitable

    def __await__(self) -> Any:
        steps = self._awaitable.__await__()
        with suppress(StopIteration):
            while True:
                future = next(steps)
                self.count += 1
                yield future

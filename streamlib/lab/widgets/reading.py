"""What a view does with subscriptions: open one, read with one, close its own.

The learner's own subscriptions are read from as a cell would, item by item; nothing is read twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from streamlib import (
    ItemDecodeError,
    OffsetTruncatedError,
    StreamError,
    Subscription,
    WorkflowStreamItem,
)
from streamlib.errors import shown
from streamlib.lab.widgets.asked import PATIENCE, Content, RefusedError, Say, patiently, whole
from streamlib.lab.widgets.observer import Observer

MOST_READ, MOST_A_SECOND = 100_000, 100
"""Items that one press reads, and that a second may bring, at most."""

SOON = 0.5
"""Seconds to wait for one more, when something was read already."""

Items = list[WorkflowStreamItem[Any]]


class Reading:
    """Reads with the subscriptions that `observer` shows."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._readers = observer.readers
        self._opened = 0
        self._pacing: dict[str, asyncio.Task[None]] = {}

    async def open(self, asked: Content, say: Say) -> str:
        """Open a subscription of the view's own."""
        begin = asked.get("from", 0)
        start: Any = "latest" if begin == "latest" else whole(asked, "from")
        how: Any = "raise" if asked.get("on_truncated") == "raise" else "skip"
        reader = self._observer.client.subscribe(from_offset=start, on_truncated=how)
        self._opened += 1
        raises = {True: " (raises after its first item)", False: " (raises)"}[start == 0]
        name = f"view {self._opened}{raises if how == 'raise' else ''}"
        self._readers.adopt(reader, name)
        self._observer.wake()
        await patiently(reader.start(), say, lambda: f"no answer yet. {self._observer.trouble()}")
        never = "; from 0 it means the oldest there is, and never raises before its first item"
        return (
            f"{name} is open at position {reader.position}; it reads when you press Read"
            f"{never if how == 'raise' and start == 0 else ''}"
        )

    async def read(self, asked: Content, say: Say) -> str:
        """Read some items, or all that are there; say what came, and what was missed."""
        reader = self._reader(asked)
        everything = bool(asked.get("all"))
        count = MOST_READ if everything else whole(asked, "count", 1, MOST_READ)
        got, error = await self._take(reader, count)
        if isinstance(error, StopAsyncIteration):
            ended = "the stream has ended, and everything was read"
            return f"{_told(got)}; {ended}" if got else ended
        if error is not None:
            raise RefusedError(f"{_told(got)}; then {_gone(error)}" if got else _gone(error))
        return _told(got) if got else self._nothing(reader)

    async def pace(self, asked: Content, say: Say) -> str:
        """Read so many items every second from now on; none: stop."""
        reader, key = self._reader(asked), str(asked.get("reader"))
        rate = whole(asked, "rate", 0, MOST_A_SECOND)
        if task := self._pacing.pop(key, None):
            task.cancel()
        self._readers.paces.pop(key, None)
        if not rate:
            return "stopped reading"
        self._readers.paces[key] = rate
        self._pacing[key] = asyncio.create_task(self._keep_reading(reader, key, rate))
        return f"reading {rate} a second, until you stop it"

    async def close(self, asked: Content, say: Say) -> str:
        """Close a subscription of the view's own."""
        reader = self._reader(asked)
        if not self._readers.disown(reader):
            raise RefusedError("a cell opened it: `await reader.aclose()` there closes it")
        await reader.aclose()
        return "closed"

    def stop(self) -> None:
        """End what goes on by itself."""
        for task in self._pacing.values():
            task.cancel()
        self._readers.paces.clear()

    async def _keep_reading(self, reader: Subscription[Any], key: str, rate: int) -> None:
        """Errors of single items are passed over: the view counts what was missed."""
        error: Exception | None = None
        try:
            while not isinstance(error, StopAsyncIteration):
                _, error = await self._take(reader, rate, SOON)
                await asyncio.sleep(1.0)
        except (RuntimeError, StreamError):
            pass  # a cell reads with it now, or the stream is gone
        self._readers.paces.pop(key, None)

    async def _take(
        self, reader: Subscription[Any], count: int, patience: float = PATIENCE
    ) -> tuple[Items, Exception | None]:
        """Up to `count` items, and what came instead of the next one."""
        got: Items = []
        while len(got) < count:
            try:
                got.append(await asyncio.wait_for(anext(reader), SOON if got else patience))
            except asyncio.TimeoutError:
                break
            except (StopAsyncIteration, OffsetTruncatedError, ItemDecodeError) as error:
                return got, error
            if not reader.held and reader.lag == 0:
                break  # all that is there: nobody waits for more
        return got, None

    def _nothing(self, reader: Subscription[Any]) -> str:
        if trouble := reader.trouble or self._observer.trouble():
            lag = self._readers.row(reader, self._observer.seen).lag
            raise RefusedError(f"{lag} to read, and nobody answers: {trouble}")
        return f"nothing to read: position {reader.position}, lag {reader.lag}"

    def _reader(self, asked: Content) -> Subscription[Any]:
        reader = self._readers.find(str(asked.get("reader")))
        if reader is None:
            raise RefusedError("that subscription is closed, or no longer there")
        return reader


def _told(got: Items) -> str:
    missed = sum(item.missed for item in got)
    gap = f", {missed} missed before {'it' if len(got) == 1 else 'them'}" if missed else ""
    if len(got) == 1:
        return f"offset {got[0].offset}: {shown(got[0].data)}{gap}"
    return f"{len(got):,} items, offsets {got[0].offset} to {got[-1].offset}{gap}"


def _gone(error: Exception) -> str:
    if isinstance(error, OffsetTruncatedError):
        gone = f"{error.from_offset} to {error.base_offset - 1}"
        return (
            f"raised: {gone} were truncated before they were read; the next read goes on at "
            f"{error.base_offset}"
        )
    return str(error)

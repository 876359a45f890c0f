"""What the browser does not hold: pages of items, and the items' values.

Values are read like any other, by query, through subscriptions that no view shows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import RPCError
from temporalio.common import RawValue

from streamlib import ItemDescription, StreamError, Subscription, WorkflowStreamItem
from streamlib.lab.widgets.asked import PATIENCE, Buffers, Content, whole
from streamlib.lab.widgets.frame import names_of, page
from streamlib.lab.widgets.names import legible, shortened, visible
from streamlib.lab.widgets.observer import Observer
from streamlib.wire.describe import MAX_ROWS

PAGES_APART = 0.13
"""Seconds between two pages of items, at least."""

VALUE_LENGTH, SHORT_LENGTH = 4_000, 120
"""Characters of a value that are shown by itself; in a row of many."""

MOST_VALUES = 256
"""Values that one answer holds."""


class Values:
    """Answers what browsers ask about the items of the stream that `observer` watches."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._client = observer.client
        converter = self._client.temporal_client.data_converter.payload_converter
        self._decode: Callable[[Payload], Any] = converter.from_payload
        self._next_page = 0.0

    async def range(self, asked: Content) -> tuple[Content, Buffers]:
        """A page of items, without their values."""
        first, count = whole(asked, "first"), min(whole(asked, "count", 1), MAX_ROWS)
        seen = self._observer.seen
        await self._pace()
        try:
            about = await self._client.describe(from_offset=first, items=count)
        except (StreamError, RPCError):
            empty, buffers = page([], seen.topics, seen.ids)
            bounds = {"epoch": seen.epoch, "first": first, "base": 0, "end": 0}
            return {**empty, **names_of(seen), **bounds}, buffers
        columns, buffers = page(about.items, seen.topics, seen.ids)
        bounds = {"epoch": seen.epoch, "base": about.base_offset, "end": about.end_offset}
        return {**bounds, **columns, **names_of(seen)}, buffers

    async def values(self, asked: Content) -> Content:
        """The values of consecutive items, shortened: `[offset, in a row, as running text]`."""
        first = whole(asked, "first")
        count = min(whole(asked, "count", 1), MOST_VALUES)
        end = min(first + count, self._end())
        rows: list[list[Any]] = []
        reader = self._open(first)
        with suppress(StreamError, RPCError, asyncio.TimeoutError, StopAsyncIteration):
            async with reader:
                while reader.position < end:
                    item = await asyncio.wait_for(anext(reader), PATIENCE)
                    rows.append([item.offset, *in_a_row(item.data.payload, self._decode)])
        return {"epoch": self._observer.seen.epoch, "values": rows}

    async def item(self, asked: Content) -> Content:
        """One item with its value."""
        offset = whole(asked, "offset")
        found: Content = {"offset": offset, "found": False, "error": ""}
        try:
            item = await asyncio.wait_for(self._peek(offset), PATIENCE)
        except asyncio.TimeoutError:
            trouble = self._observer.trouble()
            return {**found, "error": f"no answer within {PATIENCE:.0f} s. {trouble}".strip()}
        except (StreamError, RPCError, StopAsyncIteration) as error:
            return {**found, "error": str(error) or "the log has no such item"}
        if item.offset != offset:
            return {**found, "error": f"offset {offset} is no longer in the log"}
        about = await self._about(offset)
        whose = about.publisher_id if about else None
        return {
            **found,
            "found": True,
            "topic": shortened(visible(item.topic), 200),
            "size": about.size if about else item.data.payload.ByteSize(),
            **value_of(item.data.payload, self._decode),
            "publisher": shortened(visible(whose), 200) if whose else None,
            "name": self._observer.seen.names.get(whose or ""),
            "sequence": about.sequence if about else None,
        }

    def _end(self) -> int:
        seen = self._observer.seen
        return seen.description.end_offset if seen.description else seen.undescribed_end or 0

    def _open(self, offset: int) -> Subscription[RawValue]:
        reader = self._client.subscribe(from_offset=offset, result_type=RawValue)
        self._observer.readers.hidden.add(reader)
        return reader

    async def _peek(self, offset: int) -> WorkflowStreamItem[RawValue]:
        async with self._open(offset) as reader:
            return await anext(reader)

    async def _about(self, offset: int) -> ItemDescription | None:
        """What the stream says of one item; None where it does not, or no longer."""
        with suppress(StreamError, RPCError):
            rows = (await self._client.describe(from_offset=offset, items=1)).items
            return rows[0] if rows and rows[0].offset == offset else None
        return None

    async def _pace(self) -> None:
        """Keep pages apart: with the frames between them, a view gets 20 messages a second."""
        now = asyncio.get_running_loop().time()
        self._next_page = max(now, self._next_page) + PAGES_APART
        await asyncio.sleep(max(0.0, self._next_page - PAGES_APART - now))


def value_of(payload: Payload, decode: Callable[[Payload], Any]) -> Content:
    """An item's value as text, with how it was encoded; never fails, and never very long."""
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    kind, value = _decoded(payload, decode)
    text = value if isinstance(value, str) else _as_json(value, 2)
    cut = len(text) > VALUE_LENGTH
    return {
        "encoding": shortened(encoding),
        "type": kind,
        "text": legible(text[:VALUE_LENGTH]),
        "cut": cut,
    }


def in_a_row(payload: Payload, decode: Callable[[Payload], Any]) -> tuple[str, str | None]:
    """A value in one short line; and the text that it is, or carries in a field `text`."""
    _, value = _decoded(payload, decode)
    text = value.get("text") if isinstance(value, dict) else value
    running = legible(text[:VALUE_LENGTH]) if isinstance(text, str) else None
    line = value if isinstance(value, str) else _as_json(value, None)
    return shortened(visible(line), SHORT_LENGTH), running


def _decoded(payload: Payload, decode: Callable[[Payload], Any]) -> tuple[str, Any]:
    try:
        value = decode(payload)
    except Exception as error:
        raw = payload.data[:VALUE_LENGTH]
        return "undecodable", f"(cannot be decoded: {type(error).__name__})\n{raw!r}"
    return type(value).__name__, value


def _as_json(value: Any, indent: int | None) -> str:
    with suppress(TypeError, ValueError, RecursionError):
        return json.dumps(value, indent=indent, ensure_ascii=False)
    return repr(value)

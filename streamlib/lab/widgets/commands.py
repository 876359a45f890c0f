"""What a view's buttons do: real calls on the real stream, each answered by one sentence.

    truncate   the workflow's own update                 publish   this view's own publisher
    open, read, close   the learner's subscriptions      part      the lab's processes
    range, item   what the browser does not hold yet

A command never raises to its caller's caller: what goes wrong is the answer. Knows no widget.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import RPCError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.service import RPCStatusCode

from streamlib import (
    ItemDecodeError,
    ItemDescription,
    OffsetTruncatedError,
    StreamError,
    Subscription,
    WorkflowStreamClient,
    WorkflowStreamItem,
)
from streamlib.errors import shown
from streamlib.lab.errors import LabError
from streamlib.lab.machine import server, workers
from streamlib.lab.widgets.frame import page, shortened
from streamlib.lab.widgets.observer import Observer
from streamlib.wire.describe import MAX_ROWS

PATIENCE = 5.0
"""Seconds that a button waits for an answer."""

MOST_READ, MOST_PUBLISHED = 1_000, 10_000
"""Items that one press reads, or publishes, at most."""

PAGES_APART = 0.13
"""Seconds between two pages of items, at least."""

VALUE_LENGTH = 4_000
"""Characters of a value that are shown."""

Content = dict[str, Any]
Buffers = list[bytes]


class RefusedError(Exception):
    """A command that cannot be carried out; says why in a sentence."""


class LossyHandle:
    """A workflow handle that can lose an acknowledgement: the signal arrives, the answer does not.

    What a network does now and then, on demand. The client takes it for an outage and sends the
    same batch again, and the stream must notice.
    """

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.id = handle.id
        self.run_id = handle.run_id
        self.lose_next = False
        self._handle = handle

    async def signal(self, *args: Any, **kwargs: Any) -> None:
        """Signal; then, once if asked to, fail as if no answer had come."""
        await self._handle.signal(*args, **kwargs)
        if self.lose_next:
            self.lose_next = False
            raise RPCError("the acknowledgement was lost", RPCStatusCode.UNAVAILABLE, b"")


@dataclass
class _Publisher:
    """The view's own publisher, and the way to trouble it."""

    client: WorkflowStreamClient
    handle: LossyHandle


class Commands:
    """Carries out what the browser asks for, on the stream that `observer` watches."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._client = observer.client
        self._temporal = self._client.temporal_client
        self._handle = self._temporal.get_workflow_handle(self._client.workflow_id)
        self._publishing: _Publisher | None = None
        self._opened = 0
        self._next_page = 0.0
        self._do: dict[str, Callable[[Content], Coroutine[Any, Any, str]]] = {
            "truncate": self._truncate,
            "publish": self._publish,
            "open": self._open,
            "read": self._read,
            "close": self._close,
            "part": self._part,
        }

    async def answer(self, asked: Content) -> tuple[Content, Buffers]:
        """Carry out one command and return its answer; raises nothing but CancelledError."""
        kind, number = asked.get("kind"), asked.get("id")
        try:
            if kind == "range":
                about, buffers = await self._range(asked)
                return {"kind": "range", "id": number, **about}, buffers
            if kind == "item":
                return {"kind": "item", "id": number, **await self._item(asked)}, []
            text = await self._do[str(kind)](asked)
            return {"kind": "done", "id": number, "ok": True, "text": text}, []
        except KeyError:
            text = f"this view knows no command {kind!r}"
        except WorkflowUpdateFailedError as error:
            text = f"the workflow refused: {error.cause}"
        except (TimeoutError, asyncio.TimeoutError):
            text = f"no answer within {PATIENCE:.0f} s: does the worker run?"
        except (RefusedError, StreamError, LabError, RPCError, RuntimeError, ValueError) as error:
            text = str(error)
        finally:
            if kind not in ("range", "item"):  # they look, and change nothing
                self._observer.wake()
        return {"kind": "done", "id": number, "ok": False, "text": text}, []

    async def _range(self, asked: Content) -> tuple[Content, Buffers]:
        first, count = _whole(asked, "first"), min(_whole(asked, "count", 1), MAX_ROWS)
        seen = self._observer.seen
        await self._pace()
        try:
            about = await self._client.describe(from_offset=first, items=count)
        except (StreamError, RPCError):
            empty, buffers = page([], seen.topics, seen.ids)
            return {**empty, "epoch": seen.epoch, "first": first, "base": 0, "end": 0}, buffers
        columns, buffers = page(about.items, seen.topics, seen.ids)
        bounds = {"epoch": seen.epoch, "base": about.base_offset, "end": about.end_offset}
        return {**bounds, **columns}, buffers

    async def _pace(self) -> None:
        """Keep pages apart: with the frames between them, a view gets 20 messages a second."""
        now = asyncio.get_running_loop().time()
        self._next_page = max(now, self._next_page) + PAGES_APART
        await asyncio.sleep(max(0.0, self._next_page - PAGES_APART - now))

    async def _item(self, asked: Content) -> Content:
        """One item with its value; read like any other, by query."""
        offset = _whole(asked, "offset")
        found: Content = {"offset": offset, "found": False, "error": ""}
        try:
            item = await asyncio.wait_for(self._peek(offset), PATIENCE)
        except (StreamError, RPCError, asyncio.TimeoutError, StopAsyncIteration) as error:
            return {**found, "error": str(error) or "nothing was read in time"}
        if item.offset != offset:
            return {**found, "error": f"offset {offset} is no longer in the log"}
        about = await self._about(offset)
        converter = self._temporal.data_converter.payload_converter
        return {
            **found,
            "found": True,
            "topic": shortened(item.topic, 200),
            "size": about.size if about else item.data.payload.ByteSize(),
            **value_of(item.data.payload, converter.from_payload),
            "publisher": shortened(about.publisher_id, 200)
            if about and about.publisher_id
            else None,
            "sequence": about.sequence if about else None,
        }

    async def _about(self, offset: int) -> ItemDescription | None:
        """What the stream says of one item; None where it does not, or no longer."""
        with suppress(StreamError, RPCError):
            rows = (await self._client.describe(from_offset=offset, items=1)).items
            return rows[0] if rows and rows[0].offset == offset else None
        return None

    async def _peek(self, offset: int) -> WorkflowStreamItem[RawValue]:
        reader = self._client.subscribe(from_offset=offset, result_type=RawValue)
        self._observer.hidden.add(reader)
        async with reader:
            return await anext(reader)

    async def _truncate(self, asked: Content) -> str:
        up_to = _whole(asked, "up_to")
        if why := self._observer.seen.no_truncate:
            raise RefusedError(why)
        await self._handle.execute_update("truncate", up_to, rpc_timeout=_PATIENCE)
        return f"truncated: offset {up_to} is now the oldest that the log can hold"

    async def _publish(self, asked: Content) -> str:
        topic, text = str(asked.get("topic", "")), str(asked.get("text", ""))
        count = min(_whole(asked, "count", 1), MOST_PUBLISHED)
        publisher = self._publisher()
        publisher.handle.lose_next = bool(asked.get("lose_ack"))
        for number in range(count):
            publisher.client.topic(topic).publish(f"{text} {number + 1}" if count > 1 else text)
        self._observer.wake()
        flushing = asyncio.ensure_future(publisher.client.flush())
        done, _ = await asyncio.wait([flushing], timeout=PATIENCE)
        if not done:  # it goes on: the client rides an outage out
            flushing.add_done_callback(_looked_at)
            return "not acknowledged yet: the client keeps trying"
        flushing.result()
        what = f"{count} items" if count > 1 else "1 item"
        if asked.get("lose_ack"):
            return f"{what} stored; the acknowledgement was lost, so the batch was sent twice"
        return f"{what} stored"

    def _publisher(self) -> _Publisher:
        if self._publishing is None:
            handle = LossyHandle(self._handle)
            client = WorkflowStreamClient(handle, client=self._temporal)  # type: ignore[arg-type]
            self._publishing = _Publisher(client, handle)
        return self._publishing

    async def _open(self, asked: Content) -> str:
        begin = asked.get("from", 0)
        start: Any = "latest" if begin == "latest" else _whole(asked, "from")
        how: Any = "raise" if asked.get("on_truncated") == "raise" else "skip"
        reader = self._client.subscribe(from_offset=start, on_truncated=how)
        self._opened += 1
        name = f"view {self._opened}" + (" (raises)" if how == "raise" else "")
        self._observer.adopt(reader, name)
        await asyncio.wait_for(reader.start(), PATIENCE)
        return f"{name} is open at position {reader.position}; it reads when you press Read"

    async def _read(self, asked: Content) -> str:
        reader = self._reader(asked)
        count = min(_whole(asked, "count", 1), MOST_READ)
        got: list[WorkflowStreamItem[Any]] = []
        try:
            while len(got) < count:
                got.append(await _next(reader, PATIENCE if not got else 0.5))
        except asyncio.TimeoutError:
            pass
        except StopAsyncIteration:
            if not got:
                return "the stream has ended, and everything was read"
        except OffsetTruncatedError as error:
            gone = f"{error.from_offset} to {error.base_offset - 1}"
            raise RefusedError(
                f"raised: {gone} were truncated before they were read; the next read goes on at "
                f"{error.base_offset}"
            ) from error
        except ItemDecodeError as error:
            raise RefusedError(str(error)) from error
        if not got:
            return f"nothing to read: position {reader.position}, lag {reader.lag}"
        missed = sum(item.missed for item in got)
        gap = f", {missed} missed before {'it' if len(got) == 1 else 'them'}" if missed else ""
        if len(got) == 1:
            return f"offset {got[0].offset}: {shown(got[0].data)}{gap}"
        return f"{len(got)} items, offsets {got[0].offset} to {got[-1].offset}{gap}"

    async def _close(self, asked: Content) -> str:
        reader = self._reader(asked)
        if not self._observer.disown(reader):
            raise RefusedError("a cell opened it: `await reader.aclose()` there closes it")
        await reader.aclose()
        return "closed"

    def _reader(self, asked: Content) -> Subscription[Any]:
        reader = self._observer.reader(str(asked.get("reader")))
        if reader is None:
            raise RefusedError("that subscription is closed, or no longer there")
        return reader

    async def _part(self, asked: Content) -> str:
        name, action = str(asked.get("name")), str(asked.get("action"))
        part = next((each for each in self._observer.seen.parts if each.name == name), None)
        if part is None or action not in part.actions:
            raise RefusedError(f"{name} cannot be asked to {action} now")
        thing = server.last() if part.kind == "server" else await workers.status(name)
        if thing is None:
            raise RefusedError(f"{name} is no longer there")
        if action == "restart" and part.kind == "server":
            if part.state != "dead":
                await server.Server.kill(thing)  # type: ignore[arg-type]
            await server.start(say=_silent)
        else:
            await getattr(thing, action)()
        return f"{name}: {_DONE[action]}"


_DONE = {
    "kill": "killed, as a crash would",
    "pause": "paused; it holds what it holds",
    "resume": "goes on",
    "restart": "started again",
}
_PATIENCE = timedelta(seconds=PATIENCE)


def value_of(payload: Payload, decode: Callable[[Payload], Any]) -> Content:
    """An item's value as text, with how it was encoded; never fails, and never very long."""
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    try:
        value = decode(payload)
    except Exception as error:
        text = f"(cannot be decoded: {type(error).__name__})\n{payload.data[:VALUE_LENGTH]!r}"
        kind = "undecodable"
    else:
        kind = type(value).__name__
        text = value if isinstance(value, str) else _as_json(value)
    cut = len(text) > VALUE_LENGTH
    return {
        "encoding": shortened(encoding),
        "type": kind,
        "text": text[:VALUE_LENGTH],
        "cut": cut,
    }


def _as_json(value: Any) -> str:
    with suppress(TypeError, ValueError, RecursionError):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return repr(value)


async def _next(reader: Subscription[Any], seconds: float) -> WorkflowStreamItem[Any]:
    return await asyncio.wait_for(reader.__anext__(), seconds)


def _whole(asked: Content, name: str, least: int = 0) -> int:
    value = asked.get(name, least)
    if type(value) is not int or value < least:
        raise RefusedError(f"{name} must be a whole number from {least} on")
    return value


def _looked_at(task: asyncio.Future[None]) -> None:
    """A background flush that failed has told the client, which says so at its next call."""
    if not task.cancelled():
        task.exception()


def _silent(_: str) -> None:
    pass

"""What a view's buttons do: real calls on the real stream, each answered by one sentence.

    truncate               the workflow's own update             here
    part                   the lab's processes                   here
    publish, publish_pace  this view's own publisher             publishing.py
    open, read, pace, close  the learner's subscriptions         reading.py
    range, item, values    what the browser does not hold yet    values.py

A command never raises to its caller's caller: what goes wrong is the answer. One that takes long
says so after five seconds, and says the outcome when it is there. Knows no widget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio.client import RPCError, WorkflowUpdateFailedError

from streamlib import StreamError
from streamlib.lab.errors import LabError
from streamlib.lab.machine import server, workers
from streamlib.lab.widgets.asked import Buffers, Content, RefusedError, Say, patiently, whole
from streamlib.lab.widgets.observer import Observer
from streamlib.lab.widgets.publishing import Publishing
from streamlib.lab.widgets.reading import Reading
from streamlib.lab.widgets.values import Values

SEEN_TO = 1.0
"""Seconds that an update may take to answer after its effect was seen."""

LOOKS = ("range", "item", "values")
"""They look, and change nothing."""


class Commands:
    """Carries out what the browser asks for, on the stream that `observer` watches."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        client = observer.client
        self._handle = client.temporal_client.get_workflow_handle(client.workflow_id)
        self._values = Values(observer)
        self._reading = reading = Reading(observer)
        self._publishing = publishing = Publishing(observer)
        self._do: dict[str, Callable[[Content, Say], Coroutine[Any, Any, str]]] = {
            "truncate": self._truncate,
            "retain": self._retain,
            "part": self._part,
            "publish": publishing.publish,
            "publish_pace": publishing.pace,
            "open": reading.open,
            "read": reading.read,
            "pace": reading.pace,
            "close": reading.close,
        }

    def stop(self) -> None:
        """End what goes on by itself."""
        self._reading.stop()
        self._publishing.stop()

    async def answer(self, asked: Content, say: Say) -> tuple[Content, Buffers]:
        """Carry out one command and return its answer; raises nothing but CancelledError.

        Args:
            asked: What, by `kind`; an `id` that the answer repeats.
            say: Tells a word before the outcome.
        """
        kind, number = asked.get("kind"), asked.get("id")
        try:
            if kind in LOOKS:
                about, buffers = await self._look(kind, asked)
                return {"kind": kind, "id": number, **about}, buffers
            if kind not in self._do:
                raise RefusedError(f"this view knows no command {kind!r}")
            text = await self._do[str(kind)](asked, say)
            return {"kind": "done", "id": number, "ok": True, "text": text}, []
        except Exception as error:
            return {"kind": "done", "id": number, "ok": False, "text": said(error)}, []
        finally:
            if kind not in LOOKS:
                self._observer.wake()

    async def _look(self, kind: str, asked: Content) -> tuple[Content, Buffers]:
        if kind == "range":
            return await self._values.range(asked)
        look = self._values.item if kind == "item" else self._values.values
        return await look(asked), []

    async def _truncate(self, asked: Content, say: Say) -> str:
        up_to = whole(asked, "up_to")
        if why := self._observer.seen.no_truncate:
            raise RefusedError(why)
        update = asyncio.ensure_future(self._handle.execute_update("truncate", up_to))
        seen = asyncio.ensure_future(self._until_base(up_to))
        try:
            await patiently(
                asyncio.wait([update, seen], return_when=asyncio.FIRST_COMPLETED),
                say,
                lambda: f"no answer yet: it waits for a worker. {self._observer.trouble()}",
            )
            if not update.done():  # the server may tell so much later
                await asyncio.wait([update], timeout=SEEN_TO)
            if update.done():
                await update
        finally:
            update.cancel()
            seen.cancel()
        return f"truncated: offset {up_to} is now the oldest that the log can hold"

    async def _retain(self, asked: Content, say: Say) -> str:
        most = whole(asked, "max_items")
        if not self._observer.seen.can_retain:
            raise RefusedError("this workflow takes no update `retain`")
        await patiently(
            self._handle.execute_update("retain", most or None),
            say,
            lambda: f"no answer yet: it waits for a worker. {self._observer.trouble()}",
        )
        return f"from now on it keeps the last {most:,} items" if most else "it keeps everything"

    async def _until_base(self, up_to: int) -> None:
        while (about := self._observer.seen.description) is None or about.base_offset < up_to:
            await asyncio.sleep(0.1)

    async def _part(self, asked: Content, say: Say) -> str:
        name, action = str(asked.get("name")), str(asked.get("action"))
        part = next((each for each in self._observer.seen.parts if each.name == name), None)
        if part is None or action not in part.actions:
            raise RefusedError(f"{name} cannot be asked to {action} now")
        thing = server.last() if part.kind == "server" else await workers.status(name)
        if thing is None:
            raise RefusedError(f"{name} is no longer there")
        await patiently(_act(thing, action), say, lambda: "it takes its time")
        return f"{name}: {_DONE[action]}"


async def _act(thing: server.Server | workers.Worker, action: str) -> None:
    if action == "restart" and isinstance(thing, server.Server):
        if thing.alive:
            await thing.kill()
        await server.start(say=_silent)
    else:
        await getattr(thing, action)()


_DONE = {
    "kill": "killed, as a crash would",
    "pause": "paused; it holds what it holds",
    "resume": "goes on",
    "restart": "started again",
}


def said(error: Exception) -> str:
    """What went wrong, in a sentence."""
    if isinstance(error, WorkflowUpdateFailedError):
        return f"the workflow refused: {error.cause}"
    ours = (RefusedError, StreamError, LabError, RPCError, RuntimeError, ValueError)
    return str(error) if isinstance(error, ours) else f"{type(error).__name__}: {error}"


def _silent(_: str) -> None:
    pass

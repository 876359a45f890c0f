"""What checks are made of: a verdict, a hint, a fresh stream, and a learner's function called.

Knows no exercise; those are in `lesson_01.py` and on, one file a notebook.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from streamlib import Subscription, WorkflowStreamClient, WorkflowStreamItem
from streamlib.connect import connect
from streamlib.errors import shown
from streamlib.lab.lesson import arrived
from streamlib.scenarios import TASK_QUEUE
from streamlib.scenarios.hub import HubInput, HubWorkflow

PATIENCE = 4.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Verdict:
    """What a check found."""

    ok: bool
    says: str


NOT_YET = Verdict(False, "Not answered yet: replace the `...` and run this cell again.")

Check = Callable[[Any, WorkflowStreamClient], Awaitable[Verdict]]


class Hint(Exception):
    """Ends a check with what the learner should read."""


@asynccontextmanager
async def fresh_stream() -> AsyncIterator[WorkflowStreamClient]:
    """A client for a new hub, which is closed at the end."""
    client = await connect()
    hub_id = f"check-{uuid.uuid4().hex[:8]}"
    hub = await client.start_workflow(
        HubWorkflow.run,
        HubInput(hub_id),
        id=hub_id,
        task_queue=TASK_QUEUE,
        execution_timeout=timedelta(minutes=5),
    )
    slow = cast("WorkflowHandle[Any, Any]", _SlowToSignal(hub))
    try:
        yield WorkflowStreamClient(slow, client=client)
    finally:
        with suppress(RPCError):  # the answer closed it
            await hub.signal(HubWorkflow.close)


class _SlowToSignal:
    """A handle whose signals take their time, so that who does not wait for them is seen."""

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.id = handle.id
        self.run_id: str | None = None
        self._handle = handle

    async def signal(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(0.2)
        await self._handle.signal(*args, **options)


async def result_of(function: Any, *args: Any) -> Any:
    """What the learner's function returns, awaited if need be."""
    if not callable(function):
        raise Hint(f"Give the function itself, not {shown(function)}: no parentheses after it.")
    try:
        result = function(*args)
        if inspect.isawaitable(result):
            result = await asyncio.wait_for(result, PATIENCE)
    except asyncio.TimeoutError:
        raise Hint(
            f"It did not return within {PATIENCE:.0f} s: something in it waits for what never "
            "comes."
        ) from None
    except Exception as error:
        raise Hint(f"It raised {type(error).__name__}: {error}") from None
    return result


async def publish(stream: WorkflowStreamClient, *topics: str) -> None:
    """One item a topic named, offsets from 0 on."""
    for number, topic in enumerate(topics):
        stream.topic(topic).publish(f"{topic} {number}")
    await stream.flush()


async def first(subscription: Subscription[Any]) -> WorkflowStreamItem[Any] | None:
    """The item that a subscription begins with, if it is there; the subscription is closed."""
    items = await arrived(subscription, quiet=0.05, patience=1.0)
    await subscription.aclose()
    return items[0] if items else None

"""What checks are made of: a verdict, a hint, a fresh stream, and a learner's function called.

Knows no exercise; those are in `lesson_01.py` and on, one file a notebook.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from streamlib import Subscription, WorkflowStreamClient, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons import hosts
from streamlib.lab.lessons.lesson import arrived
from streamlib.scenarios import TASK_QUEUE
from streamlib.scenarios.connect import connect, task_queue
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
    hosts.remember(hub_id)  # a kernel restart ends a check anywhere
    hub = await client.start_workflow(
        HubWorkflow.run,
        HubInput(hub_id),
        id=hub_id,
        task_queue=task_queue(TASK_QUEUE),
        execution_timeout=timedelta(minutes=5),
    )
    slow = cast("WorkflowHandle[Any, Any]", _SlowToSignal(hub))
    try:
        yield WorkflowStreamClient(slow, client=client)
    finally:
        with suppress(RPCError):  # the answer closed it
            await hub.signal(HubWorkflow.close)
        hosts.forget(hub_id)


class _SlowToSignal:
    """A handle whose signals take their time, so that who does not wait for them is seen."""

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.id = handle.id
        self.run_id: str | None = None
        self._handle = handle

    async def signal(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(0.2)
        await self._handle.signal(*args, **options)


def hub_of(stream: WorkflowStreamClient, client: Client) -> WorkflowHandle[HubWorkflow, str]:
    """The hub behind a fresh stream, to truncate or to close it."""
    return client.get_workflow_handle_for(HubWorkflow.run, stream.workflow_id)


async def result_of(
    function: Any, *args: Any, lets: type[Exception] | tuple[type[Exception], ...] = ()
) -> Any:
    """What the learner's function returns, awaited if need be; errors but those are hints."""
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
    except lets:
        raise
    except Exception as error:
        raise Hint(f"It raised {type(error).__name__}: {error}") from None
    return result


def in_order(answer: object, lines: Mapping[str, str]) -> Sequence[str]:
    """The letters of a Parsons problem's answer."""
    order = [letter for letter in str(answer).upper() if letter.isalpha()]
    if sorted(order) != sorted(lines):
        raise Hint(f"Use each of {', '.join(lines)} once, as in {''.join(lines)!r}.")
    return order


def program(
    order: Sequence[str], lines: Mapping[str, str], *parameters: str, result: str = "None"
) -> Callable[..., Awaitable[Any]]:
    """The lines in that order, as a coroutine function."""
    body = "\n    ".join([*(lines[letter] for letter in order), f"return {result}"])
    scope: dict[str, Any] = {}
    exec(f"async def program({', '.join(parameters)}):\n    {body}", scope)
    made: Callable[..., Awaitable[Any]] = scope["program"]
    return made


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

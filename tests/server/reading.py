"""Small helpers to read a stream in a test; every wait has a limit."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

T = TypeVar("T")

LIMIT = 45.0  # seconds; generous, since a small machine may be busy


async def take(items: AsyncIterator[Any], count: int) -> list[Any]:
    """The next `count` items."""
    return [await asyncio.wait_for(items.__anext__(), LIMIT) for _ in range(count)]


async def drain(items: AsyncIterator[Any]) -> list[Any]:
    """All items up to the stream's end."""

    async def collect() -> list[Any]:
        return [item async for item in items]

    return await asyncio.wait_for(collect(), LIMIT)


def told(items: list[Any]) -> list[tuple[int, Any]]:
    """Items as (offset, data) pairs."""
    return [(item.offset, item.data) for item in items]


async def eventually(condition: Any, seconds: float = LIMIT) -> None:
    """Return as soon as `condition()` is true; it has to be within so many seconds."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), seconds)


async def becomes(ask: Callable[[], Awaitable[T]], wanted: Any = bool) -> T:
    """Ask until the answer is `wanted` (a value, or a test of one), and return it."""
    test = wanted if callable(wanted) else lambda answer: answer == wanted

    async def poll() -> T:
        while not test(answer := await ask()):
            await asyncio.sleep(0.02)
        return answer

    return await asyncio.wait_for(poll(), LIMIT)


async def roll_over(hub: WorkflowHandle[Any, Any], times: int) -> None:
    """Make the hub continue as new, and wait until it has, `times` times."""

    async def run_id() -> str:
        return str((await hub.describe()).run_id)

    for _ in range(times):
        before = await run_id()
        await hub.signal("want", "roll")
        await becomes(run_id, lambda now, before=before: now != before)


def noise(size: int, seed: int) -> str:
    """Text of `size` characters that does not compress to less than three quarters."""
    return base64.b64encode(random.Random(seed).randbytes(size * 3 // 4)).decode()


async def polls_of(hub: WorkflowHandle[Any, Any]) -> int:
    """How many polls a run has taken: what came too late for a state is not among them."""
    accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    return sum([event.event_type == accepted async for event in hub.fetch_history_events()])

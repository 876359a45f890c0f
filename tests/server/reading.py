"""Small helpers to read a stream in a test; every wait has a limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from temporalio.client import WorkflowHandle

LIMIT = 30.0  # seconds; generous, since a small machine may be busy


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


async def eventually(condition: Any) -> None:
    """Return as soon as `condition()` is true."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), LIMIT)


async def roll_over(hub: WorkflowHandle[Any, Any], times: int) -> None:
    """Make the hub continue as new, and wait until it has, `times` times."""
    for _ in range(times):
        run_id = (await hub.describe()).run_id
        await hub.signal("want", "roll")
        while (await hub.describe()).run_id == run_id:
            await asyncio.sleep(0.01)

"""What a browser asks, and how it is answered: types and patience that all commands share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

PATIENCE = 5.0
"""Seconds until a button gets a first word, if the outcome is not there yet."""

Content = dict[str, Any]
Buffers = list[bytes]
Say = Callable[[str], None]
"""Tells a word before the outcome."""

T = TypeVar("T")


class RefusedError(Exception):
    """A command that cannot be carried out; says why in a sentence."""


def whole(asked: Content, name: str, least: int = 0, most: int | None = None) -> int:
    """A whole number that was asked for.

    Raises:
        RefusedError: It is none, or out of bounds.
    """
    value = asked.get(name, least)
    if type(value) is not int or value < least:
        raise RefusedError(f"{name} must be a whole number from {least} on")
    if most is not None and value > most:
        raise RefusedError(f"{name} may be {most:,} at most; you asked for {value:,}")
    return value


async def patiently(work: Awaitable[T], say: Say, word: Callable[[], str]) -> T:
    """The outcome of `work`, however long it takes; after `PATIENCE` seconds says a word.

    Raises:
        Exception: As `work` does.
        CancelledError: Cancelled, and so is `work`.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
        if not done:
            say(word())
        return await task
    finally:
        task.cancel()

"""An event loop whose clock moves only when everybody waits: hours pass in milliseconds.

What runs in it is the real asyncio code of the client; only time is not real. The same program
with the same chances takes the same turns, so that a run can be repeated to the letter.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class StandstillError(AssertionError):
    """Nothing is left that could ever happen, and the program has not ended."""


class _NoWaiting(selectors.SelectSelector):
    """Instead of waiting for `timeout` seconds, it says that they are over."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StandstillError("every task waits for something that nobody will do")
        self.now += max(timeout, 0.0)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in simulated time, which begins at 0.

    Example:
        run(asyncio.sleep(3600))  # returns at once
    """

    def __init__(self) -> None:
        self._clock = _NoWaiting()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since the beginning of this loop."""
        return self._clock.now


async def in_time(doing: Awaitable[T], seconds: float) -> T:
    """What `doing` returns, if it takes no longer; where Python can, without a task of its own.

    Raises:
        asyncio.TimeoutError: It was cancelled.
    """
    if sys.version_info < (3, 11):
        return await asyncio.wait_for(doing, seconds)
    async with asyncio.timeout(seconds):
        return await doing


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program to its end in simulated time; leave no task behind.

    Raises:
        StandstillError: It can never end.
    """
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def simulated(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test in simulated time: what it says of milliseconds is so, however busy the machine."""

    @wraps(test)
    def in_simulated_time(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return in_simulated_time

"""An event loop whose clock moves only when everybody waits: hours pass in milliseconds.

What runs in it is the real asyncio code of the client; only time is not real. The same program
with the same chances takes the same turns, so that a run can be repeated to the letter.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import sys
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class StandstillError(AssertionError):
    """Nothing is left that could ever happen, and the program has not ended."""


class _Handle:
    """What is to be called, at once or at its time; cancelled, nothing is."""

    __slots__ = ("args", "callback", "context", "moment")

    def __init__(
        self,
        callback: Callable[..., object] | None,
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        moment: float = 0.0,
    ) -> None:
        self.callback, self.args, self.moment = callback, args, moment
        self.context = context or contextvars.copy_context()

    def cancel(self) -> None:
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.moment


class SimulatedLoop(asyncio.BaseEventLoop):
    """An event loop in simulated time, which begins at 0.

    It knows no sockets, threads or signals: what asyncio does for them, and for debugging,
    took a fifth of a world's time.

    Example:
        run(asyncio.sleep(3600))  # returns at once
    """

    def __init__(self) -> None:
        self._runs = self._stops = False
        self._now = 0.0
        self._soon: deque[_Handle] = deque()
        self._at: list[tuple[float, int, _Handle]] = []  # a heap
        self._numbers = itertools.count()
        super().__init__()

    def time(self) -> float:
        """Seconds since the beginning of this loop."""
        return self._now

    def is_running(self) -> bool:
        return self._runs

    def stop(self) -> None:
        self._stops = True

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args, context)
        self._soon.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # there is one thread

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args, context, when)
        heapq.heappush(self._at, (when, next(self._numbers), handle))
        return handle

    def create_task(self, coro: Any, **named: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **named)

    get_debug = bool  # asked at every future: no

    def run_forever(self) -> None:
        """Until `stop`.

        Raises:
            StandstillError: It can never come to that.
        """
        events._set_running_loop(self)
        self._runs, self._stops = True, False
        try:
            self._call_till_stopped()
        finally:
            self._runs = False
            events._set_running_loop(None)

    def _call_till_stopped(self) -> None:
        """Call what is due, in turns; where nothing is, it is the time of what comes next."""
        soon, at, pop = self._soon, self._at, heapq.heappop
        while not self._stops:
            while at and (not soon or at[0][0] <= self._now or at[0][2].callback is None):
                when, _, handle = pop(at)
                if handle.callback is not None:
                    self._now = max(self._now, when)
                    soon.append(handle)
            if not soon:
                raise StandstillError("every task waits for something that nobody will do")
            for _ in range(len(soon)):
                handle = soon.popleft()
                if handle.callback is not None:
                    try:
                        handle.context.run(handle.callback, *handle.args)
                    except Exception as error:  # as asyncio does
                        self.call_exception_handler({"message": repr(handle), "exception": error})


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
        loop.close()


def simulated(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test in simulated time: what it says of milliseconds is so, however busy the machine."""

    @wraps(test)
    def in_simulated_time(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return in_simulated_time

"""Patience: the calls of one feed, each tried until it works, and what is said of trouble.

    persist   one call after the other, with the pauses of `core/retry.py`
    hedged    a slow call gets a second one beside it; the first answer counts
    wait      a call that lasts until something happens; after trouble it is hedged for a while

A call that hangs on a server that died would otherwise be found out only at its time-out, long
after the others answer again. While nothing is wrong no call is made that was not asked for.
Knows no stream. Next: `source.py`, which reads by it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from streamlib.core.retry import PATIENCE, Retry
from streamlib.errors import Cause, StreamUnavailableError

R = TypeVar("R")

SLOW = 1.5  # seconds after which a call gets another one beside it
RENEWED = 2.5  # seconds after which the one beside a wait is made anew
WARY = 30.0  # seconds after trouble for which a wait gets another one beside it, too
GRACE = 1.0  # seconds that a long wait still has when trouble comes
_CALL = timedelta(seconds=30)  # a workflow that must be replayed first takes its time
_WAIT = timedelta(seconds=25)  # the server answers after 20 s, with nothing
_SHORT_WAIT = timedelta(seconds=2)  # and a second before a time-out: so it is known to be back


class Patience:
    """Makes calls until they work.

    Invariant: `trouble` is None while all is well; `tell` is called whenever it changes.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._troubles: dict[str, str] = {}  # by what has them
        self._wary_until = 0.0
        self._limited = False  # whether the last try was one call too many for the server
        self._calls: set[asyncio.Task[Any]] = set()  # under way
        self._wait: asyncio.Task[Any] | None = None  # the one that lasts
        self._timer: asyncio.TimerHandle | None = None

    @property
    def trouble(self) -> str | None:
        """Why nothing comes just now; None if all is well."""
        return next(iter(self._troubles.values()), None)

    def say(self, who: str, trouble: str | None) -> None:
        """Say what trouble `who` has; None: all is well with it."""
        before = self.trouble
        if trouble is None:
            self._troubles.pop(who, None)
        else:
            self._troubles[who] = trouble
        if before != self.trouble:
            self._tell()

    def work_waits(self) -> None:
        """The workflow has something to do: somebody should do it soon."""
        if self._timer is None:
            text = f"no worker has done the workflow's next task for {PATIENCE:.0f} s"
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PATIENCE, self.say, "work", text)

    def work_done(self) -> None:
        """Somebody has done it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.say("work", None)

    async def persist(self, who: str, attempt: Callable[[], Awaitable[R]]) -> R:
        """Try until it works: a reader waits for server and worker as long as it takes.

        Raises:
            StreamError, RPCError: What trying again does not mend.
            CancelledError: Cancelled.
        """
        retry, loop = Retry(), asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                result = await attempt()
                self._limited = False
                self.say(who, None)
                return result
            except StreamUnavailableError as error:
                now = loop.time()
                pause = retry.failed(error.cause, began=began, now=now, chance=random.random())
                self._limited = error.cause is Cause.RATE
                if error.cause is not Cause.BUSY:
                    self._be_wary()
                if retry.trouble:
                    self.say(who, error.reason)
                if error.cause is Cause.OUTAGE:  # a call that hung has waited already
                    pause -= now - began
                await asyncio.sleep(max(0.0, pause))

    async def hedged(self, who: str, call: Callable[[timedelta], Awaitable[R]]) -> R:
        """Return the first answer: a slow call gets another one beside it, renewed while it lasts.

        The first one goes on: it may be the one that a worker gets, when one comes. Raises as
        `call` does, when no other is under way.
        """
        began = asyncio.get_running_loop().time()

        def slow() -> bool:
            self._be_wary()
            if asyncio.get_running_loop().time() - began > PATIENCE - 0.1:
                self.say(who, f"no worker, or no server, has answered for {PATIENCE:.0f} s")
            return True

        return await self._race([self._begin(call(_CALL))], lambda: call(_CALL), SLOW, slow)

    async def _race(
        self,
        calls: list[asyncio.Task[R]],
        call: Callable[[], Awaitable[R]],
        interval: float,
        slow: Callable[[], bool],
    ) -> R:
        """The first answer; as long as `slow` says so, another call is made beside the first."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        try:
            while True:
                left = max(0.0, renewed + interval - loop.time())
                done, _ = await asyncio.wait(calls, timeout=left, return_when="FIRST_COMPLETED")
                for each in done:
                    calls.remove(each)
                    if not calls or not isinstance(each.exception(), StreamUnavailableError):
                        return each.result()
                if loop.time() < renewed + interval:
                    continue
                renewed = loop.time()
                if slow():
                    for each in calls[1:]:
                        each.cancel()
                    calls = [calls[0], self._begin(call())]
        finally:
            for each in calls:
                each.cancel()

    async def wait(self, call: Callable[[timedelta], Awaitable[R]]) -> R | None:
        """Wait for something to happen; None if the wait was given up, and should begin anew.

        Where the server asks for fewer calls, it is one also after trouble.
        """
        wary = self._is_wary() and not self._limited
        if wary:
            both = [self._begin(call(_WAIT)), self._begin(call(_SHORT_WAIT))]
            race = self._race(both, lambda: call(_SHORT_WAIT), RENEWED, self._is_wary)
        self._wait = wait = self._begin(race if wary else call(_WAIT))
        try:
            await asyncio.wait([wait])
        finally:
            self._wait = None
            wait.cancel()
        return None if wait.cancelled() else wait.result()

    def give_up_waiting(self) -> None:
        """Let the wait that is under way begin anew."""
        if self._wait is not None:
            self._wait.cancel()

    def stop(self) -> list[asyncio.Task[Any]]:
        """End all calls, and return them: an SDK's call takes a moment to wind up."""
        self.work_done()
        for call in self._calls:
            call.cancel()
        return [*self._calls]

    def _be_wary(self) -> None:
        loop = asyncio.get_running_loop()
        if self._wait is not None and loop.time() >= self._wary_until:
            loop.call_later(GRACE, self._give_up, self._wait)
        self._wary_until = loop.time() + WARY

    def _is_wary(self) -> bool:
        return asyncio.get_running_loop().time() < self._wary_until

    def _give_up(self, wait: asyncio.Task[Any]) -> None:
        if self._wait is wait:
            wait.cancel()

    def _begin(self, call: Awaitable[R]) -> asyncio.Task[R]:
        task: asyncio.Task[R] = asyncio.ensure_future(call)
        self._calls.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, also when somebody else answered first


async def patiently(ask: Callable[[timedelta], Awaitable[R]]) -> R:
    """Ask until there is an answer, for ten seconds: one try can hang, or meet a hand-over."""
    loop, retry = asyncio.get_running_loop(), Retry()
    deadline = loop.time() + 10
    while True:
        began = loop.time()
        try:
            return await ask(timedelta(seconds=max(0.1, min(2.0, deadline - began))))
        except StreamUnavailableError as error:
            now = loop.time()
            pause = retry.failed(error.cause, began=began, now=now, chance=random.random())
            if now > deadline - 0.1:
                raise
            await asyncio.sleep(min(pause, deadline - now))

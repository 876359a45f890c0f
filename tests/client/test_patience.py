"""Calls that fail, hang or last: tried again, doubled, cut short; while all is well, just made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import streamlib.client.patience
from streamlib.client.patience import Patience
from streamlib.errors import Cause, NotAStreamError, StreamUnavailableError
from tests.fakes import Blocked, busy, happens, unavailable
from tests.world.clock import simulated


def limited() -> StreamUnavailableError:
    return StreamUnavailableError("w", "namespace rate limit exceeded", cause=Cause.RATE)


class Calls:
    """Calls that meet what the test says, and then answer with their number."""

    def __init__(self, *faults: Exception | Blocked) -> None:
        self.faults = [*faults]
        self.timeouts: list[float] = []
        self.ended = 0

    async def __call__(self, timeout: timedelta = timedelta(0)) -> int:
        self.timeouts.append(timeout.total_seconds())
        number = len(self.timeouts)
        try:
            match self.faults.pop(0) if self.faults else None:
                case Blocked() as blocked:
                    await blocked.wait()
                case Exception() as error:
                    raise error
            return number
        finally:
            self.ended += 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second lasts 10 ms."""
    for name in ("SLOW", "RENEWED", "GRACE", "PATIENCE"):
        value = getattr(streamlib.client.patience, name)
        monkeypatch.setattr(streamlib.client.patience, name, value / 100)


def patience() -> Patience:
    return Patience(lambda: None)


# --- again and again


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([unavailable()], False),  # one of a name's addresses is gone: the second try meets another
        ([unavailable()] * 2, True),
        ([limited()], True),
        ([busy()] * 2, False),
    ],
)
@simulated
async def test_it_tries_until_it_works_and_says_what_is_trouble(
    faults: list[StreamUnavailableError], told: bool
) -> None:
    said: list[str | None] = []
    mine = Patience(lambda: said.append(mine.trouble))
    assert await mine.persist("x", Calls(*faults)) == len(faults) + 1
    assert said == ([faults[0].reason, None] if told else [])
    assert mine.trouble is None


@simulated
async def test_under_a_rate_limit_it_backs_off() -> None:
    loop, mine = asyncio.get_running_loop(), patience()
    calls = Calls(*[limited()] * 3)
    began = loop.time()
    await mine.persist("x", calls)
    assert loop.time() - began >= (0.1 + 0.2 + 0.4) / 2


@simulated
async def test_a_try_that_hung_has_waited_already(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    async def hangs() -> int:
        await sleep(0.06)  # longer than the first pause
        if not waited:
            raise unavailable()
        return 1

    monkeypatch.setattr(asyncio, "sleep", noted)
    assert await patience().persist("x", hangs) == 1
    assert waited == [0.0]


@simulated
async def test_what_is_final_is_raised_at_once() -> None:
    calls = Calls(NotAStreamError("w"))
    with pytest.raises(NotAStreamError):
        await patience().persist("x", calls)
    assert len(calls.timeouts) == 1


@simulated
async def test_two_troubles_are_told_one_after_the_other_and_work_that_waits_is_one(
    quick: None,
) -> None:
    mine = patience()
    mine.say("a", "first")
    mine.say("b", "second")
    assert mine.trouble == "first"
    mine.say("a", None)
    assert mine.trouble == "second"
    mine.say("b", None)
    mine.work_waits()
    mine.work_waits()
    await happens(lambda: mine.trouble)
    assert "no worker" in str(mine.trouble)
    mine.work_done()
    assert mine.trouble is None


@simulated
async def test_work_that_waited_twice_and_was_done_in_time_is_no_trouble() -> None:
    mine = patience()
    mine.work_waits()
    mine.work_waits()  # a try of the task has failed, and another one waits
    mine.work_done()
    await asyncio.sleep(60)
    assert mine.trouble is None


# --- a second call beside a slow one


@simulated
async def test_a_quick_call_gets_no_other_beside_it() -> None:
    calls = Calls()
    assert await patience().hedged("x", calls) == 1
    assert len(calls.timeouts) == 1


@simulated
async def test_a_slow_call_gets_another_beside_it_and_the_first_answer_counts(quick: None) -> None:
    calls = Calls(Blocked())
    assert await patience().hedged("x", calls) == 2
    await happens(lambda: calls.ended == 2)


@simulated
async def test_the_first_call_goes_on_and_the_other_is_renewed_while_it_lasts(quick: None) -> None:
    first, *others = blocked = [Blocked() for _ in range(4)]
    calls, mine = Calls(*blocked), patience()
    task = asyncio.create_task(mine.hedged("x", calls))
    for each in others:
        await each.reached.wait()
    assert len(calls.timeouts) - calls.ended == 2, "two are under way"
    assert "answered for" in str(mine.trouble)
    first.release()
    assert await task == 1


@simulated
async def test_one_that_fails_beside_a_slow_one_is_not_replaced_at_once(quick: None) -> None:
    slow = Blocked()
    calls = Calls(slow, busy(), busy())
    task = asyncio.create_task(patience().hedged("x", calls))
    await happens(lambda: len(calls.timeouts) == 2)
    await asyncio.sleep(0.005)
    assert len(calls.timeouts) == 2
    slow.release()
    assert await task == 1


@simulated
async def test_what_is_final_is_raised_also_while_a_slow_one_goes_on(quick: None) -> None:
    calls = Calls(Blocked(), NotAStreamError("w"))
    with pytest.raises(NotAStreamError):
        await patience().hedged("x", calls)
    await happens(lambda: calls.ended == 2)
    assert len(calls.timeouts) == 2


@simulated
async def test_when_all_that_are_under_way_have_failed_it_raises(quick: None) -> None:
    slow = Blocked(then=unavailable("in the end"))
    # On a busy machine there are more than two, before the first one fails.
    calls = Calls(slow, *[unavailable("in the end") for _ in range(1_000)])
    task = asyncio.create_task(patience().hedged("x", calls))
    await happens(lambda: calls.ended >= 1)
    slow.release()
    with pytest.raises(StreamUnavailableError, match="in the end"):
        await task


@simulated
async def test_cancelled_it_ends_all_its_calls(quick: None) -> None:
    calls, mine = Calls(Blocked(), Blocked()), patience()
    task = asyncio.create_task(mine.hedged("x", calls))
    await happens(lambda: len(calls.timeouts) == 2)
    task.cancel()
    await happens(lambda: calls.ended == 2)
    assert task.cancelled()


# --- waits


async def in_trouble(mine: Patience) -> None:
    await mine.persist("y", Calls(unavailable()))


@simulated
async def test_a_wait_has_another_beside_it_after_trouble_and_only_then(quick: None) -> None:
    mine, alone = patience(), Calls(Blocked())
    waiting = asyncio.create_task(mine.wait(alone))
    await mine.persist("y", Calls(busy()))
    await asyncio.sleep(0.1)
    assert len(alone.timeouts) == 1, "all is well"
    mine.give_up_waiting()
    assert await waiting is None
    await in_trouble(mine)
    first, _, third = blocked = [Blocked() for _ in range(3)]
    doubled = Calls(*blocked)
    waiting = asyncio.create_task(mine.wait(doubled))
    await third.reached.wait()
    assert mine.trouble is None, "a wait that lasts is no trouble"
    assert len(doubled.timeouts) - doubled.ended == 2
    assert doubled.timeouts == [25, 2, 2]
    first.release()
    assert await waiting == 1


@simulated
async def test_where_fewer_calls_are_asked_for_a_wait_has_no_other_beside_it(quick: None) -> None:
    mine = patience()
    await in_trouble(mine)
    waits = Calls(limited(), limited(), limited())
    assert await mine.persist("wait", lambda: mine.wait(waits)) == 4
    assert waits.timeouts == [25, 2, 25, 25], "two, and both one too many; then one at a time"
    await mine.wait(after := Calls())
    assert after.timeouts == [25, 2], "it takes calls again, and may hang as before"


@simulated
async def test_after_a_while_a_wait_is_left_alone_again(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlib.client.patience, "WARY", 0.01)
    mine, calls = patience(), Calls()
    await in_trouble(mine)
    await asyncio.sleep(0.05)
    assert await mine.wait(calls) == 1
    assert calls.timeouts == [25]


@pytest.mark.parametrize("slow", [False, True])
@simulated
async def test_a_long_wait_is_given_up_when_another_call_has_trouble(
    quick: None, slow: bool
) -> None:
    mine, hangs = patience(), Calls(Blocked())
    waiting = asyncio.create_task(mine.wait(hangs))
    await happens(lambda: hangs.timeouts)
    if slow:
        await mine.hedged("y", Calls(Blocked()))
    else:
        await in_trouble(mine)
    assert await asyncio.wait_for(waiting, 5) is None
    assert await mine.wait(hangs) in (2, 3)
    assert hangs.timeouts == [25, 25, 2]


@simulated
async def test_a_wait_that_ends_in_time_is_not_given_up() -> None:
    mine, waits = patience(), Calls(Blocked())
    blocked = waits.faults[0]
    assert isinstance(blocked, Blocked)
    waiting = asyncio.create_task(mine.wait(waits))
    await blocked.reached.wait()
    await in_trouble(mine)
    blocked.release()
    assert await waiting == 1


@simulated
async def test_what_a_wait_raises_is_raised() -> None:
    with pytest.raises(StreamUnavailableError):
        await patience().wait(Calls(unavailable()))


@pytest.mark.parametrize("how", ["wait", "hedged"])
@simulated
async def test_stopped_it_returns_what_is_being_ended(how: str) -> None:
    mine, calls = patience(), Calls(Blocked())
    call: Callable[..., Any] = mine.wait if how == "wait" else lambda c: mine.hedged("x", c)
    task = asyncio.create_task(call(calls))
    await happens(lambda: calls.timeouts)
    ended = mine.stop()
    assert len(ended) == 1
    await asyncio.wait(ended)
    assert calls.ended == 1
    await asyncio.wait([task])

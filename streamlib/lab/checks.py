"""Exercises: each check runs what the learner wrote, on a fresh stream, and says what it did.

Owns one function an exercise. A wrong answer is told what it did and why, not that it is wrong; an
unanswered one gets a nudge, never an error. What a check looks at is behaviour: any answer that
does the right thing passes. Next: `notebooks/`, where the exercises are set.
"""

from __future__ import annotations

import asyncio
import inspect
import textwrap
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from temporalio.client import WorkflowHandle

from streamlib import Subscription, WorkflowStreamClient, WorkflowStreamItem
from streamlib.connect import connect
from streamlib.errors import shown
from streamlib.lab.lesson import arrived
from streamlib.scenarios import TASK_QUEUE
from streamlib.scenarios.hub import HubInput, HubWorkflow

WIDTH = 88
"""Columns; a notebook would break longer lines in the middle of a word."""

PATIENCE = 4.0
"""Seconds that an answer may take."""


@dataclass(frozen=True)
class Verdict:
    """What a check found."""

    ok: bool
    says: str


NOT_YET = Verdict(False, "Not answered yet: replace the `...` and run this cell again.")

Check = Callable[[Any, WorkflowStreamClient], Awaitable[Verdict]]


async def check(exercise: str, answer: object = ...) -> None:
    """Run the learner's answer on a fresh stream and print what it did.

    Args:
        exercise: Its number.
        answer: What the exercise asks for; `...` stands for "not answered yet".

    Raises:
        LookupError: There is no such exercise.
        ServerUnavailableError: No server answers.
    """
    found = await judge(exercise, answer)
    text = f"{exercise}  {'Yes.' if found.ok else '→'} {found.says}"
    print(textwrap.fill(text, WIDTH, subsequent_indent=" " * 7, break_long_words=False))


async def judge(exercise: str, answer: object) -> Verdict:
    """What `check` prints, as a value. Arguments and errors: see there."""
    if exercise not in CHECKS:
        raise LookupError(f"no exercise {exercise!r}; there are {', '.join(CHECKS)}")
    if answer is ...:
        return NOT_YET
    async with _fresh_stream() as stream:
        try:
            return await asyncio.wait_for(CHECKS[exercise](answer, stream), 3 * PATIENCE)
        except _Hint as hint:
            return Verdict(False, str(hint))


class _Hint(Exception):
    """Ends a check with what the learner should read."""


@asynccontextmanager
async def _fresh_stream() -> AsyncIterator[WorkflowStreamClient]:
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


async def _result_of(function: Any, *args: Any) -> Any:
    """What the learner's function returns, awaited if need be."""
    if not callable(function):
        raise _Hint(f"Give the function itself, not {shown(function)}: no parentheses after it.")
    try:
        result = function(*args)
        if inspect.isawaitable(result):
            result = await asyncio.wait_for(result, PATIENCE)
    except asyncio.TimeoutError:
        raise _Hint(
            f"It did not return within {PATIENCE:.0f} s: something in it waits for what never "
            "comes."
        ) from None
    except Exception as error:
        raise _Hint(f"It raised {type(error).__name__}: {error}") from None
    return result


async def _publish(stream: WorkflowStreamClient, *topics: str) -> None:
    """One item a topic named, offsets from 0 on."""
    for number, topic in enumerate(topics):
        stream.topic(topic).publish(f"{topic} {number}")
    await stream.flush()


async def _first(subscription: Subscription[Any]) -> WorkflowStreamItem[Any] | None:
    items = await arrived(subscription, quiet=0.05, patience=1.0)
    await subscription.aclose()
    return items[0] if items else None


async def _resume_after(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.4: from the last item handled to the `from_offset` of the next subscription."""
    await _publish(stream, "status", "progress", "status", "progress")
    last = WorkflowStreamItem(topic="progress", data="progress 1", offset=1)
    start = await _result_of(answer, last)
    if start is None or start is ...:
        return NOT_YET
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise _Hint(f"It returned {shown(start)}. An offset is a whole number from 0 on.")
    item = await _first(stream.subscribe(from_offset=start))
    came = "nothing" if item is None else f"offset {item.offset}"
    after = f"After the item at offset 1, from_offset={start} brought {came}"
    if start == last.offset:
        raise _Hint(f"{after}: the same item a second time. An offset names the item itself.")
    if start < last.offset:
        raise _Hint(f"{after}: it starts over. Use the offset of the item you were given.")
    if item is None or item.offset > last.offset + 1:
        raise _Hint(f"{after}: offset 2 was skipped.")
    return Verdict(True, f"{after}: nothing twice, nothing skipped.")


async def _second_progress(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.5: a subscription that begins with the second `progress` item, at offset 3."""
    await _publish(stream, "status", "progress", "status", "progress")
    subscription = await _result_of(answer, stream)
    if subscription is None or subscription is ...:
        return NOT_YET
    if not isinstance(subscription, Subscription):
        raise _Hint(f"It returned {shown(subscription)}. Return what `subscribe` returns.")
    start = subscription.position
    item = await _first(subscription)
    if item is None:
        raise _Hint(
            f"Nothing came from offset {start} on: it waits there for items yet to come, or the "
            "topic's name is another one."
        )
    if item.topic != "progress":
        raise _Hint(f"It began with offset {item.offset}, topic 'status'. Name the topic you want.")
    if item.offset == 1 and start == 1:
        raise _Hint(
            "It began with the first `progress` item, at offset 1. Topics have no offsets of their "
            "own: all topics share one sequence. At which offset is the second one?"
        )
    if item.offset == 1:
        raise _Hint("It began with the first `progress` item: `from_offset` says where to start.")
    return Verdict(True, f"It began with offset {item.offset}: the second `progress` item.")


LINES = {
    "A": "async with stream:",
    "B": '    stream.topic("news").publish("hello")',
    "C": 'items = stream.subscribe("news", from_offset=start)',
    "D": "start = await stream.get_offset()",
    "E": "item = await anext(items)",
}
"""Exercise 1.6 in its right order of letters D, C, A, B, E, or D, A, B, C, E."""


async def _only_what_is_new(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.6, a Parsons problem: run the lines in the learner's order."""
    order = [letter for letter in str(answer).upper() if letter.isalpha()]
    if sorted(order) != sorted(LINES):
        raise _Hint(f"Use each of {', '.join(LINES)} once, as in 'ABCDE'.")
    if order.index("B") != order.index("A") + 1:
        raise _Hint("B is indented: it is the body of A and comes right after it.")
    await _publish(stream, "news")  # what was there before
    body = "\n    ".join(LINES[letter] for letter in order)
    scope: dict[str, Any] = {}
    exec(f"async def program(stream):\n    {body}\n    return item", scope)
    try:
        item = await asyncio.wait_for(scope["program"](stream), 1.5)
    except UnboundLocalError:
        raise _Hint("A line used `start` or `items` before another line had made it.") from None
    except asyncio.TimeoutError:
        if order.index("E") < order.index("A"):
            raise _Hint("E waited for an item, so the lines after it never ran.") from None
        raise _Hint(
            "E waited in vain: by then `get_offset()` had counted the new item. It tells the end "
            "offset, the one that the *next* item will get. Ask before you publish."
        ) from None
    return Verdict(True, f"It skipped the old item and read offset {item.offset}, {item.data!r}.")


async def _announce(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.7: publish three items and return when all are stored."""
    await _result_of(answer, stream)
    stored = await stream.get_offset()
    await asyncio.sleep(0.4)
    later = await stream.get_offset()  # sent in the background meanwhile
    await stream.flush()  # whatever is still in the buffer
    if (everything := await stream.get_offset()) == 0:
        return NOT_YET
    short = f"When it returned, {stored} of {everything} items were stored."
    if later < everything:
        raise _Hint(
            f"{short} `publish` only buffers, and outside of `async with` nobody sends: "
            "`await stream.flush()`."
        )
    if stored < later:
        raise _Hint(
            f"{short} `force_flush=True` only begins to send, in the background. What returns "
            "when all is stored?"
        )
    items = await arrived(stream.subscribe(), quiet=0.1)
    found = [(item.topic, item.data) for item in items]
    if {topic for topic, _ in found} != {"news"}:
        raise _Hint(f"The topics were {sorted({topic for topic, _ in found})}, not just 'news'.")
    values = [value for _, value in found]
    if values != ["one", "two", "three"]:
        raise _Hint(f"The items were {shown(values)}, not 'one', 'two', 'three', in this order.")
    return Verdict(True, "All three were stored, in order, when it returned.")


CHECKS: dict[str, Check] = {
    "1.4": _resume_after,
    "1.5": _second_progress,
    "1.6": _only_what_is_new,
    "1.7": _announce,
}

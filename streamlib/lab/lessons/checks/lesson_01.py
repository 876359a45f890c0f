"""Notebook 01's exercises. How a check works: `judging.py`."""

from __future__ import annotations

import asyncio
from typing import Any

from streamlib import Subscription, WorkflowStreamClient, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons.checks.judging import (
    NOT_YET,
    Check,
    Hint,
    Verdict,
    first,
    in_order,
    program,
    publish,
    result_of,
)
from streamlib.lab.lessons.lesson import arrived


async def _resume_after(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.4: from the last item handled to the `from_offset` of the next subscription."""
    await publish(stream, "status", "progress", "status", "progress")
    last = WorkflowStreamItem(topic="progress", data="progress 1", offset=1)
    start = await result_of(answer, last)
    if start is None or start is ...:
        return NOT_YET
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise Hint(f"It returned {shown(start)}. An offset is a whole number from 0 on.")
    item = await first(stream.subscribe(from_offset=start))
    came = "nothing" if item is None else f"offset {item.offset}"
    after = f"After the item at offset 1, from_offset={start} brought {came}"
    if start == last.offset:
        raise Hint(f"{after}: the same item a second time. An offset names the item itself.")
    if start < last.offset:
        raise Hint(f"{after}: it starts over. Use the offset of the item you were given.")
    if item is None or item.offset > last.offset + 1:
        raise Hint(f"{after}: offset 2 was skipped.")
    return Verdict(True, f"{after}: nothing twice, nothing skipped.")


async def _second_progress(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.5: a subscription that begins with the second `progress` item, at offset 3."""
    await publish(stream, "status", "progress", "status", "progress")
    subscription = await result_of(answer, stream)
    if subscription is None or subscription is ...:
        return NOT_YET
    if not isinstance(subscription, Subscription):
        raise Hint(f"It returned {shown(subscription)}. Return what `subscribe` returns.")
    start = subscription.position
    item = await first(subscription)
    if item is None:
        raise Hint(
            f"Nothing came from offset {start} on: it waits there for items yet to come, or the "
            "topic's name is another one."
        )
    if item.topic != "progress":
        raise Hint(f"It began with offset {item.offset}, topic 'status'. Name the topic you want.")
    if item.offset == 1 and start == 1:
        raise Hint(
            "It began with the first `progress` item, at offset 1. Topics have no offsets of their "
            "own: all topics share one sequence. At which offset is the second one?"
        )
    if item.offset == 1:
        raise Hint("It began with the first `progress` item: `from_offset` says where to start.")
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
    order = in_order(answer, LINES)
    if order.index("B") != order.index("A") + 1:
        raise Hint("B is indented: it is the body of A and comes right after it.")
    await publish(stream, "news")  # what was there before
    run = program(order, LINES, "stream", result="item")
    try:
        item = await asyncio.wait_for(run(stream), 1.5)
    except UnboundLocalError:
        raise Hint("A line used `start` or `items` before another line had made it.") from None
    except asyncio.TimeoutError:
        if order.index("E") < order.index("A"):
            raise Hint("E waited for an item, so the lines after it never ran.") from None
        raise Hint(
            "E waited in vain: by then `get_offset()` had counted the new item. It tells the end "
            "offset, the one that the *next* item will get. Ask before you publish."
        ) from None
    return Verdict(True, f"It skipped the old item and read offset {item.offset}, {item.data!r}.")


async def _announce(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """1.7: publish three items and return when all are stored."""
    await result_of(answer, stream)
    stored = await stream.get_offset()
    await asyncio.sleep(0.4)
    later = await stream.get_offset()  # sent in the background meanwhile
    await stream.flush()  # whatever is still in the buffer
    if (everything := await stream.get_offset()) == 0:
        return NOT_YET
    short = f"When it returned, {stored} of {everything} items were stored."
    if later < everything:
        raise Hint(
            f"{short} `publish` only buffers, and outside of `async with` nobody sends: "
            "`await stream.flush()`."
        )
    if stored < later:
        raise Hint(
            f"{short} `force_flush=True` only begins to send, in the background. What returns "
            "when all is stored?"
        )
    items = await arrived(stream.subscribe(), quiet=0.1)
    found = [(item.topic, item.data) for item in items]
    if {topic for topic, _ in found} != {"news"}:
        raise Hint(f"The topics were {sorted({topic for topic, _ in found})}, not just 'news'.")
    values = [value for _, value in found]
    if values != ["one", "two", "three"]:
        raise Hint(f"The items were {shown(values)}, not 'one', 'two', 'three', in this order.")
    return Verdict(True, "All three were stored, in order, when it returned.")


CHECKS: dict[str, Check] = {
    "1.4": _resume_after,
    "1.5": _second_progress,
    "1.6": _only_what_is_new,
    "1.7": _announce,
}

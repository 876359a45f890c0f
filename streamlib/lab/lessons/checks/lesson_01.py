"""Notebook 01's exercises. How a check works: `judging.py`."""

from __future__ import annotations

import asyncio

from streamlib import InvalidOffsetError, StreamError, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons.checks import looking, parsons
from streamlib.lab.lessons.checks.judging import (
    Case,
    Exercise,
    Hint,
    open_subscription,
    read,
    returned,
)


async def _resume_after(case: Case) -> str:
    """1.4: from the last item handled to the `from_offset` of the next subscription."""
    topics, at = case.world
    await case.publish(*topics)
    last = WorkflowStreamItem(topic=topics[at], data=f"{topics[at]} {at}", offset=at)
    result = await case.answer.call(last, in_thread=True)
    start = int(returned(result, int, "an offset, a whole number from 0 on"))
    if start < 0:
        raise Hint(f"It returned {start}. An offset is a whole number from 0 on.")
    try:
        subscription = case.stream.subscribe(from_offset=start)
    except InvalidOffsetError:  # no stream gets that long
        raise Hint(
            f"It returned {start}, more than any offset: offset {at + 1} was skipped."
        ) from None
    items = await read(subscription, case)
    came = f"offset {items[0].offset}" if items else "nothing"
    after = f"After the item at offset {at}, from_offset={start} brought {came}"
    if start == at:
        raise Hint(f"{after}: the same item a second time. An offset names the item itself.")
    if start < at:
        raise Hint(f"{after}: it goes back. Use the offset of the item you were given.")
    if start > at + 1:
        raise Hint(f"{after}: offset {at + 1} was skipped.")
    return f"{after}: nothing twice, nothing skipped."


async def _second_progress(case: Case) -> str:
    """1.5: a subscription to `progress` that begins with the second item of that topic."""
    topics: list[str] = case.world
    await case.publish(*topics)
    subscription = open_subscription(await case.answer.call(case.stream), case)
    await subscription.start()
    begin = subscription.position
    items = await read(subscription, case)
    first, second, *rest = [at for at, topic in enumerate(topics) if topic == "progress"]
    log = f"The log held {', '.join(topics)}."
    if not items and begin >= len(topics):
        raise Hint(f"{log} Yours begins at {begin}, the end: what is there by now lies before it.")
    if not items:
        raise Hint(f"{log} From offset {begin} on nothing came: is that the topic's name?")
    came = [item.offset for item in items]
    it = f"{log} Yours brought offset {came[0]} first"
    if {item.topic for item in items} != {"progress"}:
        raise Hint(f"{log} Yours also brings `status` items. Name the one topic that you want.")
    if came[0] == first and begin == 1:
        raise Hint(
            f"{it}, the first `progress` item. Topics have no offsets of their own: all topics "
            "share one sequence."
        )
    if came[0] == first:
        raise Hint(f"{it}, the first `progress` item. Read that one, then hand over the rest.")
    if came != [second, *rest]:
        raise Hint(f"{it}; the second `progress` item has offset {second}.")
    return f"{it}: the second `progress` item."


LINES = {
    "A": "async with stream:",
    "B": '    stream.topic("news").publish("hello")',
    "C": 'items = stream.subscribe("news", from_offset=start)',
    "D": "start = await stream.get_offset()",
    "E": "item = await anext(items)",
}
"""Exercise 1.6 in its right order of letters D, C, A, B, E, or D, A, B, C, E."""


async def _only_what_is_new(case: Case) -> str:
    """1.6, a Parsons problem: run the lines in the learner's order."""
    order = parsons.in_order(case.answer, LINES)
    if order.index("B") != order.index("A") + 1:
        raise Hint("B is indented: it is the body of A and comes right after it.")
    parsons.made_before_used(order, {"C": ("start", "D"), "E": ("items", "C")})
    await case.publish(*["news"] * case.world)  # what was there before
    late = (
        "E waited for an item before anybody published one, so A and B never ran."
        if order.index("E") < order.index("A")
        else "By the time of D, `get_offset()` had counted the new item. It tells the end offset, "
        "the one that the *next* item will get. Ask before you publish."
    )
    doomed = order.index("E") < order.index("A") or order.index("B") < order.index("D")
    run = parsons.program(order, LINES, "stream", result="item")
    patience = parsons.DOOMED if doomed else parsons.PATIENCE
    item = await run.call(case.stream, late=late, patience=patience)
    return f"It skipped the old items and read offset {item.offset}, {item.data!r}."


async def _announce(case: Case) -> str:
    """1.7: publish the words and return when all are stored."""
    words: list[str] = case.world
    try:
        await case.answer.call(case.stream, list(words), lets=(StreamError,))
    except StreamError as error:
        raise Hint(f"It raised {type(error).__name__}: {error}") from None
    unsent = case.stream.unsent
    await asyncio.sleep(0.8)  # what goes on in the background is sent meanwhile
    never = case.stream.unsent
    await case.stream.flush()
    if (everything := await case.stream.get_offset()) == 0:
        raise Hint(_nothing_came(case))
    short = f"When it returned, {everything - unsent} of {everything} items were stored."
    if never:
        raise Hint(
            f"{short} `publish` only buffers, and outside of `async with` nobody sends: "
            "`await stream.flush()`."
        )
    if unsent and (case.answer.uses("create_task") or case.answer.uses("ensure_future")):
        raise Hint(
            f"{short} A task that is created runs beside you; nobody waited for it. `await` the "
            "flush itself."
        )
    if unsent:
        raise Hint(
            f"{short} `force_flush=True` only begins to send, in the background. What returns "
            "when all is stored?"
        )
    found = [(item.topic, item.data) for item in await read(case.stream.subscribe(), case)]
    if {topic for topic, _ in found} != {"news"}:
        raise Hint(f"The topics were {sorted({topic for topic, _ in found})}, not just 'news'.")
    values = [value for _, value in found]
    if values != words:
        raise Hint(
            f"For {words} the items were {shown(values)}: one item for each word, in that order."
        )
    return f"All {len(words)} were stored, in order, when it returned."


def _nothing_came(case: Case) -> str:
    if text := looking.printed().strip():
        return f"It printed {shown(text)}; nothing was published. `print` tells only you."
    if case.answer.never_uses(0):
        return (
            "It never uses the `stream` that it was given: if it published, then to another stream."
        )
    return "Nothing was published: `stream.topic(…).publish(…)`, and then see it stored."


EXERCISES: dict[str, Exercise] = {
    "1.4": Exercise(
        _resume_after,
        [
            (["status", "progress", "status", "progress"], 1),
            (["status", "status", "progress", "status", "progress", "progress"], 3),
        ],
    ),
    "1.5": Exercise(
        _second_progress,
        [
            ["status", "progress", "status", "progress", "status", "progress"],
            ["progress", "progress", "status", "progress"],
        ],
    ),
    "1.6": Exercise(_only_what_is_new, [1, 3]),
    "1.7": Exercise(_announce, [["one", "two", "three"], ["red", "green"]]),
}

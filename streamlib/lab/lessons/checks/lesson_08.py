"""Notebook 08's exercises. How a check works: `judging.py`."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from streamlib import ItemTooLargeError, WorkflowStreamClient
from streamlib.errors import shown
from streamlib.lab.lessons.bill import runs
from streamlib.lab.lessons.checks import looking, parsons
from streamlib.lab.lessons.checks.judging import Case, Exercise, Hint, all_of, read, returned
from streamlib.scenarios.hub import HubWorkflow

TOKENS, PACE = 50, 0.02
"""A burst: how many tokens, and seconds between two of them."""

MOST_SIGNALS = 8_000


class Bursts(NamedTuple):
    """A world of 8.6: how long a token may wait, and how many bursts a day has."""

    latency: timedelta
    a_day: int


async def _interval(case: Case) -> str:
    """8.6: publish a burst at the interval that the learner chose, and count its signals."""
    world: Bursts = case.world
    interval = returned(
        await case.answer.call(world.latency, world.a_day, in_thread=True), timedelta, "a timedelta"
    )
    if interval <= timedelta():
        raise Hint(f"It returned {_ms(interval)} ms: an interval is more than nothing.")
    if interval > world.latency:
        raise Hint(
            f"For a latency of {_ms(world.latency)} ms it returned {_ms(interval)} ms: so long may "
            "a token wait in the buffer."
        )
    # By arithmetic: on a busy machine a signal takes its time, and more tokens share the next.
    most = min(TOKENS, 1 + math.ceil(TOKENS * PACE / interval.total_seconds()))
    if most * world.a_day >= MOST_SIGNALS:
        raise Hint(
            f"At {_ms(interval)} ms a burst comes to {most} signals: {most * world.a_day:,} a day, "
            f"of {MOST_SIGNALS:,}. The longer a token may wait, the more of them share a signal, "
            f"and {_ms(world.latency)} ms are allowed."
        )
    took = await _signals_of_a_burst(case, interval)
    return f"At {_ms(interval)} ms a burst took {took} signals: {took * world.a_day:,} a day."


async def _signals_of_a_burst(case: Case, interval: timedelta) -> int:
    stream = WorkflowStreamClient.create(case.client, case.hub.id, batch_interval=interval)
    async with stream:
        for number in range(TOKENS):
            stream.topic("tokens").publish(f"token {number}")
            await asyncio.sleep(PACE)
    await case.stored(TOKENS)
    return (await runs(stream))[0].signals


def _ms(interval: timedelta) -> str:
    return f"{interval / timedelta(milliseconds=1):g}"


DESIGNS = {
    "A": "100 items of 100 bytes, a flush after each",
    "B": "100 items of 100 bytes, one flush",
    "C": "as B, and then truncated to the last ten",
    "D": "one item of 20,000 bytes",
}
"""Exercise 8.7; right is B, C, D, A."""


async def _cheapest_first(case: Case) -> str:
    """8.7: four designs by the history that they write; measured, not known."""
    order = parsons.in_order(case.answer, DESIGNS)
    if case.world == "again":  # the same answer needs no second measurement
        return ""
    cases = [case, *[await case.another() for _ in range(3)]]
    sizes = dict(zip("ABCD", await all_of(*map(_measured, cases, "ABCD")), strict=True))
    for cheaper, dearer in pairwise(order):
        if sizes[cheaper] > sizes[dearer]:
            raise Hint(
                f"{WHY[dearer, cheaper]} Bytes of history: {cheaper} {sizes[cheaper]:,}, "
                f"{dearer} {sizes[dearer]:,}."
            )
    told = ", ".join(f"{letter} {sizes[letter]:,}" for letter in order)
    return f"Measured, bytes of history: {told}."


WHY = {
    ("B", "C"): "To truncate is work too, and a history takes nothing back: C is B and a bit more.",
    ("B", "D"): "D's one item is larger than B's hundred together.",
    ("B", "A"): "The same items: but each flush brings a frame of its own, and a task.",
    ("C", "D"): "D's one item is larger than C's hundred together, truncated or not.",
    ("C", "A"): "A hundred flushes write more than one, and a truncation after it.",
    ("D", "A"): "A's items are small; what a hundred signals and their tasks write is not.",
}
"""Why the first of two designs is cheaper than the second."""


async def _measured(case: Case, design: str) -> int:
    """Do it; the bytes of the run's history then."""
    stream = WorkflowStreamClient.create(case.client, case.hub.id)
    items = ["x" * 19_998] if design == "D" else ["x" * 98] * 100
    for item in items:
        stream.topic("items").publish(item)
        if design == "A":
            await stream.flush()
    await stream.flush()
    await case.stored(len(items))
    if design == "C":
        await case.hub.execute_update(HubWorkflow.truncate, 90)
    return (await runs(stream))[0].bytes


class Store:
    """Where large things are kept, for the time of a check: it takes its time, as others do."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self.puts = 0

    async def put(self, blob: bytes) -> str:
        """Keep it; returns its key when it can be had."""
        self.puts += 1
        key = f"blob-{uuid.uuid4().hex[:8]}"
        await asyncio.sleep(0.3)
        self._kept[key] = blob
        return key

    async def get(self, key: str) -> bytes:
        """What was kept under that key.

        Raises:
            KeyError: Nothing was.
        """
        return self._kept[key]


async def _by_reference(case: Case) -> str:
    """8.8: publish what is too large for an item, so that a reader gets it at once."""
    blob = b"\x01" * case.world
    store = Store()
    seen: list[object] = []
    reading = asyncio.create_task(_follow(case, store, seen.append))
    try:
        await case.answer.call(case.stream, store, blob, lets=(ItemTooLargeError,))
        await asyncio.sleep(0)
        stored = await case.stream.get_offset()
        if stored:
            await asyncio.wait([reading], timeout=5)
    except ItemTooLargeError as error:
        raise Hint(
            f"It published the whole: {error} Keep it in the store, and publish its key."
        ) from None
    finally:
        reading.cancel()
    if not stored:
        raise Hint(_nothing(case, store))
    items = await read(case.stream.subscribe(), case)
    if [item.topic for item in items] != ["files"]:
        raise Hint(f"It published on {shown([item.topic for item in items])}: one item, 'files'.")
    if not seen:
        raise Hint("The item is stored, and a reader did not get it in time.")
    if seen[0] != blob:
        raise Hint(_not_the_blob(seen[0], items[0].data))
    size = (await runs(case.stream))[0].bytes
    return f"{len(blob):,} bytes in the store, {size:,} in the history, and a reader got them."


async def _follow(case: Case, store: Store, got: Callable[[object], None]) -> None:
    """A reader that fetches what an item names the moment that it comes."""
    items = WorkflowStreamClient.create(case.client, case.hub.id).subscribe("files")
    key = (await anext(items)).data
    try:
        got(await store.get(key))
    except (KeyError, TypeError):
        got(None)


def _nothing(case: Case, store: Store) -> str:
    if not store.puts and case.answer.never_uses(1):
        return "It never uses `store`, and no item is stored."
    if text := looking.printed().strip():
        return f"It printed {shown(text)}; no item is stored. `print` tells only you."
    return (
        "No item is stored: `publish` only buffers, and what is in the buffer is sent by `flush`."
    )


def _not_the_blob(seen: object, data: object) -> str:
    if seen is None:
        return (
            f"A reader got the item {shown(data)}, and found nothing under that in the store. What "
            "does `await store.put(…)` return, and when?"
        )
    return "A reader got the item, and found something else under its key."


EXERCISES: dict[str, Exercise] = {
    "8.6": Exercise(
        _interval,
        [
            Bursts(timedelta(milliseconds=200), 400),
            Bursts(timedelta(milliseconds=100), 300),
            Bursts(timedelta(milliseconds=50), 100),
        ],
    ),
    "8.7": Exercise(_cheapest_first, ["measured", "again"]),
    "8.8": Exercise(_by_reference, [1_000_000, 1_200_000]),
}

"""Notebook 04's exercises. How a check works: `judging.py`."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import WorkflowUpdateFailedError

from streamlib import OffsetTruncatedError, WorkflowStreamClient
from streamlib.errors import shown
from streamlib.lab.lessons.checks.judging import (
    NOT_YET,
    Check,
    Hint,
    Verdict,
    fresh_stream,
    hub_of,
    in_order,
    program,
    publish,
    result_of,
)
from streamlib.scenarios.connect import connect
from streamlib.scenarios.hub import HubWorkflow


async def _keep_three(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """4.5: where to cut so that three items stay; on a new log, a cut one, and a short one."""
    await publish(stream, *["numbers"] * 10)
    left = await _cut(answer, stream)
    if left is None:
        return NOT_YET
    if left != 3:
        raise Hint(
            f"Of the offsets 0 to 9 it left {left}, not 3. What lies *below* the number goes; "
            "which offset is the first of the last three?"
        )
    await publish(stream, *["numbers"] * 4)
    if (left := await _cut(answer, stream)) != 3:
        raise Hint(
            f"With 0 to 9 it did well. Of the offsets 7 to 13 it left {left}, not 3: offsets count "
            "from the stream's beginning, not from what is left of it."
        )
    async with fresh_stream() as short:
        await publish(short, "numbers", "numbers")
        if (left := await _cut(answer, short)) != 2:
            raise Hint(f"A log of two items is short enough as it is; it left {left}.")
    return Verdict(True, "It kept the last three, and left a shorter log alone.")


async def _cut(answer: Any, stream: WorkflowStreamClient) -> int | None:
    """How many items are left when the log was cut where the learner says; None: not answered."""
    log = await stream.describe()
    up_to = await result_of(answer, log)
    if up_to is None or up_to is ...:
        return None
    if not isinstance(up_to, int) or isinstance(up_to, bool):
        raise Hint(f"It returned {shown(up_to)}. An offset is a whole number from 0 on.")
    try:
        await hub_of(stream, await connect()).execute_update(HubWorkflow.truncate, up_to)
    except WorkflowUpdateFailedError:
        raise Hint(
            f"With the offsets {log.base_offset} to {log.end_offset - 1} it returned {up_to}, and "
            "the update failed: that is past the end."
        ) from None
    after = await stream.describe()
    return after.end_offset - after.base_offset


LINES = {
    "A": 'stream.topic("numbers").publish("fresh")',
    "B": "await hub.execute_update(HubWorkflow.truncate, end)",
    "C": "item = await anext(stream.subscribe())",
    "D": "end = await stream.get_offset()",
    "E": "await stream.flush()",
}
"""Exercise 4.6 in its right order of letters, D, B, A, E, C for one."""


async def _only_the_fresh_one(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """4.6, a Parsons problem: empty the log, publish, and read what is there."""
    order = in_order(answer, LINES)
    await publish(stream, *["numbers"] * 5)
    hub = hub_of(stream, await connect())
    run = program(order, LINES, "stream", "hub", "HubWorkflow", result="item")
    try:
        item = await asyncio.wait_for(run(stream, hub, HubWorkflow), 1.0)
    except UnboundLocalError:
        raise Hint("B used `end` before D had asked for it.") from None
    except asyncio.TimeoutError:
        if order.index("C") < order.index("E"):
            raise Hint(
                "C waited for an item in an empty log, so the lines after it never ran."
            ) from None
        raise Hint(
            "C waited in vain: `end` was asked for when 'fresh' was stored already, so B cut it "
            "off with all the others."
        ) from None
    if item.data != "fresh":
        raise Hint(f"C read offset {item.offset}, {item.data!r}: the old items were still there.")
    return Verdict(True, f"It read offset {item.offset}, 'fresh': no offset is ever given again.")


async def _read_and_note(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """4.7: read with `on_truncated="raise"`, note the gap, read on."""
    await publish(stream, *["numbers"] * 10)
    hub = hub_of(stream, await connect())
    await hub.execute_update(HubWorkflow.truncate, 6)
    await hub.signal(HubWorkflow.close)
    items = stream.subscribe(from_offset=2, on_truncated="raise")
    try:
        result = await result_of(answer, items, lets=OffsetTruncatedError)
    except OffsetTruncatedError:
        raise Hint(
            "It stopped with OffsetTruncatedError. The subscription has moved to the base: catch "
            "the error, and read on."
        ) from None
    if result is None or result is ...:
        return NOT_YET
    if not isinstance(result, tuple) or len(result) != 2:
        raise Hint(f"It returned {shown(result)}, not a list of offsets and a number.")
    offsets, missed = result
    if not offsets:
        raise Hint(
            "It returned no offsets: 6 to 9 were there. An error ends an `async for`; a loop "
            "around it goes on reading."
        )
    if offsets != [6, 7, 8, 9]:
        raise Hint(f"It read {shown(offsets)}; there were 6, 7, 8 and 9, each once.")
    if missed == 6:
        raise Hint("6 is the base offset. It began at 2: how many lie between?")
    if missed != 4:
        raise Hint(f"It counted {shown(missed)} missed; offsets 2, 3, 4 and 5 were gone.")
    return Verdict(True, "It read 6 to 9, and counted the 4 that were gone.")


CHECKS: dict[str, Check] = {
    "4.5": _keep_three,
    "4.6": _only_the_fresh_one,
    "4.7": _read_and_note,
}

"""Notebook 04's exercises. How a check works: `judging.py`."""

from __future__ import annotations

from temporalio.client import WorkflowUpdateFailedError

from streamlib import OffsetTruncatedError
from streamlib.errors import shown
from streamlib.lab.lessons.checks import parsons
from streamlib.lab.lessons.checks.judging import (
    Case,
    Exercise,
    Hint,
    all_of,
    returned,
)
from streamlib.scenarios.hub import HubWorkflow


async def _keep_three(case: Case) -> str:
    """4.5: where to cut so that three items stay; on a new log, a cut one, and a short one."""
    await all_of(_of_a_whole_log(case), _of_a_cut_log(case), _of_a_short_log(case))
    return "It kept the last three, and left a shorter log alone."


async def _of_a_whole_log(case: Case) -> None:
    count: int = case.world
    await case.publish(*["numbers"] * count)
    if (left := await _cut(case)) != 3:
        raise Hint(
            f"Of the offsets 0 to {count - 1} it left {left}, not 3. What lies *below* the number "
            "goes; which offset is the first of the last three?"
        )


async def _of_a_cut_log(case: Case) -> None:
    cut, count = await case.another(), case.world + 4
    await cut.publish(*["numbers"] * count)
    await cut.hub.execute_update(HubWorkflow.truncate, count - 7)
    if (left := await _cut(cut)) != 3:
        raise Hint(
            f"With a log from 0 on it did well. Of the offsets {count - 7} to {count - 1} it left "
            f"{left}, not 3: offsets count from the stream's beginning, not from what is left of "
            "it."
        )


async def _of_a_short_log(case: Case) -> None:
    short, few = await case.another(), case.world % 2 + 1
    await short.publish(*["numbers"] * few)
    if (left := await _cut(short, may_be_none=True)) != few:
        raise Hint(f"A log of {few} items is short enough as it is; it left {left}.")


async def _cut(case: Case, *, may_be_none: bool = False) -> int:
    """How many items are left when the log was cut where the learner says."""
    log = await case.stream.describe()
    up_to = await case.answer.call(log, in_thread=True)
    if up_to is None and may_be_none:  # "leave it as it is"
        return log.end_offset - log.base_offset
    up_to = int(returned(up_to, int, "the offset to truncate up to, a whole number"))
    try:
        await case.hub.execute_update(HubWorkflow.truncate, up_to)
    except WorkflowUpdateFailedError:
        raise Hint(
            f"With the offsets {log.base_offset} to {log.end_offset - 1} it returned {up_to}, "
            "and the update failed: that is past the end."
        ) from None
    after = await case.stream.describe()
    return after.end_offset - after.base_offset


LINES = {
    "A": 'stream.topic("numbers").publish("fresh")',
    "B": "await hub.execute_update(HubWorkflow.truncate, end)",
    "C": "item = await anext(stream.subscribe())",
    "D": "end = await stream.get_offset()",
    "E": "await stream.flush()",
}
"""Exercise 4.6 in its right order of letters, D, B, A, E, C for one."""


async def _only_the_fresh_one(case: Case) -> str:
    """4.6, a Parsons problem: empty the log, publish, and read what is there."""
    order = parsons.in_order(case.answer, LINES)
    parsons.made_before_used(order, {"B": ("end", "D")})
    await case.publish(*["numbers"] * case.world)
    at = {letter: order.index(letter) for letter in LINES}
    if at["E"] < at["A"] and at["B"] < at["C"]:
        late = "E came before A: it had nothing to send, and 'fresh' was never stored."
    elif at["C"] < at["E"]:
        late = "C waited for an item in an empty log, so the lines after it never ran."
    else:
        late = (
            "`end` was asked for when 'fresh' was stored already, so B cut it off with all the "
            "others."
        )
    doomed = at["E"] < at["A"] or at["C"] < at["E"] or at["E"] < at["D"]
    patience = parsons.DOOMED if doomed and at["B"] < at["C"] else parsons.PATIENCE
    run = parsons.program(order, LINES, "stream", "hub", "HubWorkflow", result="item")
    item = await run.call(case.stream, case.hub, HubWorkflow, late=late, patience=patience)
    if item.data != "fresh":
        raise Hint(f"C read offset {item.offset}, {item.data!r}: the old items were still there.")
    return f"It read offset {item.offset}, 'fresh': no offset is ever given again."


async def _read_and_note(case: Case) -> str:
    """4.7: read with `on_truncated="raise"`, note the gap, read on."""
    count, begin, base = case.world
    await case.publish(*["numbers"] * count)
    await case.hub.execute_update(HubWorkflow.truncate, base)
    await case.close()
    items = case.stream.subscribe(from_offset=begin, on_truncated="raise")
    late = (
        "The stream had ended by then. `async for` ends with it; a loop around it that catches "
        "every error, or never returns, asks again for ever."
    )
    try:
        result = await case.answer.call(items, lets=(OffsetTruncatedError,), late=late)
    except OffsetTruncatedError:
        raise Hint(
            "It stopped with OffsetTruncatedError. The subscription has moved to the base: catch "
            "the error, and read on."
        ) from None
    pair = returned(result, (tuple, list), "two values: the list of offsets, and how many")
    if len(pair) != 2 or not isinstance(pair[0], list):
        raise Hint(f"It returned {shown(result)}, not a list of offsets and a number.")
    offsets, missed = pair
    there = [*range(base, count)]
    if not offsets:
        raise Hint(
            f"It returned no offsets: {base} to {count - 1} were there. An error ends an "
            "`async for`; a loop around it goes on reading."
        )
    if offsets != there:
        raise Hint(f"It read {shown(offsets)}; there were {base} to {count - 1}, each once.")
    if missed == base:
        raise Hint(f"{base} is the base offset. It began at {begin}: how many lie between?")
    if missed != base - begin:
        raise Hint(f"It counted {shown(missed)} missed; offsets {begin} to {base - 1} were gone.")
    return f"It read {base} to {count - 1}, and counted the {missed} that were gone."


EXERCISES: dict[str, Exercise] = {
    "4.5": Exercise(_keep_three, [10, 7]),
    "4.6": Exercise(_only_the_fresh_one, [5, 2]),
    "4.7": Exercise(_read_and_note, [(10, 2, 6), (12, 5, 8)]),
}

"""Notebook 02's exercises. How a check works: `judging.py`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from streamlib import StreamChangedError, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons.checks import looking, parsons
from streamlib.lab.lessons.checks.judging import (
    Case,
    Exercise,
    Hint,
    all_of,
    open_subscription,
    read,
)


async def _come_back(case: Case) -> str:
    """2.5: from what was saved to a subscription; then the same for another stream's note."""
    items_there, at = case.world
    await case.publish(*["jobs"] * items_there)
    note = {"offset": at, "stream_id": (await case.stream.describe()).stream_id}
    foreign = {**note, "stream_id": "the-stream-of-another-workflow"}
    await all_of(_goes_on(case, note, items_there), _refuses(case, foreign))
    return f"It went on with offset {at}, and refused a note of another stream."


async def _goes_on(case: Case, note: dict[str, Any], end: int) -> None:
    try:
        result = await case.answer.call(case.stream, dict(note), lets=(StreamChangedError,))
        subscription = open_subscription(result, case)
        await subscription.start()
        begin = subscription.position
        items = await read(subscription, case)
    except StreamChangedError:
        raise Hint(
            "It refused the note of this very stream: what it compares with is not the note's "
            '`"stream_id"`. (A workflow\'s id is another thing: many streams can have it in turn.)'
        ) from None
    at = note["offset"]
    if not items:
        raise Hint(
            f"Nothing came, though offsets {at} to {end - 1} were there: it began at {begin}, the "
            "end. Use the note's offset."
        )
    if items[0].offset < at:
        raise Hint(f"It began with offset {items[0].offset}, which was read before: use the note.")
    if items[0].offset > at:
        raise Hint(f"Offset {at} was skipped: the note holds the *next* offset already.")


async def _refuses(case: Case, note: dict[str, Any]) -> None:
    try:
        # An error of the answer's own refuses as well: the right note has passed by then.
        result = await case.answer.call(case.stream, note, lets=(Exception,))
        if result is None:
            raise Hint(
                "For a note of another stream it returned None. It guards, but whoever reads from "
                "that gets an error about None. `stream_id=` raises one that says what happened."
            )
        items = await read(open_subscription(result, case), case)
    except Hint:
        raise
    except Exception:
        return
    came = f"offset {items[0].offset} of this one" if items else "on, and waited"
    guard = "" if case.answer.uses("stream_id") else " Which argument guards an offset?"
    raise Hint(
        f"It went on where it should. But given a note of another stream it read {came}, where it "
        f"should have been refused.{guard}"
    )


class _Crash(Exception):
    """The learner's program dies here, once."""


class _Handler:
    """Handles items, but for one: there it crashes once."""

    def __init__(self, crash_at: int) -> None:
        self.handled: list[int] = []
        self.called: list[int] = []
        self.crash_at = crash_at

    def __call__(self, item: WorkflowStreamItem[Any]) -> None:
        self.called.append(item.offset)
        if item.offset == self.crash_at and self.called.count(item.offset) == 1:
            raise _Crash("this is where the program dies")
        self.handled.append(item.offset)


LINES = {
    "A": "    save(item.offset + 1)",
    "B": "items = stream.subscribe(from_offset=start)",
    "C": "async for item in items:",
    "D": "    handle(item)",
    "E": "start = load()",
}
"""Exercise 2.6 in its right order of letters E, B, C, D, A."""


async def _nothing_lost(case: Case) -> str:
    """2.6, a Parsons problem: run the lines in the learner's order, with a crash in `handle`."""
    order = parsons.in_order(case.answer, LINES)
    at = order.index("C")
    if set(order[at + 1 : at + 3]) != {"A", "D"}:
        raise Hint("A and D are indented: they are the body of C and come right after it.")
    parsons.made_before_used(order, {"B": ("start", "E"), "C": ("items", "B")})
    count, crash_at = case.world
    await case.publish(*["jobs"] * count)
    await case.close()
    run = parsons.program(order, LINES, "stream", "load", "save", "handle")
    note, handle = [0], _Handler(crash_at)

    def save(offset: int) -> None:
        note[0] = offset

    for _ in range(2):
        with suppress(_Crash):
            await run.call(*(case.stream, lambda: note[0], save, handle), lets=(_Crash,))
    if crash_at not in handle.handled:
        raise Hint(
            f"It crashed while it handled offset {crash_at}, came back and went on with "
            f"{crash_at + 1}: offset {crash_at} was saved as done, and never was."
        )
    return f"It crashed at offset {crash_at} and came back; handled: {handle.handled}."


async def _work(case: Case) -> str:
    """2.7: handle each item once, though `handle` crashes once and all is called again."""
    count, crash_at = case.world
    await case.publish(*["jobs"] * count)
    await case.close()
    note: dict[str, Any] = {}
    handle = _Handler(crash_at)

    def late() -> str:
        if len(handle.handled) >= count:
            return (
                f"It had called `handle` {len(handle.called)} times by then. The stream had ended, "
                "and so had `async for`; a loop around it begins again, for ever."
            )
        return f"It had handled {handle.handled} by then; the stream had ended."

    try:
        await case.answer.call(case.stream, note, handle, lets=(_Crash,), late=late)
    except _Crash:
        before = len(handle.handled)
        await case.answer.call(case.stream, note, handle, lets=(_Crash,), late=late)
    else:
        raise Hint(_did_not_crash(case, handle, count))
    return _after_the_crash(case, handle, before, count, note)


def _did_not_crash(case: Case, handle: _Handler, count: int) -> str:
    if not handle.called and (text := looking.printed().strip()):
        return f"It printed {shown(text)} and called `handle` for no item."
    if not handle.called:
        return "It called `handle` for no item: read the stream, and hand each item over."
    if handle.called.count(handle.crash_at) > 1:
        return (
            f"`handle` crashed at offset {handle.crash_at}, and it called `handle` again at once. "
            "In a crash the whole program is gone, also the line that would try again: let the "
            "error through, and be ready to be called anew."
        )
    if handle.crash_at in handle.called:
        return (
            f"`handle` crashed at offset {handle.crash_at}, and `work` went on as if it had not: "
            "that item was never handled. Let the error through."
        )
    return f"It handled {handle.handled} and returned: 0 to {count - 1} were there."


def _after_the_crash(
    case: Case, handle: _Handler, before: int, count: int, note: dict[str, Any]
) -> str:
    after, at = handle.handled[before:], handle.crash_at
    said = f"It crashed while it handled offset {at}. Called again, it handled {after}."
    if after[:1] == [0]:
        if not note and case.answer.rebinds(1):
            raise Hint(
                f"{said} `note = …` gives the name `note` to a dict of its own; the one that "
                'outlives the crash stayed empty. Write into it: `note["offset"] = …`.'
            )
        raise Hint(
            f"{said} It started over: the stream does not remember its readers. Save in `note` "
            "where to go on, after each item, and start from there."
        )
    if after[:1] == [at - 1]:
        raise Hint(
            f"{said} Offset {at - 1} came twice: after each item the note should name the *next* "
            "one to handle."
        )
    if at not in after and "finally:" in case.answer.source:
        raise Hint(
            f"{said} Offset {at} was lost: `finally` runs also when `handle` fails, and saved the "
            "item as done."
        )
    if at not in after:
        raise Hint(f"{said} Offset {at} was lost: it was saved before it was handled.")
    if handle.handled != [*range(count)]:
        raise Hint(f"{said} In all that makes {handle.handled}, not each of 0 to {count - 1} once.")
    return f"{said} Nothing lost, nothing twice."


EXERCISES: dict[str, Exercise] = {
    "2.5": Exercise(_come_back, [(4, 2), (6, 5)]),
    "2.6": Exercise(_nothing_lost, [(5, 2), (4, 1)]),
    "2.7": Exercise(_work, [(5, 2), (7, 3)]),
}

"""Notebook 02's exercises. How a check works: `judging.py`."""

from __future__ import annotations

from typing import Any

from streamlib import StreamChangedError, Subscription, WorkflowStreamClient, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons.checks.judging import (
    NOT_YET,
    Check,
    Hint,
    Verdict,
    first,
    hub_of,
    in_order,
    program,
    publish,
    result_of,
)
from streamlib.scenarios.connect import connect
from streamlib.scenarios.hub import HubWorkflow


async def _come_back(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """2.5: from what was saved to a subscription; then the same for another stream's note."""
    await publish(stream, *["jobs"] * 4)
    note = {"offset": 2, "stream_id": (await stream.describe()).stream_id}
    subscription = await result_of(answer, stream, note)
    if subscription is None or subscription is ...:
        return NOT_YET
    if not isinstance(subscription, Subscription):
        raise Hint(f"It returned {shown(subscription)}. Return what `subscribe` returns.")
    item = await first(subscription)
    if item is None:
        raise Hint("Nothing came, though offsets 2 and 3 were there: where did it start?")
    if item.offset < 2:
        raise Hint(f"It began with offset {item.offset}, which was read before: use the note.")
    if item.offset > 2:
        raise Hint("Offset 2 was skipped: the note holds the *next* offset already.")
    try:
        of_another = {**note, "stream_id": "the-stream-of-another-workflow"}
        stray = await result_of(answer, stream, of_another, lets=StreamChangedError)
        wrong = await first(stray)
    except StreamChangedError:
        wrong = None
    if wrong is not None and wrong.offset > 0:
        raise Hint(
            "It began with offset 2, as it should. But with a note that was saved for another "
            f"stream it read offset {wrong.offset} of this one. Which argument guards an offset?"
        )
    return Verdict(True, "It went on with offset 2, and refused a note of another stream.")


class _Crash(Exception):
    """The learner's program dies here, once."""


class _Handler:
    """Handles items, but for one: there it crashes once."""

    def __init__(self) -> None:
        self.handled: list[int] = []
        self.crashed = False

    def __call__(self, item: WorkflowStreamItem[Any]) -> None:
        if item.offset == 2 and not self.crashed:
            self.crashed = True
            raise _Crash
        self.handled.append(item.offset)


async def _five_items_and_the_end(stream: WorkflowStreamClient) -> None:
    await publish(stream, *["jobs"] * 5)
    await hub_of(stream, await connect()).signal(HubWorkflow.close)


LINES = {
    "A": "    save(item.offset + 1)",
    "B": "items = stream.subscribe(from_offset=start)",
    "C": "async for item in items:",
    "D": "    handle(item)",
    "E": "start = load()",
}
"""Exercise 2.6 in its right order of letters E, B, C, D, A."""


async def _nothing_lost(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """2.6, a Parsons problem: run the lines in the learner's order, with a crash in `handle`."""
    order = in_order(answer, LINES)
    at = order.index("C")
    if set(order[at + 1 : at + 3]) != {"A", "D"}:
        raise Hint("A and D are indented: they are the body of C and come right after it.")
    await _five_items_and_the_end(stream)
    run = program(order, LINES, "stream", "load", "save", "handle")
    note, handle = [0], _Handler()

    def save(offset: int) -> None:
        note[0] = offset

    for _ in range(2):
        try:
            await run(stream, lambda: note[0], save, handle)
        except _Crash:
            pass
        except UnboundLocalError:
            raise Hint("A line used `start` or `items` before another line had made it.") from None
    if 2 not in handle.handled:
        raise Hint(
            "It crashed while it handled offset 2, came back and went on with 3: offset 2 was "
            "saved as done, and never was."
        )
    return Verdict(True, f"It crashed at offset 2 and came back; handled: {handle.handled}.")


async def _work(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """2.7: handle each item once, though `handle` crashes once and all is called again."""
    await _five_items_and_the_end(stream)
    note: dict[str, Any] = {}
    handle = _Handler()
    try:
        await result_of(answer, stream, note, handle, lets=_Crash)
    except _Crash:
        before = len(handle.handled)
        await result_of(answer, stream, note, handle, lets=_Crash)
    else:
        if not handle.crashed and not handle.handled:
            return NOT_YET
        if handle.crashed:
            raise Hint("`handle` crashed at offset 2, and `work` went on as if it had not.")
        raise Hint(f"It handled {handle.handled} and returned: 0 to 4 were there.")
    after = handle.handled[before:]
    said = f"It crashed while it handled offset 2. Called again, it handled {after}."
    if after[:1] == [0]:
        raise Hint(
            f"{said} It started over: the stream does not remember its readers. Save in `note` "
            "where to go on, after each item, and start from there."
        )
    if after[:1] == [1]:
        raise Hint(f"{said} Offset 1 came twice: the note should name the *next* item to handle.")
    if 2 not in after:
        raise Hint(f"{said} Offset 2 was lost: it was saved before it was handled.")
    if handle.handled != [0, 1, 2, 3, 4]:
        raise Hint(f"{said} In all that makes {handle.handled}, not each of 0 to 4 once.")
    return Verdict(True, f"{said} Nothing lost, nothing twice.")


CHECKS: dict[str, Check] = {
    "2.5": _come_back,
    "2.6": _nothing_lost,
    "2.7": _work,
}

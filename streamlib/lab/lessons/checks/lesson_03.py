"""Notebook 03's exercises. How a check works: `judging.py`."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle

from streamlib import StreamNotFoundError, WorkflowStreamClient
from streamlib.errors import shown
from streamlib.lab.lessons.checks import looking, parsons
from streamlib.lab.lessons.checks.judging import (
    Case,
    Exercise,
    Hint,
    all_of,
    read,
    returned,
)
from streamlib.scenarios.hub import HubWorkflow

LINES = {
    "A": "await hub.signal(HubWorkflow.close)",
    "B": 'stream.topic("jobs").publish("done")',
    "C": "hub = client.get_workflow_handle_for(HubWorkflow.run, hub_id)",
    "D": "await stream.flush()",
    "E": "stream = WorkflowStreamClient.create(client, hub_id)",
}
"""Exercise 3.4: right are E, B, D, A in this order with C anywhere before A."""


async def _job_is_done(case: Case) -> str:
    """3.4, a Parsons problem: run the lines in the learner's order."""
    order = parsons.in_order(case.answer, LINES)
    parsons.made_before_used(order, {"A": ("hub", "C"), "B": ("stream", "E"), "D": ("stream", "E")})
    await case.publish(*["jobs"] * case.world)
    names = {"HubWorkflow": HubWorkflow, "WorkflowStreamClient": WorkflowStreamClient}
    # A hub takes a moment to end: who publishes too late must not pass by being quick.
    lines = {**LINES, "A": LINES["A"] + "; await hub.result()"}
    run = parsons.program(order, lines, "client", "hub_id", *names)
    try:
        await run.call(*(case.client, case.hub.id, *names.values()), lets=(StreamNotFoundError,))
    except StreamNotFoundError:
        raise Hint(
            "D found the hub closed: A came first, and the item was still in the buffer. It is not "
            "in the stream."
        ) from None
    if await case.stream.get_offset() == case.world:
        raise Hint(
            "It ran through, and nothing is stored: when D came, B had not published yet. What is "
            "published after a flush waits for the next one."
        )
    return "The item is stored, and then the hub was closed."


async def _report(case: Case) -> str:
    """3.5: publish all lines and the last item, then close."""
    lines: list[str] = case.world
    try:
        await case.answer.call(case.client, case.hub.id, list(lines), lets=(StreamNotFoundError,))
    except StreamNotFoundError:
        raise Hint(await _not_found(case, lines)) from None
    stored = await case.stream.get_offset()
    events = await _ending(case.hub)  # its status would be a moment late
    if "terminated" in events or "cancelled" in events:
        how = "terminated" if "terminated" in events else "cancelled"
        raise Hint(
            f"The hub was {how}. That ends the run from outside, without a word to the workflow. "
            "Ask it to end: `await hub.signal(HubWorkflow.close)`."
        )
    is_open = "close" not in events
    if not stored:
        raise Hint(_nothing_stored(case, is_open))
    _holds(case, [(item.topic, item.data) for item in await read(case.stream.subscribe(), case)])
    if not is_open and events[-1] != "close":
        raise Hint(
            "All is stored, by luck: the hub was told to close before the last items came, and had "
            "not ended yet. Send what is in the buffer first; then close."
        )
    if is_open:
        raise Hint(
            "All is stored, but the hub is still open: it runs on, and its readers wait for more."
        )
    return f"{len(lines)} lines and 'END' are stored, in order, and the hub is closed."


async def _not_found(case: Case, lines: list[str]) -> str:
    if "close" not in await _ending(case.hub):
        return (
            "It published to a stream that is closed or not there: not the one of `hub_id`, which "
            "is open."
        )
    stored = await case.stream.get_offset()
    return (
        f"The hub was closed when only {stored} of {len(lines) + 1} items were stored. Send what "
        "is in the buffer first; then close."
    )


def _nothing_stored(case: Case, is_open: bool) -> str:
    if is_open and (text := looking.printed().strip()):
        return f"It printed {shown(text)}; nothing was published. `print` tells only you."
    if case.answer.never_uses(1):
        return "It never uses `hub_id`: if it published, then to another stream."
    if is_open:
        return (
            "Nothing is stored, and the hub is still open. What `publish` buffers is sent by "
            "`flush`, or on leaving `async with`."
        )
    return (
        "The hub is closed and holds nothing: `publish` only buffers, and nobody sent what was in "
        "the buffer."
    )


def _holds(case: Case, found: list[tuple[str, Any]]) -> None:
    lines, values = case.world, [value for _, value in found]
    if {topic for topic, _ in found} != {"report"}:
        raise Hint(f"The topics were {sorted({topic for topic, _ in found})}, not just 'report'.")
    if "END" not in values:
        raise Hint(
            f"The last item is {shown(values[-1])}. Without 'END' a reader cannot tell a report "
            "that is complete from one that broke off."
        )
    if values != [*lines, "END"]:
        raise Hint(f"The items were {shown(values)}: each line in order, and 'END' last.")


async def _ending(hub: WorkflowHandle[HubWorkflow, str]) -> list[str]:
    """The signals that it got, in order, and whether somebody ended it by force."""
    found: list[str] = []
    for event in (await hub.fetch_history()).events:
        if name := event.workflow_execution_signaled_event_attributes.signal_name:
            found.append(name)
        if event.HasField("workflow_execution_terminated_event_attributes"):
            found.append("terminated")
        if event.HasField("workflow_execution_cancel_requested_event_attributes"):
            found.append("cancelled")
    return found


async def _read_report(case: Case) -> str:
    """3.6: read a complete report, and two that broke off: closed and terminated."""
    await all_of(_complete(case), _broken(case, "closed"), _broken(case, "terminated"))
    return "It told a complete report from one that was closed too early, or terminated."


async def _complete(case: Case) -> None:
    lines: list[str] = case.world
    await _write(case, [*lines, "END"])
    await case.close()
    got, complete = await _read(case)
    if "END" in got:
        raise Hint("'END' is among the lines. It says that there are no more; it is none.")
    if got != lines:
        raise Hint(f"It read {shown(got)}; the report had {shown(lines)}.")
    if complete is not True:
        raise Hint(f"'END' was there, and yet its second value is {shown(complete)}, not True.")


async def _broken(complete: Case, ending: str) -> None:
    lines: list[str] = complete.world[:-1]
    case = await complete.another()
    await _write(case, lines)
    await (case.close() if ending == "closed" else case.hub.terminate())
    got, whole = await _read(case)
    if whole is not False:
        raise Hint(
            f"A hub was {ending} after {len(lines)} lines, without 'END', and your function calls "
            "that report complete. That a run ended, even well, does not mean that the publisher "
            "had finished."
        )
    if got != lines:
        raise Hint(f"Of a report whose hub was {ending} half-way it read {shown(got)}.")


async def _write(case: Case, values: list[str]) -> None:
    for value in values:
        case.stream.topic("report").publish(value)
    await case.stream.flush()
    await case.stored(len(values))  # whoever terminates it now takes nothing back


async def _read(case: Case) -> tuple[list[Any], Any]:
    late = (
        "The run had ended, and no more items came. `async for` ends then by itself; what catches "
        "every error also catches the end, and asks again."
    )
    result = await case.answer.call(case.stream, late=late)
    pair = returned(result, (tuple, list), "two values: the list of lines, and True or False")
    if len(pair) != 2 or not isinstance(pair[0], list):
        raise Hint(f"It returned {shown(result)}, not a list of lines and True or False.")
    return pair[0], pair[1]


EXERCISES: dict[str, Exercise] = {
    "3.4": Exercise(_job_is_done, [0, 2]),
    "3.5": Exercise(_report, [["line one", "line two", "line three"], ["the only line"]]),
    "3.6": Exercise(_read_report, [["line one", "line two", "line three"], ["first", "second"]]),
}

"""Notebook 03's exercises. How a check works: `judging.py`."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle

from streamlib import StreamNotFoundError, WorkflowStreamClient
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
    result_of,
)
from streamlib.lab.lessons.lesson import arrived
from streamlib.scenarios.connect import connect
from streamlib.scenarios.hub import HubWorkflow

LINES = {
    "A": "await hub.signal(HubWorkflow.close)",
    "B": 'stream.topic("jobs").publish("done")',
    "C": "hub = client.get_workflow_handle_for(HubWorkflow.run, hub_id)",
    "D": "await stream.flush()",
    "E": "stream = WorkflowStreamClient.create(client, hub_id)",
}
"""Exercise 3.4: right are E, B, D, A in this order with C anywhere before A."""


async def _job_is_done(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """3.4, a Parsons problem: run the lines in the learner's order."""
    names = {"HubWorkflow": HubWorkflow, "WorkflowStreamClient": WorkflowStreamClient}
    # A hub takes a moment to end: who publishes too late must not pass by being quick.
    lines = {**LINES, "A": LINES["A"] + "; await hub.result()"}
    run = program(in_order(answer, LINES), lines, "client", "hub_id", *names)
    try:
        await run(await connect(), stream.workflow_id, *names.values())
    except UnboundLocalError:
        raise Hint("A line used `hub` or `stream` before another line had made it.") from None
    except StreamNotFoundError:
        raise Hint(
            "D found the hub closed: A came first, and the item was still in the buffer. It is not "
            "in the stream."
        ) from None
    stored = await stream.get_offset()
    if not stored:
        raise Hint(
            "It ran through, and nothing is stored: when D came, B had not published yet. What is "
            "published after a flush waits for the next one."
        )
    return Verdict(True, f"{stored} item stored, and then the hub was closed.")


REPORT = ["line one", "line two", "line three"]


async def _report(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """3.5: publish all lines and the last item, then close."""
    client = await connect()
    hub = hub_of(stream, client)
    try:
        await result_of(answer, client, hub.id, list(REPORT), lets=StreamNotFoundError)
    except StreamNotFoundError:
        raise Hint(
            f"The hub was closed when only {await stream.get_offset()} of {len(REPORT) + 1} items "
            "were stored. Send what is in the buffer first; then close."
        ) from None
    stored = await stream.get_offset()
    signals = await _signals(hub)  # its status would be a moment late
    is_open = "close" not in signals
    if not stored and is_open:
        return NOT_YET
    if not stored:
        raise Hint(
            "The hub is closed and holds nothing: `publish` only buffers, and nobody sent what was "
            "in the buffer."
        )
    items = await arrived(stream.subscribe(), quiet=0.1)
    values = [item.data for item in items]
    if {item.topic for item in items} != {"report"}:
        raise Hint(f"The topics were {sorted({item.topic for item in items})}, not just 'report'.")
    if "END" not in values:
        raise Hint(
            f"The last item is {shown(values[-1])}. Without 'END' a reader cannot tell a report "
            "that is complete from one that broke off."
        )
    if values != [*REPORT, "END"]:
        raise Hint(f"The items were {shown(values)}: each line in order, and 'END' last.")
    if not is_open and signals[-1] != "close":
        raise Hint(
            "All is stored, by luck: the hub was told to close before the last items came, and had "
            "not ended yet. Send what is in the buffer first; then close."
        )
    if is_open:
        raise Hint(
            "All is stored, but the hub is still open: it runs on, and its readers wait for more."
        )
    return Verdict(True, "Three lines and 'END' are stored, in order, and the hub is closed.")


async def _signals(hub: WorkflowHandle[HubWorkflow, str]) -> list[str]:
    """The signals that it got, in order."""
    events = (await hub.fetch_history()).events
    names = (event.workflow_execution_signaled_event_attributes.signal_name for event in events)
    return [name for name in names if name]


async def _read_report(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """3.6: read a complete report, and one whose hub was closed too early."""
    whole = await _read(answer, stream, [*REPORT, "END"])
    if whole is None or whole is ...:
        return NOT_YET
    lines, complete = _pair(whole)
    if "END" in lines:
        raise Hint("'END' is among the lines. It says that there are no more; it is none.")
    if lines != REPORT:
        raise Hint(f"It read {shown(lines)}; the report had {shown(REPORT)}.")
    if complete is not True:
        raise Hint(f"'END' was there, and yet its second value is {shown(complete)}, not True.")
    async with fresh_stream() as broken_off:
        lines, complete = _pair(await _read(answer, broken_off, REPORT[:2]))
    if complete is not False:
        raise Hint(
            "A hub was closed after two lines, without 'END', and your function calls that report "
            "complete. That a run ended, even well, does not mean that the publisher had finished."
        )
    if lines != REPORT[:2]:
        raise Hint(f"Of a report that broke off after two lines it read {shown(lines)}.")
    return Verdict(True, "It told a complete report from one that broke off.")


async def _read(answer: Any, stream: WorkflowStreamClient, values: list[str]) -> Any:
    for value in values:
        stream.topic("report").publish(value)
    await stream.flush()
    await hub_of(stream, await connect()).signal(HubWorkflow.close)
    try:
        return await result_of(answer, stream, lets=(StopAsyncIteration, RuntimeError))
    except (StopAsyncIteration, RuntimeError):
        raise Hint(
            "It asked for one more item when the run had closed: `anext` raises StopAsyncIteration "
            "then. `async for` just ends."
        ) from None


def _pair(result: Any) -> tuple[list[Any], Any]:
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], list):
        raise Hint(f"It returned {shown(result)}, not a list of lines and True or False.")
    return result


CHECKS: dict[str, Check] = {
    "3.4": _job_is_done,
    "3.5": _report,
    "3.6": _read_report,
}

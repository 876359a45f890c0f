"""What a stream has cost so far: its runs, one after the other, and the bill of each stream.

Owns tables of what the server itself says: each run's history. Queries are in no history; who
asks them counts them (`many.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue

from streamlib import WorkflowStreamClient
from streamlib.lab import session
from streamlib.lab.errors import LabError
from streamlib.wire.shapes import PUBLISH_SIGNAL

PATIENCE = 10.0
"""Seconds to wait for a run that is to come."""

SETTLED = 3.0
"""Seconds to wait for a worker that has still work to do; it may be dead."""

Stream = WorkflowStreamClient | WorkflowHandle[Any, Any]

_SIGNAL = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
_UPDATE = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_TIMER = EventType.EVENT_TYPE_TIMER_STARTED
_ACTIVITY = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
_ENDS = ("continued_as_new", "completed", "failed", "timed_out")


@dataclass(frozen=True)
class Run:
    """One run of a workflow, by what the server keeps of it."""

    run_id: str
    status: str
    events: int
    bytes: int
    signals: int
    batches: int
    """Those of its signals that brought items."""
    updates: int
    actions: int
    """What Temporal Cloud would bill for it, as far as the history tells: its start, signals,
    updates, timers and activities. Queries are billed too, and leave no trace here."""


class Runs(list[Run]):
    """The runs of a workflow, first to last; shows itself as a table."""

    def __repr__(self) -> str:
        """A line a run."""
        rows = [("run", "id", "status", "events", "bytes", "signals")]
        for number, run in enumerate(self, start=1):
            rows.append(
                (
                    f"{number}",
                    run.run_id[-8:],
                    run.status,
                    f"{run.events:,}",
                    f"{run.bytes:,}",
                    f"{run.signals}",
                )
            )
        return _table(rows, left=3)


@dataclass(frozen=True)
class Bill:
    """What all runs of a stream come to."""

    signals: int
    events: int
    bytes: int
    updates: int
    runs: int
    actions: int


class Bills(dict[str, Bill]):
    """A bill for each stream, by its name; shows them side by side."""

    def __repr__(self) -> str:
        """A column a stream."""
        rows = [("", *self)]
        for each in fields(Bill):
            rows.append((each.name, *(f"{getattr(bill, each.name):,}" for bill in self.values())))
        return _table(rows, left=1)


async def runs(stream: Stream, *, at_least: int = 1) -> Runs:
    """Return the runs of a workflow that hosts a stream, first to last.

    What was sent before is in their histories, if a worker is there to take it in.

    Args:
        stream: Its client, or its handle; for a handle, the last `lab.start()`'s client asks.
        at_least: Wait for so many, for ten seconds at most.

    Raises:
        LabError: It is a handle, and no session was started.
        RPCError: There is no such workflow, or the server does not answer.
    """
    client, workflow_id = _of(stream)
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await _chain(client, workflow_id)
        if len(found) >= at_least or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.05)


async def send_again(stream: Stream) -> None:
    """Send a workflow's first batch once more, as a client does whose acknowledgement was lost.

    It goes to the run that is there by now, byte by byte as it came. Returns when the workflow has
    seen it.

    Raises:
        LabError: Nobody has published to it; or as `runs`.
        RPCError: As `runs`.
        StreamError: No worker answers.
    """
    client, workflow_id = _of(stream)
    first = (await runs(stream))[0].run_id
    async for event in client.get_workflow_handle(workflow_id, run_id=first).fetch_history_events():
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == PUBLISH_SIGNAL:
            batch = [RawValue(payload) for payload in signal.input.payloads]
            await client.get_workflow_handle(workflow_id).signal(PUBLISH_SIGNAL, args=batch)
            await WorkflowStreamClient.create(client, workflow_id).get_offset()
            return
    raise LabError(f"nobody has published to {workflow_id!r}.")


async def _chain(client: Client, workflow_id: str) -> Runs:
    now = await client.get_workflow_handle(workflow_id).describe()
    run_id = now.raw_info.first_run_id or now.run_id
    found = Runs()
    while run_id:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        await _settles(handle)
        events = list((await handle.fetch_history()).events)
        about = await handle.describe()
        if len(events) < about.history_length:  # it may have ended between the two
            events = list((await handle.fetch_history()).events)
        status = about.status.name if about.status else ""
        size = about.raw_info.history_size_bytes
        found.append(_run(run_id, status, size, events))
        run_id = _next(events[-1])
    return found


async def _settles(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until the worker has done what there was to do: what came meanwhile is no event yet."""
    deadline = time.monotonic() + SETTLED
    while time.monotonic() < deadline:
        if not (await handle.describe()).raw_description.HasField("pending_workflow_task"):
            return
        await asyncio.sleep(0.05)


async def cost(**streams: Stream) -> Bills:
    """Return what each stream has cost so far, side by side, by the names given.

    Raises:
        LabError, RPCError: As `runs`.

    Example:
        await lab.cost(singly=one, at_once=other)
    """
    return Bills({name: _bill(await runs(stream)) for name, stream in streams.items()})


def _of(stream: Stream) -> tuple[Client, str]:
    if isinstance(stream, WorkflowStreamClient):
        return stream.temporal_client, stream.workflow_id
    if (last := session.last()) is None:
        raise LabError("no session is there: `session = await lab.start()` first.")
    return last.client, stream.id


def _run(run_id: str, status: str, size: int, events: Sequence[HistoryEvent]) -> Run:
    def count(*kinds: int) -> int:
        return sum(event.event_type in kinds for event in events)

    names = [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in events
        if event.event_type == _SIGNAL
    ]
    return Run(
        run_id,
        status,
        len(events),
        size,
        len(names),
        names.count(PUBLISH_SIGNAL),
        count(_UPDATE),
        1 + count(_SIGNAL, _UPDATE, _TIMER, _ACTIVITY),
    )


def _bill(chain: Sequence[Run]) -> Bill:
    def total(what: Callable[[Run], int]) -> int:
        return sum(map(what, chain))

    return Bill(
        signals=total(lambda run: run.signals),
        events=total(lambda run: run.events),
        bytes=total(lambda run: run.bytes),
        updates=total(lambda run: run.updates),
        runs=len(chain),
        actions=total(lambda run: run.actions),
    )


def _next(last: HistoryEvent) -> str:
    """The run that a run's last event names; empty if it was the chain's last, or still runs."""
    for end in _ENDS:
        if last.HasField(name := f"workflow_execution_{end}_event_attributes"):  # type: ignore[arg-type]
            return str(getattr(last, name).new_execution_run_id)
    return ""


def _table(rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Columns: the first `left` of them to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )

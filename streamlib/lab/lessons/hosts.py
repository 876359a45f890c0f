"""Workflows that host a stream for a lesson: a fresh one each time, or the same one again.

Owns which hubs a notebook has started, in one file a notebook, so that a restarted kernel finds
them and the last cell closes them: also those that an interrupted check left behind. What a hub
is: `streamlib/scenarios/hub.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from streamlib.lab.lessons.notes import Notes
from streamlib.lab.machine.small import SmallServer
from streamlib.lab.session import Session
from streamlib.scenarios.hub import HubInput, HubWorkflow

_PREFIX = "hub-"
_hubs = Notes("hosts")

FORGOTTEN = timedelta(hours=24)
"""After this long the server ends a hub that nobody closed."""

HOSTED = 5.0
"""Seconds that a worker gets to begin a hub, before `host` returns all the same."""


async def host(
    session: Session, *, again: bool = False, publisher_ttl: timedelta | None = None
) -> WorkflowHandle[HubWorkflow, str]:
    """Start a workflow that only hosts a stream, and return its handle.

    Where the session's worker runs, it has begun the workflow by then: one that is killed while it
    begins takes the first task with it, for ten seconds.

    Args:
        session: Where; from `lab.start()`.
        again: Return the one that this notebook started last, if it is still open. For after a
            kernel restart: the stream never noticed that.
        publisher_ttl: How long the stream remembers a publisher after its last batch; None: for
            as long as it lives.

    Example:
        hub = await lab.host(session)
        stream = WorkflowStreamClient.create(session.client, hub.id)
    """
    if again and (known := [each for each in _hubs.read() if each.startswith(_PREFIX)]):
        last = session.client.get_workflow_handle_for(HubWorkflow.run, known[-1])
        if await _is_open(last):
            return last
    hub_id = f"{_PREFIX}{uuid.uuid4().hex[:8]}"
    remember(hub_id)  # before it exists: a kernel may be restarted right here
    ttl = None if publisher_ttl is None else publisher_ttl.total_seconds()
    await session.client.start_workflow(
        HubWorkflow.run,
        HubInput(hub_id, publisher_ttl_seconds=ttl),
        id=hub_id,
        task_queue=session.task_queue,
        execution_timeout=FORGOTTEN,
    )
    handle = client_handle(session.client, hub_id)
    if session.worker.alive and not session.worker.paused:
        with suppress(asyncio.TimeoutError, RPCError):  # to wait is a courtesy
            await asyncio.wait_for(_begun(handle), HOSTED)
    return handle


async def host_workflow(
    session: Session | SmallServer, workflow: Any, input: Any
) -> WorkflowHandle[Any, Any]:
    """Start another workflow of the scenarios that hosts a stream, and return its handle.

    `close_hosts` closes it too, by its signal `close`.

    Args:
        session: Where; from `lab.start()`, or `lab.start_small_server()`.
        workflow: Its class.
        input: What it starts from.

    Example:
        hub = await lab.host_workflow(session, RollingWorkflow, RollingInput(signals=5))
    """
    hub_id = f"stream-{uuid.uuid4().hex[:8]}"
    remember(hub_id)  # before it exists: a kernel may be restarted right here
    await session.client.start_workflow(
        workflow.run,
        input,
        id=hub_id,
        task_queue=session.task_queue,
        execution_timeout=FORGOTTEN,
    )
    return session.client.get_workflow_handle(hub_id)


def client_handle(client: Client, hub_id: str) -> WorkflowHandle[HubWorkflow, str]:
    """A handle that is bound to no run, as anybody who knows the id would make it."""
    return client.get_workflow_handle_for(HubWorkflow.run, hub_id)


async def close_hosts(session: Session, *, but: WorkflowHandle[Any, Any] | None = None) -> int:
    """Close every hub that this notebook started; how many were still open. Idempotent.

    Args:
        session: Where; from `lab.start()`.
        but: One to leave open, for who plays on; it is closed the next time, or by the server
            after a day.
    """
    closed = 0
    spared = [] if but is None else [but.id]
    for hub_id in _hubs.read():
        if hub_id in spared:
            continue
        with suppress(RPCError):  # closed already, or unknown to this server
            await client_handle(session.client, hub_id).signal(HubWorkflow.close)
            closed += 1
    _hubs.write(spared)
    return closed


async def _begun(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until a worker has done the first task."""
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return


async def _is_open(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        return (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:  # another server by now
            return False
        raise


def remember(*hub_ids: str) -> None:
    """Let `close_hosts` close these, if nobody does before."""
    _hubs.write([*_hubs.read(), *hub_ids])


def forget(*hub_ids: str) -> None:
    """They were closed."""
    _hubs.write([each for each in _hubs.read() if each not in hub_ids])

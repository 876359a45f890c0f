"""What lessons say: what arrived, what Temporal wrote down, and the hosts they use."""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from streamlib import ItemDecodeError, WorkflowStreamClient, WorkflowStreamItem, lab
from streamlib.lab.lessons import hosts
from streamlib.scenarios.hub import HubInput, HubWorkflow

# What arrived.


@pytest.mark.server
async def test_arrived_takes_what_is_there_and_leaves_the_subscription_open(
    stream: WorkflowStreamClient,
) -> None:
    events = stream.subscribe()
    nothing = await lab.arrived(events, patience=0.2)
    assert (list(nothing), repr(nothing)) == (
        [],
        "(nothing arrived; position 0, lag 0; still open)",
    )
    stream.topic("a").publish("one")
    stream.topic("<b>\n").publish({"x": "y" * 500})
    await stream.flush()
    items = await lab.arrived(events)
    assert [item.offset for item in items] == [0, 1]
    lines = repr(items).splitlines()
    assert lines[1].split() == ["0", "a", "'one'"]
    assert len(lines) == 4  # a topic breaks no line
    assert max(map(len, lines)) < 120
    assert not hasattr(items, "_repr_html_")
    stream.topic("a").publish("three")
    await stream.flush()
    assert [item.data for item in await lab.arrived(events)] == ["three"]


@pytest.mark.server
async def test_arrived_shows_the_end_and_what_cannot_be_decoded(
    session: lab.Session, stream: WorkflowStreamClient
) -> None:
    for value in (1, "two", 3):
        stream.topic("n").publish(value)
    await stream.flush()
    await lab.close_hosts(session)
    items = await lab.arrived(stream.subscribe(result_type=int))
    assert [item.data for item in items] == [1, 3]
    assert [error.offset for error in items.undecodable] == [1]
    assert "     1  n      (cannot be decoded)" in repr(items)
    assert repr(items).endswith("(position 3, lag 0; the stream has ended: COMPLETED)")


class Scripted:
    """Stands in for a subscription: gives what it is told to, a little later each time."""

    position = lag = 0
    trouble = status = None

    def __init__(self, *script: Any) -> None:
        self.script = list(script)

    async def __anext__(self) -> Any:
        await asyncio.sleep(0.02)
        if not self.script:
            await asyncio.sleep(60)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return WorkflowStreamItem("t", step, step)


async def test_an_interrupted_or_failed_arrived_loses_no_item() -> None:
    events = Scripted(0, 1, 2)
    reading = asyncio.create_task(lab.arrived(events, quiet=5))
    await asyncio.sleep(0.2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert [item.offset for item in await lab.arrived(events, quiet=0.05)] == [0, 1, 2]
    failing = Scripted(0, RuntimeError("refused"), 1)
    with pytest.raises(RuntimeError, match="refused"):
        await lab.arrived(failing)
    assert [item.offset for item in await lab.arrived(failing, quiet=0.05)] == [0, 1]


async def test_arrived_returns_when_all_is_quiet_also_after_undecodable_items() -> None:
    events = Scripted(ItemDecodeError(0, "t", "no"))
    began = asyncio.get_running_loop().time()
    items = await lab.arrived(events, quiet=0.1)
    assert asyncio.get_running_loop().time() - began < 2
    assert "cannot be decoded" in repr(items)


# What Temporal wrote down, and the hosts.


@pytest.mark.server
async def test_history_names_events_as_the_ui_does(
    session: lab.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    for number in range(3):
        stream.topic("t").publish(number)
    await stream.flush()
    await stream.get_offset()
    await hub.signal(HubWorkflow.close)
    await hub.result()
    events = await lab.history(hub)
    assert events.count("WorkflowExecutionSignaled") == 2
    assert (events[0], events[-1]) == ("WorkflowExecutionStarted", "WorkflowExecutionCompleted")
    assert "WorkflowExecutionSignaled   a batch of 3 items" in repr(events)
    assert "WorkflowExecutionSignaled   close" in repr(events)
    lab.ui(session, hub)
    assert capsys.readouterr().out == (
        f"{session.server.ui_url}/namespaces/default/workflows/{hub.id}\n"
    )


@pytest.mark.server
async def test_a_host_is_fresh_or_the_same_again_and_closed_by_its_own_notebook(
    session: lab.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await lab.host(session, again=True)
    second = await lab.host(session)
    assert first.id != second.id
    assert (await lab.host(session, again=True)).id == second.id
    mine = os.environ["JPY_SESSION_NAME"]
    monkeypatch.setenv("JPY_SESSION_NAME", f"{mine}-another")
    assert (await lab.host(session, again=True)).id != second.id
    assert await lab.close_hosts(session) == 1
    monkeypatch.setenv("JPY_SESSION_NAME", mine)
    assert (await second.describe()).status == WorkflowExecutionStatus.RUNNING
    assert await lab.close_hosts(session) == 2
    assert await second.result() == f"hub {second.id} closed"
    assert await lab.close_hosts(session) == 0
    assert (await lab.host(session, again=True)).id != second.id


@pytest.mark.server
async def test_a_worker_that_is_killed_right_after_it_began_a_host_takes_no_task_with_it(
    session: lab.Session,
) -> None:
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    items = await stream.subscribe().start()
    await session.worker.kill()
    stream.topic("news").publish("in the dark")
    await stream.flush()
    events = await lab.history(hub)
    last = max(at for at, name in enumerate(events) if name == "WorkflowExecutionSignaled")
    assert events[last:] == ["WorkflowExecutionSignaled", "WorkflowTaskScheduled"]
    assert "WorkflowTaskTimedOut" not in events
    await session.worker.restart()
    assert [item.data for item in await lab.arrived(items, patience=30)] == ["in the dark"]


@pytest.mark.server
async def test_a_host_is_not_waited_for_where_no_worker_begins_it(
    session: lab.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "HOSTED", 60)
    await session.worker.pause()
    await asyncio.wait_for(lab.host(session), 10)
    await session.worker.kill()
    await asyncio.wait_for(lab.host(session), 10)
    await session.worker.restart()
    monkeypatch.setattr(hosts, "HOSTED", 0)
    await lab.host(session)


@pytest.mark.server
async def test_one_host_may_be_left_open_and_is_closed_the_next_time(session: lab.Session) -> None:
    other, played_with = await lab.host(session), await lab.host(session)
    assert await lab.close_hosts(session, but=played_with) == 1
    assert await other.result() == f"hub {other.id} closed"
    assert (await played_with.describe()).status == WorkflowExecutionStatus.RUNNING
    assert await lab.close_hosts(session) == 1


@pytest.mark.server
async def test_the_hub_truncates_on_request_and_refuses_to_go_past_the_end(
    session: lab.Session, client: Client
) -> None:
    hub = await client.start_workflow(
        HubWorkflow.run, HubInput("h"), id=f"hub-{uuid.uuid4()}", task_queue=session.task_queue
    )
    stream = WorkflowStreamClient.create(client, hub.id)
    for number in range(4):
        stream.topic("t").publish(number)
    await stream.flush()
    await hub.execute_update(HubWorkflow.truncate, 3)
    items = await lab.arrived(stream.subscribe(), quiet=0.1)
    assert [(item.offset, item.missed) for item in items] == [(3, 3)]
    with pytest.raises(Exception, match="update failed"):
        await hub.execute_update(HubWorkflow.truncate, 9)
    await hub.signal(HubWorkflow.close)
    assert await hub.result() == "hub h closed"

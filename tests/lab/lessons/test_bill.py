"""What notebook 08 asks, seen on a real server: the bill of a stream, and of its readers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.service import RPCError

from streamlib import BatchTimeoutError, WorkflowStreamClient, lab
from streamlib.lab.machine import processes, small
from streamlib.scenarios.hub import HubInput, HubWorkflow

pytestmark = pytest.mark.server


async def hundred(session: lab.Session, every: int) -> WorkflowStreamClient:
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    for number in range(100):
        stream.topic("tokens").publish(f"token {number}")
        if (number + 1) % every == 0:
            await stream.flush()
    return stream  # acknowledged, and perhaps not taken in: the bill must wait for that


async def test_a_flush_is_a_signal_and_signals_are_the_first_limit(session: lab.Session) -> None:
    """8.1 and 8.4."""
    streams = {f"every_{every}": await hundred(session, every) for every in (1, 10, 100)}
    bills = await lab.cost(**streams)
    assert [bill.signals for bill in bills.values()] == [100, 10, 1]
    assert [bill.actions for bill in bills.values()] == [101, 11, 2]
    singly, tens, once = bills.values()
    assert singly.bytes > tens.bytes > once.bytes
    assert 10_000 / singly.signals < min(51_200 / singly.events, 50 * 1024**2 / singly.bytes)
    rows = [line.split() for line in repr(bills).splitlines()]
    assert rows[:2] == [["every_1", "every_10", "every_100"], ["signals", "100", "10", "1"]]


async def test_a_thousand_readers_write_nothing_and_share_what_they_ask(
    session: lab.Session,
) -> None:
    """8.2."""
    stream = await hundred(session, 10)
    before = await lab.cost(it=stream)
    crowd = await lab.read_many(stream, 1000)
    assert (crowd.readers, crowd.items, crowd.events) == (1000, 100_000, 0)
    assert 1 <= crowd.queries < 20
    assert await lab.cost(it=stream) == before
    assert repr(crowd).startswith("1,000 readers got 100,000 items in ")
    alone = await lab.read_many(stream, 1)
    assert (alone.items, alone.events) == (100, 0)
    assert alone.queries >= 1, "those of the thousand are not counted again, but its own are"


async def test_truncating_half_saves_no_byte_of_history(session: lab.Session) -> None:
    """8.3."""
    stream = await hundred(session, 10)
    hub = session.client.get_workflow_handle(stream.workflow_id)
    before = (await lab.cost(it=stream))["it"]
    assert before.signals == 10
    assert before.bytes > 10 * 900, "all of it is in the history by now"
    await hub.execute_update(HubWorkflow.truncate, 50)
    after = (await lab.cost(it=stream))["it"]
    assert after.bytes > before.bytes
    assert (after.updates, after.actions) == (1, before.actions + 1)
    about = await stream.describe()
    assert (about.base_offset, about.end_offset) == (50, 100)


@pytest.fixture
async def own(session: lab.Session) -> AsyncIterator[lab.SmallServer]:
    yield await lab.start_small_server(signals=20)
    await lab.stop_small_server()


async def test_a_server_of_one_s_own_refuses_the_first_signal_past_its_limit_and_is_gone(
    session: lab.Session, own: lab.SmallServer
) -> None:
    """8.5."""
    hub = await lab.host_workflow(own, HubWorkflow, HubInput("own"))
    stream = WorkflowStreamClient.create(
        own.client, hub.id, max_retry_duration=timedelta(seconds=1)
    )
    for number in range(20):
        stream.topic("tokens").publish(number)
        await stream.flush()
    stream.topic("tokens").publish("one too many")
    with pytest.raises(BatchTimeoutError, match="limit for signal events"):
        await stream.flush()
    assert await stream.get_offset() == 20
    with pytest.raises(RPCError, match="limit for signal events"):
        await hub.signal(HubWorkflow.close)
    hub = await lab.host_workflow(own, HubWorkflow, HubInput("own"))
    client = WorkflowStreamClient.create(own.client, hub.id, batch_interval=timedelta(seconds=1))
    async with client as repaired:
        for number in range(100):
            repaired.topic("tokens").publish(number)
    assert await repaired.get_offset() == 100
    assert (await lab.cost(it=repaired))["it"].signals < 20
    both = [found for name in (small.NAME, small.WORKER) if (found := processes.find(name))]
    assert len(both) == 2
    await own.stop()
    await lab.stop_small_server()
    assert not any(each.alive for each in both)
    assert "small-server" not in processes.names()
    assert (await lab.status()).ok, "the notebooks' own server and worker go on"


async def test_a_second_one_replaces_the_first(own: lab.SmallServer) -> None:
    first = processes.find(small.NAME)
    again = await lab.start_small_server(signals=30)
    assert first is not None
    assert not first.alive
    assert (again.signals, "30 signals" in repr(again)) == (30, True)

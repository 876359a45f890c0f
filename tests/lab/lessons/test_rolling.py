"""What notebook 07 asks, seen on a real server: what travels when a stream rolls over."""

from __future__ import annotations

import os
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from streamlib import StreamChangedError, WorkflowStreamClient, lab
from streamlib.scenarios.rolling import ForgetfulWorkflow, RollingInput, RollingWorkflow

pytestmark = pytest.mark.server

Hub = tuple[WorkflowHandle[Any, Any], WorkflowStreamClient]


async def rolling(session: lab.Session, workflow: Any = RollingWorkflow, **options: Any) -> Hub:
    hub = await lab.host_workflow(session, workflow, RollingInput(**options))
    return hub, WorkflowStreamClient.create(session.client, hub.id)


async def publish(stream: WorkflowStreamClient, *values: Any) -> None:
    for value in values:
        stream.topic("news").publish(value)
        await stream.flush()
        await stream.get_offset()  # it was taken in


async def test_the_next_offset_goes_on_and_a_reader_and_the_ids_but_one_stay(
    session: lab.Session,
) -> None:
    """7.1, 7.2 and 7.3."""
    hub, stream = await rolling(session, signals=5)
    reader = await stream.subscribe().start()
    await publish(stream, *range(5))
    runs = await lab.runs(hub, at_least=2)
    assert [run.status for run in runs] == ["CONTINUED_AS_NEW", "RUNNING"]
    assert (runs[0].signals, runs[0].batches) == (5, 5)
    about = await stream.describe()
    assert (about.end_offset, about.seams) == (5, [5])
    assert (about.stream_id, about.run_id) == (runs[0].run_id, runs[1].run_id)
    assert [row.publisher_id for row in about.publishers] == [stream.publisher_id]
    await publish(stream, "after")
    items = await lab.arrived(reader)
    assert [(item.offset, item.missed) for item in items] == [(n, 0) for n in range(6)]
    assert (reader.status, reader.trouble) == (None, None)


async def test_a_batch_of_the_first_run_is_dropped_by_the_third(session: lab.Session) -> None:
    """7.4."""
    hub, stream = await rolling(session, signals=3)
    await publish(stream, *range(7))
    await lab.runs(hub, at_least=3)
    await lab.send_again(hub)
    about = await stream.describe(batches=1)
    assert (about.end_offset, about.batches[-1].verdict) == (7, "duplicate")
    assert (about.publishers[0].accepted, about.publishers[0].dropped) == (7, 1)


async def test_without_the_state_it_is_another_log_and_says_so(session: lab.Session) -> None:
    """7.5."""
    hub, stream = await rolling(session, ForgetfulWorkflow, signals=3)
    reader = await stream.subscribe().start()
    await publish(stream, *range(2))
    assert len(await lab.arrived(reader)) == 2
    await publish(stream, 2)
    await lab.runs(hub, at_least=2)
    await publish(stream, "three")
    with pytest.raises(StreamChangedError, match="rolled over without its state"):
        await lab.arrived(reader)
    found = await lab.arrived(stream.subscribe())
    assert [(item.offset, item.data) for item in found] == [(0, "three")]
    assert (await stream.describe()).stream_id == (await lab.runs(hub))[1].run_id


async def test_a_state_that_is_too_large_waits_for_room_and_loses_nothing(
    session: lab.Session,
) -> None:
    hub, stream = await rolling(session, signals=5, state_bytes=8_000)
    values = [os.urandom(1_500) for _ in range(5)]
    await publish(stream, *values)
    assert [item.data for item in await lab.arrived(stream.subscribe(result_type=bytes))] == values
    assert len(await lab.runs(hub)) == 1
    await hub.execute_update(RollingWorkflow.truncate, 2)
    assert len(await lab.runs(hub, at_least=2)) == 2
    found = await lab.arrived(stream.subscribe(result_type=bytes))
    assert ([item.data for item in found], found[0].missed) == (values[2:], 2)


async def test_runs_wait_in_vain_for_ten_seconds_at_most_and_are_named_in_a_table(
    session: lab.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlib.lab.lessons.bill.PATIENCE", 0.3)
    hub, stream = await rolling(session, signals=2)
    await publish(stream, 0)
    [run] = await lab.runs(stream, at_least=2)
    assert (run.status, run.signals, run.actions) == ("RUNNING", 1, 2)
    rows = repr(await lab.runs(hub)).splitlines()
    assert rows[0].split() == ["run", "id", "status", "events", "bytes", "signals"]
    assert rows[1].split()[:3] == ["1", run.run_id[-8:], "RUNNING"]


async def test_nobody_s_batch_cannot_be_sent_again(session: lab.Session) -> None:
    hub, _ = await rolling(session)
    with pytest.raises(lab.LabError, match="nobody has published"):
        await lab.send_again(hub)

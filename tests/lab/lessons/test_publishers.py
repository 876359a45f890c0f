"""Publishers in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os

import psutil
import pytest

from streamlib import WorkflowStreamClient, lab
from streamlib.scenarios.hub import HubWorkflow

pytestmark = pytest.mark.server


async def test_several_processes_publish_at_once_each_in_its_order(
    session: lab.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    ids = await lab.publish_elsewhere(hub, "sports", "weather", items=4)
    items = await lab.arrived(stream.subscribe())
    for topic in ("sports", "weather"):
        found = [item.data for item in items if item.topic == topic]
        assert found == [f"{topic} {number}" for number in range(4)]
    table = {row.publisher_id: row for row in (await stream.describe()).publishers}
    assert sorted(ids.values()) == sorted(table)
    assert [(row.sequence, row.accepted) for row in table.values()] == [(4, 4), (4, 4)]
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in said] == [ids["sports"], ids["weather"]]
    assert len({line.split()[1] for line in said} | {str(os.getpid())}) == 3


async def test_one_that_fails_is_quoted_and_none_is_left(session: lab.Session) -> None:
    hub = await lab.host(session)
    await hub.signal(HubWorkflow.close)
    await hub.result()
    with pytest.raises(lab.LabError, match="No stream to reach"):
        await lab.publish_elsewhere(hub, "news", items=1)
    assert publishers() == []


async def test_interrupted_it_leaves_no_process(session: lab.Session) -> None:
    hub = await lab.host(session)
    running = asyncio.create_task(lab.publish_elsewhere(hub, "news", items=1000))
    while not publishers():
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert publishers() == []


def publishers() -> list[int]:
    """Our children that publish."""
    found: list[int] = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # gone, or a zombie
            if "streamlib.lab.lessons.publish" in child.cmdline():
                found.append(child.pid)
    return found

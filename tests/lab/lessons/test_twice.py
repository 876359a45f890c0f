"""What notebook 06 predicts, on the real server: once in `make test`, ten times in the long run."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

import psutil
import pytest
from temporalio.client import WorkflowHandle

from streamlib import WorkflowStreamClient, lab
from streamlib.scenarios.hub import HubWorkflow

TEN_TIMES = pytest.mark.parametrize(
    "time_", [pytest.param(n, marks=pytest.mark.soak if n else ()) for n in range(10)]
)

pytestmark = pytest.mark.server

Hub = WorkflowHandle[HubWorkflow, str]


async def values(session: lab.Session, hub: Hub) -> list[str]:
    """All that is in the hub's log."""
    stream = WorkflowStreamClient.create(session.client, hub.id)
    end = await stream.get_offset()
    reader = stream.subscribe()
    return [(await anext(reader)).data for _ in range(end)]


async def verdicts(session: lab.Session, hub: Hub) -> list[str]:
    """What became of each batch."""
    stream = WorkflowStreamClient.create(session.client, hub.id)
    return [batch.verdict for batch in (await stream.describe(batches=100)).batches]


@TEN_TIMES
async def test_a_lost_acknowledgement_makes_one_item_of_two_signals(
    session: lab.Session, time_: int
) -> None:
    hub = await lab.host(session)
    lossy = lab.LossyHandle(hub)
    provider = WorkflowStreamClient(lossy, client=session.client)  # type: ignore[arg-type]
    lossy.lose_next = True
    provider.topic("paid").publish("order 7")
    await provider.flush()
    assert lossy.lost == 1
    assert await values(session, hub) == ["order 7"]
    assert (await lab.history(hub)).count("WorkflowExecutionSignaled") == 2
    assert await verdicts(session, hub) == ["accepted", "duplicate"]


@TEN_TIMES
async def test_equal_values_of_one_client_are_two_items_because_sequences_count(
    session: lab.Session, time_: int
) -> None:
    hub = await lab.host(session)
    provider = WorkflowStreamClient.create(session.client, hub.id)
    for _ in range(2):
        provider.topic("paid").publish("order 7")
        await provider.flush()
    assert await values(session, hub) == ["order 7", "order 7"]


@TEN_TIMES
async def test_of_the_sequences_2_1_2_3_two_are_stored_and_1_never_is(
    session: lab.Session, time_: int
) -> None:
    hub = await lab.host(session)
    for sequence in (2, 1, 2, 3):
        await lab.send_batch(hub, "by hand", sequence, f"batch {sequence}", topic="paid")
    assert await values(session, hub) == ["batch 2", "batch 3"]
    assert await verdicts(session, hub) == ["accepted", "duplicate", "duplicate", "accepted"]


@TEN_TIMES
async def test_after_a_pause_past_the_ttl_a_resend_is_taken_for_new(
    session: lab.Session, time_: int
) -> None:
    hub = await lab.host(session, publisher_ttl=timedelta(seconds=2))
    for _ in range(2):
        await lab.send_batch(hub, "provider", 1, "order 7", topic="paid")
    assert await values(session, hub) == ["order 7"]
    await asyncio.sleep(2.5)  # the pause is what this is about
    await lab.send_batch(hub, "provider", 1, "order 7", topic="paid")
    assert await values(session, hub) == ["order 7", "order 7"]


@TEN_TIMES
async def test_a_killed_publishers_successor_sends_again_what_was_stored(
    session: lab.Session, time_: int
) -> None:
    hub = await lab.host(session)
    till = await lab.start_publisher(hub, "order 7", "order 8", "order 9", topic="paid")
    assert (till.stored, till.in_doubt) == (["order 7", "order 8"], "order 9")
    assert psutil.pid_exists(till.pid)
    await till.kill()
    await till.kill()
    assert not psutil.pid_exists(till.pid)
    assert repr(till) == (
        f"publisher {till.publisher_id} (pid {till.pid}, dead). acknowledged: order 7, order 8; "
        "in doubt: order 9"
    )
    successor = WorkflowStreamClient.create(session.client, hub.id)
    successor.topic("paid").publish(till.in_doubt)
    await successor.flush()
    assert await values(session, hub) == ["order 7", "order 8", "order 9", "order 9"]
    told = await WorkflowStreamClient.create(session.client, hub.id).describe()
    assert [row.publisher_id for row in told.publishers] == [
        till.publisher_id,
        successor.publisher_id,
    ]


async def test_a_publisher_that_cannot_publish_is_quoted_and_none_is_left(
    session: lab.Session,
) -> None:
    hub = await lab.host(session)
    await hub.signal(HubWorkflow.close)
    await hub.result()
    with pytest.raises(lab.LabError, match="No stream to reach"):
        await lab.start_publisher(hub, "order 7", topic="paid")
    with pytest.raises(lab.LabError, match="nothing to publish"):
        await lab.start_publisher(hub)
    assert doubtful() == []


async def test_interrupted_while_it_starts_it_leaves_no_process(session: lab.Session) -> None:
    hub = await lab.host(session)
    starting = asyncio.create_task(lab.start_publisher(hub, "order 7"))
    while not doubtful():
        await asyncio.sleep(0.02)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert doubtful() == []


async def test_a_publisher_that_nobody_killed_ends_with_its_kernel(session: lab.Session) -> None:
    hub = await lab.host(session)
    till = await lab.start_publisher(hub, "order 7")
    assert till._process.stdin is not None
    till._process.stdin.close()  # as the end of the kernel's process would
    deadline = time.monotonic() + 30
    while doubtful():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def doubtful() -> list[int]:
    """Our children that wait for an answer."""
    children = psutil.Process(os.getpid()).children()
    return [
        child.pid
        for child in children
        if child.is_running()
        and child.status() != psutil.STATUS_ZOMBIE
        and "streamlib.lab.lessons.doubtful" in child.cmdline()
    ]

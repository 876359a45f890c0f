"""Where `temporalio.contrib.workflow_streams` is known to fall, ours holds; and the peer does fall.

The peer was seen to fall in 1.35. Where a test that shows it fails, the peer has been mended: good
news, and time to look at what we say about it. The longer proofs that ours hold are beside this
file; here the same thing is done to both.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.update import v1 as update
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib import workflow_streams as peer
from temporalio.converter import PayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib import ItemDecodeError, ItemEncodeError, WorkflowStreamClient
from streamlib.wire import encode, shapes
from tests.faults.conftest import Starter
from tests.server import hosts
from tests.server.reading import LIMIT, becomes, drain, eventually, noise, polls_of, take, told

SOON = 2.0  # seconds in which ours is done, and the peer is seen not to be
TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED


def batch(*data: Any, publisher_id: str = "p", sequence: int = 1) -> dict[str, Any]:
    items = [{"topic": "t", "data": each} for each in data]
    return {"items": items, "publisher_id": publisher_id, "sequence": sequence}


def encoded(value: Any) -> str:
    return encode.encode_item("t", value, PayloadConverter.default).data


async def fails_its_task(hub: Any) -> bool:
    return any([event.event_type == TASK_FAILED async for event in hub.fetch_history_events()])


@asynccontextmanager
async def reading(items: AsyncIterator[Any]) -> AsyncIterator[list[Any]]:
    """What a reader gets meanwhile, in the background; its error is kept as the last item."""
    got: list[Any] = []

    async def read() -> None:
        try:
            async for item in items:
                got.append(item)
        except Exception as error:
            got.append(error)

    task = asyncio.create_task(read())
    yield got
    task.cancel()
    await asyncio.wait([task])


POISON: dict[str, list[Any]] = {
    "bad base64": [batch("A")],
    "no Payload": [batch("//8=")],
    "no arguments": [],
    "two arguments": [batch(), batch()],
}


@pytest.mark.parametrize("what", POISON)
async def test_one_malformed_publish_stops_the_peers_workflow_and_is_counted_by_ours(
    client: Client, start: Starter, what: str
) -> None:
    ours, theirs = await start(), await start(hosts.PeerHub)
    for hub in (ours, theirs):
        await hub.signal(shapes.PUBLISH_SIGNAL, args=POISON[what])
        await hub.signal("say", args=["t", ["after"]])
    stream = WorkflowStreamClient.create(client, ours.id)
    assert told(await take(stream.subscribe(), 1)) == [(0, "after")]
    assert (await stream.describe()).refused == 1
    assert not await fails_its_task(ours)
    await becomes(lambda: fails_its_task(theirs))  # and again, for as long as it lives


async def test_empty_data_stops_every_reader_of_the_peer_for_good_and_is_refused_by_ours(
    client: Client, start: Starter
) -> None:
    ours, theirs = await start(), await start(hosts.PeerHub)
    for hub in (ours, theirs):
        await hub.signal(shapes.PUBLISH_SIGNAL, batch(""))
        await hub.signal("say", args=["t", ["after"]])
    assert told(await take(WorkflowStreamClient.create(client, ours.id).subscribe(), 1)) == [
        (0, "after")
    ]
    for _ in range(2):
        with pytest.raises(Exception, match=r"(?i)encoding|payload"):
            await take(peer.WorkflowStreamClient.create(client, theirs.id).subscribe(), 2)
    # On the peer's host, our reader names the offset and goes on.
    items = WorkflowStreamClient.create(client, theirs.id).subscribe()
    with pytest.raises(ItemDecodeError) as raised:
        await take(items, 1)
    assert raised.value.offset == 0
    assert told(await take(items, 1)) == [(1, "after")]


async def test_a_forged_sequence_silences_the_peers_publisher_unseen_and_is_shown_by_ours(
    client: Client, start: Starter
) -> None:
    """Who knows a publisher's id can silence it in ours too: but it can be seen."""
    ours = await start()
    victim = WorkflowStreamClient.create(client, ours.id)
    forged = batch(encoded("x"), publisher_id=victim.publisher_id, sequence=2**63 - 1)
    await ours.signal(shapes.PUBLISH_SIGNAL, forged)
    victim.topic("t").publish("silenced")
    await victim.flush()
    about = await victim.describe(batches=2)
    assert [(row.sequence, row.dropped) for row in about.publishers] == [(2**63 - 1, 1)]
    assert [each.verdict for each in about.batches] == ["accepted", "duplicate"]


async def test_a_state_over_two_megabytes_ends_or_blocks_the_peers_run_and_is_carried_by_ours(
    client: Client, start: Starter
) -> None:
    text = ["the same words again and again " * 20_000] * 3
    ours, theirs = await start(), await start(hosts.PeerHub)
    for hub in (ours, theirs):
        for value in text:
            await hub.signal("say", args=["t", [value]])
        await hub.signal("want", "roll")
    assert await becomes(lambda: ours.query("rolls"), 1) == 1
    items = await take(WorkflowStreamClient.create(client, ours.id).subscribe(), 3)
    assert [item.data for item in items] == text

    async def ended_or_blocked() -> bool:
        described = await theirs.describe()
        if described.status is WorkflowExecutionStatus.TERMINATED:  # by older servers
            return True
        return described.raw_description.pending_workflow_task.attempt > 2  # and so it stays

    await becomes(ended_or_blocked)


async def test_a_state_that_does_not_fit_ends_the_peers_run_and_is_refused_by_ours(
    client: Client, start: Starter
) -> None:
    ours = await start()
    for seed in range(3):
        await ours.signal("say", args=["t", [noise(700_000, seed)]])
    await ours.signal("want", "roll")
    assert "StateTooLarge" in await becomes(lambda: ours.query("last_error"))
    assert (await ours.describe()).status is WorkflowExecutionStatus.RUNNING


class Refusing:
    """A handle whose signals fail as it is told; what arrives is what it lets through."""

    def __init__(self, hub: Any, error: Exception, times: int = 10**9) -> None:
        self.id, self.run_id, self.refusals = hub.id, None, 0
        self._hub, self._error, self._times = hub, error, times
        self._client = hub._client

    async def signal(self, name: str, arg: Any) -> None:
        if self.refusals < self._times:
            self.refusals += 1
            raise self._error
        await self._hub.signal(name, arg)


def refused(status: RPCStatusCode) -> RPCError:
    return RPCError("refused", status, b"")


async def test_the_peers_flusher_dies_unseen_and_ours_tells_and_keeps_what_was_buffered(
    client: Client, start: Starter
) -> None:
    hub = await start()
    error = refused(RPCStatusCode.PERMISSION_DENIED)
    fast: Any = {"client": client, "batch_interval": timedelta(milliseconds=10)}
    handle: Any = Refusing(hub, error, times=1)
    async with WorkflowStreamClient(handle, **fast) as ours:
        ours.topic("t").publish("one")
        await eventually(lambda: handle.refusals)
        with pytest.raises(RPCError):
            await ours.flush()
        ours.topic("t").publish("two")
    assert told(await take(ours.subscribe(), 2)) == [(0, "one"), (1, "two")]
    handle = Refusing(hub, error, times=1)
    with suppress(RPCError):
        async with peer.WorkflowStreamClient(handle, **fast) as theirs:
            theirs.topic("t").publish("three")
            await eventually(lambda: handle.refusals)
            theirs.topic("t").publish("and nobody says that nothing is sent any more")
            await asyncio.sleep(0.2)  # many of its intervals
            assert await ours.get_offset() == 2


async def test_deadline_exceeded_is_retried_in_the_background(
    client: Client, start: Starter
) -> None:
    hub = await start()
    handle: Any = Refusing(hub, refused(RPCStatusCode.DEADLINE_EXCEEDED), times=3)
    async with WorkflowStreamClient(handle, client=client) as stream:
        stream.topic("t").publish("one", force_flush=True)
        assert told(await take(stream.subscribe(), 1)) == [(0, "one")]


async def test_one_unserializable_value_loses_the_peers_neighbours_and_none_of_ours(
    client: Client, start: Starter
) -> None:
    hub = await start()
    async with WorkflowStreamClient.create(client, hub.id) as ours:
        ours.topic("t").publish("before")
        with pytest.raises(ItemEncodeError):
            ours.topic("t").publish(object())
        ours.topic("t").publish("after")
    assert told(await take(ours.subscribe(), 2)) == [(0, "before"), (1, "after")]
    theirs = peer.WorkflowStreamClient.create(client, hub.id)
    for value in ("before", object(), "after"):
        theirs.topic("t").publish(value)  # the line that is wrong says nothing
    for _ in range(2):
        with pytest.raises(Exception, match="serializ"):
            await theirs.flush()
    assert await ours.get_offset() == 2


async def test_thirty_large_items_are_one_refused_batch_of_the_peers_and_four_of_ours(
    client: Client, start: Starter
) -> None:
    hub = await start()
    ours = WorkflowStreamClient.create(client, hub.id)
    theirs = peer.WorkflowStreamClient.create(client, hub.id)
    for stream in (ours, theirs):
        for n in range(30):
            stream.topic("t").publish(f"{n}" + "x" * 100_000)
    await ours.flush()
    about = await ours.describe(batches=99)
    assert about.end_offset == 30
    assert len(about.batches) > 1
    with pytest.raises(RPCError):
        await theirs.flush()
    assert await ours.get_offset() == 30


async def test_the_peers_largest_batch_size_is_no_maximum_and_ours_is(
    client: Client, start: Starter
) -> None:
    hub = await start()
    ours = WorkflowStreamClient.create(client, hub.id, max_batch_size=4)
    theirs = peer.WorkflowStreamClient.create(client, hub.id, max_batch_size=4)
    for stream in (ours, theirs):
        for n in range(10):
            stream.topic("t").publish(n)
        await stream.flush()
    batches = (await ours.describe(batches=9)).batches
    mine = [each.items for each in batches if each.publisher_id == ours.publisher_id]
    assert mine == [4, 4, 2]
    assert [each.items for each in batches if each.publisher_id != ours.publisher_id] == [10]


async def test_the_eleventh_reader_of_the_peer_is_locked_out_and_ours_are_all_served(
    client: Client, start: Starter
) -> None:
    ours, theirs = await start(), await start(hosts.PeerHub)
    many = [WorkflowStreamClient.create(client, ours.id).subscribe() for _ in range(30)]
    waiting = [asyncio.create_task(take(items, 1)) for items in many]
    await ours.signal("say", args=["t", ["for all"]])
    assert all([told(await each) == [(0, "for all")] for each in waiting])
    polls = [asyncio.create_task(poll_once(client, theirs)) for _ in range(11)]
    done, open_polls = await asyncio.wait(polls, timeout=LIMIT, return_when="FIRST_COMPLETED")
    assert [task.result() for task in done] == [RPCStatusCode.RESOURCE_EXHAUSTED]
    assert len(open_polls) == 10
    await becomes(lambda: polls_of(theirs), 10)
    for task in polls:
        task.cancel()
    await asyncio.gather(*polls, return_exceptions=True)
    # The ten have left and keep their places: whoever comes is locked out.
    assert await poll_once(client, theirs) == RPCStatusCode.RESOURCE_EXHAUSTED


async def poll_once(client: Client, hub: Any) -> RPCStatusCode | None:
    """Poll as the peer does, without the SDK's retries; say how that was refused, if it was."""
    poll = await client.data_converter.encode([{"topics": [], "from_offset": 9}])
    request = UpdateWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=hub.id),
        request=update.Request(
            meta=update.Meta(update_id=uuid.uuid4().hex),
            input=update.Input(name=shapes.POLL, args=Payloads(payloads=poll)),
        ),
        wait_policy=update.WaitPolicy(
            lifecycle_stage=Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED
        ),
    )
    try:
        while True:  # a busy server may answer before there is an outcome: the same id asks again
            answer = await client.workflow_service.update_workflow_execution(request, retry=False)
            if answer.HasField("outcome"):
                return None
    except RPCError as error:
        return error.status


async def test_a_busy_topic_costs_the_peers_filtered_reader_history_and_ours_none(
    client: Client, start: Starter
) -> None:
    events = {}
    for name, kind in (("ours", None), ("theirs", hosts.PeerHub)):
        hub = await (start(kind) if kind else start())
        stream: Any = (peer.WorkflowStreamClient if kind else WorkflowStreamClient).create(
            client, hub.id
        )
        async with reading(stream.subscribe(["quiet"], poll_cooldown=timedelta(0))) as got:
            for n in range(20):
                stream.topic("busy").publish(n)
                await stream.flush()
                if kind:  # a slow machine would answer one poll with all of them
                    await becomes(partial(polls_of, hub), lambda polls, n=n: polls > n)
            await hub.signal("say", args=["quiet", ["heard"]])
            await eventually(lambda got=got: got)
        events[name] = await polls_of(hub)
    print(f"polls in history for one quiet item beside 20 of another topic: {events}")
    assert events["ours"] == 0
    assert events["theirs"] >= 20


async def test_reading_grows_the_peers_history_with_every_byte_and_ours_not_at_all(
    client: Client, start: Starter
) -> None:
    grown = {}
    for name, kind in (("ours", None), ("theirs", hosts.PeerHub)):
        hub = await (start(kind) if kind else start())
        for n in range(4):
            await hub.signal("say", args=["t", [f"{n}" + "x" * 100_000]])
        create: Any = peer.WorkflowStreamClient if kind else WorkflowStreamClient
        await take(create.create(client, hub.id).subscribe(), 4)
        before = await size_of(client, hub)
        for _ in range(3):
            async with reading(create.create(client, hub.id).subscribe()) as got:
                await eventually(lambda got=got: len(got) == 4)
        grown[name] = await size_of(client, hub) - before
    print(f"history bytes of three full reads of 0.4 MB: {grown}")
    assert grown["ours"] == 0
    assert grown["theirs"] > 1_000_000


async def size_of(client: Client, hub: Any) -> int:
    described = await hub.describe()
    return int(described.raw_description.workflow_execution_info.history_size_bytes)


async def test_the_peers_reader_jumps_silently_over_what_was_truncated_and_ours_tells(
    client: Client, start: Starter
) -> None:
    for kind in (None, hosts.PeerHub):
        hub = await (start(kind) if kind else start())
        await hub.signal("say", args=["t", list(range(10))])
        await hub.execute_update("truncate", 6)
        theirs = peer.WorkflowStreamClient.create(client, hub.id).subscribe(from_offset=2)
        [item] = await take(theirs, 1)
        assert (item.offset, hasattr(item, "missed")) == (6, False)
        ours = WorkflowStreamClient.create(client, hub.id).subscribe(from_offset=2)
        [item] = await take(ours, 1)
        assert (item.offset, item.missed) == (6, 4), "on the peer's host too, read unfiltered"


async def test_the_peers_reader_walks_into_a_new_stream_under_the_same_id_and_ours_ends(
    client: Client, start: Starter
) -> None:
    hub = await start()
    await hub.signal("say", args=["t", ["old"]])
    ours = WorkflowStreamClient.create(client, hub.id).subscribe()
    await take(ours, 1)
    theirs = peer.WorkflowStreamClient.create(client, hub.id).subscribe()
    await take(theirs, 1)
    await hub.signal("want", "close")
    await hub.result()
    again = await start(workflow_id=hub.id)
    await again.signal("say", args=["t", ["new", "and missed"]])
    await again.signal("say", args=["t", ["seen"]])
    assert await drain(ours) == []
    assert ours.status is WorkflowExecutionStatus.COMPLETED
    fresh = WorkflowStreamClient.create(client, hub.id).subscribe()
    assert [item.data for item in await take(fresh, 3)] == ["new", "and missed", "seen"]
    [strayed] = await take(theirs, 1)
    assert (strayed.offset, strayed.data) == (1, "and missed"), "offset 0 of the new one is missed"


async def test_the_peers_flush_waits_for_a_steady_producer_and_ours_does_not(
    client: Client, start: Starter
) -> None:
    hub = await start()

    async def produce(stream: Any) -> None:
        while True:
            stream.topic("t").publish(1)
            await asyncio.sleep(0.0005)

    returned = {}
    for create in (WorkflowStreamClient, peer.WorkflowStreamClient):
        stream: Any = create.create(client, hub.id)
        producing = asyncio.create_task(produce(stream))
        flushing = asyncio.create_task(stream.flush())
        await asyncio.wait([flushing], timeout=SOON)
        returned[create] = flushing.done()
        producing.cancel()
        await asyncio.wait_for(flushing, LIMIT)
        await stream.flush()
    assert returned[WorkflowStreamClient]
    assert not returned[peer.WorkflowStreamClient]


async def test_the_peers_table_of_publishers_grows_and_ours_forgets_the_idle(
    client: Client, start: Starter
) -> None:
    ours, theirs = await start(publisher_ttl=0.2), await start(hosts.PeerHub)
    for n in range(10):
        for hub in (ours, theirs):
            await hub.signal(shapes.PUBLISH_SIGNAL, batch(encoded(n), publisher_id=f"{n}"))
    stream = WorkflowStreamClient.create(client, ours.id)

    async def publishers() -> int:
        stream.topic("t").publish("tick")
        await stream.flush()
        return len((await stream.describe()).publishers)

    assert await becomes(publishers, 1) == 1
    # By now all ten have been idle for longer: the peer keeps them until it rolls over.
    state = await theirs.query("state", result_type=dict[str, Any])
    assert len(state["publishers"]) == 10

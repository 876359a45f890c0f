"""The same wire as `temporalio.contrib.workflow_streams`, both ways, on one server."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.contrib import workflow_streams as peer

import streamlib as ours
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import drain, take, told

HUBS = {"ours": hosts.OurHub, "peer's": hosts.PeerHub}
CLIENTS: dict[str, Any] = {"ours": ours.WorkflowStreamClient, "peer's": peer.WorkflowStreamClient}


@pytest.mark.parametrize("host", HUBS)
@pytest.mark.parametrize("publisher", CLIENTS)
@pytest.mark.parametrize("subscriber", CLIENTS)
async def test_every_client_understands_every_host(
    client: Client, start: Start, host: str, publisher: str, subscriber: str
) -> None:
    hub = await start(HUBS[host])
    async with CLIENTS[publisher].create(client, hub.id, max_batch_size=3) as stream:
        for n in range(10):
            stream.topic("even" if n % 2 == 0 else "odd").publish({"n": n})
    reader = CLIENTS[subscriber].create(client, hub.id)
    everything = reader.subscribe()
    assert told(await take(everything, 10)) == [(n, {"n": n}) for n in range(10)]
    assert await reader.get_offset() == 10
    await hub.signal("want", "roll")
    await hub.signal("say", args=["even", ["after"]])
    [item] = await take(everything, 1)
    assert (item.offset, item.topic, item.data) == (10, "even", "after")
    odd = reader.subscribe(["odd"], from_offset=4, result_type=dict)
    assert [item.offset for item in await take(odd, 3)] == [5, 7, 9]
    await hub.signal("want", "close")
    assert await drain(odd) == []
    assert await drain(everything) == []


@pytest.mark.parametrize("host", HUBS)
async def test_a_truncated_reader_goes_on_at_the_base(
    client: Client, start: Start, host: str
) -> None:
    hub = await start(HUBS[host])
    await hub.signal("say", args=["t", list(range(10))])
    await hub.execute_update("truncate", 7)
    reader = ours.WorkflowStreamClient.create(client, hub.id)
    [first] = await take(reader.subscribe(from_offset=2), 1)
    assert (first.offset, first.missed) == (7, 5)
    [first] = await take(
        peer.WorkflowStreamClient.create(client, hub.id).subscribe(from_offset=2), 1
    )
    assert first.offset == 7


@pytest.mark.parametrize("left_by", HUBS)
async def test_state_left_by_one_is_taken_up_by_the_other(
    client: Client, start: Start, left_by: str
) -> None:
    hub = await start(HUBS[left_by])
    stream: Any = CLIENTS[left_by].create(client, hub.id)
    stream.topic("t").publish({"n": 0})
    await stream.flush()
    await hub.signal("say", args=["t", [1, 2]])
    await hub.execute_update("truncate", 1)
    state = await hub.query("state", result_type=dict[str, Any])
    if left_by == "ours":
        other = await start(hosts.PeerHub, {"stream_state": state})
    else:
        other = await start(hosts.OurHub, {"stream_state": state})
    await other.signal("say", args=["t", [3]])
    for each in CLIENTS.values():
        reader = each.create(client, other.id)
        assert told(await take(reader.subscribe(), 3)) == [(1, 1), (2, 2), (3, 3)]
    after = await other.query("state", result_type=dict[str, Any])
    rows = [next(iter(each["publishers"].values())) for each in (after, state)]
    assert rows[0]["sequence"] == rows[1]["sequence"] == 1
    assert rows[0]["last_seen"] == rows[1]["last_seen"]


@pytest.mark.parametrize("host", HUBS)
async def test_raw_values_cross_unchanged(client: Client, start: Start, host: str) -> None:
    hub = await start(HUBS[host])
    payload = client.data_converter.payload_converter.to_payload(b"\x00\xff")
    for each in CLIENTS.values():
        stream = each.create(client, hub.id)
        stream.topic("raw").publish(payload)
        await stream.flush()
    for each in CLIENTS.values():
        items = await take(each.create(client, hub.id).subscribe(result_type=RawValue), 2)
        assert [item.data.payload for item in items] == [payload, payload]


async def test_a_host_without_the_poll_query_is_read_by_the_poll_update(
    client: Client, start: Start
) -> None:
    hub = await start(hosts.UpdateOnlyHub)
    await hub.signal("say", args=["t", [0, 1]])
    subscription = ours.WorkflowStreamClient.create(client, hub.id).subscribe("t")
    assert told(await take(subscription, 2)) == [(0, 0), (1, 1)]
    await hub.signal("say", args=["t", [2]])
    assert told(await take(subscription, 1)) == [(2, 2)]
    await hub.signal("want", "roll")
    await hub.signal("say", args=["t", [3]])
    assert told(await take(subscription, 1)) == [(3, 3)]
    await hub.execute_update("truncate", 4)
    await hub.signal("say", args=["t", [4]])
    assert told(await take(subscription, 1)) == [(4, 4)]
    await hub.terminate()
    assert await drain(subscription) == []
    assert subscription.status is not None

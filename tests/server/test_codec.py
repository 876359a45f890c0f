"""A codec runs once, on the envelope: the server reads nothing, and both ends understand."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import Worker

from streamlib import WorkflowStreamClient
from tests.server import hosts
from tests.server.reading import drain, take, told


class Rot(PayloadCodec):
    """Not a cipher, but nobody reads it by accident."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"test/rot"},
                data=base64.b85encode(p.SerializeToString())[::-1],
            )
            for p in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        assert all(p.metadata["encoding"] == b"test/rot" for p in payloads)
        return [Payload.FromString(base64.b85decode(p.data[::-1])) for p in payloads]


@pytest.fixture
def secret_client(client: Client) -> Client:
    config = client.config()
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=Rot())
    return Client(**config)


async def test_items_are_encoded_once_and_read_back(
    secret_client: Client, client: Client, task_queue: str
) -> None:
    async with Worker(secret_client, task_queue=task_queue, workflows=[hosts.OurHub]):
        hub = await secret_client.start_workflow(
            hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
        )
        stream = WorkflowStreamClient.create(secret_client, hub.id)
        stream.topic("t").publish("canary-value")
        await stream.flush()
        subscription = stream.subscribe()
        assert told(await take(subscription, 1)) == [(0, "canary-value")]
        await hub.signal("want", "roll")
        await hub.signal("say", args=["t", ["canary-value"]])
        assert told(await take(subscription, 1)) == [(1, "canary-value")]
        await hub.signal("want", "close")
        assert await drain(subscription) == []
        history = await client.get_workflow_handle(hub.id).fetch_history()
        plain = base64.b64encode(b'"canary-value"').decode()
        assert "canary" not in history.to_json()
        assert plain not in history.to_json()

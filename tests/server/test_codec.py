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
from tests.server.reading import drain, eventually, take, told


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


class Moody(Rot):
    """Cannot decode the batches of `publisher_id`, until it works."""

    def __init__(self, publisher_id: str) -> None:
        self.publisher_id, self.refusals, self.works = publisher_id.encode(), 0, False

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        decoded = await super().decode(payloads)
        if not self.works and any(self.publisher_id in payload.data for payload in decoded):
            self.refusals += 1
            raise RuntimeError("no key for this one")
        return decoded


async def test_a_codec_that_fails_on_one_batch_holds_the_stream_up_and_loses_nothing(
    client: Client, secret_client: Client, task_queue: str
) -> None:
    """The SDK decodes before the workflow is asked, and tries again: it is the operator's turn."""
    good, bad = (WorkflowStreamClient.create(secret_client, f"hub-{task_queue}") for _ in range(2))
    moody = Moody(bad.publisher_id)
    config = client.config()
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=moody)
    async with Worker(Client(**config), task_queue=task_queue, workflows=[hosts.OurHub]):
        hub = await secret_client.start_workflow(
            hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
        )
        for stream, value in ((good, "before"), (bad, "poison"), (good, "after")):
            stream.topic("t").publish(value)
            await stream.flush()
        await eventually(lambda: moody.refusals)
        moody.works = True
        assert told(await take(good.subscribe(), 3)) == [(0, "before"), (1, "poison"), (2, "after")]
        await hub.terminate()

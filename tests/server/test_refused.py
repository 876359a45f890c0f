"""Batches that a real server, or a codec, refuses for good: all else is stored, in order, once."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import Worker

from streamlib import BatchGivenUpError, WorkflowStreamClient
from tests.server import hosts
from tests.server.reading import LIMIT


class Inflating(PayloadCodec):
    """Makes five bytes of one, as a bad cipher might."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"test/inflated"}, data=p.SerializeToString() * 5)
            for p in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(p.data[: len(p.data) // 5]) for p in payloads]


class Picky(PayloadCodec):
    """Fails on what names the topic "poison"."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if any(b'"poison"' in payload.data for payload in payloads):
            raise ValueError("cannot be encrypted")
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


@asynccontextmanager
async def a_stream(
    client: Client, task_queue: str, codec: PayloadCodec | None
) -> AsyncIterator[Callable[..., WorkflowStreamClient]]:
    """A hub behind a codec; what it gives makes clients for it."""
    config = client.config()
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=codec)
    coded = Client(**config)
    async with Worker(coded, task_queue=task_queue, workflows=[hosts.OurHub]):
        hub = await coded.start_workflow(
            hosts.OurHub.run, hosts.HubInput(), id=f"hub-{task_queue}", task_queue=task_queue
        )
        yield lambda **options: WorkflowStreamClient.create(coded, hub.id, **options)
        await hub.terminate()


async def topics(stream: WorkflowStreamClient) -> list[str]:
    """The topics of all items, by offset."""
    description = await stream.describe(items=4_096)
    return [item.topic for item in description.items]


async def flushed(stream: WorkflowStreamClient) -> BatchGivenUpError | None:
    try:
        await asyncio.wait_for(stream.flush(), LIMIT)
    except BatchGivenUpError as error:
        return error
    return None


async def test_what_an_inflating_codec_makes_too_large_is_split_until_it_fits(
    client: Client, task_queue: str
) -> None:
    async with a_stream(client, task_queue, Inflating()) as open_stream:
        stream = open_stream()
        names = [f"topic-{n}" for n in range(60)]
        for name in names:
            stream.topic(name).publish(os.urandom(20_000))
        assert await flushed(stream) is None
        assert await topics(stream) == names
        assert stream.unsent == 0
        assert stream.stats.refused > 0
        assert stream.stats.given_up == 0
        small = open_stream(max_batch_bytes=300_000)
        for name in names:
            small.topic(name).publish(os.urandom(20_000))
        assert await flushed(small) is None
        assert small.stats.refused == 0, "told the limit, it makes no detour"


async def test_an_item_too_large_after_the_codec_is_given_up_by_name_and_what_follows_goes_on(
    client: Client, task_queue: str
) -> None:
    async with a_stream(client, task_queue, Inflating()) as open_stream:
        stream = open_stream()
        for n in range(3):
            stream.topic(f"before-{n}").publish(n)
        for n in range(2):
            stream.topic(f"huge-{n}").publish(os.urandom(400_000 if n else 640_000))
        stream.topic("after").publish("still here")
        error = await flushed(stream)
        assert error is not None
        assert not isinstance(error, TimeoutError)
        assert [(b.topics, b.first, b.count) for b in error.batches] == [
            (("huge-0",), 3, 1),
            (("huge-1",), 4, 1),
        ]
        assert not any(batch.may_be_stored for batch in error.batches)
        assert "larger than max" in error.batches[0].reason, "of gRPC"
        assert "Blob data size exceeds limit" in error.batches[1].reason, "of the server"
        assert await topics(stream) == ["before-0", "before-1", "before-2", "after"]
        assert await flushed(stream) is None


@pytest.mark.parametrize("inside", [True, False])
async def test_a_codec_that_fails_on_one_item_costs_just_that_item(
    client: Client, task_queue: str, inside: bool
) -> None:
    async with a_stream(client, task_queue, Picky()) as open_stream:
        stream = open_stream()

        async def publish() -> None:
            async with stream if inside else nullcontext():
                for n in range(9):
                    stream.topic("poison" if n == 4 else f"fine-{n}").publish(n)
            await stream.flush()

        with pytest.raises(BatchGivenUpError) as raised:
            await asyncio.wait_for(publish(), LIMIT)
        [batch] = raised.value.batches
        assert (batch.topics, batch.first, batch.may_be_stored) == (("poison",), 4, False)
        assert "ValueError('cannot be encrypted')" in batch.reason
        assert await topics(stream) == [f"fine-{n}" for n in range(9) if n != 4]


async def test_two_flushes_and_a_publisher_in_the_background_survive_a_poisoned_batch(
    client: Client, task_queue: str
) -> None:
    async with a_stream(client, task_queue, Picky()) as open_stream:
        stream = open_stream(max_batch_size=8)
        told: list[Any] = []

        async def flush() -> None:
            if (error := await flushed(stream)) is not None:
                told.extend(batch.first for batch in error.batches)

        async def produce() -> None:
            for n in range(200):
                try:
                    stream.topic("poison" if n % 50 == 7 else f"fine-{n}").publish(n)
                except BatchGivenUpError as error:
                    told.extend(batch.first for batch in error.batches)
                    stream.topic("poison" if n % 50 == 7 else f"fine-{n}").publish(n)
                await asyncio.sleep(0)
                if n % 40 == 0:
                    await asyncio.gather(flush(), flush())

        await produce()
        await flush()
        assert await topics(stream) == [f"fine-{n}" for n in range(200) if n % 50 != 7]
        assert set(told) == {n for n in range(200) if n % 50 == 7}
        assert stream.stats.given_up == 4

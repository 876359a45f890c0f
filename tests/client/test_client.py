"""The client's front: what it hands to the publisher, and how it leaves."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gc
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.workflowservice.v1 import QueryWorkflowResponse
from temporalio.client import Client, WorkflowHandle
from temporalio.converter import DataConverter, DefaultPayloadConverter, PayloadConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib import UnsentItemsWarning, WorkflowStreamClient

PATIENCE = 5.0  # seconds that an exit may take at most


class Shouting(DefaultPayloadConverter):
    """A payload converter that is told apart from the default one."""

    def to_payloads(self, values: Any) -> list[Payload]:
        payloads = super().to_payloads(values)
        for payload in payloads:
            payload.metadata["shouts"] = b"yes"
        return payloads


def no_server() -> Exception:
    return RPCError("no server", RPCStatusCode.UNAVAILABLE, b"")


class Signals:
    """What arrives at a workflow's handle; `fault`, while set, makes what is raised."""

    def __init__(self) -> None:
        self.fault: Callable[[], Exception] | None = None
        self.tries = 0
        self.batches: list[dict[str, Any]] = []

    async def signal(self, name: str, batch: dict[str, Any]) -> None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault()
        self.batches.append(batch)

    @property
    def payloads(self) -> list[Payload]:
        return [
            Payload.FromString(base64.b64decode(item["data"]))
            for batch in self.batches
            for item in batch["items"]
        ]


def handle_to(signals: Signals) -> WorkflowHandle[Any, Any]:
    handle: Any = SimpleNamespace(id="order-1", run_id=None, signal=signals.signal)
    handle._client = client_with(DataConverter.default)
    return handle  # type: ignore[no-any-return]


def client_with(converter: DataConverter) -> Client:
    client: Any = SimpleNamespace(data_converter=converter, namespace="default")
    return client  # type: ignore[no-any-return]


@pytest.fixture
def signals() -> Signals:
    return Signals()


@pytest.mark.parametrize("own", [True, False])
async def test_items_are_encoded_by_the_clients_converter_else_by_the_default_one(
    signals: Signals, own: bool
) -> None:
    shouting = dataclasses.replace(DataConverter.default, payload_converter_class=Shouting)
    client = client_with(shouting) if own else None
    stream = WorkflowStreamClient(handle_to(signals), client=client)
    stream.topic("t").publish("hello")
    await stream.flush()
    [payload] = signals.payloads
    assert PayloadConverter.default.from_payload(payload) == "hello"
    assert ("shouts" in payload.metadata) == own


async def test_a_handle_without_a_client_needs_one_beside_it() -> None:
    handle: Any = SimpleNamespace(id="order-1", run_id=None)
    with pytest.raises(TypeError, match="pass client= beside the handle"):
        WorkflowStreamClient(handle)


@pytest.mark.parametrize("limit", [{"max_batch_size": 2}, {"max_batch_bytes": 100}])
async def test_the_limits_of_a_batch_are_those_of_the_constructor(
    signals: Signals, limit: dict[str, Any]
) -> None:
    stream = WorkflowStreamClient(handle_to(signals), **limit)
    for n in range(4):
        stream.topic("t").publish(n)
    await stream.flush()
    assert max(len(batch["items"]) for batch in signals.batches) < 4
    assert stream.stats.sent == len(signals.batches) >= 2


class Body:
    """An `async with` whose body publishes one item and then waits, or raises."""

    def __init__(self, signals: Signals, then: Exception | None = None) -> None:
        self.inside = asyncio.Event()
        self._signals = signals
        self._then = then

    async def run(self) -> None:
        async with WorkflowStreamClient(handle_to(self._signals)) as stream:
            stream.topic("t").publish("item")
            self.inside.set()
            if self._then is not None:
                raise self._then
            await asyncio.Event().wait()


async def cancelled(signals: Signals) -> None:
    """Cancel a body, and see that it leaves as one that was cancelled."""
    body = Body(signals)
    task = asyncio.create_task(body.run())
    await body.inside.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=PATIENCE)
    assert done, "it retries, for ten minutes"
    assert task.cancelled()


async def test_a_cancelled_body_of_async_with_leaves_after_one_try_and_names_what_is_left(
    signals: Signals,
) -> None:
    signals.fault = no_server
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await cancelled(signals)
        gc.collect()
    assert signals.tries == 1
    assert [w.category for w in caught] == [UnsentItemsWarning]


async def test_a_cancelled_body_sends_what_is_left_when_it_can(signals: Signals) -> None:
    await cancelled(signals)
    assert PayloadConverter.default.from_payloads(signals.payloads) == ["item"]


async def test_a_body_that_raises_is_no_cancelled_one_and_waits_for_the_stream(
    signals: Signals,
) -> None:
    signals.fault = no_server
    asyncio.get_running_loop().call_later(0.2, setattr, signals, "fault", None)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(Body(signals, ZeroDivisionError()).run(), PATIENCE)
    assert signals.tries > 1
    assert PayloadConverter.default.from_payloads(signals.payloads) == ["item"]


async def test_a_question_under_a_rate_limit_is_asked_again_with_growing_pauses() -> None:
    loop, tries = asyncio.get_running_loop(), 0
    over = loop.time() + 1.0

    async def query(*_: Any, **__: Any) -> QueryWorkflowResponse:
        nonlocal tries
        tries += 1
        if loop.time() < over:
            raise RPCError("rate limit exceeded", RPCStatusCode.RESOURCE_EXHAUSTED, b"")
        payloads = PayloadConverter.default.to_payloads([7])
        return QueryWorkflowResponse(query_result=Payloads(payloads=payloads))

    client: Any = client_with(DataConverter.default)
    client.workflow_service = SimpleNamespace(query_workflow=query)
    stream = WorkflowStreamClient(handle_to(Signals()), client=client)
    assert await asyncio.wait_for(stream.get_offset(), PATIENCE) == 7
    assert 3 <= tries <= 7

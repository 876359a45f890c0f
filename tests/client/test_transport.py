"""The edge to Temporal: which errors pass by themselves, and which are final."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus, Payload
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import QueryFailedFailure, ResourceExhaustedFailure
from temporalio.client import WorkflowUpdateFailedError
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

import streamlib.client.transport
from streamlib.client.transport import (
    BatchRefusedError,
    TemporalTransport,
    TruncatedDuringPollError,
)
from streamlib.errors import Cause, NotAStreamError, StreamNotFoundError, StreamUnavailableError


def transport_that_meets(
    status: RPCStatusCode, text: str, details: bytes = b""
) -> TemporalTransport:
    async def signal(*_: Any) -> None:
        raise RPCError(text, status, details)

    client: Any = SimpleNamespace(data_converter=DataConverter.default, namespace="default")
    handle: Any = SimpleNamespace(id="order-1", run_id=None, signal=signal)
    return TemporalTransport(handle, client)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (RPCStatusCode.UNAVAILABLE, "connection refused"),
        (RPCStatusCode.DEADLINE_EXCEEDED, ""),
        (RPCStatusCode.CANCELLED, "Timeout expired"),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "namespace rate limit exceeded"),
        # A run has room for 10,000 signals; the next one has room again.
        (RPCStatusCode.INVALID_ARGUMENT, "exceeded workflow execution limit for signal events"),
    ],
)
async def test_what_passes_by_itself_is_to_be_tried_again(status: RPCStatusCode, text: str) -> None:
    with pytest.raises(StreamUnavailableError) as raised:
        await transport_that_meets(status, text).send({})
    assert raised.value.reason.endswith(text)
    assert raised.value.workflow_id == "order-1"
    limited = status is RPCStatusCode.RESOURCE_EXHAUSTED
    assert raised.value.cause is (Cause.RATE if limited else Cause.OUTAGE)
    assert isinstance(raised.value.__cause__, RPCError)


def exhausted(cause: str, *others: Message) -> bytes:
    """The status of a call that met a limit, as the server serializes it."""
    failure = ResourceExhaustedFailure(
        cause=ResourceExhaustedCause.Value(f"RESOURCE_EXHAUSTED_CAUSE_{cause}")
    )
    status = GrpcStatus(code=RPCStatusCode.RESOURCE_EXHAUSTED.value, message="in other words")
    for detail in (*others, failure):
        status.details.add().Pack(detail)
    return status.SerializeToString()


FULL = "consistent query buffer is full, cannot accept new consistent queries"


@pytest.mark.parametrize(
    ("details", "text", "cause"),
    [
        (exhausted("BUSY_WORKFLOW"), FULL, Cause.BUSY),
        (exhausted("BUSY_WORKFLOW"), "Workflow is busy.", Cause.BUSY),
        (exhausted("RPS_LIMIT"), "namespace rate limit exceeded", Cause.RATE),
        (exhausted("APS_LIMIT"), "", Cause.RATE),
        (exhausted("CONCURRENT_LIMIT"), "", Cause.RATE),
        (exhausted("SYSTEM_OVERLOADED"), FULL, Cause.RATE),  # the details are more to be trusted
        (exhausted("BUSY_WORKFLOW", QueryFailedFailure()), "", Cause.BUSY),
        (exhausted("UNSPECIFIED"), FULL, Cause.BUSY),
        (exhausted("UNSPECIFIED"), "some limit", Cause.RATE),
        (b"", FULL, Cause.BUSY),
        (b"", "namespace rate limit exceeded", Cause.RATE),
    ],
)
async def test_a_limit_is_told_apart_by_the_details_of_its_status_else_by_its_words(
    details: bytes, text: str, cause: Cause
) -> None:
    with pytest.raises(StreamUnavailableError) as raised:
        await transport_that_meets(RPCStatusCode.RESOURCE_EXHAUSTED, text, details).send({})
    assert raised.value.cause is cause


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (RPCStatusCode.NOT_FOUND, "workflow execution already completed", StreamNotFoundError),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", RPCError),
        (RPCStatusCode.INVALID_ARGUMENT, "Blob data size exceeds limit.", BatchRefusedError),
        (
            RPCStatusCode.RESOURCE_EXHAUSTED,
            "grpc: received message after decompression larger than max 4194304",
            BatchRefusedError,
        ),
        (RPCStatusCode.INVALID_ARGUMENT, "WorkflowId length exceeds limit.", RPCError),
    ],
)
async def test_what_trying_again_does_not_mend_is_final(
    status: RPCStatusCode, text: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=text):
        await transport_that_meets(status, text).send({})


async def test_after_sends_without_an_answer_the_next_waits_longer_and_after_one_with_it_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streamlib.client.transport, "_SEND_TIMEOUT", 0.004)
    monkeypatch.setattr(streamlib.client.transport, "_SLOW_LINE", 1e9)
    answers, waits = asyncio.Event(), []
    wait_for = asyncio.wait_for

    async def noting(what: Any, seconds: float) -> Any:
        waits.append(seconds)
        return await wait_for(what, seconds)

    async def signal(*_: Any) -> None:
        await answers.wait()

    monkeypatch.setattr(asyncio, "wait_for", noting)
    client: Any = SimpleNamespace(data_converter=DataConverter.default, namespace="default")
    handle: Any = SimpleNamespace(id="order-1", run_id=None, signal=signal)
    transport = TemporalTransport(handle, client)
    for _ in range(5):
        with pytest.raises(StreamUnavailableError, match="no acknowledgement within"):
            await transport.send({})
    answers.set()
    for _ in range(2):
        await transport.send({})
    assert [round(each / 0.004) for each in waits] == [1, 2, 4, 8, 8, 8, 1]


@pytest.mark.parametrize(("size", "within"), [(0, "0 s"), (40_000, "1 s")])
async def test_a_send_that_hangs_is_given_up_after_a_while_that_a_large_batch_may_need(
    size: int, within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlib.client.transport, "_SEND_TIMEOUT", 0.01)

    async def signal(*_: Any) -> None:
        await asyncio.Event().wait()

    client: Any = SimpleNamespace(data_converter=DataConverter.default, namespace="default")
    handle: Any = SimpleNamespace(id="order-1", run_id=None, signal=signal)
    began = asyncio.get_running_loop().time()
    with pytest.raises(StreamUnavailableError, match=f"no acknowledgement within {within}"):
        await TemporalTransport(handle, client).send(
            {"items": [{"topic": "t", "data": "x" * size}]}
        )
    assert asyncio.get_running_loop().time() - began >= size / 40_000


class Picky(PayloadCodec):
    """Fails on what holds one of these words; notes how often it was asked."""

    def __init__(self, *words: bytes) -> None:
        self.words = words
        self.asked = 0

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self.asked += 1
        for payload in payloads:
            for word in self.words:
                if word in payload.data:
                    raise KeyError(word)
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


def transport_through(
    codec: PayloadCodec, then: Exception | None = None, handles_own: bool = True
) -> TemporalTransport:
    """One whose handle encodes as Temporal's own does; then the call works, or raises `then`."""
    plain = SimpleNamespace(data_converter=DataConverter.default, namespace="default")
    converter = dataclasses.replace(DataConverter.default, payload_codec=codec)
    client = SimpleNamespace(data_converter=converter, namespace="default")

    async def signal(_: str, batch: dict[str, Any]) -> None:
        await converter.encode([batch])
        if then is not None:
            raise then

    handle: Any = SimpleNamespace(id="order-1", run_id=None, signal=signal)
    if handles_own:
        handle._client = client
    reader: Any = plain if handles_own else client
    return TemporalTransport(handle, reader)


BATCH = {"items": [{"topic": "t", "data": "poison"}], "publisher_id": "p", "sequence": 1}


@pytest.mark.parametrize("handles_own", [True, False])
async def test_a_batch_that_only_the_codec_of_the_sender_fails_on_is_refused(
    handles_own: bool,
) -> None:
    transport = transport_through(Picky(b"poison"), handles_own=handles_own)
    with pytest.raises(BatchRefusedError, match=r"the codec fails on it .*KeyError") as raised:
        await transport.send(BATCH)
    assert isinstance(raised.value.__cause__, KeyError)


async def test_a_codec_that_fails_on_everything_is_not_the_batchs_fault() -> None:
    with pytest.raises(KeyError):
        await transport_through(Picky(b"items")).send(BATCH)


async def test_an_error_of_a_wrapped_handle_is_its_own_and_asks_the_codec_only_then() -> None:
    codec = Picky()
    await transport_through(codec).send(BATCH)
    assert codec.asked == 1
    with pytest.raises(ZeroDivisionError):
        await transport_through(codec, ZeroDivisionError()).send(BATCH)


# --- the poll update


def polling(kind: str) -> TemporalTransport:
    """A transport whose poll update fails, as one of that type."""

    async def fails(*_: Any, **__: Any) -> None:
        raise WorkflowUpdateFailedError(ApplicationError("as it is", type=kind))

    handle: Any = SimpleNamespace(execute_update=fails, id="order-1", run_id=None)
    client: Any = SimpleNamespace(
        data_converter=DataConverter.default,
        namespace="default",
        get_workflow_handle=lambda *_, **__: handle,
    )
    return TemporalTransport(handle, client)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("AcceptedUpdateCompletedWorkflow", StreamUnavailableError),  # the run closed meanwhile
        ("StreamDraining", StreamUnavailableError),
        ("TruncatedOffset", TruncatedDuringPollError),
        ("Anything", NotAStreamError),
    ],
)
async def test_what_a_poll_update_failed_of_says_whether_to_try_again(
    kind: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await polling(kind).poll("run", [], 0)


def test_importing_the_library_does_not_make_the_exit_wait() -> None:
    program = """
import atexit, time
registered = []
atexit.register = lambda call, *args, **options: registered.append(call)
import streamlib
assert time.sleep not in registered
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

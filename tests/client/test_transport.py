"""The edge to Temporal: which errors pass by themselves, and which are final."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import QueryFailedFailure, ResourceExhaustedFailure
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.transport import TemporalTransport
from streamlib.errors import Cause, StreamNotFoundError, StreamUnavailableError


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
        (RPCStatusCode.INVALID_ARGUMENT, "Blob data size exceeds limit.", RPCError),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "grpc: message larger than max", RPCError),
    ],
)
async def test_what_trying_again_does_not_mend_is_final(
    status: RPCStatusCode, text: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await transport_that_meets(status, text).send({})

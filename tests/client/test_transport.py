"""The edge to Temporal: which errors pass by themselves, and which are final."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.transport import TemporalTransport
from streamlib.errors import StreamNotFoundError, StreamUnavailableError


def transport_that_meets(status: RPCStatusCode, text: str) -> TemporalTransport:
    async def signal(*_: Any) -> None:
        raise RPCError(text, status, b"")

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
    assert raised.value.busy == (status is RPCStatusCode.RESOURCE_EXHAUSTED)
    assert isinstance(raised.value.__cause__, RPCError)


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

"""What the status of a failed call says, beyond its code: which limit was reached.

Knows gRPC's and the server's words, and nothing of streams. Next: `transport.py`, which makes the
calls.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode

from streamlib.errors import Cause

_BUSY_WORKFLOW = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW


def says_too_large(text: str) -> bool:
    """Whether it says that a batch is too large, today and whenever it is tried again."""
    # A payload above the server's limit, or a whole request above gRPC's.
    return "Blob data size exceeds limit" in text or "larger than max" in text


def cause_of(error: RPCError) -> Cause:
    """Which limit was reached, if it was one: as the details say, else as the message does."""
    if error.status != RPCStatusCode.RESOURCE_EXHAUSTED:
        return Cause.OUTAGE
    failure = ResourceExhaustedFailure()
    for detail in error.grpc_status.details:
        if detail.Unpack(failure) and failure.cause:
            busy = failure.cause == _BUSY_WORKFLOW
            return Cause.BUSY if busy else Cause.RATE
    return Cause.BUSY if "query buffer is full" in error.message else Cause.RATE

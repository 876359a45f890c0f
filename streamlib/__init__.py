"""A durable, offset-addressed event log, hosted by a Temporal workflow.

`WorkflowStream` is the workflow's side, `WorkflowStreamClient` the outside's. Reading order:
`errors`, `log`, `dedup`, `retry`, `outbox`, `cursor` (pure); `wire`; `carry`, `begin`, `topic`,
`stream` (the workflow); `transport`, `publisher`, `feed`, `subscriber`, `client` (the client).
"""

import logging as _logging

from temporalio import workflow as _workflow

# The library keeps no state of a workflow, so the sandbox need not load it anew for every run.
with _workflow.unsafe.imports_passed_through():
    from streamlib.client.client import TopicHandle, WorkflowStreamClient
    from streamlib.client.receipt import Outcome, Receipt
    from streamlib.client.stats import ClientStats
    from streamlib.client.subscriber import Subscription, open_subscriptions
    from streamlib.client.watch import RunSnapshot, StreamWatch, WaitingBatch
    from streamlib.core.ledger import Batch
    from streamlib.core.limits import StreamLimits
    from streamlib.core.parts import StreamParts
    from streamlib.core.readers import Forgotten
    from streamlib.core.retention import Retention
    from streamlib.core.rollover import RollOverReason
    from streamlib.errors import (
        BatchGivenUpError,
        BatchTimeoutError,
        BufferFullError,
        Cause,
        GivenUpBatch,
        InvalidCommitError,
        InvalidLimitsError,
        InvalidOffsetError,
        InvalidReaderNameError,
        InvalidTopicError,
        ItemDecodeError,
        ItemEncodeError,
        ItemTooLargeError,
        MalformedInputError,
        NameLostError,
        NamesUnsupportedError,
        NotAStreamError,
        OffsetTruncatedError,
        StateTooLargeError,
        StreamChangedError,
        StreamError,
        StreamNotFoundError,
        StreamUnavailableError,
        TooManyReadersError,
        TruncateOutOfRangeError,
        UnreadItemsError,
        UnsentItemsWarning,
    )
    from streamlib.host.stream import WorkflowStream
    from streamlib.host.topic import WorkflowTopicHandle
    from streamlib.wire.describe import (
        ItemDescription,
        PublisherDescription,
        ReaderDescription,
        StreamDescription,
    )
    from streamlib.wire.shapes import (
        PollInput,
        PollResult,
        PublishEntry,
        PublisherState,
        PublishInput,
        WorkflowStreamItem,
        WorkflowStreamState,
    )

# All that it logs goes to one logger, and to nobody who has not set up logging.
_logging.getLogger(__name__).addHandler(_logging.NullHandler())

__all__ = [
    "Batch",
    "BatchGivenUpError",
    "BatchTimeoutError",
    "BufferFullError",
    "Cause",
    "ClientStats",
    "Forgotten",
    "GivenUpBatch",
    "InvalidCommitError",
    "InvalidLimitsError",
    "InvalidOffsetError",
    "InvalidReaderNameError",
    "InvalidTopicError",
    "ItemDecodeError",
    "ItemDescription",
    "ItemEncodeError",
    "ItemTooLargeError",
    "MalformedInputError",
    "NameLostError",
    "NamesUnsupportedError",
    "NotAStreamError",
    "OffsetTruncatedError",
    "Outcome",
    "PollInput",
    "PollResult",
    "PublishEntry",
    "PublishInput",
    "PublisherDescription",
    "PublisherState",
    "ReaderDescription",
    "Receipt",
    "Retention",
    "RollOverReason",
    "RunSnapshot",
    "StateTooLargeError",
    "StreamChangedError",
    "StreamDescription",
    "StreamError",
    "StreamLimits",
    "StreamNotFoundError",
    "StreamParts",
    "StreamUnavailableError",
    "StreamWatch",
    "Subscription",
    "TooManyReadersError",
    "TopicHandle",
    "TruncateOutOfRangeError",
    "UnreadItemsError",
    "UnsentItemsWarning",
    "WaitingBatch",
    "WorkflowStream",
    "WorkflowStreamClient",
    "WorkflowStreamItem",
    "WorkflowStreamState",
    "WorkflowTopicHandle",
    "open_subscriptions",
]

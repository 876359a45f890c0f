"""A durable, offset-addressed event log, hosted by a Temporal workflow.

`WorkflowStream` is the workflow's side, `WorkflowStreamClient` the outside's. Reading order:
`errors`, `log`, `dedup`, `outbox`, `cursor` (pure); `wire`; `carry`, `topic`, `stream` (the
workflow); `transport`, `publisher`, `feed`, `subscriber`, `client` (the client).
"""

from temporalio import workflow as _workflow

# The library keeps no state of a workflow, so the sandbox need not load it anew for every run.
with _workflow.unsafe.imports_passed_through():
    from .client import TopicHandle, WorkflowStreamClient
    from .errors import (
        InvalidOffsetError,
        InvalidTopicError,
        ItemDecodeError,
        ItemEncodeError,
        ItemTooLargeError,
        MalformedInputError,
        NotAStreamError,
        StateTooLargeError,
        StreamError,
        StreamNotFoundError,
        StreamUnavailableError,
        TruncateOutOfRangeError,
        UnsentItemsWarning,
    )
    from .stream import WorkflowStream
    from .subscriber import Subscription
    from .topic import WorkflowTopicHandle
    from .wire import (
        PollInput,
        PollResult,
        PublishEntry,
        PublisherState,
        PublishInput,
        WorkflowStreamItem,
        WorkflowStreamState,
    )

__all__ = [
    "InvalidOffsetError",
    "InvalidTopicError",
    "ItemDecodeError",
    "ItemEncodeError",
    "ItemTooLargeError",
    "MalformedInputError",
    "NotAStreamError",
    "PollInput",
    "PollResult",
    "PublishEntry",
    "PublishInput",
    "PublisherState",
    "StateTooLargeError",
    "StreamError",
    "StreamNotFoundError",
    "StreamUnavailableError",
    "Subscription",
    "TopicHandle",
    "TruncateOutOfRangeError",
    "UnsentItemsWarning",
    "WorkflowStream",
    "WorkflowStreamClient",
    "WorkflowStreamItem",
    "WorkflowStreamState",
    "WorkflowTopicHandle",
]

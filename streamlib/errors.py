"""What can go wrong, one class each, with the numbers as fields.

Every error says what was wrong, the value, and what to do; the text is built in `__str__` from the
fields. This module imports nothing: the pure core raises from it, and the two shells (`stream.py`
in the workflow, `transport.py` in the client) translate Temporal's errors to and from it.

Next: `log.py`, the log itself.
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of everything this library raises by itself."""


class InvalidOffsetError(StreamError, ValueError):
    """An offset that no log could ever have: negative, or not a whole number."""

    def __init__(self, offset: object) -> None:
        super().__init__(offset)
        self.offset = offset

    def __str__(self) -> str:
        return (
            f"{self.offset!r} is not an offset. Offsets are whole numbers from 0 on; "
            "0 means the oldest item there is."
        )


class OffsetTruncatedError(StreamError):
    """What was asked for was truncated. The subscription has moved to the base: read on there."""

    def __init__(self, from_offset: int, base_offset: int) -> None:
        super().__init__(from_offset, base_offset)
        self.from_offset = from_offset
        self.base_offset = base_offset

    def __str__(self) -> str:
        return (
            f"Offsets {self.from_offset} to {self.base_offset - 1} were truncated before they were "
            f"read: {self.base_offset - self.from_offset} items are gone. Read on to get the rest, "
            f"from offset {self.base_offset}."
        )


class StreamChangedError(StreamError):
    """The workflow id now names another stream than the one an offset was saved for."""

    def __init__(self, workflow_id: str, expected: str, actual: str) -> None:
        super().__init__(workflow_id, expected, actual)
        self.workflow_id = workflow_id
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return (
            f"The stream at workflow id {self.workflow_id!r} is {self.actual}, not "
            f"{self.expected}: a workflow was started anew under this id. Saved offsets do not "
            "hold for it; subscribe from 0."
        )


class InvalidTopicError(StreamError, ValueError):
    """A topic name that is empty or no string."""

    def __init__(self, topic: object) -> None:
        super().__init__(topic)
        self.topic = topic

    def __str__(self) -> str:
        return (
            f"{self.topic!r} is not a topic name. A topic is a non-empty string; "
            "leave the filter out (or None, or []) to read all topics."
        )


class TruncateOutOfRangeError(StreamError, ValueError):
    """`truncate` was asked to go past the end of the log. The log is unchanged."""

    def __init__(self, up_to_offset: object, base_offset: int, end_offset: int) -> None:
        super().__init__(up_to_offset, base_offset, end_offset)
        self.up_to_offset = up_to_offset
        self.base_offset = base_offset
        self.end_offset = end_offset

    def __str__(self) -> str:
        return (
            f"Cannot truncate up to offset {self.up_to_offset!r}: the log holds offsets "
            f"[{self.base_offset}, {self.end_offset}). Give a whole number of at most "
            f"{self.end_offset}, which empties it. Nothing was truncated."
        )


class StateTooLargeError(StreamError):
    """The state does not fit into the input of the next run. The stream goes on unchanged."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"The state to carry over has {self.size:,} bytes, the next run takes {self.limit:,}. "
            "Truncate the log first; nothing was lost and the stream goes on in this run."
        )


class StreamNotFoundError(StreamError):
    """No workflow run with this id can be reached: it never existed, or it has closed."""

    def __init__(self, workflow_id: str, detail: str = "") -> None:
        super().__init__(workflow_id, detail)
        self.workflow_id = workflow_id
        self.detail = detail

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return (
            f"No stream to reach at workflow id {self.workflow_id!r}{detail}. "
            "Check the id and the namespace, and that the workflow was started and still runs."
        )


class StreamUnavailableError(StreamError):
    """The server or the worker did not answer. The library tries again by itself."""

    def __init__(self, workflow_id: str, reason: str, *, busy: bool = False) -> None:
        super().__init__(workflow_id, reason)
        self.workflow_id = workflow_id
        self.reason = reason
        self.busy = busy  # it answered, but has too much to do just now

    def __str__(self) -> str:
        return (
            f"The stream {self.workflow_id!r} does not answer ({self.reason}). "
            "Check that the Temporal server is up and that a worker for its workflow is running."
        )


class NotAStreamError(StreamError):
    """The workflow exists but answers neither the stream's query nor its update."""

    def __init__(self, workflow_id: str, detail: str = "") -> None:
        super().__init__(workflow_id, detail)
        self.workflow_id = workflow_id
        self.detail = detail

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return (
            f"The workflow {self.workflow_id!r} hosts no stream{detail}. "
            "Construct WorkflowStream() in the workflow's @workflow.init method."
        )


class ItemEncodeError(StreamError, TypeError):
    """A value that the payload converter cannot serialize. It was not buffered."""

    def __init__(self, topic: str, value: object) -> None:
        super().__init__(topic, value)
        self.topic = topic
        self.value = value

    def __str__(self) -> str:
        return (
            f"Cannot serialize this {type(self.value).__name__} for topic {self.topic!r}: "
            f"{shown(self.value)}. Publish JSON-like data, a dataclass or bytes, or give the "
            "client a data converter that knows the type. Nothing was buffered."
        )


class ItemTooLargeError(StreamError, ValueError):
    """An item larger than a payload may be. It was not buffered, or not appended."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(topic, size, limit)
        self.topic = topic
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"An item for topic {self.topic!r} has {self.size:,} bytes on the wire; an item may "
            f"have {self.limit:,}. Store the value elsewhere and publish a reference to it. "
            "Nothing was buffered."
        )


class ItemDecodeError(StreamError):
    """An item that cannot be decoded as asked. The subscription has moved past it: read on."""

    def __init__(self, offset: int, topic: str, reason: str) -> None:
        super().__init__(offset, topic, reason)
        self.offset = offset
        self.topic = topic
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Cannot decode the item at offset {self.offset} (topic {self.topic!r}): "
            f"{self.reason}. Read on to get the next one, or subscribe with result_type=RawValue "
            "to see its bytes."
        )


class MalformedInputError(StreamError, ValueError):
    """Something arrived over the wire that is not of the protocol's shape. It was refused."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"Malformed {self.what}: {self.reason}."


class UnsentItemsWarning(RuntimeWarning):
    """A client went away with items that it had buffered but never sent."""


def shown(value: object, limit: int = 80) -> str:
    """repr(value), cut to `limit` characters; never raises."""
    try:
        text = repr(value)
    except Exception:
        return "<its repr() raises>"
    return text if len(text) <= limit else text[:limit] + "…"

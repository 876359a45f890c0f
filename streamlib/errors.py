"""What can go wrong, one class each, with the numbers as fields.

Every error says what was wrong, the value, and what to do; the text is built in `__str__` from the
fields. Nothing of Temporal is known here: the pure core raises from it, and the shells (`stream.py`
in the workflow, `transport.py` in the client) translate Temporal's errors to and from it.

Next: `log.py`, the log itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_LISTED = 3
"""How many of many a text names."""


class StreamError(Exception):
    """Base of everything this library raises by itself."""


class Cause(Enum):
    """Why there was no answer, as far as it decides when to try again: see `core/retry.py`."""

    BUSY = "busy"  # the run has too much to do just now
    RATE = "rate limit"  # the server, or the namespace, has a limit and it is reached
    OUTAGE = "outage"  # no server, no worker, or no answer in time


@dataclass(eq=False)
class InvalidOffsetError(StreamError, ValueError):
    """An offset that no log could ever have: negative, beyond 2**63 - 1, or no whole number."""

    offset: object

    def __str__(self) -> str:
        return (
            f"{shown(self.offset)} is not an offset. Offsets are whole numbers from 0 on, up to "
            "2**63 - 1; 0 means the oldest item there is."
        )


@dataclass(eq=False)
class OffsetTruncatedError(StreamError):
    """What was asked for was truncated. The subscription has moved to the base: read on there."""

    from_offset: int
    base_offset: int

    def __str__(self) -> str:
        return (
            f"Offsets {self.from_offset} to {self.base_offset - 1} were truncated before they were "
            f"read: {self.base_offset - self.from_offset} items are gone. Read on to get the rest, "
            f"from offset {self.base_offset}."
        )


@dataclass(eq=False)
class StreamChangedError(StreamError):
    """The workflow hosts another log now than the one that was read, or an offset was saved for.

    Its items may all be new, so no offset of the old one holds.
    """

    workflow_id: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return (
            f"The stream at workflow id {self.workflow_id!r} is {self.actual}, not "
            f"{self.expected}: the workflow was started anew (by somebody, a retry, a cron "
            "schedule or a reset), or rolled over without its state. Saved offsets do not hold for "
            "it; subscribe from 0."
        )


@dataclass(eq=False)
class UnreadItemsError(StreamError):
    """The workflow closed before all was read, and its host serves no closed run.

    Items from `from_offset` on, below `end_offset`, cannot be read any more. `end_offset` is None
    where the host does not say whether there were any.
    """

    workflow_id: str
    from_offset: int
    end_offset: int | None

    def __str__(self) -> str:
        there = (
            f"has items from offset {self.from_offset} to {self.end_offset - 1}"
            if self.end_offset is not None
            else f"may have items from offset {self.from_offset} on"
        )
        return (
            f"The stream {self.workflow_id!r} {there} that cannot be read: its workflow has "
            "closed, and hosts a stream that answers polls only while it runs. Let it wait for its "
            "readers before it ends, or host it with streamlib."
        )


@dataclass(eq=False)
class InvalidTopicError(StreamError, ValueError):
    """A topic name that is empty, no string, or longer than the stream's limit."""

    topic: object
    size: int | None = None
    limit: int | None = None

    def __str__(self) -> str:
        if self.size is not None:
            return (
                f"The topic name {shown(self.topic)} has {self.size:,} bytes as it travels; a "
                f"name may have {self.limit:,}. It is a label to filter by: put the rest in the "
                "item."
            )
        return (
            f"{shown(self.topic)} is not a topic name. A topic is a non-empty string; "
            "leave the filter out (or None, or []) to read all topics."
        )


@dataclass(eq=False)
class TruncateOutOfRangeError(StreamError, ValueError):
    """`truncate` was asked to go past the end of the log. The log is unchanged."""

    up_to_offset: object
    base_offset: int
    end_offset: int

    def __str__(self) -> str:
        return (
            f"Cannot truncate up to offset {shown(self.up_to_offset)}: the log holds offsets "
            f"[{self.base_offset}, {self.end_offset}). Give a whole number of at most "
            f"{self.end_offset}, which empties it. Nothing was truncated."
        )


@dataclass(eq=False)
class InvalidLimitsError(StreamError, ValueError):
    """A limit that cannot be, or that contradicts another one."""

    limit: str
    value: object
    must_be: str
    other: int | None = None

    def __str__(self) -> str:
        other = "" if self.other is None else f" ({self.other:,})"
        return f"{self.limit} is {shown(self.value)}; it must be {self.must_be}{other}."


@dataclass(eq=False)
class StateTooLargeError(StreamError):
    """The state does not fit into the input of the next run. The stream goes on unchanged."""

    size: int
    limit: int

    def __str__(self) -> str:
        return (
            f"The state to carry over has {self.size:,} bytes, the next run takes {self.limit:,}. "
            "Truncate the log first; nothing was lost and the stream goes on in this run."
        )


@dataclass(eq=False)
class StreamNotFoundError(StreamError):
    """No workflow run with this id can be reached: it never existed, or it has closed."""

    workflow_id: str
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return (
            f"No stream to reach at workflow id {self.workflow_id!r}{detail}. "
            "Check the id and the namespace, and that the workflow was started and still runs."
        )


@dataclass(eq=False)
class StreamUnavailableError(StreamError):
    """The server or the worker did not answer. The library tries again by itself."""

    workflow_id: str
    reason: str
    cause: Cause = field(default=Cause.OUTAGE, kw_only=True)

    def __str__(self) -> str:
        return (
            f"The stream {self.workflow_id!r} does not answer ({self.reason}). "
            "Check that the Temporal server is up and that a worker for its workflow is running."
        )


@dataclass(eq=False)
class NotAStreamError(StreamError):
    """The workflow exists but answers neither the stream's query nor its update."""

    workflow_id: str
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return (
            f"The workflow {self.workflow_id!r} hosts no stream{detail}. "
            "Construct WorkflowStream() in the workflow's @workflow.init method."
        )


@dataclass(eq=False)
class ItemEncodeError(StreamError, TypeError):
    """A value that the payload converter cannot serialize. It was not buffered."""

    topic: str
    value: object

    def __str__(self) -> str:
        return (
            f"Cannot serialize this {type(self.value).__name__} for topic {self.topic!r}: "
            f"{shown(self.value)}. Publish JSON-like data, a dataclass or bytes, or give the "
            "client a data converter that knows the type. Nothing was buffered."
        )


@dataclass(eq=False)
class ItemTooLargeError(StreamError, ValueError):
    """An item larger than a payload may be. It was not buffered, or not appended."""

    topic: str
    size: int
    limit: int

    def __str__(self) -> str:
        return (
            f"An item for topic {self.topic!r} has {self.size:,} bytes on the wire; an item may "
            f"have {self.limit:,}. Store the value elsewhere and publish a reference to it. "
            "Nothing was buffered."
        )


@dataclass(frozen=True)
class GivenUpBatch:
    """A batch that a publisher has dropped: which items, why, and what is certain about them."""

    first: int  # how many items the client had published before these
    count: int  # of its items
    topics: tuple[str, ...]  # of its items, each once
    size: int  # bytes, as they travel
    sequence: int
    reason: str
    may_be_stored: bool  # False: none of its items is in the log

    def __str__(self) -> str:
        items = f"item {self.first + 1}"
        if self.count > 1:
            items = f"items {self.first + 1} to {self.first + self.count}"
        certain = "may be stored, or not" if self.may_be_stored else "is certainly not stored"
        return (
            f"Batch {self.sequence} ({items} of this client, {self.size:,} bytes, topics "
            f"{_listed(self.topics)}) {certain}: {self.reason}"
        )


@dataclass(eq=False)
class BatchGivenUpError(StreamError):
    """Batches were dropped for good: refused as they are, or unanswered for too long.

    What was published after them is kept, or was sent already.
    """

    workflow_id: str
    batches: tuple[GivenUpBatch, ...]

    def __str__(self) -> str:
        more = len(self.batches) - _LISTED
        return (
            f"Given up for the stream {self.workflow_id!r}, while everything else is kept. "
            + " ".join(str(batch).rstrip(".") + "." for batch in self.batches[:_LISTED])
            + (f" And {more} more, in `batches`." if more > 0 else "")
            + " Publish again what you miss; look at the log first for what may be stored."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.workflow_id, self.batches)


class BatchTimeoutError(BatchGivenUpError, TimeoutError):
    """As above, and at least one of them may be stored: it had no answer in time."""


@dataclass(eq=False)
class ItemDecodeError(StreamError):
    """An item that cannot be decoded as asked. The subscription has moved past it: read on."""

    offset: int
    topic: str
    reason: str

    def __str__(self) -> str:
        return (
            f"Cannot decode the item at offset {self.offset} (topic {self.topic!r}): "
            f"{self.reason}. Read on to get the next one, or subscribe with result_type=RawValue "
            "to see its bytes."
        )


@dataclass(eq=False)
class MalformedInputError(StreamError, ValueError):
    """Something arrived over the wire that is not of the protocol's shape. It was refused."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"Malformed {self.what}: {self.reason}."


@dataclass(eq=False)
class BufferFullError(StreamError):
    """The buffer has no room for this item just now. It was not buffered; nothing was lost."""

    workflow_id: str
    size: int
    buffered: int
    limit: int

    def __str__(self) -> str:
        return (
            f"The buffer for the stream {self.workflow_id!r} holds {self.buffered:,} bytes that "
            f"are not acknowledged yet; this item has {self.size:,}, and max_buffer_bytes is "
            f"{self.limit:,}. It was not buffered. `await topic.send(value)` waits for room; or "
            "flush, and publish it again."
        )


@dataclass(eq=False)
class InvalidReaderNameError(StreamError, ValueError):
    """A reader's name that is empty, no string, or too long."""

    name: object
    limit: int

    def __str__(self) -> str:
        return (
            f"{shown(self.name)} is no name for a reader. A name is a non-empty string of at most "
            f"{self.limit:,} bytes, as it travels; leave it out for a reader that the stream does "
            "not remember."
        )


@dataclass(eq=False)
class NamesUnsupportedError(StreamError):
    """The stream's host keeps no named readers. Nothing was sent."""

    workflow_id: str

    def __str__(self) -> str:
        return (
            f"The host of the stream {self.workflow_id!r} keeps no named readers: it is of another "
            "library, or of an earlier version. Nothing was sent. Subscribe without a name, and "
            "save `position` yourself."
        )


@dataclass(eq=False)
class TooManyReadersError(StreamError):
    """The stream keeps as many names as it can, and this is a new one."""

    workflow_id: str
    name: str
    limit: int

    def __str__(self) -> str:
        return (
            f"The stream {self.workflow_id!r} keeps {self.limit} named readers already, and "
            f"{shown(self.name)} is not one of them. Use a name that is there, or none; names that "
            "nobody reads by are forgotten after a while."
        )


@dataclass(eq=False)
class NameLostError(StreamError):
    """This reader has its name no longer. It has ended; what it commits is refused."""

    workflow_id: str
    name: str
    reason: str

    def __str__(self) -> str:
        return (
            f"This reader of the stream {self.workflow_id!r} is {shown(self.name)} no longer: "
            f"{self.reason}. A name is for one reader at a time; subscribe by the name again to "
            "take it back. What was handled and not committed comes again."
        )


@dataclass(eq=False)
class InvalidCommitError(StreamError, ValueError):
    """A position that a reader cannot commit. Nothing was sent."""

    name: str
    position: object
    committed: int
    end_offset: int

    def __str__(self) -> str:
        return (
            f"The reader {shown(self.name)} cannot commit {shown(self.position)}: it has "
            f"committed {self.committed}, and what it has read ends at {self.end_offset}. Give a "
            "whole number between them; `rewind` goes back. Nothing was sent."
        )


class UnsentItemsWarning(RuntimeWarning):
    """A client went away with items that it had buffered but never sent."""


def _listed(names: tuple[str, ...]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _LISTED
    text = ", ".join(shown(name, 40) for name in names[:_LISTED])
    return f"{text} and {more} more" if more > 0 else text


def shown(value: object, limit: int = 80) -> str:
    """repr(value), cut to `limit` characters; never raises."""
    try:
        text = repr(value)
    except Exception:
        return "<its repr() raises>"
    return text if len(text) <= limit else text[:limit] + "…"

"""The names and shapes of the wire: what handlers are called, and what they take and give.

They are those of `temporalio.contrib.workflow_streams` 1.35, field by field; unknown fields are
ignored on both sides, so what we add to a poll answer (`base_offset`, `end_offset`, `stream_id`)
does not disturb it. Knows no bytes. Next: `encode.py`.
"""

# No `from __future__ import annotations`: a converter looks the names in it up in `sys.modules`,
# and in a workflow's sandbox that lacks this module where `streamlib` was passed through.

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from streamlib.core.limits import DEFAULTS
from streamlib.core.log import Item, Page

T = TypeVar("T")

PUBLISH_SIGNAL = "__temporal_workflow_stream_publish"
POLL = "__temporal_workflow_stream_poll"  # the name of an update and of a query: one shape
OFFSET_QUERY = "__temporal_workflow_stream_offset"
DESCRIBE_QUERY = "__streamlib_describe"  # ours
READER_SIGNAL = "__streamlib_reader"  # ours

TRUNCATED_OFFSET = "TruncatedOffset"
STREAM_DRAINING = "StreamDraining"
TRUNCATE_OUT_OF_RANGE = "TruncateOutOfRange"
INVALID_POLL = "InvalidPoll"
STATE_TOO_LARGE = "StateTooLarge"

MAX_PAGE_BYTES = DEFAULTS.page_bytes
"""What a client goes by, which does not know its host's limits."""


@dataclass
class WorkflowStreamItem(Generic[T]):
    """An item as a subscriber gets it.

    `missed` is how many offsets were truncated just before this item, unread; 0 normally.
    """

    topic: str
    data: T
    offset: int = 0
    missed: int = 0


@dataclass
class PublishEntry:
    """One item of a batch. `data` is base64 of a serialized `Payload`."""

    topic: str
    data: str


@dataclass
class PublishInput:
    """The publish signal: a batch, accepted or dropped whole by `(publisher_id, sequence)`."""

    items: list[PublishEntry] = field(default_factory=list[PublishEntry])
    publisher_id: str = ""
    sequence: int = 0


@dataclass
class PollInput:
    """The poll update and query: items of `topics` (none named: all) from `from_offset` on."""

    topics: list[str] = field(default_factory=list[str])
    from_offset: int = 0


@dataclass
class PollResult:
    """The answer to a poll: `items` of `{topic, data, offset}`, where to read on, is more ready."""

    items: list[Any] = field(default_factory=list[Any])
    next_offset: int = 0
    more_ready: bool = False


@dataclass
class PublisherState:
    """A publisher's row in the carried state: last accepted sequence, and when it came.

    The counts are ours; a state that the peer left has none.
    """

    sequence: int
    last_seen: datetime
    accepted: int = 0
    dropped: int = 0
    refused: int = 0


@dataclass
class WorkflowStreamState:
    """The whole stream, ready to be the input of the next run.

    Type the field that carries it as `WorkflowStreamState | None`, not `Any`: the data converter
    gives a plain dict for `Any`. `log` holds `{topic, data, offset}` items, or is one compressed
    string where those would not fit; it is typed loosely because typed decoding of a long log
    costs ten times as much. Some languages write null for no publishers. The rest is ours: the peer
    ignores it, and its own state has none; it is typed loosely, because what is wrong with it must
    not keep a stream from going on.

    Attributes:
        seams: The offsets at which the last runs took over.
        stream_id: Whose log it is; valid for the run that continues `handed_over_by`.
        handed_over_by: The id of the run that built this state.
        limits: The fields of the `StreamLimits` that the log lived by.
        retention: The fields of the `Retention` that was set, its age in seconds.
        retained: Whether `retain` set it, and not a constructor.
        times: Up to which offset items had come by when: `[offset, time]`, where age matters.
        readers: A row for each named reader.
    """

    log: Any = field(default_factory=list[Any])
    base_offset: int = 0
    publishers: dict[str, PublisherState] | None = field(default_factory=dict[str, PublisherState])
    seams: Any = field(default_factory=list[int])
    stream_id: Any = None
    handed_over_by: Any = None
    limits: Any = None
    retention: Any = None
    retained: Any = None
    times: Any = None
    readers: Any = None


class IncomingBatch(NamedTuple):
    """A publish signal, parsed. The data of an item is text, as it travels."""

    items: list[Item]
    publisher_id: str
    sequence: int


class Answer(NamedTuple):
    """A poll's answer, parsed. What only our hosts say is None from others.

    The data of an item is its `Payload`, or the `MalformedInputError` that says why there is none.
    """

    page: Page
    base_offset: int | None
    end_offset: int | None
    stream_id: str | None

"""What crosses the network: names, shapes, strict parsing, encoding.

The shapes are those of `temporalio.contrib.workflow_streams` 1.35, field by field; unknown fields
are ignored on both sides, so what we add to a poll answer (`base_offset`, `end_offset`,
`stream_id`) does not disturb it. An item travels as base64 of a serialized `Payload`; a codec
(encryption, say) runs once on the envelope that the SDK sends, never per item.

This is where the two halves meet. Next: `stream.py` for the workflow's, `client.py` for the
client's.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

from .binding import check_topic
from .errors import ItemEncodeError, ItemTooLargeError, MalformedInputError, shown
from .log import Item, Log, Page

PUBLISH_SIGNAL = "__temporal_workflow_stream_publish"
POLL = "__temporal_workflow_stream_poll"  # the name of an update and of a query: one shape
OFFSET_QUERY = "__temporal_workflow_stream_offset"
DESCRIBE_QUERY = "__streamlib_describe"  # ours

TRUNCATED_OFFSET = "TruncatedOffset"
STREAM_DRAINING = "StreamDraining"
TRUNCATE_OUT_OF_RANGE = "TruncateOutOfRange"
INVALID_POLL = "InvalidPoll"
STATE_TOO_LARGE = "StateTooLarge"

MAX_PAGE_BYTES = 1_000_000
"""The most a poll answer, or a batch of several items, holds: items as they travel."""

MAX_ITEM_BYTES = 2_000_000
"""The most one item may have as it travels. The server takes payloads of 2 MiB, and an answer
that holds just this item must fit into one."""

MAX_STATE_BYTES = 2_000_000
"""The most the input of a next run may have; 2,060,403 bytes were seen to pass, 2.12 MB not."""

_MAX_SEQUENCE = _MAX_OFFSET = 2**63 - 1
_MAX_ID = 1000  # characters of a publisher's id, which is kept for as long as its row

T = TypeVar("T")


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
    costs ten times as much. `seams` are the offsets at which the last runs took over; the peer
    ignores them, and its own state has none.
    """

    log: Any = field(default_factory=list[Any])
    base_offset: int = 0
    publishers: dict[str, PublisherState] = field(default_factory=dict[str, PublisherState])
    seams: list[int] = field(default_factory=list[int])


class Answer(NamedTuple):
    """A poll's answer, parsed. What only our hosts say is None from others.

    The data of an item is its `Payload`, or the `MalformedInputError` that says why there is none.
    """

    page: Page
    base_offset: int | None
    end_offset: int | None
    stream_id: str | None


def encode_payload(payload: Payload) -> str:
    """Payload -> what `PublishEntry.data` holds: the same for the same payload, on every replay."""
    return base64.b64encode(payload.SerializeToString(deterministic=True)).decode("ascii")


def decode_payload(data: object) -> Payload:
    """What `PublishEntry.data` holds -> Payload.

    Raises:
        MalformedInputError: No string, no base64, no Payload, or one that names no encoding:
            no converter could decode it.
    """
    if not isinstance(data, str):
        raise MalformedInputError("item", f"data is no string but {type(data).__name__}")
    try:
        payload = Payload.FromString(base64.b64decode(data, validate=True))
    except (ValueError, DecodeError) as error:
        raise MalformedInputError("item", f"data is no base64 of a Payload ({error})") from error
    if "encoding" not in payload.metadata:
        raise MalformedInputError("item", "the Payload names no encoding")
    return payload


def encode_item(topic: str, value: object, converter: PayloadConverter) -> Item:
    """A value -> an item whose data is as it travels. A ready-made `Payload` is taken as it is.

    Raises:
        InvalidTopicError: The topic's name is empty or no string.
        ItemEncodeError: The converter cannot serialize the value, whatever it raised.
        ItemTooLargeError: The item has more than `MAX_ITEM_BYTES`.
    """
    topic = check_topic(topic)
    try:
        payload = value if isinstance(value, Payload) else converter.to_payloads([value])[0]
    except Exception as error:
        raise ItemEncodeError(topic, value) from error
    if "encoding" not in payload.metadata:
        raise ItemEncodeError(topic, value)
    data = encode_payload(payload)
    size = wire_size(topic, data)
    if size > MAX_ITEM_BYTES:
        raise ItemTooLargeError(topic, size, MAX_ITEM_BYTES)
    return Item(topic, data, size)


def wire_size(topic: str, data: str) -> int:
    """How many bytes an item adds to a batch or a page, its JSON frame aside."""
    return len(data) + len(topic.encode())


def publish_json(items: Sequence[Item], publisher_id: str, sequence: int) -> dict[str, Any]:
    """The publish signal's argument. Plain dicts: the converter is ten times as fast on them."""
    return {
        "items": [{"topic": item.topic, "data": item.data} for item in items],
        "publisher_id": publisher_id,
        "sequence": sequence,
    }


def parse_publish(args: Sequence[object]) -> PublishInput:
    """The publish signal's arguments, as they arrived -> a batch that can do no harm.

    Raises:
        MalformedInputError: Anything about them is not as `PublishInput` says.
    """
    fields = _only_object("publish signal", args)
    publisher_id, sequence = fields.get("publisher_id", ""), fields.get("sequence", 0)
    if not isinstance(publisher_id, str) or len(publisher_id) > _MAX_ID:
        raise MalformedInputError("publish signal", f"publisher_id is {shown(publisher_id)}")
    if type(sequence) is not int or not 0 <= sequence <= _MAX_SEQUENCE:
        raise MalformedInputError("publish signal", f"sequence is {shown(sequence)}")
    items = _list(fields, "items")
    if not isinstance(items, list):
        raise MalformedInputError("publish signal", "items is no list")
    return PublishInput([_parse_entry(item) for item in items], publisher_id, sequence)


def claimed_publisher(args: Sequence[object]) -> str:
    """The publisher that a refused batch says it is from; empty if it does not say."""
    fields = args[0] if len(args) == 1 else None
    claimed = fields.get("publisher_id") if isinstance(fields, dict) else None
    return claimed if isinstance(claimed, str) and len(claimed) <= _MAX_ID else ""


def parse_poll(args: Sequence[object]) -> PollInput:
    """A poll's arguments, as they arrived -> what is asked.

    Raises:
        MalformedInputError: Anything about them is not as `PollInput` says.
    """
    fields = _only_object("poll", args)
    topics, from_offset = _list(fields, "topics"), fields.get("from_offset", 0)
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise MalformedInputError("poll", f"topics is no list of strings but {shown(topics)}")
    if type(from_offset) is not int or from_offset < 0:
        raise MalformedInputError("poll", f"from_offset is {shown(from_offset)}, no offset")
    return PollInput(topics, from_offset)


def answer_json(page: Page, log: Log, stream_id: str) -> dict[str, Any]:
    """A page -> a poll's answer. The items' data is base64 already, so nothing is encoded here."""
    return {
        "items": items_json(page.items),
        "next_offset": page.next_offset,
        "more_ready": page.more_ready,
        "base_offset": log.base_offset,
        "end_offset": log.end_offset,
        "stream_id": stream_id,
    }


def items_json(items: Sequence[tuple[int, Item]]) -> list[dict[str, Any]]:
    """Items of an answer or a carried log, as JSON."""
    return [{"topic": item.topic, "data": item.data, "offset": offset} for offset, item in items]


def parse_answer(value: object) -> Answer:
    """A poll's answer, ours or the peer's -> items with their payloads.

    Raises:
        MalformedInputError: The answer as a whole is not as `PollResult` says. A single item
            that is not is kept in its place, to be reported at its offset.
    """
    fields = _only_object("poll answer", [value])
    items, more_ready = _list(fields, "items"), fields.get("more_ready")
    if not isinstance(items, list) or not isinstance(more_ready, bool):
        raise MalformedInputError("poll answer", "items is no list, or more_ready no boolean")
    page = Page([_parse_item(item) for item in items], _whole(fields, "next_offset"), more_ready)
    base, end = (
        None if fields.get(name) is None else _whole(fields, name)
        for name in ("base_offset", "end_offset")
    )
    stream_id = fields.get("stream_id")
    return Answer(page, base, end, stream_id if isinstance(stream_id, str) else None)


def _parse_item(item: object) -> tuple[int, Item]:
    fields = _only_object("poll answer", [item])
    offset, topic, data = _whole(fields, "offset"), fields.get("topic"), fields.get("data")
    if not isinstance(topic, str):
        raise MalformedInputError("poll answer", f"topic is {shown(topic)}")
    try:
        return offset, Item(topic, decode_payload(data), len(topic) + len(data or ""))
    except MalformedInputError as error:
        return offset, Item(topic, error, len(topic))


def _list(fields: Mapping[str, Any], name: str) -> Any:
    """A list's field; some languages write null for an empty one."""
    value = fields.get(name)
    return [] if value is None else value


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= _MAX_OFFSET:
        raise MalformedInputError("poll answer", f"{name} is {shown(value)}, no offset")
    return value


def _parse_entry(entry: object) -> PublishEntry:
    fields = _only_object("item", [entry])
    topic, data = fields.get("topic"), fields.get("data")
    if not isinstance(topic, str) or not topic or not _is_text(topic):
        raise MalformedInputError("item", f"topic is {shown(topic)}")
    decode_payload(data)
    assert isinstance(data, str)
    if wire_size(topic, data) > MAX_ITEM_BYTES:
        raise MalformedInputError("item", f"it has more than {MAX_ITEM_BYTES:,} bytes")
    return PublishEntry(topic, data)


def _only_object(what: str, args: Sequence[object]) -> Mapping[str, Any]:
    """The one JSON object among `args`, or a refusal."""
    if len(args) != 1:
        raise MalformedInputError(what, f"it has {len(args)} arguments, not 1")
    if not isinstance(args[0], dict):
        raise MalformedInputError(what, f"it is no object but {type(args[0]).__name__}")
    return args[0]


def _is_text(value: str) -> bool:
    """Whether it can be encoded: JSON can smuggle in half a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

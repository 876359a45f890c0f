"""What arrived over the network -> what it means, or a refusal: strict, and never harmful.

This is where the two halves meet. Next: `host/stream.py` for the workflow's, `client/client.py`
for the client's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from streamlib.core.limits import DEFAULTS, StreamLimits
from streamlib.core.log import Item, Page
from streamlib.errors import InvalidTopicError, ItemTooLargeError, MalformedInputError, shown
from streamlib.wire.encode import check_item, decode_payload, item_of, wire_size
from streamlib.wire.shapes import Answer, IncomingBatch, PollInput

_MAX_SEQUENCE = _MAX_OFFSET = 2**63 - 1
_MAX_ID = 1000  # characters of a publisher's id, which is kept for as long as its row


def parse_publish(args: Sequence[object], limits: StreamLimits = DEFAULTS) -> IncomingBatch:
    """The publish signal's arguments, as they arrived -> a batch that can do no harm.

    Raises:
        MalformedInputError: Anything about them is not as `PublishInput` says, or is larger than
            `limits`.
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
    batch = IncomingBatch([_parse_entry(item, limits) for item in items], publisher_id, sequence)
    # Other clients split by count alone, so a batch is too large only where an author says so.
    if limits.batch_bytes < DEFAULTS.batch_bytes:
        size = sum(item.size for item in batch.items)
        if size > limits.batch_bytes:
            raise _too_large("publish signal", size, limits.batch_bytes)
    return batch


def claimed_publisher(args: Sequence[object]) -> tuple[str, int]:
    """The publisher and the sequence that a refused batch says it has; "" and 0 without any."""
    fields = args[0] if len(args) == 1 else None
    if not isinstance(fields, dict):
        return "", 0
    claimed, sequence = fields.get("publisher_id"), fields.get("sequence")
    if not isinstance(claimed, str) or len(claimed) > _MAX_ID:
        claimed = ""
    if type(sequence) is not int or not 0 <= sequence <= _MAX_SEQUENCE:
        sequence = 0
    return claimed, sequence


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


def parse_answer(value: object, from_offset: int = 0) -> Answer:
    """A poll's answer, ours or the peer's -> items with their payloads.

    Args:
        from_offset: What was asked; no item lies below it.

    Raises:
        MalformedInputError: The answer as a whole is not as `PollResult` says. A single item
            that is not is kept in its place, to be reported at its offset.
    """
    fields = _only_object("poll answer", [value])
    items, more_ready = _list(fields, "items"), fields.get("more_ready")
    if not isinstance(items, list) or not isinstance(more_ready, bool):
        raise MalformedInputError("poll answer", "items is no list, or more_ready no boolean")
    page = Page([_parse_item(item) for item in items], _whole(fields, "next_offset"), more_ready)
    if not _moves_on(page, from_offset):
        raise MalformedInputError("poll answer", "its offsets do not ascend from what was asked")
    base, end = (
        None if fields.get(name) is None else _whole(fields, name)
        for name in ("base_offset", "end_offset")
    )
    stream_id = fields.get("stream_id")
    return Answer(page, base, end, stream_id if isinstance(stream_id, str) else None)


def _moves_on(page: Page, from_offset: int) -> bool:
    """Whether who reads on has every item once, and comes to an end."""
    if not page.items:
        return not page.more_ready or page.next_offset > from_offset
    offsets = [from_offset - 1, *(offset for offset, _ in page.items), page.next_offset]
    return all(before < after for before, after in pairwise(offsets))


def _parse_item(item: object) -> tuple[int, Item]:
    fields = _only_object("poll answer", [item])
    offset, topic, data = _whole(fields, "offset"), fields.get("topic"), fields.get("data")
    if not isinstance(topic, str):
        raise MalformedInputError("poll answer", f"topic is {shown(topic)}")
    try:
        return offset, Item(topic, decode_payload(data), wire_size(topic, str(data)))
    except MalformedInputError as error:
        return offset, Item(topic, error, wire_size(topic, ""))


def _list(fields: Mapping[str, Any], name: str) -> Any:
    """A list's field; some languages write null for an empty one."""
    value = fields.get(name)
    return [] if value is None else value


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value <= _MAX_OFFSET:
        raise MalformedInputError("poll answer", f"{name} is {shown(value)}, no offset")
    return value


def _parse_entry(entry: object, limits: StreamLimits) -> Item:
    fields = _only_object("item", [entry])
    topic, data = fields.get("topic"), fields.get("data")
    if not isinstance(topic, str) or not topic or not _is_text(topic):
        raise MalformedInputError("item", f"topic is {shown(topic)}")
    decode_payload(data)
    assert isinstance(data, str)
    item = item_of(topic, data)
    try:
        check_item(item, limits)
    except InvalidTopicError as error:
        raise _too_large("topic", error.size, error.limit) from error
    except ItemTooLargeError as error:
        raise _too_large("item", error.size, error.limit) from error
    return item


def _too_large(what: str, size: int | None, limit: int | None) -> MalformedInputError:
    return MalformedInputError(what, f"{what} has {size:,} bytes as it travels, {limit:,} at most")


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

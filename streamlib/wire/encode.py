"""Values and pages -> what crosses the network.

An item travels as base64 of a serialized `Payload`; a codec (encryption, say) runs once on the
envelope that the SDK sends, never per item. Next: `parse.py`, the way back.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

from streamlib.core.limits import DEFAULTS, LEGACY, StreamLimits
from streamlib.core.log import Item, Log, Page
from streamlib.errors import (
    InvalidTopicError,
    ItemEncodeError,
    ItemTooLargeError,
    MalformedInputError,
)
from streamlib.wire.binding import check_topic

_SERVER_BYTES = 2 * 1024 * 1024 - 2_048
"""What the server takes in one piece, by default and without any codec, less an answer's frame."""

_FRAME_BYTES = len(json.dumps({"topic": "", "data": "", "offset": 2**63 - 1}) + ", ")


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


def encode_item(
    topic: str, value: object, converter: PayloadConverter, limits: StreamLimits = DEFAULTS
) -> Item:
    """A value -> an item whose data is as it travels. A ready-made `Payload` is taken as it is.

    Raises:
        InvalidTopicError: The topic's name is empty, no string, or too long.
        ItemEncodeError: The converter cannot serialize the value, whatever it raised.
        ItemTooLargeError: The item has more than `limits.item_bytes`.
    """
    topic = check_topic(topic)
    try:
        payload = value if isinstance(value, Payload) else converter.to_payloads([value])[0]
    except Exception as error:
        raise ItemEncodeError(topic, value) from error
    if "encoding" not in payload.metadata:
        raise ItemEncodeError(topic, value)
    item = item_of(topic, encode_payload(payload))
    check_item(item, limits)
    return item


def item_of(topic: str, data: str) -> Item:
    """An item with its size. Its topic is interned: a log has many items and few topics."""
    return Item(sys.intern(topic), data, wire_size(topic, data))


def any_item_of(topic: object, data: object) -> Item:
    """An item of a carried log, whatever became of it, in its place. What is no text is empty."""
    topic, data = (each if isinstance(each, str) else "" for each in (topic, data))
    escapes = len(encode_basestring_ascii(data)) - 2 - len(data)
    return Item(sys.intern(topic), data, wire_size(topic, data) + escapes)


def check_item(item: Item, limits: StreamLimits) -> None:
    """Nothing, if a stream with these limits takes the item.

    Raises:
        InvalidTopicError: Its topic is too long.
        ItemTooLargeError: It is too large.
    """
    if limits is LEGACY:
        size = len(item.data) + len(item.topic.encode())
    else:
        size = item.size
        room = limits.topic_bytes
        # No letter takes more than twelve: of nearly all topics that is all there is to know.
        if len(item.topic) * 12 > room and (length := text_size(item.topic)) > room:
            raise InvalidTopicError(item.topic, length, room)
    if size > limits.item_bytes:
        raise ItemTooLargeError(item.topic, size, limits.item_bytes)


def wire_size(topic: str, data: str) -> int:
    """How many bytes an item adds to a batch, a page or a state, where JSON is written widest.

    That is with spaces, with the largest offset, and as `text_size` says.

    Args:
        data: Base64, which needs no escapes.
    """
    return _FRAME_BYTES + len(data) + text_size(topic)


def text_size(text: str) -> int:
    """How many bytes a text has in JSON, where all is escaped that any writer escapes.

    Python's writes a letter outside of ASCII as 6 or 12 bytes; others so write `<`, `>` and `&`.
    """
    if text.isascii() and text.isalnum():
        return len(text)
    escaped = encode_basestring_ascii(text)
    return len(escaped) - 2 + 5 * sum(escaped.count(letter) for letter in "<>&")


def publish_json(items: Sequence[Item], publisher_id: str, sequence: int) -> dict[str, Any]:
    """The publish signal's argument. Plain dicts: the converter is ten times as fast on them."""
    return {
        "items": [{"topic": item.topic, "data": item.data} for item in items],
        "publisher_id": publisher_id,
        "sequence": sequence,
    }


def answer_json(
    page: Page, log: Log, stream_id: str, limits: StreamLimits = DEFAULTS
) -> dict[str, Any]:
    """A page -> a poll's answer. The items' data is base64 already, so nothing is encoded here.

    An item that no answer could hold (one that an earlier version took, say) is told without its
    data, so that readers learn of it at its offset, and read on.
    """
    return {
        "items": items_json(_that_can_be_sent(page.items, limits)),
        "next_offset": page.next_offset,
        "more_ready": page.more_ready,
        "base_offset": log.base_offset,
        "end_offset": log.end_offset,
        "stream_id": stream_id,
    }


def _that_can_be_sent(
    items: list[tuple[int, Item]], limits: StreamLimits
) -> list[tuple[int, Item]]:
    # Only an item that is alone on its page can be so large.
    if len(items) != 1 or items[0][1].size <= max(_SERVER_BYTES, limits.item_bytes):
        return items
    [(offset, item)] = items
    return [(offset, item_of(f"{item.topic[:100]}…", ""))]


def items_json(items: Sequence[tuple[int, Item]]) -> list[dict[str, Any]]:
    """Items of an answer or a carried log, as JSON."""
    return [{"topic": item.topic, "data": item.data, "offset": offset} for offset, item in items]

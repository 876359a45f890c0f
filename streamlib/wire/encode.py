"""Values and pages -> what crosses the network.

An item travels as base64 of a serialized `Payload`; a codec (encryption, say) runs once on the
envelope that the SDK sends, never per item. Next: `parse.py`, the way back.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

from streamlib.core.log import Item, Log, Page
from streamlib.errors import ItemEncodeError, ItemTooLargeError, MalformedInputError
from streamlib.wire.binding import check_topic
from streamlib.wire.shapes import MAX_ITEM_BYTES


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

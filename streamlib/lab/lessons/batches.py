"""A batch as it crosses the network, sent by hand: what a publisher does for everybody else.

Owns nothing: no number, no retry. Whoever calls it says who sends, and which sequence it is.
"""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.converter import PayloadConverter

from streamlib.wire.encode import encode_item, publish_json
from streamlib.wire.shapes import PUBLISH_SIGNAL


async def send_batch(
    host: WorkflowHandle[Any, Any],
    publisher_id: str,
    sequence: int,
    *values: object,
    topic: str = "news",
) -> None:
    """Send one batch, once: the signal that a client's `flush` sends.

    Args:
        host: The workflow that hosts the stream.
        publisher_id: Who says to send it; no client of that id is needed.
        sequence: The number of the batch, as its publisher counts.
        *values: The items' values.
        topic: Of all of them.

    Raises:
        ItemEncodeError, InvalidTopicError: Nothing was sent.
        RPCError: It may have arrived, or not.

    Example:
        await lab.send_batch(hub, "card provider", 1, "order 7")
    """
    converter = PayloadConverter.default
    items = [encode_item(topic, value, converter) for value in values]
    await host.signal(PUBLISH_SIGNAL, publish_json(items, publisher_id, sequence))

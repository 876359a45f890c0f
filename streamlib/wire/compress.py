"""A log as one compressed string, for a hand-over that would not fit otherwise.

    topics   -> JSON ----------------.
    payloads -> Payloads message ----+-> zlib -> base64, with a mark in front

The payloads' own bytes are compressed, not their base64, which hides their repetitions: 4.46 MB
became 0.62 MB instead of 1.4. A peer that gets the string fails loudly instead of losing items.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator

from temporalio.api.common.v1 import Payload, Payloads

from streamlib.errors import MalformedInputError, StateTooLargeError
from streamlib.wire.encode import decode_payload, encode_payload

_MARK = "zlib1:"
_LEVEL = 6
_PIECE = 100_000  # characters


def pack(items: Iterable[tuple[str, str]], limit: int | None = None) -> str:
    """Items (topic, data as it travels) -> one string.

    Args:
        limit: Where to give up, in characters: a log of noise takes longer to compress than a
            workflow task may compute.

    Raises:
        StateTooLargeError: It gets longer, which was certain before its end. Its `size` is
            estimated, from what was compressed so far. (What the last piece adds is not judged.)
    """
    items = [*items]
    header = json.dumps([topic for topic, _ in items]).encode()
    deflate = zlib.compressobj(_LEVEL)
    body = deflate.compress(len(header).to_bytes(8, "big") + header)
    done, whole = 0, sum(len(data) for _, data in items)
    for piece in _pieces(data for _, data in items):
        body += deflate.compress(Payloads(payloads=map(_payload, piece)).SerializeToString())
        done += sum(map(len, piece))
        if limit is not None and len(body) * 4 // 3 > limit:
            raise StateTooLargeError(len(body) * 4 // 3 * whole // max(done, 1), limit)
    return _MARK + base64.b64encode(body + deflate.flush()).decode("ascii")


def _pieces(datas: Iterable[str]) -> Iterator[list[str]]:
    """Some at a time: their messages, one after the other, are the message of all."""
    piece, size = list[str](), 0
    for data in datas:
        piece.append(data)
        size += len(data)
        if size > _PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def unpack(packed: str) -> Iterator[tuple[str, str]]:
    """What `pack` made -> the items.

    Raises:
        MalformedInputError: It was made by something else, or is damaged.
    """
    try:
        if not packed.startswith(_MARK):
            raise ValueError(f"it begins with {packed[:8]!r}")
        body = zlib.decompress(base64.b64decode(packed[len(_MARK) :], validate=True))
        end = 8 + int.from_bytes(body[:8], "big")
        topics: list[str] = json.loads(body[8:end])
        payloads = Payloads.FromString(body[end:]).payloads
        if len(topics) != len(payloads):
            raise ValueError(f"{len(topics)} topics for {len(payloads)} payloads")
        return zip(topics, [_data(payload) for payload in payloads], strict=True)
    except Exception as error:
        raise MalformedInputError("compressed log", str(error)) from error


def _payload(data: str) -> Payload:
    """An item's payload; of one that nobody can decode, its text in one without an encoding."""
    try:
        return decode_payload(data)
    except MalformedInputError:
        return Payload(data=data.encode("utf-8", "surrogatepass"))


def _data(payload: Payload) -> str:
    if "encoding" in payload.metadata:
        return encode_payload(payload)
    return payload.data.decode("utf-8", "surrogatepass")

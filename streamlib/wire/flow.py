"""What crosses the network for retention and for named readers.

    Retention, Readers  <->  optional fields of a state, and of a description
    join, commit, rewind <-> the reader signal

All of it is ours: the peer ignores the fields, and neither sends nor knows the signal. Next:
`describe.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from streamlib.core.readers import MOST, NAME_BYTES, Action, ReaderRow, ReaderTold
from streamlib.core.retention import Retention
from streamlib.errors import InvalidLimitsError, InvalidReaderNameError, MalformedInputError, shown
from streamlib.wire.encode import text_size

_ACTIONS: tuple[Action, ...] = ("join", "commit", "rewind")
_MAX_TOKEN = 64  # characters
_MAX_OFFSET = 2**63 - 1


def check_name(name: object) -> str:
    """Return a reader's name as a plain string.

    Raises:
        InvalidReaderNameError: It is empty, no string, not to be encoded, or too long.
    """
    if not isinstance(name, str) or not name:
        raise InvalidReaderNameError(name, NAME_BYTES)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidReaderNameError(name, NAME_BYTES) from error
    if text_size(name) > NAME_BYTES:
        raise InvalidReaderNameError(name, NAME_BYTES)
    return str.__str__(name)


def parse_reader(args: Sequence[object]) -> ReaderTold:
    """The reader signal's arguments, as they arrived.

    Raises:
        MalformedInputError: They are not as `ReaderTold` says.
    """
    fields = args[0] if len(args) == 1 else None
    if not isinstance(fields, Mapping):
        raise MalformedInputError("reader signal", "it takes one object")
    action, token, position = (fields.get(name) for name in ("action", "token", "position"))
    if action not in _ACTIONS:
        raise MalformedInputError("reader signal", f"action is {shown(action)}")
    if not isinstance(token, str) or not 0 < len(token) <= _MAX_TOKEN or not token.isascii():
        raise MalformedInputError("reader signal", f"token is {shown(token)}")
    if type(position) is not int or not 0 <= position <= _MAX_OFFSET:
        raise MalformedInputError("reader signal", f"position is {shown(position)}")
    try:
        name = check_name(fields.get("name"))
    except InvalidReaderNameError as error:
        raise MalformedInputError("reader signal", f"name is {shown(error.name)}") from error
    stream_id = fields.get("stream_id")
    if stream_id is not None and not isinstance(stream_id, str):
        raise MalformedInputError("reader signal", f"stream_id is {shown(stream_id)}")
    return ReaderTold(action, name, token, position, stream_id)


def retention_json(retention: Retention | None) -> dict[str, Any] | None:
    """A policy as JSON; None for none."""
    if retention is None:
        return None
    age = retention.max_age
    return asdict(retention) | {"max_age": age and age.total_seconds()}


def parse_retention(told: object) -> Retention | None:
    """A policy as it was carried or told; None if there is none, or none that can be."""
    if not isinstance(told, Mapping):
        return None
    items, size, age, until_read = (
        told.get(name) for name in ("max_items", "max_bytes", "max_age", "until_read")
    )
    try:
        max_age = None if age is None else timedelta(seconds=age)
        return Retention(items, size, max_age, until_read is True) or None
    except (InvalidLimitsError, TypeError, ValueError, OverflowError):
        return None


def times_json(times: Sequence[tuple[int, datetime]]) -> list[list[Any]] | None:
    """When items came, as JSON; None where age is no matter."""
    return [[offset, at.isoformat()] for offset, at in times] or None


def parse_times(told: object, base: int, end: int) -> list[tuple[int, datetime]]:
    """When items of `[base, end)` came, as it was carried; what cannot be is left out."""
    times: list[tuple[int, datetime]] = []
    for entry in told if isinstance(told, list) else []:
        try:
            offset, at = entry
            at = datetime.fromisoformat(at)
        except (TypeError, ValueError):
            continue
        known = times[-1] if times else (base, None)
        if type(offset) is not int or not known[0] < offset <= end or at.tzinfo is None:
            continue
        if known[1] is None or at >= known[1]:
            times.append((offset, at))
    return times


def rows_json(rows: Mapping[str, ReaderRow]) -> list[list[Any]]:
    """The table of named readers as JSON: a row for each."""
    return [
        [name, row.position, row.token, row.last_seen.isoformat(), row.commits, row.refused]
        for name, row in rows.items()
    ]


def parse_rows(told: object, end: int) -> dict[str, ReaderRow]:
    """The table as it was carried, for a log that ends at `end`; what cannot be is left out."""
    rows: dict[str, ReaderRow] = {}
    for entry in told if isinstance(told, list) else []:
        try:
            name, position, token, last_seen, *counts = entry
            said = parse_reader(
                [{"action": "join", "name": name, "token": token, "position": position}]
            )
            at = datetime.fromisoformat(last_seen)
        except (TypeError, ValueError):  # a MalformedInputError is one
            continue
        if at.tzinfo is not None and len(rows) < MOST:
            commits, refused = (
                n if type(n) is int and 0 <= n <= _MAX_OFFSET else 0 for n in [*counts, 0, 0][:2]
            )
            rows[said.name] = ReaderRow(min(said.position, end), said.token, at, commits, refused)
    return rows

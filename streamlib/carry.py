"""The hand-over: the stream as a value that the next run can start from.

    log, publishers --state_of--> WorkflowStreamState --(input of the next run)--> restore

The shape is the peer's, so either side can start from what the other left. Knows no workflow and
no clock: the caller says what time it is.

Next: `stream.py`, which carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio.converter import PayloadConverter

from .dedup import Publisher, Publishers
from .errors import MalformedInputError, StateTooLargeError
from .log import Item, Log
from .wire import (
    MAX_STATE_BYTES,
    PublisherState,
    WorkflowStreamState,
    decode_payload,
    items_json,
    wire_size,
)


def state_of(
    log: Log, publishers: Publishers, now: datetime, publisher_ttl: timedelta
) -> WorkflowStreamState:
    """Return log and table as a state, without publishers idle for longer than `publisher_ttl`."""
    rows = publishers.snapshot(now, publisher_ttl)
    return WorkflowStreamState(
        log=items_json(list(enumerate(log, log.base_offset))),
        base_offset=log.base_offset,
        publishers={
            name: PublisherState(row.sequence, row.last_seen) for name, row in rows.items()
        },
    )


def restore(state: WorkflowStreamState | None) -> tuple[Log, Publishers]:
    """Return the log and the publishers' table that `state` describes; empty ones for None.

    Raises:
        TypeError: It is no `WorkflowStreamState`.
        MalformedInputError: Its log is not what a stream carries.
    """
    if state is None:
        return Log(), Publishers()
    if not isinstance(state, WorkflowStreamState):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"prior_state is a {type(state).__name__}, not a WorkflowStreamState. Type the field "
            "of the workflow's input that carries it as `WorkflowStreamState | None`: for a field "
            "typed `Any` the data converter gives a plain dict."
        )
    log = Log(state.base_offset)
    for topic, data in _entries(state.log):
        decode_payload(data)
        log.append(Item(topic, data, wire_size(topic, data)))
    rows = {name: Publisher(row.sequence, row.last_seen) for name, row in state.publishers.items()}
    return log, Publishers(rows)


def check_size(args: Sequence[Any], converter: PayloadConverter) -> None:
    """Make sure that `args` fit into the input of a next run, before anything is given up.

    Raises:
        StateTooLargeError: They do not. (A codec comes later and may change the size.)
    """
    size = sum(payload.ByteSize() for payload in converter.to_payloads(args))
    if size > MAX_STATE_BYTES:
        raise StateTooLargeError(size, MAX_STATE_BYTES)


def _entries(log: Any) -> list[tuple[str, str]]:
    """The topic and data of each entry: entries are dicts, or objects of the same fields."""
    try:
        return [
            (entry["topic"], entry["data"])
            if isinstance(entry, Mapping)
            else (entry.topic, entry.data)
            for entry in log
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise MalformedInputError("state", f"its log holds no items ({error})") from error

"""The hand-over: the stream as a value that the next run can start from.

    log, publishers --state_of--> WorkflowStreamState --(input of the next run)--> restore

The shape is the peer's, so either side can start from what the other left. Only where the items
would not fit, the log is one compressed string. Knows no workflow and no clock: the caller says
what time it is.

Next: `stream.py`, which carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio.converter import PayloadConverter

from streamlib.core.dedup import Publisher, Publishers
from streamlib.core.log import Item, Log
from streamlib.errors import MalformedInputError, StateTooLargeError
from streamlib.wire.compress import pack, unpack
from streamlib.wire.encode import decode_payload, items_json, wire_size
from streamlib.wire.shapes import MAX_STATE_BYTES, PublisherState, WorkflowStreamState


def state_of(
    log: Log,
    publishers: Publishers,
    now: datetime,
    publisher_ttl: timedelta,
    seams: Sequence[int] = (),
    *,
    packed: bool = False,
) -> WorkflowStreamState:
    """Return log and table as a state, without publishers idle for longer than `publisher_ttl`.

    Args:
        seams: The offsets at which runs took over.
        packed: Whether the log becomes one compressed string, which the peer does not understand.
    """
    rows = publishers.snapshot(now, publisher_ttl)
    return WorkflowStreamState(
        log=pack((item.topic, item.data) for item in log)
        if packed
        else items_json(list(enumerate(log, log.base_offset))),
        base_offset=log.base_offset,
        publishers={name: PublisherState(**vars(row)) for name, row in rows.items()},
        seams=[*seams],
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
    rows = {name: Publisher(**vars(row)) for name, row in state.publishers.items()}
    return log, Publishers(rows)


def that_fits(build: Callable[[bool], Sequence[Any]], converter: PayloadConverter) -> Sequence[Any]:
    """Return `build(False)`, or `build(True)`, with a packed log, if only that fits a next run.

    Raises:
        StateTooLargeError: Neither does. (A codec comes later and may change the size.)
    """
    args = build(False)
    if _size(args, converter) > MAX_STATE_BYTES:
        args = build(True)
        if (size := _size(args, converter)) > MAX_STATE_BYTES:
            raise StateTooLargeError(size, MAX_STATE_BYTES)
    return args


def _size(args: Sequence[Any], converter: PayloadConverter) -> int:
    return sum(payload.ByteSize() for payload in converter.to_payloads(args))


def _entries(log: Any) -> Iterable[tuple[str, str]]:
    """The topic and data of each item: items are dicts, objects of these fields, or packed."""
    if isinstance(log, str):
        return unpack(log)
    try:
        return [
            (entry["topic"], entry["data"])
            if isinstance(entry, Mapping)
            else (entry.topic, entry.data)
            for entry in log
        ]
    except (TypeError, KeyError, AttributeError) as error:
        raise MalformedInputError("state", f"its log holds no items ({error})") from error

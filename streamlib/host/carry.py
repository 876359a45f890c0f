"""The hand-over: the stream as a value that the next run can start from.

    log, publishers --state_of--> WorkflowStreamState --(input of the next run)--> restore

The shape is the peer's, so either side can start from what the other left. Only where the items
would not fit, the log is one compressed string. Knows no workflow and no clock: the caller says
what time it is.

Next: `begin.py`, which takes up what was carried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from temporalio.converter import PayloadConverter

from streamlib.core.dedup import PublisherRow, Publishers
from streamlib.core.hosting import Carried, HostedStream
from streamlib.core.limits import LEGACY, StreamLimits
from streamlib.core.log import Item, Log
from streamlib.core.parts import StreamParts
from streamlib.core.readers import TTL, Readers
from streamlib.core.retention import Keeper, Retention
from streamlib.errors import InvalidLimitsError, MalformedInputError, StateTooLargeError, shown
from streamlib.wire.compress import pack, unpack
from streamlib.wire.encode import any_item_of, items_json
from streamlib.wire.flow import (
    parse_retention,
    parse_rows,
    parse_times,
    retention_json,
    rows_json,
    times_json,
)
from streamlib.wire.shapes import PublisherState, WorkflowStreamState

OURS = StreamParts()

_MAX_ID = 200  # characters; an id of a run has 36
_MAX_OFFSET = 2**63 - 1  # of the wire
_FAR = 4  # so many times what may be: below that, all of it is written and measured at once
_UNCOUNTED = 10_000  # bytes; more than `newer_bytes` ever comes to

Build = Callable[[WorkflowStreamState], Sequence[Any]]
"""From a state to the arguments of the next run."""


def state_of(
    log: Log,
    publishers: Publishers,
    now: datetime,
    publisher_ttl: timedelta,
    seams: Sequence[int] = (),
    *,
    identity: Carried | None = None,
    limits: StreamLimits = LEGACY,
    packed: bool = False,
    readers: Readers | None = None,
    keeper: Keeper | None = None,
    retained: bool = False,
) -> WorkflowStreamState:
    """Return log and tables as a state, without who is forgotten: `publisher_ttl`, `reader_ttl`.

    Args:
        publisher_ttl: Publishers that were idle for longer are left out.
        seams: The offsets at which runs took over.
        identity: The log's id, and the id of this run.
        limits: What the log lives by. The legacy ones are not carried: the next run is free.
        packed: Whether the log becomes one compressed string, which the peer does not understand.
        retained: Whether `retain` said what is kept.

    Raises:
        StateTooLargeError: The packed log alone is larger than a state may be.
    """
    rows = publishers.snapshot(now, publisher_ttl)
    return WorkflowStreamState(
        log=_packed(log, limits) if packed else items_json(list(enumerate(log, log.base_offset))),
        base_offset=log.base_offset,
        publishers={name: PublisherState(**vars(row)) for name, row in rows.items()},
        seams=[*seams],
        stream_id=identity and identity.stream_id,
        handed_over_by=identity and identity.handed_over_by,
        limits=None if limits is LEGACY else asdict(limits),
        retention=retention_json(keeper.policy if keeper else None),
        retained=retained or None,
        times=times_json(keeper.times) if keeper else None,
        readers=rows_json(readers.snapshot(now, log.end_offset)) or None if readers else None,
    )


def restore(state: WorkflowStreamState | None, parts: StreamParts = OURS) -> tuple[Log, Publishers]:
    """Return the log and the publishers' table that `state` describes; empty ones for None.

    An item that nobody can decode keeps its place, and harms no other: readers are told there.

    Args:
        parts: What they are made of.

    Raises:
        TypeError: It is no `WorkflowStreamState`.
        MalformedInputError: Its log as a whole is not what a stream carries, or begins where no
            log can: no client would take its offsets.
    """
    if state is None:
        return parts.make_log(), parts.make_publishers({})
    if not isinstance(state, WorkflowStreamState):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"prior_state is a {type(state).__name__}, not a WorkflowStreamState. Type the field "
            "of the workflow's input that carries it as `WorkflowStreamState | None`: for a field "
            "typed `Any` the data converter gives a plain dict."
        )
    if not 0 <= state.base_offset <= _MAX_OFFSET:
        raise MalformedInputError("state", f"its base_offset is {shown(state.base_offset)}")
    log = parts.make_log(state.base_offset)
    for item in _items(state.log):
        log.append(item)
    rows = (state.publishers or {}).items()
    return log, parts.make_publishers({name: _row(row) for name, row in rows})


def carried_limits(state: WorkflowStreamState | None) -> StreamLimits | None:
    """The limits that the log lived by; None if the state has none, or none that can be."""
    told = None if state is None else state.limits
    if not isinstance(told, Mapping):
        return None
    known = [each.name for each in fields(StreamLimits)]
    try:
        return StreamLimits(**{name: told[name] for name in known if name in told})
    except InvalidLimitsError:
        return None


def carried_keeper(
    state: WorkflowStreamState | None, wanted: Retention, log: Log, now: datetime
) -> Keeper | None:
    """What keeps a log to `wanted`, with the times that were carried; None if all is kept."""
    before = carried_retention(state)
    age = before.max_age if before else None
    # How exact the times are follows from the age that they were noted for.
    times = parse_times(state.times, log.base_offset, log.end_offset) if state and age else []
    return Keeper(wanted, log, now, times, age) if wanted else None


def carried_retention(state: WorkflowStreamState | None) -> Retention | None:
    """What the log was kept to; None if the state has none, or none that can be."""
    return None if state is None else parse_retention(state.retention)


def was_retained(state: WorkflowStreamState | None) -> bool:
    """Whether `retain` said what the log was kept to: that it keeps everything, say."""
    if state is None or state.retained is not True:
        return False
    return state.retention is None or parse_retention(state.retention) is not None


def carried_readers(
    state: WorkflowStreamState | None, end_offset: int, ttl: timedelta | None = None
) -> Readers:
    """The named readers of a log that ends there."""
    return Readers(
        parse_rows(state.readers if state else None, end_offset), TTL if ttl is None else ttl
    )


def carried_identity(state: WorkflowStreamState | None) -> Carried | None:
    """Whose log the state says it is; None without a state."""
    if state is None:
        return None
    return Carried(_id(state.stream_id), _id(state.handed_over_by))


def arguments(
    stream: HostedStream,
    build: Build,
    converter: PayloadConverter,
    state: Callable[[Log, bool], WorkflowStreamState],
    *,
    truncate: bool = False,
) -> Sequence[Any]:
    """Return the arguments of the next run, with a state that fits: packed if only that does.

    Args:
        build: Gets a state, returns the arguments.
        state: A log -> the stream's state with that log; with True, packed.
        truncate: Whether the oldest items may go, if even that does not fit.

    Raises:
        StateTooLargeError: It does not fit; nothing has changed.
    """
    log, limits = stream.log, stream.limits
    empty = state(Log(log.end_offset), False)
    uncounted = newer_bytes(empty, converter, legacy=limits is LEGACY)
    measure = Measure(converter, limits.state_bytes, uncounted)
    while True:
        try:
            packed_only = is_far_too_large(log, lambda begin: build(state(begin, False)), measure)
            return that_fits(
                lambda packed: build(state(log, packed)), measure, packed_only=packed_only
            )
        except StateTooLargeError as error:
            if not truncate or not len(log) or measure.size(build(empty)) > measure.limit:
                raise
            # Items differ in size, so this may take more than one step.
            log.truncate(log.end_offset - int(len(log) * error.limit / error.size * 0.9))


class Measure(NamedTuple):
    """How large arguments are, and how large they may be."""

    converter: PayloadConverter
    limit: int
    uncounted: int = 0

    def size(self, args: Sequence[Any]) -> int:
        """The bytes of the payloads, before any codec."""
        payloads = self.converter.to_payloads(args)
        return sum(payload.ByteSize() for payload in payloads) - self.uncounted


def is_far_too_large(log: Log, write: Callable[[Log], Sequence[Any]], measure: Measure) -> bool:
    """Whether a log is so large that its oldest items alone do not fit.

    Then all of it need not be written to be measured: 100,000 small items take longer for that than
    a workflow task may compute.

    Args:
        write: A log -> the arguments with that log, unpacked.
    """
    if log.size <= _FAR * measure.limit:
        return False
    begin = Log(log.base_offset)
    for _, item in log.read(log.base_offset, (), _FAR // 2 * measure.limit).items:
        begin.append(item)
    return measure.size(write(begin)) > measure.limit


def that_fits(
    build: Callable[[bool], Sequence[Any]], measure: Measure, *, packed_only: bool = False
) -> Sequence[Any]:
    """Return `build(False)`, or `build(True)`, with a packed log, if only that is small enough.

    Args:
        packed_only: Whether it is known that nothing else is.

    Raises:
        StateTooLargeError: Neither is. (A codec comes later, and may change the size: the default
            limit leaves room for one that doubles it.)
    """
    if not packed_only and measure.size(args := build(False)) <= measure.limit:
        return args
    if (size := measure.size(args := build(True))) > measure.limit:
        raise StateTooLargeError(size, measure.limit)
    return args


def newer_bytes(state: WorkflowStreamState, converter: PayloadConverter, *, legacy: bool) -> int:
    """What the fields add to a state that was measured without them.

    Before there were limits (`legacy`) none of three was carried; what is not used now was
    unknown to those before; and `retained` came when what it goes with was measured already.
    """
    unused = ("retention", "times", "readers")
    newer = {name: None for name in unused if getattr(state, name) is None}
    newer["retained"] = state.retained
    if legacy:
        newer |= {name: getattr(state, name) for name in ("stream_id", "handed_over_by", "limits")}
    return len(converter.to_payloads([newer])[0].data) - 1


def _packed(log: Log, limits: StreamLimits) -> str:
    try:
        return pack(((item.topic, item.data) for item in log), limits.state_bytes + _UNCOUNTED)
    except StateTooLargeError as error:
        raise StateTooLargeError(error.size, limits.state_bytes) from None


def _id(told: object) -> str | None:
    return told if isinstance(told, str) and 0 < len(told) <= _MAX_ID else None


def _row(told: PublisherState) -> PublisherRow:
    row = PublisherRow(**vars(told))
    if row.last_seen.tzinfo is None:  # it could never be compared with the time
        row.last_seen = row.last_seen.replace(tzinfo=timezone.utc)
    return row


def _items(log: Any) -> Iterable[Item]:
    """The items of a log: dicts, objects of these fields, or packed. Some write null for none."""
    if isinstance(log, str):
        return (any_item_of(*entry) for entry in unpack(log))
    if not isinstance(log, list | tuple | None):
        raise MalformedInputError("state", f"its log is no list but {type(log).__name__}")
    return (any_item_of(_field(entry, "topic"), _field(entry, "data")) for entry in log or ())


def _field(entry: object, name: str) -> object:
    return entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)

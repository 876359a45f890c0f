"""The stream about itself: one query, typed, for views, checks and tests.

    client.describe() --DescribeInput--> WorkflowStream --> StreamDescription

Costs O(publishers + what is asked for), never O(log). The answer travels as JSON rows, and its
items in columns, because a view asks ten times a second. Both halves know this module; it knows
neither.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from typing import Any, NamedTuple, TypeVar

from streamlib.core.hosting import HostedStream
from streamlib.core.ledger import Batch, Ledger
from streamlib.core.log import Item
from streamlib.core.readers import Forgotten
from streamlib.core.retention import Retention
from streamlib.errors import MalformedInputError, shown
from streamlib.wire.flow import parse_retention, retention_json, rows_json
from streamlib.wire.shapes import WorkflowStreamState

MAX_ROWS = 4096
"""The most items, and the most batches, that one description holds."""

_SEAMS = 16  # how many are carried

_NAME = 1_000
"""How many characters of a topic are told. Ids have no more."""

_SURELY_SMALL = 60
"""So many rows fit, however long the names in them."""

_VERDICT_BYTES = 29
"""What a verdict has besides the publisher's id, at the least."""

T = TypeVar("T")


class PublisherDescription(NamedTuple):
    """A publisher's row: its last accepted sequence, and its batches by what became of them."""

    publisher_id: str
    sequence: int
    accepted: int
    dropped: int
    refused: int
    last_seen: datetime


class ReaderDescription(NamedTuple):
    """A named reader's row: all before `position` was handled, and `lag` offsets were not.

    Commits under its name that were none are `refused`. Who joined last has the `token`.
    """

    name: str
    position: int
    lag: int
    token: str
    last_seen: datetime
    commits: int
    refused: int


class ItemDescription(NamedTuple):
    """An item without its value. `size` is in bytes, as it travels.

    Publisher and sequence are None where the workflow itself published it, or where the batch is
    forgotten: it is long ago, or was in a previous run.
    """

    offset: int
    topic: str
    size: int
    publisher_id: str | None
    sequence: int | None


@dataclass(frozen=True)
class StreamDescription:
    """A stream at one moment.

    The log holds the offsets `[base_offset, end_offset)`, `size` bytes of items as they travel.
    `refused` counts the invalid batches of this run, whoever sent them. `batches` and `items`
    hold what was asked for, oldest first. `seams` are the offsets at which the last 16 runs took
    over, ascending: what comes before one was carried by it. Where the publishers are too many for
    one answer, those that were seen last are told, and `publishers_left_out` counts the others.

    `retention` is what the host drops by itself; None: nothing. `readers` are the named ones; None
    from a host that knows no names. `readers_refused` counts the commits of this run that were
    none, and `readers_forgotten` holds the last names that it forgot, as nobody came. `verdicts` is
    what became of the batches that were asked for; None from a host that does not say. The last
    `verdicts_left_out` of the sequences that were asked for had no room: ask for them again.
    """

    stream_id: str
    run_id: str
    base_offset: int
    end_offset: int
    size: int
    signals: int
    refused: int
    publishers: list[PublisherDescription]
    batches: list[Batch]
    items: list[ItemDescription]
    seams: list[int] = field(default_factory=list[int])
    publishers_left_out: int = 0
    retention: Retention | None = None
    readers: list[ReaderDescription] | None = None
    readers_refused: int = 0
    readers_forgotten: list[Forgotten] = field(default_factory=list[Forgotten])
    verdicts: list[Batch] | None = None
    verdicts_left_out: int = 0


class DescribeInput(NamedTuple):
    """What to add to the description: items from an offset on, the last batches, and verdicts.

    Verdicts are told of the batches of one publisher that have these sequences.
    """

    from_offset: int = 0
    items: int = 0
    batches: int = 0
    publisher_id: str = ""
    sequences: Sequence[int] = ()


def parse_describe(args: Sequence[object]) -> DescribeInput:
    """The describe query's arguments, as they arrived; none asks for no rows.

    Raises:
        MalformedInputError: They are not as `DescribeInput` says.
    """
    fields = args[0] if len(args) == 1 else {}
    if len(args) > 1 or not isinstance(fields, dict):
        raise MalformedInputError("describe query", "it takes one object, or nothing")
    publisher_id, sequences = fields.get("publisher_id", ""), fields.get("sequences", [])
    if not isinstance(publisher_id, str) or not isinstance(sequences, list):
        raise MalformedInputError("describe query", "publisher_id is a string, sequences a list")
    asked = [fields.get(name, 0) for name in ("from_offset", "items", "batches")]
    if not all(type(value) is int and value >= 0 for value in [*asked, *sequences]):
        raise MalformedInputError("describe query", "its fields are whole numbers from 0 on")
    from_offset, items, batches = asked
    items, batches, sequences = min(items, MAX_ROWS), min(batches, MAX_ROWS), sequences[:MAX_ROWS]
    return DescribeInput(from_offset, items, batches, publisher_id, tuple(sequences))


def description_json(asked: DescribeInput, stream: HostedStream, **about: str) -> dict[str, Any]:
    """Describe a stream, as JSON that can always be sent: where names are long, there are fewer.

    Args:
        about: The ids, which the stream itself does not know.
    """
    rows, sequences = len(stream.publishers), asked.sequences
    asked = asked._replace(sequences=sequences[: _most_verdicts(asked, stream.page_bytes)])
    answer = _described(asked, stream, rows, about)
    while _is_large(asked, rows) and len(json.dumps(answer)) > stream.page_bytes:
        if asked.items + asked.batches + rows > _SURELY_SMALL // 2:
            asked = asked._replace(items=asked.items // 2, batches=asked.batches // 2)
            rows //= 2
        else:
            asked = asked._replace(sequences=asked.sequences[: len(asked.sequences) // 2])
        answer = _described(asked, stream, rows, about)
    return answer | {"verdicts_left_out": len(sequences) - len(asked.sequences)}


def _most_verdicts(asked: DescribeInput, size: int) -> int:
    """More verdicts than so many have no room: no answer of 45 MB is made, to be cut then."""
    each = len(json.dumps(asked.publisher_id)) + _VERDICT_BYTES
    return max(_SURELY_SMALL, size // each)


def _is_large(asked: DescribeInput, rows: int) -> bool:
    return asked.items + asked.batches + rows + len(asked.sequences) > _SURELY_SMALL


def _described(
    asked: DescribeInput, stream: HostedStream, rows: int, about: dict[str, str]
) -> dict[str, Any]:
    """The answer with at most so many `rows` of publishers, those that were seen last."""
    log, ledger = stream.log, stream.ledger
    publishers = list(stream.publishers.items())
    if rows < len(publishers):
        publishers = nlargest(rows, publishers, key=lambda each: each[1].last_seen)
    verdicts = ledger.verdicts(asked.publisher_id, {*asked.sequences}) if asked.sequences else []
    readers, keeper = stream.readers, stream.keeper
    return {
        **about,
        "base_offset": log.base_offset,
        "end_offset": log.end_offset,
        "size": log.size,
        "signals": stream.signals,
        "refused": ledger.refusals,
        "seams": [*ledger.seams],
        "publishers": [
            [name, row.sequence, row.accepted, row.dropped, row.refused, row.last_seen.isoformat()]
            for name, row in publishers
        ],
        "publishers_left_out": len(stream.publishers) - len(publishers),
        "batches": [list(batch) for batch in ledger.latest(asked.batches)],
        "items": _columns(log.items_from(asked.from_offset, asked.items), ledger),
        "retention": retention_json(keeper.policy if keeper else None),
        "readers": rows_json(dict(readers.items())),
        "readers_refused": readers.refused,
        "readers_forgotten": [
            [each.name, each.position, each.at.isoformat()] for each in readers.forgotten
        ],
        "verdicts": [list(batch) for batch in verdicts],
    }


def seams_of(state: WorkflowStreamState | None, end_offset: int) -> list[int]:
    """The offsets at which runs took over, for a run that does so now at `end_offset`."""
    if state is None:
        return []
    told = state.seams if isinstance(state.seams, list) else []
    before = sorted({seam for seam in told if type(seam) is int and 0 <= seam < end_offset})
    return [*before, end_offset][-_SEAMS:]


def parse_description(answer: object) -> StreamDescription:
    """The describe query's answer -> a description, each field of the type that it says.

    Another version of ours may say more, or less: what is unknown is ignored, and what is missing
    is 0 or empty, but for the ids and the bounds.

    Raises:
        MalformedInputError: It is none. Then nothing of it is to be shown.
    """
    try:
        return _description(answer)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise MalformedInputError("description", shown(error, 200)) from error


def _description(answer: Any) -> StreamDescription:
    _is(answer, dict)
    end, readers, verdicts = (answer.get(name) for name in ("end_offset", "readers", "verdicts"))
    return StreamDescription(
        stream_id=_is(answer["stream_id"], str),
        run_id=_is(answer["run_id"], str),
        base_offset=_count(answer["base_offset"]),
        end_offset=_count(end),
        size=_count(answer.get("size", 0)),
        signals=_count(answer.get("signals", 0)),
        refused=_count(answer.get("refused", 0)),
        publishers=[_publisher(*row) for row in _is(answer.get("publishers", []), list)],
        batches=[_batch(*row) for row in _is(answer.get("batches", []), list)],
        items=_rows(_is(answer["items"], dict)) if "items" in answer else [],
        seams=[_count(seam) for seam in _is(answer.get("seams", []), list)],
        publishers_left_out=_count(answer.get("publishers_left_out", 0)),
        retention=parse_retention(answer.get("retention")),
        readers=None if readers is None else [_reader(end, *row) for row in _is(readers, list)],
        readers_refused=_count(answer.get("readers_refused", 0)),
        readers_forgotten=[
            Forgotten(_is(name, str), _count(position), datetime.fromisoformat(at))
            for name, position, at in _is(answer.get("readers_forgotten", []), list)
        ],
        verdicts=None if verdicts is None else [_batch(*row) for row in _is(verdicts, list)],
        verdicts_left_out=_count(answer.get("verdicts_left_out", 0)),
    )


def _reader(end: int, *row: Any) -> ReaderDescription:
    name, position, token, last_seen, commits, refused = row[:6]
    return ReaderDescription(
        _is(name, str),
        _count(position),
        max(0, end - position),
        _is(token, str),
        datetime.fromisoformat(last_seen),
        _count(commits),
        _count(refused),
    )


def _publisher(*row: Any) -> PublisherDescription:
    name, sequence, accepted, dropped, refused, last_seen = row[:6]
    return PublisherDescription(
        _is(name, str),
        _count(sequence),
        _count(accepted),
        _count(dropped),
        _count(refused),
        datetime.fromisoformat(last_seen),
    )


def _batch(*row: Any) -> Batch:
    name, sequence, verdict, first, items = row[:5]
    return Batch(
        _is(name, str),
        _count(sequence),
        _is(verdict, str),
        None if first is None else _count(first),
        _count(items),
        _is(row[5] if len(row) > 5 else "", str),
    )


def _is(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{shown(value)} is no {kind.__name__}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise TypeError(f"{shown(value)} is no count")
    return value


def _columns(items: list[tuple[int, Item]], ledger: Ledger) -> dict[str, Any]:
    """Consecutive items in columns: names once, and who published them as [count, id, sequence].

    Topics and publishers are indices of names; [count, -1, 0] where no publisher is known.
    """
    first = items[0][0] if items else 0
    topics: dict[str, int] = {}
    ids: dict[str, int] = {}
    return {
        "first": first,
        "topic": [topics.setdefault(item.topic, len(topics)) for _, item in items],
        "size": [item.size for _, item in items],
        "by": [
            [count, ids.setdefault(batch.publisher_id, len(ids)), batch.sequence]
            if batch
            else [count, -1, 0]
            for count, batch in ledger.batches_of(first, first + len(items))
        ],
        "topics": [name[:_NAME] for name in topics],
        "ids": [*ids],
    }


def _rows(columns: dict[str, Any]) -> list[ItemDescription]:
    """Columns -> rows, one for each item."""
    topics = [_is(name, str) for name in columns["topics"]]
    ids = [_is(name, str) for name in columns["ids"]]
    sizes, indices = columns["size"], columns["topic"]
    who: list[tuple[str | None, int | None]] = []
    for count, index, sequence in columns["by"]:
        if len(who) + _count(count) > len(indices):  # before the list is made: it may be huge
            break
        who += [(ids[index], _count(sequence)) if index >= 0 else (None, None)] * count
    rows = zip(indices, sizes, who, strict=True)
    return [
        ItemDescription(offset, topics[_count(index)], _count(size), *by)
        for offset, (index, size, by) in enumerate(rows, _count(columns["first"]))
    ]

"""The stream about itself: one query, typed, for views, checks and tests.

    client.describe() --DescribeInput--> WorkflowStream --> StreamDescription

Costs O(publishers + what is asked for), never O(log). The answer travels as JSON rows, and its
items in columns, because a view asks ten times a second. Both halves know this module; it knows
neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

from streamlib.core.dedup import Publishers
from streamlib.core.ledger import Batch, Ledger
from streamlib.core.log import Item, Log
from streamlib.errors import MalformedInputError
from streamlib.wire.shapes import WorkflowStreamState

MAX_ROWS = 4096
"""The most items, and the most batches, that one description holds."""

_SEAMS = 16  # how many are carried


class PublisherDescription(NamedTuple):
    """A publisher's row: its last accepted sequence, and its batches by what became of them."""

    publisher_id: str
    sequence: int
    accepted: int
    dropped: int
    refused: int
    last_seen: datetime


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
    over, ascending: what comes before one was carried by it.
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


class DescribeInput(NamedTuple):
    """What to add to the description: items from an offset on, and the last batches."""

    from_offset: int = 0
    items: int = 0
    batches: int = 0


def parse_describe(args: Sequence[object]) -> DescribeInput:
    """The describe query's arguments, as they arrived; none asks for no rows.

    Raises:
        MalformedInputError: They are not as `DescribeInput` says.
    """
    fields = args[0] if len(args) == 1 else {}
    if len(args) > 1 or not isinstance(fields, dict):
        raise MalformedInputError("describe query", "it takes one object, or nothing")
    asked = [fields.get(name, 0) for name in DescribeInput._fields]
    if not all(type(value) is int and value >= 0 for value in asked):
        raise MalformedInputError("describe query", "its fields are whole numbers from 0 on")
    from_offset, items, batches = asked
    return DescribeInput(from_offset, min(items, MAX_ROWS), min(batches, MAX_ROWS))


def description_json(
    asked: DescribeInput,
    log: Log,
    publishers: Publishers,
    ledger: Ledger,
    **about: Any,
) -> dict[str, Any]:
    """Describe a stream, as JSON. `about` are the fields that no part of it knows."""
    return {
        **about,
        "base_offset": log.base_offset,
        "end_offset": log.end_offset,
        "size": log.size,
        "refused": ledger.refusals,
        "seams": [*ledger.seams],
        "publishers": [
            [name, row.sequence, row.accepted, row.dropped, row.refused, row.last_seen.isoformat()]
            for name, row in publishers.items()
        ],
        "batches": [list(batch) for batch in ledger.latest(asked.batches)],
        "items": _columns(log.items_from(asked.from_offset, asked.items), ledger),
    }


def seams_of(state: WorkflowStreamState | None, end_offset: int) -> list[int]:
    """The offsets at which runs took over, for a run that does so now at `end_offset`."""
    if state is None:
        return []
    before = state.seams if state.seams[-1:] != [end_offset] else state.seams[:-1]
    return [*before, end_offset][-_SEAMS:]


def parse_description(fields: dict[str, Any]) -> StreamDescription:
    """The describe query's answer -> a description. Fields it does not know are ignored."""
    return StreamDescription(
        stream_id=fields["stream_id"],
        run_id=fields["run_id"],
        base_offset=fields["base_offset"],
        end_offset=fields["end_offset"],
        size=fields["size"],
        signals=fields["signals"],
        refused=fields["refused"],
        publishers=[
            PublisherDescription._make([*row[:-1], datetime.fromisoformat(row[-1])])
            for row in fields["publishers"]
        ],
        batches=[Batch(*row) for row in fields["batches"]],
        items=_rows(**fields["items"]),
        seams=fields["seams"],
    )


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
        "topics": [*topics],
        "ids": [*ids],
    }


def _rows(
    *,
    first: int,
    topic: list[int],
    size: list[int],
    by: list[tuple[int, int, int]],
    topics: list[str],
    ids: list[str],
) -> list[ItemDescription]:
    """Columns -> rows, one for each item."""
    who: list[tuple[str | None, int | None]] = []
    for items, index, sequence in by:
        who += [(ids[index], sequence) if index >= 0 else (None, None)] * items
    columns = zip(count(first), topic, size, who, strict=False)
    return [ItemDescription(offset, topics[t], s, *w) for offset, t, s, w in columns]

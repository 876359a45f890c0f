"""The stream about itself: one query, typed, for views, checks and tests.

    client.describe() --DescribeInput--> WorkflowStream --> StreamDescription

Costs O(publishers + what is asked for), never O(log). The answer travels as JSON rows, not as
objects: a view asks ten times a second. Both halves know this module; it knows neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from .dedup import Publishers
from .errors import MalformedInputError
from .ledger import Batch, Ledger
from .log import Log

MAX_ROWS = 1000
"""The most items, and the most batches, that one description holds."""


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
    hold what was asked for, oldest first.
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
        "publishers": [
            [name, row.sequence, row.accepted, row.dropped, row.refused, row.last_seen.isoformat()]
            for name, row in publishers.items()
        ],
        "batches": [list(batch) for batch in ledger.latest(asked.batches)],
        "items": _item_rows(asked, log, ledger),
    }


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
        items=[ItemDescription(*row) for row in fields["items"]],
    )


def _item_rows(asked: DescribeInput, log: Log, ledger: Ledger) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for offset, item in log.items_from(asked.from_offset, asked.items):
        batch = ledger.batch_at(offset)
        who = (batch.publisher_id, batch.sequence) if batch else (None, None)
        rows.append([offset, item.topic, item.size, *who])
    return rows

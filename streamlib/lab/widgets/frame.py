"""The frame: everything a view shows, as one JSON object that replaces the one before.

    describe query, watch, readers, processes --Seen--> frame()  --> the browser
                                        a page of items --> page() --> the browser

Columns, not rows: a frame goes out up to ten times a second and holds up to 512 items. Names are
sent once each, in tables that only grow, so that an index means the same as long as the view shows
one stream. Pure: no clock, no I/O, no Jupyter. Next: `observer.py`, which fills `Seen`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamlib import ItemDescription, StreamDescription, WaitingBatch

VERSION = 1
ITEMS, BATCHES, PUBLISHERS, WAITING = 512, 64, 100, 50
"""How many of each a frame holds at most: the last ones."""

NAME_LENGTH = 64
"""Characters of a topic or an id that a frame holds: anybody may send a long one."""

NAMES = 300
"""How many topics, and how many publisher ids, a view tells apart. A frame stays below 64 KB."""

LIMITS = {"events": 51_200, "bytes": 50 * 1024 * 1024, "signals": 10_000, "updates": 2_000}
"""The server's defaults: where it ends a run, or refuses what comes."""

SUGGESTED = {"events": 4_096, "bytes": 4 * 1024 * 1024}
"""Where the server begins to suggest that a run continue as new."""

Frame = dict[str, Any]


class Names:
    """Gives every name an index, in order of appearance; what comes too late shares the last."""

    def __init__(self) -> None:
        self.list: list[str] = []
        self._index: dict[str, int] = {}

    def index(self, name: str) -> int:
        """The index of `name`, which is added if it is new."""
        if (known := self._index.get(name)) is not None:
            return known
        if len(self.list) == NAMES:
            self.list.append("(others)")
        if len(self.list) > NAMES:
            return NAMES
        self._index[name] = len(self.list)
        self.list.append(shortened(name))
        return len(self.list) - 1


@dataclass(frozen=True)
class Reader:
    """A subscription, as a view shows it. `own`: the view opened it, and may close it."""

    key: str
    name: str
    topics: Sequence[str]
    position: int
    lag: int
    missed: int
    state: str
    own: bool


@dataclass(frozen=True)
class Part:
    """A process behind the stream, and what may be done to it."""

    name: str
    kind: str
    pid: int | None
    state: str
    detail: str
    actions: Sequence[str]


@dataclass(frozen=True)
class Cost:
    """What the current run has used up so far. `began` in milliseconds since 1970."""

    began: int
    events: int
    bytes: int
    signals: int
    updates: int


@dataclass
class Seen:
    """What was last seen of a stream and of what is behind it. `at` in milliseconds since 1970."""

    workflow_id: str
    epoch: int = 0
    at: int = 0
    status: str = "RUNNING"
    trouble: str = ""
    description: StreamDescription | None = None
    undescribed_end: int | None = None
    """The end offset of a host that does not describe itself."""
    tail: Sequence[ItemDescription] = ()
    """The last items: consecutive, up to the end offset."""
    readers: Sequence[Reader] = ()
    waiting: Sequence[WaitingBatch] = ()
    waiting_count: int = 0
    unsent: int = 0
    cost: Cost | None = None
    parts: Sequence[Part] = ()
    ui: str = ""
    no_truncate: str = "not known yet"
    """Why the workflow cannot be asked to truncate; empty if it can."""
    topics: Names = field(default_factory=Names)
    ids: Names = field(default_factory=Names)


def shortened(text: str, length: int = NAME_LENGTH) -> str:
    """The text, cut if it is long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def frame(seen: Seen) -> Frame:
    """Everything a view shows. Two calls on the same state give equal frames."""
    about = seen.description
    topics, ids = seen.topics, seen.ids
    described: Frame = {
        "v": VERSION,
        "epoch": seen.epoch,
        "at": seen.at,
        "trouble": seen.trouble,
        "stream": _stream(seen),
        "items": _items(seen.tail[-ITEMS:], topics, ids),
        "publishers": [
            [
                shortened(row.publisher_id),
                row.sequence,
                row.accepted,
                row.dropped,
                row.refused,
                milliseconds(row.last_seen.timestamp()),
            ]
            for row in (about.publishers[-PUBLISHERS:] if about else ())
        ],
        "publishers_more": max(0, len(about.publishers) - PUBLISHERS) if about else 0,
        "batches": [
            [
                ids.index(b.publisher_id),
                b.sequence,
                b.verdict,
                b.first_offset,
                b.items,
                shortened(b.reason),
            ]
            for b in (about.batches[-BATCHES:] if about else ())
        ],
        "readers": [
            [r.key, r.name, list(r.topics), r.position, r.lag, r.missed, r.state, r.own]
            for r in seen.readers
        ],
        "waiting": _waiting(seen.waiting[:WAITING], topics, ids),
        "waiting_more": max(0, seen.waiting_count - len(seen.waiting[:WAITING])),
        "unsent": seen.unsent,
        "cost": _cost(seen.cost),
        "parts": [[p.name, p.kind, p.pid, p.state, p.detail, list(p.actions)] for p in seen.parts],
        "ui": seen.ui,
        "truncate": {"ok": not seen.no_truncate, "why": seen.no_truncate},
    }
    return {**described, "topics": list(topics.list), "ids": list(ids.list)}


def page(
    items: Sequence[ItemDescription], topics: Names, ids: Names
) -> tuple[dict[str, Any], list[bytes]]:
    """Consecutive items as four columns of numbers, with what says how to read them.

    Returns:
        `{first, count, topics, ids}`, and the columns: topic index (uint16), size in bytes
        (uint32), id index (int16; -1: none), sequence (uint32); all little endian.
    """
    of_topic = array("H", (topics.index(item.topic) for item in items))
    size = array("I", (_uint32(item.size) for item in items))
    whose = array("h", (_whose(item, ids) for item in items))
    sequence = array("I", (_uint32(item.sequence or 0) for item in items))
    columns = [of_topic, size, whose, sequence]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    about = {
        "first": items[0].offset if items else 0,
        "count": len(items),
        "topics": list(topics.list),
        "ids": list(ids.list),
    }
    return about, [column.tobytes() for column in columns]


def milliseconds(seconds: float) -> int:
    """Seconds since 1970 as the browser counts them."""
    return round(seconds * 1000)


def _stream(seen: Seen) -> Frame | None:
    about = seen.description
    if about is None:
        if seen.undescribed_end is None:
            return None
        end = seen.undescribed_end
        bounds = {"stream_id": "", "run_id": "", "base": 0, "end": end, "bytes": 0, "seams": []}
        return {
            "workflow_id": seen.workflow_id,
            "status": seen.status,
            "describes": False,
            "refused": 0,
            **bounds,
        }
    return {
        "workflow_id": seen.workflow_id,
        "stream_id": about.stream_id,
        "run_id": about.run_id,
        "status": seen.status,
        "describes": True,
        "base": about.base_offset,
        "end": about.end_offset,
        "bytes": about.size,
        "refused": about.refused,
        "seams": list(about.seams),
    }


def _items(items: Sequence[ItemDescription], topics: Names, ids: Names) -> Frame:
    return {
        "first": items[0].offset if items else 0,
        "topic": [topics.index(item.topic) for item in items],
        "size": [item.size for item in items],
        "runs": _runs(items, ids),
    }


def _runs(items: Iterable[ItemDescription], ids: Names) -> list[list[int]]:
    """Consecutive items of one batch, as `[count, id index, sequence]`."""
    runs: list[list[int]] = []
    for item in items:
        batch = [_whose(item, ids), item.sequence or 0]
        if runs and runs[-1][1:] == batch:
            runs[-1][0] += 1
        else:
            runs.append([1, *batch])
    return runs


def _whose(item: ItemDescription, ids: Names) -> int:
    return -1 if item.publisher_id is None else ids.index(item.publisher_id)


def _waiting(batches: Sequence[WaitingBatch], topics: Names, ids: Names) -> list[list[Any]]:
    """Batches and their items' topics; of no more than `ITEMS` items in all."""
    rows: list[list[Any]] = []
    left = ITEMS
    for batch in batches:
        of_topic = [topics.index(topic) for topic in batch.topics[:left]]
        rows.append([ids.index(batch.publisher_id), batch.sequence, of_topic])
        left -= len(of_topic)
    return rows


def _cost(cost: Cost | None) -> Frame | None:
    if cost is None:
        return None
    used = {name: [getattr(cost, name), limit] for name, limit in LIMITS.items()}
    return {"run_began_ms": cost.began, **used, "suggested": SUGGESTED}


def _uint32(number: int) -> int:
    return min(max(number, 0), 0xFFFF_FFFF)

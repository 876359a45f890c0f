"""The frame: everything a view shows, as one JSON object that replaces the one before.

    describe query, watch, readers, processes --Seen--> frame()  --> the browser, the picture
                                        a page of items --> page() --> the browser

Columns, not rows: a frame goes out up to ten times a second and holds up to 512 items. Names are
sent once each, in tables that only grow, so that an index means the same as long as the view shows
one stream. Pure: no clock, no I/O, no Jupyter. Next: `source.py` and `readers.py`, which fill
`Seen`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from streamlib import ItemDescription, StreamDescription, WaitingBatch
from streamlib.lab.widgets.names import NAMES, Names, shortened, visible

VERSION = 2
ITEMS, BATCHES, PUBLISHERS, WAITING = 512, 64, 20, 50
"""How many of each a frame holds at most: the last ones."""

NOBODY, ONE_OF_MANY = -1, -2
"""In place of an id's index: no publisher is known; one beyond those that are told apart."""

LIMITS = {"events": 51_200, "bytes": 50 * 1024 * 1024, "signals": 10_000, "updates": 2_000}
"""The server's defaults: where it ends a run, or refuses what comes."""

SUGGESTED = {"events": 4_096, "bytes": 4 * 1024 * 1024}
"""Where the server begins to suggest that a run continue as new."""

Frame = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """A subscription, as a view shows it.

    `lag` counts offsets: those it holds already and those it can still fetch. `below` counts those
    that are gone and that it does not hold: it will miss them. `held` counts the items that it
    fetched before: it gets them, also if they were truncated meanwhile. `unread` counts the items
    of its topics; None where the view does not know. `own`: the view opened it, and may close it.
    """

    key: str
    name: str
    topics: Sequence[str]
    position: int
    lag: int
    below: int
    missed: int
    state: str
    own: bool
    held: int = 0
    held_to: int = 0
    unread: int | None = None
    pace: int = 0
    """Items a second that the view reads with it by itself."""
    kept: bool = False
    """Whether it is a name that the stream keeps: who reads by it may be anywhere."""


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
    """What the current run has used up so far. `began` in milliseconds since 1970.

    Signals and updates are counted in the run's history: None until it was read to its end. What
    is counted only in part would look like a pace.
    """

    began: int
    events: int
    bytes: int
    signals: int | None
    updates: int | None


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
    publishing: int = 0
    """Items a second that the view publishes by itself."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names for publishers, by their ids."""
    run_id: str = ""
    run: int | None = None
    """Which run of its chain this is, from 1; None where that is not known."""
    cost: Cost | None = None
    parts: Sequence[Part] = ()
    ui: str = ""
    no_truncate: str = "not known yet"
    """Why the workflow cannot be asked to truncate; empty if it can."""
    can_retain: bool = False
    """Whether the workflow can be asked to keep so many items."""
    topics: Names = field(default_factory=Names)
    ids: Names = field(default_factory=Names)


def frame(seen: Seen) -> Frame:
    """Everything a view shows. Two calls on the same state give equal frames."""
    about = seen.description
    topics, ids = seen.topics, seen.ids
    shown: Frame = {
        "v": VERSION,
        "epoch": seen.epoch,
        "at": seen.at,
        "trouble": seen.trouble,
        "stream": _stream(seen),
        "items": _items(seen.tail[-ITEMS:], topics, ids),
        "publishers": _publishers(seen),
        "all": _of_all(seen),
        "batches": _batches(about, ids),
        "readers": [_reader(reader, topics) for reader in seen.readers],
        "waiting": _waiting(seen.waiting[:WAITING], topics, ids),
        "waiting_more": max(0, seen.waiting_count - len(seen.waiting[:WAITING])),
        "unsent": seen.unsent,
        "publishing": seen.publishing,
        "cost": _cost(seen.cost),
        "parts": [[p.name, p.kind, p.pid, p.state, p.detail, list(p.actions)] for p in seen.parts],
        "ui": seen.ui,
        "truncate": {"ok": not seen.no_truncate, "why": seen.no_truncate},
        "retain": {"ok": seen.can_retain, "says": _kept(about)},
    }
    return {**shown, **names_of(seen)}


def names_of(seen: Seen) -> Frame:
    """The tables of names: topics with their letters, publisher ids, and who is who."""
    return {
        "topics": list(seen.topics.list),
        "letters": list(seen.topics.letters),
        "ids": list(seen.ids.list),
        "who": {
            str(index): name
            for key, name in seen.names.items()
            if (index := seen.ids.known(key)) is not None
        },
    }


def _publishers(seen: Seen) -> list[list[Any]]:
    """The publishers heard of last, in the stream's own order."""
    rows = seen.description.publishers if seen.description else []
    if len(rows) > PUBLISHERS:
        since = sorted(row.last_seen for row in rows)[-PUBLISHERS]
        rows = [row for row in rows if row.last_seen >= since][-PUBLISHERS:]
    return [
        [
            _index(row.publisher_id, seen.ids),
            shortened(visible(row.publisher_id)),
            seen.names.get(row.publisher_id, ""),
            row.sequence,
            row.accepted,
            row.dropped,
            row.refused,
            milliseconds(row.last_seen.timestamp()),
        ]
        for row in rows
    ]


def _of_all(seen: Seen) -> Frame:
    """What all publishers come to, also those that are not listed."""
    rows = seen.description.publishers if seen.description else []
    return {"publishers": len(rows), "dropped": sum(row.dropped for row in rows)}


def _batches(about: StreamDescription | None, ids: Names) -> list[list[Any]]:
    return [
        [
            _index(b.publisher_id, ids),
            b.sequence,
            b.verdict,
            b.first_offset,
            b.items,
            shortened(visible(b.reason)),
        ]
        for b in (about.batches[-BATCHES:] if about else ())
    ]


def page(items: Sequence[ItemDescription], topics: Names, ids: Names) -> tuple[Frame, list[bytes]]:
    """Consecutive items as four columns of numbers, with what says how to read them.

    Returns:
        `{first, count}`, and the columns: topic index (uint16), size in bytes (uint32), id index
        (int16; see `NOBODY`), sequence (uint32); all little endian.
    """
    of_topic = array("H", (topics.index(item.topic) for item in items))
    size = array("I", (_uint32(item.size) for item in items))
    whose = array("h", (_whose(item, ids) for item in items))
    sequence = array("I", (_uint32(item.sequence or 0) for item in items))
    columns = [of_topic, size, whose, sequence]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    about = {"first": items[0].offset if items else 0, "count": len(items)}
    return about, [column.tobytes() for column in columns]


def milliseconds(seconds: float) -> int:
    """Seconds since 1970 as the browser counts them."""
    return round(seconds * 1000)


def _stream(seen: Seen) -> Frame | None:
    about = seen.description
    if about is None and seen.undescribed_end is None:
        return None
    common = {"workflow_id": visible(seen.workflow_id), "status": seen.status}
    if about is None:
        bounds = {"base": 0, "end": seen.undescribed_end, "bytes": 0, "refused": 0}
        seams: Frame = {"seams": [], "run": seen.run}
        return {
            **common,
            **seams,
            "stream_id": "",
            "run_id": seen.run_id,
            "describes": False,
            **bounds,
        }
    return {
        **common,
        "stream_id": about.stream_id,
        "run_id": about.run_id,
        "describes": True,
        "base": about.base_offset,
        "end": about.end_offset,
        "bytes": about.size,
        "refused": about.refused,
        "seams": list(about.seams),
        "run": seen.run,
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
    return NOBODY if item.publisher_id is None else _index(item.publisher_id, ids)


def _index(publisher_id: str, ids: Names) -> int:
    """The id's index. Those that share one are nobody's neighbours: no batch is made of them."""
    index = ids.index(publisher_id)
    return index if index < NAMES else ONE_OF_MANY


def _reader(reader: Reader, topics: Names) -> Frame:
    """Its row; `only` are the indices of its topics that have items, where it does not read all."""
    known = [topics.known(topic) for topic in reader.topics]
    only = [index for index in known if index is not None]
    shown = {"name": visible(reader.name), "topics": [visible(topic) for topic in reader.topics]}
    return {**asdict(reader), **shown, "only": only if reader.topics else None}


def _waiting(batches: Sequence[WaitingBatch], topics: Names, ids: Names) -> list[list[Any]]:
    """Batches and their items' topics; of no more than `ITEMS` items in all."""
    rows: list[list[Any]] = []
    left = ITEMS
    for batch in batches:
        of_topic = [topics.index(topic) for topic in batch.topics[:left]]
        rows.append([_index(batch.publisher_id, ids), batch.sequence, of_topic])
        left -= len(of_topic)
    return rows


def _cost(cost: Cost | None) -> Frame | None:
    if cost is None:
        return None
    used = {name: [getattr(cost, name), limit] for name, limit in LIMITS.items()}
    return {"run_began_ms": cost.began, **used, "suggested": SUGGESTED}


def _kept(about: StreamDescription | None) -> str:
    """What the stream keeps, in words."""
    if about is None or (policy := about.retention) is None:
        return ""
    bounds = [
        policy.max_items and f"{policy.max_items:,} items",
        policy.max_bytes and f"{policy.max_bytes:,} bytes",
        policy.max_age and f"what is younger than {policy.max_age}",
        policy.until_read and "what a named reader has not handled",
    ]
    return f"It keeps at most {' and '.join(bound for bound in bounds if bound)}."


def _uint32(number: int) -> int:
    return min(max(number, 0), 0xFFFF_FFFF)

"""From what the programs saw to figures. Pure.

    probe   a........a.a.a.a....................a.a.a.a.a      each answer
            |--up-----------|       down        |--up---|
                          |stored             |read            late: the longest stretch of time
                                                |-|            between them for which it was up

The server's own gap is the longest time between two looks of the probe at a hub that found it up:
nothing of ours is in that. Next: `__main__.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

UP = 2.0
"""Seconds between two answers that still count as one stretch of being up: four looks."""

LATE = 3.0
"""Seconds of being up within which what was stored must have been read by everybody."""

Record = Sequence[Any]
"""One line of a program: its kind, the hub, what it says, and the time."""


@dataclass(frozen=True)
class Stream:
    """What became of one stream; times in seconds."""

    server_gap: float
    reader_gap: float
    late: float
    """The longest that a stored item was not read by a reader, while the server was up."""


@dataclass(frozen=True)
class Figures:
    """What became of one side."""

    acknowledged: int
    lost: int
    twice: int
    """Values at two offsets, or given twice to a reader."""
    unread: int
    """Deliveries that had not come a minute after the last item was published."""
    late: int
    """Deliveries that took more than `LATE` seconds while the server was up."""
    readers_restarted: int
    flushes_raised: int
    delivery: float
    """Seconds from publishing to a reader, in the median."""
    streams: dict[str, Stream]

    @property
    def faults(self) -> list[str]:
        """What must not be, in words; empty if all is well."""
        counts = {
            "items lost": self.lost,
            "items twice": self.twice,
            "deliveries missing at the end": self.unread,
            f"deliveries later than {LATE:g} s while the server was up": self.late,
            "readers restarted": self.readers_restarted,
            "flushes raised": self.flushes_raised,
        }
        if not self.acknowledged:
            return ["nothing was stored"]
        silent = [
            f"{name} never answered" for name, one in self.streams.items() if not one.server_gap
        ]
        return [*silent, *(f"{count} {what}" for what, count in counts.items() if count)]


def figures(records: Iterable[Record], answers: Iterable[Record]) -> Figures:
    """The figures of one side.

    Args:
        records: Of its publishers and readers.
        answers: Of the probe, of the same hubs.
    """
    by_hub: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_hub[record[1]].append(record)
    answered: defaultdict[str, list[float]] = defaultdict(list)
    for record in answers:
        answered[record[1]].append(record[-1])
    hubs = {hub: _Hub(by_hub[hub], sorted(answered[hub])) for hub in sorted(by_hub)}
    late = [one for hub in hubs.values() for one in hub.late]
    took = [one for hub in hubs.values() for one in hub.took]
    kinds = Counter(record[0] for mine in by_hub.values() for record in mine)
    return Figures(
        acknowledged=sum(len(hub.stored) for hub in hubs.values()),
        lost=sum(hub.lost for hub in hubs.values()),
        twice=sum(hub.twice for hub in hubs.values()),
        unread=sum(hub.unread for hub in hubs.values()),
        late=sum(one > LATE for one in late),
        readers_restarted=kinds["restarted"],
        flushes_raised=kinds["raised"],
        delivery=median(took) if took else 0.0,
        streams={name: hub.stream for name, hub in hubs.items()},
    )


class _Hub:
    """What became of one hub."""

    def __init__(self, records: list[Record], answered: list[float]) -> None:
        def times(kind: str) -> dict[str, float]:
            return {record[2]: record[-1] for record in records if record[0] == kind}

        self.stored, sent = times("stored"), times("sent")
        log = Counter(record[3] for record in records if record[0] == "log")
        # By reader: what it was given, and when. One that was restarted goes on where it was.
        read = {
            reader: [
                record[4:6] for record in records if record[0] == "read" and record[2] == reader
            ]
            for reader in times("opened")
        }
        given = [Counter(value for value, _ in items) for items in read.values()]
        self.lost = sum(1 for value in self.stored if not log[value])
        self.twice = len({v for each in (log, *given) for v, count in each.items() if count > 1})
        self.unread = sum(1 for each in given for value in self.stored if not each[value])
        up = _stretches(answered)
        came = [one for items in read.values() for one in items]
        self.late = [_longest_up(up, self.stored[v], at) for v, at in came if v in self.stored]
        self.took = [at - sent[v] for v, at in came]
        gaps = [_longest_gap([at for _, at in items]) for items in read.values()]
        self.stream = Stream(
            server_gap=_longest_gap(answered),
            reader_gap=max(gaps, default=0.0),
            late=max(self.late, default=0.0),
        )


def _longest_gap(times: Sequence[float]) -> float:
    return max((after - before for before, after in pairwise(times)), default=0.0)


def _stretches(answered: Sequence[float]) -> list[tuple[float, float]]:
    """From when to when answers came without a pause of more than `UP`."""
    found: list[tuple[float, float]] = []
    for at in answered:
        if found and at - found[-1][1] <= UP:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def _longest_up(up: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """The longest time between `begin` and `end` for which it was up without a pause."""
    return max((min(end, last) - max(begin, first) for first, last in up), default=0.0)

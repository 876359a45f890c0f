"""From figures to verdicts: medians over repetitions, ratios of ours to the peer's, gates, tables.

Pure: what is measured, and how, it does not know. Next: `quiet.py`, which repetitions count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.quiet import Repetition

Experiments = Mapping[str, Sequence[Repetition]]
"""The repetitions that count, by the experiment's name."""


@dataclass(frozen=True)
class Row:
    """A line of the table: a metric of one experiment, of both sides.

    `limit` bounds the ratio ours / peer's or, where `alone`, our own number; None: it is shown and
    not judged. It is the most, or with `at_least` the least, that passes.
    """

    experiment: str
    metric: str
    label: str
    unit: str = ""
    limit: float | None = None
    at_least: bool = False
    alone: bool = False
    beside: str = "peer"
    """Which side ours is put beside."""


@dataclass(frozen=True)
class Verdict:
    """A row with its numbers. None: not measured, or no ratio can be had."""

    row: Row
    ours: float | None
    peer: float | None

    @property
    def ratio(self) -> float | None:
        """Ours / the peer's."""
        if self.ours is None or not self.peer:
            return None
        return self.ours / self.peer

    @property
    def passed(self) -> bool | None:
        """Whether the gate holds; None if the row has none. Without a number it does not."""
        if self.row.limit is None:
            return None
        value = self.ours if self.row.alone else self.ratio
        if value is None:
            return False
        return value >= self.row.limit if self.row.at_least else value <= self.row.limit

    @property
    def gate(self) -> str:
        """The gate in words; empty if there is none."""
        if self.row.limit is None:
            return ""
        unit = f" {self.row.unit}" if self.row.alone and self.row.unit else ""
        return f"{'>=' if self.row.at_least else '<='} {self.row.limit:g}{unit}"


def middle(figures: Experiments, experiment: str, side: str, metric: str) -> float | None:
    """The median over the repetitions; None if there are none."""
    values = [
        repetition.sides[side][metric]
        for repetition in figures.get(experiment, [])
        if metric in repetition.sides.get(side, {})
    ]
    return median(values) if values else None


def judge(figures: Experiments, rows: Sequence[Row]) -> list[Verdict]:
    """Put the numbers to the rows."""
    return [
        Verdict(
            row,
            middle(figures, row.experiment, "ours", row.metric),
            middle(figures, row.experiment, row.beside, row.metric),
        )
        for row in rows
    ]


def failed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those whose gate does not hold."""
    return [verdict for verdict in verdicts if verdict.passed is False]


def number(value: float | None, unit: str = "") -> str:
    """A number in three significant digits, with its unit; "-" for none."""
    if value is None:
        return "-"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def cells(verdict: Verdict) -> list[str]:
    """The texts of a line: label, ours, peer's, ratio, gate, result."""
    row = verdict.row
    result = {None: "", True: "pass", False: "FAIL"}[verdict.passed]
    return [
        row.label,
        number(verdict.ours, row.unit),
        number(verdict.peer, row.unit),
        number(verdict.ratio),
        verdict.gate,
        result,
    ]


HEADER = ["", "ours", "peer", "ratio", "gate", ""]


def table(verdicts: Sequence[Verdict]) -> str:
    """The lines, in columns: labels to the left, numbers to the right."""
    lines = [HEADER, *map(cells, verdicts)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in (0, 4, 5) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The lines that have a gate, as a Markdown table."""
    lines = [HEADER[:-1], ["---", "--:", "--:", "--:", "--:"]]
    lines += [cells(verdict)[:-1] for verdict in verdicts if verdict.row.limit is not None]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


CALLS = {"queries": 1.15, "history reads": 3.1}
"""What reading an item may take while nothing is wrong. Before slow calls got another one beside
them it took 1.08 and 3.04, with the first and the last item's."""


def _paced(experiment: str, what: str) -> list[Row]:
    """What is shown of every live experiment; of it only the calls are judged."""
    return [
        Row(
            *(experiment, f"{metric} per item", f"{what}: {metric} per item"),
            limit=CALLS.get(metric),
            alone=True,
        )
        for metric in ("queries", "updates", "history reads")
    ] + [
        Row(experiment, f"{who} CPU s per 1,000", f"{what}: {who} CPU per 1,000 items", "s")
        for who in ("worker", "client", "server")
    ]


FAST_1, FAST_5 = "every 50 ms, 1 reader", "every 50 ms, 5 readers"
SLOW_1, SLOW_5 = "every 200 ms, 1 reader", "every 200 ms, 5 readers"
TEN, BULK = "every 200 ms, 10 readers, 1 KB", "20,000 items of 100 B"
SMALL_BATCHES = "20,000 items of 100 B, 1,000 a flush"
CROWD, MEMORY = "every second, 1,000 readers, 1 KB", "100,000 items of 100 B"

QUIET_TOPIC = "a quiet topic beside 1 MB of another"
RESTART = "the server gone and back, 26 MB of history"
PROCESSES = "every second, 100 processes with a reader each"


def _long() -> list[Row]:
    """On a long log: each step of ours, and at a million no slower than a few round trips."""
    steps = ("append ms", "truncate ms", "read the end ms", "describe ms")
    return [
        Row(
            length_of(length),
            step,
            f"{length_of(length)}: {step.removesuffix(' ms')}",
            "ms",
            100.0 if length == LENGTHS[-1] else None,
            alone=True,
        )
        for length in LENGTHS
        for step in steps
    ]


def _crowds() -> list[Row]:
    """All is delivered, to ten thousand within a second."""
    rows = []
    for readers in CROWDS:
        name = crowd_of(readers)
        rows += [
            Row(name, "delivered", f"{name}: delivered", "", 1.0, at_least=True, alone=True),
            Row(name, "p95 ms", f"{name}: delivery p95", "ms", 1000.0, alone=True),
            Row(name, "KB a reader", f"{name}: memory a reader", "KB", alone=True),
            Row(name, "client CPU us a delivery", f"{name}: CPU a delivery", "us", alone=True),
        ]
    return rows


def _sizes() -> list[Row]:
    """Publishing beside a bare signal handler and the peer; reading back beside the peer."""
    rows = []
    for size in SIZES:
        name, what = size_of(size), "published per s"
        rows += [
            Row(
                name,
                what,
                f"{name}: published, beside a bare signal",
                "/s",
                0.8,
                True,
                False,
                "bare",
            ),
            Row(name, what, f"{name}: published", "/s"),
            Row(
                name,
                "read per s",
                f"{name}: read back",
                "/s",
                None if size == "100 KB" else 3.0,
                True,
            ),
        ]
    return rows


LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
CROWDS = (1, 10, 100, 10_000)
"""Readers in one process; the thousand is `CROWD`."""
SIZES = {"100 B": 100, "1 KB": 1_000, "100 KB": 100_000}


def length_of(items: int) -> str:
    """The name of the experiment on a log of that length."""
    return f"a log of {items:,} items"


def crowd_of(readers: int) -> str:
    """The name of the experiment with so many readers in one process."""
    return f"an item a second, {readers:,} readers in one process"


def size_of(name: str) -> str:
    """The name of the experiment with items of that size."""
    return f"items of {name}"


_P50, _EVENTS = "p50 ms", "history events per item"

ROWS = [
    Row(FAST_1, _P50, f"{FAST_1}: delivery p50", "ms", 0.4),
    Row(FAST_1, _EVENTS, f"{FAST_1}: {_EVENTS}", "", 0.7),
    Row(FAST_5, _P50, f"{FAST_5}: delivery p50", "ms", 0.4),
    Row(FAST_5, _EVENTS, f"{FAST_5}: {_EVENTS}", "", 0.35),
    Row(SLOW_1, _P50, f"{SLOW_1}: delivery p50", "ms", 1.8),
    Row(TEN, "history bytes per delivery", f"{TEN}: history per delivery", "B", 0.1),
    Row(BULK, "read per s", f"{BULK}: read back", "/s", 3.0, at_least=True),
    Row(BULK, "published per s", f"{BULK}, 4,000 a flush: published", "/s", 1.0, at_least=True),
    Row(BULK, "publishing's history bytes per item", f"{BULK}: history per item", "B", 1.02),
    Row(MEMORY, "MB", f"{MEMORY}: added to the worker's memory", "MB", 1.0),
    Row(CROWD, "delivered", f"{CROWD}: delivered", "", 1.0, at_least=True, alone=True),
    Row(CROWD, "p95 ms", f"{CROWD}: delivery p95", "ms", 150.0, alone=True),
    Row(
        QUIET_TOPIC,
        "pulled / history once",
        f"{QUIET_TOPIC}: pulled / sent by history once",
        "",
        1.1,
        alone=True,
    ),
    Row(RESTART, "again / first", f"{RESTART}: read again / at first", "", 0.05, alone=True),
    Row(PROCESSES, "p95 ms", f"{PROCESSES}: delivery p95", "ms"),
    Row(PROCESSES, "delivered", f"{PROCESSES}: delivered"),
    Row(SMALL_BATCHES, "published per s", f"{SMALL_BATCHES}: published", "/s"),
    Row(SLOW_5, _P50, f"{SLOW_5}: delivery p50", "ms"),
    Row(SLOW_1, _EVENTS, f"{SLOW_1}: {_EVENTS}"),
    Row(SLOW_5, _EVENTS, f"{SLOW_5}: {_EVENTS}"),
    *_paced(FAST_1, FAST_1),
    *_paced(FAST_5, FAST_5),
    *_paced(SLOW_1, SLOW_1),
    Row(BULK, "worker CPU s per 1,000", f"{BULK}: worker CPU per 1,000", "s"),
    Row(BULK, "client CPU s per 1,000", f"{BULK}: client CPU per 1,000", "s"),
    *_long(),
    *_crowds(),
    *_sizes(),
]

"""What follows from the figures, with arithmetic: the tables of `docs/scale.md`, and its chart.

Pure but for `write`, which puts them between the marks in that page. The page's prose is written by
people; its numbers stand here and nowhere else. Next: `report.py`, which calls it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.gates import (
    CROWD,
    CROWDS,
    FAST_1,
    LENGTHS,
    PROCESSES,
    SIZES,
    Experiments,
    crowd_of,
    length_of,
    middle,
    number,
    size_of,
)

EVENTS = 4_096
"""Events from which a run should roll over."""

ACTIONS_A_SECOND, DOLLARS_A_MILLION = 500, 50
"""Temporal Cloud: where a namespace's limit begins, and the first tier's list price."""

STEPS = ("append", "truncate", "read the end", "describe")
DAY = 86_400

FEW = {f"{n:,} in one process" for n in CROWDS if n < 1_000}
"""Crowds whose memory is less than what that of a process moves by."""

Rows = Sequence[Sequence[str]]


def table(rows: Rows) -> str:
    """A Markdown table: the first row is its head, numbers to the right."""
    head, *rest = rows
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measured(figures: Experiments) -> str:
    """What was measured: long logs, crowds, sizes, and CPU at 20 items a second."""
    return "\n\n".join([_lengths(figures), _crowds(figures), _sizes(figures), _cpu(figures)])


def _ours(figures: Experiments, name: str, metric: str, unit: str = "") -> str:
    return number(middle(figures, name, "ours", metric), unit)


def _lengths(figures: Experiments) -> str:
    rows = [["items in the log", *(f"{length:,}" for length in LENGTHS)]]
    for step in STEPS:
        cells = [_ours(figures, length_of(each), f"{step} ms", "ms") for each in LENGTHS]
        rows.append([step, *cells])
    return table(rows)


def _crowds(figures: Experiments) -> str:
    rows = [["readers", "delivered", "delivery, 95 %", "CPU a delivery", "memory a reader"]]
    names = {f"{n:,} in one process": crowd_of(n) for n in CROWDS}
    names["1,000 in one process"] = CROWD
    names["100, a process each"] = PROCESSES
    for label in sorted(names, key=lambda label: (label.count("each"), len(label), label)):
        name = names[label]
        cells = [
            _ours(figures, name, "delivered"),
            _ours(figures, name, "p95 ms", "ms"),
            _ours(figures, name, "client CPU us a delivery", "µs"),
            "-" if label in FEW else _ours(figures, name, "KB a reader", "KB"),
        ]
        rows.append([label, *cells])
    return table(rows)


def _sizes(figures: Experiments) -> str:
    head = "items of|published a second|a bare signal handler|the peer|read back a second|the peer"
    rows = [head.split("|")]
    for size in SIZES:
        name, what = size_of(size), "published per s"
        cells = [number(middle(figures, name, side, what)) for side in ("ours", "bare", "peer")]
        cells += [number(middle(figures, name, side, "read per s")) for side in ("ours", "peer")]
        rows.append([size, *cells])
    return table(rows)


def _cpu(figures: Experiments) -> str:
    rows = [["CPU an item, 20 items a second, one reader", "ours", "the peer", "ratio"]]
    for who in ("worker", "client", "server"):
        ours, peer = (
            middle(figures, FAST_1, side, f"{who} CPU s per 1,000") for side in ("ours", "peer")
        )
        ratio = ours / peer if ours is not None and peer else None
        rows.append([who, number(ours, "ms"), number(peer, "ms"), number(ratio)])
    return table(rows)


def follows(figures: Experiments) -> str:
    """What one stream, a namespace and Temporal Cloud carry, from these figures."""
    rows = [["question", "arithmetic", "comes to"]]

    def ask(question: str, arithmetic: str, answer: float | None, unit: str = "") -> None:
        if answer is not None:
            rows.append([question, arithmetic, number(answer, unit)])

    events = middle(figures, FAST_1, "ours", "history events per item")
    size = middle(figures, FAST_1, "ours", "history bytes per item")
    worker = middle(figures, FAST_1, "ours", "worker CPU s per 1,000")
    server = middle(figures, FAST_1, "ours", "server CPU s per 1,000")
    queries = middle(figures, FAST_1, "ours", "queries per item")
    if not (events and size and worker and server and queries):
        return ""
    ask(
        "small batches until a roll-over is due",
        f"{EVENTS:,} events / {events:.3g}",
        EVENTS / events,
    )
    ask(
        "at 10 batches a second, a run lasts",
        f"{EVENTS / events:,.0f} batches / 10",
        EVENTS / events / 10,
        "s",
    )
    ask(
        "history a day, 10 small batches a second",
        f"10 × {DAY:,} × {size:.0f} B",
        10 * DAY * size / 1e6,
        "MB",
    )
    ask("batches a second that fill a worker's core", f"1,000 / {worker:.3g} s", 1000 / worker)
    ask("batches a second that fill a server's core", f"1,000 / {server:.3g} s", 1000 / server)
    _ask_bulk(figures, ask)
    a_batch = float(f"{1 + queries:.4g}")  # as it is shown
    ask("actions a batch, one process that reads", f"1 signal + {queries:.4g} queries", a_batch)
    ask(
        "such streams in a namespace, 10 batches a second each",
        f"{ACTIONS_A_SECOND} actions a second / (10 × {a_batch:.4g})",
        math.floor(ACTIONS_A_SECOND / (10 * a_batch)),
    )
    ask(
        "actions a day, 10 batches a second, all day",
        f"{DAY:,} × 10 × {a_batch:.4g}",
        DAY * 10 * a_batch,
    )
    ask(
        "the same, at the first tier's price",
        f"{DAY * 10 * a_batch / 1e6:.3g} million × {DOLLARS_A_MILLION} $",
        DAY * 10 * a_batch / 1e6 * DOLLARS_A_MILLION,
        "$ a day",
    )
    return table(rows)


def _ask_bulk(figures: Experiments, ask: Callable[..., None]) -> None:
    kilo = middle(figures, size_of("1 KB"), "ours", "published per s")
    ask("items of 1 KB a second, in full batches, one publisher", "measured", kilo)
    most = crowd_of(CROWDS[-1])
    each = middle(figures, most, "ours", "client CPU us a delivery")
    if each:
        ask("deliveries a second that fill a reading core", f"1 s / {each:.3g} µs", 1e6 / each)
    memory = middle(figures, most, "ours", "KB a reader")
    if memory:
        ask("memory of 10,000 readers", f"10,000 × {memory:.3g} KB", 10 * memory, "MB")


def write(page: Path, figures: Experiments) -> None:
    """Put both tables between the marks in the page.

    Raises:
        ValueError: A mark is missing.
    """
    text = page.read_text(encoding="utf-8")
    for name, content in (("measured", measured(figures)), ("arithmetic", follows(figures))):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{page.name} has no {begin} … {end}")
        pattern = f"({re.escape(begin)}\n).*?({re.escape(end)})"
        text = re.sub(pattern, rf"\g<1>{content}\n\g<2>", text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")


WIDTH, HEIGHT, LEFT, TOP = 760, 300, 60, 40
COLOURS = ("#2a6fdb", "#b0563b", "#3d7a4a", "#7a4fa3")


def curves(figures: Experiments) -> str:
    """Milliseconds of each step against the length of the log, both axes by powers of ten."""
    lines = {
        step: [
            (length, value)
            for length in LENGTHS
            if (value := middle(figures, length_of(length), "ours", f"{step} ms"))
        ]
        for step in STEPS
    }
    most = max((value for line in lines.values() for _, value in line), default=100.0)
    decades = max(2, math.ceil(math.log10(most)))

    def x(length: float) -> float:
        return LEFT + (math.log10(length) - 3) / 3 * (WIDTH - LEFT - 150)

    def y(value: float) -> float:
        return TOP + (1 - math.log10(max(value, 1.0)) / decades) * (HEIGHT - TOP - 50)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(16, 22, "Milliseconds a step, against the items in the log", 'font-weight="bold"'),
    ]
    for power in range(decades + 1):
        at = y(10.0**power)
        parts.append(
            f'<path d="M{LEFT} {at:.1f} H{x(1e6):.1f}" stroke="#dddddd" stroke-width="1"/>'
        )
        parts.append(_text(LEFT - 8, at + 4, f"{10**power:,}", 'text-anchor="end"'))
    for length in LENGTHS:
        parts.append(_text(x(length), HEIGHT - 24, f"{length:,}", 'text-anchor="middle"'))
    for line, colour in zip(lines.values(), COLOURS, strict=True):
        points = " ".join(f"{x(length):.1f},{y(value):.1f}" for length, value in line)
        if points:
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            )
    ends = sorted((y(line[-1][1]), step, n) for n, (step, line) in enumerate(lines.items()) if line)
    below = 0.0
    for at, step, n in ends:  # labels that would touch move down
        below = max(at + 4, below + 14)
        parts.append(_text(x(1e6) + 8, below, step, f'style="fill:{COLOURS[n]}"'))
    return "\n".join([*parts, "</svg>\n"])


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#222222" {more}>{escape(text)}</text>'

"""What a run leaves behind: its figures in a JSON file, and the chart drawn from them.

The file names no host and no path: only what the numbers depend on.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import psutil
import temporalio.service

from bench import scale
from bench.chart import Panel, svg
from bench.gates import (
    BULK,
    FAST_1,
    FAST_5,
    MEMORY,
    ROWS,
    SLOW_1,
    SLOW_5,
    TEN,
    Experiments,
    judge,
    middle,
)
from bench.quiet import Repetition

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
CHART = ROOT / "docs" / "bench.svg"
SCALE = ROOT / "docs" / "scale.md"


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "memory GB": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "temporalio": temporalio.service.__version__,
    }


def save(name: str, figures: Experiments, about: dict[str, Any]) -> Path:
    """Write the figures that count, and what they come to, as JSON."""
    verdicts = [
        {
            "label": verdict.row.label,
            "unit": verdict.row.unit,
            "ours": verdict.ours,
            "peer": verdict.peer,
            "ratio": verdict.ratio,
            "gate": verdict.gate,
            "passed": verdict.passed,
        }
        for verdict in judge(figures, ROWS)
    ]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {**about, "verdicts": verdicts, "figures": plain(figures)}
    path.write_text(json.dumps(rounded(content), indent=1) + "\n")
    return path


def load(name: str) -> tuple[Experiments, dict[str, Any]]:
    """Read what `save` wrote: the figures, and what was said about them."""
    about: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    figures = {
        experiment: [Repetition(each.pop("others"), each) for each in repetitions]
        for experiment, repetitions in about.pop("figures").items()
    }
    return figures, about


def plain(figures: Experiments) -> dict[str, list[dict[str, Any]]]:
    """The figures as JSON: `{experiment: [{"others": CPUs, side: {metric: number}}]}`."""
    return {
        experiment: [{"others": each.others, **each.sides} for each in repetitions]
        for experiment, repetitions in figures.items()
    }


def rounded(value: Any) -> Any:
    """The same with every float in five significant digits: more are noise."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def panels(figures: Experiments) -> list[Panel]:
    """The chart's content. What was not measured is left out."""

    def panel(title: str, metric: str, *experiments: str) -> Panel:
        bars = []
        for experiment in experiments:
            ours = middle(figures, experiment, "ours", metric)
            peer = middle(figures, experiment, "peer", metric)
            if ours is not None and peer is not None:
                bars.append((experiment, ours, peer))
        return Panel(title, bars)

    live = (FAST_1, FAST_5, SLOW_1, SLOW_5)
    return [
        panel("From publish to delivery, median, ms (less is better)", "p50 ms", *live),
        panel("History events per item (less is better)", "history events per item", *live),
        panel("History bytes per delivery (less is better)", "history bytes per delivery", TEN),
        panel("Items read back per second (more is better)", "read per s", BULK),
        panel("Items published per second (more is better)", "published per s", BULK),
        panel("MB added to the worker's memory (less is better)", "MB", MEMORY),
    ]


def draw(figures: Experiments) -> Path:
    """Write the charts, and the tables of the page about scale."""
    CHART.parent.mkdir(exist_ok=True)
    CHART.write_text(svg(panels(figures)))
    SCALE.with_suffix(".svg").write_text(scale.curves(figures))
    scale.write(SCALE, figures)
    return CHART

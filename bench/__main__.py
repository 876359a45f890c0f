"""`python -m bench`: measure, print the table, leave the figures behind; 1 if a gate fails.

    --quick    fewer repetitions (within 3 minutes instead of 10); redraws no chart
    --report   measure nothing: table and chart of the last whole run

The figures go to `bench/results/`, the chart to `docs/`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from bench import experiments, report
from bench.experiments import KB, Pace
from bench.gates import (
    BULK,
    CROWD,
    FAST_1,
    FAST_5,
    MEMORY,
    ROWS,
    SLOW_1,
    SLOW_5,
    TEN,
    Figures,
    Repetitions,
    failed,
    judge,
    markdown,
    table,
)
from bench.hubs import OURS, SIDES, Side
from bench.rig import Rig

TOO_LONG = 120.0
"""Seconds after which one experiment counts as hung."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    repetitions: int
    bulk_repetitions: int
    memory_repetitions: int
    crowd_repetitions: int
    fast_items: int
    slow_items: int
    crowd_seconds: int


WHOLE = Plan(
    repetitions=5,
    bulk_repetitions=7,
    memory_repetitions=3,
    crowd_repetitions=3,
    fast_items=80,
    slow_items=25,
    crowd_seconds=10,
)
QUICK = Plan(
    repetitions=2,
    bulk_repetitions=3,
    memory_repetitions=1,
    crowd_repetitions=1,
    fast_items=50,
    slow_items=15,
    crowd_seconds=8,
)

Run = Callable[[Rig, Side], Awaitable[Figures]]


def schedule(plan: Plan) -> Iterator[tuple[str, Run, tuple[Side, ...]]]:
    """Every experiment of every repetition, in order: the sides alternate, and who comes first."""
    paces = {
        FAST_1: Pace(0.05, 1, plan.fast_items),
        FAST_5: Pace(0.05, 5, plan.fast_items),
        SLOW_1: Pace(0.2, 1, plan.slow_items),
        SLOW_5: Pace(0.2, 5, plan.slow_items),
        TEN: Pace(0.2, 10, plan.slow_items, KB),
    }
    crowd = Pace(1.0, 1000, plan.crowd_seconds, KB)
    for i in range(max(plan.repetitions, plan.bulk_repetitions, plan.memory_repetitions)):
        sides = SIDES if i % 2 == 0 else SIDES[::-1]
        if i < plan.repetitions:
            for name, pace in paces.items():
                yield name, partial(experiments.live, pace=pace), sides
        if i < plan.bulk_repetitions:
            yield BULK, partial(experiments.bulk, items=20_000), sides
        if i < plan.memory_repetitions:
            yield MEMORY, partial(experiments.memory, items=100_000), sides
        if i < plan.crowd_repetitions:
            yield CROWD, partial(experiments.live, pace=crowd), (OURS,)


async def measure(plan: Plan) -> tuple[Repetitions, str]:
    """Run the whole schedule; the figures, and what becomes of the peer past ten readers."""
    figures: dict[str, dict[str, list[Figures]]] = {}
    async with Rig.started() as rig:
        for side in SIDES:  # what is slow only once counts for nobody
            await experiments.live(rig, side, Pace(0.05, 1, 10))
        for name, run, sides in schedule(plan):
            for side in sides:
                gc.collect()
                result = await asyncio.wait_for(run(rig, side), TOO_LONG)
                figures.setdefault(name, {}).setdefault(side.name, []).append(result)
            print(".", end="", file=sys.stderr, flush=True)
        limit = await experiments.peers_limit(rig, 50, 20.0)
    print(file=sys.stderr)
    return figures, limit


def show(figures: Repetitions, about: dict[str, Any]) -> int:
    """Print the table; the exit code."""
    verdicts = judge(figures, ROWS)
    print(table(verdicts))
    print(f"\nThe peer past ten readers, an item a second: {about['peer past ten']}")
    bad = failed(verdicts)
    print(f"{len(bad)} gates FAIL" if bad else "every gate holds", f"({about['seconds']:.0f} s)")
    return 1 if bad else 0


def main() -> int:
    """Measure, or report what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--report", action="store_true", help="of the last whole run")
    options = parser.parse_args()
    if options.report:
        about = report.load("latest")
        report.draw(about["figures"])
        code = show(about["figures"], about)
        print("\n" + markdown(judge(about["figures"], ROWS)))
        return code
    # A time limit around the run ends it as Ctrl-C does: the server still goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load, started = os.getloadavg(), time.monotonic()
    figures, limit = asyncio.run(measure(QUICK if options.quick else WHOLE))
    about = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "quick": options.quick,
        "seconds": time.monotonic() - started,
        "machine": report.machine(),
        "load before": list(load),
        "load after": list(os.getloadavg()),
        "peer past ten": limit,
    }
    report.save("quick" if options.quick else "latest", figures, about)
    if not options.quick:
        report.draw(figures)
    return show(figures, about)


if __name__ == "__main__":
    sys.exit(main())

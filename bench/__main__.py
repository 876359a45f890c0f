"""`python -m bench`: measure, print the table, leave the figures behind; 1 if a gate fails.

    --quick    fewer repetitions (within 5 minutes instead of 15); redraws no chart
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
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from bench import experiments, pulling, report, scaling
from bench.experiments import KB, Pace
from bench.gates import (
    BULK,
    CROWD,
    CROWDS,
    FAST_1,
    FAST_5,
    LENGTHS,
    MEMORY,
    PROCESSES,
    QUIET_TOPIC,
    RESTART,
    ROWS,
    SIZES,
    SLOW_1,
    SLOW_5,
    SMALL_BATCHES,
    TEN,
    Experiments,
    crowd_of,
    failed,
    judge,
    length_of,
    markdown,
    size_of,
    table,
)
from bench.hubs import BARE, OURS, SIDES, Side
from bench.quiet import Figures, Repetition, quietest, wants_more
from bench.rig import Rig

TOO_LONG = 300.0
"""Seconds after which one experiment counts as hung."""

Run = Callable[[Rig, Side], Awaitable[Figures]]


@dataclass(frozen=True)
class Experiment:
    """What to run, how often, and for whom; and whether others' load can spoil it."""

    name: str
    run: Run
    repetitions: int
    sides: tuple[Side, ...] = SIDES
    timed: bool = True


@dataclass(frozen=True)
class Plan:
    """How much is measured. `patience`: seconds after which noisy repetitions will do."""

    experiments: tuple[Experiment, ...]
    patience: float


def plan(*, quick: bool) -> Plan:
    """The experiments, whole or quick."""
    fast, slow, crowd = (50, 15, 8) if quick else (80, 25, 10)
    often, seldom = (2, 1) if quick else (5, 3)
    paces = {
        FAST_1: Pace(0.05, 1, fast),
        FAST_5: Pace(0.05, 5, fast),
        SLOW_1: Pace(0.2, 1, slow),
        SLOW_5: Pace(0.2, 5, slow),
        TEN: Pace(0.2, 10, slow, KB),
    }
    paced = [
        Experiment(name, partial(experiments.live, pace=pace), often)
        for name, pace in paces.items()
    ]
    bulk = partial(experiments.bulk, items=20_000)
    small = partial(experiments.bulk, items=20_000, batch=1000)
    memory = partial(experiments.memory, items=100_000)
    thousand = partial(scaling.readers, pace=Pace(1.0, 1000, crowd, KB))
    quiet_topic = partial(pulling.quiet_topic, batches=100, size=10_000)
    processes = partial(pulling.processes, readers=100, items=10)
    restart = partial(pulling.restart, megabytes=26)
    long = [
        Experiment(length_of(n), partial(scaling.long_log, length=n), 1, (OURS,), timed=False)
        for n in LENGTHS[: 3 if quick else 4]
    ]
    crowds = [
        Experiment(crowd_of(n), partial(scaling.readers, pace=Pace(1.0, n, crowd, KB)), 1, (OURS,))
        for n in CROWDS
    ]
    sizes = [
        Experiment(
            size_of(name),
            partial(scaling.sized, size=scaling.Size(SIZES[name], items, batch)),
            often,
            (*SIDES, BARE),
        )
        for name, items, batch in (
            ("100 B", 20_000, 4_000),
            ("1 KB", 4_800, 600),
            ("100 KB", 120, 6),
        )
    ]
    return Plan(
        (
            *paced,
            Experiment(BULK, bulk, 2 * often + 1),
            Experiment(SMALL_BATCHES, small, 2 * often + 1),
            Experiment(MEMORY, memory, seldom, timed=False),
            Experiment(CROWD, thousand, seldom, sides=(OURS,)),
            Experiment(QUIET_TOPIC, quiet_topic, 1, sides=(OURS,), timed=False),
            Experiment(PROCESSES, processes, 1, sides=(OURS,)),
            Experiment(RESTART, restart, 1, sides=(OURS,), timed=False),
            *long,
            *crowds,
            *sizes,
        ),
        patience=100.0 if quick else 450.0,
    )


async def measure(planned: Plan) -> tuple[dict[str, list[Repetition]], str]:
    """Run all experiments in rounds; every repetition, and what becomes of the peer past ten.

    Ours and the peer's turns alternate, and so does which of them comes first.
    """
    done: dict[str, list[Repetition]] = {each.name: [] for each in planned.experiments}
    deadline = time.monotonic() + planned.patience

    ended: set[str] = set()  # by an error: its rows have no number, and the others go on

    def wanted(each: Experiment) -> bool:
        if each.name in ended:
            return False
        late = time.monotonic() > deadline
        return wants_more(done[each.name], each.repetitions, timed=each.timed, late=late)

    async with Rig.started() as rig:
        for side in SIDES:  # what is slow only once counts for nobody
            await experiments.live(rig, side, Pace(0.05, 1, 10))
        while any(map(wanted, planned.experiments)):
            for each in filter(wanted, planned.experiments):
                flip = len(done[each.name]) % 2
                sides = each.sides[::-1] if flip else each.sides
                try:
                    done[each.name].append(await repeat(rig, each.run, sides))
                except Exception:
                    ended.add(each.name)
                    print(f"\n{each.name}:", file=sys.stderr)
                    traceback.print_exc()
                print(".", end="", file=sys.stderr, flush=True)
        limit = await experiments.peers_limit(rig, 50, 20.0)
    print(file=sys.stderr)
    return done, limit


async def repeat(rig: Rig, run: Run, sides: Iterable[Side]) -> Repetition:
    """Run an experiment once for each side, and note what else the machine did meanwhile."""
    gc.collect()
    figures: dict[str, Figures] = {}
    started, others = time.monotonic(), rig.others_cpu()
    for side in sides:
        figures[side.name] = await asyncio.wait_for(run(rig, side), TOO_LONG)
    spent = rig.others_cpu() - others
    return Repetition(max(0.0, spent / (time.monotonic() - started)), figures)


def counted(planned: Plan, done: dict[str, list[Repetition]]) -> dict[str, list[Repetition]]:
    """The repetitions that count."""
    return {each.name: quietest(done[each.name], each.repetitions) for each in planned.experiments}


def show(figures: Experiments, about: dict[str, Any]) -> int:
    """Print the table; the exit code."""
    verdicts = judge(figures, ROWS)
    print(table(verdicts))
    print(f"\nThe peer past ten readers, an item a second: {about['peer past ten']}")
    noise = max(each.others for repetitions in figures.values() for each in repetitions)
    print(f"While this ran, others used up to {noise:.1f} of {os.cpu_count()} CPUs.")
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
        saved, about = report.load("latest")
        report.draw(saved)
        code = show(saved, about)
        print("\n" + markdown(judge(saved, ROWS)))
        return code
    # A time limit around the run ends it as Ctrl-C does: the server still goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    load, started = os.getloadavg(), time.monotonic()
    planned = plan(quick=options.quick)
    done, limit = asyncio.run(measure(planned))
    figures = counted(planned, done)
    about = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "quick": options.quick,
        "seconds": time.monotonic() - started,
        "machine": report.machine(),
        "load average before": list(load),
        "load average after": list(os.getloadavg()),
        "nice": os.nice(0),
        "repetitions made": {name: len(each) for name, each in done.items()},
        "peer past ten": limit,
    }
    name = "quick" if options.quick else "latest"
    report.save(name, figures, about)
    kept, about = report.load(name)  # in five digits
    if not options.quick:
        report.draw(kept)
    return show(kept, about)


if __name__ == "__main__":
    sys.exit(main())

"""What is done to whom, and when. Pure: the same seed gives the same plan.

every 20 s, in an order by chance, each of:   kill node 1, 2, 3   back after 8 s
                                              freeze node 1, 2, 3 thawed after 8 s
                                              kill the workers    back after 2 s, twice
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

CALM = 10.0
"""Seconds before the first fault."""

EVERY = 20.0
"""Seconds from one fault to the next: the one before is over, and was ridden out."""

NODES = 3

What = Literal["kill", "freeze", "kill workers"]


@dataclass(frozen=True)
class Fault:
    """Something that is done at `at`, and undone at `until`; seconds from the plan's start."""

    at: float
    until: float
    what: What
    node: int = 0

    def __str__(self) -> str:
        """One line: what, to whom, for how long."""
        whom = "" if self.what == "kill workers" else f" node {self.node + 1}"
        return f"{self.at:5.0f} s  {self.what}{whom} for {self.until - self.at:.0f} s"


def plan(seed: int, rounds: int = 1) -> list[Fault]:
    """Every fault once in each round, the workers' twice, in an order by chance."""
    chance = random.Random(seed)
    return [
        Fault(CALM + EVERY * n, CALM + EVERY * n + down, what, node)
        for n, (what, node, down) in enumerate(
            fault for _ in range(rounds) for fault in _round(chance)
        )
    ]


def _round(chance: random.Random) -> list[tuple[What, int, float]]:
    nodes = range(NODES)
    faults: list[tuple[What, int, float]] = [("kill workers", 0, 2.0)] * 2
    faults += [("kill", node, 8.0) for node in nodes]
    faults += [("freeze", node, 8.0) for node in nodes]
    chance.shuffle(faults)
    return faults


def lasts(faults: list[Fault]) -> float:
    """Seconds from the start to where the last fault was ridden out."""
    return max((fault.until for fault in faults), default=0.0) + EVERY

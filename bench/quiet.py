"""Repetitions on a machine that others use too: which to make, and which to count. Pure.

    repetition      1      2      3      4      5
    others' load   0.1    1.3    0.2    0.9    0.0     CPUs, while it ran
    counted         x             x             x      the quietest three, whatever they measured

Ours and the peer's halves of a repetition run right after each other, and count or don't together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Figures = dict[str, float]

QUIET = 0.25
"""CPUs that other processes may use while a repetition runs that shall count as undisturbed."""


@dataclass(frozen=True)
class Repetition:
    """One run of an experiment: each side's figures, and how many CPUs others used meanwhile."""

    others: float
    sides: Mapping[str, Figures] = field(default_factory=dict[str, Figures])


def wants_more(done: Sequence[Repetition], wanted: int, *, timed: bool, late: bool) -> bool:
    """Whether to repeat an experiment: until `wanted` repetitions were quiet.

    Once it is `late`, or where nothing is `timed` that others could disturb, any will do.
    """
    if late or not timed:
        return len(done) < wanted
    return sum(repetition.others <= QUIET for repetition in done) < wanted


def quietest(done: Sequence[Repetition], wanted: int) -> list[Repetition]:
    """The `wanted` repetitions with the least load from others, in the order they ran."""
    chosen = sorted(range(len(done)), key=lambda i: done[i].others)[:wanted]
    return [done[i] for i in sorted(chosen)]

"""When to roll over: the limits of one run, and how much of them is used.

The server ends a run that has too long a history, and refuses signals and updates beyond a number.
It suggests to continue as new for the first two only; a stream meets the others first. Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class RollOverReason(NamedTuple):
    """Something of which this run has used so much that the next one should begin."""

    what: str
    used: int
    advised: int
    """From here on, roll over."""

    def __str__(self) -> str:
        return f"{self.used:,} {self.what}, roll over from {self.advised:,} on"


# What the server allows by default: 51,200 events or 50 MB, 10,000 signals, 2,000 updates. It
# suggests to continue as new from the first two of these numbers on.
ADVISED = {
    "history events": 4_096,
    "history bytes": 4 * 1024 * 1024,
    "signals": 8_000,
    "updates": 1_600,
}


def roll_over_reasons(used: dict[str, int], *, suggested: bool) -> list[RollOverReason]:
    """Return what speaks for a roll-over; nothing, if there is no hurry.

    Args:
        used: How much of each of `ADVISED` this run has used.
        suggested: Whether the server suggests it, for reasons of its own configuration.
    """
    reasons = [
        RollOverReason(what, count, ADVISED[what])
        for what, count in used.items()
        if count >= ADVISED[what]
    ]
    if suggested and not reasons:
        events = used["history events"]
        reasons.append(RollOverReason("history events (the server suggests it)", events, events))
    return reasons

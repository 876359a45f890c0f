"""When to roll over: the limits of one run, and how much of them is used.

By default the server ends a run at 51,200 events or 50 MB of history, refuses signals from 10,000
and updates from 2,000 on, and suggests to continue as new at 4,096 events or 4 MB, as our default
limits do. A signal is an event or more: so 8,000 signals come after 4,096 events, and never first.
That threshold is for those who raised the events, or whose server takes fewer signals. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from streamlib.core.limits import StreamLimits


class RollOverReason(NamedTuple):
    """Something of which this run has used so much that the next one should begin."""

    what: str
    used: int
    advised: int
    """From here on, roll over."""

    def __str__(self) -> str:
        return f"{self.used:,} {self.what}, roll over from {self.advised:,} on"


def roll_over_reasons(
    used: dict[str, int], limits: StreamLimits, *, suggested: bool
) -> list[RollOverReason]:
    """Return what speaks for a roll-over; nothing, if there is no hurry.

    Args:
        used: How much of what is limited this run has used: "history events" and so on.
        limits: From where on to roll over.
        suggested: Whether the server suggests it, for reasons of its own configuration.
    """
    reasons = [
        RollOverReason(what, count, advised)
        for what, count in used.items()
        if count >= (advised := getattr(limits, what.replace(" ", "_")))
    ]
    if suggested and not reasons:
        events = used["history events"]
        reasons.append(RollOverReason("history events (the server suggests it)", events, events))
    return reasons

"""What a client may be told of batches and buffers, and what its items are held to by that.

Knows no publisher. Next: `publisher.py`, which holds to it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from streamlib.core.limits import DEFAULTS, StreamLimits
from streamlib.errors import shown


def check_interval(batch_interval: object) -> None:
    """Check how often to send.

    Raises:
        ValueError: It is no time above 0: it would look for something to send without a pause.
    """
    if not isinstance(batch_interval, timedelta) or batch_interval <= timedelta(0):
        raise ValueError(
            f"batch_interval is {shown(batch_interval)}; it must be a timedelta above 0. To send "
            "an item at once, publish it with force_flush=True"
        )


def check_sizes(**sizes: object) -> None:
    """Check sizes, each by its name; None is no limit.

    Raises:
        ValueError: One is below 1, or no whole number.
    """
    for name, value in sizes.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} is {value!r}; it must be a whole number, at least 1")


def limits_for(max_batch_bytes: int | None) -> StreamLimits:
    """What an item is held to here: who asks for larger batches may have larger items too."""
    room = max_batch_bytes or 0
    if room <= DEFAULTS.batch_bytes:
        return DEFAULTS
    return replace(DEFAULTS, item_bytes=room, batch_bytes=room, page_bytes=room)

"""What a client may be told of sending and reading, and what its items are held to by that.

Knows no publisher and no reader. Next: `publisher.py`, which holds to it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from streamlib.core.limits import DEFAULTS, StreamLimits
from streamlib.errors import shown


def check_times(batch_interval: object, max_retry_duration: object) -> None:
    """Check how often to send, and for how long.

    Raises:
        ValueError: The interval is no time above 0: it would look for something to send without a
            pause; or the duration is no time, or below 0.
    """
    if not isinstance(batch_interval, timedelta) or batch_interval <= timedelta(0):
        raise ValueError(
            f"batch_interval is {shown(batch_interval)}; it must be a timedelta above 0. To send "
            "an item at once, publish it with force_flush=True"
        )
    if not isinstance(max_retry_duration, timedelta) or max_retry_duration < timedelta(0):
        raise ValueError(
            f"max_retry_duration is {shown(max_retry_duration)}; it must be a timedelta, 0 (to try "
            "once) or more, and below the stream's publisher_ttl"
        )


def check_reading(poll_cooldown: object, on_truncated: object) -> None:
    """Check how to read.

    Raises:
        ValueError: The cooldown is no time, or below 0; or what to do at a gap is not known.
    """
    if poll_cooldown is not None and (
        not isinstance(poll_cooldown, timedelta) or poll_cooldown < timedelta(0)
    ):
        raise ValueError(
            f"poll_cooldown is {shown(poll_cooldown)}; it must be a timedelta, 0 or more, or None "
            "to read items as they come"
        )
    if on_truncated not in ("skip", "raise"):
        raise ValueError(
            f'on_truncated is {shown(on_truncated)}; it must be "skip", to go on at the base, or '
            '"raise"'
        )


def check_sizes(**sizes: object) -> None:
    """Check sizes, each by its name; None is no limit.

    Raises:
        ValueError: One is below 1, or no whole number.
    """
    for name, value in sizes.items():
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"{name} is {value!r}; it must be a whole number, at least 1")


def limits_for(max_batch_bytes: int | None) -> StreamLimits:
    """What an item is held to here: who asks for larger batches may have larger items too."""
    room = max_batch_bytes or 0
    if room <= DEFAULTS.batch_bytes:
        return DEFAULTS
    return replace(DEFAULTS, item_bytes=room, batch_bytes=room, page_bytes=room)

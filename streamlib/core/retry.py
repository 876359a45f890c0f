"""The retry policy: how long to wait before the next try, and when to say that there is trouble.

    cause   what happened                       pause before the next try       told as trouble
    ------  ----------------------------------  ------------------------------  ----------------
    BUSY    the run's buffer is full just now   0 to 10 ms, by chance           after 3 seconds
    RATE    the server's rate limit             0.1 s, doubled up to 5 s        at once
    OUTAGE  no server, no worker, no answer     0.05 s, doubled up to 2 s       at once

One policy for publisher, feed and client. Pure: the time and the chance are arguments.

Next: `outbox.py`, what a publisher tries to send.
"""

from __future__ import annotations

from collections import Counter

from streamlib.errors import Cause

PATIENCE = 3.0
"""Seconds for which what passes by itself may last, before it is called trouble."""

_BUSY_PAUSE = 0.01  # seconds at most: the buffer empties in milliseconds, so chance beats patience
_PAUSES = {Cause.RATE: (0.1, 5.0), Cause.OUTAGE: (0.05, 2.0)}  # seconds: the first, the longest
_LONG_TRY = 60.0  # seconds; a try that failed later than this had worked before


class Retry:
    """The failures of one thing that is tried until it works.

    Each cause has a pause of its own that doubles: an outage that ends in a rate limit begins
    with that limit's shortest pause. The pause is cut by chance to no less than its half, so that
    processes that failed together do not come back together.

    Example:
        >>> retry = Retry()
        >>> retry.failed(Cause.OUTAGE, began=0.0, now=0.1, chance=1.0), retry.trouble
        (0.05, True)
        >>> retry.failed(Cause.OUTAGE, began=0.2, now=0.3, chance=0.0)
        0.05
        >>> retry.worked(); retry.trouble
        False
    """

    def __init__(self) -> None:
        self._tries: Counter[Cause] = Counter()
        self._since: float | None = None  # when it failed first, since it worked
        self._trouble = False

    @property
    def trouble(self) -> bool:
        """Whether it is time to say that it does not work."""
        return self._trouble

    def failed(self, cause: Cause, *, began: float, now: float, chance: float) -> float:
        """Note that a try failed, and return the seconds to wait before the next one.

        Args:
            cause: Why it failed.
            began: When the try began, in seconds of any clock that never goes back.
            now: The time, of the same clock.
            chance: A random number from 0 to 1.
        """
        if now - began > _LONG_TRY:
            self.worked()
        if self._since is None:
            self._since = now
        if cause is Cause.BUSY:
            if now - self._since < PATIENCE:
                return _BUSY_PAUSE * chance
            cause = Cause.OUTAGE  # a buffer that stays full has nobody who empties it
        self._trouble = True
        first, longest = _PAUSES[cause]
        pause = min(first * 2.0 ** min(self._tries[cause], 10), longest)
        self._tries[cause] += 1
        return pause * (0.5 + 0.5 * chance)

    def worked(self) -> None:
        """Note that a try worked: the next failure is a first one again."""
        self._tries.clear()
        self._since = None
        self._trouble = False

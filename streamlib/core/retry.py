"""The retry policy: how long to wait before the next try, and when to say that there is trouble.

    cause   what happened                       pause before the next try       told as trouble
    ------  ----------------------------------  ------------------------------  ----------------
    BUSY    the run's buffer is full just now   0 to 10 ms, by chance           after 3 seconds
    RATE    the server's rate limit             0.1 s, doubled up to 5 s        at once
    OUTAGE  no server, no worker, no answer     0.05 s, doubled up to 1 s       at the second one,
                                                                                or after a second

After each pause of an outage it is tried twice, 0.05 s apart: where a name has several addresses
and one of them is gone, the second try meets another one. So one quick failure is no trouble yet,
and a recovery is noticed in time.

One policy for publisher, feed and client. Pure: the time and the chance are arguments.

Next: `outbox.py`, what a publisher tries to send.
"""

from __future__ import annotations

from collections import Counter

from streamlib.errors import Cause

PATIENCE = 3.0
"""Seconds for which what passes by itself may last, before it is called trouble."""

_BUSY_PAUSE = 0.01  # seconds at most: the buffer empties in milliseconds, so chance beats patience
_PAUSES = {Cause.RATE: (0.1, 5.0), Cause.OUTAGE: (0.05, 1.0)}  # seconds: the first, the longest
_QUICK = 1.0  # seconds; an outage that was noticed sooner may be that of one address
_LONG_TRY = 60.0  # seconds; a try that failed later than this had worked before


class Retry:
    """The failures of one thing that is tried until it works.

    Each cause has a pause of its own that doubles: an outage that ends in a rate limit begins
    with that limit's shortest pause. A pause is cut by chance to no less than its half, so that
    processes that failed together do not come back together.

    Example:
        >>> retry = Retry()
        >>> retry.failed(Cause.OUTAGE, began=0.0, now=0.1, chance=1.0), retry.trouble
        (0.05, False)
        >>> retry.failed(Cause.OUTAGE, began=0.2, now=0.3, chance=0.0), retry.trouble
        (0.05, True)
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
        if cause is Cause.RATE or self._tries[cause] or now - began >= _QUICK:
            self._trouble = True
        first, longest = _PAUSES[cause]
        doubled = self._tries[cause]
        self._tries[cause] += 1
        if cause is Cause.OUTAGE:  # and every other pause is the shortest one
            doubled = (doubled + 1) // 2 if doubled % 2 else 0
        pause = min(first * 2.0 ** min(doubled, 10), longest)
        return pause * (0.5 + 0.5 * chance)

    def worked(self) -> None:
        """Note that a try worked: the next failure is a first one again."""
        self._tries.clear()
        self._since = None
        self._trouble = False

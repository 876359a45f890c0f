"""Retention: what a host drops by itself, as items come and when it rolls over.

    keep at most   max_items | max_bytes | max_age | what a named reader has still to read
    the new base   ------------------ the highest of what these say ---------------------->

It has no timer: what is too old goes when the next item comes. So a stream to which nothing comes
keeps what it has. Readers who are behind see the gap as any other. Pure: the time is an argument.

Next: `readers.py`, whose slowest may hold items back.
"""

# No `from __future__ import annotations`, as in `wire/shapes.py`: a workflow's input may hold a
# `Retention`.

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from streamlib.core.log import Log
from streamlib.errors import InvalidLimitsError, shown

_GROUPS = 100
"""Into how many parts an age is divided: so much more exactly it is not kept, nor carried."""

_LONGEST = timedelta(days=36_500)


@dataclass(frozen=True)
class Retention:
    """How much of its log a stream keeps. Each bound that is set holds; none: it keeps all.

    Invariant: the bounds are such that a stream can keep to them.

    Example:
        WorkflowStream(prior_state, retention=Retention(max_items=10_000))

    Raises:
        InvalidLimitsError: A bound is no whole number from 1 on, or no time above 0; or
            `until_read` stands alone.
    """

    max_items: int | None = None
    """The most items that stay: the newest."""

    max_bytes: int | None = None
    """The most bytes that stay, as they travel; but always the newest item."""

    max_age: timedelta | None = None
    """How long an item stays; up to a hundredth longer, and until the next one comes. What came
    under a longer age stays up to a hundredth of that one longer."""

    until_read: bool = False
    """Whether what every named reader has handled goes at once. It needs another bound beside it:
    a reader that never comes back would keep everything."""

    def __post_init__(self) -> None:
        for name in ("max_items", "max_bytes"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise InvalidLimitsError(name, value, "a whole number from 1 on, or None")
        age: object = self.max_age
        if age is not None and not (isinstance(age, timedelta) and timedelta() < age <= _LONGEST):
            raise InvalidLimitsError("max_age", age, f"a time above 0, up to {_LONGEST}, or None")
        if type(self.until_read) is not bool:
            raise InvalidLimitsError("until_read", self.until_read, "True or False")
        if self.until_read and not self._is_bounded:
            must_be = "joined by max_items, max_bytes or max_age: else one reader keeps everything"
            raise InvalidLimitsError("until_read", True, must_be)

    @property
    def _is_bounded(self) -> bool:
        return not (self.max_items is None and self.max_bytes is None and self.max_age is None)

    def __bool__(self) -> bool:
        """Whether anything ever goes."""
        return self._is_bounded


def check_retention(retention: object) -> None:
    """Nothing, if it is a `Retention`; a `TypeError` for anything else."""
    if not isinstance(retention, Retention):
        raise TypeError(f"retention is {shown(retention)}, and no Retention")


class Ages:
    """When items came: up to which offset by when.

        at               at + a hundredth of the age
        |  x   x x    x  |    what comes within is one group, and goes as one: when none of it
                              can be younger than the age

    Invariant: offsets and times ascend, and there are about a hundred of them at most.
    """

    def __init__(self, age: timedelta, told: Sequence[tuple[int, datetime]] = ()) -> None:
        self.groups = deque(told)
        self._age, self._span = age, age / _GROUPS

    def note(self, end_offset: int, now: datetime) -> None:
        """Items have come, up to `end_offset`."""
        if self.groups and now - self.groups[-1][1] < self._span:
            now = self.groups.pop()[1]
        self.groups.append((end_offset, now))

    def past(self, now: datetime) -> int:
        """The offset below which all is too old now; 0 if nothing is."""
        past, stays = 0, self._age + self._span
        while self.groups and now - self.groups[0][1] > stays:
            past = self.groups.popleft()[0]
        return past


class Keeper:
    """Says from which offset on a log is to be kept.

    Example:
        >>> log, noon = Log(), datetime(2026, 1, 1, 12)
        >>> keeper = Keeper(Retention(max_items=1), log, noon)
        >>> for letter in "abc": log.append(Item("t", letter, 1))
        >>> keeper.base(log, noon)
        2
    """

    def __init__(
        self,
        policy: Retention,
        log: Log,
        now: datetime,
        times: Sequence[tuple[int, datetime]] = (),
        noted_for: timedelta | None = None,
    ) -> None:
        """Begin with a log, at `now`: what has no time in `times` counts from now on.

        Args:
            noted_for: The `max_age` by which they were noted; None: the policy's own.
        """
        self.policy = policy
        if policy.max_age and noted_for and noted_for != policy.max_age:
            times = _regrouped(times, noted_for, policy.max_age, now)
        self._ages = Ages(policy.max_age, times) if policy.max_age else None
        self._seen = times[-1][0] if times else log.base_offset
        self._note(log, now)

    @property
    def times(self) -> list[tuple[int, datetime]]:
        """Up to which offset items had come by when, oldest first; empty if age is no matter."""
        return [*self._ages.groups] if self._ages else []

    def base(self, log: Log, now: datetime, slowest: int | None = None) -> int:
        """Return the offset below which everything should go; the log is as it was.

        Args:
            log: It may have grown since the last call.
            slowest: Where the slowest named reader stands; None without any.
        """
        keep, bounds = self.policy, [log.base_offset]
        self._note(log, now)
        if self._ages is not None:
            bounds.append(self._ages.past(now))
        if keep.max_items is not None:
            bounds.append(log.end_offset - keep.max_items)
        if keep.max_bytes is not None and log.size > keep.max_bytes:
            bounds.append(_without(log, log.size - keep.max_bytes))
        if keep.until_read and slowest is not None:
            bounds.append(slowest)
        return max(bounds)

    def _note(self, log: Log, now: datetime) -> None:
        if self._ages is not None and log.end_offset > self._seen:
            self._seen = log.end_offset
            self._ages.note(log.end_offset, now)


def _regrouped(
    times: Sequence[tuple[int, datetime]], old: timedelta, new: timedelta, now: datetime
) -> list[tuple[int, datetime]]:
    """Times noted for the `old` age, as if for the `new` one: each group ends when it did."""
    # So no item goes too early. Where the new age is shorter, the first of an old group stay
    # longer: when each came within it, nobody knows any more.
    return [(offset, min(at + old / _GROUPS, now) - new / _GROUPS) for offset, at in times]


def _without(log: Log, size: int) -> int:
    """Where the log would begin if its oldest items of at least `size` bytes went, but one."""
    page = log.read(log.base_offset, (), size)
    rest = sum(item.size for _, item in page.items) < size
    return min(page.next_offset + rest, log.end_offset - 1)

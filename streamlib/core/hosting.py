"""What a host decides, without a workflow: what gets in, what a poll is told, and when.

    batch --take-->    accepted | duplicate          --> Log, Publishers, Ledger
    what came --retain-->                            --> the oldest go, if that was asked for
    what is no batch --refuse--> refused | duplicate --> counted, and told now and then
    poll  --may_answer--> wait | answer              --> Page

The shell (`host/stream.py`) parses what arrives, says what time it is, waits, and answers. It also
says of which run this is, from which follows whose log it is (`id_of_log`). Pure.

Next: `wire/shapes.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from streamlib.core.dedup import Publishers
from streamlib.core.ledger import ACCEPTED, DUPLICATE, Ledger
from streamlib.core.limits import DEFAULTS, LEGACY, StreamLimits
from streamlib.core.log import Item, Log, Page
from streamlib.core.readers import Readers, ReaderTold
from streamlib.core.retention import Keeper, Retention
from streamlib.errors import InvalidLimitsError, OffsetTruncatedError, shown

ANSWER_FRAME_BYTES = 512
"""What an answer has besides its items, and more."""

_LINES, _A_LINE_MORE = 10, timedelta(seconds=10)
_A_DAY = timedelta(days=1)


class RunFacts(NamedTuple):
    """What a run knows about its place in the chain of runs."""

    run_id: str
    original_run_id: str
    """Another one than `run_id` where this run is a reset."""

    first_run_id: str
    """Of the chain: kept by roll-overs, retries, cron and resets alike."""

    continued_run_id: str | None
    """The run before it: of a roll-over, of a retry, or of cron."""

    attempt: int = 1
    cron: bool = False


class Carried(NamedTuple):
    """Whose log a state says it is, and which run built it; None from a peer or an older run."""

    stream_id: str | None
    handed_over_by: str | None


def id_of_log(run: RunFacts, carried: Carried | None) -> str:
    """Return the id of the log that a run begins with: that of the run in which the log began.

    A retry, a cron run and a reset start from the same input as a run before them, or from an
    older log: then the items are others at the same offsets, so the log gets an id of its own.
    A state knows for whom it was built: for the run that continues `handed_over_by`.

    Args:
        carried: What the state said; None without a state.
    """
    if carried is None or run.run_id != run.original_run_id:
        return run.run_id
    if carried.stream_id is not None:
        rightful = carried.handed_over_by and carried.handed_over_by == run.continued_run_id
        return carried.stream_id if rightful else run.run_id
    return run.run_id if run.attempt > 1 or run.cron else run.first_run_id


class HostedStream:
    """A log with its publishers, as one run hosts it.

    Invariant: what is not accepted changes counters, and nothing else.

    Example:
        >>> stream = HostedStream(now=datetime(2026, 1, 1))
        >>> stream.take([Item("t", "data", 9)], "p", 1, datetime(2026, 1, 1))
        'accepted'
        >>> stream.may_answer(0), stream.may_answer(1), stream.answer(0).next_offset
        (True, False, 1)
    """

    def __init__(
        self,
        log: Log | None = None,
        publishers: Publishers | None = None,
        *,
        now: datetime,
        limits: StreamLimits = DEFAULTS,
        publisher_ttl: timedelta | None = None,
        seams: Sequence[int] = (),
        readers: Readers | None = None,
        keeper: Keeper | None = None,
        retained: bool = False,
    ) -> None:
        """Begin with what a state held, or empty, at `now`.

        Args:
            publisher_ttl: Forget publishers that were idle for longer; None: never.
            seams: The offsets at which runs took over.
            keeper: Says what goes by itself; None: nothing does.
            retained: Whether that was asked for while a run went on, and not as it began.

        Raises:
            TypeError: `publisher_ttl` is no timedelta.
            InvalidLimitsError: It is no time above 0: every retry would be taken for a new batch.
        """
        if publisher_ttl is not None:
            if not isinstance(publisher_ttl, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"publisher_ttl is {shown(publisher_ttl)}, and no timedelta")
            if publisher_ttl <= timedelta():
                raise InvalidLimitsError("publisher_ttl", publisher_ttl, "a time above 0, or None")
        self.log = Log() if log is None else log
        self.publishers = Publishers() if publishers is None else publishers
        self.ledger = Ledger(seams=seams)
        self.limits = limits
        self.signals = self.updates = 0  # of this run
        self.detaching = False  # polls are answered at once, and no new ones taken
        self.readers = Readers() if readers is None else readers
        self.keeper = keeper
        self.retained = retained
        self._publisher_ttl = publisher_ttl
        self._next_prune = self._next_look = now
        self._lines = _Lines(now)

    @property
    def was_asked(self) -> bool:
        """Whether a signal or an update has come in this run."""
        return self.signals + self.updates > 0

    @property
    def page_bytes(self) -> int:
        """The most that the items of an answer have. What is answered decides nothing, so a run
        that keeps to the legacy limits has today's."""
        limits = DEFAULTS if self.limits is LEGACY else self.limits
        return max(1, limits.page_bytes - ANSWER_FRAME_BYTES)

    def append(self, item: Item, now: datetime) -> None:
        """Append an item of the workflow's own."""
        self._prune(now)
        self.log.append(item)
        self.retain(now)

    def take(self, items: Sequence[Item], publisher_id: str, sequence: int, now: datetime) -> str:
        """Append a batch, unless it was here already; return what became of it."""
        self._prune(now)
        if not self.publishers.accept(publisher_id, sequence, now):
            self.ledger.duplicate(publisher_id, sequence)
            return DUPLICATE
        first = self.log.end_offset
        for item in items:
            self.log.append(item)
        self.ledger.accepted(publisher_id, sequence, first, len(items))
        self.retain(now)
        return ACCEPTED

    def keep(self, retention: Retention, now: datetime) -> None:
        """Keep so much from now on."""
        before = self.keeper
        times, age = (before.times, before.policy.max_age) if before is not None else ((), None)
        self.keeper = Keeper(retention, self.log, now, times, age) if retention else None
        self.retained = True
        self.retain(now)

    def retain(self, now: datetime) -> None:
        """Let go what is not to be kept, and no longer for names that nobody reads by."""
        self._look(now)
        if self.keeper is not None:
            self.log.truncate(self.keeper.base(self.log, now, self.readers.slowest))

    def refuse(
        self, publisher_id: str, reason: str, now: datetime, sequence: int = 0
    ) -> int | None:
        """Count an invalid batch; note it as refused, or as a duplicate of one that was accepted.

        So a batch that is stored is never told as refused: it may come again under lower limits,
        as its acknowledgement was lost, or somebody forges it. One that was refused stays that.

        Returns:
            Whether to tell it: None for no, else how many were not told since the last one.
        """
        self.publishers.refuse(publisher_id)
        was_refused = self.ledger.is_refused(publisher_id, sequence)
        if self.publishers.knows(publisher_id, sequence) and not was_refused:
            self.ledger.refusals += 1
            self.ledger.duplicate(publisher_id, sequence)
        else:
            self.ledger.refused(publisher_id, reason, sequence)
        return self._lines.take(now)

    def hear(self, told: ReaderTold, stream_id: str, now: datetime) -> None:
        """Note where a named reader stands, unless that cannot be, or is of another log.

        Names that are too old are forgotten first: so they take no place from a new one, also
        where no items come. Who comes as late as that begins anew.
        """
        end = self.log.end_offset
        self.readers.prune(now, end)
        if told.stream_id not in (None, stream_id):
            self.readers.refuse()
        elif told.action == "join":
            self.readers.join(told.name, told.token, told.position, now, end)
        else:
            again = told.action == "rewind"
            self.readers.commit(told.name, told.token, told.position, now, end, rewind=again)

    def may_answer(self, from_offset: int) -> bool:
        """Whether a waiting poll should be answered now: also if what it waits at was truncated."""
        return self.detaching or from_offset < self.log.end_offset

    def answer(self, from_offset: int, topics: Collection[str] = ()) -> Page:
        """What a poll update is told.

        Raises:
            OffsetTruncatedError: The offset was truncated.
        """
        if self._is_truncated(from_offset):
            raise OffsetTruncatedError(from_offset, self.log.base_offset)
        return self.read(from_offset, topics)

    def read(self, from_offset: int, topics: Collection[str] = ()) -> Page:
        """What a poll query is told: below the base, it begins at the base."""
        return self.log.read(from_offset, topics, self.page_bytes)

    def _is_truncated(self, from_offset: int) -> bool:
        # 0 asks for the oldest there is, which is always there or yet to come.
        return 0 < from_offset < self.log.base_offset

    def _prune(self, now: datetime) -> None:
        """Forget idle publishers, if that was asked for, and names; now and then."""
        self._look(now)
        if self._publisher_ttl is not None and now >= self._next_prune:
            self.publishers.prune(now, self._publisher_ttl)
            self._next_prune = now + self._publisher_ttl / 10

    def _look(self, now: datetime) -> None:
        """Forget the names that nobody reads by; now and then."""
        if now >= self._next_look:
            self.readers.prune(now, self.log.end_offset)
            self._next_look = now + min(self.readers.ttl / 100, _A_DAY)


class _Lines:
    """Some lines at once, then one now and then: a flood of bad signals is no flood of lines."""

    def __init__(self, now: datetime) -> None:
        self._left, self._since, self._untold = _LINES, now, 0

    def take(self, now: datetime) -> int | None:
        more = (now - self._since) // _A_LINE_MORE
        self._since += more * _A_LINE_MORE
        self._left = min(_LINES, self._left + more)
        if self._left <= 0:
            self._untold += 1
            return None
        untold, self._untold = self._untold, 0
        self._left -= 1
        return untold

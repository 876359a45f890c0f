"""What publishers did and what readers saw, and a checker of what must hold about it.

    invoke  --> ok       flush() or the end of `async with` returned
            --> fail     certainly not stored: no reader may ever see it
            --> unknown  given up, or its publisher was killed: at most one offset

Values are unique, so that each can be followed from the line that published it to every reader.
The vocabulary is that of Jepsen's Kafka checker. The checker itself is tested on planted
violations in `test_history.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from temporalio.client import WorkflowExecutionStatus


@dataclass
class Write:
    """One value that was published; those of one `batch` are accepted or dropped together."""

    publisher: str
    value: str
    topic: str = "t"
    batch: object = None
    stream: str = ""  # the stream's id, where a test has several
    outcome: Literal["unknown", "ok", "fail"] = "unknown"


@dataclass
class Seen:
    """One item as a reader got it."""

    offset: int
    value: str
    missed: int = 0


@dataclass
class Reading:
    """One subscription, from its start to where it was left, or to its end."""

    name: str
    from_offset: int = 0
    topics: frozenset[str] = frozenset()
    stream: str = ""
    seen: list[Seen] = field(default_factory=list)
    ended: WorkflowExecutionStatus | None = None
    missed: int = 0  # in all, as the subscription says
    raised: str = ""


class History:
    """Writes and readings of one run of a scenario."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.readings: list[Reading] = []

    def invoke(self, publisher: str, value: str, **about: Any) -> Write:
        """Note a value that is about to be published."""
        self.writes.append(Write(publisher, value, **about))
        return self.writes[-1]

    def reading(self, name: str, **about: Any) -> Reading:
        """Note a subscription."""
        self.readings.append(Reading(name, **about))
        return self.readings[-1]

    def violations(
        self,
        *,
        base_offset: int = 0,
        end_offset: int | None = None,
        status: WorkflowExecutionStatus | None = None,
    ) -> list[str]:
        """Everything that does not hold, in words; empty if all is well.

        Args:
            base_offset: Up to where the log was truncated in the end.
            end_offset: Where the log ended; None: readers were left before its end.
            status: How the run ended; None: it is still open.
        """
        log = _Log(self.readings)
        checks: list[Iterable[str]] = [
            log.disagreements,
            _phantoms(self.writes, log),
            _duplicates(log),
            _lost(self.writes, log, base_offset),
            _disorder(self.writes, log),
            _torn(self.writes, log, base_offset),
            _strays(self.writes, self.readings),
        ]
        for reading in self.readings:
            checks += [_order(reading), _gaps(reading, log, self.writes)]
            checks += [_end(reading, end_offset, status)]
        return [violation for check in checks for violation in check]

    def check(self, **about: Any) -> None:
        """Fail the test if anything does not hold."""
        found = self.violations(**about)
        assert not found, f"{len(found)} violations:\n" + "\n".join(found[:20])


class _Log:
    """What all readers together know: offset -> value, and back."""

    def __init__(self, readings: list[Reading]) -> None:
        self.values: dict[int, str] = {}
        self.offsets: defaultdict[str, set[int]] = defaultdict(set)
        self.disagreements: list[str] = []
        for reading in readings:
            for seen in reading.seen:
                known = self.values.setdefault(seen.offset, seen.value)
                if known != seen.value:
                    self.disagreements.append(
                        f"disagreement: offset {seen.offset} is {known!r}, "
                        f"but {seen.value!r} to {reading.name}"
                    )
                self.offsets[seen.value].add(seen.offset)

    def offset(self, write: Write) -> int | None:
        return min(self.offsets.get(write.value, ()), default=None)


def _phantoms(writes: list[Write], log: _Log) -> Iterator[str]:
    known = {write.value: write for write in writes}
    for value in log.offsets:
        if value not in known:
            yield f"phantom: {value!r} was never published"
        elif known[value].outcome == "fail":
            yield f"phantom: {value!r} failed for certain, and was read"


def _duplicates(log: _Log) -> Iterator[str]:
    for value, offsets in log.offsets.items():
        if len(offsets) > 1:
            yield f"duplicate: {value!r} is at {sorted(offsets)}"


def _lost(writes: list[Write], log: _Log, base_offset: int) -> Iterator[str]:
    """An acknowledged value that nobody read must lie at an offset that was truncated unread."""
    unread = [w for w in writes if w.outcome == "ok" and not log.offsets.get(w.value)]
    truncated = [offset for offset in range(base_offset) if offset not in log.values]
    if len(unread) > len(truncated):
        yield (
            f"lost write: {len(unread)} acknowledged values were read by nobody "
            f"({[w.value for w in unread[:5]]} …), and {len(truncated)} offsets were truncated"
        )


def _disorder(writes: list[Write], log: _Log) -> Iterator[str]:
    last: dict[str, tuple[int, str]] = {}
    for write in writes:
        offset = log.offset(write)
        if offset is None:
            continue
        before, value = last.get(write.publisher, (-1, ""))
        if offset <= before:
            yield f"publisher order: {write.value!r} at {offset}, {value!r} at {before}"
        last[write.publisher] = (offset, write.value)


def _torn(writes: list[Write], log: _Log, base_offset: int) -> Iterator[str]:
    batches: defaultdict[object, list[Write]] = defaultdict(list)
    for write in writes:
        if write.batch is not None:
            batches[write.publisher, write.batch].append(write)
    for (publisher, batch), members in batches.items():  # type: ignore[misc]
        offsets = [log.offset(write) for write in members]
        there = [offset for offset in offsets if offset is not None]
        if there and 0 < base_offset >= there[0]:  # its beginning may have been truncated
            offsets = offsets[offsets.index(there[0]) :]
        if not there:
            continue
        if None in offsets or any(b - a != 1 for a, b in pairwise(there)):
            yield f"torn batch: {batch!r} of {publisher} is at {offsets}"


def _strays(writes: list[Write], readings: list[Reading]) -> Iterator[str]:
    streams = {write.value: write.stream for write in writes}
    for reading in readings:
        for seen in reading.seen:
            if streams.get(seen.value, reading.stream) != reading.stream:
                yield f"incarnation: {reading.name} read {seen.value!r} of another stream"


def _order(reading: Reading) -> Iterator[str]:
    for one, two in pairwise(reading.seen):
        if two.offset <= one.offset:
            yield f"nonmonotonic: {reading.name} read {one.offset}, then {two.offset}"


def _gaps(reading: Reading, log: _Log, writes: list[Write]) -> Iterator[str]:
    """Steps of one, or a gap of exactly the size that was told; filtered: nothing of ours in it."""
    topics = {write.value: write.topic for write in writes}
    position = reading.from_offset
    for seen in reading.seen:
        skipped = range(position, seen.offset)
        if reading.topics:
            ours = [n for n in skipped if topics.get(log.values.get(n, "")) in reading.topics]
            if len(ours) > seen.missed or seen.missed > len(skipped):
                yield f"skip: {reading.name} passed {ours} and was told of {seen.missed}"
        elif len(skipped) != seen.missed:
            yield (
                f"skip: {reading.name} went from {position} to {seen.offset} and was told of "
                f"{seen.missed}"
            )
        position = seen.offset + 1
    told = sum(seen.missed for seen in reading.seen)
    if told > reading.missed:
        yield f"skip: {reading.name} counts {reading.missed} missed, its items say {told}"


def _end(
    reading: Reading, end_offset: int | None, status: WorkflowExecutionStatus | None
) -> Iterator[str]:
    if reading.raised:
        yield f"raised: {reading.name} got {reading.raised}"
    if reading.ended != status:
        yield f"dishonest end: {reading.name} says {reading.ended}, the run {status}"
    if end_offset is None or reading.topics:
        return
    read = reading.seen[-1].offset + 1 if reading.seen else reading.from_offset
    told = sum(seen.missed for seen in reading.seen)
    if read + reading.missed - told != max(end_offset, reading.from_offset):
        yield f"unseen: {reading.name} ended at {read} of {end_offset}"

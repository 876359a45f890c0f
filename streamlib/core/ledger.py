"""The ledger: which batch gave which offsets, and which were dropped or refused.

    sequence   1         2       2 again     3
    verdict    accepted  accepted duplicate  accepted
    offsets    [0 1 2]   [3 4]      |        [5]
                           ^________|  the copy that won

It exists to be looked at (`describe.py`): the log and its deduplication do not need it. Bounded:
it forgets the oldest batches. What comes costs the same however much is remembered. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

ACCEPTED, DUPLICATE, REFUSED = "accepted", "duplicate", "refused"
_BETTER = {ACCEPTED: 2, DUPLICATE: 1, REFUSED: 0}

_Key = tuple[str, int]  # publisher and sequence


class Batch(NamedTuple):
    """What became of one batch. Offsets `[first_offset, first_offset + items)` are its own.

    For a duplicate they are those of the copy that won, and None if that is forgotten. A batch
    that was refused has none, but a `reason`.
    """

    publisher_id: str
    sequence: int
    verdict: str
    first_offset: int | None
    items: int
    reason: str = ""


class Ledger:
    """Remembers the last batches, at least `keep` of them and at most twice as many.

    Example:
        >>> ledger = Ledger()
        >>> ledger.accepted("p", 1, first_offset=0, items=3); ledger.duplicate("p", 1)
        >>> ledger.batch_at(2).sequence, ledger.latest(1)[0].first_offset
        (1, 0)
    """

    def __init__(self, keep: int = 2048, *, seams: Sequence[int] = ()) -> None:
        """Begin without batches; `seams` are the offsets at which runs took over, just kept."""
        self.seams = seams
        self._keep = keep
        self._batches: list[Batch] = []
        self._best: dict[_Key, Batch] = {}  # of those, for each publisher and sequence
        self._accepted: list[Batch] = []  # with items; their offsets ascend
        self._won: dict[_Key, Batch] = {}  # the same, by publisher and sequence
        self.refusals = 0

    def accepted(self, publisher_id: str, sequence: int, first_offset: int, items: int) -> None:
        """Note a batch whose items were appended."""
        batch = Batch(publisher_id, sequence, ACCEPTED, first_offset, items)
        self._note(batch)
        if items:
            self._accepted.append(batch)
            self._won[_key(batch)] = batch
            if len(self._accepted) >= 2 * self._keep:
                del self._accepted[: self._keep]
                self._won = {_key(each): each for each in self._accepted}

    def duplicate(self, publisher_id: str, sequence: int) -> None:
        """Note a batch that was here already, and which copy won."""
        won = self._won.get((publisher_id, sequence))
        offset, items = (won.first_offset, won.items) if won else (None, 0)
        self._note(Batch(publisher_id, sequence, DUPLICATE, offset, items))

    def refused(self, publisher_id: str, reason: str, sequence: int = 0) -> None:
        """Note a batch that was invalid, and why; its sequence, if it said one."""
        self.refusals += 1
        self._note(Batch(publisher_id, sequence, REFUSED, None, 0, reason))

    def is_refused(self, publisher_id: str, sequence: int) -> bool:
        """Whether nothing better is remembered of this batch than that it was refused."""
        best = self._best.get((publisher_id, sequence))
        return best is not None and best.verdict == REFUSED

    def verdicts(self, publisher_id: str, sequences: Collection[int]) -> list[Batch]:
        """What became of these batches of a publisher: of each the best that is remembered.

        Accepted is better than a duplicate, and that better than refused: what was sent again
        after it was accepted is a duplicate, and stored.
        """
        keys = ((publisher_id, sequence) for sequence in dict.fromkeys(sequences))
        return [self._best[key] for key in keys if key in self._best]

    def latest(self, count: int) -> list[Batch]:
        """The last `count` batches, oldest first."""
        return self._batches[-count:] if count > 0 else []

    def batch_at(self, offset: int) -> Batch | None:
        """The batch that gave `offset`; None if the workflow published it, or it is forgotten."""
        index = bisect_right(self._accepted, offset, key=_first_offset) - 1
        if index < 0:
            return None
        batch = self._accepted[index]
        return batch if offset < _first_offset(batch) + batch.items else None

    def batches_of(self, first: int, end: int) -> Iterator[tuple[int, Batch | None]]:
        """Who gave the offsets `[first, end)`: how many in a row, and what `batch_at` says."""
        index = bisect_right(self._accepted, first, key=_first_offset) - 1
        for batch in self._accepted[max(index, 0) :]:
            start = min(max(first, _first_offset(batch)), end)
            stop = min(_first_offset(batch) + batch.items, end)
            if start > first:
                yield start - first, None
            if stop > start:
                yield stop - start, batch
            first = max(start, stop)
            if first >= end:
                return
        if end > first:
            yield end - first, None

    def _note(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._rank(batch)
        if len(self._batches) >= 2 * self._keep:
            del self._batches[: self._keep]
            self._best.clear()
            for each in self._batches:
                self._rank(each)

    def _rank(self, batch: Batch) -> None:
        known = self._best.get(_key(batch))
        if known is None or _BETTER[batch.verdict] > _BETTER[known.verdict]:
            self._best[_key(batch)] = batch


def _key(batch: Batch) -> _Key:
    return batch.publisher_id, batch.sequence


def _first_offset(batch: Batch) -> int:
    return batch.first_offset or 0

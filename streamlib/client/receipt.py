"""Receipts: what became of an item, once that is known.

    send --> Receipt --(its batch is acknowledged)--> one describe for all that wait --> Outcome
                 |____ (its batch was given up) ____________________________________________^

An acknowledged batch is in the run's history, and is handled there in its turn: whether it got in,
and at which offsets, only the host can say. It says so for as long as it remembers; and it is asked
by query, which writes nothing. Next: `publisher.py`, which makes them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from streamlib.client.patience import patiently
from streamlib.client.transport import Transport
from streamlib.core.ledger import ACCEPTED, DUPLICATE, REFUSED, Batch
from streamlib.errors import GivenUpBatch, NotAStreamError, StreamNotFoundError
from streamlib.wire.describe import DescribeInput, parse_description

MOST = 1_000
"""How many batches one query asks for."""


class Outcome(NamedTuple):
    """What became of an item.

    "stored" at `offset`; "duplicate": its batch was dropped as one that was here already, and
    where that is nobody knows any more; "refused", for a `reason`: it is certainly not stored;
    "unknown", for a `reason`: nobody can say, as the host has forgotten, has rolled over, or tells
    nobody.
    """

    verdict: Literal["stored", "duplicate", "refused", "unknown"]
    offset: int | None = None
    reason: str = ""


class Receipt:
    """One item's receipt. Await it to learn what became of the item; many may, and again.

    Example:
        receipt = await topic.send("paid")
        outcome = await receipt
        print(outcome.verdict, outcome.offset)
    """

    def __init__(self, number: int, settle: Callable[[Receipt], Awaitable[Outcome]]) -> None:
        self.number = number
        """How many items the client had published before this one."""
        self.batch: tuple[int, int] | None = None  # its sequence, and the place in it
        self.given_up: GivenUpBatch | None = None
        self.waiters = 0
        self.outcome: Outcome | None = None
        self._settle = settle

    @property
    def is_settled(self) -> bool:
        """Whether its batch was acknowledged, or given up."""
        return self.batch is not None

    def __await__(self) -> Generator[Any, None, Outcome]:
        """Wait until the item's batch is settled, and return what became of it.

        Raises:
            StreamUnavailableError: Neither server nor worker answered within 10 seconds, so that
                nobody can say yet. Await it again.
            Exception: What made sending in the background fail. The item is kept, and sent when
                somebody flushes or awaits again.
            CancelledError: Cancelled. Nothing changes for the item.
        """
        return self._outcome().__await__()

    async def _outcome(self) -> Outcome:
        if self.outcome is None:
            self.waiters += 1
            try:
                self.outcome = await self._settle(self)
            finally:
                self.waiters -= 1
        return self.outcome


class Receipts:
    """All receipts of one publisher that are not settled, and the asking for those that are.

    Invariant: one query is under way at a time, and the next one asks for all that wait by then.
    """

    def __init__(self, transport: Transport, publisher_id: str) -> None:
        self._transport = transport
        self._publisher_id = publisher_id
        self._open: deque[Receipt] = deque()  # in the order of their numbers
        self._wanted: dict[int, None] = {}  # sequences that somebody waits for
        self._answers: asyncio.Future[dict[int, Batch] | None] | None = None

    def add(self, receipt: Receipt) -> None:
        """A new item's."""
        self._open.append(receipt)

    def settled(self, first: int, count: int, sequence: int, given_up: GivenUpBatch | None) -> bool:
        """A batch was acknowledged, or given up; whether every item of it is waited for by one."""
        told = 0
        while self._open and self._open[0].number < first + count:
            receipt = self._open.popleft()
            receipt.batch, receipt.given_up = (sequence, receipt.number - first), given_up
            told += receipt.waiters > 0
        return told == count

    async def outcome(self, receipt: Receipt) -> Outcome:
        """What became of an item whose batch is settled.

        Raises:
            StreamUnavailableError: No answer within 10 seconds.
        """
        assert receipt.batch is not None
        (sequence, place), given_up = receipt.batch, receipt.given_up
        if given_up is not None and not given_up.may_be_stored:
            return Outcome("refused", reason=given_up.reason)
        verdicts = await self._verdicts(sequence)
        if verdicts is None:
            return Outcome("unknown", reason="the host does not say what became of batches")
        batch = verdicts.get(sequence)
        if batch is None:
            return Outcome("unknown", reason="the host does not remember this batch")
        return _outcome(batch, place)

    async def _verdicts(self, sequence: int) -> dict[int, Batch] | None:
        """What the host says of the batches that are asked for together; None if it never does."""
        self._wanted[sequence] = None
        while True:
            if (asking := self._answers) is None:
                asking = self._answers = asyncio.ensure_future(self._ask())
                asking.add_done_callback(self._is_answered)
            await asyncio.wait([asking])
            if asking.cancelled():
                continue
            answers = asking.result()
            if answers is None or sequence in answers:
                return answers
            if sequence not in self._wanted:
                return answers  # it was asked for, and is not remembered

    def _is_answered(self, asking: asyncio.Future[Any]) -> None:
        self._answers = None
        if not asking.cancelled():
            asking.exception()  # looked at, also when nobody waits any more

    async def _ask(self) -> dict[int, Batch] | None:
        asked = [*self._wanted][:MOST]
        for sequence in asked:
            del self._wanted[sequence]
        return await self._describe(asked)

    async def _describe(self, sequences: Sequence[int]) -> dict[int, Batch] | None:
        asked = DescribeInput(publisher_id=self._publisher_id, sequences=tuple(sequences))
        run_id = self._transport.pinned_run_id

        def ask(timeout: timedelta) -> Awaitable[Any]:
            return self._transport.describe(run_id, asked, timeout)

        try:
            about = parse_description(await patiently(ask))
        except (NotAStreamError, StreamNotFoundError):
            return None
        if about.verdicts is None:
            return None
        if about.verdicts_left_out < len(sequences):  # else it would be asked for ever
            told = len(sequences) - about.verdicts_left_out
            self._wanted |= dict.fromkeys(sequences[told:])
        return {each.sequence: each for each in about.verdicts}


def _outcome(batch: Batch, place: int) -> Outcome:
    if batch.verdict == REFUSED:
        return Outcome("refused", reason=batch.reason)
    if batch.first_offset is not None and batch.verdict in (ACCEPTED, DUPLICATE):
        return Outcome("stored", batch.first_offset + place)
    return Outcome("duplicate")

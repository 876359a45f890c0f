"""Notebook 07's exercises. How a check works: `judging.py`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from temporalio.client import (
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.service import RPCError

from streamlib import WorkflowStreamClient
from streamlib.lab.lessons.bill import runs
from streamlib.lab.lessons.checks import parsons
from streamlib.lab.lessons.checks.judging import Case, Exercise, Hint, all_of, returned
from streamlib.scenarios.rolling import (
    HandOverInput,
    HandOverWorkflow,
    RollingInput,
    RollingWorkflow,
)
from streamlib.wire.shapes import POLL

LINES = {
    "A": "state = self.stream.get_state()",
    "B": "workflow.continue_as_new(RollingInput(stream_state=state))",
    "C": "self.stream.detach_pollers()",
    "D": "await workflow.wait_condition(workflow.all_handlers_finished)",
}
"""Exercise 7.6; right is C, D, A, B."""

STEPS = {"A": "state", "B": "continue", "C": "detach", "D": "wait"}

PATIENCE = 8.0
"""Seconds that a roll-over may take, on a busy machine."""


async def _hand_over(case: Case) -> str:
    """7.6, a Parsons problem: hand the stream over, while others are at work on it."""
    order = parsons.in_order(case.answer, LINES)
    parsons.made_before_used(order, {"B": ("state", "A")})
    if case.world == "again":  # what is an order need not be tried twice
        return ""
    await all_of(_with_a_reader_that_waits(case, order), _with_a_handler_at_work(case, order))
    return "The waiting reader was let go, the slow handler's item came along: nothing is lost."


async def _with_a_reader_that_waits(case: Case, order: Sequence[str]) -> None:
    """A reader of the peer's kind waits by an update: a handler that ends when an item comes."""
    at = {letter: order.index(letter) for letter in LINES}
    hub, stream = await _handing_over(case, order)
    await _publish(stream, 1)
    await hub.start_update(POLL, {"from_offset": 2}, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await _publish(stream, 2)
    stuck = at["D"] < at["C"] and at["D"] < at["B"]
    if not await _rolls(hub, parsons.DOOMED if stuck else PATIENCE):
        raise Hint(
            "D waits for ever: a reader waits by an update, and that is a handler. It ends when an "
            "item comes, or when C lets it go."
        )


async def _with_a_handler_at_work(case: Case, order: Sequence[str]) -> None:
    """An update that publishes only after a second is under way when the run should end."""
    hub, stream = await _handing_over(case, order)
    await _publish(stream, 1)
    note: WorkflowUpdateHandle[Any] = await hub.start_update(
        "announce", "a late note", wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    await _publish(stream, 2)
    if not await _rolls(hub, PATIENCE):
        raise Hint("The run did not hand over, and no other one has begun.")
    try:
        await note.result()
    except (WorkflowUpdateFailedError, RPCError):
        raise Hint(
            "A handler was at work, and B ended the run below it: its caller got an error, and its "
            "item is not stored. Which line waits for handlers?"
        ) from None
    if await stream.get_offset() != 3:
        raise Hint(
            "While D waited, a handler published its item; A had taken the state before that. The "
            "new run does not have it."
        )


async def _handing_over(
    case: Case, order: Sequence[str]
) -> tuple[WorkflowHandle[Any, Any], WorkflowStreamClient]:
    """A hub that hands over in that order once it got two signals."""
    steps = tuple(STEPS[letter] for letter in order)
    hub = await case.streams.start(HandOverWorkflow, HandOverInput(signals=2, steps=steps))
    return hub, WorkflowStreamClient.create(case.client, hub.id)


async def _publish(stream: WorkflowStreamClient, end: int, value: object = "an item") -> None:
    """One item, in a batch of its own, and wait until it is in the log, which then ends there."""
    stream.topic("news").publish(value)
    await stream.flush()
    while await stream.get_offset() < end:
        await asyncio.sleep(0.01)


async def _rolls(hub: WorkflowHandle[Any, Any], seconds: float) -> bool:
    """Whether another run than the first one is there in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        about = await hub.describe()
        if about.run_id != about.raw_info.first_run_id:
            return True
        await asyncio.sleep(0.1)
    return False


class Sized(NamedTuple):
    """A world of 7.7: how many events a run may have, and how many batches are published."""

    most: int
    batches: int


OWN = 7
"""The events of a run that are no batch's: it starts; its first task has three, and the two by
which the stream marks how the run began; it ends."""


async def _when_to_roll(case: Case) -> str:
    """7.7: after how many batches a run must hand over, so that its history stays short."""
    world: Sized = case.world
    after = returned(
        await case.answer.call(world.most, in_thread=True), int, "a number of batches, whole"
    )
    if after < 1:
        raise Hint(f"For {world.most} events it returned {after}: a run takes one batch at least.")
    best = (world.most - OWN) // 4
    if after < best:
        raise Hint(
            f"It returned {after} for {world.most} events; a run of {best} has {4 * best + OWN}. "
            "Each roll-over carries the whole log once more: none too many."
        )
    hub = await case.streams.start(RollingWorkflow, RollingInput(signals=after))
    stream = WorkflowStreamClient.create(case.client, hub.id)
    await stream.get_offset()  # its first task is done: no batch shares that
    for end in range(1, world.batches + 1):
        await _publish(stream, end)
    chain = await runs(stream, at_least=1 + world.batches // after)
    longest = max(run.events for run in chain)
    if longest > world.most:
        which = next(run for run in chain if run.events == longest)
        raise Hint(
            f"It returned {after} for {world.most} events, and a run came to {longest}, with "
            f"{which.batches} batches. What of that is no batch's? Look at the first events of a "
            "history, and at its last."
        )
    return f"With {after} batches a run, {len(chain)} runs; the longest had {longest} events."


class Stuck(NamedTuple):
    """A world of 7.8: items of these sizes, and how much of them may be kept."""

    kilobytes: Sequence[int]
    room: int


async def _make_room(case: Case) -> str:
    """7.8: truncate so that the state fits, and no more than that."""
    world: Stuck = case.world
    hub = await case.streams.start(
        RollingWorkflow,
        RollingInput(signals=len(world.kilobytes), state_bytes=world.room + 2_000),
    )
    stream = WorkflowStreamClient.create(case.client, hub.id)
    noise = random.Random(1)  # what does not compress
    for end, size in enumerate(world.kilobytes, start=1):
        await _publish(stream, end, noise.randbytes(size * 700))  # about a kilobyte each, as base64
    log = await stream.describe(items=len(world.kilobytes))
    up_to = returned(
        await case.answer.call(list(log.items), world.room, in_thread=True),
        int,
        "the offset to truncate up to, a whole number",
    )
    best = _best([item.size for item in log.items], world.room)
    _judge_cut(up_to, best, [item.size for item in log.items], world.room)
    await hub.execute_update(RollingWorkflow.truncate, up_to)
    if best and not await _rolls(hub, PATIENCE):
        raise Hint("It made room, and yet the stream did not roll over.")
    return f"It kept the last {len(log.items) - up_to} items, and the stream rolled over."


def _best(sizes: Sequence[int], room: int) -> int:
    """The lowest offset whose items, and all after it, fit into the room."""
    for first in range(len(sizes)):
        if sum(sizes[first:]) <= room:
            return first
    return len(sizes)


def _judge_cut(up_to: int, best: int, sizes: Sequence[int], room: int) -> None:
    """See that it is the best cut.

    Raises:
        Hint: It keeps too much, or too little.
    """
    if not 0 <= up_to <= len(sizes):
        raise Hint(f"It returned {up_to}; the log begins at 0 and ends at {len(sizes)}.")
    left = sum(sizes[up_to:])
    told = f"Of {len(sizes)} items with {sum(sizes):,} bytes it keeps those from offset {up_to} on"
    if up_to < best:
        raise Hint(f"{told}: {left:,} bytes, and there is room for {room:,}.")
    if up_to > best:
        raise Hint(
            f"{told}: {left:,} bytes. From offset {best} on, {sum(sizes[best:]):,} would fit into "
            f"{room:,}: the newest items are kept, as many as fit."
        )


EXERCISES: dict[str, Exercise] = {
    "7.6": Exercise(_hand_over, ["tried", "again"]),
    "7.7": Exercise(_when_to_roll, [Sized(30, 8), Sized(39, 11)]),
    "7.8": Exercise(
        _make_room,
        [Stuck([3, 1, 2, 4, 1], 6_000), Stuck([1, 5, 1, 1], 3_000), Stuck([1, 1, 1], 9_000)],
    ),
}

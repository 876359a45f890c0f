"""Notebook 06's exercises: what is dropped, how to send again, and for how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from streamlib.errors import shown
from streamlib.lab.lessons.batches import send_batch
from streamlib.lab.lessons.checks import parsons
from streamlib.lab.lessons.checks.judging import Case, Exercise, Hint, all_of, returned

Batch = tuple[str, int]


async def _accept(case: Case) -> str:
    """6.6: the rule of the publishers' table, beside the stream's own verdicts."""
    batches: list[Batch] = case.world
    table: dict[str, int] = {}
    calls = [(table, *batch) for batch in batches]
    try:
        said, right = await all_of(
            case.answer.calls(calls, lets=(KeyError,), in_thread=True), _of_the_stream(case)
        )
    except KeyError as error:
        raise Hint(
            f"It raised KeyError: {error}. The table is empty at first: `table.get(…, 0)` says 0 "
            "for a publisher that it does not know."
        ) from None
    for number, (new, wanted) in enumerate(zip(said, right, strict=True)):
        if returned(new, bool, "True for a new batch, False for a duplicate") != wanted:
            raise Hint(_why(batches, number, table))
    last = {publisher: max(n for who, n in batches if who == publisher) for publisher, _ in batches}
    if table != last:
        raise Hint(f"All answers were right, but the table holds {shown(table)}, not {last}.")
    return f"The same as the stream said, for all {len(batches)} batches."


async def _of_the_stream(case: Case) -> list[bool]:
    """What the stream takes of these batches, and what it drops."""
    for publisher, sequence in case.world:
        await send_batch(case.hub, publisher, sequence, "an item")
    about = await case.stream.describe(batches=len(case.world))
    return [batch.verdict == "accepted" for batch in about.batches]


def _why(batches: list[Batch], number: int, table: dict[str, int]) -> str:
    """What is behind the first verdict that is wrong."""
    publisher, sequence = batches[number]
    before = [n for who, n in batches[:number] if who == publisher]
    came = f"Batch {sequence} of {publisher!r} came"
    if not before:
        return (
            f"{came}, the first one of that publisher, and it said False. Each publisher counts "
            "for itself, and a new one is not in the table."
        )
    if sequence == max(before) + 1 and sequence <= table.get(publisher, 0):
        return (
            f"{came} after {max(before)}, and it said False. What is taken is remembered as it is: "
            "keep that sequence, and no other."
        )
    if sequence > max(before):
        return (
            f"{came} after {max(before)}, and it said False. A gap is a batch that the publisher "
            "gave up: what is higher is new."
        )
    if not table:
        return (
            f"{came} again, and it said True: the table is still empty. Keep the sequence in "
            "`table` when you take a batch; a name of your own is gone with the call."
        )
    if sequence in before and before[-1] < sequence:
        return (
            f"{came} again, and it said True: the duplicate {before[-1]} before it had moved the "
            "table back. Only what is taken is remembered."
        )
    if sequence in before:
        return f"{came} again, and it said True. The same number is the same batch."
    return (
        f"{came} after {max(before)}, and it said True. What is not higher than the last one is "
        "dropped, seen before or not."
    )


LINES = {
    "A": "batch = (publisher_id, sequence, item)",
    "B": "stored = await send(*batch)",
    "C": "while not stored:",
    "D": "sequence = sequence + 1",
    "E": "await asyncio.sleep(0.1)",
}
"""Exercise 6.7; what comes after C is its body. Right are D, A, C, then B and E."""


async def _send_until_stored(case: Case) -> str:
    """6.7, a Parsons problem: a publisher's loop, over a network that loses answers."""
    order = parsons.in_order(case.answer, LINES)
    parsons.made_before_used(order, {"B": ("batch", "A")})
    loop = order.index("C")
    body, before = order[loop + 1 :], order[:loop]
    if "B" in before:
        raise Hint("B came before the loop: it sends once, and nobody sends again.")
    if "E" in before:
        raise Hint(
            "E came before C: one pause at first, and then none between two tries. A server that "
            "has trouble gets a thousand of them a second."
        )
    lost: int = case.world
    sent: list[int] = []

    async def send(publisher_id: str, sequence: int, item: str) -> bool:
        """It arrives each time; the first answers are lost."""
        sent.append(sequence)
        if len(sent) > 20:
            await asyncio.Event().wait()
        await send_batch(case.hub, publisher_id, sequence, item)
        return len(sent) > lost

    await send_batch(case.hub, "provider", 4, "the one before")
    names = {"publisher_id": "provider", "sequence": 4, "item": "order 7", "stored": False}
    names |= {"send": send, "asyncio": asyncio}
    lines = {**LINES, **{letter: f"    {LINES[letter]}" for letter in body}}
    await parsons.program(order, lines, *names).call(*names.values())
    stored = await case.stream.get_offset() - 1
    return _verdict_on(stored, sent)


def _verdict_on(stored: int, sent: list[int]) -> str:
    """How often the item is in the stream."""
    told = f"It sent {'the sequence ' if len(sent) == 1 else ''}{', '.join(map(str, sent))}"
    if stored > 1:
        raise Hint(
            f"{told}: each try was a new batch, and all {stored} arrived. The number belongs to "
            "the batch, not to the try."
        )
    if not stored:
        raise Hint(
            f"{told}: that number was the last batch's. The stream dropped all as duplicates, and "
            "nothing is stored."
        )
    return f"{told}: the same number each time, so the stream kept one."


async def _patience(case: Case) -> str:
    """6.8: how long to try again, for a stream that forgets after a while."""
    ttl: timedelta = case.world
    said = await case.answer.call(ttl, in_thread=True)
    found: timedelta = returned(said, timedelta, "a timedelta, as `publisher_ttl` is one")
    for_it = f"For a TTL of {ttl} it returned {found}"
    if found <= timedelta(0):
        raise Hint(f"{for_it}: no client would try again at all.")
    if found >= ttl:
        raise Hint(await _too_late(case, ttl, for_it))
    if found > 0.95 * ttl:
        raise Hint(
            f"{for_it}. The last try begins just before that, and takes its time to arrive: leave "
            "more room."
        )
    if found < ttl / 10:
        raise Hint(
            f"{for_it}. A server that is away for longer costs you the batch, though the stream "
            "would still know you: use more of the TTL."
        )
    return "Who tries again for so long is still remembered; who is forgotten has given up."


async def _too_late(case: Case, ttl: timedelta, for_it: str) -> str:
    """Show what then happens, on a stream whose TTL is short enough to wait for it."""
    short = await case.another(timedelta(seconds=1))
    await send_batch(short.hub, "provider", 1, "order 7")
    await asyncio.sleep(1.3)
    await send_batch(short.hub, "provider", 1, "order 7")
    stored = await short.stream.get_offset()
    how = "just as long" if for_it.endswith(str(ttl)) else "longer"
    return (
        f"{for_it}. On a stream with a TTL of one second I tried again {how} after the first time, "
        f"the answer of which was lost: it is stored {'twice' if stored == 2 else stored}."
    )


EXERCISES: dict[str, Exercise] = {
    "6.6": Exercise(
        _accept,
        [
            [("a", 1), ("a", 1), ("b", 1), ("a", 3), ("a", 2), ("a", 3), ("a", 4)],
            [("b", 2), ("a", 1), ("b", 1), ("b", 2), ("b", 3), ("a", 1)],
        ],
    ),
    "6.7": Exercise(_send_until_stored, [2, 1]),
    "6.8": Exercise(_patience, [timedelta(minutes=15), timedelta(seconds=2)]),
}

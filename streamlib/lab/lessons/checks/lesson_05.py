"""Exercises of notebook 05: text that is taken back, and failures worth another attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from streamlib import WorkflowStreamClient
from streamlib.errors import shown
from streamlib.lab.lessons.checks.judging import (
    NOT_YET,
    Check,
    Hint,
    Verdict,
    in_order,
    program,
    result_of,
)
from streamlib.lab.lessons.lesson import arrived
from streamlib.scenarios.llm import decode
from streamlib.scenarios.transcript import (
    EVENTS,
    Event,
    RetryEvent,
    TextComplete,
    TextDelta,
    Transcript,
)


class Case(NamedTuple):
    """A stream, what to show at its end, and what wrong answers show instead."""

    events: list[Event]
    text: str
    hints: dict[str, str]


CASES = [
    Case(
        [TextDelta("The ", 1), TextDelta("log", 1), TextComplete("The log", 1)],
        "The log",
        {"The logThe log": "`complete` holds the whole text, not the next piece: it replaces."},
    ),
    Case(
        [TextDelta("The ", 1), RetryEvent(2), TextDelta("A ", 2), TextDelta("log", 2)],
        "A log",
        {"The A log": "A retry starts the text over: what attempt 1 had said counts no longer."},
    ),
    Case(
        [TextDelta("The ", 1), RetryEvent(2), TextDelta("late", 1), TextDelta("A", 2)],
        "A",
        {
            "lateA": "A worker taken for dead may only be slow, and publish after the retry: drop "
            "what an older attempt says.",
            "late": "The newest attempt wins, not the first one you hear of.",
        },
    ),
    Case(
        [TextDelta("The ", 1), TextDelta("A ", 2), TextDelta("log", 2)],
        "A log",
        {
            "The A log": "This reader never saw the retry item: it was truncated. Each event "
            "carries its attempt; that is enough."
        },
    ),
    Case(
        [TextDelta(" log", 1), TextComplete("The log", 1)],
        "The log",
        {" log": "This reader joined in the middle. `complete` brings what it missed."},
    ),
]


async def _shown(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """5.4: a reducer of the learner's own, on five short streams."""
    for case in CASES:
        begin = await stream.get_offset()
        text = await result_of(answer, await _through(stream, case.events, begin))
        if text is None or text is ... or (text == "" and case is CASES[0]):
            return NOT_YET
        if text != case.text:
            said = f"For {', '.join(map(_brief, case.events))} it returned {shown(text)}, not "
            raise Hint(f"{said}{case.text!r}. {case.hints.get(str(text), '')}".strip())
    return Verdict(True, f"The right text for all {len(CASES)} streams: yours survives retries.")


async def _through(
    stream: WorkflowStreamClient, events: list[Event], from_offset: int
) -> list[Event]:
    """Publish events and read them back, as a reader gets them."""
    names = {kind: topic for topic, kind in EVENTS.items()}
    for event in events:
        stream.topic(names[type(event)]).publish(event)
    await stream.flush()
    return await _read(stream, from_offset)


async def _read(stream: WorkflowStreamClient, from_offset: int = 0) -> list[Event]:
    reader = stream.subscribe(list(EVENTS), from_offset, result_type=RawValue)
    return [decode(item, PayloadConverter.default) for item in await arrived(reader, quiet=0.1)]


def _brief(event: Event) -> str:
    """`delta 1 'The '`, `retry 2`."""
    match event:
        case RetryEvent(attempt):
            return f"retry {attempt}"
        case TextDelta(text, attempt):
            return f"delta {attempt} {text!r}"
        case TextComplete(text, attempt):
            return f"complete {attempt} {text!r}"


WORTH_IT = {
    400: (False, "the request itself is wrong, and stays so."),
    401: (False, "a wrong key does not become right by trying; it becomes a locked account."),
    404: (False, "there is no such model, however often you ask."),
    429: (True, "too many requests *now*: that passes. The server even says when (Retry-After)."),
    500: (True, "the fault is the server's, and may pass."),
    503: (True, "the server is overloaded or restarting: that passes."),
}


async def _worth_another_attempt(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """5.5: which HTTP statuses are worth a retry."""
    for status, (right, why) in WORTH_IT.items():
        said = await result_of(answer, status)
        if said is None or said is ...:
            return NOT_YET
        if not isinstance(said, bool):
            raise Hint(f"For {status} it returned {shown(said)}. Return True or False.")
        if said != right:
            raise Hint(f"{status}: {'do' if right else 'do not'} try again: {why}")
    return Verdict(True, f"Right for {', '.join(map(str, WORTH_IT))}.")


LINES = {
    "A": "    complete.publish(TextComplete(text, attempt))",
    "B": "    async for piece in pieces: text += piece; delta.publish(TextDelta(piece, attempt))",
    "C": "async with stream:",
    "D": "return text",
    "E": "    retry.publish(RetryEvent(attempt))",
}
"""Exercise 5.6 in its right order of letters: C, E, B, A, D."""


async def _attempt(answer: Any, stream: WorkflowStreamClient) -> Verdict:
    """5.6, a Parsons problem: what the second attempt's activity does, in which order."""
    order = in_order(answer, LINES)
    if order[0] != "C":
        raise Hint("A, B and E are indented: they are the body of C, which comes first.")
    if order[-1] != "D":
        raise Hint("D returned before the lines below it had run: they never do.")
    stream.topic("delta").publish(TextDelta("The ", 1))  # what the first attempt left behind
    await stream.flush()
    names: dict[str, Any] = {kind.__name__: kind for kind in EVENTS.values()}
    names |= {topic: stream.topic(topic) for topic in EVENTS}
    names |= {"stream": stream, "pieces": _pieces(), "text": "", "attempt": 2}
    await asyncio.wait_for(program(order[:-1], LINES, *names)(*names.values()), 3)
    return _verdict_on(await _read(stream))


async def _pieces() -> AsyncIterator[str]:
    for piece in ("A ", "log"):
        yield piece


def _verdict_on(events: list[Event]) -> Verdict:
    """What readers of that attempt saw."""
    transcript = Transcript()
    for event in events:
        transcript.feed(event)
    kinds = [type(event) for event in events]
    if transcript.text != "A log":
        raise Hint(
            f"Readers ended with {transcript.text!r}: when A ran there was no text yet to complete."
        )
    if kinds.index(RetryEvent) > 1:
        raise Hint(
            "E came after the pieces: until then a reader that waits for the retry item shows "
            "'The A log'. Say first that you start over."
        )
    return Verdict(True, "Readers took back 'The ', and ended with 'A log', once.")


CHECKS: dict[str, Check] = {
    "5.4": _shown,
    "5.5": _worth_another_attempt,
    "5.6": _attempt,
}

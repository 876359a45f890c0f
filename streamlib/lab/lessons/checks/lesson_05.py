"""Exercises of notebook 05: text that is taken back, and failures worth another attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from streamlib.errors import shown
from streamlib.lab.lessons.checks import parsons
from streamlib.lab.lessons.checks.judging import Case, Exercise, Hint, all_of, read, returned
from streamlib.scenarios.llm import decode
from streamlib.scenarios.transcript import (
    EVENTS,
    Event,
    RetryEvent,
    TextComplete,
    TextDelta,
    Transcript,
)


class Script(NamedTuple):
    """What is published, what to show at its end, and what wrong answers show instead."""

    events: list[Event]
    text: str
    hints: dict[str, str]


LATE = (
    "A worker taken for dead may only be slow, and publish after the retry: drop what an older "
    "attempt says."
)

FIRST = [
    Script(
        [TextDelta("The ", 1), TextDelta("log", 1), TextComplete("The log", 1)],
        "The log",
        {"The logThe log": "`complete` holds the whole text, not the next piece: it replaces."},
    ),
    Script(
        [TextDelta("The ", 1), RetryEvent(2), TextDelta("A ", 2), TextDelta("log", 2)],
        "A log",
        {"The A log": "A retry starts the text over: what attempt 1 had said counts no longer."},
    ),
    Script(
        [TextDelta("The ", 1), RetryEvent(2), TextDelta("late", 1), TextDelta("A", 2)],
        "A",
        {"lateA": LATE, "late": "The newest attempt wins, not the first one you hear of."},
    ),
]
SECOND = [
    Script(
        [TextDelta("The ", 1), TextDelta("A ", 2), TextDelta("log", 2)],
        "A log",
        {
            "The A log": "This reader never saw the retry item: it was truncated. Each event "
            "carries its attempt; that is enough."
        },
    ),
    Script(
        [TextDelta(" log", 1), TextComplete("The log", 1)],
        "The log",
        {" log": "This reader joined in the middle. `complete` brings what it missed."},
    ),
    Script(
        [RetryEvent(2), TextDelta("A", 2), TextComplete("The log", 1), TextDelta(" log", 2)],
        "A log",
        {
            "The log log": f"It took the `complete` of an older attempt. {LATE}",
            "The log": f"It took the `complete` of an older attempt. {LATE}",
        },
    ),
    Script([TextDelta("A", 1), RetryEvent(2)], "", {"A": "After a retry the screen is empty."}),
]


async def _shown(case: Case) -> str:
    """5.4: a reducer of the learner's own, on short streams; all at once, one may be slow."""
    scripts: list[Script] = case.world
    begun = [await _through(case, script.events) for script in scripts]
    found = await all_of(*(case.answer.call(events, in_thread=True) for events in begun))
    for script, text in zip(scripts, found, strict=True):
        if text != script.text:
            said = f"For {', '.join(map(_brief, script.events))} it returned {shown(text)}, not "
            text = returned(text, str, "the text to show")
            raise Hint(f"{said}{script.text!r}. {script.hints.get(text, '')}".strip())
    return "The right text for all streams: yours survives retries."


async def _through(case: Case, events: list[Event]) -> list[Event]:
    """Publish events and read them back, as a reader gets them."""
    begin = await case.stream.get_offset()
    names = {kind: topic for topic, kind in EVENTS.items()}
    for event in events:
        case.stream.topic(names[type(event)]).publish(event)
    await case.stream.flush()
    return await _read(case, begin)


async def _read(case: Case, from_offset: int = 0) -> list[Event]:
    reader = case.stream.subscribe(list(EVENTS), from_offset, result_type=RawValue)
    return [decode(item, PayloadConverter.default) for item in await read(reader, case)]


def _brief(event: Event) -> str:
    """`delta 1 'The '`, `retry 2`."""
    match event:
        case RetryEvent(attempt):
            return f"retry {attempt}"
        case TextDelta(text, attempt):
            return f"delta {attempt} {text!r}"
        case TextComplete(text, attempt):
            return f"complete {attempt} {text!r}"


THEIRS = "a fault of the server's own: that may pass."
YOURS = "a fault of your request: it is as wrong the next time."

WORTH_IT = {
    400: (False, YOURS),
    401: (False, "a wrong key does not become right by trying; it becomes a locked account."),
    404: (False, "there is no such model, however often you ask."),
    429: (True, "too many requests *now*: that passes. The server even says when (Retry-After)."),
    500: (True, THEIRS),
    503: (True, THEIRS),
    403: (False, YOURS),
    422: (False, YOURS),
    431: (False, YOURS),
    451: (False, YOURS),
    502: (True, THEIRS),
    504: (True, THEIRS),
    529: (True, THEIRS),
}


async def _worth_another_attempt(case: Case) -> str:
    """5.5: which HTTP statuses are worth a retry; all at once, one may be slow."""
    statuses: list[int] = case.world
    found = await all_of(*(case.answer.call(each, in_thread=True) for each in statuses))
    for status, said in zip(statuses, found, strict=True):
        right, why = WORTH_IT[status]
        if returned(said, bool, "True or False") != right:
            raise Hint(f"{status}: {'do' if right else 'do not'} try again: {why}")
    return f"Right for {', '.join(map(str, WORTH_IT))}."


LINES = {
    "A": "    complete.publish(TextComplete(text, attempt))",
    "B": "    async for piece in pieces: text += piece; delta.publish(TextDelta(piece, attempt))",
    "C": "async with stream:",
    "D": "return text",
    "E": "    retry.publish(RetryEvent(attempt))",
}
"""Exercise 5.6 in its right order of letters: C, E, B, A, D."""


async def _attempt(case: Case) -> str:
    """5.6, a Parsons problem: what the second attempt's activity does, in which order."""
    order = parsons.in_order(case.answer, LINES)
    if order[0] != "C":
        raise Hint("A, B and E are indented: they are the body of C, which comes first.")
    if order[-1] != "D":
        raise Hint("D returned before the lines below it had run: they never do.")
    before, pieces = case.world
    case.stream.topic("delta").publish(TextDelta(before, 1))  # what the first attempt left behind
    await case.stream.flush()
    names: dict[str, Any] = {kind.__name__: kind for kind in EVENTS.values()}
    names |= {topic: case.stream.topic(topic) for topic in EVENTS}
    names |= {"stream": case.stream, "pieces": _one_by_one(pieces), "text": "", "attempt": 2}
    await parsons.program(order[:-1], LINES, *names).call(*names.values())
    return _verdict_on(await _read(case), before, "".join(pieces))


async def _one_by_one(pieces: list[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


def _verdict_on(events: list[Event], before: str, text: str) -> str:
    """What readers of that attempt saw."""
    transcript = Transcript()
    for event in events:
        transcript.feed(event)
    kinds = [type(event) for event in events]
    if transcript.text != text:
        raise Hint(
            f"Readers ended with {transcript.text!r}: when A ran there was no text yet to complete."
        )
    if kinds.index(RetryEvent) > 1:
        raise Hint(
            "E came after the pieces: until then a reader that waits for the retry item shows "
            f"{before + text!r}. Say first that you start over."
        )
    return f"Readers took back {before!r}, and ended with {text!r}, once."


EXERCISES: dict[str, Exercise] = {
    "5.4": Exercise(_shown, [FIRST, SECOND]),
    "5.5": Exercise(_worth_another_attempt, [[*WORTH_IT][:6], [*WORTH_IT][6:]]),
    "5.6": Exercise(_attempt, [("The ", ["A ", "log"]), ("Once", ["It ", "is ", "late"])]),
}

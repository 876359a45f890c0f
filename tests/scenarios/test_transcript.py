"""The transcript: whatever arrives in whichever order, the text of the newest attempt is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.scenarios.transcript import (
    Change,
    Event,
    RetryEvent,
    TextComplete,
    TextDelta,
    Transcript,
)


class Shown:
    """A screen that does as it is told."""

    def __init__(self) -> None:
        self.text = ""

    def carry_out(self, change: Change) -> None:
        self.text = ("" if change.rewind else self.text) + change.append


def after(*events: Event) -> Transcript:
    transcript, screen = Transcript(), Shown()
    for event in events:
        screen.carry_out(transcript.feed(event))
        assert screen.text == transcript.text
    return transcript


PIECES = st.lists(st.sampled_from(["a", "b ", "ü", "🙂", "\n"]), max_size=5)


@st.composite
def attempts(draw: st.DrawFn) -> list[list[Event]]:
    """What each attempt publishes: cut off at any point, but for the last one."""
    number = draw(st.integers(1, 4))
    published: list[list[Event]] = []
    for attempt in range(1, number + 1):
        pieces = draw(PIECES)
        retry: list[Event] = [RetryEvent(attempt)] if attempt > 1 else []
        deltas: list[Event] = [TextDelta(piece, attempt) for piece in pieces]
        whole = [*retry, *deltas, TextComplete("".join(pieces), attempt)]
        cut = len(whole) if attempt == number else draw(st.integers(0, len(whole)))
        published.append(whole[:cut])
    return published


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Event], str]:
    """The log: each attempt in its own order, late ones between newer ones; and its last text."""
    published = draw(attempts())
    final = published[-1][-1]
    assert isinstance(final, TextComplete)
    queues, log = [list(each) for each in published], list[Event]()
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        log.append(queue.pop(0))
    return log, final.text


@given(interleaved())
def test_in_the_end_it_is_the_whole_text_of_the_last_attempt(log: tuple[list[Event], str]) -> None:
    events, text = log
    transcript = after(*events)
    assert (transcript.text, transcript.complete) == (text, True)


@given(interleaved(), st.data())
def test_also_when_joined_in_the_middle_or_with_holes(
    log: tuple[list[Event], str], data: st.DataObject
) -> None:
    """A reader sees any part of the log, as truncation leaves it, but the last word."""
    events, text = log
    newest = max(event.attempt for event in events)
    kept = [
        event
        for event in events
        if event == TextComplete(text, newest) or data.draw(st.booleans(), label=str(event))
    ]
    assert after(*kept).text == text


@given(interleaved())
def test_while_an_attempt_runs_its_pieces_are_shown_in_order_and_no_other_s(
    log: tuple[list[Event], str],
) -> None:
    events, _ = log
    transcript, newest, pieces = Transcript(), 0, ""
    for event in events:
        if event.attempt > newest:
            newest, pieces = event.attempt, ""
        if event.attempt == newest and not isinstance(event, RetryEvent):
            whole = isinstance(event, TextComplete)
            pieces = event.text if whole else pieces + event.text
        transcript.feed(event)
        assert (transcript.attempt, transcript.text) == (newest, pieces)


def test_a_retry_takes_back_what_was_shown_and_only_then_rewinds() -> None:
    transcript = after(TextDelta("The ", 1))
    assert transcript.feed(RetryEvent(2)) == Change(rewind=True)
    assert transcript.feed(RetryEvent(3)) == Change()
    assert transcript.feed(TextDelta("A", 3)) == Change(append="A")


def test_a_new_attempt_is_noticed_without_its_retry_event() -> None:
    transcript = after(TextDelta("The ", 1))
    assert transcript.feed(TextDelta("A ", 2)) == Change(rewind=True, append="A ")


def test_late_items_of_an_older_attempt_change_nothing() -> None:
    transcript = after(TextDelta("The ", 1), RetryEvent(2), TextDelta("A", 2))
    for late in (TextDelta("x", 1), TextComplete("The x", 1), RetryEvent(1)):
        assert transcript.feed(late) == Change()
    assert transcript.text == "A"


@pytest.mark.parametrize("shown", ["", "The l", "log"])
def test_complete_makes_the_text_right_whatever_was_seen_before(shown: str) -> None:
    transcript = after(TextDelta(shown, 1), TextComplete("The log", 1))
    assert (transcript.text, transcript.complete) == ("The log", True)


def test_complete_appends_only_what_is_missing() -> None:
    transcript = after(TextDelta("The ", 1))
    assert transcript.feed(TextComplete("The log", 1)) == Change(append="log")
    assert transcript.feed(TextComplete("The log", 1)) == Change()
    assert transcript.feed(TextDelta("again", 1)) == Change()


def test_an_attempt_after_a_complete_one_starts_over() -> None:
    """Its worker died between the last item and the end of the activity."""
    transcript = after(TextComplete("The log", 1), RetryEvent(2))
    assert (transcript.text, transcript.complete) == ("", False)

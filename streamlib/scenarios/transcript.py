"""From a stream of deltas and retries to the text to show: a small reducer for any consumer.

    delta 1 "The "   delta 1 "log"   retry 2   delta 2 "A "   delta 1 "late"   complete 2 "A log."
    show  The         The log         (rewind)  A               (ignored)        A log.

Every event carries its attempt, and the newest attempt wins. Pure: no I/O, no clock, no Temporal;
a browser's copy of it would be as short. Next: `llm.py`, which publishes these events.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TextDelta:
    """Topic `delta`: the next piece of the text."""

    text: str
    attempt: int


@dataclass
class TextComplete:
    """Topic `complete`: the whole text of an attempt that came to its end."""

    text: str
    attempt: int
    ended: str = "stop"
    """Why: `stop`, or one of `chunks.ENDS`, such as `length`; then the text's last line says so."""


@dataclass
class RetryEvent:
    """Topic `retry`: an attempt after the first begins; what came before it counts no longer."""

    attempt: int


Event = TextDelta | TextComplete | RetryEvent

EVENTS: dict[str, type[Event]] = {
    "delta": TextDelta,
    "complete": TextComplete,
    "retry": RetryEvent,
}
"""What each topic holds: decode an item by `EVENTS[item.topic]`."""


@dataclass(frozen=True)
class Change:
    """What to do on a screen: first take back all that is shown if `rewind`, then append."""

    rewind: bool = False
    append: str = ""


NOTHING = Change()


class Transcript:
    """The text as it stands, and whether it is final.

    Invariants: `text` comes from one attempt, the newest that was heard of; a screen on which all
    changes were carried out shows `text`. It needs no retry event to notice a new attempt, and
    no beginning: joined in the middle, `complete` brings what was missed.

    Example:
        transcript = Transcript()
        change = transcript.feed(TextDelta("Hello", attempt=1))   # Change(append="Hello")
        transcript.feed(RetryEvent(attempt=2))                    # Change(rewind=True)
        transcript.text                                           # ""
    """

    def __init__(self) -> None:
        self.text = ""
        """What to show."""
        self.attempt = 0
        """The newest attempt heard of; 0 before the first event."""
        self.complete = False
        """Whether `text` is the whole text of its attempt."""

    def feed(self, event: Event) -> Change:
        """Take in the next event of the stream; return what to do on the screen."""
        if event.attempt < self.attempt:
            return NOTHING  # late: its attempt was given up while it was under way
        rewind = event.attempt > self.attempt and self._begin(event.attempt)
        match event:
            case TextDelta(text) if not self.complete:
                self.text += text
                return Change(rewind, text)
            case TextComplete(text):
                return self._finish(text, rewind)
            case _:
                return Change(rewind)

    def _begin(self, attempt: int) -> bool:
        """Start over; whether anything had been shown."""
        shown = bool(self.text)
        self.text, self.attempt, self.complete = "", attempt, False
        return shown

    def _finish(self, text: str, rewind: bool) -> Change:
        """The whole text replaces what is shown; usually that is all of it already."""
        shown, self.text, self.complete = self.text, text, True
        if text.startswith(shown):
            return Change(rewind, text[len(shown) :])
        return Change(True, text)

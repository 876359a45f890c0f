"""What a model's server says, chunk by chunk: text, an end, or that something is wrong. Pure.

    {"choices": [{"index": 0, "delta": {"content": "The "}}]}           text "The "
    {"choices": [{"index": 0, "delta": {"refusal": "I cannot"}}]}       text, and it is a refusal
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}   the end
    {"choices": null}   {"choices": []}   {"usage": ...}                nothing: a ping, a trailer
    {"error": {"code": "invalid_api_key"}}                              an error

Compatible servers differ in all that OpenAI's documents leave open, so nothing is taken for granted
about a chunk. `read` looks at one, `Reading` adds them up. Next: `failures.py`, what to do about
what went wrong; `model.py`, which gets the chunks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MAX_TEXT = 1_250_000
"""Bytes of JSON that a text may have: more would not fit into one item, one result, for sure."""

MAX_PIECE = 64_000
"""Characters that one piece may have: far from the bytes that fit into one batch."""

CONCEALED = "[the key]"

LET_GO = 3
"""Letters that may be a secret's first and are shown all the same: else each "s" at the end of a
token would wait for the next one, as "sk-" may follow. They tell nothing of a secret."""

ENDS = {
    "stop": "",
    "length": "cut off: the model reached its limit of tokens",
    "content_filter": "cut off: a content filter stopped the model",
    "tool_calls": "the model asked for a tool, and there is none",
    "function_call": "the model asked for a tool, and there is none",
    "refusal": "the model refused",
    "other": "the server ended the text for a reason that is not known here",
}
"""The reasons for an end, and what to say of them. A server's own word is never repeated: whoever
sends a reason that we do not know may send anything, a key for instance."""

NO_REASON = ("", "null", "none")
"""What some servers write as a reason while the text goes on."""

GAVE_UP = ("error", "abort")
"""Reasons by which a server says that it did not come to the end."""


@dataclass(frozen=True)
class Said:
    """What one chunk says."""

    text: str = ""
    refused: bool = False
    """Whether the text is a refusal."""
    alive: bool = False
    """Whether the model did something: wrote, thought, called a tool. A ping is no life."""
    end: str = ""
    """One of `ENDS`; empty while the text goes on."""
    error: object = None
    """What the server sent in place of a chunk: its error, as it came."""
    unreadable: str = ""
    """What cannot be text, and was sent as text."""


NOTHING = Said()


def read(chunk: Any) -> Said:
    """What a chunk says, whatever it is. Of several choices, only the first counts.

    Args:
        chunk: An object with the protocol's names as attributes, as `openai` makes them of JSON.
    """
    if error := getattr(chunk, "error", None):
        return Said(error=error)
    choice = _first(getattr(chunk, "choices", None))
    delta = getattr(choice, "delta", None)
    content, refusal = getattr(delta, "content", None), getattr(delta, "refusal", None)
    for part in (content, refusal):
        if part is not None and not isinstance(part, str):
            return Said(unreadable=type(part).__name__)
    reason = getattr(choice, "finish_reason", None)
    if reason in GAVE_UP:
        return Said(error={"code": "server_error"})
    others = ("reasoning_content", "reasoning", "tool_calls", "function_call")
    return Said(
        text=content or refusal or "",
        refused=bool(refusal),
        alive=bool(content or refusal) or any(getattr(delta, name, None) for name in others),
        end=_end(reason),
    )


def _first(choices: object) -> object:
    """The choice with index 0, or without one."""
    for choice in choices if isinstance(choices, list) else []:
        if getattr(choice, "index", None) in (0, None):
            return choice
    return None


def _end(reason: object) -> str:
    if not isinstance(reason, str) or reason.strip().lower() in NO_REASON:
        return ""
    return reason if reason in ENDS else "other"


class Reading:
    """A text as it grows, chunk by chunk, and how it ended.

    Invariants: `text` is the concatenation of all pieces that `feed` returned, and can be encoded:
    a character that came in two halves is whole, a stray half is replaced. After the end nothing
    is added.

    Args:
        secret: What is never shown, but for its first letters where it comes in parts: some servers
            quote the key in what they send as text.

    Example:
        reading = Reading()
        reading.feed(Said("Hel"))                # ["Hel"]
        reading.feed(Said("lo", end="length"))   # ["lo", "\\n\\n[cut off: ...]"]
        reading.text, reading.ended              # ("Hello\\n\\n[cut off: ...]", "length")
    """

    def __init__(self, secret: str = "") -> None:
        self.secret = secret
        """What is shown as `CONCEALED`."""
        self.ended = ""
        """One of `ENDS`; empty while the text goes on."""
        self.size = 0
        """Bytes of the text as JSON."""
        self._pieces: list[str] = []
        self._half = self._held = ""
        self._before = ""  # the last letters that were shown
        self._refused = False

    @property
    def text(self) -> str:
        """All of it; after an end that is none of the model's own, it says so in its last line."""
        return "".join(self._pieces)

    def feed(self, said: Said) -> list[str]:
        """Take in what the next chunk says; return the pieces by which the text grew."""
        if self.ended:
            return []
        self._refused = self._refused or said.refused
        new = self._whole(self._half + said.text, last=bool(said.end))
        new = self._concealed(self._held + new, last=bool(said.end))
        if said.end:
            self.ended = "refusal" if self._refused else said.end
            new += self._note(bool(self._pieces) or bool(new))
        pieces = [new[at : at + MAX_PIECE] for at in range(0, len(new), MAX_PIECE)]
        self._pieces += pieces
        self.size += len(json.dumps(new)) - 2
        return pieces

    def _whole(self, text: str, *, last: bool) -> str:
        """The text without half characters: a first half at its end waits for the second one."""
        waits = not last and "\ud800" <= text[-1:] <= "\udbff"
        self._half, text = (text[-1:], text[:-1]) if waits else ("", text)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _concealed(self, text: str, *, last: bool) -> str:
        """The text without the secret: an end that may be its beginning waits for more."""
        if not self.secret:
            return text
        first, *others = (self._before + text).split(self.secret)
        shown = CONCEALED.join([first[len(self._before) :], *others])
        rest = others[-1] if others else first
        lengths = range(0 if last else min(len(self.secret) - 1, len(rest)), LET_GO, -1)
        begun = next((n for n in lengths if rest.endswith(self.secret[:n])), LET_GO)
        at = len(shown) - (begun - LET_GO)
        self._held, shown = shown[at:], shown[:at]
        self._before = (self._before + shown)[-LET_GO:]
        return shown

    def _note(self, any_text: bool) -> str:
        note = ENDS[self.ended] if any_text else ENDS[self.ended] or "the model wrote nothing"
        if not note:
            return ""
        return f"\n\n[{note}]" if any_text else f"[{note}]"

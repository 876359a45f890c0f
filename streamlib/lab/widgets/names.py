"""Names as a view shows them: each once, none that hides something, a letter for each topic.

Whatever came over the stream may be long, or hold characters that nobody sees or that turn the
text around: it is cut, and they are spelled out. The letters and the colours of the topics are
given here, for the live view and for the picture alike. Pure.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

NAME_LENGTH = 64
"""Characters of a topic or an id that a frame holds: anybody may send a long one."""

NAMES = 300
"""How many topics, and how many publisher ids, a view tells apart. A frame stays below 64 KB."""

PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442")
"""Okabe and Ito's colours, which all eyes tell apart; the letters say the same without them."""

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LETTERS = string.ascii_uppercase + string.digits


class Names:
    """Gives every name an index, in order of appearance; what comes too late shares the last.

    Invariant: an index means the same name, and a name has the same letter, for good.
    """

    def __init__(self) -> None:
        self.list: list[str] = []
        self.letters: list[str] = []
        self._index: dict[str, int] = {}

    def index(self, name: str) -> int:
        """The index of `name`, which is added if it is new."""
        if (known := self._index.get(name)) is not None:
            return known
        if len(self.list) == NAMES:
            self._add("(others)")
        if len(self.list) > NAMES:
            return NAMES
        self._index[name] = len(self.list)
        self._add(shortened(visible(name)))
        return len(self.list) - 1

    def known(self, name: str) -> int | None:
        """The index of `name`; None if it has none yet, or shares one."""
        return self._index.get(name)

    def _add(self, shown: str) -> None:
        self.list.append(shown)
        self.letters.append(letter(shown, self.letters))


def letter(name: str, taken: Sequence[str]) -> str:
    """A letter for a topic: one of its own if one is left; "?" where none is."""
    own = [each for each in name.upper() if each in _LETTERS]
    return next((each for each in [*own, *_LETTERS] if each not in taken), "?")


def visible(text: str) -> str:
    """The text with all that cannot be seen spelled out.

    >>> visible("a\\u202eb")
    'a⟨U+202E⟩b'
    """
    shown = "".join(_shown(each) for each in text)
    if shown.strip(" ") == shown:
        return shown
    left, right = len(shown) - len(shown.lstrip(" ")), len(shown) - len(shown.rstrip(" "))
    return "␣" * left + shown.strip(" ") + ("␣" * right if shown.strip(" ") else "")


def legible(text: str) -> str:
    """A text of many lines, with what would turn it around, or a terminal, spelled out.

    >>> legible("a\\tb\\n\\u202elive")
    'a\\tb\\n⟨U+202E⟩live'
    """
    return "".join(_shown(each) if _TURNS.match(each) else each for each in text)


def shortened(text: str, length: int = NAME_LENGTH) -> str:
    """The text, cut if it is long."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def colour(topic: int) -> str:
    """The colour of the topic with this index."""
    return PALETTE[topic % len(PALETTE)]


def _shown(character: str) -> str:
    selects = "\ufe00" <= character <= "\ufe0f" or "\U000e0000" <= character <= "\U000e01ef"
    if character.isprintable() and character not in _BLANK and not selects:
        return character
    return f"⟨U+{ord(character):04X}⟩"

"""What was printed can be taken back, however it was wrapped, and cannot steer the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlib.scenarios.terminal import Screen, ending_quietly, plain, widest

from .terminals import Terminal

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # one picture of five code points
HANGUL = "\u1112\u1161\u11ab"  # one letter of three parts
HEART = "\u2764\ufe0f"
FLAG = "\U0001f1eb\U0001f1f7"
ODD = [FAMILY, HANGUL, HEART, FLAG, "e\u0301\u0302", "\u2028", "\u200b"]
TEXT = st.lists(st.sampled_from([*"abc \n中🙂", *ODD]), max_size=40).map("".join)

ODD_CHARACTERS = sorted(each for each in set("".join(ODD)) if not each.isascii())


class ATerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def seen(printed: str, columns: int, width: Callable[[str], int] = widest) -> list[str]:
    """As a terminal's driver passes it on: a line end also returns to the first column."""
    return Terminal(columns, width).write(printed.replace("\n", "\r\n")).lines


def printed(columns: int, taken_back: list[str], last: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        out = ATerminal()
        out.write("above\n$ run\n")
        screen = Screen(out)
        for text in taken_back:
            screen.append(text)
            screen.rewind()
        screen.append(last)
        screen.end()
    return out.getvalue()


@settings(max_examples=50, deadline=None)  # a busy machine stands still for longer
@given(st.lists(TEXT, max_size=4), TEXT, st.integers(2, 12), st.data())
def test_after_any_rewinds_only_the_last_text_is_seen_on_whatever_terminal(
    taken_back: list[str], last: str, columns: int, data: st.DataObject
) -> None:
    """Terminals differ in how wide they show what; none shows a character wider than the most."""
    widths = {each: data.draw(st.integers(0, widest(each))) for each in ODD_CHARACTERS}

    def width(character: str) -> int:
        return widths.get(character, widest(character))

    both = [printed(columns, taken, last) for taken in (taken_back, [])]
    assert seen(both[0], columns, width) == seen(both[1], columns, width)


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("columns", [20, 40])
def test_a_rewind_never_reaches_above_its_own_start(text: str, columns: int) -> None:
    """On a terminal that shows all of a grapheme in no column at all, which none does."""
    shown = printed(columns, [text * 200], "short")
    lines = seen(shown, columns, lambda character: int(character in "above$ runshort"))
    assert lines[:2] == ["above", "$ run"]


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("abcd", 4, ["abcd"]),
        ("abcde", 4, ["abcd", "e"]),
        ("abcd\ne", 4, ["abcd", "e"]),
        ("ab\n\nc", 4, ["ab", "", "c"]),
        ("abc中", 4, ["abc", "中"]),
        ("中中中", 4, ["中中", "中"]),
    ],
)
def test_lines_are_broken_where_a_terminal_would(text: str, columns: int, rows: list[str]) -> None:
    assert printed(columns, [], text) == "\n".join(["above", "$ run", *rows, ""])


def test_a_run_without_a_retry_prints_the_text_and_nothing_else() -> None:
    assert printed(80, [], "one two") == "above\n$ run\none two\n"


@pytest.mark.parametrize("kind", ["a file", "a terminal that is dumb"])
def test_what_is_no_terminal_gets_the_text_once_and_no_escapes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO() if kind == "a file" else ATerminal()
    screen = Screen(out)
    screen.append("the first attempt, ")
    screen.rewind()
    screen.append("the second ")
    screen.append("one")
    assert out.getvalue() == ""
    screen.end()
    screen.end()
    assert out.getvalue() == "the second one\n"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\x1b[2Jb\rc\x9b1Ad\te\n", "a[2Jbc1Ad    e\n"),
        ("a\u202eb\u2066c\u2069d", "abcd"),
        ("a\u2028b\u2029c\x85d", "abcd"),
        ("a\ud83db\ude42", "a\ufffdb\ufffd"),
        (FAMILY + HANGUL + FLAG, FAMILY + HANGUL + FLAG),
        ("שלום\u200f!", "שלום\u200f!"),
    ],
)
def test_a_model_cannot_steer_the_terminal(written: str, shown: str) -> None:
    assert plain(written) == shown
    plain(written).encode()


def test_what_the_terminal_cannot_write_is_replaced() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with ending_quietly(out):
        print("naïve \ud83d", file=out)
    assert raw.getvalue() == b"na?ve ?\n"


@pytest.mark.parametrize("text", ["so far", "", "a line\n", "x" * 20, "中" * 10])
def test_what_is_told_below_a_text_goes_when_the_text_goes_on(text: str) -> None:
    def shown(*told: str) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "20")
            out = ATerminal()
            screen = Screen(out)
            screen.append(text)
            for line in told:
                screen.tell(line)
            screen.append(" and on")
            screen.end()
        return seen(out.getvalue(), 20)

    assert shown("Waiting since 12:00 for a worker", "... it goes on") == shown()

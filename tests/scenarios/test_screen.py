"""What was printed can be taken back, however it was wrapped, and cannot steer the terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.scenarios.terminal import Screen, plain, rows_below_start

from .terminals import Terminal

TEXT = st.text(st.sampled_from("abc \n中🙂"), max_size=60)


def seen(printed: str, columns: int) -> list[str]:
    """As a terminal's driver passes it on: a line end also returns to the first column."""
    return Terminal(columns).write(printed.replace("\n", "\r\n")).lines


@given(st.lists(TEXT, max_size=4), TEXT, st.integers(2, 12))
def test_after_any_rewinds_only_the_last_text_is_seen(
    taken_back: list[str], last: str, columns: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        out = io.StringIO()
        out.write("$ run\n")
        screen = Screen(out)
        for text in taken_back:
            screen.append(text)
            screen.rewind()
        screen.append(last)
        screen.end()
    once = io.StringIO()
    once.write("$ run\n")
    alone = Screen(once)
    alone.append(last)
    alone.end()
    assert seen(out.getvalue(), columns) == seen(once.getvalue(), columns)


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("", 4, 0),
        ("abcd", 4, 0),
        ("abcde", 4, 1),
        ("abcd\n", 4, 1),
        ("ab\n\nc", 4, 2),
        ("abc中", 4, 1),
    ],
)
def test_rows_are_counted_as_a_terminal_wraps(text: str, columns: int, rows: int) -> None:
    assert rows_below_start(text, columns) == rows


def test_a_run_without_a_retry_prints_the_text_and_nothing_else() -> None:
    out = io.StringIO()
    screen = Screen(out)
    for piece in ("one ", "two"):
        screen.append(piece)
    screen.end()
    assert out.getvalue() == "one two\n"


def test_a_model_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[2Jb\rc\x9b1Ad\te\n") == "a[2Jbc1Ad    e\n"

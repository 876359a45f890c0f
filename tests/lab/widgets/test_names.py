"""Names as a view shows them: a letter each, and nothing in them that nobody sees."""

from __future__ import annotations

import pytest

from streamlib.lab.widgets.names import Names, legible, letter, visible


def letters(*topics: str) -> list[str]:
    names = Names()
    for topic in topics:
        names.index(topic)
    return names.letters


def test_each_topic_has_a_letter_of_its_own_if_possible_from_its_name() -> None:
    assert letters("status", "progress", "stats", "s", "…") == ["S", "P", "T", "A", "B"]
    assert len(set(letters(*map(str, range(36))))) == 36
    assert letters(*map(str, range(40)))[-1] == "?"


def test_a_letter_does_not_change_when_a_topic_joins() -> None:
    assert letters("status", "stats", "new")[:2] == letters("status", "stats")
    assert letter("news", "N") == "E"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("news", "news"),
        ("новости", "новости"),
        ("two words", "two words"),
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\ufe0fb", "a⟨U+FE0F⟩b"),
        ("\u3164", "⟨U+3164⟩"),
        ("line\nbreak", "line⟨U+000A⟩break"),
        ("news ", "news␣"),
        ("  news", "␣␣news"),
        (" ", "␣"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(name: str, shown: str) -> None:
    assert visible(name) == shown


def test_a_text_keeps_its_lines_and_is_not_turned_around() -> None:
    assert legible("two\n\tlines, 👩\u200d👧") == "two\n\tlines, 👩\u200d👧"
    assert legible("\u202elive\u202c \x1b[2J") == "⟨U+202E⟩live⟨U+202C⟩ ⟨U+001B⟩[2J"


def test_names_that_look_alike_can_be_told_apart() -> None:
    names = Names()
    for name in ("news", "news\u200b", "\u202enews", "news "):
        names.index(name)
    assert len(set(names.list)) == 4

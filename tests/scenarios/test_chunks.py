"""Whatever a server puts between the chunks of a text, the text is theirs, and its end is right."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from streamlib.scenarios.chunks import CONCEALED, ENDS, LET_GO, MAX_PIECE, Reading, Said, read


def made(value: object) -> Any:
    """As `openai` makes an object of a chunk's JSON: without looking whether it is one."""
    as_sent = json.loads(json.dumps(value))
    return ChatCompletionChunk.construct(**as_sent) if isinstance(as_sent, dict) else as_sent


def choice(index: object = 0, reason: object = None, **delta: object) -> dict[str, object]:
    return {"index": index, "delta": delta, "finish_reason": reason}


def said(*chunks: object) -> tuple[str, str]:
    """What all of them together say: the text, which is what the pieces are, and its end."""
    reading, pieces = Reading(), []
    for chunk in chunks:
        pieces += reading.feed(read(made(chunk)))
    assert "".join(pieces) == reading.text
    reading.text.encode()  # whole characters only
    assert all(0 < len(piece) <= MAX_PIECE for piece in pieces)
    assert reading.size == len(json.dumps(reading.text)) - 2
    return reading.text, reading.ended


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
QUIET: list[object] = [
    {"choices": []},
    {"choices": None},
    {"choices": {}},
    {"choices": [None, "x"]},
    {"usage": {"total_tokens": 3}},
    {"error": None, "choices": []},
    {"choices": [choice(role="assistant", content=None)]},
    {"choices": [choice(reason="", content="")]},
    {"choices": [choice(reasoning_content="hm", reason=" ")]},
    {"choices": [choice(reason="null")]},
    {"choices": [choice(refusal=None, tool_calls=[])]},
    {"choices": [{"index": 0, "delta": None}]},
    {"choices": [{"index": 0, "delta": [1]}]},
    {"choices": [choice(1, content="of another")]},
    {"choices": [choice(1, "stop")]},
    [],
    None,
    "ping",
    7,
]
"""Chunks that say nothing about the first choice."""

ODD = st.sampled_from(QUIET) | JSON.map(lambda value: {"id": value, "object": value})
REASONS = st.sampled_from(["stop", "length", "content_filter", "tool_calls", "sk-key", "eos"])


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    """The text cut anywhere, also within a character: as UTF-16 halves, which JSON can carry."""
    units = text.encode("utf-16-le", "surrogatepass")
    at = sorted({2 * (cut % (len(units) // 2 + 1)) for cut in cuts} | {0, len(units)})
    return [
        units[begin:end].decode("utf-16-le", "surrogatepass")
        for begin, end in itertools.pairwise(at)
    ]


@settings(deadline=None)  # a busy machine stands still for longer
@given(
    st.text(min_size=1, max_size=30),
    st.lists(st.integers(0, 60), max_size=6),
    st.lists(st.lists(ODD, max_size=3), min_size=8, max_size=8),
    REASONS,
    st.booleans(),
    st.lists(st.sampled_from([*QUIET, {"choices": [choice(content="late")]}]), max_size=2),
)
def test_the_text_is_the_concatenation_and_the_end_is_right(
    text: str, cuts: list[int], odd: list[list[object]], reason: str, with_text: bool, late: Any
) -> None:
    pieces = in_pieces(text, cuts)
    chunks: list[object] = [*odd[0]]
    for piece, between in zip(pieces, odd[1:], strict=False):
        chunks += [{"choices": [choice(content=piece)]}, *between]
    assert said(*chunks) == (text, "")  # not before it ends
    if with_text:  # the last word and the end in one chunk
        chunks = [*odd[0]]
        for piece, between in zip(pieces[:-1], odd[1:], strict=False):
            chunks += [{"choices": [choice(content=piece)]}, *between]
        chunks.append({"choices": [choice(reason=reason, content=pieces[-1])]})
    else:
        chunks.append({"choices": [choice(reason=reason)]})
    shown, ended = said(*chunks, *late)
    assert ended == (reason if reason in ENDS else "other")
    note = ENDS[ended]
    assert shown == text + (f"\n\n[{note}]" if note else "")


@settings(deadline=None)  # a busy machine stands still for longer
@given(st.lists(st.text(st.sampled_from("ab\ud83d\ude42"), max_size=4), max_size=6))
def test_halves_of_characters_are_joined_and_strays_replaced(pieces: list[str]) -> None:
    chunks = [{"choices": [choice(content=piece)]} for piece in pieces]
    text, _ = said(*chunks, {"choices": [choice(content="!", reason="stop")]})
    together = "".join(pieces).encode("utf-16-le", "surrogatepass")
    assert text == together.decode("utf-16-le", "replace") + "!"


@settings(deadline=None)  # a busy machine stands still for longer
@given(st.data())
def test_a_secret_is_never_shown_wherever_the_text_is_cut(data: st.DataObject) -> None:
    secret = data.draw(st.text("abc", min_size=6, max_size=8))
    words = st.sampled_from([secret, secret[:4], secret[2:], "a", "b ", "c"])
    text = "".join(data.draw(st.lists(words, max_size=9)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    reading = Reading(secret)
    pieces = [text[at:to] for at, to in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown = [piece for each in pieces for piece in reading.feed(Said(each))]
    shown += reading.feed(Said("!", end="stop"))
    whole = "".join(shown)
    assert whole == reading.text
    assert secret[LET_GO:] not in whole or secret[LET_GO:] in text.replace(secret, "|")
    assert whole.count(CONCEALED) == text.count(secret)
    assert len(whole) - len(f"{text}!".replace(secret, CONCEALED)) in range(
        LET_GO * text.count(secret) + 1
    )
    assert reading.size == len(json.dumps(reading.text)) - 2
    at_once = Reading(secret)
    at_once.feed(Said(f"{text}!", end="stop"))
    assert at_once.text == f"{text}!".replace(secret, CONCEALED)


def test_only_what_may_be_a_secret_waits_for_more() -> None:
    reading = Reading("sk-canary")
    assert reading.feed(Said("asks")) == ["asks"], "an s is no secret"
    assert reading.feed(Said("a sk-")) == ["a sk-"]
    assert reading.feed(Said("can")) == []
    assert reading.feed(Said("not, ")) == ["cannot, "]
    assert reading.feed(Said("sk-canary", end="length"))[0].startswith("[the key]")


@settings(deadline=None)  # a busy machine stands still for longer
@given(JSON, JSON, JSON, JSON)
def test_nothing_that_is_json_makes_it_fail(one: Any, two: Any, three: Any, four: Any) -> None:
    for chunk in (
        one,
        {"choices": one, "error": two},
        {"choices": [one, two]},
        {"choices": [{"index": one, "delta": two, "finish_reason": three}]},
        {"choices": [{"delta": {"content": one, "refusal": two, "tool_calls": three}}]},
    ):
        assert isinstance(read(made(chunk)), Said)
    assert isinstance(read(made(four)), Said)


@pytest.mark.parametrize(
    ("chunks", "text", "ended"),
    [
        ([choice(refusal="No."), choice(reason="stop")], "No.\n\n[the model refused]", "refusal"),
        ([choice(reason="stop")], "[the model wrote nothing]", "stop"),
        ([choice(reason="length")], f"[{ENDS['length']}]", "length"),
        ([choice(reason="tool_calls")], f"[{ENDS['tool_calls']}]", "tool_calls"),
        ([choice(content="a\ud83d", reason="stop")], "a\ufffd", "stop"),
        ([choice(content="x" * (2 * MAX_PIECE + 1))], "x" * (2 * MAX_PIECE + 1), ""),
    ],
)
def test_what_is_said_of_an_end(chunks: list[object], text: str, ended: str) -> None:
    assert said(*({"choices": [each]} for each in chunks)) == (text, ended)


@pytest.mark.parametrize("content", [7, ["a"], {"text": "a"}, True])
def test_what_is_no_text_is_told_from_text(content: object) -> None:
    assert read(made({"choices": [choice(content=content)]})).unreadable
    assert read(made({"choices": [choice(refusal=content)]})).unreadable


def test_only_what_the_model_does_is_a_sign_of_life() -> None:
    for quiet in QUIET:
        thinks = isinstance(quiet, dict) and "reasoning_content" in str(quiet)
        assert read(made(quiet)).alive == thinks
    assert read(made({"choices": [choice(content="a")]})).alive
    assert read(made({"choices": [choice(tool_calls=[{"index": 0}])]})).alive


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_server_that_gives_up_has_not_ended_the_text(reason: str) -> None:
    given_up = read(made({"choices": [choice(reason=reason)]}))
    assert (given_up.error, given_up.end) == ({"code": "server_error"}, "")

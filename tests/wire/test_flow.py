"""What crosses the network for retention and named readers: there, back, and what is no such."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamlib.core.hosting import HostedStream
from streamlib.core.log import Item
from streamlib.core.readers import MOST, NAME_BYTES, ReaderRow, ReaderTold
from streamlib.core.retention import Retention
from streamlib.errors import InvalidReaderNameError, MalformedInputError
from streamlib.wire.flow import (
    check_name,
    parse_reader,
    parse_retention,
    parse_rows,
    parse_times,
    retention_json,
    rows_json,
    times_json,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
JOIN = {"action": "join", "name": "billing", "token": "t", "position": 3, "stream_id": "s"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
"""JSON of any shape, and what only Python's JSON can hold."""

almost = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["join", "commit", "rewind"]) | anything,
        "name": st.text(max_size=300) | anything,
        "token": st.text(max_size=70) | anything,
        "position": st.integers(-2, 2**64) | anything,
        "stream_id": anything,
    },
)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_what_a_reader_tells_is_understood() -> None:
    assert parse_reader([JOIN]) == ReaderTold("join", "billing", "t", 3, "s")
    anywhere = {**JOIN, "action": "rewind", "stream_id": None}
    assert parse_reader([anywhere]) == ReaderTold("rewind", "billing", "t", 3, None)


@pytest.mark.parametrize(
    "other",
    [
        {"action": "leave"},
        {"action": ["join"]},
        {"name": ""},
        {"name": "n" * 10_000},
        {"name": "\ud800"},
        {"name": 7},
        {"token": ""},
        {"token": "t" * 65},
        {"token": "тайна"},
        {"token": None},
        {"position": -1},
        {"position": 2**63},
        {"position": True},
        {"position": 1.0},
        {"stream_id": 7},
    ],
)
def test_what_is_no_such_thing_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(MalformedInputError):
        parse_reader([{**JOIN, **other}])


@pytest.mark.parametrize("args", [[], [JOIN, JOIN], ["join"], [None], [[JOIN]]])
def test_it_takes_one_object(args: list[Any]) -> None:
    with pytest.raises(MalformedInputError):
        parse_reader(args)


def junk(chance: random.Random, depth: int = 0) -> Any:
    """A value of any shape."""
    plain = [None, True, -1, 0, 7, 2**63, 1e300, float("nan"), "", "join", "commit", "\ud800", "я"]
    if depth > 2 or chance.random() < 0.7:
        return chance.choice([*plain, "n" * 10_000, "\x00" * 64, chance.random()])
    parts = [junk(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    return parts if chance.random() < 0.5 else {str(n): part for n, part in enumerate(parts)}


def test_ten_thousand_hostile_signals_raise_nothing_but_a_refusal() -> None:
    chance, understood = random.Random(15), 0
    stream = HostedStream(now=NOON)
    stream.take([Item("t", "data", 1)] * 9, "p", 1, NOON)
    for _ in range(10_000):
        told: Any = dict(JOIN)
        for field in chance.sample([*JOIN], chance.randint(0, 3)):
            told[field] = junk(chance)
        args = chance.choice([[told], [told], [told], [told, junk(chance)], [junk(chance)], []])
        try:
            reader = parse_reader(args)
        except MalformedInputError:
            continue
        understood += 1
        assert check_name(reader.name) == reader.name
        assert 0 <= reader.position < 2**63
        stream.hear(reader, "s", NOON)
    assert stream.log.end_offset == 9
    assert "billing" in dict(stream.readers.items())
    assert len(stream.readers) <= MOST
    assert all(row.position <= 9 for _, row in stream.readers.items())
    assert 1_000 < understood < 9_000


@settings(max_examples=200, deadline=None)
@given(st.lists(almost | anything, max_size=2))
def test_nothing_that_arrives_raises_anything_but_a_refusal(args: list[Any]) -> None:
    with suppress(MalformedInputError):
        parse_reader(args)


@pytest.mark.parametrize("name", ["", None, 7, "n" * (NAME_BYTES + 1), "я" * 40, "\ud800"])
def test_a_name_is_a_text_that_is_not_too_long(name: Any) -> None:
    with pytest.raises(InvalidReaderNameError):
        check_name(name)
    assert check_name("n" * NAME_BYTES) == "n" * NAME_BYTES


@pytest.mark.parametrize(
    "policy",
    [
        Retention(max_items=3),
        Retention(max_bytes=3, until_read=True),
        Retention(max_age=timedelta(milliseconds=1500)),
    ],
)
def test_a_policy_comes_back_as_it_was(policy: Retention) -> None:
    assert parse_retention(through_json(retention_json(policy))) == policy


def test_no_policy_and_one_that_cannot_be_are_none() -> None:
    assert retention_json(None) is None
    hopeless: list[Any] = [
        *(None, 7, {}, {"max_items": 0}, {"until_read": True}, {"max_age": "long"}),
        *({"max_age": 1e300}, {"max_age": float("nan")}, {"max_items": True}),
    ]
    assert [parse_retention(each) for each in hopeless] == [None] * len(hopeless)


def test_times_come_back_as_they_were() -> None:
    times = [(4, NOON), (9, NOON + SECOND)]
    assert parse_times(through_json(times_json(times)), 3, 9) == times
    assert times_json([]) is None


def test_times_that_cannot_be_are_left_out() -> None:
    noon, later = NOON.isoformat(), (NOON + SECOND).isoformat()
    told = [
        *([3, noon], [5, later], [5, later], [6, noon], [99, later], [True, later], ["7", later]),
        *([7, "soon"], [7, later[:-6]], [7], 7, None, [8, later]),
    ]
    assert parse_times(told, 3, 9) == [(5, NOON + SECOND), (8, NOON + SECOND)]
    assert parse_times("none", 3, 9) == parse_times(None, 3, 9) == []


def test_rows_come_back_as_they_were_but_for_what_is_beyond_the_end() -> None:
    rows = {"billing": ReaderRow(5, "t", NOON, 7, 2), "заказы": ReaderRow(0, "u", NOON)}
    told = through_json(rows_json(rows))
    assert parse_rows(told, 9) == rows
    assert parse_rows(told, 4)["billing"].position == 4


def test_rows_that_cannot_be_are_left_out() -> None:
    noon = NOON.isoformat()
    told: list[Any] = [
        *(["", 1, "t", noon], ["n", -1, "t", noon], ["n", 1, "", noon], ["n", 1, "t", "soon"]),
        *(["n", 1, "t"], 7, None, ["n", 1, "t", noon[:-6]], ["m", 1, "t", noon, "many", -1]),
    ]
    assert parse_rows(told, 9) == {"m": ReaderRow(1, "t", NOON)}
    assert parse_rows("none", 9) == parse_rows(None, 9) == {}
    assert len(parse_rows([[f"n{n}", 1, "t", noon] for n in range(1_000)], 9)) == MOST


@settings(max_examples=200, deadline=None)
@given(anything | st.lists(st.lists(anything, max_size=6), max_size=3))
def test_no_carried_field_keeps_a_stream_from_going_on(told: Any) -> None:
    parse_rows(told, 9)
    parse_times(told, 3, 9)
    parse_retention(told)

"""The wire: what is refused, what is accepted, and that the peer means the same by it."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from dataclasses import asdict, is_dataclass
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.contrib import workflow_streams as peer
from temporalio.converter import DataConverter, PayloadConverter

from streamlib.core.hosting import ANSWER_FRAME_BYTES
from streamlib.core.limits import DEFAULTS, LEGACY, StreamLimits
from streamlib.core.log import Item, Log
from streamlib.core.retention import Retention
from streamlib.errors import (
    InvalidTopicError,
    ItemEncodeError,
    ItemTooLargeError,
    MalformedInputError,
)
from streamlib.wire import shapes
from streamlib.wire.encode import (
    answer_json,
    decode_payload,
    encode_item,
    encode_payload,
    item_of,
    publish_json,
    text_size,
    wire_size,
)
from streamlib.wire.parse import claimed_publisher, parse_answer, parse_poll, parse_publish
from streamlib.wire.shapes import IncomingBatch, PollInput, PollResult

CONVERTER = PayloadConverter.default
HELLO = encode_item("t", "hello", CONVERTER).data
ITEM = {"topic": "t", "data": HELLO}
BATCH = {"items": [ITEM], "publisher_id": "p", "sequence": 1}


def base64_of(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def deep(depth: int = 100_000) -> list[Any]:
    """A list nested so deep that even its repr() raises."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


NOT_PAYLOADS = {
    "missing": None,
    "a number": 7,
    "an object": {},
    "bad base64": "***",
    "base64 with its padding lost": HELLO[:-1],
    "non-ASCII": "ä" * 8,
    "half a surrogate pair": "\ud800",
    "base64 of no Payload": base64_of(b"\xff\xff\xff\xff"),
    "empty": "",
    "a Payload without encoding": base64_of(Payload(data=b"x").SerializeToString()),
}


@pytest.mark.parametrize("data", NOT_PAYLOADS.values(), ids=NOT_PAYLOADS.keys())
def test_what_no_converter_could_decode_is_refused(data: object) -> None:
    with pytest.raises(MalformedInputError):
        decode_payload(data)
    with pytest.raises(MalformedInputError):
        parse_publish([{**BATCH, "items": [ITEM, {"topic": "t", "data": data}]}])


def test_a_payload_comes_back_as_it_went() -> None:
    payload = Payload(metadata={"encoding": b"binary/plain", "own": b"\x00"}, data=b"\xff\x00")
    assert decode_payload(encode_payload(payload)) == payload


# --- publishing


@pytest.mark.parametrize("value", [1, None, "ä€𝄞", b"\x00\xff", {"a": [1.5]}, "", [], 10**30])
def test_a_value_travels_as_an_item(value: object) -> None:
    entry = encode_item("t", value, CONVERTER)
    assert CONVERTER.from_payload(decode_payload(entry.data)) == value


def test_a_ready_made_payload_is_taken_as_it_is() -> None:
    payload = Payload(metadata={"encoding": b"json/own"}, data=b"{}")
    assert decode_payload(encode_item("t", payload, CONVERTER).data) == payload


def a_cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize("value", [object(), a_cycle(), {1j: 2}, Payload(data=b"x"), [object]])
def test_what_cannot_be_serialized_raises_at_once_and_names_topic_and_value(value: Any) -> None:
    with pytest.raises(ItemEncodeError) as raised:
        encode_item("t", value, CONVERTER)
    assert (raised.value.topic, raised.value.value) == ("t", value)


def test_an_item_too_large_for_any_payload_raises_with_its_size() -> None:
    with pytest.raises(ItemTooLargeError) as raised:
        encode_item("t", b"x" * DEFAULTS.item_bytes, CONVERTER)
    assert raised.value.size > raised.value.limit == DEFAULTS.item_bytes


def test_an_empty_topic_raises() -> None:
    with pytest.raises(InvalidTopicError):
        encode_item("", 1, CONVERTER)


TOPICS = st.text(min_size=1, max_size=8) | st.text('ab<>&"\\\x00\n\x7fяж𝄞\ud800', min_size=1)


@given(st.lists(st.tuples(TOPICS, st.integers()), max_size=5), st.integers(0, 2**62), st.booleans())
def test_sizes_are_no_less_than_what_json_writes(
    entries: list[tuple[str, object]], base: int, html: bool
) -> None:
    log = Log(base)
    for topic, value in entries:
        log.append(item_of(topic, encode_item("t", value, CONVERTER).data))
    page = log.read(0)
    for whole in (
        answer_json(page, log, "r" * 200),
        publish_json([item for _, item in page.items], "", 0),
    ):
        text = json.dumps(whole)
        if html:  # as some languages write it
            for letter in "<>&":
                text = text.replace(letter, f"\\u{ord(letter):04x}")
        assert len(text) <= sum(item.size for _, item in page.items) + ANSWER_FRAME_BYTES
    written = len(json.dumps(answer_json(page, log, "r")))
    assert sum(item.size for _, item in page.items) < 6 * written, "and not far above it"


@pytest.mark.parametrize(
    ("topic", "bytes"),
    [
        ("a", 1),
        ("a b", 3),
        ("ä", 6),
        ("𝄞", 12),
        ('"', 2),
        ("\n", 2),
        ("\0", 6),
        ("<", 6),
        ("\ud800", 6),
    ],
)
def test_a_letter_counts_as_json_writes_it_at_its_widest(topic: str, bytes: int) -> None:
    assert text_size(topic) == bytes
    assert wire_size(topic, "AAAA") - wire_size("t", "AAAA") == bytes - 1


def a_payload_of(size: int) -> Payload:
    return Payload(metadata={"encoding": b"binary/plain"}, data=b"x" * size)


def test_an_item_is_taken_up_to_the_limit_and_not_a_byte_beyond() -> None:
    item = encode_item("t", a_payload_of(3_000), CONVERTER)
    batch = publish_json([item], "p", 1)
    for limit, taken in ((item.size, True), (item.size - 1, False)):
        limits = StreamLimits(item_bytes=limit)
        if taken:
            assert encode_item("t", a_payload_of(3_000), CONVERTER, limits) == item
            assert parse_publish([batch], limits).items == [item]
            continue
        with pytest.raises(ItemTooLargeError):
            encode_item("t", a_payload_of(3_000), CONVERTER, limits)
        with pytest.raises(MalformedInputError, match=rf"item has {item.size:,} bytes.*{limit:,}"):
            parse_publish([batch], limits)


def test_a_topic_is_taken_up_to_the_limit_as_it_travels_and_not_a_byte_beyond() -> None:
    encode_item("я" * 166, 1, CONVERTER)
    with pytest.raises(InvalidTopicError, match="1,002 bytes as it travels; a name may have 1,000"):
        encode_item("я" * 167, 1, CONVERTER)
    encode_item("𝄞" * 83, 1, CONVERTER)
    with pytest.raises(InvalidTopicError, match="1,008 bytes as it travels; a name may have 1,000"):
        encode_item("𝄞" * 84, 1, CONVERTER)
    batch = {**BATCH, "items": [{**ITEM, "topic": "я" * 900_000}]}
    with pytest.raises(
        MalformedInputError, match=r"topic has 5,400,000 bytes.*1,000 at most"
    ) as it:
        parse_publish([batch])
    assert len(str(it.value)) < 200


def test_a_batch_is_refused_for_its_size_only_where_an_author_says_so() -> None:
    items = [encode_item("t", a_payload_of(50_000), CONVERTER)] * 20
    batch = publish_json(items, "p", 1)  # 1.3 MB: a client that splits by count alone may send it
    assert len(parse_publish([batch]).items) == 20
    limits = StreamLimits(item_bytes=400_000, batch_bytes=400_000)
    with pytest.raises(MalformedInputError, match=r"publish signal has 1,3.*400,000 at most"):
        parse_publish([batch], limits)
    assert parse_publish([publish_json(items[:5], "p", 1)], limits).items == items[:5]


def test_the_legacy_limits_take_what_they_took() -> None:
    taken = {**BATCH, "items": [{**ITEM, "topic": "я" * 900_000}]}
    assert len(parse_publish([taken], LEGACY).items) == 1
    large = encode_item("t", a_payload_of(1_499_900), CONVERTER, LEGACY)
    assert parse_publish([publish_json([large], "p", 1)], LEGACY).items == [large]
    for topic, value in (("t", a_payload_of(1_500_000)), ("я" * 1_000_000, 1)):
        with pytest.raises(ItemTooLargeError):
            encode_item(topic, value, CONVERTER, LEGACY)


@pytest.mark.parametrize(("topic", "data"), [("я" * 900_000, HELLO), ("t", "A" * 2_200_000)])
def test_an_item_that_no_answer_could_hold_is_told_without_its_data(topic: str, data: str) -> None:
    log = log_with("before")
    log.append(item_of(topic, data))
    log.append(item_of("t", HELLO))
    answers, at = [], 0
    for _ in range(3):
        page = log.read(at, max_bytes=1)
        answers.append(answer_json(page, log, "run"))
        at = page.next_offset
    assert [len(json.dumps(answer)) < 1_000 for answer in answers] == [True] * 3
    offsets = [offset for answer in answers for offset, _ in parse_answer(answer).page.items]
    assert offsets == [4, 5, 6]
    [(_, item)] = parse_answer(answers[1]).page.items
    assert isinstance(item.data, MalformedInputError)
    assert item.topic == f"{topic[:100]}…"
    larger = StreamLimits(item_bytes=6_000_000, page_bytes=6_000_000, batch_bytes=6_000_000)
    told = answer_json(log.read(5, max_bytes=1), log, "run", larger)["items"]
    assert told == [{"topic": topic, "data": data, "offset": 5}], "a server may take more"


def test_a_batch_is_parsed_as_it_was_built() -> None:
    items = [encode_item("a", 1, CONVERTER), encode_item("ü", {"x": None}, CONVERTER)]
    assert parse_publish([publish_json(items, "p", 3)]) == IncomingBatch(items, "p", 3)


def test_unknown_fields_are_ignored_and_missing_ones_have_the_peers_defaults() -> None:
    assert parse_publish([{"new": 1}]) == IncomingBatch([], "", 0)
    assert parse_publish([{"items": [{**ITEM, "new": 1}]}]).items == [item_of("t", HELLO)]
    assert parse_poll([{"new": 1}]) == PollInput([], 0)


NOT_BATCHES: dict[str, tuple[object, ...]] = {
    "no argument": (),
    "two arguments": (BATCH, BATCH),
    "null": (None,),
    "a list": ([BATCH],),
    "a string": ("hello",),
    "items is an object": ({**BATCH, "items": ITEM},),
    "an item is a string": ({**BATCH, "items": ["hello"]},),
    "an item has no topic": ({**BATCH, "items": [{"data": HELLO}]},),
    "an empty topic": ({**BATCH, "items": [{"topic": "", "data": HELLO}]},),
    "a topic that is a number": ({**BATCH, "items": [{"topic": 1, "data": HELLO}]},),
    "a topic of half a pair": ({**BATCH, "items": [{"topic": "\ud800", "data": HELLO}]},),
    "a topic nested too deep to show": ({**BATCH, "items": [{"topic": deep(), "data": HELLO}]},),
    "publisher_id is null": ({**BATCH, "publisher_id": None},),
    "publisher_id is a number": ({**BATCH, "publisher_id": 5},),
    "publisher_id is nested too deep to show": ({**BATCH, "publisher_id": deep()},),
    "sequence -1": ({**BATCH, "sequence": -1},),
    "sequence 2^63": ({**BATCH, "sequence": 2**63},),
    "sequence 10^30": ({**BATCH, "sequence": 10**30},),
    "sequence too long to show": ({**BATCH, "sequence": 10**5000},),
    "sequence 1.9": ({**BATCH, "sequence": 1.9},),
    "sequence true": ({**BATCH, "sequence": True},),
    "sequence NaN": ({**BATCH, "sequence": float("nan")},),
    "sequence nested too deep to show": ({**BATCH, "sequence": deep()},),
    "a huge item": (
        {
            **BATCH,
            "items": [
                {
                    "topic": "t",
                    "data": encode_payload(
                        Payload(
                            metadata={"encoding": b"binary/plain"}, data=b"x" * DEFAULTS.item_bytes
                        )
                    ),
                }
            ],
        },
    ),
}


@pytest.mark.parametrize("args", NOT_BATCHES.values(), ids=NOT_BATCHES.keys())
def test_a_malformed_batch_is_refused_whole(args: tuple[object, ...]) -> None:
    with pytest.raises(MalformedInputError) as raised:
        parse_publish(args)
    assert len(str(raised.value)) < 300


# --- polling

NOT_POLLS: dict[str, tuple[object, ...]] = {
    "no argument": (),
    "two arguments": ({}, {}),
    "a number": (0,),
    'topics "ab"': ({"topics": "ab"},),
    "topics of numbers": ({"topics": [1]},),
    "topics nested too deep to show": ({"topics": deep()},),
    "from_offset 1.9": ({"from_offset": 1.9},),
    "from_offset -1": ({"from_offset": -1},),
    "from_offset true": ({"from_offset": True},),
    "from_offset a string": ({"from_offset": "1"},),
    "from_offset null": ({"from_offset": None},),
}


@pytest.mark.parametrize("args", NOT_POLLS.values(), ids=NOT_POLLS.keys())
def test_a_malformed_poll_is_refused(args: tuple[object, ...]) -> None:
    with pytest.raises(MalformedInputError):
        parse_poll(args)


def test_a_poll_may_ask_far_beyond_any_end_and_for_any_text() -> None:
    poll = {"topics": ["ä", "\ud800", ""], "from_offset": 10**30}
    assert parse_poll([poll]) == PollInput(["ä", "\ud800", ""], 10**30)


def log_with(*values: object) -> Log:
    log = Log(base_offset=4)
    for value in values:
        entry = encode_item("t", value, CONVERTER)
        log.append(Item(entry.topic, entry.data, wire_size(entry.topic, entry.data)))
    return log


def test_an_answer_is_parsed_as_it_was_built() -> None:
    log = log_with("hello", "world")
    answer = parse_answer(answer_json(log.read(0, max_bytes=1), log, "run-1"))
    assert answer.page.items == [(4, Item("t", decode_payload(HELLO), wire_size("t", HELLO)))]
    assert (answer.page.next_offset, answer.page.more_ready) == (5, True)
    assert (answer.base_offset, answer.end_offset, answer.stream_id) == (4, 6, "run-1")


ANSWER = {"items": [{**ITEM, "offset": 3}], "next_offset": 4, "more_ready": False}


def test_an_answer_of_the_peer_does_not_say_base_end_and_stream() -> None:
    assert parse_answer(ANSWER)[1:] == (None, None, None)


@pytest.mark.parametrize("data", NOT_PAYLOADS.values(), ids=NOT_PAYLOADS.keys())
def test_a_bad_item_in_an_answer_keeps_its_place_and_its_neighbours(data: object) -> None:
    bad = {"topic": "t", "data": data, "offset": 2}
    page = parse_answer({**ANSWER, "items": [bad, *ANSWER["items"]]}).page  # type: ignore[misc]
    assert [offset for offset, _ in page.items] == [2, 3]
    assert isinstance(page.items[0][1].data, MalformedInputError)
    assert isinstance(page.items[1][1].data, Payload)


NOT_ANSWERS = {
    "null": None,
    "a list": [],
    "no fields": {},
    "items is an object": {**ANSWER, "items": {}},
    "an item is null": {**ANSWER, "items": [None]},
    "an item without offset": {**ANSWER, "items": [ITEM]},
    "an item at offset -1": {**ANSWER, "items": [{**ITEM, "offset": -1}]},
    "a topic that is a number": {**ANSWER, "items": [{**ITEM, "offset": 1, "topic": 1}]},
    "next_offset null": {**ANSWER, "next_offset": None},
    "next_offset 10^30": {**ANSWER, "next_offset": 10**30},
    "more_ready 1": {**ANSWER, "more_ready": 1},
    "base_offset a string": {**ANSWER, "base_offset": "4"},
    "end_offset -1": {**ANSWER, "end_offset": -1},
    "items that go back": {**ANSWER, "items": [{**ITEM, "offset": o} for o in (2, 1)]},
    "an item told twice": {**ANSWER, "items": [{**ITEM, "offset": 1}] * 2},
    "an item to be told again": {**ANSWER, "items": [{**ITEM, "offset": 7}], "next_offset": 7},
    "more, and no way on": {**ANSWER, "items": [], "next_offset": 0, "more_ready": True},
}


@pytest.mark.parametrize("answer", NOT_ANSWERS.values(), ids=NOT_ANSWERS.keys())
def test_an_answer_that_makes_no_sense_is_refused(answer: object) -> None:
    with pytest.raises(MalformedInputError):
        parse_answer(answer)


def test_an_answer_with_items_below_what_was_asked_is_refused() -> None:
    answer = {**ANSWER, "items": [{**ITEM, "offset": 3}], "next_offset": 4}
    assert parse_answer(answer, 3).page.next_offset == 4
    with pytest.raises(MalformedInputError, match="ascend"):
        parse_answer(answer, 4)


# --- anything at all

BATCH_FIELDS = ["items", "topic", "data", "publisher_id", "sequence"]
POLL_FIELDS = ["topics", "from_offset", "offset", "next_offset", "more_ready", "base_offset"]
names = st.sampled_from(BATCH_FIELDS + POLL_FIELDS)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from([HELLO, "", "\ud800"])
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names | st.text(max_size=3), inner, max_size=7)
    ),
    max_leaves=12,
)


def parse_or_refuse(args: list[object]) -> None:
    """Give `args` to each parser; anything but `MalformedInputError` fails the test."""
    for parse in (parse_publish, parse_poll, lambda args: [parse_answer(arg) for arg in args]):
        with contextlib.suppress(MalformedInputError):
            parse(args)


@settings(max_examples=50, deadline=None)
@given(st.lists(json_values, max_size=2))
def test_whatever_arrives_is_parsed_or_refused_and_nothing_else(args: list[object]) -> None:
    parse_or_refuse(args)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "items": st.lists(
                st.fixed_dictionaries(
                    {}, optional={"topic": scalars, "data": scalars, "offset": scalars}
                )
            ),
            **dict.fromkeys(["publisher_id", "sequence", "next_offset", "more_ready"], scalars),
        },
    )
)
def test_almost_right_input_is_parsed_or_refused_and_nothing_else(fields: object) -> None:
    parse_or_refuse([fields])


# --- the peer

offsets = st.integers(0, 2**63 - 1)
texts = st.text(min_size=1, max_size=8)
values = st.none() | st.integers() | st.text() | st.binary() | st.dictionaries(texts, st.integers())
entries = st.builds(lambda topic, value: encode_item(topic, value, CONVERTER), texts, values)


async def over_the_wire(value: object, hint: Any) -> Any:
    """`value` as the other side gets it, through the default data converter and JSON."""
    payloads = await DataConverter.default.encode([value])
    return (await DataConverter.default.decode(payloads, [hint]))[0]


@given(st.lists(entries, max_size=3), st.text(), offsets)
async def test_our_batch_is_the_peers(items: list[Item], publisher_id: str, sequence: int) -> None:
    batch = publish_json(items, publisher_id, sequence)
    theirs = await over_the_wire(batch, peer.PublishInput)
    assert theirs == peer.PublishInput(
        [peer.PublishEntry(item.topic, item.data) for item in items], publisher_id, sequence
    )
    ours = parse_publish([await over_the_wire(theirs, dict[str, Any])])
    assert ours == IncomingBatch(items, publisher_id, sequence)


@given(st.lists(texts, max_size=3), offsets)
async def test_our_poll_is_the_peers(topics: list[str], from_offset: int) -> None:
    theirs = await over_the_wire(PollInput(topics, from_offset), peer.PollInput)
    assert theirs == peer.PollInput(topics, from_offset)
    assert parse_poll([await over_the_wire(theirs, None)]) == PollInput(topics, from_offset)


@given(st.lists(values, max_size=3))
async def test_our_answer_is_the_peers(items: list[object]) -> None:
    log = log_with(*items)
    answer = answer_json(log.read(0), log, "run-1")
    theirs = await over_the_wire(answer, peer.PollResult)
    assert [asdict(item) for item in theirs.items] == answer["items"]
    assert (theirs.next_offset, theirs.more_ready) == (4 + len(items), False)
    ours = parse_answer(await over_the_wire(theirs, dict[str, Any]))
    assert ours.page == parse_answer(answer).page


async def test_our_poll_result_is_the_peers_field_by_field() -> None:
    ours = PollResult([{**ITEM, "offset": 3}], 4, True)
    theirs = await over_the_wire(ours, peer.PollResult)
    assert asdict(theirs) == asdict(ours)


def test_null_is_an_empty_list_as_some_languages_write_it() -> None:
    assert parse_publish([{"items": None, "publisher_id": "p", "sequence": 1}]).items == []
    assert parse_poll([{"topics": None, "from_offset": 3}]) == PollInput([], 3)
    answer = {"items": None, "next_offset": 3, "more_ready": False}
    assert parse_answer(answer).page.items == []


@pytest.mark.parametrize(
    ("args", "claimed"),
    [
        (({"publisher_id": "p", "items": 1},), ("p", 0)),
        (({"publisher_id": "p", "sequence": 7},), ("p", 7)),
        (({"publisher_id": "p", "sequence": -7},), ("p", 0)),
        (({"publisher_id": "p", "sequence": 2**63},), ("p", 0)),
        (({"publisher_id": "p", "sequence": True},), ("p", 0)),
        (({"publisher_id": 7},), ("", 0)),
        (({"publisher_id": "p" * 1_001, "sequence": 7},), ("", 7)),
        (({},), ("", 0)),
        ((7,), ("", 0)),
        ((), ("", 0)),
        (({"publisher_id": "p"}, 1), ("", 0)),
    ],
)
def test_a_refused_batch_is_of_whom_it_says_if_it_says_so(
    args: Any, claimed: tuple[str, int]
) -> None:
    assert claimed_publisher(args) == claimed


@pytest.mark.parametrize(
    "shape",
    [each for each in vars(shapes).values() if is_dataclass(each)] + [StreamLimits, Retention],
)
def test_what_a_converter_makes_by_its_hints_needs_no_module_to_look_them_up_in(
    shape: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workflow's sandbox has none, where `streamlib` was passed through by that name."""
    monkeypatch.delitem(sys.modules, shape.__module__)
    assert get_type_hints(shape).keys() == shape.__dataclass_fields__.keys()  # type: ignore[attr-defined]

"""A stream about itself: what is asked is parsed strictly, what is answered crosses unchanged."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.hosting import HostedStream
from streamlib.core.ledger import ACCEPTED, DUPLICATE, REFUSED, Batch
from streamlib.core.limits import DEFAULTS
from streamlib.core.log import Item, Log
from streamlib.core.retention import Retention
from streamlib.errors import MalformedInputError
from streamlib.wire.describe import (
    MAX_ROWS,
    DescribeInput,
    ItemDescription,
    PublisherDescription,
    ReaderDescription,
    StreamDescription,
    description_json,
    parse_describe,
    parse_description,
    seams_of,
)
from streamlib.wire.shapes import WorkflowStreamState
from tests.wire.test_flow import junk

NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
ABOUT = {"stream_id": "s", "run_id": "r"}


class Stream:
    """A stream as a host has it."""

    def __init__(self, base_offset: int = 0) -> None:
        self.stream = HostedStream(Log(base_offset), now=NOON)
        self.stream.signals = 5
        self.log, self.ledger = self.stream.log, self.stream.ledger

    def publish(self, publisher_id: str, sequence: int, items: int, now: datetime = NOON) -> None:
        self.stream.take([Item(publisher_id, "data", 7)] * items, publisher_id, sequence, now)

    def say(self, items: int, topic: str = "own") -> None:
        for _ in range(items):
            self.log.append(Item(topic, "data", 7))

    def refuse(self, publisher_id: str) -> None:
        self.stream.refuse(publisher_id, "why", NOON)

    def answer(self, **asked: int) -> str:
        """As it travels."""
        rows = DescribeInput(**asked)
        return json.dumps(description_json(rows, self.stream, **ABOUT))

    def describe(self, **asked: int) -> StreamDescription:
        return parse_description(json.loads(self.answer(**asked)))


def a_stream() -> Stream:
    """With something of each kind."""
    stream = Stream()
    stream.publish("p", 1, 2)
    stream.publish("p", 1, 2)
    stream.refuse("q")
    stream.say(1)
    stream.ledger.seams = [1]
    return stream


def test_a_topic_that_is_much_too_long_is_cut() -> None:
    stream = Stream()
    stream.say(1, topic="я" * 900_000)
    assert [item.topic for item in stream.describe(items=1).items] == ["я" * 1_000]


def test_an_empty_stream_describes_itself() -> None:
    assert Stream().describe(items=9, batches=9) == StreamDescription(
        "s", "r", 0, 0, 0, 5, 0, [], [], [], readers=[], verdicts=[]
    )


def test_retention_and_named_readers_are_told() -> None:
    stream = Stream()
    policy = Retention(max_items=9, max_age=timedelta(minutes=1), until_read=True)
    stream.stream.keep(policy, NOON)
    stream.say(5)
    readers = stream.stream.readers
    readers.join("billing", "token", 2, NOON, 5)
    readers.commit("billing", "token", 3, NOON + timedelta(seconds=1), 5)
    readers.commit("billing", "forged", 5, NOON, 5)
    readers.join("gone", "token", 1, NOON, 5)
    readers.prune(NOON + readers.ttl + timedelta(microseconds=1), 5)
    about = stream.describe()
    assert about.retention == policy
    seen = NOON + timedelta(seconds=1)
    assert about.readers == [ReaderDescription("billing", 3, 2, "token", seen, 1, 1)]
    assert about.readers_refused == 1
    [forgotten] = about.readers_forgotten
    assert (forgotten.name, forgotten.position) == ("gone", 1)


def test_a_host_that_knows_no_names_and_no_verdicts_says_neither() -> None:
    older = json.loads(Stream().answer())
    for name in ("retention", "readers", "readers_refused", "readers_forgotten", "verdicts"):
        del older[name]
    del older["verdicts_left_out"]
    about = parse_description(older)
    assert (about.readers, about.verdicts, about.retention) == (None, None, None)


def test_verdicts_are_the_best_that_is_remembered_of_each_batch_that_was_asked_for() -> None:
    stream = Stream()
    stream.publish("p", 1, 2)
    stream.publish("p", 1, 2)
    stream.publish("p", 3, 1)
    stream.publish("p", 2, 1)
    stream.publish("q", 4, 1)
    stream.stream.refuse("p", "too large", NOON, 4)
    [asked] = [parse_describe([{"publisher_id": "p", "sequences": [1, 2, 4, 5]}])]
    about = parse_description(description_json(asked, stream.stream, **ABOUT))
    assert about.verdicts == [
        Batch("p", 1, ACCEPTED, 0, 2),
        Batch("p", 2, DUPLICATE, None, 0),
        Batch("p", 4, REFUSED, None, 0, "too large"),
    ]


def verdicts_of(stream: Stream, who: str, sequences: int, **asked: int) -> tuple[int, Any]:
    """How many bytes the answer has, and the description."""
    [rows] = [parse_describe([{"publisher_id": who, "sequences": [*range(1, sequences + 1)]}])]
    answer = json.dumps(description_json(rows._replace(**asked), stream.stream, **ABOUT))
    return len(answer), parse_description(json.loads(answer))


def test_verdicts_can_always_be_sent_and_what_is_left_out_is_counted() -> None:
    stream, who = Stream(), "\U0001f600" * 1_000
    for sequence in range(1, 4_001):
        stream.publish(who, sequence, 1)
    size, about = verdicts_of(stream, who, 4_000)
    assert size < DEFAULTS.page_bytes
    told = [batch.sequence for batch in about.verdicts]
    assert told == [*range(1, len(told) + 1)], "the first that were asked for"
    assert len(told) > 30
    assert about.verdicts_left_out == 4_000 - len(told)
    for asked in (1, 30, 60):
        assert verdicts_of(stream, who, asked)[1].verdicts_left_out == 0


def test_verdicts_are_left_out_last_and_all_are_told_where_names_are_not_long() -> None:
    stream = Stream()
    for n in range(2_000):
        stream.publish(f"{n:04}" + "я" * 996, 1, 1)
        stream.publish("p", n + 1, 1)
    size, about = verdicts_of(stream, "p", 1_000, items=MAX_ROWS, batches=MAX_ROWS)
    assert size < DEFAULTS.page_bytes
    assert (len(about.verdicts), about.verdicts_left_out) == (1_000, 0)
    assert about.items
    assert about.batches


def test_verdicts_with_long_reasons_can_be_sent_too() -> None:
    stream = Stream()
    for n in range(2_000):
        stream.stream.refuse("p", "\U0001f600" * 90, NOON, n + 1)
    size, about = verdicts_of(stream, "p", 2_000)
    assert size < DEFAULTS.page_bytes
    assert len(about.verdicts) + about.verdicts_left_out == 2_000
    assert len(about.verdicts) >= 500


def test_bounds_size_and_publishers_come_without_asking() -> None:
    stream = Stream()
    stream.publish("p", 1, 2)
    stream.publish("p", 1, 2)
    stream.publish("q", 7, 1, NOON + timedelta(seconds=1))
    stream.refuse("q")
    stream.refuse("stranger")
    stream.log.truncate(1)
    told = stream.describe()
    assert (told.base_offset, told.end_offset, told.size, told.refused) == (1, 3, 14, 2)
    assert told.publishers == [
        PublisherDescription("p", 1, 1, 1, 0, NOON),
        PublisherDescription("q", 7, 1, 0, 1, NOON + timedelta(seconds=1)),
    ]
    assert (told.items, told.batches) == ([], [])


def test_the_batches_say_what_became_of_each() -> None:
    stream = Stream()
    stream.publish("p", 1, 2)
    stream.publish("p", 2, 1)
    stream.publish("p", 1, 2)
    stream.refuse("")
    assert stream.describe(batches=3).batches == [
        Batch("p", 2, ACCEPTED, 2, 1),
        Batch("p", 1, DUPLICATE, 0, 2),
        Batch("", 0, REFUSED, None, 0, "why"),
    ]


def test_a_page_of_items_names_publisher_and_sequence_where_they_are_known() -> None:
    stream = Stream(base_offset=10)
    stream.say(1)
    stream.publish("p", 4, 2)
    stream.say(1)
    assert stream.describe(items=3, from_offset=11).items == [
        ItemDescription(11, "p", 7, "p", 4),
        ItemDescription(12, "p", 7, "p", 4),
        ItemDescription(13, "own", 7, None, None),
    ]
    assert [item.offset for item in stream.describe(items=2).items] == [10, 11]
    assert stream.describe(items=2, from_offset=10**30).items == []


def test_the_answer_grows_with_what_is_asked_and_not_with_the_log() -> None:
    small, large = Stream(), Stream()
    for stream, batches in ((small, 10), (large, 2000)):
        for sequence in range(1, batches + 1):
            stream.publish("p", sequence, 5)
    for asked in ({}, {"items": 10, "batches": 10}):
        assert len(large.answer(**asked)) < len(small.answer(**asked)) + 100
    assert len(large.answer(items=MAX_ROWS)) < 10 * MAX_ROWS


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 40))
def test_pages_of_items_are_slices_of_the_log(base: int, start: int, count: int) -> None:
    stream = Stream(base)
    stream.publish("p", 1, 20)
    rows = stream.describe(items=count, from_offset=start).items
    wanted = range(base, base + 20)
    first = max(start, base)
    assert [row.offset for row in rows] == [n for n in wanted if first <= n < first + count]


def test_a_full_page_is_told_as_the_log_and_the_ledger_know_it() -> None:
    stream = Stream()
    for sequence in range(1, 1801):
        stream.publish(f"p{sequence % 7}", sequence, sequence % 4)
        stream.say(sequence % 3)
    told = stream.describe(items=MAX_ROWS).items
    assert len(told) == MAX_ROWS
    for row, (offset, item) in zip(told, stream.log.items_from(0, MAX_ROWS), strict=True):
        batch = stream.ledger.batch_at(offset)
        who = (batch.publisher_id, batch.sequence) if batch else (None, None)
        assert row == (offset, item.topic, item.size, *who)


def test_the_answer_says_each_name_once() -> None:
    stream, name = Stream(), "a publisher with a long name"
    for sequence in range(1, MAX_ROWS + 1):
        stream.publish(name, sequence, 1)
    full = stream.answer(items=MAX_ROWS)
    assert full.count(name) == 3  # in the publishers' table, as the topic, as the id
    assert len(full) < 30 * MAX_ROWS


def test_a_run_that_takes_over_adds_a_seam_once_a_position_and_sixteen_are_kept() -> None:
    assert seams_of(None, 0) == []
    assert seams_of(WorkflowStreamState(), 7) == [7], "from the peer: this one is known"
    assert seams_of(WorkflowStreamState(seams=[3, 7]), 9) == [3, 7, 9]
    assert seams_of(WorkflowStreamState(seams=[3, 7]), 7) == [3, 7]
    assert seams_of(WorkflowStreamState(seams=[*range(16)]), 99) == [*range(1, 16), 99]


GOOD = json.loads(a_stream().answer(items=9, batches=9))
MARKUP = "<img src=x onerror=alert(1)>"
HOSTILE: dict[str, Any] = {
    "no object": 7,
    "null": None,
    "nothing": {},
    "markup for a count": {**GOOD, "end_offset": MARKUP},
    "markup for a sequence": {**GOOD, "publishers": [["p", MARKUP, 1, 1, 0, NOON.isoformat()]]},
    "markup for a time": {**GOOD, "publishers": [["p", 1, 1, 1, 0, MARKUP]]},
    "a number for a name": {**GOOD, "publishers": [[7, 1, 1, 1, 0, NOON.isoformat()]]},
    "a row cut short": {**GOOD, "publishers": [["p", 1]]},
    "a row that is none": {**GOOD, "publishers": [7]},
    "rows that are none": {**GOOD, "publishers": 7},
    "markup for a batch's offset": {**GOOD, "batches": [["p", 1, "accepted", MARKUP, 1, ""]]},
    "markup for a batch's items": {**GOOD, "batches": [["p", 1, "accepted", 0, MARKUP, ""]]},
    "a list for a verdict": {**GOOD, "batches": [["p", 1, [], 0, 1, ""]]},
    "an object for a reason": {**GOOD, "batches": [["p", 1, "accepted", 0, 1, {}]]},
    "a negative base": {**GOOD, "base_offset": -1},
    "a boolean for a size": {**GOOD, "size": True},
    "a float for the signals": {**GOOD, "signals": 1.5},
    "a huge refused": {**GOOD, "refused": 10**30},
    "markup for what is left out": {**GOOD, "verdicts_left_out": MARKUP},
    "seams of text": {**GOOD, "seams": [MARKUP]},
    "an id that is none": {**GOOD, "stream_id": 7},
    "items that are none": {**GOOD, "items": []},
    "items without columns": {**GOOD, "items": {}},
    "columns of other lengths": {**GOOD, "items": {**GOOD["items"], "size": [1]}},
    "markup for a size": {**GOOD, "items": {**GOOD["items"], "size": [MARKUP] * 3}},
    "a topic that is none": {**GOOD, "items": {**GOOD["items"], "topics": [7]}},
    "a topic out of range": {**GOOD, "items": {**GOOD["items"], "topic": [9] * 3}},
    "a topic from behind": {**GOOD, "items": {**GOOD["items"], "topic": [-1] * 3}},
    "a publisher out of range": {**GOOD, "items": {**GOOD["items"], "by": [[3, 9, 1]]}},
    "more by than there are items": {**GOOD, "items": {**GOOD["items"], "by": [[10**12, 0, 1]]}},
    "markup for who": {**GOOD, "items": {**GOOD["items"], "by": [[3, MARKUP, 1]]}},
    "markup for the first": {**GOOD, "items": {**GOOD["items"], "first": MARKUP}},
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_what_a_hostile_host_answers_is_refused_and_not_shown(answer: Any) -> None:
    with pytest.raises(MalformedInputError, match="Malformed description"):
        parse_description(answer)


@pytest.mark.parametrize(
    "name", ["size", "signals", "refused", "publishers", "batches", "items", "seams"]
)
def test_what_another_version_of_ours_leaves_out_is_none(name: str) -> None:
    told = parse_description({key: value for key, value in GOOD.items() if key != name})
    assert not getattr(told, name)
    assert told.end_offset == GOOD["end_offset"]


def test_what_a_later_version_adds_to_a_row_is_ignored() -> None:
    rows = {name: [[*row, "new"] for row in GOOD[name]] for name in ("publishers", "batches")}
    items = {**GOOD["items"], "new": []}
    assert parse_description({**GOOD, **rows, "items": items, "new": 1}) == parse_description(GOOD)


def test_an_answer_can_always_be_sent_however_long_the_names() -> None:
    stream = Stream()
    for n in range(3_000):
        name = f"{n:04}" + "я" * 996
        stream.publish(name, 1, 1, NOON + timedelta(seconds=n))
        stream.refuse(name)
    answer = stream.answer(items=MAX_ROWS, batches=MAX_ROWS)
    assert len(answer) < DEFAULTS.page_bytes
    told = parse_description(json.loads(answer))
    assert told.end_offset == 3_000
    assert len(told.publishers) + told.publishers_left_out == 3_000
    seen = sorted(int(row.publisher_id[:4]) for row in told.publishers)
    assert seen == [*range(3_000 - len(seen), 3_000)], "those that were seen last"
    assert told.items
    assert told.batches


def test_the_seams_are_told() -> None:
    stream = Stream()
    stream.ledger.seams = [3, 7]
    assert stream.describe().seams == [3, 7]


def test_a_field_that_is_not_known_yet_is_ignored() -> None:
    fields = {**json.loads(Stream().answer()), "later": 1}
    assert parse_description(fields) == Stream().describe()


@pytest.mark.parametrize("args", [[], [{}], [{"later": "field"}]])
def test_nothing_asked_is_no_rows(args: list[Any]) -> None:
    assert parse_describe(args) == DescribeInput(0, 0, 0)


def test_more_rows_than_an_answer_holds_are_cut() -> None:
    asked = parse_describe([{"items": 10**9, "batches": 10**9, "from_offset": 10**30}])
    assert asked == DescribeInput(10**30, MAX_ROWS, MAX_ROWS)


@pytest.mark.parametrize(
    "args",
    [
        [1],
        [None],
        [[]],
        [{}, {}],
        [{"items": -1}],
        [{"items": 1.0}],
        [{"items": True}],
        [{"batches": "1"}],
        [{"from_offset": None}],
    ],
    ids=str,
)
def test_a_question_that_is_none_is_refused(args: list[Any]) -> None:
    with pytest.raises(MalformedInputError, match="describe query"):
        parse_describe(args)


def test_ten_thousand_hostile_questions_raise_nothing_but_a_refusal() -> None:
    chance, stream, answered = random.Random(15), a_stream(), 0
    fields = ["from_offset", "items", "batches", "publisher_id", "sequences"]
    for _ in range(10_000):
        asked: Any = {"publisher_id": "p", "sequences": [1, 2**63]}
        for name in chance.sample(fields, chance.randint(0, 2)):
            asked[name] = junk(chance)
        args = chance.choice([[asked], [asked], [asked, 1], [junk(chance)]])
        try:
            rows = parse_describe(args)
        except MalformedInputError:
            continue
        answered += 1
        parse_description(description_json(rows, stream.stream, **ABOUT))
    assert 1_000 < answered < 9_000

"""The hand-over: what one run leaves, ours or the peer's, the next one starts from."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.contrib import workflow_streams as peer
from temporalio.converter import PayloadConverter

from streamlib.core.dedup import PublisherRow, Publishers
from streamlib.core.hosting import ANSWER_FRAME_BYTES, Carried, HostedStream
from streamlib.core.limits import DEFAULTS, LEGACY, StreamLimits
from streamlib.core.log import Log
from streamlib.core.parts import LogOf, PublishersOf
from streamlib.core.readers import ReaderRow, Readers
from streamlib.core.retention import Keeper, Retention
from streamlib.errors import MalformedInputError, StateTooLargeError
from streamlib.host.carry import (
    Measure,
    arguments,
    carried_identity,
    carried_keeper,
    carried_limits,
    carried_readers,
    carried_retention,
    newer_bytes,
    restore,
    state_of,
    that_fits,
    was_retained,
)
from streamlib.wire.describe import seams_of
from streamlib.wire.encode import answer_json, encode_item, item_of, items_json
from streamlib.wire.parse import parse_answer
from streamlib.wire.shapes import PublisherState, WorkflowStreamState
from tests.core.test_parts import OWN
from tests.wire.test_encode_and_parse import CONVERTER, entries, over_the_wire

LIMIT = DEFAULTS.state_bytes
MEASURE = Measure(CONVERTER, LIMIT)
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def test_without_a_prior_state_the_stream_is_empty() -> None:
    log, publishers = restore(None)
    assert (log.base_offset, log.end_offset, len(publishers)) == (0, 0, 0)


def stream_of(items: list[Any], base_offset: int = 3) -> tuple[Log, Publishers]:
    log = Log(base_offset)
    for entry in items:
        log.append(item_of(entry.topic, entry.data))
    return log, Publishers({"p": PublisherRow(7, NOON), "idle": PublisherRow(1, NOON - 2 * HOUR)})


def assert_the_same(log: Log, twin: Log) -> None:
    assert (twin.base_offset, twin.end_offset, twin.size) == (
        (log.base_offset, log.end_offset, log.size)
    )
    assert list(twin) == list(log)


@given(st.lists(entries, max_size=4), st.integers(0, 10**12))
async def test_a_state_is_understood_by_us_and_by_the_peer_and_back(
    items: list[Any], base_offset: int
) -> None:
    log, publishers = stream_of(items, base_offset)
    ours = state_of(log, publishers, NOON, HOUR)
    for hint in (WorkflowStreamState, peer.WorkflowStreamState):
        theirs = await over_the_wire(ours, hint)
        assert (theirs.base_offset, len(theirs.log)) == (base_offset, len(items))
        assert theirs.publishers["p"].last_seen == NOON
        again = await over_the_wire(theirs, WorkflowStreamState)
        twin, rows = restore(again)
        assert_the_same(log, twin)
        assert rows.snapshot(NOON, HOUR) == {"p": PublisherRow(7, NOON)}


def test_a_stream_of_own_parts_is_handed_over_as_any_other() -> None:
    log, publishers = stream_of([encode_item("t", n, CONVERTER) for n in range(3)])
    state = state_of(log, publishers, NOON, HOUR)
    own, rows = restore(state, OWN)
    assert (type(own), type(rows)) == (LogOf, PublishersOf)
    assert_the_same(log, own)
    assert (own.append(next(iter(log))), rows.accept("p", 7, NOON)) == (6, False)
    own.truncate(6)
    again = state_of(own, rows, NOON, HOUR)
    assert (again.base_offset, len(again.log), again.publishers.keys()) == (6, 1, {"p"})


async def test_the_peers_dataclass_reads_each_entry_of_our_log() -> None:
    log, publishers = stream_of([encode_item("t", 1, CONVERTER), encode_item("u", 2, CONVERTER)])
    ours = state_of(log, publishers, NOON, HOUR)
    theirs = await over_the_wire(ours, peer.WorkflowStreamState)
    assert [asdict(entry) for entry in theirs.log] == ours.log


def test_a_state_leaves_out_idle_publishers_and_changes_nothing() -> None:
    log, publishers = stream_of([encode_item("t", 1, CONVERTER)])
    state = state_of(log, publishers, NOON, HOUR)
    assert state.publishers == {"p": PublisherState(7, NOON)}
    assert (len(log), sorted(publishers)) == (1, ["idle", "p"])


def test_the_peers_own_entries_need_not_be_plain_objects() -> None:
    entry = encode_item("t", "x", CONVERTER)
    log, _ = restore(WorkflowStreamState(log=[entry], base_offset=9))
    assert [(item.topic, item.data) for item in log] == [("t", entry.data)]
    assert log.end_offset == 10


@pytest.mark.parametrize("state", [{}, {"log": []}, "x", peer.WorkflowStreamState()])
def test_what_is_no_state_is_a_type_error_that_says_how_to_type_the_field(state: Any) -> None:
    with pytest.raises(TypeError, match=r"`WorkflowStreamState \| None`"):
        restore(state)


@pytest.mark.parametrize("log", [7, {}, "compressed"])
def test_a_log_that_is_none_is_refused(log: Any) -> None:
    with pytest.raises(MalformedInputError):
        restore(WorkflowStreamState(log=log))


BAD = {
    "no base64": {"topic": "t", "data": "***"},
    "a quote": {"topic": "t", "data": '"' * 100},
    "no text": {"topic": "t", "data": 7},
    "half a pair": {"topic": "t", "data": "\ud800"},
    "a topic of half a pair": {"topic": "\ud800\udfff\ud800", "data": "***"},
    "no data": {"topic": "t"},
    "no topic": {"data": "AAAA"},
    "no fields": {},
    "no object": 1,
}


@pytest.mark.parametrize("entry", BAD.values(), ids=BAD)
async def test_an_item_that_nobody_can_decode_keeps_its_place_and_harms_no_other(
    entry: Any,
) -> None:
    good = items_json([(0, encode_item("t", "good", CONVERTER))])[0]
    state = WorkflowStreamState(log=[good, entry, good], base_offset=5)
    for packed in (False, True, True, False):  # again and again, as runs hand it over
        log, publishers = restore(state)
        assert (log.base_offset, log.end_offset) == (5, 8)
        page = parse_answer(answer_json(log.read(0), log, "run")).page
        assert [offset for offset, _ in page.items] == [5, 6, 7]
        kinds = [type(item.data).__name__ for _, item in page.items]
        assert kinds == ["Payload", "MalformedInputError", "Payload"]
        written = len(json.dumps(answer_json(log.read(0), log, "run"))) - ANSWER_FRAME_BYTES
        assert written <= log.size
        state = await over_the_wire(
            state_of(log, publishers, NOON, HOUR, packed=packed), WorkflowStreamState
        )


def test_null_is_an_empty_log_as_some_languages_write_it() -> None:
    log, _ = restore(WorkflowStreamState(log=None, base_offset=5))
    assert (log.base_offset, log.end_offset) == (5, 5)


async def test_null_is_a_table_of_no_publishers_too() -> None:
    state = await over_the_wire({"base_offset": 5, "publishers": None}, WorkflowStreamState)
    log, publishers = restore(state)
    assert (log.end_offset, len(publishers)) == (5, 0)


@pytest.mark.parametrize("base", [-1, 2**63])
def test_a_log_that_begins_where_none_can_is_refused(base: int) -> None:
    with pytest.raises(MalformedInputError, match=f"base_offset is {base}"):
        restore(WorkflowStreamState(base_offset=base))
    assert restore(WorkflowStreamState(base_offset=2**63 - 1))[0].end_offset == 2**63 - 1


# --- what is carried beside the log

OTHERS = StreamLimits(state_bytes=700_000, signals=10)


async def test_limits_and_identity_are_carried_and_the_peer_ignores_them() -> None:
    state = state_of(*stream_of([]), NOON, HOUR, identity=Carried("s", "r"), limits=OTHERS)
    twin = await over_the_wire(state, WorkflowStreamState)
    assert (carried_limits(twin), carried_identity(twin)) == (OTHERS, Carried("s", "r"))
    theirs = await over_the_wire(state, peer.WorkflowStreamState)
    again = await over_the_wire(theirs, WorkflowStreamState)
    assert (carried_limits(again), carried_identity(again)) == (None, Carried(None, None))


def test_a_run_of_before_limits_carries_none() -> None:
    assert carried_limits(state_of(*stream_of([]), NOON, HOUR, limits=LEGACY)) is None


def test_without_a_state_nothing_is_carried() -> None:
    assert (carried_limits(None), carried_identity(None)) == (None, None)


@pytest.mark.parametrize(
    "limits", [7, "x", [], {"item_bytes": "9"}, {"page_bytes": 1}, {"signals": 0}]
)
async def test_limits_that_cannot_be_are_none_and_harm_nothing(limits: Any) -> None:
    state = await over_the_wire({"limits": limits}, WorkflowStreamState)
    assert carried_limits(state) is None
    restore(state)


def test_limits_of_another_version_are_taken_as_far_as_they_are_known() -> None:
    assert carried_limits(WorkflowStreamState(limits={"signals": 9, "new": 1})) == (
        StreamLimits(signals=9)
    )


@pytest.mark.parametrize("wrong", [7, [], {}, "", "x" * 201, 1.5, True])
async def test_an_id_that_is_none_is_none_and_harms_nothing(wrong: Any) -> None:
    state = await over_the_wire(
        {"log": [], "base_offset": 0, "stream_id": wrong, "handed_over_by": wrong, "seams": wrong},
        WorkflowStreamState,
    )
    assert carried_identity(state) == Carried(None, None)
    restore(state)
    assert seams_of(state, 3) == [3]


def test_what_the_legacy_limits_measure_has_none_of_the_newer_fields() -> None:
    """So that a run decides on replay as it did: to the byte."""
    log, publishers = stream_of([encode_item("t", "x" * 999, CONVERTER)])
    state = state_of(log, publishers, NOON, HOUR, identity=Carried("s" * 36, "r" * 36))
    unused = ("retention", "retained", "times", "readers")
    newer = ("stream_id", "handed_over_by", "limits", *unused)
    for without, legacy in ((newer, True), (unused, False)):
        before = {name: value for name, value in vars(state).items() if name not in without}
        then, now = (Measure(CONVERTER, 0).size([each]) for each in (before, state))
        assert now - newer_bytes(state, CONVERTER, legacy=legacy) == then


def test_what_is_used_of_the_newer_fields_is_measured() -> None:
    log, publishers = stream_of([encode_item("t", "x", CONVERTER)])
    keeper = Keeper(Retention(max_age=HOUR), log, NOON)
    readers = Readers({"billing": ReaderRow(4, "token", NOON)})
    state = state_of(log, publishers, NOON, HOUR, readers=readers, keeper=keeper)
    without, used = vars(state).copy(), newer_bytes(state, CONVERTER, legacy=False)
    del without["retained"]
    assert sizes(state, without) == used
    state.retained = True
    assert sizes(state, without) == newer_bytes(state, CONVERTER, legacy=False), "measured never"


def sizes(state: WorkflowStreamState, other: Any) -> int:
    """By how much the one is larger."""
    one, two = (Measure(CONVERTER, 0).size([each]) for each in (state, other))
    return one - two


# --- retention and named readers


def test_retention_and_named_readers_are_carried() -> None:
    log, publishers = stream_of([encode_item("t", "x", CONVERTER)] * 3)
    policy = Retention(max_items=5, max_age=HOUR, until_read=True)
    keeper = Keeper(policy, log, NOON, [(4, NOON - HOUR / 2)])
    readers = Readers({"billing": ReaderRow(5, "token", NOON, 7, 1)})
    told = state_of(log, publishers, NOON, HOUR, readers=readers, keeper=keeper)
    [state] = CONVERTER.from_payloads(CONVERTER.to_payloads([told]), [WorkflowStreamState])
    assert carried_retention(state) == policy
    again = carried_keeper(state, policy, log, NOON + HOUR)
    assert again is not None
    assert again.times == keeper.times == [(4, NOON - HOUR / 2), (6, NOON)]
    assert carried_readers(state, 6).snapshot(NOON, 6) == readers.snapshot(NOON, 6)


def test_names_that_are_too_old_are_not_carried() -> None:
    log, publishers = stream_of([encode_item("t", "x", CONVERTER)] * 3)
    rows = {"gone": ReaderRow(4, "t", NOON - 2 * HOUR), "waits": ReaderRow(6, "t", NOON - 2 * HOUR)}
    readers = Readers(rows, HOUR)
    state = state_of(log, publishers, NOON, HOUR, readers=readers)
    assert [name for name, *_ in state.readers] == ["waits"]
    assert state_of(log, publishers, NOON - HOUR, HOUR, readers=readers).readers is not None
    assert len(readers) == 2, "nothing has changed"
    alone = Readers({"gone": rows["gone"]}, HOUR)
    assert state_of(log, publishers, NOON, HOUR, readers=alone).readers is None


def test_a_shorter_age_after_a_roll_over_lets_nothing_go_that_has_only_just_come() -> None:
    log, publishers, month = Log(), Publishers(), 30 * 24 * HOUR
    keeper = Keeper(Retention(max_age=month), log, NOON)
    for n in range(7):
        log.append(encode_item("t", n, CONVERTER))
        keeper.base(log, NOON + n * HOUR)
    now = NOON + 6.5 * HOUR
    state = state_of(log, publishers, now, HOUR, keeper=keeper)
    assert state.times == [[7, NOON.isoformat()]], "what it was before, and its meaning too"
    shorter = carried_keeper(state, Retention(max_age=3 * HOUR), log, now)
    assert shorter is not None
    assert shorter.base(log, now) <= 4, "the last three are younger than that"
    again = state_of(log, publishers, now, HOUR, keeper=shorter)
    same = carried_keeper(again, Retention(max_age=3 * HOUR), log, now)
    assert same is not None
    assert (same.base(log, now + 3 * HOUR), same.base(log, now + 3.1 * HOUR)) == (0, 7)


def test_times_of_nobody_knows_what_age_say_nothing_and_items_count_from_now() -> None:
    log, _ = stream_of([encode_item("t", "x", CONVERTER)])
    state = WorkflowStreamState(times=[[4, (NOON - 9 * HOUR).isoformat()]])
    keeper = carried_keeper(state, Retention(max_age=HOUR), log, NOON)
    assert keeper is not None
    assert keeper.times == [(4, NOON)]


def test_a_state_without_them_has_none_and_what_cannot_be_is_left_out() -> None:
    for state in (None, WorkflowStreamState()):
        assert carried_retention(state) is None
        assert len(carried_readers(state, 9)) == 0
        assert carried_keeper(state, Retention(), Log(), NOON) is None
    fresh = state_of(Log(), Publishers(), NOON, HOUR, readers=Readers())
    assert (fresh.retention, fresh.retained, fresh.times, fresh.readers) == (None,) * 4
    bad = WorkflowStreamState(retention=7, times={"no": 1}, readers="none")
    assert carried_retention(bad) is None
    assert len(carried_readers(bad, 9)) == 0
    keeper = carried_keeper(bad, Retention(max_age=HOUR), stream_of([], 3)[0], NOON)
    assert keeper is not None
    assert keeper.times == []


@pytest.mark.parametrize("said", [Retention(max_items=5), Retention()])
async def test_that_retain_said_what_is_kept_is_carried_and_is_nothing_to_the_peer(
    said: Retention,
) -> None:
    stream = HostedStream(now=NOON, keeper=None)
    assert not stream.retained
    stream.keep(said, NOON)
    told = state_of(Log(), Publishers(), NOON, HOUR, keeper=stream.keeper, retained=stream.retained)
    state = await over_the_wire(told, WorkflowStreamState)
    assert (was_retained(state), carried_retention(state)) == (True, said or None)
    theirs = await over_the_wire(state, peer.WorkflowStreamState)
    assert not was_retained(await over_the_wire(theirs, WorkflowStreamState))


@pytest.mark.parametrize(
    "fields", [{}, {"retained": 1}, {"retained": "x"}, {"retained": True, "retention": 7}]
)
async def test_what_cannot_be_was_not_said_by_retain(fields: dict[str, Any]) -> None:
    assert not was_retained(await over_the_wire(fields, WorkflowStreamState))
    assert not was_retained(None)


def test_what_fits_into_the_next_run_passes_as_it_is() -> None:
    frame = PayloadConverter.default.to_payloads([""])[0].ByteSize()
    largest = ["x" * (LIMIT - frame - 10)]
    assert that_fits(lambda packed: ["packed"] if packed else largest, MEASURE) == largest


def test_what_does_not_fit_is_packed_and_if_that_does_not_either_it_raises_with_both_sizes() -> (
    None
):
    too_large = ["x" * (LIMIT // 2)] * 2
    fitting = that_fits(lambda packed: ["packed"] if packed else too_large, MEASURE)
    assert fitting == ["packed"]
    with pytest.raises(StateTooLargeError) as raised:
        that_fits(lambda packed: too_large, MEASURE)
    assert raised.value.size > raised.value.limit == LIMIT


def test_a_packed_state_restores_the_same_stream_and_is_much_smaller() -> None:
    values = [{"n": n, "text": "the same words again and again"} for n in range(500)]
    log, publishers = stream_of(
        [encode_item(f"t{n % 3}", v, CONVERTER) for n, v in enumerate(values)]
    )
    plain = state_of(log, publishers, NOON, HOUR)
    packed = state_of(log, publishers, NOON, HOUR, packed=True)
    twin, _ = restore(packed)
    assert_the_same(log, twin)
    assert len(packed.log) * 10 < sum(len(item["data"]) for item in plain.log)


@given(st.lists(entries, max_size=4), st.integers(0, 10**12))
async def test_a_packed_state_crosses_the_wire_and_restores_the_same_stream(
    items: list[Any], base_offset: int
) -> None:
    log, publishers = stream_of(items, base_offset)
    state = state_of(log, publishers, NOON, HOUR, packed=True)
    twin, rows = restore(await over_the_wire(state, WorkflowStreamState))
    assert_the_same(log, twin)
    assert rows.snapshot(NOON, HOUR) == {"p": PublisherRow(7, NOON)}


@pytest.mark.parametrize("packed", [False, True])
async def test_seams_are_carried_and_the_peer_ignores_them(packed: bool) -> None:
    state = state_of(*stream_of([]), NOON, HOUR, [3, 7], packed=packed)
    assert (await over_the_wire(state, WorkflowStreamState)).seams == [3, 7]
    if not packed:
        theirs = await over_the_wire(state, peer.WorkflowStreamState)
        assert (await over_the_wire(theirs, WorkflowStreamState)).seams == []


@given(*[st.integers(0, 10**6)] * 3)
async def test_the_counts_of_a_publisher_are_carried(a: int, d: int, r: int) -> None:
    row = PublisherRow(3, NOON, accepted=a, dropped=d, refused=r)
    state = state_of(Log(), Publishers({"p": row}), NOON, HOUR)
    _, twin = restore(await over_the_wire(state, WorkflowStreamState))
    assert dict(twin.items()) == {"p": row}


async def test_a_row_that_the_peer_left_has_no_counts() -> None:
    theirs = peer.WorkflowStreamState(publishers={"p": peer.PublisherState(3, NOON)})
    _, twin = restore(await over_the_wire(theirs, WorkflowStreamState))
    assert dict(twin.items()) == {"p": PublisherRow(3, NOON)}


async def test_the_peer_refuses_a_packed_state_instead_of_losing_items() -> None:
    log, publishers = stream_of([encode_item("t", 1, CONVERTER)])
    state = state_of(log, publishers, NOON, HOUR, packed=True)
    with pytest.raises((TypeError, RuntimeError)):
        await over_the_wire(state, peer.WorkflowStreamState)


@pytest.mark.parametrize("damage", ["", "text", "zlib1:", "zlib1:***", "zlib1:AAAA", "zlib2:x"])
def test_a_packed_log_that_is_damaged_is_named_as_such(damage: str) -> None:
    with pytest.raises(MalformedInputError, match="compressed log"):
        restore(WorkflowStreamState(log=damage))


# --- the arguments of the next run


def hosted(count: int, limits: StreamLimits) -> HostedStream:
    stream = HostedStream(Log(10), Publishers(), now=NOON, limits=limits)
    noise = random.Random(1)
    values = [noise.randbytes(1_500).hex() for _ in range(count)]
    stream.take([encode_item("t", value, CONVERTER) for value in values], "p", 1, NOON)
    return stream


def handed_over(stream: HostedStream, ballast: str = "", truncate: bool = False) -> Any:
    def state(log: Log, packed: bool) -> WorkflowStreamState:
        return state_of(log, stream.publishers, NOON, HOUR, limits=stream.limits, packed=packed)

    build = lambda state: [state, ballast]  # noqa: E731
    [handed, _] = arguments(stream, build, CONVERTER, state, truncate=truncate)
    return handed


SMALL = StreamLimits(state_bytes=50_000)


def test_a_hand_over_is_plain_where_that_fits_and_packed_where_only_that_does() -> None:
    assert type(handed_over(hosted(10, SMALL)).log) is list
    assert type(handed_over(hosted(14, SMALL)).log) is str
    assert type(handed_over(hosted(400, LEGACY)).log) is list, "what a run began with decides"


def test_what_does_not_fit_raises_and_nothing_is_lost() -> None:
    stream = hosted(40, SMALL)
    with pytest.raises(StateTooLargeError) as raised:
        handed_over(stream)
    assert raised.value.limit == 50_000 < raised.value.size
    assert (stream.log.base_offset, stream.log.end_offset) == (10, 50)


def test_asked_to_truncate_it_drops_as_many_of_the_oldest_as_it_must_and_few_more() -> None:
    stream = hosted(40, SMALL)
    handed = handed_over(stream, truncate=True)
    assert handed.base_offset == stream.log.base_offset > 10
    assert stream.log.end_offset == 50
    assert 18 <= len(stream.log) <= 25


def far_too_large() -> HostedStream:
    """A log of many small items that are much alike: packed, it fits."""
    stream = HostedStream(Log(10), Publishers(), now=NOON, limits=SMALL)
    for n in range(3_000):
        stream.append(encode_item("t", {"percent": n % 100}, CONVERTER), NOON)
    return stream


def logs_built(stream: HostedStream, build: Any = lambda state: [state]) -> tuple[Any, list[Any]]:
    """The state that was handed over, and the logs of all that were tried."""
    tried = []

    def state(log: Log, packed: bool) -> WorkflowStreamState:
        made = state_of(log, stream.publishers, NOON, HOUR, limits=stream.limits, packed=packed)
        tried.append(made.log)
        return made

    [handed] = arguments(stream, build, CONVERTER, state)
    return handed, tried


def test_of_a_log_that_is_far_too_large_only_the_beginning_is_written_unpacked() -> None:
    """All of it took two seconds for 100,000 items, and no task of a workflow may take longer."""
    stream = far_too_large()
    assert stream.log.size > 4 * SMALL.state_bytes
    handed, tried = logs_built(stream)
    assert list(restore(handed)[0]) == list(stream.log)
    assert type(handed.log) is str
    assert max(len(log) for log in tried if type(log) is list) < 1_000


def test_where_the_beginning_fits_all_of_it_is_measured() -> None:
    """An author's `build_args`, or a converter, may make less of it than its items say."""
    stream = far_too_large()
    handed, _ = logs_built(
        stream, lambda state: [WorkflowStreamState(state.log[-2:], state.base_offset)]
    )
    assert [entry["offset"] for entry in handed.log] == [3_008, 3_009]


def test_where_truncating_does_not_help_nothing_is_truncated() -> None:
    for count in (0, 5):
        stream = hosted(count, SMALL)
        with pytest.raises(StateTooLargeError):
            handed_over(stream, ballast="x" * 60_000, truncate=True)
        assert len(stream.log) == count


def test_a_publisher_whose_time_names_no_zone_was_seen_in_utc() -> None:
    seen = datetime(2026, 1, 1, 12)
    _, publishers = restore(WorkflowStreamState(publishers={"p": PublisherState(3, seen)}))
    now = seen.replace(tzinfo=timezone.utc) + timedelta(minutes=1)
    assert list(publishers.snapshot(now, timedelta(minutes=2))) == ["p"]
    assert list(publishers.snapshot(now, timedelta(seconds=30))) == []

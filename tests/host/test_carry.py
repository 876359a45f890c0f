"""The hand-over: what one run leaves, ours or the peer's, the next one starts from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.contrib import workflow_streams as peer
from temporalio.converter import PayloadConverter

from streamlib.core.dedup import Publisher, Publishers
from streamlib.core.log import Item, Log
from streamlib.errors import MalformedInputError, StateTooLargeError
from streamlib.host.carry import restore, state_of, that_fits
from streamlib.wire.encode import encode_item
from streamlib.wire.shapes import MAX_STATE_BYTES, PublisherState, WorkflowStreamState
from tests.wire.test_encode_and_parse import CONVERTER, entries, over_the_wire

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def test_without_a_prior_state_the_stream_is_empty() -> None:
    log, publishers = restore(None)
    assert (log.base_offset, log.end_offset, len(publishers)) == (0, 0, 0)


def stream_of(items: list[Any], base_offset: int = 3) -> tuple[Log, Publishers]:
    log = Log(base_offset)
    for entry in items:
        log.append(Item(entry.topic, entry.data, len(entry.topic.encode()) + len(entry.data)))
    return log, Publishers({"p": Publisher(7, NOON), "idle": Publisher(1, NOON - 2 * HOUR)})


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
        assert rows.snapshot(NOON, HOUR) == {"p": Publisher(7, NOON)}


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


@pytest.mark.parametrize(
    "log", [7, None, "compressed", [1], [{}], [{"topic": "t", "data": "***"}], [{"topic": "t"}]]
)
def test_a_log_that_is_none_is_refused(log: Any) -> None:
    with pytest.raises(MalformedInputError):
        restore(WorkflowStreamState(log=log))


def test_what_fits_into_the_next_run_passes_as_it_is() -> None:
    frame = PayloadConverter.default.to_payloads([""])[0].ByteSize()
    largest = ["x" * (MAX_STATE_BYTES - frame - 10)]
    assert that_fits(lambda packed: ["packed"] if packed else largest, CONVERTER) == largest


def test_what_does_not_fit_is_packed_and_if_that_does_not_either_it_raises_with_both_sizes() -> (
    None
):
    too_large = ["x" * (MAX_STATE_BYTES // 2)] * 2
    fitting = that_fits(lambda packed: ["packed"] if packed else too_large, CONVERTER)
    assert fitting == ["packed"]
    with pytest.raises(StateTooLargeError) as raised:
        that_fits(lambda packed: too_large, CONVERTER)
    assert raised.value.size > raised.value.limit == MAX_STATE_BYTES


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
    assert rows.snapshot(NOON, HOUR) == {"p": Publisher(7, NOON)}


@pytest.mark.parametrize("packed", [False, True])
async def test_seams_are_carried_and_the_peer_ignores_them(packed: bool) -> None:
    state = state_of(*stream_of([]), NOON, HOUR, [3, 7], packed=packed)
    assert (await over_the_wire(state, WorkflowStreamState)).seams == [3, 7]
    if not packed:
        theirs = await over_the_wire(state, peer.WorkflowStreamState)
        assert (await over_the_wire(theirs, WorkflowStreamState)).seams == []


@given(*[st.integers(0, 10**6)] * 3)
async def test_the_counts_of_a_publisher_are_carried(a: int, d: int, r: int) -> None:
    row = Publisher(3, NOON, accepted=a, dropped=d, refused=r)
    state = state_of(Log(), Publishers({"p": row}), NOON, HOUR)
    _, twin = restore(await over_the_wire(state, WorkflowStreamState))
    assert dict(twin.items()) == {"p": row}


async def test_a_row_that_the_peer_left_has_no_counts() -> None:
    theirs = peer.WorkflowStreamState(publishers={"p": peer.PublisherState(3, NOON)})
    _, twin = restore(await over_the_wire(theirs, WorkflowStreamState))
    assert dict(twin.items()) == {"p": Publisher(3, NOON)}


async def test_the_peer_refuses_a_packed_state_instead_of_losing_items() -> None:
    log, publishers = stream_of([encode_item("t", 1, CONVERTER)])
    state = state_of(log, publishers, NOON, HOUR, packed=True)
    with pytest.raises((TypeError, RuntimeError)):
        await over_the_wire(state, peer.WorkflowStreamState)


@pytest.mark.parametrize("damage", ["", "text", "zlib1:", "zlib1:***", "zlib1:AAAA", "zlib2:x"])
def test_a_packed_log_that_is_damaged_is_named_as_such(damage: str) -> None:
    with pytest.raises(MalformedInputError, match="compressed log"):
        restore(WorkflowStreamState(log=damage))

"""Limits: what they allow each other, and that a contradiction is named where it is made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib import InvalidLimitsError, StreamError, StreamLimits
from streamlib.core.limits import DEFAULTS, LEGACY

NAMES = [each.name for each in fields(StreamLimits)]
SERVER = 2 * 1024 * 1024  # bytes that the server takes in one piece


@pytest.mark.parametrize("name", ["item_bytes", "batch_bytes", "page_bytes", "state_bytes"])
def test_the_defaults_hold_behind_a_codec_that_doubles(name: str) -> None:
    assert 2 * getattr(DEFAULTS, name) < SERVER - 10_000


def test_an_item_leaves_room_for_the_frame_of_an_answer_and_a_batch() -> None:
    assert DEFAULTS.item_bytes + 5_000 < min(DEFAULTS.page_bytes, DEFAULTS.batch_bytes)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("history_events", 51_200),
        ("history_bytes", 50 * 1024 * 1024),
        ("signals", 10_000),
        ("updates", 2_000),
    ],
)
def test_each_threshold_comes_well_before_the_server_ends_or_refuses(name: str, limit: int) -> None:
    assert getattr(DEFAULTS, name) <= 0.8 * limit


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1000", None, float("nan")])
def test_what_is_no_whole_number_from_1_on_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidLimitsError) as raised:
        StreamLimits(**{name: value})
    assert raised.value.limit == name
    assert raised.value.value is value
    assert name in str(raised.value)


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({"item_bytes": 1_000_001}, ["item_bytes", "1000001", "page_bytes", "1,000,000"]),
        ({"page_bytes": 500_000}, ["item_bytes", "990000", "page_bytes", "500,000"]),
        ({"batch_bytes": 500_000}, ["item_bytes", "990000", "batch_bytes", "500,000"]),
        ({"item_bytes": 1_000}, ["topic_bytes", "1000", "item_bytes", "1,000"]),
    ],
)
def test_a_contradiction_is_refused_with_both_values(
    limits: dict[str, int], names: list[str]
) -> None:
    with pytest.raises(InvalidLimitsError) as raised:
        StreamLimits(**limits)
    assert all(name in str(raised.value) for name in names)


def test_a_refusal_is_an_error_of_ours_and_a_value_error() -> None:
    assert issubclass(InvalidLimitsError, StreamError)
    assert issubclass(InvalidLimitsError, ValueError)


def test_limits_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.item_bytes = 1  # type: ignore[misc]


def test_legacy_is_what_was_decided_by_before() -> None:
    assert asdict(LEGACY) == {
        "item_bytes": 2_000_000,
        "batch_bytes": 2_000_000,
        "page_bytes": 2_000_000,
        "state_bytes": 2_000_000,
        "topic_bytes": 1_999_999,
        "history_events": 4_096,
        "history_bytes": 4_194_304,
        "signals": 8_000,
        "updates": 1_600,
    }


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, st.integers(-1, 10**7))))
def test_what_is_not_refused_agrees_with_itself(values: dict[str, int]) -> None:
    wanted = asdict(DEFAULTS) | values
    agree = (
        min(wanted.values()) >= 1
        and wanted["topic_bytes"] < wanted["item_bytes"]
        and wanted["item_bytes"] <= min(wanted["page_bytes"], wanted["batch_bytes"])
    )
    try:
        limits = StreamLimits(**values)
    except InvalidLimitsError:
        assert not agree
    else:
        assert agree
        assert asdict(limits) == wanted

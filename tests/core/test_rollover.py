"""Roll-over advice: nothing while there is no hurry, and each reason with its numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.rollover import ADVISED, RollOverReason, roll_over_reasons

IDLE = dict.fromkeys(ADVISED, 0)


def test_a_fresh_run_has_no_reason() -> None:
    assert roll_over_reasons(IDLE, suggested=False) == []


@pytest.mark.parametrize("what", ADVISED)
def test_each_limit_is_a_reason_from_its_number_on(what: str) -> None:
    advised = ADVISED[what]
    assert roll_over_reasons({**IDLE, what: advised - 1}, suggested=False) == []
    reasons = roll_over_reasons({**IDLE, what: advised}, suggested=False)
    assert reasons == [RollOverReason(what, advised, advised)]


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("history events", 51_200),
        ("history bytes", 50 * 1024 * 1024),
        ("signals", 10_000),
        ("updates", 2_000),
    ],
)
def test_each_is_advised_well_before_the_server_ends_or_refuses(what: str, limit: int) -> None:
    assert ADVISED[what] <= 0.8 * limit


def test_a_reason_reads_as_a_sentence() -> None:
    assert str(RollOverReason("signals", 8000, 8000)) == "8,000 signals, roll over from 8,000 on"


def test_the_servers_own_suggestion_is_a_reason_by_itself() -> None:
    [reason] = roll_over_reasons({**IDLE, "history events": 50}, suggested=True)
    assert (reason.used, reason.advised) == (50, 50)
    assert "the server suggests it" in str(reason)


def test_the_servers_suggestion_adds_nothing_to_a_reason_that_is_there() -> None:
    used = {**IDLE, "history events": 5_000}
    assert roll_over_reasons(used, suggested=True) == roll_over_reasons(used, suggested=False)


@given(st.fixed_dictionaries(dict.fromkeys(ADVISED, st.integers(0, 10_000_000))), st.booleans())
def test_there_is_a_reason_if_and_only_if_something_is_used_up_or_suggested(
    used: dict[str, int], suggested: bool
) -> None:
    reasons = roll_over_reasons(used, suggested=suggested)
    over = {what for what in ADVISED if used[what] >= ADVISED[what]}
    assert bool(reasons) == (bool(over) or suggested)
    if over:
        assert {reason.what for reason in reasons} == over

"""Roll-over advice: nothing while there is no hurry, and each reason with its numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.limits import DEFAULTS, StreamLimits
from streamlib.core.rollover import RollOverReason, roll_over_reasons

ADVISED = {
    "history events": 4_096,
    "history bytes": 4 * 1024 * 1024,
    "signals": 8_000,
    "updates": 1_600,
}
IDLE = dict.fromkeys(ADVISED, 0)


def test_a_fresh_run_has_no_reason() -> None:
    assert roll_over_reasons(IDLE, DEFAULTS, suggested=False) == []


@pytest.mark.parametrize("what", ADVISED)
def test_each_limit_is_a_reason_from_its_number_on(what: str) -> None:
    advised = ADVISED[what]
    assert roll_over_reasons({**IDLE, what: advised - 1}, DEFAULTS, suggested=False) == []
    reasons = roll_over_reasons({**IDLE, what: advised}, DEFAULTS, suggested=False)
    assert reasons == [RollOverReason(what, advised, advised)]


def test_by_default_signals_are_never_the_first_reason() -> None:
    assert DEFAULTS.signals > DEFAULTS.history_events, "a signal is an event at least"


def test_a_reason_reads_as_a_sentence() -> None:
    assert str(RollOverReason("signals", 8000, 8000)) == "8,000 signals, roll over from 8,000 on"


def test_the_servers_own_suggestion_is_a_reason_by_itself() -> None:
    [reason] = roll_over_reasons({**IDLE, "history events": 50}, DEFAULTS, suggested=True)
    assert (reason.used, reason.advised) == (50, 50)
    assert "the server suggests it" in str(reason)


def test_the_servers_suggestion_adds_nothing_to_a_reason_that_is_there() -> None:
    used = {**IDLE, "history events": 5_000}
    assert roll_over_reasons(used, DEFAULTS, suggested=True) == roll_over_reasons(
        used, DEFAULTS, suggested=False
    )


@given(st.fixed_dictionaries(dict.fromkeys(ADVISED, st.integers(0, 10_000_000))), st.booleans())
def test_there_is_a_reason_if_and_only_if_something_is_used_up_or_suggested(
    used: dict[str, int], suggested: bool
) -> None:
    reasons = roll_over_reasons(used, DEFAULTS, suggested=suggested)
    over = {what for what in ADVISED if used[what] >= ADVISED[what]}
    assert bool(reasons) == (bool(over) or suggested)
    if over:
        assert {reason.what for reason in reasons} == over


def test_the_limits_that_were_set_are_the_ones_that_count() -> None:
    limits = StreamLimits(history_events=7, history_bytes=8, signals=9, updates=10)
    used = {"history events": 7, "history bytes": 8, "signals": 9, "updates": 9}
    reasons = roll_over_reasons(used, limits, suggested=False)
    assert [reason.advised for reason in reasons] == [7, 8, 9]

"""The retry policy: three causes, three pauses, and when a failure is trouble."""

from __future__ import annotations

import pytest

from streamlib.core.retry import PATIENCE, Retry
from streamlib.errors import Cause


def fail(retry: Retry, cause: Cause, now: float = 0.0, chance: float = 1.0) -> float:
    """Fail at once, and return the pause."""
    return retry.failed(cause, began=now, now=now, chance=chance)


def pauses(cause: Cause, tries: int) -> list[float]:
    retry = Retry()
    return [fail(retry, cause) for _ in range(tries)]


def test_an_outage_is_waited_out_in_pauses_that_double_up_to_a_second_with_two_tries_each() -> None:
    seen = pauses(Cause.OUTAGE, 12)
    assert seen[1::2] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert seen[::2] == [0.05] * 6


def test_a_rate_limit_is_spared_in_pauses_that_double_up_to_five_seconds() -> None:
    assert pauses(Cause.RATE, 8) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_busy_buffer_is_tried_again_within_ten_milliseconds_by_chance() -> None:
    retry = Retry()
    assert [fail(retry, Cause.BUSY, chance=c) for c in (0.0, 0.5, 1.0)] == [0.0, 0.005, 0.01]


@pytest.mark.parametrize("cause", [Cause.RATE, Cause.OUTAGE])
def test_chance_takes_off_at_most_half_of_a_pause(cause: Cause) -> None:
    assert fail(Retry(), cause, chance=0.0) == fail(Retry(), cause, chance=1.0) / 2


@pytest.mark.parametrize("cause", [Cause.RATE, Cause.OUTAGE])
def test_a_limit_is_trouble_at_once_and_an_outage_at_the_second_try_until_one_works(
    cause: Cause,
) -> None:
    retry = Retry()
    assert not retry.trouble
    fail(retry, cause)
    assert retry.trouble is (cause is Cause.RATE)
    fail(retry, cause)
    assert retry.trouble
    retry.worked()
    assert not retry.trouble
    assert fail(retry, cause) == fail(Retry(), cause), "and its pauses begin anew"


@pytest.mark.parametrize(("seconds", "trouble"), [(0.9, False), (1.0, True)])
def test_a_slow_try_that_failed_is_trouble_by_itself(seconds: float, trouble: bool) -> None:
    retry = Retry()
    retry.failed(Cause.OUTAGE, began=0.0, now=seconds, chance=1.0)
    assert retry.trouble is trouble


def test_a_buffer_that_stays_full_is_trouble_after_a_while_and_tried_less_often() -> None:
    retry = Retry()
    for now in (0.0, PATIENCE / 2, PATIENCE - 0.01):
        assert fail(retry, Cause.BUSY, now) <= 0.01
        assert not retry.trouble
    assert fail(retry, Cause.BUSY, PATIENCE) == 0.05
    assert retry.trouble
    retry.worked()
    assert fail(retry, Cause.BUSY, 2 * PATIENCE) <= 0.01
    assert not retry.trouble


def test_trouble_stays_told_while_the_buffer_is_full_after_an_outage() -> None:
    retry = Retry()
    for _ in range(2):
        fail(retry, Cause.OUTAGE)
    assert fail(retry, Cause.BUSY) <= 0.01
    assert retry.trouble


def test_an_outage_that_ends_in_a_rate_limit_begins_with_its_shortest_pause() -> None:
    retry = Retry()
    for _ in range(11):
        fail(retry, Cause.OUTAGE)
    assert fail(retry, Cause.RATE) == 0.1
    assert fail(retry, Cause.OUTAGE) == 1.0, "each doubles for itself, so taking turns backs off"


def test_what_fails_without_end_has_a_finite_pause() -> None:
    assert pauses(Cause.RATE, 3_000)[-1] == 5.0


def test_a_try_that_went_well_for_a_minute_fails_as_a_first_one() -> None:
    retry = Retry()
    for _ in range(5):
        fail(retry, Cause.OUTAGE)
    assert retry.failed(Cause.OUTAGE, began=10.0, now=70.0, chance=1.0) == 0.4
    assert retry.failed(Cause.OUTAGE, began=10.0, now=70.1, chance=1.0) == 0.05
    assert retry.trouble

"""How often a view is told something: soon after a rest, ten times a second in the long run."""

from __future__ import annotations

import pytest

from streamlib.lab.widgets.observer import AT_ONCE, BREATH, PACE, Pace


def told_in(seconds: float, every: float) -> list[float]:
    """When frames are made by somebody who has a new one each `every` seconds."""
    pace, now, happened, told = Pace(), 100.0, 0, list[float]()
    while now < 100.0 + seconds:
        if (now - 100.0) / every >= happened:
            happened = int((now - 100.0) / every) + 1
            pace.told(now)
            told.append(now)
        now += BREATH + pace.rest(now)
    return told


def test_after_a_rest_what_is_stored_and_what_is_applied_are_both_told_at_once() -> None:
    told = told_in(1.0, every=0.012)  # the second comes that long after the first
    assert told[AT_ONCE - 1] - told[0] < 0.05
    assert told[AT_ONCE] - told[AT_ONCE - 1] > PACE / 2


@pytest.mark.parametrize("every", [0.001, 0.03, 0.099])
def test_in_the_long_run_there_are_ten_frames_a_second(every: float) -> None:
    told = told_in(60.0, every)
    assert 585 <= len(told) <= 60 / PACE + AT_ONCE
    for first, last in zip(told, told[20:], strict=False):
        assert last - first >= (20 - AT_ONCE) * PACE - BREATH - 1e-9


def test_what_happens_less_often_never_waits() -> None:
    pace = Pace()
    for now in range(10):
        pace.told(now * 0.23)
        assert pace.rest(now * 0.23) == 0
        pace.told(now * 0.23 + 0.02)
        assert pace.rest(now * 0.23 + 0.02) == 0


def test_a_long_rest_saves_nothing_up() -> None:
    pace = Pace()
    pace.told(0.0)
    for _ in range(AT_ONCE):
        pace.told(3600.0)
    assert pace.rest(3600.0) == pytest.approx(PACE)

"""What a program that waits says, by hand: the reasons are given, the clock is not."""

from __future__ import annotations

import pytest

from streamlib.scenarios import waiting
from streamlib.scenarios.waiting import Reason, Waiting


def said(monkeypatch: pytest.MonkeyPatch, *reasons: Reason | None) -> list[str]:
    """What is said if it looks once a second, and finds these."""
    lines: list[str] = []
    told = Waiting("here", say=lines.append)
    for now, reason in enumerate(reasons, 100):
        monkeypatch.setattr(waiting.time, "monotonic", lambda now=now: float(now))
        told.note(reason, float(now))
    return [line.partition("): ")[2] or line for line in lines]


SILENT = Reason("silent", silence=True)
NOBODY, NOBODY_AGAIN, SLOW = Reason("nobody", "1"), Reason("nobody", "2"), Reason("slow", "3")


def test_a_reason_is_said_once_it_has_lasted_and_its_end_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert said(monkeypatch, SILENT, None) == []
    assert said(monkeypatch, *[SILENT] * 9, None) == ["silent", "... it goes on, after 9 s."]


def test_that_a_server_is_slow_too_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(monkeypatch, *[SILENT] * 6, *[NOBODY] * 6, *[SILENT] * 2, None)
    assert lines == ["silent", "nobody", "... it goes on, after 14 s."]


@pytest.mark.parametrize("following", [NOBODY_AGAIN, SLOW])
def test_the_next_task_is(following: Reason, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(monkeypatch, *[NOBODY] * 6, *[following] * 6)
    assert lines == ["nobody", "... it goes on, after 6 s.", following.text]

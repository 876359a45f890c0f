"""The checker finds each planted violation, and nothing where all is well."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from tests.faults.history import History, Reading, Seen

COMPLETED = WorkflowExecutionStatus.COMPLETED


def story(*values: str, outcome: Any = "ok", **about: Any) -> History:
    """Values, published by whom their first letter says, in this order."""
    history = History()
    for value in values:
        history.invoke(value[0], value, outcome=outcome, **about)
    return history


def saw(history: History, *items: tuple[int, str] | tuple[int, str, int], **about: Any) -> Reading:
    reading = history.reading("r", **about)
    reading.seen = [Seen(*item) for item in items]
    reading.missed = about.get("missed", 0) or sum(seen.missed for seen in reading.seen)
    return reading


def kinds(history: History, **about: Any) -> list[str]:
    return [violation.split(":")[0] for violation in history.violations(**about)]


def test_where_all_is_well_it_finds_nothing() -> None:
    history = story("a1", "b1", "a2")
    saw(history, (0, "a1"), (1, "b1"), (2, "a2"), ended=COMPLETED)
    saw(history, (2, "a2"), from_offset=2, ended=COMPLETED)
    saw(history, (1, "b1", 1), (2, "a2"), ended=COMPLETED)
    history.check(end_offset=3, status=COMPLETED)


def test_an_acknowledged_value_that_nobody_read_is_lost() -> None:
    history = story("a1", "a2")
    saw(history, (0, "a1"))
    assert kinds(history) == ["lost write"]


def test_a_value_of_unknown_fate_may_be_there_or_not() -> None:
    history = story("a1", "a2", outcome="unknown")
    saw(history, (0, "a2"))
    assert kinds(history) == []


def test_what_was_truncated_unread_is_not_lost() -> None:
    history = story("a1", "a2", "a3")
    saw(history, (2, "a3", 2))
    assert kinds(history, base_offset=2) == []
    assert kinds(history, base_offset=1) == ["lost write"]


def test_a_value_that_nobody_published_is_a_phantom() -> None:
    history = story("a1")
    saw(history, (0, "a1"), (1, "x"))
    assert kinds(history) == ["phantom"]


def test_a_value_that_failed_for_certain_must_not_appear() -> None:
    history = story("a1", outcome="fail")
    saw(history, (0, "a1"))
    assert kinds(history) == ["phantom"]


def test_a_value_at_two_offsets_is_a_duplicate_also_across_readers() -> None:
    history = story("a1", "a2")
    saw(history, (0, "a1"), (1, "a2"), (2, "a1"))
    assert kinds(history) == ["duplicate"]
    history = story("a1")
    saw(history, (0, "a1"))
    saw(history, (1, "a1"), from_offset=1)
    assert kinds(history) == ["duplicate"]


def test_a_publishers_values_lie_in_the_order_they_were_published() -> None:
    history = story("a1", "a2", "b1")
    saw(history, (0, "b1"), (1, "a2"), (2, "a1"))
    assert kinds(history) == ["publisher order"]


@pytest.mark.parametrize("there", [[(0, "a1")], [(0, "a1"), (1, "b1"), (2, "a2")]])
def test_a_batch_is_there_as_a_whole_and_in_one_piece(there: list[Any]) -> None:
    history = story("a1", "a2", outcome="unknown", batch=1)
    history.invoke("b", "b1")
    saw(history, *there)
    assert kinds(history) == ["torn batch"]


@pytest.mark.parametrize("there", [[], [(0, "a1"), (1, "a2")]])
def test_a_batch_that_is_there_or_absent_is_whole(there: list[Any]) -> None:
    history = story("a1", "a2", outcome="unknown", batch=1)
    saw(history, *there)
    assert kinds(history) == []


def test_the_beginning_of_a_batch_may_be_truncated() -> None:
    history = story("a1", "a2", "a3", batch=1)
    saw(history, (1, "a2", 1), (2, "a3"))
    assert kinds(history, base_offset=1) == []


def test_readers_agree_on_every_offset() -> None:
    history = story("a1", "b1")
    saw(history, (0, "a1"), (1, "b1"))
    saw(history, (0, "b1"), (1, "a1"))
    assert "disagreement" in kinds(history)


def test_a_reader_never_goes_back_or_stands_still() -> None:
    history = story("a1", "a2")
    saw(history, (0, "a1"), (1, "a2"), (1, "a2"))
    assert "nonmonotonic" in kinds(history)


@pytest.mark.parametrize("missed", [0, 1, 3])
def test_a_gap_is_told_with_its_exact_size(missed: int) -> None:
    history = story("a1", "a2", "a3", "a4")
    saw(history, (0, "a1"), (1, "a2"), (2, "a3"), (3, "a4"))
    saw(history, (0, "a1"), (3, "a4", missed))
    assert kinds(history) == ["skip"]


def test_a_filtered_reader_may_pass_other_topics_and_nothing_of_its_own() -> None:
    history = story("a1", topic="x")
    history.invoke("b", "b1", topic="y", outcome="ok")
    history.invoke("a", "a2", topic="x", outcome="ok")
    saw(history, (0, "a1"), (1, "b1"), (2, "a2"))
    saw(history, (1, "b1"), topics=frozenset("y"))
    assert kinds(history) == []
    saw(history, (2, "a2"), topics=frozenset("x"))
    assert kinds(history) == ["skip"]


def test_items_cannot_tell_of_more_than_the_subscription_counts() -> None:
    history = story("a1", "a2")
    saw(history, (1, "a2", 1)).missed = 0
    assert kinds(history, base_offset=1) == ["skip"]


def test_a_reader_ends_when_the_run_has_closed_and_everything_was_delivered() -> None:
    history = story("a1", "a2")
    saw(history, (0, "a1"), (1, "a2"), ended=COMPLETED)
    assert kinds(history, end_offset=2) == ["dishonest end"]
    assert kinds(history, end_offset=2, status=WorkflowExecutionStatus.FAILED) == ["dishonest end"]
    saw(history, (0, "a1"), ended=COMPLETED)
    assert kinds(history, end_offset=2, status=COMPLETED) == ["unseen"]


def test_what_was_truncated_at_the_very_end_is_counted_by_the_subscription_alone() -> None:
    history = story("a1", "a2")
    saw(history, (0, "a1"), ended=COMPLETED, missed=1)
    assert kinds(history, base_offset=2, end_offset=2, status=COMPLETED) == []


def test_a_reader_that_raised_is_named() -> None:
    history = story("a1")
    saw(history, (0, "a1"), raised="RPCError: no")
    assert kinds(history) == ["raised"]


def test_a_value_of_another_stream_under_the_same_id_is_a_stray() -> None:
    history = story("a1", stream="one")
    history.invoke("a", "a2", stream="two", outcome="ok")
    saw(history, (0, "a1"), (1, "a2"), stream="one")
    assert kinds(history) == ["incarnation"]


def test_a_failed_check_fails_the_test_and_names_what_it_found() -> None:
    with pytest.raises(AssertionError, match=r"lost write.*'a1'"):
        story("a1").check()

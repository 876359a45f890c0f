"""What a run's events say has happened, and which run to read: decided without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory

from streamlib.client.follow import (
    Chain,
    Closed,
    Follow,
    Happening,
    Progress,
    Replaced,
    RolledOver,
    Run,
    WorkWaits,
    continued_from,
    ending,
)
from tests.fakes import event, signaled

RECORDED = Path(__file__).parent.parent / "server" / "histories"
STATUS = WorkflowExecutionStatus
WORKED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


def recorded(name: str) -> list[HistoryEvent]:
    """The events of a real run, as a server gave them."""
    text = (RECORDED / f"{name}.json").read_text()
    return [*WorkflowHistory.from_json("recorded", json.loads(text)).events]


def followed(
    events: list[HistoryEvent], *, page: int, length: int
) -> tuple[Follow, list[Happening]]:
    """Follow a run whose history was `length` events long when we came, `page` events at a time."""
    follow, said = Follow(Run("r", "r", length)), list[Happening]()
    for at in range(0, len(events), page):
        last = at + page >= len(events) and ending(events[-1]) is not None
        said += follow.take(events[at : at + page], b"" if last else b"%d" % at)
    return follow, said


def pages(events: list[HistoryEvent], size: int) -> list[list[HistoryEvent]]:
    return [events[at : at + size] for at in range(0, len(events), size)]


# --- a real run


@pytest.mark.parametrize("name", ["hub", "order", "scenario-ticker", "scenario-llm", "peer-hub"])
@pytest.mark.parametrize("page", [1, 3, 1000])
def test_a_recorded_run_is_followed_to_its_end_whatever_the_pages(name: str, page: int) -> None:
    events = recorded(name)
    follow, said = followed(events, page=page, length=0)
    assert follow.tally.history_events == len(events)
    tasks = [p for p in pages(events, page) if any(e.event_type == WORKED for e in p)]
    ended = ending(events[-1])
    before = [p for p in tasks if events[-1] not in p or ended is None]
    assert said.count(Progress()) == len(before), "once for each page with finished work"
    assert said[-1] == ended or ended is None
    assert follow.ended == ended


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_what_was_there_when_we_came_is_one_progress(page: int) -> None:
    events = recorded("hub")
    open_ones = events[:-1] if ending(events[-1]) else events
    _, said = followed(open_ones, page=page, length=len(open_ones))
    assert [each for each in said if not isinstance(each, WorkWaits)] == [Progress()]


# --- how a run ends


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("COMPLETED", STATUS.COMPLETED),
        ("FAILED", STATUS.FAILED),
        ("CANCELED", STATUS.CANCELED),
        ("TERMINATED", STATUS.TERMINATED),
        ("TIMED_OUT", STATUS.TIMED_OUT),
    ],
)
def test_a_closing_event_that_names_no_next_run_closes_the_chain(
    kind: str, status: WorkflowExecutionStatus
) -> None:
    assert ending(event(3, kind)) == Closed(status)


@pytest.mark.parametrize("kind", ["COMPLETED", "FAILED", "TIMED_OUT"])
def test_a_closing_event_that_names_a_next_run_is_a_retry_or_a_cron_schedules(kind: str) -> None:
    closing = event(3, kind)
    attributes = getattr(closing, f"workflow_execution_{kind.lower()}_event_attributes")
    attributes.new_execution_run_id = "run-2"
    assert ending(closing) == Replaced(STATUS[kind], "run-2")


@pytest.mark.parametrize(
    ("initiator", "goes_on"), [("WORKFLOW", True), ("RETRY", False), ("CRON_SCHEDULE", False)]
)
def test_who_continued_as_new_tells_whether_the_log_may_go_on(
    initiator: str, goes_on: bool
) -> None:
    number = ContinueAsNewInitiator.Value(f"CONTINUE_AS_NEW_INITIATOR_{initiator}")
    closing = event(3, "CONTINUED_AS_NEW")
    attributes = closing.workflow_execution_continued_as_new_event_attributes
    attributes.new_execution_run_id, attributes.initiator = "run-2", number
    begun = event(1, "STARTED")
    started = begun.workflow_execution_started_event_attributes
    started.continued_execution_run_id, started.initiator = "run-1", number
    if goes_on:
        assert ending(closing) == RolledOver("run-2")
        assert continued_from([begun]) == "run-1"
    else:
        assert ending(closing) == Replaced(STATUS.CONTINUED_AS_NEW, "run-2")
        assert continued_from([begun]) is None


def test_a_run_that_continued_from_none_and_no_history_say_so() -> None:
    assert continued_from([event(1, "STARTED")]) is None
    assert continued_from([]) is None
    assert ending(signaled(2)) is None


# --- work that waits, and coming again


def test_work_waits_until_a_task_completes_and_is_told_once_caught_up() -> None:
    follow = Follow(Run("r", "r", 3))
    assert follow.take([event(1, "STARTED"), event(2, "TASK_SCHEDULED")], b"a") == []
    assert follow.take([signaled(3)], b"b") == [Progress(), WorkWaits()]
    assert follow.take([], b"b") == []
    assert follow.take([event(4, "TASK_STARTED")], b"c") == [WorkWaits()]
    assert follow.take([event(5, "TASK_COMPLETED")], b"d") == [Progress()]
    assert follow.take([signaled(6)], b"e") == []


def test_who_comes_again_goes_on_at_the_token_and_is_told_what_waits() -> None:
    follow = Follow(Run("r", "r", 2))
    follow.take([event(1, "STARTED"), event(2, "TASK_SCHEDULED")], b"a")
    assert (follow.token, follow.caught_up) == (b"a", True)
    assert follow.again(Run("r", "r", 2)) == [WorkWaits()]
    assert follow.again(Run("r", "r", 4)) == []
    assert not follow.caught_up, "there is more by now"
    said = follow.take([event(3, "TASK_STARTED"), event(4, "TASK_COMPLETED")], b"b")
    assert said == [Progress()]


def test_who_starts_over_counts_nothing_twice() -> None:
    events = [event(1, "STARTED"), signaled(2), event(3, "TASK_COMPLETED"), signaled(4)]
    follow = Follow(Run("r", "r", 4))
    follow.take(events, b"a")
    follow.start_over()
    assert follow.token == b""
    follow.take(events, b"b")
    assert (follow.tally.signals, follow.tally.waiting_count) == (2, 1)


# --- which run holds the log


def test_of_the_first_run_the_logs_id_is_known_at_once() -> None:
    assert Chain(Run("run-1", "run-1", 3)).stream_id == "run-1"
    later = Chain(Run("run-2", "run-1", 3))
    assert (later.stream_id, later.identity) == (None, "run-1")
    assert later.answered("run-2", "run-2")
    assert later.stream_id == "run-2"


def test_a_host_that_does_not_say_its_id_is_taken_to_go_on_with_the_chains() -> None:
    chain = Chain(Run("run-2", "run-1", 3))
    assert chain.answered("run-2", None)
    chain.rolled_over("run-3")
    assert chain.answered("run-3", None)
    assert (chain.stream_id, chain.replaced_by) == ("run-1", None)


def test_the_newest_run_is_read_and_the_one_before_it_if_that_never_began() -> None:
    chain = Chain(Run("run-1", "run-1", 3))
    assert chain.answered("run-1", "run-1")
    chain.rolled_over("run-2")
    chain.rolled_over("run-3")
    assert chain.newest == "run-3"
    assert chain.never_began("run-3", "run-2")
    assert chain.never_began("run-2", "run-1")
    assert chain.newest == "run-1"
    assert chain.never_began("run-3", "run-2"), "an answer that came late"
    assert chain.newest == "run-1"


def test_of_a_run_that_never_began_the_one_that_handed_over_is_read_if_there_is_one() -> None:
    chain = Chain(Run("run-2", "run-1", 3))
    assert chain.never_began("run-2", "run-1")
    assert chain.newest == "run-1"
    assert not chain.never_began("run-1", None), "there is no other"


def test_an_attempt_that_never_began_would_have_had_a_log_of_its_own() -> None:
    chain = Chain(Run("run-2", "run-1", 3))
    assert not chain.never_began("run-2", None)
    assert chain.identity == "run-2"


def test_a_log_that_a_roll_over_forgot_is_replaced_and_the_old_one_is_read_on() -> None:
    chain = Chain(Run("run-1", "run-1", 3))
    chain.rolled_over("run-2")
    assert not chain.answered("run-2", "run-2")
    assert (chain.newest, chain.stream_id, chain.replaced_by) == ("run-1", "run-1", "run-2")
    assert not chain.answered("run-2", "run-2"), "an answer that came late"
    chain.rolled_over("run-3")
    chain.replaced("run-9")
    assert (chain.newest, chain.replaced_by) == ("run-1", "run-2")
    assert chain.answered("run-1", "run-1")


def test_runs_before_the_one_that_answered_are_forgotten() -> None:
    chain = Chain(Run("run-1", "run-1", 3))
    chain.rolled_over("run-2")
    assert chain.answered("run-2", "run-1")
    assert chain.answered("run-1", "run-1"), "an answer that came late"
    assert chain.newest == "run-2"
    assert not chain.never_began("run-2", None)

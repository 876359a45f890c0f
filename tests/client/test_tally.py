"""The tally: each event of a run counts once; what no task has handled is kept, within bounds."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.history.v1 import HistoryEvent

from streamlib.client.tally import KEPT, Tally
from tests.fakes import NOON, event, signaled

RUN = [
    event(1, "STARTED"),
    signaled(2),
    event(3, "TASK_SCHEDULED"),
    event(4, "TASK_STARTED"),
    event(5, "TASK_COMPLETED"),
    event(6, "UPDATE_ACCEPTED"),
    signaled(7, name="want"),
    signaled(8),
    event(9, "TASK_SCHEDULED"),
    event(10, "TASK_STARTED"),
    event(11, "TASK_TIMED_OUT"),
    signaled(12),
]


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.history_events, tally.signals, tally.updates, tally.waiting_count


def tally_of(*pages: list[HistoryEvent]) -> Tally:
    tally = Tally()
    for page in pages:
        tally.note(page)
    return tally


def test_a_run_of_which_nothing_is_known_counts_nothing() -> None:
    assert counts(Tally()) == (0, 0, 0, 0)
    assert Tally().began is None


def test_it_counts_events_signals_and_updates_and_tells_when_the_run_began() -> None:
    tally = tally_of(RUN)
    assert counts(tally) == (12, 4, 1, 2)
    assert tally.began == NOON + timedelta(seconds=1)


def test_batches_wait_until_a_workflow_task_completes_other_signals_do_not() -> None:
    tally = tally_of(RUN)
    assert [each.event_id for each in tally.waiting] == [8, 12]
    tally.note([event(13, "TASK_FAILED")])
    assert tally.waiting_count == 2
    tally.note([event(14, "TASK_COMPLETED"), signaled(15)])
    assert [each.event_id for each in tally.waiting] == [15]


@given(st.lists(st.integers(0, len(RUN)), max_size=5))
def test_history_that_is_seen_again_from_its_beginning_counts_once(cuts: list[int]) -> None:
    tally = Tally()
    for cut in cuts:
        before = counts(tally)
        tally.note(RUN[:cut])
        assert counts(tally) >= before
    tally.note(RUN)
    assert counts(tally) == counts(tally_of(RUN))
    assert list(tally.waiting) == list(tally_of(RUN).waiting)


def test_an_id_that_was_shown_as_a_tasks_and_became_a_signals_counts() -> None:
    shown = [event(1, "STARTED"), event(2, "TASK_SCHEDULED"), event(3, "TASK_STARTED")]
    assert counts(tally_of(shown, [signaled(2), signaled(3)])) == (3, 2, 0, 2)


def test_what_is_kept_is_bounded_and_what_is_counted_is_not() -> None:
    tally = tally_of([signaled(number) for number in range(1, KEPT + 51)])
    assert (tally.waiting_count, len(tally.waiting)) == (KEPT + 50, KEPT)
    assert tally.waiting[0].event_id == 51
    tally.note([event(KEPT + 51, "TASK_COMPLETED")])
    assert (tally.waiting_count, len(tally.waiting)) == (0, 0)

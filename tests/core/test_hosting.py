"""What a host decides: without a workflow, without a clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.hosting import Carried, HostedStream, RunFacts, id_of_log
from streamlib.core.ledger import ACCEPTED, DUPLICATE, REFUSED, Batch
from streamlib.core.limits import LEGACY, StreamLimits
from streamlib.core.log import Item, Log
from streamlib.core.readers import MOST, Action, ReaderTold
from streamlib.core.retention import Keeper, Retention
from streamlib.errors import OffsetTruncatedError

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


def items(count: int, size: int = 10) -> list[Item]:
    return [Item("t", "data", size)] * count


def hosted(count: int = 0, base_offset: int = 0) -> HostedStream:
    stream = HostedStream(Log(base_offset), now=NOON)
    stream.take(items(count), "", 0, NOON)
    return stream


# --- batches


def test_a_batch_gets_in_once() -> None:
    stream = HostedStream(now=NOON)
    assert stream.take(items(3), "p", 1, NOON) == ACCEPTED
    assert stream.take(items(3), "p", 1, NOON) == DUPLICATE
    assert stream.take(items(2), "p", 2, NOON) == ACCEPTED
    assert stream.log.end_offset == 5
    assert stream.ledger.latest(9) == [
        Batch("p", 1, ACCEPTED, 0, 3),
        Batch("p", 1, DUPLICATE, 0, 3),
        Batch("p", 2, ACCEPTED, 3, 2),
    ]


def test_a_refused_batch_changes_counters_and_nothing_else() -> None:
    stream = HostedStream(now=NOON)
    stream.take(items(1), "p", 1, NOON)
    stream.refuse("p", "why", NOON)
    stream.refuse("stranger", "why", NOON)
    assert (stream.log.end_offset, stream.ledger.refusals) == (1, 2)
    [(name, row)] = stream.publishers.items()
    assert (name, row.sequence, row.refused) == ("p", 1, 1)
    assert stream.ledger.latest(1) == [Batch("stranger", 0, REFUSED, None, 0, "why")]
    assert stream.take(items(1), "p", 2, NOON) == ACCEPTED


def test_what_was_accepted_is_never_told_as_refused_when_it_comes_again_as_no_batch() -> None:
    stream = HostedStream(now=NOON)
    stream.take(items(3), "p", 1, NOON)
    stream.take(items(1), "p", 3, NOON)
    assert [stream.refuse("p", "too large", NOON, n) for n in (1, 3)] == [0, 0]
    again = [Batch("p", 1, DUPLICATE, 0, 3), Batch("p", 3, DUPLICATE, 3, 1)]
    assert stream.ledger.latest(2) == again
    assert stream.ledger.refusals == 2, "it is counted as what it is: invalid"
    [(_, row)] = stream.publishers.items()
    assert (row.sequence, row.last_seen, row.dropped, row.refused) == (3, NOON, 0, 2)
    assert [batch.verdict for batch in stream.ledger.verdicts("p", [1, 3])] == [ACCEPTED] * 2
    next_run = HostedStream(stream.log, stream.publishers, now=NOON)
    next_run.refuse("p", "too large", NOON, 1)
    assert next_run.ledger.verdicts("p", [1]) == [Batch("p", 1, DUPLICATE, None, 0)]


@pytest.mark.parametrize(("who", "sequence"), [("p", 2), ("p", 0), ("q", 1), ("", 1)])
def test_what_was_never_accepted_is_refused(who: str, sequence: int) -> None:
    stream = HostedStream(now=NOON)
    stream.take(items(1), "p", 1, NOON)
    stream.take(items(1), "", 1, NOON)
    assert stream.refuse(who, "why", NOON, sequence) == 0
    assert stream.ledger.latest(1) == [Batch(who, sequence, REFUSED, None, 0, "why")]


def test_what_was_refused_stays_so_when_a_late_copy_comes_after_the_next_batch() -> None:
    stream = HostedStream(now=NOON)
    stream.refuse("p", "too large", NOON, 1)
    stream.take(items(1), "p", 2, NOON)
    stream.refuse("p", "too large", NOON, 1)
    assert stream.ledger.verdicts("p", [1]) == [Batch("p", 1, REFUSED, None, 0, "too large")]
    assert stream.ledger.refusals == 2


def test_an_idle_publisher_is_forgotten_if_that_was_asked_for() -> None:
    for ttl, known in ((None, True), (SECOND, False)):
        stream = HostedStream(now=NOON, publisher_ttl=ttl)
        stream.take(items(1), "idle", 1, NOON)
        stream.take(items(1), "p", 1, NOON + 2 * SECOND)
        assert ("idle" in [*stream.publishers]) == known


@pytest.mark.parametrize("ttl", [5, 0, "soon", timedelta(), -SECOND])
def test_what_is_no_publisher_ttl_is_told_at_once_and_not_at_the_first_batch(ttl: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="publisher_ttl"):
        HostedStream(now=NOON, publisher_ttl=ttl)


def test_a_flood_of_bad_batches_is_no_flood_of_lines() -> None:
    stream = HostedStream(now=NOON)
    told = [stream.refuse("p", "why", NOON + n * SECOND / 1000) for n in range(5_000)]
    lines = [untold for untold in told if untold is not None]
    assert lines == [0] * 10
    assert stream.refuse("p", "why", NOON + timedelta(minutes=1)) == 4_990, "none goes uncounted"
    assert stream.ledger.refusals == 5_001


@given(st.lists(st.integers(0, 30_000), max_size=60))
def test_lines_are_bounded_and_each_refusal_is_told_or_counted(pauses: list[int]) -> None:
    stream, now, lines, counted = HostedStream(now=NOON), NOON, 0, 0
    for pause in pauses:
        now += timedelta(milliseconds=pause)
        untold = stream.refuse("p", "why", now)
        if untold is not None:
            lines, counted = lines + 1, counted + untold + 1
            assert counted == stream.ledger.refusals
        assert lines <= 10 + (now - NOON) // timedelta(seconds=10)
        if pause > 10_000:
            assert untold is not None, "after a quiet while, it is told at once"


# --- retention and named readers


def test_what_is_too_much_goes_as_items_come_from_outside_and_from_within() -> None:
    log = Log()
    stream = HostedStream(log, now=NOON, keeper=Keeper(Retention(max_items=3), log, NOON))
    assert stream.take(items(5), "p", 1, NOON) == ACCEPTED
    assert (log.base_offset, log.end_offset) == (2, 5)
    stream.append(items(1)[0], NOON)
    assert (log.base_offset, log.end_offset) == (3, 6)


def test_what_is_kept_can_be_changed_and_items_keep_their_ages() -> None:
    stream = hosted(2)
    stream.keep(Retention(max_age=timedelta(minutes=1)), NOON)
    stream.keep(Retention(max_age=timedelta(minutes=2)), NOON + timedelta(minutes=1))
    assert stream.log.base_offset == 0
    stream.retain(NOON + timedelta(minutes=2, seconds=2))
    assert stream.log.base_offset == 2
    stream.keep(Retention(), NOON)
    assert stream.keeper is None
    stream.take(items(9), "p", 1, NOON + timedelta(days=9))
    assert len(stream.log) == 9


def test_a_shorter_age_lets_nothing_go_that_has_only_just_come() -> None:
    stream = HostedStream(now=NOON)
    stream.keep(Retention(max_age=timedelta(hours=100)), NOON)
    for n in range(6):
        stream.take(items(1), "p", n + 1, NOON + timedelta(minutes=10 * n))
    stream.keep(Retention(max_age=timedelta(minutes=30)), NOON + timedelta(minutes=51))
    assert stream.log.base_offset <= 3, "the last three are younger than that"
    stream.retain(NOON + timedelta(minutes=82))
    assert len(stream.log) == 0


def test_what_all_named_readers_have_handled_goes_when_the_next_item_comes() -> None:
    log = Log()
    policy = Retention(max_items=100, until_read=True)
    stream = HostedStream(log, now=NOON, keeper=Keeper(policy, log, NOON))
    stream.take(items(5), "p", 1, NOON)
    stream.readers.join("billing", "t", 0, NOON, 5)
    stream.readers.commit("billing", "t", 4, NOON, 5)
    stream.take(items(1), "p", 2, NOON)
    assert (log.base_offset, log.end_offset) == (4, 6)


def test_a_name_that_nobody_reads_by_is_forgotten_as_items_come() -> None:
    stream = hosted(1)
    stream.readers.join("billing", "t", 1, NOON, 1)
    later = NOON + 3 * stream.readers.ttl
    stream.take(items(1), "", 0, later)
    assert len(stream.readers) == 1, "it stood at the end, and had nothing to do"
    stream.append(items(1)[0], later + stream.readers.ttl + SECOND)
    assert len(stream.readers) == 0
    assert [each.name for each in stream.readers.forgotten] == ["billing"]


def told(action: Action, name: str, position: int = 0) -> ReaderTold:
    return ReaderTold(action, name, "t", position, None)


def test_names_that_are_too_old_make_room_for_new_ones_also_where_no_items_come() -> None:
    stream = hosted(1)
    for n in range(MOST):
        stream.hear(told("join", f"n{n}"), "s", NOON)
    stream.hear(told("join", "too soon"), "s", NOON + stream.readers.ttl)
    assert (len(stream.readers), stream.readers.refused) == (MOST, 1)
    stream.hear(told("join", "new"), "s", NOON + stream.readers.ttl + SECOND)
    assert [name for name, _ in stream.readers.items()] == ["new"]


@pytest.mark.parametrize("action", ["commit", "rewind"])
def test_who_comes_too_late_has_its_name_no_longer(action: Action) -> None:
    stream = hosted(2)
    for name, position in (("late", 1), ("waits", 2)):
        stream.hear(told("join", name, position), "s", NOON)
    late = NOON + stream.readers.ttl + SECOND
    for name in ("late", "waits"):
        stream.hear(told(action, name, 2), "s", late)
    assert [name for name, _ in stream.readers.items()] == ["waits"], "it had nothing to read"
    assert stream.readers.refused == 1


def test_a_name_that_is_too_old_holds_nothing_up_when_the_stream_is_handed_over() -> None:
    stream = hosted(3)
    stream.keep(Retention(max_items=100, until_read=True), NOON)
    for name, position in (("gone", 1), ("here", 1)):
        stream.hear(told("join", name, position), "s", NOON)
    later = NOON + stream.readers.ttl
    stream.hear(told("commit", "here", 2), "s", later)
    stream.retain(later + timedelta(hours=2))  # as a hand-over does
    assert [name for name, _ in stream.readers.items()] == ["here"]
    assert stream.log.base_offset == 2


# --- polls


@pytest.mark.parametrize(
    ("base", "count", "asked", "answers"),
    [
        (0, 0, 0, False),
        (0, 2, 1, True),
        (0, 2, 2, False),
        (0, 2, 99, False),
        (5, 0, 0, True),  # all below 5 is gone: the next offset says so
        (5, 0, 3, True),  # truncated
        (5, 0, 5, False),
    ],
)
def test_a_poll_waits_until_there_is_something_to_say(
    base: int, count: int, asked: int, answers: bool
) -> None:
    stream = hosted(count, base)
    assert stream.may_answer(asked) == answers
    stream.detaching = True
    assert stream.may_answer(asked), "before a roll-over, whatever there is"


def test_a_poll_of_what_was_truncated_is_told_so_but_a_query_begins_at_the_base() -> None:
    stream = hosted(5)
    stream.log.truncate(3)
    with pytest.raises(OffsetTruncatedError) as raised:
        stream.answer(2)
    assert (raised.value.from_offset, raised.value.base_offset) == (2, 3)
    for page in (stream.read(2), stream.answer(0), stream.answer(3)):
        assert [offset for offset, _ in page.items] == [3, 4]


def test_a_page_has_what_the_limits_allow_and_always_an_item() -> None:
    limits = StreamLimits(topic_bytes=10, item_bytes=1_000, page_bytes=1_000)
    stream = HostedStream(now=NOON, limits=limits)
    stream.take(items(9, size=200), "", 0, NOON)
    assert len(stream.read(0).items) == 2
    stream.take(items(2, size=990), "", 0, NOON)
    assert len(stream.read(9).items) == 1


def test_what_is_answered_decides_nothing_so_a_legacy_run_has_todays_pages() -> None:
    stream = HostedStream(now=NOON, limits=LEGACY)
    stream.take(items(30, size=100_000), "", 0, NOON)
    assert len(stream.read(0).items) == 9


# --- whose log it is

FIRST = RunFacts("run-1", "run-1", "run-1", None)
ROLLED = RunFacts("run-2", "run-2", "run-1", "run-1")
MINE = Carried("log", "run-1")
NOBODYS = Carried(None, None)  # an older state, or the peer's


@pytest.mark.parametrize(
    ("run", "carried", "expected"),
    [
        (FIRST, None, "run-1"),
        (ROLLED, MINE, "log"),
        (ROLLED, None, "run-2"),  # rolled over without its state
        (ROLLED, Carried("log", "run-0"), "run-2"),  # the state of another hand-over
        (ROLLED, Carried("log", None), "run-2"),
        (FIRST, MINE, "run-1"),  # started by hand, with a state that somebody queried
        (FIRST, Carried("log", ""), "run-1"),
        # A retry continues the run that failed, and starts from the input of that one.
        (RunFacts("run-2", "run-2", "run-1", "run-1", attempt=2), None, "run-2"),
        (RunFacts("run-3", "run-3", "run-1", "run-2", attempt=2), MINE, "run-3"),
        # So does cron.
        (RunFacts("run-2", "run-2", "run-1", "run-1", cron=True), None, "run-2"),
        (RunFacts("run-3", "run-3", "run-1", "run-2", cron=True), MINE, "run-3"),
        (RunFacts("run-2", "run-2", "run-1", "run-1", cron=True), MINE, "log"),
        # A reset has all of the run that it repeats, but another id.
        (RunFacts("reset", "run-1", "run-1", None), None, "reset"),
        (RunFacts("reset", "run-2", "run-1", "run-1"), MINE, "reset"),
        (RunFacts("reset", "run-2", "run-1", "run-1"), NOBODYS, "reset"),
        # A state without an id is taken up as it was before there were any.
        (ROLLED, NOBODYS, "run-1"),
        (RunFacts("run-3", "run-3", "run-1", "run-2", attempt=2), NOBODYS, "run-3"),
        (RunFacts("run-3", "run-3", "run-1", "run-2", cron=True), NOBODYS, "run-3"),
    ],
)
def test_the_id_is_that_of_the_run_in_which_the_log_began(
    run: RunFacts, carried: Carried | None, expected: str
) -> None:
    assert id_of_log(run, carried) == expected

"""What a host drops by itself, against somebody who looks at every item each time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.log import Item, Log
from streamlib.core.retention import Keeper, Retention, check_retention
from streamlib.errors import InvalidLimitsError

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


def log_of(*sizes: int) -> Log:
    log = Log()
    for size in sizes:
        log.append(Item("t", "data", size))
    return log


def base(policy: Retention, log: Log, slowest: int | None = None) -> int:
    return Keeper(policy, log, NOON).base(log, NOON, slowest)


def test_the_newest_items_stay_as_many_as_are_allowed() -> None:
    assert base(Retention(max_items=2), log_of(1, 1, 1)) == 1
    assert base(Retention(max_items=3), log_of(1, 1, 1)) == 0


def test_the_newest_items_stay_within_the_bytes_but_always_one() -> None:
    assert base(Retention(max_bytes=5), log_of(3, 3, 2)) == 1
    assert base(Retention(max_bytes=4), log_of(3, 3, 2)) == 2
    assert base(Retention(max_bytes=8), log_of(3, 3, 2)) == 0
    assert base(Retention(max_bytes=1), log_of(3, 3, 2)) == 2, "the newest is too large, and stays"
    assert base(Retention(max_bytes=1), log_of()) == 0


def test_an_item_goes_when_it_is_too_old_and_not_before() -> None:
    log = log_of(1)
    keeper = Keeper(Retention(max_age=100 * SECOND), log, NOON)
    log.append(Item("t", "data", 1))
    assert keeper.base(log, NOON + 50 * SECOND) == 0
    assert keeper.base(log, NOON + 101 * SECOND) == 0
    assert keeper.base(log, NOON + 102 * SECOND) == 1
    assert keeper.base(log, NOON + 152 * SECOND) == 2
    assert keeper.times == []


def test_what_was_carried_keeps_its_age_and_what_has_none_counts_from_now() -> None:
    log, policy = log_of(1, 1, 1), Retention(max_age=100 * SECOND)
    carried = Keeper(policy, log, NOON, [(2, NOON - 99 * SECOND)])
    assert carried.times == [(2, NOON - 99 * SECOND), (3, NOON)]
    assert carried.base(log, NOON + 3 * SECOND) == 2
    assert Keeper(policy, log, NOON).base(log, NOON + 99 * SECOND) == 0


def test_what_all_named_readers_have_handled_goes_and_never_holds_up_the_other_bounds() -> None:
    policy = Retention(max_items=2, until_read=True)
    assert base(policy, log_of(1, 1, 1), slowest=3) == 3
    assert base(policy, log_of(1, 1), slowest=1) == 1
    assert base(policy, log_of(1, 1, 1), slowest=0) == 1, "a reader that never comes keeps two"
    assert base(policy, log_of(1, 1), slowest=None) == 0
    assert base(Retention(max_items=3), log_of(1, 1), slowest=2) == 0


@pytest.mark.parametrize(
    ("bounds", "named"),
    [
        ({"max_items": 0}, "max_items"),
        ({"max_items": True}, "max_items"),
        ({"max_bytes": -1}, "max_bytes"),
        ({"max_bytes": 1.5}, "max_bytes"),
        ({"max_age": timedelta()}, "max_age"),
        ({"max_age": 60}, "max_age"),
        ({"max_age": timedelta.max}, "max_age"),
        ({"until_read": 1}, "until_read"),
        ({"until_read": True}, "until_read"),
    ],
)
def test_bounds_that_cannot_be_or_contradict_each_other_are_named(
    bounds: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidLimitsError) as raised:
        Retention(**bounds)
    assert raised.value.limit == named
    assert named in str(raised.value)


@pytest.mark.parametrize("retention", [None, 5, {"max_items": 5}, timedelta(seconds=5)])
def test_what_is_no_retention_is_named(retention: Any) -> None:
    check_retention(Retention(max_items=5))
    with pytest.raises(TypeError, match=r"retention is .*, and no Retention"):
        check_retention(retention)


def test_without_a_bound_nothing_goes() -> None:
    assert not Retention()
    assert Retention(max_items=1)
    assert Retention(max_age=SECOND)
    assert base(Retention(), log_of(1, 1), slowest=2) == 0


coming = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.integers(1, 9)), max_size=60
)  # milliseconds later, so many items, of so many bytes


@given(
    coming,
    st.one_of(st.none(), st.integers(1, 5)),
    st.one_of(st.none(), st.integers(1, 30)),
    st.one_of(st.none(), st.integers(1, 2_000)),
)
def test_it_keeps_what_somebody_would_who_looked_at_every_item(
    batches: list[tuple[int, int, int]], items: int | None, size: int | None, age: int | None
) -> None:
    max_age = None if age is None else timedelta(milliseconds=age)
    policy = Retention(items, size, max_age)
    log, now, came = Log(), NOON, list[tuple[datetime, int]]()
    keeper = Keeper(policy, log, NOON)
    for later, count, each in batches:
        now += timedelta(milliseconds=later)
        for _ in range(count):
            log.append(Item("t", "data", each))
            came.append((now, each))
        before = log.base_offset
        log.truncate(keeper.base(log, now))
        kept = came[log.base_offset :]
        dropped = came[before : log.base_offset]
        bounded = [
            items is None or len(kept) <= items,
            size is None or sum(n for _, n in kept) <= size or len(kept) == 1,
            max_age is None or all(now - at <= max_age * 1.01 for at, _ in kept),
        ]
        assert all(bounded)
        if dropped:  # one more would have been too much
            at, n = dropped[-1]
            needed = [
                items is not None and len(kept) + 1 > items,
                size is not None and sum(each for _, each in kept) + n > size,
                max_age is not None and now - at > max_age,
            ]
            assert any(needed)
        assert len(keeper.times) <= 103


def test_a_thousand_batches_a_second_have_no_more_than_a_hundred_times() -> None:
    log = Log()
    keeper = Keeper(Retention(max_age=SECOND), log, NOON)
    for n in range(5_000):
        log.append(Item("t", "data", 1))
        log.truncate(keeper.base(log, NOON + n * SECOND / 1_000))
        assert len(keeper.times) <= 103
    assert 1_000 <= len(log) <= 1_011


MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND


def test_under_a_new_age_an_item_of_a_coarse_group_stays_at_least_as_long_as_it_says() -> None:
    """An age of 100 hours is divided into hours: one group holds what came in the last one."""
    log, now = Log(), NOON
    keeper = Keeper(Retention(max_age=100 * HOUR), log, NOON)
    for minute in range(0, 60, 10):
        now = NOON + minute * MINUTE
        log.append(Item("t", str(minute), 1))
        keeper.base(log, now)
    assert keeper.times == [(6, NOON)]
    shorter = Keeper(Retention(max_age=30 * MINUTE), log, now, keeper.times, 100 * HOUR)
    assert shorter.base(log, now) == 0, "nobody knows that the first three came before the others"
    assert shorter.base(log, now + 30 * MINUTE) == 0
    assert shorter.base(log, now + 30.4 * MINUTE) == 6


def test_ages_that_go_back_and_forth_forget_nothing_and_put_nothing_off() -> None:
    log = log_of(1)
    keeper = Keeper(Retention(max_age=100 * HOUR), log, NOON)
    for minute in range(40):
        age = (HOUR, 100 * HOUR)[minute % 2]
        keeper = Keeper(
            Retention(max_age=age), log, NOON + minute * MINUTE, keeper.times, keeper.policy.max_age
        )
    assert keeper.times == [(1, NOON - HOUR)], "within an hour of that: by noon"
    keeper = Keeper(Retention(max_age=HOUR), log, NOON + HOUR, keeper.times, 100 * HOUR)
    assert keeper.base(log, NOON + HOUR) == 0
    assert keeper.base(log, NOON + HOUR + SECOND) == 1


ages = st.integers(1, 30_000)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.one_of(st.none(), ages)), min_size=1, max_size=60),
    ages,
)
def test_however_the_age_changes_no_item_goes_before_it(
    moments: list[tuple[int, int | None]], first: int
) -> None:
    """Each moment an item comes, and sometimes the age becomes another one (milliseconds)."""
    log, now, came = Log(), NOON, list[datetime]()
    age = longest = first * SECOND / 1_000
    keeper = Keeper(Retention(max_age=age), log, NOON)
    for later, other in moments:
        now += later * SECOND / 1_000
        log.append(Item("t", "data", 1))
        came.append(now)
        for new in (None, other):
            if new is not None:
                before, age = age, new * SECOND / 1_000
                keeper = Keeper(Retention(max_age=age), log, now, keeper.times, before)
                longest = max(longest, age)
            dropped = log.base_offset
            log.truncate(keeper.base(log, now))
            assert all(now - at > age for at in came[dropped : log.base_offset])
        assert all(now - at <= age * 1.01 + longest / 100 for at in came[log.base_offset :])

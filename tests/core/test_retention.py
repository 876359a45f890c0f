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

"""Chunks against a list that is cut at its front, and what that costs."""

from __future__ import annotations

from array import array
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core import chunks, log
from streamlib.core.chunks import Chunks
from streamlib.core.log import Item

REAL = chunks.CHUNK


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 4)


@given(
    st.integers(0, 9),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30),
    st.sampled_from([list, partial(array, "q")]),
)
def test_they_hold_what_a_list_holds_that_is_cut_at_its_front(
    first: int, steps: list[tuple[int, int]], make: type[list[int]]
) -> None:
    values, model, base = Chunks[int](first, make), list[int](), first
    for added, dropped in steps:
        for n in range(added):
            values.append(n)
            model.append(n)
        cut = min(dropped, len(model))
        values.drop_to(base + cut)
        del model[:cut]
        base += cut
        assert (values.first, values.end) == (base, base + len(model))
        assert list(values.from_(base)) == model
        assert [values[index] for index in range(values.first, values.end)] == model
        for skipped in range(len(model) + 2):
            assert list(values.from_(base + skipped)) == model[skipped:]


def test_what_is_dropped_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    values = Chunks[int]()
    for n in range(20):
        values.append(n)
    values.drop_to(18)
    assert sum(len(chunk) for chunk in values._chunks.values()) == 2
    values.drop_to(20)
    assert not values._chunks
    values.append(20)
    assert list(values.from_(20)) == [20]


class Counted(list[int]):
    """A list that counts what it moves when it is cut at its front."""

    moved = 0

    def __delitem__(self, cut: Any) -> None:
        super().__delitem__(cut)
        Counted.moved += len(self)


def test_to_truncate_costs_what_is_dropped_however_much_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", REAL)
    monkeypatch.setattr(log, "Chunks", lambda first=0, make=None: Chunks(first, Counted))
    monkeypatch.setattr(Counted, "moved", 0)
    items = log.Log()
    for _ in range(20_000):
        items.append(Item("t", "data", 10))
    for offset in range(1, 1_001):
        items.truncate(offset)
    assert (items.base_offset, len(items)) == (1_000, 19_000)
    assert Counted.moved <= 2 * 1_000 * 256, "a list cut at its front moves 19,000 each time"
    Counted.moved = 0
    items.truncate(15_000)
    assert Counted.moved <= 2 * 256, "and many at once no more than one"

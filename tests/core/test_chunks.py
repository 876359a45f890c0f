"""Chunks against a list that is cut at its front, and what that costs."""

from __future__ import annotations

import time
from array import array
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlib.core import chunks
from streamlib.core.chunks import Chunks
from streamlib.core.log import Item, Log


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


def test_to_truncate_costs_what_is_dropped_however_much_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 256)
    log = Log()
    for _ in range(300_000):
        log.append(Item("t", "data", 10))
    began = time.perf_counter()
    for offset in range(1, 100_001):
        log.truncate(offset)
    assert time.perf_counter() - began < 3, "a list cut at its front takes four times as long"
    assert (log.base_offset, len(log)) == (100_000, 200_000)

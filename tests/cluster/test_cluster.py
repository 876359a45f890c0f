"""The cluster's pure parts: the plan, and what is made of what the programs saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from cluster.judge import LATE, UP, Figures, Record, figures
from cluster.plan import CALM, EVERY, NODES, lasts, plan
from cluster.report import report

READERS = ("reader-1", "reader-2")


def seen(
    stored: dict[str, float], read: dict[str, list[tuple[float, str]]], log: list[str] | None = None
) -> list[Record]:
    """What a side's programs write of one hub, whose items were sent as they were stored."""
    records: list[Record] = [["opened", "hub", reader, 0.0] for reader in READERS]
    for value, at in stored.items():
        records += [["sent", "hub", value, at - 0.1], ["stored", "hub", value, at]]
    for reader, items in read.items():
        records += [["read", "hub", reader, n, v, at] for n, (at, v) in enumerate(items)]
    values = [*stored] if log is None else log
    return [*records, *(["log", "hub", n, value, 99.0] for n, value in enumerate(values))]


def always(until: float = 60.0) -> list[Record]:
    """A probe that is answered every half second."""
    return [["answered", "hub", n / 2, n / 2] for n in range(int(until * 2) + 1)]


def without(begin: float, end: float) -> list[Record]:
    """The same, but for the time between."""
    return [each for each in always() if not begin < each[-1] < end]


def both(*items: tuple[float, str]) -> dict[str, list[tuple[float, str]]]:
    return {reader: [*items] for reader in READERS}


WELL = figures(seen({"a": 1.0, "b": 2.0}, both((1.2, "a"), (2.2, "b"))), always())


def test_where_all_is_well_nothing_is_wrong() -> None:
    assert WELL.faults == []
    assert (WELL.acknowledged, WELL.delivery) == (2, pytest.approx(0.3))
    assert WELL.streams["hub"].reader_gap == pytest.approx(1.0)
    assert WELL.streams["hub"].server_gap == pytest.approx(0.5)


def test_what_was_acknowledged_and_is_not_in_the_log_is_lost() -> None:
    found = figures(seen({"a": 1.0, "b": 2.0}, both((1.2, "a"), (2.2, "b")), ["a"]), always())
    assert (found.lost, found.faults) == (1, ["1 items lost"])


@pytest.mark.parametrize(
    ("read", "log"),
    [
        (both((1.2, "a")), ["a", "a"]),
        ({**both((1.2, "a")), "reader-2": [(1.2, "a"), (1.3, "a")]}, ["a"]),
    ],
)
def test_a_value_at_two_offsets_or_given_twice_is_twice(read: Any, log: list[str]) -> None:
    assert figures(seen({"a": 1.0}, read, log), always()).twice == 1


def test_a_reader_that_never_got_an_item_misses_it() -> None:
    found = figures(seen({"a": 1.0}, {"reader-1": [(1.2, "a")]}), always())
    assert (found.unread, found.lost) == (1, 0)


def test_what_was_in_doubt_and_is_stored_is_neither_lost_nor_twice() -> None:
    records = [*seen({"a": 1.0}, both((1.2, "a"), (3.0, "b")), ["a", "b"])]
    records += [["sent", "hub", "b", 2.0], ["raised", "hub", "publisher-1", "TimeoutError", 2.5]]
    found = figures(records, always())
    assert (found.acknowledged, found.lost, found.twice) == (1, 0, 0)
    assert found.faults == ["1 flushes raised"]


def test_only_time_for_which_the_server_answered_counts_as_late() -> None:
    items = {"a": 10.0}
    down = figures(seen(items, both((30.0, "a"))), without(10.0, 29.0))
    assert (down.late, down.streams["hub"].late) == (0, pytest.approx(1.0))
    assert down.streams["hub"].server_gap == pytest.approx(19.0)
    up = figures(seen(items, both((30.0, "a"))), without(10.0, 26.0))
    assert (up.late, up.streams["hub"].late) == (2, pytest.approx(4.0))
    assert up.faults == [f"2 deliveries later than {LATE:g} s while the server was up"]


def test_time_before_an_item_was_stored_is_not_its_own() -> None:
    late = figures(seen({"a": 20.0}, both((21.0, "a"))), always())
    assert late.streams["hub"].late == pytest.approx(1.0)


def test_a_few_questions_without_an_answer_are_no_outage() -> None:
    holes = [each for each in always() if each[-1] % UP == 0]
    assert figures(seen({"a": 10.0}, both((14.0, "a"))), holes).late == 2


def test_a_restarted_reader_and_nothing_stored_are_faults() -> None:
    restarted = [*seen({"a": 1.0}, both((1.2, "a"))), ["restarted", "hub", "reader-1", "", 2.0]]
    assert figures(restarted, always()).faults == ["1 readers restarted"]
    assert figures([["opened", "hub", "reader-1", 0.0]], always()).faults == ["nothing was stored"]


def test_a_hub_that_never_answered_the_probe_is_a_fault() -> None:
    assert figures(seen({"a": 1.0}, both((1.2, "a"))), []).faults == ["hub never answered"]


def test_a_plan_does_everything_to_every_node_and_leaves_time_between() -> None:
    faults = plan(seed=1, rounds=2)
    assert plan(seed=1, rounds=2) == faults
    assert plan(seed=2, rounds=2) != faults
    for half in (faults[:8], faults[8:]):
        did = sorted((fault.what, fault.node) for fault in half)
        nodes = range(NODES)
        workers = [("kill workers", 0)] * 2
        assert did == [*(("freeze", n) for n in nodes), *(("kill", n) for n in nodes), *workers]
    assert faults[0].at == CALM
    for before, after in pairwise(faults):
        assert before.until < after.at == before.at + EVERY
    assert lasts(faults) == faults[-1].until + EVERY


def test_the_report_has_a_column_a_side_and_a_line_a_stream() -> None:
    def rows() -> Iterator[list[str]]:
        for line in report({"ours": WELL, "peer": replace(WELL, lost=3)}).splitlines():
            yield [cell.strip() for cell in line.strip("|").split("|")]

    assert ["", "ours", "peer"] in rows()
    assert ["lost", "0", "3"] in rows()
    assert ["hub", "0.5 s", "1.0 s", "0.2 s"] in rows()


def test_every_figure_that_must_be_zero_is_told() -> None:
    names = ("lost", "twice", "unread", "late", "readers_restarted", "flushes_raised")
    wrong: dict[str, Any] = dict.fromkeys(names, 1)
    worst: Figures = replace(WELL, **wrong)
    assert len(worst.faults) == len(wrong)

"""The bench's pure parts: what becomes of figures. Nothing is measured here."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import report
from bench.chart import LEFT, RIGHT, WIDTH, Panel, short, svg
from bench.gates import (
    ROWS,
    Row,
    Verdict,
    cells,
    failed,
    judge,
    markdown,
    middle,
    number,
    table,
)
from bench.quiet import QUIET, Repetition, quietest, wants_more

FIGURES = {
    "fast": [
        Repetition(0.0, {"ours": {"p50 ms": 90.0}, "peer": {"p50 ms": 70.0}}),
        Repetition(0.1, {"ours": {"p50 ms": 20.0}, "peer": {"p50 ms": 70.0}}),
        Repetition(0.2, {"ours": {"p50 ms": 21.0}, "peer": {"p50 ms": 700.0}}),
    ],
    "crowd": [Repetition(0.0, {"ours": {"p95 ms": 40.0}})],
}


def verdict(ours: float | None, peer: float | None, **row: object) -> Verdict:
    return Verdict(Row("fast", "p50 ms", "delivery", "ms", **row), ours, peer)  # type: ignore[arg-type]


def test_the_median_over_repetitions_leaves_out_the_one_that_noise_has_hit() -> None:
    assert middle(FIGURES, "fast", "ours", "p50 ms") == 21.0
    assert middle(FIGURES, "fast", "peer", "p50 ms") == 70.0


def test_what_was_not_measured_is_none_and_no_error() -> None:
    assert middle(FIGURES, "crowd", "peer", "p95 ms") is None
    assert middle(FIGURES, "slow", "ours", "p50 ms") is None
    assert middle(FIGURES, "fast", "ours", "p99 ms") is None


@pytest.mark.parametrize(
    ("ours", "peer", "at_least", "passed"),
    [
        (40, 100, False, True),
        (41, 100, False, False),
        (40, 100, True, True),
        (39, 100, True, False),
    ],
)
def test_a_gate_bounds_the_ratio_from_above_or_from_below(
    ours: float, peer: float, at_least: bool, passed: bool
) -> None:
    assert verdict(ours, peer, limit=0.4, at_least=at_least).passed is passed


def test_a_gate_without_a_number_does_not_hold() -> None:
    assert verdict(None, 70.0, limit=0.4).passed is False
    assert verdict(20.0, None, limit=0.4).passed is False
    assert verdict(20.0, 0.0, limit=0.4).passed is False


def test_a_row_without_a_limit_is_shown_and_not_judged() -> None:
    shown = verdict(20.0, 70.0)
    assert (shown.passed, shown.gate, failed([shown])) == (None, "", [])


def test_a_gate_on_our_own_number_needs_no_peer() -> None:
    assert verdict(150.0, None, limit=150.0, alone=True).passed is True
    assert verdict(151.0, None, limit=150.0, alone=True).gate == "<= 150 ms"


def test_figures_become_verdicts_row_by_row() -> None:
    rows = [
        Row("fast", "p50 ms", "fast", "ms", 0.4),
        Row("fast", "p50 ms", "too fast", "ms", 0.2),
        Row("crowd", "p95 ms", "crowd", "ms", 150.0, alone=True),
    ]
    verdicts = judge(FIGURES, rows)
    assert [round(v.ratio, 2) if v.ratio else None for v in verdicts] == [0.3, 0.3, None]
    assert [v.row.label for v in failed(verdicts)] == ["too fast"]


def test_a_line_of_the_table_says_both_numbers_the_ratio_the_gate_and_the_result() -> None:
    assert cells(verdict(21.0, 70.0, limit=0.4)) == [
        "delivery", "21 ms", "70 ms", "0.3", "<= 0.4", "pass",
    ]  # fmt: skip
    assert cells(verdict(21.0, None, limit=3.0, at_least=True))[2:] == ["-", "-", ">= 3", "FAIL"]


def test_the_columns_of_the_table_line_up() -> None:
    lines = table([verdict(21.0, 70.0, limit=0.4), verdict(2100.0, 7.0)]).splitlines()
    assert lines[1].index("21 ms") + len("21 ms") == lines[2].index("2,100 ms") + len("2,100 ms")
    assert not any(line.endswith(" ") for line in lines)


def test_the_markdown_table_holds_what_has_a_gate() -> None:
    lines = markdown([verdict(21.0, 70.0, limit=0.4), verdict(21.0, 70.0)]).splitlines()
    assert lines[2:] == ["| delivery | 21 ms | 70 ms | 0.3 | <= 0.4 |"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.08924, "0.0892"), (4.0, "4"), (69.04, "69"), (76543.2, "76,543"), (0, "0")],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_every_row_has_a_label_of_its_own() -> None:
    assert len({row.label for row in ROWS}) == len(ROWS)


def test_text_in_the_chart_is_escaped() -> None:
    drawn = svg([Panel("a < b & c", [("<script>", 1.0, 2.0)])])
    assert "<script>" not in drawn
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert {"a < b & c", "<script>"} <= set(texts)


def test_the_longest_bar_fills_its_panel_and_the_others_are_in_proportion() -> None:
    drawn = ElementTree.fromstring(svg([Panel("p", [("a", 10.0, 40.0)]), Panel("none", [])]))
    bars = [e for e in drawn.iter() if e.get("x") == str(LEFT) and e.get("y") != "12"]
    assert [float(bar.get("width", "")) for bar in bars] == [
        (WIDTH - LEFT - RIGHT) / 4,
        WIDTH - LEFT - RIGHT,
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(0.294, "0.29"), (4.0, "4"), (17.6, "18"), (76543.2, "76,543")]
)
def test_numbers_beside_bars_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_a_saved_run_can_be_read_again_and_names_no_host_and_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    path = report.save("run", FIGURES, {"machine": report.machine(), "seconds": 1.23456789})
    figures, about = report.load("run")
    assert figures == FIGURES
    assert about["seconds"] == 1.2346
    assert len(about["verdicts"]) == len(ROWS)
    assert set(about["machine"]) == {
        "system", "architecture", "cpus", "memory GB", "python", "temporalio",
    }  # fmt: skip
    assert str(Path.home()) not in path.read_text()


def test_the_chart_leaves_out_what_was_not_measured() -> None:
    assert all(not panel.bars for panel in report.panels(FIGURES))


LOUD, SOFT = Repetition(1.0), Repetition(QUIET)


def test_an_experiment_is_repeated_until_enough_repetitions_were_quiet() -> None:
    assert wants_more([SOFT, LOUD, LOUD], 2, timed=True, late=False)
    assert not wants_more([SOFT, LOUD, SOFT], 2, timed=True, late=False)


def test_when_it_is_late_or_nothing_is_timed_noisy_repetitions_will_do() -> None:
    for timed, late in ((True, True), (False, False)):
        assert wants_more([LOUD], 2, timed=timed, late=late)
        assert not wants_more([LOUD, LOUD], 2, timed=timed, late=late)


def test_the_quietest_repetitions_count_in_the_order_they_ran() -> None:
    loads = [0.1, 1.3, 0.2, 0.9, 0.0]
    assert [each.others for each in quietest([Repetition(x) for x in loads], 3)] == [0.1, 0.2, 0.0]


def test_more_calls_than_before_while_nothing_is_wrong_fail() -> None:
    rows = [row for row in ROWS if row.metric in ("queries per item", "history reads per item")]
    assert len(rows) == 6
    for per_item, fails in ((1.0, 0), (4.0, 6)):
        figures = {
            row.experiment: [Repetition(0.0, {"ours": {r.metric: per_item for r in rows}})]
            for row in rows
        }
        assert len(failed(judge(figures, rows))) == fails

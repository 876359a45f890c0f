"""The page about scale: its tables and its chart follow from the figures, and from nothing else."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import report, scale
from bench.gates import CROWDS, FAST_1, LENGTHS, Row, crowd_of, judge, length_of, size_of
from bench.quiet import Repetition


def ours(**figures: float) -> list[Repetition]:
    return [Repetition(0.0, {"ours": figures})]


STEPS = {f"{step} ms": 10.0 for step in scale.STEPS}
PAID = {
    "history events per item": 4.0,
    "history bytes per item": 500.0,
    "queries per item": 1.0,
    "worker CPU s per 1,000": 8.0,
    "client CPU s per 1,000": 6.0,
    "server CPU s per 1,000": 20.0,
}
CROWD = {"KB a reader": 20.0, "client CPU us a delivery": 50.0, "p95 ms": 700.0, "delivered": 1.0}
FIGURES = {
    FAST_1: [Repetition(0.0, {"ours": PAID, "peer": dict.fromkeys(PAID, 4.0)})],
    crowd_of(10_000): ours(**CROWD),
    size_of("1 KB"): ours(**{"published per s": 9000.0, "read per s": 20_000.0}),
    **{length_of(n): ours(**STEPS) for n in LENGTHS},
}


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_arithmetic_is_done_with_the_measured_figures() -> None:
    said = {row[0]: row[1:] for row in rows(scale.follows(FIGURES))}
    assert said["small batches until a roll-over is due"] == ["4,096 events / 4", "1,024"]
    assert said["batches a second that fill a worker's core"] == ["1,000 / 8 s", "125"]
    assert said["actions a day, 10 batches a second, all day"] == ["86,400 × 10 × 2", "1,728,000"]
    assert said["such streams in a namespace, 10 batches a second each"][1] == "25"
    assert said["the same, at the first tier's price"][1] == "86.4 $ a day"
    assert said["deliveries a second that fill a reading core"] == ["1 s / 50 µs", "20,000"]
    assert said["memory of 10,000 readers"] == ["10,000 × 20 KB", "200 MB"]


def test_whoever_reckons_with_the_numbers_that_stand_there_comes_to_the_same() -> None:
    figures, _ = report.load("latest")
    table = rows(scale.follows(figures))
    for question, arithmetic, comes_to in table:
        if found := re.fullmatch(r"([\d,]+) × 10 × ([\d.]+)", arithmetic):
            actions = float(found[1].replace(",", "")) * 10 * float(found[2])
            assert f"{actions:,.0f}" == comes_to, question
            return
    raise AssertionError(table)


def test_what_was_not_measured_is_a_dash_and_no_answer() -> None:
    assert scale.follows({}) == ""
    assert "| append | - | - | - | - |" in scale.measured({})
    assert "| append | 10 ms | 10 ms | 10 ms | 10 ms |" in scale.measured(FIGURES)
    assert "| worker | 8 ms | 4 ms | 2 |" in scale.measured(FIGURES)


def test_every_crowd_has_its_row_in_the_order_of_its_size() -> None:
    labels = [row[0] for row in rows(scale.measured(FIGURES)) if "process" in row[0]]
    expected = [f"{n:,} in one process" for n in sorted([*CROWDS, 1_000])]
    assert labels == [*expected, "100, a process each"]


def test_the_page_is_written_between_its_marks_and_only_there(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    page.write_text(report.SCALE.read_text())
    scale.write(page, FIGURES)
    once = page.read_text()
    scale.write(page, FIGURES)
    assert page.read_text() == once
    assert once.count("| append | 10 ms") == 1
    assert [line for line in once.splitlines() if line.startswith("#")] == [
        line for line in report.SCALE.read_text().splitlines() if line.startswith("#")
    ]
    page.write_text("no marks")
    with pytest.raises(ValueError, match="measured"):
        scale.write(page, FIGURES)


def test_the_committed_page_and_chart_are_those_of_the_last_whole_run(tmp_path: Path) -> None:
    figures, _ = report.load("latest")
    page = tmp_path / "scale.md"
    page.write_text(report.SCALE.read_text())
    scale.write(page, figures)
    assert page.read_text() == report.SCALE.read_text()
    assert report.SCALE.with_suffix(".svg").read_text() == scale.curves(figures)


def test_a_curve_rises_with_its_values_and_labels_do_not_touch() -> None:
    figures = {
        length_of(n): ours(**(STEPS | {"describe ms": 10.0 * (1 + n / 100_000)})) for n in LENGTHS
    }
    drawn = ElementTree.fromstring(scale.curves(figures))
    lines = [element.get("points", "").split() for element in drawn.iter() if element.get("points")]
    assert [len(line) for line in lines] == [4] * 4
    ends = [float(line[-1].split(",")[1]) for line in lines]
    assert ends[3] < ends[0], "more milliseconds are further up"
    labels = sorted(
        float(element.get("y", ""))
        for element in drawn.iter()
        if (element.text or "") in scale.STEPS
    )
    assert all(b - a >= 14 for a, b in pairwise(labels))


def test_a_row_is_put_beside_the_side_it_names() -> None:
    figures = {"small": [Repetition(0.0, {"ours": {"n": 9.0}, "bare": {"n": 10.0}})]}
    beside, alone = judge(
        figures,
        [Row("small", "n", "bare", "", 0.8, True, beside="bare"), Row("small", "n", "peer")],
    )
    assert (beside.ratio, beside.passed, alone.ratio) == (0.9, True, None)

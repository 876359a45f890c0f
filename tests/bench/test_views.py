"""What the table of the live view's figures says; they are measured by `make bench-views`."""

from __future__ import annotations

from bench.views import Figure, table


def test_a_gate_is_an_upper_or_a_lower_limit() -> None:
    assert Figure("slow", 501, "ms", "", 500).passed is False
    assert Figure("quick", 500, "ms", "", 500).passed is True
    assert Figure("few", 29, "/s", "", 30, at_least=True).passed is False


def test_a_figure_without_a_gate_is_only_shown() -> None:
    shown = table([Figure("a", 1.5, "MB", "", float("inf")), Figure("b", 2, "s", "", 1)])
    assert "FAIL" not in shown.splitlines()[1]
    assert shown.splitlines()[2].endswith("FAIL")

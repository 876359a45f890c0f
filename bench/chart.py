"""Bars as SVG: panels of pairs, ours above the peer's. Pure; the text is escaped.

    Title (unit)
    label   ======== 18
            ========================= 69

Every panel has a scale of its own, from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 776, 216, 70
BAR, GAP, HEAD = 13, 10, 34
COLOURS = {"ours": "#2a6fdb", "peer": "#b8bec8"}


@dataclass(frozen=True)
class Panel:
    """A title and pairs of bars: (label, ours, the peer's)."""

    title: str
    bars: Sequence[tuple[str, float, float]]

    @property
    def height(self) -> int:
        """How many pixels it takes."""
        return HEAD + len(self.bars) * (2 * BAR + GAP) + GAP


def svg(panels: Sequence[Panel]) -> str:
    """Draw the panels, one below the other."""
    parts, top = [_legend()], HEAD
    for panel in panels:
        parts += _panel(panel, top)
        top += panel.height
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
            f'width="{WIDTH}" height="{top}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _legend() -> str:
    marks = []
    for i, (name, colour) in enumerate(COLOURS.items()):
        x = LEFT + 90 * i
        marks.append(f'<rect x="{x}" y="12" width="{BAR}" height="{BAR}" fill="{colour}"/>')
        marks.append(_text(x + BAR + 6, 12 + BAR - 2, name))
    return "\n".join(marks)


def _panel(panel: Panel, top: int) -> list[str]:
    most = max((value for _, *pair in panel.bars for value in pair), default=0.0) or 1.0
    parts = [_text(16, top + 20, panel.title, 'font-weight="bold"')]
    y = top + HEAD
    for label, ours, peer in panel.bars:
        parts.append(_text(LEFT - 10, y + BAR + 4, label, 'text-anchor="end"'))
        for name, value in (("ours", ours), ("peer", peer)):
            width = (WIDTH - LEFT - RIGHT) * value / most
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" '
                f'fill="{COLOURS[name]}"/>'
            )
            parts.append(_text(LEFT + width + 6, y + BAR - 3, short(value)))
            y += BAR
        y += GAP
    return parts


def short(value: float) -> str:
    """A number that fits beside a bar."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#222222" {more}>{escape(text)}</text>'

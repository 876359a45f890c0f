"""The picture for a page without a kernel: the last frame as an SVG and a table.

What nbconvert, GitHub and a printed page show. It needs no script and no style sheet. Everything
that came over the stream is escaped. Pure.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape
from typing import Any

from streamlib.lab.widgets.frame import Frame

PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
"""Okabe and Ito's colours: told apart by everybody; the letters say the same without them."""

CELLS = 24
CELL, GAP, LEFT, TOP, HEIGHT = 26, 3, 64, 30, 30
LIGHT_INK = {"#009E73", "#0072B2", "#D55E00"}


def picture(frame: Frame) -> str:
    """HTML that shows a frame by itself; a sentence where nothing is known yet."""
    stream = frame.get("stream")
    if not stream:
        why = escape(frame.get("trouble") or "it has not answered yet")
        return f"<p>A view of a stream: {why}. Open the notebook and run the cell to see it.</p>"
    if not stream["describes"]:
        return f"<p>Stream of {escape(stream['workflow_id'])}: end offset {stream['end']}.</p>"
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;max-width:900px">'
        f"{_svg(frame)}{_about(frame)}{_tables(frame)}</div>"
    )


def letters(topics: Sequence[str]) -> list[str]:
    """A letter for each topic: one of its own if there is one left, as the live view has it."""
    given: list[str] = []
    for topic in topics:
        own = [letter for letter in topic.lower() if letter in string.ascii_lowercase]
        choice = (letter for letter in [*own, *string.ascii_lowercase] if letter not in given)
        given.append(next(choice, "?"))
    return given


def _svg(frame: Frame) -> str:
    stream, items = frame["stream"], frame["items"]
    base, end = stream["base"], stream["end"]
    first = max(0, end - CELLS)
    width = LEFT + (CELLS + 2) * (CELL + GAP)
    names = letters(frame["topics"])
    ghosts = {row[3]: row[1] for row in frame["batches"] if row[2] == "duplicate"}
    parts: list[str] = []
    for place, offset in enumerate(range(first, end + 1)):
        x = LEFT + place * (CELL + GAP)
        ruler = f'<text x="{x + CELL / 2}" y="{TOP - 8}" class="n">{offset}</text>'
        index = offset - items["first"]
        if offset == end:
            parts.append(_box(x, "none", "4 3") + ruler)
        elif offset < base:
            parts.append(_box(x, "#e4e6ea", "2 3") + ruler)
        elif 0 <= index < len(items["topic"]):
            topic = items["topic"][index]
            colour = PALETTE[topic % len(PALETTE)]
            ink = "#fff" if colour in LIGHT_INK else "#000"
            letter = (
                f'<text x="{x + CELL / 2}" y="{TOP + 20}" class="l" fill="{ink}">'
                f"{names[topic]}</text>"
            )
            parts.append(_box(x, colour, "") + ruler + letter)
        else:
            parts.append(_box(x, "#fff", "1 2") + ruler)
        if offset in stream["seams"]:
            at = x - GAP / 2
            parts.append(f'<path d="M{at} {TOP - 6}v{HEIGHT + 12}" stroke="#b00" />')
        if offset in ghosts:
            below = f'x="{x + CELL / 2}" y="{TOP + HEIGHT + 18}"'
            parts.append(f'<text {below} class="n">✕{ghosts[offset]}</text>')
    gone = f"0–{base - 1} truncated" if base else ""
    says = f"A log from offset {base} to {end}. {gone}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(says)}" '
        f'viewBox="0 0 {width} {TOP + HEIGHT + 26}" style="max-width:100%;background:#fff;'
        'border-radius:8px"><style>.n{font:11px system-ui,sans-serif;fill:#555;text-anchor:middle}'
        ".l{font:600 14px system-ui,sans-serif;text-anchor:middle}</style>"
        f'<text x="8" y="{TOP + 20}" style="font:12px system-ui,sans-serif;fill:#555">'
        f"{'log' if not first else f'… {first}'}</text>{''.join(parts)}</svg>"
    )


def _box(x: float, fill: str, dash: str) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{x}" y="{TOP}" width="{CELL}" height="{HEIGHT}" rx="4" fill="{fill}" '
        f'stroke="#444"{dashed} />'
    )


def _about(frame: Frame) -> str:
    stream = frame["stream"]
    when = datetime.fromtimestamp(frame["at"] / 1000, timezone.utc)
    topics = ", ".join(
        f"{letter}: {name}"
        for letter, name in zip(letters(frame["topics"]), frame["topics"], strict=True)
    )
    return (
        f"<p><b>{escape(stream['workflow_id'])}</b>, {escape(stream['status'].lower())}. "
        f"Base offset {stream['base']}, end offset {stream['end']}. {escape(topics)}<br>"
        f"<small>A picture, taken {when:%Y-%m-%d %H:%M:%S} UTC. Open the notebook and run the "
        "cell for the live view.</small></p>"
    )


def _tables(frame: Frame) -> str:
    readers = [
        [name, ", ".join(topics) or "all", position, lag, missed]
        for _, name, topics, position, lag, missed, *_ in frame["readers"]
    ]
    publishers = [
        [who[:12], sequence, accepted, dropped, refused]
        for who, sequence, accepted, dropped, refused, _ in frame["publishers"]
    ]
    return _table(["reader", "topics", "position", "lag", "missed"], readers) + _table(
        ["publisher", "last sequence", "accepted", "dropped", "refused"], publishers
    )


def _table(head: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    top = "".join(f'<th style="text-align:left;padding-right:1em">{name}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"

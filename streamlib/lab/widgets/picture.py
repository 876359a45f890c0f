"""The picture for a page without a kernel: a frame as tables that any page can show.

What nbconvert, GitHub, a printed page and a notebook that nobody trusts show. It needs no script
and no style sheet, and brings none: where styles are taken away, what is left reads as a table.
Colours, letters and numbers are the frame's, the same as in the live view. Everything that came
over the stream is escaped. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape
from typing import Any

from streamlib.lab.widgets.frame import Frame
from streamlib.lab.widgets.names import colour

CELLS, ROWS = 24, 12
"""How many offsets and how many rows of a table it shows at most: the last ones."""

_CELL = "min-width:18px;padding:3px 4px;text-align:center;border:1px solid "
_PLAIN = "border:0;padding:2px 4px;text-align:center;font-size:11px;color:#595959;background:#fff"


def picture(frame: Frame) -> str:
    """HTML that shows a frame by itself; a sentence where nothing is known yet."""
    stream = frame.get("stream")
    if not stream:
        why = escape(frame.get("trouble") or "it has not answered yet")
        return f"<p>A view of a stream: {why}. Open the notebook and run the cell to see it.</p>"
    return (
        '<div style="max-width:900px;padding:8px;color:#222;background:#fff;overflow:auto">'
        f"{_tape(frame) if stream['describes'] else ''}{_about(frame)}{_tables(frame)}</div>"
    )


def _tape(frame: Frame) -> str:
    stream = frame["stream"]
    base, end = stream["base"], stream["end"]
    first = max(0, end - CELLS)
    gone = f" {_span(0, base)} truncated." if base else ""
    says = f"A log from offset {base} to {end}.{gone}"
    offsets = range(first, end + 1)
    ruler = "".join(_td(_PLAIN, f"{at}{'↵' if at in stream['seams'] else ''}") for at in offsets)
    cells = "".join(_cell(frame, at) for at in offsets)
    ghosts = {row[3]: row[1] for row in frame["batches"] if row[2] == "duplicate"}
    below = ""
    if any(at in ghosts for at in offsets):
        marks = (f"✕{ghosts[at]}" if at in ghosts else "" for at in offsets)
        below = f"<tr>{''.join(_td(_PLAIN, mark) for mark in marks)}</tr>"
    return (
        f'<table role="img" aria-label="{escape(says)}" style="border-collapse:separate;'
        'border-spacing:2px;margin:0;background:#fff"><tbody>'
        f"<tr>{ruler}</tr><tr>{cells}</tr>{below}</tbody></table>"
    )


def _cell(frame: Frame, offset: int) -> str:
    stream, items = frame["stream"], frame["items"]
    index = offset - items["first"]
    if offset == stream["end"]:
        return _td(f"{_CELL}#0000;color:#595959", "…" if stream["status"] == "RUNNING" else "‖")
    if offset < stream["base"]:
        return _td(f"{_CELL}#ccc;background-color:#eee;color:#595959", "×")
    if not 0 <= index < len(items["topic"]):
        return _td(f"{_CELL}#ccc", "?")
    topic = items["topic"][index]
    ink = "#fff" if colour(topic) in ("#0072b2",) else "#000"
    style = f"{_CELL}#444;background-color:{colour(topic)};color:{ink};font-weight:bold"
    return _td(style, frame["letters"][topic])


def _td(style: str, text: str) -> str:
    return f'<td style="{style}">{escape(text)}</td>'


def _span(first: int, end: int) -> str:
    return f"{first}–{end - 1}" if end - first > 1 else f"{first}"


def _about(frame: Frame) -> str:
    stream = frame["stream"]
    when = datetime.fromtimestamp(frame["at"] / 1000, timezone.utc)
    topics = ", ".join(
        f"{letter}: {name}" for letter, name in zip(frame["letters"], frame["topics"], strict=True)
    )
    bounds = f"Base offset {stream['base']}, end offset {stream['end']}."
    if not stream["describes"]:
        bounds = f"End offset {stream['end']}; this host does not say more."
    trouble = f"<br>{escape(frame['trouble'])}" if frame["trouble"] else ""
    return (
        f"<p><b>{escape(stream['workflow_id'])}</b>, {escape(stream['status'].lower())}. "
        f"{bounds} {escape(topics)}{trouble}<br>"
        f"<small>A picture, taken {when:%Y-%m-%d %H:%M:%S} UTC. Open the notebook and run the "
        "cell for the live view.</small></p>"
    )


def _tables(frame: Frame) -> str:
    readers = [
        [row["name"], ", ".join(row["topics"]) or "all", row["position"], _left(row), row["missed"]]
        for row in frame["readers"]
    ]
    publishers = [
        [name or who[:12], sequence, accepted, dropped, refused]
        for _, who, name, sequence, accepted, dropped, refused, _ in frame["publishers"]
    ]
    return _table(["reader", "topics", "position", "lag", "missed"], readers) + _table(
        ["publisher", "last sequence", "accepted", "dropped", "refused"], publishers
    )


def _left(reader: Frame) -> str:
    """What is left for it to read, as the live view counts it: of its topics, where known."""
    if reader["state"] != "open":
        return "–"
    if not reader["topics"]:
        return f"{reader['lag']}"
    return f"≤ {reader['lag']}" if reader["unread"] is None else f"{reader['unread']}"


def _table(head: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    top = "".join(f'<th style="text-align:left;padding-right:1em">{name}</th>' for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align:left">{escape(str(value))}</td>' for value in row)
        + "</tr>"
        for row in rows[-ROWS:]
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return table + (f"<p>and {len(rows) - ROWS} more</p>" if len(rows) > ROWS else "")

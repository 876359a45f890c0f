"""The picture for a page without a kernel: complete, and nothing that arrived is taken for HTML."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from datetime import datetime, timezone

from streamlib import ItemDescription, PublisherDescription, StreamDescription
from streamlib.core.ledger import Batch
from streamlib.lab.widgets.frame import Reader, Seen, frame
from streamlib.lab.widgets.static import letters, picture

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def seen(topic: str = "news", base: int = 2, end: int = 6) -> Seen:
    about = StreamDescription(
        stream_id="s",
        run_id="r",
        base_offset=base,
        end_offset=end,
        size=9,
        signals=1,
        refused=0,
        seams=[4],
        publishers=[PublisherDescription(f"<b>{topic}", 2, 2, 1, 0, NOW)],
        batches=[Batch("ann", 1, "duplicate", 3, 1)],
        items=[],
    )
    tail = [ItemDescription(offset, topic, 10, "ann", 1) for offset in range(base, end)]
    readers = [Reader("r1", f"<i>{topic}", [], 3, end - 3, 1, "open", False)]
    return Seen("hub-1", description=about, tail=tail, readers=readers)


def drawing(html: str) -> xml.Element:
    return xml.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])


def texts(html: str) -> list[str]:
    return [element.text or "" for element in drawing(html).iter() if element.tag.endswith("text")]


def test_it_draws_every_offset_with_its_topic_s_letter() -> None:
    shown = texts(picture(frame(seen())))
    assert [text for text in shown if text.isdigit()] == [str(offset) for offset in range(7)]
    assert shown.count("n") == 4
    assert "✕1" in shown  # the duplicate, below the copy that won


def test_it_says_the_numbers_in_words_and_in_tables() -> None:
    html = picture(frame(seen()))
    assert "Base offset 2, end offset 6" in html
    assert "<td>1</td>" in html
    assert 'aria-label="A log from offset 2 to 6. 0–1 truncated"' in html


def test_nothing_that_arrived_is_taken_for_html() -> None:
    evil = "<script>alert(1)</script>\"'&"
    html = picture(frame(seen(topic=evil)))
    assert "<script" not in html
    assert "<b>" not in html.replace("<b>hub-1</b>", "")
    assert "<i>" not in html
    drawing(html)


def test_without_a_stream_it_says_why() -> None:
    html = picture(frame(Seen("w", trouble="no <worker>")))
    assert "no &lt;worker&gt;" in html


def test_it_draws_the_last_cells_of_a_long_log() -> None:
    shown = texts(picture(frame(seen(base=0, end=500))))
    assert "499" in shown
    assert "100" not in shown


def test_every_topic_gets_a_letter_of_its_own_while_there_are_some() -> None:
    given = letters(["news", "numbers", "nnn", "42", "news2"])
    assert given[0] == "n"
    assert len(set(given)) == len(given)
    assert letters([str(number) for number in range(30)])[-1] == "?"

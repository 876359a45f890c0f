"""The picture for a page without a kernel: complete, legible without styles, and never markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from dataclasses import replace
from datetime import datetime, timezone

from streamlib import ItemDescription, PublisherDescription, StreamDescription
from streamlib.core.ledger import Batch
from streamlib.lab.widgets.frame import Reader, Seen, frame
from streamlib.lab.widgets.names import PALETTE
from streamlib.lab.widgets.picture import picture

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
    readers = [Reader("r1", f"<i>{topic}", [], 3, end - 3, 0, 1, "open", False)]
    return Seen("hub-1", description=about, tail=tail, readers=readers)


def tape(html: str) -> xml.Element:
    return xml.fromstring(html[html.index("<table") : html.index("</table>") + 8])


def rows(html: str) -> list[list[str]]:
    return [[cell.text or "" for cell in row.iter("td")] for row in tape(html).iter("tr")]


def test_it_draws_every_offset_with_its_topic_s_letter() -> None:
    ruler, cells, below = rows(picture(frame(seen())))
    assert ruler == ["0", "1", "2", "3", "4↵", "5", "6"]
    assert cells == ["×", "×", "N", "N", "N", "N", "…"]
    assert below == ["", "", "", "✕1", "", "", ""]  # the duplicate, below the copy that won


def test_letters_and_colours_are_those_that_the_live_view_gets() -> None:
    looked_at = seen()
    looked_at.tail = [
        ItemDescription(2 + at, topic, 10, None, None)
        for at, topic in enumerate(["news", "notes", "x", "news"])
    ]
    shown = frame(looked_at)
    _, cells, _ = rows(picture(shown))
    assert cells[2:6] == [shown["letters"][index] for index in shown["items"]["topic"]]
    styles = [cell.get("style", "") for cell in list(tape(picture(shown)).iter("tr"))[1]]
    for style, index in zip(styles[2:6], shown["items"]["topic"], strict=True):
        assert f"background-color:{PALETTE[index]}" in style


def test_it_says_the_numbers_in_words_and_in_tables() -> None:
    html = picture(frame(seen()))
    assert "Base offset 2, end offset 6" in html
    assert ">1</td>" in html
    assert 'aria-label="A log from offset 2 to 6. 0–1 truncated."' in html


def test_what_is_left_for_a_reader_of_one_topic_is_counted_as_in_the_live_view() -> None:
    looked_at = seen()
    of = Reader("r1", "ann", ["news"], 3, 6, 0, 0, "open", False)
    looked_at.readers = [replace(of, unread=2), replace(of, unread=None), replace(of, topics=[])]
    looked_at.readers += [replace(of, state="ended COMPLETED")]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", picture(frame(looked_at)))
    at = [index for index, cell in enumerate(cells) if cell == "ann"]
    assert [cells[index + 3] for index in at] == ["2", "≤ 6", "6", "–"]


def test_it_brings_no_style_sheet_and_no_script_and_asks_nobody() -> None:
    """A `<style>` holds for a whole page, and an SVG's text is what is left where it is taken."""
    html = picture(frame(seen()))
    assert not re.search(r"<(style|script|svg|link|img)|class=|url\(|https?:", html)


def test_nothing_that_arrived_is_taken_for_html() -> None:
    evil = "<script>alert(1)</script>\"'&"
    html = picture(frame(seen(topic=evil)))
    assert "<script" not in html
    assert "<b>" not in html.replace("<b>hub-1</b>", "")
    assert "<i>" not in html
    tape(html)


def test_without_a_stream_it_says_why() -> None:
    html = picture(frame(Seen("w", trouble="no <worker>")))
    assert "no &lt;worker&gt;" in html


def test_it_draws_the_last_cells_of_a_long_log() -> None:
    ruler = rows(picture(frame(seen(base=0, end=500))))[0]
    assert "499" in ruler
    assert "100" not in ruler


def test_of_a_host_that_does_not_describe_itself_it_says_so() -> None:
    html = picture(frame(Seen("w", undescribed_end=12, status="TERMINATED")))
    assert "terminated" in html
    assert "End offset 12; this host does not say more." in html

"""The frame builder: columns, tables of names that only grow, and bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from array import array
from datetime import datetime, timedelta, timezone
from typing import Any

from streamlib import (
    ItemDescription,
    PublisherDescription,
    ReaderDescription,
    Retention,
    StreamDescription,
)
from streamlib.client.watch import WaitingBatch
from streamlib.core.ledger import Batch
from streamlib.lab.widgets.frame import (
    ITEMS,
    ONE_OF_MANY,
    Cost,
    Part,
    Reader,
    Seen,
    frame,
    page,
)
from streamlib.lab.widgets.names import NAMES, Names, shortened
from streamlib.lab.widgets.readers import Readers

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def items(*rows: tuple[str, str | None, int | None], first: int = 0) -> list[ItemDescription]:
    return [
        ItemDescription(first + number, topic, 100 + number, who, sequence)
        for number, (topic, who, sequence) in enumerate(rows)
    ]


def described(tail: list[ItemDescription], **changes: object) -> Seen:
    about = StreamDescription(
        **{
            "stream_id": "s",
            "run_id": "r",
            "base_offset": tail[0].offset if tail else 0,
            "end_offset": tail[-1].offset + 1 if tail else 0,
            "size": 9,
            "signals": 1,
            "refused": 0,
            "seams": [2],
            "publishers": [PublisherDescription("ann", 2, 2, 1, 0, NOW)],
            "batches": [Batch("ann", 1, "accepted", 0, 2), Batch("ann", 1, "duplicate", 0, 2)],
            "items": [],
            **changes,
        }  # type: ignore[arg-type]
    )
    return Seen("w", description=about, tail=tail)


def test_items_are_columns_and_batches_are_runs() -> None:
    tail = items(("news", "ann", 1), ("news", "ann", 1), ("tick", None, None), ("news", "bob", 7))
    shown = frame(described(tail))
    assert shown["topics"] == ["news", "tick"]
    assert shown["ids"] == ["ann", "bob"]
    assert shown["items"] == {
        "first": 0,
        "topic": [0, 0, 1, 0],
        "size": [100, 101, 102, 103],
        "runs": [[2, 0, 1], [1, -1, 0], [1, 1, 7]],
    }
    assert shown["batches"][1] == [0, 1, "duplicate", 0, 2, ""]
    assert shown["publishers"] == [[0, "ann", "", 2, 2, 1, 0, int(NOW.timestamp() * 1000)]]
    assert shown["all"] == {"publishers": 1, "dropped": 1}
    assert shown["stream"]["seams"] == [2]


def test_an_index_means_the_same_in_every_later_frame() -> None:
    seen = described(items(("b", "bob", 1), ("a", "ann", 1)))
    before = frame(seen)
    seen.tail = items(("a", "ann", 2), ("c", "cem", 1), first=2)
    after = frame(seen)
    assert after["topics"][: len(before["topics"])] == before["topics"]
    assert after["ids"][: len(before["ids"])] == before["ids"]
    assert after["items"]["topic"] == [1, 2]


def test_the_same_state_gives_the_same_frame() -> None:
    seen = described(items(("a", "ann", 1)))
    frame(seen)  # fills the tables
    assert frame(seen) == frame(seen)


def test_a_frame_of_the_longest_names_and_most_items_stays_below_64_kb() -> None:
    rows = [
        (f"{number:04}" + "t" * 500, f"{number:04}" + "p" * 500, 10**9) for number in range(4000)
    ]
    seen = described(items(*rows[-600:]))
    for name, who, _ in rows:
        seen.topics.index(name)
        seen.ids.index(who)
    seen.waiting = [WaitingBatch("p", number, ["t"] * 4_000) for number in range(50)]
    text = json.dumps(frame(seen), separators=(",", ":"))
    assert len(text) <= 64 * 1024
    assert len(frame(seen)["items"]["topic"]) == ITEMS


def test_names_beyond_what_is_told_apart_share_one() -> None:
    names = Names()
    indexes = [names.index(str(number)) for number in range(NAMES + 5)]
    assert indexes[-5:] == [NAMES] * 5
    assert names.list[NAMES] == "(others)"
    assert len(names.list) == NAMES + 1
    assert names.index("0") == 0


def test_publishers_that_are_not_told_apart_are_in_no_batch() -> None:
    seen = described(items(("t", "one too many", 1), ("t", "and another", 1)))
    for number in range(NAMES):
        seen.ids.index(str(number))
    assert frame(seen)["items"]["runs"] == [[2, ONE_OF_MANY, 1]]


def test_a_frame_is_json_whatever_was_seen() -> None:
    seen = described(items(("<script>", "\x00", 1)))
    seen.readers = [Reader("r1", "ann", ["<b>"], 3, 0, 0, 1, "open", False)]
    seen.waiting = [WaitingBatch("new", 4, ["late", "<script>"])]
    seen.waiting_count = 9
    seen.cost = Cost(began=1, events=5, bytes=6, signals=7, updates=8)
    seen.parts = [Part("worker", "worker", 12, "runs", "queue", ("kill",))]
    shown = frame(seen)
    assert json.loads(json.dumps(shown)) == shown
    assert shown["ids"] == ["⟨U+0000⟩", "ann", "new"]
    assert shown["waiting"] == [[2, 4, [1, 0]]]
    assert shown["waiting_more"] == 8
    assert shown["cost"]["updates"] == [8, 2000]


def test_nothing_seen_yet_is_a_frame_too() -> None:
    shown = frame(Seen("w", trouble="no worker"))
    assert (shown["stream"], shown["trouble"]) == (None, "no worker")


def test_a_host_that_does_not_describe_itself_has_an_end() -> None:
    shown = frame(Seen("w", undescribed_end=12))
    assert (shown["stream"]["describes"], shown["stream"]["end"]) == (False, 12)


def test_a_page_is_four_columns() -> None:
    topics, ids = Names(), Names()
    about, buffers = page(items(("a", "ann", 3), ("b", None, None), first=40), topics, ids)
    assert (about, topics.list) == ({"first": 40, "count": 2}, ["a", "b"])
    read = [array(code) for code in "HIhI"]
    for column, data in zip(read, buffers, strict=True):
        column.frombytes(data)
    assert [list(column) for column in read] == [[0, 1], [100, 101], [0, -1], [3, 0]]


def test_numbers_that_do_not_fit_a_page_are_clamped() -> None:
    forged = [ItemDescription(0, "a", 1, "ann", 2**60)]
    _, buffers = page(forged, Names(), Names())
    assert buffers[3] == b"\xff\xff\xff\xff"


def test_an_empty_page_is_an_answer() -> None:
    about, buffers = page([], Names(), Names())
    assert (about["count"], buffers) == (0, [b"", b"", b"", b""])


def test_long_names_are_cut() -> None:
    assert shortened("x" * 100, 10) == "x" * 9 + "…"
    assert shortened("x" * 10, 10) == "x" * 10


def test_the_lab_is_there_without_jupyter_s_widgets_or_a_worker() -> None:
    # A second for every command and every kernel: they are loaded where they are used.
    code = (
        "import sys; import streamlib.lab.command, streamlib.lab.widgets.observer as _\n"
        "slow = {'anywidget', 'ipywidgets', 'IPython', 'temporalio.worker', 'temporalio.testing'}\n"
        "assert not slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_the_stream_keeps_is_told_in_words() -> None:
    def says(**bounds: Any) -> str:
        return str(frame(described([], retention=Retention(**bounds)))["retain"]["says"])

    assert frame(Seen("w"))["retain"] == {"ok": False, "says": ""}
    assert frame(described([]))["retain"]["says"] == ""
    assert says(max_items=1_000) == "It keeps at most 1,000 items."
    assert says(max_bytes=5, max_age=timedelta(hours=1), until_read=True) == (
        "It keeps at most 5 bytes and what is younger than 1:00:00 and what a named reader has not "
        "handled."
    )


def test_a_name_that_the_stream_keeps_has_a_lane_and_its_lag() -> None:
    seen = described(
        items(("t", None, None), ("t", None, None), first=7),
        readers=[ReaderDescription("billing", 4, 5, "token", NOW, 3, 0)],
    )
    [row] = Readers("w", {}).rows(seen)
    assert (row.name, row.position, row.lag, row.below, row.kept) == ("billing", 4, 5, 3, True)
    assert row.state == "by name: 4 were handled, 5 left"
    seen.readers = [row]
    [shown] = frame(seen)["readers"]
    assert (shown["key"], shown["kept"], shown["own"]) == ("name billing", True, False)
    assert Readers("w", {}).rows(described([], readers=None)) == []

"""The library's own classes obey the laws that a learner's are judged by; what does not is named.

What the laws are about is told in `streamlib/lab/lessons/own_log/laws.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamlib.core.cursor import Cursor
from streamlib.core.dedup import Publishers
from streamlib.core.log import Log
from streamlib.core.parts import LogOf
from streamlib.lab.lessons.own_log import laws
from streamlib.lab.lessons.own_log.broken_log import Log as BrokenLog
from streamlib.lab.lessons.own_log.laws import Append, Read, Truncate, obey
from streamlib.lab.lessons.own_log.picture import Counterexample, drawn
from tests.core.test_parts import SmallLog, SmallTable

OURS: dict[str, Callable[..., Any]] = {
    "append": Log,
    "read": Log,
    "truncate": Log,
    "accept": Publishers,
    "skip_to": Cursor,
}


@pytest.mark.parametrize("law", laws.LAWS)
def test_the_librarys_own_classes_obey(law: str) -> None:
    obey(law, OURS[law], examples=500)


def test_so_do_a_part_as_small_as_can_be_and_a_part_made_whole() -> None:
    obey("truncate", SmallLog)
    obey("truncate", lambda base: LogOf(SmallLog(base)))
    obey("accept", SmallTable)


def fails(make: Callable[..., Any], base: int, *operations: Any) -> str:
    """What is said of these operations, with the drawing."""
    with pytest.raises(Counterexample) as raised:
        laws.a_log(make, (base, operations))
    return f"{raised.value}\n{raised.value.picture}"


APPEND = Append("a", 1)


def test_a_counterexample_is_a_sentence_and_a_tape_of_what_is_right_and_what_is_theirs() -> None:
    assert fails(BrokenLog, 0, *[APPEND] * 5, Truncate(3)) == (
        "After append × 5, truncate(3): the next item gets offset 2, not 5.\n"
        "offset   0  1  2  3  4  5\n"
        "right    ·  ·  ·  a  a  |\n"
        "yours    a  a  |"
    )


def test_a_page_is_drawn_below_the_log_with_where_to_read_on() -> None:
    assert fails(BrokenLog, 0, APPEND, Append("b", 2), Read(0, ("b",), 1_000_000)) == (
        "After append, append('b', 2 B), read(0, topics=['b']): the page holds offsets 0, 1, not "
        "offset 1.\n"
        "offset   0  1  2\n"
        "log      a  b  |\n"
        "right       b  >\n"
        "yours    a  b  >"
    )


def test_the_smallest_program_is_found_the_same_one_each_time() -> None:
    found = set()
    for _ in range(3):
        with pytest.raises(Counterexample) as raised:
            obey("truncate", BrokenLogThatReads)
        found.add(str(raised.value))
    assert found == {"After append, truncate(1): the next item gets offset 0, not 1."}


class BrokenLogThatReads(Log):
    """Right but for one thing: what is truncated is forgotten by the offsets too."""

    def __init__(self, base_offset: int = 0) -> None:
        super().__init__(base_offset)
        self.gone = 0

    def truncate(self, up_to_offset: int) -> None:
        before = self.base_offset
        super().truncate(up_to_offset)
        self.gone += self.base_offset - before

    @property
    def end_offset(self) -> int:
        return super().end_offset - self.gone


def test_a_drawing_has_every_mark_in_its_column_however_wide() -> None:
    assert drawn("batch", ["p1", "p10"], right={0: "new", 1: "dup"}, yours={1: "?"}) == (
        "batch   p1 p10\nright  new dup\nyours        ?"
    )
    assert drawn("offset", []) == "offset"

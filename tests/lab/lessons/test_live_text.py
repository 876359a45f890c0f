"""Text in a cell that is replaced in place, whatever a model writes into it."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks import running
from tests.notebooks.test_run_all import assert_ended_well

CELL = r"""
from streamlib import lab
screen = lab.LiveText()
screen.show("half a \ud83d")
screen.show("<b>\x1b[2J\u202eturned\u2028 \ud83d\ude42 \udead")
print("well")
"""


async def test_nothing_that_it_is_given_makes_it_fail_or_steers_the_page(tmp_path: Path) -> None:
    async with running.kernel(tmp_path / "output") as kernel:
        (ran,) = await kernel.execute([("cell", CELL)], seconds=30)
    ((first, second),) = ran.shown.values()
    assert (ran.error, ran.printed) == ("", "well\n")
    assert (first, second) == ("half a \ufffd", "<b>[2Jturned \ufffd\ufffd \ufffd")
    assert_ended_well(kernel)

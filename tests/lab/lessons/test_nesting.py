"""`asyncio.run` in a cell: refused with the reason where it would harm, or not needed."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
from pathlib import Path

import pytest

from streamlib import lab
from streamlib.lab.lessons import nesting
from tests.notebooks import running

IPYKERNEL = int(importlib.metadata.version("ipykernel").split(".")[0])

NESTED = """
import asyncio
from streamlib import lab

async def main():
    await asyncio.sleep(0.1)
    return "main ran"

lab.allow_asyncio_run()
print(asyncio.run(main()))
"""


@pytest.mark.parametrize(
    ("ipykernel", "python", "reason"),
    [
        ((6, 29, 5), (3, 10), None),
        ((6, 31, 0), (3, 13), None),
        ((6, 31, 0), (3, 14), "Python 3.14"),
        ((7, 0, 0), (3, 12), "ipykernel 7.0.0"),
        ((7, 4, 0), (3, 14), "Python 3.14"),
        (None, (3, 12), "no kernel's"),
    ],
)
def test_it_is_safe_on_ipykernel_6_and_python_below_3_14(
    ipykernel: tuple[int, ...] | None, python: tuple[int, int], reason: str | None
) -> None:
    said = nesting.why_not(ipykernel, python)
    assert (reason is None) == (said == "")
    assert reason is None or reason in said


def test_in_a_script_it_does_nothing() -> None:
    run = asyncio.run
    lab.allow_asyncio_run()
    assert asyncio.run is run


async def test_in_a_loop_that_is_no_kernel_s_it_refuses_and_changes_nothing() -> None:
    run = asyncio.run
    with pytest.raises(lab.NestingError, match="await main"):
        lab.allow_asyncio_run()
    assert asyncio.run is run


@pytest.mark.skipif(IPYKERNEL < 7, reason="an older ipykernel is installed")
async def test_on_ipykernel_7_it_is_refused_in_one_line_and_later_cells_run(tmp_path: Path) -> None:
    async with running.kernel(tmp_path / "output") as kernel:
        cells = [("nested", NESTED), ("await", "print(await main())"), ("later", "print(1)")]
        nested, awaited, later = await kernel.execute(cells, seconds=60)
    assert re.match(r"(?s)NestingError: .* under\sipykernel 7.*`await main\(\)`", nested.error)
    assert (awaited.printed, later.printed) == ("main ran\n", "1\n")


@pytest.mark.matrix
@pytest.mark.skipif(IPYKERNEL < 7, reason="an older ipykernel is installed")
async def test_without_the_refusal_ipykernel_7_would_stop_every_later_cell(tmp_path: Path) -> None:
    """Why it is refused; the day this fails, it need not be."""
    forced = NESTED.replace("lab.allow_asyncio_run()", "import nest_asyncio; nest_asyncio.apply()")
    async with running.kernel(tmp_path / "output") as kernel:
        cells = [("nested", forced), *((f"later {number}", "print(1)") for number in range(5))]
        with pytest.raises(AssertionError, match="not done"):
            await kernel.execute(cells, seconds=10)

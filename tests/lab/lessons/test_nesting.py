"""`asyncio.run` in a cell: it works in a kernel, and is refused where it would harm."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamlib import lab
from tests.notebooks import nested, running
from tests.notebooks.test_run_all import assert_ended_well


def test_in_a_script_it_does_nothing() -> None:
    run = asyncio.run
    lab.allow_asyncio_run()
    assert asyncio.run is run


async def test_in_a_loop_that_is_no_kernel_s_it_refuses_and_changes_nothing() -> None:
    run = asyncio.run
    with pytest.raises(lab.NestingError, match="await main"):
        lab.allow_asyncio_run()
    assert asyncio.run is run


async def test_in_a_kernel_with_all_cells_queued_twice(tmp_path: Path) -> None:
    async with running.kernel(tmp_path / "output") as kernel:
        await nested.all_cells_queued_twice(kernel)
    assert_ended_well(kernel)


async def test_in_a_kernel_interrupts_end_the_nested_call_and_nothing_beside_it(
    tmp_path: Path,
) -> None:
    async with running.kernel(tmp_path / "output") as kernel:
        await nested.an_interrupt_in_a_nested_call(kernel)
        await nested.a_second_interrupt_in_a_nested_call(kernel)
    assert_ended_well(kernel)


@pytest.mark.server
async def test_a_live_view_beside_it_goes_on(worker: None, tmp_path: Path) -> None:
    async with running.kernel(tmp_path / "output") as kernel:
        await nested.a_live_view_beside_it(kernel)
    assert_ended_well(kernel)


async def test_what_another_package_has_patched_is_refused_in_one_line(tmp_path: Path) -> None:
    patched = "import asyncio; asyncio._nest_patched = True"  # as `nest_asyncio` leaves it
    allow = "from streamlib import lab; lab.allow_asyncio_run()"
    async with running.kernel(tmp_path / "output") as kernel:
        cells = [("patched", patched), ("allow", allow), ("later", "print(1)")]
        _, allowed, later = await kernel.execute(cells, seconds=30)
    assert allowed.error.startswith("NestingError: nest-asyncio2 cannot help here: asyncio is al")
    assert "`await main()`" in allowed.error
    assert later.printed == "1\n"

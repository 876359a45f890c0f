"""Every notebook on ipykernel 6, the one that many have: `make test-all`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.drawn import IPYKERNEL_6, third
from tests.notebooks import nested, running
from tests.notebooks.conftest import Start
from tests.notebooks.running import Kernel
from tests.notebooks.test_run_all import (
    assert_ended_well,
    assert_nothing_is_left_open,
    stop_playing,
    teaches,
)

pytestmark = [pytest.mark.server, pytest.mark.matrix, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ipykernel_6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """On the kernels' path before the one that is installed; what it needs is there already."""
    folder = tmp_path_factory.mktemp("ipykernel-6")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, "ipykernel>=6.29,<7"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.mark.parametrize("name", third(running.names(), IPYKERNEL_6))
async def test_all_cells_queued_at_once_and_then_the_solutions(
    name: str, ipykernel_6: None, course_home: Path, start: Start
) -> None:
    async with start(name) as kernel:
        (version,) = await kernel.execute([("version", "import ipykernel; ipykernel.__version__")])
        assert version.printed.startswith("'6.")
        printed = {each.cell: each.printed for each in await teaches(kernel, name)}
        await stop_playing(kernel, name)
    if name.startswith("appendix"):
        assert printed["nest"] == "the server is well: True\n"  # nested, and not refused
    assert_ended_well(kernel)
    await assert_nothing_is_left_open()


@pytest.mark.parametrize(
    "what",
    [
        nested.all_cells_queued_twice,
        nested.an_interrupt_in_a_nested_call,
        nested.a_second_interrupt_in_a_nested_call,
        nested.a_live_view_beside_it,
    ],
)
async def test_asyncio_run_nests_on_6_too(
    what: Callable[[Kernel], Awaitable[None]], ipykernel_6: None, empty_home: Path, start: Start
) -> None:
    async with start("nested") as kernel:
        await what(kernel)
    assert_ended_well(kernel)

"""Every notebook on ipykernel 6 too, the one that many have: `make test-all`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks import running
from tests.notebooks.conftest import Start
from tests.notebooks.test_run_all import assert_ended_well, run_all

pytestmark = [pytest.mark.server, pytest.mark.matrix, pytest.mark.timeout(300)]

NESTED = """
import asyncio
from streamlib import lab

async def main():
    await asyncio.sleep(0.1)
    return "main ran"

lab.allow_asyncio_run()
print(asyncio.run(main()))
"""


@pytest.fixture(scope="module")
def ipykernel_6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """On the kernels' path before the one that is installed; what it needs is there already."""
    folder = tmp_path_factory.mktemp("ipykernel-6")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, "ipykernel>=6.29,<7"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.mark.parametrize("name", running.names())
async def test_all_cells_queued_at_once(
    name: str, ipykernel_6: None, course_home: Path, start: Start
) -> None:
    async with start(name) as kernel:
        (version,) = await kernel.execute([("version", "import ipykernel; ipykernel.__version__")])
        assert version.printed.startswith("'6.")
        ran = await run_all(kernel, name)
    if name.startswith("appendix"):
        (nest,) = [each for each in ran if each.cell == "nest"]
        assert nest.printed == "the server is well: True\n"  # nested, and not refused
    assert_ended_well(kernel)


async def test_asyncio_run_nests_on_6_also_with_all_cells_queued(
    ipykernel_6: None, empty_home: Path, start: Start
) -> None:
    async with start("nested") as kernel:
        cells = [("nested", NESTED), ("again", NESTED), ("await", "print(await main())")]
        ran = await kernel.execute(cells, seconds=30)
    assert [each.printed for each in ran] == ["main ran\n"] * 3
    assert_ended_well(kernel)

"""A notebook run as a person runs it: in a real kernel, all cells queued at once.

`execute` sends every cell before the first has answered, as *Run All* does; running one by one
hides what goes wrong only then.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode

from streamlib.lab.machine import processes

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SOLUTIONS = NOTEBOOKS.parent / "teach" / "solutions"
"""The teacher's: the same notebooks, answered; those without a question have none."""

RAN = "you have run this notebook: `git restore notebooks` brings it back as it was"
"""What a learner is told whose copy is no longer the one in the repository."""

FILE = re.compile(r"%%writefile (\w+\.py)\n")
"""What a cell begins with that writes a file of the learner's: an exercise checks it."""


@dataclass
class Ran:
    """What one cell did."""

    cell: str
    began: float = 0.0
    ended: float = 0.0
    printed: str = ""
    """Its output, without what is shown in place."""
    shown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What was shown in place, all of it in order, by the display's id."""
    error: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Kernel:
    """A running kernel and the channels to it."""

    manager: AsyncKernelManager
    client: AsyncKernelClient
    output: Path
    """What the process itself prints: crashes, warnings."""
    exit_code: int | None = None
    _skipped: int = 0

    async def execute(
        self,
        cells: Sequence[tuple[str, str]],
        *,
        seconds: float = 120.0,
        until: Callable[[Ran], bool] = lambda ran: ran.ended > 0,
    ) -> list[Ran]:
        """Queue all cells (id, source) at once; what each did, once `until` holds for all."""
        ran: dict[str, Ran] = {}
        for cell, source in cells:
            request = self.client.execute(
                source, store_history=True, allow_stdin=False, stop_on_error=False
            )
            ran[request] = Ran(cell)
        deadline = time.monotonic() + seconds
        while left_over := [each.cell for each in ran.values() if not until(each)]:
            left = deadline - time.monotonic()
            assert left > 0, f"not done after {seconds} s: {left_over}"
            with suppress(queue.Empty):
                message = await self.client.get_iopub_msg(timeout=min(left, 1.0))
                if one := ran.get(message["parent_header"].get("msg_id", "")):
                    _note(one, message["msg_type"], message["content"])
        return list(ran.values())

    async def hears(self, text: str) -> None:
        """Return when the cell that runs has printed `text`."""
        await self._until(lambda content: content.get("text") == text, text)

    async def hears_the_end(self) -> None:
        """Return when the cell that runs has ended."""
        await self._until(lambda content: content.get("execution_state") == "idle", "the end")

    async def _until(self, heard: Callable[[Mapping[str, Any]], bool], what: str) -> None:
        deadline = time.monotonic() + 30
        while (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                if heard((await self.client.get_iopub_msg(timeout=left))["content"]):
                    return
        raise AssertionError(f"{what!r} did not come within 30 s")

    @property
    def said(self) -> str:
        """What the process printed by itself; after a restart, the new one only."""
        return self.output.read_text()[self._skipped :]

    async def restart(self) -> None:
        await self.manager.restart_kernel()
        self._skipped = len(self.output.read_text())  # a cell that was cut off complains
        await self.client.wait_for_ready(timeout=60)


def _note(ran: Ran, kind: str, content: Mapping[str, Any]) -> None:
    match kind:
        case "status" if content["execution_state"] == "busy":
            ran.began = time.monotonic()
        case "status" if content["execution_state"] == "idle":
            ran.ended = time.monotonic()
        case "stream":
            ran.printed += content["text"]
        case "display_data" | "update_display_data" if content.get("transient"):
            display, text = content["transient"]["display_id"], content["data"].get("text/plain")
            if text is not None:  # a live view's picture is none
                ran.shown.setdefault(display, []).append(text)
        case "execute_result" | "display_data":
            ran.printed += content["data"].get("text/plain", "") + "\n"
        case "error":
            ran.error = f"{content['ename']}: {content['evalue']}"


@asynccontextmanager
async def kernel(output: Path, notebook: str = "") -> AsyncIterator[Kernel]:
    """A kernel of this very Python; it is shut down as Jupyter does, and must end cleanly."""
    manager = AsyncKernelManager(kernel_name="python3")
    env = {**os.environ, "PYTHONPATH": processes.python_path(), "JPY_SESSION_NAME": notebook}
    file = output.open("a")  # a restarted kernel writes on
    await manager.start_kernel(env=env, cwd=str(output.parent), stdout=file, stderr=file)
    client = manager.client()
    client.start_channels()
    running = Kernel(manager, client, output)
    try:
        await client.wait_for_ready(timeout=60)
        yield running
        process = manager.provisioner.process  # type: ignore[union-attr]
        client.shutdown()
        running.exit_code = await asyncio.to_thread(process.wait, 10)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
        file.close()


def read(name: str, folder: Path = NOTEBOOKS) -> NotebookNode:
    return nbformat.read(folder / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def names() -> list[str]:
    return sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def code_cells(name: str, folder: Path = NOTEBOOKS) -> list[tuple[str, str]]:
    """Id and source of every code cell, in order; none if there is no such notebook."""
    if not (folder / f"{name}.ipynb").exists():
        return []
    return [(cell.id, cell.source) for cell in read(name, folder).cells if cell.cell_type == "code"]


def solutions(name: str) -> list[tuple[str, str]]:
    """The folded solutions, as cells; after one that writes a file, the cells that check it."""
    found: list[tuple[str, str]] = []
    for cell in read(name).cells:
        if "solution" in cell.metadata.get("tags", []):
            fences = re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
            found += [(f"{cell.id} {number}", fence) for number, fence in enumerate(fences)]
    for written in [FILE.match(source) for _, source in found]:
        if written:
            found += [each for each in code_cells(name) if f'"{written[1]}")' in each[1]]
    return found


def from_section_of(name: str, cell_id: str) -> list[tuple[str, str]]:
    """The code cells from the heading above `cell_id` on: where a learner goes on."""
    cells = read(name).cells
    at = next(number for number, cell in enumerate(cells) if cell.id == cell_id)
    start = max(
        number
        for number, cell in enumerate(cells[: at + 1])
        if number == 0 or (cell.cell_type == "markdown" and re.search("^## ", cell.source, re.M))
    )
    return [(cell.id, cell.source) for cell in cells[start:] if cell.cell_type == "code"]

"""Publishers in processes of their own, run from a notebook cell until they are done, or killed.

Owns the processes: none outlives its call, or the kernel. What each does: `publish.py`,
`doubtful.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowHandle

from streamlib.lab.errors import LabError
from streamlib.lab.machine.processes import python_path

READY = "ready"
"""What a publisher prints when it has connected."""

STORED, IN_DOUBT = "stored", "sent, and no answer"
"""What became of a value."""


async def publish_elsewhere(
    host: WorkflowHandle[Any, Any], *topics: str, items: int = 5
) -> dict[str, str]:
    """Publish from one new process a topic, all at once; return when all is stored.

    Args:
        host: The workflow that hosts the stream; the processes are told its id.
        *topics: One publisher each. Its items are "topic 0", "topic 1", …
        items: How many each publishes, one batch an item.

    Returns:
        Each topic's publisher id.

    Raises:
        LabError: One of them failed; holds what it said.
        CancelledError: Cancelled; they are ended.
    """
    running = [await _start(host.id, topic, items) for topic in topics]
    try:
        for process in running:
            await _expect(READY, process)  # so that all begin at once
        done = await asyncio.gather(*(process.communicate(b"go\n") for process in running))
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
                await process.wait()
    ids: dict[str, str] = {}
    for topic, process, (said, _) in zip(topics, running, done, strict=True):
        if process.returncode:
            raise _failed(said.decode("utf-8", "replace"))
        ids[topic] = said.decode().strip()
        print(f"process {process.pid} published {items} items to {topic!r} as {ids[topic]}")
    return ids


class PublisherProcess:
    """A publisher in a process of its own, whose last send has no answer yet: it waits for it.

    Example:
        till = await lab.start_publisher(hub, "order 7", "order 8", topic="paid")
        till.stored, till.in_doubt       # (["order 7"], "order 8")
        await till.kill()
    """

    def __init__(
        self, process: asyncio.subprocess.Process, publisher_id: str, values: Sequence[str]
    ) -> None:
        self.pid = process.pid
        self.publisher_id = publisher_id
        """Who it is in the stream's table of publishers."""
        self.stored = [*values[:-1]]
        """The values that were acknowledged."""
        self.in_doubt = values[-1]
        """The one that was sent: it may be stored, or not, as far as the process knows."""
        self._process = process

    async def kill(self) -> None:
        """End it (SIGKILL), as a crash would. Idempotent."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def __repr__(self) -> str:
        """One line: which, whether it lives, and what became of its values."""
        state = "waits for an answer" if self._process.returncode is None else "dead"
        done = f"acknowledged: {', '.join(self.stored) or 'nothing'}; in doubt: {self.in_doubt}"
        return f"publisher {self.publisher_id} (pid {self.pid}, {state}). {done}"


async def start_publisher(
    host: WorkflowHandle[Any, Any], *values: str, topic: str = "news"
) -> PublisherProcess:
    """Publish from a new process that gets no answer to its last send, and waits for it.

    Returns when that one has arrived. The process ends with the kernel, at the latest.

    Args:
        host: The workflow that hosts the stream; the process is told its id.
        *values: What it publishes, one batch each; at least one.
        topic: Of all of them.

    Raises:
        LabError: It failed; holds what it said.
        CancelledError: Cancelled; it is ended.
    """
    if not values:
        raise LabError("lab.start_publisher() was given nothing to publish.")
    process = await _spawn("doubtful", host.id, topic, *values)
    try:
        await _expect(READY, process)
        publisher_id = await _line(process)
        for outcome in [STORED] * (len(values) - 1) + [IN_DOUBT]:
            await _expect(outcome, process)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    return PublisherProcess(process, publisher_id, values)


async def _start(workflow_id: str, topic: str, items: int) -> asyncio.subprocess.Process:
    return await _spawn("publish", workflow_id, f"--topic={topic}", f"--items={items}", "--wait")


async def _spawn(module: str, *arguments: str) -> asyncio.subprocess.Process:
    """A module of this folder as a process, which begins with nothing of the kernel's."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{__package__}.{module}", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": python_path()},
    )


async def _expect(line: str, process: asyncio.subprocess.Process) -> None:
    """Read the line that must come next."""
    if (said := await _line(process)) != line:
        assert process.stdout is not None
        rest = (await process.stdout.read()).decode("utf-8", "replace")
        raise _failed(f"{said}\n{rest}")


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode("utf-8", "replace").strip()


def _failed(said: str) -> LabError:
    return LabError(f"a publisher in a process of its own failed: {said.strip()}")

"""Publishers in processes of their own, run from a notebook cell until they are done.

Owns the processes for the time of one call: none outlives it. What each does: `publish.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from temporalio.client import WorkflowHandle

from streamlib.lab.errors import LabError
from streamlib.lab.machine.processes import python_path

READY = "ready"
"""What a publisher prints when it has connected."""


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
            await _expect_ready(process)
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


async def _start(workflow_id: str, topic: str, items: int) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "streamlib.lab.lessons.publish", workflow_id]
    return await asyncio.create_subprocess_exec(
        *command,
        *(f"--topic={topic}", f"--items={items}", "--wait"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": python_path()},
    )


async def _expect_ready(process: asyncio.subprocess.Process) -> None:
    """So that all begin at once, however long each took to start."""
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode("utf-8", "replace")
    if line.strip() != READY:
        rest = (await process.stdout.read()).decode("utf-8", "replace")
        raise _failed(line + rest)


def _failed(said: str) -> LabError:
    return LabError(f"a publisher in a process of its own failed: {said.strip()}")

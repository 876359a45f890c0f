"""In a real kernel: what was started outlives a restart, and an error is one message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager

from streamlib.lab.machine import processes

pytestmark = pytest.mark.server


@pytest.fixture
async def kernel(own_home: Path) -> AsyncIterator[AsyncKernelManager]:
    manager = AsyncKernelManager(kernel_name="python3")
    await manager.start_kernel()
    yield manager
    await manager.shutdown_kernel(now=True)


async def run_cell(manager: AsyncKernelManager, code: str) -> list[dict[str, Any]]:
    """Run a cell in the kernel; what it showed."""
    client: AsyncKernelClient = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        shown: list[dict[str, Any]] = []
        await client.execute_interactive(
            code, timeout=60, output_hook=lambda message: shown.append(message["content"])
        )
        return shown
    finally:
        client.stop_channels()


async def test_server_and_worker_outlive_a_kernel_restart(kernel: AsyncKernelManager) -> None:
    cell = "from streamlib import lab; session = await lab.start(); session.worker.pid"
    await run_cell(kernel, cell)
    server, worker = processes.find("server"), processes.find("worker")
    assert server is not None
    assert worker is not None
    await kernel.restart_kernel()
    shown = await run_cell(kernel, cell)
    results = [content["data"]["text/plain"] for content in shown if "data" in content]
    assert results == [str(worker.pid)]
    assert processes.find("server") == server
    assert processes.find("worker") == worker


async def test_a_lab_error_is_one_message(kernel: AsyncKernelManager) -> None:
    shown = await run_cell(
        kernel,
        "import os; os.environ['TEMPORAL_ADDRESS'] = '127.0.0.1:1'\n"
        "from streamlib import lab; await lab.start()",
    )
    (error,) = [content for content in shown if "traceback" in content]
    assert error["ename"] == "ServerUnavailableError"
    assert len(error["traceback"]) == 1
    assert error["traceback"][0].startswith("ServerUnavailableError: no Temporal server answers")


async def test_kernels_that_are_told_no_notebook_keep_notes_of_their_own(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in VS Code and nbclient; a restarted kernel finds its own again."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    notes = "from streamlib.lab.lessons.notes import Notes; notes = Notes('hosts'); notes.read()"
    managers = [AsyncKernelManager(kernel_name="python3") for _ in range(2)]
    try:
        for number, manager in enumerate(managers):
            await manager.start_kernel()
            await run_cell(manager, f"{notes}; notes.write(['hub-{number}'])")
        await managers[0].restart_kernel()
        for number, manager in enumerate(managers):
            shown = await run_cell(manager, notes)
            results = [content["data"]["text/plain"] for content in shown if "data" in content]
            assert results == [f"['hub-{number}']"]
    finally:
        for manager in managers:
            await manager.shutdown_kernel(now=True)

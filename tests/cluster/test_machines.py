"""Processes of the cluster: killed, frozen and brought back."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import psutil

from cluster.machines import Process, free_port
from tests.fakes import happens

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def python(log: Path, code: str) -> Process:
    return Process(log, [sys.executable, "-c", code])


async def test_one_that_was_killed_comes_back_and_its_log_goes_on(tmp_path: Path) -> None:
    process = python(tmp_path / "log", "print('up', flush=True); import time; time.sleep(60)")
    for _ in range(2):
        await process.start()
        assert process.runs
        await process.kill()
        assert not process.runs
    await process.start()
    await happens(lambda: process.log.read_text().endswith("up\n"))
    assert await process.end() == -signal.SIGTERM


async def test_a_frozen_one_stands_still_goes_on_and_can_be_killed(tmp_path: Path) -> None:
    process = python(tmp_path / "log", "import time; time.sleep(60)")
    await process.start()
    running = psutil.Process(process.pid)
    process.freeze()
    await happens(lambda: running.status() == psutil.STATUS_STOPPED)
    process.thaw()
    await happens(lambda: running.status() != psutil.STATUS_STOPPED)
    process.freeze()
    await process.kill()
    assert not psutil.pid_exists(running.pid)


async def test_one_that_does_not_end_when_told_is_killed(tmp_path: Path) -> None:
    process = python(tmp_path / "log", DEAF)
    await process.start()
    await happens(lambda: process.log.read_text() == "up\n")
    assert await process.end(within=0.2) == -signal.SIGKILL


async def test_what_ends_by_itself_says_how(tmp_path: Path) -> None:
    process = python(tmp_path / "log", "raise SystemExit(3)")
    await process.start()
    assert await asyncio.wait_for(process.ended(), 10) == 3
    assert await process.end() == 3  # nothing is left to be told


def test_ports_in_a_row_are_free_on_every_address() -> None:
    first = free_port(("127.0.0.1",), 8)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 3))
        assert free_port(("127.0.0.1",), 8) > first

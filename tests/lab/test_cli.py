"""From a terminal: the worker, and the lab; Ctrl-C ends what was started, and nothing else."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Callable

import pytest

from streamlib.lab.machine import processes, server, workers

from .conftest import Program

pytestmark = pytest.mark.server

Run = Callable[..., Program]


def pid_of(name: str) -> int | None:
    found = processes.find(name)
    return found.pid if found else None


async def test_worker_py_starts_a_server_and_ends_within_a_second(run: Run) -> None:
    program = run("worker.py")
    program.until_prints("Ctrl-C ends it")
    assert "started the dev server" in program.printed
    began = time.monotonic()
    assert program.ctrl_c(5) == 0
    assert time.monotonic() - began < 1
    assert "Traceback" not in program.printed
    assert pid_of("server") is not None, "the server stays for the next terminal run"


async def test_worker_py_ends_cleanly_while_its_server_is_down(run: Run) -> None:
    program = run("worker.py")
    program.until_prints("Ctrl-C ends it")
    running = processes.find("server")
    assert running is not None
    await running.kill()
    assert program.ctrl_c(5) == 0
    assert "Traceback" not in program.printed
    assert "Fatal" not in program.printed


async def test_worker_py_says_in_one_line_that_the_server_is_not_there(run: Run) -> None:
    program = run("worker.py", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert program.ends() == 1
    assert program.printed.count("\n") == 1
    assert "127.0.0.1:1" in program.printed


async def test_ctrl_c_on_open_ends_what_it_started(run: Run) -> None:
    program = run("-m", "streamlib.lab", "lab")
    program.until_prints("token=")
    assert pid_of("server") is not None
    assert pid_of("worker") is not None
    url = re.search(r"http://127\.0\.0\.1:\d+/\S*token=\w+", program.printed)
    assert url is not None
    page = await asyncio.to_thread(urllib.request.urlopen, url[0], timeout=10)
    with page:
        assert page.status == 200
    assert program.ctrl_c(20) == 0
    assert "Traceback" not in program.printed
    assert pid_of("server") is None
    assert pid_of("worker") is None


async def test_ctrl_c_on_open_leaves_what_was_there(run: Run) -> None:
    started = await server.start()
    worker = await workers.start()
    program = run("-m", "streamlib.lab", "lab")
    program.until_prints("token=")
    assert program.ctrl_c(20) == 0
    assert "still running" in program.printed
    assert (pid_of("server"), pid_of("worker")) == (started.pid, worker.pid)


async def test_start_status_doctor_and_stop(run: Run) -> None:
    def lab(command: str) -> tuple[int, str]:
        program = run("-m", "streamlib.lab", command)
        return program.ends(), program.printed

    assert lab("status")[0] == 1
    assert lab("start")[0] == 0
    code, printed = lab("status")
    assert (code, printed.count("ok  ")) == (0, 2)
    assert "loopback only" in lab("doctor")[1]
    code, printed = lab("stop")
    assert code == 0
    assert "server (pid" in printed
    assert "worker (pid" in printed
    assert lab("stop") == (0, "nothing was running\n")

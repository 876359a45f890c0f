"""From a terminal: the worker, and the lab; Ctrl-C ends what was started, and nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from streamlib.lab.machine import processes, server, workers
from tests.waits import without_waits

from .conftest import Program

pytestmark = pytest.mark.server

Run = Callable[..., Program]


def pid_of(name: str) -> int | None:
    found = processes.find(name)
    return found.pid if found else None


async def test_worker_py_starts_a_server_and_ends_within_a_second(run: Run) -> None:
    took: list[float] = []
    # A busy machine is within the second in one of three; what waits for something is so in none.
    while len(took) < 3 and min(took, default=1) >= 1:
        program = run("worker.py")
        program.until_prints("Ctrl-C ends it")
        assert ("started the dev server" in program.printed) == (not took)
        began = time.monotonic()
        assert program.ctrl_c(5) == 0
        took += [time.monotonic() - began]
        assert "Traceback" not in program.printed
    assert min(took) < 1, took
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
    said = without_waits(program.printed)
    assert said.count("\n") == 1
    assert "127.0.0.1:1" in said


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


async def test_ctrl_c_on_open_ends_also_what_a_notebook_killed_and_restarted(run: Run) -> None:
    """As the buttons of a view do, and `lab.start`: in another process than the lab's."""
    program = run("-m", "streamlib.lab", "lab")
    program.until_prints("token=")
    before = (pid_of("server"), pid_of("worker"))
    running = server.last()
    assert running is not None
    await running.kill()
    await server.start()
    worker = await workers.status()
    assert worker is not None
    await worker.restart()
    await worker.kill()
    await workers.start()
    after = (pid_of("server"), pid_of("worker"))
    assert None not in after
    assert set(before).isdisjoint(after)
    assert program.ctrl_c(20) == 0
    assert "still running" not in program.printed
    assert (pid_of("server"), pid_of("worker")) == (None, None)


async def test_ctrl_c_on_open_leaves_what_was_there(run: Run) -> None:
    started = await server.start()
    worker = await workers.start()
    program = run("-m", "streamlib.lab", "lab")
    program.until_prints("token=")
    assert program.ctrl_c(20) == 0
    assert "still running" in program.printed
    assert (pid_of("server"), pid_of("worker")) == (started.pid, worker.pid)


async def test_no_browser_opens_where_the_configured_server_does_not_answer(run: Run) -> None:
    program = run("-m", "streamlib.lab", "lab", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert program.ends() == 1
    first, second = program.printed.splitlines()
    assert first.startswith("the notebooks are in")
    assert "127.0.0.1:1" in second
    assert "JupyterLab" not in program.printed


async def test_two_labs_at_once_and_one_ctrl_c_ends_only_its_own(run: Run) -> None:
    first, second = (run("-m", "streamlib.lab", "lab") for _ in range(2))
    first.until_prints("token=")
    second.until_prints("token=")
    before = (pid_of("server"), pid_of("worker"))
    assert None not in before
    assert first.ctrl_c(20) == 0
    assert "still running" in first.printed
    assert (pid_of("server"), pid_of("worker")) == before, "the other one uses them"
    assert second.ctrl_c(20) == 0
    assert "Traceback" not in first.printed + second.printed


async def test_stop_ends_what_a_lab_that_was_killed_left_jupyterlab_too(run: Run) -> None:
    program = run("-m", "streamlib.lab", "lab")
    program.until_prints("token=")
    os.killpg(program.process.pid, signal.SIGKILL)
    program.process.wait()
    left = processes.marked()
    assert len(left) >= 3
    stop = run("-m", "streamlib.lab", "stop")
    assert stop.ends() == 0
    for name in ("jupyterlab-", "server", "worker"):
        assert f"{name}" in stop.printed
    assert processes.marked() == []
    assert processes.names() == []


async def test_options_behind_lab_go_to_jupyterlab_and_a_prefix_works(run: Run) -> None:
    program = run("-m", "streamlib.lab", "lab", "--ServerApp.base_url=/user/me/")
    program.until_prints("token=")
    url = re.search(r"http://127\.0\.0\.1:\d+/user/me/lab/tree/notebooks/\S*", program.printed)
    assert url is not None, program.printed
    page = await asyncio.to_thread(urllib.request.urlopen, url[0], timeout=10)
    with page:
        assert page.status == 200
    assert program.ctrl_c(20) == 0


async def test_behind_a_hub_the_servers_page_is_under_its_path_where_that_is_proxied(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/me/")
    started = await server.start()
    assert started.ui_url is None, "loopback is another machine's there, and nothing proxies it"
    await server.stop()
    monkeypatch.setenv("STREAMLIB_UI_URL", "https://hub.example/user/me/proxy/absolute/{port}/")
    started = await server.start()
    assert started.process is not None
    port = started.process.facts["ui_port"]
    path = f"/user/me/proxy/absolute/{port}"
    assert started.ui_url == f"https://hub.example{path}"
    address = f"http://127.0.0.1:{port}{path}/namespaces/default/workflows"
    page = await asyncio.to_thread(urllib.request.urlopen, address, timeout=10)
    with page:
        assert f'"{path}/_app/' in page.read().decode()
    monkeypatch.setenv("STREAMLIB_UI_URL", "none")
    found = server.last()
    assert found is not None
    assert found.ui_url is None


async def test_a_page_of_another_origin_cannot_use_the_servers_http_api(own_home: Path) -> None:
    started = await server.start()
    assert started.process is not None
    port = started.process.facts["http_port"]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "evil.example"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/namespaces/default/workflows/evil",
            b'{"workflowType": {"name": "X"}, "taskQueue": {"name": "q"}}',
            {"Content-Type": "text/plain", "Origin": "http://evil.example", "Host": host},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(urllib.request.urlopen, request, timeout=10)
        refused.value.close()
        assert refused.value.code == 403


async def test_on_a_server_that_others_share_each_home_has_a_queue_of_its_own(
    run: Run, tmp_path: Path
) -> None:
    """With one address for thirty, a neighbour's worker must not take one's own tasks."""
    started = await server.start()
    address = {"TEMPORAL_ADDRESS": started.address}
    ours, theirs = (str(tmp_path / name) for name in ("ours", "theirs"))
    neighbour = run("worker.py", STREAMLIB_HOME=theirs, **address)
    neighbour.until_prints("Ctrl-C ends it")
    order = run("-m", "streamlib.scenarios", "order", STREAMLIB_HOME=ours, **address)
    order.until_prints("No worker polls")
    worker = run("worker.py", STREAMLIB_HOME=ours, **address)
    assert order.ends() == 0
    assert "workflow result: charge-order-1" in order.printed
    queues = {re.findall(r"polls '(\S+)'", each.printed)[0] for each in (neighbour, worker)}
    assert len(queues) == 2
    named = run("worker.py", STREAMLIB_LEARNER="ann", **address)
    named.until_prints("polls 'workflow-stream-task-queue-ann'")
    for each in (neighbour, worker, named):
        assert each.ctrl_c(5) == 0


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

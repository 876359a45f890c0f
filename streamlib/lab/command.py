"""What the command `streamlib` does: `make lab`, `make stop` and a terminal use it.

Owns the rule that Ctrl-C ends what a command started and nothing else. The words and options are
in `streamlib_cli.py`; what is started, in `machine/` and `jupyter.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from streamlib.lab import course, jupyter, session
from streamlib.lab.doctor import doctor
from streamlib.lab.machine import everything, processes, scripted, server, workers
from streamlib.lab.machine.processes import Process
from streamlib.lab.status import status
from streamlib.scenarios.connect import target
from streamlib.scenarios.model import source
from streamlib.scenarios.program import run_program
from streamlib_cli import worker_arguments


async def open_lab(*, browser: bool, options: Sequence[str] = ()) -> None:
    """Start what does not run, then JupyterLab, until it ends or this is cancelled.

    Cancelling it ends JupyterLab, and the worker and the server if they were started here and no
    other JupyterLab of this home still uses them.

    Raises:
        LabError: JupyterLab ended with an error, or a folder cannot be written.
        HomeError: The state folder cannot be used.
        ServerUnavailableError: There is no server to be had.
        WorkerDiedError: The worker died while it started.
    """
    jupyter.check()
    notebooks, done = course.folder()
    print("\n".join([*done, f"the notebooks are in {notebooks}"]))
    others: list[Process] = []
    try:
        await session.start()
        lab = jupyter.start(notebooks, browser=browser, options=options)
        try:
            await jupyter.until_it_ends(lab)
        finally:
            others = jupyter.others(lab)
    finally:
        await _end_ours(others)


async def _end_ours(others: Sequence[Process]) -> None:
    """End what is ours, unless others use it; say what goes on running."""
    names = [*workers.names(), scripted.NAME, server.NAME]  # in this order
    running = [process for name in names if (process := processes.find(name))]
    for process in running if not others else ():
        if process.mine:
            await (server if process.name == server.NAME else process).stop()
            print(f"stopped the {process}")
    if left := [str(process) for process in [*running, *others] if process.alive]:
        print(f"still running: {', '.join(left)}; `make stop` or `streamlib stop` ends them")


async def servers_first(llm: bool) -> None:
    """Start what a worker needs, unless the environment or a Temporal profile names it."""
    if not target().external and await server.status() is None:
        started = await server.start()
        print(f"started the dev server at {started} (`make stop` ends it)", flush=True)
    if llm and source() is None:
        await scripted.stand_in()


async def _lab(browser: bool, options: Sequence[str]) -> None:
    await open_lab(browser=browser, options=options)


async def _start() -> None:
    await session.start()
    print("`make stop` or `streamlib stop` ends them")


async def _stop() -> None:
    ended = await everything.stop()
    print(f"stopped: {', '.join(ended)}" if ended else "nothing was running")


async def _status() -> int:
    report = await status()
    print(report)
    return 0 if report.ok else 1


async def _doctor(reset: bool) -> int:
    if reset:
        for path in await everything.reset():
            print(f"put aside: {path}")
        print("all is ended, and nothing is noted any more")
    report = await doctor()
    print(report)
    return 0 if report.ok or reset else 1


def run(given: argparse.Namespace, rest: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    name = f"streamlib {given.command}"
    match given.command:
        case "worker":
            # Here alone: what a worker needs of the SDK, the other commands need not load.
            from streamlib.scenarios.worker import main as work

            return work(worker_arguments(given), prepare=servers_first)
        case "lab":
            quiet = given.no_browser or bool(os.environ.get("STREAMLIB_NO_BROWSER"))
            options = [option for option in rest if option != "--"]
            return run_program(lambda: _lab(not quiet, options), name=name)
        case "doctor":
            return run_program(lambda: _doctor(given.reset), name=name)
        case other:
            return run_program(
                {"start": _start, "stop": _stop, "status": _status}[other], name=name
            )

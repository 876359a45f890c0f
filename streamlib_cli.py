"""The command `streamlib`: a door that opens at once; what is behind it is loaded when chosen.

It stands outside of the package, because whatever is in there loads Temporal's SDK first: half a
second in which Ctrl-C would print a traceback, for a `--help` that needs none of it. It must run
on an old Python 3 too, to say which one is needed.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is work to end calmly: just end

import argparse
import sys

OLDEST = (3, 10)

ABOUT = """\
streamlib: learn durable streaming by doing it, in notebooks, on a real Temporal server.

  streamlib lab      everything at once: server, worker, and the notebooks in your browser
  streamlib doctor   something does not work? what is missing, and what to do"""

SCENARIOS = ["order", "pipeline", "hub", "ticker", "llm"]


def parser() -> argparse.ArgumentParser:
    """The command line, for people."""
    top = argparse.ArgumentParser(
        prog="streamlib", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    lab = commands.add_parser(
        "lab",
        help="start server and worker, open the notebooks; Ctrl-C ends what it started",
        description="Starts the server and the worker if they do not run, and opens JupyterLab on "
        "the notebooks: those of the checkout, else a copy in ./streamlib-course, where a file "
        "that you changed is never overwritten. Further options go to JupyterLab.",
    )
    lab.add_argument("--no-browser", action="store_true", help="also: STREAMLIB_NO_BROWSER=1")
    worker = commands.add_parser("worker", help="run the scenarios' worker in this terminal")
    worker.add_argument("--llm", action="store_true", help="serve scenario 5 instead of 1 to 4")
    worker.add_argument("--task-queue", help="default: the scenario's own")
    run = commands.add_parser("run", help="run scenarios in this terminal, beside a worker")
    run.add_argument("scenario", choices=SCENARIOS, nargs="+", help=", ".join(SCENARIOS))
    commands.add_parser("start", help="start the server and the worker, and leave them running")
    commands.add_parser("status", help="what runs (exit code 1 if something does not)")
    commands.add_parser("stop", help="end all that was left running, well or not")
    doctor = commands.add_parser("doctor", help="check every part; say what to do about it")
    doctor.add_argument(
        "--reset", action="store_true", help="first end everything, and put the database aside"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, or 1 with one message on stderr."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:2]))
        return _refuse("streamlib needs Python 3.10 or later; this is " + found)
    given, rest = parser().parse_known_args(arguments)
    if rest and given.command != "lab":
        parser().error("unrecognized arguments: " + " ".join(rest))
    return _dispatch(given, rest)


def _dispatch(given: argparse.Namespace, rest: list[str]) -> int:
    if given.command == "run":
        from streamlib.scenarios.__main__ import main as run

        return run(given.scenario)
    if given.command == "worker" and not _has_lab():  # on a server of one's own it needs none
        from streamlib.scenarios.worker import main as work

        return work(worker_arguments(given))
    if sys.platform == "win32":
        return _refuse(
            "streamlib's lab runs on Linux and macOS. On Windows, use WSL: run `wsl --install` "
            "once, then the same command in its terminal."
        )
    if not _has_lab():
        return _refuse("streamlib is here without its lab: pip install 'streamlib[lab]'")
    from streamlib.lab import command

    return command.run(given, rest)


def worker_arguments(given: argparse.Namespace) -> list[str]:
    """The command line of `streamlib.scenarios.worker`."""
    queue = ["--task-queue", given.task_queue] if given.task_queue else []
    return (["--llm"] if given.llm else []) + queue


def _has_lab() -> bool:
    import importlib.util

    needed = ("psutil", "filelock", "anywidget", "jupyterlab")
    return sys.platform != "win32" and all(map(importlib.util.find_spec, needed))


def _refuse(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

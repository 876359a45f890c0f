"""JupyterLab, as a process of the lab's: on loopback, with the notebooks open, and no calls out.

Owns how it is started, watched and ended. It is noted like every other process, so that `stop`
finds it also when whoever started it was killed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

from streamlib.lab import course
from streamlib.lab.errors import LabError
from streamlib.lab.machine import processes
from streamlib.lab.machine.processes import Process
from streamlib.scenarios.home import home, subfolder, write_private
from streamlib.scenarios.program import in_one_line

NAME = "jupyterlab"

DEFAULTS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyterlab/extensionmanager-extension:plugin": {"enabled": False},
}
"""No question about news over the first page, and no calls to anybody. Users can override it."""

PROGRAM = """\
import sys
sys.modules["rfc3987_syntax"] = None
import jupyterlab.commands
jupyterlab.commands._yarn_config = lambda logger: {"yarn config": {}}
from jupyterlab.labapp import main
sys.exit(main())
"""
"""`python -m jupyterlab` without half of what it does before it answers: it builds a grammar for
IRIs in JSON schemas, of which it has none, and asks Node.js about builds that nobody does here."""


def check() -> None:
    """See that it can write where it must, before anything is started.

    Raises:
        LabError: It cannot; names the folder.
    """
    for folder in (Path(jupyter_data_dir()), Path(jupyter_runtime_dir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(13, "it may not be written")
        except OSError as error:
            why = in_one_line(OSError(error.errno, "")) or error.strerror
            raise LabError(
                f"JupyterLab must write in {folder}: {why}. Or set JUPYTER_DATA_DIR and "
                "JUPYTER_RUNTIME_DIR to folders that can be written."
            ) from error


def start(notebooks: Path, *, browser: bool, options: Sequence[str] = ()) -> Process:
    """Start it on that folder; it writes to our terminal.

    Args:
        notebooks: The folder of the notebooks. It serves that, or the checkout around it.
        browser: Whether it opens one.
        options: More of its command line; these win over ours.
    """
    return processes.spawn(
        f"{NAME}-{os.getpid()}",  # several may run in one home
        [*_command(notebooks, browser=browser), *options],
        env={
            **os.environ,
            "JUPYTER_CONFIG_PATH": _config_path(),
            "PYTHONPATH": processes.python_path(),
            "STREAMLIB_HOME": str(home()),
        },
        log=False,
    )


def others(own: Process) -> list[Process]:
    """Those that run in this home, but for this one."""
    found = (processes.find(name) for name in processes.names() if name.startswith(NAME))
    return [process for process in found if process and process.pid != own.pid]


async def until_it_ends(lab: Process) -> None:
    """Wait for its end; cancelled, end it, within ten seconds.

    Raises:
        LabError: It ended with an error.
    """
    try:
        await lab.gone(pause=0.2)
    finally:
        ran = lab.alive
        await lab.stop(grace=10.0)  # SIGTERM lets it shut its kernels down
        if ran:
            print("stopped JupyterLab")
    if (code := lab.exit_code) and code > 0:
        raise LabError(f"JupyterLab ended with exit code {code}; what it printed is above.")


def _command(notebooks: Path, *, browser: bool) -> list[str]:
    root = notebooks.parent if notebooks.name == "notebooks" else notebooks
    first = (notebooks / course.FIRST).relative_to(root).as_posix()
    command = [sys.executable, "-c", PROGRAM, "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={root}", "--log-level=WARN"]
    command += ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
    command += ["--LanguageServerManager.autodetect=False"]  # it runs npm, to find none
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += [f"--LabApp.default_url=/lab/tree/{first}"]
    if os.geteuid() == 0:
        command += ["--allow-root"]  # in a container
    return command if browser else [*command, "--no-browser"]


def _config_path() -> str:
    """A config folder of our own beside the user's: defaults only, their settings win."""
    folder = subfolder("jupyter")
    settings = folder / "labconfig"
    settings.mkdir(exist_ok=True)
    write_private(settings / "default_setting_overrides.json", json.dumps(DEFAULTS))
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_CONFIG_PATH", "")]))

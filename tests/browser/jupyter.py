"""A real JupyterLab, in folders of its own, and the few things a test does in its page.

Nothing of the user's is read or written: settings, kernels, workspaces and notebooks are copies.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from streamlib.lab import processes
from streamlib.lab.__main__ import JUPYTER_DEFAULTS

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

# The toolbar says idle before a kernel is attached; this does not.
KERNEL_IS_READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return !!context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""

OURS = re.compile(r"(https?|wss?)://127\.0\.0\.1|data:|blob:")


@dataclass
class Jupyter:
    """A running JupyterLab."""

    url: str
    token: str
    log: Path


@contextlib.contextmanager
def jupyter(folder: Path, notebooks: Path) -> Iterator[Jupyter]:
    """Run JupyterLab on copies of the notebooks, with the product's own default settings."""
    work = folder / "notebooks"  # copies: autosave rewrites them
    shutil.copytree(notebooks, work, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings = folder / "config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(JUPYTER_DEFAULTS))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Jupyter(f"http://127.0.0.1:{port}", secrets.token_hex(16), folder / "jupyter.log")
    with running.log.open("wb") as log:
        process = subprocess.Popen(
            _command(port, running.token, work),
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(running, process)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(port: int, token: str, work: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"),
        *("--ServerApp.terminals_enabled=False", "--LabApp.expose_app_in_browser=True"),
        *("--LabApp.news_url=None", "--LabApp.extension_manager=readonly"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]


def _environment(folder: Path) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JUPYTER", "IPYTHON"))
    }
    return {
        **kept,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": processes.python_path(),
    }


def _wait_until_it_answers(running: Jupyter, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            status = f"{running.url}/api/status?token={running.token}"
            urllib.request.urlopen(status, timeout=2).close()
            return
        assert process.poll() is None, running.log.read_text()
        assert time.monotonic() < deadline, running.log.read_text()
        time.sleep(0.1)


@dataclass
class Seen:
    """What a page did that nobody should see."""

    foreign: list[str] = field(default_factory=list[str])
    """Requests to any host but ours."""
    errors: list[str] = field(default_factory=list[str])
    """On the console, or thrown."""

    def watch(self, page: Page) -> None:
        page.on("request", self._requested)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _requested(self, request: Request) -> None:
        if not OURS.match(request.url):
            self.foreign.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


def open_notebook(browser: Browser, running: Jupyter, name: str, seen: Seen) -> Page:
    """Open a notebook in a fresh browser profile; its kernel is ready on return."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    seen.watch(page)
    show_notebook(page, running, name)
    return page


def show_notebook(page: Page, running: Jupyter, name: str) -> None:
    """Open a notebook in a page; its kernel is ready on return."""
    page.goto(f"{running.url}/lab/tree/{name}?reset&token={running.token}")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.wait_for_selector(".jp-Notebook")
    page.wait_for_function(KERNEL_IS_READY, timeout=60_000)


def run_command(page: Page, name: str) -> None:
    # In braces: a returned promise would be waited for, also behind a dialog.
    page.evaluate("name => { jupyterapp.commands.execute(name, {}) }", name)

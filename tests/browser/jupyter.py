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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from streamlib.lab.jupyter import DEFAULTS, PROGRAM
from streamlib.lab.machine import processes

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


@dataclass(frozen=True)
class FrontEnd:
    """What serves the notebooks."""

    program: tuple[str, str]
    """What Python is told to run."""
    options: tuple[str, ...]
    page: str
    """The path of a notebook's page."""


LAB = FrontEnd(
    ("-c", PROGRAM),  # as our command starts it
    (
        "--LanguageServerManager.autodetect=False",
        *("--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"),
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ),
    # In a workspace of its own: pages that share one open each other's notebooks at a reload.
    "/lab/workspaces/{stem}/tree/{stem}.ipynb?reset&token={token}",
)
NOTEBOOK = FrontEnd(
    ("-m", "notebook"),
    ("--JupyterNotebookApp.expose_app_in_browser=True",),
    "/notebooks/{stem}.ipynb?token={token}",
)


@dataclass
class Jupyter:
    """A running JupyterLab, or another front end."""

    url: str
    token: str
    log: Path
    notebooks: Path
    """What it serves."""
    environment: dict[str, str]
    """What it runs in: private folders."""
    front_end: FrontEnd = LAB

    def page(self, name: str) -> str:
        """The address of a notebook's page."""
        page = self.front_end.page.format(stem=Path(name).stem, token=self.token)
        return f"{self.url}{page}"


@contextlib.contextmanager
def jupyter(
    folder: Path,
    notebooks: Path,
    *,
    prefix: str = "",
    front_end: FrontEnd = LAB,
    python: str = sys.executable,
) -> Iterator[Jupyter]:
    """Run JupyterLab on copies of the notebooks, with the product's own default settings.

    Args:
        folder: What it may write in.
        notebooks: What is copied.
        prefix: The path that all of it is under, as on a hub: `/user/me`.
        front_end: What runs, if not JupyterLab.
        python: The Python of the environment that it runs in.
    """
    work = folder / "notebooks"  # copies: autosave rewrites them
    shutil.copytree(notebooks, work, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings = folder / "config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(DEFAULTS))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, token = f"http://127.0.0.1:{port}{prefix}", secrets.token_hex(16)
    log, environment = folder / "jupyter.log", _environment(folder)
    running = Jupyter(url, token, log, work, environment, front_end)
    command = [python, *front_end.program, *front_end.options, *_options(port, token, work)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, f"--ServerApp.base_url={prefix}/"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
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


def _options(port: int, token: str, work: Path) -> list[str]:
    return [
        *("--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"),
        "--ServerApp.terminals_enabled=False",
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
    not_ours: tuple[str, ...] = ()
    """What the front end itself always throws."""

    def watch(self, page: Page) -> None:
        page.on("request", self._requested)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._threw(str(error)))

    def _requested(self, request: Request) -> None:
        if not OURS.match(request.url):
            self.foreign.append(request.url)

    def _threw(self, error: str) -> None:
        if error not in self.not_ours:
            self.errors.append(error)

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
    page.goto(running.page(name))
    wait_until_ready(page)


def wait_until_ready(page: Page) -> None:
    """Wait for the page, its notebook and the notebook's kernel."""
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.wait_for_selector(".jp-Notebook")
    page.wait_for_function(KERNEL_IS_READY, timeout=60_000)


def run_command(page: Page, name: str, **arguments: object) -> None:
    # In braces: a returned promise would be waited for, also behind a dialog.
    page.evaluate(
        "([name, given]) => { jupyterapp.commands.execute(name, given) }", [name, arguments]
    )


EXECUTE = """([code, key]) => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, store_history: false});
  const told = (window.told ??= {})[key] = {text: '', error: '', done: false};
  future.onIOPub = (message) => {
    const {text, ename, evalue} = message.content;
    told.text += text ?? '';
    if (ename) told.error = `${ename}: ${evalue}`;
  };
  future.done.then(() => { told.done = true; });
}"""


def begin(page: Page, code: str, key: str = "code") -> None:
    """Run code in the notebook's kernel, in no cell, and do not wait for it."""
    page.evaluate(EXECUTE, [code, key])


def ended(page: Page, key: str = "code") -> bool:
    """Whether what `begin` began has ended."""
    return bool(page.evaluate("key => told[key].done", key))


def result(page: Page, key: str = "code", *, seconds: float = 30.0) -> str:
    """Wait for what `begin` began; what it printed. An error fails the test."""
    page.wait_for_function("key => told[key].done", arg=key, timeout=seconds * 1000)
    told = page.evaluate("key => told[key]", key)
    assert not told["error"], told["error"]
    return str(told["text"]).strip()


def kexec(page: Page, code: str, *, seconds: float = 30.0) -> str:
    """Run code in the notebook's kernel, in no cell, and return what it printed."""
    begin(page, code, "kexec")
    return result(page, "kexec", seconds=seconds)


def restart_kernel(page: Page) -> None:
    """As a person does: by the menu."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    page.locator(".jp-Dialog").wait_for(state="detached")


def save(page: Page) -> None:
    """Save the notebook, and wait for it."""
    run_command(page, "docmanager:save")
    page.wait_for_function("() => jupyterapp.shell.currentWidget.context.model.dirty === false")


def set_theme(page: Page, name: str) -> None:
    """Change JupyterLab's theme: "JupyterLab Light", "JupyterLab Dark"."""
    run_command(page, "apputils:change-theme", theme=name)
    light = "true" if "Light" in name else "false"
    page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
    page.wait_for_selector("#jupyterlab-splash", state="detached")  # it covers the page meanwhile


def write_notebook(folder: Path, name: str, cells: Sequence[str]) -> None:
    """Write a notebook of code cells."""
    written: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = {
        "cells": written,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / name).write_text(json.dumps(notebook))

"""Other front ends than JupyterLab in Chromium: Notebook 7, Firefox, voila: `make test-all`.

Notebook 7 and voila run in an environment of their own, from the one lock. What is looked at is
what a learner meets: the notebooks run to their end, every view shows its stream, and the
playground of 04 does what its buttons say.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import views
from tests.browser.conftest import lab_at_home
from tests.browser.firefox import Bidi, Tab, firefox, new_tab, path_of_firefox
from tests.browser.jupyter import (
    KERNEL_IS_READY,
    NOTEBOOK,
    OURS,
    Jupyter,
    kexec,
    run_command,
    show_notebook,
)
from tests.browser.test_notebooks import shows_its_views
from tests.browser.views import View
from tests.drawn import half
from tests.notebooks import running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.matrix,
    pytest.mark.timeout(300),
]

PUBLISH, TRUNCATE = "01_publish_subscribe", "04_truncate"
LAST_WORDS = "all is well; left running"


ROOT = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv"]


def environment(folder: Path, *installs: Sequence[str]) -> str:
    """The Python of a new environment, with these things installed one after the other."""
    own = str(folder / "bin" / "python")
    subprocess.run([*UV, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    for what in installs:
        subprocess.run([*UV, "pip", "install", "-q", "--python", own, *what], cwd=ROOT, check=True)
    return own


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of an environment with Notebook 7 and voila, beside all that the lock names."""
    lock = ["--require-hashes", "-r", "requirements.lock"]
    folder = tmp_path_factory.mktemp("front-ends") / "venv"
    return environment(folder, lock, ["notebook>=7,<8", "voila>=0.5,<1"])


# ---------------------------------------------------------------- Notebook 7


@pytest.fixture(scope="module")
def notebook_7(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    folder = tmp_path_factory.mktemp("notebook")
    with lab_at_home(folder, front_end=NOTEBOOK, python=python) as it:
        yield it


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    """For one test: closed before the servers are, which need an event loop to end."""
    with views.chromium_browser(chromium) as it:
        yield it


WITHOUT_US_TOO = "Cannot read properties of undefined (reading 'schema')"
"""What Notebook 7.6 throws as it loads its settings, with any notebook, on a fresh installation."""


@pytest.mark.parametrize("name", half([PUBLISH, TRUNCATE]))
def test_notebook_7_runs_all_of_a_notebook_and_shows_its_views(
    name: str, notebook_7: Jupyter, browser: Browser, artefacts: Path
) -> None:
    sheet = views.open_page(browser)
    sheet.seen.not_ours = (WITHOUT_US_TOO,)
    show_notebook(sheet.page, notebook_7, f"{name}.ipynb")
    assert "/notebooks/" in sheet.page.url
    run_command(sheet.page, "notebook:run-all-cells")
    outputs = sheet.page.locator(".jp-Notebook .jp-OutputArea-output")
    outputs.get_by_text(LAST_WORDS).wait_for(timeout=90_000)
    shows_its_views(sheet.page, name)
    sheet.page.screenshot(path=artefacts / f"notebook-7-{name}.png")
    if name == TRUNCATE:
        views.plays(sheet)
    sheet.is_clean()
    sheet.page.context.close()


# ---------------------------------------------------------------- the lowest versions


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """JupyterLab with the lowest versions that `pyproject.toml` allows."""
    folder = tmp_path_factory.mktemp("lowest")
    own = environment(folder / "venv", ["--resolution", "lowest-direct", "-e", ".[lab]"])
    with lab_at_home(folder / "jupyter", python=own) as it:
        yield it


AS_IT_LOADS = "Cannot read properties of undefined (reading 'type')"
"""What JupyterLab 4.4.0 throws as it loads its settings, before any notebook is run."""


def test_the_lowest_versions_allowed_show_the_views_and_play(
    lowest: Jupyter, browser: Browser
) -> None:
    # By default this JupyterLab has only those cells on the page that can be seen.
    settings = Path(lowest.environment["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab")
    tracker = settings / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True, exist_ok=True)
    tracker.write_text('{"windowingMode": "defer"}')
    sheet = views.open_page(browser)
    sheet.seen.not_ours = (AS_IT_LOADS,)
    views.begin_the_course(sheet, lowest)
    views.has_run_the_course(sheet)
    versions = "import anywidget, ipywidgets; print(anywidget.__version__, ipywidgets.__version__)"
    assert kexec(sheet.page, versions) == "0.9.0 8.1.0"
    views.plays(sheet)
    sheet.page.context.close()


# ---------------------------------------------------------------- voila


@pytest.fixture(scope="module")
def voila(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a voila that shows 04."""
    folder = tmp_path_factory.mktemp("voila")
    with lab_at_home(folder) as lab, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        with voila_at(url, lab, python):
            yield url


@contextlib.contextmanager
def voila_at(url: str, lab: Jupyter, python: str) -> Iterator[None]:
    """As the README says it."""
    port = url.rpartition(":")[2]
    command = [python, "-m", "voila", f"{TRUNCATE}.ipynb", "--no-browser", f"--port={port}"]
    with (lab.log.parent / "voila.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *VOILA_OPTIONS],
            cwd=lab.notebooks,
            env={**lab.environment, "JPY_SESSION_NAME": "voila"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/no-such-page", timeout=2).close()
            except urllib.error.HTTPError:
                break  # it answers
            except OSError:
                pass
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


VOILA_OPTIONS = ["--Voila.ip=127.0.0.1"]


def test_voila_shows_live_views_and_the_playground_plays(
    voila: str, browser: Browser, artefacts: Path
) -> None:
    sheet = views.open_page(browser)
    sheet.page.goto(voila, timeout=120_000)
    roots = sheet.page.locator(".sv")
    expected = sum(source.count("lab.view(") for _, source in running.code_cells(TRUNCATE))
    expect(roots).to_have_count(expected, timeout=180_000)
    for number in range(expected):
        view = View(roots.nth(number))
        view.is_painted()
        view.shows(state="live" if number == expected - 1 else "closed")
        view.has_fetched_all()
    expect(sheet.page.locator(".sv-picture:visible")).to_have_count(0)
    sheet.page.screenshot(path=artefacts / "voila.png", full_page=True)
    view = View(roots.last)
    view.reset()
    view.publish("hello", topic="demo")
    view.said("Playground", "ok", "1 item stored")
    view.read_one("ann")
    view.said("Readers", "ok", "offset 0")
    sheet.page.set_viewport_size({"width": 640, "height": 900})
    view.is_painted()
    assert views.cut_off(view) == []
    lane = view.reader("ann").locator(".sv-lane").bounding_box()
    assert lane is not None
    assert lane["width"] > 200
    # Voila's own pages name a CDN, for icons that they do not use; ours name nobody.
    assert [url for url in sheet.seen.foreign if "/fontawesome" not in url] == []
    own = ("ERR_NAME_NOT_RESOLVED", "/@jupyter-notebook/")  # the icons; Notebook 7 beside it
    assert [each for each in sheet.seen.errors if not any(name in each for name in own)] == []
    sheet.page.context.close()


# ---------------------------------------------------------------- Firefox


@pytest.fixture(scope="module")
def foxes() -> Iterator[Bidi]:
    path = path_of_firefox()
    if path is None:
        missing = "no Firefox here (`apt-get install firefox-esr`)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with firefox(path) as it:
        yield it


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with lab_at_home(tmp_path_factory.mktemp("jupyter")) as it:
        yield it


@pytest.fixture
def tab(foxes: Bidi) -> Tab:
    foxes.asked.clear()
    foxes.errors.clear()
    return new_tab(foxes)


def runs_all(tab: Tab, lab: Jupyter, name: str) -> int:
    """Open a notebook, run all of it, look at every view; how many there are."""
    tab.goto(lab.page(name))
    tab.until("document.querySelector('.jp-Notebook')")
    tab.until(f"({KERNEL_IS_READY})()")
    tab.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    words = f"textContent.includes('{LAST_WORDS}')"
    tab.until(f"[...document.querySelectorAll('.jp-OutputArea-output')].some((e) => e.{words})")
    expected = sum("lab.view(" in source for _, source in running.code_cells(name))
    tab.until(f"document.querySelectorAll('.jp-Notebook .sv').length === {expected}")
    for number in range(expected):
        root = f"document.querySelectorAll('.sv')[{number}]"
        plays_on = name == TRUNCATE and number == expected - 1
        state = "live" if plays_on else "closed"
        tab.until(f"({root}.scrollIntoView(), {root}.dataset.painted === {root}.dataset.rev)")
        tab.until(f"{root}.dataset.state === '{state}' && +{root}.dataset.end > 0")
        tab.until(f"+{root}.dataset.fetched === {root}.dataset.end - {root}.dataset.base")
    kinds = "[data-mime-type$='jupyter.error'], [data-mime-type$='jupyter.stderr']"
    assert tab.evaluate(f'document.querySelectorAll("{kinds}").length') == 0
    return expected


def is_clean(tab: Tab) -> None:
    foreign = [url for url in tab.bidi.asked if not OURS.match(url)]
    assert (foreign, tab.bidi.errors) == ([], [])


@pytest.mark.parametrize("name", half([TRUNCATE, PUBLISH]))
def test_firefox_runs_all_of_a_notebook_and_the_playground_plays(
    name: str, lab: Jupyter, tab: Tab, artefacts: Path
) -> None:
    try:
        runs_all(tab, lab, name)
        if name == TRUNCATE:
            plays(tab)
    finally:
        tab.screenshot(artefacts / f"firefox-{name}.png")
    is_clean(tab)


def plays(tab: Tab) -> None:
    """As a person does, with mouse and keys: a fresh stream, a cut, a lost answer, a reader."""
    tab.evaluate("[...document.querySelectorAll('.sv')].at(-1).id = 'playground'")
    view, data = "#playground", "document.querySelector('#playground').dataset"

    def said(panel: str, text: str) -> None:
        line = f"document.querySelector('{view} [data-panel={panel}] .sv-say')"
        tab.until(f"{line}?.dataset.kind !== 'wait' && {line}?.textContent.includes('{text}')")

    tab.click(f"{view} [data-action=reset]")
    tab.until(f"{data}.epoch === '1' && {data}.end === '10' && {data}.base === '0'")
    tab.fill(f"{view} [name=up_to]", "5")
    tab.until(f"document.querySelector('{view} [data-goes]').dataset.goes === '5'")
    tab.click(f"{view} [data-panel=playground] [data-action=truncate]")
    tab.until(f"{data}.base === '5' && {data}.fetched === '5'")
    tab.fill(f"{view} [name=text]", "twice?")
    tab.click(f"{view} [name=lose_ack]")
    tab.click(f"{view} [data-action=publish]")
    said("playground", "sent twice")
    tab.until(f"document.querySelector('{view} [role=slider]').dataset.ghosts === '1'")
    tab.until(f"{data}.end === '11'")
    tab.click(f"{view} [data-name=ann] [data-action=read]")
    said("readers", "offset 5")
    tab.until(f"document.querySelector('{view} [data-name=ann]').dataset.missed === '5'")
    track = f"document.querySelector('{view} .sv-track[role=slider]')"
    tab.evaluate(f"{track}.focus()")
    tab.press("End")
    tab.press("Enter")
    tab.until(f"/twice/.test(document.querySelector('{view} .sv-value')?.textContent)")
    ink = f"""(() => {{
      const canvas = {track}.querySelector('canvas');
      const {{data}} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, at) => at % 4 === 3 && value > 100).length;
    }})()"""
    assert tab.evaluate(ink) > 1000  # it is drawn, not only told

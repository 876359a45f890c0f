"""A JupyterLab and a browser, one of each for a file of tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from streamlib.lab.machine import scripted, server, workers
from tests.browser.jupyter import Jupyter, jupyter
from tests.browser.views import chromium_browser
from tests.notebooks import running


@contextlib.contextmanager
def lab_at_home(folder: Path, **options: Any) -> Iterator[Jupyter]:
    """JupyterLab with a home of its own; what its notebooks leave running is ended.

    `options` are those of `jupyter`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMLIB_HOME", str(folder / "home"))
        try:
            with jupyter(folder, running.NOTEBOOKS, **options) as it:
                yield it
        finally:
            for name in workers.names():
                asyncio.run(workers.stop(name))
            asyncio.run(scripted.stop())
            asyncio.run(server.stop())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with lab_at_home(tmp_path_factory.mktemp("jupyter")) as it:
        yield it


@pytest.fixture(scope="module")
def browser(lab: Jupyter, chromium: str) -> Iterator[Browser]:
    """Closed before the lab is: while it runs, nothing else may run an event loop."""
    with chromium_browser(chromium) as it:
        yield it


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """Where pictures go: `$STREAMLIB_ARTEFACTS`, else the test's own folder."""
    folder = Path(os.environ.get("STREAMLIB_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder

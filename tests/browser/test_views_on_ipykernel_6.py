"""The heart of the views' tests on ipykernel 6, the one that many have: `make test-all`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import views
from tests.browser.conftest import lab_at_home
from tests.browser.jupyter import Jupyter
from tests.browser.views import EVERYTHING, Sheet

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.matrix,
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """JupyterLab whose kernels find ipykernel 6 before the one that is installed."""
    folder = tmp_path_factory.mktemp("ipykernel-6")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, "ipykernel>=6.29,<7"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        with lab_at_home(tmp_path_factory.mktemp("jupyter")) as it:
            yield it


@pytest.fixture(scope="module")
def sheet(lab: Jupyter, browser: Browser) -> Sheet:
    opened = views.open_sheet(browser, lab, "views.ipynb")
    version = opened.run("import ipykernel; print(ipykernel.__version__)")
    assert version.startswith("6.")
    return opened


def test_the_course_s_notebook(sheet: Sheet, lab: Jupyter, browser: Browser) -> None:
    course = views.open_page(browser)
    views.begin_the_course(course, lab)
    views.has_run_the_course(course)
    views.plays(course)
    course.page.context.close()


def test_a_click_is_answered_after_the_cell(sheet: Sheet) -> None:
    view = sheet.show(EVERYTHING)
    views.answers_while_a_cell_awaits(sheet, view, at_once=False)
    sheet.is_clean()


def test_a_cell_that_blocks_is_said(sheet: Sheet) -> None:
    view = sheet.show(EVERYTHING)
    views.says_that_a_cell_is_busy(sheet, view)
    sheet.is_clean()


def test_a_restarted_kernel_is_said(sheet: Sheet) -> None:
    view = sheet.show(EVERYTHING)
    views.says_that_the_kernel_is_gone(sheet, view)

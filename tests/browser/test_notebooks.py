"""The notebooks as a learner meets them: a real JupyterLab in a real browser, *Run All*."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.jupyter import Jupyter, Seen, open_notebook, run_command
from tests.browser.views import View
from tests.drawn import JUPYTERLAB, third
from tests.notebooks import running

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(240)]


def photograph(page: Page, folder: Path, name: str) -> None:
    """All of a notebook, a screen at a time."""
    page.set_viewport_size({"width": 1280, "height": 1600})
    scroller = page.locator(".jp-WindowedPanel-outer")
    for number in range(12):
        at_the_end = scroller.evaluate(
            """(panel, top) => {
              panel.scrollTop = top;
              return top + panel.clientHeight >= panel.scrollHeight;
            }""",
            number * 1400,
        )
        page.wait_for_timeout(100)
        page.screenshot(path=folder / f"{name}-{number}.png")
        if at_the_end:
            break


def shows_its_views(page: Page, name: str) -> None:
    """Whoever runs all, and only then looks, sees what each stream came to."""
    roots = page.locator(".jp-Notebook .sv")
    expect(roots).to_have_count(
        sum(source.count("lab.view(") for _, source in running.code_cells(name))
    )
    for number in range(roots.count()):
        view = View(roots.nth(number))
        view.is_painted()
        plays_on = name.startswith("04") and number == roots.count() - 1  # the playground
        view.shows(state="live" if plays_on else "closed")
        view.has_fetched_all()
        assert view.number("end") > 0


AT_ONCE = ("02", "03", "04")
"""These kill nothing that the others need, and wait most of the time."""


def at_once_with(name: str, request: pytest.FixtureRequest) -> list[str]:
    """The notebooks to run beside this one, of those that are to be tested."""
    if not name.startswith(AT_ONCE):
        return [name]
    ids = " ".join(item.name for item in request.session.items)
    return [each for each in running.names() if each.startswith(AT_ONCE) and each in ids]


@pytest.fixture(scope="module")
def begun() -> dict[str, tuple[Page, Seen]]:
    """Notebooks that run already, while another one is looked at."""
    return {}


@pytest.mark.soak  # they run in a kernel, without a page, in any case
@pytest.mark.parametrize("name", third(running.names(), JUPYTERLAB))
def test_run_all_in_jupyterlab(
    name: str,
    lab: Jupyter,
    browser: Browser,
    artefacts: Path,
    begun: dict[str, tuple[Page, Seen]],
    request: pytest.FixtureRequest,
) -> None:
    for each in at_once_with(name, request):
        if each not in begun:
            seen = Seen()
            page = open_notebook(browser, lab, f"{each}.ipynb", seen)
            page.screenshot(path=artefacts / f"{each}-opened.png")
            run_command(page, "notebook:run-all-cells")
            begun[each] = page, seen
    page, seen = begun[name]
    outputs = page.locator(".jp-Notebook .jp-OutputArea-output")
    try:
        outputs.get_by_text("all is well; left running").wait_for(timeout=120_000)
    finally:
        photograph(page, artefacts, name)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    assert prompts == [f"[{number}]:" for number in range(1, len(prompts) + 1)]
    assert len(prompts) == len(running.code_cells(name))
    assert page.locator(".jp-MarkdownOutput img").evaluate_all(
        "images => images.every(image => image.naturalWidth > 0 && image.alt)"
    )
    shows_its_views(page, name)
    assert (seen.foreign, seen.errors) == ([], [])
    page.context.close()

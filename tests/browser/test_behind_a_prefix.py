"""JupyterLab under a base URL, as on a hub, a Binder or in a dev container: views work there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import views
from tests.browser.conftest import lab_at_home
from tests.browser.jupyter import Jupyter, kexec
from tests.browser.views import EVERYTHING, Sheet

pytestmark = [pytest.mark.browser, pytest.mark.server]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with lab_at_home(tmp_path_factory.mktemp("prefix"), prefix="/user/me") as it:
        yield it


@pytest.fixture(scope="module")
def sheet(lab: Jupyter, browser: Browser) -> Sheet:
    return views.open_sheet(browser, lab, "views.ipynb")


def test_a_view_shows_its_stream_and_links_to_the_servers_ui(sheet: Sheet, lab: Jupyter) -> None:
    assert "/user/me/lab" in sheet.page.url
    view = sheet.show(EVERYTHING)
    view.is_painted()
    assert view.number("end") == 10
    sheet.run("await publish('letters', 'one more')")
    view.shows(end="11")
    address = kexec(sheet.page, "print(session.server.ui_url)")
    link = view.root.get_by_role("link").first
    expect(link).to_have_attribute("href", re.compile(f"^{address}/namespaces/default/"))
    with sheet.page.context.expect_page() as opened:
        link.click()
    opened.value.wait_for_selector("text=Event History")
    opened.value.close()
    sheet.is_clean()

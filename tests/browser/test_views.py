"""Live views in a real JupyterLab: what a learner sees and does, and what must not happen.

Each test shows a view of its own; what it looks at are roles and `data-*`, never pixels.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect

from streamlib.lab import processes
from tests.browser import views
from tests.browser.jupyter import (
    Jupyter,
    set_theme,
)
from tests.browser.views import EVERYTHING, Sheet, View, has

pytestmark = [pytest.mark.browser, pytest.mark.server]

COURSE = "04_truncate"
GROW = """
from bench.grown import GrownHub, GrownInput

async def grow(name, **given):
    await session.client.start_workflow(
        GrownHub.run, GrownInput(**given), id=name, task_queue="grown")

await grow("long", items=100_000)
await grow("rolled", items=300, rolls=5, keep=200)
"""


@contextmanager
def grown_worker(address: str) -> Iterator[None]:
    """The worker of the hubs that come with a past."""
    command = [sys.executable, "-m", "bench.grown", address, "grown"]
    worker = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": processes.python_path()})
    try:
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(20)


@pytest.fixture(scope="module")
def opened(lab: Jupyter, browser: Browser) -> Iterator[Sheet]:
    """A notebook of our own; and the course's begins to run already, in another page."""
    sheet = views.open_sheet(browser, lab, "views.ipynb", "'nothing'\n" * 80)
    with grown_worker(sheet.run("print(session.server.address)")):
        sheet.run(GROW)
        yield sheet
        sheet.page.context.close()


@pytest.fixture
def sheet(opened: Sheet) -> Iterator[Sheet]:
    """The notebook; whatever a test does in it, no error and no foreign request may come of it."""
    yield opened
    opened.is_clean()


@pytest.fixture
def view(sheet: Sheet) -> View:
    """A view with all panels, of a stream with ten items and two readers."""
    view = sheet.show(EVERYTHING)
    view.shows(state="live", base=0, end=10, fetched=10)
    return view


# ---------------------------------------------------------------- what was clicked


def test_an_item_says_what_it_is(view: View) -> None:
    view.click_item(3)
    has(view.details(), kind="item", offset=3, found="true")
    assert '"kind": "a fourth"' in view.details().locator("pre").inner_text()
    assert (view.detail("topic"), view.detail("sequence")) == ("news", "1")
    assert re.fullmatch(r"[0-9a-f]{16}", view.detail("publisher"))
    assert re.fullmatch(r"\d+ B", view.detail("size"))
    assert view.detail("encoding") == "json/plain"
    view.click_item(5)
    has(view.details(), offset=5, found="true")
    expect(view.details().locator("pre")).to_have_text("snow")
    view.details().get_by_role("button", name="Close details").click()
    expect(view.details()).to_have_count(0)


def test_a_batch_is_its_items(view: View) -> None:
    ticks = view.panel("Publishers").get_by_role("button", name="batch 2 accepted")
    ticks.click()
    has(view.details(), kind="batch", sequence=2, verdict="accepted", offset=4)
    assert view.detail("offsets") == "4–6"


def test_a_topic_can_be_left_out_and_come_back(view: View) -> None:
    chip = view.panel("Tape").get_by_role("button", name=re.compile("weather"))
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")


def test_one_jumps_to_an_offset_and_follows_the_end_again(sheet: Sheet, view: View) -> None:
    sheet.run("await publish('many', *range(300))")
    view.shows(end=310, follow="true")
    goto = view.panel("Tape").get_by_role("spinbutton", name="Go to offset")
    goto.fill("42")
    goto.press("Enter")
    view.shows(selected=42, follow="false")
    assert int(view.tape.get_attribute("data-first") or 0) <= 42
    expect(view.tape).to_have_attribute("aria-valuenow", "42")
    view.press("Tape", "Follow")
    view.shows(follow="true")
    expect(view.tape).to_have_attribute("data-last", "309")


def test_the_table_says_the_same(view: View) -> None:
    view.press("Tape", "Table")
    table = view.panel("Tape").get_by_role("table", name="Items")
    expect(table.get_by_role("row")).to_have_count(11)
    row = table.locator("[data-offset='4']")
    expect(row.get_by_role("cell").first).to_have_text("weather")


# ---------------------------------------------------------------- the playground


def test_a_cut_is_foreseen_and_then_made(view: View) -> None:
    form = view.form("Truncate")
    cut = form.get_by_role("button", name="Truncate")
    expect(cut).to_be_disabled()
    slider = form.get_by_role("slider", name="Truncate up to offset")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    foreseen = form.locator("[data-goes]")
    has(foreseen, goes=6, up_to=6)
    left_behind = form.get_by_role("list", name="Readers left behind").get_by_role("listitem")
    expect(left_behind).to_have_text(["ann would miss 6", "bob would miss 4"])
    view.shows(base=0)  # nothing is done yet
    cut.click()
    view.said("Playground", "ok", "truncated")
    view.shows(base=6, end=10, fetched=4)
    has(view.reader("ann"), position=0, below=6, lag=4)
    expect(cut).to_be_disabled()


def test_past_the_end_is_refused(sheet: Sheet, view: View) -> None:
    form = view.form("Truncate")
    form.get_by_label("up to", exact=True).fill("99")
    has(form.locator("[data-goes]"), goes=10, up_to=10)  # no further than to the end
    refused = sheet.run(
        "try:\n    await hub.execute_update('truncate', 99)\n"
        "except Exception as error:\n    print(error.cause.type)"
    )
    assert refused == "TruncateOutOfRange"
    view.shows(base=0, end=10, state="live")


def test_publishing_grows_the_log(view: View) -> None:
    view.publish("hello", topic="demo")
    view.said("Playground", "ok", "1 item stored")
    view.shows(end=11, fetched=11)
    view.publish("more", topic="demo", times=5)
    view.said("Playground", "ok", "5 items stored")
    view.shows(end=16, fetched=16)
    view.click_item(10)
    expect(view.details().locator("pre")).to_have_text("hello")


def test_a_lost_acknowledgement_makes_a_ghost_and_no_second_item(view: View) -> None:
    has(view.tape, ghosts=0)
    view.publish("twice?", lose=True)
    view.said("Playground", "ok", "sent twice")
    has(view.tape, ghosts=1)
    view.shows(end=11)
    ghost = view.panel("Publishers").get_by_role("button", name=re.compile("^batch 1 duplicate"))
    ghost.click()
    has(view.details(), kind="batch", verdict="duplicate", offset=10)
    row = view.panel("Publishers").locator("tr[data-dropped='1']")
    has(row, accepted=1, refused=0)


def test_a_reader_reads_one(view: View) -> None:
    has(view.reader("ann"), position=0, lag=10, own="false")
    view.read_one("ann")
    view.said("Readers", "ok", "offset 0")
    has(view.reader("ann"), position=1, lag=9)


def test_a_reader_that_raises_says_so_and_reads_on(sheet: Sheet, view: View) -> None:
    sheet.run("await hub.execute_update('truncate', 5)")
    view.shows(base=5)
    has(view.reader("bob"), below=3)
    view.read_one("bob")
    view.said("Readers", "error", "2 to 4 were truncated")
    view.read_one("bob")
    view.said("Readers", "ok", "offset 5")
    has(view.reader("bob"), position=6, missed=3)


def test_a_reader_of_its_own_opens_and_closes(view: View) -> None:
    form = view.form("Open a reader")
    form.get_by_role("combobox").first.select_option("latest")
    form.get_by_role("button", name="Open").click()
    view.said("Playground", "ok", "position 10")
    own = view.reader("view 1")
    has(own, position=10, lag=0, own="true")
    own.get_by_role("button", name="Close").click()
    expect(own).to_have_count(0)
    expect(view.reader("ann").get_by_role("button", name="Close")).to_have_count(0)


def test_reset_shows_another_stream(view: View) -> None:
    view.publish("before")
    view.shows(end=11)
    view.click_item(10)
    view.reset()
    view.shows(end=10, fetched=10)
    assert view.data("selected") == ""


# ---------------------------------------------------------------- keys


def test_the_tape_is_moved_by_keys(sheet: Sheet, view: View) -> None:
    view.root.get_by_role("button", name="Table").focus()
    for _ in range(3):
        sheet.page.keyboard.press("Tab")
        if view.tape.evaluate("track => track === document.activeElement"):
            break
    expect(view.tape).to_be_focused()
    press = sheet.page.keyboard.press
    for key, selected in [("End", 9), ("ArrowLeft", 8), ("Home", 0), ("ArrowRight", 1)]:
        press(key)
        view.shows(selected=selected)
        expect(view.tape).to_have_attribute("aria-valuenow", str(selected))
    expect(view.tape).to_have_attribute("aria-valuetext", re.compile("^offset 1, news, "))
    press("Enter")
    has(view.details(), offset=1, found="true")
    press("ArrowRight")
    has(view.details(), offset=2, found="true")
    press("Escape")
    expect(view.details()).to_have_count(0)
    assert view.data("selected") == ""


def test_jupyter_s_keys_do_nothing_in_a_view(sheet: Sheet, view: View) -> None:
    before = sheet.cells()
    places = [
        view.tape,
        view.panel("Tape").get_by_role("button", name="Follow"),
        view.form("Publish").get_by_label("text"),
    ]
    for place in places:
        place.focus()
        for key in ["a", "b", "d", "d", "x", "z", "m", "Delete", "Escape"]:
            place.press(key)
        expect(place).to_be_focused()
    view.tape.press("Enter")
    view.tape.press("Control+Enter")
    view.tape.press("Shift+Enter")
    has(view.details(), found="true")
    assert sheet.cells() == before
    view.shows(state="live", end=10)


# ---------------------------------------------------------------- looks


def test_both_themes_can_be_read_by_everybody(sheet: Sheet, view: View) -> None:
    view.click_item(4)
    view.press("Tape", "Table")
    sheet.run("await hub.execute_update('truncate', 4)")
    view.publish("twice?", lose=True)
    view.said("Playground", "ok")
    view.root.scroll_into_view_if_needed()
    try:
        for theme in ("light", "dark"):
            set_theme(sheet.page, f"JupyterLab {theme.capitalize()}")
            view.shows(theme=theme)
            assert views.violations(sheet.page, ".sv") == []
    finally:
        set_theme(sheet.page, "JupyterLab Light")


def test_who_wants_no_motion_gets_none(sheet: Sheet) -> None:
    sheet.page.emulate_media(reduced_motion="reduce")
    try:
        view = sheet.show(EVERYTHING)
        view.publish("twice?", lose=True)
        has(view.tape, ghosts=1)
        moving = "root => root.getAnimations({subtree: true}).length"
        assert view.root.evaluate(moving) == 0
    finally:
        sheet.page.emulate_media(reduced_motion="no-preference")


def test_what_came_over_the_stream_stays_text(sheet: Sheet) -> None:
    sheet.run(
        """
evil = "<img src=x onerror='window.pwned=1'><script>window.pwned=2</script>"
hub = await lab.host(session)
stream = WorkflowStreamClient.create(session.client, hub.id)
stream._publisher.publisher_id = evil
await publish(evil, evil, {evil: evil})
ann = stream.subscribe(evil)
"""
    )
    view = sheet.show("lab.view(stream, *ALL, **{evil: ann})")
    view.shows(end=2, fetched=2)
    view.click_item(0)
    has(view.details(), found="true")
    expect(view.details()).to_contain_text("window.pwned=2")
    view.tape.hover(position={"x": 30, "y": 60})
    view.press("Tape", "Table")
    view.panel("Readers").get_by_role("button", name="Read 1").click()
    view.said("Readers", "ok", "<img src=x")
    view.publish("<b>", topic="<img src=y onerror='window.pwned=3'>", lose=True)
    view.shows(end=3)
    view.panel("Publishers").get_by_role("button", name=re.compile("duplicate")).click()
    has(view.details(), kind="batch")
    assert view.root.locator("img, script, b:not(:empty) b").count() == 0
    assert sheet.page.evaluate("() => window.pwned") is None

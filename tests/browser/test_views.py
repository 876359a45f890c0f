"""Live views in a real JupyterLab: what a learner sees and does, and what must not happen.

Each test shows a view of its own; what it looks at are roles and `data-*`, never pixels.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from streamlib.lab.machine import processes
from tests.browser import views
from tests.browser.jupyter import (
    Jupyter,
    begin,
    ended,
    result,
    save,
    set_theme,
    show_notebook,
)
from tests.browser.views import EVERYTHING, Memory, Sheet, View, has, until

pytestmark = [pytest.mark.browser, pytest.mark.server]

GROW = """
from bench.grown import GrownHub, GrownInput

async def grow(name, **given):
    await session.client.start_workflow(
        GrownHub.run, GrownInput(**given), id=name, task_queue="grown")

await grow("long", items=100_000)
await grow("rolled", items=100)
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
def first(lab: Jupyter, browser: Browser) -> Sheet:
    """A notebook of our own, with something below that one can scroll to."""
    return views.open_sheet(browser, lab, "views.ipynb", "'nothing'\n" * 80)


@pytest.fixture(scope="module")
def course(lab: Jupyter, browser: Browser, first: Sheet) -> Sheet:
    """The course's notebook in another page; it runs while others are tested."""
    sheet = views.open_page(browser)
    views.begin_the_course(sheet, lab)
    return sheet


@pytest.fixture(scope="module")
def opened(first: Sheet, course: Sheet) -> Iterator[Sheet]:
    """Our notebook; long streams begin to grow already."""
    with grown_worker(first.run("print(session.server.address)")):
        first.run(GROW)
        yield first


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
    assert re.fullmatch(r"stream \([0-9a-f]{16}\)", view.detail("publisher"))
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
    expect(left_behind).to_have_text(["ann would miss 6", "bob would miss 2"])
    view.shows(base=0)  # nothing is done yet
    cut.click()
    view.said("Playground", "ok", "truncated")
    view.shows(base=6, end=10, fetched=4)
    has(view.reader("ann"), position=0, below=6, lag=4)
    expect(cut).to_be_disabled()


def test_it_keeps_so_many_by_itself(view: View) -> None:
    """As many as was typed, also if there are fewer; and it can be taken back."""
    form = view.form("Truncate")
    keep, always = form.get_by_label("keep last"), form.get_by_role("button", name="Always")
    keep.fill("50")
    always.click()
    view.said("Playground", "ok", "from now on it keeps the last 50 items")
    keeps = form.locator("[data-keeps]")
    expect(keeps).to_have_text("It keeps at most 50 items.")
    view.shows(base=0, end=10)
    keep.fill("3")
    has(form.locator("[data-goes]"), goes=7, up_to=7)
    always.click()
    expect(keeps).to_have_text("It keeps at most 3 items.")
    view.shows(base=7, end=10)
    expect(keep).to_have_value("3")
    view.publish("more", times=2)
    view.shows(base=9, end=12)
    keep.fill("0")
    expect(always).to_be_disabled()  # to truncate all that is there is another button
    form.get_by_role("button", name="Keep everything").click()
    view.said("Playground", "ok", "it keeps everything")
    expect(keeps).to_have_count(0)
    view.publish("and more", times=2)
    view.shows(base=9, end=14)


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
    lanes = [view.reader(name).locator(".sv-lane").bounding_box() for name in ("ann", "view 1")]
    assert lanes[0] is not None
    assert lanes[1] is not None
    assert (lanes[0]["x"], lanes[0]["width"]) == (lanes[1]["x"], lanes[1]["width"])
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


def test_the_tape_is_moved_by_the_mouse(sheet: Sheet, view: View) -> None:
    sheet.run("await publish('many', *range(300))")
    view.shows(end=310, fetched=310, follow="true")
    expect(view.tape).to_have_attribute("data-last", "309")
    view.tape.scroll_into_view_if_needed()
    box = view.tape.bounding_box()
    assert box is not None
    x, y, mouse = box["x"] + 300, box["y"] + 60, sheet.page.mouse
    scale = view.scale()
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 10 * scale, y, steps=5)
    mouse.up()
    view.shows(follow="false")
    expect(view.tape).not_to_have_attribute("data-last", "309")
    assert view.data("selected") == ""  # a drag is no click

    before = int(view.tape.get_attribute("data-first") or 0)
    sheet.page.keyboard.down("Shift")
    mouse.wheel(0, -20 * scale)
    until(sheet.page, lambda: int(view.tape.get_attribute("data-first") or 0) < before)
    sheet.page.keyboard.up("Shift")
    sheet.page.keyboard.down("Control")
    mouse.wheel(0, 60)
    until(sheet.page, lambda: view.scale() < scale)
    sheet.page.keyboard.up("Control")

    strip = view.panel("Tape").locator("canvas").last
    strip.click(position={"x": 2, "y": 14})
    expect(view.tape).to_have_attribute("data-first", "0")
    view.press("Tape", "Fit")
    expect(view.tape).to_have_attribute("data-last", "309")
    expect(view.tape).to_have_attribute("data-first", "0")


def saves(sheet: Sheet, place: Locator) -> bool:
    """Whether the page's own Ctrl+S, pressed in a view, has saved the notebook.

    JupyterLab passes a press over while it still makes the last save's checkpoint: so it is pressed
    until it is heard.
    """
    place.press("Control+s")
    dirty: bool = sheet.page.evaluate("() => jupyterapp.shell.currentWidget.context.model.dirty")
    return not dirty


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
    for place in (view.tape, view.form("Publish").get_by_label("text")):
        sheet.page.evaluate("() => { jupyterapp.shell.currentWidget.context.model.dirty = true; }")
        until(sheet.page, lambda place=place: saves(sheet, place))
    view.shows(state="live", end=10)


# ---------------------------------------------------------------- looks


def test_both_themes_can_be_read_by_everybody(sheet: Sheet, view: View) -> None:
    view.click_item(4)
    view.press("Tape", "Table")
    sheet.run("await hub.execute_update('truncate', 4)")
    view.publish("twice?", lose=True)
    view.said("Playground", "ok")
    try:
        for theme in ("light", "dark"):
            set_theme(sheet.page, f"JupyterLab {theme.capitalize()}")
            view.shows(theme=theme)
            assert views.violations(view) == []
    finally:
        set_theme(sheet.page, "JupyterLab Light")


def test_who_wants_no_motion_gets_none(sheet: Sheet) -> None:
    def frames_of_a_fall() -> int:
        view = sheet.show(EVERYTHING)
        before = sheet.drawn()
        view.publish("twice?", lose=True)
        has(view.tape, ghosts=1)
        sheet.page.wait_for_timeout(800)  # it falls for 700 ms
        moving = "root => root.getAnimations({subtree: true}).length"
        assert view.root.evaluate(moving) == 0
        return sheet.drawn() - before

    sheet.page.emulate_media(reduced_motion="reduce")
    try:
        assert frames_of_a_fall() < 15
    finally:
        sheet.page.emulate_media(reduced_motion="no-preference")
    assert frames_of_a_fall() > 20


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


# ---------------------------------------------------------------- values, words, sizes


def test_values_are_in_sight(sheet: Sheet, view: View) -> None:
    """In the table, under the pointer, and as the text that a stream of tokens makes."""
    view.press("Tape", "Table")
    table = view.panel("Tape").get_by_role("table", name="Items")
    expect(table.locator("[data-offset='3'] td").nth(1)).to_have_text('{"kind": "a fourth"}')
    expect(table.locator("[data-offset='5'] td").nth(1)).to_have_text("snow")
    view.press("Tape", "Table")
    sheet.run("await publish('delta', *'In the sea lives a whale. '.split(' '))")
    view.shows(end=17)
    view.tape.hover(position={"x": 24 + view.scale() * 4, "y": 55})
    expect(view.panel("Tape").locator(".sv-hover")).to_have_text(
        re.compile("^offset 4, weather, .*, publisher stream #2: rain$")
    )
    view.press("Tape", "Text")
    text = view.panel("Tape").get_by_role("group", name="Text of the items in view")
    expect(text.locator("p").last).to_contain_text("Inthesealivesawhale.")


def test_the_table_shows_where_one_goes(sheet: Sheet, view: View) -> None:
    sheet.run("await publish('many', *range(300))")
    view.shows(end=310, fetched=310)
    view.press("Tape", "Table")
    goto = view.panel("Tape").get_by_role("spinbutton", name="Go to offset")
    goto.fill("42")
    goto.press("Enter")
    row = view.panel("Tape").locator("tr[data-offset='42']")
    expect(row).to_have_attribute("data-selected", "true")
    until(
        sheet.page,
        lambda: row.evaluate(
            """row => {
              const box = row.closest('.sv-scroll').getBoundingClientRect();
              const own = row.getBoundingClientRect();
              return own.top >= box.top && own.bottom <= box.bottom;
            }"""
        ),
    )


def test_three_hundred_topics_can_all_be_seen_and_told_apart(sheet: Sheet) -> None:
    sheet.run(
        """
hub = await lab.host(session)
stream = WorkflowStreamClient.create(session.client, hub.id)
for name in ["news", "news\u200b", "\u202enews", *map(str, range(297))]:
    stream.topic(name).publish(1)
await stream.flush()
"""
    )
    view = sheet.show('lab.view(stream, "tape")')
    view.shows(end=300, fetched=300)
    chips = view.panel("Tape").get_by_role("group", name="Topics shown").get_by_role("button")
    expect(chips).to_have_count(13)
    expect(chips.nth(0)).to_contain_text("news")
    expect(chips.nth(1)).to_contain_text("news⟨U+200B⟩")
    expect(chips.nth(2)).to_contain_text("⟨U+202E⟩news")
    chips.last.click()
    expect(chips).to_have_count(301)
    expect(chips.last).to_have_text("fewer")


def test_the_base_is_dragged_on_the_tape(sheet: Sheet) -> None:
    """Without a playground: what would go, and whom it strands, is said below the tape."""
    view = sheet.show("await fresh()\nlab.view(stream, 'tape', 'readers')")
    view.shows(end=10, fetched=10)
    expect(view.tape).to_have_attribute("data-edge", "0")
    view.tape.scroll_into_view_if_needed()
    box = view.tape.bounding_box()
    assert box is not None
    mouse, scale, y = sheet.page.mouse, view.scale(), box["y"] + 55
    mouse.move(box["x"] + 12, y)
    mouse.down()
    mouse.move(box["x"] + 12 + 6 * scale, y, steps=6)
    mouse.up()
    form = view.form("Truncate")
    has(form.locator("[data-goes]"), goes=6, up_to=6)
    left_behind = form.get_by_role("list", name="Readers left behind").get_by_role("listitem")
    expect(left_behind).to_have_text(["ann would miss 6", "bob would miss 2"])
    view.shows(base=0)
    view.tape.press("Escape")
    expect(form).to_have_count(0)
    mouse.move(box["x"] + 12, y)
    mouse.down()
    mouse.move(box["x"] + 12 + 6 * scale, y, steps=6)
    mouse.up()
    form.get_by_role("button", name="Truncate").click()
    view.shows(base=6, end=10, fetched=4)
    view.said("Tape", "ok", "truncated")
    has(view.reader("bob"), lag=4, unread=1, below=4)


def test_what_was_done_is_kept_with_its_time_and_goes_with_the_stream(view: View) -> None:
    view.publish("one")
    view.said("Playground", "ok", "1 item stored")
    view.publish("two", times=20_000)
    view.said("Playground", "error", "count may be 10,000 at most; you asked for 20,000")
    lines = view.panel("Playground").locator(".sv-say")
    expect(lines).to_have_count(2)
    expect(lines.last).to_have_text(re.compile(r"^\d\d:\d\d:\d\d publish 1 to demo 1 item stored$"))
    view.read_one("ann")
    view.said("Readers", "ok", "offset 0")
    view.reset()
    expect(lines).to_have_text([re.compile("reset a fresh stream")])
    expect(view.panel("Readers").locator(".sv-say")).to_have_count(0)


def test_one_reads_several_all_and_at_a_pace(view: View) -> None:
    view.panel("Readers").get_by_label("Items to read at a press").fill("3")
    view.reader("ann").get_by_role("button", name="Read 3").click()
    view.said("Readers", "ok", "3 items, offsets 0 to 2")
    has(view.reader("ann"), position=3, held=7, lag=7)
    view.reader("ann").get_by_role("button", name="Read all").click()
    view.said("Readers", "ok", "7 items, offsets 3 to 9")
    view.form("Publish").get_by_role("button", name="1 a second").click()
    view.shows_that("+d.end >= 12")
    view.reader("ann").get_by_role("button", name="2/s").click()
    has(view.reader("ann"), pace=2)
    view.form("Publish").get_by_role("button", name="Stop (1/s)").click()
    view.said("Playground", "ok", "stopped publishing")
    end = view.number("end")
    has(view.reader("ann"), lag=0)
    view.reader("ann").get_by_role("button", name="Stop (2/s)").click()
    view.said("Readers", "ok", "stopped reading")
    view.shows(end=end)


def test_everything_drawn_is_explained_and_kill_asks_first(view: View, course: Sheet) -> None:
    view.root.get_by_role("button", name="Legend").click()
    legend = view.root.locator(".sv-legend")
    for word in ("batch", "seam", "truncated", "open edge", "duplicates", "continue as new"):
        expect(legend).to_contain_text(word)
    view.panel("Publishers").get_by_role("button", name="What is “sequence”?").click()
    expect(view.panel("Publishers")).to_contain_text("A publisher counts its batches")
    view.panel("Publishers").get_by_role("button", name="What is “refused”?").click()
    expect(view.panel("Publishers")).to_contain_text("Batches that are not valid")
    expect(view.panel("Publishers").locator("tr[data-called='stream']")).to_have_count(1)
    server = view.part("server")
    server.get_by_role("button", name="Kill").click()
    expect(server).to_contain_text("Every notebook on this server stops. Kill it?")
    server.get_by_role("button", name="No", exact=True).click()
    has(server, state="runs")
    expect(server.get_by_role("button", name="Kill")).to_have_count(1)


def test_it_can_be_narrow_large_and_in_forced_colours(
    sheet: Sheet, view: View, artefacts: Path
) -> None:
    sheet.run("await hub.execute_update('truncate', 4)")
    view.shows(base=4)
    cells = view.root.evaluate_handle("root => root.parentNode")
    for width in (812, 640, 440):
        cells.evaluate("(node, width) => { node.style.width = `${width}px`; }", width)
        view.is_painted()
        assert views.cut_off(view) == [], width
        lane = view.reader("ann").locator(".sv-lane").bounding_box()
        assert lane is not None
        assert lane["width"] > 200, width
        view.root.screenshot(path=artefacts / f"view-{width}.png")
    cells.evaluate("node => { node.style.width = ''; }")
    height = view.root.bounding_box()
    view.root.get_by_role("button", name="Large").click()
    view.shows(large="true")
    large = view.root.bounding_box()
    assert height is not None
    assert large is not None
    assert large["height"] > 1.4 * height["height"]
    view.is_painted()
    assert views.cut_off(view) == []
    view.click_item_at(6)
    view.root.get_by_role("button", name="Large").click()
    sheet.page.emulate_media(forced_colors="active")
    try:
        view.is_painted()
        invisible = view.root.evaluate(
            """root => {
              const drawn = ['.sv-lag', '.sv-meter i', '.sv-meter u', '.sv-dot', '.sv-mark'];
              const behind = getComputedStyle(root).backgroundColor;
              return drawn.filter((name) => {
                const style = getComputedStyle(root.querySelector(name));
                const own = [style.backgroundColor, style.color, style.borderTopColor];
                return !own.some((color) => color !== behind && !/^rgba.*, 0\\)$/.test(color));
              });
            }"""
        )
        assert invisible == []
        drawn = view.tape.locator("canvas").evaluate(
            """canvas => {
              const ctx = canvas.getContext('2d');
              const {data} = ctx.getImageData(0, 0, canvas.width, canvas.height / 4);
              let ink = 0;
              for (let at = 3; at < data.length; at += 4) ink += data[at] > 100;
              return ink;
            }"""
        )
        assert drawn > 100  # the ruler
        view.root.screenshot(path=artefacts / "view-forced-colours.png")
    finally:
        sheet.page.emulate_media(forced_colors="none")


def test_a_view_not_seen_yet_has_its_height_already(sheet: Sheet) -> None:
    view = View(sheet.cell.locator(".sv"))
    sheet.begin_to_show("await fresh()\nprint('\\n' * 120)\n" + "lab.view(stream, *ALL)")
    view.root.wait_for()
    view.shows(state="live", end=10)
    expect(view.root).not_to_be_in_viewport()
    before = view.root.bounding_box()
    view.is_painted()
    after = view.root.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["height"] - before["height"]) < 60
    assert before["height"] > 600


def test_without_a_stream_nothing_is_drawn_and_nothing_is_sent(sheet: Sheet) -> None:
    sheet.run("await session.client.start_workflow('Nobody', id='nobody', task_queue='nobody')")
    view = sheet.show('lab.view("nobody", "tape", "readers", "playground")')
    view.form("Open a reader").get_by_role("button", name="Open").click()
    expect(view.reader("view 1").locator(".sv-num")).to_have_text("–")  # not: nothing is left
    expect(view.panel("Tape")).to_contain_text("Nothing to draw yet")
    expect(view.tape).to_be_hidden()
    view.publish("into the void")
    view.said("Playground", "error", "nothing was sent")


# ---------------------------------------------------------------- the notebook around it


def test_after_a_reload_of_the_page_all_is_there_again(sheet: Sheet, view: View) -> None:
    sheet.run("await publish('many', *range(700)); await hub.execute_update('truncate', 3)")
    view.shows(base=3, end=710, fetched=707)
    save(sheet.page)
    again = views.reloaded(sheet, state="live", base=3, end=710, fetched=707)
    sheet.run("await publish('news', 'once more')")
    again.shows(end=711, fetched=708)


def test_the_picture_is_there_as_soon_as_the_page_has_the_view(sheet: Sheet) -> None:
    """Whatever becomes of the kernel then; and the clock that renews it has not yet ticked."""
    sheet.run("from streamlib.lab.widgets import stream_view; stream_view.TICK = 600")
    try:
        sheet.show("await fresh()\nlab.view(stream, 'tape')")
        picture = sheet.cell.locator(".sv-picture")
        expect(picture).to_contain_text("Base offset 0, end offset 10.")
        expect(picture).to_be_hidden()
    finally:
        sheet.run("stream_view.TICK = 0.5")


def test_out_of_sight_it_rests_and_back_in_sight_it_catches_up(sheet: Sheet) -> None:
    view = sheet.show(f"shown = {EVERYTHING}\nshown")
    view.shows(state="live", end=10)
    widget = sheet.run("print(shown.comm.comm_id)")
    sheet.scroll_to_the_end()
    expect(view.root).not_to_be_in_viewport()
    until(sheet.page, lambda: not sheet.run("print(shown._somebody(30, visible=True) or '')"))
    sheet.run("await asyncio.sleep(0.5)")  # what was under way may still arrive
    revision = view.data("rev")
    sheet.run("await publish('news', *range(20))")
    messages, frames = sheet.measure(widget, 3.0)
    assert (view.data("rev"), frames) == (revision, 0)
    assert messages <= 1.5
    view.root.scroll_into_view_if_needed()
    view.shows(end=30, fetched=30)
    view.is_painted()


def test_while_nothing_happens_next_to_nothing_is_sent_or_drawn(sheet: Sheet) -> None:
    view = sheet.show(f"shown = {EVERYTHING}\nshown")
    view.shows(state="live", end=10, fetched=10)
    assert sheet.drawn() > 0
    messages, frames = sheet.measure(sheet.run("print(shown.comm.comm_id)"), 5.0)
    assert frames == 0
    assert 0.5 <= messages <= 1.5


def test_a_click_is_answered_while_a_cell_awaits(sheet: Sheet, view: View) -> None:
    views.answers_while_a_cell_awaits(sheet, view, at_once=True)


def test_a_cell_that_blocks_is_said_and_it_recovers(sheet: Sheet, view: View) -> None:
    views.says_that_a_cell_is_busy(sheet, view)


def test_a_kernel_that_was_silent_and_is_back_is_asked_again_for_what_is_missing(
    sheet: Sheet,
) -> None:
    view = sheet.show(f"shown = {EVERYTHING}\nshown")
    view.shows(state="live", end=10, fetched=10)
    kernel = int(sheet.run("import os, signal; print(os.getpid())"))
    told = "shown.frame['stream']['end'] == 710"
    begin(
        sheet.page,
        f"await publish('many', *range(700))\nwhile not {told}: await asyncio.sleep(0)\n"
        # A page asks now for what the frame did not hold, and nobody hears it.
        "time.sleep(0.5); os.kill(os.getpid(), signal.SIGSTOP)",
    )
    view.shows(state="gone", end=710)
    assert view.number("fetched") < 710
    os.kill(kernel, signal.SIGCONT)
    view.shows(state="live", end=710, fetched=710)


def test_a_restarted_kernel_is_said_and_the_cells_run_again(lab: Jupyter, browser: Browser) -> None:
    own = views.open_sheet(browser, lab, "restarted.ipynb")  # the others' kernel lives on
    view = own.show(EVERYTHING)
    view.shows(state="live", base=0, end=10, fetched=10)
    views.says_that_the_kernel_is_gone(own, view)
    own.page.close()


# ---------------------------------------------------------------- streams of every kind


def test_a_hundred_thousand_items_are_all_fetched(sheet: Sheet) -> None:
    view = sheet.show('lab.view("long", "tape", "cost")')
    view.shows(state="live", base=0, end=100_000)
    view.has_fetched_all()
    goto = view.panel("Tape").get_by_role("spinbutton", name="Go to offset")
    goto.fill("50000")
    goto.press("Enter")
    view.shows(selected=50_000)
    view.click_item(50_001)
    expect(view.details().locator("pre")).to_have_text("50001")


def test_five_times_rolled_over_it_is_one_log(sheet: Sheet) -> None:
    view = sheet.show(
        'stream = WorkflowStreamClient.create(session.client, "rolled")\n'
        + "lab.view(stream, *ALL)"
    )
    view.shows(state="live", base=0, end=100)
    sheet.run(
        """
hub = session.client.get_workflow_handle("rolled")
for number in range(5):
    await publish("news", *range(10))
    run = (await stream.describe()).run_id
    await hub.signal("roll")
    while (await stream.describe()).run_id == run:
        await asyncio.sleep(0.02)
await publish("news", "the last")
"""
    )
    view.shows(state="live", base=0, end=151, fetched=151)
    expect(view.panel("Cost of this run")).to_contain_text("run 6,")
    view.click_item(149)
    has(view.details(), found="true")
    view.is_painted()
    again = sheet.show('lab.view("rolled", "tape", "cost")')
    again.shows(base=0, end=151, fetched=151)
    expect(again.panel("Cost of this run")).to_contain_text("run 6,")


def test_a_closed_stream_stays_to_be_looked_at(sheet: Sheet, view: View) -> None:
    sheet.run("await hub.signal(HubWorkflow.close)")
    view.shows(state="closed", end=10)
    expect(view.root).to_contain_text("closed COMPLETED")
    expect(view.form("Publish").get_by_role("button", name="Publish")).to_be_disabled()
    again = sheet.show("lab.view(stream, *ALL)")
    again.shows(state="closed", base=0, end=10, fetched=10)
    again.click_item(9)
    expect(again.details().locator("pre")).to_have_text("9")


def test_two_views_of_one_stream_both_follow(sheet: Sheet) -> None:
    one = sheet.show(
        "await fresh()\ndisplay(lab.view(stream, 'tape'))\nlab.view(stream, 'playground')"
    )
    other = sheet.shown(1)
    other.publish("both")
    one.shows(end=11, fetched=11)
    other.shows(end=11, fetched=11)
    sheet.run("await hub.execute_update('truncate', 2)")
    one.shows(base=2)
    other.shows(base=2)


# ---------------------------------------------------------------- the course


def test_every_view_of_the_course_s_notebook_is_there(course: Sheet) -> None:
    views.has_run_the_course(course)


def test_the_course_s_playground(course: Sheet) -> None:
    views.plays(course)


def test_a_notebook_that_nobody_trusts_keeps_legible_pictures(
    course: Sheet, browser: Browser, lab: Jupyter
) -> None:
    """As somebody else's: JupyterLab takes styles and drawings away from what it shows."""
    views.wait_for_the_course(course)
    course.page.wait_for_timeout(3000)  # a picture is two seconds old at most
    save(course.page)
    saved = json.loads((lab.notebooks / f"{views.COURSE}.ipynb").read_text())
    for cell in saved["cells"]:
        cell["source"] = f"{''.join(cell['source'])}\n"
    (lab.notebooks / "foreign.ipynb").write_text(json.dumps(saved))
    foreign = views.open_page(browser)
    show_notebook(foreign.page, lab, "foreign.ipynb")
    pictures = foreign.page.locator(".jp-Notebook .sv-picture")
    expect(pictures).to_have_count(course.page.locator(".jp-Notebook .sv").count())
    cells = pictures.nth(1).locator("table").first.locator("tr").nth(1).locator("td")
    expect(cells).to_have_text([*"××××××EOEO", "‖"])
    assert foreign.seen.foreign == []
    foreign.page.context.close()


TO_HTML = ["--HTMLExporter.mathjax_url=", "--HTMLExporter.require_js_url="]
"""Without these nbconvert itself names other hosts."""


TO_SLIDES = [
    *TO_HTML,
    *("--SlidesExporter.jquery_url=", "--SlidesExporter.font_awesome_url="),
    "--SlidesExporter.reveal_url_prefix=reveal.js",
]
"""Slides ask for more: reveal.js is then one's own, beside the file."""

MERMAID = re.compile(r"^https://[^?]*/mermaid\.esm\.min\.mjs$")
"""What slides of nbconvert always import, whatever they show; no option says otherwise."""


def test_without_a_kernel_its_pictures_are_there(
    course: Sheet, browser: Browser, lab: Jupyter
) -> None:
    """Exported as it was saved: the pictures show what the live views show."""
    views.has_run_the_course(course)  # each was in sight, and so shows its end
    roots = course.page.locator(".jp-Notebook .sv")
    expected = [View(roots.nth(number)) for number in range(roots.count())]
    course.page.wait_for_timeout(3000)  # a picture is two seconds old at most
    save(course.page)
    plain = exported(browser, lab, "--to", "html", *TO_HTML)
    pictures = plain.page.get_by_role("img", name=re.compile("^A log from offset"))
    expect(pictures).to_have_count(len(expected))
    for picture, view in zip(pictures.all(), expected, strict=True):
        expect(picture).to_be_visible()
        expect(picture).to_have_attribute(
            "aria-label",
            re.compile(f"^A log from offset {view.data('base')} to {view.data('end')}"),
        )
        expect(picture.locator("xpath=..").get_by_role("table")).not_to_have_count(0)
        assert same_letters(view, picture)
    plain.is_clean()
    plain.page.context.close()


def same_letters(view: View, picture: Locator) -> bool:
    """Whether the picture has the live view's topics, with their letters and colours."""
    chips = view.panel("Tape").locator("[data-topic] .sv-badge")
    live = chips.evaluate_all("all => all.map((e) => [e.textContent, e.style.backgroundColor])")
    cells = picture.locator("tr").nth(1).locator("td[style*=background]")
    shown = cells.evaluate_all("all => all.map((e) => [e.textContent, e.style.backgroundColor])")
    return all(cell in live for cell in shown if cell[0] != "×")


def exported(browser: Browser, lab: Jupyter, *options: str) -> Sheet:
    """The course's notebook, converted, in a page."""
    convert = [sys.executable, "-m", "nbconvert", *options, "--output", "exported"]
    subprocess.run(
        [*convert, f"{views.COURSE}.ipynb"],
        cwd=lab.notebooks,
        env={**lab.environment, "JPY_SESSION_NAME": "exported"},
        check=True,
        capture_output=True,
    )
    plain = views.open_page(browser)
    (found,) = lab.notebooks.glob("exported*.html")
    plain.page.set_content(found.read_text(), wait_until="networkidle")  # all that it asks for
    found.unlink()
    return plain


@pytest.mark.parametrize("to", ["html", pytest.param("slides", marks=pytest.mark.soak)])
def test_executed_and_exported_its_pictures_show_how_each_stream_ended(
    to: str, course: Sheet, browser: Browser, lab: Jupyter
) -> None:
    """As the README says it: without the widgets' state no script of another host is asked for."""
    views.wait_for_the_course(course)
    keep_no_state = "--ExecutePreprocessor.store_widget_state=False"
    here = TO_HTML if to == "html" else TO_SLIDES
    plain = exported(browser, lab, "--to", to, "--execute", keep_no_state, *here)
    pictures = plain.page.locator(".sv-picture [role=img]")
    says = pictures.evaluate_all("all => all.map((each) => each.getAttribute('aria-label'))")
    assert len(says) == course.page.locator(".jp-Notebook .sv").count()
    assert "A log from offset 6 to 10. 0–5 truncated." in says  # it was displayed before that
    asked = [url for url in plain.seen.foreign if to == "html" or not MERMAID.match(url)]
    assert asked == []
    if to == "html":
        plain.is_clean()
        code = "() => getComputedStyle(document.querySelector('.highlight .n')).fontFamily"
        assert "mono" in plain.page.evaluate(code)  # no style of ours reaches the code
    plain.page.context.close()


# ---------------------------------------------------------------- trouble: last, the worker ends


@pytest.fixture
def worker(view: View, course: Sheet) -> Locator:
    """The worker's row; nobody else needs the worker, or starts it again."""
    views.wait_for_the_course(course)
    return view.part("worker")


def test_a_worker_killed_and_restarted_from_the_view(
    sheet: Sheet, view: View, worker: Locator
) -> None:
    has(worker, state="runs", kind="worker")
    worker.get_by_role("button", name="Kill").click()
    has(worker, state="dead")
    says_trouble_and_waits(sheet, view)
    assert views.violations(view) == []
    worker.get_by_role("button", name="Restart").click()
    has(worker, state="runs")
    recovers(view)


def test_a_worker_paused_and_resumed_from_the_view(
    sheet: Sheet, view: View, worker: Locator
) -> None:
    worker.get_by_role("button", name="Pause").click()
    has(worker, state="paused")
    says_trouble_and_waits(sheet, view)
    worker.get_by_role("button", name="Resume").click()
    has(worker, state="runs")
    recovers(view)


def says_trouble_and_waits(sheet: Sheet, view: View) -> None:
    """What is published is stored, seen to wait, and blocks nothing."""
    view.shows(state="stale")
    expect(view.root).to_contain_text(re.compile(r"no answer for \d+ s"))
    expect(view.root).to_contain_text("waits in the history")
    sheet.run("await publish('news', 'waits', 'too')", seconds=5)
    has(view.tape, waiting=2)
    has(view.panel("Background").locator("[data-waiting]"), waiting=1)
    assert sheet.run("print(6 * 7)", seconds=3) == "42"
    view.shows(end=10, fetched=10)


def recovers(view: View) -> None:
    view.shows_that("d.state === 'live' && d.end === '12' && d.fetched === '12'", seconds=40)
    has(view.tape, waiting=0)


# ---------------------------------------------------------------- for long


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_minute_of_a_busy_stream(sheet: Sheet, view: View) -> None:
    sheet.run("await hub.execute_update('truncate', 10)")
    memory = Memory(sheet.page)
    elements, heap = memory.now()
    begin(
        sheet.page,
        """
for round in range(300):
    await publish("news", *range(20))
    if round % 50 == 49:
        await hub.execute_update("truncate", await stream.get_offset() - 500)
    await asyncio.sleep(0.2)
""",
    )
    while not ended(sheet.page):
        view.shows_that("['live', 'busy'].includes(d.state)", seconds=5)
        sheet.page.wait_for_timeout(1000)
    result(sheet.page)
    view.shows(state="live", end=10 + 300 * 20)
    view.has_fetched_all()
    elements_after, heap_after = memory.now()
    assert elements_after - elements < 500
    assert heap_after - heap < 20_000_000

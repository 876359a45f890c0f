"""Live views as a test meets them: a notebook with one cell that shows whatever a test asks for.

Sheet   the notebook: `show(code)` runs code in its cell, and returns the view that appears
View    one view on a page: what it says of itself, in roles and `data-*`, and its buttons
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    ViewportSize,
    WebSocket,
    expect,
    sync_playwright,
)

from tests.browser.jupyter import (
    CHROMIUM_FLAGS,
    KERNEL_IS_READY,
    Jupyter,
    Seen,
    begin,
    kexec,
    restart_kernel,
    result,
    run_command,
    save,
    show_notebook,
    wait_until_ready,
    write_notebook,
)
from tests.notebooks import running

COURSE = "04_truncate"

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"

VIEWPORT: ViewportSize = {"width": 1280, "height": 900}

SECONDS = 40.0
"""What a slow machine may take for anything that is not timed."""

expect.set_options(timeout=SECONDS * 1000)

PRELUDE = """
import asyncio, time
from streamlib import WorkflowStreamClient, lab
from streamlib.scenarios.hub import HubWorkflow

session = await lab.start(quiet=True)
ALL = "tape", "readers", "dedup", "cost", "background", "playground"

async def publish(topic, *values):
    for value in values:
        stream.topic(topic).publish(value)
    await stream.flush()

async def fresh():
    "Ten items in three batches: offsets 0 to 3, 4 to 6, 7 to 9."
    global hub, stream, ann, bob
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    await publish("news", 0, 1, 2, {"kind": "a fourth"})
    await publish("weather", "rain", "snow", "fog")
    await publish("sport", 7, 8, 9)
    ann = stream.subscribe()
    bob = stream.subscribe("weather", from_offset=2, on_truncated="raise")
    return stream
"""

EVERYTHING = "lab.view(await fresh(), *ALL, reset=fresh)"

WATCH_FRAMES = """
window.drawn = 0;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (then) => {
  if (/blob:/.test(new Error().stack)) window.drawn++;  // a widget's module comes from a blob
  return ask(then);
};
"""


@dataclass
class Heard:
    """What went over the page's socket to its kernels."""

    messages: list[bytes] = field(default_factory=list[bytes])

    def watch(self, page: Page) -> None:
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        if "/channels" in socket.url:
            socket.on("framereceived", self._note)
            socket.on("framesent", self._note)

    def _note(self, content: str | bytes) -> None:
        self.messages.append(content if isinstance(content, bytes) else content.encode())

    def naming(self, text: str) -> int:
        """How many messages hold this text."""
        return sum(text.encode() in message for message in self.messages)


class View:
    """One view on a page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page = root.page
        self.tape = root.get_by_role("slider", name="Tape")

    def data(self, name: str) -> str:
        return self.root.get_attribute(f"data-{name}") or ""

    def number(self, name: str) -> int:
        return int(self.data(name))

    def scale(self) -> float:
        """The tape's pixels an item."""
        return float(self.tape.get_attribute("data-scale") or 0)

    def shows(self, **wanted: object) -> None:
        """Wait until the view says so of itself."""
        has(self.root, **wanted)

    def shows_that(self, condition: str, *, seconds: float = SECONDS) -> None:
        """Wait until a JavaScript condition holds on `d`, the view's data and numbers."""
        self.page.wait_for_function(
            f"root => {{ const d = root.dataset; return {condition}; }}",
            arg=self.root.element_handle(),
            timeout=seconds * 1000,
        )

    def is_painted(self) -> None:
        """Bring it into view, and wait until its newest picture is on the page."""
        is_there = "({dataset: d}) => d.painted !== undefined && d.painted === d.rev"

        def painted() -> bool:
            self.root.scroll_into_view_if_needed()  # what is above it may still grow
            return bool(self.root.evaluate(is_there))

        until(self.page, painted)

    def has_fetched_all(self) -> None:
        self.shows_that("+d.fetched === d.end - d.base")

    def panel(self, title: str) -> Locator:
        return self.root.get_by_role("region", name=title, exact=True)

    def press(self, panel: str, button: str) -> None:
        self.panel(panel).get_by_role("button", name=button, exact=True).click()

    def said(self, panel: str, kind: str, text: str | re.Pattern[str] = "") -> None:
        """Wait for what a button in this panel came to: "ok", "error", or "wait" before that."""
        line = self.panel(panel).locator(".sv-say").first  # the newest
        has(line, kind=kind)
        assert line.get_attribute("role") == ("alert" if kind == "error" else "status")
        if text:
            expect(line).to_contain_text(text)

    def reader(self, name: str) -> Locator:
        rows = self.panel("Readers").get_by_role("listitem")
        return rows.and_(self.root.locator(f"[data-name={json.dumps(name)}]"))

    def read_one(self, name: str) -> None:
        self.reader(name).get_by_role("button", name="Read 1").click()

    def part(self, name: str) -> Locator:
        rows = self.panel("Background").get_by_role("listitem")
        return rows.and_(self.root.locator(f"[data-part={json.dumps(name)}]"))

    def form(self, name: str) -> Locator:
        return self.root.get_by_role("form", name=name, exact=True)

    def reset(self) -> None:
        """Begin with ten items again, and wait for them."""
        epoch = self.number("epoch")
        self.press("Playground", "Reset")
        self.shows(epoch=epoch + 1, state="live", base=0, end=10)
        expect(self.reader("bob")).to_have_count(1)

    def publish(
        self, text: str, *, topic: str = "demo", times: int = 1, lose: bool = False
    ) -> None:
        form = self.form("Publish")
        form.get_by_label("topic").fill(topic)
        form.get_by_label("text").fill(text)
        form.get_by_label("times").fill(str(times))
        form.get_by_label("lose the acknowledgement").set_checked(lose)
        form.get_by_role("button", name="Publish").click()

    def click_item(self, offset: int) -> None:
        """Click the tape's cell of this offset; where cells are is learned from a first click."""
        self.tape.press("Escape")  # what was selected before tells nothing
        expect(self.root).not_to_have_attribute("data-selected", re.compile(".*"))
        self.tape.scroll_into_view_if_needed()
        middle = int(self.tape.get_attribute("data-cell") or 0) + 17
        x = 110.0 if self.number("base") else 24.0  # right of the stub for what is gone
        self.tape.click(position={"x": x, "y": middle})
        expect(self.root).to_have_attribute("data-selected", re.compile(r"^\d+$"))
        x += (offset - self.number("selected")) * self.scale()
        self.tape.click(position={"x": x, "y": middle})
        self.shows(selected=offset)

    def click_item_at(self, offset: int) -> None:
        """Click the tape's cell of this offset where the page shows it, whatever its zoom."""
        box = self.tape.bounding_box()
        assert box is not None
        zoom = box["width"] / float(self.tape.evaluate("track => track.offsetWidth"))
        place = 92 + (offset + 0.5 - self.number("base")) * self.scale()
        row = int(self.tape.get_attribute("data-cell") or 0) + 17
        self.page.mouse.click(box["x"] + place * zoom, box["y"] + row * zoom)
        self.shows(selected=offset)

    def details(self) -> Locator:
        return self.root.get_by_role("region", name="Details")

    def detail(self, label: str) -> str:
        row = (
            self.details().locator("dl > div").filter(has=self.page.get_by_text(label, exact=True))
        )
        return row.locator("dd").inner_text()


@dataclass
class Sheet:
    """An open notebook, whose first cell is `PRELUDE` and whose second shows what a test wants."""

    page: Page
    seen: Seen
    heard: Heard

    def show(self, code: str) -> View:
        """Run code in the notebook's second cell, whose last line is a view."""
        before = self.cell.locator(".sv").element_handles()
        self.begin_to_show(code)
        for each in before:
            each.wait_for_element_state("hidden")
        return self.shown()

    def begin_to_show(self, code: str) -> None:
        """Run code in the notebook's second cell, and wait for nothing."""
        self.page.evaluate(
            """code => {
              const {content} = jupyterapp.shell.currentWidget;
              content.activeCellIndex = 1;
              content.widgets[1].model.sharedModel.setSource(code);
              jupyterapp.commands.execute('notebook:run-cell', {});
            }""",
            code,
        )

    @property
    def cell(self) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(1)

    def shown(self, number: int = 0) -> View:
        """A view in the second cell, once its first numbers are painted."""
        view = View(self.cell.locator(".sv").nth(number))
        view.root.wait_for(timeout=SECONDS * 1000)
        view.is_painted()
        return view

    def run(self, code: str, *, seconds: float = 30.0) -> str:
        """Run code in the kernel, in no cell."""
        return kexec(self.page, code, seconds=seconds)

    def scroll_to_the_end(self) -> None:
        panel = self.page.locator(".jp-WindowedPanel-outer")
        panel.evaluate("panel => { panel.scrollTop = panel.scrollHeight; }")

    def drawn(self) -> int:
        """How many animation frames widgets have asked for."""
        return int(self.page.evaluate("() => window.drawn"))

    def measure(self, widget: str, seconds: float) -> tuple[float, int]:
        """For some seconds: a widget's messages a second, and all widgets' animation frames."""
        heard, drawn = self.heard.naming(widget), self.drawn()
        self.page.wait_for_timeout(seconds * 1000)
        return (self.heard.naming(widget) - heard) / seconds, self.drawn() - drawn

    def cells(self) -> list[str]:
        """The execution counts of the notebook's cells."""
        return self.page.locator(".jp-Notebook .jp-InputPrompt").all_text_contents()

    def is_clean(self) -> None:
        """Nothing foreign was asked for, nothing went wrong; from now on anew."""
        foreign, errors = self.seen.foreign[:], self.seen.errors[:]
        self.seen.foreign.clear()
        self.seen.errors.clear()
        assert (foreign, errors) == ([], []), (foreign, errors)


class Memory:
    """What the page holds, after it has been made to forget what it can."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def now(self) -> tuple[float, float]:
        """DOM nodes; bytes of JavaScript's heap."""
        self._session.send("HeapProfiler.collectGarbage")
        told = self._session.send("Performance.getMetrics")["metrics"]
        by_name = {each["name"]: each["value"] for each in told}
        return by_name["Nodes"], by_name["JSHeapUsedSize"]


def open_sheet(browser: Browser, lab: Jupyter, name: str, *cells: str) -> Sheet:
    """Write a notebook, open it, and run its first cell's code."""
    write_notebook(lab.notebooks, name, [PRELUDE, "", *cells])
    sheet = open_page(browser)
    show_notebook(sheet.page, lab, name)
    kexec(sheet.page, PRELUDE, seconds=90)
    return sheet


@contextlib.contextmanager
def chromium_browser(path: str) -> Iterator[Browser]:
    """A Chromium without a window. While it runs, nothing else here may run an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def open_page(browser: Browser) -> Sheet:
    """A page that counts what a widget does; no notebook is open in it yet."""
    page = browser.new_context(viewport=VIEWPORT).new_page()
    sheet = Sheet(page, Seen(), Heard())
    sheet.seen.watch(page)
    sheet.heard.watch(page)
    page.add_init_script(WATCH_FRAMES)
    return sheet


# ---------------------------------------------------------------- what holds on every kernel


def begin_the_course(sheet: Sheet, lab: Jupyter) -> None:
    """Open the course's notebook about truncation, and run all of it."""
    show_notebook(sheet.page, lab, f"{COURSE}.ipynb")
    run_command(sheet.page, "notebook:run-all-cells")


def wait_for_the_course(sheet: Sheet) -> None:
    outputs = sheet.page.locator(".jp-Notebook .jp-OutputArea-output")
    outputs.get_by_text("all is well; left running").wait_for(timeout=60_000)


def has_run_the_course(sheet: Sheet) -> None:
    """All of it ran; every view is there, in its cell, and painted."""
    wait_for_the_course(sheet)
    expected = sum(source.count("lab.view(") for _, source in running.code_cells(COURSE))
    roots = sheet.page.locator(".jp-Notebook .sv")
    expect(roots).to_have_count(expected)
    for number in range(expected):
        view = View(roots.nth(number))
        view.is_painted()
        view.has_fetched_all()
        # The last cell ends every stream but the playground's, which is the last view.
        view.shows(state="closed" if number < expected - 1 else "live")
    for kind in ("error", "stderr"):
        named = f"[data-mime-type='application/vnd.jupyter.{kind}']"
        expect(sheet.page.locator(named)).to_have_count(0)
    sheet.is_clean()


def plays(sheet: Sheet) -> None:
    """The course's playground: a fresh stream, a cut, a lost acknowledgement, a reader."""
    view = View(sheet.page.locator(".jp-Notebook .sv").last)
    view.root.scroll_into_view_if_needed()
    view.reset()
    has_its_colours(view)
    has(view.reader("ann"), position=0, lag=10)
    form = view.form("Truncate")
    form.get_by_label("up to", exact=True).fill("5")
    has(form.locator("[data-goes]"), goes=5)
    form.get_by_role("button", name="Truncate").click()
    view.shows(base=5, end=10, fetched=5)
    view.publish("twice?", lose=True)
    view.said("Playground", "ok", "sent twice")
    has(view.tape, ghosts=1)
    view.shows(end=11)
    view.read_one("bob")
    view.said("Readers", "error", "raised: 2 to 4")
    view.read_one("ann")
    view.said("Readers", "ok", "offset 5")
    has(view.reader("ann"), position=6, missed=5)
    sheet.is_clean()


def has_its_colours(view: View) -> None:
    """What is drawn takes them from the page, once it is on the page."""
    dot = view.panel("Publishers").locator("tbody .sv-dot").first
    colour = "dot => getComputedStyle(dot).backgroundColor"
    assert re.fullmatch(r"rgb\(\d+, \d+, \d+\)", dot.evaluate(colour)), dot.evaluate(colour)


def answers_while_a_cell_awaits(sheet: Sheet, view: View, *, at_once: bool) -> None:
    """A click is carried out meanwhile; on ipykernel 6, which is patient, right after the cell."""
    begin(
        sheet.page,
        """
for _ in range(100 if AT_ONCE else 30):
    if (meanwhile := await stream.get_offset()) > 10:
        break
    await asyncio.sleep(0.1)
print(meanwhile)
""".replace("AT_ONCE", str(at_once)),
    )
    view.publish("meanwhile")
    assert result(sheet.page) == ("11" if at_once else "10")
    view.said("Playground", "ok", "1 item stored")
    view.shows(end=11, state="live")


def reloaded(sheet: Sheet, **wanted: object) -> View:
    """Reload the page, and wait until the first view there shows this.

    JupyterLab sends what a page says through a subshell of the kernel, and at times, after a
    reload, through one that it has deleted itself: then no widget there is heard, whoever's it is,
    and the page wants another reload.
    """
    lost = "UnknownSubshellError"
    for _ in range(8):
        before = sheet.heard.naming(lost)
        sheet.page.reload()
        wait_until_ready(sheet.page)
        view = sheet.shown()

        def is_so(view: View = view) -> bool:
            return all(view.data(name) == str(value) for name, value in wanted.items())

        until(sheet.page, lambda: is_so() or sheet.heard.naming(lost) > before)  # noqa: B023
        if is_so():
            return view
    raise AssertionError(f"after eight reloads it does not show {wanted}")


def says_that_a_cell_is_busy(sheet: Sheet, view: View) -> None:
    begin(sheet.page, "time.sleep(5)")
    view.shows(state="busy")
    view.publish("later")
    result(sheet.page)
    view.shows(state="live", end=11)
    view.said("Playground", "ok", "1 item stored")


def says_that_the_kernel_is_gone(sheet: Sheet, view: View) -> None:
    """And its buttons do nothing any more. The cells run again, and a new view lives."""
    restart_kernel(sheet.page)
    view.shows_that("d.state === 'gone'", seconds=6)
    commands = view.root.locator("button[data-action]")
    assert commands.count() > 5
    for each in commands.all():
        expect(each).to_be_disabled()
    view.shows(base=0, end=10)  # the last picture stays
    view.tape.press("End")
    view.tape.press("Enter")
    expect(view.details()).to_contain_text("The kernel is gone")  # and no "…" for ever
    assert violations(view) == []
    sheet.page.wait_for_function(KERNEL_IS_READY)
    leaves_a_picture(sheet)
    run_command(sheet.page, "notebook:run-all-cells")
    again = sheet.shown()
    again.shows(state="live", base=0, end=10, fetched=10)
    again.publish("still here")
    again.shows(end=11)
    # JupyterLab's own word for an output whose widget went with its kernel.
    left = [each for each in sheet.seen.errors if "widget model not found" not in each]
    sheet.seen.errors[:] = left
    sheet.is_clean()


def leaves_a_picture(sheet: Sheet) -> None:
    """The page is loaded again and the widget is nowhere: the picture of the stream is."""
    expect(sheet.cell.locator(".sv-picture")).to_be_hidden()
    save(sheet.page)
    sheet.page.reload()
    wait_until_ready(sheet.page)
    expect(sheet.cell.locator(".sv-picture")).to_be_visible()
    expect(sheet.cell.locator(".sv-picture")).to_contain_text("Base offset 0, end offset 10.")
    expect(sheet.cell.get_by_role("img", name="A log from offset 0 to 10")).to_be_visible()


# ---------------------------------------------------------------- small helpers


def has(locator: Locator, **wanted: object) -> None:
    """Wait until an element has these `data-*`; an underscore stands for a hyphen."""
    for name, value in wanted.items():
        expect(locator).to_have_attribute(f"data-{name.replace('_', '-')}", str(value))


def until(page: Page, holds: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Wait until something outside of the page holds; the page goes on meanwhile."""
    for _ in range(int(seconds * 20)):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {seconds} s")


def cut_off(view: View) -> list[str]:
    """Buttons and words that reach over the view's edge."""
    found: list[str] = view.root.evaluate(
        """root => {
          const edge = root.getBoundingClientRect().right + 1;
          const every = root.querySelectorAll('button, select, input, .sv-note, .sv-num, h3');
          const over = (each) => each.getBoundingClientRect().right > edge;
          return [...every].filter((each) => !each.closest('.sv-scroll, .sv-live') && over(each))
            .map((each) => each.outerHTML.slice(0, 90));
        }"""
    )
    return found


def violations(view: View) -> list[str]:
    """What axe finds serious or critical in a view, a line each.

    JupyterLab's body has no height and hides what overflows: axe would take nothing for visible.
    """
    page = view.page
    page.set_viewport_size({"width": 1280, "height": 3000})
    view.root.scroll_into_view_if_needed()
    expect(view.root).to_be_in_viewport(ratio=0.99)  # its frame aside
    if not page.evaluate("() => 'axe' in window"):
        page.add_style_tag(content="body { height: 100vh }")
        page.add_script_tag(path=AXE)
    told: dict[str, list[dict[str, Any]]] = page.evaluate("() => axe.run('.sv')")
    page.set_viewport_size(VIEWPORT)
    found = told["violations"]
    looked_at = [each for each in told["passes"] + found if each["id"] == "color-contrast"]
    assert sum(len(each["nodes"]) for each in looked_at) > 50
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:160]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]

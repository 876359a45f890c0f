"""`python -m bench.views`: how fast the live view is, in a real JupyterLab in headless Chromium.

    --quick      what the gates need, in about two minutes; times and rates with some slack
    --soak N     only watch a stream for N minutes, and how the browser's memory grows

Measures the table "How fast": what the browser gets, when it paints, and what it costs when nothing
happens. Prints figures beside targets and gates, writes them to `bench/results/views.json`; 1 if a
gate fails. What makes the page work is real: server, worker, kernel, Lab; nothing is replayed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import CDPSession, Page, WebSocket, sync_playwright

from bench.report import RESULTS, machine
from bench.rig import ROOT, private_home
from streamlib.lab.machine import processes, server, workers
from tests.browser.jupyter import CHROMIUM_FLAGS, jupyter, show_notebook, write_notebook

SLACK = 3.0
"""How much slower than its gate a quick run may be."""

NOTEBOOK = "views.ipynb"
CELL = 'lab.view(stream, "tape", "readers", "dedup", "cost")'
PRELUDE = """
import asyncio, json, threading, time
from streamlib import WorkflowStreamClient, lab
from bench.grown import GrownHub, GrownInput
session = await lab.start(quiet=True)

async def grown(items, **how):
    name = f"orders-{time.time_ns() % 10**8}"
    hub = await session.client.start_workflow(
        GrownHub.run, GrownInput(items, **how), id=name, task_queue="grown")
    stream = WorkflowStreamClient.create(session.client, hub.id)
    while await stream.get_offset() < items:
        await asyncio.sleep(0.05)
    return hub, stream

async def crowd(publishers):
    for begin in range(0, publishers, 100):
        every = [WorkflowStreamClient.create(session.client, hub.id) for _ in range(100)]
        for number, each in enumerate(every):
            each.topic("delta").publish(number)
        await asyncio.gather(*(each.flush() for each in every))

async def pour(rate, seconds, roll_every=0.0):
    begun, sent, rolls = time.monotonic(), 0, 0
    while (spent := time.monotonic() - begun) < seconds:
        for sent in range(sent, int(spent * rate)):
            topic.publish(sent)
        await stream.flush()
        if roll_every and spent > (rolls + 1) * roll_every:
            rolls += 1
            await hub.signal("roll")
        await asyncio.sleep(0.05)
    return sent
"""

# What the page notes by itself: when each revision was painted, and who asked for frames.
NOTES = """
window.__frames = 0;
{
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (back) => {
  if ((new Error().stack || '').includes('blob:')) window.__frames += 1;
  return ask(back);
};
}
"""
WATCH_PAINT = """() => {
  const root = document.querySelector('.sv');
  window.__painted = [];
  new MutationObserver(() => window.__painted.push([Date.now(), Number(root.dataset.end)]))
    .observe(root, {attributes: true, attributeFilter: ['data-painted']});
}"""
RENDER_AGAIN = """async () => {
  const before = document.querySelector('.sv'), begun = performance.now();
  jupyterapp.commands.execute('notebook:run-all-cells');
  for (;;) {
    await new Promise((next) => setTimeout(next, 2));
    const now = document.querySelector('.sv');
    if (now && now !== before && now.dataset.painted) return performance.now() - begun;
    if (performance.now() - begun > 20000) throw new Error('nothing was rendered');
  }
}"""
SCROLL = """async (seconds) => {
  const track = document.querySelector('.sv [role=slider]'), box = track.getBoundingClientRect();
  const gaps = [], begun = performance.now();
  let last = begun, way = -1;
  while (performance.now() - begun < seconds * 1000) {
    track.dispatchEvent(new WheelEvent('wheel', {deltaX: way * 90, deltaY: 0, bubbles: true,
      cancelable: true, clientX: box.x + box.width / 2, clientY: box.y + 20}));
    const now = await new Promise((next) => requestAnimationFrame(next));
    gaps.push(now - last); last = now;
    if (now - begun > seconds * 500) way = 1;
  }
  return gaps.slice(1);
}"""


@dataclass(frozen=True)
class Figure:
    """A line of the table. `gate` is the limit; `at_least`: from below."""

    label: str
    value: float
    unit: str
    target: str
    gate: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the gate holds."""
        return self.value >= self.gate if self.at_least else self.value <= self.gate

    def relaxed(self) -> Figure:
        """The same for a machine that is slow and does other things too: times and rates."""
        if self.unit == "ms":
            return replace(self, gate=self.gate * SLACK)
        return replace(self, gate=self.gate / SLACK) if self.unit == "frames/s" else self


@dataclass
class Traffic:
    """The messages that a page's kernel sent for widgets: when, and how many bytes."""

    arrived: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    def watch(self, page: Page) -> None:
        """Count what comes from now on."""
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        if "/channels" in socket.url:
            socket.on("framereceived", self._came)

    def _came(self, data: str | bytes) -> None:
        raw = data.encode() if isinstance(data, str) else data
        if b'"comm_id"' in raw:  # not the kernel's own: busy, idle
            self.arrived.append((time.monotonic(), len(raw)))

    def since(self, begun: float) -> list[int]:
        """The sizes of what arrived since then, in bytes."""
        return [size for when, size in self.arrived if when >= begun]


class Stage:
    """A page with one notebook in a real Lab."""

    def __init__(self, page: Page, traffic: Traffic) -> None:
        self.page = page
        self.traffic = traffic
        self.cdp: CDPSession = page.context.new_cdp_session(page)

    def kernel(self, code: str) -> str:
        """Run code in the kernel, beside the cells; what it printed.

        Raises:
            RuntimeError: It raised.
        """
        printed, failed = self.page.evaluate(
            """async code => {
              const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              const run = kernel.requestExecute({code, store_history: false});
              let printed = '';
              run.onIOPub = (message) => {
                if (message.content.name === 'stdout') printed += message.content.text;
                if (message.content.ename) printed += message.content.traceback.join('\\n');
              };
              const reply = await run.done;
              return [printed, reply.content.status === 'error'];
            }""",
            code,
        )
        if failed:
            raise RuntimeError(re.sub(r"\x1b\[[0-9;]*m", "", printed))
        return str(printed)

    def until(self, condition: str, seconds: float = 120.0) -> None:
        """Wait until a condition on the view's root, `root`, holds."""
        self.page.wait_for_function(
            f"() => {{ const root = document.querySelector('.sv'); return root && {condition}; }}",
            timeout=seconds * 1000,
            polling=100,
        )

    def render(self) -> float:
        """Run the cell; milliseconds from the press to the first painted picture."""
        return float(self.page.evaluate(RENDER_AGAIN))

    def all_fetched(self, seconds: float = 120.0) -> None:
        """Wait until the browser holds every item there is."""
        whole = "Number(root.dataset.fetched) === Number(root.dataset.end - root.dataset.base)"
        self.until(f"Number(root.dataset.end) > 0 && {whole}", seconds)

    def rest(self, seconds: float) -> None:
        """Do nothing, while what arrives is counted: it would not be in a plain sleep."""
        self.page.wait_for_timeout(seconds * 1000)

    def heap(self) -> float:
        """The page's used memory in MB, after a collection."""
        self.cdp.send("HeapProfiler.collectGarbage")
        measured = self.cdp.send("Runtime.getHeapUsage")
        return float(measured["usedSize"]) / 1e6


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start everything, in folders of its own, and end it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="streamlib-views-"))
    (folder / "notebooks").mkdir()
    write_notebook(folder / "notebooks", NOTEBOOK, [CELL])
    with private_home(), contextlib.ExitStack() as ends:
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        running = asyncio.run(server.start())
        ends.callback(lambda: asyncio.run(server.stop()))
        ends.callback(lambda: [asyncio.run(workers.stop(name)) for name in workers.names()])
        command = [sys.executable, "-m", "bench.grown", running.address, "grown"]
        grown = processes.spawn("grown", command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        ends.callback(lambda: asyncio.run(grown.stop(grace=10.0)))
        lab = ends.enter_context(jupyter(folder / "lab", folder / "notebooks"))
        playwright = ends.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        ends.callback(browser.close)
        traffic = Traffic()

        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.add_init_script(NOTES)
        traffic.watch(page)
        show_notebook(page, lab, NOTEBOOK)
        it = Stage(page, traffic)
        it.kernel(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PRELUDE}")
        yield it


def chromium() -> str:
    """A browser that is there."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return path
    raise SystemExit("bench.views needs Chromium or Chrome on PATH")


def first_render(it: Stage) -> list[Figure]:
    """From pressing run to the picture, with Lab and module warm."""
    it.kernel("hub, stream = await grown(2_000)")
    it.render()
    times = [it.render() for _ in range(3)]
    return [Figure("first render, warm Lab", median(times), "ms", "<= 300", 300)]


def publish_to_pixel(it: Stage, items: int) -> list[Figure]:
    """From `publish` in the kernel to the painted end."""
    it.kernel("hub, stream = await grown(0); topic = stream.topic('delta')")
    it.render()
    it.until("root.dataset.end === '0'")
    it.page.evaluate(WATCH_PAINT)
    sent = json.loads(
        it.kernel(
            "sent = []\n"
            f"for number in range({items}):\n"
            "    sent.append(time.time() * 1000)\n"
            "    topic.publish(number); await stream.flush(); await asyncio.sleep(0.23)\n"
            "print(json.dumps(sent))"
        )
    )
    it.until(f"root.dataset.end === '{items}'")
    painted = it.page.evaluate("window.__painted")
    waits = sorted(
        next(when for when, end in painted if end > number) - begun
        for number, begun in enumerate(sent)
    )
    return [
        Figure("publish in a cell to pixel, median", median(waits), "ms", "", float("inf")),
        Figure(
            "publish in a cell to pixel, p95", waits[int(len(waits) * 0.95)], "ms", "<= 150", 150
        ),
    ]


def ingest(it: Stage, rate: int, seconds: float) -> list[Figure]:
    """A flood: nothing may be missing at its end, and what travels stays small."""
    it.kernel("hub, stream = await grown(0); topic = stream.topic('delta')")
    it.render()
    it.rest(0.5)
    begun = time.monotonic()
    roll = 10.0 if seconds > 15 else 0.0
    said = it.kernel(f"print(await pour({rate}, {seconds}, {roll}))")
    sent = int(said.split()[-1])  # what the SDK warns of comes before
    poured = time.monotonic() - begun
    it.until(f"Number(root.dataset.end) >= {sent}")
    it.all_fetched()
    settled = time.monotonic() - begun - poured
    sizes = it.traffic.since(begun)
    return [
        Figure(
            f"{rate:,} items/s for {seconds:.0f} s: arrived",
            sent / poured,
            "/s",
            "10,000",
            0.8 * rate,
            True,
        ),
        Figure("the same: seconds until none is missing", settled, "s", "", 30),
        Figure("the same: messages a second", len(sizes) / (poured + settled), "/s", "<= 20", 20),
        Figure("the same: largest message", max(sizes) / 1024, "KB", "<= 64", 64),
    ]


def typical(it: Stage) -> list[Figure]:
    """What a frame weighs at a lesson's pace."""
    it.kernel("hub, stream = await grown(300); topic = stream.topic('delta')")
    it.render()
    begun = time.monotonic()
    it.kernel("await pour(20, 5)")
    sizes = it.traffic.since(begun)
    return [
        Figure("20 items/s: median message", median(sizes) / 1024, "KB", "<= 8", 8),
        Figure(
            "20 items/s: messages a second",
            len(sizes) / (time.monotonic() - begun),
            "/s",
            "<= 20",
            20,
        ),
    ]


def many(it: Stage, items: int) -> list[Figure]:
    """A long log: it opens, all of it arrives, and it scrolls."""
    it.kernel(f"hub, stream = await grown({items})")
    opened = it.render()
    begun = time.monotonic()
    it.all_fetched(300)
    fetched = time.monotonic() - begun
    gaps = sorted(it.page.evaluate(SCROLL, 4))
    return [
        Figure(f"{items:,} items: opens", opened, "ms", "", 1000),
        Figure(f"{items:,} items: all of them in the browser", fetched, "s", "", 120),
        Figure(
            f"{items:,} items: frames a second while scrolling",
            1000 * len(gaps) / sum(gaps),
            "frames/s",
            "60",
            55,
            True,
        ),
        Figure(f"{items:,} items: the page's memory", it.heap(), "MB", "", float("inf")),
    ]


def busy(it: Stage, seconds: float) -> list[Figure]:
    """The page must not stand still: its longest task, at a rate, and with a crowd.

    What counts is what the page itself does: server, worker and kernel share two cores with it
    here, and a task that waits for one of them is no longer work.
    """
    it.kernel("hub, stream = await grown(0); topic = stream.topic('delta')")
    it.render()
    it.until("root.dataset.end === '0'")
    it.rest(2)
    with longest_task(it) as at_a_rate:
        it.kernel(f"await pour(200, {seconds})")
    it.kernel("hub, stream = await grown(0)")
    it.render()
    it.rest(2)
    with longest_task(it) as crowded:
        it.kernel("await crowd(2_000)")
        it.until("root.dataset.end === '2000'")
        it.all_fetched()
        it.rest(1)
    figures: list[Figure] = []
    for name, found in (("200 items/s", at_a_rate), ("2,000 publishers", crowded)):
        figures += [
            Figure(f"{name}: longest task, its CPU", found["cpu"], "ms", "<= 50", 50),
            Figure(f"{name}: the same with its waiting", found["clock"], "ms", "", float("inf")),
        ]
    return figures


@contextlib.contextmanager
def longest_task(it: Stage) -> Iterator[dict[str, float]]:
    """What the longest task of the page's main thread takes meanwhile, by Chromium's own trace."""
    found: dict[str, float] = {}
    events: list[dict[str, Any]] = []
    over: list[object] = []
    session = it.page.context.new_cdp_session(it.page)
    session.on("Tracing.dataCollected", lambda told: events.extend(told["value"]))
    session.on("Tracing.tracingComplete", lambda told: over.append(told))
    categories = ["toplevel", "disabled-by-default-devtools.timeline", "__metadata"]
    config = {"includedCategories": categories}
    session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
    yield found
    session.send("Tracing.end")
    while not over:
        it.page.wait_for_timeout(50)
    session.detach()
    names = [each for each in events if each["name"] == "thread_name"]
    pages = [each for each in names if each["args"]["name"] == "CrRendererMain"]
    mains = {(each["pid"], each["tid"]) for each in pages}
    ran = [each for each in events if each["ph"] == "X" and each["name"] == "RunTask"]
    tasks = [each for each in ran if (each["pid"], each["tid"]) in mains]
    assert tasks, "Chromium's trace has no task of the page"
    found["cpu"] = max(each["tdur"] for each in tasks) / 1000
    found["clock"] = max(each["dur"] for each in tasks) / 1000


LEFT = """
import gc; gc.collect()
print(sum('stream-view' in each.name for each in threading.enumerate()), len(asyncio.all_tasks()))
"""


def reruns(it: Stage, times: int) -> list[Figure]:
    """A cell that is run again and again: only the last view is left, here and there."""
    it.kernel("hub, stream = await grown(500)")
    it.render()
    it.rest(1)
    before, begun = it.kernel(LEFT).split(), it.heap()
    for _ in range(times):
        it.render()
    it.rest(3)
    after, grown = it.kernel(LEFT).split(), it.heap() - begun
    return [
        Figure(f"{times} reruns: the page's memory grew by", grown, "MB", "< 10", 10),
        Figure(f"{times} reruns: threads left", int(after[0]) - int(before[0]), "", "0", 0),
        Figure(f"{times} reruns: tasks left", int(after[1]) - int(before[1]), "", "0", 0),
    ]


def idle(it: Stage, seconds: float) -> list[Figure]:
    """Nothing happens: nothing is drawn, and only the sign of life is sent."""
    it.kernel("hub, stream = await grown(500)")
    it.render()
    it.all_fetched()
    it.rest(3)  # what belongs to the opening
    figures = []
    for name, hide in (("idle", "() => {}"), ("hidden", _HIDE)):
        it.page.evaluate(hide)
        it.rest(2)
        begun, frames = time.monotonic(), it.page.evaluate("window.__frames")
        it.rest(seconds)
        once_a_second = (seconds + 1) / seconds  # the first and the last may both be in time
        figures += [
            Figure(
                f"{name}: messages a second",
                len(it.traffic.since(begun)) / seconds,
                "/s",
                "1",
                once_a_second,
            ),
            Figure(
                f"{name}: animation frames",
                it.page.evaluate("window.__frames") - frames,
                "",
                "0",
                0,
            ),
        ]
    it.page.evaluate("() => { document.querySelector('.sv').style.display = '' }")
    return figures


_HIDE = "() => { document.querySelector('.sv').style.display = 'none' }"


def soak(it: Stage, minutes: float) -> list[Figure]:
    """The page's memory while a stream goes on and on, and is kept short."""
    it.kernel("hub, stream = await grown(5_000); topic = stream.topic('delta')")
    it.render()
    it.all_fetched()
    it.kernel("await pour(50, 20)")
    before = it.heap()
    rounds = max(1, round(minutes * 60 / 30))
    for _ in range(rounds):
        it.kernel("await pour(50, 30)")
    it.all_fetched()
    return [Figure(f"soak, {minutes:g} min: memory grown by", it.heap() - before, "MB", "< 10", 10)]


def measure(options: argparse.Namespace) -> list[Figure]:
    """All figures, in one Lab."""
    quick: bool = options.quick
    plan: list[Callable[[Stage], list[Figure]]] = [
        first_render,
        lambda it: publish_to_pixel(it, 20 if quick else 60),
        typical,
        lambda it: ingest(it, 10_000, 10 if quick else 60),
        lambda it: many(it, 100_000),
        lambda it: busy(it, 5 if quick else 20),
        lambda it: reruns(it, 15 if quick else 50),
        lambda it: idle(it, 4 if quick else 15),
    ]
    if not quick:
        plan += [lambda it: many(it, 1_000_000), lambda it: soak(it, 2)]
    if options.soak:
        plan = [lambda it: soak(it, options.soak)]
    figures: list[Figure] = []
    with stage() as it:
        for part in plan:
            figures += part(it)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [each.relaxed() for each in figures] if quick else figures


def table(figures: list[Figure]) -> str:
    """The figures beside targets and gates."""
    rows = []
    for each in figures:
        sign = ">=" if each.at_least else "<="
        gate = "" if each.gate == float("inf") else f"{sign} {each.gate:,.6g}"
        verdict = "" if not gate else "pass" if each.passed else "FAIL"
        value = f"{each.value:,.3g}" if each.value < 1000 else f"{each.value:,.0f}"
        rows.append(
            f"{each.label:<52}{value:>9} {each.unit:<8}{each.target:>9}{gate:>12}  {verdict}"
        )
    return "\n".join([f"{'':<52}{'':>18}{'target':>9}{'gate':>12}", *rows])


def main() -> int:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(prog="python -m bench.views", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the gates need")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="only the soak")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    figures = measure(options)
    print(table(figures))
    bad = [each for each in figures if not each.passed]
    print(
        f"{len(bad)} gates FAIL" if bad else "every gate holds",
        f"({time.monotonic() - begun:.0f} s)",
    )
    if not options.quick and not options.soak:
        content = {
            "machine": machine(),
            "seconds": round(time.monotonic() - begun),
            "figures": [
                {**vars(each), "gate": None if each.gate == float("inf") else each.gate}
                for each in figures
            ],
        }
        (RESULTS / "views.json").write_text(json.dumps(content, indent=1) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

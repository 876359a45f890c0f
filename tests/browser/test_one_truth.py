"""What the page says is so, whatever happens: random actions, and a model of the stream beside it.

After each action the page's accessible text is compared with the model, and where somebody answers
with the stream's own description and the subscription.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser

from streamlib.lab.machine import processes
from tests.browser import views
from tests.browser.jupyter import Jupyter
from tests.browser.views import Sheet, View, until

pytestmark = [pytest.mark.browser, pytest.mark.server]

QUEUE = "truth"
OURS, PEERS = "GrownHub", "PeerHub"
TOPICS = ("news", "weather", "sport")
NOBODY = "This host does not say who published."

STAGE = """
import json
HOST = {host!r}
START = {{"GrownHub": {{"items": 0}}, "PeerHub": {{}}}}[HOST]
ROLL = {{"GrownHub": ("roll", []), "PeerHub": ("want", ["roll"])}}[HOST]

async def fresh():
    global hub, stream, ann
    name = f"truth-{{time.time_ns()}}"
    await session.client.start_workflow(HOST, START, id=name, task_queue="{queue}")
    hub = session.client.get_workflow_handle(name)
    stream = WorkflowStreamClient.create(session.client, name)
    await publish("news", 0, 1, 2)
    ann = stream.subscribe()
    return stream

async def told():
    about = await stream.describe()
    rows = {{row.publisher_id: [row.sequence, row.accepted, row.dropped, row.refused]
            for row in about.publishers}}
    return json.dumps([about.base_offset, about.end_offset, rows])
"""


@dataclass
class Model:
    """A stream and its reader, as they must be."""

    base: int = 0
    end: int = 3
    run: int = 1
    position: int = 0
    held_to: int = 0
    missed: int = 0
    sent: int = 1
    """Batches of the notebook's publisher."""
    viewed: int = 0
    """Batches of the view's own publisher, and those of them that came twice."""
    twice: int = 0
    waiting: list[int] = field(default_factory=list[int])
    """Items of the batches that wait for a worker; 0: a duplicate."""

    def store(self, items: int, alive: bool) -> None:
        if alive:
            self.end += items
        else:
            self.waiting.append(items)

    def apply(self) -> None:
        self.end += sum(self.waiting)
        self.waiting.clear()

    def read(self) -> int:
        """The offset that the next read gives: what it holds, truncated or not, else the oldest."""
        if self.position >= self.held_to:
            start = max(self.position, self.base)
            self.missed += start - self.position
            self.position, self.held_to = start, self.end
        self.position += 1
        return self.position - 1

    def lane(self, describes: bool) -> str:
        """What is said of where the reader stands."""
        held, edge = max(0, self.held_to - self.position), max(self.held_to, self.position)
        below = max(0, self.base - edge) if describes else 0
        words = [
            f"at {self.position}",
            held and f"holds {held}, come what may",
            below and f"will miss {below}",
            self.missed and f"missed {self.missed}",
        ]
        return ", ".join(word for word in words if word)

    def lag(self, describes: bool) -> int:
        edge = max(self.held_to, self.position)
        base = self.base if describes else 0
        return edge - self.position + max(0, self.end - max(edge, base))


class World:
    """The page, its stream, the worker behind it, and the model of them."""

    view: View

    def __init__(self, sheet: Sheet, host: str, address: str, seed: int) -> None:
        self.sheet = sheet
        self.describes = host == OURS
        self.address = address
        self.random = random.Random(seed)
        self.model = Model()
        self.worker = worker_process(address)
        self.alive = True
        self.done: list[str] = []

    def step(self) -> None:
        """One random action; then all that is said is so."""
        actions = [self.publish, self.publish_here, self.lose, self.read, self.truncate, self.roll]
        weights = [5, 3, 2, 6, 2, 1]
        action = self.random.choices(actions, weights)[0]
        if self.alive or action in (self.publish, self.publish_here, self.lose):
            self.done.append(action.__name__)
            action()
            self.is_true()

    def publish(self) -> None:
        count, topic = self.random.randint(1, 4), self.random.choice(TOPICS)
        self.sheet.run(f"await publish({topic!r}, *range({count}))")
        self.model.sent += 1
        self.model.store(count, self.alive)

    def publish_here(self) -> None:
        count = self.random.randint(1, 3)
        self.view.publish("x", times=count)
        self.view.said("Playground", "ok", f"{count} item{'s' if count > 1 else ''} stored")
        self.model.viewed += 1
        self.model.store(count, self.alive)

    def lose(self) -> None:
        self.view.publish("twice?", lose=True)
        self.view.said("Playground", "ok", "sent twice")
        self.model.viewed += 1
        self.model.twice += 1
        self.model.store(1, self.alive)
        if not self.alive:
            self.model.store(0, alive=False)

    def read(self) -> None:
        if self.model.lag(True) == 0:
            return
        self.view.read_one("ann")
        self.view.said("Readers", "ok", re.compile(rf"offset {self.model.read()}:"))

    def truncate(self) -> None:
        up_to = self.random.randint(self.model.base, self.model.end)
        self.sheet.run(f"await hub.execute_update('truncate', {up_to})")
        self.model.base = up_to

    def roll(self) -> None:
        self.sheet.run("await hub.signal(ROLL[0], args=ROLL[1])")
        self.model.run += 1

    def reset(self) -> None:
        self.done.append("reset")
        self.view.press("Playground", "Reset")
        self.view.said("Playground", "ok", "a fresh stream")
        self.model = Model()
        self.is_true()

    def kill(self) -> None:
        self.done.append("kill")
        self.worker.kill()
        self.worker.wait()
        self.alive = False
        self.is_true()

    def restart(self) -> None:
        self.done.append("restart")
        self.worker = worker_process(self.address)
        self.alive = True
        self.model.apply()
        self.is_true()

    def is_true(self) -> None:
        """Wait until the page says what is so; nothing else may stay."""
        wanted, said = self.wanted(), {}

        def so() -> bool:
            nonlocal said
            said = self.says()
            return said == wanted

        try:
            until(self.view.page, so, 40.0)
        except AssertionError:
            raise AssertionError(f"after {self.done}\nsays   {said}\nshould {wanted}") from None
        if self.alive:
            self.others_agree()

    def wanted(self) -> dict[str, Any]:
        """What the page should say, by the model."""
        model, describes = self.model, self.describes
        stats = {"end": model.end}
        if describes:
            stats |= {"base": model.base, "items": model.end - model.base}
        return {
            "stats": stats,
            "run": model.run,
            "ann": (model.lag(describes), model.lane(describes)),
            "waits": len(model.waiting),
            "drawn": sum(model.waiting) if describes else None,
            "publishers": self.publishers() if describes else NOBODY,
        }

    def publishers(self) -> dict[str, list[int]]:
        """By the name that is shown. While nobody answers, what waits is not counted yet."""
        model = self.model
        if model.waiting:
            return self._before
        rows = {"stream": [model.sent, model.sent, 0, 0]}
        if model.viewed:
            rows["this view"] = [model.viewed, model.viewed, model.twice, 0]
        self._before = rows
        return rows

    def says(self) -> dict[str, Any]:
        """What the page says, by its accessible text."""
        told: dict[str, Any] = self.view.root.evaluate(READ)
        told["ann"] = tuple(told["ann"])
        told["stats"] = {key: int(value) for key, value in told["stats"].items() if value != "–"}
        for only_ours in ("bytes", "size"):
            told["stats"].pop(only_ours, None)
        if not self.describes:
            told["drawn"] = None
        return told

    def others_agree(self) -> None:
        """The subscription, and the stream itself where it describes itself."""
        model = self.model
        position, missed = json.loads(self.sheet.run("print([ann.position, ann.missed])"))
        assert (position, missed) == (model.position, model.missed), self.done
        if self.describes:
            base, end, rows = json.loads(self.sheet.run("print(await told())"))
            assert (base, end) == (model.base, model.end), self.done
            assert sorted(rows.values()) == sorted(self.publishers().values()), self.done


READ = """root => {
  const text = (node) => node?.textContent.trim() ?? '';
  const panel = (name) => root.querySelector(`[data-panel=${name}]`);
  const number = (words) => +(words.match(/\\d+/)?.[0] ?? 0);
  const stats = {};
  for (const each of root.querySelectorAll('.sv-stats > div'))
    if (!/B$/.test(text(each.querySelector('dd'))))
      stats[text(each.querySelector('dt'))] = text(each.querySelector('dd'));
  const ann = panel('readers').querySelector('[role=listitem]');
  const rows = [...panel('dedup').querySelectorAll('tbody tr')];
  const cells = (row) => [...row.querySelectorAll('td')].slice(0, 4).map((td) => +text(td));
  return {
    stats,
    run: number(text(panel('cost').querySelector('.sv-bar .sv-note'))),
    ann: [number(text(ann?.querySelector('.sv-num'))), text(ann?.querySelector('.sv-way'))],
    waits: number(text(panel('background').querySelector('.sv-waits'))),
    drawn: +root.querySelector('[role=slider]').dataset.waiting,
    publishers: rows.length
      ? Object.fromEntries(rows.map((row) => [text(row.querySelector('th b')), cells(row)]))
      : text(panel('dedup').querySelector('p.sv-note')),
  };
}"""


def worker_process(address: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.browser.hosts", address, QUEUE]
    environment = {**os.environ, "PYTHONPATH": processes.python_path()}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def opened(lab: Jupyter, browser: Browser) -> Sheet:
    return views.open_sheet(browser, lab, "truth.ipynb")


@pytest.fixture
def world(opened: Sheet, request: pytest.FixtureRequest) -> Iterator[World]:
    host = str(request.param)
    address = opened.run("print(session.server.address)")
    opened.run(STAGE.format(host=host, queue=QUEUE))
    seed = int(os.environ.get("STREAMLIB_SEED", time.time()))
    print(f"STREAMLIB_SEED={seed}")
    world = World(opened, host, address, seed)
    try:
        world.view = opened.show("lab.view(await fresh(), *ALL, reset=fresh)")
        world.is_true()
        yield world
        opened.is_clean()
    finally:
        world.worker.kill()
        world.worker.wait()
        opened.run("await hub.terminate()")


def drive(world: World, seconds: float) -> None:
    """Random actions for so long, with the worker alive; then a kill, more of them, a restart."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        world.step()
    world.kill()
    for _ in range(6):
        world.step()
    world.restart()
    for _ in range(3):
        world.step()


@pytest.mark.parametrize(
    "world", [OURS, pytest.param(PEERS, marks=pytest.mark.soak)], indirect=True
)
def test_what_the_page_says_is_so(world: World) -> None:
    drive(world, 4)
    world.reset()


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("world", [OURS], indirect=True)
def test_what_the_page_says_is_so_for_two_minutes(world: World) -> None:
    over = time.monotonic() + 120
    while time.monotonic() < over:
        drive(world, 15)
        world.reset()

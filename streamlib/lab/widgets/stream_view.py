"""The view itself: one widget, its frames, its messages, and its heartbeat.

    observer --frame--> StreamView.frame --> browser (stream_view.js)
    browser --message--> commands --answer--> browser

Owns the threads: whatever comes from the browser may arrive on any, and is handed to the event
loop that the view was made in. It never waits for the browser. Next: `stream_view.js`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from streamlib import Subscription, WorkflowStreamClient
from streamlib.lab.widgets.commands import Commands
from streamlib.lab.widgets.frame import Frame
from streamlib.lab.widgets.observer import Observer
from streamlib.lab.widgets.static import picture

HERE = Path(__file__).parent

BEAT = 1.0
"""Seconds between two signs of life."""

FORGET, SILENT = 30.0, 90.0
"""Seconds without a word after which a browser's view no longer counts as looking; as there."""

FIRST_LOOK = 1.0
"""Seconds that the first look may take: a cell waits for it."""


def travelling(source: str) -> str:
    """What of a source the browser needs: it travels with every view, so comments stay here."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*", "*")))


Reset = Callable[[], Awaitable[WorkflowStreamClient]]


class StreamView(anywidget.AnyWidget):
    """A live view of a stream. Make one with `lab.view`.

    Watching costs the stream no history, and next to nothing while it is out of sight.
    """

    _esm = travelling((HERE / "stream_view.js").read_text("utf-8"))
    _css = travelling((HERE / "stream_view.css").read_text("utf-8"))
    frame = traitlets.Dict().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        client: WorkflowStreamClient,
        panels: Sequence[str],
        *,
        readers: Mapping[str, Subscription[Any]] | None = None,
        reset: Reset | None = None,
    ) -> None:
        """Begin to watch `client`'s stream, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop_ran = time.monotonic()
        self._reset = reset
        self._heard: dict[str, tuple[float, bool]] = {}  # when, and whether it is visible
        self._tasks: set[asyncio.Task[Any]] = set()
        self._over = threading.Event()
        self._observer, self._commands = self._watch(client, readers)
        first = _elsewhere(self._observer.first_look, FIRST_LOOK) or self._observer.frame()
        super().__init__(frame=first, options={"panels": list(panels), "reset": reset is not None})
        self._observer.start()
        self._look()
        self._keep(self._run_the_clock())
        self.on_msg(self._on_message)
        threading.Thread(target=self._beat, name="stream-view", daemon=True).start()

    @property
    def client(self) -> WorkflowStreamClient:
        """The client whose stream is shown."""
        return self._observer.client

    async def show(self, client: WorkflowStreamClient) -> None:
        """Show another client's stream from now on, in the same place."""
        before = self._observer
        epoch = before.seen.epoch + 1
        self._observer, self._commands = self._watch(client, None, epoch)
        self._observer.start()
        self._look()
        await before.stop()

    async def stop(self) -> None:
        """End the watching; the last picture stays. Idempotent."""
        self._over.set()
        await self._observer.stop()
        for task in self._tasks:
            task.cancel()

    def _watch(
        self,
        client: WorkflowStreamClient,
        readers: Mapping[str, Subscription[Any]] | None,
        epoch: int = 0,
    ) -> tuple[Observer, Commands]:
        observer = Observer(client, self._show, epoch=epoch, readers=readers)
        return observer, Commands(observer)

    def _show(self, frame: Frame) -> None:
        self.frame = frame

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        """A message from a browser, on any thread."""
        if isinstance(content, dict):
            self._loop.call_soon_threadsafe(self._handle, content)

    def _handle(self, content: dict[str, Any]) -> None:
        if content.get("kind") == "watch":
            view, visible = str(content.get("view")), bool(content.get("visible"))
            self._heard[view] = (time.monotonic(), visible)
            if content.get("gone"):
                del self._heard[view]
            self._look()
        elif content.get("kind") == "reset":
            self._keep(self._start_again(content))
        else:
            self._keep(self._answer(content))

    async def _answer(self, content: dict[str, Any]) -> None:
        answer, buffers = await self._commands.answer(content)
        self.send(answer, buffers)

    async def _start_again(self, content: dict[str, Any]) -> None:
        done = {"kind": "done", "id": content.get("id")}
        if self._reset is None:
            self.send({**done, "ok": False, "text": "this view has no start to go back to"})
            return
        try:
            await self.show(await self._reset())
        except Exception as error:  # it is the notebook's own code
            self.send({**done, "ok": False, "text": f"{type(error).__name__}: {error}"})
        else:
            self.send({**done, "ok": True, "text": "a fresh stream"})

    def _look(self) -> None:
        """Look while anybody does. A page that is on another part of the notebook comes later."""
        near = self._somebody_is_there() or time.monotonic() - self._begun < SILENT
        self._observer.look(self._somebody_looks(), near=near)

    def _somebody_looks(self) -> bool:
        now = time.monotonic()
        return any(visible and now - when < FORGET for when, visible in self._heard.values())

    def _somebody_is_there(self) -> bool:
        now = time.monotonic()
        heard = list(self._heard.values())  # the heart beats on a thread of its own
        return any(now - when < SILENT for when, _ in heard)

    async def _run_the_clock(self) -> None:
        """Show that the event loop runs, and notice who looks no more."""
        while True:
            self._loop_ran = time.monotonic()
            await asyncio.sleep(BEAT / 2)
            if not self._somebody_looks():
                self._look()

    def _beat(self) -> None:
        """Show that the kernel lives, also while a cell blocks its event loop."""
        while not self._over.wait(BEAT):
            if self._somebody_is_there():
                self.send({"kind": "beat", "loop": round(time.monotonic() - self._loop_ran, 2)})

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background; asyncio itself would forget it."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def __repr__(self) -> str:
        """One line; the picture is for those who can show it."""
        stream = self.frame.get("stream")
        bounds = f", offsets {stream['base']} to {stream['end']}" if stream else ""
        return f"<view of {self.client.workflow_id}{bounds}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view, and a picture of this moment for where there is no kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        frame = self.frame
        if time.time() * 1000 - frame["now"] > FIRST_LOOK * 1000:  # shown once more, later
            frame = _elsewhere(self._observer.first_look, FIRST_LOOK) or frame
        data, metadata = bundle
        return {**data, "text/html": picture(frame)}, metadata


def _elsewhere(work: Callable[[], Coroutine[Any, Any, Frame]], seconds: float) -> Frame | None:
    """What `work` returns, run in a thread of its own; None if it takes longer.

    The caller's event loop is busy with the caller.
    """
    got: list[Frame] = []

    def run() -> None:
        with suppress(Exception):
            got.append(asyncio.run(asyncio.wait_for(work(), seconds)))

    thread = threading.Thread(target=run, name="stream-view-first-look", daemon=True)
    thread.start()
    thread.join(seconds)
    return got[0] if got else None

"""The view itself: one widget, its frames, its messages, and when it is awake.

    observer --frame--> StreamView.frame --> browser (js/, bundled as stream_view.js)
    browser --message--> commands --answer--> browser

Whatever comes from the browser may arrive on any thread, and is handed to the event loop that the
view was made in. It never waits for the browser. While no browser has it, nothing of it runs: no
thread, no task, no call. Next: `js/view.js`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from streamlib import Subscription, WorkflowStreamClient
from streamlib.lab.widgets.commands import Commands
from streamlib.lab.widgets.display import FIRST_LOOK, Picture, elsewhere
from streamlib.lab.widgets.frame import Frame
from streamlib.lab.widgets.heart import HEART
from streamlib.lab.widgets.names import PALETTE
from streamlib.lab.widgets.observer import Observer
from streamlib.lab.widgets.picture import picture

HERE = Path(__file__).parent

TICK = 0.5
"""Seconds between two signs that the event loop runs."""

FORGET, SILENT = 30.0, 90.0
"""Seconds without a word after which a browser's view no longer counts as looking; as there."""

RECENT = 1.0
"""Seconds for which the first look counts as of this moment."""

Reset = Callable[[], Awaitable[WorkflowStreamClient]]


def packed(module: str) -> str:
    """A module that unpacks another one, once a page: it travels with every view that is shown.

    As text it would be twice as long, and every view would keep a copy of it.
    """
    content = module.encode()
    name = f"streamlib.{hashlib.sha256(content).hexdigest()[:12]}"
    text = base64.b64encode(zlib.compress(content, 9)).decode()
    return LOADER.replace("NAME", name).replace("TEXT", text)


LOADER = """\
const unpack = async (text) => {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const module = new Blob([await new Response(unpacked).text()], {type: "text/javascript"});
  return (await import(URL.createObjectURL(module))).default;
};
export default await (globalThis["NAME"] ??= unpack("TEXT"));
"""
"""What is left of the bundle as text. `import` of a blob is how anywidget brings this one, too."""


class StreamView(anywidget.AnyWidget):
    """A live view of a stream. Make one with `lab.view`.

    Watching costs the stream no history, and next to nothing while it is out of sight.
    """

    _esm = packed((HERE / "stream_view.js").read_text("utf-8"))
    _css = (HERE / "stream_view.css").read_text("utf-8")
    frame = traitlets.Dict().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        client: WorkflowStreamClient,
        panels: Sequence[str],
        *,
        readers: Mapping[str, Subscription[Any]] | None = None,
        publishers: Mapping[str, str] | None = None,
        reset: Reset | None = None,
    ) -> None:
        """Begin to watch `client`'s stream, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop_ran = time.monotonic()
        self._reset = reset
        self._publishers = publishers
        self._heard: dict[str, tuple[float, bool]] = {}  # when, and whether it is visible
        self._tasks: set[asyncio.Task[Any]] = set()
        self._clock: asyncio.Task[None] | None = None
        self._over = False
        self._observer, self._commands = self._watch(client, readers)
        first = elsewhere(self._observer.first_look, FIRST_LOOK) or self._observer.frame()
        self._observer.empty = first.get("stream") is None
        token = secrets.token_hex(8)
        self._picture = Picture(token, lambda: self._observer)
        options = {
            "panels": list(panels),
            "reset": reset is not None,
            "palette": list(PALETTE),
            "token": token,
        }
        super().__init__(frame=first, options=options)
        self.on_msg(self._on_message)
        self._look()

    @property
    def client(self) -> WorkflowStreamClient:
        """The client whose stream is shown."""
        return self._observer.client

    async def show(self, client: WorkflowStreamClient) -> None:
        """Show another client's stream from now on, in the same place."""
        before, commands = self._observer, self._commands
        self._observer, self._commands = self._watch(client, None, before.seen.epoch + 1)
        if self._clock is not None:
            self._observer.start()
        self._look()
        commands.stop()
        await before.stop()

    async def stop(self) -> None:
        """End the watching for good; the last picture stays. Idempotent."""
        self._over = True
        await self._sleep()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    def _watch(
        self,
        client: WorkflowStreamClient,
        readers: Mapping[str, Subscription[Any]] | None,
        epoch: int = 0,
    ) -> tuple[Observer, Commands]:
        observer = Observer(
            client, self._show, epoch=epoch, readers=readers, publishers=self._publishers
        )
        return observer, Commands(observer)

    def _show(self, frame: Frame) -> None:
        self.frame = frame

    # ------------------------------------------------------------ what a browser says

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
                self._begun = 0.0  # it was seen: nobody is awaited any more
            self._look()
            self._picture.hidden()
        elif content.get("kind") == "reset":
            self._keep(self._start_again(content))
        else:
            self._keep(self._answer(content))

    async def _answer(self, content: dict[str, Any]) -> None:
        say = partial(self._say, content.get("id"))
        answer, buffers = await self._commands.answer(content, say)
        self.send(answer, buffers)

    def _say(self, number: Any, text: str) -> None:
        self.send({"kind": "note", "id": number, "text": text.strip()})

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

    # ------------------------------------------------------------ awake and asleep

    def _look(self) -> None:
        """Be awake while a browser has the view, or may get it soon; look while one shows it."""
        self._observer.look(self._somebody(FORGET, visible=True))
        awaited = time.monotonic() - self._begun < SILENT
        if self._somebody(SILENT) or awaited:
            self._wake()
        elif self._clock is not None:
            self._keep(self._sleep())

    def _somebody(self, seconds: float, *, visible: bool = False) -> bool:
        """Whether a browser said so lately."""
        now = time.monotonic()
        heard = list(self._heard.values())  # the heart beats on a thread of its own
        return any(now - when < seconds and (seen or not visible) for when, seen in heard)

    def _wake(self) -> None:
        if self._clock is None and not self._over:
            self._clock = self._keep(self._run_the_clock())
            self._observer.start()
            HEART.add(self, self._beat)

    async def _sleep(self) -> None:
        HEART.remove(self)
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.cancel()
        self._commands.stop()
        await self._observer.stop()

    async def _run_the_clock(self) -> None:
        """Show that the event loop runs, renew the picture, and notice who looks no more."""
        while True:
            self._loop_ran = time.monotonic()
            await asyncio.sleep(TICK)
            self._picture.renew(self._observer.latest)
            self._look()

    def _beat(self) -> None:
        """Show that the kernel lives, also while a cell blocks its event loop."""
        if self._somebody(SILENT):
            self.send({"kind": "beat", "loop": round(time.monotonic() - self._loop_ran, 2)})

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in the background; asyncio itself would forget it."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------ in a notebook

    def __repr__(self) -> str:
        """One line; the picture is for those who can show it."""
        stream = self.frame.get("stream")
        bounds = f", offsets {stream['base']} to {stream['end']}" if stream else ""
        return f"<view of {self.client.workflow_id}{bounds}>"

    def _ipython_display_(self, **kwargs: Any) -> None:
        """The live view, and below it a picture for where there is no kernel."""
        if bundle := super()._repr_mimebundle_(**kwargs):
            self._fresh()
            self._picture.display(*bundle)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view, and a picture of this moment."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "text/html": picture(self._fresh())}, metadata

    def _fresh(self) -> Frame:
        """The frame of this moment; of before, where nobody answers in time."""
        if time.monotonic() - self._begun > RECENT or self._begun == 0.0:
            elsewhere(self._observer.first_look, FIRST_LOOK)
        return self._observer.frame()

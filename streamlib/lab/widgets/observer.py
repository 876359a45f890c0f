"""Watches one stream for a view, and hands over a new frame when something has changed.

    source.py      the stream, its run, what waits       |
    readers.py     where this kernel's readers stand     |--> Seen --> frame --> show
    background.py  the lab's processes, once a second    |

It does what it is told (look, rest, stop) and tells what is new (`show`); what it watches is in
those three. Out of sight it asks now and then whether the run has moved, so that there is something
to see later; while no browser has the view, it is stopped and nothing of it is left.
Belongs to one event loop; knows no widget. Next: `commands.py`, what a view's buttons do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from streamlib import Subscription, WorkflowStreamClient
from streamlib.lab.widgets import background
from streamlib.lab.widgets.frame import Frame, Seen, frame, milliseconds
from streamlib.lab.widgets.readers import Readers
from streamlib.lab.widgets.source import Source

PACE = 0.1
"""Seconds between two frames, in the long run."""

AT_ONCE = 3
"""Frames that may come at once after a rest: what is published is stored, and then applied."""

BREATH = 0.01
"""Seconds from what happens to the look at it: most often it is applied by then, and one frame
tells both."""

SAMPLE = 0.2
"""Seconds between two looks at what changes in this process: readers, unsent items."""

REST = 2.0
"""Seconds between two looks while the view is out of sight."""

BACKGROUND = 1.0
"""Seconds between two looks at the processes behind the stream."""

Show = Callable[[Frame], None]


class Pace:
    """When to look again, so that frames come in time and not too many of them. Pure.

    Invariant: no more than `AT_ONCE` frames, and one each `PACE` seconds, in any stretch of time.
    """

    def __init__(self) -> None:
        self._due = 0.0  # when the next frame would be due, were they all `PACE` apart

    def told(self, now: float) -> None:
        """A frame was made, at a moment of a clock that runs evenly."""
        self._due = max(self._due, now) + PACE

    def rest(self, now: float) -> float:
        """Seconds until the next look."""
        return max(0.0, self._due - (AT_ONCE - 1) * PACE - now)


class Observer:
    """Looks at one stream while `looking`; calls `show` with each new frame."""

    def __init__(
        self,
        client: WorkflowStreamClient,
        show: Show,
        *,
        epoch: int = 0,
        readers: Mapping[str, Subscription[Any]] | None = None,
        publishers: Mapping[str, str] | None = None,
    ) -> None:
        self.client = client
        self.seen = Seen(client.workflow_id, epoch)
        self.source = Source(client, self.seen, self._happened)
        self.readers = Readers(client.workflow_id, readers or {})
        self.publishers = dict(publishers or {})
        """Names for publishers that the caller or the view gave, by their ids."""
        self.latest: Frame = {}
        """The frame as it was when something last changed, shown or not."""
        self.empty = True
        """Whether nothing of the stream was shown yet: then the first is shown out of sight too,
        and a view has its height before somebody scrolls to it."""
        self._show = show
        self._rev = 0
        self._shown = 0
        self._looking = asyncio.Event()
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._describing: asyncio.Task[None] | None = None
        self._next_background = 0.0
        self._pace = Pace()

    # ------------------------------------------------------------ what it is told to do

    def start(self) -> None:
        """Begin, in the running event loop; also again, after a stop."""
        self.source.stale = not self.source.final
        follow = self.source.follow(self._looking)
        self._tasks = [asyncio.create_task(follow), asyncio.create_task(self._run())]

    async def stop(self) -> None:
        """End everything this began. What the view opened for itself is closed."""
        tasks, self._tasks = self._tasks, []
        if self._describing is not None:
            tasks.append(self._describing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.readers.close()

    def look(self, looking: bool) -> None:
        """Begin to look, or stop to; what was missed meanwhile is caught up at once."""
        if not looking:
            self._looking.clear()
        elif not self._looking.is_set():  # a browser says so again and again
            self.wake()
            self._looking.set()

    def wake(self) -> None:
        """Look at everything again now."""
        self.source.stale = True
        self._next_background = 0.0
        self._woken.set()

    async def first_look(self) -> Frame:
        """One look, for a picture without a browser, in any event loop. Raises nothing."""
        parts, _ = await asyncio.gather(background.parts(), self.source.look_once())
        self.seen.parts = parts
        self._note_here()
        return self.frame()

    # ------------------------------------------------------------ what it tells

    def frame(self) -> Frame:
        """The frame as it is now."""
        self.seen.trouble = self.trouble()
        return {**frame(self.seen), "rev": self._rev, "now": milliseconds(time.time())}

    def trouble(self) -> str:
        """What is the matter; empty if nothing is."""
        if self.source.final:
            return ""
        if self.seen.status != "RUNNING":
            return self.source.failure
        return background.trouble(self.seen.parts) or self.source.trouble

    def _tell(self) -> None:
        """Show what has changed, if anybody looks, or if the view is empty."""
        now, told = self.frame(), self.latest
        if any(now[key] != told.get(key) for key in now if key not in ("rev", "now")):
            self._rev += 1
            self.latest = {**now, "rev": self._rev}
        filled = self.empty and self.latest.get("stream") is not None
        if (self._looking.is_set() or filled) and self._shown != self._rev:
            self._shown = self._rev
            self.empty = self.empty and not filled
            self._show(self.latest)

    # ------------------------------------------------------------ when it looks

    def _happened(self) -> None:
        self._woken.set()

    async def _run(self) -> None:
        """Look, show, and rest. One look that fails is no reason to be blind for ever."""
        while True:
            in_sight = self._looking.is_set()
            alarm = asyncio.get_running_loop().call_later(
                SAMPLE if in_sight else REST, self._woken.set
            )
            await self._woken.wait()  # `wait_for` may swallow a cancellation, before Python 3.12
            alarm.cancel()
            await asyncio.sleep(BREATH)
            self._woken.clear()
            told = self._rev
            try:
                if not in_sight:
                    self.source.stale |= await self.source.has_moved()
                await self._look()
            except Exception as error:
                self.source.failure = f"{type(error).__name__}: {error}"
            self._tell()
            if self._rev != told:  # what nobody would see costs no frame
                self._pace.told(time.monotonic())
            await asyncio.sleep(self._pace.rest(time.monotonic()))

    async def _look(self) -> None:
        if self.source.stale and (self._describing is None or self._describing.done()):
            self._describing = asyncio.create_task(self.source.look())
        if self._describing is not None:  # it takes ten seconds where no worker answers
            await asyncio.wait([self._describing], timeout=PACE)
        if time.monotonic() >= self._next_background:
            self._next_background = time.monotonic() + BACKGROUND
            before = [(part.name, part.state) for part in self.seen.parts]
            self.seen.parts = await background.parts()
            if before != [(part.name, part.state) for part in self.seen.parts]:
                self.source.stale |= not self.source.final  # who answers may be back
        await self.source.note_waiting()
        self._note_here()  # last: a reader's lag is what is left to the end that is told

    def _note_here(self) -> None:
        """What is known in this process."""
        self.seen.unsent = self.client.unsent
        self.seen.names = {**background.publishers(self.client.workflow_id), **self.publishers}
        self.seen.readers = self.readers.rows(self.seen)

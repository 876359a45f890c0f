"""Where a view stands in a notebook: the live widget, and a picture that stays up to date.

    view --> output 1  the widget: live while a kernel and a front end are there
         --> output 2  the picture (`picture.py`): hidden by the live one, and what is left without

The picture is an output of its own, since a front end that cannot make the widget of an output
shows nothing else of it. It is renewed while the notebook runs, so that what is saved, exported or
executed to its end shows the stream as it was then. Only this module knows IPython.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from streamlib.lab.widgets.frame import Frame
from streamlib.lab.widgets.picture import picture

if TYPE_CHECKING:
    from streamlib.lab.widgets.observer import Observer

FIRST_LOOK = 1.0
"""Seconds that looks at streams may take while a cell waits for them."""

RENEW = 2.0
"""Seconds between two pictures, at least, while somebody works with the notebook."""

_shown: weakref.WeakSet[Picture] = weakref.WeakSet()


class Picture:
    """The picture of what an observer sees, once it is displayed. `token` marks it on the page."""

    def __init__(self, token: str, observed: Callable[[], Observer]) -> None:
        self.token = token
        self.observed = observed
        self._html = ""
        self._renewed = 0.0

    def display(self, widget: dict[str, Any], metadata: Any) -> None:
        """Display the widget, and the picture below it: at once where nobody sits before it."""
        _renew_after_each_cell()
        _shown.add(self)
        # An empty `text/html`: exports that hold no widgets show it instead of the plain text.
        _display({**widget, "text/html": ""}, metadata=metadata)
        self._html = "" if _interactive() else picture(self.observed().frame())
        _display({"text/html": self._wrapped()}, display_id=self.token)

    def hidden(self) -> None:
        """A page has the live view, and so does not show the picture: it may come now."""
        if not self._html:
            self.renew(self.observed().frame(), at_once=True)

    def renew(self, frame: Frame, *, at_once: bool = False) -> None:
        """Show this frame from now on, if it is displayed and something has changed."""
        if self not in _shown or not frame:
            return
        if not at_once and time.monotonic() < self._renewed + RENEW:
            return
        html = picture(frame)
        if _timeless(html) == _timeless(self._html):
            return
        self._html, self._renewed = html, time.monotonic()
        _display({"text/html": self._wrapped()}, display_id=self.token, update=True)

    def _wrapped(self) -> str:
        return f'<div class="sv-picture sv-of-{self.token}">{self._html}</div>'


def _display(data: dict[str, Any], **how: Any) -> None:
    from IPython import display

    display.display(data, raw=True, **how)  # type: ignore[no-untyped-call]


def _timeless(html: str) -> str:
    return html[: html.rfind("<small>")]


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _interactive() -> bool:
    """Whether a front end runs the cells for a person; what executes notebooks says otherwise."""
    kernel = getattr(_shell(), "kernel", None)
    with suppress(Exception):
        return bool(kernel.get_parent("shell")["content"]["allow_stdin"])  # type: ignore[union-attr]
    return False


_hooked: list[Any] = []


def _renew_after_each_cell() -> None:
    shell = _shell()
    if shell is not None and shell not in _hooked:
        _hooked.append(shell)
        shell.events.register("post_run_cell", lambda *_: _after_a_cell())


def _after_a_cell() -> None:
    """Where nobody looks, nothing comes later: look at every stream now."""
    if _interactive():
        return
    pictures = list(_shown)
    looks = [each.observed().first_look for each in pictures if not each.observed().source.final]

    async def all_at_once() -> None:
        await asyncio.gather(*(look() for look in looks), return_exceptions=True)

    if looks:
        elsewhere(all_at_once, FIRST_LOOK)
    for each in pictures:
        each.renew(each.observed().frame(), at_once=True)


def elsewhere(work: Callable[[], Coroutine[Any, Any, Any]], seconds: float) -> Any:
    """What `work` returns, run in a thread of its own; None if it takes longer.

    The caller's event loop is busy with the caller.
    """
    got: list[Any] = []

    def run() -> None:
        with suppress(Exception):
            got.append(asyncio.run(asyncio.wait_for(work(), seconds)))

    thread = threading.Thread(target=run, name="stream-view-first-look", daemon=True)
    thread.start()
    thread.join(seconds)
    return got[0] if got else None

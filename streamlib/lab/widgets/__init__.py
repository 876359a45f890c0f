"""The live view of a stream: `lab.view(client)`.

    view(client) --> StreamView --frames--> browser
                         |
                     Observer <-- describe query, shared waiter, this kernel's subscriptions

Read `frame.py` first (what is shown), then `source.py` and `readers.py` (what is watched),
`observer.py` (when), `commands.py`, `stream_view.py`, and the browser's half in `js/`, which
`make widgets` bundles. Only this package knows Jupyter's widgets, and imports them when a view is
made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowHandle

from streamlib import Subscription, WorkflowStreamClient
from streamlib.lab import session
from streamlib.lab.errors import LabError

if TYPE_CHECKING:
    from streamlib.lab.widgets.stream_view import StreamView

PANELS = ("tape", "readers", "dedup", "cost", "background", "playground")
"""All there are, in the order in which they stand."""

USUAL = ("tape", "readers", "dedup", "cost", "background")
"""Those that a view shows if none are named."""


def view(
    stream: WorkflowStreamClient | WorkflowHandle[Any, Any] | str,
    *panels: str,
    reset: Callable[[], Awaitable[WorkflowStreamClient]] | None = None,
    **named: Subscription[Any] | WorkflowStreamClient | str,
) -> StreamView:
    """Return a live view of a stream; leave it as a cell's last line.

    It shows what the stream says of itself and where this kernel's subscriptions stand, and keeps
    up by itself. Watching adds nothing to the workflow's history.

    Args:
        stream: The client whose stream it is; or a workflow's handle or id, for which the client
            of the last `lab.start()` is used.
        *panels: Which to show: "tape", "readers", "dedup", "cost", "background", "playground".
            None named: all but the playground.
        reset: What the playground's reset button does: returns the client of a fresh stream.
        **named: Names to show, where they are not those of variables: of a reader (its
            subscription; the view keeps it), and of a publisher (its client, or its id).

    Raises:
        LabError: A panel of that name does not exist, no event loop runs (call it in a cell), no
            session was started, or Jupyter's widgets are not installed.

    Example:
        lab.view(stream, "tape", "readers")
        lab.view(stream, "dedup", laptop=other_client, sensor=ids["weather"])
    """
    for panel in panels:
        if panel not in PANELS:
            raise LabError(f"a view has no panel {panel!r}. It has: {', '.join(PANELS)}.")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise LabError("lab.view() needs a running event loop: call it in a notebook.") from None
    try:
        from streamlib.lab.widgets.stream_view import StreamView
    except ImportError as error:
        raise LabError(
            f"lab.view() needs Jupyter's widgets ({error}): pip install 'streamlib[lab]'"
        ) from error
    readers = {name: each for name, each in named.items() if isinstance(each, Subscription)}
    publishers = {
        each if isinstance(each, str) else each.publisher_id: name
        for name, each in named.items()
        if not isinstance(each, Subscription)
    }
    return StreamView(
        _client(stream), panels or USUAL, readers=readers, publishers=publishers, reset=reset
    )


def _client(stream: WorkflowStreamClient | WorkflowHandle[Any, Any] | str) -> WorkflowStreamClient:
    if isinstance(stream, WorkflowStreamClient):
        return stream
    if (last := session.last()) is None:
        raise LabError(
            "lab.view() got no WorkflowStreamClient, and no session is there whose client it "
            "could use: `session = await lab.start()` first."
        )
    workflow_id = stream if isinstance(stream, str) else stream.id
    return WorkflowStreamClient.create(last.client, workflow_id)

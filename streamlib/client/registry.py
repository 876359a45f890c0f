"""The registry: which feeds run in this process, and what is kept of them when they have gone.

One feed for each stream and event loop. What a feed has read of a run's history (`Follow`: a token
and some counts) outlives it, so that who comes again reads on there, and not from the beginning.
Next: `client.py`, the front.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from collections.abc import Callable, Hashable
from functools import cache

from streamlib.client.feed import Feed
from streamlib.client.follow import Follow, Run
from streamlib.client.transport import Transport

KEPT = 32
"""How many runs are remembered; the ones that were left longest ago go first."""

_feeds: dict[tuple[Hashable, asyncio.AbstractEventLoop], Feed] = {}
_kept: dict[tuple[Hashable, str], Follow] = {}
_lock = threading.Lock()  # event loops may run in threads


def shared_feed(key: Hashable, make_transport: Callable[[], Transport]) -> Feed:
    """Return the feed for `key` in the running event loop; a new one if there is none."""
    _stop_all_at_exit()
    loop = asyncio.get_running_loop()
    place = (key, loop)
    feed = _feeds.get(place)
    if feed is not None and not feed.over:
        return feed
    _drop_closed_loops()
    new = _feeds[place] = Feed(make_transport(), lambda run: _recall(key, run))

    def over() -> None:
        if _feeds.get(place) is new:
            del _feeds[place]
        if new.follow is not None:
            _keep(key, new.follow)

    new.start(over)
    return new


def running_feeds() -> list[Feed]:
    """Those of the running event loop that have not ended: one for each stream that is read."""
    loop = asyncio.get_running_loop()
    there = list(_feeds.items())  # other threads add to them
    return [feed for (_, its_loop), feed in there if its_loop is loop]


def _drop_closed_loops() -> None:
    """Forget the feeds whose loop was closed over them: nothing tells them, nor ends them."""
    for place, feed in list(_feeds.items()):
        key, loop = place
        if loop.is_closed() and _feeds.pop(place, None) is not None and feed.follow is not None:
            _keep(key, feed.follow)


def _recall(key: Hashable, run: Run) -> Follow:
    with _lock:  # taken out: two feeds must not read on in one
        return _kept.pop((key, run.run_id), None) or Follow(run)


def _keep(key: Hashable, follow: Follow) -> None:
    with _lock:
        _kept[(key, follow.run_id)] = follow
        while len(_kept) > KEPT:
            del _kept[next(iter(_kept))]


@cache
def _stop_all_at_exit() -> None:
    # Registered after the transport's pause, so it comes before that.
    atexit.register(_stop_all)


def _stop_all() -> None:
    """End the long-polls of loops that were just left lying: one in flight hangs the exit."""
    for (_, loop), feed in list(_feeds.items()):
        if loop.is_closed() or loop.is_running():
            continue
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.gather(*feed.stop(), return_exceptions=True))

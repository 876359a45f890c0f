"""One thread for all views: it says once a second that the kernel lives, also while a cell blocks.

It is there while a view is awake, and ends with the last one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

BEAT = 1.0
"""Seconds between two signs of life."""


class Heart:
    """Calls each of `beats` once a second, on a thread of its own. May be used from any thread."""

    def __init__(self) -> None:
        self._beats: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()

    def add(self, key: object, beat: Callable[[], None]) -> None:
        """Begin to call `beat`; once for each key."""
        with self._lock:
            if not self._beats:
                self._over = threading.Event()
                threading.Thread(
                    target=self._run, args=(self._over,), name="stream-view", daemon=True
                ).start()
            self._beats[key] = beat

    def remove(self, key: object) -> None:
        """Stop to. Without any, the thread ends at once."""
        with self._lock:
            if self._beats.pop(key, None) is not None and not self._beats:
                self._over.set()

    def _run(self, over: threading.Event) -> None:
        while not over.wait(BEAT):
            with self._lock:
                beats = list(self._beats.values())
            for beat in beats:
                beat()


HEART = Heart()
"""The one of this process."""

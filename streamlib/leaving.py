"""The end of a process that has called a server: nothing of the SDK may hold it up.

The SDK's threads are not done with a call when its result is here. One that still needs Python when
the interpreter goes down stops for ever; and the interpreter, which frees the SDK's runtime, waits
for that runtime's threads: the process never ends (9 of 100 processes on two busy processors; SDK
1.35). So a runtime that was used is not freed at the end: the process takes its threads with it.
"""

from __future__ import annotations

import atexit
import ctypes
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from weakref import WeakSet

from temporalio.runtime import Runtime

SETTLE = 0.05
"""Seconds that calls get to wind up. One that does so as the interpreter goes can crash it too."""

_LONGEST = 2.0
"""Seconds that they get at most, where all processors are busy."""

_used: WeakSet[Runtime] = WeakSet()


def leave_calmly(runtime: Runtime | None = None) -> None:
    """Have this process end well, though calls were made.

    Args:
        runtime: What they were made with; None: the SDK's default one.
    """
    _at_exit()
    if runtime is not None:
        _used.add(runtime)


@cache
def _at_exit() -> None:
    atexit.register(_let_go)


def _let_go() -> None:
    deadline = time.monotonic() + _LONGEST
    time.sleep(SETTLE)
    while _others_run() and time.monotonic() < deadline:
        time.sleep(SETTLE / 5)
    used = {*_used}
    with suppress(RuntimeError):  # there may be none, on purpose
        used.add(Runtime.default())
    for runtime in used:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))  # never freed


def _others_run() -> bool:
    """Whether another thread of this process runs, or waits for a processor; only Linux tells."""
    ours = str(threading.get_native_id())
    for about in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError):  # it has ended
            state = about.read_text().rpartition(") ")[2][:1]
            if about.parent.name != ours and state == "R":
                return True
    return False

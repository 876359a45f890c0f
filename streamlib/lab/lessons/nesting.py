"""A script's `asyncio.run(main())`, pasted into a cell: works, once `allow_asyncio_run` was called.

A cell runs inside the kernel's event loop, and `asyncio.run` refuses to run inside one. The
package `nest-asyncio2` makes loops nest by patching asyncio; it follows `nest-asyncio`, which is
no longer mended, and hangs today's kernels. `await main()` always works, without any patch.
`asyncio.Runner` is not patched: it refuses as before.

*Interrupt* does what Ctrl-C does to a script: it cancels `main()`; a second one ends the call,
whatever `main()` makes of it. A kernel by itself cancels a cell that awaits, which a nested call
notices only when it is over; in other cells it raises in what just runs, be it a live view.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from streamlib.lab.errors import LabError

INSTEAD = "Write `await main()` instead of `asyncio.run(main())`: a cell may await."


class NestingError(LabError):
    """`asyncio.run` cannot be made to work here; the message says why, and what does."""


def allow_asyncio_run() -> None:
    """Let `asyncio.run(main())` work in this kernel's cells from now on. Idempotent.

    Does nothing where no event loop runs, as in a script: there it works anyway.

    Raises:
        NestingError: It would harm whoever runs this loop. Nothing was changed.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if "ipykernel.kernelapp" not in sys.modules:
        raise NestingError(
            "the loop that runs here is no kernel's, and whoever runs it does not expect that "
            f"`asyncio.run` nests.\n{INSTEAD}"
        )
    try:
        nesting = importlib.import_module("nest_asyncio2")
        # The two packages in one process harm each other.
        nesting.apply(loop, error_on_mispatched=True)
        if not hasattr(asyncio.run, "__wrapped__"):
            asyncio.run = _interruptible(asyncio.run)
    except (ImportError, ValueError, RuntimeError) as error:
        raise NestingError(f"nest-asyncio2 cannot help here: {error}.\n{INSTEAD}") from error


def _interruptible(run: Callable[..., Any]) -> Callable[..., Any]:
    """The `run` that nests, and hears SIGINT as the one that does not nest."""

    @functools.wraps(run)
    def run_until_interrupted(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():  # no signal comes there
            return run(main, **options)
        loop = asyncio.get_running_loop()
        task = loop.create_task(main)
        told, unheard = 0, False

        def tell(number: int, frame: FrameType | None) -> None:
            nonlocal unheard
            if unheard:  # the loop stands still: what runs now is what hangs
                raise KeyboardInterrupt
            unheard = True
            loop.call_soon_threadsafe(end)

        def end() -> None:
            nonlocal told, unheard
            told, unheard = told + 1, False
            if told > 1:
                raise KeyboardInterrupt
            task.cancel()

        before = signal.signal(signal.SIGINT, tell)
        try:
            return run(task, **options)
        except asyncio.CancelledError:
            if told:
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    return run_until_interrupted

"""What every program of ours does in a terminal: it ends calmly, and errors are one line.

Owns Ctrl-C (the first ends the work, later ones wait for its clean-up) and the words for what no
traceback explains: a full disk, a read-only folder, a namespace that is not there. Knows no
scenario and no lab. Next: `home.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType

from temporalio.service import RPCError, RPCStatusCode


class OneLineError(Exception):
    """An error that a notebook or a terminal shows as its message alone, without a traceback.

    For what a traceback cannot explain: nothing is wrong in the code, something is missing
    around it, and the message says what to do.
    """

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: the lines to show instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


DISK = {
    errno.ENOSPC: "the disk is full: make room, then try again",
    errno.EDQUOT: "your disk quota is used up: make room, then try again",
    errno.EROFS: "that is read-only: work in a folder that can be written",
    errno.EACCES: "it may not be written: work in a folder of your own",
    errno.EPERM: "it may not be written: work in a folder of your own",
}


def run_program(work: Callable[[], Awaitable[int | None]], *, name: str) -> int:
    """Run `work` in an event loop of its own, as a program.

    A first Ctrl-C, SIGTERM or closed terminal cancels it; later ones are ignored, so that nothing
    cuts its clean-up short.

    Args:
        work: What to do; its result is the exit code, None for 0.
        name: The program's, for its one line of error.

    Returns:
        The exit code: that of `work`; 0 when told to end, or when nobody reads what it prints;
        1 after an error that one line explains. Any other error is raised.
    """
    try:
        return asyncio.run(_until_told(work)) or 0
    except BrokenPipeError:  # `... | head` has read enough
        _close_output()
        return 0
    except (OneLineError, OSError, RPCError) as error:
        if (said := in_one_line(error)) is None:
            raise
        print(f"{name}: {said}", file=sys.stderr)
        return 1


def in_one_line(error: BaseException) -> str | None:
    """What is wrong and what to do, if a traceback would not tell it better."""
    if isinstance(error, OneLineError):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{DISK[error.errno]}"
    if isinstance(error, RPCError):
        return _refused(error)
    return None


def _refused(error: RPCError) -> str:
    said = (error.message.splitlines() or [""])[0]
    if error.status == RPCStatusCode.NOT_FOUND and "amespace" in said:
        return f"{said} Set TEMPORAL_NAMESPACE, or your Temporal profile, to one that exists."
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return f"the server refused: {said}. Check TEMPORAL_API_KEY, or your Temporal profile."
    return f"the server's answer: {error.status.name}, {said}"


async def _until_told(work: Callable[[], Awaitable[int | None]]) -> int | None:
    """Await `work`; the first signal cancels it."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work())
    told = False

    def tell(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            loop.call_soon_threadsafe(task.cancel)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as by `nohup`
            signal.signal(number, tell)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            return 0
        raise


def _close_output() -> None:
    """Let the interpreter's last flush of what nobody reads go nowhere, without a word."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

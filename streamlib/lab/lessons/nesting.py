"""A script's `asyncio.run(main())`, pasted into a cell: where that is safe, and why not elsewhere.

A cell runs inside the kernel's event loop, and `asyncio.run` refuses to run inside one. The
package `nest-asyncio` makes loops nest by patching asyncio. That is safe with ipykernel 6 and
Python up to 3.13; elsewhere it hangs the kernel, or breaks asyncio. `await main()` always works.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import textwrap
from importlib import metadata

from streamlib.lab.errors import LabError

INSTEAD = "Write `await main()` instead of `asyncio.run(main())`: a cell may await."


class NestingError(LabError):
    """`asyncio.run` cannot be made to work in this kernel; the message says why, and what does."""


def allow_asyncio_run() -> None:
    """Let `asyncio.run(main())` work in this kernel's cells from now on. Idempotent.

    Does nothing where no event loop runs, as in a script: there it works anyway.

    Raises:
        NestingError: It would harm this kernel. Nothing was changed.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if reason := why_not(_ipykernel(), sys.version_info[:2]):
        refusal = f"`asyncio.run` is not possible in this cell: {reason}"
        raise NestingError(f"{textwrap.fill(refusal, 88)}\n{INSTEAD}")
    try:
        importlib.import_module("nest_asyncio").apply(loop)
    except (ImportError, ValueError) as error:  # not installed; a loop of another make
        raise NestingError(f"nest-asyncio cannot help here: {error}.\n{INSTEAD}") from error


def why_not(ipykernel: tuple[int, ...] | None, python: tuple[int, ...]) -> str:
    """Why loops must not be nested with these versions; empty if they may.

    Args:
        ipykernel: Its version; None if the loop is not a kernel's.
        python: Python's version.
    """
    if python >= (3, 14):
        return "nest-asyncio breaks asyncio on Python 3.14 and later, and is no longer mended."
    if ipykernel is None:
        return "the loop that runs here is no kernel's, and whoever runs it does not expect that."
    if ipykernel >= (7,):
        return (
            f"under ipykernel {'.'.join(map(str, ipykernel))} one such call stops all cells that "
            "wait behind it, as after *Run All*, for good."
        )
    return ""


def _ipykernel() -> tuple[int, ...] | None:
    """The version of the kernel that this code runs in."""
    if "ipykernel.kernelapp" not in sys.modules:
        return None
    parts = metadata.version("ipykernel").split(".")
    return tuple(int(part) for part in parts if part.isdigit())

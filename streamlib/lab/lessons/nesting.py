"""A script's `asyncio.run(main())`, pasted into a cell: works, once `allow_asyncio_run` was called.

A cell runs inside the kernel's event loop, and `asyncio.run` refuses to run inside one. The
package `nest-asyncio2` makes loops nest by patching asyncio; it follows `nest-asyncio`, which is
no longer mended, and hangs today's kernels. `await main()` always works, without any patch.
`asyncio.Runner` is not patched: it refuses as before.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

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
    except (ImportError, ValueError, RuntimeError) as error:
        raise NestingError(f"nest-asyncio2 cannot help here: {error}.\n{INSTEAD}") from error

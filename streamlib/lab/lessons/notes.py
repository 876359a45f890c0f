"""What a notebook started, by id, in a file of its own, so that a restarted kernel finds it.

Owns which file that is. Who writes into it: `hosts.py`, `llm.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from streamlib.scenarios.home import location, subfolder, write_private


class Notes:
    """Ids of one kind that this notebook has noted, oldest first.

    Example:
        hubs = Notes("hosts")
        hubs.write([*hubs.read(), "hub-1"])
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def read(self) -> list[str]:
        """All of them; none if the file is not there or is damaged."""
        with suppress(OSError, ValueError):
            path = location() / self._kind / _name()
            return [str(each) for each in json.loads(path.read_text(encoding="utf-8"))]
        return []

    def write(self, ids: list[str]) -> None:
        """Keep these instead.

        Raises:
            HomeError: The state folder cannot be used.
        """
        write_private(subfolder(self._kind) / _name(), json.dumps(ids))


def _name() -> str:
    """A file name for this notebook: no two that run at once have the same."""
    return f"{hashlib.sha256(_whose().encode()).hexdigest()[:16]}.json"


def _whose() -> str:
    """The notebook's path where Jupyter's server tells it, else the kernel, else the process.

    A kernel keeps its connection file over a restart; VS Code and nbclient tell no path.
    """
    if notebook := os.environ.get("JPY_SESSION_NAME"):
        return notebook
    if "ipykernel.kernelapp" in sys.modules:
        from ipykernel.connect import get_connection_file

        with suppress(RuntimeError):  # imported, but this is no kernel
            return Path(get_connection_file()).name
    return f"process {os.getpid()}"

"""Where streamlib keeps its state on this machine.

Owns the one rule for that folder, shared by the lab (which runs servers and workers) and the
scenarios (which only need to find the server). It knows nothing of either. Next: `connect.py`.
"""

from __future__ import annotations

import os
from pathlib import Path


def checkout() -> Path | None:
    """The checkout this package runs from, or None when it is installed elsewhere."""
    parent = Path(__file__).resolve().parents[2]
    return parent if (parent / "worker.py").is_file() else None


def home() -> Path:
    """The state folder, made private (0700) if it is not there yet.

    `$STREAMLIB_HOME`, else `.streamlib` in the checkout, else `~/.streamlib`.
    """
    folder = location()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def location() -> Path:
    """Where `home()` is or would be; nothing is created."""
    chosen = os.environ.get("STREAMLIB_HOME")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return (checkout() or Path.home()) / ".streamlib"


def profile_path() -> Path:
    """The Temporal profile file that names the lab's dev server; there while one is kept."""
    return location() / "temporal.toml"


def binary_cache() -> Path:
    """Where downloaded and built Temporal binaries are kept, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).expanduser() / "streamlib" / "bin"

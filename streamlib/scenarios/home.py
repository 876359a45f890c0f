"""Where streamlib keeps its state on this machine.

Owns the one rule for that folder, shared by the lab (which runs servers and workers) and the
scenarios (which only need to find the server): it is made private, and one that exists is never
changed; it must be the user's own, and no link in it is followed. Next: `connect.py`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from .program import OneLineError, in_one_line

ROOM = 100 * 1024 * 1024
"""Bytes that a lesson's database and logs may need: with less, the doctor warns."""


class HomeError(OneLineError):
    """The state folder cannot be used; the message says which, why, and what to do."""


def checkout() -> Path | None:
    """The checkout this package runs from, or None when it is installed elsewhere."""
    parent = Path(__file__).resolve().parents[2]
    return parent if (parent / "worker.py").is_file() else None


def location() -> Path:
    """Where `home()` is or would be; nothing is created.

    `$STREAMLIB_HOME`, else `.streamlib` in the checkout, else `~/.streamlib`.
    """
    chosen = os.environ.get("STREAMLIB_HOME")
    folder = Path(chosen).expanduser() if chosen else (checkout() or Path.home()) / ".streamlib"
    return folder.resolve()  # by one name, whoever asks: it marks processes


def home() -> Path:
    """The state folder, made (0700) if it is not there.

    Raises:
        HomeError: It cannot be made, or is not ours to use.
    """
    folder = location()
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise HomeError(_instead(f"{folder} cannot be made ({_why(error)})")) from error
    if said := problem():
        raise HomeError(_instead(said))
    return folder


def problem() -> str:
    """Why the state folder cannot be used; empty if it can, or is not there yet."""
    folder = location()
    if not folder.exists():
        return ""
    if not folder.is_dir():
        return f"{folder} is not a folder"
    status = folder.stat()
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"{folder} belongs to another user (uid {status.st_uid})"
    if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write in {folder}, and so change what is run from it"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written"
    return ""


def room() -> int:
    """Bytes that are free where the state folder is or would be."""
    folder = location()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def subfolder(name: str) -> Path:
    """A folder in `home()`, made private if it is not there.

    Raises:
        HomeError: It is a link or a file, or cannot be made.
    """
    folder = home() / name
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if folder.is_symlink() or not folder.is_dir():
            raise HomeError(_instead(f"{folder} is not a folder of ours")) from None
    except OSError as error:
        raise HomeError(_instead(f"{folder} cannot be made ({_why(error)})")) from error
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by nobody else; a link there is replaced.

    Raises:
        HomeError: It cannot be written; what was there is as it was.
    """
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(fresh, path)
    except OSError as error:
        raise HomeError(f"{path} cannot be written: {_why(error)}.") from error
    finally:
        fresh.unlink(missing_ok=True)


def learner() -> str:
    """A short name for whoever this state folder belongs to: six letters, always the same.

    Raises:
        HomeError: The folder cannot be used.
    """
    path = home() / "learner"
    if not path.is_file():
        fresh = path.with_name(f".learner-{secrets.token_hex(3)}")
        fresh.write_text(fresh.name[-6:])
        with suppress(FileExistsError):  # two at once: the first one names us
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text().strip()


def profile_path() -> Path:
    """The Temporal profile file that names the lab's dev server; there while one is kept."""
    return location() / "temporal.toml"


def binary_cache() -> Path:
    """Where downloaded and built Temporal binaries are kept, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).expanduser() / "streamlib" / "bin"


def _instead(what: str) -> str:
    return f"{what}. Set STREAMLIB_HOME to a folder of your own, or to one that is not there yet."


def _why(error: OSError) -> str:
    return in_one_line(OSError(error.errno, "")) or error.strerror or str(error)

"""All that this home runs, ended; and its state put aside, for when nothing else helps.

Owns the order in which things end, and what `doctor --reset` moves. Each part: `processes.py`,
`server.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from streamlib.lab.machine import processes, server
from streamlib.scenarios.home import home, location, profile_path

ASIDE = ".aside"
"""What a file that was put aside has behind its name; the one before goes."""


async def stop() -> list[str]:
    """End every process of this home, also what nobody noted; what was ended, in words.

    JupyterLab goes last: this may run in one of its terminals.
    """
    if not location().is_dir():
        return []
    ended: list[str] = []
    for name in sorted(processes.names(), key=_last_things_last):
        recorded = processes.last(name)
        if recorded is None:  # a damaged record
            (location() / "run" / f"{name}.json").unlink(missing_ok=True)
        elif recorded.alive:
            await recorded.stop(grace=10.0)
            ended.append(str(recorded))
        else:
            await recorded.stop()
    profile_path().unlink(missing_ok=True)
    for pid in await processes.end_marked():
        ended.append(f"a left-over process (pid {pid})")
    return ended


async def reset() -> list[Path]:
    """End everything, put the database aside, forget what was noted; what was put aside.

    Raises:
        HomeError: The state folder cannot be used.
        OSError: Something in it cannot be moved.
    """
    await stop()
    database = server.database()
    moved: list[Path] = []
    for path in sorted(home().glob(f"{database.name}*")):  # SQLite keeps more than one file
        if not path.name.endswith(ASIDE):
            os.replace(path, path.with_name(path.name + ASIDE))
            moved.append(path.with_name(path.name + ASIDE))
    for folder in ("run", "hosts", "llm"):
        for path in (home() / folder).glob("*.json"):
            path.unlink()
    return moved


def _last_things_last(name: str) -> tuple[int, str]:
    return (2 if name.startswith("jupyterlab") else 1 if name == server.NAME else 0, name)

"""Mutants: faults planted on purpose, one at a time, that some test must notice.

`python tools/mutants.py [NAME ...]` copies the checkout, applies each mutant of `mutants.toml` (or
those whose name contains a NAME) to the copy, and runs the tests that it names there. It prints
which test caught which, and exits with 1 if one lives, or no longer applies. It runs as many at a
time as there are processors.

A mutant is a file, a text that stands in it once, and what replaces it:

    [[mutant]]
    name = "a duplicate is appended again"
    file = "streamlib/core/dedup.py"
    old = "            row.dropped += 1\n            return False"
    new = "            row.dropped += 1\n            return True"
    tests = "tests/core"        # what must catch it; folders or files, the fast tests of them
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FAST = "not server and not browser and not matrix and not soak"
LIMIT = 120
"""Seconds that one mutant's tests may take; one that makes them hang is caught by that."""

COPIED = ("streamlib", "tests", "pyproject.toml", "README.md", "worker.py")


@dataclass(frozen=True)
class Mutant:
    """One planted fault, and the tests that must notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: str

    def apply(self, root: Path) -> None:
        """Plant it.

        Raises:
            ValueError: Its text does not stand in the file exactly once.
        """
        path = root / self.file
        text = path.read_text("utf-8") if path.is_file() else ""
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"its text stands {count} times in {self.file}, not once")
        path.write_text(text.replace(self.old, self.new), "utf-8")


def mutants(names: list[str]) -> list[Mutant]:
    """Those whose name contains one of `names`; all, if there are none."""
    with (Path(__file__).parent / "mutants.toml").open("rb") as file:
        rows: list[dict[str, Any]] = tomllib.load(file)["mutant"]
    every = [Mutant(**row) for row in rows]
    return [m for m in every if not names or any(name in m.name for name in names)]


def catch(mutant: Mutant) -> tuple[bool, str]:
    """Whether it was caught, and by which test; or why that cannot be said."""
    with tempfile.TemporaryDirectory(prefix="streamlib-mutant-") as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, root / name)
        try:
            mutant.apply(root)
        except ValueError as error:
            return False, f"DOES NOT APPLY: {error}"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, "-m", FAST, *mutant.tests.split()],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired:
            return True, f"(no end within {LIMIT} s)"
    return judged(done.returncode, done.stdout)


def judged(code: int, output: str) -> tuple[bool, str]:
    """What pytest's end says of a mutant: only a test that fails has caught it."""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    if code == 1 and failed:
        return True, failed.group(1)
    if code == 0:
        return False, "LIVES"
    return False, f"the tests did not run (exit code {code}): {output[-300:]}"


def main(names: list[str]) -> int:
    """Run them; 1 if one was not caught."""
    began = time.monotonic()
    chosen = mutants(names)
    alive = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for mutant, (caught, what) in zip(chosen, pool.map(catch, chosen), strict=True):
            alive += not caught
            print(f"{'caught' if caught else 'ALIVE '}  {mutant.name}: {what}", flush=True)
    seconds = time.monotonic() - began
    print(f"{len(chosen) - alive} of {len(chosen)} mutants were caught, in {seconds:.0f} s")
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

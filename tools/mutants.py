"""Mutants: faults planted on purpose, one at a time, that some test must notice.

`python tools/mutants.py [NAME ...]` copies the checkout, plants each mutant of `planted.py` (or
those whose name contains a NAME) in a copy, and runs the tests that it names there. It prints
which test caught which, and exits with 1 if one lives, or no longer applies. It runs as many at a
time as there are processors.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from planted import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
CHOSEN = "not browser and not matrix and not soak"
WORLDS = "400"
"""How many worlds must do to find a fault: fewer than `make test` lives through."""

LIMIT = 240
"""Seconds that one mutant's tests may take in all; one test that hangs fails after 60."""

LIVES = "LIVES"

COPIED = ("streamlib", "tests", "pyproject.toml", "README.md", "worker.py")


def catch(mutant: Mutant | None, tests: list[str]) -> tuple[bool, str]:
    """Whether one of the tests fails on it, and which; or why that cannot be said.

    None: on the code as it is.
    """
    with tempfile.TemporaryDirectory(prefix="streamlib-mutant-") as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, root / name)
        try:
            if mutant is not None:
                mutant.apply(root)
        except ValueError as error:
            return False, f"DOES NOT APPLY: {error}"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["--timeout=60"]
        environment = {
            **os.environ,
            **{"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1", "WORLDS": WORLDS},
        }
        return run([*command, "-m", CHOSEN, *tests], root, environment)


def run(command: list[str], root: Path, environment: dict[str, str]) -> tuple[bool, str]:
    """Run tests in a copy; whether one failed, and which."""
    with subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as tests:
        try:
            output, _ = tests.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(tests.pid, signal.SIGKILL)  # and what they started
            return False, f"the tests did not end within {LIMIT} s"
    return judged(tests.returncode, output)


def judged(code: int, output: str) -> tuple[bool, str]:
    """What pytest's end says of a mutant: only a test that fails has caught it."""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    if code == 1 and failed:
        return True, failed.group(1)
    if code == 0:
        return False, LIVES
    return False, f"the tests did not run (exit code {code}): {output[-300:]}"


def main(names: list[str]) -> int:
    """Run them; 1 if one was not caught."""
    began = time.monotonic()
    chosen = [m for m in MUTANTS if not names or any(name in m.name for name in names)]
    alive = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        # Together on the code as it is, beside the first mutants: what fails there catches nothing.
        every = sorted({test for mutant in chosen for test in mutant.tests.split()})
        sound = pool.submit(catch, None, every)
        found = pool.map(lambda mutant: catch(mutant, mutant.tests.split()), chosen)
        for mutant, (caught, what) in zip(chosen, found, strict=True):
            alive += not caught
            print(f"{'caught' if caught else 'ALIVE '}  {mutant.name}: {what}", flush=True)
        failed, what = sound.result()
    if failed or what != LIVES:
        print(f"without any mutant the tests do not pass, so they have caught none: {what}")
        alive = len(chosen)
    seconds = time.monotonic() - began
    print(f"{len(chosen) - alive} of {len(chosen)} mutants were caught, in {seconds:.0f} s")
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

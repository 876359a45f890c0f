"""The public API under a strict type checker, as its users see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_examples_pass_the_strict_type_checker_and_wrong_use_is_rejected() -> None:
    checker = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "tests/typing_examples.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert checker.returncode == 0, checker.stdout + checker.stderr

"""How tests are shared out to processes (`pytest -n 2 --dist loadfile`): a file at a time.

What a file's tests share (a lab, a model's server) is then started once. Where each test
starts what it needs, they go one at a time. What takes longest begins first, so that no process is
left with it at the end.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

ONE_BY_ONE = (
    *("tests/notebooks/test_run_all.py", "tests/notebooks/test_ipykernel_6.py"),
    *("tests/test_matrix.py", "tests/test_servers.py", "tests/server/test_flow_soak.py"),
    *("tests/faults/test_kills.py", "tests/faults/test_roll_over.py"),
)
"""Files whose tests share next to nothing, and take long."""

LONGEST: Sequence[str] = (
    *("tests/test_matrix.py", "tests/test_servers.py", "tests/server/test_flow_soak.py"),
    *("tests/lab/lessons/test_exercises.py", "tests/scenarios/test_llm_servers.py"),
    *("tests/notebooks/", "tests/faults/", "tests/lab/"),
)

# Some tests' names hold a number that was drawn: every process must draw the same.
os.environ.setdefault("STREAMLIB_SEEDS", str(random.randrange(10**6)))


class ByFile(LoadFileScheduling):
    """A file is what a process is given, or one test of a file of `ONE_BY_ONE`."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(ONE_BY_ONE) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """Take the place of `--dist loadfile`."""
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests are shared out, what takes longest comes first."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        ranks = [(*(not item.nodeid.startswith(each) for each in LONGEST),) for item in items]
        items[:] = [items[n] for n in sorted(range(len(items)), key=lambda n: (ranks[n], n))]

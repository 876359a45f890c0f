"""What `make test-all` draws: of many rows that differ by a value, every other one.

Which half, says the seed of the run (`tests/shared_out.py`). Notebooks that are not run as the
teacher's copy are run in JupyterLab and on ipykernel 6. `make test-all ALL=1` takes all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = bool(os.environ.get("STREAMLIB_ALL"))
SEED = int(os.environ["STREAMLIB_SEEDS"].split()[0])


def drawn(number: int) -> bool:
    """Whether the row with that number is in the half of this run."""
    return ALL or number % 2 == SEED % 2


def half(rows: Sequence[T]) -> list[T]:
    """The rows of this run."""
    return [row for number, row in enumerate(rows) if drawn(number)]


def other_half(rows: Sequence[T]) -> list[T]:
    """The rows that `half` leaves."""
    return [row for number, row in enumerate(rows) if ALL or not drawn(number)]

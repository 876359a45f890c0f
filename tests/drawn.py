"""What `make test-all` draws: of rows that differ by a value every other one, of notebooks a third.

Which, says the seed of the run (`tests/shared_out.py`). A notebook is run in one of three ways:
on ipykernel 6, in JupyterLab, or as the teacher's copy. `make test-all ALL=1` takes all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = bool(os.environ.get("STREAMLIB_ALL"))
SEED = int(os.environ["STREAMLIB_SEEDS"].split()[0])

IPYKERNEL_6, JUPYTERLAB, TEACHERS_COPY = range(3)
"""The ways to run a notebook."""


def drawn(number: int) -> bool:
    """Whether the row with that number is in the half of this run."""
    return ALL or number % 2 == SEED % 2


def half(rows: Sequence[T]) -> list[T]:
    """The rows of this run."""
    return [row for number, row in enumerate(rows) if drawn(number)]


def third(rows: Sequence[T], way: int) -> list[T]:
    """The rows that are run that way; the three ways have them all."""
    return [row for number, row in enumerate(rows) if ALL or (number + SEED) % 3 == way]

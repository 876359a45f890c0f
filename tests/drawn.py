"""What `make test-all` draws: of many rows that differ by a value, every other one.

Which half, says the seed of the run (`tests/shared_out.py`). `STREAMLIB_ALL=1` takes all.
"""

from __future__ import annotations

import os

ALL = "STREAMLIB_ALL" in os.environ


def drawn(number: int) -> bool:
    """Whether the row with that number is in the half of this run."""
    return ALL or number % 2 == int(os.environ["STREAMLIB_SEEDS"].split()[0]) % 2

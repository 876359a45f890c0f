"""What a program in a terminal says on a machine that is busy, and not on another."""

from __future__ import annotations

import re


def without_waits(printed: str) -> str:
    """What was printed, but for the lines on what is waited for: they come after 2.5 s of silence.

    How long a program takes is no test's business, and what it says of that has tests of its own.
    """
    return re.sub(r"^(Waiting since |\.\.\. it goes on, after ).*\n", "", printed, flags=re.M)

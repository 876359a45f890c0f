"""`python -m tests.world SEED ...`: live through worlds, and show the least that is wrong.

Exits with 1 if something is.
"""

from __future__ import annotations

import re
import sys

from tests.world.plan import Plan, generate, shrink
from tests.world.world import violations


def report(seed: int) -> str:
    """What is wrong in a world, and the smallest plan in which the same is."""
    plan = generate(seed)
    wrong = violations(plan)
    if not wrong:
        return f"seed {seed}: nothing is wrong"
    kind = _kind(wrong[0])
    least = shrink(plan, lambda other: kind in map(_kind, violations(other)))
    lines = [f"seed {seed}, at its least:", *_told(least), *violations(least)[:5]]
    return "\n".join(lines)


def _kind(wrong: str) -> str:
    """Which property does not hold: its numbers."""
    found = re.search(r"\([\d, ]+\)", wrong)
    return found.group() if found else wrong


def _told(plan: Plan) -> list[str]:
    lines = [f"{plan.seconds} s, codec x{plan.codec}, faults {dict(plan.faults)}, {plan.end!r}"]
    lines += [f"  {step.at:7.3f}  {step.what} {step.how or ''}" for step in plan.happens]
    for number, steps in enumerate(plan.publishers):
        lines += [f"  {s.at:7.3f}  p{number} {s.what} {s.how or ''}" for s in steps]
    return [*lines, *(f"  r{number} {reader}" for number, reader in enumerate(plan.readers))]


if __name__ == "__main__":
    told = [report(int(seed)) for seed in sys.argv[1:]]
    print("\n\n".join(told))
    sys.exit(any("nothing is wrong" not in text for text in told))

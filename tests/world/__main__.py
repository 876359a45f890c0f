"""`python -m tests.world SEED ...`: live through worlds, and show the least that is wrong.

With `--plan FILE` through the one whose plan, as it was printed, is in a file. Exits with 1 if
something is wrong.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.world.plan import Plan, Reader, Step, generate, shrink
from tests.world.world import violations

WELL = "nothing is wrong"


def report(plan: Plan) -> str:
    """What is wrong in a world, and the smallest plan in which the same is."""
    wrong = violations(plan)
    if not wrong:
        return f"seed {plan.seed}: {WELL}"
    kind = _kind(wrong[0])
    least = shrink(plan, lambda other: kind in map(_kind, violations(other)))
    lines = [f"seed {plan.seed}, at its least:", *_told(least), *violations(least)[:5]]
    return "\n".join([*lines, "its plan, for `python -m tests.world --plan FILE`:", repr(least)])


def read(text: str) -> Plan:
    """The plan that was printed."""
    plan = eval(text, {"Plan": Plan, "Step": Step, "Reader": Reader})
    assert isinstance(plan, Plan)
    return plan


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
    if sys.argv[1:2] == ["--plan"]:
        plans = [read(Path(name).read_text("utf-8")) for name in sys.argv[2:]]
    else:
        plans = [generate(int(seed)) for seed in sys.argv[1:]]
    told = [report(plan) for plan in plans]
    print("\n\n".join(told))
    sys.exit(any(WELL not in text for text in told))

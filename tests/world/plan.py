"""What shall happen in a world: made from a seed, and made smaller when something is wrong.

A plan is data: the same plan, with the same chances of the network, takes the same course. So a
failing one can be shrunk, by leaving things out for as long as it still fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

TOPICS = ("a", "b", "заказы", "t" * 60)


@dataclass(frozen=True)
class Step:
    """Something that happens at a moment, in seconds: `what`, to what extent."""

    at: float
    what: str
    how: Any = None


@dataclass(frozen=True)
class Reader:
    """How one subscription begins, and how its owner goes about it."""

    process: int  # those of one share a feed
    begins: float
    topics: tuple[str, ...] = ()
    latest: bool = False
    raises: bool = False  # on a gap
    pause: float = 0.0  # after each item
    impatience: float = 0.0  # cancels a wait after so many seconds
    leaves_after: int = 0  # items; then comes back at its position
    name: str = ""  # under which the stream keeps its position


@dataclass(frozen=True)
class Plan:
    """A world: who is in it, what happens to it, and how it ends."""

    seed: int
    seconds: float
    codec: float
    queries: bool  # whether its host answers them; an older one serves updates alone
    faults: tuple[tuple[str, float], ...]
    happens: tuple[Step, ...]  # to the workflow, its worker and the server
    publishers: tuple[tuple[Step, ...], ...]
    readers: tuple[Reader, ...]
    end: str  # "", "close" or "terminate"
    keep: tuple[str, float] | None = None  # the retention: which bound, and how much

    @property
    def calm(self) -> bool:
        """Whether nothing ever fails."""
        return not self.faults and not any(s.what in TROUBLE for s in self.happens)


POISON = -1
"""Instead of a size: the codec fails on it."""

TROUBLE = ("kill", "down", "throttle", "reset", "fail", "forget", "roll", "fleeting",
           "stillborn")  # fmt: skip
NEW_LOGS = ("fail", "reset", "forget", "stillborn")
FAULTS = {
    "lost": 0.1, "hangs": 0.03, "late": 0.1, "deaf": 0.1, "delayed": 0.1, "doubled": 0.1,
    "rate": 0.05, "busy": 0.15,
}  # fmt: skip
HAPPENS = {
    "append": 12, "truncate": 8, "roll": 5, "forget": 1, "fail": 1, "reset": 1, "kill": 3,
    "down": 2, "throttle": 1, "hostile": 2, "fleeting": 1, "stillborn": 1,
}  # fmt: skip
WRITES = {
    "publish": 10, "flush": 5, "cancel": 2, "pause": 1, "crash": 1, "force": 2, "abandon": 1,
    "send": 6,
}  # fmt: skip
KEEPS = (("max_items", 6), ("max_bytes", 1_200), ("max_age", 2.0), ("until_read", 12))


def generate(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    seconds = chance.choice([6.0, 12.0, 12.0, 25.0])
    calm = chance.random() < 0.25
    faults = [(f, p) for f, p in FAULTS.items() if not calm and chance.random() < 0.35]
    kinds = dict(HAPPENS)
    queries = chance.random() < 0.9
    if calm:
        kinds = {"append": 12, "truncate": 8}
    elif not queries:  # such a host does not say whose log it has, so nobody can tell
        kinds = {kind: n for kind, n in kinds.items() if kind not in NEW_LOGS}
    return Plan(
        seed=seed,
        seconds=seconds,
        codec=chance.choice([1.0, 1.0, 1.34, 2.0]),
        queries=queries,
        faults=tuple(faults),
        happens=tuple(_steps(chance, kinds, seconds, chance.randint(2, 14))),
        publishers=tuple(
            tuple(_steps(chance, WRITES, seconds, chance.randint(2, 12)))
            for _ in range(chance.randint(0, 3))
        ),
        readers=tuple(_reader(chance, seconds) for _ in range(chance.randint(1, 4))),
        end=chance.choice(["", "close", "close", "terminate"]),
        keep=chance.choice([None, None, *KEEPS]),
    )


def _steps(
    chance: random.Random, kinds: dict[str, int], seconds: float, count: int
) -> Iterator[Step]:
    moments = sorted(round(chance.uniform(0, seconds), 3) for _ in range(count))
    for at in moments:
        what = chance.choices([*kinds], [*kinds.values()])[0]
        yield Step(at, what, _how(chance, what))


def _how(chance: random.Random, what: str) -> Any:
    match what:
        case "append" | "publish" | "force" | "send":
            size = chance.choice([0, 0, 0, 30, 400])
            count = chance.choice([1, 1, 2, 5, 12])
            items = [(chance.choice(TOPICS), size) for _ in range(count)]
            if what in ("publish", "send") and chance.random() < 0.1:
                items.insert(chance.randint(0, count), (chance.choice(TOPICS), POISON))
            return items
        case "truncate":
            return chance.choice([0.3, 0.7, 1.0])
        case "kill" | "down" | "throttle":
            return chance.choice([0.2, 1.5, 5.0])
        case "cancel":
            return chance.choice([0.0, 0.002, 0.5])
        case "pause" | "abandon":
            return chance.choice([3.0, 70.0])
        case _:
            return None


def _reader(chance: random.Random, seconds: float) -> Reader:
    topics = chance.choice([(), (), ("a",), ("b",), ("заказы",), ("a", "b")])
    return Reader(
        process=chance.randint(0, 1),
        begins=round(chance.uniform(0, seconds * 0.7), 3) if chance.random() < 0.6 else 0.0,
        topics=topics,
        latest=chance.random() < 0.15,
        raises=chance.random() < 0.2,
        pause=chance.choice([0.0, 0.0, 0.0, 0.05, 0.5]),
        impatience=chance.choice([0.0, 0.0, 0.0, 0.4, 1.7]),
        leaves_after=chance.choice([0, 0, 0, 3]),
        name=chance.choice(["", "", "", "billing", "audit"]),
    )


def smaller(plan: Plan) -> Iterator[Plan]:
    """The plan with less in it, the boldest cuts first."""
    for name in ("happens", "publishers", "readers", "faults"):
        parts: tuple[Any, ...] = getattr(plan, name)
        size = max(1, len(parts) // 2)
        while parts and size:
            for begin in range(0, len(parts), size):
                yield replace(plan, **{name: parts[:begin] + parts[begin + size :]})
            size //= 2
    if plan.keep is not None:
        yield replace(plan, keep=None)
    for n, steps in enumerate(plan.publishers):
        for k in range(len(steps)):
            fewer = (*plan.publishers[:n], steps[:k] + steps[k + 1 :], *plan.publishers[n + 1 :])
            yield replace(plan, publishers=fewer)
    for n, reader in enumerate(plan.readers):
        for plain in (
            *({"pause": 0.0}, {"impatience": 0.0}, {"leaves_after": 0}, {"begins": 0.0}),
            {"name": ""},
        ):
            changed = replace(reader, **plain)
            if changed != reader:
                yield replace(plan, readers=(*plan.readers[:n], changed, *plan.readers[n + 1 :]))


def shrink(plan: Plan, fails: Callable[[Plan], bool], tries: int = 400) -> Plan:
    """The smallest plan that was found to fail still, after so many tries."""
    improved = True
    while improved and tries > 0:
        improved = False
        for candidate in smaller(plan):
            tries -= 1
            if tries <= 0:
                break
            if fails(candidate):
                plan, improved = candidate, True
                break
    return plan

"""A thousand worlds, each lived through in some milliseconds: nothing may be wrong in any.

`python -m tests.world SEED` lives through one, and shows the least of it that still fails.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.world.__main__ import read, report
from tests.world.clock import StandstillError, run
from tests.world.plan import FAULTS, HAPPENS, WRITES, Plan, Reader, Step, generate, shrink
from tests.world.world import violations

# Publishers crash in these worlds, with items that they had not sent.
pytestmark = pytest.mark.filterwarnings("ignore::streamlib.errors.UnsentItemsWarning")


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """What died in a world is buried before the next test, and warns nobody there."""
    yield
    gc.collect()


def _alone() -> None:
    """In a process of its own: heed no warning, and leave measuring to the other tests."""
    warnings.simplefilter("ignore")
    sys.settrace(None)
    gc.freeze()
    gc.set_threshold(100_000)  # a world leaves little behind: an eighth of the time went there


def wrong_seeds(seeds: range) -> list[tuple[int, str]]:
    """The seeds whose worlds have something wrong, and the first of it."""
    found = ((seed, violations(generate(seed))) for seed in seeds)
    return [(seed, wrong[0]) for seed, wrong in found if wrong]


def check(seeds: range) -> None:
    """Fail with the smallest plan of the first world that is wrong."""
    parts = [seeds[begin : begin + 25] for begin in range(0, len(seeds), 25)]
    wrong: list[tuple[int, str]] = []
    # Begun anew, not forked: this process may hold the SDK's clients, of earlier tests, and who
    # buries one in a copy of it waits for threads that the copy does not have.
    anew = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=anew, initializer=_alone) as pool:
        for part in pool.map(wrong_seeds, parts):
            wrong += part
            if wrong:  # the first ones will do
                pool.shutdown(wait=False, cancel_futures=True)
                break
    if wrong:
        many = "\n".join(f"seed {seed}: {what}" for seed, what in wrong[:20])
        pytest.fail(f"{len(wrong)} worlds are wrong:\n{many}\n\n{report(generate(wrong[0][0]))}")


@pytest.mark.timeout(300)
def test_a_thousand_worlds_keep_every_promise() -> None:
    check(range(int(os.environ.get("WORLDS", "1000"))))  # fewer, to look for a planted fault


@pytest.mark.soak
@pytest.mark.spare
@pytest.mark.timeout(1800)
def test_twenty_thousand_worlds_keep_every_promise() -> None:
    check(range(100_000, 120_000))


def test_a_world_takes_the_same_course_again() -> None:
    def course(seed: int) -> list[str]:
        told: list[str] = []
        violations(generate(seed), told.append)
        return told

    seeds = [seed for seed in range(12) if not generate(seed).calm]
    assert seeds
    for seed in seeds:
        first = course(seed)
        assert first == course(seed)
        assert len(first) > 10


def test_a_failing_plan_is_shrunk_to_what_it_takes() -> None:
    plan = generate(3)

    def fails(candidate: Plan) -> bool:
        return any(step.what == "publish" for steps in candidate.publishers for step in steps)

    assert fails(plan)
    least = shrink(plan, fails)
    steps = [step for steps in least.publishers for step in steps]
    assert [step.what for step in steps] == ["publish"]
    assert not least.readers
    assert not least.happens


def test_a_plan_that_was_printed_can_be_lived_through_again() -> None:
    for seed in range(30):
        assert read(repr(generate(seed))) == generate(seed)


def test_an_attempt_that_never_began_is_not_taken_for_the_one_before() -> None:
    batches = [Step(9.458, "force", [("a", 400), ("b", 400)]), Step(9.626, "force", [("a", 0)])]
    plan = Plan(
        seed=87,
        seconds=12.0,
        codec=1.0,
        queries=True,
        faults=(),
        happens=(Step(4.625, "kill", 5.0), Step(7.391, "stillborn")),
        publishers=(tuple(batches),),
        readers=(Reader(process=0, begins=0.0, leaves_after=3),),
        end="terminate",
    )
    assert violations(plan) == []


def test_a_world_in_which_nothing_can_happen_says_so() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StandstillError):
        run(forever())


def kinds() -> Iterator[str]:
    """What the plans of a thousand seeds hold."""
    for seed in range(1_000):
        plan = generate(seed)
        yield from (name for name, _ in plan.faults)
        yield from (step.what for step in plan.happens)
        yield from (step.what for steps in plan.publishers for step in steps)
        yield from (name for reader in plan.readers for name in ("filtered",) if reader.topics)


def test_the_plans_hold_everything_that_can_happen() -> None:
    assert {*FAULTS, *HAPPENS, *WRITES, "filtered"} == {*kinds()}

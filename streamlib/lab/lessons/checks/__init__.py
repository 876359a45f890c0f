"""Exercises: each check runs what the learner wrote, on a fresh stream, and says what it did.

Owns one function an exercise. A wrong answer is told what it did and why, not that it is wrong; an
unanswered one gets a nudge, never an error. What a check looks at is behaviour: any answer that
does the right thing passes. Next: `judging.py`, then `lesson_01.py` and on, one file a notebook.
"""

from __future__ import annotations

import asyncio
import gc
import warnings

from streamlib import UnsentItemsWarning, WorkflowStreamClient
from streamlib.lab.lessons.checks import lesson_01, lesson_02, lesson_03, lesson_04, lesson_05
from streamlib.lab.lessons.checks.judging import (
    NOT_YET,
    PATIENCE,
    Check,
    Hint,
    Verdict,
    fresh_stream,
)
from streamlib.lab.lessons.lesson import say

LESSONS = [lesson_01, lesson_02, lesson_03, lesson_04, lesson_05]

CHECKS: dict[str, Check] = {
    number: check for lesson in LESSONS for number, check in lesson.CHECKS.items()
}


async def check(exercise: str, answer: object = ...) -> None:
    """Run the learner's answer on a fresh stream and print what it did.

    Args:
        exercise: Its number.
        answer: What the exercise asks for; `...` stands for "not answered yet".

    Raises:
        LookupError: There is no such exercise.
        ServerUnavailableError: No server answers.
    """
    found = await judge(exercise, answer)
    say(f"{exercise}  {'Yes.' if found.ok else '→'} {found.says}", indent=7)


async def judge(exercise: str, answer: object) -> Verdict:
    """What `check` prints, as a value. Arguments and errors: see there."""
    if exercise not in CHECKS:
        raise LookupError(f"no exercise {exercise!r}; there are {', '.join(CHECKS)}")
    if answer is ...:
        return NOT_YET
    async with fresh_stream() as stream:
        return await asyncio.wait_for(_run(CHECKS[exercise], answer, stream), 3 * PATIENCE)


async def _run(check: Check, answer: object, stream: WorkflowStreamClient) -> Verdict:
    """Without the warning about items that were never sent: that is for the hint to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsentItemsWarning)
        try:
            found = await check(answer, stream)
        except Hint as hint:
            found = Verdict(False, str(hint))
        gc.collect()  # the answer's own clients: the warning is their last word
        return found

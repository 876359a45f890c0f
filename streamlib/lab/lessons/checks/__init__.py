"""Exercises: each check runs what the learner wrote, on fresh streams, and says what it did.

A wrong answer is told what it did and why, not that it is wrong; an unanswered one gets a nudge,
never an error. What a check looks at is behaviour, on more than one stream, in a process of its
own with a time limit: any answer that does the right thing passes, and none can hurt the notebook.

    sending.py    what of an answer can be sent          kernel
    running.py    start the process, listen, end it      kernel
    child.py      unpack, judge, say where it stands     the check's process
    judging.py    a fresh stream, a call, a hint         the check's process
    lesson_01.py  and on: one function an exercise       the check's process
"""

from __future__ import annotations

import textwrap

from streamlib.lab.lessons import record
from streamlib.lab.lessons.checks import looking, running
from streamlib.lab.lessons.checks.child import NOT_YET, Verdict
from streamlib.lab.lessons.checks.exercises import EXERCISES
from streamlib.lab.lessons.checks.judging import Pure
from streamlib.lab.lessons.checks.lesson_09 import unwritten
from streamlib.lab.lessons.checks.sending import CannotBeSentError, packed
from streamlib.lab.lessons.lesson import say
from streamlib.lab.report import Part
from streamlib.lab.status import server_part, worker_part


async def check(exercise: str | float, answer: object = ...) -> None:
    """Run the learner's answer on fresh streams and print what it did.

    It takes at most ten seconds, whatever the answer does.

    Args:
        exercise: Its number, as in `"1.4"`.
        answer: What the exercise asks for; `...` stands for "not answered yet".

    Raises:
        LookupError: There is no such exercise.
        CancelledError: Interrupted; the answer is ended.
    """
    number = str(exercise)
    found = await judge(number, answer)
    record.solved(number, found.ok)
    say(f"{number}  {'Yes.' if found.ok else '→'} {found.says}", indent=7)
    if found.picture:
        print("\n" + textwrap.indent(found.picture, " " * 7))


async def judge(exercise: str, answer: object) -> Verdict:
    """What `check` prints, as a value. Arguments and errors: see there."""
    if exercise not in EXERCISES:
        raise LookupError(f"no exercise {exercise!r}; there are {', '.join(EXERCISES)}")
    if answer is ... or looking.is_stub(answer):
        return NOT_YET
    if unwritten(answer):
        text = f"Not answered yet: run the cell that writes {answer}, then this one."
        return Verdict(False, text)
    if trouble := await _trouble(exercise):
        return trouble
    try:
        sent = packed(answer)
        found = await running.run(exercise, sent)
        if found.itself:  # a server that was too busy, say
            found = await running.run(exercise, sent)
    except CannotBeSentError as error:
        return Verdict(False, str(error))
    if not found.ok and (trouble := await _trouble(exercise)):
        return trouble
    return found


async def _trouble(exercise: str) -> Verdict | None:
    """What is not well behind the notebook: then no answer that needs it can be judged."""
    if isinstance(EXERCISES[exercise], Pure):
        return None
    server = await server_part()
    part: Part = server if not server.ok else await worker_part("worker")
    if part.ok:
        return None
    return Verdict(
        False,
        f"This says nothing about your answer: the {part.name} is not well ({part.says}). "
        f"{part.todo}; then run this cell again.",
    )

"""Notebook 09's steps: a file of the learner's, tried by the library's own tests.

What the tests are: `own_log/laws.py`. A step runs those before it again: what was green must stay
so. Needs no server.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from streamlib.errors import shown
from streamlib.lab.lessons.checks import judging, looking
from streamlib.lab.lessons.checks.judging import Answer, Hint, Pure
from streamlib.lab.lessons.own_log.laws import (
    EXAMPLES,
    UnsteadyError,
    alone,
    get_ready,
    obey,
)
from streamlib.lab.lessons.own_log.picture import Counterexample


class Step(NamedTuple):
    """A method to write, of which class."""

    number: int
    cls: str
    method: str


STEPS = {
    "9.6": Step(1, "Log", "append"),
    "9.7": Step(2, "Log", "read"),
    "9.8": Step(3, "Log", "truncate"),
    "9.9": Step(4, "Publishers", "accept"),
    "9.10": Step(5, "Cursor", "skip_to"),
}


async def judge(answer: Answer, step: Step) -> str:
    """Try the file that the answer names, step by step, up to this one."""
    before = [each for each in STEPS.values() if each.cls == step.cls and each.number < step.number]
    source = _source(answer.value)
    for each in [*before, step]:
        try:
            await _obeys(each, source, answer.value)
        except Counterexample as error:
            earlier = f"Step {each.number} (`{each.method}`) comes first. " * (each != step)
            raise Hint(earlier + str(error), error.picture) from error
    again = {1: " Step 1 is green still.", 2: " Steps 1 and 2 are green still."}.get(
        len(before), ""
    )
    return f"`{step.method}` did the right thing in {EXAMPLES} random programs.{again}"


def _source(name: object) -> str:
    if not isinstance(name, str) or not name.endswith(".py"):
        raise Hint(f"Give the file's name, in quotes, not {shown(name)}.")
    try:
        return Path(name).read_text(encoding="utf-8-sig")  # as Python does: some editors mark it
    except (OSError, UnicodeError) as error:
        raise Hint(f"{name} cannot be read: {error}.") from None


async def _obeys(step: Step, source: str, name: str) -> None:
    """Run the step's law on the class that the file defines; a file is run anew each time.

    Raises:
        Counterexample: It does not do what it must.
        Hint: There is no such class, or it never comes to an end.
    """
    code = _compiled(source, name)
    await asyncio.to_thread(get_ready)  # that is not the learner's time
    deadline = looking.Deadline(judging.PATIENCE, judging.LONGEST)
    programs = 0

    def tried() -> None:
        made = _class(_run_anew(code, name), step, name)

        def make(*args: Any) -> Any:
            """What each program begins with: the one before it came to an end."""
            nonlocal programs
            programs += 1
            deadline.gets_on()
            return made(*args)

        try:
            obey(step.method, make)
        except UnsteadyError:
            raise Hint(_shared(step)) from None
        except Counterexample as error:
            again = _class(_run_anew(code, name), step, name)
            wrong = alone(step.method, again, error.program)
            if wrong is None:
                raise Hint(f"{error} But alone, that is right. {_shared(step)}") from None
            raise _told(wrong, step, made, code, source) from error

    def late() -> str:
        return _slow(programs) if time.monotonic() > deadline.last else ""

    run = Answer(_Running(code, tried), source)
    await run.calls([()], lets=(Counterexample, Hint), in_thread=True, late=late, deadline=deadline)


def _run_anew(code: CodeType, name: str) -> ModuleType:
    module = ModuleType(Path(name).stem)
    sys.modules[module.__name__] = module  # a dataclass, say, looks for it there
    exec(code, module.__dict__)
    return module


def _shared(step: Step) -> str:
    """What is behind a program that goes wrong only after others."""
    return (
        f"What one `{step.cls}` did shows in the next one: they share something, such as a list or "
        "a dict that is a default argument, an attribute of the class, or a global. Make it in "
        "`__init__`, for each its own."
    )


def _slow(programs: int) -> str:
    return (
        f"It had got to program {programs}, and was not stuck: it is slow, or this machine is busy "
        "just now. Then run this cell again."
    )


class _Running:
    """A file that is run: its lines are found as those of a function are."""

    def __init__(self, code: CodeType, run: Callable[[], None]) -> None:
        self.__code__ = code
        self._run = run

    def __call__(self) -> None:
        self._run()


def _compiled(source: str, name: str) -> CodeType:
    try:
        return compile(source, str(Path(name).resolve()), "exec", dont_inherit=True)
    except SyntaxError as error:
        at = f" at `{error.text.strip()}`" if error.text else ""
        raise Hint(f"Python cannot read {name}: {error.msg}, line {error.lineno}{at}.") from None


def _class(module: ModuleType, step: Step, name: str) -> Any:
    made = getattr(module, step.cls, None)
    if not isinstance(made, type):
        raise Hint(f"{name} defines no class `{step.cls}`.")
    method = getattr(made, step.method, None)
    if not callable(method):
        raise Hint(f"`{step.cls}` has no method `{step.method}`.")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise Hint(
            f"`{step.method}` is called, and what it returns is taken as it is: write a plain "
            "`def`, without `async` or `yield`."
        )
    return made


def _told(
    error: Counterexample, step: Step, made: Any, code: CodeType, source: str
) -> Counterexample | Hint:
    """The counterexample with the line at which it was raised, or that there is nothing yet."""
    if looking.is_stub(getattr(made, step.method)):
        red = f"Red, as it should be: {str(error)[0].lower()}{str(error)[1:]}"
        return Hint(f"Not answered yet: `{step.method}` is still `...`. {red}", error.picture)
    cause = error.__cause__
    if cause is None:
        return error
    where = looking.line_of(cause.__traceback__, _Running(code, lambda: None), source)
    return Counterexample(error.operations, error.wrong + where, error.picture)


def _judge(step: Step) -> Callable[[Answer], Any]:
    return lambda answer: judge(answer, step)


def unwritten(answer: object) -> bool:
    """Whether the answer names a file that nobody has written yet."""
    return isinstance(answer, str) and answer.endswith(".py") and not Path(answer).exists()


EXERCISES: dict[str, Pure] = {number: Pure(_judge(step)) for number, step in STEPS.items()}

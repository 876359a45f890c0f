"""What can be seen of a learner's function: its names, what it prints, where it stands just now.

Owns no judgement. What a function *does* is for the checks to see, on a stream; this is for hints
that name the mistake: a notebook's own variable, a missing `await`, the line that never ends.
"""

from __future__ import annotations

import asyncio
import dis
import io
import math
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import Any

MOST = 4000
"""Characters that are kept of what an answer prints."""

late: str | Callable[[], str] = ""
"""What the call that runs just now wants said if it never ends."""


class Deadline:
    """When a call should be over: `patience` seconds from now, or after it last got on.

    Args:
        patience: Seconds.
        longest: Seconds in all, however often it gets on.
    """

    def __init__(self, patience: float, longest: float = 0.0) -> None:
        now = time.monotonic()
        self._patience = patience
        self.last = now + max(patience, longest)
        """It is not moved beyond this."""
        self.at = now + patience
        """In the time of `time.monotonic`."""

    def gets_on(self) -> None:
        """Something of it is done: on a busy machine, that takes its time."""
        self.at = min(time.monotonic() + self._patience, self.last)


deadlines: list[Deadline] = []
"""When each of the calls that are under way should be over."""

ticked = math.inf
"""When the loop last had its turn; a `__repr__` of the answer's, say, may hold it up for ever."""

loop: asyncio.AbstractEventLoop | None = None
"""The loop that the answer runs in."""

unawaited: list[str] = []
"""The coroutines that nobody awaited, by name."""

_printed: ContextVar[io.StringIO | None] = ContextVar("printed", default=None)


class Printer(io.TextIOBase):
    """Stands in for `sys.stdout`: keeps what each world prints apart."""

    def write(self, text: str) -> int:
        """Keep it, as long as it is not too much."""
        to = _printed.get()
        if to is not None and to.tell() < MOST:
            to.write(text[:MOST])
        return len(text)


async def tick() -> None:
    """Note that the loop goes round, as long as it does."""
    global ticked
    while True:
        ticked = time.monotonic()
        await asyncio.sleep(0.25)


def print_anew() -> None:
    """From now on, and in what this task starts, `printed` begins empty."""
    _printed.set(io.StringIO())


def printed() -> str:
    """What was printed so far, in this world."""
    to = _printed.get()
    return to.getvalue() if to else ""


def note_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Stands in for `warnings.showwarning`: a coroutine that nobody awaited is a finding."""
    text = str(message)
    if text.startswith("coroutine '"):
        unawaited.append(text.split("'")[1].rpartition(".")[2])


def codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of all functions, comprehensions and so on within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def names(function: object) -> set[str]:
    """Every global, attribute and import that a function mentions."""
    code = getattr(function, "__code__", None)
    return {name for each in codes(code) for name in each.co_names} if code else set()


def global_names(function: object) -> list[str]:
    """The globals that a function refers to, in order."""
    code = getattr(function, "__code__", None)
    found = [
        step.argval
        for each in (codes(code) if code else ())
        for step in dis.get_instructions(each)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    ]
    return [*dict.fromkeys(found)]


def loads(function: object, name: str) -> bool:
    """Whether a function reads that local variable of its own, or a function within it does."""
    return _touches(function, name, "LOAD", "MAKE_CELL")


def stores(function: object, name: str) -> bool:
    """Whether a function assigns to that local variable."""
    return _touches(function, name, "STORE")


def _touches(function: object, name: str, *words: str) -> bool:
    code = getattr(function, "__code__", None)
    return code is None or any(
        used == name and any(word in step for word in words)
        for instruction in dis.get_instructions(code)
        for step, used in _steps(instruction)
    )


def _steps(instruction: dis.Instruction) -> Iterator[tuple[str, object]]:
    """What it does with which name: Python 3.13 does two things in one instruction."""
    if isinstance(instruction.argval, tuple):
        yield from zip(
            re.findall("LOAD|STORE", instruction.opname), instruction.argval, strict=False
        )
    else:
        yield instruction.opname, instruction.argval


def is_stub(function: object) -> bool:
    """Whether a function does nothing at all: a docstring, `...`, `pass`, `return None`."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_names:
        return False
    constants = {*code.co_consts} - {None, ..., getattr(function, "__doc__", None)}
    busy = ("LOAD_FAST", "LOAD_DEREF", "JUMP", "BUILD")
    steps = [step.opname for step in dis.get_instructions(code)]
    return not constants and not any(step.startswith(busy) for step in steps)


def line_of(traceback: TracebackType | None, function: object, source: str) -> str:
    """The last line of the function's own that a traceback goes through, in words."""
    number = 0
    while traceback is not None:
        if _is_own(traceback.tb_frame, function):
            number = traceback.tb_lineno
        traceback = traceback.tb_next
    return _in_words(number, function, source, "That was at")


def whereabouts(function: object, source: str) -> str:
    """The line of the function that is being run, or waits, just now, in words.

    May be called from another thread than the one that runs it.
    """
    for frame in sys._current_frames().values():
        if number := _innermost(frame, function):
            return _in_words(number, function, source, "It was still at")
    for number in _waiting(function):
        return _in_words(number, function, source, "It was still at")
    return ""


def _waiting(function: object) -> Iterator[int]:
    """The lines at which coroutines of the function wait."""
    for task in asyncio.all_tasks(loop) if loop else ():
        coroutine: Any = task.get_coro()
        number = 0
        while coroutine is not None:
            frame = getattr(coroutine, "cr_frame", None)
            if frame is not None and _is_own(frame, function):
                number = frame.f_lineno
            coroutine = getattr(coroutine, "cr_await", None)
        if number:
            yield number


def _innermost(frame: FrameType | None, function: object) -> int:
    while frame is not None:
        if _is_own(frame, function):
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _is_own(frame: FrameType, function: object) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and frame.f_code.co_filename == code.co_filename


def _in_words(number: int, function: Any, source: str, words: str) -> str:
    lines = textwrap.dedent(source).splitlines()
    if not number or not lines:
        return ""
    at = number - function.__code__.co_firstlineno
    return f" {words} `{lines[at].strip()}`." if 0 <= at < len(lines) else ""

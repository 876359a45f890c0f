"""What of a learner's answer can be sent to another process, and what is wrong with the rest.

Runs in the kernel. A function is sent with what it refers to; what belongs to this process alone,
such as a client's connection, cannot be: that is the mistake of using a notebook's variable where
the function is given one of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cloudpickle

from streamlib.errors import shown
from streamlib.lab.lessons.checks import looking


class CannotBeSentError(Exception):
    """Why an answer cannot be run elsewhere; for the learner to read."""


def packed(answer: Any) -> bytes:
    """An answer and its source, to be unpacked in another process.

    Raises:
        CannotBeSentError: It refers to what lives in this process only, or is no answer at all.
    """
    if inspect.iscoroutine(answer):
        answer.close()
        raise CannotBeSentError("Give the function itself: its name, with no parentheses after it.")
    try:
        source = inspect.getsource(answer) if callable(answer) else ""
    except (OSError, TypeError):
        source = ""
    try:
        return bytes(cloudpickle.dumps((answer, source)))
    except Exception:  # pickling runs anybody's code
        raise CannotBeSentError(_why(answer)) from None


def _why(answer: Any) -> str:
    if not callable(answer):
        return f"Give the function itself, not {shown(answer)}."
    found = _culprit(answer, set())
    if found is None:
        return "What your function refers to cannot be sent to the process that checks it."
    name, value = found
    parameters = ", ".join(f"`{each}`" for each in inspect.signature(answer).parameters)
    return (
        f"It uses `{name}`, a {type(value).__name__} of this notebook. A check gives your function "
        f"another stream than yours, to see that it works on any: use {parameters}, which it is "
        "given."
    )


def _culprit(function: Callable[..., Any], seen: set[int]) -> tuple[str, Any] | None:
    """The name and value that cannot be sent, also where a helper function refers to it."""
    seen.add(id(function))
    scope = getattr(function, "__globals__", {})
    refers = {name: scope[name] for name in looking.global_names(function) if name in scope}
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        refers[name] = cell.cell_contents
    for name, value in refers.items():
        try:
            cloudpickle.dumps(value)
        except Exception:
            if inspect.isfunction(value) and id(value) not in seen:
                return _culprit(value, seen)
            return name, value
    return None

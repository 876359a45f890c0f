"""Lines to be put in order: a learner's letters, made a program that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamlib.lab.lessons.checks.judging import Answer, Hint

DOOMED, PATIENCE = 2.0, 8.0
"""Seconds that the lines may take: where their order must end in a wait, and where it must not."""


def in_order(answer: Answer, lines: Mapping[str, str]) -> Sequence[str]:
    """The letters of the learner's answer."""
    order = [letter for letter in str(answer.value).upper() if letter.isalpha()]
    if sorted(order) != sorted(lines):
        raise Hint(f"Use each of {', '.join(lines)} once, in quotes, as in {''.join(lines)!r}.")
    return order


def made_before_used(order: Sequence[str], needs: Mapping[str, tuple[str, str]]) -> None:
    """See that each line comes after the one that makes the name it needs."""
    for user, (name, maker) in needs.items():
        if order.index(user) < order.index(maker):
            raise Hint(f"{user} uses `{name}` before {maker} has made it.")


def program(
    order: Sequence[str], lines: Mapping[str, str], *parameters: str, result: str = "None"
) -> Answer:
    """The lines in that order, as an answer to call."""
    body = "\n    ".join([*(lines[letter] for letter in order), f"return {result}"])
    scope: dict[str, Any] = {}
    exec(f"async def program({', '.join(parameters)}):\n    {body}", scope)
    return Answer(scope["program"])

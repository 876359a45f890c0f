"""What of an answer can be sent to another process; what can be seen of a function."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

from streamlib.lab.lessons.checks import looking
from streamlib.lab.lessons.checks.sending import CannotBeSentError, packed
from tests.lab.lessons.test_exercises import defined


def cell(source: str, **there: Any) -> Any:
    """The function that a notebook's cell defines, beside what is there."""
    return defined(source, {"__name__": "__main__", **there})


STREAM = threading.Lock()
"""Stands for whatever lives in one process only."""


def test_a_function_comes_with_its_source_and_what_it_refers_to() -> None:
    function = cell("def answer(x):\n    return x + step\n", step=2)
    copy, source = pickle.loads(packed(function))
    assert (copy(1), source) == (3, "def answer(x):\n    return x + step\n")


@pytest.mark.parametrize(
    "source",
    [
        "def answer(given):\n    return stream\n",
        "def answer(given):\n    return [stream for _ in given]\n",
        "def answer(given):\n    def inner(): return stream\n    return inner()\n",
        "answer = lambda given: stream\n",
    ],
)
def test_the_notebook_s_own_variable_is_named_and_what_to_use_instead(source: str) -> None:
    with pytest.raises(CannotBeSentError, match=r"It uses `stream`, a lock .*: use `given`"):
        packed(cell(source, stream=STREAM))


def test_it_is_named_also_where_a_helper_uses_it_or_a_function_holds_it() -> None:
    helper = cell("def helper(): return hub\n", hub=STREAM)
    with pytest.raises(CannotBeSentError, match="It uses `hub`"):
        packed(cell("def answer(given): return helper()\n", helper=helper))
    scope: dict[str, Any] = {"lock": STREAM, "__name__": "__main__"}
    exec("def make():\n    held = lock\n    return lambda given: held\n", scope)
    with pytest.raises(CannotBeSentError, match="It uses `held`"):
        packed(scope["make"]())


def test_what_only_has_the_same_name_is_no_mistake() -> None:
    packed(cell("def answer(stream): return stream\n", stream=STREAM))
    packed(cell("def answer(given): return given.stream\n", stream=STREAM))


async def test_a_coroutine_in_place_of_its_function_is_closed() -> None:
    async def answer() -> None: ...

    with pytest.raises(CannotBeSentError, match="no parentheses"):
        packed(answer())


@pytest.mark.parametrize(
    "body", ["...", "pass", "return ...", "return", "return None", '"""Words."""\n    ...']
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_stub_is_known_as_one(kind: str, body: str) -> None:
    assert looking.is_stub(cell(f"{kind} answer(given, other):\n    {body}\n"))


@pytest.mark.parametrize(
    "body",
    ["return 2", "return given", "print(1)", "while True: pass", "given += 1", 'return ""', "[]"],
)
def test_what_does_anything_at_all_is_no_stub(body: str) -> None:
    assert not looking.is_stub(cell(f"def answer(given):\n    {body}\n"))


@pytest.mark.parametrize(
    ("body", "reads", "assigns"),
    [
        ("return note", True, False),
        ("note = {}", False, True),
        ("note['a'] = 1", True, False),
        ("return [note for _ in '']", True, False),
        ("return 1", False, False),
        ("note = {}; return note", True, True),
        ("a = note; b = note; return a, b", True, False),
    ],
)
def test_what_becomes_of_a_parameter_is_seen(body: str, reads: bool, assigns: bool) -> None:
    function = cell(f"def answer(note):\n    {body}\n")
    assert (looking.loads(function, "note"), looking.stores(function, "note")) == (reads, assigns)


async def test_where_a_function_waits_is_seen_from_another_thread() -> None:
    source = "async def answer():\n    await sleep(60)\n"
    function = cell(source, sleep=asyncio.sleep)
    task = asyncio.create_task(function())
    await asyncio.sleep(0)
    looking.loop = asyncio.get_running_loop()
    try:
        said = await asyncio.to_thread(looking.whereabouts, function, source)
    finally:
        looking.loop = None
        task.cancel()
    assert said == " It was still at `await sleep(60)`."

"""What checks are made of: a case, a learner's answer called, a hint.

This runs in the process of a check (`child.py`), beside what the learner wrote. Knows no exercise;
those are in `lesson_01.py` and on, one file a notebook.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, cast

from temporalio.client import Client, WorkflowHandle

from streamlib import Subscription, WorkflowStreamClient, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons.checks import looking
from streamlib.lab.lessons.lesson import arrived
from streamlib.scenarios.hub import HubInput, HubWorkflow

PATIENCE = 7.0
"""Seconds that one call of an answer may take: a right one that is slow must pass."""

LONGEST = 20.0
"""Seconds that reading may take here; a busy machine must not look like a wrong answer."""

T = TypeVar("T")

Lets = tuple[type[BaseException], ...]


class Hint(Exception):
    """Ends a check with what the learner should read, and a picture to print below it."""

    def __init__(self, says: str, picture: str = "") -> None:
        super().__init__(says)
        self.picture = picture


class NotYet(Exception):
    """Ends a check: there is no answer yet."""


@dataclass(frozen=True)
class Case:
    """One fresh stream and the answer that is to be tried on it."""

    answer: Answer
    client: Client
    stream: WorkflowStreamClient
    """A client of the fresh stream; it takes its time to send, so that who does not wait is seen.
    """
    hub: WorkflowHandle[HubWorkflow, str]
    """The workflow that hosts it."""
    world: Any
    """What the exercise's `worlds` has for this case: what is in the stream, say."""
    streams: Streams

    async def another(self, publisher_ttl: timedelta | None = None) -> Case:
        """The same with one more fresh stream, which may forget its publishers after a while."""
        return await self.streams.case(self.answer, self.world, publisher_ttl)

    async def publish(self, *topics: str) -> None:
        """One item a topic named: "news 0", "jobs 1", … by their offsets in a fresh stream."""
        for number, topic in enumerate(topics):
            self.stream.topic(topic).publish(f"{topic} {number}")
        await self.stream.flush()

    async def stored(self, end: int) -> None:
        """Wait until the stream has taken in what it was sent: its end offset is `end` then."""
        while await self.stream.get_offset() < end:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Close the hub and wait for its end, so that reading comes to one."""
        await self.hub.signal(HubWorkflow.close)
        await self.hub.result()


class Exercise(NamedTuple):
    """How an exercise is judged: on each of its worlds, each a fresh stream of its own."""

    judge: Callable[[Case], Awaitable[str]]
    """Returns what a right answer did; raises `Hint` for any other."""
    worlds: Sequence[Any]
    """At least two: what is right in one only is no answer."""


class Pure(NamedTuple):
    """How an exercise is judged that needs no stream, and so no server."""

    judge: Callable[[Answer], Awaitable[str]]
    """As `Exercise.judge`."""


class Streams:
    """Makes fresh streams; who gave the ids closes them."""

    def __init__(self, client: Client, task_queue: str, ids: Sequence[str]) -> None:
        self._client = client
        self._task_queue = task_queue
        self._ids = [*ids]

    async def case(
        self, answer: Answer, world: Any, publisher_ttl: timedelta | None = None
    ) -> Case:
        """A case on a new hub."""
        hub_id = self._ids.pop()
        hub = self._client.get_workflow_handle_for(HubWorkflow.run, hub_id)
        await self._client.start_workflow(
            HubWorkflow.run,
            HubInput(
                hub_id,
                publisher_ttl_seconds=publisher_ttl.total_seconds() if publisher_ttl else None,
            ),
            id=hub_id,
            task_queue=self._task_queue,
            execution_timeout=timedelta(minutes=5),
        )
        slow = cast("WorkflowHandle[Any, Any]", _SlowToSignal(hub))
        stream = WorkflowStreamClient(slow, client=self._client)
        return Case(answer, self._client, stream, hub, world, self)

    async def start(self, workflow: Any, input: Any) -> WorkflowHandle[Any, Any]:
        """Another workflow of the scenarios, that hosts a stream and has a signal `close`."""
        hub_id = self._ids.pop()
        await self._client.start_workflow(
            workflow.run,
            input,
            id=hub_id,
            task_queue=self._task_queue,
            execution_timeout=timedelta(minutes=5),
        )
        return self._client.get_workflow_handle(hub_id)


class _SlowToSignal:
    """A handle whose signals take their time, so that who does not wait for them is seen."""

    def __init__(self, handle: WorkflowHandle[Any, Any]) -> None:
        self.id = handle.id
        self.run_id: str | None = None
        self._handle = handle

    async def signal(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(0.3)
        await self._handle.signal(*args, **options)


@dataclass(frozen=True)
class Answer:
    """What the learner gave: a function, or the letters of lines in an order."""

    value: Any
    source: str = ""
    """The function's own text, as far as it is known."""

    def uses(self, name: str) -> bool:
        """Whether a name, or an attribute of that name, occurs in the function."""
        return name in looking.names(self.value)

    def never_uses(self, position: int) -> bool:
        """Whether the function does nothing with its parameter at that position."""
        name = self._parameter(position)
        return name is not None and not looking.loads(self.value, name)

    def rebinds(self, position: int) -> bool:
        """Whether it assigns to the name of that parameter."""
        name = self._parameter(position)
        return name is not None and looking.stores(self.value, name)

    def _parameter(self, position: int) -> str | None:
        """What the function calls it; None where `*args` takes it."""
        names = [*inspect.signature(self.value).parameters]
        return names[position] if position < len(names) else None

    async def call(
        self,
        *args: Any,
        lets: Lets = (),
        late: str | Callable[[], str] = "",
        in_thread: bool = False,
        patience: float = PATIENCE,
    ) -> Any:
        """What the function returns, awaited if need be.

        Args:
            *args: What it is given.
            lets: Errors that come through; all others are a hint.
            late: What to say if it does not come to an end, in place of a general word.
            in_thread: Call it in a thread: for plain functions, which may be slow together.
            patience: Seconds that it may take.

        Raises:
            Hint: It raised, did not end in time, or is no function at all.
            NotYet: It returned `...`.
        """
        [result] = await self.calls(
            [args], lets=lets, late=late, in_thread=in_thread, patience=patience
        )
        return result

    async def calls(
        self,
        each: Sequence[Sequence[Any]],
        *,
        lets: Lets = (),
        late: str | Callable[[], str] = "",
        in_thread: bool = False,
        patience: float = PATIENCE,
        deadline: looking.Deadline | None = None,
    ) -> list[Any]:
        """What it returns for each of these arguments, one call after the other, as `call`.

        `patience` is for all of them together; a `deadline` may be moved meanwhile.
        """
        for args in each:
            self._must_take(args)
        looking.late = late
        deadline = deadline or looking.Deadline(patience)
        looking.deadlines.append(deadline)
        task = asyncio.ensure_future(_run_each(self.value, each, in_thread))
        try:
            while not task.done() and (left := deadline.at - time.monotonic()) > 0:
                await asyncio.wait([task], timeout=left)
        finally:
            looking.deadlines.remove(deadline)
        if not task.done():
            at = looking.whereabouts(self.value, self.source)
            said = late() if callable(late) else late
            task.cancel()
            await asyncio.wait([task], timeout=0.2)  # who catches everything catches this too
            raise Hint(too_late(said, at))
        try:
            results = task.result()
        except lets:
            raise
        except (Exception, asyncio.CancelledError) as error:
            raise Hint(_raised(error, self)) from None
        for result in results:
            if result is ...:
                raise NotYet
            if inspect.iscoroutine(result):
                result.close()
                raise Hint(f"It returned a coroutine that nobody awaited: {missing_await(result)}")
        return results

    def _must_take(self, args: Sequence[Any]) -> None:
        if not callable(self.value):
            raise Hint(f"Give the function itself, not {shown(self.value)}: no parentheses.")
        try:
            inspect.signature(self.value).bind(*args)
        except TypeError:
            raise Hint(
                f"A check calls it with {len(args)} argument{'s' if len(args) != 1 else ''}: leave "
                "its parameters as they were."
            ) from None
        code = getattr(self.value, "__code__", None)
        if code and code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            raise Hint(
                "It has a `yield`, which makes it a generator: nothing runs until somebody "
                "iterates over it. `return` hands a value over."
            )


async def _run_each(function: Any, each: Sequence[Sequence[Any]], in_thread: bool) -> list[Any]:
    return [await _run(function, args, in_thread) for args in each]


class _CarriedError(Exception):
    """Stands for an error that neither a task nor a thread hands on as it is."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


async def _run(function: Any, args: Sequence[Any], in_thread: bool) -> Any:
    try:
        if in_thread and not inspect.iscoroutinefunction(function):
            return await asyncio.to_thread(_called, function, args)
        result = _called(function, args)
        is_async = inspect.iscoroutinefunction(function)
        return await result if inspect.isawaitable(result) or is_async else result
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:  # it would end the loop, or the check
        raise _CarriedError(error) from None


def _called(function: Any, args: Sequence[Any]) -> Any:
    try:
        return function(*args)
    except StopIteration as error:  # no future takes that: whoever waits would wait for ever
        raise _CarriedError(error) from None
    except Exception:
        raise
    except BaseException as error:
        raise _CarriedError(error) from None


def _raised(error: BaseException, answer: Answer) -> str:
    if isinstance(error, StopAsyncIteration):
        return (
            "It asked for one more item when the stream had ended: `anext` raises "
            "StopAsyncIteration then. `async for` just ends."
        )
    error = error.error if isinstance(error, _CarriedError) else error
    at = looking.line_of(error.__traceback__, answer.value, answer.source)
    text = _text_of(error)
    what = f"It raised {type(error).__name__}{f': {text}' if text else ''}"
    what += "" if what.endswith(".") else "."
    if isinstance(error, StopIteration):
        what += " `next` found nothing (more): give it something else to return, or use `for`."
    if isinstance(error, SystemExit | KeyboardInterrupt):
        what += " That ends the whole program."
    return f"{what}{at}"


def _text_of(error: BaseException) -> str:
    """What an error says, in one line that moves no cursor."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # it is anybody's code
        return ""
    text = text if len(text) < 300 else f"{text[:300]}…"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def too_late(said: str, at: str) -> str:
    """What to say of an answer that does not come to an end."""
    why = said or "Something in it waits for what never comes, or goes round for ever."
    return f"It did not come to an end in time.{at} {why}"


def missing_await(coroutine: Any) -> str:
    """What to say of a coroutine that nobody awaited."""
    name = getattr(coroutine, "__qualname__", str(coroutine)).rpartition(".")[2]
    name = {"__anext__": "anext"}.get(name, name)
    return f"`await` is missing before `{name}(…)`. Without it nothing of it runs."


def returned(result: Any, kind: type | tuple[type, ...], asked: str) -> Any:
    """The result, if it is of the kind that was asked for; else a hint that tells why not."""
    if result is None:
        if printed := looking.printed().strip():
            raise Hint(
                f"It printed {shown(printed)} and returned nothing. `print` shows a value to you; "
                "`return` hands it to whoever called."
            )
        raise Hint(f"It returned nothing: `return` {asked}.")
    if not isinstance(result, kind) or (isinstance(result, bool) and kind is int):
        raise Hint(f"It returned {shown(result)}. `return` {asked}.")
    return result


def open_subscription(result: Any, case: Case) -> Subscription[Any]:
    """The subscription that was returned, if it reads the stream that was given, and is open."""
    subscription: Subscription[Any] = returned(result, Subscription, "what `subscribe` returns")
    if subscription.workflow_id != case.stream.workflow_id:
        raise Hint("What it returned reads another stream, not the one that it was given.")
    if subscription.closed:
        raise Hint(
            "The subscription that it returned is closed: leaving `async with` closes it, also by "
            "`return`. Return it without `async with`."
        )
    return subscription


async def all_of(*parts: Awaitable[T]) -> list[T]:
    """What all parts return, run at once; raises the first error in their order, not in time's.

    So that an answer which takes its time takes it once. What is not needed any more is cancelled.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.5)


async def read(subscription: Subscription[Any], case: Case) -> list[WorkflowStreamItem[Any]]:
    """All that it has to give of what is in the stream by now; it is closed then.

    However busy the machine is: it ends where the stream does, not when all was quiet.
    """
    end = await case.stream.get_offset()
    deadline = time.monotonic() + LONGEST
    found: list[WorkflowStreamItem[Any]] = []
    try:
        await subscription.start()
        while subscription.position < end and time.monotonic() < deadline:
            found += await arrived(subscription, quiet=0.05, patience=0.2)
    finally:
        await subscription.aclose()
    return found


async def judged(exercise: Exercise | Pure, answer: Answer, streams: Streams | None) -> str:
    """What the first world said; raises the first `Hint` or `NotYet` of any, in their order."""
    if isinstance(exercise, Pure) or streams is None:
        looking.print_anew()
        return await exercise.judge(answer)  # type: ignore[arg-type]
    worlds = [_on(exercise, answer, world, streams) for world in exercise.worlds]
    said = await all_of(worlds[0], *map(_elsewhere, worlds[1:]))
    return said[0]


async def _elsewhere(world: Awaitable[str]) -> str:
    try:
        return await world
    except Hint as hint:
        raise Hint(f"Right on one stream; but on another: {hint}") from None


async def _on(exercise: Exercise, answer: Answer, world: Any, streams: Streams) -> str:
    looking.print_anew()
    return await exercise.judge(await streams.case(answer, world))

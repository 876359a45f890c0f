"""What a lesson's cells say: a prediction, what arrived, what Temporal wrote down.

Owns their words and nothing else; all text is plain, so that nothing which came over a stream is
ever taken for HTML. Exercises are in `checks.py`, the streams they use in `hosts.py`.
"""

from __future__ import annotations

import asyncio
import json
import textwrap
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle

from streamlib import ItemDecodeError, Subscription, WorkflowStreamItem
from streamlib.errors import shown
from streamlib.lab.lessons import record
from streamlib.lab.lessons.questions import QUESTIONS, NotAnAnswerError, Question
from streamlib.lab.session import Session
from streamlib.wire.shapes import PUBLISH_SIGNAL

T = TypeVar("T")

WIDTH = 88
"""Columns that a notebook has."""

_kept: WeakKeyDictionary[Subscription[Any], Arrived[Any]] = WeakKeyDictionary()


def predict(question: str | float, answer: object = ...) -> None:
    """Record what the learner expects; `...` stands for "not said yet", which is no error.

    What was said before the result stays on record, over kernel restarts too: what is said after
    it stands beside it.

    Args:
        question: Its number, as in `"1.1"`.
        answer: A number in any spelling, or one of the question's choices; None says as little
            as `...`.

    Raises:
        LookupError: There is no such question.
    """
    number, asked = _question(question)
    if answer is ... or answer is None:
        said = record.kept().get(number, {}).get("said")
        before = f"You said {said} before; that stays." if said else "No prediction yet."
        say(f"{number}  {before} Put yours in place of `...`, or just go on.", indent=5)
        return
    try:
        row = record.predicted(number, asked.understood(answer))
    except NotAnAnswerError as error:
        say(f"{number}  {shown(answer)} is not recorded: {error}", indent=5)
        return
    if "came" not in row:
        print(f"{number}  Recorded: {row['said']}. Now run it.")
    else:
        first = row.get("said", "nothing")
        say(
            f"{number}  You know the result by now: it stands beside what you said first "
            f'({first}). To begin anew: lab.forget("{int(number.split(".")[0]):02}") forgets what '
            "you said and solved in this notebook, and what came.",
            indent=5,
        )


def compare(question: str | float, actual: object) -> None:
    """Show the prediction beside what happened, and keep both."""
    number, asked = _question(question)
    try:
        came = asked.understood(actual)
    except NotAnAnswerError:  # a cell that was changed, or ran when something was down
        say(f"{number}  it is: {shown(actual)}. That is no answer to the question; not kept.")
        return
    row = record.came(number, came)
    if (said := row.get("said")) is None:
        print(f"{number}  it is: {came}   (you made no prediction)")
        return
    agree = "as you predicted" if said == came else "not as you predicted: what explains it?"
    print(f"{number}  you predicted: {said}   it is: {came}   {agree}")


def _question(number: str | float) -> tuple[str, Question]:
    text = str(number)
    if text not in QUESTIONS:
        raise LookupError(f"no question {text!r}; there are {', '.join(QUESTIONS)}")
    return text, QUESTIONS[text]


def say(text: object, *, indent: int = 0) -> None:
    """Print a sentence or an error in lines that a notebook need not break within a word."""
    lines = textwrap.fill(
        str(text),
        WIDTH,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    print(lines)


class Arrived(list[WorkflowStreamItem[T]]):
    """The items that a subscription had to give; shows itself as a small table."""

    def __init__(self) -> None:
        super().__init__()
        self.undecodable: list[ItemDecodeError] = []
        """Those that could not be decoded as asked."""
        self.note = ""
        """How things stood when reading stopped."""

    def __repr__(self) -> str:
        """A line an item, in the log's order."""
        rows = [(item.offset, item.topic, shown(item.data) + _gap(item)) for item in self]
        rows += [(error.offset, error.topic, "(cannot be decoded)") for error in self.undecodable]
        topics = [_plain(topic) for _, topic, _ in rows]
        width = max(map(len, ["topic", *topics]))
        lines = [f"offset  {'topic':<{width}}  data"] if rows else []
        for offset, topic, data in sorted(rows):
            lines.append(f"{offset:>6}  {_plain(topic):<{width}}  {data}")
        return "\n".join([*lines, self.note])


def _gap(item: WorkflowStreamItem[Any]) -> str:
    return f"   ({item.missed} missed before it)" if item.missed else ""


async def arrived(
    subscription: Subscription[T], *, quiet: float = 0.4, patience: float = 4.0
) -> Arrived[T]:
    """Return the items that are there now; the subscription stays open. Loses no item.

    Args:
        subscription: What to read from.
        quiet: Return when nothing more came for so many seconds.
        patience: Seconds to wait for the first item.

    Raises:
        Exception: As `Subscription.__anext__`, but for `ItemDecodeError`, which is noted.
        CancelledError: Interrupted; what was read by then comes with the next call.
    """
    kept = _kept.pop(subscription) if subscription in _kept else None
    got: Arrived[T] = Arrived() if kept is None else kept
    ended = False
    try:
        while not ended:
            try:
                item = await _next(subscription, quiet if got or got.undecodable else patience)
            except ItemDecodeError as error:
                got.undecodable.append(error)
            except StopAsyncIteration:
                ended = True
            else:
                if item is None:
                    break
                got.append(item)
    except BaseException:
        _kept[subscription] = got
        raise
    got.note = _standing(subscription, ended, bool(got or got.undecodable))
    return got


async def _next(subscription: Subscription[T], seconds: float) -> WorkflowStreamItem[T] | None:
    """The next item, or None if none comes in time."""
    task = asyncio.ensure_future(_read(subscription))
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    return None if task.cancelled() else task.result()


async def _read(subscription: Subscription[T]) -> WorkflowStreamItem[T]:
    return await subscription.__anext__()


def _standing(subscription: Subscription[Any], ended: bool, some: bool) -> str:
    said = "" if some else "nothing arrived; "
    said += f"position {subscription.position}, lag {subscription.lag}"
    if ended:
        status = subscription.status
        return f"({said}; the stream has ended{f': {status.name}' if status else ''})"
    if subscription.trouble:
        return f"({said}; trouble: {_plain(subscription.trouble)})"
    return f"({said}; still open)"


class Events(list[str]):
    """The names of a history's events, in order, as the UI has them; `.count(name)` counts."""

    def __init__(self, events: list[HistoryEvent]) -> None:
        super().__init__(_name(event) for event in events)
        self._details = [_detail(event) for event in events]

    def __repr__(self) -> str:
        """A line an event; the three events of one workflow task share a line."""
        lines: list[str] = []
        for number, (name, detail) in enumerate(zip(self, self._details, strict=True), start=1):
            step = name.removeprefix("WorkflowTask")
            if step in ("Started", "Completed") and lines and "WorkflowTask" in lines[-1]:
                lines[-1] += f", {step}"
            else:
                lines.append(f"{number:>4}  {name}{detail}")
        return "\n".join(lines)


async def history(handle: WorkflowHandle[Any, Any]) -> Events:
    """Return what Temporal wrote down about a workflow's run so far.

    Raises:
        RPCError: There is no such workflow, or the server does not answer.
    """
    return Events(list((await handle.fetch_history()).events))


def ui(session: Session, handle: WorkflowHandle[Any, Any]) -> None:
    """Print where Temporal's UI shows a workflow."""
    server = session.server
    if server.ui_url is None:
        print(f"workflow {handle.id!r}, in the UI of your own server")
    else:
        print(f"{server.ui_url}/namespaces/{server.namespace}/workflows/{handle.id}")


def _name(event: HistoryEvent) -> str:
    words = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)


def _detail(event: HistoryEvent) -> str:
    """For a batch, how many items it brought."""
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name == PUBLISH_SIGNAL:
        with suppress(ValueError, LookupError, TypeError):  # encrypted, say
            items = len(json.loads(signal.input.payloads[0].data)["items"])
            return f"   a batch of {items} item{'s' if items != 1 else ''}"
    return f"   {_plain(signal.signal_name)}" if signal.signal_name else ""


def _plain(text: str) -> str:
    """Text that neither moves the cursor nor breaks a line."""
    return text if text.isprintable() else repr(text)

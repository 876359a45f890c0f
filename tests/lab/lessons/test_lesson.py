"""What lessons say: every misconception gets its hint, a solution passes, a stub gets a nudge."""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from streamlib import ItemDecodeError, WorkflowStreamClient, WorkflowStreamItem, lab
from streamlib.lab.lessons import checks
from streamlib.lab.lessons.checks.judging import fresh_stream
from streamlib.scenarios.hub import HubInput, HubWorkflow

# Predictions.


def test_a_prediction_is_shown_beside_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("a", answer=3)
    lab.compare("a", 3)
    lab.predict("b", answer="Yes ")
    lab.compare("b", "yes")
    lab.predict("c", answer=1)
    lab.compare("c", 2)
    assert capsys.readouterr().out.splitlines() == [
        "a  Recorded: 3. Now run it.",
        "a  you predicted: 3   it is: 3   as you predicted",
        "b  Recorded: Yes . Now run it.",
        "b  you predicted: Yes    it is: yes   as you predicted",
        "c  Recorded: 1. Now run it.",
        "c  you predicted: 1   it is: 2   not as you predicted: what explains it?",
    ]


def test_no_prediction_is_a_nudge_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    lab.predict("d", answer=...)
    lab.compare("d", 2)
    lab.compare("never asked", 2)
    first, *others = capsys.readouterr().out.splitlines()
    assert "No prediction yet" in first
    assert others == [
        "d  it is: 2   (you made no prediction)",
        "never asked  it is: 2   (you made no prediction)",
    ]


# What arrived.


@pytest.mark.server
async def test_arrived_takes_what_is_there_and_leaves_the_subscription_open(
    stream: WorkflowStreamClient,
) -> None:
    events = stream.subscribe()
    nothing = await lab.arrived(events, patience=0.2)
    assert (list(nothing), repr(nothing)) == (
        [],
        "(nothing arrived; position 0, lag 0; still open)",
    )
    stream.topic("a").publish("one")
    stream.topic("<b>\n").publish({"x": "y" * 500})
    await stream.flush()
    items = await lab.arrived(events)
    assert [item.offset for item in items] == [0, 1]
    lines = repr(items).splitlines()
    assert lines[1].split() == ["0", "a", "'one'"]
    assert len(lines) == 4  # a topic breaks no line
    assert max(map(len, lines)) < 120
    assert not hasattr(items, "_repr_html_")
    stream.topic("a").publish("three")
    await stream.flush()
    assert [item.data for item in await lab.arrived(events)] == ["three"]


@pytest.mark.server
async def test_arrived_shows_the_end_and_what_cannot_be_decoded(
    session: lab.Session, stream: WorkflowStreamClient
) -> None:
    for value in (1, "two", 3):
        stream.topic("n").publish(value)
    await stream.flush()
    await lab.close_hosts(session)
    items = await lab.arrived(stream.subscribe(result_type=int))
    assert [item.data for item in items] == [1, 3]
    assert [error.offset for error in items.undecodable] == [1]
    assert "     1  n      (cannot be decoded)" in repr(items)
    assert repr(items).endswith("(position 3, lag 0; the stream has ended: COMPLETED)")


class Scripted:
    """Stands in for a subscription: gives what it is told to, a little later each time."""

    position = lag = 0
    trouble = status = None

    def __init__(self, *script: Any) -> None:
        self.script = list(script)

    async def __anext__(self) -> Any:
        await asyncio.sleep(0.02)
        if not self.script:
            await asyncio.sleep(60)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return WorkflowStreamItem("t", step, step)


async def test_an_interrupted_or_failed_arrived_loses_no_item() -> None:
    events = Scripted(0, 1, 2)
    reading = asyncio.create_task(lab.arrived(events, quiet=5))
    await asyncio.sleep(0.2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert [item.offset for item in await lab.arrived(events, quiet=0.05)] == [0, 1, 2]
    failing = Scripted(0, RuntimeError("refused"), 1)
    with pytest.raises(RuntimeError, match="refused"):
        await lab.arrived(failing)
    assert [item.offset for item in await lab.arrived(failing, quiet=0.05)] == [0, 1]


async def test_arrived_returns_when_all_is_quiet_also_after_undecodable_items() -> None:
    events = Scripted(ItemDecodeError(0, "t", "no"))
    began = asyncio.get_running_loop().time()
    items = await lab.arrived(events, quiet=0.1)
    assert asyncio.get_running_loop().time() - began < 2
    assert "cannot be decoded" in repr(items)


# What Temporal wrote down, and the hosts.


@pytest.mark.server
async def test_history_names_events_as_the_ui_does(
    session: lab.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = await lab.host(session)
    stream = WorkflowStreamClient.create(session.client, hub.id)
    for number in range(3):
        stream.topic("t").publish(number)
    await stream.flush()
    await stream.get_offset()
    await hub.signal(HubWorkflow.close)
    await hub.result()
    events = await lab.history(hub)
    assert events.count("WorkflowExecutionSignaled") == 2
    assert (events[0], events[-1]) == ("WorkflowExecutionStarted", "WorkflowExecutionCompleted")
    assert "WorkflowExecutionSignaled   a batch of 3 items" in repr(events)
    assert "WorkflowExecutionSignaled   close" in repr(events)
    lab.ui(session, hub)
    assert capsys.readouterr().out == (
        f"{session.server.ui_url}/namespaces/default/workflows/{hub.id}\n"
    )


@pytest.mark.server
async def test_a_host_is_fresh_or_the_same_again_and_closed_by_its_own_notebook(
    session: lab.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await lab.host(session, again=True)
    second = await lab.host(session)
    assert first.id != second.id
    assert (await lab.host(session, again=True)).id == second.id
    mine = os.environ["JPY_SESSION_NAME"]
    monkeypatch.setenv("JPY_SESSION_NAME", f"{mine}-another")
    assert (await lab.host(session, again=True)).id != second.id
    assert await lab.close_hosts(session) == 1
    monkeypatch.setenv("JPY_SESSION_NAME", mine)
    assert (await second.describe()).status == WorkflowExecutionStatus.RUNNING
    assert await lab.close_hosts(session) == 2
    assert await second.result() == f"hub {second.id} closed"
    assert await lab.close_hosts(session) == 0
    assert (await lab.host(session, again=True)).id != second.id


@pytest.mark.server
async def test_what_an_interrupted_check_left_behind_is_closed_too(session: lab.Session) -> None:
    mine = await lab.host(session)
    async with fresh_stream() as done:
        pass
    left = await fresh_stream().__aenter__()  # a kernel restart: nothing after this runs
    assert (await lab.host(session, again=True)).id == mine.id
    await lab.close_hosts(session)
    handle = session.client.get_workflow_handle(left.workflow_id)
    assert await handle.result() == f"hub {left.workflow_id} closed"
    assert done.workflow_id != left.workflow_id


@pytest.mark.server
async def test_the_hub_truncates_on_request_and_refuses_to_go_past_the_end(
    session: lab.Session, client: Client
) -> None:
    hub = await client.start_workflow(
        HubWorkflow.run, HubInput("h"), id=f"hub-{uuid.uuid4()}", task_queue=session.task_queue
    )
    stream = WorkflowStreamClient.create(client, hub.id)
    for number in range(4):
        stream.topic("t").publish(number)
    await stream.flush()
    await hub.execute_update(HubWorkflow.truncate, 3)
    items = await lab.arrived(stream.subscribe(), quiet=0.1)
    assert [(item.offset, item.missed) for item in items] == [(3, 3)]
    with pytest.raises(Exception, match="update failed"):
        await hub.execute_update(HubWorkflow.truncate, 9)
    await hub.signal(HubWorkflow.close)
    assert await hub.result() == "hub h closed"


# Exercises.


def begin_at(topic: str | None, offset: int) -> Any:
    return lambda stream: stream.subscribe(topic, from_offset=offset)


def announcing(*words: str, topic: str = "news", flush: bool = True, force: bool = False) -> Any:
    async def announce(stream: WorkflowStreamClient) -> None:
        for word in words:
            stream.topic(topic).publish(word, force_flush=force)
        if flush:
            await stream.flush()

    return announce


async def inside_async_with(stream: WorkflowStreamClient) -> None:
    async with stream:
        for word in ("one", "two", "three"):
            stream.topic("news").publish(word)


async def never_returns(_: WorkflowStreamClient) -> None:
    await asyncio.sleep(60)


async def stub(_: Any) -> None: ...


RIGHT = [
    ("1.4", lambda item: item.offset + 1),
    ("1.5", begin_at("progress", 2)),
    ("1.5", begin_at("progress", 3)),
    ("1.6", "DCABE"),
    ("1.6", "D, A, B, C, E"),
    ("1.7", announcing("one", "two", "three")),
    ("1.7", inside_async_with),
]

UNANSWERED = [
    *[(exercise, ...) for exercise in checks.CHECKS],
    ("1.4", lambda item: ...),
    ("1.4", lambda item: None),
    ("1.5", lambda stream: ...),
    ("1.7", stub),
]

MISCONCEPTIONS = [
    ("1.4", lambda item: item.offset, "a second time"),
    ("1.4", lambda item: item.offset + 2, "was skipped"),
    ("1.4", lambda item: 0, "starts over"),
    ("1.4", lambda item: item, "whole number"),
    ("1.4", lambda item: item.position, "AttributeError"),
    ("1.4", 2, "function itself"),
    ("1.5", begin_at("progress", 1), "no offsets of their own"),
    ("1.5", begin_at("progress", 0), "where to start"),
    ("1.5", begin_at(None, 2), "Name the topic"),
    ("1.5", begin_at("progress", 4), "waits there"),
    ("1.5", lambda stream: "progress", "what `subscribe` returns"),
    ("1.6", "ABDCE", "Ask before you publish"),
    ("1.6", "DCEAB", "never ran"),
    ("1.6", "CDABE", "before another line had made it"),
    ("1.6", "DCBAE", "right after it"),
    ("1.6", "ABC", "each of"),
    ("1.7", announcing("one", "two", "three", flush=False), "only buffers"),
    ("1.7", announcing("one", "two", "three", flush=False, force=True), "only begins to send"),
    ("1.7", announcing("one", "three", "two"), "in this order"),
    ("1.7", announcing("one", "two", "three", topic="new"), "not just 'news'"),
    ("1.7", never_returns, "did not return"),
]


@pytest.mark.server
@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
async def test_a_right_answer_passes(exercise: str, answer: Any, session: lab.Session) -> None:
    found = await checks.judge(exercise, answer)
    assert found.ok, found.says


@pytest.mark.server
@pytest.mark.parametrize(("exercise", "answer"), UNANSWERED)
async def test_an_unanswered_one_gets_a_nudge(
    exercise: str, answer: Any, session: lab.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.check(exercise, answer)
    assert capsys.readouterr().out.startswith(f"{exercise}  → Not answered yet")


@pytest.mark.server
@pytest.mark.parametrize(("exercise", "answer", "hint"), MISCONCEPTIONS)
async def test_each_misconception_gets_its_own_hint(
    exercise: str, answer: Any, hint: str, session: lab.Session
) -> None:
    found = await checks.judge(exercise, answer)
    assert not found.ok
    assert hint in found.says
    others = {text for number, _, text in MISCONCEPTIONS if number == exercise} - {hint}
    assert [other for other in others if other in found.says] == []


async def test_an_exercise_that_does_not_exist_is_named() -> None:
    with pytest.raises(LookupError, match=r"no exercise '9\.9'"):
        await lab.check("9.9", 1)

"""Replay: today's code takes the same decisions on histories that were recorded earlier.

A replay alone says little: it stays green where each item is stored twice. So beside each history
stands what its stream held in the end, asked of the code that ran it: `NAME.recorded.json`. They
are never recorded anew; `docs/compatibility.md` says what to do when a decision must change, and
`recording.py` records a run of today's.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from streamlib.core.limits import StreamLimits
from streamlib.core.log import Item, Log
from streamlib.scenarios import WORKFLOWS
from streamlib.scenarios.llm import LLMWorkflow
from streamlib.wire import shapes
from tests.server import hosts
from tests.server.recording import HISTORIES, record_of

NAMES = sorted(
    path.name.split(".")[0] for path in HISTORIES.iterdir() if ".recorded." not in path.name
)


def text_of(name: str) -> str:
    """A file of the histories, unzipped where it is zipped."""
    plain, zipped = HISTORIES / f"{name}.json", HISTORIES / f"{name}.json.gz"
    return plain.read_text() if plain.exists() else gzip.decompress(zipped.read_bytes()).decode()


def recorded(name: str) -> dict[str, Any]:
    """What the stream held when the run ended, as the code of that time said."""
    return dict(json.loads(text_of(f"{name}.recorded")))


class Ends(Interceptor):
    """Looks at the stream in the moment when its run ends, through its own queries."""

    def __init__(self) -> None:
        self.streams: list[dict[str, Any]] = []

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        streams = self.streams

        class End(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                try:
                    return await self.next.execute_workflow(input)
                finally:
                    streams.append(look())

        return End


def look() -> dict[str, Any]:
    """The stream of the workflow that calls this, in the shape of the records."""
    poll: Any = workflow.get_query_handler(shapes.POLL)
    describe: Any = workflow.get_query_handler(shapes.DESCRIBE_QUERY)
    items, at, more = [], 0, True
    while more:
        page = poll({"from_offset": at})
        at, more = page["next_offset"], page["more_ready"]
        items += [[item["offset"], item["topic"], item["data"]] for item in page["items"]]
    return record_of(describe(), items)


TODAYS = [
    *WORKFLOWS,
    LLMWorkflow,
    hosts.OurHubForThePeers,
    *(each for each in hosts.WORKFLOWS if each is not hosts.PeerHub),
]


async def replayed(name: str, workflows: list[Any] = TODAYS) -> dict[str, Any]:
    """Replay a history, and return what its stream holds in the end."""
    ends = Ends()
    history = WorkflowHistory.from_json(name, text_of(name))
    await Replayer(workflows=workflows, interceptors=[ends]).replay_workflow(history)
    [stream] = ends.streams
    return stream


def as_recorded(stream: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """The stream, without what the record does not say: the peer counts nothing."""
    rows = {
        name: {column: row[column] for column in record["publishers"].get(name, row)}
        for name, row in stream["publishers"].items()
    }
    return {key: stream[key] for key in record} | {"publishers": rows}


@pytest.mark.parametrize("name", NAMES)
async def test_a_recorded_history_replays_and_ends_with_the_same_stream(name: str) -> None:
    record = recorded(name)
    assert as_recorded(await replayed(name), record) == record


def test_the_histories_are_there() -> None:
    assert NAMES == [
        "flow-1",
        "flow-1-rolled",
        "hub",
        "hub-rolled",
        "limits-1",
        "limits-1-rolled",
        "order",
        "peer-hub",
        "peer-hub-rolled",
        "rolled-by-advice",
        "scenario-hub",
        "scenario-llm",
        "scenario-order",
        "scenario-ticker",
    ]


async def test_a_stream_that_stores_every_item_twice_replays_but_ends_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append = Log.append

    def twice(log: Log, item: Item) -> int:
        append(log, item)
        return append(log, item)

    monkeypatch.setattr(Log, "append", twice)
    record = recorded("scenario-llm")
    stream = await replayed("scenario-llm")  # green, so a replay alone does not notice
    assert stream["end_offset"] == 2 * record["end_offset"]
    assert as_recorded(stream, record) != record


async def test_a_run_that_obeyed_the_advice_replays_whatever_the_author_and_the_defaults_say_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = recorded("rolled-by-advice")
    other = StreamLimits(history_bytes=10**9, history_events=10**6, signals=5)
    monkeypatch.setattr("streamlib.host.begin.DEFAULTS", other)
    for rolling in (hosts.SelfRollingHub, hosts.SelfRollingHubOfAnotherMind):
        assert as_recorded(await replayed("rolled-by-advice", [rolling]), record) == record


async def test_a_run_that_began_without_retention_keeps_everything_whatever_is_asked_now() -> None:
    record = recorded("hub")
    stream = await replayed("hub", [hosts.OurHubThatKeepsLittle])
    assert as_recorded(stream, record) == record
    assert len(record["items"]) > 1


async def test_a_change_of_what_runs_began_with_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the test above can fail: the same change, to what those runs go by."""
    monkeypatch.setattr("streamlib.host.begin.LEGACY", StreamLimits(history_bytes=10**9))
    with pytest.raises(workflow.NondeterminismError):
        await replayed("rolled-by-advice")


async def test_limits_that_an_author_changed_without_a_patch_fail_the_replay() -> None:
    """As any change of a workflow's code would: `docs/compatibility.md` says how to make one."""
    with pytest.raises(workflow.NondeterminismError):
        await replayed("limits-1", [hosts.TightHubWithout])

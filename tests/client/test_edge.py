"""The real transport, feed and watch on a service that answers with what real servers said."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    QueryWorkflowRequest,
    QueryWorkflowResponse,
)
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.follow import ending
from streamlib.client.registry import shared_feed
from streamlib.client.transport import (
    NeverBeganError,
    PollQueryMissingError,
    TemporalTransport,
    TokenRefusedError,
)
from streamlib.client.watch import RunSnapshot, StreamWatch
from streamlib.errors import NotAStreamError, StreamNotFoundError, StreamUnavailableError
from streamlib.wire.describe import DescribeInput

RECORDED = Path(__file__).parent.parent / "server" / "histories"
SECOND = timedelta(seconds=1)


class Service:
    """The part of Temporal's service that a reader needs, over one recorded run."""

    def __init__(self, events: list[HistoryEvent], *, page: int = 1000) -> None:
        self.events, self.page = events, page
        self.requests: list[Any] = []
        self.answer: Any = None  # of a query; an error is raised
        self.failures: list[RPCError] = []  # of the next calls for history
        self.silent = False
        self.client: Any = SimpleNamespace(
            data_converter=DataConverter.default,
            namespace="default",
            workflow_service=self,
            get_workflow_handle=lambda *_, **__: SimpleNamespace(describe=self.describe),
        )
        handle: Any = SimpleNamespace(id="order-1", run_id="run-1")
        self.transport = TemporalTransport(handle, self.client)

    async def describe(self) -> Any:
        if self.silent:
            await asyncio.Event().wait()
        execution = SimpleNamespace(run_id="run-1")
        info = SimpleNamespace(
            execution=execution, first_run_id="", history_length=len(self.events)
        )
        return SimpleNamespace(raw_description=SimpleNamespace(workflow_execution_info=info))

    async def get_workflow_execution_history(
        self, request: GetWorkflowExecutionHistoryRequest, **_: Any
    ) -> GetWorkflowExecutionHistoryResponse:
        self.requests.append(request)
        if self.failures:
            raise self.failures.pop(0)
        begin = int(request.next_page_token or b"0")
        end = begin + min(self.page, request.maximum_page_size)
        return GetWorkflowExecutionHistoryResponse(
            history=History(events=self.events[begin:end]),
            next_page_token=b"" if end >= len(self.events) else str(end).encode(),
        )

    async def query_workflow(
        self, request: QueryWorkflowRequest, **_: Any
    ) -> QueryWorkflowResponse:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        payloads = Payloads(
            payloads=DataConverter.default.payload_converter.to_payloads([self.answer])
        )
        return QueryWorkflowResponse(query_result=payloads)


def recorded(name: str) -> list[HistoryEvent]:
    """The events of a real run, as a server gave them."""
    told = json.loads((RECORDED / f"{name}.json").read_text())
    return [*WorkflowHistory.from_json("recorded", told).events]


@pytest.fixture
def closed_run() -> list[HistoryEvent]:
    return recorded("scenario-hub")


# --- history


@pytest.mark.parametrize("page", [1, 3, 1000])
async def test_the_real_watch_tells_a_recorded_run_to_its_end(
    closed_run: list[HistoryEvent], page: int
) -> None:
    service = Service(closed_run, page=page)
    watch = StreamWatch(
        lambda: shared_feed(service, lambda: service.transport), service.transport.decode
    )
    told: list[RunSnapshot] = [snapshot async for snapshot in watch]
    assert told[-1].run_id == "run-1"
    assert watch.status is WorkflowExecutionStatus.COMPLETED
    assert watch.history_events == len(closed_run)
    signals = [e for e in closed_run if e.HasField("workflow_execution_signaled_event_attributes")]
    assert watch.signals == len(signals) > 0
    tokens = [request.next_page_token for request in service.requests]
    assert len(tokens) == len(set(tokens)), "no page is asked for twice"


async def test_a_token_that_is_refused_begins_anew_and_counts_nothing_twice(
    closed_run: list[HistoryEvent],
) -> None:
    service = Service(closed_run, page=5)
    _, token = await service.transport.history("run-1", b"", SECOND)
    refusal = RPCError("Invalid NextPageToken.", RPCStatusCode.INVALID_ARGUMENT, b"")
    service.failures = [refusal]
    with pytest.raises(TokenRefusedError):
        await service.transport.history("run-1", token, SECOND)
    service.failures = [refusal]
    with pytest.raises(RPCError, match="NextPageToken"):  # without a token it means another thing
        await service.transport.history("run-1", b"", SECOND)


async def test_a_history_that_ends_without_an_end_is_asked_for_again() -> None:
    open_run = [each for each in recorded("hub") if ending(each) is None]
    with pytest.raises(StreamUnavailableError, match="ended early"):
        await Service(open_run).transport.history("run-1", b"", SECOND)


async def test_the_run_before_stands_in_the_first_event() -> None:
    rolled = Service(recorded("hub-rolled")).transport
    assert await rolled.run_before("run-1", SECOND)
    assert await Service(recorded("hub")).transport.run_before("run-1", SECOND) is None


async def test_a_description_that_does_not_come_is_an_outage() -> None:
    service = Service([])
    run = await service.transport.resolve("", SECOND)
    assert (run.run_id, run.first_run_id) == ("run-1", "run-1"), "as older servers tell it"
    service.silent = True
    with pytest.raises(StreamUnavailableError, match="cannot be reached"):
        await service.transport.resolve("", timedelta(milliseconds=10))


# --- queries


@pytest.mark.parametrize(
    "words",
    [
        "Query handler for '__temporal_workflow_stream_poll' expected but not found, known "
        "queries: [__stack_trace]",  # Python and .NET
        "unknown queryType __temporal_workflow_stream_poll. KnownQueryTypes=[__stack_trace]",  # Go
        "Unknown query type: __temporal_workflow_stream_poll, knownTypes=[]",  # Java
        "Workflow did not register a handler for __temporal_workflow_stream_poll. Registered "
        "queries: [__stack_trace]",  # TypeScript
        "No query handler found for __temporal_workflow_stream_poll",
    ],
)
async def test_each_sdk_has_its_words_for_a_handler_that_is_missing(words: str) -> None:
    service = Service([])
    service.answer = RPCError(words, RPCStatusCode.INVALID_ARGUMENT, b"")
    with pytest.raises(PollQueryMissingError) as raised:
        await service.transport.read("run-1", [], 0, SECOND)
    assert isinstance(raised.value, NotAStreamError)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (RPCStatusCode.FAILED_PRECONDITION, "workflow closed before worker", NeverBeganError),
        (RPCStatusCode.FAILED_PRECONDITION, "no poller seen", StreamUnavailableError),
        (RPCStatusCode.DEADLINE_EXCEEDED, "Timeout expired", StreamUnavailableError),
        (RPCStatusCode.NOT_FOUND, "workflow not found for ID: order-1", StreamNotFoundError),
        (RPCStatusCode.INVALID_ARGUMENT, "the poll is invalid", RPCError),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", RPCError),
    ],
)
async def test_what_a_query_failed_of_says_whether_to_ask_again(
    status: RPCStatusCode, words: str, kind: type[Exception]
) -> None:
    service = Service([])
    service.answer = RPCError(words, status, b"")
    with pytest.raises(kind, match=words):
        await service.transport.read("run-1", [], 0, SECOND)
    if kind is NeverBeganError:
        assert await service.transport.offset("run-1", SECOND) == 0


async def test_an_answer_is_decoded_and_the_question_names_the_run() -> None:
    service = Service([])
    service.answer = 7
    assert await service.transport.offset("run-1", SECOND) == 7
    assert await service.transport.describe("run-1", DescribeInput(0, 0, 0), SECOND) == 7
    assert {request.execution.run_id for request in service.requests} == {"run-1"}
    asked = [request.query.query_type for request in service.requests]
    assert asked == ["__temporal_workflow_stream_offset", "__streamlib_describe"]

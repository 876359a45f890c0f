"""The edge to Temporal: five calls, and the translation of everything that can go wrong in them.

    send       a batch                      signal, through the handle it was given
    read       what is there now            poll query: writes nothing, works on closed runs
    poll       wait, then what is there     poll update: for hosts without the query
    resolve    which run, is it closed      describe
    watch      what happens to the run      history, long-polled: writes nothing, needs no worker

Knows no subscriber and no publisher: it makes one try and says what came of it. An error is either
`StreamUnavailableError` (try again), or final. Next: `publisher.py` and `feed.py`, which decide.
"""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    QueryWorkflowRequest,
)
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.status import cause_of, says_too_large
from streamlib.core.log import Page
from streamlib.errors import (
    NotAStreamError,
    StreamError,
    StreamNotFoundError,
    StreamUnavailableError,
)
from streamlib.wire.describe import DescribeInput
from streamlib.wire.parse import parse_answer
from streamlib.wire.shapes import (
    DESCRIBE_QUERY,
    OFFSET_QUERY,
    POLL,
    PUBLISH_SIGNAL,
    STREAM_DRAINING,
    TRUNCATED_OFFSET,
    Answer,
)

R = TypeVar("R")

_HISTORY_PAGE = 200  # transactions, not events: one answer stays well below the 4 MB of gRPC
_LONG_POLL = timedelta(seconds=40)  # the server answers after 20 s, with nothing
_RUN_CLOSED = "AcceptedUpdateCompletedWorkflow"  # the server's, for polls that a run left waiting
_SEND_TIMEOUT = 30  # seconds; a wrapped handle need not take one, so it is kept here
_SETTLE = 0.05  # seconds

# The SDK's threads are not done with a call when its result is here: an interpreter that exits in
# that moment aborts (seen in 3 of 16 runs that ended right after a call).
atexit.register(time.sleep, _SETTLE)

_RETRYABLE = {
    RPCStatusCode.ABORTED,
    RPCStatusCode.CANCELLED,  # what a client-side time-out arrives as
    RPCStatusCode.DATA_LOSS,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.UNKNOWN,
}
# Asked of a worker: none is polling, or the run is just being handed over.
_RETRYABLE_READ = _RETRYABLE | {RPCStatusCode.FAILED_PRECONDITION}
_TASK_EVENTS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
}


@dataclass(frozen=True)
class Run:
    """One run of the workflow, as it was when asked."""

    run_id: str
    stream_id: str  # the first run of its chain
    history_length: int  # events


@dataclass(frozen=True)
class Noted:
    """Events of the run's history, in order; seen again when a run is watched again."""

    events: list[HistoryEvent]


@dataclass(frozen=True)
class Progress:
    """The workflow has finished some work: there may be new items."""


@dataclass(frozen=True)
class WorkWaits:
    """The workflow has something to do, and no worker has done it yet."""


@dataclass(frozen=True)
class RolledOver:
    """The run has continued as new, as `run_id`."""

    run_id: str


@dataclass(frozen=True)
class Closed:
    """The run has closed for good."""

    status: WorkflowExecutionStatus


Happening = Noted | Progress | WorkWaits | RolledOver | Closed


class PollQueryMissingError(NotAStreamError):
    """The workflow does not answer the poll query; it may answer the poll update."""


class NeverBeganError(StreamNotFoundError):
    """The run closed before its worker did anything: there never was a log."""


class BatchRefusedError(Exception):
    """This batch cannot be sent as it is, whoever tries: it was not stored by this try."""


class TruncatedDuringPollError(Exception):
    """The poll update found its offset truncated."""


class Transport(Protocol):
    """What publisher, feed and client need of the network; the tests' has scripted faults.

    `TemporalTransport` says what each call promises and raises.
    """

    workflow_id: str

    async def send(self, batch: dict[str, Any]) -> None:
        """Append a batch."""

    async def resolve(self) -> Run:
        """Find the run that the stream lives in now."""
        ...

    async def read(
        self, run_id: str, topics: Collection[str], from_offset: int, timeout: timedelta
    ) -> Answer:
        """Return what is there now."""
        ...

    async def offset(self, run_id: str, timeout: timedelta) -> int:
        """Return the end offset."""
        ...

    async def poll(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer:
        """Wait until something is there, then return it."""
        ...

    def watch(self, run: Run) -> AsyncIterator[Happening]:
        """Report what happens to a run, until it has ended."""
        ...


class TemporalTransport:
    """A `Transport` over a Temporal client. Every method makes one try and may be cancelled."""

    def __init__(self, handle: WorkflowHandle[Any, Any], client: Client) -> None:
        self.workflow_id = handle.id
        self.client = client
        self.pinned_run_id = handle.run_id or ""
        self._handle = handle
        context = WorkflowSerializationContext(client.namespace, handle.id)
        self._converter = client.data_converter.with_context(context)
        sender: Client = getattr(handle, "_client", client)  # a handle may have come from another
        self._sending_converter = sender.data_converter.with_context(context)

    async def send(self, batch: dict[str, Any]) -> None:
        """Signal a batch, through the handle that was given: it may be wrapped.

        Raises:
            StreamUnavailableError: It may be stored, or not.
            StreamNotFoundError: No such workflow, or it has closed. It is not stored.
            BatchRefusedError: It is too large for the server, or the codec fails on it, which
                does not fail on an empty one. It is not stored.
            RPCError: The server refuses us. It is not stored.
        """
        signal = self._handle.signal(PUBLISH_SIGNAL, batch)
        try:
            await self._call(asyncio.wait_for(signal, _SEND_TIMEOUT), _RETRYABLE)
        except asyncio.TimeoutError as error:
            reason = f"no acknowledgement within {_SEND_TIMEOUT} s"
            raise StreamUnavailableError(self.workflow_id, reason) from error
        except RPCError as error:
            if says_too_large(error.message):
                raise BatchRefusedError(error.message) from error
            raise
        except StreamError:
            raise
        except Exception as error:
            if await self._encodes({**batch, "items": []}) and not await self._encodes(batch):
                raise BatchRefusedError(f"the codec fails on it ({error!r})") from error
            raise

    async def _encodes(self, batch: dict[str, Any]) -> bool:
        try:
            await self._sending_converter.encode([batch])
        except Exception:
            return False
        return True

    async def resolve(self) -> Run:
        """Find the run that the stream lives in now.

        Raises:
            StreamNotFoundError: There is none, and there never was.
            StreamUnavailableError: No answer.
        """
        request = DescribeWorkflowExecutionRequest(
            namespace=self.client.namespace, execution=self._execution(self.pinned_run_id)
        )
        service = self.client.workflow_service
        answer = await self._call(
            service.describe_workflow_execution(request, timeout=timedelta(seconds=10)), _RETRYABLE
        )
        info = answer.workflow_execution_info
        run_id = info.execution.run_id
        return Run(run_id, info.first_run_id or run_id, info.history_length)

    async def read(
        self, run_id: str, topics: Collection[str], from_offset: int, timeout: timedelta
    ) -> Answer:
        """Return what the log holds from `from_offset` on, at once.

        Raises:
            PollQueryMissingError: The workflow has no such query.
            StreamUnavailableError: No answer: no server, no worker, or too many queries.
            StreamNotFoundError: The run is gone.
        """
        poll = {"topics": list(topics), "from_offset": from_offset}
        try:
            return parse_answer(await self._query(run_id, POLL, [poll], timeout))
        except NeverBeganError:
            return Answer(Page([], from_offset, False), None, None, None)

    async def offset(self, run_id: str, timeout: timedelta) -> int:
        """Return the end offset. Raises as `read` does."""
        try:
            return int(await self._query(run_id, OFFSET_QUERY, [], timeout))
        except NeverBeganError:
            return 0

    async def describe(self, run_id: str, asked: DescribeInput, timeout: timedelta) -> Any:
        """Return what the stream says about itself, as JSON. Raises as `read` does."""
        return await self._query(run_id, DESCRIBE_QUERY, [asked._asdict()], timeout)

    async def decode(self, payloads: Sequence[Payload]) -> list[Any]:
        """Return what payloads of the run's history hold, through the codec if there is one."""
        return await self._converter.decode(payloads)

    async def poll(self, run_id: str, topics: Collection[str], from_offset: int) -> Answer:
        """Wait until the log holds something from `from_offset` on, then return it.

        Raises:
            NotAStreamError: The workflow has no such update either.
            TruncatedDuringPollError: The offset is, or was just now, truncated.
            StreamUnavailableError: No answer, or a hand-over is under way.
            StreamNotFoundError: The run has closed.
        """
        handle = self.client.get_workflow_handle(self.workflow_id, run_id=run_id)
        poll = {"topics": list(topics), "from_offset": from_offset}
        update: Awaitable[Any] = handle.execute_update(POLL, poll, result_type=dict[str, Any])
        try:
            return parse_answer(await self._call(update, _RETRYABLE_READ))
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise StreamUnavailableError(self.workflow_id, "the poll timed out") from error
        except WorkflowUpdateFailedError as error:
            kind = getattr(error.cause, "type", None)
            if kind == TRUNCATED_OFFSET:
                raise TruncatedDuringPollError from error
            if kind in (STREAM_DRAINING, _RUN_CLOSED):
                raise StreamUnavailableError(self.workflow_id, str(error.cause)) from error
            raise NotAStreamError(self.workflow_id, str(error.cause)) from error

    async def watch(self, run: Run) -> AsyncIterator[Happening]:
        """Report what happens to a run, from now on, until it has rolled over or closed.

        Pages through the history that was there when the run was resolved, says `Progress` once
        when it has caught up, and then each time the workflow has finished some work. Says
        `WorkWaits` while there is some to do. Of a run with a `history_length` of 0 everything is
        news. What history holds, from its beginning, is `Noted` before anything is said of it.

        Raises:
            StreamUnavailableError: No answer. Watch again: what was missed is covered by the
                `Progress` that comes first.
        """
        token, caught_up, waits = b"", run.history_length == 0, False
        while True:
            events, token = await self._history(run.run_id, token)
            if events:
                yield Noted(events)
            for event in events:
                if (ended := _ending(event)) is not None:
                    yield ended
                    return
            last = events[-1].event_id if events else 0
            if not caught_up and last >= run.history_length:
                caught_up = True
                yield Progress()
            elif caught_up and any(_is_work(event) for event in events):
                yield Progress()
            waits = _waits_for_a_worker(events, waits)
            if caught_up and events and waits:
                yield WorkWaits()

    async def _history(self, run_id: str, token: bytes) -> tuple[list[HistoryEvent], bytes]:
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self.client.namespace,
            execution=self._execution(run_id),
            maximum_page_size=_HISTORY_PAGE,
            next_page_token=token,
            wait_new_event=True,
        )
        service = self.client.workflow_service
        answer = await self._call(
            service.get_workflow_execution_history(request, timeout=_LONG_POLL), _RETRYABLE
        )
        return list(answer.history.events), answer.next_page_token

    async def _query(self, run_id: str, name: str, args: list[Any], timeout: timedelta) -> Any:
        """Query without the SDK's retries: on a full query buffer they wait a whole second."""
        request = QueryWorkflowRequest(
            namespace=self.client.namespace,
            execution=self._execution(run_id),
            query=WorkflowQuery(
                query_type=name,
                query_args=Payloads(payloads=await self._converter.encode(args)),
            ),
        )
        service = self.client.workflow_service
        answer = await self._call(
            service.query_workflow(request, retry=False, timeout=timeout), _RETRYABLE_READ
        )
        return (await self._converter.decode(answer.query_result.payloads))[0]

    def _execution(self, run_id: str) -> WorkflowExecution:
        return WorkflowExecution(workflow_id=self.workflow_id, run_id=run_id)

    async def _call(self, call: Awaitable[R], retryable: Collection[RPCStatusCode]) -> R:
        """Await one call and translate its errors.

        Cancelled, it waits a moment before it lets go: an interpreter that exits while the SDK
        still winds a call up hangs or crashes.
        """
        try:
            return await call
        except asyncio.CancelledError:
            await asyncio.sleep(_SETTLE)
            raise
        except RPCError as error:
            raise self._translate(error, retryable) from error

    def _translate(self, error: RPCError, retryable: Collection[RPCStatusCode]) -> Exception:
        text = error.message
        match error.status:
            case RPCStatusCode.NOT_FOUND:
                return StreamNotFoundError(self.workflow_id, text)
            case RPCStatusCode.RESOURCE_EXHAUSTED if says_too_large(text):
                return error
            case _ if "limit for signal events" in text:  # the next run has a limit of its own
                return StreamUnavailableError(self.workflow_id, text)
            case RPCStatusCode.FAILED_PRECONDITION if "closed before" in text:
                return NeverBeganError(self.workflow_id, text)
            case RPCStatusCode.INVALID_ARGUMENT if _says_no_handler(text):
                return PollQueryMissingError(self.workflow_id, text)
            case status if status in retryable:
                return StreamUnavailableError(
                    self.workflow_id, _reason(status, text), cause=cause_of(error)
                )
            case _:
                return error


def _reason(status: RPCStatusCode, text: str) -> str:
    """What a failed call means to somebody who knows no gRPC."""
    if status in (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED):
        return f"no worker, or no server, answered in time: {text}"
    if status == RPCStatusCode.UNAVAILABLE:
        return f"the server cannot be reached: {text}"
    return text


def _says_no_handler(text: str) -> bool:
    # Each SDK has its own words: Python and .NET "Query handler for … expected but not found", Go
    # "unknown queryType", Java "Unknown query type", TypeScript "did not register a handler".
    text = text.lower()
    return "handler" in text or "unknown query" in text


def _is_work(event: HistoryEvent) -> bool:
    # Not on the signal's own event: a query then waits in the server's buffer of one, and the next
    # reader's is refused for a second.
    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


def _waits_for_a_worker(events: Sequence[HistoryEvent], before: bool) -> bool:
    """Whether a workflow task is open after these events, if one was `before`."""
    tasks = [event for event in events if event.event_type in _TASK_EVENTS]
    return not _is_work(tasks[-1]) if tasks else before


def _ending(event: HistoryEvent) -> RolledOver | Closed | None:
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
            attributes = event.workflow_execution_continued_as_new_event_attributes
            return RolledOver(attributes.new_execution_run_id)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            return Closed(WorkflowExecutionStatus.COMPLETED)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            return Closed(WorkflowExecutionStatus.FAILED)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
            return Closed(WorkflowExecutionStatus.CANCELED)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            return Closed(WorkflowExecutionStatus.TERMINATED)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            return Closed(WorkflowExecutionStatus.TIMED_OUT)
        case _:
            return None

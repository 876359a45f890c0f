"""The edge to Temporal: its calls, and the translation of everything that can go wrong in them.

    send       a batch                      signal, through the handle it was given
    resolve    which run, how long          describe
    history    what happens to the run      a page of events, or a wait for one: writes nothing
    read       what is there now            poll query: writes nothing, works on closed runs
    offset     where the log ends           query
    poll       wait, then what is there     poll update: for hosts without the query
    describe   the stream about itself      query
    tell       where a named reader stands  signal

Knows no subscriber and no publisher: it makes one try and says what came of it. An error is either
`StreamUnavailableError` (try again), or final. Next: `publisher.py` and `feed.py`, which decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    QueryWorkflowRequest,
)
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from streamlib.client.follow import Run, continued_from, ending
from streamlib.client.status import cause_of, says_too_large
from streamlib.errors import (
    NotAStreamError,
    StreamError,
    StreamNotFoundError,
    StreamUnavailableError,
)
from streamlib.leaving import SETTLE, leave_calmly
from streamlib.wire.describe import DescribeInput
from streamlib.wire.parse import parse_answer
from streamlib.wire.shapes import (
    DESCRIBE_QUERY,
    OFFSET_QUERY,
    POLL,
    PUBLISH_SIGNAL,
    READER_SIGNAL,
    STREAM_DRAINING,
    TRUNCATED_OFFSET,
    Answer,
)

R = TypeVar("R")

_HISTORY_PAGE = 200  # transactions, not events: one answer stays well below the 4 MB of gRPC
_RUN_CLOSED = "AcceptedUpdateCompletedWorkflow"  # the server's, for polls that a run left waiting
# Seconds that a send may take; kept here, as a wrapped handle need not take them. So a call that
# hangs on a node that died is found out soon, and a large batch gets through on a slow line.
_SEND_TIMEOUT = 5.0
_SLOW_LINE = 40_000  # bytes a second
# Times as long, at most, after sends that had no answer: what is only slow would be sent again and
# again, and be slower for it.
_MOST_PATIENCE = 8

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


class PollQueryMissingError(NotAStreamError):
    """The workflow does not answer the poll query; it may answer the poll update."""


class NeverBeganError(StreamNotFoundError):
    """The run closed before its worker did anything: there never was a log."""


class TokenRefusedError(StreamUnavailableError):
    """The server no longer knows how far history was read: read it from the beginning."""


class BatchRefusedError(Exception):
    """This batch cannot be sent as it is, whoever tries: it was not stored by this try."""


class TruncatedDuringPollError(Exception):
    """The poll update found its offset truncated."""


class Transport(Protocol):
    """What publisher, feed and client need of the network; the tests' has scripted faults.

    `TemporalTransport` says what each call promises and raises.
    """

    workflow_id: str
    pinned_run_id: str

    async def send(self, batch: dict[str, Any]) -> None:
        """Append a batch."""

    async def resolve(self, run_id: str, timeout: timedelta) -> Run:
        """Describe a run."""
        ...

    async def history(
        self, run_id: str, token: bytes, timeout: timedelta
    ) -> tuple[list[HistoryEvent], bytes]:
        """Return a page of history, and the token of the next."""
        ...

    async def run_before(self, run_id: str, timeout: timedelta) -> str | None:
        """Return the run that handed over to this one."""
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

    async def describe(self, run_id: str, asked: DescribeInput, timeout: timedelta) -> Any:
        """Return what the stream says about itself."""
        ...

    async def tell(self, reader: dict[str, Any]) -> None:
        """Tell where a named reader stands."""


class TemporalTransport:
    """A `Transport` over a Temporal client. Every method makes one try and may be cancelled."""

    def __init__(self, handle: WorkflowHandle[Any, Any], client: Client) -> None:
        service = getattr(client, "service_client", None)  # what stands in for a client has none
        leave_calmly(getattr(getattr(service, "config", None), "runtime", None))
        self.workflow_id = handle.id
        self.client = client
        self.pinned_run_id = handle.run_id or ""
        self._handle = handle
        self._patience = 1  # doubled by each send in a row that had no answer in time
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
        size = sum(len(item["data"]) for item in batch.get("items", ()))
        try:
            await self._signal(PUBLISH_SIGNAL, batch, _SEND_TIMEOUT + size / _SLOW_LINE)
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

    async def tell(self, reader: dict[str, Any]) -> None:
        """Signal where a named reader stands, through the handle that was given.

        Raises:
            StreamUnavailableError: It may have arrived, or not.
            StreamNotFoundError: No such workflow, or it has closed.
            RPCError: The server refuses us.
        """
        await self._signal(READER_SIGNAL, reader, _SEND_TIMEOUT)

    async def _signal(self, name: str, argument: dict[str, Any], seconds: float) -> None:
        signal = self._handle.signal(name, argument)
        seconds *= self._patience
        try:
            await self._call(asyncio.wait_for(signal, seconds), _RETRYABLE)
        except asyncio.TimeoutError as error:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
            reason = f"no acknowledgement within {seconds:.0f} s"
            raise StreamUnavailableError(self.workflow_id, reason) from error
        self._patience = 1

    async def _encodes(self, batch: dict[str, Any]) -> bool:
        try:
            await self._sending_converter.encode([batch])
        except Exception:
            return False
        return True

    async def resolve(self, run_id: str, timeout: timedelta) -> Run:
        """Describe a run; without an id the newest one of this workflow.

        Raises:
            StreamNotFoundError: There is none, and there never was.
            StreamUnavailableError: No answer.
        """
        handle = self.client.get_workflow_handle(self.workflow_id, run_id=run_id or None)
        seconds = timeout.total_seconds()
        try:  # the client tries again by itself, and says nothing
            described = await self._call(asyncio.wait_for(handle.describe(), seconds), _RETRYABLE)
        except asyncio.TimeoutError as error:
            reason = f"the server cannot be reached: no answer within {seconds:g} s"
            raise StreamUnavailableError(self.workflow_id, reason) from error
        info = described.raw_description.workflow_execution_info
        found = info.execution.run_id
        return Run(found, info.first_run_id or found, info.history_length)

    async def history(
        self, run_id: str, token: bytes, timeout: timedelta
    ) -> tuple[list[HistoryEvent], bytes]:
        """Return a page of a run's history, and the token of the next; none when it has closed.

        At the end of history it waits for an event. It comes back without one after 20 s, or a
        second before the time is over.

        Raises:
            TokenRefusedError: Begin anew, with an empty token.
            StreamUnavailableError: No answer.
            StreamNotFoundError: The run is gone.
        """
        try:
            events, following = await self._history(run_id, token, _HISTORY_PAGE, timeout)
        except RPCError as error:
            if token and error.status == RPCStatusCode.INVALID_ARGUMENT:
                raise TokenRefusedError(self.workflow_id, error.message) from error
            raise
        if not following and not any(map(ending, events)):
            raise StreamUnavailableError(self.workflow_id, "the history ended early")
        return events, following

    async def run_before(self, run_id: str, timeout: timedelta) -> str | None:
        """Return the run that handed its log over to this one; None if none did.

        Raises:
            StreamUnavailableError: No answer.
        """
        events, _ = await self._history(run_id, b"", 1, timeout)
        return continued_from(events)

    async def read(
        self, run_id: str, topics: Collection[str], from_offset: int, timeout: timedelta
    ) -> Answer:
        """Return what the log holds from `from_offset` on, at once.

        Raises:
            PollQueryMissingError: The workflow has no such query.
            NeverBeganError: The run closed before its first task, so it cannot say.
            StreamUnavailableError: No answer: no server, no worker, or too many queries.
            StreamNotFoundError: The run is gone.
        """
        poll = {"topics": list(topics), "from_offset": from_offset}
        return parse_answer(await self._query(run_id, POLL, [poll], timeout), from_offset)

    async def offset(self, run_id: str, timeout: timedelta) -> int:
        """Return the end offset; 0 of a run that never began. Raises as `read` does."""
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
            return parse_answer(await self._call(update, _RETRYABLE_READ), from_offset)
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise StreamUnavailableError(self.workflow_id, "the poll timed out") from error
        except WorkflowUpdateFailedError as error:
            kind = getattr(error.cause, "type", None)
            if kind == TRUNCATED_OFFSET:
                raise TruncatedDuringPollError from error
            if kind in (STREAM_DRAINING, _RUN_CLOSED):
                raise StreamUnavailableError(self.workflow_id, str(error.cause)) from error
            raise NotAStreamError(self.workflow_id, str(error.cause)) from error

    async def _history(
        self, run_id: str, token: bytes, size: int, timeout: timedelta
    ) -> tuple[list[HistoryEvent], bytes]:
        # Not through the client's `fetch_history_events`: that tries a lost server for 9 s without
        # a word, with pauses that grow to 4 s. Nobody would be told, and nobody read on in time.
        request = GetWorkflowExecutionHistoryRequest(
            namespace=self.client.namespace,
            execution=self._execution(run_id),
            maximum_page_size=size,
            next_page_token=token,
            wait_new_event=True,
        )
        service = self.client.workflow_service
        answer = await self._call(
            service.get_workflow_execution_history(request, timeout=timeout), _RETRYABLE
        )
        return list(answer.history.events), answer.next_page_token

    async def _query(self, run_id: str, name: str, args: list[Any], timeout: timedelta) -> Any:
        # Not through the client's own `query`: on a full query buffer that waits a whole second
        # before it tries again, where a few milliseconds do.
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
            await asyncio.sleep(SETTLE)
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

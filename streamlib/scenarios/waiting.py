"""A terminal that says what it waits for, since when, and what to do: within five seconds.

Owns the look at what was started, by calls that write nothing to any history, and its words on
standard error. Knows no scenario. It is used by `__main__.py` and `worker.py`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetSystemInfoRequest,
)
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from streamlib.scenarios import terminal

T = TypeVar("T")
Say = Callable[[str], None]

PATIENCE = 2.5
"""Seconds that may pass in silence; with a look every half second and an answer within one, what
is waited for is said before five are over."""
LOOK = 0.5
ANSWER = timedelta(seconds=1)


class Waiting(Interceptor):
    """Notes the workflows that its client starts, and says what they wait for.

    Example:
        waiting = Waiting("127.0.0.1:7233", worker="`python worker.py`")
        async with waiting.told():
            client = await connect(interceptors=[waiting])
            waiting.client = client
            await order.run(client)
    """

    def __init__(self, address: str, *, worker: str = "", say: Say | None = None) -> None:
        self.client: Client | None = None
        """Set when there is one: until then, the server is waited for."""
        self._address = address
        self._worker = worker
        self._say = say or _to_stderr
        self._started: dict[str, str] = {}
        self._reason: Reason | None = None
        self._since = 0.0
        self._said = False  # the reason that is
        self._waits_since: float | None = None  # for whatever reasons, if any was said

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Temporal's hook."""
        return _Noting(next, self._started)

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Say it while the block runs."""
        task = asyncio.create_task(self._look_again_and_again())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _look_again_and_again(self) -> None:
        while True:
            began = time.monotonic()
            self.note(await self._look(), began)
            await asyncio.sleep(LOOK)

    def note(self, reason: Reason | None, began: float) -> None:
        """Say a reason that has lasted, once, and its end."""
        before = self._reason
        if reason != before:
            # The next task is progress; that a server is silent, or no more, tells nothing of it.
            goes_on = not (reason and reason.silence) and not (reason and before and before.silence)
            if goes_on and self._waits_since is not None:
                self._say(f"... it goes on, after {began - self._waits_since:.0f} s.")
                self._waits_since = None
            self._reason, self._since, self._said = reason, began, False
        waited = time.monotonic() - self._since
        if reason and not self._said and waited >= PATIENCE:
            self._said = True
            self._waits_since = self._waits_since or self._since
            since = datetime.now() - timedelta(seconds=waited)
            self._say(f"Waiting since {since:%H:%M:%S} ({waited:.0f} s): {reason.text}")

    async def _look(self) -> Reason | None:
        """What is waited for now, if anything."""
        silent = Reason(
            f"the Temporal server at {self._address} does not answer. Is it up?", silence=True
        )
        if self.client is None:
            return silent
        try:
            if not self._started:
                request = GetSystemInfoRequest()
                await _quickly(self.client.workflow_service.get_system_info, request)
            for workflow_id, task_queue in list(self._started.items()):
                run = await _quickly(
                    self.client.workflow_service.describe_workflow_execution,
                    DescribeWorkflowExecutionRequest(
                        namespace=self.client.namespace,
                        execution=WorkflowExecution(workflow_id=workflow_id),
                    ),
                )
                if reason := self._awaits(run, workflow_id, task_queue):
                    return reason
        except RPCError as error:
            return None if error.status == RPCStatusCode.NOT_FOUND else silent
        return None

    def _awaits(
        self, run: DescribeWorkflowExecutionResponse, workflow_id: str, task_queue: str
    ) -> Reason | None:
        advice = f": run {self._worker} in another terminal" if self._worker else ""
        if run.HasField("pending_workflow_task"):
            task = run.pending_workflow_task
            text = f"no worker takes a task of {workflow_id} from {task_queue!r}{advice}."
            if task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED:
                text = f"a worker took a task of {workflow_id} and is silent. Is it alive?"
            return Reason(text, str(task.original_scheduled_time))
        for each in run.pending_activities:
            name = each.activity_type.name
            text = f"no worker takes {name} from {task_queue!r}{advice}."
            if each.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED:
                text = (
                    f"{name}, which {each.last_worker_identity} took and is silent about. If that "
                    "worker is dead, another gets it when its time is over."
                )
            elif each.attempt > 1:
                why = each.last_failure.message or "it timed out"
                text = f"attempt {each.attempt} of {name}. The one before: {why}."
            sign_of_life = f"{each.attempt} {each.last_started_time} {each.last_heartbeat_time}"
            return Reason(text, sign_of_life)
        return None


@dataclass(frozen=True)
class Reason:
    """What is waited for, in words."""

    text: str
    which: str = ""
    """Tells it from the next of the same text: progress is no waiting."""
    silence: bool = False
    """Whether it is the server that is waited for."""


class _Noting(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, started: dict[str, str]) -> None:
        super().__init__(next)
        self._started = started

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        handle = await super().start_workflow(input)
        self._started[input.id] = input.task_queue
        return handle


async def _quickly(call: Callable[..., Awaitable[T]], request: object) -> T:
    """One try, and no long one: a look that fails is a look."""
    return await call(request, retry=False, timeout=ANSWER)


def _to_stderr(line: str) -> None:
    if not (sys.stderr.isatty() and terminal.tell(line)):  # not into the middle of a text
        print(line, file=sys.stderr, flush=True)

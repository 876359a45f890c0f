"""What happened to a stream, from its runs' history events; and in which run its log is.

    history pages --> Follow.take --> Progress | WorkWaits | RolledOver | Replaced | Closed
    polls' answers --> Chain      --> which run to read, and whether the log is still the same

         run 1               run 2                run 3
    [ began ... rolled ] [ rolled, and    ] [ has not begun ]     newest last
       log is here         never began         ask here first; has it never begun: ask before it

Pure: pages go in, decisions come out; `feed.py` does the calls. Next: `tally.py`, what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from streamlib.client.tally import Tally

_TASK_EVENTS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
}
_ENDINGS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: WorkflowExecutionStatus.COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: WorkflowExecutionStatus.FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: WorkflowExecutionStatus.CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: WorkflowExecutionStatus.TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: WorkflowExecutionStatus.TIMED_OUT,
}
_BY_THE_SERVER = {  # and not by the workflow, which hands its log over
    ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY,
    ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE,
}


@dataclass(frozen=True)
class Run:
    """One run of the workflow, as it was when asked."""

    run_id: str
    first_run_id: str  # the first run of its chain
    history_length: int  # events


@dataclass(frozen=True)
class Progress:
    """The workflow has finished some work: there may be new items."""


@dataclass(frozen=True)
class WorkWaits:
    """The workflow has something to do, and no worker has done it yet."""


@dataclass(frozen=True)
class RolledOver:
    """The run has continued as new, as `run_id`; its log has gone on, if it was handed over."""

    run_id: str


@dataclass(frozen=True)
class Replaced:
    """The run has closed, and the server began it anew as `run_id`: a retry, or the next cron run.

    The new run starts from what the old one did, so its log is another one.
    """

    status: WorkflowExecutionStatus
    run_id: str


@dataclass(frozen=True)
class Closed:
    """The run has closed, and no other run follows from it."""

    status: WorkflowExecutionStatus


Ending = RolledOver | Replaced | Closed
Happening = Progress | WorkWaits | Ending


class Follow:
    """One run, as far as its history was read.

    Invariants: an event counts once; `token` is where to read on, also after a lost connection, a
    restart of the server, or for another reader that comes later.

    Example:
        follow = Follow(run)
        while follow.ended is None:
            events, token = ...  # a page of history, from follow.token on
            for happening in follow.take(events, token): ...
    """

    def __init__(self, run: Run) -> None:
        self.run_id = run.run_id
        self.token = b""
        self.tally = Tally()
        self.ended: Ending | None = None
        self._length = run.history_length  # how long the history was when we came
        self._waits = False

    @property
    def caught_up(self) -> bool:
        """Whether history was read to the end that it had when we came."""
        return self.tally.history_events >= self._length

    def again(self, run: Run) -> list[Happening]:
        """Somebody comes anew, when the history was as long as `run` says; what is so already."""
        self._length = max(self._length, run.history_length)
        return [WorkWaits()] if self.caught_up and self._waits and self.ended is None else []

    def start_over(self) -> None:
        """Read from the beginning; nothing counts twice."""
        self.token = b""

    def take(self, events: Sequence[HistoryEvent], token: bytes) -> list[Happening]:
        """Take a page of history, and return what it says has happened, in order.

        `Progress` comes once when the end was reached that history had at first, and then for
        each page on which a workflow task has completed: an answer read before it may be old.
        """
        before = self.caught_up
        self.token = token
        self.tally.note(events)
        self._waits = _waits_for_a_worker(events, self._waits)
        self.ended = next((end for event in events if (end := ending(event))), self.ended)
        if self.ended is not None:
            return [self.ended]
        happenings: list[Happening] = []
        if self.caught_up and (not before or any(map(_is_work, events))):
            happenings.append(Progress())
        if self.caught_up and events and self._waits:
            happenings.append(WorkWaits())
        return happenings


class Chain:
    """The runs in which a stream's log may be, and the log's id.

    An id comes with the polls' answers. What the first run of a chain hosts is named after that
    run; all later runs may host the log that was handed over to them, or one of their own.

    Invariants: `runs` is never empty; the log's id never changes; the last run that answered for
    this log is kept until a later one does.

    Example:
        chain = Chain(Run("run-2", "run-1", 10))
        chain.answered("run-2", "run-1")   # True: and that is the log's id
        chain.rolled_over("run-3")
        chain.answered("run-3", "run-3")   # False: it hosts a log of its own
        chain.newest, chain.replaced_by    # "run-2", "run-3"
    """

    def __init__(self, run: Run) -> None:
        self._runs = [run.run_id]
        self._first_run_id = run.first_run_id
        self.stream_id = run.run_id if run.run_id == run.first_run_id else None
        self.replaced_by: str | None = None  # the log that has taken the place of this one

    @property
    def identity(self) -> str:
        """The log's id; the chain's first run where no host says one."""
        return self.stream_id or self._first_run_id

    @property
    def newest(self) -> str:
        """The run to ask."""
        return self._runs[-1]

    def rolled_over(self, run_id: str) -> None:
        """The newest run has continued as new."""
        if self.replaced_by is None:
            self._runs.append(run_id)

    def replaced(self, stream_id: str) -> None:
        """Another log has taken the place of this one."""
        self.replaced_by = self.replaced_by or stream_id

    def answered(self, run_id: str, stream_id: str | None) -> bool:
        """A run has answered for the log with this id; whether that is the one we read.

        A host that does not say its log's id (the peer's) is taken to go on with the chain's.
        """
        stream_id = stream_id or self.identity
        if self.stream_id not in (None, stream_id) and self._runs != [run_id]:
            self.replaced(stream_id)
            self._drop(run_id)
            return False
        self.stream_id = stream_id
        if run_id in self._runs:
            del self._runs[: self._runs.index(run_id)]
        return True

    def never_began(self, run_id: str, before: str | None) -> bool:
        """A run closed before its first task; whether there is another one to ask.

        Args:
            run_id: The run.
            before: The run that it continued from, if it did.
        """
        if run_id not in self._runs:
            return True
        if self._runs == [run_id]:
            if before is None:  # it would have had a log of its own
                self.stream_id = self.stream_id or run_id
                return False
            self._runs.insert(0, before)
        self._drop(run_id)
        return True

    def _drop(self, run_id: str) -> None:
        if len(self._runs) > 1 and run_id in self._runs:
            self._runs.remove(run_id)


def continued_from(events: Sequence[HistoryEvent]) -> str | None:
    """The run that handed its log over to the one whose history begins with these events."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            began = event.workflow_execution_started_event_attributes
            by_the_server = began.initiator in _BY_THE_SERVER
            return None if by_the_server else began.continued_execution_run_id or None
    return None


def _is_work(event: HistoryEvent) -> bool:
    # Not on the signal's own event: a query then waits in the server's buffer of one, and the next
    # reader's is refused for a second.
    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


def _waits_for_a_worker(events: Sequence[HistoryEvent], before: bool) -> bool:
    """Whether a workflow task is open after these events, if one was `before`."""
    tasks = [event for event in events if event.event_type in _TASK_EVENTS]
    return not _is_work(tasks[-1]) if tasks else before


def ending(event: HistoryEvent) -> Ending | None:
    """How this event ends its run, if it does."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
        rolled = event.workflow_execution_continued_as_new_event_attributes
        if rolled.initiator in _BY_THE_SERVER:  # as older servers write it
            status = WorkflowExecutionStatus.CONTINUED_AS_NEW
            return Replaced(status, rolled.new_execution_run_id)
        return RolledOver(rolled.new_execution_run_id)
    status_or_none = _ENDINGS.get(event.event_type)
    if status_or_none is None:
        return None
    next_run_id = _next_run_id(event)
    return Replaced(status_or_none, next_run_id) if next_run_id else Closed(status_or_none)


def _next_run_id(event: HistoryEvent) -> str:
    """The run that the server begins after this one: a retry's, or a cron schedule's."""
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            return event.workflow_execution_completed_event_attributes.new_execution_run_id
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            return event.workflow_execution_failed_event_attributes.new_execution_run_id
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            return event.workflow_execution_timed_out_event_attributes.new_execution_run_id
        case _:
            return ""

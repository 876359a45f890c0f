"""The tally: what a run has used of its limits, and what waits in its history for a worker.

    Signaled  Signaled  TaskScheduled  TaskStarted  TaskCompleted  Signaled  TaskScheduled
       1         2                                                    3
    [ handled, once the task that they are in has completed     ]  [ waits ]

It counts what it is shown, each event once, whoever shows it again. No I/O, no clock. Next:
`watch.py`, which tells it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timezone

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from streamlib.wire.shapes import PUBLISH_SIGNAL

KEPT = 1000
"""How many of the publish signals that wait are kept to be looked at; all are counted."""

# They may be shown before they are stored, and their ids then be given to other events.
_PROVISIONAL = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
}


class Tally:
    """The events of one run, counted.

    Invariants: an event counts once, by its id; what is kept is bounded.

    Example:
        tally = Tally()
        tally.note(events)
        tally.signals, len(tally.waiting), tally.waiting_count
    """

    def __init__(self) -> None:
        self.history_events = 0  # the last event's id
        self.signals = 0
        self.updates = 0  # accepted ones
        self.began: datetime | None = None  # the first event's time
        self.waiting_count = 0
        self.waiting: deque[HistoryEvent] = deque(maxlen=KEPT)  # the last ones, oldest first
        self.decoded: dict[int, object] = {}  # what those hold, by event id, once somebody looked
        self._counted = 0  # the last id that counted

    def note(self, events: Iterable[HistoryEvent]) -> None:
        """Count those of these events, in order, that were not counted before."""
        for event in events:
            self.history_events = max(self.history_events, event.event_id)
            if event.event_id > self._counted and event.event_type not in _PROVISIONAL:
                self._counted = event.event_id
                self._count(event)

    def _count(self, event: HistoryEvent) -> None:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                self.signals += 1
                if _is_batch(event):
                    self.waiting_count += 1
                    if len(self.waiting) == KEPT:
                        self.decoded.pop(self.waiting[0].event_id, None)
                    self.waiting.append(event)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
                self.updates += 1
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                self.waiting_count = 0
                self.waiting.clear()
                self.decoded.clear()
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                self.began = event.event_time.ToDatetime(tzinfo=timezone.utc)
            case _:
                pass


def _is_batch(event: HistoryEvent) -> bool:
    attributes = event.workflow_execution_signaled_event_attributes
    return attributes.signal_name == PUBLISH_SIGNAL

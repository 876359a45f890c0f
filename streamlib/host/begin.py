"""How a run begins: with what a state held, and by the rules that its history says.

    state, the constructor's arguments, the history's patches --begin--> HostedStream

Here is all that asks `workflow.patched`, and it is asked as a run begins and never later: a query
or a validator that runs first on a worker would decide it for the run.

Next: `stream.py`, whose constructor this is.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from streamlib.core.hosting import HostedStream, RunFacts
from streamlib.core.limits import DEFAULTS, LEGACY, StreamLimits
from streamlib.core.parts import StreamParts
from streamlib.core.retention import Retention, check_retention
from streamlib.errors import shown
from streamlib.host.carry import (
    OURS,
    carried_keeper,
    carried_limits,
    carried_readers,
    carried_retention,
    restore,
    was_retained,
)
from streamlib.wire.describe import seams_of
from streamlib.wire.shapes import WorkflowStreamState

LIMITS_PATCH = "streamlib-limits-1"
"""Marks in a run's history that it began with limits, and today's measure of sizes."""

RETENTION_PATCH = "streamlib-retention-1"
"""Marks that it began with retention; only where that was asked for."""

RETAINED_PATCH = "streamlib-retained-1"
"""Marks that what `retain` had said outlasts the constructor's; only where they meet."""


def begin(
    state: WorkflowStreamState | None,
    parts: StreamParts | None,
    publisher_ttl: timedelta | None,
    limits: StreamLimits | None,
    retention: Retention | None,
    reader_ttl: timedelta | None,
) -> HostedStream:
    """The stream as this run begins with it; the arguments are those of `WorkflowStream`."""
    if limits is not None and not isinstance(limits, StreamLimits):
        raise TypeError(f"limits is {shown(limits)}, and no StreamLimits")
    if retention is not None:
        check_retention(retention)
    now = workflow.now()
    log, publishers = restore(state, parts or OURS)
    wanted, retained = _wanted(retention, state)
    return HostedStream(
        log,
        publishers,
        now=now,
        limits=_limits(limits or carried_limits(state)),
        publisher_ttl=publisher_ttl,
        seams=seams_of(state, log.end_offset),
        readers=carried_readers(state, log.end_offset, reader_ttl),
        keeper=carried_keeper(state, _retention(wanted), log, now),
        retained=retained,
    )


def _limits(wanted: StreamLimits | None) -> StreamLimits:
    """What this run lives by. One that began before limits could be set keeps to what it had."""
    return (wanted or DEFAULTS) if workflow.patched(LIMITS_PATCH) else LEGACY


def _wanted(
    retention: Retention | None, state: WorkflowStreamState | None
) -> tuple[Retention | None, bool]:
    """What a run is to keep, and whether `retain` said so: then the constructor's is older."""
    retained = was_retained(state)
    if retention is None or (retained and workflow.patched(RETAINED_PATCH)):
        return carried_retention(state), retained
    return retention, False


def _retention(wanted: Retention | None) -> Retention:
    """What this run keeps. One that began before that was asked for keeps everything."""
    return wanted if wanted and workflow.patched(RETENTION_PATCH) else Retention()


def run_facts() -> RunFacts:
    """This run's place in the chain of runs."""
    info = workflow.info()
    return RunFacts(
        run_id=info.run_id,
        original_run_id=info.original_execution_run_id,
        first_run_id=info.first_execution_run_id,
        continued_run_id=info.continued_run_id,
        attempt=info.attempt,
        cron=bool(info.cron_schedule),
    )

"""How a run begins: what its history says decides, where its code has changed since."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from streamlib.core.limits import LEGACY
from streamlib.core.retention import Retention
from streamlib.host.begin import LIMITS_PATCH, RETAINED_PATCH, RETENTION_PATCH, begin
from streamlib.wire.flow import retention_json
from streamlib.wire.shapes import WorkflowStreamState

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SAID, BUILT = Retention(max_items=8), Retention(max_items=5)


def began(monkeypatch: pytest.MonkeyPatch, state: Any, retention: Any, *patches: str) -> Any:
    """The stream of a run in whose history these patches are, or will be."""
    run = SimpleNamespace(now=lambda: NOON, patched=lambda name: name in patches)
    monkeypatch.setattr("streamlib.host.begin.workflow", run)
    return begin(state, None, None, None, retention, None)


def kept(stream: Any) -> tuple[Retention | None, bool]:
    return stream.keeper and stream.keeper.policy, stream.retained


PATCHES = (LIMITS_PATCH, RETENTION_PATCH, RETAINED_PATCH)


def test_what_was_said_last_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    carried = WorkflowStreamState(retention=retention_json(SAID))
    assert kept(began(monkeypatch, carried, BUILT, *PATCHES)) == (BUILT, False), "new code"
    assert kept(began(monkeypatch, carried, None, *PATCHES)) == (SAID, False)
    carried.retained = True
    assert kept(began(monkeypatch, carried, BUILT, *PATCHES)) == (SAID, True)
    assert kept(began(monkeypatch, carried, None, *PATCHES)) == (SAID, True)
    everything = WorkflowStreamState(retained=True)
    assert kept(began(monkeypatch, everything, BUILT, *PATCHES)) == (None, True)
    assert kept(began(monkeypatch, None, BUILT, *PATCHES)) == (BUILT, False)


def test_a_run_that_an_older_worker_began_keeps_to_what_it_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carried = WorkflowStreamState(retention=retention_json(SAID), retained=True)
    older = (LIMITS_PATCH, RETENTION_PATCH)
    assert kept(began(monkeypatch, carried, BUILT, *older)) == (BUILT, False)
    assert kept(began(monkeypatch, carried, None, *older)) == (SAID, True)
    assert kept(began(monkeypatch, carried, BUILT)) == (None, False)
    assert began(monkeypatch, carried, BUILT).limits is LEGACY


@pytest.mark.parametrize("wrong", [5, timedelta(), timedelta(seconds=-1)])
def test_what_cannot_be_is_told_as_the_run_begins(
    monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    run = SimpleNamespace(now=lambda: NOON, patched=lambda name: True)
    monkeypatch.setattr("streamlib.host.begin.workflow", run)
    for given in ((wrong, None, None, None), (None, None, None, wrong)):
        with pytest.raises((TypeError, ValueError), match="_ttl"):
            begin(None, None, *given)

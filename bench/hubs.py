"""The two workflows under test: they host a stream and do nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.contrib import workflow_streams as peer

import streamlib as ours


@workflow.defn
class OurHub:
    """A hub on our stream."""

    @workflow.init
    def __init__(self) -> None:
        self.stream = ours.WorkflowStream()

    @workflow.run
    async def run(self) -> None:
        """Host the stream until terminated."""
        await workflow.wait_condition(lambda: False)


@workflow.defn
class PeerHub:
    """A hub on the peer's stream."""

    @workflow.init
    def __init__(self) -> None:
        self.stream = peer.WorkflowStream()

    @workflow.run
    async def run(self) -> None:
        """Host the stream until terminated."""
        await workflow.wait_condition(lambda: False)


@dataclass(frozen=True)
class Side:
    """One of the two: its name in the figures, its hub, and its client."""

    name: str
    hub: type[Any]
    client: type[Any]


OURS = Side("ours", OurHub, ours.WorkflowStreamClient)
PEER = Side("peer", PeerHub, peer.WorkflowStreamClient)
SIDES = (OURS, PEER)

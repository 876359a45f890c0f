"""The workflows under test: two that host a stream and do nothing else, and a bare one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib import workflow_streams as peer
from temporalio.converter import PayloadConverter

import streamlib as ours
from streamlib.wire.encode import encode_item, publish_json


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


@workflow.defn
class BareHub:
    """What a stream is measured against: a signal handler that counts, and keeps nothing."""

    def __init__(self) -> None:
        self.items = 0

    @workflow.run
    async def run(self) -> None:
        """Take signals until terminated."""
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def take(self, batch: dict[str, Any]) -> None:
        """Count the items of a batch."""
        self.items += len(batch["items"])

    @workflow.query
    def count(self) -> int:
        """How many items came."""
        return self.items


class BareClient:
    """Sends the envelopes that a client of ours would send, and does nothing for them."""

    def __init__(self, handle: WorkflowHandle[Any, Any], converter: PayloadConverter) -> None:
        self._handle, self._converter = handle, converter
        self._items: list[Any] = []
        self._sequence = 0

    @classmethod
    def create(cls, client: Client, hub_id: str) -> BareClient:
        """As the others have it."""
        converter = client.data_converter.payload_converter
        return cls(client.get_workflow_handle(hub_id), converter)

    def topic(self, _: str) -> BareClient:
        """There is one."""
        return self

    def publish(self, value: Any) -> None:
        """Encode it, and keep it for the next flush."""
        self._items.append(encode_item("items", value, self._converter))

    async def flush(self) -> None:
        """Send all of it as one signal."""
        self._sequence += 1
        batch = publish_json(self._items, "bare", self._sequence)
        self._items = []
        await self._handle.signal(BareHub.take, batch)

    async def get_offset(self) -> int:
        """How many items came."""
        return int(await self._handle.query(BareHub.count))


@dataclass(frozen=True)
class Side:
    """One of them: its name in the figures, its hub, and its client."""

    name: str
    hub: type[Any]
    client: type[Any]


OURS = Side("ours", OurHub, ours.WorkflowStreamClient)
PEER = Side("peer", PeerHub, peer.WorkflowStreamClient)
SIDES = (OURS, PEER)
BARE = Side("bare", BareHub, BareClient)

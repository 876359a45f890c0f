"""Scenario 1: one workflow, one activity, two topics, one subscriber.

    OrderWorkflow --status--> stream <--progress-- charge_card (activity, through its own client)
                                |
                            subscriber: decodes each item by `item.topic`

`python -m streamlib.scenarios order` runs it against the worker of `python worker.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RawValue

from streamlib import WorkflowStream, WorkflowStreamClient, WorkflowStreamState

from .connect import task_queue

TASK_QUEUE = "workflow-stream-task-queue"


@dataclass
class OrderInput:
    """The order; `stream_state` is what a previous run of the workflow left, if any."""

    order_id: str
    stream_state: WorkflowStreamState | None = None


@dataclass
class StatusEvent:
    """Topic `status`, published by the workflow."""

    kind: str
    order_id: str


@dataclass
class ProgressEvent:
    """Topic `progress`, published by the workflow and by the activity."""

    message: str


@activity.defn
async def charge_card(order_id: str) -> str:
    """Charge the card and say how it goes, on the stream of the workflow that called."""
    client = WorkflowStreamClient.from_within_activity(batch_interval=timedelta(milliseconds=200))
    async with client:
        progress = client.topic("progress", type=ProgressEvent)
        progress.publish(ProgressEvent("charging card..."))
        await asyncio.sleep(1.0)  # the payment provider thinks
        progress.publish(ProgressEvent("card charged"), force_flush=True)
    return f"charge-{order_id}"


@workflow.defn
class OrderWorkflow:
    """Hosts the stream and publishes the order's status to it."""

    @workflow.init
    def __init__(self, input: OrderInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state)
        self.status = self.stream.topic("status", type=StatusEvent)
        self.progress = self.stream.topic("progress", type=ProgressEvent)

    @workflow.run
    async def run(self, input: OrderInput) -> str:
        """Process the order; return the id of the charge."""
        self.status.publish(StatusEvent("received", input.order_id))
        charge_id = await workflow.execute_activity(
            charge_card, input.order_id, start_to_close_timeout=timedelta(seconds=30)
        )
        self.status.publish(StatusEvent("shipped", input.order_id))
        self.progress.publish(ProgressEvent(f"charge id: {charge_id}"))
        self.status.publish(StatusEvent("complete", input.order_id))
        return charge_id


async def run(client: Client, order_id: str = "order-1") -> None:
    """Start an order, print its events as they arrive, then its result."""
    handle = await client.start_workflow(
        OrderWorkflow.run,
        OrderInput(order_id),
        id=f"workflow-stream-order-{uuid.uuid4().hex[:8]}",
        task_queue=task_queue(TASK_QUEUE),
    )
    converter = client.data_converter.payload_converter
    stream = WorkflowStreamClient.create(client, handle.id)
    async for item in stream.subscribe(["status", "progress"], result_type=RawValue):
        # Two topics, two types: decode by topic.
        if item.topic == "status":
            status = converter.from_payload(item.data.payload, StatusEvent)
            print(f"[status] {status.kind}: order={status.order_id}")
        else:
            progress = converter.from_payload(item.data.payload, ProgressEvent)
            print(f"[progress] {progress.message}")
    print(f"workflow result: {await handle.result()}")

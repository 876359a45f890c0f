"""Under a namespace's rate limit, on a server of its own: we back off, say so, and lose nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from streamlib import WorkflowStreamClient
from streamlib.lab.machine import binary
from tests.server import hosts
from tests.server.reading import LIMIT, eventually, take, told

RPS = 20  # calls a second that the namespace may make
WINDOW = 3.0  # seconds for which calls are counted


@pytest.fixture
async def limited_server() -> AsyncIterator[str]:
    """The address of a dev server with a low limit."""
    limit = ["--dynamic-config-value", f"frontend.namespaceRPS={RPS}"]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str((await binary.obtain()).path), dev_server_extra_args=limit
    ) as server:
        yield server.client.service_client.config.target_host


class CountedCalls:
    """A client whose calls are counted, as they go to the network: the SDK's own retries too."""

    def __init__(self) -> None:
        self._buffer = MetricBuffer(100_000)
        self._runtime = Runtime(telemetry=TelemetryConfig(metrics=self._buffer))

    async def connect(self, address: str) -> Client:
        return await Client.connect(address, runtime=self._runtime)

    def taken(self) -> Counter[str]:
        """The calls since the last time, by name."""
        calls: Counter[str] = Counter()
        for update in self._buffer.retrieve_updates():
            if update.metric.name in ("temporal_request", "temporal_long_request"):
                calls[str(update.attributes["operation"])] += int(update.value)
        return calls


@asynccontextmanager
async def flooded(address: str) -> AsyncIterator[None]:
    """Somebody else uses up what the namespace may do."""
    client = await Client.connect(address)
    nobody = WorkflowExecution(workflow_id="nobody")
    request = SignalWorkflowExecutionRequest(namespace="default", workflow_execution=nobody)

    async def flood() -> None:
        while True:
            with suppress(RPCError):
                await client.workflow_service.signal_workflow_execution(request, retry=False)

    floods = [asyncio.create_task(flood()) for _ in range(8)]
    try:
        yield
    finally:
        for task in floods:
            task.cancel()
        await asyncio.wait(floods)


async def test_a_reader_and_a_publisher_under_a_rate_limit_back_off_and_lose_nothing(
    limited_server: str, task_queue: str
) -> None:
    counted = CountedCalls()
    client = await counted.connect(limited_server)
    worker = await Client.connect(limited_server)
    async with Worker(worker, task_queue=task_queue, workflows=[hosts.OurHub]):
        hub = await client.start_workflow(
            hosts.OurHub.run, hosts.HubInput(), id="hub", task_queue=task_queue
        )
        stream = WorkflowStreamClient.create(client, hub.id)
        stream.topic("t").publish(0)
        await asyncio.wait_for(stream.flush(), LIMIT)
        async with stream.subscribe() as reader:
            assert told(await take(reader, 1)) == [(0, 0)]
            async with flooded(limited_server):
                stream.topic("t").publish(1, force_flush=True)
                reading = asyncio.create_task(take(reader, 1))
                await eventually(lambda: reader.trouble)
                assert reader.trouble == "namespace rate limit exceeded"
                counted.taken()
                await asyncio.sleep(WINDOW)
                calls = counted.taken()
            assert calls["QueryWorkflow"] <= 5 * WINDOW, calls
            assert calls["SignalWorkflowExecution"] <= 5 * WINDOW, calls
            assert told(await reading) == [(1, 1)]
            await eventually(lambda: reader.trouble is None)  # its last call may still pause
        await asyncio.wait_for(stream.flush(), LIMIT)
        assert await stream.get_offset() == 2

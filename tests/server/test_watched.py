"""A client that one can watch: what its SDK client's interceptors and tracing see of our calls."""

from __future__ import annotations

from collections import Counter
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client, Interceptor, OutboundInterceptor
from temporalio.contrib.opentelemetry import TracingInterceptor

from streamlib import WorkflowStreamClient
from tests.server import hosts
from tests.server.conftest import Start
from tests.server.reading import take, told


class Counting(Interceptor):
    """Counts the calls of a client, by name."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        seen = self.seen

        class Outbound(OutboundInterceptor):
            async def describe_workflow(self, input: Any) -> Any:
                seen["describe"] += 1
                return await super().describe_workflow(input)

            async def signal_workflow(self, input: Any) -> None:
                seen[input.signal] += 1
                await super().signal_workflow(input)

            async def start_workflow_update(self, input: Any) -> Any:
                seen[input.update] += 1
                return await super().start_workflow_update(input)

            async def query_workflow(self, input: Any) -> Any:
                seen["query"] += 1
                return await super().query_workflow(input)

        return Outbound(next)


def through(client: Client, interceptor: Interceptor) -> Client:
    """The same client, with one more interceptor."""
    config = client.config()
    config["interceptors"] = [*config["interceptors"], interceptor]
    return Client(**config)


async def publish_and_read(client: Client, workflow_id: str) -> None:
    stream = WorkflowStreamClient.create(client, workflow_id)
    stream.topic("t").publish("item")
    await stream.flush()
    async with stream.subscribe() as items:
        assert told(await take(items, 1)) == [(0, "item")]
    assert stream.stats[:4] == (1, 0, 0, 0)
    assert (stream.stats.reads, stream.stats.missed) == (1, 0)


async def test_interceptors_see_each_call_but_the_queries_and_the_waiting(
    client: Client, start: Start
) -> None:
    counting = Counting()
    await publish_and_read(through(client, counting), (await start()).id)
    assert counting.seen == {"describe": 1, "__temporal_workflow_stream_publish": 1}


async def test_interceptors_see_the_updates_by_which_hosts_without_the_query_are_read(
    client: Client, start: Start
) -> None:
    counting = Counting()
    hub = await start(hosts.UpdateOnlyHub)
    await publish_and_read(through(client, counting), hub.id)
    assert counting.seen["__temporal_workflow_stream_poll"] >= 1
    assert counting.seen["query"] == 0


async def test_open_telemetry_traces_what_is_published(client: Client, start: Start) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = TracingInterceptor(provider.get_tracer("test"))
    hub = await start()
    await publish_and_read(through(client, tracing), hub.id)
    names = [span.name for span in spans.get_finished_spans()]
    assert names == ["SignalWorkflow:__temporal_workflow_stream_publish"]

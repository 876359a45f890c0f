"""The rig: a private dev server, worker processes, and meters on all of them.

Owns what a run starts, and ends it by its pid; other servers and workers on this machine are never
touched. It does not know what is measured. Next: `experiments.py`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from temporalio.client import Client, WorkflowHandle
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.service import RPCError

from bench.hubs import SIDES, Side
from streamlib.errors import StreamUnavailableError
from streamlib.lab.machine import processes, server
from streamlib.lab.machine.processes import Process

ROOT = Path(__file__).resolve().parent.parent

ANSWER_TIMEOUT = 60.0
"""Seconds until a hub that does not answer counts as lost; a worker may have to start first."""


@dataclass(frozen=True)
class Spent:
    """What was spent so far, or between two moments: history, CPU seconds, calls to the server."""

    events: int
    history_bytes: int
    worker_cpu: float
    client_cpu: float
    server_cpu: float
    calls: Counter[str] = field(default_factory=Counter[str])

    def since(self, before: Spent) -> Spent:
        """What was spent since `before`. Calls were counted from there on already."""
        return Spent(
            self.events - before.events,
            self.history_bytes - before.history_bytes,
            self.worker_cpu - before.worker_cpu,
            self.client_cpu - before.client_cpu,
            self.server_cpu - before.server_cpu,
            self.calls,
        )


class Rig:
    """A server, a client of it, and one worker process a side."""

    def __init__(self, address: str, server_pid: int) -> None:
        self.address = address
        self.client: Client
        self._server = psutil.Process(server_pid)
        self._server_before = 0.0  # CPU seconds of the servers that are no more
        self._me = psutil.Process()
        self._metrics = MetricBuffer(200_000)
        self._workers: dict[str, Process] = {}

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[Rig]:
        """Start everything, in a state folder of its own, and end it afterwards."""
        with private_home():
            running = await server.start()
            assert running.pid is not None
            try:
                rig = cls(running.address, running.pid)
                telemetry = TelemetryConfig(logging=None, metrics=rig._metrics)
                rig.client = await Client.connect(rig.address, runtime=Runtime(telemetry=telemetry))
                async with rig.worker(SIDES[0]), rig.worker(SIDES[1]):
                    yield rig
                await asyncio.sleep(0.2)  # an SDK call that winds up while we exit would crash us
            finally:
                await server.stop()

    @asynccontextmanager
    async def worker(self, side: Side) -> AsyncIterator[None]:
        """Start a worker process for a side's hubs, in place of the one there is."""
        name = f"{side.name}-{uuid.uuid4().hex[:8]}"
        command = [sys.executable, "-m", "bench.worker", self.address, name, side.name]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        before = self._workers.get(side.name)
        process = self._workers[side.name] = processes.spawn(name, command, env=environment)
        try:
            yield
        finally:
            await process.stop(grace=10.0)
            if before is None:
                del self._workers[side.name]
            else:
                self._workers[side.name] = before

    @asynccontextmanager
    async def grown(self) -> AsyncIterator[str]:
        """Start a worker process for hubs that come with a long log; yields its task queue."""
        queue = f"grown-{uuid.uuid4().hex[:8]}"
        command = [sys.executable, "-m", "bench.grown", self.address, queue]
        process = processes.spawn(queue, command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        self._workers[queue] = process
        try:
            yield queue
        finally:
            await process.stop(grace=10.0)
            del self._workers[queue]

    @asynccontextmanager
    async def hub(self, side: Side) -> AsyncIterator[str]:
        """Start a hub, wait until it answers, and terminate it afterwards; yields its id."""
        handle = await self.client.start_workflow(
            side.hub.run,
            id=f"{side.name}-{uuid.uuid4().hex[:8]}",
            task_queue=self._workers[side.name].name,
        )
        try:
            await self.until_applied(side, handle.id, 0)
            yield handle.id
        finally:
            await self._handle(handle.id).terminate()

    async def restart_server(self) -> None:
        """Kill the server, and start it again on the same file and address."""
        self._server_before += cpu_seconds(self._server)
        await (await server.start()).kill()  # the one that runs
        running = await server.start()
        assert running.address == self.address
        assert running.pid is not None
        self._server = psutil.Process(running.pid)

    async def until_applied(self, side: Side, hub_id: str, items: int) -> None:
        """Return when the worker has that many items in its log; on a busy machine it takes long.

        Raises:
            StreamUnavailableError, RPCError: No answer for a minute.
        """
        stream = side.client.create(self.client, hub_id)
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while True:
            try:
                if await stream.get_offset() >= items:
                    return
            except (StreamUnavailableError, RPCError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def spent(self, side: Side, hub_id: str) -> Spent:
        """Read all meters, and let the count of calls begin anew."""
        info = (await self._handle(hub_id).describe()).raw_description.workflow_execution_info
        return Spent(
            info.history_length,
            info.history_size_bytes,
            cpu_seconds(self._worker(side)),
            cpu_seconds(self._me),
            cpu_seconds(self._server),
            self._calls(),
        )

    def others_cpu(self) -> float:
        """The CPU seconds that the machine has spent on anything but this bench."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        mine = self._me.cpu_times()
        ended = mine.children_user + mine.children_system  # workers that are no more
        workers = [psutil.Process(worker.pid) for worker in self._workers.values()]
        running = sum(cpu_seconds(each) for each in (self._me, self._server, *workers))
        ours = running + ended + self._server_before
        return float(sum(times)) - idle - ours

    def resident_bytes(self, side: Side) -> int:
        """The worker's resident memory."""
        return int(self._worker(side).memory_info().rss)

    def _worker(self, side: Side) -> psutil.Process:
        return psutil.Process(self._workers[side.name].pid)

    def _handle(self, hub_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(hub_id)

    def _calls(self) -> Counter[str]:
        """The calls this process made to the server since last asked, by the SDK's own count."""
        calls: Counter[str] = Counter()
        for update in self._metrics.retrieve_updates():
            if update.metric.name in ("temporal_request", "temporal_long_request"):
                calls[str(update.attributes["operation"])] += int(update.value)
        return calls


def cpu_seconds(process: psutil.Process) -> float:
    """The CPU time that a process has used, in user and kernel."""
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def private_home() -> Iterator[None]:
    """Let the lab keep its state in a throwaway folder, and see no configured server."""
    folder = tempfile.mkdtemp(prefix="streamlib-bench-")
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        del os.environ[name]
    os.environ["STREAMLIB_HOME"] = folder
    os.environ["TEMPORAL_CONFIG_FILE"] = os.path.join(folder, "no-such-profile.toml")
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""Two hosts and a server on one machine: `python -m tests.faults.hosts`, as root, on Linux.

    host a: worker, publisher, reader  --cable--+
    host b: worker, publisher, reader  --cable--+-- bridge
    host s: the server                 --cable--+

Each host is a network namespace. Then the cable of that host is cut whose worker has the stream,
for good; the other one must take over. `see` returns what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from temporalio.client import Client, WorkflowHandle

from streamlib import WorkflowStreamClient
from streamlib.lab.machine import binary, processes
from streamlib.scenarios.connect import identity, polls
from streamlib.scenarios.hub import HubInput, HubWorkflow

ROOT = Path(__file__).resolve().parents[2]

BEFORE, AFTER = 5.0, 20.0
"""Seconds of publishing and reading before the cable is cut, and after."""

PACE = 0.05
"""Seconds between two items of a publisher."""


@dataclass(frozen=True)
class Outcome:
    """What was seen."""

    acknowledged: int
    """Items that a publisher was told are stored."""
    lost: int
    """Of those, the ones that are not in the log."""
    twice: int
    """Values that are in the log more than once."""
    skipped: int
    """Offsets that the reader who stayed did not get, in order, once each."""
    of_the_one_who_went: int
    """Acknowledged items of the publisher whose host vanished."""
    paused: float
    """Seconds in which the reader who stayed got nothing, at the most."""
    usual: float
    """The same before the cable was cut."""

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.acknowledged:,} items acknowledged ({self.of_the_one_who_went:,} from the host "
            f"that vanished), {self.lost} lost, {self.twice} twice, {self.skipped} skipped; the "
            f"other worker took over: {self.paused:.1f} s without an item, {self.usual:.2f} s at "
            "most before"
        )


class Network:
    """A bridge with an address, and hosts on it, each a namespace with a cable."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex[:5]
        self._net = f"10.{random.randrange(64, 128)}.{random.randrange(256)}"
        self.bridge = f"sl{self._mark}"
        self._hosts: list[str] = []

    def build(self) -> None:
        """Make the bridge; with an address, so that this very process reaches the hosts."""
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self._net}.1/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    def host(self, name: str) -> tuple[str, str]:
        """Make a host, plug it in; returns its namespace and its address."""
        space, inner, outer = f"sl{self._mark}{name}", f"in{self._mark}{name}", self._cable(name)
        self._hosts.append(name)
        ip("netns", "add", space)
        ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        ip("link", "set", inner, "netns", space)
        ip("link", "set", outer, "master", self.bridge)
        ip("link", "set", outer, "up")
        within = ("netns", "exec", space, "ip")
        address = f"{self._net}.{10 + len(self._hosts)}"
        ip(*within, "addr", "add", f"{address}/24", "dev", inner)
        ip(*within, "link", "set", inner, "up")
        ip(*within, "link", "set", "lo", "up")
        return space, address

    def cut(self, name: str) -> None:
        """Cut a host's cable: nobody is told, packets are just gone."""
        ip("link", "set", self._cable(name), "down")

    def remove(self) -> None:
        """Take all of it away."""
        for name in self._hosts:
            subprocess.run(["ip", "link", "del", self._cable(name)], capture_output=True)
            subprocess.run(["ip", "netns", "del", f"sl{self._mark}{name}"], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)

    def _cable(self, name: str) -> str:
        return f"out{self._mark}{name}"


def ip(*arguments: str) -> None:
    """Run `ip`; says what went wrong."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Host:
    """What runs on a host: a worker, a publisher, a reader, each with a file for what it did."""

    def __init__(self, name: str, space: str, folder: Path, server: str) -> None:
        self.name, self._space, self._folder, self._server = name, space, folder, server
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, what: str, *command: str) -> int:
        """Start a Python module on it; returns the pid."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}
        env = {
            **kept,
            "TEMPORAL_ADDRESS": self._server,
            "TEMPORAL_CONFIG_FILE": str(self._folder / "no-profile.toml"),
            "STREAMLIB_HOME": str(self._folder / f"home-{self.name}"),
            "PYTHONPATH": processes.python_path(),
        }
        with (self._folder / f"{what}-{self.name}.log").open("wb") as log:
            self.running[what] = subprocess.Popen(
                ["ip", "netns", "exec", self._space, sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=ROOT,
            )
        return self.running[what].pid  # `ip netns exec` becomes the command

    def end(self, *names: str, how: int = signal.SIGKILL) -> None:
        """End these, or all, and wait for it."""
        for name in names or self.running:
            self.running[name].send_signal(how)
        for name in names or self.running:
            self.running[name].wait(20)

    def noted(self, what: str) -> list[list[float]]:
        """What one of them has noted, a row a line."""
        path = self._folder / f"{what}-{self.name}.notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("]")]


async def see(*, before: float = BEFORE, after: float = AFTER) -> Outcome:
    """Let it happen.

    Raises:
        OSError: Not root, or `ip` is missing.
        CancelledError: Cancelled; all is taken away.
    """
    with tempfile.TemporaryDirectory(prefix="streamlib-hosts-") as folder:
        async with _stage(Path(folder)) as (client, network, hosts, queue):
            hub = await client.start_workflow(
                HubWorkflow.run, HubInput("two hosts"), id=f"hosts-{queue}", task_queue=queue
            )
            for host in hosts:
                for what in ("reader", "publisher"):
                    notes = Path(folder) / f"{what}-{host.name}.notes"
                    host.run(what, "tests.faults.hosts", what, hub.id, str(notes))
            await _until_both_publish(hosts)
            await asyncio.sleep(before)
            gone, stays = await _who_has_it(hub, hosts)
            network.cut(gone.name)
            cut = time.time()
            await asyncio.sleep(after)
            stays.end("publisher", how=signal.SIGTERM)
            return await _outcome(client, hub, gone, stays, cut)


Stage = tuple[Client, Network, list[Host], str]


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    """Server, network and two hosts with a worker each; all is gone afterwards."""
    network, hosts, queue = Network(), list[Host](), f"queue-{uuid.uuid4().hex[:8]}"
    server: subprocess.Popen[bytes] | None = None
    try:
        network.build()
        program = await binary.obtain(lambda _: None)
        space, at = network.host("s")
        address = f"{at}:7233"
        # On all addresses that there are in its namespace: its parts find each other by loopback.
        command = ["ip", "netns", "exec", space, str(program.path), "server", "start-dev"]
        command += ["--headless", "--log-level", "error", "--ip", "0.0.0.0"]
        with (folder / "server.log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        client = await _connected(address)
        for name in "ab":
            hosts.append(Host(name, network.host(name)[0], folder, address))
            pid = hosts[-1].run("worker", "streamlib.scenarios.worker", "--task-queue", queue)
            while not await polls(client, queue, identity(pid)):
                assert hosts[-1].running["worker"].poll() is None, "a worker died"
                await asyncio.sleep(0.1)
        yield client, network, hosts, queue
    finally:
        for host in hosts:
            host.end()
        if server is not None:
            server.terminate()
            server.wait(20)
        network.remove()


async def _connected(address: str) -> Client:
    deadline = time.monotonic() + 45
    while True:
        try:
            client = await Client.connect(address)
            await polls(client, "any", "nobody")
            return client
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def _until_both_publish(hosts: Sequence[Host]) -> None:
    deadline = time.monotonic() + 60
    while not all(host.noted("publisher") and host.noted("reader") for host in hosts):
        assert time.monotonic() < deadline, "nobody publishes and reads"
        await asyncio.sleep(0.1)


async def _who_has_it(
    hub: WorkflowHandle[HubWorkflow, str], hosts: Sequence[Host]
) -> tuple[Host, Host]:
    """The host whose worker had the last task, and the other one."""
    last = ""
    async for event in hub.fetch_history_events():
        last = event.workflow_task_completed_event_attributes.identity or last
    a, b = hosts
    return (a, b) if last == identity(a.running["worker"].pid) else (b, a)


async def _outcome(
    client: Client, hub: WorkflowHandle[HubWorkflow, str], gone: Host, stays: Host, cut: float
) -> Outcome:
    stream = WorkflowStreamClient.create(client, hub.id)
    end = await stream.get_offset()
    deadline = time.monotonic() + 30
    while len(read := stays.noted("reader")) < end and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    values = []
    async with stream.subscribe() as items:
        while items.position < end:
            values.append((await anext(items)).data)
    acknowledged = {
        host.name: [row[0] for row in host.noted("publisher")] for host in (gone, stays)
    }
    told = [f"{name} {number}" for name, numbers in acknowledged.items() for number in numbers]
    there = set(values)
    times = [row[1] for row in read]
    gaps = [(later, later - sooner) for sooner, later in pairwise(times)]
    return Outcome(
        acknowledged=len(told),
        lost=sum(value not in there for value in told),
        twice=len(values) - len(there),
        skipped=sum(row[0] != offset for offset, row in enumerate(read)) + end - len(read),
        of_the_one_who_went=len(acknowledged[gone.name]),
        paused=max((gap for at, gap in gaps if at >= cut), default=0.0),
        usual=max((gap for at, gap in gaps if at < cut), default=0.0),
    )


async def _publish(hub_id: str, notes: Path) -> None:
    """Publish numbers until SIGTERM; note each that was acknowledged, and when."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    name, number = notes.stem[-1], 0
    stream = WorkflowStreamClient.create(await _own_client(), hub_id)
    with notes.open("a", buffering=1) as file:
        while not told.is_set():
            stream.topic("numbers").publish(f"{name} {number}")
            await stream.flush()
            file.write(f"{json.dumps([number, time.time()])}\n")
            number += 1
            await asyncio.sleep(PACE)


async def _read(hub_id: str, notes: Path) -> None:
    """Read for ever; note each offset, and when it came."""
    stream = WorkflowStreamClient.create(await _own_client(), hub_id)
    with notes.open("a", buffering=1) as file:
        async for item in stream.subscribe():
            file.write(f"{json.dumps([item.offset, time.time()])}\n")


async def _own_client() -> Client:
    return await Client.connect(os.environ["TEMPORAL_ADDRESS"])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["publisher", hub_id, notes]:
            asyncio.run(_publish(hub_id, Path(notes)))
        case ["reader", hub_id, notes]:
            asyncio.run(_read(hub_id, Path(notes)))
        case _:
            print(asyncio.run(see()))

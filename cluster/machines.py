"""PostgreSQL and three Temporal nodes on this machine, each a process that can be tormented.

    127.0.0.1:port --+
    127.0.0.2:port --+-- nodes.streamlib.test     a name with three addresses, for `named` programs
    127.0.0.3:port --+
          |
      PostgreSQL

Each node runs all four services. Whatever was started here ends with us, also when we are killed:
the kernel sees to that. Next: `plan.py`, what is done to them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cluster.built import Binaries, NoClusterError

NAME = "nodes.streamlib.test"
"""What the clients call the cluster."""

ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
SHARDS = 16
SERVICES = ("frontend", "history", "matching", "worker")
PORTS = 2 * len(SERVICES)
"""Of each node, in a row."""

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN = 120.0
"""Seconds that the cluster may take until it serves."""


class Process:
    """One process, that can be killed, frozen and brought back."""

    def __init__(self, log: Path, command: list[str], **options: Any) -> None:
        self.log = log
        self._command = command
        self._options = options
        self._process: asyncio.subprocess.Process | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the last start."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is ours to hear."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options,
            )

    async def kill(self) -> None:
        """SIGKILL it, frozen or not, and return when it has ended."""
        await self.end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still: its connections stay open, and nothing answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    async def end(self, number: signal.Signals = signal.SIGTERM, within: float = 20.0) -> int:
        """Tell it to end, and return its exit code; SIGKILL it when it takes too long."""
        assert self._process is not None
        self._send(number)
        try:
            return await asyncio.wait_for(self._process.wait(), within)
        except asyncio.TimeoutError:
            self._send(signal.SIGKILL)
            return await self._process.wait()

    async def ended(self) -> int:
        """Wait until it ends by itself, and return its exit code."""
        assert self._process is not None
        return await self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self.runs:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


class Cluster:
    """A cluster, and all processes that were started beside it."""

    def __init__(self, folder: Path, binaries: Binaries) -> None:
        self.folder = folder
        self.port = free_port(ADDRESSES, PORTS + 1)  # of all frontends
        self.nodes: list[Process] = []
        self._binaries = binaries
        self._database = self.port + PORTS
        self._processes: list[Process] = []

    @classmethod
    @asynccontextmanager
    async def started(cls, folder: Path, binaries: Binaries) -> AsyncIterator[Cluster]:
        """Start everything, and end it afterwards; logs and data are in `folder`.

        Raises:
            NoClusterError: It does not come up.
        """
        cluster = cls(folder, binaries)
        try:
            await cluster._start_postgresql()
            for number in range(len(ADDRESSES)):  # the first one writes what all then find
                cluster.nodes.append(await cluster._start_node(number))
                await cluster._until_it_serves(number)
            yield cluster
        finally:
            for process in reversed(cluster._processes):
                if process.runs:
                    await process.kill()

    async def start(
        self, name: str, command: list[str], ends_by: str = "KILL", **options: Any
    ) -> Process:
        """Start a process that ends with us, by the signal `ends_by` at the latest."""
        command = ["setpriv", "--pdeathsig", ends_by, *command]
        process = Process(self.folder / f"{name}.log", command, **options)
        self._processes.append(process)
        await process.start()
        return process

    async def start_program(self, name: str, command: list[str]) -> Process:
        """Start a process of ours, to which the cluster is `NAME`."""
        return await self.start(name, named(self._hosts_file(), command), cwd=ROOT)

    async def connect(self, number: int = 0) -> Client:
        """A client of one node."""
        return await Client.connect(f"{ADDRESSES[number]}:{self.port}")

    async def _start_postgresql(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        options: dict[str, Any] = {}
        if os.geteuid() == 0:  # as which it refuses to run
            options = {"user": "postgres", "group": "postgres", "extra_groups": []}
            self.folder.chmod(0o711)
            shutil.chown(data, "postgres", "postgres")
        initdb = [str(self._binaries.initdb), "-U", "temporal", "-A", "trust", "--no-sync"]
        await self._run("initdb", [*initdb, "-D", str(data)], **options)
        settings = {
            "listen_addresses": ADDRESSES[0],
            "port": self._database,
            "unix_socket_directories": data,
            "max_connections": 300,
            "fsync": "off",  # it is not what we torment
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        command = [str(self._binaries.postgres), "-D", str(data)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        await self.start("postgresql", command, "INT", **options)
        await _until_listening(ADDRESSES[0], self._database)
        for database, schema in (("temporal", "temporal"), ("visible", "visibility")):
            await self._sql(database, "create-database", "--defaultdb", "postgres")
            await self._sql(database, "setup-schema", "-v", "0.0")
            await self._sql(database, "update-schema", "--schema-name", f"postgresql/v12/{schema}")

    async def _sql(self, database: str, *command: str) -> None:
        where = ["--ep", ADDRESSES[0], "-p", str(self._database), "-u", "temporal"]
        tool = [str(self._binaries.sql), *where, "--plugin", "postgres12", "--db", database]
        await self._run("sql", [*tool, *command])

    async def _run(self, name: str, command: list[str], **options: Any) -> None:
        process = await self.start(name, command, **options)
        if await process.ended() != 0:
            raise NoClusterError(f"{name} failed:\n{_last_lines(process.log)}")

    async def _start_node(self, number: int) -> Process:
        config = self.folder / f"node-{number + 1}.yaml"
        config.write_text(json.dumps(self._config(ADDRESSES[number])))  # which is YAML, too
        server = [str(self._binaries.server), "--config-file", str(config), "--allow-no-auth"]
        return await self.start(f"node-{number + 1}", [*server, "start"])

    def _config(self, address: str) -> dict[str, Any]:
        def store(database: str) -> dict[str, Any]:
            return {
                "pluginName": "postgres12",
                "databaseName": database,
                "connectAddr": f"{ADDRESSES[0]}:{self._database}",
                "connectProtocol": "tcp",
                "user": "temporal",
                "maxConns": 20,
                "maxIdleConns": 20,
            }

        def ports(number: int) -> dict[str, Any]:
            rpc = {"grpcPort": self.port + 2 * number, "membershipPort": self.port + 2 * number + 1}
            return {"rpc": {**rpc, "bindOnIP": address}}

        return {
            "log": {"stdout": True, "level": "warn"},
            "persistence": {
                "defaultStore": "main",
                "visibilityStore": "visible",
                "numHistoryShards": SHARDS,
                "datastores": {
                    "main": {"sql": store("temporal")},
                    "visible": {"sql": store("visible")},
                },
            },
            "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": address}},
            "services": {name: ports(number) for number, name in enumerate(SERVICES)},
            "clusterMetadata": {
                "enableGlobalNamespace": False,
                "failoverVersionIncrement": 10,
                "masterClusterName": "active",
                "currentClusterName": "active",
                "clusterInformation": {
                    "active": {
                        "enabled": True,
                        "initialFailoverVersion": 1,
                        "rpcName": "frontend",
                        "rpcAddress": f"{address}:{self.port}",
                    }
                },
            },
        }

    async def _until_it_serves(self, number: int) -> None:
        """Return when a node serves the namespace, which the first one registers."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STARTS_WITHIN
        request = RegisterNamespaceRequest(
            namespace="default", workflow_execution_retention_period=Duration(seconds=86_400)
        )
        while True:
            try:
                client = await self.connect(number)
                if number == 0:
                    with _if_new():
                        await client.workflow_service.register_namespace(request, retry=False)
                await client.count_workflows()
                return
            except (RPCError, RuntimeError) as error:
                if loop.time() > deadline or not self.nodes[number].runs:
                    log = _last_lines(self.nodes[number].log)
                    raise NoClusterError(f"node {number + 1} does not serve:\n{log}") from error
                await asyncio.sleep(0.5)

    def _hosts_file(self) -> Path:
        path = self.folder / "hosts"
        ours = [f"{address} {NAME}" for address in ADDRESSES]
        path.write_text("\n".join(["127.0.0.1 localhost", *ours, ""]))
        return path


def named(hosts: Path, command: list[str]) -> list[str]:
    """The command that runs `command` where `hosts` is the system's file of names.

    In a mount namespace of its own: nothing changes for anybody else, and nothing is left.
    """
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = 'mount --bind "$0" /etc/hosts && exec setpriv --pdeathsig KILL "$@"'
    return ["unshare", *as_root, "--mount", "sh", "-c", script, str(hosts), *command]


@contextmanager
def _if_new() -> Iterator[None]:
    """Whether it is there already does not matter."""
    try:
        yield
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


async def _until_listening(address: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STARTS_WITHIN
    while True:
        try:
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
            return
        except OSError as error:
            if loop.time() > deadline:
                raise NoClusterError(f"nobody listens at {address}:{port}") from error
            await asyncio.sleep(0.1)


def free_port(addresses: tuple[str, ...], count: int) -> int:
    """The first of `count` ports in a row that are free on each of the addresses."""
    for first in range(21_000, 31_000, count):
        with ExitStack() as sockets:
            try:
                for address in addresses:
                    for port in range(first, first + count):
                        one = sockets.enter_context(socket.socket())
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        one.bind((address, port))
                return first
            except OSError:
                continue
    raise NoClusterError(f"no {count} free ports in a row on {', '.join(addresses)}")


def _last_lines(log: Path, count: int = 5) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-count:]
    return "\n".join(line[:300] for line in lines)

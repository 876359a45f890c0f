"""One way to a Temporal server for notebooks, workers and terminal runs alike.

Owns the order of precedence: Temporal's own environment and profile file (a cluster, Temporal
Cloud, mTLS, an API key), else the lab's dev server, else where that would be; and how one asks it
whether a worker polls. It starts nothing and does not know who did.
Next: `lab/machine/server.py`, which does.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig
from temporalio.service import RPCError

from streamlib.leaving import leave_calmly

from .home import learner, profile_path
from .program import OneLineError

CONNECT_TIMEOUT = 10.0
"""Seconds a connection attempt may take before the server counts as unreachable."""


class ServerUnavailableError(OneLineError, ConnectionError):
    """No Temporal server answers, or none is to be had; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """The server to talk to: how to connect, and whether the user named it."""

    config: ClientConnectConfig
    """Keyword arguments of `Client.connect`."""

    external: bool
    """True if the environment or a Temporal profile names it: then it is not ours to run."""

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.config["target_host"]

    @property
    def namespace(self) -> str:
        """The namespace to work in."""
        return self.config.get("namespace", "default")


def target() -> Target:
    """The server that everything here talks to, as configured at this moment.

    Raises:
        ServerUnavailableError: The Temporal configuration cannot be read.
    """
    try:
        chosen = ClientConfigProfile.load()
    except Exception as cause:  # the SDK's bridge raises a bare RuntimeError
        raise ServerUnavailableError(
            f"the Temporal configuration cannot be read: {cause}. Check TEMPORAL_PROFILE, "
            "TEMPORAL_CONFIG_FILE and the file they name."
        ) from cause
    if chosen.address:
        return Target(chosen.to_client_connect_config(), external=True)
    path = profile_path()
    if path.is_file():
        ours = ClientConfigProfile.load(config_source=path, disable_env=True)
        if ours.address:
            return Target(ours.to_client_connect_config(), external=False)
    # Whoever moves the lab's ports has a reason: somebody else may be at the usual one.
    port = os.environ.get("STREAMLIB_PORT") or "7233"
    return Target({"target_host": f"localhost:{port}", "namespace": "default"}, external=False)


def task_queue(name: str) -> str:
    """The task queue of that name that is ours alone.

    The lab's dev server is: there it is just the name. On a server that others may share, a
    neighbour's worker would take our tasks, so each learner has a queue: `$STREAMLIB_LEARNER`
    says whose, else every state folder is a learner of its own.

    Raises:
        ServerUnavailableError: The Temporal configuration cannot be read.
        HomeError: The state folder, which keeps the learner's name, cannot be used.
    """
    who = os.environ.get("STREAMLIB_LEARNER") or (learner() if target().external else "")
    return f"{name}-{who}" if who else name


async def connect(**options: Any) -> Client:
    """Connect to the configured server, within ten seconds.

    Args:
        **options: Passed on to `Client.connect`, over what the configuration says.

    Raises:
        ServerUnavailableError: Nobody answers there; names the address and what to do.
    """
    leave_calmly(options.get("runtime"))
    goal = target()
    try:
        return await asyncio.wait_for(
            Client.connect(**{**goal.config, **options}), timeout=CONNECT_TIMEOUT
        )
    except asyncio.TimeoutError:
        cause: Exception = TimeoutError(f"no answer in {CONNECT_TIMEOUT:.0f} s")
    except (RuntimeError, ValueError) as error:  # what the SDK raises when it cannot connect
        cause = error
    hint = await _tls_hint(goal)
    raise ServerUnavailableError(_unreachable(goal, hint or _short(cause))) from cause


def identity(pid: int) -> str:
    """The name under which the server lists the worker process `pid` of this machine."""
    return f"streamlib-{pid}@{socket.gethostname()}"


async def polls(client: Client, task_queue: str, name: str) -> bool:
    """Whether `name` is among a queue's pollers, for workflows and for activities."""
    for kind in (
        TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    ):
        request = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=kind,
        )
        try:
            answer = await client.workflow_service.describe_task_queue(
                request, retry=False, timeout=timedelta(seconds=5)
            )
        except RPCError:
            return False
        if name not in {poller.identity for poller in answer.pollers}:
            return False
    return True


def _unreachable(goal: Target, why: str) -> str:
    if goal.external:
        advice = "Check TEMPORAL_ADDRESS or your Temporal profile, and that the server is up."
    else:
        advice = "Start one: `make lab` or `streamlib start`, or `await lab.start()` in a notebook."
    return f"no Temporal server answers at {goal.address}. {advice} ({why})"


def _short(cause: Exception) -> str:
    """The SDK quotes whole transport errors; the first line's end is all a reader needs."""
    text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."


async def _tls_hint(goal: Target) -> str:
    """What to say if the server speaks TLS and was not spoken to in it; else nothing.

    Its certificate is not checked: this is to know the protocol, and nothing is sent.
    """
    host, _, port = goal.address.rpartition(":")
    if not goal.external or goal.config.get("tls") or not port.isdigit():
        return ""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, asyncio.TimeoutError):
        opened = asyncio.open_connection(host.strip("[]"), int(port), ssl=anybody)
        _, writer = await asyncio.wait_for(opened, 2.0)
        writer.transport.abort()
        return "it speaks TLS: set TEMPORAL_TLS=true, or TEMPORAL_API_KEY, or a profile with tls"
    return ""

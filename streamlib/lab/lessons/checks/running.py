"""A check's process, from the kernel's side: started, listened to, and ended in any case.

The processes are forked from one that has imported everything already, so that a check begins at
once and starts with nothing of the kernel's. What they do: `child.py`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.util
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from streamlib.lab.lessons import hosts
from streamlib.lab.lessons.checks.child import Job, Verdict, work
from streamlib.lab.lessons.checks.exercises import EXERCISES
from streamlib.lab.lessons.checks.judging import Pure
from streamlib.lab.machine import workers
from streamlib.scenarios import TASK_QUEUE
from streamlib.scenarios.connect import connect
from streamlib.scenarios.hub import HubWorkflow

SILENCE = 8.5
"""Seconds without a sign of life after which a process is killed: it may be unable to give one."""

BEGINS = 30.0
"""Seconds that a process may take until it begins, on the busiest of machines: nothing of the
answer has run by then."""

LONGEST = 60.0
"""Seconds that a check may take in all, on the busiest of machines."""

STREAMS = 6
"""How many fresh streams a check may make."""

NO_VERDICT = Verdict(
    False,
    f"It did not come to an end within {SILENCE:g} s, or ended its whole process: that was "
    "stopped, and this notebook is unharmed.",
)

TOO_BUSY = Verdict(
    False,
    "This says nothing about your answer: the check was not done in time, on a machine that is "
    "busy. Run this cell again.",
)


_apart: list[subprocess.Popen[bytes]] = []  # what stays beside the kernel until it ends
_starting = threading.Lock()


async def run(exercise: str, answer: bytes) -> Verdict:
    """Judge an answer in a process of its own; its calls end within seconds, whatever they do.

    Raises:
        ServerUnavailableError: No server answers, and it needs one.
        CancelledError: Cancelled; the process is ended.
    """
    if isinstance(EXERCISES[exercise], Pure):
        job = Job(exercise, answer, "", [], dict(os.environ), os.getcwd())
        return await _verdict(job) or NO_VERDICT
    client = await connect()
    ids = [f"check-{uuid.uuid4().hex[:8]}" for _ in range(STREAMS)]
    hosts.remember(*ids)  # a kernel restart ends a check anywhere
    worker = await workers.status()
    queue = worker.task_queue if worker else TASK_QUEUE
    job = Job(exercise, answer, queue, ids, dict(os.environ), os.getcwd())
    verdict: Verdict | None = None
    try:
        verdict = await _verdict(job)
    finally:
        await asyncio.gather(*(_close(client, each) for each in ids))
        hosts.forget(*ids)
    return verdict or NO_VERDICT


async def _verdict(job: Job) -> Verdict | None:
    """What the process said; None if it said nothing."""
    context = multiprocessing.get_context(_method())
    if _method() == "forkserver":
        context.set_forkserver_preload([work.__module__])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job, there), daemon=True)  # type: ignore[attr-defined]
    try:
        await asyncio.to_thread(_start, process)
        there.close()
        return await listen(here, process)
    finally:
        if process.pid is not None:
            _end(process)
            await asyncio.to_thread(process.join)
        here.close()


def _start(process: Any) -> None:
    """Start it; what has to run beside the kernel for that, once, is no part of its group.

    A kernel (ipykernel 7) that is shut down waits up to half a minute for the processes of its
    group, and one of these heeds no SIGTERM. They end by themselves, when the kernel has.
    """
    with _starting:
        spawn = multiprocessing.util.spawnv_passfds  # starts both; no option says how
        multiprocessing.util.spawnv_passfds = _spawn_apart
        try:
            process.start()
        finally:
            multiprocessing.util.spawnv_passfds = spawn


def _spawn_apart(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """As `multiprocessing.util.spawnv_passfds`, in a session of its own."""
    began = subprocess.Popen(args, executable=path, pass_fds=passfds, start_new_session=True)
    _apart.append(began)  # else it would be waited for when it is forgotten
    return began.pid


def _end(process: Any) -> None:
    """Kill it and all that the answer started: they are a group, whose leader it is."""
    with suppress(ProcessLookupError, AttributeError):  # it has no group yet; there are none
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


async def listen(pipe: Any, process: Any) -> Verdict | None:
    """What the process at that pipe says; None if it ended, or fell silent, without a word."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    until = begins = begun + BEGINS
    while loop.time() < min(until, begun + LONGEST):
        alive = process.is_alive()
        while pipe.poll():
            until = loop.time() + SILENCE
            try:
                said: Verdict | None = pipe.recv()
            except EOFError:
                return None
            if said is not None:
                return said
        if not alive:
            return None
        await asyncio.sleep(0.02)
    silent = until != begins and until < begun + LONGEST
    return None if silent else TOO_BUSY


def _method() -> str:
    """Forked from a process of its own where that can be; else started anew each time."""
    methods = multiprocessing.get_all_start_methods()
    return "forkserver" if "forkserver" in methods else "spawn"


async def _close(client: Client, hub_id: str) -> None:
    with suppress(RPCError):  # never started, or closed
        await client.get_workflow_handle(hub_id).signal(HubWorkflow.close)

"""The learner's classes under a real stream: a worker and a task queue of their own.

    my_log.py, my_publishers.py --judged--> green: theirs | red: ours stands in
                                --copied, with own_workflows.py--> a worker that runs them

Owns that worker, and the workflows that a notebook started on it, so that none is left open.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from streamlib.lab.lessons.checks import judge
from streamlib.lab.lessons.notes import Notes
from streamlib.lab.machine import workers
from streamlib.lab.machine.workers import Worker
from streamlib.lab.session import Session
from streamlib.scenarios.connect import task_queue
from streamlib.scenarios.home import subfolder, write_private
from streamlib.scenarios.hub import HubInput, HubWorkflow
from streamlib.scenarios.ticker import TickerInput, TickerWorkflow

WORKER, BROKEN = "own-log-worker", "broken-log-worker"
COMMAND = (sys.executable, "-m", "streamlib.lab.lessons.own_log.worker")
TASK_QUEUE = "own-log"
"""How the queues' names begin: each version of the files has its own, since a worker that runs one
would replay another one's streams into something else."""

FORGOTTEN = timedelta(hours=1)
"""After this long the server ends what nobody ended."""

_started = Notes("own-log")

_judged: dict[str, bool] = {}
"""Whether a file was green, by its text."""

_HERE = Path(__file__).parent

_PARTS = {
    "my_log.py": ("9.8", "from streamlib.core.log import Log\n"),
    "my_publishers.py": ("9.9", "from streamlib.core.dedup import Publishers\n"),
}
"""Of each file: the step that shows it whole, and what stands in for it until then."""


@dataclass(frozen=True)
class OwnLog:
    """A worker whose streams are made of the learner's parts. It shows itself in one line a part.

    Example:
        own = await lab.start_own_log(session)
        hub = await own.host()                              # a workflow handle
        ticker = await own.tick(TickerInput(ticks=24))      # and another
        await own.stop()
    """

    client: Client
    worker: Worker
    parts: dict[str, str]
    """Of each file, whose class runs."""

    async def host(self) -> WorkflowHandle[HubWorkflow, str]:
        """Start a workflow that only hosts a stream, made of these parts."""
        hub_id = await self._start("OwnHub", HubInput("own"))
        return self.client.get_workflow_handle_for(HubWorkflow.run, hub_id)

    async def tick(self, input: TickerInput) -> WorkflowHandle[TickerWorkflow, str]:
        """Start scenario 4's ticker on a stream made of these parts."""
        ticker_id = await self._start("OwnTicker", input)
        return self.client.get_workflow_handle_for(TickerWorkflow.run, ticker_id)

    async def stop(self) -> None:
        """End what this notebook started on such streams, and their workers. Idempotent."""
        await end_all(self.client)
        print(f"stopped: {self.worker.name}")

    async def _start(self, workflow: str, input: Any) -> str:
        workflow_id = f"own-{uuid.uuid4().hex[:8]}"
        _started.write([*_started.read(), workflow_id])  # first: the kernel may restart here
        await self.client.start_workflow(
            workflow,
            input,
            id=workflow_id,
            task_queue=self.worker.task_queue,
            execution_timeout=FORGOTTEN,
        )
        return workflow_id

    def __repr__(self) -> str:
        """One line a part."""
        lines = [f"worker  {self.worker} polls {self.worker.task_queue!r}"]
        return "\n".join([*lines, *(f"{name:<17} {whose}" for name, whose in self.parts.items())])


async def start_own_log(session: Session, *, broken: bool = False, quiet: bool = False) -> OwnLog:
    """Start a worker whose streams are made of the learner's own log and publishers' table.

    It takes `my_log.py` and `my_publishers.py` from the folder of the notebook, each if its steps
    are green; streamlib's own class stands in for one that is not. A copy is taken: call this
    again after a change. Idempotent: a worker that runs these very files is kept.

    Args:
        session: Where; from `lab.start()`.
        broken: Take a log instead that gives offsets twice.
        quiet: Print nothing.

    Raises:
        ServerUnavailableError: No server answers.
        WorkerDiedError: The worker died while it started; holds the end of its log.
        CancelledError: Interrupted; no worker of it is left.
    """
    found = await asyncio.gather(*(_part(name) for name in _PARTS))
    parts = {name: whose for name, (_, whose) in zip(_PARTS, found, strict=True)}
    files = {name: text for name, (text, _) in zip(_PARTS, found, strict=True)}
    if broken:
        parts["my_log.py"] = "the broken one, which gives offsets twice"
        files["my_log.py"] = (_HERE / "broken_log.py").read_text(encoding="utf-8")
    files["own_workflows.py"] = (_HERE / "own_workflows.py").read_text(encoding="utf-8")
    folder = _put(files)
    worker = await workers.start(
        BROKEN if broken else WORKER,
        task_queue=task_queue(f"{TASK_QUEUE}-{folder.name}"),
        command=[*COMMAND, str(folder)],
    )
    own = OwnLog(session.client, worker, parts)
    if not quiet:
        print(own)
    return own


async def _part(name: str) -> tuple[str, str]:
    """The learner's file, or what stands in for it; and whose it is."""
    step, ours = _PARTS[name]
    theirs = ""
    with suppress(OSError, UnicodeError):  # not there, or not to be read: then it is not green
        theirs = Path(name).read_text(encoding="utf-8-sig")
    if theirs and theirs not in _judged:
        _judged[theirs] = (await judge(step, name)).ok
    if _judged.get(theirs):
        return theirs, "yours"
    return ours, f"streamlib's, until {step} is green"


def _put(files: Mapping[str, str]) -> Path:
    """A folder of these files alone, and always the same one for the same files."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:8]
    folder = subfolder("own-log-parts") / digest
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in files.items():
        write_private(folder / name, text)
    return folder


async def end_all(client: Client) -> None:
    """End the workflows that this notebook started on such streams, and their workers."""
    for workflow_id in _started.read():
        with suppress(RPCError):  # done already, or unknown to this server
            await client.get_workflow_handle(workflow_id).terminate("its lesson is over")
    _started.write([])
    for name in (WORKER, BROKEN):
        await workers.stop(name)

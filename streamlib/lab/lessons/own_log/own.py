"""The learner's classes under a real stream: a worker and a task queue of their own.

    my_log.py, my_publishers.py --judged--> green: theirs | red: ours stands in
                                --copied, with own_workflows.py--> a worker that runs them

Owns that worker, and the workflows that a notebook started on it, so that none is left open.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import uuid
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

WORKER = "own-log-worker"
COMMAND = (sys.executable, "-m", "streamlib.lab.lessons.own_log.worker")
TASK_QUEUE = "own-log-task-queue"

FORGOTTEN = timedelta(hours=1)
"""After this long the server ends what nobody ended."""

_started = Notes("own-log")

_green: set[str] = set()
"""Files that were judged, as they were."""

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
        """End what this notebook started here, and the worker. Idempotent."""
        await _end_all(self.client)
        await self.worker.stop()
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
    again after a change.

    Args:
        session: Where; from `lab.start()`.
        broken: Take a log instead that gives offsets twice.
        quiet: Print nothing.

    Raises:
        ServerUnavailableError: No server answers.
        WorkerDiedError: The worker died while it started; holds the end of its log.
        CancelledError: Interrupted; no worker of it is left.
    """
    folder = subfolder("own-log-parts")
    whose = await asyncio.gather(*(_put(name, folder) for name in _PARTS))
    parts = dict(zip(_PARTS, whose, strict=True))
    if broken:
        shutil.copyfile(_HERE / "broken_log.py", folder / "my_log.py")
        parts["my_log.py"] = "the broken one, which gives offsets twice"
    shutil.copyfile(_HERE / "own_workflows.py", folder / "own_workflows.py")
    await workers.stop(WORKER)  # one that runs has imported what was there before
    await _end_all(session.client)
    worker = await workers.start(
        WORKER, task_queue=task_queue(TASK_QUEUE), command=[*COMMAND, str(folder)]
    )
    own = OwnLog(session.client, worker, parts)
    if not quiet:
        print(own)
    return own


async def _put(name: str, folder: Path) -> str:
    """Copy the learner's file, or put what stands in for it; which of them."""
    step, ours = _PARTS[name]
    theirs = Path(name).read_text(encoding="utf-8") if Path(name).is_file() else ""
    if theirs not in _green and theirs and (await judge(step, name)).ok:
        _green.add(theirs)
    green = theirs in _green
    write_private(folder / name, theirs if green else ours)
    return "yours" if green else f"streamlib's, until {step} is green"


async def _end_all(client: Client) -> None:
    for workflow_id in _started.read():
        with suppress(RPCError):  # done already, or unknown to this server
            await client.get_workflow_handle(workflow_id).terminate("its lesson is over")
    _started.write([])

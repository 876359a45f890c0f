"""Scenario 5 in a notebook: its worker, and the scripted LLM where no real one is configured.

Owns their start and end from a cell, the questions a notebook asked (so that none is left open),
and text that is replaced in place as it streams. The parts: `workers.py`, `scripted.py`; what the
worker runs: `streamlib/scenarios/llm.py`.
"""

from __future__ import annotations

import sys
import textwrap
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from streamlib.lab.lessons.notes import Notes
from streamlib.lab.machine import scripted, workers
from streamlib.lab.machine.scripted import Scripted
from streamlib.lab.machine.workers import Worker
from streamlib.lab.session import Session
from streamlib.scenarios.connect import task_queue
from streamlib.scenarios.llm import LLM_TASK_QUEUE, LLMInput, LLMWorkflow
from streamlib.scenarios.model import settings, source
from streamlib.scenarios.terminal import plain

WORKER = "llm-worker"
COMMAND = (sys.executable, "-m", "streamlib.lab.machine.llm_worker")

_questions = Notes("llm")

WIDTH = 88
"""Columns of the text in a cell's output."""

FORGOTTEN = timedelta(hours=1)
"""After this long the server ends a question that nobody answered."""


@dataclass(frozen=True)
class LLM:
    """Scenario 5's worker and where its text comes from. It shows itself in one line a part.

    Example:
        llm = await lab.start_llm(session)
        answer = await llm.ask("Why?")      # a workflow handle
        await llm.worker.kill()
        await llm.worker.restart()
        await llm.stop()
    """

    client: Client
    worker: Worker
    """Runs `LLMWorkflow`; stays valid over `kill` and `restart`."""
    source: str
    """Where the text comes from, in words."""
    server: Scripted | None
    """The scripted server; None if a real one is configured."""

    @property
    def scripted(self) -> bool:
        """Whether the text comes from a script, and not from a model."""
        return self.server is not None

    async def ask(self, prompt: str) -> WorkflowHandle[LLMWorkflow, str]:
        """Start an `LLMWorkflow` with this prompt; return its handle."""
        workflow_id = f"llm-{uuid.uuid4().hex[:8]}"
        _questions.write(
            [*_questions.read(), workflow_id]
        )  # before it exists: the kernel may be restarted here
        await self.client.start_workflow(
            LLMWorkflow.run,
            LLMInput(prompt),
            id=workflow_id,
            task_queue=task_queue(LLM_TASK_QUEUE),
            execution_timeout=FORGOTTEN,
        )
        return self.client.get_workflow_handle_for(LLMWorkflow.run, workflow_id)

    async def fail(
        self, kind: str, *, times: int = 1, after: int = 10, retry_after: float | None = None
    ) -> None:
        """Let the next requests to the scripted LLM fail; a real one fails when it likes.

        Args:
            kind: `drop` (the connection breaks), `cut` (it closes in good order, too early),
                `stall` (no more tokens), `keep-alive` (the same, with signs of life), `length`
                (the model's limit of tokens), `refuse` (the model does), or an HTTP status such
                as `429`.
            times: How many requests.
            after: How many tokens come first, unless it is a status or a refusal.
            retry_after: Seconds that the server asks to wait for, with a status.

        Raises:
            LabError: There is no such kind, or the server does not answer.
        """
        if self.server is None:
            print(f"The text comes from {self.source}: it cannot be told to fail.")
            return
        fault = {"kind": kind, "after": after, "retry_after": retry_after}
        await self.server.control(faults=[fault] * times)

    async def pace(self, seconds: float) -> None:
        """Let the scripted LLM take so many seconds a token; a real one does as it likes."""
        if self.server is not None:
            await self.server.control(pace=seconds)

    async def stop(self) -> None:
        """End what this notebook asked and nobody finished, the worker, and the scripted LLM.

        Idempotent.
        """
        for workflow_id in _questions.read():
            with suppress(RPCError):  # done already, or unknown to this server
                await self.client.get_workflow_handle(workflow_id).terminate("its lesson is over")
        _questions.write([])
        await self.worker.stop()
        if self.server is not None:
            await scripted.stop()
        print(f"stopped: {self.worker.name}" + (f", {scripted.NAME}" if self.server else ""))

    def __repr__(self) -> str:
        """One line a part."""
        note = "   SCRIPTED: no model writes it" if self.scripted else ""
        return (
            f"worker  {self.worker} polls {self.worker.task_queue!r}\ntext    {self.source}{note}"
        )


async def start_llm(session: Session, *, quiet: bool = False) -> LLM:
    """Start scenario 5's worker, and the scripted LLM if no real one is configured. Idempotent.

    `OPENAI_API_KEY` or `OPENAI_BASE_URL`, in the environment of the notebook's kernel, names a
    real one. The worker's process inherits the key; it is written nowhere.

    Raises:
        LabError: The scripted LLM did not start.
        NoLLMError: What the environment says cannot be used.
        WorkerDiedError: The worker died while it started; holds the end of its log.
    """
    settings()  # refused here, not by a worker that dies
    named, server = source(), None
    if named is None:
        server = await scripted.start()
        await server.control(faults=[], pace=scripted.PACE)  # whatever a lesson left behind
        named = str(server)
    purpose = server.base_url if server else named
    worker = await workers.start(
        WORKER, task_queue=task_queue(LLM_TASK_QUEUE), command=COMMAND, purpose=purpose
    )
    llm = LLM(session.client, worker, named, server)
    if not quiet:
        print(llm)
    return llm


class LiveText:
    """Text in a cell's output, replaced in place each time; plain text, whatever it holds.

    Example:
        screen = lab.LiveText()
        screen.show("Hel")
        screen.show("Hello")    # in place of the first
    """

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Show this instead. Without a notebook around it, nothing is shown."""
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is None:
            return
        if self._handle is None:
            self._handle = display(_Text(text), display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(_Text(text))


class _Text:
    """Shows itself as plain text: neither as HTML nor with escape sequences."""

    def __init__(self, text: str) -> None:
        # A notebook would break longer lines in the middle of a word.
        lines = (textwrap.fill(line, WIDTH) for line in plain(text).split("\n"))
        self._text = "\n".join(lines)

    def __repr__(self) -> str:
        return self._text

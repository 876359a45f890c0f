"""Scenario 5 under faults: a real worker, a real HTTP server, the real client; the text, once.

All of it runs with a canary for a key, which the last tests look for in everything written.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import RawValue
from temporalio.service import RPCError

from streamlib import WorkflowStreamClient
from streamlib.lab.lessons.llm import COMMAND
from streamlib.lab.machine import scripted, workers
from streamlib.lab.machine.scripted_llm import text_of, tokens_of
from streamlib.scenarios.llm import LLM_TASK_QUEUE, LLMInput, LLMWorkflow, decode
from streamlib.scenarios.transcript import EVENTS, Event, RetryEvent, TextDelta, Transcript
from tests.waits import without_waits

from .terminals import COLUMNS, ROOT, InATerminal, Terminal

KEY = f"sk-canary-{secrets.token_hex(16)}"
PIECES_OF_KEY = [KEY[10:26].encode(), KEY[26:].encode()]
PROMPT = f"why? {secrets.token_hex(4)}"

pytestmark = pytest.mark.server


async def nobody_asks(address: str) -> None:
    """End what other tests have left open: this worker would ask the model for them too."""
    client = await Client.connect(address)
    running = f"TaskQueue = '{LLM_TASK_QUEUE}' AND ExecutionStatus = 'Running'"
    async for left in client.list_workflows(running):
        with contextlib.suppress(RPCError):  # it has ended meanwhile
            await client.get_workflow_handle(left.id).terminate("left open")


@pytest.fixture(scope="module")
def llm(server: str) -> Iterator[scripted.Scripted]:
    """The scripted server, named as any compatible one would be, and a worker with the key."""
    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(nobody_asks(server))
        started = asyncio.run(scripted.start())
        try:
            patch.setenv("OPENAI_API_KEY", KEY)
            patch.setenv("OPENAI_BASE_URL", started.base_url)
            patch.setenv("LLM_TIMEOUT", "4")  # a busy machine is no silent model
            asyncio.run(
                workers.start(
                    "llm-worker",
                    task_queue=LLM_TASK_QUEUE,
                    command=COMMAND,
                    purpose="an LLM of tests",
                )
            )
            yield started
        finally:
            asyncio.run(workers.stop("llm-worker"))
            asyncio.run(scripted.stop())


@pytest.fixture
async def worker(llm: scripted.Scripted) -> workers.Worker:
    """Running, whatever the test before did to it."""
    return await workers.start(
        "llm-worker", task_queue=LLM_TASK_QUEUE, command=COMMAND, purpose="an LLM of tests"
    )


@dataclass
class Answer:
    """A question, all that its stream brought, and what a screen showed in the end."""

    handle: WorkflowHandle[LLMWorkflow, str]
    events: list[Event]
    screen: str

    def pieces(self, attempt: int) -> list[str]:
        """The deltas of an attempt, in the order of the log."""
        deltas = (event for event in self.events if isinstance(event, TextDelta))
        return [delta.text for delta in deltas if delta.attempt == attempt]

    @property
    def retries(self) -> list[int]:
        return [event.attempt for event in self.events if isinstance(event, RetryEvent)]


async def ask(client: Client) -> WorkflowHandle[LLMWorkflow, str]:
    workflow_id = f"llm-test-{secrets.token_hex(4)}"
    await client.start_workflow(
        LLMWorkflow.run, LLMInput(PROMPT), id=workflow_id, task_queue=LLM_TASK_QUEUE
    )
    return client.get_workflow_handle_for(LLMWorkflow.run, workflow_id)


async def read(client: Client, handle: WorkflowHandle[LLMWorkflow, str]) -> Answer:
    """Read to the end, as the terminal and the notebook do."""
    transcript, answer = Transcript(), Answer(handle, [], "")
    stream = WorkflowStreamClient.create(client, handle.id)
    async for item in stream.subscribe(list(EVENTS), result_type=RawValue):
        event = decode(item, client.data_converter.payload_converter)
        answer.events.append(event)
        change = transcript.feed(event)
        answer.screen = ("" if change.rewind else answer.screen) + change.append
    return answer


async def requests(llm: scripted.Scripted) -> int:
    return int((await llm.control())["requests"])


FAULTS: dict[str, list[dict[str, Any]]] = {
    "no fault": [],
    "dropped after 10 tokens": [{"kind": "drop", "after": 10}],
    "dropped before the first, then after 3": [
        {"kind": "drop", "after": 0},
        {"kind": "drop", "after": 3},
    ],
    "closed in good order without an end": [{"kind": "cut", "after": 12}],
    "stalled": [{"kind": "stall", "after": 5}],
    "too many requests": [{"kind": "429", "retry_after": 2}],
    "its own fault, twice": [{"kind": "500"}, {"kind": "503"}],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
async def test_the_text_shown_is_the_text_streamed_no_token_twice_none_lost(
    faults: list[dict[str, Any]], llm: scripted.Scripted, worker: workers.Worker, client: Client
) -> None:
    await llm.control(faults=faults, pace=0.001)
    first = await requests(llm) + 1
    began = time.monotonic()
    answer = await read(client, await ask(client))
    attempts = len(faults) + 1
    assert answer.retries == list(range(2, attempts + 1)), worker.log_tail()
    text = text_of(first + len(faults))
    assert answer.screen == text == await answer.handle.result()
    assert answer.pieces(attempts) == tokens_of(text)
    for number, fault in enumerate(faults):  # what came before the fault is in the log, once
        came = tokens_of(text_of(first + number))[: fault.get("after", 0)]
        assert answer.pieces(number + 1) == came
    assert await requests(llm) == first + len(faults)  # nobody else retries
    if "retry_after" in (faults or [{}])[0]:
        assert time.monotonic() - began > faults[0]["retry_after"]


async def test_a_reader_that_joins_late_or_at_the_end_has_the_text_too(
    llm: scripted.Scripted, worker: workers.Worker, client: Client
) -> None:
    await llm.control(faults=[{"kind": "drop", "after": 20}], pace=0.001)
    whole = await read(client, await ask(client))
    stream = WorkflowStreamClient.create(client, whole.handle.id)
    for start in (15, 60, len(whole.events) - 1):
        transcript = Transcript()
        async for item in stream.subscribe(list(EVENTS), start, result_type=RawValue):
            transcript.feed(decode(item, client.data_converter.payload_converter))
        assert transcript.text == whole.screen


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("401", "answered 401 invalid_api_key: check OPENAI_API_KEY"),
        ("400", "answered 400"),
        ("403", "answered 403"),
        ("404", "answered 404 model_not_found: check OPENAI_MODEL"),
    ],
)
async def test_what_cannot_pass_fails_at_once_without_a_word_about_the_key(
    status: str, says: str, llm: scripted.Scripted, worker: workers.Worker, client: Client
) -> None:
    await llm.control(faults=[{"kind": status}], pace=0.001)
    before = await requests(llm)
    handle = await ask(client)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    reason = str(caught.value.cause.__cause__)
    assert says in reason
    assert "Incorrect API key" not in reason  # the server's own words, which quote it
    assert await requests(llm) == before + 1


async def test_only_this_worker_loads_openai_and_it_polls_its_own_queue(
    worker: workers.Worker,
) -> None:
    assert worker.task_queue == "workflow-stream-llm-task-queue"
    assert await worker.polling()
    program = (
        "import sys, streamlib.lab, streamlib.scenarios.worker, streamlib.scenarios.__main__\n"
        "print([name for name in ('openai', 'starlette', 'uvicorn') if name in sys.modules])"
    )
    printed, _ = await asyncio.to_thread(run_in_a_pipe(["-c", program]).communicate)
    assert printed == "[]\n"


# In a terminal.


def run_in_a_pipe(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def shown(text: str) -> list[str]:
    """The lines that a terminal shows for a text."""
    return Terminal(COLUMNS).write(text.replace("\n", "\r\n")).lines


async def test_without_a_fault_the_terminal_run_prints_the_text_and_no_escapes(
    llm: scripted.Scripted, worker: workers.Worker
) -> None:
    await llm.control(faults=[], pace=0.001)
    text = text_of(await requests(llm) + 1)
    process = run_in_a_pipe(["-m", "streamlib.scenarios", "llm"])
    printed, _ = await asyncio.to_thread(process.communicate, timeout=40)
    prompt, rest = printed.split("\n", 1)
    assert prompt.startswith("[prompt] ")
    assert rest == f"{text}\nworkflow result: {len(text)} characters\n"
    assert process.returncode == 0


async def test_after_a_kill_the_terminal_is_rewound_and_shows_the_text_once(
    llm: scripted.Scripted, worker: workers.Worker, client: Client
) -> None:
    await llm.control(faults=[], pace=0.015)
    first = await requests(llm) + 1
    killed, since = worker.pid, datetime.now(timezone.utc)
    terminal = InATerminal()
    try:
        before = await asyncio.to_thread(terminal.read_until, lambda text: len(text) > 300)
        await worker.kill()
        await worker.restart()
        printed = await asyncio.to_thread(terminal.read_until, lambda _: False)
        assert (terminal.process.wait(10), worker.pid != killed) == (0, True)
    finally:
        terminal.close()
    assert "\x1b" not in before
    # Once all was taken back. (A wait that was told below the text is taken back otherwise: the
    # cursor then goes up once more, to the text.)
    assert len(re.findall(r"\r\x1b\[\d+A\x1b\[J(?!\x1b\[1A)", printed)) == 1
    text = text_of(first + 1)
    prompt = before.split("\r\n", 1)[0]
    lines = Terminal(COLUMNS).write(printed).lines
    result = f"workflow result: {len(text)} characters, attempt 2"
    assert lines == shown(f"{prompt}\n{text}\n{result}\n")
    answer = await read(client, await asked_in_a_terminal(client, since))
    assert answer.screen == text
    assert answer.pieces(2) == tokens_of(text)  # none twice, none lost
    cut_off = answer.pieces(1)
    assert 0 < len(cut_off) < len(tokens_of(text_of(first)))
    assert cut_off == tokens_of(text_of(first))[: len(cut_off)]
    assert answer.retries == [2]


async def asked_in_a_terminal(client: Client, since: datetime) -> WorkflowHandle[LLMWorkflow, str]:
    found: list[WorkflowExecution] = []
    while not found:  # what the server lists is a moment late
        query = "WorkflowId STARTS_WITH 'workflow-stream-llm-'"
        listed = [execution async for execution in client.list_workflows(query)]
        found = [execution for execution in listed if execution.start_time > since]
    return client.get_workflow_handle_for(LLMWorkflow.run, found[0].id)


async def test_a_refused_key_is_told_in_one_line(
    llm: scripted.Scripted, worker: workers.Worker
) -> None:
    await llm.control(faults=[{"kind": "401"}])
    process = run_in_a_pipe(["-m", "streamlib.scenarios", "llm"])
    printed, _ = await asyncio.to_thread(process.communicate, timeout=40)
    assert process.returncode == 1
    assert without_waits(printed).splitlines()[1:] == [
        "workflow failed: LLMRefused: the LLM server answered 401 invalid_api_key: "
        "check OPENAI_API_KEY"
    ]


# The key: last, so that all the above has been written down.


async def test_the_key_is_nowhere_but_in_the_worker(
    llm: scripted.Scripted, worker: workers.Worker, client: Client, home: Path
) -> None:
    found: Counter[str] = Counter()
    async for execution in client.list_workflows(f"TaskQueue = '{LLM_TASK_QUEUE}'"):
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        history = b"".join(
            event.SerializeToString() for event in (await handle.fetch_history()).events
        )
        found["histories"] += 1
        assert_no_key(history)
    await worker.kill()
    for path in home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found["files"] += 1
            found["with the prompt"] += PROMPT.encode() in content
            assert_no_key(content)
    # It would have been found: the prompt, which came the same way, is in the database.
    assert found["histories"] > 0
    assert found["with the prompt"] > 0
    assert (home / "logs" / "llm-worker.log").stat().st_size > 0


def assert_no_key(content: bytes) -> None:
    assert [piece for piece in PIECES_OF_KEY if piece in content] == []

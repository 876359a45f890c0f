"""A question may use so much of its workflow's history, all attempts together, and no more."""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from collections.abc import AsyncIterator

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from streamlib import WorkflowStream, WorkflowStreamClient
from streamlib.core.rollover import RollOverReason
from streamlib.lab.lessons.llm import COMMAND
from streamlib.lab.machine import workers
from streamlib.scenarios import llm
from streamlib.scenarios.llm import LLM_TASK_QUEUE, LLMInput, LLMWorkflow, stream_completion

from .raw_llm import OK, RESET, Play, RawServer, Step, chunk

pytestmark = pytest.mark.server

CUT_OFF: list[Step] = [OK, *[chunk("0123456789abcdef" * 256)] * 10, RESET]


def used(_: WorkflowStream) -> list[RollOverReason]:
    """What the stream says much later: the real figures."""
    info = workflow.info()
    return [
        RollOverReason("history events", info.get_current_history_length(), 0),
        RollOverReason("history bytes", info.get_current_history_size(), 0),
    ]


@pytest.mark.filterwarnings("ignore::streamlib.UnsentItemsWarning")  # what was given up
@pytest.mark.parametrize(("what", "most"), [("history events", 40), ("history bytes", 150_000)])
async def test_a_text_that_is_cut_off_again_and_again_ends_before_the_history_is_full(
    what: str, most: int, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(llm.MOST, what, most)
    monkeypatch.setattr(WorkflowStream, "should_roll_over", used)
    queue = f"llm-{secrets.token_hex(4)}"
    with RawServer({"why?": [CUT_OFF]}).running() as raw:
        monkeypatch.setenv("OPENAI_BASE_URL", raw.base_url)
        async with Worker(
            client,
            task_queue=queue,
            workflows=[LLMWorkflow],
            activities=[stream_completion],
            workflow_runner=UnsandboxedWorkflowRunner(),  # it would not see the smaller limit
        ):
            with pytest.raises(WorkflowFailureError) as caught:
                await client.execute_workflow(
                    LLMWorkflow.run, LLMInput("why?"), id=queue, task_queue=queue
                )
        assert 1 < raw.requests["why?"] < 10
    gc.collect()  # here, where the warning is expected
    assert isinstance(caught.value.cause, ApplicationError)
    assert (caught.value.cause.type, what in str(caught.value.cause)) == ("LLMTooMuch", True)
    history = await client.get_workflow_handle(queue).fetch_history()
    assert len(history.events) < 80


FULL_SIZE: dict[str, tuple[Play, str, range]] = {
    "5 MB of text": (
        [OK, *[chunk("0123456789abcde " * 64)] * 5_000, chunk(end="stop")],
        "LLMTooLong",
        range(1, 2),
    ),
    "1.2 MB, cut off every time": (
        [OK, *[chunk("0123456789abcde " * 64)] * 1_170],
        "LLMCutOff",
        range(10, 11),
    ),
}
"""What the model sends, each time it is asked; how that ends, and after how many attempts."""


@pytest.fixture
async def full_size(server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RawServer]:
    """A worker in a process of its own, whose model sends too much."""
    scripts = {name: [play] for name, (play, *_) in FULL_SIZE.items()}
    with RawServer(scripts).running() as raw:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", raw.base_url)
        await workers.start(
            "llm-worker", task_queue=LLM_TASK_QUEUE, command=COMMAND, purpose="an LLM of tests"
        )
        yield raw
        await workers.stop("llm-worker")


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FULL_SIZE)
async def test_at_full_size_a_question_fails_by_itself_and_readers_keep_up(
    name: str, client: Client, full_size: RawServer
) -> None:
    _, kind, attempts = FULL_SIZE[name]
    workflow_id = f"llm-{secrets.token_hex(4)}"
    handle = await client.start_workflow(
        LLMWorkflow.run, LLMInput(name), id=workflow_id, task_queue=LLM_TASK_QUEUE
    )

    async def read_all() -> tuple[int, int, float]:
        items = WorkflowStreamClient.create(client, workflow_id).subscribe()
        read = 0
        async for _ in items:
            read += 1
        return read, items.missed, time.monotonic()

    reading = asyncio.create_task(read_all())
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    failed = time.monotonic()
    read, missed, ended = await asyncio.wait_for(reading, 60)
    cause: BaseException | None = caught.value.cause
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert (cause.type, full_size.requests[name] in attempts) == (kind, True), cause
    end = await WorkflowStreamClient.create(client, workflow_id).get_offset()
    assert (read, missed) == (end, 0)
    assert ended - failed < 10
    described = (await handle.describe()).raw_description.workflow_execution_info
    assert described.history_size_bytes < 50 * 1024 * 1024  # for which the server ends a workflow
    assert described.history_length < 51_200

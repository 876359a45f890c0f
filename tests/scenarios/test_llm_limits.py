"""A question may use so much of its workflow's history, all attempts together, and no more."""

from __future__ import annotations

import gc
import secrets

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from streamlib import WorkflowStream
from streamlib.core.rollover import RollOverReason
from streamlib.scenarios import llm
from streamlib.scenarios.llm import LLMInput, LLMWorkflow, stream_completion

from .raw_llm import OK, RESET, RawServer, Step, chunk

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

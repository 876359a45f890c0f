"""Scenario 5: an LLM's text, token by token, on a stream that survives its worker's death.

    LLMWorkflow   hosts the stream, and runs one activity
    stream_completion --delta, delta, ... complete--> stream --> subscriber: Transcript --> screen
          | killed, cut off, refused: the next attempt says `retry` first, and starts over

The workflow never sees the key: the activity's client reads it from the worker's environment.
`python -m streamlib.scenarios llm` runs it, against `python worker.py --llm`. Read `transcript.py`
first; where the text comes from is in `chunks.py`, `failures.py` and `model.py`; how a terminal
takes back what it showed is in `terminal.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ActivityError, ApplicationError

from streamlib import (
    StreamLimits,
    StreamNotFoundError,
    WorkflowStream,
    WorkflowStreamClient,
    WorkflowStreamItem,
    WorkflowStreamState,
)

from .chunks import Reading
from .connect import task_queue
from .model import pieces
from .terminal import Screen, ending_quietly
from .transcript import EVENTS, Event, RetryEvent, TextComplete, TextDelta, Transcript

LLM_TASK_QUEUE = "workflow-stream-llm-task-queue"

LIMITS = StreamLimits(item_bytes=1_900_000, batch_bytes=1_900_000, page_bytes=2_000_000)
"""A whole text is one item, so larger ones are let in than by default: there is no room then for a
codec that makes them larger."""

HEARTBEAT_TIMEOUT = timedelta(seconds=3)
"""How soon a killed worker is noticed."""

MOST = {"history events": 45_000, "history bytes": 40 * 1024 * 1024, "signals": 9_500}
"""How much of its history one question may use, all its attempts together: somewhat less than what
the server ends a workflow for (51,200 events, 50 MB), or refuses (10,000 signals)."""

log = logging.getLogger(__name__)


@dataclass
class LLMInput:
    """The question; `stream_state` is what a previous run of the workflow left, if any.

    No key and no address: a workflow's input is in its history, for all who may read that.
    """

    prompt: str
    stream_state: WorkflowStreamState | None = None


@activity.defn
async def stream_completion(prompt: str) -> str:
    """Ask the model, publish each piece as it comes, and return the whole text."""
    attempt = activity.info().attempt
    stream = WorkflowStreamClient.from_within_activity(
        batch_interval=timedelta(milliseconds=150), max_batch_bytes=LIMITS.batch_bytes
    )
    reading = Reading()
    async with _while_wanted(), _heartbeats(), stream:
        if attempt > 1:
            retry = stream.topic("retry", type=RetryEvent)
            retry.publish(RetryEvent(attempt), force_flush=True)
        delta = stream.topic("delta", type=TextDelta)
        async with contextlib.aclosing(pieces(prompt, reading)) as text:
            async for piece in text:
                delta.publish(TextDelta(piece, attempt))
        complete = stream.topic("complete", type=TextComplete)
        complete.publish(TextComplete(reading.text, attempt, reading.ended), force_flush=True)
    return reading.text


@contextlib.asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Say that we live, also while the model thinks: else a slow one looks like a dead worker."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_TIMEOUT.total_seconds() / 6)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def _while_wanted() -> AsyncIterator[None]:
    """End in one quiet line once nobody waits: the workflow has ended, or took us for dead."""
    try:
        yield
        return
    except StreamNotFoundError:
        pass
    except asyncio.CancelledError:
        told = activity.cancellation_details()
        if told is None or not told.not_found:  # the worker shuts down, say
            raise
    info = activity.info()
    log.warning("%s, attempt %s: nobody waits for it any more", info.workflow_id, info.attempt)
    activity.raise_complete_async()  # there is nobody to report to, not even a failure


@workflow.defn
class LLMWorkflow:
    """Hosts the stream; what is not deterministic, it leaves to the activity."""

    @workflow.init
    def __init__(self, input: LLMInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state, limits=LIMITS)

    @workflow.run
    async def run(self, input: LLMInput) -> str:
        """Return the whole text.

        Raises:
            ApplicationError: No attempt came to an end, for the reason that `failures.py` gives;
                or their texts together took up too much of the history (`LLMTooMuch`).
        """
        asked = workflow.start_activity(
            stream_completion,
            input.prompt,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=300),
                backoff_coefficient=1.5,
                maximum_interval=timedelta(seconds=5),
                maximum_attempts=10,
            ),
        )
        too_much = asyncio.create_task(self._until_too_much(asked))
        try:
            return await asked
        except ActivityError:
            if not too_much.done():
                raise
            raise too_much.result() from None

    async def _until_too_much(self, asked: workflow.ActivityHandle[str]) -> ApplicationError:
        """Once the question has used too much of its history, give it up; say so."""

        def used_up() -> list[str]:
            reasons = self.stream.should_roll_over()
            return [each.what for each in reasons if each.used >= MOST.get(each.what, sys.maxsize)]

        await workflow.wait_condition(lambda: bool(used_up()))
        asked.cancel()
        return ApplicationError(
            f"all attempts together took too many {used_up()[0]}: the text is too long, or is cut "
            "off too often",
            type="LLMTooMuch",
            non_retryable=True,
        )


def decode(item: WorkflowStreamItem[RawValue], converter: PayloadConverter) -> Event:
    """Decode an item by its topic.

    Raises:
        KeyError: The topic is none of `EVENTS`: subscribe to those.
    """
    return converter.from_payload(item.data.payload, EVENTS[item.topic])


PROMPT = "In a hundred words: why would one keep an LLM's tokens in a durable stream?"


async def run(client: Client) -> None:
    """Ask, and show the text as it arrives; take it back when an attempt starts over."""
    handle = await client.start_workflow(
        LLMWorkflow.run,
        LLMInput(PROMPT),
        id=f"workflow-stream-llm-{uuid.uuid4().hex[:8]}",
        task_queue=task_queue(LLM_TASK_QUEUE),
    )
    with ending_quietly(sys.stdout):
        print(f"[prompt] {PROMPT}")
        transcript = await _show(client, handle.id)
        try:
            text = await handle.result()
        except WorkflowFailureError as error:
            reason: BaseException | None = error
            while reason and not isinstance(reason, ApplicationError):
                reason = reason.__cause__
            sys.exit(f"workflow failed: {reason or error.cause}")
        attempts = f", attempt {transcript.attempt}" if transcript.attempt > 1 else ""
        print(f"workflow result: {len(text)} characters{attempts}")


async def _show(client: Client, workflow_id: str) -> Transcript:
    """Write the text as it comes, to its end, or to where Ctrl-C comes in between."""
    stream = WorkflowStreamClient.create(client, workflow_id)
    converter = client.data_converter.payload_converter
    transcript, screen = Transcript(), Screen(sys.stdout)
    try:
        async for item in stream.subscribe(list(EVENTS), result_type=RawValue):
            change = transcript.feed(decode(item, converter))
            if change.rewind:
                screen.rewind()
            screen.append(change.append)
    finally:
        screen.end()
    return transcript

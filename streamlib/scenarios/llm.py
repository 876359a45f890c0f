"""Scenario 5: an LLM's text, token by token, on a stream that survives its worker's death.

    LLMWorkflow   hosts the stream, and runs one activity
    stream_completion --delta, delta, ... complete--> stream --> subscriber: Transcript --> screen
          | killed, cut off, refused: the next attempt says `retry` first, and starts over

The workflow never sees the key: the activity's client reads it from the worker's environment.
`python -m streamlib.scenarios llm` runs it, against `python worker.py --llm`. Read `transcript.py`
first; how a terminal takes back what it showed is in `terminal.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError

from streamlib import (
    WorkflowStream,
    WorkflowStreamClient,
    WorkflowStreamItem,
    WorkflowStreamState,
)

from .connect import task_queue
from .terminal import Screen
from .transcript import EVENTS, Event, RetryEvent, TextComplete, TextDelta, Transcript

if TYPE_CHECKING:
    import openai

LLM_TASK_QUEUE = "workflow-stream-llm-task-queue"
DEFAULT_MODEL = "gpt-5.4-mini"
DEFAULT_TIMEOUT = 30.0
"""Seconds without a token after which an attempt has failed; `LLM_TIMEOUT` sets it."""

HEARTBEAT_TIMEOUT = timedelta(seconds=3)
"""How soon a killed worker is noticed."""

MAY_PASS = {408, 409, 425, 429}
"""Refusals (4xx) that another attempt may not meet; any 5xx is one too."""


def source() -> str | None:
    """Where the text comes from, as the environment names it; None if it names nothing.

    An address is told without what may be secret in it: a password, a query.
    """
    if address := os.environ.get("OPENAI_BASE_URL"):
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return "OpenAI" if os.environ.get("OPENAI_API_KEY") else None


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
    stream = WorkflowStreamClient.from_within_activity(batch_interval=timedelta(milliseconds=150))
    text = ""
    async with _heartbeats(), stream:
        if attempt > 1:
            retry = stream.topic("retry", type=RetryEvent)
            retry.publish(RetryEvent(attempt), force_flush=True)
        delta = stream.topic("delta", type=TextDelta)
        async with contextlib.aclosing(_pieces(prompt)) as pieces:
            async for piece in pieces:
                text += piece
                delta.publish(TextDelta(piece, attempt))
        complete = stream.topic("complete", type=TextComplete)
        complete.publish(TextComplete(text, attempt), force_flush=True)
    return text


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


async def _pieces(prompt: str) -> AsyncGenerator[str, None]:
    """The model's text as it arrives.

    Raises:
        ApplicationError: It was refused, was cut off, or came too slowly. Its text is ours: what
            a server says about a key may quote it, and all of this goes into the history.
    """
    import openai  # here, because the sandbox loads this file for the workflow below

    try:
        async with _client() as client:
            chunks = await client.chat.completions.create(
                model=os.environ.get("OPENAI_MODEL") or DEFAULT_MODEL,
                messages=[{"role": "user", "content": prompt}],
                stream=True,
            )
            ended = False
            async for chunk in chunks:
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield choice.delta.content
                    ended = ended or choice.finish_reason is not None
    except openai.APIStatusError as error:
        raise _refused(error) from None
    except openai.APITimeoutError:
        raise ApplicationError("no token in time", type="LLMStalled") from None
    except openai.OpenAIError as error:
        raise ApplicationError(f"cut off: {type(error).__name__}", type="LLMCutOff") from None
    if not ended:  # the connection closed in good order, but the text has no end
        raise ApplicationError("the text ended without an end", type="LLMCutOff")


def _client() -> openai.AsyncOpenAI:
    """The client, which reads the key, the address and more from the environment itself."""
    import openai

    return openai.AsyncOpenAI(
        # A compatible server may need no key, but the client insists on one.
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        # An empty address counts as none.
        base_url=os.environ.get("OPENAI_BASE_URL") or None,
        timeout=float(os.environ.get("LLM_TIMEOUT") or DEFAULT_TIMEOUT),
        max_retries=0,  # Temporal retries: it survives this process, and its attempts are seen
    )


def _refused(error: openai.APIStatusError) -> ApplicationError:
    """Whether and when to try again, by HTTP status."""
    status = error.status_code
    code = error.code if re.fullmatch("[a-z_]{1,40}", error.code or "") else ""
    final = 400 <= status < 500 and (status not in MAY_PASS or code == "insufficient_quota")
    advice = {401: ": check OPENAI_API_KEY", 404: ": check OPENAI_MODEL and OPENAI_BASE_URL"}
    return ApplicationError(
        f"the LLM server answered {status} {code}".strip() + advice.get(status, ""),
        type="LLMRefused",
        non_retryable=final,
        next_retry_delay=None if final else _retry_after(error.response.headers),
    )


def _retry_after(headers: Any) -> timedelta | None:
    """What the server asks for, up to a minute; None leaves it to the retry policy."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:  # none, or a date, which is rare enough
        return None
    return timedelta(seconds=min(max(seconds, 0.0), 60.0))


@workflow.defn
class LLMWorkflow:
    """Hosts the stream; what is not deterministic, it leaves to the activity."""

    @workflow.init
    def __init__(self, input: LLMInput) -> None:
        self.stream = WorkflowStream(prior_state=input.stream_state)

    @workflow.run
    async def run(self, input: LLMInput) -> str:
        """Return the whole text."""
        return await workflow.execute_activity(
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
    stream = WorkflowStreamClient.create(client, handle.id)
    converter = client.data_converter.payload_converter
    transcript, screen = Transcript(), Screen(sys.stdout)
    print(f"[prompt] {PROMPT}")
    async for item in stream.subscribe(list(EVENTS), result_type=RawValue):
        change = transcript.feed(decode(item, converter))
        if change.rewind:
            screen.rewind()
        screen.append(change.append)
    screen.end()
    try:
        text = await handle.result()
    except WorkflowFailureError as error:
        reason: BaseException | None = error
        while reason and not isinstance(reason, ApplicationError):
            reason = reason.__cause__
        sys.exit(f"workflow failed: {reason or error.cause}")
    attempts = f", attempt {transcript.attempt}" if transcript.attempt > 1 else ""
    print(f"workflow result: {len(text)} characters{attempts}")

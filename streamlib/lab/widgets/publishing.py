"""What a view publishes, once or at a pace, and the way to trouble it: a publisher of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio.client import RPCError

from streamlib import NotAStreamError, StreamError, StreamNotFoundError, WorkflowStreamClient
from streamlib.lab.lossy import LossyHandle
from streamlib.lab.widgets.asked import Content, RefusedError, Say, patiently, whole
from streamlib.lab.widgets.observer import Observer

MOST_PUBLISHED, MOST_A_SECOND = 10_000, 200
"""Items that one press publishes, and that a second may bring, at most."""

NAME = "this view"
"""What the view's own publisher is called."""


class Publishing:
    """The view's own publisher; it begins with the first item."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        client = observer.client
        self._handle = LossyHandle(client.temporal_client.get_workflow_handle(client.workflow_id))
        self._client = WorkflowStreamClient(
            self._handle,  # type: ignore[arg-type]
            client=client.temporal_client,
        )
        self._pacing: asyncio.Task[None] | None = None
        self._enough = asyncio.Event()
        observer.publishers[self._client.publisher_id] = NAME

    async def publish(self, asked: Content, say: Say) -> str:
        """Publish; returns when it is stored, however long that takes."""
        topic, text = str(asked.get("topic", "")), str(asked.get("text", ""))
        count = whole(asked, "count", 1, MOST_PUBLISHED)
        await self._refuse_without_a_stream(say)
        self._handle.lose_next = lost = bool(asked.get("lose_ack"))
        self._put(topic, text, count)
        await patiently(
            self._client.flush(),
            say,
            lambda: f"not acknowledged yet: the client keeps trying. {self._observer.trouble()}",
        )
        what = f"{count:,} items" if count > 1 else "1 item"
        if lost:
            return f"{what} stored; the acknowledgement was lost, so the batch was sent twice"
        return f"{what} stored"

    async def pace(self, asked: Content, say: Say) -> str:
        """Publish so many items every second from now on; none: stop."""
        rate = whole(asked, "rate", 0, MOST_A_SECOND)
        topic, text = str(asked.get("topic", "")), str(asked.get("text", ""))
        self.stop()
        if not rate:
            return "stopped publishing"
        await self._refuse_without_a_stream(say)
        self._client.topic(topic)  # a name that cannot be one is refused here
        self._observer.seen.publishing = rate
        self._enough = asyncio.Event()
        self._pacing = asyncio.create_task(self._keep_publishing(topic, text, rate))
        return f"publishing {rate} a second, until you stop it"

    def stop(self) -> None:
        """End what goes on by itself; what is in the publisher's hands is still sent."""
        self._enough.set()
        self._observer.seen.publishing = 0

    def _put(self, topic: str, text: str, count: int) -> None:
        for number in range(count):
            self._client.topic(topic).publish(f"{text} {number + 1}" if count > 1 else text)
        self._observer.wake()

    async def _keep_publishing(self, topic: str, text: str, rate: int) -> None:
        number, enough = 0, self._enough
        try:
            while not enough.is_set():
                for _ in range(rate):
                    number += 1
                    self._client.topic(topic).publish(f"{text} {number}")
                with suppress(TimeoutError):  # too old, and dropped: it goes on with the next
                    await self._client.flush()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(enough.wait(), 1.0)
        except (StreamError, RPCError):
            self._observer.seen.publishing = 0  # the stream has ended

    async def _refuse_without_a_stream(self, say: Say) -> None:
        """What is sent to a workflow that hosts no stream is dropped without a word."""
        seen = self._observer.seen
        if seen.description is not None or seen.undescribed_end is not None:
            return
        try:
            await patiently(
                self._observer.client.get_offset(),
                say,
                lambda: f"not sent yet: no stream has answered. {self._observer.trouble()}",
            )
        except (NotAStreamError, StreamNotFoundError) as error:
            raise RefusedError(f"nothing was sent. {error}") from error
        except StreamError as error:
            raise RefusedError(
                f"nothing was sent: whether this workflow hosts a stream is not known yet. {error}"
            ) from error

"""The publisher: moves the outbox's batches to the stream, and retries.

    publish --> encode --> outbox --(interval, size, force, flush, exit)--> send --> acknowledge
                                        ^                                     |
                                        |____ again, after a pause ___________| no answer
                                                                              | too long: give up

The outbox decides what to send; this file decides when, and waits. One batch is under way at a
time. Next: `feed.py` and `subscriber.py`, the reading side.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
import warnings
import weakref
from datetime import timedelta
from typing import Any

from temporalio.converter import PayloadConverter

from streamlib.client.transport import Transport
from streamlib.core.log import Item
from streamlib.core.outbox import Outbox
from streamlib.errors import StreamUnavailableError, UnsentItemsWarning
from streamlib.wire.encode import encode_item, publish_json
from streamlib.wire.shapes import MAX_PAGE_BYTES

_FIRST_PAUSE = 0.05  # seconds between tries, doubled up to
_LONGEST_PAUSE = 2.0


class Publisher:
    """Publishes to one stream, in order, each batch retried until it is stored or too old.

    Invariants: what `publish` accepted is sent, or named by an error or a warning; one batch is in
    flight at a time. Belongs to one event loop; not for use from several threads.
    """

    def __init__(
        self,
        transport: Transport,
        converter: PayloadConverter,
        *,
        batch_interval: timedelta,
        max_batch_size: int | None,
        max_retry_duration: timedelta,
    ) -> None:
        if max_batch_size is not None and max_batch_size < 1:
            raise ValueError(f"max_batch_size is {max_batch_size}; a batch holds at least 1 item")
        self.publisher_id = uuid.uuid4().hex[:16]
        self._transport = transport
        self._converter = converter
        self._batch_interval = batch_interval.total_seconds()
        self._max_retry_duration = max_retry_duration
        self._outbox: Outbox[Item] = Outbox(max_batch_size, MAX_PAGE_BYTES)
        self._sending = asyncio.Lock()
        self._wake = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._one_off: asyncio.Task[None] | None = None
        self._failure: Exception | None = None  # of sending in the background, not raised yet
        self._given_up: TimeoutError | None = None  # of the batch that was given up last
        weakref.finalize(self, _warn_of_unsent, self._outbox, transport.workflow_id)

    @property
    def unsent(self) -> int:
        """How many items are buffered or in flight."""
        return self._outbox.unsettled

    def publish(self, topic: str, value: Any, *, force_flush: bool = False) -> None:
        """Encode `value` and buffer it; never waits.

        It is sent when the batch interval is over (inside `async with`), when the buffer holds
        `max_batch_size` items, at once with `force_flush`, or by `flush()`.

        Raises:
            InvalidTopicError, ItemEncodeError, ItemTooLargeError: Nothing was buffered.
            Exception: What made sending in the background fail, once. This value was not
                buffered; publish it again to go on.
        """
        self._raise_failure()
        item = encode_item(topic, value, self._converter)
        self._outbox.add(item, item.size)
        if force_flush or self._outbox.full:
            self._send_soon()

    async def flush(self) -> None:
        """Return when all that was buffered at the time of the call is stored; no later.

        Raises:
            TimeoutError: A batch was not acknowledged within `max_retry_duration`. It is dropped:
                it may be stored, or not. What came after it is kept; flush again to send it.
            StreamNotFoundError: There is no such workflow, or it has closed. The items are kept.
            RPCError: The server refuses us (permission denied, say). The items are kept.
            CancelledError: Cancelled. The items are kept, and a batch that was under way is sent
                again under its old sequence, so that it is stored once.
        """
        self._raise_failure()
        mark, given_up = self._outbox.added, self._given_up
        while self._outbox.settled < mark:
            async with self._sending:
                self._raise_failure()
                if self._outbox.settled < mark:
                    await self._send_next()
        self._raise_failure()
        # Settled is not yet stored: another task may have sent the batch, and given it up.
        if self._given_up is not None and self._given_up is not given_up:
            raise self._given_up

    async def start(self) -> None:
        """Send in the background, every batch interval.

        Raises:
            RuntimeError: It does so already.
        """
        if self._flusher is not None:
            raise RuntimeError("this client is inside `async with` already; use another client")
        self._flusher = asyncio.create_task(self._run_flusher())

    async def stop(self, *, hurry: bool = False) -> None:
        """Stop the background sending and send all that is left.

        With `hurry` (the body was cancelled), or once a batch had to be given up, what is left
        gets one try; what then remains is named by a warning.

        Raises:
            Exception: As `flush`, or what made sending in the background fail; after the drain.
                The first one, if there are several; none with `hurry`, which would hide that the
                body was cancelled.
            CancelledError: Cancelled. What is left is named by a warning.
        """
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            await self._stop_flusher(flusher, hurry)
        failure = self._take_failure()
        while self._outbox.unsettled:
            try:
                async with self._sending:
                    await self._send_next(hurry=hurry or failure is not None)
            except TimeoutError as error:
                failure = failure or error
            except Exception as error:
                failure = failure or error
                break
        failure = failure or self._take_failure()
        if failure is not None and not hurry:
            raise failure

    async def _stop_flusher(self, flusher: asyncio.Task[None], hurry: bool) -> None:
        if hurry:
            flusher.cancel()
        self._wake.set()
        try:
            await asyncio.wait([flusher])
        except asyncio.CancelledError:
            flusher.cancel()
            raise

    def _take_failure(self) -> Exception | None:
        failure, self._failure = self._failure, None
        return failure

    def _raise_failure(self) -> None:
        if (failure := self._take_failure()) is not None:
            raise failure

    def _send_soon(self) -> None:
        self._wake.set()
        if self._flusher is None and (self._one_off is None or self._one_off.done()):
            with contextlib.suppress(RuntimeError):  # no loop runs yet: flush() will send
                self._one_off = asyncio.get_running_loop().create_task(self._send_all())

    async def _run_flusher(self) -> None:
        loop = asyncio.get_running_loop()
        while self._flusher is asyncio.current_task():
            timer = loop.call_later(self._batch_interval, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
            await self._send_all()

    async def _send_all(self) -> None:
        """Send what is buffered, while asked to; an error waits for publish, flush or exit."""
        try:
            while self._wake.is_set():
                self._wake.clear()
                mark = self._outbox.added
                while self._outbox.settled < mark:
                    async with self._sending:
                        await self._send_next()
        except Exception as error:
            self._failure = error

    async def _send_next(self, *, hurry: bool = False) -> None:
        """Send the next batch and see it through; retry what may pass."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while (batch := self._outbox.next_batch(loop.time())) is not None:
            message = publish_json(batch.entries, self.publisher_id, batch.sequence)
            try:
                await self._transport.send(message)
                self._outbox.acknowledge()
                return
            except StreamUnavailableError as error:
                self._give_up_if_too_old(loop.time(), error)
                if hurry:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _give_up_if_too_old(self, now: float, error: StreamUnavailableError) -> None:
        in_flight = self._outbox.in_flight
        assert in_flight is not None
        if now - in_flight.since > self._max_retry_duration.total_seconds():
            batch = self._outbox.give_up()
            self._given_up = TimeoutError(
                f"Batch {batch.sequence} ({len(batch.entries)} items) was not acknowledged within "
                f"max_retry_duration ({self._max_retry_duration}) and is dropped: it may be in the "
                f"log, or not. What was published after it is kept. Last: {error.reason}"
            )
            raise self._given_up from error


def _warn_of_unsent(outbox: Outbox[Item], workflow_id: str) -> None:
    if outbox.unsettled:
        warnings.warn(
            f"{outbox.unsettled} published items for {workflow_id!r} were never acknowledged. "
            "Call `await client.flush()`, or publish inside `async with client`.",
            UnsentItemsWarning,
            stacklevel=2,
        )

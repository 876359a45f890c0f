"""The publisher: moves the outbox's batches to the stream, and retries.

    publish --> encode --> outbox --(interval, size, force, flush, exit)--> send --> acknowledge
                                        ^                                     |
                                        |____ again, after a pause ___________| no answer
                                        |____ its halves _____________________| refused for good
                                                                              | too old, or one
                                                                              | item: give up
The outbox decides what to send, `retry.py` when to try again; this file waits. One batch is under
way at a time. Next: `feed.py` and `subscriber.py`, the reading side.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
import warnings
import weakref
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.converter import PayloadConverter

from streamlib.client.options import check_sizes, check_times, limits_for
from streamlib.client.receipt import Outcome, Receipt, Receipts
from streamlib.client.stats import ClientStats
from streamlib.client.transport import BatchRefusedError, Transport
from streamlib.core.limits import DEFAULTS
from streamlib.core.log import Item
from streamlib.core.outbox import InFlight, Outbox, OutgoingBatch
from streamlib.core.retry import Retry
from streamlib.errors import (
    BatchGivenUpError,
    BatchTimeoutError,
    BufferFullError,
    GivenUpBatch,
    ItemTooLargeError,
    StreamUnavailableError,
    UnsentItemsWarning,
)
from streamlib.wire.encode import encode_item, publish_json

_log = logging.getLogger("streamlib")


@dataclass
class _Flush:
    """A flush that waits, and what was given up of its items meanwhile."""

    mark: int  # it waits for as many items
    given_up: list[GivenUpBatch]


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
        max_batch_bytes: int | None = None,
        max_retry_duration: timedelta,
        max_buffer_bytes: int | None = None,
    ) -> None:
        check_times(batch_interval, max_retry_duration)
        check_sizes(max_batch_size=max_batch_size)
        check_sizes(max_batch_bytes=max_batch_bytes, max_buffer_bytes=max_buffer_bytes)
        self.publisher_id = uuid.uuid4().hex[:16]
        self.stats = ClientStats()
        self._transport = transport
        self._converter = converter
        self._limits = limits_for(max_batch_bytes)
        self._batch_interval = batch_interval.total_seconds()
        self._max_retry_duration = max_retry_duration
        self._outbox: Outbox[Item] = Outbox(
            max_batch_size,
            max_batch_bytes or DEFAULTS.batch_bytes,
            max_retry_duration.total_seconds(),
            max_buffer_bytes,
        )
        self._max_buffer = max_buffer_bytes
        self._receipts = Receipts(transport, self.publisher_id)
        self._entering = asyncio.Lock()  # who waits for room enters in turn
        self._settles = asyncio.Event()  # set, and made anew, when a batch is settled, or none is
        self._sending = asyncio.Lock()
        self._wake = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._one_off: asyncio.Task[None] | None = None
        self._flushes: list[_Flush] = []  # that wait now
        self._failure: Exception | None = None  # of sending in the background, not raised yet
        self._given_up: list[GivenUpBatch] = []  # while nobody waited, not raised yet
        self._trouble = False  # as it was logged last
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
            BufferFullError: There is no room up to `max_buffer_bytes`. Nothing was buffered; what
                is there is sent now.
            Exception: What made sending in the background fail, once. This value was not
                buffered; publish it again to go on.
        """
        self._raise_failure()
        item = self._item(topic, value)
        if not self._outbox.has_room(item.size):
            self._send_soon()
            buffered, limit = self._outbox.unsettled_bytes, self._max_buffer or 0
            raise BufferFullError(self._transport.workflow_id, item.size, buffered, limit)
        self._outbox.add(item, item.size)
        if force_flush or self._outbox.full:
            self._send_soon()

    async def send(self, topic: str, value: Any) -> Receipt:
        """Encode `value`, wait for room, and buffer it; return its receipt.

        Raises:
            InvalidTopicError, ItemEncodeError, ItemTooLargeError: Nothing was buffered.
            Exception: What made sending in the background fail, once. Nothing was buffered.
            CancelledError: Cancelled while it waited. Nothing was buffered.
        """
        self._raise_failure()
        item = self._item(topic, value)
        async with self._entering:
            while not self._outbox.has_room(item.size):
                await self._settles_something()
            receipt = Receipt(self._outbox.added, self._outcome)
            self._receipts.add(receipt)
            self._outbox.add(item, item.size)
        if self._outbox.full:
            self._send_soon()
        return receipt

    def _item(self, topic: str, value: Any) -> Item:
        item = encode_item(topic, value, self._converter, self._limits)
        if self._max_buffer is not None and item.size > self._max_buffer:
            raise ItemTooLargeError(item.topic, item.size, self._max_buffer)
        return item

    async def _outcome(self, receipt: Receipt) -> Outcome:
        """Wait until a receipt's batch is settled, and ask what became of it."""
        while not receipt.is_settled:
            await self._settles_something()
        return await self._receipts.outcome(receipt)

    async def _settles_something(self) -> None:
        """Send what is buffered, and return when a batch is settled; raise what keeps it from it.

        What was given up meanwhile is not raised here: it is told by receipts, or to who asks next.
        """
        self._raise([], self._take_failure())
        settles = self._settles
        self._send_soon()
        await settles.wait()

    def _tell_of_settling(self) -> None:
        self._settles.set()
        self._settles = asyncio.Event()

    async def flush(self) -> None:
        """Return when all that was buffered at the time of the call is stored; no later.

        Raises:
            BatchGivenUpError: Batches with items of these were dropped; it names them. What else
                was buffered at the time of the call is stored.
            BatchTimeoutError: As above, and one of them was not acknowledged within
                `max_retry_duration` (a `TimeoutError`): it may be stored, or not. What comes after
                it is kept; flush again to send it.
            StreamNotFoundError: There is no such workflow, or it has closed. The items are kept.
            RPCError: The server refuses us (permission denied, say). The items are kept.
            CancelledError: Cancelled. The items are kept, and a batch that was under way is sent
                again under its old sequence, so that it is stored once.
        """
        flush = _Flush(self._outbox.added, self._take_given_up())
        failure = self._take_failure()
        self._flushes.append(flush)
        try:
            while failure is None and self._awaits(flush):
                async with self._sending:
                    if self._awaits(flush):
                        await self._send_next()
        except Exception as error:
            failure = error
        except asyncio.CancelledError:  # somebody else is to learn of them
            self._given_up += flush.given_up
            raise
        finally:
            self._flushes.remove(flush)
        self._raise(flush.given_up, failure or self._take_failure())

    def _awaits(self, flush: _Flush) -> bool:
        """Whether it has items that are not settled, and no reason to stop waiting for them."""
        hopeless = any(batch.may_be_stored for batch in flush.given_up)
        return self._outbox.settled < flush.mark and not hopeless

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

        With `hurry` (the body was cancelled), or once a batch was too old or could not be sent,
        what is left gets one try; what then remains is named by a warning.

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
            doubt = any(batch.may_be_stored for batch in self._given_up)
            try:
                async with self._sending:
                    await self._send_next(hurry=hurry or doubt or failure is not None)
            except Exception as error:
                failure = failure or error
                break
        failure = failure or self._take_failure()
        if not hurry:
            self._raise_failure(failure)

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

    def _take_given_up(self) -> list[GivenUpBatch]:
        given_up, self._given_up = self._given_up, []
        return given_up

    def _raise_failure(self, failure: Exception | None = None) -> None:
        """Raise what went wrong while nobody waited for it, once."""
        self._raise(self._take_given_up(), failure or self._take_failure())

    def _raise(self, given_up: list[GivenUpBatch], failure: Exception | None) -> None:
        if given_up:
            doubt = any(batch.may_be_stored for batch in given_up)
            kind = BatchTimeoutError if doubt else BatchGivenUpError
            raise kind(self._transport.workflow_id, tuple(given_up)) from failure
        if failure is not None:
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
            self._tell_of_settling()

    async def _send_next(self, *, hurry: bool = False) -> None:
        """Send the next batch and see it through: stored, split or given up. Retry what may pass.

        Raises:
            StreamUnavailableError: No answer, and `hurry`.
            Exception: As the transport's `send`, where trying again does not help.
        """
        loop, retry = asyncio.get_running_loop(), Retry()
        while True:
            began = loop.time()
            if (old := self._outbox.expire(began)) is not None:
                self._give_up(old, f"no acknowledgement within {self._max_retry_duration}")
                return
            if (batch := self._outbox.next_batch(began)) is None:
                return
            try:
                await self._transport.send(
                    publish_json(batch.entries, self.publisher_id, batch.sequence)
                )
            except asyncio.CancelledError:
                self._outbox.doubt("cancelled before there was an answer")
                raise
            except BatchRefusedError as error:
                self._refused(str(error))
                return
            except StreamUnavailableError as error:
                pause = self._unanswered(error, retry, began)
                if hurry:
                    raise
            else:
                self._acknowledged(batch)
                return
            await asyncio.sleep(pause)

    def _acknowledged(self, batch: OutgoingBatch[Item]) -> None:
        self._receipts.settled(self._outbox.settled, len(batch.entries), batch.sequence, None)
        self._outbox.acknowledge()
        self._tell_of_settling()
        self._count(sent=1)
        if self._trouble:
            self._trouble = False
            _log.info("The stream %r takes batches again", self._transport.workflow_id)

    def _unanswered(self, error: StreamUnavailableError, retry: Retry, began: float) -> float:
        """Note that a try had no answer, and return the seconds to wait before the next one."""
        self._outbox.doubt(error.reason)
        self._count(retried=1)
        now = asyncio.get_running_loop().time()
        pause = retry.failed(error.cause, began=began, now=now, chance=random.random())
        if retry.trouble and not self._trouble:
            self._trouble = True
            _log.warning(
                "The stream %r takes no batches, and is tried again (%s: %s)",
                *(self._transport.workflow_id, error.cause.value, error.reason),
            )
        return pause

    def _refused(self, reason: str) -> None:
        """The batch in flight would be refused again: its halves may not be."""
        self._count(refused=1)
        if (flight := self._outbox.refuse()) is not None:
            self._give_up(flight, f"refused for good: {reason}")
        else:
            _log.warning(
                "The stream %r refused a batch, which is split (%s). A smaller max_batch_bytes "
                "saves the detour.",
                *(self._transport.workflow_id, reason),
            )

    def _give_up(self, flight: InFlight[Item], reason: str) -> None:
        """Tell those who wait for these items, else whoever asks next."""
        items = flight.batch.entries
        batch = GivenUpBatch(
            first=self._outbox.settled - len(items),
            count=len(items),
            topics=tuple(dict.fromkeys(item.topic for item in items)),
            size=sum(item.size for item in items),
            sequence=flight.batch.sequence,
            reason=f"{reason}. Last: {flight.doubt}" if flight.doubt else reason,
            may_be_stored=flight.doubt is not None,
        )
        _log.error("Given up for the stream %r: %s", self._transport.workflow_id, batch)
        self._count(given_up=1)
        told = self._receipts.settled(batch.first, batch.count, batch.sequence, batch)
        self._tell_of_settling()
        # Items settle in their order, and the lock is fair: whoever waits, waits for these too.
        others = [] if told else [self._given_up]
        for given_up in [flush.given_up for flush in self._flushes] or others:
            given_up.append(batch)

    def _count(self, **more: int) -> None:
        now = self.stats
        self.stats = now._replace(**{name: getattr(now, name) + n for name, n in more.items()})


def _warn_of_unsent(outbox: Outbox[Item], workflow_id: str) -> None:
    if outbox.unsettled:
        warnings.warn(
            f"{outbox.unsettled} published items for {workflow_id!r} were never acknowledged. "
            "Call `await client.flush()`, or publish inside `async with client`.",
            UnsentItemsWarning,
            stacklevel=2,
        )

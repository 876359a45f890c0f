"""The client's side: publish to a stream and subscribe to it, from anywhere.

A client is a thin front: `publisher.py` sends, `subscriber.py` reads, both over `transport.py`.
Belongs to one event loop. The last file to read; `scenarios/order.py` uses all of it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar, overload

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.converter import PayloadConverter

from streamlib.client.feed import Feed
from streamlib.client.patience import patiently
from streamlib.client.publisher import Publisher
from streamlib.client.receipt import Receipt
from streamlib.client.registry import shared_feed
from streamlib.client.stats import ClientStats
from streamlib.client.subscriber import ReadCounts, Subscription
from streamlib.client.transport import TemporalTransport
from streamlib.client.watch import StreamWatch
from streamlib.wire.binding import TopicTypes, check_topic
from streamlib.wire.describe import DescribeInput, StreamDescription, parse_description

T = TypeVar("T")

_DEFAULT_INTERVAL = timedelta(seconds=2)
_DEFAULT_RETRY = timedelta(minutes=10)


class WorkflowStreamClient:
    """Publishes to and subscribes to the stream of one workflow.

    Batches are deduplicated by this client's publisher id and a sequence: sends are retried, and
    duplicates are dropped for as long as the stream remembers the publisher (`publisher_ttl`).

    Example:
        client = WorkflowStreamClient.create(temporal_client, "order-1")
        async with client:
            client.topic("events", type=Event).publish(Event("hello"))
        async for item in client.subscribe(["events"], result_type=Event):
            print(item.offset, item.data)
    """

    def __init__(
        self,
        handle: WorkflowHandle[Any, Any],
        *,
        client: Client | None = None,
        batch_interval: timedelta = _DEFAULT_INTERVAL,
        max_batch_size: int | None = None,
        max_retry_duration: timedelta = _DEFAULT_RETRY,
        max_batch_bytes: int | None = None,
        max_buffer_bytes: int | None = None,
    ) -> None:
        """Wrap a workflow handle. Prefer `create`.

        Args:
            handle: The workflow that hosts the stream. Signals go through it, so it may be
                wrapped; if it names a run, reading starts in that run.
            client: Reads, and its payload converter encodes and decodes items. None: the
                handle's own client reads, and the default converter is used.
            batch_interval: How often buffered items are sent, inside `async with`; above 0.
            max_batch_size: Items a batch holds at most; a full one is sent at once. None: bytes
                alone bound a batch.
            max_retry_duration: How long a batch is retried before it is dropped with a
                `TimeoutError`; 0: it is tried once. Must be below the stream's `publisher_ttl`
                (15 minutes).
            max_batch_bytes: Bytes a batch of several items holds at most, before any codec. None:
                1,000,000, which has room for a codec that doubles; the server takes 2 MiB. A
                batch that it refuses all the same is split, so this only saves the detour. Above
                that, it is also the most that one item may have: for a host with such limits.
            max_buffer_bytes: Bytes that may wait for their acknowledgement, as they travel. Where
                it is full, `publish` raises and `send` waits. None: as many as come.

        Raises:
            TypeError: Neither `client` is given nor does the handle have one.
            ValueError: One of these sizes is below 1, the interval is not above 0, or the duration
                is below 0.
        """
        reader: Client | None = client or getattr(handle, "_client", None)
        if reader is None:
            raise TypeError(
                f"{type(handle).__name__} has no Temporal client; pass client= beside the handle"
            )
        self._transport = TemporalTransport(handle, reader)
        self._converter = (
            client.data_converter.payload_converter if client else PayloadConverter.default
        )
        self._topic_types = TopicTypes()
        self._counts = ReadCounts()
        self._publisher = Publisher(
            self._transport,
            self._converter,
            batch_interval=batch_interval,
            max_batch_size=max_batch_size,
            max_retry_duration=max_retry_duration,
            max_batch_bytes=max_batch_bytes,
            max_buffer_bytes=max_buffer_bytes,
        )

    @classmethod
    def create(
        cls,
        client: Client,
        workflow_id: str,
        *,
        batch_interval: timedelta = _DEFAULT_INTERVAL,
        max_batch_size: int | None = None,
        max_retry_duration: timedelta = _DEFAULT_RETRY,
        max_batch_bytes: int | None = None,
        max_buffer_bytes: int | None = None,
    ) -> WorkflowStreamClient:
        """Return a client for the stream of the workflow with this id. Arguments: see `__init__`.

        Nothing is sent yet: an unknown id shows when you publish or subscribe.
        """
        return cls(
            client.get_workflow_handle(workflow_id),
            client=client,
            batch_interval=batch_interval,
            max_batch_size=max_batch_size,
            max_retry_duration=max_retry_duration,
            max_batch_bytes=max_batch_bytes,
            max_buffer_bytes=max_buffer_bytes,
        )

    @classmethod
    def from_within_activity(
        cls,
        *,
        batch_interval: timedelta = _DEFAULT_INTERVAL,
        max_batch_size: int | None = None,
        max_retry_duration: timedelta = _DEFAULT_RETRY,
        max_batch_bytes: int | None = None,
        max_buffer_bytes: int | None = None,
    ) -> WorkflowStreamClient:
        """Return a client for the stream of the workflow that scheduled this activity.

        Raises:
            RuntimeError: Not in an activity, or in a standalone one, which has no workflow.
        """
        workflow_id = activity.info().workflow_id
        if workflow_id is None:
            raise RuntimeError(
                "This activity has no parent workflow: it was started by itself. Pass it the id of "
                "the stream's workflow and use "
                "WorkflowStreamClient.create(activity.client(), workflow_id)."
            )
        return cls.create(
            activity.client(),
            workflow_id,
            batch_interval=batch_interval,
            max_batch_size=max_batch_size,
            max_retry_duration=max_retry_duration,
            max_batch_bytes=max_batch_bytes,
            max_buffer_bytes=max_buffer_bytes,
        )

    @property
    def workflow_id(self) -> str:
        """The id of the workflow that hosts the stream."""
        return self._transport.workflow_id

    @property
    def temporal_client(self) -> Client:
        """The Temporal client that it reads through."""
        return self._transport.client

    @property
    def publisher_id(self) -> str:
        """Who this client is in the stream's table of publishers."""
        return self._publisher.publisher_id

    @property
    def unsent(self) -> int:
        """How many items were published on this client and are not acknowledged yet."""
        return self._publisher.unsent

    @property
    def stats(self) -> ClientStats:
        """What became of this client's batches and subscriptions so far: a snapshot."""
        return self._publisher.stats._replace(**vars(self._counts))

    async def __aenter__(self) -> WorkflowStreamClient:
        """Begin to send in the background, every batch interval."""
        await self._publisher.start()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """Send all that is left, then raise what went wrong meanwhile.

        Raises:
            Exception: As `flush`.
        """
        hurry = exc_type is not None and issubclass(exc_type, asyncio.CancelledError)
        await self._publisher.stop(hurry=hurry)

    @overload
    def topic(self, name: str) -> TopicHandle[Any]: ...
    @overload
    def topic(self, name: str, *, type: type[T]) -> TopicHandle[T]: ...

    def topic(self, name: str, *, type: type[Any] | None = None) -> TopicHandle[Any]:
        """Return a handle that publishes and subscribes to the topic `name`.

        Args:
            name: Any non-empty string.
            type: The type of the topic's values; leave it out where they are mixed.

        Raises:
            InvalidTopicError: The name is empty or no string.
            RuntimeError: The name is bound to another type on this client, or `type` is `Payload`.
        """
        return TopicHandle(self, name, self._topic_types.bind(name, type))

    async def flush(self) -> None:
        """Return when all that was published before the call is stored; no later.

        Works inside and outside of `async with`.

        Raises:
            BatchGivenUpError: Batches of these items were dropped: the server refuses them as they
                are, item by item, or the codec fails on them. They are certainly not stored; all
                others of these items are.
            BatchTimeoutError: A batch was not acknowledged within `max_retry_duration` (this is a
                `TimeoutError`). It is dropped: it may be stored, or not. What came after it is
                kept; flush again to send it.
            StreamNotFoundError: There is no such workflow, or it has closed. The items are kept.
            RPCError: The server refuses us. The items are kept.
            CancelledError: Cancelled. The items are kept; none will be stored twice.
        """
        await self._publisher.flush()

    async def get_offset(self) -> int:
        """Return the end offset: the one that the next item will get.

        Raises:
            StreamUnavailableError: No worker or no server answered within 10 seconds.
            StreamNotFoundError: There is no such workflow.
            NotAStreamError: The workflow hosts no stream.
        """
        run_id = self._transport.pinned_run_id
        return await patiently(lambda timeout: self._transport.offset(run_id, timeout))

    async def describe(
        self, *, items: int = 0, from_offset: int = 0, batches: int = 0
    ) -> StreamDescription:
        """Return what the stream says about itself: bounds, publishers, and what is asked for.

        Costs O(publishers + items + batches), whatever the log holds, and writes no history.

        Args:
            items: How many items to add, without their values; at most 4,096.
            from_offset: The offset to add items from.
            batches: How many of the last batches to add, with what became of them; at most 4,096.

        Raises:
            StreamUnavailableError: No worker or no server answered within 10 seconds.
            StreamNotFoundError: There is no such workflow.
            NotAStreamError: The workflow hosts no stream, or one that does not describe itself.
        """
        asked, run_id = DescribeInput(from_offset, items, batches), self._transport.pinned_run_id
        return parse_description(
            await patiently(lambda timeout: self._transport.describe(run_id, asked, timeout))
        )

    @overload
    def subscribe(
        self,
        topics: str | list[str] | None = ...,
        from_offset: int | Literal["latest"] = ...,
        *,
        result_type: type[T],
        poll_cooldown: timedelta | None = ...,
        on_truncated: Literal["skip", "raise"] = ...,
        stream_id: str | None = ...,
        name: str | None = ...,
        rewind: int | None = ...,
    ) -> Subscription[T]: ...
    @overload
    def subscribe(
        self,
        topics: str | list[str] | None = ...,
        from_offset: int | Literal["latest"] = ...,
        *,
        result_type: None = None,
        poll_cooldown: timedelta | None = ...,
        on_truncated: Literal["skip", "raise"] = ...,
        stream_id: str | None = ...,
        name: str | None = ...,
        rewind: int | None = ...,
    ) -> Subscription[Any]: ...

    def subscribe(
        self,
        topics: str | list[str] | None = None,
        from_offset: int | Literal["latest"] = 0,
        *,
        result_type: type[Any] | None = None,
        poll_cooldown: timedelta | None = None,
        on_truncated: Literal["skip", "raise"] = "skip",
        stream_id: str | None = None,
        name: str | None = None,
        rewind: int | None = None,
    ) -> Subscription[Any]:
        """Open a subscription: an async iterator of `WorkflowStreamItem`. Does no I/O yet.

        Args:
            topics: One topic, a list of them, or None or an empty list for all.
            from_offset: Where to start. 0: at the oldest item there is. Beyond the end: waits.
                "latest": at the end, as it is when the subscription starts (`async with`,
                `await subscription.start()`, or else the first read).
            result_type: What to decode the items as; None: what the converter makes of them
                (for JSON: dicts, lists, strings, numbers); `RawValue`: not at all.
            poll_cooldown: Least time between two pages. None: as they come, at most every 10 ms
                (100 ms where a host can only be read by updates, which cost history).
            on_truncated: What to do where items were truncated before they were read: "skip" to
                the base, where the next item's `missed` says how many they were, or "raise" an
                `OffsetTruncatedError` first. Starting at 0 never raises.
            stream_id: The `Subscription.stream_id` that `from_offset` was saved for: a new stream
                under the same workflow id then raises instead of being taken for it.
            name: Under which the stream keeps how far it has come, and it resumes there;
                `from_offset` is where a new name begins. An item counts as handled when the next is
                asked for, so each is handled at least once. A name is for one reader: the last to
                join has it, and the one before gets `NameLostError`. A workflow that has closed is
                read on from there to its end, and keeps nothing any more.
            rewind: With a name: begin at this offset, also where that is further back.

        Raises:
            InvalidOffsetError: `from_offset` is negative, beyond 2**63 - 1, or no whole number.
            InvalidReaderNameError: The name is empty, no string, or too long; or there is none, and
                `rewind` was given.
            ValueError: `poll_cooldown` is no time, or below 0; or `on_truncated` is another word.
            InvalidTopicError: A topic's name is empty or no string.
            RuntimeError: `result_type` is `Payload`, which no converter decodes.
        """
        if result_type is Payload:
            raise RuntimeError(
                "Cannot subscribe with result_type=Payload: no converter decodes one. "
                "Use result_type=RawValue for undecoded payloads."
            )
        names = [topics] if isinstance(topics, str) else list(topics or [])
        return Subscription(
            self._open_feed,
            self._converter,
            [check_topic(name) for name in names],
            from_offset,
            workflow_id=self.workflow_id,
            result_type=result_type,
            poll_cooldown=poll_cooldown,
            on_truncated=on_truncated,
            stream_id=stream_id,
            counts=self._counts,
            name=name,
            rewind=rewind,
        )

    def watch(self) -> StreamWatch:
        """Open a watch: an async iterator that says when something happened. Does no I/O yet.

        It costs no query and no history event, and shares its waiting with the subscriptions of
        this process; for views, which look at the stream when it says so.
        """
        return StreamWatch(self._open_feed, self._transport.decode)

    def _open_feed(self) -> Feed:
        transport = self._transport
        client = transport.client
        key = (
            id(client.service_client),
            id(client.data_converter),
            client.namespace,
            transport.workflow_id,
            transport.pinned_run_id,
        )
        return shared_feed(key, lambda: transport)


class TopicHandle(Generic[T]):
    """Publishes and subscribes to one topic, with values of one type. Made by `topic()`."""

    def __init__(self, client: WorkflowStreamClient, name: str, type: type[T]) -> None:
        self._client = client
        self._name = name
        self._type = type

    @property
    def name(self) -> str:
        """The topic's name."""
        return self._name

    @property
    def type(self) -> type[T]:
        """The type of its values."""
        return self._type

    def publish(self, value: T | Payload, *, force_flush: bool = False) -> None:
        """Encode `value` and buffer it; never waits. A ready-made `Payload` is taken as it is.

        Args:
            value: What to publish.
            force_flush: Send at once, in the background, instead of with the next batch.

        Raises:
            ItemEncodeError: The payload converter cannot serialize the value; nothing is buffered.
            ItemTooLargeError: It is larger than an item, or the buffer, may be; nothing is
                buffered.
            BufferFullError: There is no room up to `max_buffer_bytes` just now; nothing is
                buffered.
            Exception: What made sending in the background fail, once; nothing is buffered.
        """
        self._client._publisher.publish(self._name, value, force_flush=force_flush)  # pyright: ignore[reportPrivateUsage]

    async def send(self, value: T | Payload) -> Receipt:
        """As `publish`, but wait for room; return the item's receipt, to be awaited or not.

        Room is what the *server* has acknowledged; only a receipt waits for the worker. Who sends a
        lot awaits one now and then, or a worker that was away finds more than one task can take.

        Example:
            receipt = await topic.send(value)
            print(await receipt)  # what became of it, once that is known

        Raises:
            ItemEncodeError: The payload converter cannot serialize the value; nothing is buffered.
            ItemTooLargeError: It is larger than an item, or the buffer, may be; nothing is
                buffered.
            Exception: What made sending in the background fail, once; nothing is buffered.
            CancelledError: Cancelled while it waited; nothing is buffered.
        """
        return await self._client._publisher.send(self._name, value)  # pyright: ignore[reportPrivateUsage]

    def subscribe(
        self,
        from_offset: int | Literal["latest"] = 0,
        *,
        poll_cooldown: timedelta | None = None,
        on_truncated: Literal["skip", "raise"] = "skip",
        stream_id: str | None = None,
        name: str | None = None,
        rewind: int | None = None,
    ) -> Subscription[T]:
        """Open a subscription to this topic, decoded as its type. See the client's `subscribe`."""
        return self._client.subscribe(
            self._name,
            from_offset,
            result_type=self._type,
            poll_cooldown=poll_cooldown,
            on_truncated=on_truncated,
            stream_id=stream_id,
            name=name,
            rewind=rewind,
        )

"""The workflow's side: a workflow hosts a log, others append by signal and read by poll.

    signal publish --> parse_publish --> Publishers.accept --> Log.append
    update poll    --> wait until there is something --> Log.read        (writes history)
    query  poll    --------------------------------------> Log.read      (writes nothing)
    query  offset  --------------------------------------> Log.end_offset
    query  describe -------------------------------------> log, table and ledger, to look at

The handlers take `*args` and parse by hand: nothing that arrives can fail the workflow task.
Knows nothing of clients. Next: `client.py`, the other half.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, NoReturn, TypeVar, cast, overload

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from streamlib.core.ledger import Ledger
from streamlib.core.log import Item, Log
from streamlib.core.rollover import RollOverReason, roll_over_reasons
from streamlib.errors import MalformedInputError, StateTooLargeError, TruncateOutOfRangeError
from streamlib.host.carry import restore, state_of, that_fits
from streamlib.host.topic import WorkflowTopicHandle
from streamlib.wire.binding import TopicTypes
from streamlib.wire.describe import description_json, parse_describe, seams_of
from streamlib.wire.encode import answer_json, encode_item, wire_size
from streamlib.wire.parse import claimed_publisher, parse_poll, parse_publish
from streamlib.wire.shapes import (
    DESCRIBE_QUERY,
    INVALID_POLL,
    MAX_PAGE_BYTES,
    OFFSET_QUERY,
    POLL,
    PUBLISH_SIGNAL,
    STATE_TOO_LARGE,
    STREAM_DRAINING,
    TRUNCATE_OUT_OF_RANGE,
    TRUNCATED_OFFSET,
    PollInput,
    WorkflowStreamState,
)

T = TypeVar("T")

DEFAULT_PUBLISHER_TTL = timedelta(minutes=15)


class WorkflowStream:
    """A durable, offset-addressed log inside a workflow.

    Invariants: offsets are given once and never reused, also across `continue_as_new`; a batch is
    in the log wholly or not at all; what a handler refuses changes nothing.

    Class-level signal and update handlers of the workflow run before a publish signal that came
    with the same first task: make them `async` and `await asyncio.sleep(0)` before they look at
    the stream.

    Example:
        @workflow.defn
        class OrderWorkflow:
            @workflow.init
            def __init__(self, input: OrderInput) -> None:
                self.stream = WorkflowStream(prior_state=input.stream_state)
                self.status = self.stream.topic("status", type=StatusEvent)
    """

    def __init__(
        self,
        prior_state: WorkflowStreamState | None = None,
        *,
        publisher_ttl: timedelta | None = None,
    ) -> None:
        """Start with an empty log, or with the one a previous run left, and register the handlers.

        Args:
            prior_state: What `get_state` returned in the previous run, or None on a first start.
            publisher_ttl: Forget publishers that were idle for longer, also between roll-overs.
                Must exceed every client's `max_retry_duration`. None: they are forgotten only
                when the stream rolls over.

        Raises:
            RuntimeError: Not called directly from a method named `__init__`, or for a second time.
            TypeError: `prior_state` is no `WorkflowStreamState`, but a dict, say: the field that
                carried it was typed `Any`.
        """
        caller = sys._getframe(1).f_code.co_name
        if caller != "__init__":
            raise RuntimeError(
                "Construct WorkflowStream directly in the workflow's @workflow.init method "
                f"`__init__`, not in {caller!r}: its handlers must be there for the first signal."
            )
        if workflow.get_signal_handler(PUBLISH_SIGNAL) is not None:
            raise RuntimeError(
                "This workflow has a WorkflowStream already. Construct one, and use topics to "
                "tell items apart."
            )
        self._log, self._publishers = restore(prior_state)
        self._topic_types = TopicTypes()
        self._detaching = False
        self._stream_id = workflow.info().first_execution_run_id
        self._ledger = Ledger(seams=seams_of(prior_state, self._log.end_offset))
        self._signals = self._updates = 0  # of this run
        self._publisher_ttl = publisher_ttl
        self._next_prune = workflow.now()

        workflow.set_signal_handler(PUBLISH_SIGNAL, self._on_publish)
        workflow.set_update_handler(POLL, self._on_poll, validator=self._validate_poll)
        workflow.set_query_handler(POLL, self._on_read)
        workflow.set_query_handler(OFFSET_QUERY, self._on_offset)
        workflow.set_query_handler(DESCRIBE_QUERY, self._on_describe)

    @overload
    def topic(self, name: str) -> WorkflowTopicHandle[Any]: ...
    @overload
    def topic(self, name: str, *, type: type[T]) -> WorkflowTopicHandle[T]: ...

    def topic(self, name: str, *, type: type[Any] | None = None) -> WorkflowTopicHandle[Any]:
        """Return a handle that publishes values of `type` to the topic `name`.

        Args:
            name: Any non-empty string.
            type: The type of the topic's values; leave it out where they are mixed.

        Raises:
            InvalidTopicError: The name is empty or no string.
            RuntimeError: The name is bound to another type on this stream, or `type` is `Payload`.
        """
        return WorkflowTopicHandle(self, name, self._topic_types.bind(name, type))

    def publish(self, topic: str, value: Any) -> None:
        """Append `value` to the log. Topic handles call this; use them for typed values.

        Raises:
            InvalidTopicError: The topic's name is empty or no string.
            ItemEncodeError: The payload converter cannot serialize the value.
            ItemTooLargeError: It is larger than an item may be.
        """
        item = encode_item(topic, value, workflow.payload_converter())
        self._append(item.topic, item.data, item.size)

    @property
    def base_offset(self) -> int:
        """The oldest offset that is still in the log."""
        return self._log.base_offset

    @property
    def end_offset(self) -> int:
        """The offset that the next item will get."""
        return self._log.end_offset

    def truncate(self, up_to_offset: int) -> None:
        """Drop all items below `up_to_offset`. Below or at the base offset, nothing happens.

        Readers that are behind continue at the new base offset and see how many they missed.

        Args:
            up_to_offset: The offset that becomes the base; at most the end offset.

        Raises:
            ApplicationError: Of type `TruncateOutOfRange`, if it is past the end. In an update
                handler this fails the update, not the workflow. Nothing was truncated.
        """
        try:
            self._log.truncate(up_to_offset)
        except TruncateOutOfRangeError as error:
            raise ApplicationError(str(error), type=TRUNCATE_OUT_OF_RANGE) from error

    def get_state(self, *, publisher_ttl: timedelta = DEFAULT_PUBLISHER_TTL) -> WorkflowStreamState:
        """Return the stream as a value for the input of the next run. Changes nothing.

        Args:
            publisher_ttl: Publishers idle for longer are left out. It must exceed the
                `max_retry_duration` of every client, or a late retry is taken for a new batch.

        Raises:
            ApplicationError: Of type `StateTooLarge`, if no next run could take it, even with the
                log compressed.
        """
        [state] = self._args(lambda state: [state], publisher_ttl, "raise")
        return cast(WorkflowStreamState, state)

    def should_roll_over(self) -> list[RollOverReason]:
        """Return why this run should continue as new; an empty list while there is no hurry.

        Looks at history events and bytes, and at publish signals and poll updates, which the
        server's own suggestion leaves out. Deterministic: the workflow may decide by it.
        """
        info = workflow.info()
        used = {
            "history events": info.get_current_history_length(),
            "history bytes": info.get_current_history_size(),
            "signals": self._signals,
            "updates": self._updates,
        }
        return roll_over_reasons(used, suggested=info.is_continue_as_new_suggested())

    def detach_pollers(self) -> None:
        """Answer the waiting poll updates and reject new ones, until this run ends.

        Publishes still land in the log. Call it before waiting for `all_handlers_finished` and
        `workflow.continue_as_new`, or call `continue_as_new` here, which does all three.
        """
        self._detaching = True

    async def continue_as_new(
        self,
        build_args: Callable[[WorkflowStreamState], Sequence[Any]],
        *,
        publisher_ttl: timedelta = DEFAULT_PUBLISHER_TTL,
        on_too_large: Literal["raise", "truncate"] = "raise",
    ) -> NoReturn:
        """Hand the stream over to a new run of this workflow. Does not return.

        Detaches the pollers, waits for the handlers to finish, and continues as new. Call it from
        the workflow's `run`: a handler would wait for itself.

        Args:
            build_args: Gets the state, returns the arguments of the new run. May be called more
                than once: with a compressed log, if only that fits.
            publisher_ttl: As for `get_state`.
            on_too_large: What to do if even that does not fit: raise, or truncate the oldest items
                until it does. Readers see that gap like any other.

        Raises:
            ApplicationError: Of type `StateTooLarge`, if the arguments do not fit. Nothing was
                lost and polls are open again: catch it, truncate, and call this again.
            CancelledError: Cancelled while it waited; polls are open again.
        """
        self.detach_pollers()
        try:
            await workflow.wait_condition(workflow.all_handlers_finished)
            args = self._args(build_args, publisher_ttl, on_too_large)
        except BaseException:
            self._detaching = False
            raise
        workflow.continue_as_new(args=args)

    def _append(self, topic: str, data: str, size: int) -> None:
        # Interned: a log has many items and few topics.
        self._log.append(Item(sys.intern(topic), data, size))

    def _state(self, publisher_ttl: timedelta, *, packed: bool) -> WorkflowStreamState:
        now, seams = workflow.now(), self._ledger.seams
        return state_of(self._log, self._publishers, now, publisher_ttl, seams, packed=packed)

    def _args(
        self,
        build_args: Callable[[WorkflowStreamState], Sequence[Any]],
        publisher_ttl: timedelta,
        on_too_large: str,
    ) -> Sequence[Any]:
        """The arguments of the next run, with a state that fits."""

        def build(packed: bool) -> Sequence[Any]:
            return build_args(self._state(publisher_ttl, packed=packed))

        converter = workflow.payload_converter()
        while True:
            try:
                return that_fits(build, converter)
            except StateTooLargeError as error:
                if on_too_large != "truncate" or not self._fits_empty(build_args, publisher_ttl):
                    raise ApplicationError(
                        str(error), type=STATE_TOO_LARGE, non_retryable=True
                    ) from error
                # Items differ in size, so this may take more than one step.
                keep = int(len(self._log) * error.limit / error.size * 0.9)
                self._log.truncate(self._log.end_offset - keep)

    def _fits_empty(
        self, build_args: Callable[[WorkflowStreamState], Sequence[Any]], publisher_ttl: timedelta
    ) -> bool:
        """Whether truncating helps at all: whether it would fit without any item."""
        log = Log(self._log.end_offset)
        state = state_of(log, self._publishers, workflow.now(), publisher_ttl, self._ledger.seams)
        try:
            that_fits(lambda _: build_args(state), workflow.payload_converter())
        except StateTooLargeError:
            return False
        return len(self._log) > 0

    def _on_publish(self, *args: Any) -> None:
        """Append a batch, unless it is malformed or was here already. Never raises."""
        self._signals += 1
        try:
            batch = parse_publish(args)
        except MalformedInputError as error:
            workflow.logger.warning("a publish signal was refused: %s", error)
            publisher_id = claimed_publisher(args)
            self._publishers.refuse(publisher_id)
            self._ledger.refused(publisher_id, error.reason)
            return
        self._prune()
        if not self._publishers.accept(batch.publisher_id, batch.sequence, workflow.now()):
            self._ledger.duplicate(batch.publisher_id, batch.sequence)
            return
        first = self._log.end_offset
        for entry in batch.items:
            self._append(entry.topic, entry.data, wire_size(entry.topic, entry.data))
        self._ledger.accepted(batch.publisher_id, batch.sequence, first, len(batch.items))

    def _prune(self) -> None:
        """Forget idle publishers, if that was asked for; now and then, not for every batch."""
        now = workflow.now()
        if self._publisher_ttl is not None and now >= self._next_prune:
            self._publishers.prune(now, self._publisher_ttl)
            self._next_prune = now + self._publisher_ttl / 10

    def _validate_poll(self, *args: Any) -> None:
        """Reject a poll before it is written to history."""
        if self._detaching:
            raise ApplicationError("The stream moves to a new run", type=STREAM_DRAINING)
        self._parsed(parse_poll, args)

    async def _on_poll(self, *args: Any) -> dict[str, Any]:
        """Wait until there is something to say, then answer like the query."""
        self._updates += 1
        poll = self._parsed(parse_poll, args)
        # The base can move past the question while it waits, so the condition asks anew each time.
        await workflow.wait_condition(
            lambda: (
                self._detaching
                or self._is_truncated(poll)
                or poll.from_offset < self._log.end_offset
            )
        )
        if self._is_truncated(poll):
            raise ApplicationError(
                f"Offset {poll.from_offset} has been truncated. "
                f"Current base offset is {self._log.base_offset}.",
                type=TRUNCATED_OFFSET,
            )
        return self._read(poll)

    def _on_read(self, *args: Any) -> dict[str, Any]:
        return self._read(self._parsed(parse_poll, args))

    def _on_offset(self, *_: Any) -> int:
        return self._log.end_offset

    def _on_describe(self, *args: Any) -> dict[str, Any]:
        return description_json(
            self._parsed(parse_describe, args),
            self._log,
            self._publishers,
            self._ledger,
            stream_id=self._stream_id,
            run_id=workflow.info().run_id,
            signals=self._signals,
        )

    def _read(self, poll: PollInput) -> dict[str, Any]:
        page = self._log.read(poll.from_offset, poll.topics, MAX_PAGE_BYTES)
        return answer_json(page, self._log, self._stream_id)

    def _is_truncated(self, poll: PollInput) -> bool:
        # 0 asks for the oldest there is, which is always there or yet to come.
        return 0 < poll.from_offset < self._log.base_offset

    @staticmethod
    def _parsed(parse: Callable[[Sequence[Any]], T], args: Sequence[Any]) -> T:
        """What `args` mean; a refusal fails the query or update, and nothing else."""
        try:
            return parse(args)
        except MalformedInputError as error:
            raise ApplicationError(str(error), type=INVALID_POLL, non_retryable=True) from error

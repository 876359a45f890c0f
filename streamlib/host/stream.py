"""The workflow's side: a workflow hosts a log, others append by signal and read by poll.

    signal publish --> parse_publish --> Publishers.accept --> Log.append
    update poll    --> wait until there is something --> Log.read        (writes history)
    query  poll    --------------------------------------> Log.read      (writes nothing)
    query  offset  --------------------------------------> Log.end_offset
    query  describe -------------------------------------> log, table and ledger, to look at
    signal reader  --> parse_reader --> Readers.join, .commit

The handlers take `*args` and parse by hand: nothing that arrives can fail the workflow task.
What becomes of what arrives is decided in `core/hosting.py`; this is the shell that asks it, waits,
and answers. Knows nothing of clients. Next: `client/transport.py`, the other half.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, NoReturn, TypeVar, cast, overload

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from streamlib.core.hosting import Carried, id_of_log
from streamlib.core.limits import StreamLimits
from streamlib.core.log import Log, Page
from streamlib.core.parts import StreamParts
from streamlib.core.retention import Retention, check_retention
from streamlib.core.rollover import RollOverReason, roll_over_reasons
from streamlib.errors import (
    MalformedInputError,
    OffsetTruncatedError,
    StateTooLargeError,
    TruncateOutOfRangeError,
    shown,
)
from streamlib.host.begin import begin, run_facts
from streamlib.host.carry import (
    Build,
    arguments,
    carried_identity,
    state_of,
)
from streamlib.host.topic import WorkflowTopicHandle
from streamlib.wire.binding import TopicTypes
from streamlib.wire.describe import description_json, parse_describe
from streamlib.wire.encode import answer_json, encode_item
from streamlib.wire.flow import parse_reader
from streamlib.wire.parse import claimed_publisher, parse_poll, parse_publish
from streamlib.wire.shapes import (
    DESCRIBE_QUERY,
    INVALID_POLL,
    OFFSET_QUERY,
    POLL,
    PUBLISH_SIGNAL,
    READER_SIGNAL,
    STATE_TOO_LARGE,
    STREAM_DRAINING,
    TRUNCATE_OUT_OF_RANGE,
    TRUNCATED_OFFSET,
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
        limits: StreamLimits | None = None,
        retention: Retention | None = None,
        reader_ttl: timedelta | None = None,
        parts: StreamParts | None = None,
    ) -> None:
        """Start with an empty log, or with the one a previous run left, and register the handlers.

        Args:
            prior_state: What `get_state` returned in the previous run, or None on a first start.
            publisher_ttl: Forget publishers that were idle for longer, also between roll-overs.
                Must exceed every client's `max_retry_duration`. None: they are forgotten only
                when the stream rolls over.
            limits: What the stream lives by, from its first run to its last. None: as the run
                before, which told in its state; in a first run, `StreamLimits()`. They are part
                of the workflow's code: guard a change with `workflow.patched`, as any other.
            retention: What is dropped by itself as items come, from this run on. None: as the run
                before; in a first run, nothing. `Retention()` drops nothing from now on. What
                `retain` said in a run before stays, whatever is said here. Part of the workflow's
                code, as the limits are; a run that began without keeps everything.
            reader_ttl: Forget named readers that had something to read for longer, and did not
                come. None: 7 days. Well above the five seconds between two commits, or readers
                are forgotten while they read.
            parts: A log and a publishers' table of your own; None: ours.

        Raises:
            RuntimeError: Not called directly from a method named `__init__`, or for a second time.
            TypeError: `prior_state` is no `WorkflowStreamState`, but a dict, say: the field that
                carried it was typed `Any`. Or `limits`, `retention`, `publisher_ttl`, `reader_ttl`
                are none.
            InvalidLimitsError: `publisher_ttl` or `reader_ttl` is no time above 0.
        """
        caller = sys._getframe(1).f_code.co_name
        if caller != "__init__":
            raise RuntimeError(
                "WorkflowStream must be constructed directly from the workflow's @workflow.init "
                f"method `__init__`, not from {caller!r}: its handlers must be there for the first "
                "signal."
            )
        if workflow.get_signal_handler(PUBLISH_SIGNAL) is not None:
            raise RuntimeError(
                "A WorkflowStream is already registered on this workflow. Construct one, and use "
                "topics to tell items apart."
            )
        self._stream = begin(prior_state, parts, publisher_ttl, limits, retention, reader_ttl)
        self._stream_id = id_of_log(run_facts(), carried_identity(prior_state))
        self._topic_types = TopicTypes()
        self._began = workflow.info().get_current_history_length()

        workflow.set_signal_handler(PUBLISH_SIGNAL, self._on_publish)
        workflow.set_update_handler(POLL, self._on_poll, validator=self._validate_poll)
        workflow.set_query_handler(POLL, self._on_read)
        workflow.set_query_handler(OFFSET_QUERY, self._on_offset)
        workflow.set_query_handler(DESCRIBE_QUERY, self._on_describe)
        workflow.set_signal_handler(READER_SIGNAL, self._on_reader)

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
            InvalidTopicError: The topic's name is empty, no string, or too long.
            ItemEncodeError: The payload converter cannot serialize the value.
            ItemTooLargeError: It is larger than an item may be.
        """
        item = encode_item(topic, value, workflow.payload_converter(), self._stream.limits)
        self._stream.append(item, workflow.now())

    @property
    def base_offset(self) -> int:
        """The oldest offset that is still in the log."""
        return self._stream.log.base_offset

    @property
    def end_offset(self) -> int:
        """The offset that the next item will get."""
        return self._stream.log.end_offset

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
            self._stream.log.truncate(up_to_offset)
        except TruncateOutOfRangeError as error:
            raise ApplicationError(str(error), type=TRUNCATE_OUT_OF_RANGE) from error

    def retain(self, retention: Retention) -> None:
        """Keep so much of the log from now on, in this run and the next ones.

        What is too much goes at once, and later as items come. `Retention()` keeps everything. It
        holds until this is called again, also where the next run's constructor has a `retention`.

        Raises:
            TypeError: `retention` is none.
        """
        check_retention(retention)
        self._stream.keep(retention, workflow.now())

    def get_state(self, *, publisher_ttl: timedelta = DEFAULT_PUBLISHER_TTL) -> WorkflowStreamState:
        """Return the stream as a value for the input of the next run. Changes nothing.

        Args:
            publisher_ttl: Publishers idle for longer are left out. It must exceed the
                `max_retry_duration` of every client, or a late retry is taken for a new batch.

        Raises:
            ApplicationError: Of type `StateTooLarge`, if no next run could take it, even with the
                log compressed.
        """
        [state] = self._args(lambda state: [state], publisher_ttl)
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
            "signals": self._stream.signals,
            "updates": self._stream.updates,
        }
        limits = self._stream.limits
        return roll_over_reasons(used, limits, suggested=info.is_continue_as_new_suggested())

    def detach_pollers(self) -> None:
        """Answer the waiting poll updates and reject new ones, until this run ends.

        Publishes still land in the log. Call it before waiting for `all_handlers_finished` and
        `workflow.continue_as_new`, or call `continue_as_new` here, which does all three.
        """
        self._stream.detaching = True

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

        A log of 100,000 small items takes about a second to pack, and as long to take up again,
        and a workflow task that computes for two fails (TMPRL1101). Nothing is lost by that, but
        it is tried again, and fails again: keep the items fewer, with a `Retention`, say.

        Args:
            build_args: Gets the state, returns the arguments of the new run. May be called more
                than once: with the beginning of a log that is large, to see whether even that is
                too much, and with a compressed log, if only that fits.
            publisher_ttl: As for `get_state`.
            on_too_large: What to do if even that does not fit: raise, or truncate the oldest items
                until it does. Readers see that gap like any other. Where what is too large is not
                the log, it raises, and truncates nothing: your own arguments, or the rows of named
                readers and of publishers. A publisher has about 120 bytes, so 8,000 of them
                fill a state: they are carried for `publisher_ttl`, and a shorter one helps.

        Raises:
            ApplicationError: Of type `StateTooLarge`, if the arguments do not fit. Nothing was
                lost and polls are open again: catch it, truncate, and call this again.
            CancelledError: Cancelled while it waited; polls are open again.
        """
        await self._settled()
        self._hand_over(build_args, publisher_ttl, on_too_large == "truncate")

    async def roll_over_when_due(
        self,
        build_args: Callable[[WorkflowStreamState], Sequence[Any]],
        *,
        ready: Callable[[], Awaitable[object]] | None = None,
        until: Callable[[], bool] = lambda: False,
        publisher_ttl: timedelta = DEFAULT_PUBLISHER_TTL,
        on_too_large: Literal["raise", "truncate"] = "raise",
    ) -> None:
        """Wait until `should_roll_over` gives a reason, then hand over to a new run.

        For the workflow's `run`, which may do its work in activities and handlers meanwhile. The
        thresholds are those of the stream's `limits`. A run to which nothing has come yet stays,
        also where a threshold is below what it began with: else an idle stream would roll over
        once a second.

        Args:
            build_args: As for `continue_as_new`.
            ready: Awaited before the hand-over, so that nothing is abandoned: until running
                activities have ended, say. The stream goes on meanwhile, and its history grows:
                where this never ends, the server ends the run at 51,200 events, or 50 MB.
            until: Return instead, as soon as this holds: also while `ready` is awaited. While the
                handlers are awaited, it is looked at when they have finished, at the last moment.
            publisher_ttl: As for `get_state`.
            on_too_large: As for `continue_as_new`.

        Example:
            await self.stream.roll_over_when_due(
                lambda state: [OrderInput(state)],
                ready=lambda: workflow.wait_condition(lambda: not self.charging),
                until=lambda: self.closed,
            )

        Raises:
            RuntimeError: Called from a signal or update handler, which would wait for itself.
            ApplicationError: Of type `StateTooLarge`, as for `continue_as_new`.
            Exception: What `ready` raised. Nothing has changed.
            CancelledError: Cancelled while it waited. Nothing has changed.
        """
        task = asyncio.current_task()
        if task is not None and task.get_name().startswith(("signal: ", "update: ")):
            raise RuntimeError(
                "roll_over_when_due was called from a handler, which would wait for its own end. "
                "Call it from the workflow's run."
            )
        await workflow.wait_condition(lambda: until() or self._is_due())
        if not until() and ready is not None:
            await _first(ready(), workflow.wait_condition(until))
        if not until() and await self._settled(until):
            self._hand_over(build_args, publisher_ttl, on_too_large == "truncate")

    def _is_due(self) -> bool:
        """Whether to roll over, if anything has come in this run."""
        has_grown = workflow.info().get_current_history_length() > self._began
        return (has_grown or self._stream.was_asked) and bool(self.should_roll_over())

    async def _settled(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Detach the pollers and wait for the handlers. Return False, and let polls in again, if
        `until` holds then."""
        self.detach_pollers()
        settled = False
        try:
            await workflow.wait_condition(workflow.all_handlers_finished)
            # Not before: on replay, a run that waits here would go another way than it went.
            settled = not until()
        finally:
            self._stream.detaching = settled
        return settled

    def _hand_over(self, build: Build, publisher_ttl: timedelta, truncate: bool) -> NoReturn:
        """Continue as new with what there is now. What it raises lets polls in again."""
        try:
            self._stream.retain(workflow.now())
            args = self._args(build, publisher_ttl, truncate)
        except BaseException:
            self._stream.detaching = False
            raise
        workflow.continue_as_new(args=args)

    def _args(
        self, build: Build, publisher_ttl: timedelta, truncate: bool = False
    ) -> Sequence[Any]:
        """The arguments of the next run, with a state that fits."""
        stream, now = self._stream, workflow.now()
        identity = Carried(self._stream_id, workflow.info().run_id)

        def state(log: Log, packed: bool) -> WorkflowStreamState:
            return state_of(
                log,
                stream.publishers,
                now,
                publisher_ttl,
                stream.ledger.seams,
                identity=identity,
                limits=stream.limits,
                packed=packed,
                readers=stream.readers,
                keeper=stream.keeper,
                retained=stream.retained,
            )

        converter = workflow.payload_converter()
        try:
            return arguments(stream, build, converter, state, truncate=truncate)
        except StateTooLargeError as error:
            raise ApplicationError(str(error), type=STATE_TOO_LARGE, non_retryable=True) from error

    def _on_publish(self, *args: Any) -> None:
        """Append a batch, unless it is malformed or was here already. Never raises."""
        stream, now = self._stream, workflow.now()
        stream.signals += 1
        try:
            batch = parse_publish(args, stream.limits)
        except MalformedInputError as error:
            claimed, sequence = claimed_publisher(args)
            untold = stream.refuse(claimed, error.reason, now, sequence)
            if untold is not None:
                _warn(claimed, error, untold)
        else:
            stream.take(batch.items, batch.publisher_id, batch.sequence, now)

    def _on_reader(self, *args: Any) -> None:
        """Note where a named reader stands, unless that cannot be. Never raises."""
        stream, now = self._stream, workflow.now()
        stream.signals += 1
        try:
            told = parse_reader(args)
        except MalformedInputError:
            stream.readers.refuse()
        else:
            stream.hear(told, self._stream_id, now)

    def _validate_poll(self, *args: Any) -> None:
        """Reject a poll before it is written to history."""
        if self._stream.detaching:
            raise ApplicationError("The stream moves to a new run", type=STREAM_DRAINING)
        _parsed(parse_poll, args)

    async def _on_poll(self, *args: Any) -> dict[str, Any]:
        """Wait until there is something to say, then answer like the query."""
        self._stream.updates += 1
        poll = _parsed(parse_poll, args)
        await workflow.wait_condition(lambda: self._stream.may_answer(poll.from_offset))
        try:
            return self._told(self._stream.answer(poll.from_offset, poll.topics))
        except OffsetTruncatedError as error:
            raise ApplicationError(
                f"Offset {error.from_offset} has been truncated. "
                f"Current base offset is {error.base_offset}.",
                type=TRUNCATED_OFFSET,
            ) from None

    def _on_read(self, *args: Any) -> dict[str, Any]:
        poll = _parsed(parse_poll, args)
        return self._told(self._stream.read(poll.from_offset, poll.topics))

    def _told(self, page: Page) -> dict[str, Any]:
        return answer_json(page, self._stream.log, self._stream_id, self._stream.limits)

    def _on_offset(self, *_: Any) -> int:
        return self._stream.log.end_offset

    def _on_describe(self, *args: Any) -> dict[str, Any]:
        run_id = workflow.info().run_id
        return description_json(
            _parsed(parse_describe, args), self._stream, stream_id=self._stream_id, run_id=run_id
        )


async def _first(*waits: Awaitable[object]) -> None:
    """Return when one of them is over; raise what it raised. The others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        done, _ = await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            await each
    finally:
        for each in tasks:
            each.cancel()


def _warn(publisher_id: str, error: MalformedInputError, untold: int) -> None:
    workflow.logger.warning(
        "a publish signal of %s was refused: %s%s",
        f"publisher {shown(publisher_id)}" if publisher_id else "nobody in particular",
        error,
        f" ({untold} more were refused before it, and not told)" if untold else "",
    )


def _parsed(parse: Callable[[Sequence[Any]], T], args: Sequence[Any]) -> T:
    """What `args` mean; a refusal fails the query or update, and nothing else."""
    try:
        return parse(args)
    except MalformedInputError as error:
        raise ApplicationError(str(error), type=INVALID_POLL, non_retryable=True) from error

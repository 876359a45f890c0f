"""Every error names the value and says what to do, and survives a copy and a pickle."""

from __future__ import annotations

import copy
import pickle

import pytest

from streamlib import errors
from streamlib.errors import (
    BatchGivenUpError,
    BatchTimeoutError,
    BufferFullError,
    Cause,
    GivenUpBatch,
    InvalidCommitError,
    InvalidLimitsError,
    InvalidOffsetError,
    InvalidReaderNameError,
    InvalidTopicError,
    ItemDecodeError,
    ItemEncodeError,
    ItemTooLargeError,
    MalformedInputError,
    NameLostError,
    NamesUnsupportedError,
    NotAStreamError,
    OffsetTruncatedError,
    StateTooLargeError,
    StreamChangedError,
    StreamError,
    StreamNotFoundError,
    StreamUnavailableError,
    TooManyReadersError,
    TruncateOutOfRangeError,
    UnreadItemsError,
)


def given_up(sequence: int, count: int, may_be_stored: bool = False) -> GivenUpBatch:
    topics = ("a", "b", "c", "d")[:count]
    return GivenUpBatch(30, count, topics, 1_234, sequence, "too large", may_be_stored)


# The error, the values its text must name, and the advice it must give.
EXAMPLES: list[tuple[StreamError, list[str], str]] = [
    (InvalidOffsetError(-3), ["-3"], "from 0 on"),
    (InvalidTopicError(""), ["''"], "non-empty string"),
    (TruncateOutOfRangeError(9, 2, 5), ["9", "[2, 5)"], "at most 5"),
    (OffsetTruncatedError(3, 8), ["Offsets 3 to 7", "5 items"], "from offset 8"),
    (StreamChangedError("order-1", "old", "new"), ["'order-1'", "old", "new"], "subscribe from 0"),
    (
        UnreadItemsError("order-1", 5, 9),
        ["'order-1'", "from offset 5 to 8"],
        "wait for its readers",
    ),
    (UnreadItemsError("order-1", 5, None), ["may have items from offset 5"], "host it with"),
    (
        InvalidLimitsError("item_bytes", 7, "at most", 5),
        ["item_bytes", "7", "5"],
        "must be at most",
    ),
    (StateTooLargeError(3_000_000, 2_000_000), ["3,000,000", "2,000,000"], "Truncate the log"),
    (StreamNotFoundError("order-1", "closed"), ["'order-1'", "(closed)"], "Check the id"),
    (StreamNotFoundError("order-1"), ["'order-1'. "], "Check the id"),
    (StreamUnavailableError("order-1", "no worker"), ["'order-1'", "(no worker)"], "worker"),
    (StreamUnavailableError("order-1", "full", cause=Cause.BUSY), ["'order-1'"], "server is up"),
    (
        BatchGivenUpError("order-1", (given_up(6, 1), given_up(7, 4))),
        ["'order-1'", "Batch 6 (item 31 of this", "Batch 7 (items 31 to 34", "1,234", "'a', 'b'"],
        "Publish again",
    ),
    (
        BatchTimeoutError("order-1", (given_up(6, 2, may_be_stored=True),)),
        ["may be stored, or not: too large."],
        "look at the log first",
    ),
    (
        BatchGivenUpError("order-1", tuple(given_up(n, 1) for n in range(5))),
        ["Batch 2", "And 2 more"],
        "Publish again",
    ),
    (NotAStreamError("order-1", "no query"), ["'order-1'", "(no query)"], "WorkflowStream()"),
    (NotAStreamError("order-1"), ["no stream. "], "@workflow.init"),
    (ItemEncodeError("t", 3j), ["'t'", "complex", "3j"], "data converter"),
    (ItemTooLargeError("t", 2_500_000, 2_000_000), ["'t'", "2,500,000"], "a reference to it"),
    (ItemDecodeError(7, "t", "no dict"), ["offset 7", "'t'", "no dict"], "Read on"),
    (MalformedInputError("poll", "it has 2 arguments"), ["poll", "2 arguments"], "Malformed"),
    (BufferFullError("order-1", 70, 1_950, 2_000), ["'order-1'", "70", "1,950", "2,000"], "send"),
    (InvalidReaderNameError("", 200), ["''", "200"], "non-empty string"),
    (NamesUnsupportedError("order-1"), ["'order-1'", "Nothing was sent"], "without a name"),
    (TooManyReadersError("order-1", "n", 100), ["'order-1'", "'n'", "100"], "a name that is there"),
    (NameLostError("order-1", "n", "it is old"), ["'order-1'", "'n'", "it is old"], "again"),
    (InvalidCommitError("n", 7, 2, 5), ["'n'", "7", "committed 2", "ends at 5"], "rewind"),
]
NAMES = [type(error).__name__ for error, _, _ in EXAMPLES]


def test_there_is_an_example_of_every_error() -> None:
    mine = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, StreamError)]
    assert {error.__name__ for error in mine} == {*NAMES, "StreamError"}


@pytest.mark.parametrize(("error", "values", "advice"), EXAMPLES, ids=NAMES)
def test_the_text_names_the_values_and_says_what_to_do(
    error: StreamError, values: list[str], advice: str
) -> None:
    assert all(value in str(error) for value in values), str(error)
    assert advice in str(error)


@pytest.mark.parametrize("error", [error for error, _, _ in EXAMPLES], ids=NAMES)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_says_the_same(error: StreamError, again: type) -> None:
    twin = again(error)
    assert type(twin) is type(error)
    assert (str(twin), vars(twin)) == (str(error), vars(error))


class ReprRaises:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_a_value_is_shown_short_and_never_at_the_price_of_another_error() -> None:
    assert "[0, 1, 2" in str(ItemEncodeError("t", list(range(10_000))))
    assert len(str(ItemEncodeError("t", "x" * 10_000))) < 400
    assert "its repr() raises" in str(ItemEncodeError("t", ReprRaises()))


@pytest.mark.parametrize("value", [10**5_000, -(10**5_000), [0] * 10_000, ReprRaises()], ids=type)
def test_a_value_of_any_size_is_named_where_an_offset_or_a_topic_should_be(value: object) -> None:
    """`repr` raises for a whole number of more than 4,300 digits."""
    for error in (
        InvalidOffsetError(value),
        TruncateOutOfRangeError(value, 2, 5),
        InvalidTopicError(value),
    ):
        assert 50 < len(str(error)) < 400

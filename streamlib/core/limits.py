"""The limits of a stream: what it takes, how much it says at once, and when it should roll over.

    topic < item <= batch           a publish signal
            item <= page            a poll's answer
                    state           what the next run starts from

The server takes 2 MiB in one piece, after the codec (encryption, say) has made it larger. The
defaults stay below half of that, so that a codec may double what it gets. Sizes are in bytes, as
they travel (`wire/encode.py` measures them). Pure.

Next: `hosting.py`, which goes by them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from streamlib.errors import InvalidLimitsError


@dataclass(frozen=True)
class StreamLimits:
    """What one stream lives by; fixed when its run begins, and carried to the next.

    Invariant: the limits do not contradict each other.

    Example:
        WorkflowStream(prior_state, limits=StreamLimits(state_bytes=400_000, signals=2_000))

    Raises:
        InvalidLimitsError: A limit is no whole number from 1 on, or contradicts another one.
    """

    item_bytes: int = 990_000
    """The most one item may have: an answer that holds just this item must still fit."""

    batch_bytes: int = 1_000_000
    """The most a client of ours puts into one batch. A host refuses larger ones only where this is
    lower than the default: other clients split by count alone."""

    page_bytes: int = 1_000_000
    """The most a poll's answer has, its frame included; but always one item."""

    state_bytes: int = 1_000_000
    """The most the arguments of the next run may have, the stream's state among them."""

    topic_bytes: int = 1_000
    """The most a topic's name may have; a letter outside of ASCII travels as 6 or 12 bytes."""

    history_events: int = 4_096
    """From here on, roll over; so with the next three."""

    history_bytes: int = 4 * 1024 * 1024
    signals: int = 8_000
    updates: int = 1_600

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if type(value) is not int or value < 1:
                raise InvalidLimitsError(each.name, value, "a whole number from 1 on")
        for name in ("page_bytes", "batch_bytes"):
            if self.item_bytes > (bound := getattr(self, name)):
                raise InvalidLimitsError("item_bytes", self.item_bytes, f"at most {name}", bound)
        if self.topic_bytes >= self.item_bytes:
            raise InvalidLimitsError(
                "topic_bytes", self.topic_bytes, "less than item_bytes", self.item_bytes
            )


DEFAULTS = StreamLimits()

LEGACY = StreamLimits(
    item_bytes=2_000_000,
    batch_bytes=2_000_000,
    page_bytes=2_000_000,
    state_bytes=2_000_000,
    topic_bytes=1_999_999,
)
"""What was decided by before limits could be set. Runs that began then keep to it, for their
replay; there an item's size was that of its topic in UTF-8 and its data, and topics had no bound
of their own."""

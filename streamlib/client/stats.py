"""What a client counts of its own doing, to be looked at. Next: `publisher.py`, which counts."""

from __future__ import annotations

from typing import NamedTuple


class ClientStats(NamedTuple):
    """What became of a client's batches so far, and of its subscriptions."""

    sent: int = 0  # batches that the stream has acknowledged
    retried: int = 0  # tries that had no answer
    refused: int = 0  # batches that were refused for good; most of them were split
    given_up: int = 0  # batches that were dropped, and named by an error
    reads: int = 0  # pages with items that its subscriptions took, of their own or shared
    waits: int = 0  # times that one had all there was, and waited for more
    missed: int = 0  # offsets that were truncated before one read them

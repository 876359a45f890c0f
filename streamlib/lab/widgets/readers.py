"""This kernel's subscriptions to a stream, as a view shows them: who, where, and what is left.

A subscription is told apart by the name that the caller gave, else by the variable that holds it.
Asks nobody: all of it is known in this process. Next: `observer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from streamlib import Subscription, open_subscriptions
from streamlib.lab.widgets import background
from streamlib.lab.widgets.frame import Reader, Seen


class Readers:
    """The subscriptions to one workflow's stream; those that the caller named stay while it does.

    Invariant: a subscription has the same key for as long as it is there.
    """

    def __init__(self, workflow_id: str, named: Mapping[str, Subscription[Any]]) -> None:
        self.hidden: WeakSet[Subscription[Any]] = WeakSet()
        """Subscriptions that are no learner's: the view's own peeks."""
        self.own: dict[str, Subscription[Any]] = {}
        """Subscriptions that the view opened, by key."""
        self.paces: dict[str, int] = {}
        """Items a second that the view reads by itself, by key."""
        self._workflow_id = workflow_id
        self._named = dict(named)  # nobody else may hold them
        self._given = WeakKeyDictionary({reader: name for name, reader in named.items()})
        self._keys: WeakKeyDictionary[Subscription[Any], str] = WeakKeyDictionary()

    def find(self, key: str) -> Subscription[Any] | None:
        """The open subscription that a frame calls `key`."""
        return next((each for each in self._open() if self._key(each) == key), None)

    def adopt(self, reader: Subscription[Any], name: str) -> None:
        """Keep a subscription that the view opened, and show it under this name."""
        self._given[reader] = name
        self.own[self._key(reader)] = reader

    def disown(self, reader: Subscription[Any]) -> bool:
        """Let go of a subscription; whether it was the view's own."""
        return self.own.pop(self._key(reader), None) is not None

    async def close(self) -> None:
        """Close what the view opened."""
        while self.own:
            _, reader = self.own.popitem()
            await reader.aclose()

    def rows(self, seen: Seen) -> list[Reader]:
        """A row for each, in the order of opening; then one for each name that the stream keeps."""
        variables = background.variables(Subscription)
        return [*(self.row(each, seen, variables) for each in self._open()), *_kept(seen)]

    def row(
        self, reader: Subscription[Any], seen: Seen, variables: Mapping[int, str] | None = None
    ) -> Reader:
        """Where one stands. `variables` are names, by `id()`."""
        key = self._key(reader)
        name = self._given.get(reader) or (variables or {}).get(id(reader)) or f"reader {key[1:]}"
        about = seen.description
        base = about.base_offset if about else 0
        end = about.end_offset if about else seen.undescribed_end or 0
        # One that begins at the end stands there, wherever that is, until it starts.
        position = end if reader.awaits_latest else reader.position
        held, held_to = reader.held, max(position, reader.held_to)
        left = _unread(reader, seen, held_to, base, end)
        return Reader(
            key=key,
            name=name,
            topics=reader.topics,
            position=position,
            lag=(held_to - position) + max(0, end - max(held_to, base)),
            below=max(0, base - held_to) if about else 0,
            missed=reader.missed,
            state=f"ended {reader.status.name}" if reader.status else "open",
            own=key in self.own,
            held=held,
            held_to=held_to,
            unread=None if left is None else held + left,
            pace=self.paces.get(key, 0),
        )

    def _open(self) -> Sequence[Subscription[Any]]:
        every = open_subscriptions(self._workflow_id)
        return [each for each in every if each not in self.hidden]

    def _key(self, reader: Subscription[Any]) -> str:
        return self._keys.setdefault(reader, f"r{len(self._keys) + 1}")


def _kept(seen: Seen) -> list[Reader]:
    """Where the names stand that the stream keeps: all before was handled, and told."""
    about = seen.description
    if about is None:
        return []
    return [
        Reader(
            key=f"name {each.name}",
            name=each.name,
            topics=[],
            position=each.position,
            lag=each.lag,
            below=max(0, about.base_offset - each.position),
            missed=0,
            state=f"by name: {each.position:,} were handled, {each.lag:,} left",
            own=False,
            held_to=each.position,
            kept=True,
        )
        for each in about.readers or ()
    ]


def _unread(
    reader: Subscription[Any], seen: Seen, position: int, base: int, end: int
) -> int | None:
    """How many items of its topics there are from `position` on; None if not all are known."""
    first = max(position, base)
    if not reader.topics:
        return max(0, end - first)
    if first >= end:
        return 0
    if not seen.tail or seen.tail[0].offset > first:
        return None
    topics = set(reader.topics)
    return sum(item.offset >= first and item.topic in topics for item in seen.tail)

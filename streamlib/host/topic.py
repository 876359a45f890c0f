"""The workflow's handle on one topic of its own stream.

It holds a name and a type; the stream does the work. There is no `subscribe`: a workflow does not
consume its own stream. Next: `stream.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from temporalio.api.common.v1 import Payload

if TYPE_CHECKING:
    from streamlib.host.stream import WorkflowStream

T = TypeVar("T")


class WorkflowTopicHandle(Generic[T]):
    """Publishes values of one type to one topic. Made by `WorkflowStream.topic`."""

    def __init__(self, stream: WorkflowStream, name: str, type: type[T]) -> None:
        self._stream = stream
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

    def publish(self, value: T | Payload) -> None:
        """Append `value` to the log, at once. A ready-made `Payload` is taken as it is.

        Raises:
            ItemEncodeError: The payload converter cannot serialize the value.
            ItemTooLargeError: It is larger than an item may be.
        """
        self._stream.publish(self._name, value)

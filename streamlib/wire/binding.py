"""One topic, one type: the promise that both sides' `topic()` makes.

Knows names and types only, no stream and no client. Next: `stream.py`.
"""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payload

from streamlib.errors import InvalidTopicError


class TopicTypes:
    """The types that topics were bound to, for the life of one stream or client.

    Invariant: a name is bound once; types are compared by equality, so a subtype is another type.
    """

    def __init__(self) -> None:
        self._types: dict[str, Any] = {}

    def bind(self, name: str, type: Any) -> Any:
        """Bind `name` to `type` (None: `Any`, the choice for topics of mixed values); return it.

        Raises:
            InvalidTopicError: The name is empty or no text.
            RuntimeError: The name is bound to another type, or the type is `Payload`.
        """
        name = check_topic(name)
        type = Any if type is None else type
        if type is Payload:
            raise RuntimeError(
                f"Cannot bind topic {name!r} to Payload: no converter decodes one. Leave type out: "
                "a ready-made Payload can be published on any topic, and "
                "subscribe(result_type=RawValue) reads them undecoded."
            )
        bound = self._types.setdefault(name, type)
        if bound != type:
            raise RuntimeError(
                f"Topic {name!r} is already bound to type {bound!r} here, and not to {type!r}. Use "
                "one type a topic, or leave type out where a topic carries mixed values."
            )
        return type


def check_topic(name: object) -> str:
    """Return `name` as a plain string (an enum's member, say, becomes its value).

    Raises:
        InvalidTopicError: It is empty, no string, or cannot be written as UTF-8.
    """
    if not isinstance(name, str) or not name:
        raise InvalidTopicError(name)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidTopicError(name) from error
    return str.__str__(name)

"""A page, as the kernel meets it: what it would be told, and what it would send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from streamlib import WorkflowStreamClient
from streamlib.lab.widgets.stream_view import StreamView


class Browser:
    """What a page would be told, and what it would send."""

    def __init__(self, shown: StreamView) -> None:
        self.view = shown
        self.got: list[tuple[dict[str, Any], list[bytes]]] = []
        self.words: list[str] = []
        """What was said before an outcome."""
        self._numbers = iter(range(10**6))
        shown.send = self._take  # type: ignore[method-assign]

    def _take(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if content["kind"] == "note":
            self.words.append(content["text"])
        else:
            self.got.append((content, buffers or []))

    def tell(self, **content: Any) -> None:
        self.view._handle_custom_msg(content, [])

    def look(self, visible: bool = True) -> None:
        self.tell(kind="watch", view="page", visible=visible)

    async def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        return (await self.ask_whole(kind, **content))[0]

    async def ask_whole(self, kind: str, **content: Any) -> tuple[dict[str, Any], list[bytes]]:
        number = f"n{next(self._numbers)}"
        self.tell(kind=kind, id=number, **content)
        await until(lambda: any(answer.get("id") == number for answer, _ in self.got))
        return next(each for each in self.got if each[0].get("id") == number)

    async def frame(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first frame that is so. On a slow machine it begins without stream and cost."""

        def so() -> bool:
            with suppress(TypeError):
                return bool(wanted(self.view.frame))
            return False

        await until(so)
        return self.view.frame


async def until(wanted: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not wanted():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


Open = Callable[..., Awaitable[Browser]]


async def publish(stream: WorkflowStreamClient, topic: str, count: int) -> None:
    for number in range(count):
        stream.topic(topic).publish(number)
    await stream.flush()

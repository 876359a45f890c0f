"""An LLM server made of raw sockets: it sends the bytes it is told, pauses, hangs or resets.

Which script a request gets is named by its prompt, so that many of them share one server and run at
once; the attempts of a question take the script's plays in turn, the last one again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

HANG, RESET = "hang", "reset"

Step = bytes | float | str | Callable[[str], bytes]
"""Bytes to send (or a function of the client's key that makes them), seconds to wait, `HANG`: keep
the connection open until the client leaves, or `RESET`. At a play's end the connection is closed
in good order."""

Play = Sequence[Step]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(content: object = None, end: object = None, index: int = 0, **delta: object) -> bytes:
    """As OpenAI sends it."""
    if content is not None:
        delta["content"] = content
    choice = {"index": index, "delta": delta, "finish_reason": end}
    return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})


def words(*said: str) -> list[Step]:
    return [chunk(word) for word in said]


def whole(*said: str) -> list[Step]:
    """A play without a fault."""
    return [OK, *words(*said), chunk(end="stop"), b"data: [DONE]\n\n"]


def answer(
    status: str, body: object = b"", *headers: str, kind: str = "application/json"
) -> list[Step]:
    """A whole HTTP answer. `KEY` in its body is replaced by the key that the client sent."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def make(key: str) -> bytes:
        said = content.replace(b"KEY", key.encode())
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(said)}",
            "Connection: close",
            *headers,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + said

    return [make]


def refusal(status: str, code: object, *headers: str) -> list[Step]:
    """As OpenAI refuses: what it says about a key quotes it."""
    error = {"message": "Incorrect API key provided: KEY.", "type": "error", "code": code}
    return answer(status, {"error": error}, *headers)


class RawServer:
    """Listens on loopback, in a thread of its own."""

    def __init__(self, scripts: Mapping[str, Sequence[Play]]) -> None:
        self.scripts = dict(scripts)
        self.requests: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        """Clients that left a connection that hung, by script."""
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @contextlib.contextmanager
    def running(self) -> Iterator[RawServer]:
        ready, loop = threading.Event(), asyncio.new_event_loop()
        done = asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await done.wait()
            server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # their connections close

        def work() -> None:
            loop.run_until_complete(serve())
            loop.close()

        thread = threading.Thread(target=work)
        thread.start()
        ready.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(done.set)
            thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            name, key = await self._request(reader)
            plays = self.scripts[name]
            number = min(self.requests[name], len(plays) - 1)
            self.requests[name] += 1
            await self._play(plays[number], name, key, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> tuple[str, str]:
        """The prompt, which names the script, and the key."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split()[1]
        headers: dict[str, str] = {}
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        # A redirected client asks again without a body, at an address that names the script.
        asked = json.loads(body)["messages"][0]["content"] if body else path.strip("/")
        return asked, headers.get("authorization", "").removeprefix("Bearer ")

    async def _play(self, play: Play, name: str, key: str, reader: Any, writer: Any) -> None:
        for step in play:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif step == HANG:
                await reader.read()  # until the client goes
                self.left[name] += 1
            elif step == RESET:
                raw: socket.socket = writer.get_extra_info("socket")
                await asyncio.sleep(0.05)  # what was sent is read first
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            else:
                writer.write(step(key) if callable(step) else step)
                await writer.drain()

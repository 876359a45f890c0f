"""A server that speaks OpenAI's protocol and streams a fixed text: no model, no key, no network.

    python -m streamlib.lab.machine.scripted_llm --port 8400

Owns `/v1/models`, `/v1/chat/completions` (token by token over server-sent events, or whole), and
`/control`, which makes the next requests fail in the ways that real servers do. It listens on
loopback only, and says in its text that it is scripted. Who starts it: `scripted.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from streamlib.lab.machine.scripted import PACE

MODEL = "scripted"
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}

KINDS = {
    "drop": "the connection breaks",
    "cut": "it closes in good order, too early",
    "stall": "no more tokens",
    "keep-alive": "no more tokens, but a sign of life every tenth of a second",
    "length": "the model's limit of tokens is reached",
    "refuse": "the model refuses to answer",
}
"""The ways in which an answer can go wrong, once it has begun well: with HTTP status 200."""

REFUSAL = "I cannot help with that."

PARAGRAPHS = [
    "A model sends its answer token by token. Between it and the reader stand processes and "
    "networks, and any of them may die in the middle of a sentence. If the tokens live in one "
    "connection, they die with it.",
    "A durable stream keeps every token under an offset. A reader that went away – a closed "
    "laptop, a lost signal – asks for the next offset and misses nothing. Ten readers see the "
    "same text in the same order.",
    "If the writer dies, another attempt starts over, and a model rarely says the same thing "
    "twice. So each piece carries the number of its attempt, and readers drop what an older "
    "attempt had said. What stays on the screen is one whole answer, once.",
]


def text_of(request: int) -> str:
    """The answer to the request of that number, from 1: as from a model, the next one differs."""
    turn = (request - 1) % len(PARAGRAPHS)
    body = [*PARAGRAPHS[turn:], *PARAGRAPHS[:turn]]
    return "\n\n".join([f"(Scripted answer {request}: no model wrote this.)", *body])


def tokens_of(text: str) -> list[str]:
    """The pieces it is streamed in: `"a b"` → `["a", " b"]`. Joined they are the text."""
    return re.findall(r"\s*\S+", text)


@dataclass(frozen=True)
class Fault:
    """How the next requests fail, or do not say what was asked for.

    `kind` is one of `KINDS`, or an HTTP status such as `429`.
    """

    kind: str
    after: int = 10
    """Tokens that come first, unless it is a status or a refusal."""
    retry_after: float | None = None
    """Seconds for the `Retry-After` header of a status."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not re.fullmatch("[45]\\d\\d", self.kind):
            raise ValueError(f"{self.kind!r} is none of {', '.join(KINDS)} or a status from 400 on")
        if type(self.after) is not int or self.after < 0:
            raise ValueError(f"after is {self.after!r}: it takes a number of tokens")
        if self.retry_after is not None and not math.isfinite(self.retry_after):
            raise ValueError(f"retry_after is {self.retry_after!r}: it takes seconds")


@dataclass
class Script:
    """What the server will do, and has done."""

    pace: float = PACE
    faults: list[Fault] = field(default_factory=list[Fault])
    """For the next requests, one each."""
    requests: int = 0
    """How many have come."""

    def next_request(self) -> tuple[int, Fault | None]:
        """The number of a new request, and how it is to fail."""
        self.requests += 1
        return self.requests, self.faults.pop(0) if self.faults else None


class TokenStream(StreamingResponse):
    """Server-sent events; `broken` ends them without an end, as a lost connection would."""

    def __init__(self, events: AsyncIterator[str], *, broken: bool) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._broken = broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all; if it is broken, leave out the last part, so that the server hangs up."""

        async def send_all_but_the_end(part: Any) -> None:
            if part["type"] != "http.response.body" or part.get("more_body"):
                await send(part)

        await super().__call__(scope, receive, send_all_but_the_end if self._broken else send)


async def completions(request: Request) -> Response:
    """`POST /v1/chat/completions`."""
    script: Script = request.app.state.script
    if not _is_json(request):
        return _error(415, "not_json", "application/json, please")
    try:
        asked = await request.json()
    except ValueError:
        return _error(400, "invalid_json", "the body is no JSON")
    if not isinstance(asked, dict):
        return _error(400, "invalid_json", "the body is no JSON object")
    number, fault = script.next_request()
    if fault and fault.kind.isdigit():
        return _refuse(request, fault)
    text = text_of(number)
    if not asked.get("stream"):
        message = {"role": "assistant", "content": text}
        return JSONResponse(_chunk(number, "chat.completion", message=message, reason="stop"))
    broken = fault is not None and fault.kind == "drop"
    return TokenStream(_events(request, script, number, text, fault), broken=broken)


async def _events(
    request: Request, script: Script, number: int, text: str, fault: Fault | None
) -> AsyncIterator[str]:
    """The answer as server-sent events, up to the fault, if there is to be one."""
    kind = "chat.completion.chunk"
    tokens = tokens_of(text)
    says = "content"
    if fault and fault.kind == "refuse":
        tokens, says = tokens_of(REFUSAL), "refusal"
    elif fault:
        tokens = tokens[: fault.after]
    for token in tokens:
        yield _event(_chunk(number, kind, delta={"role": "assistant", says: token}))
        await asyncio.sleep(script.pace)
    if fault and fault.kind in ("stall", "keep-alive"):
        while not await request.is_disconnected():
            await asyncio.sleep(0.1)
            if fault.kind == "keep-alive":
                yield ": still here\n\n"
    if not fault or fault.kind in ("length", "refuse"):
        reason = "length" if fault and fault.kind == "length" else "stop"
        yield _event(_chunk(number, kind, delta={}, reason=reason))
        yield "data: [DONE]\n\n"


def _event(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


def _is_json(request: Request) -> bool:
    """Asked for by name, a page on the web cannot send it here without being asked first."""
    return request.headers.get("content-type", "").partition(";")[0] == "application/json"


def _chunk(
    number: int, kind: str, *, reason: str | None = None, **content: object
) -> dict[str, object]:
    choice = {"index": 0, **content, "finish_reason": reason}
    return {
        "id": f"scripted-{number}",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL,
        "choices": [choice],
    }


def _refuse(request: Request, fault: Fault) -> Response:
    """As OpenAI does: what it says about a key quotes some of it. Clients must not pass it on."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    said = f"Incorrect API key provided: {key}." if fault.kind == "401" else "scripted failure"
    answer = _error(int(fault.kind), CODES.get(int(fault.kind), "scripted_failure"), said)
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = f"{fault.retry_after:g}"
    return answer


def _error(status: int, code: str, says: str) -> Response:
    error = {"message": says, "type": "scripted_error", "code": code}
    return JSONResponse({"error": error}, status_code=status)


async def models(request: Request) -> Response:
    """`GET /v1/models`: one, which is none."""
    one = {"id": MODEL, "object": "model", "created": 0, "owned_by": "streamlib"}
    return JSONResponse({"object": "list", "data": [one]})


async def control(request: Request) -> Response:
    """`GET /control` tells the script; `POST` changes it: `{"faults": [...], "pace": 0.1}`."""
    script: Script = request.app.state.script
    if request.method == "POST":
        if not _is_json(request):
            return _error(415, "not_json", "application/json, please")
        try:
            change = await request.json()
            faults = [Fault(**fault) for fault in change.get("faults", [])]
            pace = float(change.get("pace", script.pace))
            if math.isnan(pace):
                raise ValueError("pace is no number of seconds")
        except (ValueError, TypeError, AttributeError) as error:
            return _error(400, "invalid", str(error))
        script.pace = min(max(pace, 0.0), 5.0)
        script.faults = faults if "faults" in change else script.faults
    return JSONResponse(asdict(script))


def app() -> Starlette:
    """The server, with a script of its own."""
    routes = [
        Route("/v1/chat/completions", completions, methods=["POST"]),
        Route("/v1/models", models),
        Route("/control", control, methods=["GET", "POST"]),
    ]
    # A name that a web page made point to loopback is not one of ours.
    ours = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    made = Starlette(routes=routes, middleware=[ours])
    made.state.script = Script()
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m streamlib.lab.machine.scripted_llm")
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        app(),
        host="127.0.0.1",
        port=parser.parse_args().port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )

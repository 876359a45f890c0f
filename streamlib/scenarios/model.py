"""Asks a model, through `openai`'s own client, and gives its text as it comes.

Owns what the environment says about the model, the clock (how long it may be silent), and the one
place where the client's errors become ours. What a chunk says is decided in `chunks.py`, what a
failure means in `failures.py`. The key goes from the environment into the client, nowhere else.
Next: `llm.py`, which publishes the text.
"""

from __future__ import annotations

import asyncio
import os
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamlib.scenarios import failures
from streamlib.scenarios.chunks import MAX_TEXT, Reading, Said, read
from streamlib.scenarios.failures import Failure
from streamlib.scenarios.program import OneLineError

if TYPE_CHECKING:
    import openai

DEFAULT_MODEL = "gpt-5.4-mini"
DEFAULT_TIMEOUT = 30.0
"""Seconds without a token, a thought's included, after which an attempt has failed; `LLM_TIMEOUT`
sets it."""

SECRET = 16
"""Characters from which on a key is taken for a secret one."""

EVENTS = "text/event-stream"
PAGES = ("text/html", "application/json")
"""What answers so with 200 streams nothing: it is somebody's web page, or another API."""

WRONG_ADDRESS = ("TooManyRedirects", "UnsupportedProtocol", "InvalidURL", "LocalProtocolError")
"""Errors of the HTTP library that mean it, by name: `openai` has changed libraries before."""


class NoLLMError(OneLineError):
    """There is no LLM to ask; the message says what to do."""


class NotAnLLMError(Exception):
    """What answered streams no model's text."""


@dataclass(frozen=True)
class Settings:
    """What the environment says about the model. Its `repr` has no key in it, and no address."""

    key: str
    address: str | None
    model: str
    timeout: float

    def __repr__(self) -> str:
        """Safe to print."""
        return f"Settings(model={self.model!r}, timeout={self.timeout:g})"


def settings() -> Settings:
    """Read them from the environment; an empty variable counts as none.

    Raises:
        NoLLMError: One of them cannot be used; says which, never its value if it may be secret.
    """
    # A compatible server may need no key, but the client insists on one.
    key = os.environ.get("OPENAI_API_KEY") or "none"
    if not (key.isascii() and key.isprintable()) or key != key.strip():
        raise NoLLMError(
            "OPENAI_API_KEY has a character that no HTTP header may have: a line end, a space "
            "around it, or a letter that is not ASCII. Set it anew."
        )
    address = os.environ.get("OPENAI_BASE_URL") or None
    if address and not _is_web_address(address):
        raise NoLLMError(
            "OPENAI_BASE_URL is no web address. It begins with http:// or https://, as "
            "http://localhost:11434/v1 does."
        )
    return Settings(
        key, address, os.environ.get("OPENAI_MODEL") or DEFAULT_MODEL, _seconds("LLM_TIMEOUT")
    )


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  raises if it is no number
    except ValueError:
        return False
    plain = address.isascii() and address.isprintable() and " " not in address
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def _seconds(name: str) -> float:
    given = os.environ.get(name) or str(DEFAULT_TIMEOUT)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:  # not NaN either
        raise NoLLMError(f"{name} is {given!r}; it takes seconds, from above 0 to 600.")
    return seconds


def source() -> str | None:
    """Where the text comes from, as the environment names it; None if it names nothing.

    An address is told without what may be secret in it: a password, a query.
    """
    if address := os.environ.get("OPENAI_BASE_URL"):
        try:
            parts = urlsplit(address)
        except ValueError:
            return "OPENAI_BASE_URL, which is no web address"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return "OpenAI" if os.environ.get("OPENAI_API_KEY") else None


async def pieces(prompt: str, reading: Reading) -> AsyncGenerator[str, None]:
    """The model's text as it arrives, and at its end, if it was cut off or refused, that.

    Args:
        prompt: The question.
        reading: A new one; it holds the whole text and how it ended, once this is exhausted.

    Raises:
        ApplicationError: An attempt failed; its type is one of those in `failures.py`. Nothing is
            chained to it: the client's own errors quote what the server said, which may quote
            the key.
    """
    failure: Failure | None = None
    met: Exception | None = None
    try:
        reading.secret = _secret(settings().key)
        async with _client() as client:
            async for said in _said(client, prompt):
                if failure := _wrong(said):
                    break
                for piece in reading.feed(said):
                    yield piece
                if reading.size > MAX_TEXT:
                    failure = failures.too_long(MAX_TEXT)
                if failure or reading.ended:  # not [DONE], nor a close: some servers send neither
                    break
            else:
                failure = failures.NO_END
    except Exception as error:
        met = error
    # Outside of the `except`, else it would be chained; also what goes wrong in here.
    if failure := _failure(met) if met else failure:
        raise failure.error()


def _secret(key: str) -> str:
    """The key, if it is one: a server of one's own often takes a word, which a text may have."""
    return key if len(key) >= SECRET else ""


def _client() -> openai.AsyncOpenAI:
    import openai  # here, because the sandbox loads this file for the workflow in `llm.py`

    told = settings()
    return openai.AsyncOpenAI(
        api_key=told.key,
        base_url=told.address,
        timeout=told.timeout,
        max_retries=0,  # Temporal retries: it survives this process, and its attempts are seen
    )


async def _said(client: openai.AsyncOpenAI, prompt: str) -> AsyncIterator[Said]:
    """What each chunk says, while the model says something: a server's pings do not count.

    Raises:
        asyncio.TimeoutError: It was silent for too long.
        NotAnLLMError: There is none at this address.
        Exception: Whatever `openai` raises, and what it lets through.
    """
    told, loop = settings(), asyncio.get_running_loop()
    completions = client.chat.completions  # loads modules, the first time: that is not its silence
    until = loop.time() + told.timeout
    chunks = await asyncio.wait_for(
        completions.create(
            model=told.model, messages=[{"role": "user", "content": prompt}], stream=True
        ),
        told.timeout,
    )
    async with chunks:
        arriving: Any = chunks.response  # of whichever HTTP library
        arriving.aiter_bytes = partial(_unmarked, arriving.aiter_bytes)
        kind = chunks.response.headers.get("content-type", "").partition(";")[0].strip().lower()
        any_chunk = False
        while kind not in PAGES:
            try:
                chunk = await asyncio.wait_for(anext(chunks), until - loop.time())
            except StopAsyncIteration:
                break
            if (said := read(chunk)).alive:
                until = loop.time() + told.timeout
            any_chunk = True
            yield said
        if not any_chunk and kind != EVENTS:
            raise NotAnLLMError


async def _unmarked(parts: Callable[[], AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
    """The bytes of an answer without the mark of UTF-8 that some servers begin with.

    The protocol lets them, but `openai` would take it for a part of the first line, and lose that.
    """
    begin: bytes | None = b""
    async for part in parts():
        if begin is None:
            yield part
            continue
        begin += part
        if not BOM_UTF8.startswith(begin):
            yield begin.removeprefix(BOM_UTF8)
            begin = None
    if begin and begin != BOM_UTF8:
        yield begin


def _wrong(said: Said) -> Failure | None:
    if said.error:
        return failures.in_stream(said.error)
    return failures.unreadable(said.unreadable) if said.unreadable else None


def _failure(error: Exception) -> Failure:
    """Any exception of the client, or of what it is made of -> ours, without its words."""
    import openai

    match error:
        case openai.APIStatusError():
            headers, now = error.response.headers, datetime.now(timezone.utc)
            return failures.refused(error.status_code, error.body, headers, now)
        case openai.APITimeoutError() | asyncio.TimeoutError():
            return failures.STALLED
        case NotAnLLMError():
            return failures.NOT_AN_LLM
        case openai.APIConnectionError() if type(error.__cause__).__name__ in WRONG_ADDRESS:
            return failures.NOT_AN_LLM
        case openai.APIConnectionError() if type(error.__cause__).__name__ == "ConnectError":
            return failures.UNREACHABLE
        case openai.APIConnectionError():
            return failures.cut_off(type(error).__name__)
        case openai.APIError():  # an error object in the stream
            return failures.in_stream(error.body)
        case NoLLMError():
            return Failure("LLMRefused", str(error), again=False)
        case _:
            return failures.cut_off(type(error).__name__)

"""What is asked of a model and what comes of it, without Temporal: settings, errors, limits."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Iterator

import pytest
from temporalio.exceptions import ApplicationError

from streamlib.scenarios.chunks import MAX_TEXT, Reading
from streamlib.scenarios.model import NoLLMError, Settings, pieces, settings, source

from .raw_llm import HANG, OK, RESET, Play, RawServer, answer, chunk, event, refusal, whole

KEYS = ["sk-Canary0123456789", "canary_of_letters_alone", "0canary!$%&/()=?'~#+*"]

PLAYS: dict[str, Play] = {
    "refused": refusal("401 No", "KEY"),
    "too many": refusal("429 No", "KEY", "Retry-After: nan"),
    "a year of 30 digits": refusal(
        "503 Later", "KEY", f"Retry-After: Wed, 21 Oct {'9' * 30} 07:28:00 GMT"
    ),
    "page": answer("200 OK", b"KEY", kind="text/html"),
    "moved": answer("302 There", b"KEY", "Location: /KEY"),
    "nonsense": [b"KEY\r\n\r\n"],
    "bad JSON": [OK, b"data: KEY\n\n"],
    "bad text": [OK, b"data: \xff\n\n"],
    "a list": [OK, lambda key: chunk([key])],
    "an error": [OK, lambda key: event({"error": {"message": key, "code": key}})],
    "a reason": [OK, lambda key: chunk(key, end=key), RESET],
    "reset": [OK, lambda key: b": " + key.encode() + b"\n\n", RESET],
    "silence": [OK, lambda key: b": " + key.encode() + b"\n\n", HANG],
    "no end": [OK, lambda key: b": " + key.encode() + b"\n\n"],
    "endless": [OK, *[chunk("x" * 10_000)] * 130],
    "well": whole("well"),
    "marked": [OK, b"\xef", 0.05, b"\xbb\xbf" + chunk("All "), chunk("is.", end="stop")],
    "quoted": [OK, lambda key: chunk("No " + key[:9]), lambda key: chunk(key[9:], end="stop")],
    "dribble": [OK, *[step for _ in range(200) for step in (b":\n\n", 0.05)]],
}


@pytest.fixture(scope="module")
def raw() -> Iterator[RawServer]:
    with RawServer({name: [play] for name, play in PLAYS.items()}).running() as server:
        yield server


@pytest.fixture(autouse=True)
def configured(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", raw.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEYS[0])
    monkeypatch.setenv("LLM_TIMEOUT", "0.5")


async def told(prompt: str) -> tuple[Reading, Exception | None]:
    reading = Reading()
    try:
        async for _ in pieces(prompt, reading):
            pass
    except Exception as error:
        return reading, error
    return reading, None


@pytest.mark.parametrize("key", KEYS)
async def test_no_error_holds_the_key_nor_anything_that_is_chained_to_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("LLM_TIMEOUT", "3")  # a busy machine is silent for longer than a moment
    failed, at_once = 0, asyncio.Semaphore(3)

    async def one(name: str) -> tuple[Reading, Exception | None]:
        async with at_once:
            return await told(name)

    for (reading, error), name in zip(await asyncio.gather(*map(one, PLAYS)), PLAYS, strict=True):
        if name == "a reason":
            assert reading.ended == "other"
        elif name == "quoted":
            assert reading.text == f"No {key[:3]}[the key]"
        elif name == "marked":
            assert reading.text == "All is."
        elif name != "well":
            assert isinstance(error, ApplicationError), (name, error)
            assert (error.__cause__, error.__context__) == (None, None)
            written = "".join(traceback.format_exception(error)) + repr(error.__dict__)
            assert key not in written
            failed += 1
    assert failed == len(PLAYS) - 4


async def test_a_word_that_a_server_of_one_s_own_takes_as_a_key_is_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "well")
    reading, _ = await told("well")
    assert reading.text == "well"


async def test_where_nothing_listens_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    monkeypatch.setenv("LLM_TIMEOUT", "20")
    _, error = await told("well")
    assert isinstance(error, ApplicationError)
    assert (error.type, error.non_retryable) == ("LLMCutOff", False)
    assert "cannot be reached: is it running? Else check OPENAI_BASE_URL" in str(error)


async def test_pings_do_not_make_it_wait_for_longer() -> None:
    began = time.monotonic()
    _, error = await told("dribble")
    assert isinstance(error, ApplicationError)
    assert (error.type, 0.4 < time.monotonic() - began < 5) == ("LLMStalled", True)


async def test_a_text_is_not_read_beyond_its_limit() -> None:
    reading, error = await told("endless")
    assert isinstance(error, ApplicationError)
    assert (error.type, error.non_retryable) == ("LLMTooLong", True)
    assert MAX_TEXT < reading.size <= MAX_TEXT + 10_000


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LLM_TIMEOUT", "abc", "LLM_TIMEOUT is 'abc'"),
        ("LLM_TIMEOUT", "0", "LLM_TIMEOUT is '0'"),
        ("LLM_TIMEOUT", "-1", "from above 0 to 600"),
        ("LLM_TIMEOUT", "nan", "LLM_TIMEOUT is 'nan'"),
        ("LLM_TIMEOUT", "inf", "LLM_TIMEOUT is 'inf'"),
        ("OPENAI_API_KEY", "canary\n", "OPENAI_API_KEY has a character"),
        ("OPENAI_API_KEY", "canary\r\nX-Header: y", "OPENAI_API_KEY has a character"),
        ("OPENAI_API_KEY", "canary-é", "OPENAI_API_KEY has a character"),
        ("OPENAI_API_KEY", " canary", "OPENAI_API_KEY has a character"),
        ("OPENAI_BASE_URL", "localhost:11434/canary", "OPENAI_BASE_URL is no web address"),
        ("OPENAI_BASE_URL", "/canary", "OPENAI_BASE_URL is no web address"),
        ("OPENAI_BASE_URL", "ftp://canary/v1", "OPENAI_BASE_URL is no web address"),
        ("OPENAI_BASE_URL", "http:///canary", "OPENAI_BASE_URL is no web address"),
        ("OPENAI_BASE_URL", "http://canary:port/v1", "OPENAI_BASE_URL is no web address"),
        ("OPENAI_BASE_URL", "http://[canary/v1", "OPENAI_BASE_URL is no web address"),
        ("OPENAI_BASE_URL", "http://can ary/v1", "OPENAI_BASE_URL is no web address"),
    ],
)
async def test_what_cannot_be_used_is_refused_in_one_line_without_the_key(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(NoLLMError) as caught:
        settings()
    said = str(caught.value)
    assert says in said
    assert "canary" not in said
    assert "\n" not in said
    source()  # tells no secret, and does not raise
    _, error = await told("well")  # a worker of another make ends the question at once
    assert isinstance(error, ApplicationError)
    assert error.non_retryable


def test_without_any_setting_it_is_openai_with_30_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "LLM_TIMEOUT"):
        monkeypatch.setenv(name, "")  # empty counts as none
    assert settings() == Settings(KEYS[0], None, "gpt-5.4-mini", 30.0)
    assert KEYS[0] not in repr(settings())


@pytest.mark.parametrize(
    ("key", "address", "expected"),
    [
        ("", "", None),
        ("k", "", "OpenAI"),
        ("", "http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("k", "https://user:password@llm.example/v1?token=t", "https://llm.example/v1"),
    ],
)
def test_where_the_text_comes_from_is_told_without_a_secret(
    key: str, address: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    assert source() == expected

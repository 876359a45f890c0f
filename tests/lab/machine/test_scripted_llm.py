"""The scripted LLM: OpenAI's protocol to OpenAI's own client, and every way it can fail."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from streamlib import lab
from streamlib.lab.doctor import listening
from streamlib.lab.machine import processes, scripted
from streamlib.lab.machine.scripted_llm import PARAGRAPHS, REFUSAL, Fault, text_of, tokens_of

MESSAGES = [{"role": "user", "content": "why?"}]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[scripted.Scripted]:
    """One for all tests but those that kill it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMLIB_HOME", str(tmp_path_factory.mktemp("scripted")))
        patch.setenv("OPENAI_API_KEY", "sk-canary-of-the-environment")
        yield asyncio.run(scripted.start())
        asyncio.run(scripted.stop())


@pytest.fixture
async def server(started: scripted.Scripted) -> scripted.Scripted:
    await started.control(pace=0, faults=[])
    return started


async def next_text(server: scripted.Scripted) -> str:
    """What it will answer next."""
    return text_of((await server.control())["requests"] + 1)


async def ask(
    server: scripted.Scripted, timeout: float = 5.0
) -> tuple[list[str], Exception | None]:
    """The pieces that came, and how it ended."""
    pieces: list[str] = []
    client = openai.AsyncOpenAI(
        api_key="k", base_url=server.base_url, max_retries=0, timeout=timeout
    )
    async with client:
        try:
            async for chunk in await client.chat.completions.create(
                model="scripted", messages=MESSAGES, stream=True
            ):
                pieces += [choice.delta.content or "" for choice in chunk.choices]
        except openai.OpenAIError as error:
            return pieces, error
    return pieces, None


def test_its_texts_differ_say_that_they_are_scripted_and_take_some_seconds() -> None:
    texts = [text_of(number) for number in range(1, 7)]
    assert len(set(texts)) == 6
    for number, text in enumerate(texts, start=1):
        assert text.startswith(f"(Scripted answer {number}: no model wrote this.)")
        assert all(paragraph in text for paragraph in PARAGRAPHS)
        assert "".join(tokens_of(text)) == text
        assert 6 <= len(tokens_of(text)) * scripted.PACE <= 8


async def test_streamed_and_whole_to_the_real_client(server: scripted.Scripted) -> None:
    text = await next_text(server)
    pieces, error = await ask(server)
    assert error is None
    assert [piece for piece in pieces if piece] == tokens_of(text)
    text = await next_text(server)
    async with openai.AsyncOpenAI(api_key="k", base_url=server.base_url) as client:
        whole = await client.chat.completions.create(model="any", messages=MESSAGES)
        models = [model.id async for model in client.models.list()]
    assert whole.choices[0].message.content == text
    assert (whole.model, models) == ("scripted", ["scripted"])


async def test_it_is_streamed_a_token_at_a_time(server: scripted.Scripted) -> None:
    await server.control(pace=0.01)
    began = time.monotonic()
    await ask(server)
    assert time.monotonic() - began > 0.01 * len(tokens_of(text_of(1)))


@pytest.mark.parametrize(
    ("fault", "came", "error"),
    [
        ({"kind": "drop", "after": 7}, 7, openai.APIConnectionError),
        ({"kind": "drop", "after": 0}, 0, openai.APIConnectionError),
        ({"kind": "stall", "after": 3}, 3, openai.APITimeoutError),
        # (A client that waits for bytes never gives up on `keep-alive`: see below.)
        ({"kind": "429", "retry_after": 1.5}, 0, openai.RateLimitError),
        ({"kind": "500"}, 0, openai.InternalServerError),
        ({"kind": "401"}, 0, openai.AuthenticationError),
    ],
)
async def test_each_fault_is_what_the_client_knows_and_passes(
    server: scripted.Scripted, fault: dict[str, object], came: int, error: type[Exception]
) -> None:
    await server.control(faults=[fault])
    text = await next_text(server)
    pieces, failure = await ask(server, timeout=0.5)
    assert pieces == tokens_of(text)[:came]
    assert isinstance(failure, error)
    if isinstance(failure, openai.RateLimitError):
        assert failure.response.headers["retry-after"] == "1.5"
    assert (await ask(server))[1] is None


async def test_a_cut_closes_in_good_order_but_without_an_end(server: scripted.Scripted) -> None:
    await server.control(faults=[{"kind": "cut", "after": 4}])
    text = await next_text(server)
    assert await ask(server) == (tokens_of(text)[:4], None)


async def test_what_it_does_not_understand_it_refuses(server: scripted.Scripted) -> None:
    for change in (
        {"faults": [{"kind": "200"}]},
        {"faults": [{"no": 1}]},
        {"faults": [{"kind": "cut", "after": -1}]},
        {"faults": [{"kind": "cut", "after": "x"}]},
        {"faults": [{"kind": "429", "retry_after": math.nan}]},
        {"pace": "slow"},
        {"pace": math.nan},
    ):
        with pytest.raises(lab.LabError, match="scripted LLM says"):
            await server.control(**change)
    with pytest.raises(ValueError, match="drop, cut, stall"):
        Fault("explode")


@pytest.mark.parametrize(
    ("kind", "came", "reason"), [("length", 4, "length"), ("refuse", 5, "stop")]
)
async def test_a_model_may_be_cut_off_or_refuse_and_the_answer_is_still_200(
    server: scripted.Scripted, kind: str, came: int, reason: str
) -> None:
    await server.control(faults=[{"kind": kind, "after": 4}])
    text, refusal = await next_text(server), ""
    pieces, reasons = [], []
    async with openai.AsyncOpenAI(api_key="k", base_url=server.base_url) as client:
        async for chunk in await client.chat.completions.create(
            model="scripted", messages=MESSAGES, stream=True
        ):
            pieces += [chunk.choices[0].delta.content or chunk.choices[0].delta.refusal or ""]
            refusal += chunk.choices[0].delta.refusal or ""
            reasons += [chunk.choices[0].finish_reason]
    assert [each for each in reasons if each] == [reason]
    said = tokens_of(text)[:4] if kind == "length" else tokens_of(REFUSAL)
    assert ([piece for piece in pieces if piece], len(said)) == (said, came)
    assert refusal == (REFUSAL if kind == "refuse" else "")


async def test_signs_of_life_without_a_token_hold_a_client_that_waits_for_bytes(
    server: scripted.Scripted,
) -> None:
    await server.control(faults=[{"kind": "keep-alive", "after": 3}])
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ask(server, timeout=0.5), 2)


def call(
    port: int,
    host: str,
    content_type: str,
    path: str = "/control",
    body: object = {"pace": 0},
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Host": host, "Content-Type": content_type}
    connection.request("POST", path, json.dumps(body), headers)
    with contextlib.closing(connection), connection.getresponse() as answer:
        return answer.status


async def test_no_page_of_the_web_can_talk_to_it(server: scripted.Scripted) -> None:
    own = f"127.0.0.1:{server.port}"
    assert await asyncio.to_thread(call, server.port, own, "application/json") == 200
    assert await asyncio.to_thread(call, server.port, own, "text/plain") == 415
    completions = "/v1/chat/completions"
    asked = (server.port, own, "text/plain", completions, {"stream": True})
    assert await asyncio.to_thread(call, *asked) == 415
    for body in ([], "x", None, 7):
        asked = (server.port, own, "application/json", completions, body)
        assert await asyncio.to_thread(call, *asked) == 400
        if body is not None:
            asked = (server.port, own, "application/json", "/control", body)
            assert await asyncio.to_thread(call, *asked) == 400
    named = f"evil.example:{server.port}"
    assert await asyncio.to_thread(call, server.port, named, "application/json") == 400
    assert listening(server.process.pid) == [own]


async def test_no_key_reaches_it(server: scripted.Scripted) -> None:
    if Path("/proc").is_dir():
        environment = Path(f"/proc/{server.process.pid}/environ").read_bytes()
        assert b"PATH=" in environment
        assert b"canary" not in environment


async def test_it_is_found_again_and_comes_back_on_its_port(own_home: Path) -> None:
    first = await scripted.start()
    assert (await scripted.start()).process == first.process
    await first.process.kill()
    with pytest.raises(lab.LabError, match="does not answer"):
        await first.control(pace=0)
    assert not (await lab.status()).ok
    again = await scripted.start()
    assert (again.port, again.process.pid != first.process.pid) == (first.port, True)
    await scripted.stop()
    await scripted.stop()
    assert processes.find(scripted.NAME) is None

"""Scenario 5 under servers as they are: a real worker and client, and a server of raw sockets.

All questions are asked at once, of one worker; each test looks at what became of its own: what was
shown, the workflow's result, how often the server was asked. The last look at everything written.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import os
import re
import secrets
import signal
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from streamlib import WorkflowStreamClient
from streamlib.lab.lessons.llm import COMMAND
from streamlib.lab.machine import workers
from streamlib.scenarios.llm import LLM_TASK_QUEUE, PROMPT, LLMInput, LLMWorkflow, decode
from streamlib.scenarios.transcript import EVENTS, Event, RetryEvent, TextComplete, Transcript
from tests.waits import without_waits

from .raw_llm import (
    HANG,
    OK,
    RESET,
    Play,
    RawServer,
    Step,
    answer,
    chunk,
    event,
    refusal,
    whole,
    words,
)
from .terminals import ROOT, InATerminal

# Of letters alone: a server may return it as an error's code, or as a reason.
KEY = "canary_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(24))
GOOD = whole("All ", "is ", "well.")
TEXT = "All is well."

pytestmark = pytest.mark.server

EIGHT = [f"word{n} " for n in range(8)]


def keyed(*parts: str) -> Step:
    """A chunk whose reason is the key."""
    return lambda key: chunk(end=key)


def error_event(code: object, **more: object) -> Step:
    """An error in mid-stream, which quotes the key."""

    def make(key: str) -> bytes:
        said = f"Incorrect API key provided: {key}."
        return event({"error": {"message": said, "type": "error", "code": code, **more}})

    return make


def soon() -> str:
    return email.utils.formatdate(time.time() + 3, usegmt=True)


def keeps_alive(beat: bytes) -> Play:
    return [OK, *words(*EIGHT[:5]), *([beat, 0.2] * 100)]


def rambling() -> list[Step]:
    return [chunk("0123456789abcde " * 1024) for _ in range(110)]  # 1.8 MB


RETRIED: dict[str, Play] = {
    "429 whose Retry-After is nan": refusal("429 Too Many", "rate_limit", "Retry-After: nan"),
    "429 whose Retry-After is inf": refusal("429 Too Many", "rate_limit", "Retry-After: inf"),
    "429 whose Retry-After is a word": refusal("429 Too Many", 7, "Retry-After: later"),
    "429 whose Retry-After has a year of 30 digits": refusal(
        "429 Too Many", None, f"Retry-After: Wed, 21 Oct {'9' * 30} 07:28:00 GMT"
    ),
    "429 whose Retry-After is past": refusal(
        "429 Too Many", None, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"
    ),
    "empty reasons, closed after 8 words": [OK, *(chunk(w, end="") for w in EIGHT)],
    "a reason that is no word, closed": [OK, *words(*EIGHT), chunk(end=7), chunk(end=["stop"])],
    "only the second choice finishes": [
        OK,
        *words(*EIGHT[:4]),
        chunk("other", index=1),
        chunk(end="stop", index=1),
    ],
    "comments every 0.2 s, but no text": keeps_alive(b": keep-alive\n\n"),
    "empty deltas every 0.2 s, but no text": keeps_alive(chunk("")),
    "no answer at all": [HANG],
    "headers, then silence": [OK, HANG],
    "reset in mid-text": [OK, *words(*EIGHT), RESET],
    "closed before a byte": [],
    "bad JSON": [OK, *words(*EIGHT), b'data: {"choices": [\n\n'],
    "invalid UTF-8": [OK, *words(*EIGHT), b"data: \xff\xfe\n\n"],
    "not gzip, though it says so": [
        OK.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
        chunk("x"),
    ],
    "an overload in mid-stream": [OK, *words(*EIGHT), error_event("server_error")],
    "an error in mid-stream that is a sentence": [OK, event({"error": "KEY is overloaded"})],
    "the reason error": [OK, *words(*EIGHT), chunk(end="error")],
}
"""What the first attempt meets; the second one is well."""

ENDED: dict[str, tuple[Play, str]] = {
    "401 with a whole number for a code": (
        refusal("401 No", 401),
        "answered 401: check OPENAI_API",
    ),
    "404 with a whole number for a code": (
        refusal("404 No", 404),
        "answered 404: check OPENAI_MOD",
    ),
    "400 whose code is the key": (refusal("400 No", "KEY"), "LLM server answered 400$"),
    "429 as the quota is used up": (refusal("429 No", "insufficient_quota"), "insufficient_quota"),
    "an invalid key in mid-stream": (
        [OK, *words(*EIGHT), error_event("invalid_api_key")],
        "invalid_api_key: check OPENAI_API_KEY",
    ),
    "a 401 in mid-stream": ([OK, error_event(401)], "check OPENAI_API_KEY"),
    "an error in mid-stream whose type says it": (
        [OK, error_event(None, type="invalid_request_error")],
        "invalid_request_error",
    ),
    "200 with HTML": (answer("200 OK", b"<html>KEY</html>", kind="text/html"), "OPENAI_BASE_URL"),
    "200 with plain JSON": (answer("200 OK", {"hello": "KEY"}), "OPENAI_BASE_URL"),
    "200 with plain text": (answer("200 OK", b"KEY", kind="text/plain"), "OPENAI_BASE_URL"),
    "301": (answer("301 Moved", b"", "Location: /301"), "OPENAI_BASE_URL"),
    "301 without a place": (answer("301 Moved"), "OPENAI_BASE_URL"),
    "a redirect loop": (answer("307 There", b"", "Location: /again"), "OPENAI_BASE_URL"),
    "content that is a number": ([OK, *words(*EIGHT), chunk(7), chunk(end="stop")], "no text"),
    "content that is a list": ([OK, chunk(["a"]), chunk(end="stop")], "no text"),
    "1.8 MB of text": ([OK, *rambling(), chunk(end="stop")], "1,250,000"),
}
"""What ends at once, and a part of what is then said."""

SAID: dict[str, tuple[Play, str, str]] = {
    "length": (
        [OK, *words("cut", " here"), chunk(end="length")],
        "cut here\n\n[cut off: the model reached its limit of tokens]",
        "length",
    ),
    "a content filter": (
        [OK, *words("cut", " here"), chunk(end="content_filter")],
        "cut here\n\n[cut off: a content filter stopped the model]",
        "content_filter",
    ),
    "a refusal": (
        [OK, chunk(refusal="I cannot"), chunk(refusal=" say."), chunk(end="stop")],
        "I cannot say.\n\n[the model refused]",
        "refusal",
    ),
    "tool calls only": (
        [OK, chunk(tool_calls=[{"index": 0, "id": "t"}]), chunk(end="tool_calls")],
        "[the model asked for a tool, and there is none]",
        "tool_calls",
    ),
    "no word at all": ([OK, chunk(end="stop")], "[the model wrote nothing]", "stop"),
    "a text that quotes the key": (
        [OK, lambda key: chunk("no " + key[:9]), lambda key: chunk(key[9:] + "!", end="stop")],
        "no can[the key]!",
        "stop",
    ),
    "a reason that is the key": (
        [OK, chunk("so"), keyed()],
        "so\n\n[the server ended the text for a reason that is not known here]",
        "other",
    ),
}
"""What is accepted, and says how it ended: the text, and `TextComplete.ended`."""

USAGE = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
FACE = "\U0001f642"

ACCEPTED: dict[str, tuple[Play, str]] = {
    "the end, then no close": ([OK, chunk("All."), chunk(end="stop"), HANG], "All."),
    "the end, then a reset": ([OK, chunk("All."), chunk(end="stop"), RESET], "All."),
    "text and end in one chunk": ([OK, chunk("All"), chunk(".", end="stop"), HANG], "All."),
    "a mark of UTF-8, in pieces": (
        [OK, b"\xef", 0.05, b"\xbb", 0.05, b"\xbf" + chunk("All"), chunk(".", end="stop")],
        "All.",
    ),
    "the word null for a reason": ([OK, chunk("All", end="null"), chunk(".", end="stop")], "All."),
    "chunks without and with null choices": (
        [
            OK,
            event({"id": "c", "object": "ping"}),
            event({"choices": None}),
            event({"choices": []}),
            event({"choices": [None]}),
            event({"choices": ["x"]}),
            event([]),
            event(None),
            event("ping"),
            event({"choices": {}}),
            chunk("All."),
            event({"choices": [], "usage": USAGE}),
            chunk(end="stop"),
            event({"choices": None, "usage": USAGE}),
        ],
        "All.",
    ),
    "a last chunk without delta": (
        [OK, chunk("All."), event({"choices": [{"index": 0, "finish_reason": "stop"}]}), HANG],
        "All.",
    ),
    "null deltas, null contents, roles": (
        [
            OK,
            chunk(role="assistant"),
            event({"choices": [{"index": 0, "delta": None}]}),
            event({"choices": [{"index": 0, "delta": {"content": None}}]}),
            chunk("All."),
            chunk(end="stop"),
        ],
        "All.",
    ),
    "thoughts beside the text": (
        [OK, chunk(reasoning_content="hm"), 1.3, chunk(reasoning="hm"), 1.3, *GOOD[1:]],
        TEXT,
    ),
    "two choices, interleaved": (
        [
            OK,
            chunk("one "),
            chunk("two ", index=1),
            chunk(end="stop", index=1),
            chunk("one"),
            chunk("two", index=1),
            chunk(end="stop"),
        ],
        "one one",
    ),
    "an emoji in two halves": (
        [OK, chunk("a \ud83d"), chunk("\ude42 b"), chunk(end="stop")],
        f"a {FACE} b",
    ),
    "stray halves": (
        [OK, chunk("a\ud83d"), chunk("b\ude42"), chunk("c\ud83d", end="stop")],
        "a\ufffdb\ufffdc\ufffd",
    ),
    "900 KB": ([OK, *[chunk("0123456789abcde " * 640) for _ in range(90)], chunk(end="stop")],
               "0123456789abcde " * 640 * 90),
    "a line of 1 MB in one chunk": ([OK, chunk("x" * 1_000_000, end="stop")], "x" * 1_000_000),
}  # fmt: skip
"""What is well at the first attempt, whatever is odd about it, and its text."""

DATED = "429 whose Retry-After is a date"
CANCELLED, TERMINATED = "cancelled in mid-stream", "terminated in mid-stream"
ENDLESS: list[Step] = [OK, *[step for n in range(300) for step in (chunk(f"{n} "), 0.05)]]

SCRIPTS: dict[str, list[Play]] = {
    **{name: [play, GOOD] for name, play in RETRIED.items()},
    **{name: [play] for name, (play, _) in ENDED.items()},
    **{name: [play] for name, (play, *_) in SAID.items()},
    **{name: [play] for name, (play, _) in ACCEPTED.items()},
    DATED: [[lambda _: refusal("429 Wait", "", f"Retry-After: {soon()}")[0]("")], GOOD],  # type: ignore[operator]
    CANCELLED: [ENDLESS],
    TERMINATED: [ENDLESS],
    "the key": [whole("well")],
}


@dataclass
class Outcome:
    """What became of a question."""

    handle: WorkflowHandle[LLMWorkflow, str]
    events: list[Event] = field(default_factory=list)
    shown: str = ""
    """On a screen that did as the transcript said."""
    result: str | None = None
    failure: BaseException | None = None
    seconds: float = 0.0

    @property
    def says(self) -> str:
        """Why it failed, as the terminal says it."""
        return str(self.failure)


async def ask(client: Client, prompt: str) -> Outcome:
    """Ask, and read to the end; give up on a question that takes too long."""
    workflow_id = f"llm-raw-{secrets.token_hex(4)}"
    began = time.monotonic()
    await client.start_workflow(
        LLMWorkflow.run, LLMInput(prompt), id=workflow_id, task_queue=LLM_TASK_QUEUE
    )
    outcome = Outcome(client.get_workflow_handle_for(LLMWorkflow.run, workflow_id))
    try:
        await asyncio.wait_for(follow(client, prompt, outcome), 45)
        outcome.result = await outcome.handle.result()
    except WorkflowFailureError as error:
        outcome.failure = error
        while outcome.failure and not isinstance(outcome.failure, ApplicationError):
            outcome.failure = outcome.failure.__cause__
    except asyncio.TimeoutError as error:
        outcome.failure = error
        with contextlib.suppress(RPCError):  # it has ended meanwhile
            await outcome.handle.terminate("the test waits no longer")
    outcome.seconds = time.monotonic() - began
    return outcome


async def follow(client: Client, prompt: str, outcome: Outcome) -> None:
    """Read as the terminal and the notebook do; end what is to be ended in mid-stream."""
    transcript = Transcript()
    stream = WorkflowStreamClient.create(client, outcome.handle.id)
    async for item in stream.subscribe(list(EVENTS), result_type=RawValue):
        said = decode(item, client.data_converter.payload_converter)
        outcome.events.append(said)
        change = transcript.feed(said)
        outcome.shown = ("" if change.rewind else outcome.shown) + change.append
        if len(outcome.events) == 10 and prompt == CANCELLED:
            await outcome.handle.cancel()
        if len(outcome.events) == 10 and prompt == TERMINATED:
            await outcome.handle.terminate("enough")


@pytest.fixture(scope="module")
def raw() -> Iterator[RawServer]:
    with RawServer(SCRIPTS).running() as server:
        yield server


@pytest.fixture(scope="module")
def outcomes(server: str, raw: RawServer) -> Iterator[dict[str, Outcome]]:
    """Every script played once, by one worker, some at a time."""

    async def all_of_them() -> dict[str, Outcome]:
        client = await Client.connect(server)
        await workers.start(
            "llm-worker", task_queue=LLM_TASK_QUEUE, command=COMMAND, purpose="an LLM of tests"
        )
        at_once = asyncio.Semaphore(4)  # a slow machine is no silent server

        async def one(name: str) -> Outcome:
            async with at_once:
                return await ask(client, name)

        return dict(zip(SCRIPTS, await asyncio.gather(*map(one, SCRIPTS)), strict=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("OPENAI_BASE_URL", raw.base_url)
        patch.setenv("LLM_TIMEOUT", "8")
        try:
            yield asyncio.run(all_of_them())
        finally:
            asyncio.run(workers.stop("llm-worker"))


@pytest.mark.parametrize("name", RETRIED)
def test_what_may_pass_is_tried_again_and_the_text_shown_is_the_second_one(
    name: str, outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    outcome = outcomes[name]
    assert (outcome.shown, outcome.result, outcome.says) == (TEXT, TEXT, "None")
    assert raw.requests[name] == 2
    assert [each.attempt for each in outcome.events if isinstance(each, RetryEvent)] == [2]


@pytest.mark.parametrize("name", ENDED)
def test_what_cannot_pass_ends_at_once_and_says_what_to_do(
    name: str, outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    outcome = outcomes[name]
    assert isinstance(outcome.failure, ApplicationError), outcome
    assert re.search(ENDED[name][1], outcome.failure.message)
    assert outcome.failure.type in ("LLMRefused", "LLMAddress", "LLMUnreadable", "LLMTooLong")
    assert outcome.says.count("\n") == 0
    assert [each for each in outcome.events if isinstance(each, RetryEvent)] == []
    assert raw.requests[name] == 1 or "redirect" in name or "301" in name


@pytest.mark.parametrize("name", SAID)
def test_a_text_that_was_cut_or_refused_says_so_on_the_stream_and_in_the_result(
    name: str, outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    _, text, ended = SAID[name]
    outcome = outcomes[name]
    assert (outcome.shown, outcome.result, raw.requests[name]) == (text, text, 1)
    assert outcome.events[-1] == TextComplete(text, 1, ended)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_odd_but_whole_is_accepted_at_once(
    name: str, outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    outcome, text = outcomes[name], ACCEPTED[name][1]
    assert (outcome.says, raw.requests[name]) == ("None", 1)
    assert outcome.shown == outcome.result == text
    pieces = [each.text for each in outcome.events if not isinstance(each, RetryEvent)]
    assert "".join(pieces[:-1]) == pieces[-1] == text


def test_a_server_that_asks_to_wait_until_a_date_is_heard(
    outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    assert (outcomes[DATED].result, raw.requests[DATED]) == (TEXT, 2)
    assert outcomes[DATED].seconds > 1.5


def test_a_connection_that_is_no_longer_needed_is_left(
    outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    for name in ("the end, then no close", "headers, then silence"):
        assert raw.left[name] == 1


# In a terminal, a pipe, a file.


def play(raw: RawServer, *plays: Play) -> None:
    """What the run in a terminal, whose prompt is always the same, will meet."""
    raw.scripts[PROMPT], raw.requests[PROMPT] = plays, 0


def run(command: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        ["bash", "-c", command.replace("LLM", f"{sys.executable} -m streamlib.scenarios llm")],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        timeout=40,
        check=False,
    )
    done.stderr = without_waits(done.stderr.decode()).encode()
    return done


PROMPTED = f"[prompt] {PROMPT}\n".encode()
CUT: Play = [OK, *words("the first ", "attempt, ", "which is cut off"), 0.3]


def test_a_file_gets_the_text_once_and_no_escapes_whatever_was_tried_again(
    outcomes: dict[str, Outcome], raw: RawServer, tmp_path: Path
) -> None:
    play(raw, CUT, GOOD)
    done = run(f"LLM > {tmp_path}/out")
    said = f"{TEXT}\nworkflow result: {len(TEXT)} characters, attempt 2\n".encode()
    assert (tmp_path / "out").read_bytes() == PROMPTED + said
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_reader_that_goes_away_ends_it_quietly(
    outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    play(raw, GOOD)
    done = run("set -o pipefail; LLM | head -1")
    assert (done.stdout, done.stderr, done.returncode) == (PROMPTED, b"", 0)


def test_what_cannot_be_encoded_is_replaced(outcomes: dict[str, Outcome], raw: RawServer) -> None:
    play(raw, whole("na\u00efve ", "\ud83d", "\ude42 ", "\ud83d."))
    done = run("LLM", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    said = b"na?ve ? ?.\nworkflow result: 10 characters\n"
    assert (done.stdout, done.stderr, done.returncode) == (PROMPTED + said, b"", 0)


def test_a_text_that_was_cut_off_says_so_in_the_terminal(
    outcomes: dict[str, Outcome], raw: RawServer
) -> None:
    play(raw, [OK, *words("half a"), chunk(end="length")])
    done = run("LLM")
    assert b"half a\n\n[cut off: the model reached its limit of tokens]\n" in done.stdout


def test_ctrl_c_in_mid_text_ends_the_line(outcomes: dict[str, Outcome], raw: RawServer) -> None:
    play(raw, ENDLESS)
    terminal = InATerminal()
    try:
        terminal.read_until(lambda text: " 12 13" in text)
        terminal.process.send_signal(signal.SIGINT)
        printed = terminal.read_until(lambda _: False)
        assert terminal.process.wait(10) == 0
    finally:
        terminal.close()
    assert printed.endswith(" \r\n")
    assert "Traceback" not in printed


# What the worker said, and the key: in nothing that was written.


@pytest.fixture(scope="module")
def log(outcomes: dict[str, Outcome], home: Path) -> str:
    return (home / "logs" / "llm-worker.log").read_text()


def test_the_worker_s_log_has_a_line_for_each_attempt_that_failed_and_no_traceback(
    log: str, outcomes: dict[str, Outcome]
) -> None:
    assert "Traceback" not in log
    assert "Warning" not in log
    for name, outcome in outcomes.items():
        lines = [line for line in log.splitlines() if outcome.handle.id in line]
        if name in ENDED or name in RETRIED or name == DATED:
            assert len(lines) == 1, (name, lines)
            assert "attempt 1: LLM" in lines[0]
        elif name in (CANCELLED, TERMINATED):
            assert len(lines) <= 1, (name, lines)
        else:
            assert lines == []


def test_what_was_asked_for_no_longer_ends_quietly(log: str, outcomes: dict[str, Outcome]) -> None:
    for name in (CANCELLED, TERMINATED):
        assert outcomes[name].result is None
        assert 0 < len(outcomes[name].shown) < 1000


async def test_the_key_is_in_no_history_and_no_log(
    outcomes: dict[str, Outcome], log: str, client: Client
) -> None:
    for name, outcome in outcomes.items():
        history = await outcome.handle.fetch_history()
        written = b"".join(each.SerializeToString() for each in history.events)
        assert name.encode() in written  # it would have been found
        assert KEY.encode() not in written, name
        chain, error = [], outcome.failure
        while error:
            chain.append(repr(error))
            error = error.__cause__ or error.__context__
        assert KEY not in "".join(chain)
        assert KEY not in outcome.shown
    assert KEY not in log

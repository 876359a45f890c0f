"""Scenario 5's worker: from a terminal without a key, and from a notebook's cell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus

from streamlib import WorkflowStreamClient, lab
from streamlib.lab.lessons.llm import WORKER
from streamlib.lab.machine import scripted, workers
from streamlib.scenarios.connect import connect
from streamlib.scenarios.llm import LLM_TASK_QUEUE, LLMInput, LLMWorkflow
from streamlib.scenarios.model import NoLLMError
from streamlib.scenarios.transcript import RetryEvent, TextDelta
from tests.lab.conftest import Program

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def ended(server: str) -> Iterator[None]:
    """What a test leaves running is ended."""
    yield
    asyncio.run(workers.stop(WORKER))
    asyncio.run(scripted.stop())


async def test_worker_py_says_that_it_is_scripted_and_ctrl_c_mid_stream_loses_nothing(
    server: str, tmp_path: Path
) -> None:
    program = Program(["worker.py", "--llm"], tmp_path / "first", {})
    program.until_prints("Ctrl-C ends it")
    assert "SCRIPTED: no OPENAI_API_KEY or OPENAI_BASE_URL is set" in program.printed
    assert LLM_TASK_QUEUE in program.printed
    await (await scripted.start()).control(pace=0.02)
    client = await connect()
    answer = await client.start_workflow(
        LLMWorkflow.run, LLMInput("why?"), id=f"llm-{uuid4().hex}", task_queue=LLM_TASK_QUEUE
    )
    stream = WorkflowStreamClient.create(client, answer.id)
    await anext(stream.subscribe("delta"))
    assert program.ctrl_c(5) == 0
    assert "Traceback" not in program.printed
    began = time.monotonic()
    again = Program(["worker.py", "--llm"], tmp_path / "second", {})
    retry = await anext(stream.subscribe("retry", result_type=RetryEvent))
    assert retry.data.attempt == 2
    assert time.monotonic() - began < 15
    text = await answer.result()
    pieces = [item.data async for item in stream.subscribe("delta", result_type=TextDelta)]
    assert "".join(piece.text for piece in pieces if piece.attempt == 2) == text
    assert again.ctrl_c(5) == 0


async def test_without_the_lab_the_worker_says_in_one_line_that_no_llm_is_configured(
    server: str, tmp_path: Path
) -> None:
    program = Program(["-m", "streamlib.scenarios.worker", "--llm"], tmp_path / "output", {})
    assert program.ends() == 1
    assert program.printed.count("\n") == 1
    assert "OPENAI_BASE_URL" in program.printed
    assert "python worker.py --llm" in program.printed


async def test_a_cell_starts_it_finds_it_again_and_ends_it_with_what_it_had_left(
    session: lab.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    llm = await lab.start_llm(session)
    assert llm.scripted
    assert capsys.readouterr().out == f"{llm}\n"
    assert "SCRIPTED: no model writes it" in repr(llm)
    again = await lab.start_llm(session, quiet=True)
    assert (again.worker.pid, again.server) == (llm.worker.pid, llm.server)
    assert {part.name for part in (await lab.status()).parts} >= {"llm-worker", "scripted-llm"}
    await llm.fail("429", times=2)
    assert llm.server is not None
    assert [each["kind"] for each in (await llm.server.control())["faults"]] == ["429", "429"]
    with pytest.raises(
        lab.LabError, match="none of drop, cut, stall, keep-alive, length, refuse or a status"
    ):
        await llm.fail("explode")
    await llm.worker.kill()
    left = await llm.ask("nobody answers this")
    await lab.start_llm(session, quiet=True)  # as after a kernel restart: alive again
    assert llm.worker.alive
    assert (await llm.server.control())["faults"] == []
    await session.stop()
    assert "llm-worker (pid" in (said := capsys.readouterr().out)
    assert "scripted-llm (pid" in said
    await llm.stop()
    await llm.stop()
    assert (await left.describe()).status != WorkflowExecutionStatus.RUNNING
    # (Other tests may have workers of their own.)
    assert "worker" in (known := workers.names())
    assert "llm-worker" not in known
    assert scripted.last() is None
    assert (await lab.status()).ok


async def test_settings_that_cannot_be_used_are_told_in_the_cell(
    session: lab.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary\n")
    with pytest.raises(NoLLMError, match="OPENAI_API_KEY has a character"):
        await lab.start_llm(session)
    assert WORKER not in workers.names()


async def test_worker_py_refuses_settings_that_cannot_work_in_one_line(
    server: str, tmp_path: Path
) -> None:
    program = Program(["worker.py", "--llm"], tmp_path / "output", {"LLM_TIMEOUT": "abc"})
    assert program.ends() == 1
    assert program.printed.splitlines()[-1] == (
        "worker: LLM_TIMEOUT is 'abc'; it takes seconds, from above 0 to 600."
    )
    assert "Traceback" not in program.printed


async def test_a_worker_of_another_llm_is_replaced_and_a_real_one_fails_when_it_likes(
    session: lab.Session,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    llm = await lab.start_llm(session)
    assert (llm.scripted, llm.source) == (False, "OpenAI")
    before = llm.worker.pid
    await llm.fail("429")
    await llm.pace(1)
    assert "cannot be told to fail" in capsys.readouterr().out
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    llm = await lab.start_llm(session)
    assert (llm.source, llm.worker.pid != before) == ("http://127.0.0.1:9/v1", True)
    assert scripted.last() is None
    records = [path.read_text() for path in (home / "run").glob("*.json")]
    assert [record for record in records if "canary" in record] == []
    await llm.stop()

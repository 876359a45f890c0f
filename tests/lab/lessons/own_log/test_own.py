"""The learner's log under a real stream: a worker of its own, the sandbox, the readers as ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from streamlib import WorkflowStreamClient, lab
from streamlib.core.log import Item, Log
from streamlib.lab.lessons.own_log import own
from streamlib.lab.machine import workers
from streamlib.scenarios.hub import HubWorkflow
from streamlib.scenarios.ticker import TickerInput
from tests.lab.lessons.own_log.planted import log, publishers
from tests.lab.lessons.test_twice import TEN_TIMES

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
async def folder(
    session: lab.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Path]:
    """Where the notebook would be; the worker is gone in the end, and nothing is left open."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    await own.end_all(session.client)
    assert not {own.WORKER, own.BROKEN} & {*workers.names()}


def write(folder: Path, my_log: str = "", my_publishers: str = "") -> None:
    (folder / "my_log.py").write_text(my_log or log())
    (folder / "my_publishers.py").write_text(my_publishers or publishers())


def stream_of(session: lab.Session, hub: Any) -> WorkflowStreamClient:
    return WorkflowStreamClient.create(session.client, hub.id)


async def six(session: lab.Session, hub: Any) -> tuple[WorkflowStreamClient, list[Any]]:
    """Five items, all read; up to 3 truncated; a sixth: what the reader that waits gets of it."""
    stream = stream_of(session, hub)
    reader = stream.subscribe()
    for number in range(6):
        if number == 5:
            for _ in range(5):
                await anext(reader)
            await hub.execute_update(HubWorkflow.truncate, 3)
        stream.topic("news").publish(number)
        await stream.flush()
    return stream, [(item.offset, item.data) for item in await lab.arrived(reader, patience=3)]


async def test_a_stream_of_their_parts_does_what_a_stream_does(
    session: lab.Session, folder: Path
) -> None:
    write(folder)
    mine = await lab.start_own_log(session)
    assert mine.parts == {"my_log.py": "yours", "my_publishers.py": "yours"}
    assert mine.worker.task_queue != session.task_queue
    hub = await mine.host()
    stream, got = await six(session, hub)
    assert got == [(5, 5)]
    for _ in range(2):
        await lab.send_batch(hub, "p", 1, "once")
    about = await stream.describe(items=9, batches=2)
    assert (about.base_offset, about.end_offset) == (3, 7)
    assert [batch.verdict for batch in about.batches] == ["accepted", "duplicate"]
    assert [item.offset for item in about.items] == [3, 4, 5, 6]
    assert about.size == sum(item.size for item in about.items)
    again = [item.offset for item in await lab.arrived(stream.subscribe("news", 1))]
    assert again == [3, 4, 5, 6]
    ticker = await mine.tick(TickerInput(ticks=12, at_once=6, interval_seconds=0.1))
    assert await ticker.result() == "ticker emitted 12 events"
    assert (await stream_of(session, ticker).describe()).base_offset == 8
    await mine.stop()
    assert own.WORKER not in workers.names()
    status = (await hub.describe()).status
    assert status == WorkflowExecutionStatus.TERMINATED


async def test_it_runs_in_the_sandbox_and_really_is_theirs(
    session: lab.Session, folder: Path
) -> None:
    """What a workflow may not do fails its task: the class that does it is no other than theirs."""
    write(folder, "import os\n" + log(append="os.listdir('/')\nself._items.append(item)\n"
                                      "return self.end_offset - 1"))  # fmt: skip
    mine = await lab.start_own_log(session, quiet=True)
    assert mine.parts["my_log.py"] == "yours"
    hub = await mine.host()
    await lab.send_batch(hub, "p", 1, "news")
    failure = ""
    for _ in range(100):
        for event in (await hub.fetch_history()).events:
            failed = event.workflow_task_failed_event_attributes
            failure = failure or failed.failure.message
        if failure:
            break
        await asyncio.sleep(0.1)
    assert "listdir" in failure


async def test_a_worker_of_these_very_files_is_kept_and_one_of_others_is_replaced(
    session: lab.Session, folder: Path
) -> None:
    """So a stream is never replayed into something else by another log, a broken one say."""
    write(folder)
    first = await lab.start_own_log(session, quiet=True)
    pid, queue = first.worker.pid, first.worker.task_queue
    broken = await lab.start_own_log(session, broken=True, quiet=True)
    assert broken.worker.task_queue != queue
    again = await lab.start_own_log(session, quiet=True)
    assert (again.worker.pid, again.worker.task_queue) == (pid, queue)
    write(folder, "# changed\n" + log())
    other = await lab.start_own_log(session, quiet=True)
    assert (other.worker.pid != pid, other.worker.task_queue != queue) == (True, True)


async def test_what_is_not_green_ours_stands_in_for_and_says_so(
    session: lab.Session, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, log(truncate="..."))
    mine = await lab.start_own_log(session)
    assert mine.parts == {
        "my_log.py": "streamlib's, until 9.8 is green",
        "my_publishers.py": "yours",
    }
    assert "my_log.py         streamlib's, until 9.8 is green" in capsys.readouterr().out
    _, got = await six(session, await mine.host())
    assert got == [(5, 5)]


@TEN_TIMES
async def test_what_notebook_09_predicts_of_a_log_that_gives_an_offset_twice(
    session: lab.Session, time_: int
) -> None:
    broken = await lab.start_own_log(session, broken=True, quiet=True)
    stream, got = await six(session, await broken.host())
    assert got == []
    assert await stream.get_offset() == 3


@TEN_TIMES
async def test_what_notebook_09_predicts_of_a_log_that_is_right(
    session: lab.Session, time_: int
) -> None:
    """By the library's log, and by a stream on the server."""
    ours = Log()
    hub = await lab.host(session)
    stream = stream_of(session, hub)
    for number in range(5):
        ours.append(Item("news", number, 1))
        stream.topic("news").publish(number)
    await stream.flush()
    for up_to, base in ((3, 3), (5, 5), (2, 5)):
        ours.truncate(up_to)
        await hub.execute_update(HubWorkflow.truncate, up_to)
        assert ours.base_offset == (await stream.describe()).base_offset == base
        if up_to == 3:
            assert ours.read(1).items[0][0] == 3
            assert (await anext(stream.subscribe(from_offset=1))).offset == 3
            assert ours.read(0, topics=["nobody"]).next_offset == 5
            nobody = stream.subscribe("nobody")
            await lab.arrived(nobody, patience=0.5)
            assert nobody.position == 5
    stream.topic("news").publish("one more")
    await stream.flush()
    assert ours.append(Item("news", 5, 1)) == 5
    assert [item.offset for item in await lab.arrived(stream.subscribe())] == [5]

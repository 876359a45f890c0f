"""What a view says is so: with a dead worker, a buffered page, a filter, a foreign host."""

from __future__ import annotations

import asyncio
import gc
import threading
import uuid

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from bench.grown import GrownHub, GrownInput
from streamlib import WorkflowStreamClient, lab
from streamlib.lab.machine import workers
from streamlib.lab.widgets import asked, background, stream_view
from streamlib.scenarios.hub import HubWorkflow
from tests.lab.widgets.page import Browser, Open, publish, until
from tests.server import hosts

pytestmark = pytest.mark.server


async def row(page: Browser, name: str, **wanted: object) -> dict[str, object]:
    """A reader's row, once it says so."""

    def there() -> dict[str, object] | None:
        for each in page.view.frame["readers"]:
            if each["name"] == name and all(each[key] == value for key, value in wanted.items()):
                return dict(each)
        return None

    await until(lambda: there() is not None)
    found = there()
    assert found is not None
    return found


async def test_reading_with_a_dead_worker_says_what_is_there_and_that_nobody_answers(
    session: lab.Session, stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    ann = stream.subscribe()
    page = await open_view(ann=ann)
    page.look()
    key = (await row(page, "ann", lag=6))["key"]
    await session.worker.kill()
    try:
        await page.frame(lambda frame: frame["trouble"])
        answer = await page.ask("read", reader=key, count=1)
        assert (answer["ok"], answer["text"].startswith("6 to read")) == (False, True), answer
        assert "worker" in answer["text"]
    finally:
        await workers.start()


async def test_truncating_with_a_dead_worker_is_said_to_wait_and_then_what_came_of_it(
    session: lab.Session, stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    page = await open_view()
    page.look()
    await page.frame(lambda frame: frame["truncate"]["ok"])
    await session.worker.kill()
    try:
        answer = asyncio.ensure_future(page.ask("truncate", up_to=4))
        await until(lambda: page.words)
        assert "waits for a worker" in page.words[0]
        assert not answer.done()
    finally:
        await workers.start()
    moved = asyncio.ensure_future(page.frame(lambda frame: frame["stream"]["base"] == 4))
    assert (await answer)["ok"] is True
    done = asyncio.get_running_loop().time()
    await moved
    assert asyncio.get_running_loop().time() - done < 6


async def test_what_a_run_has_used_is_counted_though_nobody_answers(
    session: lab.Session,
    hub: WorkflowHandle[HubWorkflow, str],
    stream: WorkflowStreamClient,
    open_view: Open,
) -> None:
    """Signals that wait for a worker, and those of other names, are used up too."""
    await publish(stream, "news", 1)
    await hub.signal("no-such-signal")
    page = await open_view()
    page.look()
    frame = await page.frame(lambda frame: frame["cost"]["signals"][0] == 2)
    assert frame["stream"]["end"] == 1
    await session.worker.kill()
    try:
        await publish(stream, "news", 1)
        frame = await page.frame(lambda frame: frame["cost"]["signals"][0] == 3)
        assert frame["cost"]["events"][0] >= 1 + 3
        assert frame["stream"]["end"] == 1
    finally:
        await workers.start()


async def test_what_is_counted_is_never_told_in_part(
    session: lab.Session,
    hub: WorkflowHandle[HubWorkflow, str],
    stream: WorkflowStreamClient,
    open_view: Open,
) -> None:
    """A count that grows while history is read would look like a pace, though nothing happens."""
    for up_to in range(4):
        await publish(stream, "news", 1)
        await hub.execute_update(HubWorkflow.truncate, up_to)
    page = await open_view()
    told = [page.view.frame]
    page.view.observe(lambda change: told.append(change["new"]), "frame")
    page.look()
    await page.frame(lambda frame: frame["cost"]["signals"][0] == 4)
    costs = [frame["cost"] for frame in told if frame["cost"]]
    assert {cost["signals"][0] for cost in costs} <= {None, 4}
    assert {cost["updates"][0] for cost in costs} <= {None, 4}


async def test_publishing_where_nobody_says_whether_a_stream_is_there_says_a_word(
    session: lab.Session, open_view: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "PATIENCE", 0.3)
    nobody = f"nobody-{uuid.uuid4()}"
    await session.client.start_workflow("Nobody", id=nobody, task_queue=nobody)
    page = await open_view(of=nobody)
    page.look()
    answer = asyncio.ensure_future(page.ask("publish", topic="a", text="b", count=1))
    await until(lambda: page.words)
    assert page.words[0].startswith("not sent yet: no stream has answered.")
    assert (await answer)["ok"] is False


async def test_publishing_with_a_dead_worker_is_not_stored_until_it_is(
    session: lab.Session, stream: WorkflowStreamClient, open_view: Open
) -> None:
    """A signal needs no worker; with a paused server it is another matter."""
    page = await open_view()
    page.look()
    await page.frame(lambda frame: frame["stream"])
    await session.server.pause()
    try:
        answer = asyncio.ensure_future(page.ask("publish", topic="news", text="x", count=1))
        await until(lambda: page.words, 15)
        assert "not acknowledged yet" in page.words[0]
    finally:
        await session.server.resume()
    assert (await answer)["text"] == "1 item stored"


async def test_what_a_reader_holds_is_not_lost_with_a_truncation(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    ann = stream.subscribe()
    assert (await anext(ann)).offset == 0  # the rest of the page is in its hands
    page = await open_view(ann=ann)
    page.look()
    await hub.execute_update(HubWorkflow.truncate, 4)
    await page.frame(lambda frame: frame["stream"]["base"] == 4)
    told = await row(page, "ann", held=5)
    assert (told["below"], told["lag"], told["position"]) == (0, 5, 1)
    read = await page.ask("read", reader=told["key"], count=2)
    assert read["text"] == "2 items, offsets 1 to 2"
    assert [item.offset for item in [await anext(ann) for _ in range(3)]] == [3, 4, 5]


async def test_a_reader_of_one_topic_has_what_is_left_of_that(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    for topic in ("news", "sport", "news", "sport", "sport"):
        await publish(stream, topic, 2)
    bob = stream.subscribe("news")
    page = await open_view(bob=bob)
    page.look()
    told = await row(page, "bob", unread=4)
    assert (told["lag"], told["only"]) == (10, [0])


async def test_a_reader_that_begins_at_0_is_not_said_to_raise(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    page = await open_view()
    page.look()
    opened = await page.ask("open", **{"from": 0, "on_truncated": "raise"})
    assert "never raises before its first item" in opened["text"]
    name = "view 1 (raises after its first item)"
    key = (await row(page, name))["key"]
    await hub.execute_update(HubWorkflow.truncate, 3)
    assert (await page.ask("read", reader=key, count=1))["text"] == (
        "offset 3: 3, 3 missed before it"
    )
    await page.ask("open", **{"from": 4, "on_truncated": "raise"})
    await row(page, "view 2 (raises)")


async def test_a_reader_that_begins_at_the_end_stands_there_before_it_starts(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    page = await open_view(ann=stream.subscribe(from_offset="latest"))
    page.look()
    told = await row(page, "ann", position=6)
    assert (told["lag"], told["unread"], told["below"], told["held"]) == (0, 0, 0, 0)
    await publish(stream, "news", 1)
    await row(page, "ann", position=7, lag=0)


async def test_to_a_workflow_that_hosts_no_stream_nothing_is_published(
    client: Client, open_view: Open
) -> None:
    name = f"no-stream-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[hosts.NoStream]):
        handle = await client.start_workflow(hosts.NoStream.run, id=name, task_queue=name)
        for of in (name, "no-such-workflow"):
            page = await open_view(of=WorkflowStreamClient.create(client, of))
            answer = await page.ask("publish", topic="news", text="x", count=1)
            assert (answer["ok"], answer["text"][:17]) == (False, "nothing was sent."), answer
            rate = await page.ask("publish_pace", topic="news", text="x", rate=1)
            assert rate["ok"] is False
        events = [EventType.Name(e.event_type) for e in (await handle.fetch_history()).events]
        assert "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED" not in events
        await handle.terminate()


async def test_more_items_than_may_be_published_at_once_are_refused_not_cut(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    page = await open_view()
    answer = await page.ask("publish", topic="news", text="x", count=10**9)
    assert (answer["ok"], answer["text"]) == (
        False,
        "count may be 10,000 at most; you asked for 1,000,000,000",
    )
    assert await stream.get_offset() == 0


async def test_a_peer_s_host_that_has_ended_is_closed(client: Client, open_view: Open) -> None:
    name = f"peer-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[hosts.PeerHub]):
        hub = await client.start_workflow(
            hosts.PeerHub.run, hosts.PeerHubInput(), id=name, task_queue=name
        )
        stream = WorkflowStreamClient.create(client, name)
        await publish(stream, "news", 3)
        page = await open_view(of=stream)
        page.look()
        frame = await page.frame(lambda frame: frame["stream"] and frame["stream"]["end"] == 3)
        # Its end is asked for, its signals are read from its history: either may come first.
        frame = await page.frame(lambda frame: frame["cost"]["signals"][0] == 1)
        assert (frame["stream"]["status"], frame["stream"]["end"]) == ("RUNNING", 3)
        assert frame["ui"] == (background.ui_of(name, frame["stream"]["run_id"]) or "")
        await hub.terminate()
        await page.frame(lambda frame: frame["stream"]["status"] == "TERMINATED")


async def test_the_number_of_a_run_is_true_beyond_the_seams_that_are_kept(
    client: Client, open_view: Open
) -> None:
    name = f"rolled-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[GrownHub]):
        await client.start_workflow(
            GrownHub.run, GrownInput(40, rolls=20, keep=20), id=name, task_queue=name
        )
        page = await open_view(of=WorkflowStreamClient.create(client, name))
        page.look()
        frame = await page.frame(lambda frame: frame["stream"] and frame["stream"]["run"] == 21)
        assert frame["stream"]["seams"] == [40]  # no item came between: one seam
        await client.get_workflow_handle(name).terminate()


async def test_a_reader_that_only_the_view_was_given_stays(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 2)
    page = await open_view(gone=stream.subscribe())
    gc.collect()
    page.look()
    await row(page, "gone", lag=2)


async def test_publishers_have_names(stream: WorkflowStreamClient, open_view: Open) -> None:
    laptop = WorkflowStreamClient.create(stream.temporal_client, stream.workflow_id)
    await publish(laptop, "news", 1)
    await publish(stream, "news", 1)
    page = await open_view(laptop=laptop, activity=stream.publisher_id)
    page.look()
    await page.ask("publish", topic="news", text="x", count=1)
    frame = await page.frame(lambda frame: len(frame["publishers"]) == 3)
    assert [each[2] for each in frame["publishers"]] == ["laptop", "activity", "this view"]
    assert sorted(frame["who"].values()) == ["activity", "laptop", "this view"]


async def test_it_reads_and_publishes_at_a_pace_until_it_is_stopped(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    page = await open_view(ann=stream.subscribe())
    page.look()
    key = (await row(page, "ann"))["key"]
    started = await page.ask("publish_pace", topic="news", text="x", rate=5)
    assert started["ok"] is True, started
    assert (await page.ask("pace", reader=key, rate=2))["ok"] is True
    frame = await page.frame(lambda frame: frame["stream"]["end"] >= 10)
    assert frame["publishing"] == 5
    await row(page, "ann", pace=2)
    assert (await page.ask("publish_pace", rate=0))["ok"] is True
    assert (await page.ask("pace", reader=key, rate=0))["ok"] is True
    end = await stream.get_offset()
    position = (await row(page, "ann", pace=0))["position"]
    assert 2 <= int(str(position)) < end
    await asyncio.sleep(1.3)
    assert await stream.get_offset() == end
    assert (await row(page, "ann"))["position"] == position
    read = await page.ask("read", reader=key, all=True)
    assert read["text"].endswith(f"to {end - 1}")


async def test_the_values_of_a_range_come_in_one_line_each_and_as_text(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    for value in ("Once ", "upon", {"attempt": 1, "text": " a"}, {"n": 1}, "\u202etime"):
        stream.topic("delta").publish(value)
    await stream.flush()
    page = await open_view()
    page.look()
    await page.frame(lambda frame: frame["stream"]["end"] == 5)
    told = (await page.ask("values", first=0, count=500))["values"]
    assert [row[0] for row in told] == [0, 1, 2, 3, 4]
    assert "".join(row[2] or "" for row in told) == "Once upon a⟨U+202E⟩time"
    assert told[2][1] == '{"attempt": 1, "text": " a"}'
    assert told[4][1] == "⟨U+202E⟩time"
    assert page.view.frame["readers"] == []


async def test_nothing_is_left_of_views_that_are_gone(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    """No thread, no task, no call: a cell that is run again and again leaves none."""
    await publish(stream, "news", 3)

    def threads() -> set[str]:
        return {each.name for each in threading.enumerate() if "stream-view" in each.name}

    before = len(asyncio.all_tasks())
    pages = [await open_view() for _ in range(10)]
    for page in pages:
        page.look()
    for page in pages:
        await page.frame(lambda frame: frame["stream"]["end"] == 3)
    await pages[0].ask("open", **{"from": 0})
    await pages[1].ask("publish_pace", topic="news", text="x", rate=1)
    assert threads() == {"stream-view"}
    assert len(asyncio.all_tasks()) > before + 10
    for page in pages:
        page.tell(kind="watch", view="page", visible=False, gone=True)
    await until(lambda: not threads())
    await until(lambda: len(asyncio.all_tasks()) <= before)
    pages[0].look()  # its page is opened again
    await publish(stream, "news", 1)
    await pages[0].frame(lambda frame: frame["stream"]["end"] >= 4)
    assert threads() == {"stream-view"}


async def test_a_picture_is_of_the_moment_it_is_asked_for(
    stream: WorkflowStreamClient, open_view: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_view, "FIRST_LOOK", 30.0)  # however slow the machine
    monkeypatch.setattr(stream_view, "RECENT", 0.0)
    page = await open_view()
    await publish(stream, "news", 21)
    html = page.view._repr_mimebundle_()[0]["text/html"]
    assert "end offset 21" in html

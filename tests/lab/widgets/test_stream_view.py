"""The view's kernel half on the real server: its messages in and out, as a browser meets them."""

from __future__ import annotations

import asyncio
import uuid
from array import array

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from bench.grown import GrownHub, GrownInput
from streamlib import WorkflowStreamClient, lab
from streamlib.lab import LabError, view
from streamlib.lab.widgets import stream_view
from streamlib.scenarios.hub import HubInput, HubWorkflow
from tests.lab.widgets.page import Open, publish, until
from tests.server import hosts

pytestmark = pytest.mark.server


async def test_the_first_frame_is_there_when_the_view_is(
    stream: WorkflowStreamClient, open_view: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_view, "FIRST_LOOK", 30.0)  # however slow the machine
    await publish(stream, "news", 3)
    page = await open_view()
    assert page.view.frame["stream"]["end"] == 3
    assert "Base offset 0, end offset 3" in page.view._repr_mimebundle_()[0]["text/html"]
    assert repr(page.view).endswith("offsets 0 to 3>")


async def test_a_view_out_of_sight_whose_first_look_came_late_is_filled_all_the_same(
    stream: WorkflowStreamClient, open_view: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_view, "FIRST_LOOK", 0.0)
    await publish(stream, "news", 3)
    page = await open_view()
    assert page.view.frame["stream"] is None
    page.look(visible=False)
    filled = await page.frame(lambda frame: frame["stream"] is not None)
    assert filled["stream"]["end"] == 3


async def test_a_handle_or_an_id_will_do(
    session: lab.Session, hub: WorkflowHandle[HubWorkflow, str], open_view: Open
) -> None:
    for of in (hub, hub.id):
        page = await open_view("tape", of=of)
        assert page.view.client.temporal_client is session.client
        page.look()
        await page.frame(lambda frame: frame["stream"]["workflow_id"] == hub.id)


async def test_it_follows_while_somebody_looks_and_not_otherwise(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    page = await open_view()
    page.look()
    await publish(stream, "news", 3)
    await page.frame(lambda frame: frame["stream"]["end"] == 3)
    page.look(visible=False)
    await asyncio.sleep(0.3)  # what was under way may still arrive; from then on nothing may
    revision = page.view.frame["rev"]
    await publish(stream, "news", 3)
    other = stream.subscribe()
    assert [(await anext(other)).offset for _ in range(6)] == list(range(6))
    assert page.view.frame["rev"] == revision
    page.look()
    await page.frame(lambda frame: frame["stream"]["end"] == 6)


async def test_watching_writes_nothing_to_the_history(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 3)
    page = await open_view()
    page.look()
    await publish(stream, "news", 3)
    await page.frame(lambda frame: frame["stream"]["end"] == 6)
    before = [event.event_type for event in (await hub.fetch_history()).events]
    for offset in range(6):
        await page.ask("item", offset=offset)
        await page.ask("range", first=offset, count=4096)
    assert [event.event_type for event in (await hub.fetch_history()).events] == before


async def test_revisions_grow_and_nothing_is_sent_while_nothing_changes(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    page = await open_view("tape")
    seen: list[int] = []
    page.view.observe(lambda change: seen.append(change["new"]["rev"]), "frame")
    page.look()
    for count in range(1, 6):
        await publish(stream, "news", 1)
        await page.frame(lambda frame, count=count: frame["stream"]["end"] == count)
    assert seen == sorted(set(seen))
    before = len(seen)
    for _ in range(3):
        await asyncio.sleep(0.5)
        page.look()  # a browser says every few seconds that it still looks
    assert len(seen) - before <= 1  # the server may have counted its history anew


async def test_a_page_of_items_and_what_is_not_there(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 30)
    await hub.execute_update(HubWorkflow.truncate, 10)
    page = await open_view()
    about, (topic, size, whose, sequence) = await page.ask_whole("range", first=5, count=15)
    assert (about["first"], about["base"], about["end"]) == (10, 10, 30)
    assert about["count"] == len(topic) // 2 == len(size) // 4 == len(whose) // 2
    assert array("I", sequence).tolist() == [1] * about["count"]
    beyond, _ = await page.ask_whole("range", first=500, count=5)
    assert beyond["count"] == 0


async def test_an_item_s_value_is_text_and_what_is_gone_is_said(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    stream.topic("news").publish({"kind": "<b>ü</b>"})
    stream.topic("news").publish("x" * 10_000)
    await stream.flush()
    page = await open_view()
    told = await page.ask("item", offset=0)
    assert told["text"] == '{\n  "kind": "<b>ü</b>"\n}'
    assert (told["found"], told["topic"], told["encoding"]) == (True, "news", "json/plain")
    assert (told["publisher"], told["sequence"]) == (stream.publisher_id, 1)
    long = await page.ask("item", offset=1)
    assert (len(long["text"]), long["cut"]) == (4000, True)
    await hub.execute_update(HubWorkflow.truncate, 1)
    gone = await page.ask("item", offset=0)
    assert (gone["found"], "no longer" in gone["error"]) == (False, True)
    await page.frame(lambda _: True)
    assert page.view.frame["readers"] == []  # peeking is nobody's subscription


async def test_truncate_is_the_workflow_s_own_update(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    page = await open_view()
    page.look()
    await page.frame(lambda frame: frame["truncate"]["ok"])
    assert (await page.ask("truncate", up_to=4))["ok"] is True
    await page.frame(lambda frame: frame["stream"]["base"] == 4)
    refused = await page.ask("truncate", up_to=40)
    assert (refused["ok"], "TruncateOutOfRange" in refused["text"] or "40" in refused["text"]) == (
        False,
        True,
    )
    assert (await page.ask("truncate", up_to=-1))["ok"] is False
    assert (await page.ask("truncate", up_to="<b>"))["ok"] is False


async def test_the_playground_sets_retention_and_shows_names_with_their_lag(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    async with stream.subscribe(name="billing", from_offset=1):
        page = await open_view()
        page.look()
        await page.frame(lambda frame: frame["retain"]["ok"])
        assert (await page.ask("retain", max_items=2))["ok"] is True
        shown = await page.frame(lambda frame: frame["stream"]["base"] == 4)
        assert shown["retain"]["says"] == "It keeps at most 2 items."
        [named] = [row for row in shown["readers"] if row["kept"]]
        assert (named["name"], named["position"], named["lag"]) == ("billing", 1, 5)
        assert (await page.ask("retain", max_items=0))["ok"] is True
        await page.frame(lambda frame: frame["retain"]["says"] == "")
        assert (await page.ask("retain", max_items=-1))["ok"] is False
        assert (await page.ask("retain", max_items="<b>"))["ok"] is False


async def test_a_lost_acknowledgement_makes_a_duplicate_that_is_dropped(
    stream: WorkflowStreamClient, open_view: Open
) -> None:
    page = await open_view()
    page.look()
    said = await page.ask("publish", topic="news", text="twice?", count=1, lose_ack=True)
    assert said["ok"] is True, said
    frame = await page.frame(lambda frame: [b for b in frame["batches"] if b[2] == "duplicate"])
    assert frame["stream"]["end"] == 1
    assert [(row[2], row[4], row[5]) for row in frame["publishers"]] == [("this view", 1, 1)]


async def test_its_own_readers_and_the_notebook_s(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 6)
    ann = stream.subscribe("news", from_offset=1, on_truncated="raise")
    page = await open_view(ann=ann)
    page.look()
    frame = await page.frame(lambda frame: frame["readers"])
    row = frame["readers"][0]
    names = ("name", "topics", "position", "lag", "below", "missed", "state", "own", "unread")
    assert [row[name] for name in names] == ["ann", ["news"], 1, 5, 0, 0, "open", False, 5]
    key = row["key"]
    await page.ask("truncate", up_to=3)
    raised = await page.ask("read", reader=key, count=1)
    assert (raised["ok"], "1 to 2 were truncated" in raised["text"]) == (False, True)
    read = await page.ask("read", reader=key, count=1)
    assert read["text"] == "offset 3: 3, 2 missed before it"
    frame = await page.frame(lambda frame: frame["readers"][0]["position"] == 4)
    assert frame["readers"][0]["missed"] == 2
    assert (await page.ask("close", reader=key))["ok"] is False

    assert (await page.ask("open", **{"from": "latest", "on_truncated": "skip"}))["ok"] is True
    frame = await page.frame(lambda frame: len(frame["readers"]) == 2)
    own = frame["readers"][1]
    assert (own["position"], own["own"]) == (6, True)
    assert (await page.ask("close", reader=own["key"]))["ok"] is True
    await page.frame(lambda frame: len(frame["readers"]) == 1)


async def test_reset_shows_another_stream(
    session: lab.Session, open_view: Open, stream: WorkflowStreamClient
) -> None:
    await publish(stream, "news", 6)
    made: list[WorkflowStreamClient] = []

    async def fresh() -> WorkflowStreamClient:
        hub = await lab.host(session)
        made.append(WorkflowStreamClient.create(session.client, hub.id))
        await publish(made[-1], "fresh", 2)
        return made[-1]

    page = await open_view(reset=fresh)
    page.look()
    await page.frame(lambda frame: frame["stream"]["end"] == 6)
    assert (await page.ask("reset"))["ok"] is True
    frame = await page.frame(lambda frame: frame["epoch"] == 1 and frame["stream"])
    assert (frame["stream"]["end"], frame["topics"]) == (2, ["fresh"])


async def test_a_command_that_makes_no_sense_is_answered(open_view: Open) -> None:
    page = await open_view()
    for content in (
        {"kind": "fly"},
        {"kind": "read", "reader": "r99"},
        {"kind": "part", "name": "worker", "action": "rm -rf"},
        {"kind": "publish", "topic": "", "text": "x"},
        {"kind": "reset"},
    ):
        answer = await page.ask(**content)
        assert (answer["ok"], bool(answer["text"])) == (False, True), content
    for kind in ("range", "item"):
        answer = await page.ask(kind, first="x", offset=-1)
        assert (answer["kind"], answer["ok"]) == ("done", False)
    page.tell(kind=None)


async def test_it_beats_while_somebody_is_there(open_view: Open) -> None:
    page = await open_view()
    await asyncio.sleep(1.2)
    assert page.got == []
    page.look()
    await until(lambda: len(page.got) >= 2)
    assert {told["kind"] for told, _ in page.got} == {"beat"}
    page.tell(kind="watch", view="page", visible=False, gone=True)
    await asyncio.sleep(0.1)  # one may be under way
    there = len(page.got)
    await asyncio.sleep(1.2)
    assert len(page.got) == there


async def test_a_stream_that_has_ended_is_shown_with_its_end(
    hub: WorkflowHandle[HubWorkflow, str], stream: WorkflowStreamClient, open_view: Open
) -> None:
    await publish(stream, "news", 3)
    await hub.signal(HubWorkflow.close)
    await hub.result()
    page = await open_view()
    page.look()
    frame = await page.frame(lambda frame: frame["stream"]["status"] == "COMPLETED")
    assert (frame["stream"]["end"], frame["trouble"]) == (3, "")


async def test_what_happened_out_of_sight_is_there_though_nobody_can_answer_any_more(
    client: Client, open_view: Open
) -> None:
    """As after *Run All*: the view is scrolled to when its stream's worker is gone."""
    name = f"unseen-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[HubWorkflow]):
        hub = await client.start_workflow(HubWorkflow.run, HubInput(name), id=name, task_queue=name)
        stream = WorkflowStreamClient.create(client, name)
        page = await open_view(of=stream)
        await publish(stream, "news", 3)
        await hub.signal(HubWorkflow.close)
        await hub.result()
        await until(lambda: page.view._observer.source.final)
    page.look()
    frame = await page.frame(lambda frame: frame["stream"] and frame["stream"]["end"] == 3)
    assert (frame["stream"]["status"], frame["trouble"]) == ("COMPLETED", "")


async def test_an_end_that_nobody_can_describe_is_said(client: Client, open_view: Open) -> None:
    name = f"unseen-{uuid.uuid4().hex[:8]}"
    stream = WorkflowStreamClient.create(client, name)
    async with Worker(client, task_queue=name, workflows=[HubWorkflow]):
        hub = await client.start_workflow(HubWorkflow.run, HubInput(name), id=name, task_queue=name)
        await publish(stream, "news", 3)
        await hub.signal(HubWorkflow.close)
        await hub.result()
    page = await open_view(of=stream)
    page.look()
    frame = await page.frame(lambda frame: frame["trouble"])
    assert "does not answer" in frame["trouble"]


async def test_a_stream_that_is_not_there_is_said(client: Client, open_view: Open) -> None:
    page = await open_view(of=WorkflowStreamClient.create(client, "no-such-workflow"))
    page.look()
    frame = await page.frame(lambda frame: frame["trouble"])
    assert frame["stream"] is None
    assert "no-such-workflow" in page.view._repr_mimebundle_()[0]["text/html"]


async def test_of_a_peer_s_host_the_end_is_shown_and_that_there_is_no_more_to_see(
    client: Client, open_view: Open
) -> None:
    name = f"peer-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[hosts.PeerHub]):
        await client.start_workflow(
            hosts.PeerHub.run, hosts.PeerHubInput(), id=name, task_queue=name
        )
        stream = WorkflowStreamClient.create(client, name)
        await publish(stream, "news", 3)
        page = await open_view(of=stream)
        page.look()
        frame = await page.frame(lambda frame: frame["stream"] and frame["stream"]["end"] == 3)
        assert (frame["stream"]["describes"], frame["trouble"]) == (False, "")
        await publish(stream, "news", 2)
        await page.frame(lambda frame: frame["stream"]["end"] == 5)
        assert (await page.ask("item", offset=1))["found"] is True
        await client.get_workflow_handle(name).terminate()


async def test_an_index_keeps_its_meaning_when_a_run_hands_over(
    client: Client, open_view: Open
) -> None:
    name = f"grown-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=name, workflows=[GrownHub]):
        hub = await client.start_workflow(
            GrownHub.run, GrownInput(40, keep=20), id=name, task_queue=name
        )
        page = await open_view(of=WorkflowStreamClient.create(client, name))
        page.look()
        before = await page.frame(lambda frame: frame["stream"] and frame["stream"]["end"] == 40)
        await hub.signal(GrownHub.roll)
        after = await page.frame(lambda frame: frame["stream"]["seams"] == [40])
        assert (after["stream"]["base"], after["epoch"]) == (20, before["epoch"])
        assert after["stream"]["run_id"] != before["stream"]["run_id"]
        assert after["topics"] == before["topics"]
        assert (after["items"]["first"], len(after["items"]["topic"])) == (20, 20)
        await client.get_workflow_handle(name).terminate()


def test_a_view_says_what_it_needs(client: Client) -> None:
    stream = WorkflowStreamClient.create(client, "x")
    with pytest.raises(LabError, match="running event loop"):
        view(stream)
    with pytest.raises(LabError, match="no panel 'tapes'"):
        view(stream, "tapes")

"""Exercises of notebooks 02 to 05: solutions pass, each misconception gets *its* hint."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest

from streamlib import OffsetTruncatedError, WorkflowStreamClient, lab
from streamlib.lab.lessons import checks
from streamlib.scenarios.hub import HubWorkflow
from streamlib.scenarios.transcript import RetryEvent, TextComplete, TextDelta

pytestmark = [
    pytest.mark.server,
    # Checks that run at once end each other's silence.
    pytest.mark.filterwarnings("ignore::streamlib.UnsentItemsWarning"),
]


# 02: come back, from a note; work through a stream in spite of crashes.


def coming_back(**changes: Any) -> Any:
    return lambda stream, note: stream.subscribe(
        **{"from_offset": note["offset"], "stream_id": note["stream_id"], **changes}
    )


async def come_back_and_start(stream: Any, note: Any) -> Any:
    return await coming_back()(stream, note).start()


def working(*, save: str = "after", add: int = 1, start: int | str | None = None) -> Any:
    async def work(stream: Any, note: Any, handle: Any) -> None:
        begin = note.get("offset", 0) if start is None else start
        async for item in stream.subscribe(from_offset=begin):
            if save == "before":
                note["offset"] = item.offset + add
            handle(item)
            if save == "after":
                note["offset"] = item.offset + add

    return work


async def swallow(stream: Any, note: Any, handle: Any) -> None:
    async for item in stream.subscribe():
        try:
            handle(item)
        except Exception:
            note["offset"] = item.offset


async def stop_early(stream: Any, note: Any, handle: Any) -> None:
    async for item in stream.subscribe():
        handle(item)
        if item.offset == 1:
            return


# 03: report and close; read a report.


def reporting(
    *, close: str = "after", end: str = "last", topic: str = "report", flush: bool = True
) -> Any:
    async def report(client: Any, hub_id: str, lines: list[str]) -> None:
        hub = client.get_workflow_handle_for(HubWorkflow.run, hub_id)
        stream = WorkflowStreamClient.create(client, hub_id)
        values = {"last": [*lines, "END"], "first": ["END", *lines], "no": lines}[end]
        for value in values:
            stream.topic(topic).publish(value)
        if close == "before":
            await hub.signal(HubWorkflow.close)
            await hub.result()
        if close == "just before":
            await hub.signal(HubWorkflow.close)
        if flush:
            await stream.flush()
        if close == "after":
            await hub.signal(HubWorkflow.close)

    return report


async def report_inside_async_with(client: Any, hub_id: str, lines: list[str]) -> None:
    async with WorkflowStreamClient.create(client, hub_id) as stream:
        for value in [*lines, "END"]:
            stream.topic("report").publish(value)
    await client.get_workflow_handle_for(HubWorkflow.run, hub_id).signal(HubWorkflow.close)


async def read_report(stream: Any) -> Any:
    lines: list[Any] = []
    async for item in stream.subscribe("report"):
        if item.data == "END":
            return lines, True
        lines.append(item.data)
    return lines, False


async def read_all_as_lines(stream: Any) -> Any:
    lines = [item.data async for item in stream.subscribe("report")]
    return lines, "END" in lines


async def trust_the_status(stream: Any) -> Any:
    items = stream.subscribe("report")
    lines = [item.data async for item in items if item.data != "END"]
    return lines, items.status.name == "COMPLETED"


async def wait_for_the_sentinel(stream: Any) -> Any:
    items, lines = stream.subscribe("report"), []
    while (item := await anext(items)).data != "END":
        lines.append(item.data)
    return lines, True


async def never_complete(stream: Any) -> Any:
    return (await read_report(stream))[0], False


async def only_lines(stream: Any) -> Any:
    return (await read_report(stream))[0]


# 04: read on after a gap.


async def read_on(items: Any) -> Any:
    offsets: list[int] = []
    while True:
        try:
            async for item in items:
                offsets.append(item.offset)
            return offsets, items.missed
        except OffsetTruncatedError:
            pass


async def let_it_raise(items: Any) -> Any:
    return [item.offset async for item in items], items.missed


async def stop_at_the_gap(items: Any) -> Any:
    offsets: list[int] = []
    try:
        async for item in items:
            offsets.append(item.offset)
    except OffsetTruncatedError as error:
        return offsets, error.base_offset - error.from_offset
    return offsets, 0


async def count_from_0(items: Any) -> Any:
    offsets, _ = await read_on(items)
    return offsets, offsets[0]


async def count_nothing(items: Any) -> Any:
    return (await read_on(items))[0], 0


async def stub(*_: Any) -> None: ...


# 05: the text to show.


def transcribing(
    *, rewind: str = "attempt", late: str = "drop", whole: str = "replace", newest: bool = True
) -> Any:
    """A reducer, right or with one mistake."""

    def text_to_show(events: Any) -> str:
        text, attempt = "", 0
        for event in events:
            starts = isinstance(event, RetryEvent) or (rewind == "attempt" and newest)
            if event.attempt > attempt and starts and rewind != "never":
                text, attempt = "", event.attempt
            elif event.attempt < attempt and late == "drop":
                continue
            if isinstance(event, TextComplete):
                text = {"replace": event.text, "append": text + event.text, "ignore": text}[whole]
            elif isinstance(event, TextDelta):
                text += event.text
        return text

    return text_to_show


def by_status(*worth_it: int) -> Any:
    return lambda status: status in worth_it


RIGHT = [
    ("2.5", coming_back()),
    ("2.5", come_back_and_start),
    ("2.6", "EBCDA"),
    ("2.7", working()),
    ("3.4", "CEBDA"),
    ("3.4", "EBDCA"),
    ("3.5", reporting()),
    ("3.5", report_inside_async_with),
    ("3.6", read_report),
    ("4.5", lambda log: max(log.base_offset, log.end_offset - 3)),
    ("4.5", lambda log: log.end_offset - 3),
    ("4.6", "DBAEC"),
    ("4.6", "DAEBC"),
    ("4.7", read_on),
    ("5.4", transcribing()),
    ("5.5", by_status(429, 500, 503)),
    ("5.6", "CEBAD"),
]

STUBS = [
    ("2.5", lambda stream, note: ...),
    ("2.7", stub),
    ("3.5", stub),
    ("3.6", stub),
    ("4.5", lambda log: ...),
    ("4.7", stub),
    ("5.4", lambda events: ...),
    ("5.4", lambda events: ""),
    ("5.5", lambda status: ...),
]

MISCONCEPTIONS = [
    ("2.5", coming_back(stream_id=None), "Which argument guards"),
    ("2.5", coming_back(from_offset=3), "holds the *next* offset"),
    ("2.5", coming_back(from_offset=0), "use the note"),
    ("2.5", coming_back(from_offset="latest"), "Nothing came"),
    ("2.5", lambda stream, note: note["offset"], "what `subscribe` returns"),
    ("2.6", "EBCAD", "saved as done"),
    ("2.6", "BECDA", "before another line had made it"),
    ("2.6", "EBDCA", "the body of C"),
    ("2.6", "ABC", "each of"),
    ("2.7", working(add=0), "came twice"),
    ("2.7", working(save="before"), "was lost"),
    ("2.7", working(save="never"), "does not remember its readers"),
    ("2.7", working(start=0), "does not remember its readers"),
    ("2.7", swallow, "as if it had not"),
    ("2.7", stop_early, "0 to 4 were there"),
    ("3.4", "CEBAD", "A came first"),
    ("3.4", "CAEBD", "A came first"),
    ("3.4", "CEDBA", "B had not published yet"),
    ("3.4", "BECDA", "before another line had made it"),
    ("3.5", reporting(close="before"), "The hub was closed when only 0"),
    ("3.5", reporting(close="no"), "still open"),
    ("3.5", reporting(end="no"), "broke off"),
    ("3.5", reporting(end="first"), "'END' last"),
    ("3.5", reporting(flush=False), "only buffers"),
    ("3.5", reporting(topic="news"), "not just 'report'"),
    ("3.6", read_all_as_lines, "among the lines"),
    ("3.6", trust_the_status, "does not mean that the publisher had finished"),
    ("3.6", wait_for_the_sentinel, "`async for` just ends"),
    ("3.6", never_complete, "not True"),
    ("3.6", only_lines, "not a list of lines and"),
    ("4.5", lambda log: 3, "What lies *below*"),
    ("4.5", lambda log: log.end_offset - log.base_offset - 3, "what is left of it"),
    ("4.5", lambda log: max(0, log.end_offset - 3) or log.end_offset, "short enough"),
    ("4.5", lambda log: log.end_offset + 1, "past the end"),
    ("4.5", lambda log: [3], "whole number"),
    ("4.6", "AEDBC", "cut it off"),
    ("4.6", "DBCAE", "in an empty log"),
    ("4.6", "AEBDC", "before D had asked"),
    ("4.6", "DAECB", "the old items were still there"),
    ("4.7", let_it_raise, "It stopped with"),
    ("4.7", stop_at_the_gap, "no offsets"),
    ("4.7", count_from_0, "6 is the base offset"),
    ("4.7", count_nothing, "2, 3, 4 and 5 were gone"),
    ("5.4", transcribing(whole="append"), "holds the whole text"),
    ("5.4", transcribing(rewind="never"), "counts no longer"),
    ("5.4", transcribing(late="show"), "may only be slow"),
    ("5.4", transcribing(rewind="retry"), "never saw the retry item"),
    ("5.4", transcribing(whole="ignore"), "joined in the middle"),
    ("5.5", by_status(401, 429, 500, 503), "401: do not try again"),
    ("5.5", by_status(400, 429, 500, 503), "400: do not try again"),
    ("5.5", by_status(404, 429, 500, 503), "404: do not try again"),
    ("5.5", by_status(500, 503), "429: do try again"),
    ("5.5", by_status(429), "500: do try again"),
    ("5.5", by_status(429, 500), "503: do try again"),
    ("5.5", lambda status: "yes", "True or False"),
    ("5.6", "CBEAD", "Say first that you start over"),
    ("5.6", "CEABD", "no text yet"),
    ("5.6", "CEBDA", "they never do"),
    ("5.6", "ECBAD", "the body of C"),
    ("5.6", "CE", "each of"),
]


EXERCISES = sorted({exercise for exercise, _ in RIGHT})


async def judged(exercise: str, answers: list[Any]) -> list[checks.Verdict]:
    """All at once, each on a stream of its own: they mostly wait."""
    return await asyncio.gather(*(checks.judge(exercise, answer) for answer in answers))


@pytest.mark.parametrize("exercise", EXERCISES)
async def test_a_right_answer_passes_and_a_stub_gets_a_nudge(
    exercise: str, session: lab.Session
) -> None:
    right = [answer for number, answer in RIGHT if number == exercise]
    stubs = [..., *(answer for number, answer in STUBS if number == exercise)]
    found = await judged(exercise, [*right, *stubs])
    assert [each.says for each in found[: len(right)] if not each.ok] == []
    assert found[len(right) :] == [checks.NOT_YET] * len(stubs)


@pytest.mark.parametrize("exercise", EXERCISES)
async def test_each_misconception_gets_its_own_hint(exercise: str, session: lab.Session) -> None:
    planted = [(answer, hint) for number, answer, hint in MISCONCEPTIONS if number == exercise]
    hints = {hint for _, hint in planted}
    for found, (_, hint) in zip(
        await judged(exercise, [answer for answer, _ in planted]), planted, strict=True
    ):
        assert not found.ok
        assert {each for each in hints if each in found.says} == {hint}, found.says


async def test_who_closes_first_does_not_pass_by_being_quick(session: lab.Session) -> None:
    found = await checks.judge("3.5", reporting(close="just before"))
    assert not found.ok
    assert "by luck" in found.says or "The hub was closed when only" in found.says


@pytest.mark.parametrize("answer", ["CEDBA", "CEBAD"])
async def test_what_an_answer_never_sent_is_for_its_hint_to_say(
    answer: str, session: lab.Session
) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        await checks.judge("3.4", answer)
        gc.collect()
    assert [str(each.message) for each in seen] == []

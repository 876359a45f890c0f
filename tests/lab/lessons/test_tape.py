"""The log as a line of text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamlib import ItemDescription, StreamDescription, WorkflowStreamClient, lab
from streamlib.lab.lessons.tape import WIDTH, Tape
from streamlib.scenarios.hub import HubWorkflow


def log(base: int, end: int, topic: Callable[[int], str] = lambda _: "news") -> StreamDescription:
    items = [ItemDescription(at, topic(at), 3, None, None) for at in range(base, end)]
    return StreamDescription("s", "r", base, end, 0, 0, 0, [], [], items)


def test_it_draws_what_is_there_what_is_gone_and_where_readers_stand() -> None:
    tape = Tape(log(2, 6, lambda at: "news" if at % 2 else "weather"), {"slow": 1, "fast": 6})
    assert repr(tape).splitlines() == [
        "offset   0  1  2  3  4  5  6",
        "log      ·  ·  w  n  w  n  |",
        "slow        ^ 1, 1 below the base",
        "fast                       ^ 6",
        "base offset 2, end offset 6   w: weather   n: news   ·: truncated",
    ]


@pytest.mark.parametrize("end", [0, 9, 10, 99, 100, 1_000_000])
def test_it_fits_a_notebook_s_width_and_shows_the_end(end: int) -> None:
    lines = repr(Tape(log(max(0, end - 50), end), {"a rather long name": end})).splitlines()
    assert max(map(len, lines[:2])) <= WIDTH
    assert (lines[0].endswith(str(end)), lines[1].endswith("|")) == (True, True)


def test_readers_outside_of_the_picture_are_pointed_at() -> None:
    lines = repr(Tape(log(80, 100), {"far behind": 3, "beyond": 200})).splitlines()
    assert lines[2].split() == ["far", "behind", "<", "3,", "77", "below", "the", "base"]
    assert lines[3].split() == ["beyond", ">", "200"]


def test_each_topic_has_a_letter_of_its_own() -> None:
    topics = ["aa", "a", "ab", "π", "<b>\n", "aa"]
    lines = repr(Tape(log(0, 6, lambda at: topics[at]), {})).splitlines()
    letters = lines[1].split()[1:-1]
    assert letters[0] == letters[5]
    assert len(set(letters)) == 5
    assert len(lines) == 3  # a topic breaks no line


@pytest.mark.server
async def test_it_shows_a_real_stream_with_its_subscriptions(stream: WorkflowStreamClient) -> None:
    for number in range(4):
        stream.topic("numbers").publish(number)
    await stream.flush()
    one = stream.subscribe()
    await anext(one)
    handle = (await lab.start(quiet=True)).client.get_workflow_handle(stream.workflow_id)
    await handle.execute_update(HubWorkflow.truncate, 2)
    lines = repr(await lab.show_log(stream, one=one, saved=3)).splitlines()
    assert lines[1:4] == [
        "log      ·  ·  n  n  |",
        "one         ^ 1, 1 below the base",
        "saved             ^ 3",
    ]

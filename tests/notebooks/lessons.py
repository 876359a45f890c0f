"""What the cells of the notebooks must have shown."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.notebooks.running import Ran

HEADLINES = """\
rates unchanged at 3.25%
rain expected over the weekend
library opens its night reading room
ferry runs again after repairs
museum free on Sunday
""".splitlines()


class Lesson(dict[str, str]):
    """What each cell printed, by its id."""

    def has(self, cell: str, *texts: str) -> None:
        said = " ".join(self[cell].split())  # sentences are broken into lines
        for text in texts:
            assert " ".join(text.split()) in said, (cell, text, self[cell])

    def rows(self, cell: str) -> list[list[str]]:
        """The items that `lab.arrived` showed: offset, topic, data."""
        found = re.findall(r"^ +(\d+)  (\S+) +(.*)$", self[cell], re.MULTILINE)
        return [list(row) for row in found]


def start_here(lesson: Lesson) -> None:
    lesson.has("break-run", "0.1  it is: it returns")
    assert lesson["confirm-1"].startswith("['WorkflowExecutionSignaled', 'WorkflowTaskScheduled'")
    assert [row[2] for row in lesson.rows("fix-run")] == ["'in the dark'"]


def publish_subscribe(lesson: Lesson) -> None:
    lesson.has("arrived-1", "1.1  it is: 2")
    lesson.has("run-2", "they read: [5, 5, 5]", "1.2  it is: 0")
    lesson.has("confirm-2", "publishers it knows: 1", "[5, 5, 5]")
    lesson.has("break-run", "offset 1: ", "1.3  it is: 2")
    lesson.has("fix-run", "1 shipped!")


def disconnect_resume(lesson: Lesson) -> None:
    read = re.findall(r"offset (\d): (.*)", lesson["leave-1"] + lesson["run-1"])
    stages = "validating, loading data, transforming, writing output, verifying, complete"
    assert read == [(str(at), stage) for at, stage in enumerate(stages.split(", "))]
    lesson.has("run-1", "2.1  it is: 4")
    lesson.has("confirm-1", "end offset: 6", "signals: 0", "WorkflowExecutionCompleted")
    resumed(lesson)
    lesson.has("tuesday", "2.3  it is: 1", "Tuesday 2")
    lesson.has("guard", "the workflow was started anew", "Tuesday 0")
    lesson.has("break-run", "handled: [0, 1, 3]")
    lesson.has("confirm-4", "2.4  it is: never handled")
    lesson.has("fix-run", "handled: [0, 1, 2, 2, 3]")


def resumed(lesson: Lesson) -> None:
    """The part after the kernel's restart."""
    lesson.has("run-2", "2.2  it is: 1", "ended: COMPLETED")
    assert [row[0] for row in lesson.rows("run-2")] == ["1", "2", "3", "4", "5"]
    lesson.has("confirm-2", "end offset: 6  last read: 5", "COMPLETED")


def publish_from_outside(lesson: Lesson) -> None:
    said = lesson["side-by-side"]
    assert re.findall(r"\[publisher\] sent: (.*)", said) == HEADLINES
    received = re.findall(r"\[subscriber\] offset=(\d): (.*)", said)
    assert received == [(str(at), line) for at, line in enumerate(HEADLINES)]
    lesson.has("side-by-side", "ended, after the last item", "closed")
    lesson.has("run-1", "3.1  it is: 0")
    assert lesson["confirm-1"].splitlines() == [
        "end offset: 0  signals: 0",
        "end offset: 3  signals: 1",
    ]
    rows = lesson.rows("run-2")
    assert [int(row[0]) for row in rows] == list(range(13))
    for topic, numbers in (("sports", [*range(5), *range(3)]), ("weather", [*range(5)])):
        mine = [row[2] for row in rows if row[1] == topic]
        assert mine == [f"'{topic} {number}'" for number in numbers]
    lesson.has("confirm-2", "3.2  it is: 3", "signals: 13")
    assert lesson["confirm-2"].count("last sequence: 5  accepted: 5") == 2
    lesson.has("run-3", "lag 0; still open)", "ended: COMPLETED")
    lesson.has("terminated", "ended: TERMINATED")
    lesson.has("break-run", "No stream to reach", "3.3  it is: in the buffer")
    lesson.has("confirm-3", "not acknowledged yet: 1", "WorkflowExecutionCompleted")
    assert lesson.rows("fix") == [["0", "news", "'late edition'"]]


def truncate(lesson: Lesson) -> None:
    reads = re.findall(r"slow reads +(\d+) .*?(?:(\d+) missed before it)?$", lesson["run-1"], re.M)
    expected = 0
    for offset, missed in reads:
        assert int(offset) - expected == int(missed or 0), lesson["run-1"]
        expected = int(offset) + 1
    assert any(missed for _, missed in reads)
    lesson.has("run-1", "4.1  it is: 24")
    lesson.has("confirm-1", "fast: missed 0", "ticker emitted 24 events", "base offset 20")
    lesson.has("run-2", "4.2  it is: 3", "^ 3, 3 below the base", "(3 missed before it)")
    lesson.has("run-3", "Offsets 3 to 5 were truncated", "then offset 6")
    lesson.has("confirm-3", "from 0: offset 6  missed 6")
    lesson.has("run-4", "TruncateOutOfRange", "4.3  it is: 10")
    lesson.has("confirm-4", "the hub is RUNNING", "10  even   'the next'")
    lesson.has("break-run", "bob's next: 7 missed", "4.4  it is: 0")
    lesson.has("fix-run", "bob's next: 0 missed")
    lesson.has("play-read", "ann: offset 5, 5 missed", "bob: raised, 2 to 4 are gone")


def stream_an_llm(lesson: Lesson) -> None:
    lesson.has("confirm-1", "5.1  it is: several")
    lesson.has("confirm-2", "5.2  it is: all")
    lesson.has("run-3", "5.3  it is: 401")
    lesson.has("run-3b", "5.3.1  it is: answered", "ended by 'refusal'", "the model refused")
    lesson.has("run-3b", "5.3.2  it is: answered", "attempt 1 ended by 'length'", "cut off")
    lesson.has("run-3b", "5.3.3  it is: asked again", "attempt 2 ended by 'stop'")


def nothing_twice(lesson: Lesson) -> None:
    assert [row[2] for row in lesson.rows("run-1")] == ["'order 7'"]
    lesson.has("confirm-1", "sequence 1 accepted", "sequence 1 duplicate", "6.1  it is: 1 and 2")
    lesson.has("confirm-2", "last sequence: 2  taken: 2  dropped: 0")
    assert [row[2] for row in lesson.rows("confirm-3")] == ["'batch 2'", "'batch 3'"]
    lesson.has("confirm-3", "(1, 'duplicate'), (2, 'duplicate'), (3, 'accepted')")
    lesson.has("run-4", "items: 1\nitems: 1\nitems: 2", "6.4  it is: 2")
    lesson.has("confirm-4", "['accepted', 'duplicate', 'accepted']")
    lesson.has("break-run", "acknowledged: order 7, order 8; in doubt: order 9", "6.5  it is: 4")
    assert lesson["fix-run"].splitlines() == ["ship order 7", "ship order 8", "ship order 9"]


def build_your_own_log(lesson: Lesson) -> None:
    lesson.has("run-1", "9.1  it is: 5", "one more")
    lesson.has("exercise-6", "Not answered yet: `append` is still `...`. Red, as it should be")
    lesson.has("own", "my_log.py streamlib's, until 9.8 is green")
    lesson.has("finale-run", "slow reads", "missed before it", "ticker emitted 24 events")
    lesson.has("break-run", "nothing arrived; position 5", "end offset 3", "9.5  it is: nothing")
    assert [row[0] for row in lesson.rows("fix-run")] == ["5"]


def roll_over(lesson: Lesson) -> None:
    lesson.has("run-1", "CONTINUED_AS_NEW", "RUNNING")
    lesson.has("run-1b", "7.1  it is: 5")
    lesson.has("confirm-1", "base offset: 0  end offset: 6", "took over at: [5]")
    lesson.has("run-2", "7.2  it is: the next item", "3  news   'three'")
    lesson.has("confirm-2", "position: 4  missed: 0  ended: None", "ExecutionContinuedAsNew")
    lesson.has("run-3", "7.3  it is: run id")
    lesson.has("confirm-3", "[True, False, False]")
    lesson.has("run-4", "before: 6  after: 6", "7.4  it is: dropped")
    lesson.has("confirm-4", "accepted: 6  dropped: 1", "a batch of 1 item")
    lesson.has("break-run", "rolled over without its state", "7.5  it is: an error")
    assert lesson.rows("confirm-5") == [["0", "news", "'three'"]]
    lesson.has("confirm-5", "[False, True]")
    lesson.has("fix-run", "workflow.continue_as_new(", "self.stream.continue_as_new(", "'three'")
    stuck, rolled = lesson["run-6"].split("\n\n")
    assert ("CONTINUED" in stuck, "CONTINUED" in rolled) == (False, True)


def who_pays(lesson: Lesson) -> None:
    lesson.has("run-1", "8.1  it is: 10", "signals 100 10 1", "actions 101 11 2")
    assert lesson["confirm-1"].count("100 items, ") == 3
    lesson.has("run-2", "8.2  it is: 0", "1,000 readers got 100,000 items")
    (asked,) = re.findall(r"(\d+) quer(?:y|ies), 0 events", lesson["run-2"])
    assert int(asked) < 20
    lesson.has("confirm-2", "1 reader got 100 items", "10 readers got 1,000 items")
    lesson.has("run-3", "8.3  it is: 0")
    lesson.has("confirm-3", "in the log: 50 items", "UpdateAccepted", "UpdateCompleted")
    lesson.has("run-4", "8.4  it is: signals", "enough for     10,000 items")
    lesson.has("break-run", "limit for signal events", "8.5  it is: 60")
    lesson.has("confirm-5", "exceeded workflow execution limit for signal events")
    lesson.has("fix-run", "100 stored")
    (signals,) = re.findall(r"signals +(\d+)", lesson["fix-run"])
    assert int(signals) < 50


LESSONS: dict[str, Callable[[Lesson], None]] = {
    "00_start": start_here,
    "01_publish_subscribe": publish_subscribe,
    "02_disconnect_resume": disconnect_resume,
    "03_publish_from_outside": publish_from_outside,
    "04_truncate": truncate,
    "05_stream_an_llm": stream_an_llm,
    "06_nothing_twice": nothing_twice,
    "07_roll_over": roll_over,
    "08_who_pays": who_pays,
    "09_build_your_own_log": build_your_own_log,
}


def shown(ran: list[Ran]) -> Lesson:
    return Lesson({each.cell: each.printed for each in ran})

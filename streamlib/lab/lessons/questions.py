"""The predictions of the course: what each asks, what may be answered, and what explains it.

A number is a number however it is written; a choice is one of those that are given.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
NUMBERS = {word: number for number, word in enumerate(WORDS)} | {"none": 0, "nothing": 0, "no": 0}


class NotAnAnswerError(Exception):
    """What was said cannot be an answer to the question; says what can."""


@dataclass(frozen=True)
class Question:
    """A prediction that a notebook asks for."""

    asks: str
    because: str
    """The sentence that explains what happens."""
    choices: tuple[str, ...] = ()
    """What to choose from; empty where a number is asked for."""

    def understood(self, said: object) -> str:
        """What the learner means: a number's digits, or one of the choices.

        Raises:
            NotAnAnswerError: Neither; names what can be said.
        """
        text = re.sub(r"[\"'`.!]+$|^[\"'`]+", "", " ".join(str(said).split())).casefold()
        return self._choice(text) if self.choices else _number(text)

    def _choice(self, text: str) -> str:
        for choice in self.choices:
            if text == choice.casefold():
                return choice
        close = difflib.get_close_matches(text, self.choices, 1, 0.8)
        meant = f" Did you mean {quoted(close)}?" if close else ""
        raise NotAnAnswerError(f"choose {quoted(self.choices)}.{meant}")


def _number(text: str) -> str:
    found = re.findall(r"[-+]?\d+(?:\.\d+)?", text)
    spelt = [str(NUMBERS[word]) for word in re.findall(r"[a-z]+", text) if word in NUMBERS]
    numbers = found or spelt
    if len(numbers) != 1 or not float(numbers[0]).is_integer():
        raise NotAnAnswerError("a whole number is asked for, as in `answer=3`.")
    return str(int(float(numbers[0])))


def quoted(choices: tuple[str, ...] | list[str]) -> str:
    """`"a", "b" or "c"`."""
    names = [f'"{choice}"' for choice in choices]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


QUESTIONS: dict[str, Question] = {
    "0.1": Question(
        "No worker runs. What does `flush` do?",
        "To store an item is to send the server a signal, and the server keeps it. The worker is "
        "needed to work on it, later.",
        ("it returns", "it waits", "it fails"),
    ),
    "1.1": Question(
        "Items go to `status`, `progress`, `status`. Which offset has the second `status`?",
        "All topics share one sequence of offsets; a topic is a label to filter by.",
    ),
    "1.2": Question(
        "Three readers read five items each. How many events does that add to the history?",
        "Reading is a query, and a query is not written down.",
    ),
    "1.3": Question(
        "Of three items the second is of another type. How many of them does the loop print?",
        "The error comes after the position has moved past the item: whoever catches it reads on.",
    ),
    "2.1": Question(
        "Two of six stages were read; the pipeline has ended. How many can still be read?",
        "The log outlives the run: a closed workflow still answers queries.",
    ),
    "2.2": Question(
        "Two items were read, and the position saved after the first. Which offset comes first?",
        "The stream knows no readers: what counts is what was saved, not what was read.",
    ),
    "2.3": Question(
        "Monday's offset, Tuesday's stream of three: how many of its items does the reader get?",
        "An offset means something in one stream only, and the new one has the same workflow id.",
    ),
    "2.4": Question(
        "It saves first, then handles, and crashes in between. What becomes of offset 2?",
        "The note says that offset 2 was done. Save after, and it would be handled twice instead.",
        ("handled once", "handled twice", "never handled"),
    ),
    "3.1": Question(
        "Three items are published, and the end offset is asked for at once. What is it?",
        "`publish` only buffers. Until `flush` the items live in your process alone.",
    ),
    "3.2": Question(
        "Two services publish; one of them is started again and goes on. How many publishers?",
        "A publisher is a client, not a service: started again, it has a new id.",
    ),
    "3.3": Question(
        "The hub closes while an item is in a buffer. Where is the item then?",
        "`flush` fails and keeps what it could not send: it is in the buffer, and nowhere else.",
        ("in the stream", "in the buffer", "nowhere"),
    ),
    "4.1": Question(
        "After 24 ticks the log holds four. Which offset would the next one get?",
        "Offsets are never given again, however much of the log is gone.",
    ),
    "4.2": Question(
        "Offsets 3, 4, 5 are gone; two of them had the reader's topic. What is `missed`?",
        "`missed` counts offsets: nobody knows any more which topics they had.",
    ),
    "4.3": Question(
        "The log holds 0 to 9. Somebody truncates up to 20. How many items are left?",
        "Past the end the update fails, and the log stays as it is.",
    ),
    "4.4": Question(
        "Ann had read one item of ten when the log was cut up to 8. How many does she miss?",
        "With her first item she fetched a page of all ten: no cut takes that out of her hands.",
    ),
    "5.1": Question(
        "How many items does one signal bring?",
        "The activity's client sends what has gathered in 150 ms: a token more costs bytes, and "
        "no signal.",
        ("one", "several", "all"),
    ),
    "5.2": Question(
        "How many of the first attempt's stored items does the log hold in the end?",
        "A log takes nothing back. (What was still in the dead worker's buffer never got there.)",
        ("none", "some", "all"),
    ),
    "5.3": Question(
        "429, 500, 401: which one fails the workflow?",
        "Another attempt helps where the cause passes by itself. A wrong key stays wrong.",
        ("429", "500", "401", "none"),
    ),
    "5.3.1": Question(
        "The model refuses. What becomes of the question?",
        "A refusal is an answer. Its last line says so, and so does `ended`.",
        ("answered", "asked again", "failed"),
    ),
    "5.3.2": Question(
        "The model stops in mid-sentence, at its limit of tokens. What becomes of the question?",
        "That is all there will be, however often one asks. The text's last line says so.",
        ("answered", "asked again", "failed"),
    ),
    "5.3.3": Question(
        "No token comes any more, but empty lines keep the connection open. What becomes of it?",
        "Signs of life come from the server. What counts is the time without a token.",
        ("answered", "asked again", "failed"),
    ),
    "6.1": Question(
        "One batch, one lost acknowledgement: how many items, and how many signals?",
        "The client sends the batch again under its old sequence. Both signals arrive; the second "
        "is a duplicate, and dropped.",
        ("1 and 1", "1 and 2", "2 and 2"),
    ),
    "6.2": Question(
        "A program says the same twice, on one client. How many items are there?",
        "Two batches have two sequences. What is in them, the stream never compares.",
    ),
    "6.3": Question(
        "One publisher's batches come as 2, 1, 2, 3. How many items are stored?",
        "Higher than the last one is new, all else is dropped: 1 too, which was never stored. So a "
        "publisher sends the next batch when the last one is acknowledged.",
    ),
    "6.4": Question(
        "The same batch comes twice, and a third time when the TTL is over. How many items?",
        "The second is dropped. By the third the stream has forgotten the publisher, and takes it "
        "for a new one.",
    ),
    "6.5": Question(
        "A publisher dies waiting for its third acknowledgement; the next sends that again. Items?",
        "A new process is a new publisher, whose first sequence is 1: the stream cannot know that "
        "it repeats another one's batch.",
    ),
    "9.1": Question(
        "Five items, `truncate(3)`, one more `append`: which offset does that item get?",
        "No offset is given twice: the end is the base plus what is left, not what is left alone.",
    ),
    "9.2": Question(
        "Five items, truncated up to 3: which offset has the first item of `read(1)`?",
        "Below the base a page begins at the base; whoever asked sees the gap by comparing.",
    ),
    "9.3": Question(
        "Truncated up to 5, then up to 2: what is the base offset?",
        "Neither bound ever moves back. Below the base there is nothing left to drop.",
    ),
    "9.4": Question(
        "Five items, and a filter that matches none: what is `next_offset`?",
        "All up to the end was looked at: a filter moves a reader on past what is not for it.",
    ),
    "9.5": Question(
        "A log gives offset 2 again. What does a reader that waits at 5 get of that item?",
        "Its position says that offset 2 was read. An offset given twice makes every saved "
        "position a lie.",
        ("the sixth", "an old one", "nothing"),
    ),
    "7.1": Question(
        "A run ends after five items, and another one takes over. Which offset comes next?",
        "The log travels with its offsets: the new run goes on counting where the old one ended.",
    ),
    "7.2": Question(
        "A reader waits while the stream rolls over. What does it get next?",
        "The history's last event names the next run: the subscription follows it there.",
        ("an error", "the end", "the next item"),
    ),
    "7.3": Question(
        "Which of the four ids changes when a stream rolls over?",
        "The stream's id is that of the run in which its log began: it travels with the log.",
        ("workflow id", "run id", "stream id", "publisher id"),
    ),
    "7.4": Question(
        "The first run's first batch is sent once more, to the third run. What becomes of it?",
        "The table of publishers travels too: the third run knows what the first one took in.",
        ("stored again", "dropped", "refused"),
    ),
    "7.5": Question(
        "The roll-over forgets the state. What does the open reader get?",
        "Another log has taken the place of its own, and it says so rather than mix the two.",
        ("the next item", "nothing, for ever", "an error"),
    ),
    "8.1": Question(
        "100 items, with a flush after every tenth. How many signals?",
        "A flush sends all that is in the buffer as one batch, and a batch is one signal.",
    ),
    "8.2": Question(
        "A thousand readers read 100 items each. By how many events does the history grow?",
        "Reading is a query, waiting is on the history: neither is written down.",
    ),
    "8.3": Question(
        "Half of the log is truncated. How many bytes of history does that save?",
        "A history takes nothing back: what is truncated leaves the log, and the next run's state.",
    ),
    "8.4": Question(
        "A flush an item, for ever, and no roll-over. Which limit is met first?",
        "10,000 signals come before 51,200 events: an item costs four events at most.",
        ("events", "bytes", "signals", "updates"),
    ),
    "8.5": Question(
        "A run may get 30 signals. 100 items come, two a flush. How many are stored?",
        "The server counts signals, not items. It refuses the 31st, and that batch is nowhere.",
    ),
}

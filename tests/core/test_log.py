"""The log against the dumbest model there is: a list that remembers everything."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamlib.core.log import Item, Log, Page
from streamlib.errors import TruncateOutOfRangeError

TOPICS = ["a", "b", "c"]


def log_of(text: str, base_offset: int = 0) -> Log:
    """A log with an item of one byte for each letter; the letter is topic and data."""
    log = Log(base_offset)
    for letter in text:
        log.append(Item(letter, letter, 1))
    return log


def letters(page: Page) -> str:
    return "".join(item.data for _, item in page.items)


def offsets(page: Page) -> list[int]:
    return [offset for offset, _ in page.items]


def test_offsets_count_up_from_the_base() -> None:
    log = Log(base_offset=7)
    assert [log.append(Item("t", n, 1)) for n in range(3)] == [7, 8, 9]
    assert (log.base_offset, log.end_offset, len(log), log.size) == (7, 10, 3, 3)
    assert [item.data for item in log] == [0, 1, 2]


def test_topics_share_one_sequence_of_offsets() -> None:
    page = log_of("abab").read(0, topics=["b"])
    assert (letters(page), offsets(page), page.next_offset) == ("bb", [1, 3], 4)


def test_a_filter_of_several_topics_keeps_the_logs_order() -> None:
    page = log_of("abcab").read(1, topics=["b", "a", "a", "nobody"])
    assert (letters(page), offsets(page)) == ("bab", [1, 3, 4])


def test_a_page_is_cut_to_its_bytes_and_says_that_more_is_ready() -> None:
    log = log_of("abcd")
    assert log.read(0, max_bytes=3) == Page(log.read(0).items[:3], 3, True)
    assert log.read(3, max_bytes=3) == Page(log.read(0).items[3:], 4, False)


def test_an_item_larger_than_a_page_still_gets_through() -> None:
    page = log_of("ab").read(0, max_bytes=0)
    assert (letters(page), page.next_offset, page.more_ready) == ("a", 1, True)


def test_a_cut_filtered_page_goes_on_at_the_item_that_did_not_fit() -> None:
    page = log_of("abbba").read(0, topics=["a"], max_bytes=1)
    assert (letters(page), page.next_offset, page.more_ready) == ("a", 4, True)


def test_below_the_base_it_reads_from_the_base() -> None:
    assert offsets(log_of("ab", base_offset=5).read(0)) == [5, 6]


def test_at_and_beyond_the_end_the_answer_is_the_question() -> None:
    log = log_of("ab")
    assert log.read(2) == Page([], 2, False)
    assert log.read(9) == Page([], 9, False)


def test_truncate_drops_the_oldest_and_forgets_their_topics() -> None:
    log = log_of("abc")
    log.truncate(2)
    assert (log.base_offset, log.end_offset, log.size) == (2, 3, 1)
    assert letters(log.read(0, topics=["a", "b"])) == ""
    log.append(Item("a", "a", 1))
    assert offsets(log.read(0, topics=["a"])) == [3]


def test_truncate_to_the_end_empties_the_log_and_keeps_counting() -> None:
    log = log_of("abc")
    log.truncate(3)
    assert (len(log), log.append(Item("a", "a", 1))) == (0, 3)


@pytest.mark.parametrize("up_to_offset", [-1, 0, 4, 5])
def test_truncate_at_or_below_the_base_does_nothing(up_to_offset: int) -> None:
    log = log_of("abc", base_offset=5)
    log.truncate(up_to_offset)
    assert (log.base_offset, letters(log.read(0))) == (5, "abc")


@pytest.mark.parametrize("up_to_offset", [4, 10**30, 1.0, True, "1", None])
def test_truncate_past_the_end_or_to_nonsense_raises_and_changes_nothing(
    up_to_offset: object,
) -> None:
    log = log_of("abc")
    with pytest.raises(TruncateOutOfRangeError) as raised:
        log.truncate(up_to_offset)  # type: ignore[arg-type]
    assert (raised.value.up_to_offset, raised.value.end_offset) == (up_to_offset, 3)
    assert (log.base_offset, log.end_offset, letters(log.read(0))) == (0, 3, "abc")


def test_items_from_an_offset_are_of_all_topics_and_of_any_size() -> None:
    log = log_of("abcd", base_offset=5)
    assert [(offset, item.data) for offset, item in log.items_from(6, 2)] == [(6, "b"), (7, "c")]
    assert [offset for offset, _ in log.items_from(0, 2)] == [5, 6]
    assert [offset for offset, _ in log.items_from(8, 9)] == [8]
    assert log.items_from(9, 9) == log.items_from(10**30, 1) == log.items_from(6, 0) == []


class LogAgainstAList(RuleBasedStateMachine):
    """Random operations; `everything` is the list of all items ever, `base` what is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.everything: list[Item] = []
        self.base = 0

    @rule(topic=st.sampled_from(TOPICS), size=st.integers(0, 9))
    def append(self, topic: str, size: int) -> None:
        item = Item(topic, len(self.everything), size)
        assert self.log.append(item) == len(self.everything)
        self.everything.append(item)

    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        up_to = data.draw(st.integers(-1, len(self.everything)))
        self.log.truncate(up_to)
        self.base = max(self.base, up_to)

    @rule(beyond=st.integers(1, 5))
    def truncate_past_the_end(self, beyond: int) -> None:
        with pytest.raises(TruncateOutOfRangeError):
            self.log.truncate(len(self.everything) + beyond)

    @rule(
        start=st.integers(0, 20),
        topics=st.lists(st.sampled_from([*TOPICS, "nobody"])),
        max_bytes=st.integers(0, 20),
    )
    def following_the_pages_to_the_end_gives_what_the_list_gives(
        self, start: int, topics: list[str], max_bytes: int
    ) -> None:
        position, found, more = start, [], True
        while more:
            page = self.log.read(position, topics, max_bytes)
            assert len(page.items) <= 1 or sum(i.size for _, i in page.items) <= max_bytes
            assert page.next_offset >= position
            found += page.items
            position, more = page.next_offset, page.more_ready
        assert found == [
            (offset, item)
            for offset, item in enumerate(self.everything)
            if offset >= max(start, self.base) and (not topics or item.topic in topics)
        ]
        assert position == max(start, len(self.everything))

    @rule(start=st.integers(0, 20), count=st.integers(0, 20))
    def items_from_an_offset_are_a_slice_of_the_list(self, start: int, count: int) -> None:
        start_or_base = max(start, self.base)
        wanted = list(enumerate(self.everything))[start_or_base : start_or_base + count]
        assert self.log.items_from(start, count) == wanted

    @invariant()
    def bounds_and_size_are_those_of_the_list(self) -> None:
        kept = self.everything[self.base :]
        assert (self.log.base_offset, self.log.end_offset) == (self.base, len(self.everything))
        assert (len(self.log), self.log.size) == (len(kept), sum(item.size for item in kept))
        assert list(self.log) == kept


TestLogAgainstAList = LogAgainstAList.TestCase
TestLogAgainstAList.settings = settings(max_examples=50, deadline=None)


def test_what_is_truncated_takes_no_room_any_more() -> None:
    log = log_of("ab" * 5_000)
    full = len(pickle.dumps(log))
    log.truncate(9_990)
    assert len(pickle.dumps(log)) < full / 50
    assert letters(log.read(0, ["b"])) == "bbbbb"

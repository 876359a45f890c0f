"""The window: held for whom, seen how far, and nobody skips what it did not ask for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamlib.core.cursor import Cursor
from streamlib.core.log import Item, Log, Page
from streamlib.core.window import Seat, Window

TOPICS = "abc"


def seat(position: int = 0, *topics: str, idle: bool = True) -> Seat:
    made = Seat(Cursor(position), topics)
    made.idle = idle
    return made


def page(next_offset: int, *items: tuple[int, str], size: int = 1) -> Page:
    return Page([(at, Item(topic, f"{at}", size)) for at, topic in items], next_offset, False)


def offsets(read: Page) -> list[int]:
    return [at for at, _ in read.items]


def opened(at: int, *seats: Seat, max_bytes: int = 1000) -> Window:
    window = Window(at, max_bytes)
    for each in seats:
        window.join(each)
    return window


# --- what it asks for, and holds


def test_it_asks_for_the_union_of_its_seats_topics_or_for_all() -> None:
    a, ab, everything = seat(0, "a"), seat(0, "a", "b"), seat()
    window = opened(0, a)
    assert window.topics == {"a"}
    window.join(ab)
    window.join(ab)
    assert window.topics == {"a", "b"}
    window.join(everything)
    assert window.topics == frozenset()
    window.leave(everything)
    window.leave(everything)
    assert window.topics == {"a", "b"}
    window.leave(ab)
    assert (window.topics, len(window)) == ({"a"}, 1)
    window.leave(a)
    assert len(window) == 0


def test_a_topic_that_joins_late_is_held_only_from_where_the_window_had_come_to() -> None:
    window = opened(0, seat(0, "a"))
    window.take(page(10, (3, "a")), 0, {"a"})
    late = seat(4, "b")
    window.join(late)
    assert not window.holds(4, frozenset("b"))
    assert not window.holds(9, frozenset("ab"))
    assert window.holds(10, frozenset("ab"))
    assert window.holds(4, frozenset("a"))
    assert window.advance(late), "it reads for itself"
    assert late.cursor.position == 4


def test_what_joins_while_a_question_is_under_way_is_not_taken_to_be_answered() -> None:
    window = opened(0, seat(0, "a"))
    asked = window.topics
    late, everything = seat(0, "b"), seat()
    window.join(late)
    window.join(everything)
    woken = window.take(page(5, (2, "a")), 0, asked)
    assert late in woken
    assert everything in woken
    assert (late.cursor.position, everything.cursor.position) == (0, 0)
    assert not window.holds(4, frozenset("b"))
    assert not window.holds(4, frozenset())
    assert window.holds(5, frozenset("b"))
    assert window.holds(5, frozenset())


def test_one_that_wanted_all_leaves_what_it_has_seen_to_those_that_joined_it() -> None:
    everything, a = seat(), seat(0, "a")
    window = opened(0, everything, a)
    window.take(page(4, (1, "a"), (2, "b")), 0, window.topics)
    window.leave(everything)
    assert window.holds(1, frozenset("a"))
    assert not window.holds(1, frozenset("b"))
    assert not window.holds(4, frozenset("b"))
    assert not window.holds(4, frozenset())


def test_it_asks_for_all_as_long_as_one_is_left_that_wants_all() -> None:
    first, second = seat(), seat()
    window = opened(3, first, second)
    window.leave(first)
    assert window.topics == frozenset()
    assert window.holds(3, frozenset())
    window.leave(second)
    assert not window.holds(3, frozenset())


def test_what_was_asked_for_is_held_though_another_topic_joined_meanwhile() -> None:
    window = opened(0, seat(0, "a"))
    window.join(seat(0, "b"))
    window.take(page(5, (2, "a")), 0, {"a"})
    assert window.holds(0, frozenset("a"))
    assert not window.holds(0, frozenset("b"))
    assert window.holds(5, frozenset("ab"))


def test_one_that_comes_behind_the_newest_page_finds_its_own_item_there() -> None:
    window = opened(0, seat(0, "a", "b"))
    window.take(page(3, (1, "b"), (2, "a")), 0, {"a", "b"})
    window.take(page(6), 0, {"a", "b"})
    late = seat(1, "a")
    window.join(late)
    assert window.advance(late)
    assert late.cursor.position == 2


def test_a_position_beyond_the_end_is_held_and_waits_for_its_offset() -> None:
    ahead = seat(7)
    window = opened(2, ahead)
    assert window.take(page(5, (2, "a"), (3, "a"), (4, "a")), 0, frozenset()) == []
    assert ahead.cursor.position == 7
    assert window.take(page(8, (5, "a"), (6, "a"), (7, "a")), 0, frozenset()) == [ahead]
    assert offsets(window.read(7)) == [7]


# --- whom it moves and wakes


def test_it_wakes_those_that_have_an_item_and_moves_the_others_past_it() -> None:
    a, b, everything = seat(0, "a"), seat(0, "b"), seat()
    window = opened(0, a, b, everything)
    woken = window.take(page(3, (0, "b"), (1, "a"), (2, "b")), 0, window.topics)
    assert woken == [a, b, everything]
    assert [each.cursor.position for each in woken] == [1, 0, 0]
    assert window.take(page(4, (3, "c")), 0, window.topics) == [a, b, everything]
    c = seat(4, "c")
    window.join(c)
    assert window.take(page(9, (8, "a")), 0, window.topics) == [a, b, everything]
    assert c.cursor.position == 9


def test_ten_items_of_others_and_then_a_truncation_are_no_gap_for_one_that_waits() -> None:
    waits = seat(0, "a")
    window = opened(0, waits, seat(0, "b", idle=False))
    window.take(page(10, *((n, "b") for n in range(10))), 0, window.topics)
    assert waits.cursor.position == 10
    assert window.take(page(10), 10, window.topics) == []
    assert (waits.cursor.position, waits.cursor.missed, window.start) == (10, 0, 10)


def test_one_that_has_items_in_hand_is_not_moved() -> None:
    busy = seat(0, "a", idle=False)
    window = opened(0, busy)
    assert window.take(page(5), 0, window.topics) == []
    assert busy.cursor.position == 0


def test_what_was_truncated_before_it_was_seen_wakes_those_that_may_have_missed_it() -> None:
    waits = seat(3, "a")
    window = opened(3, waits)
    assert window.take(page(8), 6, window.topics) == [waits]
    assert (waits.cursor.position, window.start, window.seen) == (3, 6, 8)
    assert not window.holds(5, frozenset("a"))


def test_a_host_that_does_not_say_its_base_keeps_just_the_newest_page() -> None:
    slow = seat(0, idle=False)
    window = opened(0, slow)
    window.take(page(2, (0, "a"), (1, "a")), None, frozenset())
    assert window.holds(0, frozenset())
    window.take(page(3, (2, "a")), None, frozenset())
    assert (window.start, offsets(window.read(2))) == (2, [2])
    window.take(page(6, (5, "a")), None, frozenset())
    assert window.start == 5, "a gap, in a page of all topics"
    window.take(page(9), None, frozenset())
    assert window.start == 9, "a gap to the end"
    filtered = opened(0, seat(0, "a"))
    filtered.take(page(9, (5, "a")), None, {"a"})
    assert filtered.start == 0, "others' items, perhaps"


# --- its bound


def test_it_is_bounded_in_bytes_and_drops_the_oldest() -> None:
    window = opened(0, seat(idle=False), max_bytes=10)
    for at in range(30):
        window.take(page(at + 1, (at, "a"), size=3), 0, frozenset())
        assert window.size <= 10
        assert offsets(window.read(window.start))[-1] == at
    assert window.start > 20
    window.take(page(31, (30, "a"), size=99), 0, frozenset())
    assert (offsets(window.read(0)), window.size) == ([30], 99), "but it keeps one"


def test_readers_that_ask_the_same_get_the_same_page_until_there_is_a_newer_one() -> None:
    window = opened(0, seat())
    window.take(page(2, (0, "a"), (1, "b")), 0, frozenset())
    assert window.read(0) is window.read(0)
    assert offsets(window.read(0, frozenset("b"))) == [1]
    window.take(page(3, (2, "b")), 0, frozenset())
    assert offsets(window.read(0, frozenset("b"))) == [1, 2]


# --- against a naive log


Step = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(TOPICS)),
    st.tuples(st.just("truncate"), st.integers(0, 40)),
    st.tuples(st.just("come"), st.frozensets(st.sampled_from(TOPICS), max_size=2)),
    st.tuples(st.just("go"), st.integers(0, 5)),
    st.tuples(st.just("ask"), st.just(None)),
    st.tuples(st.just("answer"), st.just(None)),
    st.tuples(st.just("read"), st.integers(0, 5)),
)


class Naive:
    """Readers of a log through a window: what each saw, and what it was told that it missed."""

    def __init__(self) -> None:
        self.log, self.window = Log(), Window(0, 6)
        self.everything: list[str] = []
        self.readers: list[tuple[Seat, list[int]]] = []
        self.question: tuple[Page, int, frozenset[str]] | None = None

    def do(self, what: str, value: object) -> None:
        match what, value:
            case "append", str(topic):
                self.everything.append(topic)
                self.log.append(Item(topic, "", 1))
            case "truncate", int(base):
                self.log.truncate(min(base, self.log.end_offset))
            case "come", frozenset() as topics:
                self.readers.append((Seat(Cursor(0), topics), []))
            case "go", int(n) if n < len(self.readers):
                self.window.leave(self.readers.pop(n)[0])
            case "ask", _ if self.question is None and len(self.window):
                asked = self.window.topics
                answer = self.log.read(self.window.seen, asked)
                self.question = answer, self.log.base_offset, asked
            case "answer", _ if self.question is not None:
                self.window.take(*self.question)
                self.question = None
            case "read", int(n) if n < len(self.readers):
                self.read(*self.readers[n])

    def read(self, seat: Seat, seen: list[int]) -> None:
        window, cursor = self.window, seat.cursor
        if window.holds(cursor.position, seat.topics):
            window.join(seat)
            answer = window.read(cursor.position, seat.topics)
        else:
            cursor.skip_to(self.log.base_offset)
            answer = self.log.read(cursor.position, seat.topics)
            window.join(seat)
        seen += offsets(answer)
        cursor.pass_over(answer.next_offset)
        seat.idle = True

    def check(self) -> None:
        for seat, seen in self.readers:
            wanted = {
                at for at, t in enumerate(self.everything) if not seat.topics or t in seat.topics
            }
            passed = {at for at in wanted if at < seat.cursor.position}
            assert seen == sorted(set(seen))
            assert set(seen) <= wanted
            assert len(passed - set(seen)) <= seat.cursor.missed
            if not seat.topics:
                assert len(seen) + seat.cursor.missed == seat.cursor.position


@settings(max_examples=300, deadline=None)
@given(st.lists(Step, max_size=60))
def test_whatever_happens_nobody_skips_an_item_that_is_not_counted(steps: list[object]) -> None:
    naive = Naive()
    for what, value in steps:  # type: ignore[misc]
        naive.do(what, value)
        naive.check()

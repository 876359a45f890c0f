r"""What a log, a publishers' table and a cursor must do, whoever wrote them.

    random operations --> an implementation  --+
                     \--> a naive model      --+--> the same, or a Counterexample, made small

These are the library's own tests: `make test` runs its classes through them, and notebook 09 the
learner's. A model remembers everything and computes every answer anew, so there is nothing in it
to get wrong. Hypothesis finds the operations, and makes them small.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any, NamedTuple

from streamlib.core.log import Item, Log, Page
from streamlib.core.parts import LogPart, PublishersPart
from streamlib.errors import TruncateOutOfRangeError, shown
from streamlib.lab.lessons.own_log.picture import END, GONE, NEXT, Counterexample, Row, drawn

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)

EXAMPLES = 200
"""How many random programs a law is tried on."""

Law = Callable[[Any, Any], None]
"""Runs operations on an implementation; raises `Counterexample` where it goes wrong."""


class Append(NamedTuple):
    """Append an item of this topic and size."""

    topic: str
    size: int

    def __str__(self) -> str:
        return "append" if self == ("a", 1) else f"append({self.topic!r}, {self.size} B)"


class Read(NamedTuple):
    """Read a page."""

    from_offset: int
    topics: tuple[str, ...]
    max_bytes: int

    def __str__(self) -> str:
        topics = f", topics={[*self.topics]}" if self.topics else ""
        limit = f", max_bytes={self.max_bytes}" if self.max_bytes < PLENTY else ""
        return f"read({self.from_offset}{topics}{limit})"


class Truncate(NamedTuple):
    """Truncate."""

    up_to_offset: int

    def __str__(self) -> str:
        return f"truncate({self.up_to_offset})"


PLENTY = 1_000_000

LogProgram = tuple[int, Sequence[Append | Read | Truncate]]
"""The first offset, and what is done to the log."""


class _Everything:
    """The model of a log: a list of all items ever, and how many of them are gone."""

    def __init__(self, base_offset: int) -> None:
        self.first = self.base = base_offset
        self.items: list[Item] = []

    @property
    def end(self) -> int:
        return self.first + len(self.items)

    def page(self, from_offset: int, topics: Collection[str], max_bytes: int) -> Page:
        found: list[tuple[int, Item]] = []
        size = 0
        for offset, item in enumerate(self.items, self.first):
            if offset < max(from_offset, self.base) or (topics and item.topic not in topics):
                continue
            size += item.size
            if found and size > max_bytes:
                return Page(found, offset, True)
            found.append((offset, item))
        return Page(found, max(from_offset, self.end), False)


class _LogUnderTest:
    """An implementation beside the model, and what was done to both so far."""

    def __init__(self, log: LogPart, base_offset: int) -> None:
        self.log = log
        self.model = _Everything(base_offset)
        self.done = [f"Log({base_offset})"] if base_offset else []
        self.given: dict[int, Item] = {}  # by the offsets that it gave

    def append(self, operation: Append) -> None:
        item = Item(operation.topic, f"item {len(self.model.items)}", operation.size)
        right = self.model.end
        given = self._called(str(operation), lambda: self.log.append(item))
        self.model.items.append(item)
        if isinstance(given, int):
            self.given[given] = item
        if type(given) is not int or given != right:
            self._wrong(f"the item got offset {shown(given)}, not {right}.")
        self._bounds()

    def read(self, operation: Read) -> None:
        right = self.model.page(*operation)
        page = self._called(str(operation), lambda: self.log.read(*operation))
        if not isinstance(page, Page):
            self._wrong(f"it returned {shown(page)}, no Page(items, next_offset, more_ready).")
        if page.items != right.items:
            self._wrong(_other_items(page.items, right.items), right, page)
        if page.next_offset != right.next_offset:
            self._wrong(
                f"next_offset is {shown(page.next_offset)}, not {right.next_offset}: "
                f"{self._why_next(operation, right)}",
                right,
                page,
            )
        if page.more_ready is not right.more_ready:
            self._wrong(
                f"more_ready is {shown(page.more_ready)}, not {right.more_ready}: it says whether "
                "the page was cut to its limit.",
                right,
                page,
            )

    def _why_next(self, operation: Read, right: Page) -> str:
        if right.more_ready:
            return "it is the offset of the item that did not fit."
        if operation.from_offset > self.model.end:
            return "a reader never moves back."
        return "all up to the end was looked at, whatever the filter let through."

    def truncate(self, operation: Truncate) -> None:
        up_to, end = operation.up_to_offset, self.model.end
        try:
            self._called(str(operation), lambda: self.log.truncate(up_to), lets=up_to > end)
        except TruncateOutOfRangeError:
            pass
        else:
            if up_to > end:
                self._wrong(f"{up_to} is past the end, {end}, and no TruncateOutOfRangeError came.")
            self.model.base = max(self.model.base, up_to)
        self._bounds()

    def _bounds(self) -> None:
        """Compare the bounds; what lies between them shows when it is read."""
        end, base = self._called("", lambda: (self.log.end_offset, self.log.base_offset))
        if end != self.model.end:
            self._wrong(f"the next item gets offset {shown(end)}, not {self.model.end}.")
        if base != self.model.base:
            self._wrong(f"base_offset is {shown(base)}, not {self.model.base}.")

    def _called(self, name: str, call: Callable[[], Any], *, lets: bool = False) -> Any:
        """What the implementation says; an error of its own is wrong, unless it is asked for."""
        if name:
            self.done.append(name)
        try:
            return call()
        except Exception as error:
            if lets and isinstance(error, TruncateOutOfRangeError):
                raise
            raise self._counterexample(_raised(error)) from error

    def _wrong(self, said: str, *pages: Page) -> None:
        raise self._counterexample(said, *pages)

    def _counterexample(self, said: str, *pages: Page) -> Counterexample:
        return Counterexample(self.done, said, self._picture(*pages))

    def _picture(self, *pages: Page) -> str:
        model = self.model
        columns = range(model.end + 1)
        kept = {at: item for at, item in enumerate(model.items, model.first) if at >= model.base}
        log = dict.fromkeys(range(model.base), GONE) | _marks(kept) | {model.end: END}
        if pages:
            right, yours = (_marks(_by_offset(p)) | {p.next_offset: NEXT} for p in pages)
            return drawn("offset", columns, log=log, right=right, yours=yours)
        return drawn("offset", columns, right=log, yours=self._as_it_is())

    def _as_it_is(self) -> Row:
        """What the implementation holds, as far as it can say."""
        try:
            page = self.log.read(0, (), PLENTY)
            return _marks(_by_offset(page)) | {self.log.end_offset: END}
        except Exception:  # it cannot read yet
            return _marks(self.given)


def _marks(items: Mapping[int, Item]) -> dict[int, str]:
    return {offset: item.topic for offset, item in items.items()}


def _by_offset(page: Page) -> dict[int, Item]:
    """A page's items by their offsets, as far as they are any."""
    found: Any = page.items
    pairs = filter(_is_pair, found if isinstance(found, list) else [])
    return {offset: item for offset, item in pairs if isinstance(item, Item)}


def _is_pair(found: object) -> bool:
    return isinstance(found, tuple) and len(found) == 2 and type(found[0]) is int


def _other_items(found: object, right: Sequence[tuple[int, Item]]) -> str:
    if not isinstance(found, list) or not all(map(_is_pair, found)):
        return f"the page's items are {shown(found)}, no list of pairs (offset, item)."
    if (offsets := _offsets(found)) != _offsets(right):
        return f"the page holds {offsets}, not {_offsets(right)}."
    return f"the page holds {offsets}, as it should, but other items."


def _offsets(items: Sequence[tuple[int, Item]]) -> str:
    offsets = [str(offset) for offset, _ in items]
    return f"offset{'s' * (len(offsets) > 1)} {', '.join(offsets)}" if offsets else "nothing"


def _raised(error: BaseException) -> str:
    text = " ".join(str(error).split())
    said = f"it raised {type(error).__name__}{f': {text}' if text else ''}"
    return said if said.endswith(".") else f"{said}."


def a_log(make: Callable[[int], LogPart], program: LogProgram) -> None:
    """Whatever is done to a log, it says what a list of everything would say."""
    base_offset, operations = program
    try:
        log = make(base_offset)
    except Exception as error:
        raise Counterexample([f"Log({base_offset})"], _raised(error)) from error
    under_test = _LogUnderTest(log, base_offset)
    for operation in operations:
        getattr(under_test, type(operation).__name__.lower())(operation)


def a_table(make: Callable[[], PublishersPart], batches: Sequence[tuple[str, int]]) -> None:
    """A batch is new if its sequence is higher than all that its publisher had accepted."""
    try:
        table = make()
    except Exception as error:
        raise Counterexample([], _raised(error)) from error
    highest: dict[str, int] = {}
    said: list[Any] = []
    right: list[bool] = []
    done: list[str] = []
    for publisher, sequence in batches:
        right.append(not publisher or sequence > highest.get(publisher, 0))
        if right[-1]:
            highest[publisher] = sequence
        done.append(f"accept({publisher!r}, {sequence})")
        try:
            said.append(table.accept(publisher, sequence, NOON))
        except Exception as error:
            raise Counterexample(done, _raised(error)) from error
        if said[-1] is not right[-1]:
            wrong = f"the last one returned {shown(said[-1])}, not {right[-1]}."
            columns = [f"{who or '–'}{number}" for who, number in batches[: len(done)]]
            raise Counterexample(
                done, wrong, drawn("batch", columns, right=_verdicts(right), yours=_verdicts(said))
            )


def _verdicts(said: Sequence[object]) -> Row:
    names = {"True": "new", "False": "dup"}
    return {at: names.get(repr(each), "?") for at, each in enumerate(said)}


def a_cursor(make: Callable[[int], Any], program: tuple[int, Sequence[tuple[str, int]]]) -> None:
    """Each offset is either passed or missed, and what was missed is told once."""
    start, moves = program
    try:
        cursor = make(start)
    except Exception as error:
        raise Counterexample([f"Cursor({start})"], _raised(error)) from error
    position, missed, untold = start, 0, 0
    done = [f"Cursor({start})"]

    def wrong(what: str, yours: object, right: object) -> Counterexample:
        columns = range(max(position, start, 1) + 1)
        mine = {yours: "^"} if what == "position" and type(yours) is int and yours >= 0 else {}
        picture = drawn("offset", columns, right={position: "^"}, yours=mine)
        return Counterexample(
            done, f"{what} is {shown(yours)}, not {right}.", picture if mine else ""
        )

    for move, ahead in moves:
        offset = max(0, position + ahead)
        done.append(f"{move}({offset})")
        try:
            told = getattr(cursor, move)(offset)
        except Exception as error:
            raise Counterexample(done, _raised(error)) from error
        if move == "skip_to":
            gap = max(0, offset - position)
            position, missed, untold = position + gap, missed + gap, untold + gap
        else:
            if told != untold:
                raise wrong("what `deliver` returns", told, untold)
            position, untold = max(position, offset + 1), 0
        if cursor.position != position:
            raise wrong("position", cursor.position, position)
        if cursor.missed != missed:
            raise wrong("missed", cursor.missed, missed)


@cache
def _strategies() -> dict[str, Any]:
    """What each step's random programs are made of: it takes a moment, and only a check needs it.

    What comes first of the choices is what a small counterexample is made of.
    """
    from hypothesis import strategies as st

    append = st.builds(Append, st.sampled_from("ab"), st.sampled_from([1, 2, 3]))
    topics = st.sampled_from([(), ("a",), ("b",), ("a", "b"), ("nobody",)])
    limits = st.sampled_from([PLENTY, 0, 1, 2, 3, 4, 5])

    def log(*kinds: str) -> Any:
        """Offsets are drawn as distances from the first one, so that both can become small."""

        def program(base: int) -> Any:
            read = st.builds(Read, st.integers(0, 9).map(lambda n: n and base + n), topics, limits)
            truncate = st.builds(Truncate, st.integers(-1, 9).map(base.__add__))
            known = {"append": append, "read": read, "truncate": truncate}
            operations = st.one_of(*(known[kind] for kind in kinds))
            # Most mistakes show only in a log that holds something.
            first, then = st.lists(append, max_size=5), st.lists(operations, max_size=10)
            return st.tuples(st.just(base), st.builds(list.__add__, first, then))

        return st.sampled_from([0, 5]).flatmap(program)

    moves = st.tuples(st.sampled_from(["skip_to", "deliver"]), st.integers(-3, 5))
    return {
        "append": log("append"),
        "read": log("append", "read"),
        "truncate": log("append", "truncate", "read"),
        "accept": st.lists(st.tuples(st.sampled_from(["p", "q", ""]), st.integers(1, 5))),
        "skip_to": st.tuples(st.integers(0, 5), st.lists(moves, max_size=8)),
    }


LAWS: dict[str, Law] = {
    "append": a_log,
    "read": a_log,
    "truncate": a_log,
    "accept": a_table,
    "skip_to": a_cursor,
}
"""What is written in each step, and what it must do."""


class UnsteadyError(Exception):
    """The same operations did not always do the same."""


def get_ready() -> None:
    """Import all that `obey` needs, some of it late: that takes its time on a busy machine."""
    obey("append", Log, examples=1)


def obey(law: str, make: Callable[..., Any], examples: int = EXAMPLES) -> None:
    """Try an implementation on random programs.

    Args:
        law: One of `LAWS`.
        make: The class.
        examples: How many programs.

    Raises:
        Counterexample: The smallest program that goes wrong.
        UnsteadyError: One that went wrong does not, tried again.
    """
    import hypothesis
    from hypothesis.configuration import set_hypothesis_home_dir

    set_hypothesis_home_dir(tempfile.gettempdir())  # it keeps notes: not beside a notebook

    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=[*hypothesis.HealthCheck],
    )
    @hypothesis.given(_strategies()[law])
    def every(program: Any) -> None:
        try:
            LAWS[law](make, program)
        except Counterexample as error:
            error.program = program
            raise

    try:
        every()
    except hypothesis.errors.Flaky:
        raise UnsteadyError from None


def alone(law: str, make: Callable[..., Any], program: Any) -> Counterexample | None:
    """What is wrong with that program where no other one was run before."""
    try:
        LAWS[law](make, program)
    except Counterexample as error:
        return error
    return None

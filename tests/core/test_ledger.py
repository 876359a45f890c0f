"""The ledger against the naive model: a list of all batches that ever came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamlib.core.ledger import ACCEPTED, DUPLICATE, REFUSED, Batch, Ledger


def test_an_accepted_batch_is_found_at_each_of_its_offsets_and_nowhere_else() -> None:
    ledger = Ledger()
    ledger.accepted("p", 1, first_offset=2, items=3)
    batch = Batch("p", 1, ACCEPTED, 2, 3)
    assert [ledger.batch_at(n) for n in range(1, 6)] == [None, batch, batch, batch, None]


def test_an_item_of_the_workflow_itself_has_no_batch() -> None:
    ledger = Ledger()
    ledger.accepted("p", 1, first_offset=0, items=1)
    ledger.accepted("p", 2, first_offset=2, items=1)  # offset 1 came from the workflow
    assert ledger.batch_at(1) is None


def test_a_duplicate_points_at_the_copy_that_won_and_takes_no_offset() -> None:
    ledger = Ledger()
    ledger.accepted("p", 1, first_offset=0, items=2)
    ledger.accepted("q", 1, first_offset=2, items=5)
    ledger.duplicate("p", 1)
    assert ledger.latest(1) == [Batch("p", 1, DUPLICATE, 0, 2)]
    assert ledger.batch_at(0) == Batch("p", 1, ACCEPTED, 0, 2)
    assert ledger.batch_at(7) is None


def test_a_duplicate_of_a_batch_that_nobody_remembers_has_no_offset() -> None:
    ledger = Ledger()
    ledger.duplicate("p", 1)  # accepted in the run before
    assert ledger.latest(1) == [Batch("p", 1, DUPLICATE, None, 0)]


def test_a_refused_batch_is_counted_and_says_why() -> None:
    ledger = Ledger()
    ledger.refused("p", "it is no object but int")
    ledger.refused("", "it has 0 arguments, not 1")
    assert ledger.refusals == 2
    assert ledger.latest(2) == [
        Batch("p", 0, REFUSED, None, 0, "it is no object but int"),
        Batch("", 0, REFUSED, None, 0, "it has 0 arguments, not 1"),
    ]


def test_an_empty_batch_is_accepted_and_has_no_offset() -> None:
    ledger = Ledger()
    ledger.accepted("p", 1, first_offset=0, items=0)
    ledger.accepted("p", 2, first_offset=0, items=1)
    assert [batch.sequence for batch in ledger.latest(9)] == [1, 2]
    assert ledger.batch_at(0) == Batch("p", 2, ACCEPTED, 0, 1)


def test_the_latest_come_oldest_first_and_no_more_than_asked() -> None:
    ledger = Ledger()
    for n in range(1, 6):
        ledger.accepted("p", n, first_offset=n - 1, items=1)
    assert [batch.sequence for batch in ledger.latest(2)] == [4, 5]
    assert [batch.sequence for batch in ledger.latest(99)] == [1, 2, 3, 4, 5]
    assert ledger.latest(0) == ledger.latest(-1) == []


def test_it_stays_within_its_bound_however_much_comes() -> None:
    ledger = Ledger(keep=10)
    for n in range(1, 1001):
        ledger.accepted("p", n, first_offset=n - 1, items=1)
        ledger.duplicate("p", n)
        ledger.refused("p", "no reason")
        assert len(ledger.latest(1000)) < 20
    assert len(ledger.latest(1000)) >= 10
    remembered = [n for n in range(1000) if ledger.batch_at(n) is not None]
    assert remembered == list(range(remembered[0], 1000))
    assert 10 <= len(remembered) < 20
    assert ledger.refusals == 1000


class Counting(str):
    """An id that counts how often it is compared."""

    compared = 0

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counting.compared += 1
        return str.__eq__(self, other)


def test_a_duplicate_costs_the_same_however_much_is_remembered() -> None:
    """It is the workflow that computes it, and anybody can send one."""
    ledger = Ledger()
    for n in range(1, 4_001):
        ledger.accepted("p", n, first_offset=n - 1, items=1)
    Counting.compared = 0
    for _ in range(10):
        ledger.duplicate(Counting("p"), 1_000)
        ledger.duplicate(Counting("q"), 1)
    assert Counting.compared < 1_000
    assert ledger.latest(2)[0] == Batch("p", 1_000, DUPLICATE, 999, 1)


def test_a_verdict_is_the_best_of_what_is_remembered_and_forgotten_with_it() -> None:
    ledger = Ledger(keep=4)
    ledger.accepted("p", 1, first_offset=0, items=1)
    ledger.duplicate("p", 1)
    ledger.refused("p", "why", 2)
    asked = [2, 1, 9, 1]
    assert [batch.verdict for batch in ledger.verdicts("p", asked)] == [REFUSED, ACCEPTED]
    for n in range(3, 6):
        ledger.accepted("q", n, first_offset=n, items=1)
    ledger.duplicate("p", 1)
    ledger.accepted("q", 6, first_offset=6, items=1)  # the oldest four are forgotten
    assert ledger.verdicts("p", asked) == [Batch("p", 1, DUPLICATE, 0, 1)]


KEEP = 4
comings = st.lists(
    st.tuples(st.sampled_from(["new", "again", "own", "bad"]), st.integers(0, 5)), max_size=60
)


@given(comings)
def test_it_agrees_with_a_list_that_forgets_nothing(comings: list[tuple[str, int]]) -> None:
    """`own` are items of the workflow; `again` repeats one of the last accepted batches."""
    ledger = Ledger(KEEP)
    accepted: list[Batch] = []
    noted: list[Batch] = []
    end = 0
    for kind, number in comings:
        match kind:
            case "new":
                noted.append(Batch("p", len(accepted) + 1, ACCEPTED, end, number))
                accepted.append(noted[-1])
                ledger.accepted("p", len(accepted), end, number)
                end += number
            case "again" if accepted:
                won = accepted[-1 - number % len(accepted)]
                ledger.duplicate("p", won.sequence)
                [found] = ledger.latest(1)
                noted.append(found)
                known = found.first_offset is not None
                assert known or won not in [b for b in accepted if b.items][-KEEP:]
                if known:
                    assert found == won._replace(verdict=DUPLICATE)
            case "own":
                end += number
            case "bad":
                noted.append(Batch("p", 0, REFUSED, None, 0, str(number)))
                ledger.refused("p", str(number))
    assert ledger.latest(KEEP) == noted[-KEEP:]
    recent = [batch for batch in accepted if batch.items][-KEEP:]
    for offset in range(end + 2):
        truth = next((b for b in accepted if 0 <= offset - (b.first_offset or 0) < b.items), None)
        found_at = ledger.batch_at(offset)
        assert found_at == truth or (found_at is None and truth not in recent)
    for first in range(0, end + 2, 3):
        rows = [batch for count, batch in ledger.batches_of(first, end) for _ in range(count)]
        assert rows == [ledger.batch_at(offset) for offset in range(first, end)]

"""The ledger: core's ranges find the receipts and publishers they belong to (P6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.ledger import Ledger, Tally, Tickets, encode_payload
from gapless.core.events import Settled, SettledOutcome
from gapless.core.news import Ticket


def settled(
    first: int, last: int, outcome: SettledOutcome = "accepted", seq: int = 0, code: str = ""
) -> Settled:
    return Settled("c", first, last, outcome, "P1" if seq else "", seq, code)


def tally_of(*numbers: int) -> Tally:
    tally = Tally("c")
    for number in numbers:
        tally.note_sent(number)
    return tally


def test_a_range_settles_each_receipt_alone_with_its_own_seq() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.expect("c", 2, "two")
    ledger.expect("c", 4, "four")
    ledger.expect("other", 3, "elsewhere")

    receipts, tallies = ledger.settle(settled(1, 3, seq=11))

    assert receipts == [("two", settled(2, 2, seq=12))]
    assert tallies == []
    assert ledger.settle(settled(4, 4, seq=14))[0] == [("four", settled(4, 4, seq=14))]
    assert ledger.settle(settled(4, 4, seq=14))[0] == []


def test_a_dropped_receipt_is_settled_no_more() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.expect("c", 1, "one")
    ledger.drop("c", 1)
    ledger.drop("c", 1)

    assert ledger.settle(settled(1, 1, seq=1)) == ([], [])


def test_what_was_never_sent_has_no_seq() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.expect("c", 2, "two")

    receipts, _ = ledger.settle(settled(1, 3, "unsent"))

    assert receipts == [("two", settled(2, 2, "unsent"))]


def test_a_tally_counts_what_was_sent_accepted_and_settled() -> None:
    tally = tally_of(1, 2, 3, 4)

    assert (tally.sent, tally.is_settled) == (4, False)
    assert tally.note_settled(settled(1, 3, seq=1))
    assert (tally.accepted, tally.is_settled) == (3, False)
    assert tally.note_settled(settled(4, 4, seq=4))
    assert (tally.accepted, tally.is_settled) == (4, True)
    assert not tally.note_settled(settled(5, 9, seq=5))


def test_an_empty_tally_is_settled() -> None:
    assert Tally("c").is_settled


def test_failures_are_named_by_the_publishers_own_count_and_seq() -> None:
    tally = tally_of(11, 12, 15, 16)

    tally.note_settled(settled(10, 11, seq=1))
    tally.note_settled(settled(12, 15, "refused", seq=3, code="full"))
    tally.note_settled(settled(16, 16, "unknown", seq=7))

    assert tally.accepted == 1
    assert tally.failed == [
        settled(2, 2, "refused", seq=3, code="full"),
        settled(3, 3, "refused", seq=6, code="full"),
        settled(4, 4, "unknown", seq=7),
    ]


def test_failures_that_follow_each_other_are_kept_as_one_range() -> None:
    """P3: a million refusals take the room of one."""
    tally = tally_of(*range(1, 1001))

    for number in range(1, 1001):
        code = "full" if number <= 600 else "forbidden"
        tally.note_settled(settled(number, number, "refused", seq=number, code=code))

    assert tally.failed == [
        settled(1, 600, "refused", seq=1, code="full"),
        settled(601, 1000, "refused", seq=601, code="forbidden"),
    ]


def test_unsent_failures_that_follow_each_other_are_kept_as_one_range() -> None:
    tally = tally_of(1, 2)

    tally.note_settled(settled(1, 1, "unsent"))
    tally.note_settled(settled(2, 2, "unsent"))

    assert tally.failed == [settled(1, 2, "unsent")]


def test_a_ledger_touches_only_the_tallies_of_the_range_until_they_are_closed() -> None:
    ledger: Ledger[str] = Ledger()
    first, second = Tally("c"), Tally("c")
    for tally in (first, second):
        ledger.open_tally(tally)
    first.note_sent(1)
    second.note_sent(2)

    assert ledger.settle(settled(1, 1, seq=1))[1] == [first]
    assert ledger.settle(settled(2, 2, seq=2))[1] == [second]
    for tally in (first, second, second):
        ledger.close_tally(tally)
    second.note_sent(3)
    assert ledger.settle(settled(3, 3, seq=3)) == ([], [])


@given(
    owners=st.lists(st.integers(0, 2), max_size=40),
    cuts=st.lists(st.integers(1, 7), max_size=40),
    outcomes=st.lists(st.sampled_from(["accepted", "refused", "unknown"]), max_size=40),
)
def test_every_message_of_every_publisher_is_counted_once(
    owners: list[int], cuts: list[int], outcomes: list[SettledOutcome]
) -> None:
    """P6, I22: sent = accepted + failed, however the numbers interleave and settle."""
    ledger: Ledger[str] = Ledger()
    tallies = [Tally("c") for _ in range(3)]
    for tally in tallies:
        ledger.open_tally(tally)
    for number, owner in enumerate(owners, 1):
        tallies[owner].note_sent(number)
    expected = [{"accepted": 0, "refused": 0, "unknown": 0} for _ in tallies]
    first, step = 1, 0
    while first <= len(owners):
        size = cuts[step % len(cuts)] if cuts else 1
        outcome = outcomes[step % len(outcomes)] if outcomes else "accepted"
        last = min(first + size - 1, len(owners))
        for owner in owners[first - 1 : last]:
            expected[owner][outcome] += 1
        ledger.settle(settled(first, last, outcome, seq=first))
        first, step = last + 1, step + 1

    for tally, counts in zip(tallies, expected, strict=True):
        assert tally.is_settled
        assert tally.accepted == counts["accepted"]
        failed = {"refused": 0, "unknown": 0}
        taken: set[int] = set()
        for one in tally.failed:
            own = set(range(one.first, one.last + 1))
            assert not own & taken
            assert own <= set(range(1, tally.sent + 1))
            taken |= own
            failed[one.outcome] += len(own)
        assert failed == {key: counts[key] for key in failed}


def test_tickets_settle_in_their_order_once_the_store_has_answered() -> None:
    tickets = Tickets("c")
    first, second = Ticket("c"), Ticket("c", "E1", 2)
    tickets.note_sent(first)
    tickets.note_sent(second)

    assert tickets.next_pending() is first
    assert tickets.tally.accepted == 0
    first.refused = "full"
    assert tickets.next_pending() is None
    assert tickets.tally.accepted == 1
    assert tickets.tally.failed == [settled(1, 1, "refused", code="full")]


def test_tickets_that_nobody_will_answer_are_unknown() -> None:
    tickets = Tickets("c")
    tickets.note_sent(Ticket("c"))
    tickets.note_sent(Ticket("c"))

    tickets.give_up()

    assert tickets.next_pending() is None
    assert tickets.tally.failed == [settled(1, 2, "unknown")]


def test_a_payload_becomes_bytes_of_its_own() -> None:
    changing = bytearray(b"before")
    frozen, is_text = encode_payload(changing)
    changing[:] = b"after!"

    assert (frozen, is_text) == (b"before", False)
    assert encode_payload("grüße") == ("grüße".encode(), True)
    assert encode_payload(memoryview(b"abc")[1:]) == (b"bc", False)


def test_a_payload_that_is_neither_text_nor_bytes_is_a_type_error() -> None:
    for wrong in (5, None, ["x"]):
        with pytest.raises(TypeError):
            encode_payload(wrong)

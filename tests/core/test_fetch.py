"""Fetch: one question at a time, and an answer counts for the place it was asked at (I13)."""

from gapless.core.fetch import Fetch
from gapless.core.receiver import MESSAGE_BYTES


def test_a_place_is_asked_about_once() -> None:
    fetch = Fetch()
    assert (fetch.ask(2), fetch.ask(2), fetch.ask(5)) == (2, None, None)
    fetch.answer(2, [b"3", b"4"], True)
    assert fetch.ask(2) is None, "its answer is here"
    assert (fetch.has(2), fetch.has(3), fetch.is_refused(2)) == (True, False, False)
    assert fetch.held_bytes == 2 + 2 * MESSAGE_BYTES
    assert fetch.take() == ([b"3", b"4"], True)
    assert (fetch.has(2), fetch.held_bytes) == (False, 0)
    assert fetch.ask(4) == 4


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    fetch = Fetch()
    fetch.answer(2, [b"3"], False)
    assert (fetch.has(2), fetch.held_bytes) == (False, 0)
    fetch.ask(2)
    fetch.answer(1, [b"2"], False)
    assert (fetch.has(1), fetch.has(2), fetch.ask(7)) == (False, False, None)
    fetch.answer(2, [b"3"], False)
    fetch.answer(2, [b"x", b"y"], True)
    assert fetch.take() == ([b"3"], False), "the first counts"


def test_p2_an_empty_answer_says_that_it_can_not_be_had() -> None:
    """Whatever the store claims to hold: it isn't asked for the same again."""
    fetch = Fetch()
    fetch.ask(2)
    fetch.answer(2, [], False)
    assert (fetch.is_refused(2), fetch.is_refused(3), fetch.has(2)) == (True, False, False)
    assert (fetch.ask(2), fetch.ask(5)) == (None, 5)

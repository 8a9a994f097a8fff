"""The checker sees credit that is wrong, readers that do not tell, and pins that do not hold.

Rule 3, rule 4, I3 and I17, each broken: by a client that lies, or by frames as they would be.
"""

from dataclasses import replace
from itertools import count

import pytest

from gapless.core.client import ClientSession
from gapless.core.config import KIB, Config
from gapless.core.events import Lost
from gapless.core.frames import (
    Ack,
    Ended,
    Frame,
    Gone,
    PinTerms,
    Recovered,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.position import Position
from gapless.core.subscription import Subscription
from gapless.testing import Checker, Pair
from gapless.testing.check_reading import FOR_EVER

from .plants import LyingSession, Reading, a_line, a_session, caught, joined, message

EVER = PinTerms(int(FOR_EVER * 1000), 40)
SOON = PinTerms(1000, 40)


class Greedy(LyingSession):
    """Grants a byte more than there is in the window."""

    def lie(self, frame: Frame) -> Frame:
        return replace(frame, limit=frame.limit + 1) if isinstance(frame, Subscribe) else frame


class Generous(LyingSession):
    """Grants a window with each ack, whatever is held."""

    def lie(self, frame: Frame) -> Frame:
        return replace(frame, limit=frame.limit + 10**9) if isinstance(frame, Ack) else frame


class Stingy(LyingSession):
    """Never grants again what was used up."""

    first = 0

    def lie(self, frame: Frame) -> Frame:
        if isinstance(frame, Subscribe):
            self.first = frame.limit
        return replace(frame, limit=self.first) if isinstance(frame, Ack) else frame


class Silent(ClientSession):
    """Takes, and tells nobody."""

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        frame = super().next_frame(link, now=now)
        while isinstance(frame, Ack) and frame.seq:
            frame = super().next_frame(link, now=now)
        return frame


def reading(
    kind: type[ClientSession], count: int = 0, window: int = 256 * KIB
) -> tuple[Pair, Checker, Subscription]:
    """A client of that kind that has taken so many messages of 1 KiB."""
    pair = Pair(seed=9)
    checker = Checker(pair)
    session = a_session(kind)
    session.config = replace(Config.production(), window=window)
    joined(pair, session).start()
    news = pair.peer.subscribe("news", "earliest")
    pair.settle()
    for _ in range(count):
        pair.publish("news", b"x" * KIB)
        pair.run(0.05)
        pair.peer.take_all(news)
    pair.settle()
    return pair, checker, news


def test_rule_3_a_subscribe_that_grants_more_than_is_left() -> None:
    with caught("rule 3", f"news: limit {256 * KIB + 1}, {256 * KIB} are left"):
        reading(Greedy)


def test_rule_3_an_ack_that_grants_more_than_the_window() -> None:
    with caught("rule 3", "0 sent, 0 held, a window of 262144"):
        reading(Generous)


def test_i17_credit_that_is_never_given_back() -> None:
    pair, checker, news = reading(Stingy, 6, window=8 * KIB)
    pair.peer.take_all(news)

    with caught("I17", "of 8192 bytes of credit are left"):
        checker.finish()


def test_rule_4_a_reader_that_pins_and_does_not_tell() -> None:
    with caught("rule 4", "S→C1 news: taken for 0.1"):
        reading(Silent, 5)


def test_an_honest_reader_is_let_pass() -> None:
    pair, checker, news = reading(ClientSession, 6, window=8 * KIB)
    pair.peer.publish("orders", b"x" * KIB)
    pair.settle()
    pair.peer.settled("orders")
    pair.peer.unsubscribe(news)
    pair.settle()
    checker.finish()


class Pinned(Reading):
    """A reader of channel a, held from E:5 on by a pin of these terms."""

    def __init__(self, terms: PinTerms | None = EVER) -> None:
        super().__init__(Position("E", 5))
        self.line = a_line()
        self.terms = terms
        self.ask(5)

    def ask(self, seq: int, terms: PinTerms | None = None) -> None:
        asked = Subscribe(1, "a", Position("E", seq), 100)
        self.checker.on_frame(self.line, False, asked)
        answer = Subscribed(1, 7, "E", seq + 1, seq + 1, terms or self.terms, Recovered(1))
        self.checker.on_frame(self.line, True, answer)


def lost(first: int, last: int, reason: str = "rotated") -> Lost:
    return Lost("a", "E", first, last, reason)


def test_i3_a_loss_behind_a_pin_that_holds_for_ever() -> None:
    reader = Pinned()
    reader.take(message(6))

    with caught("I3", "lost 7..9 (rotated), held since E:5"):
        reader.take(lost(7, 9))


@pytest.mark.parametrize("terms", [None, SOON])
def test_i3_a_loss_where_patience_may_have_run_out(terms: PinTerms | None) -> None:
    Pinned(terms).take(lost(6, 9, "stalled"))


def test_i3_a_message_that_is_too_large_for_the_reader_is_no_fault_of_the_pin() -> None:
    Pinned().take(lost(6, 6, "too large"))


def test_i3_a_pin_that_another_reader_of_the_session_moves_holds_for_nobody() -> None:
    reader = Pinned()
    second = reader.pair.add_client()
    reader.checker.on_subscribed(second, Subscription("a", "earliest", window=100, requests=_one()))
    line = a_line()
    line.client = second.name
    reader.checker.on_frame(line, False, Subscribe(1, "a", "earliest", 100))
    reader.checker.on_frame(line, True, Subscribed(1, 7, "E", 6, 6, EVER, Recovered(1)))
    reader.ask(5)
    reader.take(lost(6, 9))


def test_a_reader_that_left_or_was_ended_owes_no_ack() -> None:
    reader = Pinned(SOON)
    reader.checker.on_frame(reader.line, True, Gone(7, 6, 6, "rotated"))
    reader.take(lost(6, 6))
    reader.checker.on_frame(reader.line, False, Unsubscribe(1))
    reader.checker.on_frame(reader.line, True, Ended(7, "unsubscribed", False))
    reader.pair.clock.advance(1.0)
    reader.checker.on_step()


def _one() -> "count[int]":
    return count(1)

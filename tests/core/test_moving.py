"""Moving to another link on `goaway` when the session does not move along (rule 9, P6).

What was sent on the old link is answered there and nowhere else, so that link is kept for the
answers; everything else goes on over the new one.
"""

import pytest

from gapless.core.closing import Code
from gapless.core.events import Closed, LinkDown, OpenLink
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Frame,
    Goaway,
    Hello,
    Offered,
    Ping,
    Pong,
    Refused,
    Welcome,
)
from gapless.core.outbox import OfferPhase
from gapless.core.states import SessionState

from .by_hand import ClientByHand
from .parts import LOST

OLD, NEW = 1, 2


def welcome(resumed: bool) -> Welcome:
    return Welcome("@s2", "token-b", resumed, 30_000, 120_000, 1 << 20, 128)


class Mover(ClientByHand):
    """A client that has sent p1 and p2 on its old link, without an answer, and is told to move."""

    def __init__(self) -> None:
        super().__init__()
        self.connect()
        for payload in (b"p1", b"p2"):
            self.client.publish("b", payload, False, now=self.now)
        self.say_on(OLD, Offered(1, "new", "P1", 0, 1 << 20))
        assert [type(frame) for frame in self.hear_on(OLD)][-1] is Data
        self.now += 20
        self.say_on(OLD, Goaway(5000, 0))
        self.move_to(NEW)

    def move_to(self, link: int) -> None:
        self.client.handle_timeout(now=self.now)
        assert OpenLink(link) in self.polled()
        self.client.handle_link_opened(link, now=self.now)
        assert isinstance(self.hear_on(link)[0], Hello)

    def say_on(self, link: int, *frames: Frame) -> None:
        for frame in frames:
            self.hear_on(link)
            self.client.receive_bytes(link, now=self.now)
            self.client.receive_frame(link, frame, now=self.now)

    def hear_on(self, link: int) -> list[Frame]:
        return list(iter(lambda: self.client.next_frame(link, now=self.now), None))

    def outcomes(self) -> list[tuple[int, int, str]]:
        told = iter(lambda: self.client.next_settled("b"), None)
        return [(one.first, one.last, one.outcome) for one in told]


@pytest.fixture
def mover() -> Mover:
    mover = Mover()
    mover.say_on(NEW, welcome(resumed=False))
    return mover


def test_the_old_link_stays_until_what_was_sent_is_answered(mover: Mover) -> None:
    assert mover.client.link == NEW
    assert mover.hear_on(OLD) == []
    mover.say_on(OLD, Ack(1, 1, 1 << 20))
    assert mover.outcomes() == [(1, 1, "accepted")]
    assert mover.hear_on(OLD) == [], "p2 is still to be answered"
    mover.say_on(OLD, Ack(1, 2, 1 << 20))
    assert mover.outcomes() == [(2, 2, "accepted")]
    assert [frame for frame in mover.hear_on(OLD) if isinstance(frame, Close)] == [
        Close(Code.DONE, "moved to another session", None)
    ]


def test_what_is_published_meanwhile_waits_and_goes_over_the_new_link(mover: Mover) -> None:
    mover.client.publish("b", b"p3", False, now=mover.now)
    mover.client.publish("c", b"q1", False, now=mover.now)
    offers = mover.hear_on(NEW)
    assert [getattr(frame, "channel", None) for frame in offers] == ["c"], "b waits, c doesn't"
    mover.say_on(OLD, Ack(1, 2, 1 << 20))
    (offer,) = mover.hear_on(NEW)
    assert (getattr(offer, "channel", None), getattr(offer, "first", None)) == ("b", 3)


def test_pings_of_the_old_link_are_answered_and_data_is_counted_and_dropped(mover: Mover) -> None:
    mover.say_on(OLD, Data(7, 1, [b"old"], False), Ping(5, 1))
    assert mover.hear_on(OLD) == [Pong(5, 1)]


def test_if_the_old_link_is_lost_the_rest_is_offered_on_the_new_one(mover: Mover) -> None:
    mover.client.handle_link_lost(OLD, LOST, now=mover.now)
    assert mover.client.link == NEW
    (offer,) = mover.hear_on(NEW)
    assert (getattr(offer, "epoch", None), getattr(offer, "first", None)) == ("P1", 1)
    mover.say_on(NEW, Offered(getattr(offer, "id", 0), "new", "P2", 0, 1 << 20))
    assert mover.outcomes() == [(1, 2, "unknown")]


def test_if_the_new_link_is_lost_the_answers_still_come_on_the_old_one(mover: Mover) -> None:
    """Rule 9: it is kept until nothing is left to be answered, whatever happens to the new one."""
    mover.client.handle_link_lost(NEW, LOST, now=mover.now)
    assert mover.client.link is None
    assert [outbox.phase for outbox in mover.client.outboxes] == [OfferPhase.STAYING]
    mover.say_on(OLD, Ack(1, 2, 1 << 20))
    assert mover.outcomes() == [(1, 2, "accepted")]
    assert [type(frame) for frame in mover.hear_on(OLD)] == [Close]


def test_a_refusal_on_the_old_link_is_the_end_of_it(mover: Mover) -> None:
    mover.say_on(OLD, Refused(1, 1, 1, "full", None))
    assert mover.outcomes() == [(1, 1, "refused")]
    assert [type(frame) for frame in mover.hear_on(OLD)] == [Close]
    (offer,) = mover.hear_on(NEW)
    assert getattr(offer, "first", None) == 2


def test_a_violation_on_the_old_link_ends_that_link_alone(mover: Mover) -> None:
    mover.say_on(OLD, Ack(1, 99, 1 << 20))
    assert [frame.code for frame in mover.hear_on(OLD) if isinstance(frame, Close)] == [
        Code.VIOLATION
    ]
    assert mover.client.link == NEW


def test_an_old_link_with_nothing_to_answer_is_closed_at_the_welcome() -> None:
    mover = Mover()
    mover.say_on(OLD, Ack(1, 2, 1 << 20))
    mover.say_on(NEW, welcome(resumed=False))
    assert [type(frame) for frame in mover.hear_on(OLD)] == [Close]


def test_a_session_that_moved_along_needs_the_old_link_no_more() -> None:
    mover = Mover()
    mover.say_on(NEW, welcome(resumed=True))
    assert mover.hear_on(OLD) == [Close(Code.FENCED, "moved to another link", None)]
    (offer,) = mover.hear_on(NEW)
    assert getattr(offer, "first", None) == 1


def test_closing_ends_all_links_and_i20_leaves_no_timer(mover: Mover) -> None:
    mover.client.close(now=mover.now, timeout=0.0)
    assert mover.client.next_deadline() is None
    assert mover.outcomes() == [(1, 2, "unknown")]
    assert [type(frame) for frame in mover.hear_on(OLD)] == [Close]
    assert [type(frame) for frame in mover.hear_on(NEW)] == [Close]


def test_another_move_gives_the_oldest_link_up(mover: Mover) -> None:
    mover.now += 20
    mover.say_on(NEW, Goaway(0, 0))
    mover.move_to(3)
    mover.say_on(3, welcome(resumed=False))
    assert mover.client.link == 3
    assert [type(frame) for frame in mover.hear_on(OLD)] == [Close]
    assert mover.outcomes() == []
    (offer,) = mover.hear_on(3)
    assert getattr(offer, "first", None) == 1


@pytest.mark.parametrize("answer", [Ack(1, 2, 1 << 20), Refused(1, 1, 2, "full", None)])
def test_the_last_answer_to_a_session_that_is_closing_ends_it(mover: Mover, answer: Frame) -> None:
    """Contract 4.4: no frame of a peer makes a call raise."""
    mover.client.close(now=mover.now)
    mover.say_on(OLD, answer)
    assert mover.client.state is SessionState.CLOSED
    assert [type(frame) for frame in mover.hear_on(OLD)] == [Close]
    assert [type(frame) for frame in mover.hear_on(NEW)] == [Close]


def test_a_refusal_of_what_is_settled_ends_no_waiting(mover: Mover) -> None:
    mover.say_on(OLD, Ack(1, 1, 1 << 20), Refused(1, 1, 1, "stale", None))
    assert mover.hear_on(OLD) == []
    mover.say_on(OLD, Ack(1, 2, 1 << 20))
    assert mover.outcomes() == [(1, 2, "accepted")]


def test_a_server_that_cannot_take_the_move_now_is_asked_when_it_says() -> None:
    mover = Mover()
    mover.say_on(NEW, Close(Code.TRY_LATER, "later", 60_000))
    assert mover.client.link == OLD
    mover.client.receive_bytes(OLD, now=mover.now)
    before = mover.now
    while not any(isinstance(command, OpenLink) for command in mover.polled()):
        deadline = mover.client.next_deadline()
        assert deadline is not None
        mover.now = deadline
        mover.client.handle_timeout(now=mover.now)
        mover.client.receive_bytes(OLD, now=mover.now)
    assert mover.now >= before + 60.0


@pytest.mark.parametrize(
    ("code", "state"),
    [(Code.GOING_AWAY, SessionState.DOWN), (Code.UNAUTHORIZED, SessionState.CLOSED)],
)
def test_a_link_that_ends_while_the_next_is_dialled_is_told_and_judged(
    code: Code, state: SessionState
) -> None:
    mover = Mover()
    mover.events()
    mover.say_on(OLD, Close(code, "away", None))
    assert mover.client.state is state
    (event,) = mover.events()
    assert isinstance(event, LinkDown | Closed)
    assert event.ending.code == code

"""Session: how a link ends, what its lanes say meanwhile, and what is told of it (contract 3-5)."""

from random import Random

import pytest

from gapless.core.accounts import Accounts
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import CloseLink, Goodbye, LinkDown, LinkUp, Lost, OpenLink
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Ended,
    Frame,
    Goaway,
    Gone,
    Offer,
    Offered,
    Recovered,
    Refused,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.link import Link
from gapless.core.monitor import Gauges
from gapless.core.session import Session
from gapless.core.watch import Watch

from .by_hand import WELCOME, ClientByHand, HubByHand

NOTHING = Gauges(active=0, stale=0, total=0, bytes_held=0, messages_held=0)


def codes(frames: list[Frame]) -> list[int]:
    return [frame.code for frame in frames if isinstance(frame, Close)]


def downs(desk: ClientByHand) -> list[Ending]:
    return [event.ending for event in desk.events() if isinstance(event, LinkDown)]


def publishing() -> ClientByHand:
    """A client whose first message is on its way."""
    desk = ClientByHand()
    desk.connect()
    desk.client.publish("news", b"m1", False, now=desk.now)
    assert [type(frame) for frame in desk.hear()] == [Offer]
    desk.say(Offered(1, "new", "P1", 0, 1 << 20))
    assert [type(frame) for frame in desk.hear()] == [Data]
    return desk


class Plain(Session):
    """A third role, which adds nothing."""

    def __init__(self) -> None:
        config = Config()
        watch = Watch(config, lambda _: NOTHING)
        super().__init__(config, rng=Random(1), books=Accounts(config), watch=watch)

    def carry(self, *, attached: bool) -> None:
        """Go on over link 1, with a verdict or without."""
        link = Link(1, config=self.config, rng=self._rng, now=0.0)
        link.open(now=0.0)
        if attached:
            link.attach(now=0.0)
        self._link = link
        self._mark_writable(link)


class TestARoleThatAddsNothing:
    @pytest.mark.parametrize("attached", [False, True])
    def test_it_has_nothing_to_say(self, attached: bool) -> None:
        session = Plain()
        session.carry(attached=attached)
        assert session.next_writable() == 1
        assert session.next_frame(1, now=0.0) is None

    @pytest.mark.parametrize(
        "frame",
        [WELCOME, Subscribe(1, "news", "latest", 1), Offer(1, "news", None, 1), Goaway(1, 1)],
    )
    def test_what_only_a_role_understands_is_a_violation(self, frame: Frame) -> None:
        """Contract 4: it ends the link, and raises nothing."""
        session = Plain()
        session.carry(attached=True)
        session.receive_frame(1, frame, now=0.0)
        command = session.poll_command()
        assert isinstance(command, CloseLink)
        assert command.ending.code == Code.VIOLATION
        assert command.ending.reason == f"{type(frame).__name__.lower()} is not for this end"
        assert (session.link, session.poll_command(), session.next_deadline()) == (None, None, None)
        assert codes([frame for frame in [session.next_frame(1, now=0.0)] if frame]) == [
            Code.VIOLATION
        ]


class TestTheEndOfALink:
    def test_a_transport_that_ends_in_peace_is_a_lost_one(self) -> None:
        """Only the frame `close` can end a session; a middlebox's 1000 can't."""
        desk = ClientByHand()
        desk.connect()
        desk.events()
        desk.client.handle_link_lost(desk.link, Ending(Code.DONE, ""), now=desk.now)
        assert downs(desk) == [Ending(Code.LOST, "the connection was closed")]
        assert desk.client.link is None
        desk.dial()
        desk.say(WELCOME)
        assert desk.client.link == desk.link

    def test_a_close_of_the_peers_ends_it_without_an_answer_and_says_when_to_come_back(
        self,
    ) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.events()
        desk.say(Close(Code.TRY_LATER, "busy", 1500))
        assert downs(desk) == [Ending(Code.TRY_LATER, "busy", 1.5)]
        assert (desk.client.link, desk.hear()) == (None, [])
        assert desk.endings() == [Ending(Code.TRY_LATER, "busy", 1.5)]

    def test_i19_a_silent_one_ends_without_a_word(self) -> None:
        desk = ClientByHand()
        desk.connect()
        link = desk.link
        while desk.client.link == link:
            deadline = desk.client.next_deadline()
            assert deadline is not None
            desk.now = max(desk.now, deadline)
            desk.client.handle_timeout(now=desk.now)
            desk.hear()
        assert [ending.code for ending in desk.endings()] == [Code.SILENT]
        assert desk.client.next_frame(link, now=desk.now) is None

    def test_one_that_never_opened_has_no_last_word(self) -> None:
        desk = ClientByHand()
        desk.client.start(now=desk.now)
        assert desk.polled() == [OpenLink(1)]
        desk.client.handle_timeout(now=desk.now + desk.client.config.connect_timeout)
        assert [ending.code for ending in desk.endings()] == [Code.TIMEOUT]
        assert desk.client.next_writable() is None
        assert desk.client.next_frame(1, now=desk.now) is None

    def test_i13_a_try_to_move_that_fails_takes_nothing_from_the_link_that_carries(self) -> None:
        desk = publishing()
        carrying = desk.link
        desk.say(Goaway(10_000, 0))
        desk.dial()
        assert desk.link != carrying
        desk.lose()
        assert desk.client.link == carrying
        desk.link = carrying
        desk.say(Ack(1, 1, 1 << 20))
        assert desk.client.is_settled

    def test_rule_9_on_the_link_that_was_left_nothing_new_is_said(self) -> None:
        desk = publishing()
        left = desk.link
        desk.say(Goaway(10_000, 0))
        desk.connect()
        desk.client.subscribe("other", now=desk.now)
        assert desk.client.next_frame(left, now=desk.now) is None
        assert [type(frame) for frame in desk.hear()] == [Subscribe]
        desk.link, present = left, desk.link
        desk.say(Ack(1, 1, 1 << 20))
        assert desk.client.is_settled
        assert codes(desk.hear()) == [Code.DONE]
        assert desk.client.link == present

    def test_what_comes_before_the_verdict_is_a_violation(self) -> None:
        desk = ClientByHand()
        desk.dial()
        desk.say(Data(1, 1, [b"m"], False))
        (ending,) = desk.endings()
        assert (ending.code, ending.reason) == (Code.VIOLATION, "data before the welcome")


class TestLanes:
    def test_an_ack_reaches_the_outbox_it_is_for(self) -> None:
        desk = publishing()
        desk.say(Ack(1, 1, 1 << 20))
        assert desk.client.is_settled
        told = desk.client.next_settled("news")
        assert told is not None
        assert told.outcome == "accepted"

    def test_p2_a_loss_reaches_the_subscription_and_counts_as_errors(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 5, None, Recovered(5)), Gone(7, 1, 5, "rotated"))
        losses = [event for event in desk.take(news) if isinstance(event, Lost)]
        assert losses == [Lost("news", "E1", 1, 5, "rotated")]
        assert desk.client.metrics(now=desk.now).errors == 5

    def test_what_a_lane_wants_later_is_done_in_its_time(self) -> None:
        """A message that was refused for now is sent again, by the session's one deadline (I12)."""
        desk = publishing()
        desk.say(Refused(1, 1, 1, "busy", 2000))
        assert desk.hear() == []
        assert desk.client.next_deadline() == desk.now + 2.0
        desk.now += 2.0
        desk.client.handle_timeout(now=desk.now)
        assert [type(frame) for frame in desk.hear()] == [Data]

    def test_of_what_a_hub_sends_losses_are_errors_and_skips_are_not(self) -> None:
        hub = HubByHand(config=Config.production("hub"))
        hub.hub.configure("news", now=hub.now, history_messages=4)
        hub.greet(1)
        hub.say(1, Subscribe(1, "news", "earliest", 1 << 20))
        hub.hear(1)
        hub.say(1, Unsubscribe(1))
        assert [type(frame) for frame in hub.hear(1)] == [Ended]
        hub.say(1, Subscribe(2, "news", "earliest", 1 << 20))
        hub.hear(1)
        hub.hub.configure("news", now=hub.now, overflow="rotate")
        for number in range(10):
            hub.hub.publish("news", b"%d" % number, now=hub.now)
        gone, _ = hub.hear(1)
        assert isinstance(gone, Gone)
        assert hub.hub.metrics(now=hub.now).errors == gone.last - gone.first + 1

        desk = publishing()
        desk.client.publish("news", b"m2", False, now=desk.now)
        desk.hear()
        desk.say(Refused(1, 1, 1, "full", None))
        errors = desk.client.metrics(now=desk.now).errors
        assert isinstance(desk.hear()[0], Gone)
        assert desk.client.metrics(now=desk.now).errors == errors == 1, "counted when refused"


class TestEvents:
    def test_one_is_pending_a_kind_with_a_count(self) -> None:
        """Contract 3: nothing piles up before an application that doesn't look."""
        desk = ClientByHand()
        for _ in range(3):
            desk.connect()
            desk.say(Goaway(10_000, 0))
            desk.lose()
        told = [(type(event), event.count) for event in desk.events()]
        assert sorted(told, key=str) == [(Goodbye, 3), (LinkDown, 3), (LinkUp, 3)]
        assert desk.client.next_event() is None

    def test_a_session_is_stale_when_only_heartbeats_pass(self) -> None:
        desk = ClientByHand()
        age = desk.client.config.stale_age
        assert not desk.client.is_stale(now=desk.now + 2 * age), "without a link it isn't"
        desk.connect()
        assert not desk.client.is_stale(now=desk.now + age)
        assert desk.client.is_stale(now=desk.now + age + 1)

"""Dialer: moving to another link, and what is still heard on the one that was left (rule 9)."""

from random import Random

import pytest

from gapless.core.accounts import Accounts
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.dialer import Dialer
from gapless.core.events import CloseLink
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
    Ping,
    Pong,
    Subscribe,
)
from gapless.core.monitor import Gauges
from gapless.core.watch import Watch

from .by_hand import WELCOME, ClientByHand

NOTHING = Gauges(active=0, stale=0, total=0, bytes_held=0, messages_held=0)
PLENTY = 1 << 20


def moved() -> tuple[ClientByHand, int]:
    """A client that has moved; what it sent before waits for answers on the link it left."""
    desk = ClientByHand()
    desk.connect()
    for payload in (b"m1", b"m2"):
        desk.client.publish("news", payload, False, now=desk.now)
    desk.hear()
    desk.say(Offered(1, "new", "P1", 0, PLENTY))
    assert [type(frame) for frame in desk.hear()] == [Data]
    left = desk.link
    desk.say(Goaway(10_000, 0))
    desk.connect()
    assert desk.client.link == desk.link != left
    return desk, left


def on(desk: ClientByHand, link: int, *frames: Frame) -> list[Frame]:
    """Say something on another link; hear what comes there."""
    present, desk.link = desk.link, link
    desk.say(*frames)
    heard = desk.hear()
    desk.link = present
    return heard


class TestTheLinkThatWasLeft:
    @pytest.mark.parametrize(
        "frame", [Gone(7, 1, 9, "rotated"), Ended(7, "unsubscribed", False), Goaway(1, 1)]
    )
    def test_what_is_no_answer_is_ignored(self, frame: Frame) -> None:
        desk, left = moved()
        assert on(desk, left, frame) == []
        assert desk.endings() == []

    def test_i16_data_of_a_channel_that_has_moved_is_counted_and_no_more(self) -> None:
        desk, left = moved()
        assert on(desk, left, Data(7, 1, [b"late"], False), Ping(1, 1)) == [Pong(1, 1)]
        assert on(desk, left, Ping(2, 2))[0] == Close(
            Code.DIVERGED, "the peer sent 2 data frames, 1 arrived", None
        )

    def test_it_stays_until_the_last_answer(self) -> None:
        desk, left = moved()
        assert on(desk, left, Ack(1, 1, PLENTY)) == []
        assert not desk.client.is_settled
        assert [type(frame) for frame in on(desk, left, Ack(1, 2, PLENTY))] == [Close]
        assert desk.client.is_settled

    def test_the_last_answer_may_end_the_session_with_all_its_links(self) -> None:
        desk, left = moved()
        desk.client.close(now=desk.now)
        (close,) = on(desk, left, Ack(1, 2, PLENTY))
        assert isinstance(close, Close)
        assert (desk.client.link, close.code) == (None, Code.DONE)
        closed = [one.link for one in desk.commands if isinstance(one, CloseLink)]
        assert len(closed) == len(set(closed)), "each is closed once"

    def test_a_second_move_gives_up_on_it(self) -> None:
        """What was not answered there is offered on the newest link: unknown, or accepted."""
        desk, left = moved()
        desk.say(Goaway(10_000, 0))
        assert [type(frame) for frame in desk.connect()] == [Offer]
        assert [type(frame) for frame in on(desk, left)] == [Close]


def test_a_link_opens_once_and_only_the_one_that_was_asked_for() -> None:
    """I13."""
    desk = ClientByHand()
    assert [type(frame).__name__ for frame in desk.dial()] == ["Hello"]
    for link in (desk.link, desk.link + 1):
        desk.client.handle_link_opened(link, now=desk.now)
        assert desk.hear() == []
    desk.say(WELCOME)
    desk.client.handle_link_opened(desk.link, now=desk.now)
    assert desk.client.link == desk.link


@pytest.mark.parametrize("frame", [Subscribe(1, "a", "latest", 1), Offer(1, "a", None, 1)])
def test_what_is_for_a_server_is_a_violation(frame: Frame) -> None:
    desk = ClientByHand()
    desk.connect(frame)
    assert [ending.code for ending in desk.endings()] == [Code.VIOLATION]


class Stayer(Dialer):
    """One that stays on the link it leaves, and has nothing to wait for there."""

    def _stay(self) -> bool:
        return True


def test_a_link_that_nobody_waits_on_is_left_with_the_first_answer() -> None:
    config = Config()
    watch = Watch(config, lambda _: NOTHING)
    dialer = Stayer(config, rng=Random(1), books=Accounts(config), watch=watch)
    dialer.start(now=0.0)
    for link, now in ((1, 0.0), (2, 60.0)):
        dialer.handle_timeout(now=now)
        dialer.handle_link_opened(link, now=now)
        dialer.next_frame(link, now=now)
        dialer.receive_frame(link, WELCOME, now=now)
        dialer.receive_frame(link, Goaway(0, 0), now=now)
    assert isinstance(dialer.next_frame(1, now=60.0), Ping), "it is looked after"
    assert dialer.next_frame(1, now=60.0) is None
    dialer.receive_frame(1, Ack(1, 1, 1), now=60.0)
    assert isinstance(dialer.next_frame(1, now=60.0), Close)
    assert dialer.link == 2

"""Dialer: keeps a client's session on a link, from the first try to the end (rules 1, 8, 9)."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gapless.core.accounts import Accounts
from gapless.core.client import ClientSession
from gapless.core.closing import CloseClass, Code, Ending, Endings
from gapless.core.config import Config
from gapless.core.dialer import Dialer
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.events import (
    CaughtUp,
    Closed,
    CloseLink,
    LinkDown,
    LinkUp,
    Message,
    OpenLink,
)
from gapless.core.frames import (
    Close,
    Data,
    Frame,
    Goaway,
    Hello,
    Live,
    Offer,
    Offered,
    Subscribe,
    Subscribed,
    Welcome,
)
from gapless.core.monitor import Gauges
from gapless.core.states import SessionState
from gapless.core.watch import Watch
from gapless.testing import Pair

from .by_hand import WELCOME, ClientByHand
from .parts import LOST


def code(frames: list[Frame]) -> int | None:
    return next((frame.code for frame in frames if isinstance(frame, Close)), None)


def dials(desk: ClientByHand) -> list[int]:
    return [command.link for command in desk.polled() if isinstance(command, OpenLink)]


class TestStarting:
    def test_the_first_link_is_asked_for_and_hello_is_said(self) -> None:
        desk = ClientByHand()
        (hello,) = desk.dial()
        assert hello == Hello(1, None, None, desk.client.config.max_message)
        assert desk.client.state is SessionState.DOWN
        desk.say(WELCOME)
        assert (desk.client.state, desk.client.link) == (SessionState.UP, desk.link)
        assert desk.client.token == WELCOME.token
        assert WELCOME.token not in repr(WELCOME)

    def test_a_session_is_started_once(self) -> None:
        desk = ClientByHand()
        desk.connect()
        with pytest.raises(InvalidState, match="start it once"):
            desk.client.start(now=desk.now)

    def test_subscribes_ride_behind_hello_as_far_as_48_kib_go(self) -> None:
        """Rule 1; the rest follows the welcome."""
        desk = ClientByHand(config=replace(Config(), max_channels=128))
        for number in range(128):
            desk.client.subscribe(f"{number:03}".ljust(255, "x"), now=desk.now)
        early = [frame for frame in desk.dial() if isinstance(frame, Subscribe)]
        assert 70 < len(early) < 128
        desk.say(WELCOME)
        late = [frame for frame in desk.hear() if isinstance(frame, Subscribe)]
        assert len(early) + len(late) == 128

    def test_an_offer_waits_for_the_welcome(self) -> None:
        desk = ClientByHand()
        desk.client.publish("news", b"m1", False, now=desk.now)
        assert [type(frame) for frame in desk.dial()] == [Hello]
        desk.say(WELCOME)
        assert [type(frame) for frame in desk.hear()] == [Offer]


class TestMisuse:
    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"credentials": "\ud800"}, "credentials"),
            ({"token": "a\udfff"}, "token"),
            ({"wait": float("nan")}, "wait"),
            ({"wait": -1.0}, "wait"),
        ],
    )
    def test_what_cannot_be_sent_or_waited_for_is_refused_when_it_is_made(
        self, wrong: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ConfigError, match=field):
            ClientSession(Config(), rng=Random(1), **wrong)
        assert ClientSession(Config(), rng=Random(1), credentials="ключ", token="t").token == "t"


class TestVerdicts:
    @pytest.mark.parametrize("token", ["", "x" * 513, "é" * 512, "\udfff"])
    def test_a_welcome_without_a_usable_token_is_a_violation(self, token: str) -> None:
        desk = ClientByHand()
        desk.dial()
        desk.say(replace(WELCOME, token=token))
        assert code(desk.hear()) == Code.VIOLATION
        assert desk.client.token is None

    def test_a_second_welcome_is_a_violation(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(WELCOME)
        assert code(desk.hear()) == Code.VIOLATION

    def test_a_goaway_before_the_welcome_is_a_violation(self) -> None:
        desk = ClientByHand()
        desk.dial()
        desk.say(Goaway(0, 0))
        assert code(desk.hear()) == Code.VIOLATION

    def test_the_token_shown_is_the_one_said_last(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(Close(Code.RESTART, "", None))
        (hello, *_) = desk.dial()
        assert isinstance(hello, Hello)
        assert hello.token == WELCOME.token
        assert WELCOME.token not in repr(hello)


class TestLosing:
    def test_a_lost_link_is_told_with_the_time_of_the_next_try(self) -> None:
        desk = ClientByHand()
        desk.connect()
        up = desk.client.next_event()
        assert isinstance(up, LinkUp)
        assert not up.resumed
        desk.lose()
        down = desk.client.next_event()
        assert isinstance(down, LinkDown)
        assert down.ending == LOST
        assert down.retry_at == desk.client.next_deadline()

    def test_events_of_a_kind_that_nobody_took_are_one_with_a_count(self) -> None:
        desk = ClientByHand()
        for _ in range(3):
            desk.connect()
            desk.lose()
        events = desk.events()
        assert [(type(event), event.count) for event in events] == [(LinkUp, 3), (LinkDown, 3)]

    def test_the_network_is_back_means_try_now(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.handle_network_back(now=desk.now)
        assert dials(desk) == [], "it has a link"
        desk.lose()
        desk.client.handle_network_back(now=desk.now)
        assert dials(desk) == [2]
        desk.client.handle_network_back(now=desk.now)
        assert dials(desk) == [], "it is dialling"

    def test_a_middlebox_that_closes_with_1000_ends_no_session(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.handle_link_lost(desk.link, Ending(Code.DONE, ""), now=desk.now)
        assert desk.client.state is SessionState.DOWN
        assert desk.client.ending is None

    def test_a_connect_that_hangs_is_given_up_and_tried_again(self) -> None:
        desk = ClientByHand()
        desk.client.start(now=desk.now)
        assert dials(desk) == [1]
        desk.now += desk.client.config.connect_timeout
        desk.client.handle_timeout(now=desk.now)
        assert [command for command in desk.polled() if isinstance(command, CloseLink)]
        down = desk.client.next_event()
        assert isinstance(down, LinkDown)
        assert down.ending.code == Code.TIMEOUT

    def test_a_driver_that_never_polled_is_not_told_of_links_long_gone(self) -> None:
        """Design 4.6: forgetting to drain piles nothing up."""
        desk = ClientByHand()
        desk.client.start(now=desk.now)
        for _ in range(50):
            deadline = desk.client.next_deadline()
            assert deadline is not None
            desk.now = deadline
            desk.client.handle_timeout(now=desk.now)
        assert len(desk.polled()) <= 1

    def test_a_close_of_class_new_session_forgets_the_token(self) -> None:
        """The table is data: an embedder's own code may mean it."""
        endings = Endings().changed({4900: CloseClass.NEW_SESSION})
        desk = ClientByHand(config=Config(endings=endings))
        desk.connect()
        desk.say(Close(4900, "forget it", None))
        (hello, *_) = desk.dial()
        assert isinstance(hello, Hello)
        assert hello.token is None

    def test_a_final_code_ends_the_session(self) -> None:
        desk = ClientByHand()
        desk.connect()
        list(iter(desk.client.next_event, None))
        desk.say(Close(Code.VERSION, "too old", None))
        (closed,) = iter(desk.client.next_event, None)
        assert isinstance(closed, Closed)
        assert closed.ending.reason == "too old"
        assert desk.client.next_deadline() is None
        desk.client.handle_network_back(now=desk.now)
        assert dials(desk) == []


class TestMoving:
    def test_a_move_that_fails_keeps_the_old_link_and_is_tried_again(self) -> None:
        desk = ClientByHand()
        desk.connect()
        old = desk.link
        desk.say(Goaway(5000, 1000))
        desk.dial()
        assert desk.link != old
        desk.lose()
        assert desk.client.link == old
        desk.dial()
        desk.say(Welcome("@s", "new token", True, 1, 1000, 1 << 20, 128))
        assert desk.client.link == desk.link
        assert desk.client.resumes == 1

    def test_nothing_is_asked_for_on_the_new_link_while_the_old_one_is_read(self) -> None:
        """Rule 9: the old link is read until the welcome, so its subscriptions stay there."""
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        old = desk.link
        desk.say(Goaway(5000, 0))
        desk.client.subscribe("other", now=desk.now)
        assert [type(frame) for frame in desk.dial()] == [Hello]
        asked = desk.client.next_frame(old, now=desk.now)
        assert isinstance(asked, Subscribe)
        assert asked.channel == "other", "on the old one"
        assert news.is_live
        desk.say(replace(WELCOME, resumed=True))
        again = [frame.channel for frame in desk.hear() if isinstance(frame, Subscribe)]
        assert sorted(again) == ["news", "other"]

    def test_a_session_that_moved_along_closes_its_old_link_and_names_both_once(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(Goaway(5000, 0))
        old = desk.link
        desk.dial()
        list(iter(desk.client.next_writable, None))
        desk.client.subscribe("news", now=desk.now)
        desk.say(replace(WELCOME, resumed=True))
        assert sorted(iter(desk.client.next_writable, None)) == [old, desk.link]
        assert [ending.code for ending in desk.endings()] == [Code.FENCED]
        assert desk.client.next_frame(old, now=desk.now) == Close(
            Code.FENCED, "moved to another link", None
        )
        assert desk.client.next_frame(old, now=desk.now) is None, "said once"

    def test_an_old_link_lost_during_the_move_leaves_the_dial_that_is_under_way(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        old = desk.link
        desk.say(Goaway(5000, 0))
        desk.dial()
        desk.client.handle_link_lost(old, LOST, now=desk.now)
        assert (desk.client.state, desk.client.link) == (SessionState.DOWN, None)
        assert dials(desk) == []
        asked = [frame.since for frame in desk.hear() if isinstance(frame, Subscribe)]
        assert asked == [news.received], "now it may ride behind hello"
        desk.say(WELCOME)
        assert (desk.client.state, desk.client.link) == (SessionState.UP, desk.link)

    def test_a_goaway_while_it_dials_or_leaves_changes_nothing(self) -> None:
        desk = ClientByHand()
        desk.connect()
        old = desk.link
        desk.say(Goaway(5000, 0))
        desk.dial()
        new, desk.link = desk.link, old
        desk.say(Goaway(0, 0))
        assert dials(desk) == []
        desk.link = new
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now)
        desk.say(WELCOME)
        desk.say(Goaway(0, 0))
        assert desk.client.state is SessionState.LEAVING
        assert dials(desk) == []


class TestClosing:
    def test_one_that_was_never_started_is_just_over(self) -> None:
        desk = ClientByHand()
        desk.client.close(now=desk.now)
        assert desk.client.state is SessionState.CLOSED
        assert desk.polled() == []

    def test_what_it_would_publish_is_unsent(self) -> None:
        desk = ClientByHand()
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now)
        assert desk.client.state is SessionState.CLOSED
        told = desk.client.next_settled("news")
        assert told is not None
        assert told.outcome == "unsent"

    @pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
    def test_no_time_to_wait_is_the_end_at_once(self, timeout: float) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now, timeout=timeout)
        assert desk.client.state is SessionState.CLOSED
        assert desk.client.next_deadline() is None

    def test_it_says_so_on_its_link_and_twice_is_once(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.close(now=desk.now)
        desk.client.close(now=desk.now)
        assert code(desk.hear()) == Code.DONE
        assert [ending.code for ending in desk.endings()] == [Code.DONE]

    def test_i20_nothing_happens_afterwards(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.close(now=desk.now)
        list(iter(desk.client.next_event, None))
        desk.hear()
        desk.polled()
        desk.say(WELCOME, Goaway(0, 0))
        desk.lose()
        desk.client.handle_timeout(now=desk.now + 1e6)
        assert desk.client.next_event() is None
        assert desk.polled() == []
        assert desk.client.next_deadline() is None

    def test_what_is_published_is_waited_for_until_the_timeout(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now, timeout=5.0)
        states = [desk.client.state]
        desk.now += 5.0
        desk.client.handle_timeout(now=desk.now)
        states.append(desk.client.state)
        assert states == [SessionState.LEAVING, SessionState.CLOSED]
        (told,) = iter(lambda: desk.client.next_settled("news"), None)
        assert told.outcome == "unsent"

    def test_while_it_dials_the_try_is_taken_back(self) -> None:
        desk = ClientByHand()
        desk.client.start(now=desk.now)
        assert dials(desk) == [1]
        desk.client.close(now=desk.now, timeout=0.0)
        assert [type(command) for command in desk.polled()] == [CloseLink]

    def test_of_two_closes_the_sooner_end_counts(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("news", b"m1", False, now=desk.now)
        for seconds in (5.0, 2.0, 9.0):
            desk.client.close(now=desk.now, timeout=seconds)
        desk.client.handle_timeout(now=desk.now + 1.9)
        states = [desk.client.state]
        desk.client.handle_timeout(now=desk.now + 2.0)
        states.append(desk.client.state)
        assert states == [SessionState.LEAVING, SessionState.CLOSED]

    def test_while_it_waits_for_answers_a_lost_link_is_dialled_again(self) -> None:
        """LEAVING takes no new work and still needs links to settle the old."""
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now, timeout=60.0)
        desk.lose()
        (hello, *_) = desk.dial()
        assert isinstance(hello, Hello)
        desk.say(WELCOME)
        assert [type(frame) for frame in desk.hear()] == [Offer]
        assert desk.client.state is SessionState.LEAVING

    def test_i20_a_late_timeout_that_ends_the_session_dials_no_more(self) -> None:
        """The end comes first, though the next try was due in the same call."""
        desk = ClientByHand(config=replace(Config(), backoff_base=10.0), seed=2)
        desk.connect()
        desk.client.publish("news", b"m1", False, now=desk.now)
        desk.lose()
        retry = desk.client.next_deadline()
        assert retry is not None
        desk.client.close(now=desk.now, timeout=(retry - desk.now) / 2)
        desk.polled()
        desk.client.handle_timeout(now=retry + 1.0)
        assert desk.client.state is SessionState.CLOSED
        assert desk.polled() == []
        assert desk.client.next_deadline() is None


def test_a_session_without_channels_is_kept_on_a_link_moved_and_closed() -> None:
    """It knows that there are lanes, not what they are: without any, nothing holds it up."""
    config, now = Config(), 100.0
    watch = Watch(
        config, lambda now: Gauges(active=0, stale=0, total=1, bytes_held=0, messages_held=0)
    )
    dialer = Dialer(config, rng=Random(1), books=Accounts(config), watch=watch)
    dialer.start(now=now)
    for link in (1, 2):
        assert dialer.poll_command() == OpenLink(link)
        dialer.handle_link_opened(link, now=now)
        assert isinstance(dialer.next_frame(link, now=now), Hello)
        assert dialer.next_frame(link, now=now) is None
        dialer.receive_frame(link, WELCOME, now=now)
        assert dialer.link == link
        dialer.receive_frame(link, Goaway(0, 0), now=now)
        now += 60.0
        if link == 1:
            dialer.handle_timeout(now=now)
    assert [dialer.next_frame(1, now=now), dialer.next_frame(1, now=now)] == [
        Close(Code.DONE, "moved to another session", None),
        None,
    ]
    dialer.close(now=now)
    assert dialer.state is SessionState.CLOSED
    assert dialer.next_deadline() is None


class TestSuspending:
    def test_the_server_keeps_the_session_and_the_token_resumes_it(self) -> None:
        pair = Pair()
        pair.peer.start()
        reader = pair.peer.subscribe("news", "earliest")
        pair.publish("news", "m1")
        pair.settle()
        assert [type(event) for event in pair.peer.take_all(reader)] == [Message, CaughtUp]
        place, token = reader.position, pair.client.token
        pair.client.suspend(now=pair.clock.now)
        pair.settle()
        assert pair.client.state is SessionState.CLOSED
        assert len(pair.hub.sessions) == 1
        other = pair.add_client(token=token)
        other.start()
        assert place is not None
        again = other.subscribe("news", place)
        pair.publish("news", "m2")
        pair.settle()
        assert other.session.resumes == 1
        assert Message("news", place.epoch, 2, b"m2", True) in other.take_all(again)

    def test_p6_what_is_not_settled_ends_as_in_any_other_end(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("news", b"m1", False, now=desk.now)
        (offer,) = desk.hear()
        assert isinstance(offer, Offer)
        desk.say(Offered(offer.id, "new", "P1", 0, 1 << 20))
        assert [type(frame) for frame in desk.hear()] == [Data]
        desk.client.suspend(now=desk.now)
        desk.client.suspend(now=desk.now)
        settled = desk.client.next_settled("news")
        assert settled is not None
        assert settled.outcome == "unknown"
        assert desk.client.next_deadline() is None

    def test_one_that_never_began_is_over(self) -> None:
        desk = ClientByHand()
        desk.client.suspend(now=desk.now)
        assert desk.client.state is SessionState.CLOSED

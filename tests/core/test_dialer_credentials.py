"""Dialer: credentials asked for at each connect, refreshed once; its own table of endings (I18)."""

from dataclasses import replace
from typing import cast

import pytest

from gapless.core.closing import CloseClass, Code, Ending, Endings
from gapless.core.config import Config
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.events import Closed, CredentialsWanted, LinkDown, OpenLink
from gapless.core.frames import Close, Data, Frame, Goaway, Hello, Offer, Offered, Subscribe
from gapless.core.outbox import OfferPhase
from gapless.core.states import SessionState
from gapless.testing import Pair

from .by_hand import WELCOME, ClientByHand
from .parts import LOST

UNAUTHORIZED = Close(Code.UNAUTHORIZED, "expired", None)


def asking(*, config: Config | None = None, wait: float = 1e9) -> ClientByHand:
    """A client that asks, and whose first link is open."""
    desk = ClientByHand(config=config, asks=True, wait=wait)
    assert desk.dial() == [], "hello waits"
    return desk


def show(desk: ClientByHand, credentials: str | None = "key") -> Hello:
    """Show credentials; the hello that carries them."""
    desk.client.show_credentials(credentials, now=desk.now)
    (hello, *_) = desk.hear()
    assert isinstance(hello, Hello)
    assert hello.credentials == credentials
    return hello


def up(desk: ClientByHand) -> None:
    """Show credentials and be welcomed."""
    show(desk)
    desk.say(WELCOME)
    desk.hear()


def dial(desk: ClientByHand) -> None:
    """The next try; nothing is said on it before there are credentials."""
    assert desk.dial() == []


def told(desk: ClientByHand, kind: type[object]) -> list[object]:
    return [event for event in desk.events() if isinstance(event, kind)]


class TestAsking:
    def test_hello_waits_for_the_credentials_and_subscribes_ride_behind_it(self) -> None:
        desk = asking()
        desk.client.subscribe("news", now=desk.now)
        assert desk.events() == [CredentialsWanted(None)]
        assert desk.hear() == []
        wanted = [desk.client.wants_credentials]
        desk.client.show_credentials("key", now=desk.now)
        wanted.append(desk.client.wants_credentials)
        assert wanted == [True, False]
        assert desk.client.next_writable() == desk.link
        assert [type(frame) for frame in desk.hear()] == [Hello, Subscribe]

    def test_they_are_asked_for_while_the_transport_connects(self) -> None:
        desk = ClientByHand(asks=True)
        desk.client.start(now=desk.now)
        assert desk.client.wants_credentials
        desk.client.show_credentials("key", now=desk.now)
        (hello,) = desk.dial()
        assert isinstance(hello, Hello)
        assert hello.credentials == "key"

    def test_every_connect_asks_anew(self) -> None:
        desk = asking()
        up(desk)
        desk.lose()
        dial(desk)
        assert show(desk, "another").token == WELCOME.token

    def test_one_may_show_none(self) -> None:
        assert show(asking(), None).credentials is None

    def test_they_show_in_no_repr(self) -> None:
        desk = asking()
        hello = show(desk, "hunter2")
        assert "hunter2" not in f"{hello!r} {desk.client!r} {desk.events()!r}"

    def test_misuse_raises_and_changes_nothing(self) -> None:
        desk = ClientByHand(asks=True)
        with pytest.raises(InvalidState, match="wants_credentials"):
            desk.client.show_credentials("key", now=desk.now)
        with pytest.raises(InvalidState, match="wants_credentials"):
            desk.client.withhold_credentials("none", now=desk.now)
        desk.client.start(now=desk.now)
        with pytest.raises(ConfigError, match="credentials"):
            desk.client.show_credentials("\ud800", now=desk.now)
        assert desk.client.wants_credentials
        desk.client.show_credentials("key", now=desk.now)
        with pytest.raises(InvalidState):
            desk.client.withhold_credentials("too late", now=desk.now)

    @pytest.mark.parametrize("wrong", [5, None, b"sealed"])
    def test_a_reason_that_is_no_text_is_refused_and_they_are_wanted_still(
        self, wrong: object
    ) -> None:
        desk = asking()
        with pytest.raises(TypeError, match=f"reason is {type(wrong).__name__}; it must be words"):
            desk.client.withhold_credentials(cast("str", wrong), now=desk.now)
        assert desk.client.wants_credentials
        assert told(desk, CredentialsWanted) == [CredentialsWanted(None)]

    def test_a_session_with_fixed_ones_never_asks(self) -> None:
        desk = ClientByHand()
        desk.dial()
        assert not desk.client.wants_credentials
        with pytest.raises(InvalidState):
            desk.client.show_credentials("key", now=desk.now)

    def test_connect_timeout_covers_the_waiting(self) -> None:
        desk = asking()
        desk.now += desk.client.config.connect_timeout
        desk.client.handle_timeout(now=desk.now)
        (down,) = desk.events()
        assert isinstance(down, LinkDown)
        words = "whoever was asked for credentials didn't answer within 30 s"
        assert down.ending == Ending(Code.WITHHELD, words)
        dial(desk)
        assert told(desk, CredentialsWanted) == [CredentialsWanted(None)]

    def test_a_connect_that_hangs_with_credentials_is_another_matter(self) -> None:
        desk = asking()
        show(desk)
        desk.events()
        desk.now += desk.client.config.connect_timeout
        desk.client.handle_timeout(now=desk.now)
        (down,) = desk.events()
        assert isinstance(down, LinkDown)
        assert down.ending.reason == "no connection within 30 s"

    def test_a_question_that_nobody_can_answer_any_more_is_withdrawn(self) -> None:
        desk = asking()
        desk.lose()
        assert not desk.client.wants_credentials
        assert [type(event) for event in desk.events()] == [LinkDown]
        with pytest.raises(InvalidState):
            desk.client.show_credentials("key", now=desk.now)

    def test_i20_the_end_withdraws_it_too(self) -> None:
        desk = asking()
        desk.client.close(now=desk.now, timeout=0.0)
        assert [type(event) for event in desk.events()] == [Closed]
        assert not desk.client.wants_credentials
        with pytest.raises(InvalidState, match="wants_credentials"):
            desk.client.show_credentials("key", now=desk.now)
        assert desk.client.next_deadline() is None

    def test_a_welcome_that_nobody_asked_for_is_a_violation(self) -> None:
        """I21: what a server says before hello attaches nothing."""
        desk = asking()
        desk.say(WELCOME)
        assert [frame.code for frame in desk.hear() if isinstance(frame, Close)] == [Code.VIOLATION]
        assert desk.client.token is None

    def test_a_hub_that_judges_them_is_satisfied(self) -> None:
        """Both ends real; answered late, and for each connect."""
        pair = Pair()
        peer = pair.add_client(asks_credentials=True)
        peer.start()
        pair.run(2.0)
        states = [peer.session.state]
        peer.session.show_credentials("key", now=pair.clock.now)
        pair.settle()
        states.append(peer.session.state)
        assert states == [SessionState.DOWN, SessionState.UP]
        pair.cut(peer)
        assert pair.run_until(lambda: peer.session.wants_credentials)


class TestWithholding:
    def test_the_try_has_failed_with_a_reason_that_stays_here(self) -> None:
        desk = asking()
        desk.client.withhold_credentials("the vault is sealed", now=desk.now)
        (down,) = desk.events()
        assert isinstance(down, LinkDown)
        assert down.ending == Ending(Code.WITHHELD, "the vault is sealed")
        assert desk.hear() == [], "the peer hears no word of it"
        assert [ending.reason for ending in desk.endings()] == ["no credentials to show"]
        dial(desk)
        assert desk.client.wants_credentials

    def test_of_a_first_and_only_try_that_is_the_end(self) -> None:
        desk = asking(wait=0.0)
        desk.client.withhold_credentials("the vault is sealed", now=desk.now)
        assert desk.client.ending == Ending(Code.WITHHELD, "the vault is sealed")

    def test_a_driver_that_never_polled_hears_nothing_of_the_link(self) -> None:
        desk = ClientByHand(asks=True)
        desk.client.start(now=desk.now)
        desk.client.withhold_credentials("none", now=desk.now)
        assert desk.polled() == []


class TestRefusal:
    def test_newer_ones_are_asked_for_at_the_next_try(self) -> None:
        desk = asking()
        show(desk)
        desk.events()
        desk.say(UNAUTHORIZED)
        assert not desk.client.wants_credentials
        (down,) = desk.events()
        assert isinstance(down, LinkDown)
        assert down.retry_at > desk.now, "through backoff"
        dial(desk)
        refused = Ending(Code.UNAUTHORIZED, "expired")
        assert told(desk, CredentialsWanted) == [CredentialsWanted(refused)]
        assert desk.client.refused_credentials == refused
        show(desk, "newer")
        desk.say(WELCOME)
        assert desk.client.state is SessionState.UP

    def test_i18_refused_again_the_session_ends(self) -> None:
        desk = asking()
        show(desk)
        desk.say(UNAUTHORIZED)
        dial(desk)
        show(desk, "newer")
        desk.say(UNAUTHORIZED)
        closed = desk.events()[-1]
        assert isinstance(closed, Closed)
        assert closed.ending.reason == "expired; so were those that were refreshed"
        assert desk.client.next_deadline() is None
        desk.client.handle_network_back(now=desk.now)
        assert not [one for one in desk.polled() if isinstance(one, OpenLink)]

    def test_a_status_may_refuse_them_before_anything_is_said(self) -> None:
        desk = ClientByHand(asks=True)
        desk.client.start(now=desk.now)
        desk.polled()
        desk.client.handle_link_lost(1, Ending(Code.LOST, "", status=401), now=desk.now)
        dial(desk)
        refused = desk.client.refused_credentials
        assert refused is not None
        assert refused.status == 401

    def test_a_refresh_belongs_to_the_one_try_of_a_session_that_does_not_wait(self) -> None:
        desk = asking(wait=0.0)
        show(desk)
        desk.say(UNAUTHORIZED)
        dial(desk)
        desk.lose()
        assert desk.client.state is SessionState.CLOSED

    def test_not_so_if_the_server_says_when_to_come_again(self) -> None:
        desk = asking(wait=0.0)
        show(desk)
        desk.say(replace(UNAUTHORIZED, retry_after_ms=1000))
        assert desk.client.state is SessionState.CLOSED

    def test_fixed_ones_end_the_session_and_the_reason_says_what_to_do(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(UNAUTHORIZED)
        assert desk.client.ending == Ending(
            Code.UNAUTHORIZED, "expired; show others, or have them asked for"
        )

    def test_i18_a_server_that_welcomes_and_refuses_for_ever_is_dialled_ever_more_rarely(
        self,
    ) -> None:
        """A welcome makes another refresh possible, but a refusal is a failure each time."""
        desk = asking()
        begin = desk.now
        for _ in range(100):
            up(desk)
            desk.client.subscribe(f"c{desk.link}", now=desk.now)
            desk.say(UNAUTHORIZED)
            dial(desk)
        assert desk.now - begin > 100.0

    def test_credentials_that_expire_by_the_hour_exhaust_no_attempts(self) -> None:
        """`max_attempts` counts failures in a row; a link that lived between them is none."""
        desk = asking(config=Config(max_attempts=2))
        for _ in range(20):
            up(desk)
            desk.now += 3600.0
            desk.say(UNAUTHORIZED)
            dial(desk)
        up(desk)
        assert desk.client.state is SessionState.UP

    def test_while_it_closes_what_is_published_is_still_settled(self) -> None:
        desk = asking()
        up(desk)
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now, timeout=60.0)
        desk.say(UNAUTHORIZED)
        dial(desk)
        show(desk, "newer")
        desk.say(WELCOME)
        assert [type(frame) for frame in desk.hear()] == [Offer]


class TestMoving:
    """Rule 9, with credentials that are asked for."""

    @pytest.fixture
    def desk(self) -> ClientByHand:
        """Told to move; the new link waits for credentials."""
        desk = asking()
        up(desk)
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1 << 20))
        assert [type(frame) for frame in desk.hear()] == [Data]
        desk.now += 20.0
        desk.say(Goaway(60_000, 0))
        dial(desk)
        desk.events()
        return desk

    def say_on(self, desk: ClientByHand, link: int, *frames: Frame) -> None:
        newest, desk.link = desk.link, link
        desk.say(*frames)
        desk.link = newest

    def test_the_old_link_carries_the_session_meanwhile(self, desk: ClientByHand) -> None:
        assert (desk.client.link, desk.link) == (1, 2)
        assert desk.client.wants_credentials
        desk.client.subscribe("news", now=desk.now)
        assert isinstance(desk.client.next_frame(1, now=desk.now), Subscribe)
        up(desk)
        assert desk.client.link == 2
        assert [outbox.phase for outbox in desk.client.outboxes] == [OfferPhase.STAYING]

    def test_while_what_was_sent_is_still_answered_there_another_connect_asks(
        self, desk: ClientByHand
    ) -> None:
        """The old link stays; its own end, for whatever reason, is not about those asked for."""
        up(desk)
        desk.lose()
        dial(desk)
        assert desk.client.wants_credentials
        self.say_on(desk, 1, UNAUTHORIZED)
        assert desk.client.refused_credentials is None
        up(desk)
        assert (desk.client.state, desk.client.link) == (SessionState.UP, desk.link)

    def test_refused_while_moving_they_are_refreshed_once(self, desk: ClientByHand) -> None:
        show(desk)
        desk.say(UNAUTHORIZED)
        assert desk.client.link == 1
        dial(desk)
        assert desk.client.refused_credentials is not None
        up(desk)
        assert desk.client.link == desk.link

    def test_i18_refused_again_the_session_lasts_as_long_as_its_link(
        self, desk: ClientByHand
    ) -> None:
        show(desk)
        desk.say(UNAUTHORIZED)
        dial(desk)
        show(desk)
        desk.say(UNAUTHORIZED)
        assert (desk.client.state, desk.client.link) == (SessionState.UP, 1)
        self.say_on(desk, 1, Goaway(0, 0))
        desk.client.receive_bytes(1, now=desk.now)
        desk.client.handle_timeout(now=desk.now + 35.0)
        assert not [one for one in desk.polled() if isinstance(one, OpenLink)]
        desk.client.handle_link_lost(1, LOST, now=desk.now + 35.0)
        assert desk.client.ending is not None
        assert desk.client.ending.code == Code.UNAUTHORIZED
        assert desk.client.next_deadline() is None

    def test_revoked_on_the_old_link_the_application_is_told(self, desk: ClientByHand) -> None:
        self.say_on(desk, 1, UNAUTHORIZED)
        assert desk.client.state is SessionState.DOWN
        wanted = told(desk, CredentialsWanted)
        assert wanted == [CredentialsWanted(Ending(Code.UNAUTHORIZED, "expired"))]
        up(desk)
        assert desk.client.link == 2

    def test_those_given_already_are_judged_by_the_new_link(self, desk: ClientByHand) -> None:
        show(desk)
        self.say_on(desk, 1, UNAUTHORIZED)
        assert desk.client.state is SessionState.DOWN
        desk.say(WELCOME)
        assert desk.client.link == 2

    def test_none_to_show_leaves_the_old_link_and_is_tried_again(self, desk: ClientByHand) -> None:
        desk.client.withhold_credentials("none now", now=desk.now)
        assert desk.client.link == 1
        dial(desk)
        up(desk)
        assert desk.client.link == desk.link


class TestTableOfEndings:
    """Each session asks its own."""

    def desk(self, kind: CloseClass) -> ClientByHand:
        endings = Endings().changed({4700: kind}, statuses={503: kind})
        return ClientByHand(config=Config(endings=endings))

    @pytest.mark.parametrize("ending", [Ending(4700, ""), Ending(Code.TRY_LATER, "", status=503)])
    def test_what_the_table_stops_is_not_tried_again(self, ending: Ending) -> None:
        desk = self.desk(CloseClass.STOP)
        desk.client.start(now=desk.now)
        desk.client.handle_link_lost(1, ending, now=desk.now)
        assert desk.client.state is SessionState.CLOSED
        assert desk.client.next_deadline() is None

    def test_stop_while_moving_ends_the_moving_and_the_session_with_its_link(self) -> None:
        """I18: final is final; but nothing is thrown away that still works."""
        desk = self.desk(CloseClass.STOP)
        desk.connect()
        desk.say(Goaway(60_000, 0))
        desk.dial()
        desk.say(Close(4700, "banned", None))
        assert (desk.client.state, desk.client.link) == (SessionState.UP, 1)
        desk.client.handle_timeout(now=desk.now + 29.0)
        assert not [one for one in desk.polled() if isinstance(one, OpenLink)]
        desk.client.handle_link_lost(1, LOST, now=desk.now)
        assert desk.client.ending == Ending(4700, "banned")

    def test_new_session_while_moving_forgets_the_token(self) -> None:
        """Else the next try would show it again, for ever."""
        desk = self.desk(CloseClass.NEW_SESSION)
        desk.connect()
        desk.say(Goaway(60_000, 0))
        desk.dial()
        desk.say(Close(4700, "not here", None))
        assert desk.client.link == 1
        (hello, *_) = desk.dial()
        assert isinstance(hello, Hello)
        assert hello.token is None

    def test_refresh_credentials_means_so(self) -> None:
        endings = Endings().changed({4700: CloseClass.REFRESH_CREDENTIALS})
        desk = asking(config=Config(endings=endings))
        show(desk)
        desk.say(Close(4700, "", None))
        dial(desk)
        assert desk.client.refused_credentials == Ending(4700, "")

    def test_a_refusal_that_the_table_takes_for_nothing_is_tried_again(self) -> None:
        endings = Endings().changed({Code.UNAUTHORIZED: CloseClass.RESUME})
        desk = ClientByHand(config=Config(endings=endings))
        desk.connect()
        desk.say(UNAUTHORIZED)
        assert isinstance(desk.dial()[0], Hello)

"""Hub: verdicts, its own publishing and reading, and the way it sends everybody away."""

from dataclasses import replace

import pytest

from gapless.core.authorize import Grant
from gapless.core.closing import Code
from gapless.core.config import KIB, Config
from gapless.core.errors import (
    InvalidChannel,
    InvalidPosition,
    InvalidState,
    MessageTooLarge,
    NotText,
    TooManyChannels,
)
from gapless.core.events import Authorize, CaughtUp, Message
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Goaway,
    Hello,
    Offer,
    Offered,
    Refused,
    Subscribe,
    Welcome,
)
from gapless.core.local import LocalReader
from gapless.core.news import Ticket
from gapless.core.position import Position

from .by_hand import DurableHubByHand, HubByHand

HUB = Config.production("hub")
PAYLOAD = b"m1"


def ready(desk: HubByHand) -> list[object]:
    return list(iter(desk.hub.next_ready, None))


class TestPublishing:
    def test_an_accepted_message_has_a_position_at_once(self) -> None:
        desk = HubByHand()
        ticket = desk.hub.publish("news", PAYLOAD, now=desk.now)
        assert ticket is not None
        assert not ticket.is_pending
        assert ticket.position is not None
        assert ticket.position.seq == 1
        batch = desk.hub.publish_many("news", [b"a", b"b"], text=True, now=desk.now)
        assert batch is not None
        assert batch.seq == 3
        assert desk.entries("news") == [PAYLOAD, b"a", b"b"]

    def test_one_that_nothing_stands_in_the_way_of_needs_no_ticket(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=2, patience=60.0))
        now = desk.hub.publish_now
        assert now("news", PAYLOAD, now=desk.now) is None, "the channel isn't open"
        assert desk.entries("news") == []
        reader = desk.hub.subscribe("news", now=desk.now)
        assert reader is not None
        first, second = now("news", b"a", now=desk.now), now("news", b"b", True, now=desk.now)
        assert first is not None
        assert second == Position(first.epoch, 2)
        assert now("news", b"c", now=desk.now) is None, "a reader holds it back"
        assert desk.entries("news") == [b"a", b"b"]
        with pytest.raises(NotText):
            now("news", b"\xff", True, now=desk.now)
        desk.hub.drain(now=desk.now)
        with pytest.raises(InvalidState, match="draining"):
            now("news", b"d", now=desk.now)

    def test_a_store_is_always_asked(self) -> None:
        desk = DurableHubByHand()
        desk.fill("news", b"m1")
        assert desk.hub.publish_now("news", b"m2", now=desk.now) is None
        assert desk.asked() == []

    def test_misuse_raises_and_changes_nothing(self) -> None:
        desk = HubByHand(config=replace(HUB, max_message=10, history_bytes=15))
        publish, many = desk.hub.publish, desk.hub.publish_many
        with pytest.raises(MessageTooLarge, match="at most 10"):
            publish("news", bytes(11), now=desk.now)
        with pytest.raises(MessageTooLarge, match="at most 10"):
            many("news", [b"a", bytes(11)], now=desk.now)
        with pytest.raises(NotText):
            publish("news", b"\xff", True, now=desk.now)
        with pytest.raises(NotText):
            many("news", [b"a", b"\xff"], True, now=desk.now)
        with pytest.raises(InvalidState, match="at least one"):
            many("news", [], now=desk.now)
        with pytest.raises(MessageTooLarge, match="its history holds"):
            many("news", [bytes(8), bytes(8)], now=desk.now)
        for name in ("", "a\nb", "x" * 256, 5, b"news", None):
            with pytest.raises(InvalidChannel):
                publish(name, b"a", now=desk.now)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(InvalidChannel, match="names no session"):
            publish("@nobody", b"a", now=desk.now)
        assert desk.entries("news") == []

    def test_a_session_is_published_to_by_its_id(self) -> None:
        desk = HubByHand()
        mine = desk.greet(1, None, Subscribe(1, "@me", "earliest", 1 << 20)).session
        assert desk.hub.publish(mine, PAYLOAD, now=desk.now) is not None
        (data,) = [frame for frame in desk.hear(1) if isinstance(frame, Data)]
        assert data.payloads == [PAYLOAD]

    def test_who_finds_no_room_is_named_when_there_may_be_some(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        reader = desk.hub.subscribe("news", "earliest", now=desk.now)
        assert reader is not None
        assert desk.hub.publish("news", b"m1", now=desk.now) is not None
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        assert "news" not in ready(desk)
        while desk.hub.next_message(reader, now=desk.now) is not None:
            pass
        assert "news" in ready(desk)
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None

    def test_a_pin_that_lapses_makes_room_by_itself(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=5.0))
        assert desk.hub.subscribe("news", "earliest", now=desk.now) is not None
        desk.hub.publish("news", b"m1", now=desk.now)
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        ready(desk)
        deadline = desk.hub.next_deadline()
        assert deadline == desk.now + 5.0
        assert deadline is not None
        desk.now = deadline
        desk.hub.handle_timeout(now=desk.now)
        assert "news" in ready(desk)
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None

    def test_rejecting_is_a_ticket_and_refuses_a_client_for_good(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        desk.hub.configure("news", now=desk.now, overflow="reject")
        assert desk.hub.subscribe("news", "earliest", now=desk.now) is not None
        desk.hub.publish("news", b"m1", now=desk.now)
        ticket = desk.hub.publish("news", b"m2", now=desk.now)
        assert isinstance(ticket, Ticket)
        assert (ticket.refused, ticket.position, ticket.is_pending) == ("full", None, False)
        desk.greet(1, None)
        desk.say(1, Offer(1, "news", None, 1))
        assert isinstance(desk.hear(1)[-1], Offered)
        desk.say(1, Data(1, 1, [b"m2"], False))
        assert Refused(1, 1, 1, "full", None) in desk.hear(1)


class TestReading:
    def test_a_local_reader_takes_what_is_published(self) -> None:
        desk = HubByHand()
        reader = desk.hub.subscribe("news", "latest", now=desk.now)
        assert isinstance(reader, LocalReader)
        assert isinstance(desk.hub.next_message(reader, now=desk.now), CaughtUp)
        assert desk.hub.next_message(reader, now=desk.now) is None
        desk.hub.publish("news", PAYLOAD, now=desk.now)
        assert reader in ready(desk)
        event = desk.hub.next_message(reader, now=desk.now)
        assert isinstance(event, Message)
        assert event.payload == PAYLOAD

    def test_it_waits_until_the_store_has_opened_the_channel(self) -> None:
        desk = DurableHubByHand()
        assert desk.hub.subscribe("news", now=desk.now) is None
        assert ready(desk) == []
        desk.serve()
        assert ready(desk) == ["news"], "ask again"
        reader = desk.hub.subscribe("news", now=desk.now)
        assert reader is not None
        assert isinstance(desk.hub.next_message(reader, now=desk.now), CaughtUp)
        assert reader.position.epoch == desk.store.logs["news"].epoch
        desk.fill("news", PAYLOAD)
        assert reader in ready(desk)

    def test_misuse_raises(self) -> None:
        desk = HubByHand()
        with pytest.raises(InvalidPosition):
            desk.hub.subscribe("news", "yesterday", now=desk.now)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(InvalidChannel):
            desk.hub.subscribe("@nobody", now=desk.now)

    def test_leaving_is_harmless_twice_and_ends_the_pin(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        first, second = (desk.hub.subscribe("news", now=desk.now) for _ in range(2))
        assert first is not None
        assert second is not None
        desk.hub.publish("news", b"m1", now=desk.now)
        for reader in (first, first, second, second):
            desk.hub.unsubscribe(reader, now=desk.now)
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None
        channel = desk.hub.channels.find("news")
        assert channel is not None
        assert channel.reader_count == 0


class TestVerdicts:
    def test_a_driver_judges_if_no_verifier_does(self) -> None:
        desk = HubByHand(verify=None)
        desk.open(1)
        desk.say(1, Hello(1, None, "secret", 1024))
        asked = desk.hub.poll_command()
        assert asked == Authorize(1, "secret")
        assert "secret" not in repr(asked)
        desk.hub.handle_authorized(1, Grant("ann"), now=desk.now)
        assert len(desk.hear(1)) == 1
        assert len(desk.hub.sessions) == desk.hub.links == 1

    def test_a_refused_one_is_told_and_leaves_nothing_behind(self) -> None:
        desk = HubByHand(verify=lambda credentials: None)
        desk.open(1)
        desk.say(1, Hello(1, None, None, 1024))
        (close,) = desk.hear(1)
        assert isinstance(close, Close)
        assert close.code == Code.UNAUTHORIZED
        assert desk.hub.sessions == []

    def test_a_full_hub_sends_new_sessions_away_and_resumes_old_ones(self) -> None:
        desk = HubByHand(config=replace(HUB, max_sessions=1))
        token = desk.greet(1).token
        desk.open(2)
        desk.say(2, Hello(1, None, None, 1024))
        (close,) = desk.hear(2)
        assert isinstance(close, Close)
        assert (close.code, close.retry_after_ms) == (Code.TRY_LATER, 1000)
        desk.lose(1)
        assert desk.greet(3, token).resumed

    def test_p7_a_token_is_worth_nothing_to_another_principal(self) -> None:
        """I14: a session belongs to one principal for ever."""
        desk = HubByHand(verify=lambda credentials: Grant(credentials or ""))
        ann = desk.greet(1, credentials="ann")
        bob = desk.greet(2, ann.token, credentials="bob")
        assert not bob.resumed
        assert bob.session != ann.session
        assert desk.hear(1) == [], "ann's link is untouched"

    def test_i13_a_verdict_for_an_older_link_fences_no_younger_one(self) -> None:
        """Newest link wins at the verdict, in whatever order the verdicts come."""
        desk = HubByHand(verify=None)
        desk.open(1)
        desk.say(1, Hello(1, None, "ann", 1024))
        desk.hub.handle_authorized(1, Grant("ann"), now=desk.now)
        (welcome,) = desk.hear(1)
        assert isinstance(welcome, Welcome)
        desk.lose(1)
        for link in (2, 3):
            desk.open(link)
            desk.say(link, Hello(1, welcome.token, "ann", 1024))
        for link in (3, 2):
            desk.hub.handle_authorized(link, Grant("ann"), now=desk.now)
        (close,) = desk.hear(2)
        assert isinstance(close, Close)
        assert close.code == Code.FENCED
        (again,) = desk.hear(3)
        assert isinstance(again, Welcome)
        assert again.resumed
        assert 3 not in desk.endings()


class TestLeases:
    def test_a_session_without_a_link_is_forgotten_after_its_lease(self) -> None:
        desk = HubByHand()
        token = desk.greet(1).token
        desk.lose(1)
        desk.now += desk.hub.config.lease - 1
        desk.hub.handle_timeout(now=desk.now)
        assert len(desk.hub.sessions) == 1
        desk.now += 2
        desk.hub.handle_timeout(now=desk.now)
        assert desk.hub.sessions == []
        assert desk.hub.next_deadline() is None
        assert not desk.greet(2, token).resumed

    def test_a_client_that_says_it_is_done_ends_its_session(self) -> None:
        desk = HubByHand()
        mine = desk.greet(1)
        desk.say(1, Close(Code.DONE, "", None))
        assert desk.hub.sessions == []
        with pytest.raises(InvalidChannel):
            desk.hub.publish(mine.session, b"late", now=desk.now)

    def test_a_client_that_closes_its_link_for_another_reason_keeps_its_session(self) -> None:
        desk = HubByHand()
        token = desk.greet(1).token
        desk.say(1, Close(Code.GOING_AWAY, "the laptop sleeps", None))
        assert len(desk.hub.sessions) == 1
        assert desk.hub.links == 0
        assert desk.greet(2, token).resumed


class TestOutput:
    def test_news_of_a_channel_is_output_until_it_is_passed_on(self) -> None:
        desk = HubByHand()
        desk.greet(1, None, Subscribe(1, "news", "latest", 1 << 20))
        desk.hear(1)
        shown = [desk.hub.has_output]
        desk.hub.publish("news", PAYLOAD, now=desk.now)
        desk.hub.publish("news", PAYLOAD, now=desk.now)
        shown.append(desk.hub.has_output)
        assert desk.hub.next_writable() == 1
        assert desk.hub.next_writable() is None, "it is named once, for two messages"
        assert [*shown, desk.hub.has_output] == [False, True, False]


class TestAge:
    def test_old_messages_go_in_their_time(self) -> None:
        desk = HubByHand(config=replace(HUB, history_age=5.0))
        desk.hub.publish("news", b"m1", now=desk.now)
        assert desk.hub.next_writable() is None
        assert desk.hub.next_deadline() == desk.now + 5.0
        desk.now += 5.0
        desk.hub.handle_timeout(now=desk.now)
        assert desk.entries("news") == []
        assert desk.hub.next_deadline() == 100.0 + 45.0, "the clean-up forgets who isn't missed"
        desk.hub.handle_timeout(now=1000.0)
        assert len(desk.hub.channels) == 0
        assert desk.hub.next_deadline() is None


class TestDraining:
    def test_who_has_caught_up_is_sent_away_at_once(self) -> None:
        desk = HubByHand()
        desk.greet(1, None, Subscribe(1, "news", "earliest", 1 << 20))
        desk.hear(1)
        desk.hub.drain(now=desk.now, timeout=10.0)
        goaway, close = desk.hear(1)
        assert isinstance(goaway, Goaway)
        assert isinstance(close, Close)
        assert close.code == Code.GOING_AWAY
        assert desk.hub.is_drained

    def test_rule_9_a_spread_leaves_time_to_move(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.hub.drain(now=desk.now, timeout=10.0, spread=4.0)
        assert desk.hear(1) == [Goaway(10_000, 4_000)]
        assert not desk.hub.is_drained
        desk.now += 4.0
        desk.hub.handle_timeout(now=desk.now)
        assert [type(frame) for frame in desk.hear(1)] == [Close]
        assert desk.hub.is_drained

    def test_who_lacks_something_gets_it_first_or_is_cut_in_the_end(self) -> None:
        desk = HubByHand()
        desk.greet(1, None, Subscribe(1, "news", "earliest", 10))
        desk.hear(1)
        for number in range(3):
            desk.hub.publish("news", b"%d" % number, now=desk.now)
            desk.hear(1)
        desk.hub.drain(now=desk.now)
        assert [type(frame) for frame in desk.hear(1)] == [Goaway]
        desk.say(1, Ack(1, 1, 1 << 20))
        assert [type(frame) for frame in desk.hear(1)] == [Data, Close]

        desk = HubByHand()
        desk.greet(1, None, Subscribe(1, "news", "earliest", 0))
        desk.hear(1)
        desk.hub.publish("news", PAYLOAD, now=desk.now)
        desk.hub.drain(now=desk.now, timeout=10.0)
        desk.hub.drain(now=desk.now, timeout=3.0)
        assert [type(frame) for frame in desk.hear(1)] == [Goaway]
        desk.now += 3.0
        desk.hub.handle_timeout(now=desk.now)
        assert [type(frame) for frame in desk.hear(1)] == [Close]

    def test_a_second_drain_may_be_later_or_sooner(self) -> None:
        desk = HubByHand()
        desk.greet(1, None, Subscribe(1, "news", "earliest", 0))
        desk.hear(1)
        desk.hub.publish("news", PAYLOAD, now=desk.now)
        desk.hub.drain(now=desk.now, timeout=1.0)
        desk.hub.drain(now=desk.now, timeout=10.0)
        desk.hear(1)
        desk.now += 1.0
        desk.hub.handle_timeout(now=desk.now)
        assert desk.hear(1) == []
        desk.now += 9.0
        desk.hub.handle_timeout(now=desk.now)
        assert [type(frame) for frame in desk.hear(1)] == [Close]

    def test_nothing_new_is_accepted(self) -> None:
        desk = HubByHand()
        desk.open(1)
        desk.hub.drain(now=desk.now, timeout=0.0)
        assert [type(frame) for frame in desk.hear(1)] == [Close]
        desk.open(2)
        (close,) = desk.hear(2)
        assert isinstance(close, Close)
        assert close.code == Code.GOING_AWAY
        for act in (
            lambda: desk.hub.publish("news", b"a", now=desk.now),
            lambda: desk.hub.publish_many("news", [b"a"], now=desk.now),
            lambda: desk.hub.subscribe("news", now=desk.now),
        ):
            with pytest.raises(InvalidState, match="draining"):
                act()


def test_a_hub_with_too_many_channels_says_so() -> None:
    desk = HubByHand(config=replace(HUB, max_hub_channels=1))
    desk.hub.publish("a", b"1", now=desk.now)
    with pytest.raises(TooManyChannels):
        desk.hub.publish("b", b"1", now=desk.now)
    with pytest.raises(TooManyChannels):
        desk.hub.subscribe("b", now=desk.now)
    desk.greet(1, None, Subscribe(1, "b", "latest", KIB))
    assert desk.hear(1) == [], "a client waits"

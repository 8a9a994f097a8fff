"""ServerSession: what links bring and take away, and who waits for a store (rules 1, 8, 9)."""

from dataclasses import replace

from gapless.core.authorize import Grant, allow_anyone_unpinned
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Denied,
    Ended,
    Frame,
    Goaway,
    Live,
    Offer,
    Offered,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.server import ServerSession
from gapless.core.states import SessionState

from .by_hand import DurableHubByHand, HubByHand, numbered
from .parts import inside

HUB = Config.production("hub")
WINDOW = 1 << 20


def ask(request: int, channel: str = "news") -> Subscribe:
    return Subscribe(request, channel, "earliest", WINDOW)


def codes(frames: list[Frame]) -> list[int]:
    return [frame.code for frame in frames if isinstance(frame, Close)]


def kinds(frames: list[Frame]) -> list[type[Frame]]:
    return [type(frame) for frame in frames]


def session(desk: HubByHand) -> ServerSession:
    """The only one there is."""
    (found,) = inside(desk.hub, "_sessions").values()
    assert isinstance(found, ServerSession)
    return found


class TestLinks:
    def test_rule_8_the_newest_takes_the_session_over(self) -> None:
        desk = HubByHand()
        token = desk.greet(1).token
        assert desk.greet(2, token).resumed
        assert codes(desk.hear(1)) == [Code.FENCED]
        assert session(desk).link == 2
        assert desk.hub.links == 1

    def test_a_verdict_that_lets_nobody_pin_ends_the_pins_of_the_one_before(self) -> None:
        grants = {"old": Grant("ann", may_pin=True), "new": Grant("ann", may_pin=False)}
        desk = HubByHand(
            config=replace(HUB, history_messages=1, patience=1000.0),
            verify=lambda shown: grants[shown or ""],
        )
        token = desk.greet(1, None, ask(1), credentials="old").token
        desk.hear(1)
        desk.hub.publish("news", b"m1", now=desk.now)
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        assert desk.greet(2, token, credentials="new").resumed
        assert "news" in list(iter(desk.hub.next_ready, None)), "who waited is woken"
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None

    def test_who_may_not_pin_is_told_of_no_terms(self) -> None:
        desk = HubByHand(verify=allow_anyone_unpinned)
        desk.greet(1, None, ask(1))
        (answer,) = desk.hear(1)
        assert isinstance(answer, Subscribed)
        assert answer.pin is None

    def test_only_a_close_that_is_done_ends_the_session(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Close(Code.GOING_AWAY, "suspended", None))
        assert session(desk).state is SessionState.DOWN
        assert desk.hub.next_deadline() is not None, "its lease runs"

    def test_i20_the_end_of_a_session_takes_its_link_along_and_leaves_nothing(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        desk.greet(1, None, ask(1))
        desk.hear(1)
        desk.say(1, Offer(1, "news", None, 1))
        desk.hear(1)
        desk.hub.publish("news", b"m1", now=desk.now)
        over = session(desk)
        desk.hub.session_over(over, desk.now)
        assert (over.state, over.link, over.next_deadline()) == (SessionState.CLOSED, None, None)
        assert codes(desk.hear(1)) == [Code.DONE]
        assert (desk.hub.links, desk.hub.sessions) == (0, [])
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None, "nobody pins"


class TestDraining:
    def drained(self) -> HubByHand:
        """A client that is asked to move, and has no credit for most of what is to be read."""
        desk = HubByHand()
        for payload in numbered(1, 4, 1 << 16):
            desk.hub.publish("news", payload, now=desk.now)
        desk.greet(1, None, Subscribe(1, "news", "earliest", 1))
        desk.hub.drain(now=desk.now, timeout=10.0)
        return desk

    def test_rule_9_a_client_is_asked_to_move_and_stays_until_it_has_caught_up(self) -> None:
        desk = self.drained()
        frames = desk.hear(1)
        assert isinstance(frames[0], Goaway)
        assert frames[0].within_ms == 10_000
        assert codes(frames) == []
        sent = [frame for frame in frames if isinstance(frame, Data)]
        desk.say(1, Ack(sent[-1].id, sent[-1].first, 1 << 30))
        assert codes(desk.hear(1)) == [Code.GOING_AWAY]
        assert desk.hub.is_drained

    def test_or_until_its_time_is_up(self) -> None:
        desk = self.drained()
        desk.hear(1)
        desk.now += 10.0
        desk.hub.handle_timeout(now=desk.now)
        assert codes(desk.hear(1)) == [Code.GOING_AWAY]

    def test_a_publisher_stays_until_its_messages_are_answered(self) -> None:
        desk = DurableHubByHand()
        desk.fill("news", b"m1")
        desk.greet(1)
        desk.say(1, Offer(1, "news", None, 1))
        assert isinstance(desk.hear(1)[-1], Offered)
        desk.say(1, Data(1, 1, [b"a1"], False))
        asked = desk.asked()
        desk.hub.drain(now=desk.now, timeout=10.0)
        assert kinds(desk.hear(1)) == [Goaway]
        desk.answer(*asked)
        assert kinds(desk.hear(1)) == [Ack, Close]


class TestStores:
    def behind(self, *, max_channels: int) -> DurableHubByHand:
        """`a` and `b` hold ten messages each, of which this hub's histories have the last four."""
        config = replace(HUB, history_messages=4, max_channels=max_channels)
        desk = DurableHubByHand(config=config, verify=allow_anyone_unpinned)
        desk.fill("a", *numbered(1, 10))
        desk.fill("b", *numbered(1, 10))
        desk.greet(1)
        return desk

    def test_rule_6_a_reader_below_the_history_is_given_what_the_store_has(self) -> None:
        desk = self.behind(max_channels=8)
        desk.say(1, ask(1, "a"), ask(2, "b"))
        assert kinds(desk.hear(1)) == [Subscribed, Subscribed]
        first, second = desk.asked()
        desk.answer(second)
        (data,) = desk.hear(1)
        desk.answer(first)
        assert [frame.payloads for frame in [data, *desk.hear(1)] if isinstance(frame, Data)] == [
            numbered(1, 10),
            numbered(1, 10),
        ]

    def test_p3_a_session_asks_for_as_much_at_once_as_it_may_have_channels(self) -> None:
        """Who subscribes anew again and again has the store read one thing at a time."""
        desk = self.behind(max_channels=1)
        desk.say(1, ask(1, "a"))
        desk.hear(1)
        asked = desk.asked()
        assert len(asked) == 1
        desk.say(1, ask(2, "a"))
        assert kinds(desk.hear(1)) == [Subscribed]
        assert desk.asked() == [], "the first one isn't answered"
        desk.answer(*asked)
        assert desk.hear(1) == []
        desk.answer(*desk.asked())
        assert [frame.payloads for frame in desk.hear(1) if isinstance(frame, Data)] == [
            numbered(1, 10)
        ]

    def test_i15_a_reader_of_an_epoch_that_ended_is_told_to_ask_again(self) -> None:
        desk = DurableHubByHand()
        desk.fill("news", b"m1", b"m2", b"m3")
        desk.greet(1, None, ask(1))
        assert kinds(desk.hear(1)) == [Subscribed, Data]
        desk.store.fall_back("news", 2)
        desk.fill("news", b"m2 again")
        (ended,) = desk.hear(1)
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.again) == ("epoch", True)

    def test_p4_who_is_told_of_a_channel_that_has_gone_again_waits_for_a_place(self) -> None:
        """`news` is opened for a client, and forgotten for another before that was told."""
        desk = DurableHubByHand(config=replace(HUB, max_channels=1, max_hub_channels=1))
        desk.greet(1, None, ask(1))
        desk.answer(*desk.asked())
        desk.hub.channels.forget("news")
        assert desk.hub.publish("other", b"m", now=desk.now) is None
        assert desk.hear(1) == []
        assert list(desk.hub.channels.openings.homeless) == ["news"]
        desk.say(1, ask(2, "more"))
        (denied,) = desk.hear(1)
        assert isinstance(denied, Subscribed)
        assert denied.outcome == Denied("too many channels"), "it takes one of its own places"
        desk.answer(*desk.asked())
        desk.hub.channels.forget("other")
        assert desk.hear(1) == []
        desk.answer(*desk.asked())
        (answer,) = desk.hear(1)
        assert isinstance(answer, Subscribed)
        assert (answer.request, answer.outcome) == (1, Live())

    def test_who_wants_a_channel_no_more_is_not_told_that_it_is_open(self) -> None:
        desk = DurableHubByHand()
        desk.greet(1, None, ask(1))
        desk.answer(*desk.asked())
        desk.say(1, Unsubscribe(1))
        assert desk.hear(1) == []
        assert desk.hub.channels.named["news"].reader_count == 0

    def test_p3_who_reads_no_answers_is_sent_away(self) -> None:
        desk = HubByHand(config=replace(HUB, max_channels=1))
        desk.greet(1)
        desk.say(1, ask(1, "@x"))
        assert desk.hub.links == 1
        desk.say(1, ask(2, "@x"))
        assert codes(desk.hear(1)) == [Code.POLICY]


class TestOffers:
    def test_p4_channels_that_another_process_published_to_make_room(self) -> None:
        """It carries the session on and knows nothing of them; only what waits here is kept."""
        desk = HubByHand(config=replace(HUB, max_channels=2))
        token = desk.greet(1).token
        desk.say(1, Offer(1, "a", None, 1), Offer(2, "b", None, 1))
        desk.hear(1)
        desk.lose(1)
        desk.greet(2, token)
        desk.say(2, Offer(1, "c", None, 1), Offer(2, "d", None, 1))
        assert kinds(desk.hear(2)) == [Offered, Offered]
        desk.say(2, Offer(3, "e", None, 1))
        assert codes(desk.hear(2)) == [Code.POLICY]

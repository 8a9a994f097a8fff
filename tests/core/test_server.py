"""ServerSession: subscribes, offers, pins and the lease, as a client by hand meets them."""

from dataclasses import replace

import pytest

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
    Pong,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from gapless.testing import Checker, Pair

from .by_hand import DurableHubByHand, HubByHand, names, numbered, shown, started, taking
from .list_store import ListStore

HUB = Config.production("hub")
WINDOW = 1 << 20


def ask(request: int, channel: str = "news", since: str = "earliest") -> Subscribe:
    return Subscribe(request, channel, "latest" if since == "latest" else "earliest", WINDOW)


def answers(frames: list[Frame]) -> list[tuple[int, str]]:
    return [
        (frame.request, frame.outcome.code if isinstance(frame.outcome, Denied) else "given")
        for frame in frames
        if isinstance(frame, Subscribed)
    ]


def code(frames: list[Frame]) -> int | None:
    return next((frame.code for frame in frames if isinstance(frame, Close)), None)


class TestSubscribing:
    def test_what_may_not_be_read_is_denied_and_the_link_stays(self) -> None:
        desk = HubByHand(config=replace(HUB, max_channels=2))
        desk.greet(1)
        desk.say(1, ask(1, "a"), ask(2, "@somebody"), ask(3, "a\nb"))
        assert answers(desk.hear(1)) == [(2, "forbidden"), (3, "invalid"), (1, "given")]
        desk.say(1, ask(4, "b"), ask(5, "c"))
        assert answers(desk.hear(1)) == [(5, "too many channels"), (4, "given")]

    def test_p3_denials_that_nobody_reads_pile_up_to_a_bound(self) -> None:
        desk = HubByHand(config=replace(HUB, max_channels=2))
        desk.greet(1)
        desk.say(1, *(ask(request, "@x") for request in range(1, 4)))
        assert code(desk.hear(1)) == Code.POLICY

    def test_rule_2_a_newer_subscribe_replaces_the_older(self) -> None:
        desk = HubByHand()
        desk.hub.publish("news", b"m1", now=desk.now)
        desk.greet(1)
        desk.say(1, ask(1), ask(2))
        heard = desk.hear(1)
        assert answers(heard) == [(2, "given")]
        assert [frame.first for frame in heard if isinstance(frame, Data)] == [1]
        desk.say(1, ask(3))
        assert [frame.first for frame in desk.hear(1) if isinstance(frame, Data)] == [1]

    def test_unsubscribing_ends_what_the_request_asked_for_and_nothing_else(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, ask(1, "a"), ask(2, "b"))
        desk.hear(1)
        desk.say(1, Unsubscribe(99), Unsubscribe(1))
        (ended,) = desk.hear(1)
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.again) == ("unsubscribed", False)
        for channel in "ab":
            desk.hub.publish(channel, b"m", now=desk.now)
        (data,) = desk.hear(1)
        assert isinstance(data, Data)
        assert data.id != ended.id

    def test_p7_one_that_leaves_takes_nothing_from_another_reader(self) -> None:
        desk = HubByHand()
        for link in (1, 2):
            desk.greet(link, None, ask(1))
            assert answers(desk.hear(link)) == [(1, "given")]
        desk.say(1, Unsubscribe(1))
        desk.hear(1)
        desk.hub.publish("news", b"m1", now=desk.now)
        assert desk.hear(1) == []
        assert [type(frame) for frame in desk.hear(2)] == [Data]
        channel = desk.hub.channels.find("news")
        assert channel is not None
        assert channel.reader_count == 1

    def test_an_unsubscribe_before_the_answer_leaves_nothing(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        desk.greet(1)
        desk.say(1, ask(1), Unsubscribe(1))
        assert desk.hear(1) == []
        for _ in range(2):
            assert desk.hub.publish("news", b"m", now=desk.now) is not None, "nobody pins"


class TestPins:
    def test_a_pin_outlives_its_link_and_ends_with_its_session(self) -> None:
        """Rule 1."""
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        desk.greet(1, None, ask(1))
        desk.hear(1)
        desk.hub.publish("news", b"m1", now=desk.now)
        desk.lose(1)
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        desk.now += desk.hub.config.lease + 1
        desk.hub.handle_timeout(now=desk.now)
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None

    def test_an_unsubscribe_ends_it(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        desk.greet(1, None, ask(1))
        desk.hear(1)
        desk.hub.publish("news", b"m1", now=desk.now)
        assert desk.hub.publish("news", b"m2", now=desk.now) is None
        desk.say(1, Unsubscribe(1))
        assert desk.hub.publish("news", b"m2", now=desk.now) is not None


class TestOffers:
    @pytest.mark.parametrize(
        "frames",
        [
            [Offer(2, "a", None, 1), Offer(2, "b", None, 1)],
            [Offer(2, "a", None, 1), Offer(1, "b", None, 1)],
            [Offer(1, "a\nb", None, 1)],
        ],
    )
    def test_an_offer_out_of_place_is_a_violation(self, frames: list[Frame]) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, *frames)
        assert code(desk.hear(1)) == Code.VIOLATION

    def test_too_many_of_them_are_refused(self) -> None:
        desk = HubByHand(config=replace(HUB, max_channels=2))
        desk.greet(1)
        desk.say(1, *(Offer(number, f"c{number}", None, 1) for number in (1, 2, 3)))
        assert code(desk.hear(1)) == Code.POLICY

    def test_an_offer_waits_for_a_place_in_a_full_hub(self) -> None:
        """P7: for that channel alone; the others of the session go on."""
        desk = HubByHand(config=replace(HUB, max_hub_channels=2))
        desk.hub.configure("other", now=desk.now, history_age=5.0)
        desk.hub.publish("other", b"m", now=desk.now)
        desk.hub.publish("mine", b"m", now=desk.now)
        desk.greet(1)
        desk.say(1, Offer(1, "news", None, 1), Offer(2, "mine", None, 1))
        assert [frame.id for frame in desk.hear(1) if isinstance(frame, Offered)] == [2]
        desk.say(1, Data(2, 1, [b"m2"], False))
        assert desk.entries("mine") == [b"m", b"m2"]
        desk.hub.channels.forget("other")
        desk.now += 1.0
        desk.hub.handle_timeout(now=desk.now)
        assert [frame.id for frame in desk.hear(1) if isinstance(frame, Offered)] == [1]

    def test_names_of_ours_are_not_for_publishing(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Offer(1, "@me", None, 1))
        assert isinstance(desk.hear(1)[-1], Offered)
        desk.say(1, Data(1, 1, [b"m"], False))
        assert "forbidden" in [getattr(frame, "code", "") for frame in desk.hear(1)]

    def test_a_newer_offer_of_the_channel_replaces_the_older(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Offer(1, "news", None, 1), Offer(2, "news", None, 1))
        (offered,) = desk.hear(1)
        assert isinstance(offered, Offered)
        assert offered.id == 2
        desk.say(1, Data(1, 1, [b"old"], False), Data(2, 1, [b"new"], False))
        assert desk.entries("news") == [b"new"], "data of the older one is ignored"


class TestFrames:
    @pytest.mark.parametrize(
        "frame",
        [
            Welcome("@s", "t", False, 1, 1, 1, 1),
            Subscribed(1, 1, "E", 1, 0, None, Live()),
            Ended(1, "why", False),
            Offered(1, "new", "E", 0, 0),
            Goaway(0, 0),
            Ack(7, 0, 0),
            Pong(3, 0),
        ],
    )
    def test_what_is_not_for_a_server_is_a_violation(self, frame: Frame) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, frame)
        assert code(desk.hear(1)) == Code.VIOLATION
        assert len(desk.hub.sessions) == 1, "the session can be resumed"


class TestStores:
    """A channel the store has yet to open: whoever asks waits."""

    def test_a_subscribe_waits_for_the_store_and_is_answered_once(self) -> None:
        pair = Pair(seed=1, store=ListStore(), store_delay=(0.5, 0.5))
        Checker(pair)
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.run(0.2)
        assert (news.is_confirmed, news.request) == (False, 1)
        assert pair.publish("news", b"m1") is None, "it waits as well"
        pair.run(1.0)
        assert (news.is_confirmed, news.request) == (True, 1)
        assert pair.publish("news", b"m1") is not None
        events = [word for more in taking(pair, news, seconds=2.0) for word in shown(more)]
        assert events == names(1, 1)

    def test_one_that_left_meanwhile_is_not_answered(self) -> None:
        pair = Pair(seed=1, store=ListStore(), store_delay=(0.5, 0.5))
        Checker(pair)
        tap = started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.run(0.2)
        pair.peer.unsubscribe(news)
        pair.run(2.0)
        assert tap.said(Subscribed) == []
        channel = pair.hub.channels.find("news")
        assert channel is not None
        assert channel.reader_count == 0

    def test_of_several_that_wait_the_one_named_leaves(self) -> None:
        desk = DurableHubByHand()
        desk.greet(1)
        desk.say(1, ask(1, "a"), ask(2, "b"), ask(3, "c"), Unsubscribe(2))
        desk.serve()
        assert sorted(answers(desk.hear(1))) == [(1, "given"), (3, "given")]

    def test_one_whose_link_is_gone_asks_again_on_the_next(self) -> None:
        pair = Pair(seed=1, store=ListStore(), store_delay=(0.5, 0.5))
        checker = Checker(pair)
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.run(0.2)
        pair.cut()
        assert pair.run_until(lambda: news.is_live)
        for payload in numbered(1, 3):
            while pair.publish("news", payload) is None:
                pair.run(0.1)
        events = [word for more in taking(pair, news, seconds=5.0) for word in shown(more)]
        assert events == names(1, 3)
        checker.finish()

    def test_one_that_waits_for_its_answer_is_told_of_a_new_epoch_by_that(self) -> None:
        """The epoch ends while `subscribed` is still to be built: no `ended` goes before it."""
        desk = DurableHubByHand()
        desk.fill("news", b"m1", b"m2", b"m3")
        desk.store.fall_back("news", 2)
        desk.greet(1, None, ask(1))
        desk.fill("news", b"m2 again")
        channel = desk.hub.channels.find("news")
        assert channel is not None
        heard = desk.hear(1)
        assert [type(frame) for frame in heard] == [Subscribed, Data]
        answer, data = heard
        assert isinstance(answer, Subscribed)
        assert isinstance(data, Data)
        assert (answer.epoch, answer.head) == (channel.epoch, 2)
        assert data.payloads == [b"m2 again"]

    def test_a_client_that_left_is_told_nothing_of_what_the_store_took(self) -> None:
        desk = DurableHubByHand()
        desk.fill("news", b"m1")
        desk.greet(1)
        desk.say(1, Offer(1, "news", None, 1))
        assert isinstance(desk.hear(1)[-1], Offered)
        desk.say(1, Data(1, 1, [b"m2"], False))
        asked = desk.asked()
        assert len(asked) == 1
        desk.say(1, Close(Code.DONE, "", None))
        desk.answer(*asked)
        assert desk.hear(1) == []
        assert desk.hub.sessions == []
        assert desk.entries("news") == [b"m1", b"m2"], "it was on its way"

    def test_a_publisher_that_leaves_keeps_nobody_else_from_waiting(self) -> None:
        desk = DurableHubByHand()
        for link in (1, 2):
            desk.greet(link)
            desk.say(link, Offer(1, "news", None, 1))
        desk.say(1, Close(Code.DONE, "", None))
        desk.serve()
        assert desk.hear(1) == []
        assert [type(frame) for frame in desk.hear(2)] == [Offered]

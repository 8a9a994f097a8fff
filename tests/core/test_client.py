"""ClientSession: what is common to its channels — memory, and what becomes of an inbox."""

from dataclasses import replace

import pytest

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
from gapless.core.events import CaughtUp, Lost
from gapless.core.frames import (
    Ack,
    Data,
    Denied,
    Ended,
    Frame,
    Goaway,
    Gone,
    Hello,
    Live,
    Offer,
    Offered,
    Refused,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.outbox import OUTBOX_BYTES
from gapless.core.subscription import Phase
from gapless.testing import Checker, Pair

from .by_hand import WELCOME, ClientByHand, names, numbered, publish, shown, started, taking


@pytest.mark.parametrize("limit", [64, 100])
def test_p4_a_memory_limit_of_one_window_leaves_something_to_take(limit: int) -> None:
    config = Config(window=64 * KIB, memory_limit=limit * KIB, max_message=20_000)
    pair = Pair(seed=1, client_config=config)
    checker = Checker(pair)
    started(pair)
    news = pair.peer.subscribe("news", "earliest")
    pair.settle()
    publish(pair, "news", *numbered(1, 20, 9_000))
    events = [word for more in taking(pair, news, seconds=30.0) for word in shown(more)]
    assert events == names(1, 20)
    checker.finish()


def test_i20_an_unsubscribed_inbox_is_dropped() -> None:
    pair = Pair(seed=1)
    started(pair)
    news = pair.peer.subscribe("news", "earliest")
    pair.settle()
    publish(pair, "news", *numbered(1, 5))
    pair.settle()
    assert news.held_bytes > 0
    pair.peer.unsubscribe(news)
    assert news.held_bytes == pair.client.held_bytes == 0
    assert pair.client.next_message(news, now=pair.clock.now) is None
    assert pair.client.stats().received == 5


class TestSubscribing:
    def test_misuse_raises_and_changes_nothing(self) -> None:
        desk = ClientByHand(config=replace(Config(), max_channels=2))
        subscribe = desk.client.subscribe
        for name in ("", "a\nb", "@other", 5, b"news", None):
            with pytest.raises(InvalidChannel):
                subscribe(name, now=desk.now)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(InvalidPosition):
            subscribe("news", "soon", now=desk.now)  # type: ignore[arg-type]  # wrong on purpose
        subscribe("news", now=desk.now)
        with pytest.raises(InvalidState, match="subscribed already"):
            subscribe("news", now=desk.now)
        subscribe("@me", now=desk.now)
        with pytest.raises(TooManyChannels):
            subscribe("third", now=desk.now)
        assert [sub.channel for sub in desk.client.subscriptions] == ["news", "@me"]

    def test_a_closed_session_takes_no_work(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.close(now=desk.now)
        with pytest.raises(InvalidState, match="closed by the client"):
            desk.client.subscribe("news", now=desk.now)
        with pytest.raises(InvalidState):
            desk.client.publish("news", b"m", False, now=desk.now)

    def test_unsubscribing_tells_the_server_what_was_asked_and_only_once(self) -> None:
        desk = ClientByHand()
        desk.connect()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        (ask,) = desk.hear()
        assert isinstance(ask, Subscribe)
        desk.say(Subscribed(ask.request, 7, "E1", 1, 0, None, Live()))
        desk.hear()
        for _ in range(2):
            desk.client.unsubscribe(news, now=desk.now)
        assert desk.hear() == [Unsubscribe(ask.request)]
        desk.say(Data(7, 1, [b"late"], False), Ended(7, "unsubscribed", False))
        assert desk.hear() == [], "ignored, and no violation"

    def test_one_never_asked_for_leaves_in_silence(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", now=desk.now)
        desk.client.unsubscribe(news, now=desk.now)
        desk.connect()
        assert desk.hear() == []

    def test_leaving_while_the_answer_is_on_its_way_ignores_it(self) -> None:
        desk = ClientByHand()
        desk.connect()
        news = desk.client.subscribe("news", now=desk.now)
        (ask,) = desk.hear()
        assert isinstance(ask, Subscribe)
        desk.client.unsubscribe(news, now=desk.now)
        desk.say(Subscribed(ask.request, 7, "E1", 1, 0, None, Live()), Data(7, 1, [b"m"], False))
        assert desk.hear() == [Unsubscribe(ask.request)]

    def test_a_denial_ends_the_subscription_and_names_its_code(self) -> None:
        desk = ClientByHand()
        desk.connect()
        news = desk.client.subscribe("news", now=desk.now)
        (ask,) = desk.hear()
        assert isinstance(ask, Subscribe)
        desk.say(Subscribed(ask.request, 0, "-", 1, 0, None, Denied("forbidden")))
        assert (news.phase, news.refusal) == (Phase.ENDED, "forbidden")
        assert desk.client.next_ready() is news
        desk.lose()
        desk.connect()
        assert desk.hear() == [], "it isn't asked for again"

    def test_one_left_while_there_is_no_link_is_not_asked_for_again(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        desk.lose()
        desk.client.unsubscribe(news, now=desk.now)
        assert [type(frame) for frame in desk.dial()] == [Hello]
        desk.say(WELCOME)
        assert desk.hear() == []
        assert news.phase is Phase.ENDED

    def test_a_channel_left_can_be_read_again_and_the_old_object_stays_ended(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
        desk.client.unsubscribe(news, now=desk.now)
        again = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.client.unsubscribe(news, now=desk.now)
        assert desk.client.subscriptions == [again]
        kinds = [type(frame) for frame in desk.hear()]
        assert sorted(kind.__name__ for kind in kinds) == ["Subscribe", "Unsubscribe"]
        desk.say(Subscribed(2, 7, "E1", 1, 0, None, Live()), Data(7, 1, [b"m1"], False))
        assert (shown(desk.take(again)), desk.take(news)) == (["m1"], [])

    def test_p7_one_id_for_two_channels_is_a_violation(self) -> None:
        desk = ClientByHand()
        for channel in "ab":
            desk.client.subscribe(channel, now=desk.now)
        desk.connect(*(Subscribed(number, 7, "E1", 1, 0, None, Live()) for number in (1, 2)))
        assert [ending.code for ending in desk.endings()] == [Code.VIOLATION]

    def test_a_server_may_allow_fewer_channels_and_never_more(self) -> None:
        for theirs, most in ((128, 2), (1, 1)):
            desk = ClientByHand(config=replace(Config(), max_channels=2))
            desk.dial()
            desk.say(replace(WELCOME, max_channels=theirs))
            for number in range(most):
                desk.client.subscribe(f"c{number}", now=desk.now)
            with pytest.raises(TooManyChannels):
                desk.client.subscribe("one more", now=desk.now)

    def test_an_answer_to_an_older_request_is_ignored(self) -> None:
        """Rule 2, the barrier."""
        desk = ClientByHand()
        desk.connect()
        news = desk.client.subscribe("news", now=desk.now)
        desk.hear()
        desk.say(Subscribed(99, 7, "E1", 1, 0, None, Live()))
        assert news.phase is Phase.ASKED


class TestTaking:
    def test_a_batch_is_all_up_to_the_next_marker(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(
            Subscribed(1, 7, "E1", 1, 0, None, Live()),
            Data(7, 1, [b"a", b"b"], False),
            Gone(7, 3, 4, "rotated"),
        )
        client, now = desk.client, desk.now
        assert client.next_batch(news, now=now) == [], "a marker is first"
        assert isinstance(client.next_message(news, now=now), CaughtUp)
        assert [message.seq for message in client.next_batch(news, now=now)] == [1, 2]
        assert isinstance(client.next_message(news, now=now), Lost)
        assert client.next_batch(news, now=now) == []

    def test_stats_count_what_happened_also_in_subscriptions_that_are_gone(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(
            Subscribed(1, 7, "E1", 1, 0, None, Live()),
            Data(7, 1, [b"a", b"b"], False),
            Data(7, 2, [b"b", b"c"], False),
            Gone(7, 4, 5, "rotated"),
            Data(7, 9, [b"far"], False),
        )
        desk.take(news)
        desk.client.unsubscribe(news, now=desk.now)
        stats = desk.client.stats()
        counts = (stats.received, stats.taken, stats.duplicates, stats.lost, stats.gaps)
        assert counts == (3, 3, 1, 2, 1)
        assert (stats.links, stats.resumes, stats.round_trip) == (1, 0, None)


class TestPublishing:
    def test_misuse_raises_and_changes_nothing(self) -> None:
        desk = ClientByHand(config=replace(Config(), max_channels=1, max_message=10))
        publish = desk.client.publish
        with pytest.raises(MessageTooLarge, match="at most 10"):
            publish("news", bytes(11), False, now=desk.now)
        with pytest.raises(NotText):
            publish("news", b"\xff", True, now=desk.now)
        for name in ("", "@me", "a\nb", 5, b"news", None):
            with pytest.raises(InvalidChannel):
                publish(name, b"m", False, now=desk.now)  # type: ignore[arg-type]  # on purpose
        assert publish("news", b"m", False, now=desk.now) == 1
        with pytest.raises(TooManyChannels):
            publish("other", b"m", False, now=desk.now)
        assert [outbox.channel for outbox in desk.client.outboxes] == ["news"]
        assert desk.client.next_settled("other") is None

    def test_the_servers_message_limit_holds_once_it_is_known(self) -> None:
        desk = ClientByHand()
        desk.dial()
        desk.say(replace(WELCOME, max_message=5))
        with pytest.raises(MessageTooLarge, match="at most 5"):
            desk.client.publish("news", b"123456", False, now=desk.now)

    def test_p3_the_memory_limit_makes_publishes_wait_and_room_wakes_them(self) -> None:
        config = replace(
            Config(),
            memory_limit=64 * KIB + 3 * OUTBOX_BYTES,
            history_bytes=60 * KIB,
            max_message=30 * KIB,
            window=KIB,
        )
        desk = ClientByHand(config=config)
        desk.connect()
        assert desk.client.publish("a", bytes(30 * KIB), False, now=desk.now) == 1
        assert desk.client.publish("b", bytes(30 * KIB), False, now=desk.now) == 1
        assert desk.client.publish("c", bytes(30 * KIB), False, now=desk.now) is None
        list(iter(desk.client.next_ready, None))
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1 << 20))
        desk.hear()
        desk.say(Ack(1, 1, 1 << 20))
        waiting = desk.client.outboxes[2]
        assert waiting in list(iter(desk.client.next_ready, None))
        assert desk.client.publish("c", bytes(30 * KIB), False, now=desk.now) == 1

    def test_a_final_refusal_is_told_and_the_rest_follows_a_gone(self) -> None:
        desk = ClientByHand()
        desk.connect()
        for payload in (b"a", b"b"):
            desk.client.publish("news", payload, False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1 << 20))
        desk.hear()
        desk.say(Refused(1, 1, 1, "forbidden", None))
        told = desk.client.next_settled("news")
        assert told is not None
        assert (told.first, told.last, told.outcome, told.code) == (1, 1, "refused", "forbidden")
        assert desk.hear() == [Gone(1, 1, 1, "skipped"), Data(1, 2, [b"b"], False)]

    def test_closing_ends_every_message_in_one_of_the_four_ways(self) -> None:
        """P6."""
        desk = ClientByHand()
        desk.connect()
        for channel in "ab":
            desk.client.publish(channel, b"m", False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1 << 20))
        desk.hear()
        desk.client.close(now=desk.now, timeout=0.0)
        told = [desk.client.next_settled(channel) for channel in "ab"]
        assert [one.outcome for one in told if one is not None] == ["unknown", "unsent"]
        assert desk.client.is_settled

    def test_channels_left_on_the_old_link_are_answered_there_in_any_order(self) -> None:
        """Rule 9, P6: the session did not move; the old link goes with the last answer."""
        desk = ClientByHand()
        desk.connect()
        old = desk.link
        for channel in "ab":
            desk.client.publish(channel, b"m", False, now=desk.now)
        desk.hear()
        desk.say(*(Offered(number, "new", f"P{number}", 0, 1 << 20) for number in (1, 2)))
        assert [type(frame) for frame in desk.hear()] == [Data, Data]
        desk.say(Goaway(5000, 0))
        desk.dial()
        desk.say(WELCOME)
        new, desk.link = desk.link, old
        for answer, closes in (
            (Ack(99, 1, 0), False),
            (Ack(2, 1, 1 << 20), False),
            (Ack(2, 1, 1 << 20), False),
            (Ack(1, 1, 1 << 20), True),
        ):
            desk.say(answer)
            assert bool(desk.endings()) is closes, answer
        told = [desk.client.next_settled(channel) for channel in "ab"]
        assert [one and one.outcome for one in told] == ["accepted", "accepted"]
        assert desk.client.link == new


class TestFrames:
    @pytest.mark.parametrize(
        "frame",
        [
            Hello(1, None, None, 1),
            Subscribe(1, "a", "latest", 1),
            Unsubscribe(1),
            Offer(1, "a", None, 1),
            Ended(5, "why", False),
            Offered(5, "new", "E", 0, 0),
            Refused(5, 1, 1, "why", None),
            Data(5, 1, [b"m"], False),
            Gone(5, 1, 1, "why"),
            Ack(5, 0, 0),
        ],
    )
    def test_what_is_not_for_a_client_or_names_no_id_is_a_violation(self, frame: Frame) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(frame)
        assert [ending.code for ending in desk.endings()] == [Code.VIOLATION]

    @pytest.mark.parametrize(
        "frame",
        [
            Subscribed(1, 1, "E", 1, 0, None, Live()),
            Ended(1, "why", False),
            Offered(1, "new", "E", 0, 0),
            Data(1, 1, [b"m"], False),
        ],
    )
    def test_what_comes_before_the_welcome_is_a_violation(self, frame: Frame) -> None:
        desk = ClientByHand()
        desk.dial()
        desk.say(frame)
        assert [ending.code for ending in desk.endings()] == [Code.VIOLATION]

    def test_an_end_that_says_again_is_asked_for_again(self) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()), Data(7, 1, [b"a"], False))
        desk.say(Ended(7, "epoch", True))
        (again,) = [frame for frame in desk.hear() if isinstance(frame, Subscribe)]
        assert again.since == news.received
        desk.say(Ended(7, "epoch", True))
        assert desk.endings() == [], "its id was given once"

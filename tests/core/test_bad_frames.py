"""Frames that no peer of ours would send: testing.md 3.2, rows 7-10, 15, 18 and 19, and I4-I7.

One end is real, the other is played by hand. Whatever comes, no call raises (I21), a violation
closes the link with a code, and what the session had before, it has after.
"""

import tracemalloc
from dataclasses import replace

import pytest

from gapless.core.authorize import allow_anyone_unpinned
from gapless.core.closing import Code
from gapless.core.config import KIB, Config
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Denied,
    Ended,
    Frame,
    Gone,
    Live,
    Offer,
    Offered,
    Outcome,
    Partial,
    Recovered,
    Refused,
    StartedOver,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.position import MAX_SEQ, Position, Since
from gapless.core.subscription import Phase, Subscription

from .by_hand import ClientByHand, HubByHand, numbered, shown

HUB = Config.production("hub")
JUMPS = [3, 1000, 2**31, 2**32, MAX_SEQ]


def reading() -> tuple[ClientByHand, Subscription]:
    """A client that has m1 in its inbox, under id 7."""
    desk = ClientByHand()
    news = desk.client.subscribe("news", "earliest", now=desk.now)
    desk.connect(Subscribed(1, 7, "E1", 1, 0, None, Live()))
    desk.say(Data(7, 1, [b"m1"], False))
    assert desk.hear() == []
    return desk, news


def publishing() -> HubByHand:
    """A hub that has accepted `a` of link 1's offer 1, in epoch E."""
    desk = HubByHand()
    desk.greet(1)
    desk.say(1, Offer(1, "orders", None, 1))
    assert isinstance(desk.hear(1)[0], Offered)
    desk.say(1, Data(1, 1, [b"a"], False))
    assert [type(frame) for frame in desk.hear(1)] == [Ack]
    return desk


def sent_to(count: int, **config: object) -> HubByHand:
    """A hub that has sent `count` messages of `news` to link 1, which pins."""
    desk = HubByHand(config=replace(HUB, **config))  # type: ignore[arg-type]  # checked by Config
    desk.greet(1)
    desk.say(1, Subscribe(1, "news", "earliest", MAX_SEQ))
    for payload in numbered(1, count):
        assert desk.hub.publish("news", payload, now=desk.now) is not None
    assert [type(frame) for frame in desk.hear(1)] == [Subscribed, Data]
    return desk


class TestRow7Jumps:
    @pytest.mark.parametrize("first", JUMPS)
    def test_row_7_a_reader_asks_again_from_where_it_is(self, first: int) -> None:
        """I7: at once, in constant memory, and a high number alone moves no position."""
        desk, news = reading()
        desk.say(*[Data(7, first, [b"x"], False)] * 50)
        assert desk.hear() == [Subscribe(2, "news", Position("E1", 1), 256 * KIB - 34)]
        assert news.received == Position("E1", 1)
        assert news.held_bytes == 34
        assert news.gaps == 1, "what follows is behind the barrier"
        desk.say(Subscribed(2, 7, "E1", 2, 2, None, Recovered(1)), Data(7, 2, [b"m2"], False))
        assert shown(desk.take(news)) == ["m1", "m2"]
        assert desk.endings() == []

    @pytest.mark.parametrize("first", JUMPS)
    def test_row_7_a_publisher_s_hole_ends_the_link_and_costs_nothing(self, first: int) -> None:
        """The publisher would not send it again by itself: it offers anew on the next link."""
        desk = publishing()
        desk.say(1, *[Data(1, first, [b"x"], False)] * 50)
        words = f"{first} for channel 'orders' came behind a hole"
        assert desk.hear(1) == [Close(Code.DIVERGED, words, None)]
        assert desk.entries("orders") == [b"a"]
        assert len(desk.hub.sessions) == 1

    @pytest.mark.parametrize(("first", "last"), [(3, 3), (3, MAX_SEQ), (MAX_SEQ, MAX_SEQ)])
    def test_row_7_a_loss_that_leaves_a_hole_is_a_gap(self, first: int, last: int) -> None:
        desk, news = reading()
        desk.say(Gone(7, first, last, "rotated"))
        assert desk.hear() == [Subscribe(2, "news", Position("E1", 1), 256 * KIB - 34)]
        assert shown(desk.take(news)) == ["m1"]

    def test_row_7_a_loss_up_to_the_last_number_is_one_range(self) -> None:
        desk, news = reading()
        desk.say(Gone(7, 2, MAX_SEQ, "rotated"), Gone(7, 1, MAX_SEQ, "rotated"))
        assert shown(desk.take(news)) == ["m1", f"lost 2..{MAX_SEQ}"]
        assert news.position == Position("E1", MAX_SEQ)
        desk.say(Data(7, 2, [b"late"], False))
        assert desk.take(news) == []
        assert desk.endings() == []


class TestI6Duplicates:
    def test_i6_a_reader_drops_a_duplicate_and_acks_again(self) -> None:
        desk, news = reading()
        before = (news.received, news.position, news.held_bytes)
        desk.say(*[Data(7, 1, [b"other words"], False)] * 20)
        assert (news.received, news.position, news.held_bytes) == before
        acks = [frame for frame in desk.hear() if isinstance(frame, Ack)]
        assert [ack.seq for ack in acks] == [0], "nothing is taken, and said once"
        assert shown(desk.take(news)) == ["m1"]
        assert desk.client.stats().duplicates == 20

    def test_i6_a_hub_drops_a_duplicate_and_acks_again(self) -> None:
        """Else a publisher whose ack was lost would wait for ever."""
        desk = publishing()
        desk.say(1, *[Data(1, 1, [b"other words"], False)] * 20)
        assert [getattr(frame, "seq", None) for frame in desk.hear(1)] == [1]
        assert desk.entries("orders") == [b"a"]


class TestRow9Acks:
    @pytest.mark.parametrize("seq", [4, 1000, 2**31, 2**32, MAX_SEQ])
    def test_row_9_a_reader_s_ack_beyond_what_was_sent(self, seq: int) -> None:
        """I5: a violation, and the pin is where it was."""
        desk = sent_to(3, history_messages=3, patience=1e6)
        assert desk.hub.publish("news", b"m4", now=desk.now) is None
        desk.say(1, Ack(1, seq, MAX_SEQ))
        assert desk.endings()[1].code == Code.VIOLATION
        assert [type(frame) for frame in desk.hear(1)] == [Close]
        assert desk.hub.publish("news", b"m4", now=desk.now) is None

    def test_row_9_an_ack_that_goes_back_or_stays_is_nothing(self) -> None:
        """I4, I5: base <= ack < next moves; an old one does not, nor does it cost anything."""
        desk = sent_to(3, history_messages=3, patience=1e6)
        desk.say(1, Ack(1, 2, 500))
        deadline = desk.hub.next_deadline()
        for seq in (2, 1, 0) * 1000:
            desk.say(1, Ack(1, seq, 0))
        assert desk.hear(1) == []
        assert desk.hub.next_deadline() == deadline
        assert desk.hub.publish("news", b"m4", now=desk.now) is not None
        assert desk.hub.publish("news", b"m5", now=desk.now) is not None
        assert desk.hub.publish("news", b"m6", now=desk.now) is None, "3 is not acked"
        assert [frame.first for frame in desk.hear(1) if isinstance(frame, Data)] == [4]
        assert desk.endings() == {}

    def test_row_9_an_ack_for_a_channel_one_does_not_read(self) -> None:
        """P7: ids are hub-wide, and are still each link's own."""
        desk = sent_to(3, history_messages=3, patience=1e6)
        desk.greet(2)
        desk.say(2, Ack(1, 3, 1000))
        assert desk.endings()[2].code == Code.VIOLATION
        assert 1 not in desk.endings()
        assert desk.hub.publish("news", b"m4", now=desk.now) is None, "the pin is untouched"

    def test_row_9_an_ack_for_an_id_that_has_ended_is_ignored(self) -> None:
        desk = sent_to(3)
        desk.say(1, Unsubscribe(1))
        assert [type(frame) for frame in desk.hear(1)] == [Ended]
        desk.say(1, Ack(1, 3, 1000), Ack(1, MAX_SEQ, 1000))
        assert desk.endings() == {}

    @pytest.mark.parametrize(
        "frame",
        [
            Ack(1, 2, 1000),
            Ack(1, MAX_SEQ, 1000),
            Refused(1, 1, 2, "full", None),
            Refused(1, MAX_SEQ, MAX_SEQ, "full", 100),
            Ack(2, 1, 1000),
            Refused(2, 1, 1, "full", None),
        ],
    )
    def test_row_9_a_hub_that_answers_what_was_never_sent(self, frame: Frame) -> None:
        """I5: the link ends; nothing is settled, and all is offered again."""
        desk = ClientByHand()
        desk.client.publish("orders", b"a", False, now=desk.now)
        assert desk.connect() == [Offer(1, "orders", None, 1)]
        desk.say(Offered(1, "new", "P1", 0, 1000))
        assert [type(frame) for frame in desk.hear()] == [Data]
        desk.say(frame)
        assert [ending.code for ending in desk.endings()] == [Code.VIOLATION]
        assert desk.client.next_settled("orders") is None
        assert desk.connect() == [Offer(2, "orders", "P1", 1)]

    def test_row_9_a_limit_is_never_taken_back(self) -> None:
        desk = ClientByHand()
        desk.client.publish("orders", b"a", False, now=desk.now)
        desk.connect()
        desk.say(Offered(1, "new", "P1", 0, 1000))
        desk.hear()
        desk.say(Ack(1, 1, 0))
        desk.client.publish("orders", b"b", False, now=desk.now)
        assert desk.hear() == [Data(1, 2, [b"b"], False)]


class TestRow10Positions:
    @pytest.mark.parametrize(
        ("since", "outcome", "first"),
        [
            (Position("", 0), Partial(1, 6, "rotated"), 7),
            (Position("", 4), Partial(5, 6, "rotated"), 7),
            (Position("", 6), Recovered(4), 7),
            (Position("", 9), Recovered(1), 10),
            (Position("", 10), Live(), None),
            (Position("", 11), StartedOver("ahead"), None),
            (Position("", MAX_SEQ), StartedOver("ahead"), None),
            (Position("E0", 8), StartedOver("epoch"), 7),
        ],
    )
    def test_row_10_past_future_and_other_epochs(
        self, since: Position, outcome: Outcome, first: int | None
    ) -> None:
        """Each has one answer, and what follows starts where the answer says."""
        desk = HubByHand(config=replace(HUB, history_messages=4), verify=allow_anyone_unpinned)
        desk.greet(1)
        for payload in numbered(1, 10):
            desk.hub.publish("news", payload, now=desk.now)
        channel = desk.hub.channels.find("news")
        assert channel is not None
        where: Since = since if since.epoch else Position(channel.epoch, since.seq)
        desk.say(1, Subscribe(1, "news", where, MAX_SEQ))
        answer, *rest = desk.hear(1)
        assert isinstance(answer, Subscribed)
        assert answer.outcome == outcome
        assert [frame.first for frame in rest if isinstance(frame, Data)] == (
            [] if first is None else [first]
        )
        assert answer.next_seq == (first or 11)
        assert desk.endings() == {}

    def test_row_10_nothing_is_concluded_from_one_reader_for_another(self) -> None:
        """Rule 10: a liar is reset, for itself alone."""
        desk = sent_to(3)
        desk.greet(2)
        channel = desk.hub.channels.find("news")
        assert channel is not None
        epoch = channel.epoch
        desk.say(2, Subscribe(1, "news", Position(epoch, MAX_SEQ), MAX_SEQ))
        desk.hear(2)
        desk.hub.publish("news", b"m4", now=desk.now)
        assert [getattr(frame, "first", None) for frame in desk.hear(1)] == [4]
        assert (channel.epoch, channel.head) == (epoch, 4)


class TestRow15Names:
    NAMES = ("", "a\0b", "a\nb", "x" * 256, "é" * 128, "\ud800", "x" * 1_000_000, "a\x7f")

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_row_15_a_channel_that_can_not_be_is_refused(self, name: str) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, name, "latest", 1000))
        answer = desk.hear(1)[0]
        assert isinstance(answer, Subscribed)
        assert answer.outcome == Denied("invalid")
        assert len(desk.hub.channels) == 0
        desk.say(1, Offer(1, name, None, 1))
        assert desk.endings()[1].code == Code.VIOLATION

    @pytest.mark.parametrize("name", ["__proto__", "constructor", "__class__", "None", "0", "'--"])
    def test_row_15_a_channel_with_an_odd_name_is_a_channel(self, name: str) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, name, "earliest", 1000), Offer(1, name, None, 1))
        desk.hear(1)
        desk.say(1, Data(1, 1, [b"x"], False))
        assert desk.entries(name) == [b"x"]
        assert [type(frame) for frame in desk.hear(1)] == [Ack, Data]

    @pytest.mark.parametrize("name", ["@", "@me2", "@nobody", "@ME"])
    def test_row_15_names_of_ours_are_forbidden(self, name: str) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, name, "latest", 1000), Offer(1, name, None, 1))
        answers = desk.hear(1)
        assert [a.outcome for a in answers if isinstance(a, Subscribed)] == [Denied("forbidden")]
        desk.say(1, Data(1, 1, [b"x"], False))
        refused = [frame for frame in desk.hear(1) if isinstance(frame, Refused)]
        assert [(frame.code, frame.retry_after_ms) for frame in refused] == [("forbidden", None)]
        assert desk.entries(name) == []

    def test_row_15_answers_nobody_reads_are_bounded(self) -> None:
        desk = HubByHand(config=replace(HUB, max_channels=4))
        desk.greet(1)
        for request in range(1, 6):
            desk.say(1, Subscribe(request, "", "latest", 1000))
        assert desk.endings()[1].code == Code.POLICY


class TestRow18Stalls:
    def test_row_18_a_reader_that_never_acks_lapses_and_is_told(self) -> None:
        """It holds up a publisher for its patience, once, and then loses what it did not take."""
        desk = sent_to(3, history_messages=3, patience=2.0)
        assert desk.hub.publish("news", b"m4", now=desk.now) is None
        desk.now += 2.0
        for payload in numbered(4, 9):
            assert desk.hub.publish("news", payload, now=desk.now) is not None
        desk.say(1, Subscribe(2, "news", Position(self._epoch(desk), 0), MAX_SEQ))
        answer = desk.hear(1)[0]
        assert isinstance(answer, Subscribed)
        assert answer.outcome == Partial(1, 6, "stalled")

    def test_row_18_what_waits_for_a_slow_reader_is_the_history_and_no_more(self) -> None:
        """P3: no credit, no frames; a thousand readers that stall share one log."""
        desk = HubByHand(config=replace(HUB, history_messages=10), verify=allow_anyone_unpinned)
        for link in range(1, 30):
            desk.greet(link)
            desk.say(link, Subscribe(1, "news", "earliest", 0))
            desk.hear(link)
        for payload in numbered(1, 500, 100):
            assert desk.hub.publish("news", payload, now=desk.now) is not None
        assert desk.hub.channels.catalog.held_bytes == 10 * 100
        for link in range(1, 30):
            gone = desk.hear(link)
            assert [type(frame) for frame in gone] == [Gone]
            desk.say(link, Ack(1, 0, MAX_SEQ))
            assert [getattr(frame, "first", None) for frame in desk.hear(link)] == [496]

    def test_row_18_a_stalled_channel_stalls_no_other(self) -> None:
        """P7."""
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Subscribe(1, "a", "earliest", 0), Subscribe(2, "b", "earliest", MAX_SEQ))
        desk.hear(1)
        for name in "ab":
            desk.hub.publish(name, b"x", now=desk.now)
        assert [frame.id for frame in desk.hear(1) if isinstance(frame, Data)] == [2]

    def test_row_18_a_hub_that_never_acks_fills_the_outbox_and_no_more(self) -> None:
        config = Config(history_messages=5)
        desk = ClientByHand(config=config)
        numbers = [desk.client.publish("orders", b"x", False, now=desk.now) for _ in range(9)]
        assert numbers == [1, 2, 3, 4, 5, None, None, None, None]
        desk.connect()
        desk.say(Offered(1, "new", "P1", 0, MAX_SEQ))
        desk.hear()
        assert desk.client.publish("orders", b"x", False, now=desk.now) is None, "sent is not taken"
        assert desk.client.held_bytes == 5

    def test_row_18_a_publisher_without_credit_sends_nothing(self) -> None:
        desk = ClientByHand()
        desk.client.publish("orders", b"x", False, now=desk.now)
        desk.connect()
        desk.say(Offered(1, "new", "P1", 0, 0))
        assert desk.hear() == []
        desk.say(Ack(1, 0, 1))
        assert [type(frame) for frame in desk.hear()] == [Data]

    @staticmethod
    def _epoch(desk: HubByHand) -> str:
        channel = desk.hub.channels.find("news")
        assert channel is not None
        return channel.epoch


class TestRow19Claims:
    def test_row_19_what_is_announced_is_not_allocated_or_waited_for(self) -> None:
        """A replay, a loss, an offer, a limit and a pin of 2**53-1: numbers, and nothing more."""
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect()
        hub = HubByHand()
        hub.greet(1)
        tracemalloc.start()
        desk.say(Subscribed(1, 7, "E1", 1, MAX_SEQ, None, Recovered(MAX_SEQ)))
        desk.say(Gone(7, 1, MAX_SEQ - 1, "rotated"), Data(7, MAX_SEQ, [b"last"], False))
        hub.say(1, Offer(MAX_SEQ, "orders", "P", MAX_SEQ), Subscribe(1, "a", "latest", MAX_SEQ))
        hub.hear(1)
        hub.say(1, Gone(MAX_SEQ, 1, MAX_SEQ - 1, "skipped"), Data(MAX_SEQ, MAX_SEQ, [b"x"], False))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000
        assert desk.endings() == []
        assert hub.endings() == {}
        assert hub.entries("orders") == [b"x"]
        assert shown(desk.take(news)) == [f"lost 1..{MAX_SEQ - 1}", "last"]
        assert desk.client.next_deadline() is not None, "the heartbeat, as ever"

    @pytest.mark.parametrize(
        "outcome", [Live(), Recovered(5), Partial(1, 9, "x"), StartedOver("epoch"), Recovered(0)]
    )
    def test_row_19_an_answer_that_contradicts_itself(self, outcome: Outcome) -> None:
        desk = ClientByHand()
        news = desk.client.subscribe("news", "earliest", now=desk.now)
        desk.connect(Subscribed(1, 7, "E1", 1, 3, None, outcome))
        assert [ending.code for ending in desk.endings()] == [Code.VIOLATION]
        assert news.position is None
        assert news.phase is Phase.WANTED, "it asks again on the next link"

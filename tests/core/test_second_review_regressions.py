"""What a review of the first review's mends found, as behaviour that holds."""

from dataclasses import replace
from itertools import count

from gapless.core.config import Config
from gapless.core.events import Append, ReadHistory
from gapless.core.frames import (
    Ack,
    Data,
    Frame,
    Gone,
    Offer,
    Offered,
    Recovered,
    StartedOver,
    Subscribe,
    Subscribed,
)
from gapless.core.outbox import OfferPhase, Outbox
from gapless.core.position import Position
from gapless.core.store import HistoryRead
from gapless.core.subscription import Phase

from .by_hand import ClientByHand, DurableHubByHand

HUB = replace(Config.production("hub"), patience=1000.0, lease=1000.0)
LIMIT = 1 << 20
SMALL = 1000
"""Bytes: what the next server takes at most."""


class TestGiantsThatWereSent:
    """P6: a server that took more may have applied one; it can't be called refused."""

    def sent(self) -> Outbox:
        """Three messages on their way, the second one large."""
        outbox = Outbox("news", config=Config(), ids=count(1))
        for payload in (b"m1", bytes(5000), b"m3"):
            outbox.publish(payload, False, now=0.0)
        assert isinstance(outbox.next_control(now=0.0), Offer)
        outbox.receive_offered(Offered(1, "new", "P", 0, LIMIT), now=0.0)
        data = outbox.next_data(now=0.0)
        assert isinstance(data, Data)
        assert len(data.payloads) == 3
        return outbox

    def outcomes(self, outbox: Outbox) -> list[tuple[int, int, str]]:
        settled = iter(outbox.next_settled, None)
        return [(one.first, one.last, one.outcome) for one in settled]

    def test_the_answer_on_the_link_that_was_left_counts(self) -> None:
        """Rule 9: the limit is the new server's."""
        outbox = self.sent()
        outbox.stay()
        outbox.take_limits(SMALL, is_barred=False)
        outbox.receive_ack(Ack(1, 1, LIMIT), now=0.0)
        assert outbox.phase is OfferPhase.STAYING
        assert self.outcomes(outbox) == [(1, 1, "accepted")]
        outbox.receive_ack(Ack(1, 3, LIMIT), now=0.0)
        assert self.outcomes(outbox) == [(2, 3, "accepted")]

    def test_a_server_that_can_not_take_it_again_leaves_it_unknown(self) -> None:
        outbox = self.sent()
        outbox.handle_link_lost(now=0.0)
        outbox.take_limits(SMALL, is_barred=False)
        offer = outbox.next_control(now=0.0)
        assert offer == Offer(2, "news", "P", 1)
        outbox.receive_offered(Offered(2, "known", "P", 1, LIMIT), now=0.0)
        assert self.outcomes(outbox) == [(1, 1, "accepted"), (2, 2, "unknown")]
        assert outbox.next_data(now=0.0) == Gone(2, 2, 2, "skipped")
        assert outbox.next_data(now=0.0) == Data(2, 3, [b"m3"], False)


def test_behind_a_reset_that_was_shed_nothing_is_acked_though_the_epoch_is_the_same() -> None:
    """P5: `ahead` goes back in the same epoch; what was taken before it was never sent here."""
    desk = ClientByHand()
    news = desk.client.subscribe("news", Position("E", 103), now=desk.now)
    desk.connect(Subscribed(1, 7, "E", 104, 105, None, Recovered(2)))
    desk.say(Data(7, 104, [b"m104", b"m105"], False))
    desk.lose()
    desk.connect(Subscribed(2, 7, "E", 61, 60, None, StartedOver("ahead")))
    news.shed(1_000_000)
    assert news.phase is Phase.OVERTAKEN
    assert news.position == Position("E", 103)
    desk.say(Data(7, 61, [b"m61"], False))
    assert not any(isinstance(frame, Ack) for frame in desk.hear())
    assert desk.take(news) == []
    assert desk.hear() == [Subscribe(3, "news", Position("E", 103), 256 * 1024)]


def offered(frames: list[Frame]) -> list[Offered]:
    return [frame for frame in frames if isinstance(frame, Offered)]


def test_an_offer_behind_those_who_wait_for_room_is_answered() -> None:
    """P4, P7: it waits for its own append, not for their room."""
    desk = DurableHubByHand(config=replace(HUB, history_messages=4))
    tokens = {link: desk.greet(link).token for link in (1, 2, 3)}
    desk.say(1, Subscribe(1, "news", "latest", LIMIT))
    desk.serve()
    desk.hear(1)
    for link in (2, 3):
        desk.say(link, Offer(1, "news", None, 1))
    epochs = {link: offered(desk.hear(link))[0].epoch for link in (2, 3)}
    desk.fill("news", b"s1")
    desk.hub.publish("news", b"s2", now=desk.now)
    in_flight = desk.asked()
    desk.say(2, Data(1, 1, [b"a1", b"a2"], False))
    desk.say(3, Data(1, 1, [b"b1"], False))
    for mine in ([b"a1"], [b"b1"]):
        desk.answer(*in_flight)
        in_flight = desk.asked()
        assert [one.payloads for one in in_flight if isinstance(one, Append)] == [mine]
    desk.lose(3)
    desk.greet(4, tokens[3])
    desk.say(4, Offer(1, "news", epochs[3], 1))
    assert offered(desk.hear(4)) == [], "its append is in flight"
    desk.answer(*in_flight)
    assert [(one.kind, one.last) for one in offered(desk.hear(4))] == [("known", 1)]


def test_room_made_by_another_numbering_wakes_who_waits() -> None:
    """P4: with the epoch its pins are gone, and nobody's ack will say so."""
    desk = DurableHubByHand(config=replace(HUB, history_messages=2))
    desk.greet(1)
    desk.say(1, Subscribe(1, "news", "latest", LIMIT))
    desk.serve()
    desk.hear(1)
    desk.fill("news", b"m1", b"m2")
    assert desk.hub.publish("news", b"m3", now=desk.now) is None
    desk.hear(1)
    desk.greet(2)
    desk.say(2, Subscribe(1, "news", Position("stored-1", 0), LIMIT))
    channel = desk.hub.channels.find("news")
    assert channel is not None
    channel.history.drop_oldest()
    channel.set_stored_first(1)
    desk.hear(2)
    (read,) = desk.asked()
    assert isinstance(read, ReadHistory)
    desk.hub.handle_history(HistoryRead(read.request, "another", 40, 50), now=desk.now)
    assert channel.epoch == "another"
    assert "news" in list(iter(desk.hub.next_ready, None))


def test_the_first_pin_of_a_channel_decides_who_holds_back() -> None:
    """P4: an ack of the only pin is news for whoever waits, whatever the numbers were before."""
    desk = DurableHubByHand(config=replace(HUB, history_messages=2))
    desk.store.read_history(ReadHistory(0, "news", None, 0, 0))
    desk.store.logs["news"].messages = [(b"m", False)] * 40
    desk.greet(1)
    desk.say(1, Subscribe(1, "news", "latest", LIMIT))
    desk.serve()
    (answer,) = [frame for frame in desk.hear(1) if isinstance(frame, Subscribed)]
    desk.fill("news", b"m41", b"m42")
    desk.hear(1)
    assert desk.hub.publish("news", b"m43", now=desk.now) is None
    list(iter(desk.hub.next_ready, None))
    desk.say(1, Ack(answer.id, 41, LIMIT))
    assert "news" in list(iter(desk.hub.next_ready, None))

"""Items 7 to 10 of what broke the first version of the rules: shared memory, pins, ids.

See `test_model_regressions.py`.
"""

from dataclasses import replace

import pytest

from gapless.core.authorize import allow_anyone_unpinned
from gapless.core.config import KIB, Config
from gapless.core.credit import charge
from gapless.core.events import Lost, Message
from gapless.core.frames import Ack, Data, Subscribe, Subscribed
from gapless.core.subscription import Phase
from gapless.testing import Checker, Pair, Weather

from .by_hand import Wiretap, names, numbered, publish, shown, started, taken_until, taking

CROWDED = Config(
    window=64 * KIB,
    memory_limit=75_000,
    memory_warning=75_000,
    memory_cleanup=75_000,
    max_message=40 * KIB,
)
HUB = replace(Config.production("hub"), max_message=40 * KIB)
PATIENT = 1e6


def pinned(history: int) -> Config:
    """A hub whose readers hold back rotation for as long as they like."""
    return replace(HUB, history_messages=history, patience=PATIENT, lease=PATIENT)


class TestItem7Shedding:
    @pytest.mark.parametrize("size", [30 * KIB, 40 * KIB], ids=["fullest", "equal"])
    def test_item_7_the_channel_waited_on_does_not_starve(self, size: int) -> None:
        """The fullest is dropped first; being the one that is waited on, it starved for ever."""
        config = replace(CROWDED, window=16 * KIB)
        pair = Pair(seed=21, client_config=config, hub_config=HUB)
        checker, tap = Checker(pair), started(pair)
        wanted, *others = (pair.peer.subscribe(name, "earliest") for name in "xyz")
        pair.settle()
        assert pair.peer.take_all(wanted)[1:] == [], "it is waited on"
        for turn in range(10):
            publish(pair, "x", *numbered(turn + 1, turn + 1, size))
            for name in "yz":
                publish(pair, name, *numbered(turn + 1, turn + 1, 40 * KIB))
        assert taken_until(pair, wanted, "m10") == names(1, 10)
        assert any(other.phase is Phase.SET_BACK for other in others), "memory was short"
        for other in others:
            assert taken_until(pair, other, "m10") == names(1, 10)
        assert len(tap.lines) == 1
        checker.finish()


class TestItem8LostMarkers:
    def test_item_8_a_loss_behind_a_message_that_is_dropped_is_said_once(self) -> None:
        """Left behind, the marker would be met before what is asked for again, and come again."""
        pair = Pair(
            seed=22,
            client_config=CROWDED,
            hub_config=replace(HUB, history_messages=2),
            weather=Weather(buffer=2000),
            verify=allow_anyone_unpinned,
        )
        checker, tap = Checker(pair), started(pair)
        pair.hub.configure("other", now=pair.clock.now, history_messages=100)
        news, other = pair.peer.subscribe("news"), pair.peer.subscribe("other")
        pair.settle()
        assert pair.peer.take_all(other)[1:] == [], "it is waited on"
        publish(pair, "news", *numbered(1, 1, 9_000))
        pair.settle()
        pair.hold(True, to_client=True)
        for payload in numbered(2, 8, 9_000):
            publish(pair, "news", payload)
            pair.run(0.1)
        pair.hold(False, to_client=True)
        pair.settle()
        lost = pair.client.stats().lost
        assert lost, "it fell off the tail on a live link"
        for payload in numbered(1, 7, 9_000):
            publish(pair, "other", payload)
            pair.settle()
        assert news.held_bytes == 0, "all was dropped, the marker with it"
        assert pair.client.stats().lost == 0
        assert taken_until(pair, other, "m7") == names(1, 7)
        events = [event for more in taking(pair, news, seconds=5.0) for event in more]
        assert shown(events) == ["lost 1..6", "m7", "m8"]
        assert sum(isinstance(event, Lost) for event in events) == 1
        assert pair.client.stats().lost == 6
        assert len(tap.lines) == 1
        checker.finish()


class TestItem9Pins:
    def test_item_9_a_pin_outlives_its_link(self) -> None:
        """Dropped with the link, what is published meanwhile rotates the untaken away."""
        pair = Pair(seed=23, hub_config=pinned(4))
        checker = Checker(pair, lossless=["news"])
        started(pair)
        news = pair.peer.subscribe("news")
        pair.settle()
        pair.network.is_reachable = False
        pair.cut()
        publish(pair, "news", *numbered(1, 4))
        assert pair.publish("news", "m5") is None, "it waits"
        pair.run(100.0)
        assert pair.publish("news", "m5") is None
        pair.network.is_reachable = True
        assert taken_until(pair, news, "m4") == names(1, 4)
        pair.settle()
        publish(pair, "news", "m5")
        assert taken_until(pair, news, "m5") == ["m5"]
        checker.finish()

    def test_item_9_a_later_subscribe_raises_no_pin(self) -> None:
        """Received is not taken: a position that goes back, as when memory is short, needs it."""
        config = replace(CROWDED, window=64 * KIB)
        pair = Pair(seed=24, client_config=config, hub_config=pinned(4))
        checker = Checker(pair, lossless=["news", "other"])
        tap = started(pair)
        news, other = pair.peer.subscribe("news"), pair.peer.subscribe("other")
        pair.settle()
        publish(pair, "news", *numbered(1, 4, 9_000))
        pair.settle()
        pair.cut()
        assert pair.run_until(lambda: news.is_live)
        since = tap.said(Subscribe)[-2].since
        assert not isinstance(since, str)
        assert since.seq == 4, "it asks since what it has received"
        assert pair.publish("news", "m5") is None, "and still needs all four"
        assert pair.peer.take_all(other)[1:] == []
        publish(pair, "other", *numbered(1, 4, 15_000))
        pair.settle()
        assert news.held_bytes < 4 * 9_000, "some of it was dropped"
        assert taken_until(pair, other, "m4") == names(1, 4)
        assert taken_until(pair, news, "m4") == names(1, 4)
        checker.finish()

    def test_item_9_an_ack_that_was_lost_with_its_link_is_repeated(self) -> None:
        """Nothing is left to take, so nothing would ever be told: the publisher stalls."""
        pair = Pair(seed=25, hub_config=pinned(4))
        checker, tap = Checker(pair, lossless=["news"]), started(pair)
        news = pair.peer.subscribe("news")
        pair.settle()
        publish(pair, "news", *numbered(1, 4))
        pair.settle()
        acked = len(tap.said(Ack, to_client=False))
        assert shown(pair.peer.take_all(news)) == names(1, 4)
        assert pair.run_until(lambda: len(tap.said(Ack, to_client=False)) > acked)
        pair.cut()
        assert pair.publish("news", "m5") is None, "the ack was lost"
        assert pair.run_until(lambda: pair.publish("news", "m5") is not None, timeout=20.0)
        assert taken_until(pair, news, "m5") == ["m5"]
        checker.finish()

    def test_item_9_a_reader_knows_that_it_pins(self) -> None:
        """A quarter of the window is far more than the history: it must tell sooner."""
        pair = Pair(seed=26, hub_config=pinned(2))
        checker = Checker(pair, lossless=["news"])
        started(pair)
        news = pair.peer.subscribe("news")
        pair.settle()
        events: list[str] = []
        number = 0
        for _ in range(1500):
            if number < 100:
                number += pair.publish("news", f"m{number + 1}") is not None
            pair.run(0.01)
            events += shown(pair.peer.take_all(news))
            if number == 100 == len(events):
                break
        assert events == names(1, 100), "the publisher stalls"
        checker.finish()

    def test_item_9_a_reader_with_nothing_to_take_keeps_its_pin(self) -> None:
        """Idle for longer than its patience, it lost the start of the next burst."""
        pair = Pair(seed=27, hub_config=replace(HUB, history_messages=4, patience=0.5))
        checker = Checker(pair, lossless=["news"])
        started(pair)
        news = pair.peer.subscribe("news")
        pair.settle()
        for turn in range(3):
            pair.run(600.0)
            burst = numbered(4 * turn + 1, 4 * turn + 4)
            publish(pair, "news", *burst)
            assert pair.publish("news", "more") is None, "it waits, patience begins only now"
            last = burst[-1].decode()
            assert taken_until(pair, news, last) == names(4 * turn + 1, 4 * turn + 4)
        checker.finish()


class TestItem10Barrier:
    def test_item_10_data_between_unsubscribe_and_subscribed_is_not_counted(self) -> None:
        """The id is the same again: taken for the new subscription's, it is a gap."""
        pair, checker, tap = self._with_data_on_the_way()
        old = pair.client.subscriptions[0]
        pair.peer.unsubscribe(old)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        ids = [answer.id for answer in tap.said(Subscribed)]
        assert ids[0] == ids[1], "hub-wide"
        assert taken_until(pair, news, "m8") == names(1, 8)
        assert pair.client.stats().gaps == 0
        assert len(tap.said(Subscribe)) == 2, "nothing had to be repaired"
        checker.finish()

    def test_item_10_nor_does_it_bring_credit(self) -> None:
        pair, checker, tap = self._with_data_on_the_way()
        pair.peer.unsubscribe(pair.client.subscriptions[0])
        news = pair.peer.subscribe("news")
        asked = tap.said(Subscribed)
        pair.settle()
        assert len(tap.said(Subscribed)) == len(asked) + 1
        old = sum(charge(data.payloads) for data in tap.said(Data))
        assert old > KIB, "data was on the way"
        answered = tap.frames.index(
            next(entry for entry in tap.frames if entry[2] is tap.said(Subscribed)[-1])
        )
        acks = [frame for _, _, frame in tap.frames[answered:] if isinstance(frame, Ack)]
        assert [ack.limit for ack in acks] == [KIB], "the window, and nothing for what was ignored"
        publish(pair, "news", *numbered(9, 9, 2 * KIB))
        events = [event for more in taking(pair, news, seconds=1.0) for event in more]
        assert [event.seq for event in events if isinstance(event, Message)] == [9]
        checker.finish()

    def test_item_10_nor_is_it_taken_when_memory_was_short(self) -> None:
        """What was dropped is asked for again while data of the same id is on the way."""
        pair = Pair(seed=29, client_config=CROWDED, hub_config=HUB)
        checker, tap = Checker(pair), started(pair)
        news, other = pair.peer.subscribe("news"), pair.peer.subscribe("other")
        pair.settle()
        assert pair.peer.take_all(other)[1:] == [], "it is waited on"
        publish(pair, "news", *numbered(1, 3, 10 * KIB))
        pair.settle()
        publish(pair, "other", *numbered(1, 1, 40 * KIB))
        assert pair.run_until(lambda: news.phase is Phase.SET_BACK)
        publish(pair, "news", *numbered(4, 5, 10 * KIB))
        assert pair.run_until(lambda: pair.lines()[0].to_client.in_flight > 20 * KIB)
        assert shown(pair.peer.take_all(other)) == ["m1"]
        assert shown(pair.peer.take_all(news)) == ["m1", "m2"], (
            "m3 was dropped: now it is asked for"
        )
        assert taken_until(pair, news, "m5") == names(3, 5)
        assert pair.client.stats().gaps == 0
        assert pair.client.stats().duplicates == 0
        assert len(tap.said(Subscribe)) == 3
        checker.finish()

    @staticmethod
    def _with_data_on_the_way() -> tuple[Pair, Checker, Wiretap]:
        pair = Pair(seed=28, client_config=replace(CROWDED, window=KIB), hub_config=HUB)
        checker, tap = Checker(pair), started(pair)
        pair.peer.subscribe("news", "earliest")
        pair.settle()
        publish(pair, "news", *numbered(1, 8, 300))
        assert pair.run_until(lambda: pair.lines()[0].to_client.in_flight > KIB)
        return pair, checker, tap

"""Channels: one append in flight a channel, who waits is woken, and a store that says otherwise."""

from dataclasses import replace

import pytest

from gapless.core.authorize import allow_anyone_unpinned
from gapless.core.channel import Channel
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.errors import InvalidChannel, TooManyChannels
from gapless.core.events import Append, Message, ReadHistory
from gapless.core.frames import (
    Close,
    Data,
    Ended,
    Offer,
    Recovered,
    Refused,
    StartedOver,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.local import LocalReader
from gapless.core.position import Position
from gapless.core.reader import Reader
from gapless.core.store import Appended, AppendRefused, HistoryRead
from gapless.testing import Checker, Pair

from .by_hand import DurableHubByHand, HubByHand, names, numbered, shown, started, taking
from .list_store import ListStore
from .parts import lines
from .shelf import Shelf

HUB = Config.production("hub")


class Waiting:
    """Who a read is for: it notes the answers."""

    def __init__(self) -> None:
        self.answered: list[Reader | LocalReader] = []

    def read_answered(self, reader: Reader | LocalReader) -> None:
        self.answered.append(reader)


class TestAppending:
    def test_a_publish_is_accepted_when_the_store_says_so(self) -> None:
        shelf = Shelf()
        shelf.opened()
        ticket = shelf.publish(b"m1")
        assert ticket is not None
        assert ticket.is_pending
        asked = shelf.asked()
        assert (asked.epoch, asked.seq, asked.payloads) == ("S1", 1, [b"m1"])
        shelf.channels.handle_appended(Appended(asked.request, "S1", 1), now=0.0)
        assert (ticket.epoch, ticket.seq) == ("S1", 1)
        assert ticket in shelf.channels.news.settled

    def test_one_is_in_flight_and_the_next_waits(self) -> None:
        shelf = Shelf()
        shelf.opened()
        assert shelf.publish(b"m1") is not None
        assert shelf.publish(b"m2") is None
        assert "news" in shelf.channels.waiting
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", 1), now=0.0)
        assert "news" in shelf.channels.news.settled
        assert shelf.publish(b"m2") is not None

    def test_what_the_store_refuses_is_refused(self) -> None:
        shelf = Shelf()
        shelf.opened()
        ticket = shelf.publish(b"m1")
        assert ticket is not None
        refused = AppendRefused(shelf.asked().request, "disk full")
        shelf.channels.handle_appended(refused, now=0.0)
        assert (ticket.refused, ticket.position) == ("disk full", None)
        shelf.channels.handle_appended(refused, now=0.0)
        assert shelf.publish(b"m2") is not None

    def test_another_nodes_messages_between_are_in_the_store(self) -> None:
        shelf = Shelf()
        shelf.opened()
        shelf.publish(b"m1")
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", 5), now=0.0)
        channel = shelf.channels.find("news")
        assert channel is not None
        assert (channel.head, channel.history.first, channel.first) == (5, 5, 1)


class TestAnotherStore:
    def test_a_number_given_before_means_another_store_and_a_new_epoch(self) -> None:
        """Design 12; and the store is told of an epoch made here, before the next message."""
        shelf = Shelf()
        shelf.opened(head=7)
        ticket = shelf.publish(b"m8")
        assert ticket is not None
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", 3), now=0.0)
        channel = shelf.channels.find("news")
        assert channel is not None
        assert (channel.epoch, channel.head) == ("E1", 3)
        assert (ticket.epoch, ticket.seq) == ("E1", 3)
        told = shelf.asked()
        assert (told.epoch, told.payloads, told.publisher) == ("E1", [], None)
        assert channel in shelf.channels.news.restarted
        shelf.channels.handle_appended(Appended(told.request, "E1", 4), now=0.0)
        assert channel.head == 3, "nothing was appended"
        assert shelf.publish(b"m9") is not None

    def test_an_epoch_the_store_names_is_taken_as_it_is(self) -> None:
        shelf = Shelf()
        shelf.opened(head=7)
        shelf.publish(b"m8")
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S2", 1), now=0.0)
        channel = shelf.channels.find("news")
        assert channel is not None
        assert (channel.epoch, channel.head, channel.first) == ("S2", 1, 1)
        assert shelf.commands == []


class Behind(DurableHubByHand):
    """A reader that has asked the store for `m1`…, which this hub's history no longer holds."""

    def __init__(self) -> None:
        config = replace(HUB, history_messages=4)
        super().__init__(config=config, verify=allow_anyone_unpinned)
        self.fill("news", *numbered(1, 10))
        self.greet(1, None, Subscribe(1, "news", "earliest", 1 << 20))
        (answer,) = self.hear(1)
        assert isinstance(answer, Subscribed)
        assert answer.outcome == Recovered(10)
        self.reads = self.asked()
        assert len(self.reads) == 1

    @property
    def channel(self) -> Channel:
        found = self.hub.channels.find("news")
        assert found is not None
        return found


class TestReading:
    def test_rule_6_what_the_history_lacks_comes_from_the_store(self) -> None:
        desk = Behind()
        desk.answer(*desk.reads)
        (data,) = desk.hear(1)
        assert isinstance(data, Data)
        assert data.payloads == numbered(1, 10)

    def test_a_read_shows_that_the_store_fell_back(self) -> None:
        """P2, I15: its readers start over in a new epoch, of which the store is told."""
        desk = Behind()
        desk.store.fall_back("news", 7)
        desk.answer(*desk.reads)
        assert desk.channel.head == 3
        assert desk.channel.epoch != desk.store.logs["news"].epoch
        (ended,) = desk.hear(1)
        assert isinstance(ended, Ended)
        assert (ended.reason, ended.again) == ("epoch", True)
        (told,) = desk.asked()
        assert isinstance(told, Append)
        assert (told.epoch, told.payloads) == (desk.channel.epoch, [])
        desk.answer(told)
        assert desk.store.logs["news"].epoch == desk.channel.epoch
        desk.say(1, Subscribe(2, "news", Position("stored-1", 8), 1 << 20))
        (answer,) = desk.hear(1)
        assert isinstance(answer, Subscribed)
        assert (answer.outcome, answer.next_seq) == (StartedOver("epoch"), 1)

    def test_an_answer_from_before_a_new_epoch_says_nothing_about_it(self) -> None:
        desk = Behind()
        desk.store.fall_back("news", 7)
        desk.fill("news", b"m4 again")
        epoch = desk.channel.epoch
        assert epoch == desk.store.logs["news"].epoch != "stored-1"
        desk.hub.handle_history(
            HistoryRead(desk.reads[0].request, "stored-1", 1, 10, tuple(numbered(1, 4))),
            now=desk.now,
        )
        assert [type(frame) for frame in desk.hear(1)] == [Ended]
        assert (desk.channel.epoch, desk.channel.head) == (epoch, 4)

    def test_an_answer_whose_reader_has_left_goes_nowhere(self) -> None:
        desk = Behind()
        desk.say(1, Unsubscribe(1))
        desk.answer(*desk.reads)
        assert [type(frame) for frame in desk.hear(1)] == [Ended]
        assert desk.asked() == []


class TestBounds:
    def test_an_idle_channel_makes_room_for_another(self) -> None:
        shelf = Shelf(replace(HUB, max_hub_channels=2), durable=False)
        shelf.channels.open("idle", now=0.0)
        shelf.publish(b"m1", name="used")
        assert shelf.channels.open("third", now=0.0) is not None
        assert shelf.channels.find("idle") is None
        assert shelf.channels.catalog.held_bytes == 2
        assert len(shelf.channels) == 2

    def test_what_is_configured_used_or_being_opened_stays(self) -> None:
        shelf = Shelf(replace(HUB, max_hub_channels=1), durable=False)
        shelf.channels.open("set", now=0.0)
        shelf.channels.catalog.configure("set", patience=5.0)
        with pytest.raises(TooManyChannels):
            shelf.channels.open("other", now=0.0)
        shelf = Shelf(replace(HUB, max_hub_channels=1))
        assert shelf.channels.open("opening", now=0.0) is None
        assert shelf.channels.open("opening", now=0.0) is None
        assert len(shelf.commands) == 1, "asked for once"
        with pytest.raises(TooManyChannels):
            shelf.channels.open("other", now=0.0)

    def test_settings_made_before_a_channel_is_opened_hold(self) -> None:
        shelf = Shelf(durable=False)
        shelf.channels.catalog.configure("news", history_messages=2)
        for number in range(5):
            shelf.publish(b"%d" % number)
        channel = shelf.channels.find("news")
        assert channel is not None
        assert len(channel.history) == 2


class TestAnswersNobodyWaitsFor:
    def test_they_change_nothing(self) -> None:
        shelf = Shelf()
        shelf.opened()
        shelf.channels.handle_appended(Appended(999, "S9", 1), now=0.0)
        shelf.channels.handle_history(HistoryRead(999, "S9", 1, 5), now=0.0)
        channel = shelf.channels.find("news")
        assert channel is not None
        assert (channel.epoch, channel.head) == ("S1", 0)


class TestClients:
    def test_a_refusal_for_now_is_tried_again(self) -> None:
        """Rule 7, retry-after: the sender rewinds."""
        store = ListStore()
        store.refusals.append(("busy", 0.5))
        pair = Pair(seed=2, store=store)
        checker = Checker(pair)
        started(pair)
        for payload in numbered(1, 3):
            pair.peer.publish("news", payload)
        assert pair.run_until(lambda: pair.client.is_settled, timeout=10.0)
        assert [told.outcome for told in pair.peer.settled("news")] == ["accepted"]
        assert [payload for payload, _ in store.logs["news"].messages] == numbered(1, 3)
        checker.finish()

    def test_a_publisher_that_found_no_room_goes_on_when_there_is(self) -> None:
        pair = Pair(seed=3, hub_config=replace(HUB, history_messages=4, patience=1000.0))
        checker = Checker(pair, lossless=["news"])
        started(pair)
        news = pair.peer.subscribe("news", "earliest")
        pair.settle()
        for payload in numbered(1, 12):
            pair.peer.publish("news", payload)
        pair.run(5.0)
        held = pair.client.held_bytes
        assert held > 0, "the reader has taken nothing"
        events = [word for more in taking(pair, news, seconds=10.0) for word in shown(more)]
        assert events == names(1, 12)
        assert pair.client.is_settled
        pair.peer.settled("news")
        checker.finish()

    def test_a_message_larger_than_the_channel_is_refused_alone(self) -> None:
        pair = Pair(seed=4)
        pair.hub.configure("news", now=pair.clock.now, history_bytes=50)
        checker = Checker(pair)
        started(pair)
        for payload in (b"small", b"x" * 51, b"small too"):
            pair.peer.publish("news", payload)
        assert pair.run_until(lambda: pair.client.is_settled, timeout=10.0)
        told = [(one.first, one.outcome, one.code) for one in pair.peer.settled("news")]
        assert told == [(1, "accepted", ""), (2, "refused", "too large"), (3, "accepted", "")]
        checker.finish()


class TestWhoWaits:
    def test_p4_a_busy_client_keeps_no_other_out(self) -> None:
        """The history is full and pinned: a message taken makes room for one, for each in turn."""
        desk = HubByHand(config=replace(HUB, history_messages=4, patience=1000.0))
        reader = desk.hub.subscribe("news", "earliest", now=desk.now)
        assert reader is not None
        for link in (1, 2):
            desk.greet(link)
            desk.say(link, Offer(1, "news", None, 1))
            desk.hear(link)
        desk.say(1, Data(1, 1, [b"busy"] * 100, False))
        desk.say(2, Data(1, 1, [b"shy"] * 3, False))
        taken: list[bytes] = []
        while len(taken) < 20:
            event = desk.hub.next_message(reader, now=desk.now)
            if isinstance(event, Message):
                taken.append(event.payload)
        assert taken.count(b"shy") == 3

    def test_i9_a_message_taken_serves_whom_it_makes_room_for_and_looks_at_no_other(self) -> None:
        def cost(waiting: int) -> int:
            desk = HubByHand(config=replace(HUB, history_messages=4, patience=1000.0))
            reader = desk.hub.subscribe("news", "earliest", now=desk.now)
            assert reader is not None
            for _ in range(4):
                desk.hub.publish("news", b"m", now=desk.now)
            for link in range(1, waiting + 1):
                desk.greet(link, None, Offer(1, "news", None, 1))
                desk.hear(link)
                desk.say(link, Data(1, 1, [b"x"] * 3, False))
            desk.hub.next_message(reader, now=desk.now)
            made = lines(lambda: desk.hub.next_message(reader, now=desk.now))
            assert len(desk.entries("news")) == 4
            return made

        assert cost(200) == cost(5)

    def test_p7_a_name_of_ours_is_not_made_by_offering_it(self) -> None:
        desk = HubByHand()
        desk.greet(1)
        desk.say(1, Offer(1, "@ghost", None, 1))
        desk.hear(1)
        desk.say(1, Data(1, 1, [b"m1", b"m2"], False))
        refused = [frame for frame in desk.hear(1) if isinstance(frame, Refused)]
        assert [(frame.first, frame.last, frame.code) for frame in refused] == [(1, 2, "forbidden")]
        with pytest.raises(InvalidChannel):
            desk.hub.publish("@ghost", b"m", now=desk.now)

    def test_a_publish_for_a_session_that_ends_is_woken_and_told(self) -> None:
        desk = HubByHand(config=replace(HUB, history_messages=1, patience=1000.0))
        mine = desk.greet(1).session
        assert desk.hub.subscribe(mine, "earliest", now=desk.now) is not None
        desk.hub.publish(mine, b"m1", now=desk.now)
        assert desk.hub.publish(mine, b"m2", now=desk.now) is None
        desk.say(1, Close(Code.DONE, "", None))
        assert mine in list(iter(desk.hub.next_ready, None))
        with pytest.raises(InvalidChannel):
            desk.hub.publish(mine, b"m2", now=desk.now)


class TestEpochsThatWereLeft:
    def test_i15_one_never_comes_back_with_an_answer_that_was_on_its_way(self) -> None:
        """P2: its numbers would be given to other messages, and nobody told."""
        shelf = Shelf()
        shelf.opened(head=10)
        reader = Reader(
            shelf.channel(),
            "ann",
            Subscribe(1, "news", Position("S1", 2), 1 << 20),
            pins=False,
            max_message=1 << 20,
        )
        reader.next_control(now=0.0)
        after = reader.next_read()
        assert after == 2
        shelf.channels.read(reader, after, Waiting(), shelf.channel())
        read = shelf.commands.pop(0)
        assert isinstance(read, ReadHistory)
        ticket = shelf.publish(b"m11")
        asked = shelf.asked()
        shelf.channels.handle_history(HistoryRead(read.request, "S1", 1, 5), now=0.0)
        assert (shelf.channel().epoch, shelf.channel().head) == ("E1", 5)
        assert shelf.commands == [], "an append is in flight: the store is told after it"
        shelf.channels.handle_appended(Appended(asked.request, "S1", 6), now=0.0)
        assert (shelf.channel().epoch, shelf.channel().head) == ("E1", 6)
        assert ticket is not None
        assert (ticket.epoch, ticket.seq) == ("E1", 6)
        told = shelf.asked()
        assert (told.epoch, told.seq, told.payloads) == ("E1", 7, [])

    def test_a_note_that_is_refused_harms_nobody(self) -> None:
        shelf = Shelf()
        shelf.opened(head=7)
        shelf.publish(b"m8")
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", 3), now=0.0)
        shelf.channels.handle_appended(AppendRefused(shelf.asked().request, "busy"), now=0.0)
        assert shelf.publish(b"m9") is not None
        assert shelf.asked().epoch == "E1", "the next append carries it"

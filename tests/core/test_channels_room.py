"""Channels: who finds no room, no memory or no place waits, and is served when there is (P4)."""

from dataclasses import replace

import pytest

from gapless.core.channel import CHANNEL_BYTES
from gapless.core.config import Config, Overflow
from gapless.core.errors import MessageTooLarge, NoMemory
from gapless.core.events import Append, ReadHistory
from gapless.core.frames import Ack, Offered, Subscribe
from gapless.core.history import ENTRY_BYTES
from gapless.core.local import LocalReader
from gapless.core.position import Position
from gapless.core.reader import Reader
from gapless.core.store import Appended, AppendRefused, HistoryRead

from .shelf import HUB, Author, Shelf, full

SMALL = replace(HUB, history_messages=4, patience=1000.0)


def opened(shelf: Shelf) -> Shelf:
    """Open `news`, where nothing outlives the hub."""
    assert shelf.channels.open("news", now=0.0) is not None
    return shelf


def stored(config: Config = HUB, *, messages: int = 0) -> Shelf:
    """Open `news`, whose first messages were published here."""
    shelf = Shelf(config)
    shelf.opened()
    for number in range(1, messages + 1):
        shelf.publish(b"%d" % number)
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", number), now=0.0)
    return shelf


def pinned(overflow: Overflow = "wait", *, count: int = 4) -> Shelf:
    """Four messages of four, and a reader that has taken none."""
    shelf = Shelf(replace(SMALL, overflow=overflow), durable=False)
    for number in range(count):
        shelf.publish(b"%d" % number)
    shelf.channel().pin("bob", 0, now=0.0)
    return shelf


def acks(author: Author) -> list[int]:
    return [frame.seq for frame in author.hears() if isinstance(frame, Ack)]


class TestTheServersOwn:
    def test_a_batch_that_no_history_of_its_bounds_holds_is_the_callers_fault(self) -> None:
        shelf = pinned()
        with pytest.raises(MessageTooLarge, match="5 messages of 5 bytes"):
            shelf.publish(*[b"x"] * 5)
        assert shelf.channel().head == 4

    def test_where_it_is_rejected_the_ticket_says_so(self) -> None:
        ticket = pinned("reject").publish(b"m")
        assert ticket is not None
        assert (ticket.refused, ticket.is_pending) == ("full", False)

    def test_p3_without_memory_it_waits_and_nothing_is_held(self) -> None:
        shelf = opened(Shelf(durable=False))
        ballast = full(shelf, left=10)
        assert shelf.publish(b"m" * 11) is None
        assert (shelf.channel().head, list(shelf.channels.waiting)) == (0, ["news"])
        shelf.books.close(ballast)
        shelf.channels.rehouse(now=1.0)
        assert list(shelf.channels.news.settled) == ["news"]
        assert shelf.publish(b"m" * 11) is not None

    def test_p3_or_is_refused_as_the_channel_is_set(self) -> None:
        shelf = opened(Shelf(replace(HUB, overflow="reject"), durable=False))
        full(shelf, left=10)
        ticket = shelf.publish(b"m" * 11)
        assert ticket is not None
        assert ticket.refused == "full"

    def test_what_just_fits_enters(self) -> None:
        shelf = opened(Shelf(durable=False))
        full(shelf, left=11 + ENTRY_BYTES)
        assert shelf.publish(b"m" * 11) is not None

    def test_p3_a_channel_for_which_there_is_no_memory_is_opened_when_there_is(self) -> None:
        shelf = Shelf(durable=False)
        ballast = full(shelf, left=CHANNEL_BYTES - 1)
        with pytest.raises(NoMemory, match="channel 'news'"):
            shelf.channels.open("news", now=0.0)
        assert shelf.publish(b"m") is None
        assert (len(shelf.channels), list(shelf.channels.waiting)) == (0, ["news"])
        shelf.books.close(ballast)
        shelf.channels.rehouse(now=1.0)
        assert list(shelf.channels.news.settled) == ["news"]
        assert shelf.publish(b"m") is not None

    def test_a_channel_that_goes_while_room_is_made_for_it_takes_nothing(self) -> None:
        """Making room lets others be served and forgotten: what was looked at may be another."""
        shelf = opened(Shelf(durable=False))
        full(shelf)

        def forget(_size: int, _now: float) -> bool:
            assert not shelf.channel().is_idle, "it is in use"
            shelf.channels.forget("news")
            return True

        shelf.books.relieve = forget
        assert shelf.publish(b"m") is None
        assert shelf.channels.find("news") is None


class TestShedding:
    def test_what_no_pin_needs_goes_and_readers_are_told(self) -> None:
        shelf = Shelf(SMALL, durable=False)
        shelf.publish(b"m1", b"m2")
        shelf.channels.news.moved.clear()
        assert shelf.channels.shed(shelf.channel())
        assert (shelf.channel().history.first, shelf.channel().losses.why(2)) == (3, "shed")
        assert list(shelf.channels.news.moved) == [shelf.channel()]
        shelf.channels.news.moved.clear()
        assert not shelf.channels.shed(shelf.channel()), "there is nothing left"
        assert shelf.channels.news.moved == {}

    def test_of_what_is_pinned_only_what_stalled_readers_need(self) -> None:
        shelf = pinned()
        pins = shelf.channel().pins
        shelf.channels.news.moved.clear()
        shelf.channels.shed_pinned(pins)
        assert (shelf.channel().history.first, list(shelf.channels.news.moved)) == (1, [])
        assert pins.lapse_stalled(now=2000.0)
        shelf.channels.shed_pinned(pins)
        assert (len(shelf.channel().history), shelf.books.held) == (0, CHANNEL_BYTES)


class TestClientsWait:
    def test_p4_one_that_finds_no_room_keeps_no_offer_from_being_answered(self) -> None:
        shelf = stored(SMALL, messages=2)
        shelf.channel().pin("bob", 0, now=0.0)
        ann, carl = Author(shelf), Author(shelf, "@carl")
        carl.offer()
        (offered,) = ann.offer()
        assert isinstance(offered, Offered)
        shelf.publish(b"3")
        assert ann.data(1, b"a1") == carl.data(1, b"c1") == [], "one append is in flight"
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", 3), now=0.0)
        assert ann.offer(offered.epoch) == [], "now hers is: nobody knows yet what is accepted"
        shelf.channels.handle_appended(Appended(shelf.asked().request, "S1", 4), now=0.0)
        assert carl.hears() == [], "there is no room left"
        (offered,) = ann.hears()
        assert isinstance(offered, Offered)
        assert (offered.kind, offered.last) == ("known", 1)

    def test_p3_without_memory_a_client_waits_with_all_it_has_sent(self) -> None:
        shelf = opened(Shelf(durable=False))
        author = Author(shelf)
        ballast = full(shelf)
        assert [type(frame) for frame in author.offer()] == [Offered], "that takes none"
        assert author.data(1, b"a") == []
        assert (shelf.channel().head, list(shelf.channels.starved)) == (0, ["news"])
        shelf.books.close(ballast)
        shelf.channels.rehouse(now=1.0)
        assert acks(author) == [1]
        assert shelf.channel().history.entry(1)[:3] == (b"a", False, "@ann")

    def test_p4_a_channel_for_which_there_is_no_place_is_opened_when_there_is(self) -> None:
        shelf = Shelf(replace(HUB, max_hub_channels=1), durable=False)
        shelf.publish(b"m", name="other")
        author = Author(shelf)
        assert author.offer() == []
        homeless = shelf.channels.openings.homeless
        assert list(homeless) == ["news"]
        shelf.channels.rehouse(now=1.0)
        assert (list(homeless), author.hears()) == (["news"], []), "there is none yet"
        shelf.channels.forget("other")
        shelf.channels.rehouse(now=2.0)
        assert [type(frame) for frame in author.hears()] == [Offered]
        assert list(homeless) == []

    def test_p4_all_who_wait_for_one_channel_are_named_or_served_when_it_is_open(self) -> None:
        shelf = Shelf(replace(HUB, max_hub_channels=1), durable=False)
        shelf.publish(b"m", name="other")
        author, openings = Author(shelf), shelf.channels.openings
        assert openings.want("news", "ann", now=0.0) is None
        assert author.offer() == []
        shelf.channels.forget("other")
        shelf.channels.rehouse(now=1.0)
        assert shelf.channels.news.opened["news"] == {"ann": None}
        assert [type(frame) for frame in author.hears()] == [Offered]
        assert openings.want("news", "ann", now=1.0) is shelf.channel()
        shelf.channels.forget_idle(shelf.channel())
        assert shelf.channels.find("news") is not None, "she hasn't been told yet"


class TestForgetting:
    def test_a_channel_that_is_forgotten_while_the_store_opens_it_is_not_opened(self) -> None:
        shelf = Shelf()
        assert shelf.publish(b"m") is None
        (asked,) = shelf.commands
        assert isinstance(asked, ReadHistory)
        shelf.channels.forget("news")
        assert list(shelf.channels.news.settled) == ["news"], "who waited tries again"
        assert shelf.channels.news.forgotten == {}, "it was never there"
        shelf.channels.handle_history(HistoryRead(asked.request, "S1", 1, 7), now=0.0)
        assert shelf.channels.find("news") is None

    def test_what_was_forgotten_waits_for_memory_no_more(self) -> None:
        shelf = opened(Shelf(durable=False))
        full(shelf)
        shelf.publish(b"m")
        shelf.channels.forget("news")
        shelf.channels.news.settled.clear()
        shelf.channels.rehouse(now=1.0)
        assert (shelf.channels.starved, shelf.channels.news.settled) == ({}, {})


class TestDeadlines:
    def test_a_message_that_nobody_pins_expires_then_a_pin_lapses(self) -> None:
        """I12: never in the past, else the driver would spin."""
        shelf = Shelf(replace(SMALL, history_age=60.0), durable=False)
        channels = shelf.channels
        assert channels.next_lapse(opened(shelf).channel(), now=0.0) is None
        shelf.publish(b"m")
        assert channels.next_lapse(shelf.channel(), now=59.0) == 60.0
        shelf.channel().pin("bob", 0, now=0.0)
        assert channels.next_lapse(shelf.channel(), now=60.0) == 1000.0
        assert channels.next_lapse(shelf.channel(), now=1000.0) is None

    def test_a_pin_is_only_looked_at_if_somebody_waits_for_it(self) -> None:
        shelf = pinned()
        channels, news = shelf.channels, shelf.channel()
        assert channels.next_lapse(news, now=0.0) is None
        assert not channels.is_lapse_due(news, now=1000.0)
        assert shelf.publish(b"m") is None
        assert channels.next_lapse(news, now=0.0) == 1000.0
        assert [channels.is_lapse_due(news, now=at) for at in (999.9, 1000.0)] == [False, True]


class TestTheStoreRemembersPublishers:
    def offer(self, shelf: Shelf, author: Author, epoch: str) -> Append:
        """A client that another hub knew: this one asks the store about it."""
        assert author.offer(epoch) == []
        asked = shelf.asked()
        assert asked.publisher == ("@ann", epoch, 0)
        assert asked.payloads == []
        return asked

    @pytest.mark.parametrize(
        ("last", "answer"), [(5, ("known", "P7", 5)), (None, ("new", "@ann-1", 0))]
    )
    def test_an_epoch_that_another_hub_made_is_known_if_the_store_knows_it(
        self, last: int | None, answer: tuple[str, str, int]
    ) -> None:
        """Rule 7: nothing is applied twice, and nothing is taken for accepted."""
        shelf = stored()
        author = Author(shelf)
        asked = self.offer(shelf, author, "P7")
        shelf.channels.handle_appended(Appended(asked.request, "S1", 1, last), now=0.0)
        (offered,) = author.hears()
        assert isinstance(offered, Offered)
        assert (offered.kind, offered.epoch, offered.last) == answer

    def test_one_that_cannot_say_is_taken_for_one_that_does_not_know(self) -> None:
        shelf = stored()
        author = Author(shelf)
        asked = self.offer(shelf, author, "P7")
        shelf.channels.handle_appended(AppendRefused(asked.request, "busy", 1.0), now=0.0)
        (offered,) = author.hears()
        assert isinstance(offered, Offered)
        assert (offered.kind, offered.last) == ("new", 0)

    def test_p3_it_is_asked_one_thing_at_a_time(self) -> None:
        """An offer that comes meanwhile is looked into once that is answered."""
        shelf = stored()
        author = Author(shelf)
        first = self.offer(shelf, author, "P7")
        assert author.offer("P8") == []
        assert shelf.commands == []
        shelf.channels.handle_appended(Appended(first.request, "S1", 1, 5), now=0.0)
        assert author.hears() == [], "that was about the offer before"
        second = shelf.asked()
        assert second.publisher == ("@ann", "P8", 0)
        shelf.channels.handle_appended(Appended(second.request, "S1", 1, 9), now=0.0)
        (offered,) = author.hears()
        assert isinstance(offered, Offered)
        assert (offered.kind, offered.epoch, offered.last) == ("known", "P8", 9)

    def test_what_it_has_from_the_hub_before_is_acked_and_not_appended(self) -> None:
        """P1: the session was taken over while the append of another hub was on its way."""
        shelf = stored()
        author = Author(shelf)
        author.offer()
        author.data(1, b"a1", b"a2")
        asked = shelf.asked()
        answer = Appended(asked.request, "S1", 1, 2, known=True)
        shelf.channels.handle_appended(answer, now=0.0)
        assert acks(author) == [2]
        assert (shelf.channel().head, shelf.channel().is_told) == (0, True)


class TestReadingAStoreThatFellBack:
    def test_i15_who_waits_is_served_in_the_new_epoch(self) -> None:
        shelf = stored(replace(SMALL, history_messages=2), messages=2)
        channel = shelf.channel()
        channel.pin("bob", 0, now=0.0)
        assert shelf.publish(b"m3") is None
        reader = Reader(
            channel,
            "ann",
            Subscribe(1, "news", Position("S1", 0), 1 << 20),
            pins=False,
            max_message=1 << 20,
        )
        shelf.channels.read(reader, 0, Nobody(), channel)
        read = shelf.commands.pop(0)
        assert isinstance(read, ReadHistory)
        shelf.channels.handle_history(HistoryRead(read.request, "S2", 1, 1), now=0.0)
        assert (channel.epoch, channel.head) == ("S2", 1)
        assert "news" in shelf.channels.news.settled
        assert shelf.publish(b"m3") is not None


class Nobody:
    """Who a read is for, and doesn't care."""

    def read_answered(self, reader: Reader | LocalReader) -> None:
        pass

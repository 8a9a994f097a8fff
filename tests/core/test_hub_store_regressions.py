"""What a review found in a hub with a store behind it, as behaviour that holds.

Letters are the review's. See `test_hub_regressions.py` for the rest of a hub.
"""

from dataclasses import replace

import pytest

from gapless.core.channel import Channel
from gapless.core.config import Config
from gapless.core.events import Append, CaughtUp, ChannelEvent, Message, ReadHistory, Reset
from gapless.core.frames import (
    Ack,
    Data,
    Ended,
    Gone,
    Offer,
    Offered,
    Partial,
    Recovered,
    Subscribe,
    Subscribed,
)
from gapless.core.local import LocalReader
from gapless.core.position import Position, Since
from gapless.core.store import Appended, AppendRefused, HistoryRead
from gapless.testing import Pair

from .by_hand import DurableHubByHand, names, numbered, shown
from .list_store import ListStore, StoredLog

HUB = Config.production("hub")
SHORT = replace(HUB, history_messages=4, overflow="rotate")
LIMIT = 1 << 20


def stored(last: int, *, config: Config = HUB) -> DurableHubByHand:
    """A hub that has just started, a store that has numbers 1 … `last` of epoch E, a client."""
    desk = DurableHubByHand(config=config)
    desk.store.logs["news"] = StoredLog("E", [(payload, False) for payload in numbered(1, last)])
    desk.greet(1)
    return desk


def subscribe(desk: DurableHubByHand, since: Since, request: int = 1) -> list[object]:
    """Ask, and let the store open the channel; what is heard."""
    is_new = desk.hub.channels.find("news") is None
    desk.say(1, Subscribe(request, "news", since, LIMIT))
    if is_new:
        desk.answer(*desk.asked())
    return list(desk.hear(1))


def reads(desk: DurableHubByHand) -> list[ReadHistory]:
    """What the hub has asked of the store, which is nothing but reads."""
    asked = desk.asked()
    return [command for command in asked if isinstance(command, ReadHistory)]


def channel_of(desk: DurableHubByHand) -> Channel:
    channel = desk.hub.channels.find("news")
    assert channel is not None
    return channel


def payloads(frames: list[object]) -> list[bytes]:
    return [one for frame in frames if isinstance(frame, Data) for one in frame.payloads]


class TestFloods:
    """C: a client could make the hub ask its store without end."""

    def test_c_offers_ask_the_store_one_thing_at_a_time(self) -> None:
        """P3, I9: the newest offer counts, and is asked about once the older one is answered."""
        desk = stored(0)
        desk.say(1, Offer(1, "news", "old-1", 1))
        desk.answer(*desk.asked())
        first = desk.asked()
        assert len(first) == 1
        for number in range(2, 102):
            desk.say(1, Offer(number, "news", f"old-{number}", 1))
            assert desk.asked() == []
        desk.answer(*first)
        assert desk.hear(1) == [], "that answered another offer"
        (second,) = desk.asked()
        assert isinstance(second, Append)
        assert second.publisher is not None
        assert second.publisher[1] == "old-101"
        desk.answer(second)
        assert [frame.id for frame in desk.hear(1) if isinstance(frame, Offered)] == [101]

    def test_c_offers_on_link_after_link_ask_the_store_one_thing_at_a_time(self) -> None:
        """P3, I9: losing the link is no way round it."""
        desk = stored(0)
        token = desk.greet(2).token
        desk.say(2, Offer(1, "news", "old", 1))
        desk.answer(*desk.asked())
        first = desk.asked()
        for link in range(3, 20):
            desk.lose(link - 1)
            token = desk.greet(link, token).token
            desk.say(link, Offer(1, "news", "old", 1))
            assert desk.asked() == []
        desk.answer(*first)
        desk.serve()
        assert [frame.kind for frame in desk.hear(19) if isinstance(frame, Offered)] == ["new"]

    def test_c_subscribes_read_the_store_as_many_at_a_time_as_there_may_be_channels(self) -> None:
        """P3, I9: and the newest still gets what it asked for."""
        desk = stored(20, config=replace(HUB, max_channels=4))
        subscribe(desk, Position("E", 2))
        asked = reads(desk)
        for request in range(2, 40):
            subscribe(desk, Position("E", 2), request)
            asked += reads(desk)
        assert len(asked) == 4
        desk.answer(*asked)
        assert payloads(list(desk.hear(1))) == []
        last = reads(desk)
        assert len(last) == 1
        desk.answer(*last)
        assert payloads(list(desk.hear(1))) == numbered(3, 20)

    def test_c_reads_that_links_before_have_asked_for_count(self) -> None:
        """P3: a session, not a link, has so many reads in flight."""
        desk = stored(20, config=replace(HUB, max_channels=4))
        token = desk.greet(2).token
        asked: list[ReadHistory] = []
        for link in range(3, 30):
            desk.lose(link - 1)
            token = desk.greet(link, token).token
            desk.say(link, Subscribe(1, "news", Position("E", 2), LIMIT))
            if link == 3:
                desk.answer(*desk.asked())
            desk.hear(link)
            asked += reads(desk)
        assert len(asked) == 4
        desk.answer(*asked)
        desk.hear(29)
        desk.serve()
        assert payloads(list(desk.hear(29))) == numbered(3, 20)


class TestEpochsThatWereLeft:
    """D: a store that had not heard of the new epoch brought the old one back."""

    def fallen_back(self) -> tuple[DurableHubByHand, str, list[Append]]:
        """The store was restored from a backup: the hub has left E, and told it so."""
        desk = stored(100)
        subscribe(desk, Position("E", 10))
        asked = reads(desk)
        desk.store.fall_back("news", 50)
        desk.answer(*asked)
        assert [type(frame) for frame in desk.hear(1)] == [Ended]
        epoch = channel_of(desk).epoch
        assert epoch != "E"
        note = [command for command in desk.asked() if isinstance(command, Append)]
        assert [command.epoch for command in note] == [epoch]
        return desk, epoch, note

    def test_d_a_read_before_the_store_took_note_brings_nothing_back(self) -> None:
        """P2, I15: who had taken E:100 would else be given other messages under E:51…"""
        desk, epoch, note = self.fallen_back()
        subscribe(desk, Position("E", 10), 2)
        asked = reads(desk)
        assert len(asked) == 1
        desk.answer(*asked)
        assert channel_of(desk).epoch == epoch
        assert payloads(list(desk.hear(1))) == numbered(1, 50)
        desk.answer(*note)
        assert channel_of(desk).epoch == epoch
        assert desk.store.logs["news"].epoch == epoch

    def test_d_a_store_that_refused_the_note_brings_nothing_back(self) -> None:
        """P2, I15: it names E until it takes a message of the new epoch."""
        desk, epoch, note = self.fallen_back()
        desk.hub.handle_appended(AppendRefused(note[0].request, "busy"), now=desk.now)
        subscribe(desk, Position("E", 10), 2)
        desk.answer(*reads(desk))
        assert channel_of(desk).epoch == epoch
        desk.fill("news", b"new")
        assert channel_of(desk).epoch == epoch
        assert desk.store.logs["news"].epoch == epoch
        assert payloads(list(desk.hear(1))) == [*numbered(1, 50), b"new"]

    def test_d_a_store_that_names_it_later_is_given_a_third(self) -> None:
        """P2, I15: once it took note, an old name means that it fell back again."""
        desk, epoch, note = self.fallen_back()
        desk.answer(*note)
        subscribe(desk, Position("E", 10), 2)
        (asked,) = reads(desk)
        desk.hub.handle_history(HistoryRead(asked.request, "E", 1, 50, (b"m1",)), now=desk.now)
        assert channel_of(desk).epoch not in ("E", epoch)

    @pytest.mark.parametrize("seed", [0, 3, 4])
    def test_d_a_reader_of_the_left_epoch_is_told(self, seed: int) -> None:
        """P2: whatever the order of the store's answers, it hears of a reset."""
        store = ListStore()
        pair = Pair(seed=seed, hub_config=SHORT, store=store, store_delay=(0.0005, 0.05))
        pair.peer.start()
        pair.run(1.0)
        late = pair.add_client()
        late.start()
        sent(pair, numbered(1, 30))
        epoch = store.logs["c"].epoch
        store.fall_back("c", 15)
        pair.peer.subscribe("c", Position(epoch, 5))
        pair.run(2.0)
        sent(pair, numbered(101, 120))
        subscription = late.subscribe("c", Position(epoch, 30))
        pair.run(2.0)
        assert "reset epoch" in shown(late.take_all(subscription)), f"seed {seed}"


def sent(pair: Pair, messages: list[bytes]) -> None:
    """Publish at the server, waiting for room."""
    for payload in messages:
        while pair.publish("c", payload) is None:
            pair.run(0.1)
        pair.run(0.1)


class TestWhatIsReadAhead:
    """F: what the store has and the hub doesn't know of yet was sent."""

    def test_f_a_reader_gets_no_more_than_the_head(self) -> None:
        """P1, P2: else it resumes from a number that nobody has given yet, and meets it again."""
        desk = stored(10)
        subscribe(desk, Position("E", 8))
        (read,) = reads(desk)
        assert desk.hub.publish("news", b"m11", now=desk.now) is not None
        append = desk.asked()
        appended = desk.store.append(append[0]) if isinstance(append[0], Append) else None
        assert isinstance(appended, Appended)
        desk.answer(read)
        assert payloads(list(desk.hear(1))) == numbered(9, 10)
        desk.hub.handle_appended(appended, now=desk.now)
        assert payloads(list(desk.hear(1))) == numbered(11, 11)

    def test_f_a_position_that_was_acked_is_known_on_the_next_link(self) -> None:
        """P2: not `ahead`."""
        desk = stored(10)
        token = desk.greet(2).token
        desk.say(2, Subscribe(1, "news", Position("E", 8), LIMIT))
        desk.answer(*desk.asked())
        desk.hear(2)
        (read,) = reads(desk)
        desk.store.logs["news"].messages += [(b"m11", False)]
        desk.answer(read)
        frames = [frame for frame in desk.hear(2) if isinstance(frame, Data)]
        last = max(frame.first + len(frame.payloads) - 1 for frame in frames)
        desk.say(2, Ack(frames[-1].id, last, LIMIT))
        desk.lose(2)
        desk.greet(3, token, Subscribe(2, "news", Position("E", last), LIMIT))
        outcomes = [one.outcome for one in desk.hear(3) if isinstance(one, Subscribed)]
        assert [type(outcome).__name__ for outcome in outcomes] == ["Live"]


class TestReadsThatFail:
    """J: a read that brought nothing was repeated at once, for ever."""

    def test_j_what_the_store_cannot_read_is_gone(self) -> None:
        """P2, P4: said once, and the reader goes on with what is held."""
        desk = stored(0, config=SHORT)
        desk.fill("news", *numbered(1, 20))
        assert not payloads(subscribe(desk, Position("E", 2)))
        heard = self.failed(desk)
        gone = [frame for frame in heard if isinstance(frame, Gone)]
        assert [frame.first for frame in gone] == [3]
        assert payloads(heard) == numbered(gone[0].last + 1, 20)
        assert desk.asked() == []

    def test_j_it_is_gone_even_if_nothing_is_held(self) -> None:
        """P2, P4: a hub that has just started has no history to go on with."""
        desk = stored(20)
        subscribe(desk, Position("E", 2))
        heard = self.failed(desk)
        gone = [frame for frame in heard if isinstance(frame, Gone)]
        assert [(frame.first, frame.last) for frame in gone] == [(3, 20)]
        assert desk.asked() == []
        desk.fill("news", b"m21")
        assert payloads(list(desk.hear(1))) == [b"m21"]

    def test_j_the_server_s_own_reader_is_told_as_well(self) -> None:
        """P2, P4."""
        desk = stored(20)
        reader = local(desk, Position("E", 2))
        assert desk.hub.next_message(reader, now=desk.now) is None
        self.failed(desk)
        assert shown(taken(desk, reader)) == ["lost 3..20"]

    def failed(self, desk: DurableHubByHand) -> list[object]:
        """The store can't read what it is asked for, which it claims to hold."""
        (asked,) = reads(desk)
        answer = desk.store.read_history(asked)
        empty = HistoryRead(asked.request, answer.epoch, answer.first, answer.head)
        desk.hub.handle_history(empty, now=desk.now)
        return list(desk.hear(1))


def local(desk: DurableHubByHand, since: Since) -> LocalReader:
    """Read inside the server, once the store has opened the channel."""
    reader = desk.hub.subscribe("news", since, now=desk.now)
    if reader is None:
        desk.answer(*desk.asked())
        reader = desk.hub.subscribe("news", since, now=desk.now)
    assert reader is not None
    return reader


def taken(desk: DurableHubByHand, reader: LocalReader) -> list[ChannelEvent]:
    """Take all, with the store answering, as long as the hub says that there is something."""
    events: list[ChannelEvent] = []
    ready: list[object] = [reader]
    while reader in ready:
        while (event := desk.hub.next_message(reader, now=desk.now)) is not None:
            events.append(event)
        desk.serve()
        ready = list(iter(desk.hub.next_ready, None))
    return events


class TestTheServersOwnReader:
    """K: a reader inside the server read nothing but the hub's memory."""

    @pytest.mark.parametrize(("since", "first"), [("earliest", 1), (Position("E", 2), 3)])
    def test_k_it_reads_the_store_after_a_restart(self, since: Since, first: int) -> None:
        """Rule 6, P2: one log, one reader path, wherever the messages are."""
        desk = stored(300)
        events = taken(desk, local(desk, since))
        assert shown(events) == names(first, 300)
        assert [event.seq for event in events if isinstance(event, Message)] == [*range(first, 301)]
        assert isinstance(events[-1], CaughtUp)

    def test_k_it_goes_from_the_store_to_the_history_without_a_seam(self) -> None:
        """Rule 6: what is behind is read from the store, the rest from memory."""
        desk = stored(10, config=SHORT)
        local(desk, "latest")
        desk.fill("news", *numbered(11, 20))
        assert channel_of(desk).history.first == 17
        assert shown(taken(desk, local(desk, "earliest"))) == names(1, 20)

    def test_k_it_falls_behind_and_loses_nothing(self) -> None:
        """P2: while it reads live, too."""
        desk = stored(0, config=SHORT)
        reader = local(desk, "latest")
        assert shown(taken(desk, reader)) == []
        desk.fill("news", *numbered(1, 20))
        assert shown(taken(desk, reader)) == names(1, 20)

    def test_k_a_read_that_shows_a_fall_back_is_made_again_in_the_new_epoch(self) -> None:
        """P2, P4: after the same number; the first one's answer has been had."""
        desk = stored(20)
        reader = local(desk, "earliest")
        assert desk.hub.next_message(reader, now=desk.now) is None
        asked = desk.asked()
        desk.store.fall_back("news", 5)
        desk.answer(*asked)
        assert shown(taken(desk, reader)) == ["reset epoch", *names(1, 15)]

    def test_k_a_read_of_a_numbering_that_was_left_says_nothing_of_the_next(self) -> None:
        """P2, I15: that it brings nothing doesn't mean that the new numbers are gone."""
        desk = stored(20)
        reader, other = local(desk, "earliest"), local(desk, Position("E", 10))
        for one in (reader, other):
            assert desk.hub.next_message(one, now=desk.now) is None
        mine, others = desk.asked()
        desk.store.fall_back("news", 5)
        desk.answer(others)
        reset = desk.hub.next_message(reader, now=desk.now)
        assert isinstance(reset, Reset)
        assert desk.hub.next_message(reader, now=desk.now) is None
        desk.answer(mine)
        assert shown(taken(desk, reader)) == names(1, 15)


class TestRestarts:
    """L: what was numbered anew went out under the old numbering."""

    def test_l_a_socket_that_drains_gets_nothing_of_the_new_numbering(self) -> None:
        """P1, I15: though the driver writes before it asks which links are writable."""
        desk = stored(4)
        subscribe(desk, "latest")
        desk.fill("news", b"m5")
        assert desk.hub.next_writable() == 1
        assert isinstance(desk.hub.next_frame(1, now=desk.now), Data)
        desk.fill("news", *numbered(6, 10))
        while desk.hub.next_writable() is not None:
            pass
        desk.store.fall_back("news", 5)
        desk.fill("news", b"NEW")
        drained = list(iter(lambda: desk.hub.next_frame(1, now=desk.now), None))
        assert [type(frame) for frame in drained] == [Ended]
        heard = subscribe(desk, Position("E", 5), 2)
        answers = [frame.outcome for frame in heard if isinstance(frame, Subscribed)]
        assert [getattr(outcome, "reason", None) for outcome in answers] == ["epoch"]


class TestWhatTheStoreHas:
    """T: the store's word that it has a message already was taken for a fall back."""

    def offered(self) -> tuple[DurableHubByHand, Append]:
        """A publisher that the store knows sends its first message."""
        desk = stored(7)
        desk.store.publishers["P"] = 0
        desk.say(1, Offer(1, "news", "P", 1))
        desk.answer(*desk.asked())
        desk.answer(*desk.asked())
        assert [frame.kind for frame in desk.hear(1) if isinstance(frame, Offered)] == ["known"]
        desk.say(1, Data(1, 1, [b"m"], False))
        (append,) = desk.asked()
        assert isinstance(append, Append)
        return desk, append

    def test_t_it_is_accepted_and_not_appended_again(self) -> None:
        """P6: applied once, by another node; nobody else notices."""
        desk, append = self.offered()
        answer = Appended(append.request, "E", 7, known=True)
        desk.hub.handle_appended(answer, now=desk.now)
        channel = channel_of(desk)
        assert (channel.epoch, channel.head, len(channel.history)) == ("E", 7, 0)
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)] == [1]
        assert desk.asked() == []

    def test_t_the_publisher_goes_on_behind_it(self) -> None:
        """P6, P4: the next message is asked for and numbered as ever."""
        desk, append = self.offered()
        answer = Appended(append.request, "E", 7, known=True)
        desk.hub.handle_appended(answer, now=desk.now)
        desk.say(1, Data(1, 2, [b"n"], False))
        desk.serve()
        assert [frame.seq for frame in desk.hear(1) if isinstance(frame, Ack)][-1:] == [2]
        assert channel_of(desk).epoch == "E"
        assert channel_of(desk).head == 8


class TrimmingStore(ListStore):
    """It keeps the newest hundred of a channel."""

    def read_history(self, command: ReadHistory) -> HistoryRead:
        answer = super().read_history(command)
        first = max(1, answer.head - 99)
        is_gone = command.after is not None and command.after + 1 < first
        kept = () if is_gone else answer.payloads
        return HistoryRead(answer.request, answer.epoch, first, answer.head, kept, answer.text)


class TestWhatTheStoreTrims:
    """U: what the store still held was called gone, because it held less than it once did."""

    def trimmed(self) -> DurableHubByHand:
        """The hub has seen the store hold number 1; it holds 101 … 200 now, memory 197 … 200."""
        desk = stored(0, config=SHORT)
        desk.store = TrimmingStore()
        desk.fill("news", *numbered(1, 200))
        return desk

    def test_u_a_reader_goes_on_with_the_oldest_that_the_store_has(self) -> None:
        """Rule 6, P2: of what was trimmed it is told, the rest it gets."""
        desk = self.trimmed()
        frames = subscribe(desk, "earliest")
        desk.serve()
        frames += desk.hear(1)
        while asked := reads(desk):
            desk.answer(*asked)
            frames += desk.hear(1)
        outcomes = [one.outcome for one in frames if isinstance(one, Subscribed)]
        assert outcomes == [Recovered(200)]
        gone = [(one.first, one.last) for one in frames if isinstance(one, Gone)]
        assert gone == [(1, 100)]
        assert payloads(frames) == numbered(101, 200)

    def test_u_the_server_s_own_reader_does_so_too(self) -> None:
        """Rule 6, P2: one reader path."""
        desk = self.trimmed()
        events = taken(desk, local(desk, "earliest"))
        assert shown(events) == ["lost 1..100", *names(101, 200)]

    def test_u_who_asks_next_is_told_at_once(self) -> None:
        """Rule 6: the hub has learnt what the store holds."""
        desk = self.trimmed()
        subscribe(desk, "earliest")
        desk.serve()
        heard = subscribe(desk, Position("stored-1", 50), 2)
        outcomes = [one.outcome for one in heard if isinstance(one, Subscribed)]
        assert outcomes == [Partial(51, 100, "rotated")]

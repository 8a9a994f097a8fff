"""Export and restore: another process carries a session on; every message is applied once or told.

P6 across processes: what was exported ends in exactly one of the four ways where it is restored.
"""

import pytest

from gapless.core.client import ClientSession
from gapless.core.closing import Code
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.events import Message, Settled
from gapless.core.export import Export, ExportedOutbox
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Frame,
    Goaway,
    Gone,
    Hello,
    Offer,
    Offered,
    Refused,
)
from gapless.core.outbox import OfferPhase
from gapless.core.position import Position
from gapless.core.states import SessionState
from gapless.testing import Pair, Peer

from .by_hand import WELCOME, ClientByHand
from .parts import LOST, inside, small

PLENTY = 1 << 30


def an_export(
    *payloads: bytes, epoch: str | None = "P1", first: int = 5, seq: int = 3, sent: int = 0
) -> Export:
    """A session that held these for `orders`; the first has number 5, and is 3 in its epoch."""
    messages = tuple((payload, False) for payload in payloads)
    return Export("@s", "t1", (), (ExportedOutbox("orders", epoch, first, seq, sent, messages),))


class Heir(ClientByHand):
    """A client that carries an export on; its server is played by hand."""

    def __init__(self, exported: Export) -> None:
        super().__init__()
        self.client.restore(exported, now=self.now)

    def offer(self) -> Offer:
        """The next offer."""
        (offer,) = [frame for frame in self.hear() if isinstance(frame, Offer)]
        return offer

    def welcomed(self) -> Offer:
        self.dial()
        self.say(WELCOME)
        return self.offer()

    def answer(self, offer: Offer, kind: str, last: int = 0, *, epoch: str = "P1") -> list[Frame]:
        """Answer an offer; what follows."""
        self.say(Offered(offer.id, kind, epoch, last, PLENTY))  # type: ignore[arg-type]  # a Literal
        return self.hear()

    def publish(self, payload: bytes) -> int | None:
        return self.client.publish("orders", payload, False, now=self.now)

    def told(self) -> list[Settled]:
        return list(iter(lambda: self.client.next_settled("orders"), None))

    def outcomes(self) -> list[tuple[int, int, str]]:
        return [(one.first, one.last, one.outcome) for one in self.told()]


def joined(pair: Pair, peer: Peer | None = None) -> Peer:
    """A client of a pair that is connected."""
    peer = peer or pair.peer
    peer.start()
    pair.settle()
    assert peer.session.link is not None
    return peer


def applied(pair: Pair, channel: str = "orders") -> list[bytes]:
    """What the hub's channel has."""
    found = pair.hub.channels.find(channel)
    if found is None:
        return []
    history = found.history
    return [history.entry(seq)[0] for seq in range(history.first, history.head + 1)]


def exported_in_mid_flight(pair: Pair) -> Export:
    """m1 accepted; m2 applied, but its ack is lost; m3 sent and lost; m4 never sent."""
    peer = joined(pair)
    peer.publish("orders", b"m1")
    pair.settle()
    pair.hold(True, to_client=True)
    peer.publish("orders", b"m2")
    pair.settle()
    pair.hold(True, to_client=False)
    peer.publish("orders", b"m3")
    pair.settle()
    assert applied(pair) == [b"m1", b"m2"]
    pair.cut()
    peer.publish("orders", b"m4")
    assert [one.outcome for one in peer.settled("orders")] == ["accepted"]
    return peer.session.export(now=pair.clock.now)


class TestExporting:
    def test_it_ends_the_session_here_and_leaves_it_to_the_server(self) -> None:
        pair = Pair()
        peer = joined(pair)
        exported = peer.session.export(now=pair.clock.now)
        pair.settle()
        assert peer.session.state is SessionState.CLOSED
        assert peer.session.next_deadline() is None
        assert len(pair.hub.sessions) == 1
        assert (exported.session, exported.token) == (peer.session.id, peer.session.token)

    def test_positions_are_of_what_was_taken_not_of_what_came(self) -> None:
        pair = Pair()
        peer = joined(pair)
        news = peer.subscribe("news", "earliest")
        peer.subscribe("quiet")
        pair.publish("news", "m1")
        pair.publish("news", "m2")
        pair.settle()
        taken = peer.take(news)
        assert isinstance(taken, Message)
        exported = peer.session.export(now=pair.clock.now)
        assert exported.position("news") == taken.position
        assert exported.position("quiet") is not None

    def test_a_place_that_is_not_known_yet_is_left_out(self) -> None:
        desk = ClientByHand()
        desk.client.subscribe("latest", now=desk.now)
        desk.client.subscribe("known", Position("E1", 7), now=desk.now)
        exported = desk.client.export(now=desk.now)
        assert exported.positions == (("known", Position("E1", 7)),)

    def test_what_is_held_goes_along_with_its_numbers_and_how_far_it_was_sent(self) -> None:
        exported = exported_in_mid_flight(Pair())
        (box,) = exported.outboxes
        assert (box.channel, box.first, box.seq, box.sent) == ("orders", 2, 2, 2)
        assert box.messages == ((b"m2", False), (b"m3", False), (b"m4", False))
        assert box.epoch is not None

    def test_here_it_has_no_outcome_and_shows_in_unsettled(self) -> None:
        """P6: it ends where it is restored, and only there."""
        pair = Pair()
        exported_in_mid_flight(pair)
        session = pair.client
        assert session.next_settled("orders") is None
        told = [(one.first, one.last, one.outcome) for one in session.unsettled()]
        assert told == [(2, 3, "unknown"), (4, 4, "unsent")]

    def test_a_session_that_is_over_can_not_be_exported(self) -> None:
        desk = ClientByHand()
        desk.client.close(now=desk.now)
        with pytest.raises(InvalidState, match="export it before it ends"):
            desk.client.export(now=desk.now)

    def test_one_that_never_began_can(self) -> None:
        desk = ClientByHand()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        exported = desk.client.export(now=desk.now)
        assert exported.outboxes[0].epoch is None
        assert desk.client.state is SessionState.CLOSED

    def test_one_that_is_closing_can(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.client.close(now=desk.now)
        exported = desk.client.export(now=desk.now)
        assert exported.outboxes[0].messages == ((b"m1", False),)
        assert desk.client.next_deadline() is None


class TestResumed:
    def test_what_the_hub_has_is_accepted_and_the_rest_is_sent_once(self) -> None:
        pair = Pair()
        exported = exported_in_mid_flight(pair)
        heir = joined(pair, pair.add_client(restore=exported))
        pair.settle()
        assert heir.session.resumes == 1
        assert applied(pair) == [b"m1", b"m2", b"m3", b"m4"]
        (told,) = heir.settled("orders")
        assert (told.first, told.last, told.outcome) == (2, 4, "accepted")
        assert heir.session.is_restored

    def test_numbers_go_on_and_what_is_new_gets_a_numbering_of_its_own(self) -> None:
        """Rule 7: another restore of the same export would use the old one's next numbers."""
        pair = Pair()
        exported = exported_in_mid_flight(pair)
        heir = pair.add_client(restore=exported)
        assert heir.publish("orders", b"m5") == 5
        joined(pair, heir)
        old, new = heir.settled("orders")
        assert (old.first, old.last, old.seq, old.epoch) == (2, 4, 2, exported.outboxes[0].epoch)
        assert (new.first, new.last, new.outcome, new.seq) == (5, 5, "accepted", 1)
        assert new.epoch != old.epoch
        assert heir.session.stats().published == 4
        assert applied(pair)[-1] == b"m5"

    def test_a_count_goes_on_where_nothing_was_held(self) -> None:
        pair = Pair()
        peer = joined(pair)
        peer.publish("orders", b"m1")
        pair.settle()
        heir = pair.add_client(restore=peer.session.export(now=pair.clock.now))
        assert heir.session.is_restored
        assert heir.publish("orders", b"m2") == 2
        joined(pair, heir)
        assert applied(pair) == [b"m1", b"m2"]

    def test_reading_goes_on_since_the_exported_position(self) -> None:
        pair = Pair()
        peer = joined(pair)
        news = peer.subscribe("news", "earliest")
        for text in ("m1", "m2"):
            pair.publish("news", text)
        pair.settle()
        peer.take(news)
        exported = peer.session.export(now=pair.clock.now)
        pair.publish("news", "m3")
        heir = joined(pair, pair.add_client(restore=exported))
        place = exported.position("news")
        assert place is not None
        again = heir.subscribe("news", place)
        pair.settle()
        events = heir.take_all(again)
        assert [one.text for one in events if isinstance(one, Message)] == ["m2", "m3"]

    def test_an_export_of_a_restored_session_that_heard_nothing_is_the_same_again(self) -> None:
        exported = an_export(b"m1", b"m2", sent=1)
        desk = Heir(exported)
        (again,) = desk.client.export(now=desk.now).outboxes
        assert (again.first, again.seq, again.epoch) == (5, 3, "P1")
        assert again.sent == 2, "it counts as sent"


class TestByHand:
    def test_it_is_offered_under_its_own_epoch_with_the_exported_token(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        (hello,) = desk.dial()
        assert isinstance(hello, Hello)
        assert hello.token == "t1"
        desk.say(WELCOME)
        offer = desk.offer()
        assert (offer.epoch, offer.first) == ("P1", 3)
        assert desk.answer(offer, "known", 3) == [Data(offer.id, 4, [b"m2"], False)]
        assert desk.outcomes() == [(5, 5, "accepted")]

    def test_an_answer_of_new_makes_all_of_it_unknown_and_nothing_is_sent_again(self) -> None:
        """Rule 7, though some was never sent here: another restore may have sent it."""
        desk = Heir(an_export(b"m1", b"m2"))
        assert desk.answer(desk.welcomed(), "new", epoch="P2") == []
        assert desk.outcomes() == [(5, 6, "unknown")]
        desk.publish(b"m3")
        (data,) = desk.hear()
        assert isinstance(data, Data)
        assert data.first == 1, "and P2 is as good as any"

    def test_what_was_published_meanwhile_follows_under_the_new_epoch(self) -> None:
        desk = Heir(an_export(b"m1"))
        desk.publish(b"m2")
        (data,) = desk.answer(desk.welcomed(), "new", epoch="P2")
        assert isinstance(data, Data)
        assert (data.first, data.payloads) == (1, [b"m2"])
        desk.say(Ack(data.id, 1, PLENTY))
        assert desk.outcomes() == [(5, 5, "unknown"), (6, 6, "accepted")]

    def test_until_it_is_settled_nothing_new_is_sent(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        desk.publish(b"m3")
        offer = desk.welcomed()
        (data,) = desk.answer(offer, "known", 2)
        assert data == Data(offer.id, 3, [b"m1", b"m2"], False)
        desk.say(Ack(offer.id, 3, PLENTY))
        assert desk.hear() == []
        desk.say(Ack(offer.id, 4, PLENTY))
        fresh = desk.offer()
        assert (fresh.epoch, fresh.first) == (None, 1)
        (data,) = desk.answer(fresh, "new", epoch="P2")
        assert data == Data(fresh.id, 1, [b"m3"], False)
        assert desk.outcomes() == [(5, 6, "accepted")]

    def test_a_hub_that_knows_more_has_all_of_it(self) -> None:
        """Model item 5: an older export, whose numbers went on elsewhere."""
        desk = Heir(an_export(b"m1"))
        desk.publish(b"m2")
        (offer,) = desk.answer(desk.welcomed(), "known", 40)
        assert isinstance(offer, Offer)
        assert (offer.epoch, offer.first) == (None, 1)
        assert desk.outcomes() == [(5, 5, "accepted")]

    def test_one_refused_for_good_is_skipped_and_then_a_new_numbering_begins(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        offer = desk.welcomed()
        desk.answer(offer, "known", 2)
        desk.say(Refused(offer.id, 3, 3, "full", None))
        assert [type(frame) for frame in desk.hear()] == [Gone, Data]
        desk.say(Refused(offer.id, 4, 4, "full", None))
        assert desk.outcomes() == [(5, 6, "refused")]
        desk.publish(b"m3")
        assert desk.offer().epoch is None

    def test_what_never_had_an_epoch_was_never_sent_and_never_is(self) -> None:
        """No number makes it once: two restores would apply it twice. So it is unsent, at once."""
        desk = Heir(an_export(b"m1", b"m2", epoch=None, seq=1, first=1))
        assert desk.outcomes() == [(1, 2, "unsent")]
        assert desk.client.is_restored
        assert desk.publish(b"m3") == 3
        assert desk.welcomed() == Offer(1, "orders", None, 1)

    def test_a_link_lost_in_between_offers_the_same_again(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        desk.answer(desk.welcomed(), "known", 2)
        desk.publish(b"m3")
        desk.lose()
        offer = desk.welcomed()
        assert (offer.epoch, offer.first) == ("P1", 3)
        assert desk.answer(offer, "known", 4) == [Offer(offer.id + 1, "orders", None, 1)]

    def test_the_end_makes_it_unknown_and_what_was_never_sent_unsent(self) -> None:
        desk = Heir(an_export(b"m1"))
        desk.publish(b"m2")
        desk.client.close(now=desk.now, timeout=0.0)
        assert desk.outcomes() == [(5, 5, "unknown"), (6, 6, "unsent")]
        assert desk.client.is_restored

    def test_a_server_that_bars_the_channel_settles_it_too(self) -> None:
        messages = ((b"m1", False),)
        boxes = [ExportedOutbox(name, "P1", 1, 1, 0, messages) for name in ("other", "orders")]
        desk = Heir(Export("@s", "t1", (), tuple(boxes)))
        desk.dial()
        desk.say(type(WELCOME)("@s", "token-2", True, 30_000, 120_000, 1 << 20, 1))
        assert desk.outcomes() == [(1, 1, "unknown")]
        assert [box.is_restored for box in desk.client.outboxes] == [False, True]

    def test_what_the_server_is_too_small_for_is_unknown_and_ends_the_import(self) -> None:
        desk = Heir(an_export(bytes(100)))
        desk.publish(b"m2")
        desk.dial()
        desk.say(type(WELCOME)("@s", "token-2", True, 30_000, 120_000, 50, 128))
        offer = desk.offer()
        (fresh,) = desk.answer(offer, "known", 2)
        assert isinstance(fresh, Offer)
        assert fresh.epoch is None
        assert desk.outcomes() == [(5, 5, "unknown")]


class TestMisuse:
    def test_only_a_new_session_takes_an_export_over(self) -> None:
        exported = an_export(b"m1")
        desk = ClientByHand()
        desk.client.publish("other", b"x", False, now=desk.now)
        with pytest.raises(InvalidState, match="before anything else"):
            desk.client.restore(exported, now=desk.now)
        with pytest.raises(InvalidState, match="before anything else"):
            Heir(exported).client.restore(exported, now=100.0)
        started = ClientByHand()
        started.client.start(now=started.now)
        with pytest.raises(InvalidState, match="before anything else"):
            started.client.restore(exported, now=started.now)

    def test_more_than_the_session_has_room_for_is_refused_and_changes_nothing(self) -> None:
        """P3."""
        desk = ClientByHand(config=small())
        with pytest.raises(ConfigError, match="history_messages"):
            desk.client.restore(an_export(*[b"x"] * 9), now=desk.now)
        assert desk.client.outboxes == []
        assert desk.client.token is None


class TestTwoRestores:
    """The same export twice: one takes the session over from the other, nothing is doubled."""

    def test_of_two_that_race_each_message_is_applied_once_and_told_by_both(self) -> None:
        pair = Pair(seed=3)
        exported = exported_in_mid_flight(pair)
        heirs = [pair.add_client(restore=exported) for _ in range(2)]
        for heir in heirs:
            heir.start()
        pair.run(30.0)
        assert applied(pair) == [b"m1", b"m2", b"m3", b"m4"]
        assert sum(heir.session.resumes for heir in heirs) >= 2, "a takeover"
        for heir in heirs:
            told = [(one.first, one.last, one.outcome) for one in heir.settled("orders")]
            assert told in ([(2, 4, "accepted")], [(2, 4, "unknown")])

    @pytest.mark.parametrize("seed", range(8))
    def test_what_each_publishes_after_it_is_never_taken_for_the_others(self, seed: int) -> None:
        """Each ends accepted and applied, or unknown: never accepted and not applied (P6)."""
        pair = Pair(seed=seed)
        exported = exported_in_mid_flight(pair)
        heirs = [pair.add_client(restore=exported) for _ in range(2)]
        for name, heir in zip("AB", heirs, strict=True):
            heir.start()
            for number in (5, 6):
                heir.publish("orders", f"{name}{number}".encode())
                pair.run(pair.rng.uniform(0.0, 0.004))
        pair.run(30.0)
        log = applied(pair)
        assert len(log) == len(set(log)), log
        assert log[:2] == [b"m1", b"m2"]
        for name, heir in zip("AB", heirs, strict=True):
            sent = {2: b"m2", 3: b"m3", 4: b"m4", 5: f"{name}5".encode(), 6: f"{name}6".encode()}
            told = heir.settled("orders")
            numbers = [one for word in told for one in range(word.first, word.last + 1)]
            assert numbers == [2, 3, 4, 5, 6], "each in exactly one way"
            for word in told:
                for number in range(word.first, word.last + 1):
                    if word.outcome == "accepted":
                        assert log.count(sent[number]) == 1, (name, number)

    def test_a_late_one_that_the_server_forgot_is_told_so_and_sends_nothing(self) -> None:
        pair = Pair()
        exported = exported_in_mid_flight(pair)
        joined(pair, pair.add_client(restore=exported)).close()
        pair.run(1.0)
        late = joined(pair, pair.add_client(restore=exported))
        assert late.session.resumes == 0
        told = [(one.first, one.last, one.outcome) for one in late.settled("orders")]
        assert told == [(2, 4, "unknown")]
        assert applied(pair) == [b"m1", b"m2", b"m3", b"m4"]


class TestMoving:
    """Rule 9 and an export."""

    def test_while_the_next_link_is_dialled_the_session_goes_along(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.say(Goaway(60_000, 0))
        desk.dial()
        exported = desk.client.export(now=desk.now)
        assert exported.token == WELCOME.token
        assert desk.client.state is SessionState.CLOSED
        assert desk.client.next_deadline() is None
        assert {ending.reason for ending in desk.endings()} == {"suspended by the client"}
        assert len(desk.endings()) == 2

    def test_what_an_old_link_should_answer_is_unknown_to_the_next_session(self) -> None:
        """It was sent to a session that stayed behind: the new one has no cursor for its epoch."""
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, PLENTY))
        desk.hear()
        desk.say(Goaway(60_000, 0))
        desk.dial()
        desk.say(WELCOME)
        assert [box.phase for box in desk.client.outboxes] == [OfferPhase.STAYING]
        exported = desk.client.export(now=desk.now)
        assert len(desk.endings()) == 2
        heir = Heir(exported)
        assert heir.answer(heir.welcomed(), "new", epoch="P2") == []
        assert heir.outcomes() == [(1, 1, "unknown")]

    def test_what_the_old_link_was_not_sent_is_not_waited_for_there(self) -> None:
        """An answer that can't come must not hold the session on a link that is going away."""
        desk = Heir(an_export(b"m1", b"m2"))
        offer = desk.welcomed()
        desk.say(Offered(offer.id, "known", "P1", 2, 0))
        assert desk.hear() == [], "no credit: nothing was sent on this link"
        desk.say(Goaway(60_000, 0))
        desk.dial()
        desk.say(WELCOME)
        assert inside(desk.client, "_old") is None
        assert desk.offer().epoch == "P1"


class TestUnsettled:
    def test_before_the_end_it_says_what_would_become_of_it(self) -> None:
        desk = ClientByHand()
        desk.connect()
        assert desk.client.unsettled() == []
        for payload in (b"m1", b"m2", b"m3"):
            desk.client.publish("orders", payload, False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1))
        desk.hear()
        desk.say(Ack(1, 1, 1))
        desk.client.publish("orders", b"m4", False, now=desk.now)
        assert desk.client.unsettled() == [
            Settled("orders", 2, 3, "unknown", "P1", 2),
            Settled("orders", 4, 4, "unsent", "", 0),
        ]
        desk.say(Ack(1, 3, 1))
        assert desk.client.unsettled() == [Settled("orders", 4, 4, "unsent", "", 0)]

    @pytest.mark.parametrize("how", ["close", "suspend"])
    def test_afterwards_what_became_of_it_whether_or_not_it_was_taken(self, how: str) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, 1))
        desk.hear()
        desk.client.publish("orders", b"m2", False, now=desk.now)
        if how == "close":
            desk.client.close(now=desk.now, timeout=0.0)
        else:
            desk.client.suspend(now=desk.now)
        told = list(iter(lambda: desk.client.next_settled("orders"), None))
        assert [one.outcome for one in told] == ["unknown", "unsent"]
        assert desk.client.unsettled() == told

    def test_what_is_refused_while_it_closes_belongs_to_it(self) -> None:
        desk = ClientByHand()
        desk.connect()
        for payload in (b"m1", b"m2", b"m3"):
            desk.client.publish("orders", payload, False, now=desk.now)
        desk.hear()
        desk.say(Offered(1, "new", "P1", 0, PLENTY))
        desk.hear()
        desk.say(Refused(1, 1, 1, "full", None))
        desk.hear()
        desk.client.close(now=desk.now)
        desk.say(Refused(1, 2, 2, "full", None))
        desk.hear()
        desk.say(Ack(1, 3, PLENTY))
        assert desk.client.state is SessionState.CLOSED
        assert desk.client.unsettled() == [Settled("orders", 2, 2, "refused", "P1", 2, "full")]

    def test_p3_it_is_bounded_by_what_was_held(self) -> None:
        desk = ClientByHand(config=small())
        while desk.client.publish("orders", b"x", False, now=desk.now) is not None:
            pass
        desk.client.close(now=desk.now, timeout=0.0)
        assert desk.client.unsettled() == [Settled("orders", 1, 8, "unsent", "", 0)]

    def test_a_session_that_ended_by_itself_says_it_too(self) -> None:
        desk = ClientByHand()
        desk.connect()
        desk.client.publish("orders", b"m1", False, now=desk.now)
        desk.say(Close(Code.DONE, "bye", None))
        assert desk.client.state is SessionState.CLOSED
        assert [one.outcome for one in desk.client.unsettled()] == ["unsent"]


def test_a_session_without_channels_is_exported_and_restored() -> None:
    desk = ClientByHand()
    desk.connect()
    exported = desk.client.export(now=desk.now)
    heir = Heir(exported)
    assert isinstance(heir.client, ClientSession)
    assert heir.client.is_restored
    assert heir.client.unsettled() == []
    (hello,) = heir.dial()
    assert isinstance(hello, Hello)
    assert hello.token == WELCOME.token
    heir.client.handle_link_lost(heir.link, LOST, now=heir.now)

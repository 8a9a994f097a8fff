"""Export and restore: another process carries a session on; every message is applied once or told.

P6 across processes: what was exported ends in exactly one of the four ways where it is restored.
"""

from dataclasses import replace

import pytest

from gapless.core.errors import ConfigError, InvalidState
from gapless.core.events import Message
from gapless.core.export import MAX_SESSION, Export
from gapless.core.frames import (
    Ack,
    Goaway,
    Offered,
)
from gapless.core.outbox import OfferPhase
from gapless.core.position import Position
from gapless.core.states import SessionState
from gapless.testing import Pair, Peer
from gapless.testing.holdings import check_memory

from .by_hand import WELCOME, ClientByHand
from .heirs import PLENTY, Heir, an_export
from .parts import inside


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

    def test_what_can_not_be_exported_changes_nothing(self) -> None:
        """Contract 4: no codec lets such a session's name through; an embedder's might."""
        desk = ClientByHand()
        desk.dial()
        desk.say(replace(WELCOME, session="x" * (MAX_SESSION + 1)))
        desk.client.publish("orders", b"m", False, now=desk.now)
        with pytest.raises(ConfigError, match=r"Export\.session"):
            desk.client.export(now=desk.now)
        assert desk.client.state is SessionState.UP
        assert not desk.client.is_settled

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


class TestHandedOnAgain:
    """P6 over a chain of sessions: each end is told exactly once, by whoever is asked for it."""

    def test_what_was_sent_and_not_acked_is_unknown_once_at_the_last_of_the_chain(self) -> None:
        exported = an_export(b"m1", b"m2", sent=1)
        for _ in range(3):
            middle = Heir(Export.from_dict(exported.to_dict()))
            exported = middle.client.export(now=middle.now)
            assert (middle.told(), middle.client.is_restored) == ([], True)
        last = Heir(exported)
        assert last.answer(last.welcomed(), "new", epoch="P2") == []
        assert last.outcomes() == [(5, 6, "unknown")]

    def test_word_that_nobody_took_goes_along(self) -> None:
        first = Heir(an_export(b"m1", b"m2", epoch=None, seq=1, first=1))
        exported = first.client.export(now=first.now)
        assert first.told() == [], "it is said where it is restored"
        assert first.client.unsettled() == []
        second = Heir(Export.from_dict(exported.to_dict()))
        check_memory("client", second.client)
        assert second.outcomes() == [(1, 2, "unsent")]
        (box,) = second.client.export(now=second.now).outboxes
        assert (box.ended, box.first) == ((), 3), "it was told"

    def test_and_before_what_is_still_to_end(self) -> None:
        first = Heir(an_export(b"m1", b"m2", b"m3"))
        offer = first.welcomed()
        first.answer(offer, "known", 2)
        first.say(Ack(offer.id, 4, PLENTY))
        first.publish(b"m4")
        exported = first.client.export(now=first.now)
        (box,) = exported.outboxes
        assert [(word.first, word.last, word.outcome) for word in box.ended] == [(5, 6, "accepted")]
        assert (box.first, box.messages) == (7, ((b"m3", False), (b"m4", False)))
        second = Heir(exported)
        assert not second.client.is_restored
        second.answer(second.welcomed(), "new", epoch="P2")
        assert second.outcomes() == [(5, 6, "accepted"), (7, 8, "unknown")]

    def test_word_of_what_was_published_here_is_told_here(self) -> None:
        desk = Heir(an_export(b"m1"))
        desk.answer(desk.welcomed(), "known", 3)
        desk.publish(b"m2")
        desk.answer(desk.offer(), "new", epoch="P2")
        desk.say(Ack(2, 1, PLENTY))
        (box,) = desk.client.export(now=desk.now).outboxes
        assert [(word.first, word.outcome) for word in box.ended] == [(5, "accepted")]
        assert desk.outcomes() == [(6, 6, "accepted")]


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

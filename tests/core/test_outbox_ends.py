"""Outbox: how what isn't accepted ends, here, in another session or on another link (P6)."""

from gapless.core.events import Settled
from gapless.core.export import ExportedOutbox
from gapless.core.frames import Data, Gone, Offer
from gapless.core.history import ENTRY_BYTES
from gapless.core.outbox import OUTBOX_BYTES, SETTLED_BYTES, OfferPhase

from .box import Box


def unknown(first: int, last: int, *, epoch: str = "P1", seq: int) -> Settled:
    return Settled("commands", first, last, "unknown", epoch, seq)


def unsent(first: int, last: int) -> Settled:
    return Settled("commands", first, last, "unsent", "", 0)


def imported(*payloads: bytes, epoch: str | None = "P1", seq: int = 4) -> Box:
    """What another session held: its messages 10, 11 …, which had the numbers from `seq` on."""
    box = Box()
    messages = tuple((payload, False) for payload in payloads)
    sent = 0 if epoch is None else len(payloads)
    packed = ExportedOutbox("commands", epoch, 10, seq, sent, messages)
    box.outbox.restore(packed, now=box.now)
    return box


class TestWhatIsHeld:
    def test_i8_nothing_is_counted_while_nothing_is_held(self) -> None:
        box = Box()
        assert (box.outbox.memory, box.outbox.is_empty) == (0, True)
        box.open(b"aa", b"bbb")
        assert box.outbox.memory == OUTBOX_BYTES + 5 + 2 * ENTRY_BYTES
        assert (box.outbox.held_bytes, box.outbox.held_messages) == (5, 2)
        box.ack(2)
        assert box.outbox.memory == OUTBOX_BYTES + SETTLED_BYTES, "word of them is"
        assert not box.outbox.is_empty
        box.settled()
        assert box.outbox.memory == 0

    def test_what_would_become_of_it_is_said_at_any_time(self) -> None:
        """P6: unknown if it was sent, else unsent; nothing twice."""
        box = Box()
        assert box.outbox.unsettled() == []
        box.publish(b"a")
        assert box.outbox.unsettled() == [unsent(1, 1)]
        box.offer()
        box.offered("new", limit=1)
        box.sent()
        box.publish(b"b", b"c")
        assert box.outbox.unsettled() == [unknown(1, 1, seq=1), unsent(2, 3)]
        box.ack(1, limit=0)
        assert box.outbox.unsettled() == [unsent(2, 3)]
        assert box.outbox.pending() == [unsent(2, 3)], "asking changes nothing"

    def test_latency_is_from_publishing_to_the_answer_of_the_oldest(self) -> None:
        box = Box()
        assert box.outbox.take_latency() is None
        box.open(b"a")
        box.now += 2.0
        box.publish(b"b")
        box.sent()
        box.now += 1.0
        box.ack(2)
        assert box.outbox.take_latency() == (3.0, 2)
        assert box.outbox.take_latency() is None, "once"
        box.ack(2)
        assert box.outbox.take_latency() is None, "an ack that settles nothing is no answer"

    def test_faults_are_what_was_refused_or_became_unknown(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c", b"d")
        box.ack(1)
        box.refused(2, 3)
        assert (box.outbox.take_faults(), box.outbox.take_faults()) == (2, 0)
        box.publish(b"e")
        box.outbox.abandon()
        assert box.outbox.take_faults() == 1, "what was never sent is none"
        assert box.settled()[-2:] == [(4, 4, "unknown"), (5, 5, "unsent")]


class TestTheEnd:
    def test_from_its_beginning_what_is_not_accepted_is_remembered(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c")
        box.refused(1, 1)
        box.outbox.leave()
        box.refused(2, 2)
        box.outbox.abandon()
        told = [(word.first, word.outcome) for word in box.outbox.unsettled()]
        assert told == [(2, "refused"), (3, "unknown")]

    def test_an_export_is_what_is_held_and_how_far_it_was_sent(self) -> None:
        box = Box()
        box.open(b"a", b"b")
        box.ack(1)
        box.publish(b"c", text=True)
        held = ((b"b", False), (b"c", True))
        assert box.outbox.export() == ExportedOutbox("commands", "P1", 2, 2, 1, held)
        box.outbox.hand_over()
        assert box.outbox.is_settled
        assert box.outbox.unsettled() == [unknown(2, 2, seq=2), unsent(3, 3)]
        box.outbox.abandon()
        assert box.settled() == [(1, 1, "accepted")], "the other session says what became of them"


class TestImports:
    def test_rule_7_what_is_imported_counts_as_sent_and_keeps_its_numbers(self) -> None:
        box = imported(b"a", b"b")
        assert (box.outbox.published, box.outbox.count, box.outbox.is_restored) == (11, 2, False)
        box.publish(b"c")
        assert box.offer() == Offer(1, "commands", "P1", 4)
        box.offered("known", last=4)
        assert box.sent() == [Data(1, 5, [b"b"], False)], "what was published since waits for it"
        box.ack(5)
        assert box.settled() == [(10, 11, "accepted")]
        assert box.outbox.is_restored
        assert box.offer() == Offer(2, "commands", None, 1)
        box.offered("new", epoch="P2")
        assert box.sent() == [Data(2, 1, [b"c"], False)]

    def test_under_an_epoch_the_hub_does_not_know_it_is_unknown(self) -> None:
        box = imported(b"a", b"b")
        box.offer()
        box.offered("new", epoch="P2")
        assert box.words() == [unknown(10, 11, seq=4)]
        assert (box.outbox.is_restored, box.sent()) == (True, [])

    def test_what_never_had_an_epoch_was_never_sent_and_never_will_be(self) -> None:
        box = imported(b"a", b"b", epoch=None, seq=1)
        assert box.words() == [unsent(10, 11)]
        assert (box.outbox.is_restored, box.outbox.published) == (True, 11)
        box.publish(b"c")
        assert box.offer() == Offer(1, "commands", None, 1)
        box.offered("new")
        box.sent()
        box.ack(1)
        assert box.settled() == [(12, 12, "accepted")]

    def test_p6_what_an_import_came_to_and_nobody_took_is_said_by_the_next_session_alone(
        self,
    ) -> None:
        box = imported(b"a", b"b")
        box.offer()
        box.offered("new", epoch="P2")
        exported = box.outbox.export()
        assert exported.ended == (unknown(10, 11, seq=4),)
        box.outbox.hand_over()
        assert box.settled() == []

    def test_an_import_of_nothing_only_goes_on_with_the_numbers(self) -> None:
        box = imported()
        assert (box.words(), box.outbox.published, box.outbox.count) == ([], 9, 0)
        box.publish(b"a")
        assert box.offer() == Offer(1, "commands", None, 1)


class TestLimitsOfTheServer:
    def limited(self, most: int, *payloads: bytes) -> Box:
        """Published before the welcome said what is taken."""
        box = Box()
        box.publish(*payloads)
        box.outbox.take_limits(most, is_barred=False)
        box.offer()
        box.offered("new")
        return box

    def test_p4_what_it_would_not_take_is_refused_here_and_skipped(self) -> None:
        box = self.limited(2, b"aaa", b"b")
        assert [(word.outcome, word.code) for word in box.words()] == [("refused", "too large")]
        assert box.sent() == [Gone(1, 1, 1, "skipped"), Data(1, 2, [b"b"], False)]

    def test_what_goes_before_it_is_settled_first(self) -> None:
        """P6: in order."""
        box = self.limited(2, b"a", b"bbb", b"ccc", b"d")
        assert box.sent() == [Data(1, 1, [b"a"], False)]
        assert box.settled() == []
        box.ack(1)
        assert box.settled() == [(1, 1, "accepted"), (2, 3, "refused")]
        assert box.sent() == [Gone(1, 2, 3, "skipped"), Data(1, 4, [b"d"], False)]

    def test_nobody_can_say_what_a_server_did_that_took_more(self) -> None:
        box = Box()
        box.open(b"aaa", b"b")
        box.cut()
        box.outbox.take_limits(2, is_barred=False)
        box.offer()
        box.offered("known", last=0)
        assert box.words() == [unknown(1, 1, seq=1)]
        assert box.sent() == [Gone(2, 1, 1, "skipped"), Data(2, 2, [b"b"], False)]

    def test_on_the_link_that_was_left_another_servers_limit_says_nothing(self) -> None:
        """Rule 9."""
        box = Box()
        box.open(b"aaa", b"bbb")
        assert box.outbox.is_unanswered
        box.outbox.stay()
        box.outbox.take_limits(2, is_barred=False)
        box.ack(1)
        assert box.settled() == [(1, 1, "accepted")]
        assert (box.outbox.phase, box.outbox.is_unanswered) == (OfferPhase.STAYING, True)
        assert box.sent() == []
        box.ack(2)
        assert (box.settled(), box.outbox.is_unanswered) == ([(2, 2, "accepted")], False)

    def test_p4_of_a_channel_too_many_all_is_refused(self) -> None:
        box = Box()
        box.open(b"a")
        box.publish(b"b")
        box.outbox.take_limits(100, is_barred=True)
        assert box.settled() == [], "on this link it still is one of those it may publish to"
        box.cut()
        told = [(word.first, word.outcome, word.code) for word in box.words()]
        assert told == [(1, "unknown", ""), (2, "refused", "too many channels")]
        assert box.outbox.is_settled

    def test_a_channel_that_is_barred_before_it_is_offered_is_refused_at_once(self) -> None:
        box = imported(b"a")
        box.publish(b"b")
        box.outbox.take_limits(100, is_barred=True)
        told = [(word.first, word.outcome) for word in box.words()]
        assert told == [(10, "unknown"), (11, "refused")]
        assert (box.outbox.is_restored, box.outbox.next_control(now=box.now)) == (True, None)
        box.outbox.take_limits(100, is_barred=False)
        box.publish(b"c")
        assert box.offer() == Offer(1, "commands", None, 1)

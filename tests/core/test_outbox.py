"""Outbox: every publish ends in exactly one of four ways, under numbers that stay (P6)."""

import pytest

from gapless.core.config import KIB
from gapless.core.events import Settled
from gapless.core.frames import Ack, Data, Gone, Offer
from gapless.core.outbox import BATCH_BYTES, BATCH_MESSAGES, OfferPhase
from gapless.core.violation import Violation

from .box import PLENTY, Box


class TestOffer:
    def test_with_nothing_to_send_nothing_is_offered(self) -> None:
        box = Box()
        assert box.outbox.next_control(now=0.0) is None
        assert box.outbox.is_settled
        assert box.outbox.published == 0

    def test_the_first_offer_has_no_epoch_for_the_hub_makes_it(self) -> None:
        """Rule 7."""
        box = Box()
        box.publish(b"a")
        assert box.offer() == Offer(1, "commands", None, 1)
        assert box.outbox.next_control(now=0.0) is None, "once a link"

    def test_data_waits_for_offered(self) -> None:
        box = Box()
        box.publish(b"a")
        assert box.sent() == []
        box.offer()
        assert box.sent() == []
        box.offered("new")
        assert box.sent() == [Data(1, 1, [b"a"], False)]

    def test_the_next_link_offers_what_is_not_settled_under_a_new_id(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c")
        box.ack(1)
        box.cut()
        assert box.sent() == []
        assert box.offer() == Offer(2, "commands", "P1", 2)

    @pytest.mark.parametrize(
        ("kind", "last", "epoch", "words"),
        [
            ("known", 0, "P1", "knows epoch 'P1', not ours"),
            ("new", 3, "P1", "is new, but at 3"),
        ],
    )
    def test_an_answer_that_contradicts_the_offer_is_a_violation(
        self, kind: str, last: int, epoch: str, words: str
    ) -> None:
        box = Box()
        box.publish(b"a")
        box.offer()
        with pytest.raises(Violation, match=words):
            box.offered(kind, last, epoch=epoch)

    def test_there_is_one_answer_an_offer(self) -> None:
        box = Box()
        box.open(b"a")
        with pytest.raises(Violation, match="a second offered"):
            box.offered("known")

    def test_an_ack_or_a_refusal_before_the_answer_is_a_violation(self) -> None:
        box = Box()
        box.publish(b"a")
        box.offer()
        with pytest.raises(Violation, match="before offered"):
            box.ack(0)
        with pytest.raises(Violation, match="before offered"):
            box.refused(1, 1)


class TestSending:
    def test_batches_are_bounded(self) -> None:
        """Design 10."""
        box = Box()
        frames = box.open(*[b"x"] * (BATCH_MESSAGES + 1), *[bytes(40 * KIB)] * 2)
        sizes = [len(frame.payloads) for frame in frames if isinstance(frame, Data)]
        assert sizes == [BATCH_MESSAGES, 2, 1]
        assert all(
            sum(map(len, frame.payloads)) <= BATCH_BYTES
            for frame in frames
            if isinstance(frame, Data)
        )

    def test_a_batch_starts_only_while_there_is_credit(self) -> None:
        box = Box()
        assert len(box.open(b"a", b"b", limit=1)) == 1
        box.publish(b"c")
        assert box.sent() == []
        box.ack(0, limit=66)
        assert box.sent() == [], "sent = limit is no credit"
        box.ack(0, limit=67)
        assert box.sent() == [Data(1, 3, [b"c"], False)]
        box.ack(0, limit=1)
        box.publish(b"d")
        box.ack(0, limit=101)
        assert box.sent() == [Data(1, 4, [b"d"], False)], "a limit is never taken back"

    def test_the_count_begins_anew_with_every_link(self) -> None:
        box = Box()
        box.open(b"a", limit=1)
        box.cut()
        box.offer()
        box.offered("known", 0, limit=1)
        assert box.sent() == [Data(2, 1, [b"a"], False)]

    def test_what_the_hub_has_is_not_sent_again(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c")
        box.cut()
        box.offer()
        box.offered("known", 2)
        assert box.sent() == [Data(2, 3, [b"c"], False)]
        assert box.settled() == [(1, 2, "accepted")]


class TestAccepted:
    def test_an_ack_settles_all_up_to_it(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c")
        box.ack(2)
        assert box.words() == [Settled("commands", 1, 2, "accepted", "P1", 1)]
        box.ack(3)
        assert box.words() == [Settled("commands", 3, 3, "accepted", "P1", 3)]
        assert box.outbox.is_settled
        assert box.outbox.accepted == box.outbox.published == 3

    def test_settlements_side_by_side_are_one(self) -> None:
        """P3: who doesn't look isn't buried."""
        box = Box()
        box.open(*[b"x"] * 400)
        for seq in range(1, 401):
            box.ack(seq)
        assert box.words() == [Settled("commands", 1, 400, "accepted", "P1", 1)]

    def test_an_ack_that_goes_back_is_nothing(self) -> None:
        """I5."""
        box = Box()
        box.open(b"a", b"b")
        box.ack(2)
        box.ack(1)
        box.ack(0)
        assert box.settled() == [(1, 2, "accepted")]

    @pytest.mark.parametrize("seq", [3, 4, 2**53 - 1, 2**63])
    def test_an_ack_beyond_what_was_sent_is_a_violation(self, seq: int) -> None:
        """I5: and the state is unchanged; TheCombine#4124: an error, not a trim."""
        box = Box()
        box.open(b"a", b"b", limit=1)
        box.publish(b"c")
        with pytest.raises(Violation, match="beyond 2, the last sent"):
            box.ack(seq)
        assert box.settled() == []

    def test_an_ack_for_another_id_is_ignored(self) -> None:
        """I13: one of an older offer."""
        box = Box()
        box.open(b"a")
        box.outbox.receive_ack(Ack(99, 1, PLENTY), now=0.0)
        box.cut()
        box.ack(1)
        box.refused(1, 1)
        assert box.settled() == []


class TestRefused:
    def test_for_good_it_is_skipped_by_a_gone_before_what_follows(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c", b"d")
        box.ack(1)
        box.refused(2, 3)
        assert box.settled() == [(1, 1, "accepted"), (2, 3, "refused")]
        assert box.sent() == [Gone(1, 2, 3, "skipped"), Data(1, 4, [b"d"], False)]
        box.ack(4)
        assert box.settled() == [(4, 4, "accepted")]

    def test_the_code_is_told(self) -> None:
        box = Box()
        box.open(b"a")
        box.refused(1, 1)
        assert box.words() == [Settled("commands", 1, 1, "refused", "P1", 1, "full")]
        assert box.outbox.accepted == 0

    def test_what_came_before_a_refusal_is_accepted(self) -> None:
        """A refused message blocks, so all before it is in."""
        box = Box()
        box.open(b"a", b"b", b"c")
        box.refused(3, 3)
        assert box.settled() == [(1, 2, "accepted"), (3, 3, "refused")]

    def test_two_refusals_in_a_row_are_skipped_together(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c")
        box.refused(1, 1)
        box.refused(2, 2)
        assert box.sent() == [Gone(1, 1, 2, "skipped"), Data(1, 3, [b"c"], False)]

    def test_with_nothing_behind_it_the_gone_waits_for_the_next_publish(self) -> None:
        box = Box()
        box.open(b"a")
        box.refused(1, 1)
        assert box.sent() == []
        box.publish(b"b")
        assert box.sent() == [Gone(1, 1, 1, "skipped"), Data(1, 2, [b"b"], False)]

    def test_a_gone_that_was_lost_with_its_link_is_said_again(self) -> None:
        box = Box()
        box.open(b"a", b"b")
        box.refused(1, 1)
        box.sent()
        box.cut()
        box.offer()
        box.offered("known", 0)
        assert box.sent() == [Gone(2, 1, 1, "skipped"), Data(2, 2, [b"b"], False)]

    def test_a_gone_that_arrived_is_not(self) -> None:
        box = Box()
        box.open(b"a", b"b")
        box.refused(1, 1)
        box.cut()
        box.offer()
        box.offered("known", 1)
        assert box.sent() == [Data(2, 2, [b"b"], False)]

    def test_for_now_it_is_sent_again_after_the_time(self) -> None:
        box = Box()
        box.open(b"a", b"b", b"c")
        box.refused(2, 2, retry_after_ms=1500)
        assert box.settled() == [(1, 1, "accepted")]
        assert box.outbox.next_deadline() == 101.5
        assert box.sent() == []
        box.outbox.handle_timeout(now=101.4)
        assert box.sent() == []
        box.outbox.handle_timeout(now=101.5)
        assert box.outbox.next_deadline() is None
        assert box.sent() == [Data(1, 2, [b"b", b"c"], False)]
        box.outbox.handle_timeout(now=200.0)
        assert box.sent() == []

    def test_a_new_link_does_not_wait_for_the_old_links_time(self) -> None:
        box = Box()
        box.open(b"a")
        box.refused(1, 1, retry_after_ms=10**6)
        box.cut()
        assert box.outbox.next_deadline() is None
        box.offer()
        box.offered("known", 0)
        assert len(box.sent()) == 1

    def test_a_stale_refusal_is_nothing(self) -> None:
        box = Box()
        box.open(b"a", b"b")
        box.ack(1)
        box.refused(1, 1)
        assert box.settled() == [(1, 1, "accepted")]

    def test_a_refusal_of_what_was_never_sent_is_a_violation(self) -> None:
        box = Box()
        box.open(b"a", limit=1)
        box.publish(b"b")
        with pytest.raises(Violation, match="refused 2 beyond 1"):
            box.refused(1, 2)
        assert box.settled() == []


class TestUnknown:
    def test_what_was_sent_to_a_hub_that_forgot_us_is_unknown_the_rest_goes_on(self) -> None:
        """Model item 2: to send it again could apply it twice."""
        box = Box()
        box.open(b"a", b"b", limit=1)
        box.publish(b"c")
        box.cut()
        assert box.offer() == Offer(2, "commands", "P1", 1)
        box.offered("new", epoch="P2")
        assert box.words() == [Settled("commands", 1, 2, "unknown", "P1", 1)]
        assert box.sent() == [Data(2, 1, [b"c"], False)]
        box.ack(1)
        assert box.words() == [Settled("commands", 3, 3, "accepted", "P2", 1)]

    def test_an_answer_lost_with_its_link_makes_nothing_unknown(self) -> None:
        box = Box()
        box.publish(b"a")
        box.offer()
        box.cut()
        box.offer()
        box.offered("new", epoch="P2")
        assert box.settled() == []
        assert box.sent() == [Data(2, 1, [b"a"], False)]

    def test_a_hub_that_knows_more_settles_all_that_was_sent(self) -> None:
        """Model item 5, an older export restored: its numbers were used, so a new epoch begins."""
        box = Box()
        box.open(b"a", b"b", limit=1)
        box.publish(b"c")
        box.cut()
        box.offer()
        box.offered("known", 40)
        assert box.settled() == [(1, 2, "accepted")]
        assert box.outbox.phase is OfferPhase.IDLE
        assert box.offer() == Offer(3, "commands", None, 1)
        box.offered("new", epoch="P2")
        assert box.sent() == [Data(3, 1, [b"c"], False)]
        box.ack(1)
        assert box.words() == [Settled("commands", 3, 3, "accepted", "P2", 1)]

    def test_at_the_end_what_was_sent_is_unknown_and_the_rest_unsent(self) -> None:
        box = Box()
        box.open(b"a", b"b", limit=1)
        box.publish(b"c", b"d")
        box.ack(1, limit=1)
        box.outbox.abandon()
        assert box.words() == [
            Settled("commands", 1, 1, "accepted", "P1", 1),
            Settled("commands", 2, 2, "unknown", "P1", 2),
            Settled("commands", 3, 4, "unsent", "", 0),
        ]
        assert box.outbox.is_settled
        box.outbox.abandon()
        assert box.words() == [], "I20: once"


class TestRoom:
    def test_an_outbox_never_rotates(self) -> None:
        """Design 7: when it is full, publish waits."""
        box = Box(messages=3)
        box.publish(b"a", b"b", b"c")
        assert not box.outbox.has_room(1)
        assert len(box.open()) == 1
        assert not box.outbox.has_room(1), "sent is not accepted"
        box.ack(1)
        assert box.outbox.has_room(1)

    def test_bytes_count_too(self) -> None:
        box = Box(size=10)
        box.publish(b"1234567")
        assert box.outbox.held_bytes == 7
        assert box.outbox.has_room(3)
        assert not box.outbox.has_room(4)

    def test_settlements_nobody_takes_count(self) -> None:
        """P3: they name messages one by one in the worst case."""
        box = Box(messages=3)
        for seq in range(1, 4):
            box.publish(b"x")
            if seq == 1:
                box.offer()
                box.offered("new")
            box.sent()
            if seq % 2:
                box.ack(seq)
            else:
                box.refused(seq, seq)
        assert box.outbox.is_settled
        assert not box.outbox.has_room(1)
        assert box.settled() == [(1, 1, "accepted"), (2, 2, "refused"), (3, 3, "accepted")]
        assert box.outbox.has_room(1)

"""Subscription: a barrier, a repair and an honest ack, across links (rules 1-5)."""

import pytest

from gapless.core.credit import MESSAGE_CHARGE, charge
from gapless.core.events import CaughtUp, Lost, Reset
from gapless.core.frames import (
    Ack,
    Denied,
    Ended,
    Live,
    Outcome,
    Partial,
    PinTerms,
    Recovered,
    StartedOver,
    Subscribe,
    Unsubscribe,
)
from gapless.core.position import Position, Since
from gapless.core.subscription import TOLD_WITHIN, Phase
from gapless.core.violation import Violation

from .desk import WINDOW, Desk, live


class TestSubscribing:
    @pytest.mark.parametrize("since", ["latest", "earliest", Position("E1", 5)])
    def test_it_asks_for_where_it_was_told_to_start(self, since: Since) -> None:
        desk = Desk(since)
        assert desk.subscription.wants_to_speak
        assert desk.asks() == Subscribe(1, "news", since, WINDOW)
        assert desk.says() is None, "once"
        assert not desk.subscription.is_confirmed

    def test_the_answer_is_acked_once_at_once(self) -> None:
        """Rule 4: an ack that was lost with the last link is repeated."""
        desk = Desk(Position("E1", 5))
        desk.asks()
        desk.answer(6, 6, Recovered(1))
        assert desk.subscription.is_live
        assert desk.subscription.is_confirmed
        assert desk.subscription.wants_to_speak
        assert desk.says() == Ack(7, 5, WINDOW)
        assert desk.says() is None

    def test_where_it_starts_is_known_by_the_answer(self) -> None:
        desk = Desk("latest")
        desk.asks()
        assert (desk.subscription.position, desk.subscription.received) == (None, None)
        desk.answer(42, 41, Live())
        assert desk.subscription.position == desk.subscription.received == Position("E1", 41)
        assert desk.drain() == [CaughtUp("news", Position("E1", 41))]

    def test_replay_ends_with_a_mark_behind_its_last_message(self) -> None:
        desk = Desk("earliest")
        desk.asks()
        desk.answer(1, 2, Recovered(2))
        desk.data(1, b"a")
        desk.data(2, b"b")
        desk.data(3, b"c")
        assert desk.drain() == [1, 2, CaughtUp("news", Position("E1", 2)), 3]

    def test_a_batch_over_the_end_of_replay_puts_the_mark_behind_it(self) -> None:
        desk = Desk("earliest")
        desk.asks()
        desk.answer(1, 1, Recovered(1))
        desk.data(1, b"a", b"b")
        assert desk.drain() == [1, 2, CaughtUp("news", Position("E1", 2))]

    def test_replay_may_end_in_a_loss(self) -> None:
        desk = Desk("earliest")
        desk.asks()
        desk.answer(1, 4, Recovered(4))
        desk.data(1, b"a")
        desk.gone(2, 4)
        assert desk.drain() == [
            1,
            Lost("news", "E1", 2, 4, "rotated"),
            CaughtUp("news", Position("E1", 4)),
        ]

    def test_a_refusal_ends_it_with_the_code(self) -> None:
        desk = Desk()
        desk.asks()
        desk.answer(1, 0, Denied("forbidden"))
        assert desk.phase() is Phase.ENDED
        assert desk.subscription.refusal == "forbidden"
        assert desk.subscription.is_ready, "the application is told"
        assert desk.says() is None


class TestOutcomes:
    def test_a_loss_is_told_before_the_replay(self) -> None:
        desk = Desk(Position("E1", 5))
        desk.asks()
        desk.answer(9, 9, Partial(6, 8, "rotated"))
        desk.data(9, b"i")
        assert desk.drain() == [
            Lost("news", "E1", 6, 8, "rotated"),
            9,
            CaughtUp("news", Position("E1", 9)),
        ]

    def test_a_reset_is_told_and_reading_goes_on_in_the_new_epoch(self) -> None:
        desk = Desk(Position("E1", 5))
        desk.asks()
        desk.answer(3, 3, StartedOver("epoch"), epoch="E2")
        desk.data(3, b"c")
        assert desk.drain() == [
            Reset("news", Position("E2", 2), "epoch"),
            3,
            CaughtUp("news", Position("E2", 3)),
        ]

    def test_until_the_reset_is_taken_the_ack_stays_before_the_new_epoch(self) -> None:
        """Model item 6: an ack of the old epoch's inbox got an honest client closed."""
        desk = live(Position("E1", 0))
        desk.data(1, *[b"x"] * 9)
        desk.subscription.handle_link_lost(now=desk.now)
        desk.asks()
        desk.answer(3, 2, StartedOver("epoch"), epoch="E2")
        assert desk.says() == Ack(7, 2, WINDOW - 9 * (1 + MESSAGE_CHARGE))
        for _ in range(9):
            desk.take()
        desk.data(3, b"c")
        desk.data(1, b"again")
        assert desk.says() == Ack(7, 2, WINDOW + 37)

    @pytest.mark.parametrize(
        ("since", "next_seq", "head", "epoch", "outcome", "words"),
        [
            (Position("E1", 5), 8, 6, "E1", Live(), "beyond head"),
            (Position("E1", 5), 0, 6, "E1", Live(), "beyond head"),
            (Position("E1", 5), 6, 6, "E1", Live(), "says live, but 1"),
            (Position("E1", 5), 6, 9, "E1", Recovered(3), "says 3 recovered, but 4"),
            (Position("E1", 5), 7, 9, "E1", Recovered(3), "asked since E1:5"),
            (Position("E1", 5), 5, 9, "E1", Recovered(5), "asked since E1:5"),
            (Position("E1", 5), 6, 9, "E2", Recovered(4), "asked since E1:5"),
            (Position("E1", 5), 6, 5, "E2", Live(), "asked since E1:5"),
            (Position("E1", 5), 9, 9, "E1", Partial(7, 8, "x"), "loses from 7"),
            (Position("E1", 5), 9, 9, "E1", Partial(5, 8, "x"), "loses from 5"),
            (Position("E1", 5), 9, 9, "E1", Partial(6, 5, "x"), "loses from 6"),
            (Position("E1", 5), 9, 9, "E1", Partial(6, 7, "x"), "asked since E1:5"),
            (Position("E1", 5), 9, 9, "E2", Partial(6, 8, "x"), "asked since E1:5"),
            ("latest", 9, 9, "E1", StartedOver("epoch"), "there was no position"),
            ("earliest", 9, 9, "E1", Partial(1, 8, "x"), "there was no position"),
        ],
    )
    def test_an_answer_that_contradicts_the_question_is_a_violation(
        self, since: Since, next_seq: int, head: int, epoch: str, outcome: Outcome, words: str
    ) -> None:
        """I15, centrifuge-go#160: never `recovered` from another place than asked."""
        desk = Desk(since)
        desk.asks()
        with pytest.raises(Violation, match=words):
            desk.answer(next_seq, head, outcome, epoch=epoch)
        assert not desk.subscription.is_live
        assert desk.drain() == []


class TestBarrier:
    def test_before_the_answer_data_and_losses_are_ignored(self) -> None:
        """Rule 2, model item 10: not taken, not charged, not acked."""
        desk = live(Position("E1", 5), head=5)
        desk.subscription.receive_ended(Ended(7, "epoch", True), now=desk.now)
        limit = desk.asks().limit
        desk.data(6, b"f")
        desk.gone(6, 9)
        assert desk.says() is None
        desk.answer(6, 5, Live())
        assert desk.says() == Ack(7, 5, limit), "nothing of it was charged"
        assert desk.drain() == [CaughtUp("news", Position("E1", 5))]

    def test_the_counts_begin_anew_with_every_subscribe(self) -> None:
        """Rule 3."""
        desk = live("latest")
        desk.data(1, b"a" * 100)
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.asks() == Subscribe(2, "news", Position("E1", 1), WINDOW - 132)
        desk.drain()
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.asks().limit == WINDOW


class TestRepair:
    @pytest.mark.parametrize("loss", [False, True])
    def test_a_gap_is_answered_by_subscribing_again_at_once(self, loss: bool) -> None:
        """Rule 5: there is no resend frame."""
        desk = live(Position("E1", 5), head=5)
        desk.data(6, b"f")
        if loss:
            desk.gone(8, 9)
        else:
            desk.data(8, b"h")
        assert desk.subscription.gaps == 1
        desk.data(9, b"i")
        assert desk.subscription.gaps == 1, "what comes behind the gap is ignored"
        assert desk.asks().since == Position("E1", 6)

    def test_a_lost_link_is_answered_in_the_same_way(self) -> None:
        desk = live(Position("E1", 5), head=5)
        desk.data(6, b"f")
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.subscription.id is None
        assert desk.asks().since == Position("E1", 6)

    def test_a_link_lost_before_the_first_answer_asks_the_same_again(self) -> None:
        desk = Desk("earliest")
        desk.asks()
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.asks() == Subscribe(2, "news", "earliest", WINDOW)

    def test_the_sender_may_ask_for_it_or_end_it(self) -> None:
        for again, phase in ((True, Phase.WANTED), (False, Phase.ENDED)):
            desk = live()
            desk.subscription.receive_ended(Ended(7, "revoked", again), now=desk.now)
            assert desk.phase() is phase
            assert desk.subscription.refusal == (None if again else "revoked")
            assert desk.subscription.is_ready is not again

    def test_an_end_of_what_is_being_asked_for_is_stale(self) -> None:
        desk = Desk()
        desk.asks()
        desk.subscription.receive_ended(Ended(7, "revoked", False), now=desk.now)
        assert desk.phase() is Phase.ASKED


class TestAcks:
    def test_a_duplicate_is_dropped_counted_and_acked_again(self) -> None:
        """I6, and testing 2.5: without the re-ack the sender's window stays full for ever."""
        desk = live(Position("E1", 5), head=5)
        desk.data(4, b"d", b"e")
        assert desk.says() == Ack(7, 5, WINDOW + charge([b"d", b"e"]))
        assert desk.drain() == []
        assert desk.subscription.counts()["duplicates"] == 2

    def test_a_batch_that_is_a_duplicate_in_part_is_acked_again_too(self) -> None:
        desk = live(Position("E1", 5), head=5)
        desk.data(5, b"e", b"f")
        assert desk.says() == Ack(7, 5, WINDOW + MESSAGE_CHARGE + 1)
        assert desk.drain() == [6]

    def test_taking_a_quarter_of_the_window_is_told(self) -> None:
        desk = live()
        desk.data(1, *[bytes(100)] * 4)
        assert desk.says() is None, "receiving is not taking (P5)"
        desk.take()
        assert desk.says() is None
        desk.take()
        assert desk.says() == Ack(7, 2, WINDOW + 2 * 132)

    def test_one_that_pins_nothing_has_no_timer(self) -> None:
        desk = live()
        desk.data(1, b"a")
        desk.take()
        assert desk.subscription.next_deadline() is None

    def test_where_it_pins_a_quarter_of_the_history_is_told(self) -> None:
        desk = live(pin=PinTerms(patience_ms=120_000, history_count=8))
        desk.data(1, b"a", b"b")
        desk.take()
        assert desk.says() is None
        desk.take()
        assert desk.says() == Ack(7, 2, WINDOW + 66)

    @pytest.mark.parametrize(("patience_ms", "within"), [(120_000, TOLD_WITHIN), (200, 0.05)])
    def test_where_it_pins_the_first_untold_take_is_told_in_time(
        self, patience_ms: int, within: float
    ) -> None:
        """Rule 4: at a quarter of patience, at most 0.1 s."""
        desk = live(pin=PinTerms(patience_ms, 1000))
        desk.data(1, b"a")
        desk.take()
        assert desk.subscription.next_deadline() == desk.now + within
        desk.subscription.handle_timeout(now=desk.now + within)
        assert desk.subscription.next_deadline() is None
        assert desk.says() == Ack(7, 1, WINDOW + 33)

    def test_taking_a_loss_acks_its_range(self) -> None:
        desk = live(pin=PinTerms(1000, 4))
        desk.gone(1, 9)
        desk.take()
        assert desk.says() == Ack(7, 9, WINDOW)

    def test_a_batch_counts_as_its_messages(self) -> None:
        desk = live()
        desk.data(1, *[bytes(100)] * 3)
        assert [message.seq for message in desk.subscription.take_batch(now=desk.now)] == [1, 2, 3]
        assert desk.says() == Ack(7, 3, WINDOW + 3 * 132)
        assert desk.subscription.take_batch(now=desk.now) == []

    def test_without_a_link_nothing_is_told(self) -> None:
        desk = live(pin=PinTerms(1000, 4))
        desk.data(1, b"a", b"b")
        desk.take()
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.subscription.next_deadline() is None
        desk.take()
        assert isinstance(desk.says(), Subscribe)
        assert desk.says() is None


class TestCredit:
    def test_a_batch_beyond_the_limit_is_a_violation(self) -> None:
        """P3: a sender that doesn't keep to it can't fill our memory."""
        desk = live()
        desk.data(1, bytes(WINDOW))
        with pytest.raises(Violation, match="beyond the limit"):
            desk.data(2, b"b")
        assert desk.subscription.received == Position("E1", 1)

    def test_losses_need_no_credit(self) -> None:
        desk = live()
        desk.data(1, bytes(WINDOW))
        desk.gone(2, 9)
        assert len(desk.drain()) == 2


class TestLeaving:
    def test_a_live_one_says_so_by_its_request(self) -> None:
        desk = live()
        desk.subscription.leave()
        assert desk.subscription.wants_to_speak
        assert desk.says() == Unsubscribe(1)
        assert desk.phase() is Phase.ENDED
        assert desk.says() is None

    def test_one_that_was_never_asked_for_has_nothing_to_say(self) -> None:
        desk = Desk()
        desk.subscription.leave()
        assert desk.phase() is Phase.ENDED
        assert desk.says() is None

    def test_one_that_waits_for_its_answer_says_so(self) -> None:
        desk = Desk()
        desk.asks()
        desk.subscription.leave()
        assert desk.says() == Unsubscribe(1)

    def test_one_that_found_a_gap_names_what_it_had_asked(self) -> None:
        desk = live()
        desk.data(5, b"e")
        desk.subscription.leave()
        assert desk.says() == Unsubscribe(1)

    def test_with_the_link_the_word_is_void(self) -> None:
        desk = live()
        desk.subscription.leave()
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.phase() is Phase.ENDED
        assert desk.says() is None
        desk.subscription.handle_link_lost(now=desk.now)
        assert desk.phase() is Phase.ENDED

    def test_what_was_received_and_not_taken_can_still_be_counted(self) -> None:
        desk = live()
        desk.data(1, b"a", b"b")
        desk.take()
        counts = desk.subscription.counts()
        assert (counts["received"], counts["taken"], counts["lost"], counts["gaps"]) == (2, 1, 0, 0)

    def test_a_subscription_sends_no_data(self) -> None:
        assert live().subscription.next_data(now=0.0) is None

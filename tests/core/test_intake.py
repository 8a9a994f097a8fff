"""Intake: applied once, in order; a refusal blocks until the publisher goes on (rule 7)."""

import pytest

from gapless.core.closing import Code
from gapless.core.credit import charge
from gapless.core.frames import Ack, Gone, Offer, Offered, Refused
from gapless.core.intake import IntakePhase
from gapless.core.violation import Violation

from .publishing_desk import WINDOW, PublishingDesk, opened


class TestOffer:
    def test_a_publisher_without_a_numbering_gets_one_from_the_hub(self) -> None:
        desk = opened()
        assert (desk.intake.epoch, desk.intake.accepted) == ("P1", 0)
        assert desk.says() is None

    def test_a_numbering_the_hub_has_is_known_up_to_what_it_accepted(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.accept()
        desk.intake.handle_link_lost(now=0.0)
        desk.offer("P1")
        assert desk.says() == Offered(2, "known", "P1", 2, WINDOW)

    def test_a_numbering_the_hub_does_not_have_begins_anew(self) -> None:
        """Model item 2: a cursor made from the publisher's word applied messages twice."""
        desk = opened()
        desk.offer("P99")
        assert desk.says() == Offered(2, "new", "P2", 0, WINDOW)

    def test_the_answer_waits_for_appends_in_flight(self) -> None:
        """Else what is being appended would be sent and applied again."""
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.start()
        desk.intake.handle_link_lost(now=0.0)
        desk.offer("P1")
        assert desk.says() is None
        assert desk.intake.phase is IntakePhase.OFFERED
        desk.intake.handle_accepted()
        desk.intake.prepare_answer(store_remembers=False)
        assert desk.says() == Offered(2, "known", "P1", 2, WINDOW)

    def test_an_append_refused_meanwhile_is_simply_asked_again(self) -> None:
        desk = opened()
        desk.data(1, b"a")
        desk.start()
        desk.intake.handle_link_lost(now=0.0)
        desk.offer("P1")
        desk.intake.handle_refused("full", None)
        desk.intake.prepare_answer(store_remembers=False)
        assert desk.says() == Offered(2, "known", "P1", 0, WINDOW)
        assert desk.says() is None, "the refusal died with its link"

    def test_nothing_is_prepared_without_an_offer(self) -> None:
        desk = opened()
        assert desk.intake.prepare_answer(store_remembers=True) is None
        assert desk.intake.phase is IntakePhase.OPEN

    def test_data_before_the_answer_is_a_violation(self) -> None:
        desk = PublishingDesk()
        with pytest.raises(Violation, match="before offered"):
            desk.data(1, b"a")
        desk.offer()
        with pytest.raises(Violation, match="before offered"):
            desk.data(1, b"a")
        with pytest.raises(Violation, match="before offered"):
            desk.gone(1, 1)


class TestStoreThatRemembers:
    def test_a_numbering_this_hub_never_saw_is_asked_about(self) -> None:
        desk = PublishingDesk()
        assert desk.offer("P9", remembers=True) == "P9"
        assert desk.says() is None, "until the store has answered"
        desk.intake.handle_recalled("P9", 7)
        assert desk.says() == Offered(1, "known", "P9", 7, WINDOW)
        desk.data(7, b"again", b"new")
        assert desk.accept() == (8, [b"new"])

    def test_one_the_store_never_saw_either_begins_anew(self) -> None:
        desk = PublishingDesk()
        desk.offer("P9", remembers=True)
        desk.intake.handle_recalled("P9", None)
        assert desk.says() == Offered(1, "new", "P1", 0, WINDOW)

    def test_what_this_hub_knows_itself_is_not_asked_about(self) -> None:
        desk = opened()
        assert desk.offer("P1", remembers=True) is None
        assert desk.offer(None, remembers=True) is None

    def test_an_answer_for_an_older_offer_is_ignored(self) -> None:
        """I13."""
        desk = PublishingDesk()
        desk.intake.handle_recalled("P9", 7)
        desk.offer("P9", remembers=True)
        desk.offer("P8", remembers=True)
        desk.intake.handle_recalled("P9", 7)
        assert desk.says() is None
        desk.intake.handle_link_lost(now=0.0)
        desk.intake.handle_recalled("P8", 7)
        assert desk.intake.epoch is None


class TestAccepting:
    def test_what_is_accepted_is_acked_at_the_end_of_the_read_batch(self) -> None:
        """Rule 4; P5: never above what was accepted."""
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.data(3, b"c")
        assert desk.says() is None, "received is not accepted"
        assert desk.accept() == (1, [b"a", b"b", b"c"])
        assert desk.says() == Ack(1, 3, WINDOW + 99)
        assert desk.says() is None

    def test_one_append_is_in_flight_at_a_time(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b")
        assert desk.start(1) == (1, [b"a"])
        assert desk.start() is None
        desk.intake.handle_accepted()
        assert desk.start() == (2, [b"b"])

    @pytest.mark.parametrize(
        ("most", "size", "chunk"),
        [
            (100, 100, [b"aa", b"bb", b"cc"]),
            (2, 100, [b"aa", b"bb"]),
            (100, 5, [b"aa", b"bb"]),
            (100, 4, [b"aa", b"bb"]),
            (100, 1, [b"aa"]),
        ],
    )
    def test_a_chunk_is_bounded_but_never_empty(
        self, most: int, size: int, chunk: list[bytes]
    ) -> None:
        desk = opened()
        desk.data(1, b"aa", b"bb", b"cc")
        assert desk.start(most, size) == (1, chunk)

    def test_looking_at_a_chunk_takes_nothing(self) -> None:
        desk = opened()
        desk.data(1, b"a")
        assert desk.intake.next_chunk(9, 9) == desk.intake.next_chunk(9, 9)

    def test_a_duplicate_is_dropped_and_acked_again(self) -> None:
        """I6: the ack was lost with its link, or the publisher would wait for ever."""
        desk = opened()
        desk.data(1, b"a")
        desk.accept()
        desk.says()
        desk.data(1, b"a")
        assert desk.says() == Ack(1, 1, WINDOW + 66)
        desk.data(1, b"a", b"b")
        assert desk.says() == Ack(1, 1, WINDOW + 99), "in part too"
        assert desk.accept() == (2, [b"b"])

    def test_an_intake_sends_no_data_and_has_no_timer(self) -> None:
        desk = opened()
        desk.intake.handle_timeout(now=1e9)
        assert desk.intake.next_data(now=0.0) is None
        assert desk.intake.next_deadline() is None


class TestCredit:
    def test_data_beyond_the_limit_is_a_violation(self) -> None:
        """P3."""
        desk = opened()
        desk.data(1, bytes(WINDOW))
        with pytest.raises(Violation, match="beyond the limit"):
            desk.data(2, b"b")

    def test_what_waits_for_the_store_holds_credit_back(self) -> None:
        desk = opened()
        payloads = [bytes(100)] * 6
        desk.data(1, *payloads)
        assert desk.intake.held_bytes == charge(payloads)
        desk.start(2)
        assert desk.intake.held_bytes == charge(payloads), "in flight is held"
        assert desk.says() is None
        desk.intake.handle_accepted()
        assert desk.intake.held_bytes == charge(payloads[2:])
        assert desk.says() == Ack(1, 2, WINDOW + 2 * 132)

    def test_p3_without_memory_what_is_accepted_is_acked_and_no_more_is_let_in(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.has_memory = False
        desk.accept(1)
        assert desk.says() == Ack(1, 1, WINDOW)
        desk.accept(1)
        assert desk.says() == Ack(1, 2, WINDOW + 66), "holding nothing, one may always go on (P4)"

    def test_credit_that_came_back_is_announced_without_an_ack_moving(self) -> None:
        """Model item 4: a limit that grows only with accepts deadlocks after a refusal."""
        desk = opened()
        desk.data(1, b"a")
        desk.start()
        desk.intake.handle_refused("full", None)
        assert desk.says() == Ack(1, 0, WINDOW + 33)
        assert isinstance(desk.says(), Refused)
        desk.data(5, *[bytes(100)] * 2)
        assert desk.says() == Ack(1, 0, WINDOW + 33 + 264), "discarded is received"

    def test_a_hole_that_no_refusal_explains_is_a_link_that_loses_frames(self) -> None:
        """The publisher believes it has sent what is missing; only another offer asks for it."""
        desk = opened()
        desk.data(1, b"a")
        with pytest.raises(Violation, match="came behind a hole") as caught:
            desk.data(3, b"c")
        assert caught.value.code is Code.DIVERGED
        with pytest.raises(Violation, match="behind a hole"):
            desk.intake.receive_gone(Gone(1, 3, 4, "skipped"), now=0.0)


class TestRefusing:
    def test_what_is_accepted_is_acked_before_the_refusal(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b", b"c")
        desk.start(1)
        desk.intake.handle_accepted()
        desk.start(1)
        desk.intake.handle_refused("full", 1.5)
        assert desk.says() == Ack(1, 1, WINDOW + 99)
        assert desk.says() == Refused(1, 2, 2, "full", 1500)
        assert desk.says() is None

    def test_all_that_follows_is_discarded_until_it_comes_again(self) -> None:
        """Model item 3: applied behind a refusal whose word was lost, it was reported wrongly."""
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.start(1)
        desk.intake.handle_refused("full", 1.0)
        desk.data(3, b"c")
        assert desk.start() is None
        desk.data(1, b"a", b"b")
        desk.data(3, b"c")
        assert desk.accept() == (1, [b"a", b"b", b"c"])

    def test_for_good_it_is_skipped_by_the_publishers_gone(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b", b"c")
        desk.start(2)
        desk.intake.handle_refused("too large", None)
        desk.says()
        assert desk.says() == Refused(1, 1, 2, "too large", None)
        desk.gone(1, 2)
        desk.data(3, b"c")
        assert desk.accept() == (3, [b"c"])
        assert desk.intake.accepted == 3

    def test_a_gone_waits_for_what_is_before_it(self) -> None:
        desk = opened()
        desk.data(1, b"a")
        desk.gone(2, 4)
        desk.data(5, b"e")
        assert desk.start() == (1, [b"a"])
        assert desk.intake.accepted == 0
        desk.intake.handle_accepted()
        assert desk.accept() == (5, [b"e"])
        assert desk.accept() is None
        assert desk.intake.accepted == 5

    def test_a_refusal_that_was_lost_is_asked_again(self) -> None:
        desk = opened()
        desk.data(1, b"a")
        desk.start()
        desk.intake.handle_refused("full", None)
        desk.intake.handle_link_lost(now=0.0)
        assert desk.says() is None
        desk.offer("P1")
        assert desk.says() == Offered(2, "known", "P1", 0, WINDOW)
        desk.data(1, b"a")
        assert desk.start() == (1, [b"a"])


class TestForbidden:
    def test_what_is_sent_to_a_channel_of_ours_is_answered_and_refused(self) -> None:
        """Rule 7: each publish ends in one way, whatever it was about."""
        desk = PublishingDesk()
        desk.intake.forbidden = "forbidden"
        desk.intake.receive_offer(Offer(1, "@ghost", None, 1), now=0.0)
        desk.intake.turn_away()
        assert isinstance(desk.says(), Offered)
        assert desk.says() is None
        desk.id = 1
        desk.data(1, b"a", b"b")
        desk.intake.turn_away()
        assert isinstance(desk.says(), Ack)
        assert desk.says() == Refused(1, 1, 2, "forbidden", None)
        assert desk.intake.accepted == 0


class TestLinkLost:
    def test_what_was_queued_is_forgotten_for_it_is_offered_again(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.intake.handle_link_lost(now=0.0)
        assert desk.intake.held_bytes == 0
        assert desk.start() is None

    def test_before_the_first_answer_there_is_nothing_to_forget(self) -> None:
        desk = PublishingDesk()
        desk.offer()
        desk.intake.handle_link_lost(now=0.0)
        assert desk.intake.epoch is None
        assert desk.intake.phase is IntakePhase.IDLE

    def test_what_was_in_flight_is_accepted_all_the_same(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b")
        desk.start(1)
        desk.intake.handle_link_lost(now=0.0)
        assert desk.intake.held_bytes == 33
        desk.intake.handle_accepted()
        assert desk.intake.accepted == 1
        assert desk.says() is None, "nobody to tell"

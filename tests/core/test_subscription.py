"""Subscription: a barrier, a repair and an honest ack, across links (rules 1-5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.config import KIB
from gapless.core.credit import MESSAGE_CHARGE, charge
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset
from gapless.core.frames import (
    Ack,
    Data,
    Denied,
    Ended,
    Gone,
    Live,
    Outcome,
    Partial,
    PinTerms,
    Recovered,
    StartedOver,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.core.position import Position, Since
from gapless.core.subscription import TOLD_WITHIN, Phase, Subscription
from gapless.core.violation import Violation

from .parts import ids

WINDOW = KIB


class Desk:
    """A subscription and the sender's side of its conversation, word by word."""

    def __init__(self, since: Since = "latest") -> None:
        self.now = 100.0
        self.subscription = Subscription("news", since, window=WINDOW, requests=ids())

    def says(self) -> object:
        return self.subscription.next_control(now=self.now)

    def asks(self) -> Subscribe:
        frame = self.says()
        assert isinstance(frame, Subscribe)
        return frame

    def answer(
        self,
        next_seq: int,
        head: int,
        outcome: Outcome,
        *,
        epoch: str = "E1",
        pin: PinTerms | None = None,
    ) -> None:
        """Answer the newest subscribe."""
        request = self.subscription.request
        frame = Subscribed(request, 7, epoch, next_seq, head, pin, outcome)
        self.subscription.receive_subscribed(frame, now=self.now)

    def data(self, first: int, *payloads: bytes) -> None:
        self.subscription.receive_data(Data(7, first, list(payloads), False), now=self.now)

    def gone(self, first: int, last: int) -> None:
        self.subscription.receive_gone(Gone(7, first, last, "rotated"), now=self.now)

    def take(self) -> ChannelEvent | None:
        return self.subscription.take(now=self.now)

    def drain(self) -> list[object]:
        """Take everything; messages as their numbers."""
        taken: list[object] = []
        while (event := self.take()) is not None:
            taken.append(event.seq if isinstance(event, Message) else event)
        return taken

    def phase(self) -> Phase:
        return self.subscription.phase


def live(since: Since = "latest", *, head: int = 0, pin: PinTerms | None = None) -> Desk:
    """A live subscription at `head` whose first ack has gone out and whose inbox is empty."""
    desk = Desk(since)
    desk.asks()
    desk.answer(head + 1, head, Live(), pin=pin)
    desk.drain()
    assert isinstance(desk.says(), Ack)
    return desk


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


class TestShed:
    def held(self, *payloads: bytes) -> Desk:
        """A live subscription with these messages unread, each a run of its own."""
        desk = live(Position("E1", 0))
        for seq, payload in enumerate(payloads, 1):
            frame = Data(7, seq, [payload], text=bool(seq % 2))
            desk.subscription.receive_data(frame, now=desk.now)
        return desk

    def test_what_was_dropped_is_asked_for_once_half_of_the_rest_is_taken(self) -> None:
        """Design 4.7."""
        desk = self.held(b"a", b"b", b"c", b"d", b"e")
        assert desk.subscription.shed() == 33
        assert desk.phase() is Phase.SET_BACK
        assert desk.says() is None
        desk.take()
        assert desk.phase() is Phase.SET_BACK
        desk.take()
        assert desk.asks() == Subscribe(2, "news", Position("E1", 4), WINDOW - 66)

    def test_with_nothing_left_it_is_asked_for_when_the_application_waits(self) -> None:
        desk = self.held(b"a")
        desk.subscription.shed()
        assert desk.says() is None
        assert desk.phase() is Phase.SET_BACK
        assert desk.take() is None
        assert desk.asks().since == Position("E1", 0)

    def test_what_comes_meanwhile_is_dropped_and_no_violation(self) -> None:
        desk = self.held(b"a", b"b")
        desk.subscription.shed()
        desk.data(3, bytes(2 * WINDOW))
        desk.data(4, b"d")
        desk.gone(5, 6)
        assert desk.drain() == [1]
        assert desk.subscription.gaps == 0

    def test_an_answer_that_was_on_its_way_comes_too_late(self) -> None:
        """It is for a position that was set back: the session doesn't match it, and asks anew."""
        desk = self.held(b"a", b"b")
        desk.subscription.handle_link_lost(now=desk.now)
        desk.asks()
        desk.subscription.shed()
        assert desk.phase() is Phase.SET_BACK
        desk.take()
        assert desk.asks().since == Position("E1", 1)

    def test_without_a_link_only_the_position_goes_back(self) -> None:
        desk = self.held(b"a", b"b")
        desk.subscription.handle_link_lost(now=desk.now)
        desk.subscription.shed()
        assert desk.asks().since == Position("E1", 1)

    def test_with_nothing_held_nothing_changes(self) -> None:
        desk = live()
        assert desk.subscription.shed() == 0
        assert desk.subscription.is_live

    def test_an_end_reaches_one_that_was_set_back(self) -> None:
        desk = self.held(b"a")
        desk.subscription.shed()
        desk.subscription.receive_ended(Ended(7, "epoch", True), now=desk.now)
        assert desk.phase() is Phase.WANTED

    def test_the_mark_of_replay_is_not_said_before_what_was_dropped(self) -> None:
        desk = Desk("earliest")
        desk.asks()
        desk.answer(1, 2, Recovered(2))
        desk.data(1, b"a")
        desk.subscription.shed()
        desk.take()
        desk.asks()
        desk.answer(1, 2, Recovered(2))
        desk.data(1, b"a", b"b")
        assert desk.drain() == [1, 2, CaughtUp("news", Position("E1", 2))]


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


class Sender:
    """A sender by the book: keeps to the limit, restarts its counts at every answer."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.cursor = self.sent = self.limit = 0

    def serve(self, log: list[bytes]) -> None:
        """Hear all the reader has to say; then send what there is credit for."""
        desk = self.desk
        while (frame := desk.says()) is not None:
            if isinstance(frame, Subscribe):
                assert isinstance(frame.since, Position)
                self.cursor, self.sent, self.limit = frame.since.seq, 0, frame.limit
                replay = len(log) - self.cursor
                desk.answer(self.cursor + 1, len(log), Recovered(replay) if replay else Live())
            elif isinstance(frame, Ack):
                assert frame.seq <= self.cursor, "P5: an ack beyond what was sent"
                assert frame.limit >= self.limit, "rule 3: a limit was lowered"
                self.limit = frame.limit
        while self.sent < self.limit and self.cursor < len(log):
            batch = log[self.cursor : self.cursor + 3]
            desk.data(self.cursor + 1, *batch)
            self.cursor += len(batch)
            self.sent += charge(batch)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["publish", "take", "cut", "shed", "skip", "batch"]),
            st.integers(1, 6),
            st.integers(0, 700),
        ),
        max_size=80,
    )
)
def test_whatever_is_cut_shed_and_taken_everything_arrives(
    script: list[tuple[str, int, int]],
) -> None:
    """P1, P3, P4 and I17 for one channel, against a sender by the book."""
    desk, log, met = Desk(Position("E1", 0)), list[bytes](), 0
    sender = Sender(desk)

    def take(event: ChannelEvent | Message | None) -> None:
        nonlocal met
        if isinstance(event, Message):
            assert event.seq == met + 1
            assert event.payload == log[met]
            met = event.seq
        else:
            assert event is None or isinstance(event, CaughtUp), "nothing is lost"

    for step, count, size in script:
        if step == "publish":
            log += [bytes(size)] * count
        elif step == "take":
            for _ in range(count):
                take(desk.take())
        elif step == "batch":
            for message in desk.subscription.take_batch(now=desk.now):
                take(message)
        elif step == "cut":
            desk.subscription.handle_link_lost(now=desk.now)
        elif step == "shed":
            desk.subscription.shed()
        elif sender.cursor < len(log):
            sender.cursor += 1
        sender.serve(log)
        assert desk.subscription.held_bytes <= WINDOW + 3 * (700 + MESSAGE_CHARGE), "P3"
    for _ in range(10 * len(log) + 20):
        sender.serve(log)
        take(desk.take())
    sender.serve(log)
    desk.drain()
    assert met == len(log), "P4: all of it, once the faults stop"

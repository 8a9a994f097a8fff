"""Subscription: what the memory limit drops is asked for again; whatever happens, all arrives."""

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.credit import MESSAGE_CHARGE, charge
from gapless.core.events import CaughtUp, ChannelEvent, Message
from gapless.core.frames import (
    Ack,
    Data,
    Ended,
    Live,
    Recovered,
    StartedOver,
    Subscribe,
)
from gapless.core.position import Position
from gapless.core.subscription import Phase

from .desk import WINDOW, Desk, live
from .parts import EVERYTHING


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
        assert desk.subscription.shed(EVERYTHING) == 33
        assert desk.phase() is Phase.SET_BACK
        assert desk.says() is None
        desk.take()
        assert desk.phase() is Phase.SET_BACK
        desk.take()
        assert desk.asks() == Subscribe(2, "news", Position("E1", 4), WINDOW - 66)

    def test_with_nothing_left_it_is_asked_for_when_the_application_waits(self) -> None:
        desk = self.held(b"a")
        desk.subscription.shed(EVERYTHING)
        assert desk.says() is None
        assert desk.phase() is Phase.SET_BACK
        assert desk.take() is None
        assert desk.asks().since == Position("E1", 0)

    def test_what_comes_meanwhile_is_dropped_and_no_violation(self) -> None:
        desk = self.held(b"a", b"b")
        desk.subscription.shed(EVERYTHING)
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
        desk.subscription.shed(EVERYTHING)
        assert desk.phase() is Phase.OVERTAKEN
        desk.take()
        assert desk.asks().since == Position("E1", 1)

    def test_without_a_link_only_the_position_goes_back(self) -> None:
        desk = self.held(b"a", b"b")
        desk.subscription.handle_link_lost(now=desk.now)
        desk.subscription.shed(EVERYTHING)
        assert desk.asks().since == Position("E1", 1)

    def test_with_nothing_held_nothing_changes(self) -> None:
        desk = live()
        assert desk.subscription.shed(EVERYTHING) == 0
        assert desk.subscription.is_live

    def test_p5_behind_a_reset_that_was_shed_nothing_is_acked(self) -> None:
        """Rule 4: what is taken then is of the numbering before, not of the one on the link."""
        desk = self.held(*[bytes(100)] * 7)
        desk.subscription.handle_link_lost(now=desk.now)
        desk.asks()
        desk.answer(1, 0, StartedOver("epoch"), epoch="E2")
        assert desk.says() == Ack(7, 0, WINDOW - 7 * 132)
        desk.subscription.shed(EVERYTHING)
        assert desk.subscription.received == Position("E1", 6), "the reset went as well"
        desk.take()
        desk.take()
        assert desk.says() is None, "a quarter of the window is taken"
        desk.take()
        assert desk.asks().since == Position("E1", 6)

    def test_an_end_reaches_one_that_was_set_back(self) -> None:
        desk = self.held(b"a")
        desk.subscription.shed(EVERYTHING)
        desk.subscription.receive_ended(Ended(7, "epoch", True), now=desk.now)
        assert desk.phase() is Phase.WANTED

    def test_the_mark_of_replay_is_not_said_before_what_was_dropped(self) -> None:
        desk = Desk("earliest")
        desk.asks()
        desk.answer(1, 2, Recovered(2))
        desk.data(1, b"a")
        desk.subscription.shed(EVERYTHING)
        desk.take()
        desk.asks()
        desk.answer(1, 2, Recovered(2))
        desk.data(1, b"a", b"b")
        assert desk.drain() == [1, 2, CaughtUp("news", Position("E1", 2))]


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
            desk.subscription.shed(EVERYTHING)
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

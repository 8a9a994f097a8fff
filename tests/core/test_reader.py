"""Reader: a cursor in the hub's log — one path for replay and live, losses first (rule 6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.channel import Channel
from gapless.core.credit import MESSAGE_CHARGE
from gapless.core.events import Lost, Message
from gapless.core.frames import (
    Ack,
    Data,
    Ended,
    Frame,
    Gone,
    Live,
    Partial,
    PinTerms,
    Recovered,
    StartedOver,
    Subscribe,
    Subscribed,
)
from gapless.core.position import Position, Since
from gapless.core.reader import Reader, ReaderPhase
from gapless.core.receiver import MESSAGE_BYTES, Receiver, Verdict
from gapless.core.violation import Violation

from .parts import a_channel, fill, settings

PLENTY = 10**9


def a_reader(
    channel: Channel,
    since: Since = "earliest",
    *,
    limit: int = PLENTY,
    pins: bool = False,
    max_message: int = 1000,
) -> Reader:
    frame = Subscribe(5, "news", since, limit)
    return Reader(channel, "ann", frame, pins=pins, max_message=max_message)


def answer(reader: Reader, *, now: float = 0.0) -> Subscribed:
    frame = reader.next_control(now=now)
    assert isinstance(frame, Subscribed)
    return frame


def live(
    channel: Channel, since: Since = "earliest", *, limit: int = PLENTY, max_message: int = 1000
) -> Reader:
    """A reader whose answer is on its way."""
    reader = a_reader(channel, since, limit=limit, max_message=max_message)
    answer(reader)
    return reader


def sent(reader: Reader) -> list[Frame]:
    frames: list[Frame] = []
    while (frame := reader.next_data(now=0.0)) is not None:
        frames.append(frame)
    return frames


class TestAnswer:
    def test_nothing_is_sent_before_the_answer(self) -> None:
        channel = a_channel()
        fill(channel, 2)
        reader = a_reader(channel)
        assert reader.next_data(now=0.0) is None
        assert not reader.is_caught_up
        assert answer(reader) == Subscribed(5, 7, "E1", 1, 2, None, Recovered(2))
        assert reader.next_control(now=0.0) is None, "once"

    @pytest.mark.parametrize(
        ("since", "next_seq", "outcome"),
        [
            ("latest", 13, Live()),
            ("earliest", 5, Recovered(8)),
            (Position("E1", 10), 11, Recovered(2)),
            (Position("E1", 2), 5, Partial(3, 4, "rotated")),
            (Position("E0", 10), 5, StartedOver("epoch")),
            (Position("E1", 13), 13, StartedOver("ahead")),
        ],
    )
    def test_it_says_what_the_position_came_to(
        self, since: Since, next_seq: int, outcome: object
    ) -> None:
        channel = a_channel()
        fill(channel, 12)
        said = answer(a_reader(channel, since))
        assert (said.next_seq, said.head, said.outcome) == (next_seq, 12, outcome)

    def test_it_is_about_the_log_as_it_is_when_it_is_built(self) -> None:
        """Design 4.3: output is built when the wire can take it; nothing is stale."""
        channel = a_channel()
        reader = a_reader(channel, "latest")
        fill(channel, 3)
        channel.start_over("E2", 0, 1)
        assert answer(reader) == Subscribed(5, 7, "E2", 1, 0, None, Live())

    def test_too_old_messages_are_gone_before_it(self) -> None:
        channel = a_channel(history_age=60.0)
        fill(channel, 3)
        said = answer(a_reader(channel, Position("E1", 1)), now=100.0)
        assert (said.next_seq, said.outcome) == (4, Partial(2, 3, "expired"))

    def test_who_may_pin_pins_from_its_first_since_on_and_is_told_the_terms(self) -> None:
        """Model item 9: a reader that doesn't know that it pins acks too rarely."""
        channel = a_channel(patience=2.0)
        fill(channel, 4)
        said = answer(a_reader(channel, Position("E1", 1), pins=True))
        assert said.pin == PinTerms(2000, 8)
        fill(channel, 5)
        assert channel.admit(1, now=0.0).value == "wait"
        assert channel.history.first == 2

    def test_who_may_not_pins_nothing(self) -> None:
        channel = a_channel()
        assert answer(a_reader(channel)).pin is None
        assert not channel.is_pinned_by("ann")


class TestReading:
    def test_replay_and_live_are_one_path(self) -> None:
        channel = a_channel()
        fill(channel, 2)
        reader = live(channel)
        assert sent(reader) == [Data(7, 1, [b"1", b"2"], False)]
        caught_up = [reader.is_caught_up]
        fill(channel, 1)
        caught_up.append(reader.is_caught_up)
        assert caught_up == [True, False]
        assert sent(reader) == [Data(7, 3, [b"3"], False)]
        assert reader.cursor == 3

    def test_all_readers_send_the_same_object(self) -> None:
        channel = a_channel()
        fill(channel, 2)
        assert live(channel).next_data(now=0.0) is live(channel).next_data(now=0.0)

    def test_a_batch_starts_only_while_there_is_credit(self) -> None:
        """Rule 3."""
        channel = a_channel()
        fill(channel, 2)
        reader = live(channel, limit=1)
        assert len(sent(reader)) == 1, "a batch may start while sent < limit"
        fill(channel, 1)
        assert sent(reader) == []
        reader.receive_ack(Ack(7, 2, 2 * (1 + MESSAGE_CHARGE)), now=0.0)
        assert sent(reader) == [], "sent = limit is no credit"
        reader.receive_ack(Ack(7, 2, 2 * (1 + MESSAGE_CHARGE) + 1), now=0.0)
        assert len(sent(reader)) == 1

    def test_a_limit_is_never_taken_back(self) -> None:
        channel = a_channel()
        fill(channel, 1)
        reader = live(channel, limit=100)
        reader.receive_ack(Ack(7, 0, 1), now=0.0)
        assert len(sent(reader)) == 1

    def test_an_ack_beyond_what_was_sent_is_a_violation(self) -> None:
        """I5."""
        channel = a_channel()
        fill(channel, 3)
        reader = live(channel, Position("E1", 2))
        reader.receive_ack(Ack(7, 2, PLENTY), now=0.0)
        with pytest.raises(Violation, match="ack 3 beyond 2"):
            reader.receive_ack(Ack(7, 3, PLENTY), now=0.0)

    def test_a_message_the_peer_can_not_take_is_said_to_be_gone(self) -> None:
        channel = a_channel()
        for size in (1, 2, 50, 60, 3):
            channel.append([b"x" * size], False, None, now=0.0)
        reader = live(channel, max_message=10)
        assert sent(reader) == [
            Data(7, 1, [b"x", b"xx"], False),
            Gone(7, 3, 3, "too large"),
            Gone(7, 4, 4, "too large"),
            Data(7, 5, [b"xxx"], False),
        ]


class TestFallingOffTheTail:
    def test_it_goes_on_in_the_middle_and_says_so_first(self) -> None:
        channel = a_channel()
        fill(channel, 2)
        reader = live(channel, limit=1)
        sent(reader)
        fill(channel, 18)
        assert reader.next_data(now=0.0) == Gone(7, 3, 16, "rotated"), "control needs no credit"
        assert sent(reader) == []
        reader.receive_ack(Ack(7, 16, PLENTY), now=0.0)
        assert sent(reader) == [Data(7, 17, [b"17", b"18", b"19", b"20"], False)]

    def test_the_reason_is_why_it_was_dropped(self) -> None:
        channel = a_channel()
        reader = live(channel)
        channel.pin("bob", 0, now=0.0)
        fill(channel, 8)
        channel.admit(1, now=5.0)
        assert reader.next_data(now=0.0) == Gone(7, 1, 4, "stalled")


class TestStore:
    def stored(self, *, limit: int = PLENTY) -> tuple[Channel, Reader]:
        """A history that begins at 6 and a store that still has 3 … 5; a reader at 2."""
        channel = Channel("news", 7, "E1", settings(), head=5, stored_first=3)
        fill(channel, 2)
        return channel, live(channel, Position("E1", 2), limit=limit)

    def test_what_is_not_held_is_read_from_the_store_once(self) -> None:
        _, reader = self.stored()
        assert reader.next_data(now=0.0) is None
        assert reader.next_read() == 2
        assert reader.next_read() is None, "asked for already"
        reader.handle_history([b"3", b"4", b"5"], False, 2)
        assert sent(reader) == [
            Data(7, 3, [b"3", b"4", b"5"], False),
            Data(7, 6, [b"6", b"7"], False),
        ]
        assert reader.next_read() is None, "the history goes on from here"

    def test_i8_what_was_read_is_held_until_it_is_sent(self) -> None:
        _, reader = self.stored()
        assert (reader.next_read(), reader.held_bytes) == (2, 0)
        reader.handle_history([b"3", b"4"], False, 2)
        assert reader.held_bytes == 2 * (1 + MESSAGE_BYTES)
        reader.next_data(now=0.0)
        assert reader.held_bytes == 0

    def test_what_was_read_waits_for_credit(self) -> None:
        _, reader = self.stored(limit=0)
        assert reader.next_read() is None, "nothing is read that can't be sent"
        reader.receive_ack(Ack(7, 2, 10), now=0.0)
        assert reader.next_read() == 2
        reader.handle_history([b"3"], False, 2)
        assert reader.next_read() is None, "nor while something is at hand"
        assert sent(reader) == [Data(7, 3, [b"3"], False)]

    def test_an_answer_to_another_question_is_ignored(self) -> None:
        """I13."""
        _, reader = self.stored()
        reader.handle_history([b"9"], False, 2)
        assert sent(reader) == []
        assert reader.next_read() == 2
        reader.handle_history([b"9"], False, 1)
        assert sent(reader) == []
        reader.handle_history([b"3"], False, 2)
        assert sent(reader) == [Data(7, 3, [b"3"], False)]

    def test_an_answer_that_comes_too_late_is_ignored(self) -> None:
        channel, reader = self.stored()
        assert reader.next_read() == 2
        channel.set_stored_first(6)
        assert reader.next_data(now=0.0) == Gone(7, 3, 6, "rotated")
        reader.handle_history([b"3"], False, 2)
        assert sent(reader) == [Data(7, 7, [b"7"], False)]

    def test_what_the_store_no_longer_has_is_gone(self) -> None:
        channel, reader = self.stored()
        assert reader.next_read() == 2
        channel.set_stored_first(6)
        reader.handle_history([], False, 2)
        assert sent(reader) == [Gone(7, 3, 6, "rotated"), Data(7, 7, [b"7"], False)]


class TestEnd:
    def test_an_end_is_said_once_and_nothing_follows(self) -> None:
        channel = a_channel()
        fill(channel, 2)
        reader = live(channel)
        reader.end("epoch", again=True)
        assert reader.next_data(now=0.0) is None
        assert reader.next_read() is None
        assert reader.next_control(now=0.0) == Ended(7, "epoch", True)
        reader.end("unsubscribed", again=False)
        assert reader.next_control(now=0.0) is None
        assert reader.phase is ReaderPhase.ENDED
        assert reader.is_caught_up, "it holds up no drain"

    def test_what_was_never_answered_ends_without_a_word(self) -> None:
        """Its id was never given on the link: to name it would be a violation."""
        reader = a_reader(a_channel())
        reader.end("unsubscribed", again=False)
        assert reader.next_control(now=0.0) is None
        assert reader.next_data(now=0.0) is None

    def test_a_reader_has_no_timer_and_its_link_takes_nothing_with_it(self) -> None:
        channel = a_channel()
        reader = a_reader(channel, pins=True)
        answer(reader)
        reader.handle_timeout(now=1e9)
        reader.handle_link_lost(now=1e9)
        assert reader.next_deadline() is None
        assert channel.is_pinned_by("ann"), "pins outlive links (rule 1)"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(1, 12)),
            st.tuples(st.just("read"), st.integers(1, 3)),
            st.tuples(st.just("take"), st.integers(1, 12)),
            st.tuples(st.just("relink"), st.integers(0, 1)),
        ),
        max_size=60,
    )
)
def test_a_reader_and_a_receiver_keep_p1_and_p2(script: list[tuple[str, int]]) -> None:
    """Whatever rotates and whichever link is lost: all is met in order, or in one marker."""
    channel, receiver, met = a_channel(), Receiver("news", Position("E1", 0)), 0
    reader = live(channel, Position("E1", 0), limit=300)
    for step, count in [*script, ("relink", 0), ("read", 99), ("take", 999)]:
        if step == "publish":
            fill(channel, count)
        elif step == "relink":
            position = receiver.position
            assert position is not None
            reader = a_reader(channel, position, limit=PLENTY)
            outcome = answer(reader).outcome
            if isinstance(outcome, Partial):
                receiver.receive_gone(outcome.first, outcome.last, outcome.reason)
        elif step == "read":
            for _ in range(count):
                frame = reader.next_data(now=0.0)
                if isinstance(frame, Data):
                    assert receiver.receive(frame.first, frame.payloads, False) is Verdict.ACCEPTED
                elif isinstance(frame, Gone):
                    told = receiver.receive_gone(frame.first, frame.last, frame.reason)
                    assert told is Verdict.ACCEPTED
        else:
            for _ in range(count):
                event = receiver.next_event()
                if isinstance(event, Message):
                    assert event.seq == met + 1
                    assert event.payload == str(event.seq).encode()
                    met = event.seq
                elif isinstance(event, Lost):
                    assert event.first == met + 1
                    met = event.last
    assert met == channel.head, "P4: caught up"

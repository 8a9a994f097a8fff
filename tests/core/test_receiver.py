"""Receiver: once, in order, or said to be lost (P1, P2); a number alone moves nothing (I6, I7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gapless.core.credit import MESSAGE_CHARGE, charge
from gapless.core.errors import InvalidState
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset
from gapless.core.position import Position
from gapless.core.receiver import Receiver, Verdict

from .parts import EVERYTHING, inside


def a_receiver(seq: int = 0, epoch: str = "E1") -> Receiver:
    return Receiver("news", Position(epoch, seq))


def at_marker(receiver: Receiver) -> bool:
    return receiver.is_at_marker


def drain(receiver: Receiver) -> list[ChannelEvent]:
    events: list[ChannelEvent] = []
    while (event := receiver.next_event()) is not None:
        events.append(event)
    return events


def brief(events: list[ChannelEvent]) -> list[object]:
    """Messages as their numbers, markers as short tuples."""
    said: list[object] = []
    for event in events:
        if isinstance(event, Message):
            said.append(event.seq)
        elif isinstance(event, Lost):
            said.append(("lost", event.first, event.last))
        elif isinstance(event, Reset):
            said.append(("reset", str(event.position)))
        else:
            said.append(("caught up", str(event.position)))
    return said


class TestInOrder:
    def test_what_comes_in_order_is_taken_in_order(self) -> None:
        receiver = a_receiver()
        assert receiver.receive(1, [b"a", b"b"], True) is Verdict.ACCEPTED
        assert receiver.receive(3, [b"c"], False) is Verdict.ACCEPTED
        assert drain(receiver) == [
            Message("news", "E1", 1, b"a", True),
            Message("news", "E1", 2, b"b", True),
            Message("news", "E1", 3, b"c", False),
        ]
        assert receiver.taken_messages == 3

    def test_reading_may_start_anywhere(self) -> None:
        receiver = a_receiver(41)
        assert receiver.receive(42, [b"x"], False) is Verdict.ACCEPTED
        assert receiver.position == Position("E1", 42)

    def test_before_the_sender_said_where_there_is_no_position(self) -> None:
        receiver = Receiver("news")
        assert receiver.position is None
        assert receiver.taken is None
        receiver.start(Position("E1", 5))
        assert receiver.position == receiver.taken == Position("E1", 5)

    def test_an_empty_batch_is_nothing(self) -> None:
        receiver = a_receiver()
        assert receiver.receive(1, [], False) is Verdict.DUPLICATE
        assert receiver.receive(2, [], False) is Verdict.GAP
        assert receiver.is_empty
        assert receiver.duplicates == 0

    def test_the_frames_list_stays_the_senders(self) -> None:
        """P7: one batch may be shared by all readers of a channel; merging must not grow it."""
        receiver, shared = a_receiver(), [b"a", b"b"]
        receiver.receive(1, shared, False)
        receiver.receive(3, [b"c"], False)
        drain(receiver)
        assert shared == [b"a", b"b"]


class TestDuplicatesAndGaps:
    @pytest.mark.parametrize("first", [5, 4, 1, 0, -1, -(2**63)])
    def test_what_was_received_is_dropped_and_counted(self, first: int) -> None:
        """I5, I6: whatever the number, nothing moves."""
        receiver = a_receiver(5)
        assert receiver.receive(first, [b"x"], False) is Verdict.DUPLICATE
        assert receiver.position == Position("E1", 5)
        assert receiver.is_empty
        assert receiver.duplicates == 1

    def test_of_a_batch_that_overlaps_only_the_new_is_taken(self) -> None:
        receiver = a_receiver(5)
        assert receiver.receive(4, [b"4", b"5", b"6", b"7"], False) is Verdict.ACCEPTED
        assert brief(drain(receiver)) == [6, 7]
        assert receiver.duplicates == 2

    @pytest.mark.parametrize("first", [7, 100, 2**32, 2**53 - 1, 2**53, 2**63])
    def test_a_later_number_is_a_gap_and_moves_nothing(self, first: int) -> None:
        """I7: an adversary's high number costs O(1) and changes no state."""
        receiver = a_receiver(5)
        assert receiver.receive(first, [b"x"], False) is Verdict.GAP
        assert receiver.position == Position("E1", 5)
        assert receiver.is_empty
        assert receiver.held_bytes == 0
        assert receiver.receive(6, [b"y"], False) is Verdict.ACCEPTED

    def test_numbers_do_not_wrap(self) -> None:
        """aioxmpp#67: no counter is cut to 32 bits."""
        for edge in (2**32, 2**53 - 2):
            receiver = a_receiver(edge - 1)
            assert receiver.receive(edge, [b"x", b"y"], False) is Verdict.ACCEPTED
            assert receiver.receive(edge - 2**32, [b"x"], False) is Verdict.DUPLICATE
            assert brief(drain(receiver)) == [edge, edge + 1]


class TestGone:
    def test_a_loss_is_said_before_any_later_message(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a"], False)
        assert receiver.receive_gone(2, 4, "rotated") is Verdict.ACCEPTED
        receiver.receive(5, [b"e"], False)
        assert drain(receiver) == [
            Message("news", "E1", 1, b"a"),
            Lost("news", "E1", 2, 4, "rotated"),
            Message("news", "E1", 5, b"e"),
        ]
        assert receiver.lost == 3

    def test_what_was_received_is_not_lost_for_a_gone_that_covers_it(self) -> None:
        receiver = a_receiver(3)
        assert receiver.receive_gone(2, 5, "rotated") is Verdict.ACCEPTED
        assert brief(drain(receiver)) == [("lost", 4, 5)]

    def test_an_old_gone_is_nothing_and_a_later_one_a_gap(self) -> None:
        receiver = a_receiver(3)
        assert receiver.receive_gone(2, 3, "rotated") is Verdict.DUPLICATE
        assert receiver.receive_gone(5, 9, "rotated") is Verdict.GAP
        assert receiver.is_empty
        assert receiver.lost == 0

    def test_losses_side_by_side_are_one_and_keep_the_first_reason(self) -> None:
        """P3: a sender that rotates for ever leaves one marker, not one each time."""
        receiver = a_receiver()
        for seq in range(1, 1000):
            receiver.receive_gone(seq, seq, "rotated" if seq == 1 else "expired")
        assert drain(receiver) == [Lost("news", "E1", 1, 999, "rotated")]

    def test_the_mark_that_replay_is_over_moves_behind_a_loss(self) -> None:
        """It is neither lost nor a fence that keeps losses from merging."""
        receiver = a_receiver()
        receiver.mark_caught_up()
        for seq in (1, 2, 3):
            receiver.receive_gone(seq, seq, "stalled")
        assert brief(drain(receiver)) == [("lost", 1, 3), ("caught up", "E1:3")]


class TestRestart:
    def test_a_reset_is_met_before_any_message_of_the_new_epoch(self) -> None:
        receiver = a_receiver(7)
        receiver.receive(8, [b"old"], False)
        receiver.restart(Position("E2", 0), "epoch")
        receiver.receive(1, [b"new"], False)
        assert drain(receiver) == [
            Message("news", "E1", 8, b"old"),
            Reset("news", Position("E2", 0), "epoch"),
            Message("news", "E2", 1, b"new"),
        ]

    def test_a_reset_covers_the_markers_it_follows(self) -> None:
        """P2: exactly one marker for what isn't delivered."""
        receiver = a_receiver()
        receiver.receive_gone(1, 4, "rotated")
        receiver.restart(Position("E2", 3), "epoch")
        receiver.mark_caught_up()
        receiver.restart(Position("E3", 0), "epoch")
        assert brief(drain(receiver)) == [("reset", "E3:0")]
        assert receiver.lost == 0

    def test_messages_of_the_old_epoch_are_acked_by_nothing_in_the_new(self) -> None:
        """Model item 6: ack stays at next - 1 until the application has taken the reset."""
        receiver = a_receiver()
        receiver.receive(1, [b"x"] * 9, False)
        receiver.restart(Position("E2", 2), "epoch")
        receiver.receive(3, [b"y"], False)
        for _ in range(9):
            assert receiver.ack_seq == 2
            receiver.next_event()
        assert receiver.ack_seq == 2
        assert isinstance(receiver.next_event(), Reset)
        assert receiver.ack_seq == 2
        assert receiver.taken == Position("E2", 2)
        receiver.next_event()
        assert receiver.ack_seq == 3

    def test_of_two_resets_the_newer_says_what_may_be_acked(self) -> None:
        receiver = a_receiver()
        receiver.restart(Position("E2", 5), "epoch")
        receiver.receive(6, [b"x"], False)
        receiver.restart(Position("E3", 1), "epoch")
        assert receiver.ack_seq == 1
        assert isinstance(receiver.next_event(), Reset)
        assert receiver.ack_seq == 1
        assert receiver.taken == Position("E2", 5)


class TestDrop:
    def test_without_messages_there_is_nothing_to_drop(self) -> None:
        receiver = a_receiver()
        receiver.receive_gone(1, 5, "rotated")
        assert receiver.drop_newest(EVERYTHING) == 0
        assert brief(drain(receiver)) == [("lost", 1, 5)]

    def test_the_newest_goes_and_the_position_goes_back_before_it(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a"], False)
        receiver.receive(2, [b"bb"], True)
        assert receiver.drop_newest(EVERYTHING) == 2 + MESSAGE_CHARGE
        assert receiver.position == Position("E1", 1)
        assert receiver.receive(2, [b"bb"], True) is Verdict.ACCEPTED, "asked for again"
        assert brief(drain(receiver)) == [1, 2]

    def test_the_markers_behind_what_is_dropped_go_along(self) -> None:
        """Model item 8: left behind they would be said twice."""
        receiver = a_receiver()
        receiver.receive(1, [b"a"], False)
        receiver.receive_gone(2, 3, "rotated")
        receiver.restart(Position("E2", 0), "epoch")
        receiver.mark_caught_up()
        receiver.receive(1, [b"b"], False)
        receiver.receive_gone(2, 2, "rotated")
        receiver.drop_newest(EVERYTHING)
        assert receiver.position == Position("E2", 0), "the reset stands: it is before the message"
        receiver.drop_newest(EVERYTHING)
        assert receiver.position == Position("E1", 0)
        assert receiver.is_empty
        assert (receiver.lost, receiver.held_bytes, receiver.held_messages) == (0, 0, 0)
        assert receiver.ack_seq == 0

    def test_the_position_goes_back_to_a_loss_that_stays(self) -> None:
        receiver = a_receiver()
        receiver.receive_gone(1, 3, "rotated")
        receiver.receive(4, [b"d"], False)
        receiver.drop_newest(EVERYTHING)
        assert receiver.position == Position("E1", 3)
        assert brief(drain(receiver)) == [("lost", 1, 3)]

    def test_no_more_goes_than_is_needed(self) -> None:
        """P4: a memory limit of one window would else drop a whole batch for ever."""
        receiver = a_receiver()
        receiver.receive(1, [b"aaaa", b"bbbb", b"cccc"], False)
        assert receiver.drop_newest(1) == 4 + MESSAGE_CHARGE
        assert receiver.drop_newest(5 + MESSAGE_CHARGE) == 2 * (4 + MESSAGE_CHARGE)
        assert receiver.position == Position("E1", 0)
        receiver.receive(1, [b"aaaa", b"bbbb", b"cccc"], False)
        receiver.drop_newest(1)
        assert receiver.position == Position("E1", 2)
        assert receiver.receive(3, [b"cccc"], False) is Verdict.ACCEPTED, "asked for again"
        assert brief(drain(receiver)) == [1, 2, 3]

    def test_a_whole_inbox_nobody_will_take_goes(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a", b"b"], False)
        receiver.next_event()
        receiver.restart(Position("E2", 5), "epoch")
        receiver.drop_all()
        assert receiver.next_event() is None
        assert (receiver.held_bytes, receiver.held_messages) == (0, 0)
        assert receiver.taken == Position("E1", 1)

    def test_what_was_taken_of_a_run_stays_taken(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a", b"b", b"c"], False)
        receiver.next_event()
        assert receiver.drop_newest(EVERYTHING) == 2 * (1 + MESSAGE_CHARGE)
        assert receiver.position == receiver.taken == Position("E1", 1)


class TestTaking:
    def test_an_empty_inbox_gives_nothing(self) -> None:
        receiver = a_receiver()
        assert receiver.is_empty
        assert not at_marker(receiver)
        assert receiver.next_event() is None
        assert receiver.next_run() is None
        assert receiver.next_batch() == []

    def test_a_batch_reaches_to_the_next_marker(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a", b"b"], True)
        receiver.receive(3, [b"c"], True)
        receiver.receive_gone(4, 4, "rotated")
        receiver.receive(5, [b"e"], True)
        assert [message.seq for message in receiver.next_batch()] == [1, 2, 3]
        assert receiver.taken == Position("E1", 3)
        assert at_marker(receiver)
        assert receiver.next_batch() == []
        assert isinstance(receiver.next_event(), Lost)
        assert receiver.ack_seq == 4, "rule 4: taking a loss acks its range"
        assert not at_marker(receiver)
        assert receiver.next_batch() == [Message("news", "E1", 5, b"e", True)]
        assert receiver.held_bytes == 0

    def test_a_batch_goes_on_where_single_messages_were_taken(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a", b"b", b"c"], False)
        receiver.next_event()
        run = receiver.next_run()
        assert run is not None
        assert (run.first, run.last, run.payloads) == (2, 3, [b"b", b"c"])
        assert receiver.taken_messages == 3
        assert (receiver.held_bytes, receiver.held_messages) == (0, 0)

    def test_small_batches_merge_into_runs_of_at_most_128_of_one_kind(self) -> None:
        receiver = a_receiver()
        for seq in range(1, 201):
            receiver.receive(seq, [b"x"], False)
        receiver.receive(201, [b"t"], True)
        assert [len(receiver.next_batch()) for _ in range(4)] == [128, 72, 1, 0]

    def test_a_run_that_is_being_read_is_not_merged_into(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a", b"b"], False)
        receiver.next_event()
        receiver.receive(3, [b"c"], False)
        assert [message.seq for message in receiver.next_batch()] == [2]
        assert [message.seq for message in receiver.next_batch()] == [3]

    def test_the_mark_that_replay_is_over_stands_once(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a"], False)
        receiver.mark_caught_up()
        receiver.mark_caught_up()
        assert brief(drain(receiver)) == [1, ("caught up", "E1:1")]
        assert receiver.taken == Position("E1", 1)


class ReceiverMachine(RuleBasedStateMachine):
    """Any sequence of inputs, against P1 and P2 at the application's edge.

    What the application meets is contiguous: each number once, as a message or in one marker.
    """

    def __init__(self) -> None:
        super().__init__()
        self.receiver = a_receiver()
        self.epochs = 1
        self.at = Position("E1", 0)
        self.starts = {"E1": 0}

    def _go_on(self) -> Position:
        position = self.receiver.position
        assert position is not None
        return position

    @rule(offset=st.integers(-6, 4), size=st.integers(1, 5), text=st.booleans())
    def receive(self, offset: int, size: int, text: bool) -> None:
        before = self._go_on()
        held = self.receiver.held_messages
        first = before.seq + 1 + offset
        numbered = [str(first + i).encode() for i in range(size)]
        verdict = self.receiver.receive(first, numbered, text)
        if offset > 0:
            assert verdict is Verdict.GAP
        elif offset + size <= 0:
            assert verdict is Verdict.DUPLICATE
        else:
            assert verdict is Verdict.ACCEPTED
            assert self._go_on() == Position(before.epoch, before.seq + offset + size)
            return
        assert self._go_on() == before, "I6, I7: nothing moved"
        assert self.receiver.held_messages == held

    @rule(offset=st.integers(-6, 3), size=st.integers(1, 5))
    def gone(self, offset: int, size: int) -> None:
        before = self._go_on()
        first = before.seq + 1 + offset
        verdict = self.receiver.receive_gone(first, first + size - 1, "rotated")
        moved = self._go_on().seq - before.seq
        assert moved == (offset + size if verdict is Verdict.ACCEPTED else 0)

    @rule(seq=st.integers(0, 5))
    def restart(self, seq: int) -> None:
        self.epochs += 1
        self.starts[f"E{self.epochs}"] = seq
        self.receiver.restart(Position(f"E{self.epochs}", seq), "epoch")

    @rule()
    def caught_up(self) -> None:
        self.receiver.mark_caught_up()

    @rule(size=st.integers(1, 200))
    def drop(self, size: int) -> None:
        taken, held = self.receiver.taken, self.receiver.held_bytes
        freed = self.receiver.drop_newest(size)
        assert self.receiver.taken == taken
        assert freed == held - self.receiver.held_bytes
        assert freed < size + 20 + MESSAGE_CHARGE

    @precondition(lambda self: not self.receiver.is_empty)
    @rule()
    def take(self) -> None:
        event = self.receiver.next_event()
        assert event is not None
        self._meet(event)

    @rule()
    def take_batch(self) -> None:
        for message in self.receiver.next_batch():
            self._meet(message)

    def _meet(self, event: ChannelEvent) -> None:
        """P1 and P2 at the application's edge."""
        match event:
            case Message():
                assert event.position == Position(self.at.epoch, self.at.seq + 1)
                assert event.payload == str(event.seq).encode(), "a number is one message"
                self.at = event.position
            case Lost():
                assert (event.epoch, event.first) == (self.at.epoch, self.at.seq + 1)
                assert event.last >= event.first
                self.at = Position(event.epoch, event.last)
            case Reset():
                self.at = event.position
            case CaughtUp():
                assert event.position == self.at

    @invariant()
    def taken_is_what_was_met(self) -> None:
        assert self.receiver.taken == self.at

    @invariant()
    def acks_are_honest(self) -> None:
        """P5: never above what was taken, nor beyond the position."""
        position = self._go_on()
        assert self.receiver.ack_seq <= position.seq
        if position.epoch == self.at.epoch:
            assert self.receiver.ack_seq == self.at.seq
        else:
            assert self.receiver.ack_seq == self.starts[position.epoch], "its reset isn't taken"

    @invariant()
    def an_empty_inbox_is_one_that_was_taken(self) -> None:
        if self.receiver.is_empty:
            assert self.receiver.taken == self.receiver.position
            assert self.receiver.ack_seq == self.at.seq
            assert (self.receiver.held_bytes, self.receiver.held_messages) == (0, 0)

    @invariant()
    def markers_are_bounded(self) -> None:
        """P3: at most three markers behind each run, whatever the sender does."""
        receiver = self.receiver
        assert len(inside(receiver, "_inbox")) <= 4 * (receiver.held_messages + 1)


TestAnySequence = ReceiverMachine.TestCase


@given(st.lists(st.lists(st.binary(max_size=9), min_size=1, max_size=200), max_size=8))
def test_what_is_held_is_charged_to_the_byte(batches: list[list[bytes]]) -> None:
    """P3: payload and 32 a message, in and out, whichever way they are taken."""
    receiver, held = a_receiver(), 0
    for batch in batches:
        position = receiver.position
        assert position is not None
        receiver.receive(position.seq + 1, batch, False)
        held += charge(batch)
        assert receiver.held_bytes == held
    for turn in range(10_000):
        taken = receiver.next_batch() if turn % 5 == 4 else [receiver.next_event()]
        payloads = [message.payload for message in taken if isinstance(message, Message)]
        if not payloads and receiver.is_empty:
            break
        held -= charge(payloads)
        assert receiver.held_bytes == held
    assert (held, receiver.held_messages) == (0, 0)


def test_without_a_position_nothing_can_be_received_and_nothing_changes() -> None:
    receiver = Receiver("news")
    with pytest.raises(InvalidState, match="'news' has no position"):
        receiver.receive(1, [b"a"], False)
    with pytest.raises(InvalidState, match="start it first"):
        receiver.receive_gone(1, 1, "rotated")
    assert (receiver.held_messages, receiver.held_bytes, receiver.position) == (0, 0, None)
    receiver.start(Position("e", 0))
    assert receiver.receive(1, [b"a"], False) is Verdict.ACCEPTED

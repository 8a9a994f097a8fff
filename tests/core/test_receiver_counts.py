"""Receiver: what it counts adds up, and what it takes is what it says (I8, I22)."""

from gapless.core.credit import MESSAGE_CHARGE
from gapless.core.events import CaughtUp
from gapless.core.position import Position
from gapless.core.receiver import MARKERS, MESSAGE_BYTES, RUN_BYTES, Receiver, Run

from .parts import EVERYTHING, inside


def a_receiver(epoch: str = "E1") -> Receiver:
    return Receiver("news", Position(epoch, 0))


class TestCounts:
    def test_duplicates_and_losses_add_up(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a", b"b", b"c"], False)
        receiver.receive(1, [b"a", b"b"], False)
        receiver.receive(2, [b"b", b"c", b"d"], False)
        receiver.receive_gone(5, 6, "rotated")
        while receiver.next_event() is not None:
            pass
        receiver.receive_gone(7, 7, "rotated")
        assert (receiver.duplicates, receiver.lost, receiver.taken_messages) == (4, 3, 4)

    def test_a_reset_that_is_forgotten_waits_no_more(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a"], False)
        receiver.restart(Position("E2", 0), "epoch")
        receiver.receive(1, [b"b"], False)
        receiver.restart(Position("E3", 7), "epoch")
        receiver.restart(Position("E4", 8), "epoch")
        assert receiver.resets == 2, "a reset swallows the one right before it"
        receiver.drop_newest(EVERYTHING)
        assert (receiver.resets, receiver.ack_seq) == (1, 0)
        receiver.drop_newest(EVERYTHING)
        assert (receiver.resets, receiver.is_empty) == (0, True)

    def test_what_frees_just_enough_is_enough(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"aaaa", b"bbbb", b"cccc"], False)
        assert receiver.drop_newest(4 + MESSAGE_CHARGE) == 4 + MESSAGE_CHARGE
        assert receiver.held_messages == 2


class TestMemory:
    def test_p3_a_message_that_was_taken_is_the_applications_alone(self) -> None:
        """Else the inbox would keep what it no longer counts until the whole run is taken."""
        receiver = a_receiver()
        receiver.receive(1, [b"aaaa", b"bbbb"], False)
        receiver.next_event()
        assert inside(receiver, "_inbox")[0].payloads == [b"", b"bbbb"]

    def test_i8_each_message_and_each_run_above_what_the_owner_counts_costs(self) -> None:
        receiver = a_receiver()
        assert receiver.memory == 0
        for seq in range(1, MARKERS + 3):
            receiver.receive(seq, [b"abc"], bool(seq % 2))
        messages = (MARKERS + 2) * (3 + MESSAGE_BYTES)
        assert receiver.memory == messages + 2 * RUN_BYTES
        receiver.next_event()
        assert receiver.memory == messages - (3 + MESSAGE_BYTES) + RUN_BYTES
        receiver.drop_all()
        assert receiver.memory == 0

    def test_p3_losses_side_by_side_cost_nothing(self) -> None:
        receiver = a_receiver()
        for seq in range(1, 100):
            receiver.receive_gone(seq, seq, "rotated")
        assert receiver.memory == 0

    def test_resets_that_wait_are_counted(self) -> None:
        receiver = a_receiver()
        receiver.receive(1, [b"a"], False)
        receiver.restart(Position("E2", 0), "epoch")
        receiver.receive(1, [b"b"], False)
        receiver.restart(Position("E3", 4), "epoch")
        assert (receiver.resets, receiver.ack_seq) == (2, 4)
        receiver.next_event()
        receiver.next_event()
        assert (receiver.resets, receiver.ack_seq) == (1, 4)
        receiver.next_event()
        receiver.next_event()
        assert (receiver.resets, receiver.ack_seq) == (0, 4)


class TestTaking:
    def test_a_run_that_was_begun_is_the_rest_of_what_it_was(self) -> None:
        receiver = a_receiver("E7")
        receiver.receive(1, [b"a", b"b"], True)
        receiver.next_event()
        assert receiver.next_run() == Run("E7", 2, [b"b"], True)

    def test_the_mark_says_of_which_channel_it_is(self) -> None:
        receiver = a_receiver()
        receiver.mark_caught_up()
        assert receiver.next_event() == CaughtUp("news", Position("E1", 0))

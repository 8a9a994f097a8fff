"""ReorderBuffer: what comes too early is held within bounds, holes are asked for, then given up."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gapless.core.config import MIB, Config
from gapless.core.credit import charge
from gapless.core.errors import ConfigError
from gapless.core.events import ChannelEvent, Lost, Message, Reset
from gapless.core.position import MAX_SEQ, Position
from gapless.core.receiver import Receiver, Verdict
from gapless.core.reorder import GapPolicy, Missing, ReorderBuffer

POLICY = GapPolicy(max_ahead=10, max_bytes=1000, max_holes=3, wait=1.0, ask_again=2.0, max_asks=2)


class Desk:
    """A buffer in virtual time; each message's payload is its number."""

    def __init__(self, policy: GapPolicy = POLICY) -> None:
        self.receiver = Receiver("feed", Position("E", 0))
        self.buffer = ReorderBuffer(self.receiver, policy)
        self.now = 0.0

    def receive(self, *numbers: int) -> list[Verdict]:
        return [self.buffer.receive(n, [b"%d" % n], False, now=self.now) for n in numbers]

    def pass_time(self, seconds: float) -> list[Missing]:
        """Let time pass, deadline by deadline; returns what was asked for."""
        end, asked = self.now + seconds, list[Missing]()
        while (at := self.buffer.next_deadline()) is not None and at <= end:
            self.now = at
            self.buffer.handle_timeout(now=at)
            later = self.buffer.next_deadline()
            assert later is None or later > at, "I12"
            asked += self.requests()
        self.now = end
        return asked

    def requests(self) -> list[Missing]:
        return list(iter(self.buffer.next_request, None))

    def taken(self) -> list[object]:
        """Take everything; messages as their numbers, checked."""
        events: list[ChannelEvent] = list(iter(self.receiver.next_event, None))
        for event in events:
            assert not isinstance(event, Message) or event.payload == b"%d" % event.seq
        return [event.seq if isinstance(event, Message) else event for event in events]


class TestHolding:
    def test_in_order_nothing_is_held_and_no_timer_runs(self) -> None:
        desk = Desk()
        assert desk.receive(1, 2, 3) == [Verdict.ACCEPTED] * 3
        assert (desk.buffer.held_messages, desk.buffer.next_deadline()) == (0, None)
        assert desk.taken() == [1, 2, 3]

    def test_what_overtook_others_waits_for_them(self) -> None:
        desk = Desk()
        assert desk.receive(3, 2) == [Verdict.GAP] * 2
        assert desk.taken() == []
        assert desk.buffer.missing() == [Missing(1, 1)]
        assert desk.receive(1) == [Verdict.ACCEPTED]
        assert desk.taken() == [1, 2, 3]
        assert desk.buffer.missing() == []
        assert desk.buffer.next_deadline() is None

    def test_a_batch_closes_a_hole_in_the_middle_and_what_is_there_twice_counts_once(self) -> None:
        desk = Desk()
        desk.receive(4, 8)
        desk.buffer.receive(3, [b"3", b"4", b"5", b"6"], False, now=0.0)
        assert desk.buffer.missing() == [Missing(1, 2), Missing(7, 7)]
        assert desk.receiver.duplicates == 1
        desk.receive(1, 2, 7)
        assert desk.taken() == [1, 2, 3, 4, 5, 6, 7, 8]
        assert desk.buffer.held_bytes == 0

    def test_a_batch_that_reaches_into_what_is_held_makes_that_a_duplicate(self) -> None:
        desk = Desk()
        desk.receive(3)
        desk.buffer.receive(1, [b"1", b"2", b"3", b"4"], False, now=0.0)
        assert desk.taken() == [1, 2, 3, 4]
        assert desk.receiver.duplicates == 1

    def test_text_and_binary_are_told_apart(self) -> None:
        desk = Desk()
        desk.buffer.receive(2, [b"2"], True, now=0.0)
        desk.receive(3, 1)
        events = list(iter(desk.receiver.next_event, None))
        assert [event.is_text for event in events if isinstance(event, Message)] == [
            False,
            True,
            False,
        ]

    def test_the_word_of_a_loss_closes_a_hole(self) -> None:
        desk = Desk()
        desk.receive(3)
        assert desk.buffer.receive_gone(5, 9, "rotated", now=0.0) is Verdict.GAP
        assert desk.buffer.receive_gone(1, 2, "rotated", now=0.0) is Verdict.ACCEPTED
        assert desk.taken() == [Lost("feed", "E", 1, 2, "rotated"), 3]

    def test_a_restart_forgets_what_is_held(self) -> None:
        desk = Desk()
        desk.receive(3, 99)
        desk.buffer.restart(Position("F", 7), "epoch")
        assert desk.taken() == [Reset("feed", Position("F", 7), "epoch")]
        assert (desk.buffer.held_bytes, desk.buffer.missing()) == (0, [])
        desk.receive(8)
        assert desk.taken() == [8]


class TestBounds:
    @pytest.mark.parametrize("number", [12, 1000, 2**53, MAX_SEQ])
    def test_i7_a_high_number_alone_holds_nothing_and_moves_nothing(self, number: int) -> None:
        desk = Desk()
        desk.receive(number)
        assert desk.buffer.held_messages == 0
        assert desk.buffer.missing() == [Missing(1, None)]
        asked = desk.pass_time(100.0)
        assert asked == [Missing(1, None)] * 2
        assert desk.taken() == []
        assert desk.receiver.position == Position("E", 0)
        assert desk.buffer.missing() == [], "it was a number and no more"

    def test_what_is_too_far_ahead_is_asked_for_behind_what_is_held(self) -> None:
        desk = Desk()
        desk.buffer.receive(2, [b"%d" % n for n in range(2, 20)], False, now=0.0)
        assert desk.buffer.held_messages == 10
        assert desk.buffer.missing() == [Missing(1, 1), Missing(12, None)]
        desk.receive(1)
        assert desk.taken() == list(range(1, 12))
        assert desk.buffer.missing() == [Missing(12, None)], "it is known that there was more"
        desk.receive(12)
        assert desk.buffer.missing() == [Missing(13, None)]
        desk.buffer.receive(13, [b"%d" % n for n in range(13, 20)], False, now=0.0)
        assert desk.buffer.missing() == []

    def test_it_is_asked_for_until_the_furthest_that_was_dropped_has_come(self) -> None:
        desk = Desk()
        desk.receive(30, 20)
        assert desk.buffer.next_deadline() == 1.0
        desk.receive(*range(1, 30))
        assert desk.buffer.missing() == [Missing(30, None)]
        desk.receive(30)
        assert (desk.buffer.missing(), desk.buffer.next_deadline()) == ([], None)

    def test_of_a_batch_what_is_not_too_far_ahead_is_held(self) -> None:
        desk = Desk()
        desk.buffer.receive(5, [b"%d" % n for n in range(5, 12)], False, now=0.0)
        assert desk.buffer.missing() == [Missing(1, 4)], "the last is ten above the next"
        desk = Desk()
        desk.buffer.receive(5, [b"%d" % n for n in range(5, 13)], False, now=0.0)
        assert desk.buffer.missing() == [Missing(1, 4), Missing(12, None)]
        desk.receive(1, 2, 3, 4)
        assert desk.buffer.missing() == [Missing(12, None)]
        desk.receive(12)
        assert desk.buffer.missing() == []

    def test_what_is_held_in_parts_is_a_duplicate_in_each(self) -> None:
        desk = Desk()
        desk.receive(3, 5)
        desk.buffer.receive(2, [b"%d" % n for n in range(2, 7)], False, now=0.0)
        assert (desk.receiver.duplicates, desk.buffer.held_messages) == (2, 5)

    def test_bytes_are_bounded(self) -> None:
        desk = Desk(replace(POLICY, max_bytes=charge([b"3"]) + charge([bytes(20)])))
        desk.receive(3)
        desk.buffer.receive(5, [bytes(21)], False, now=0.0)
        assert (desk.buffer.held_messages, desk.buffer.missing()[-1]) == (1, Missing(4, None))
        desk.buffer.receive(5, [bytes(20)], False, now=0.0)
        assert desk.buffer.held_messages == 2

    def test_holes_are_bounded_and_one_that_closes_makes_room(self) -> None:
        desk = Desk()
        desk.receive(2, 4, 6, 8)
        assert desk.buffer.missing() == [
            Missing(1, 1),
            Missing(3, 3),
            Missing(5, 5),
            Missing(7, None),
        ]
        desk.receive(3, 8)
        assert desk.buffer.missing()[:3] == [Missing(1, 1), Missing(5, 5), Missing(7, 7)]


class TestAsking:
    def test_a_hole_may_close_by_itself_before_it_is_asked_for(self) -> None:
        desk = Desk()
        desk.receive(2)
        assert desk.pass_time(0.9) == []
        desk.receive(1)
        assert desk.pass_time(100.0) == []

    def test_it_is_asked_for_again_and_then_lost(self) -> None:
        desk = Desk()
        desk.receive(4, 5)
        assert desk.pass_time(1.0) == [Missing(1, 3)]
        assert desk.pass_time(1.9) == []
        assert desk.pass_time(0.1) == [Missing(1, 3)]
        assert desk.taken() == []
        assert desk.pass_time(2.0) == []
        assert desk.taken() == [Lost("feed", "E", 1, 3, "gap"), 4, 5]
        assert desk.buffer.next_deadline() is None

    def test_or_reset_where_later_messages_mean_nothing_without_the_earlier(self) -> None:
        desk = Desk(replace(POLICY, give_up="reset"))
        desk.receive(4, 5)
        desk.pass_time(5.0)
        assert desk.taken() == [Reset("feed", Position("E", 3), "gap"), 4, 5]

    def test_each_hole_has_its_own_time_and_the_younger_waits_for_the_older(self) -> None:
        desk = Desk()
        desk.receive(2)
        desk.pass_time(0.5)
        desk.receive(5)
        assert desk.pass_time(0.5) == [Missing(1, 1)]
        assert desk.pass_time(0.5) == [Missing(3, 4)]
        desk.pass_time(100.0)
        assert desk.taken() == [
            Lost("feed", "E", 1, 1, "gap"),
            2,
            Lost("feed", "E", 3, 4, "gap"),
            5,
        ]

    def test_a_younger_hole_that_was_asked_for_in_vain_goes_with_the_older(self) -> None:
        """A closed older hole doesn't begin the asking for one that is hopeless anew."""
        desk = Desk(replace(POLICY, max_asks=1))
        desk.receive(5)
        desk.pass_time(0.5)
        desk.receive(3)
        desk.pass_time(100.0)
        assert desk.taken() == [
            Lost("feed", "E", 1, 2, "gap"),
            3,
            Lost("feed", "E", 4, 4, "gap"),
            5,
        ]

    def test_a_hole_that_shrinks_gets_its_time_anew(self) -> None:
        desk = Desk()
        desk.receive(4)
        desk.pass_time(4.9)
        desk.receive(1)
        desk.pass_time(0.9)
        assert desk.taken() == [1]
        assert desk.buffer.missing() == [Missing(2, 3)]

    def test_a_hole_that_is_split_is_no_younger(self) -> None:
        desk = Desk()
        desk.receive(5)
        assert desk.pass_time(1.0) == [Missing(1, 4)]
        desk.receive(3)
        assert desk.pass_time(1.9) == []
        assert desk.pass_time(0.1) == [Missing(1, 2), Missing(4, 4)]

    def test_a_late_or_early_timeout_is_harmless(self) -> None:
        desk = Desk()
        desk.buffer.handle_timeout(now=5.0)
        desk.receive(2)
        desk.buffer.handle_timeout(now=0.5)
        assert desk.requests() == []
        desk.buffer.handle_timeout(now=1000.0)
        assert desk.requests() == [Missing(1, 1)], "a clock that jumped is no reason to give up"
        assert desk.requests() == []


class TestPolicy:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("max_ahead", 0),
            ("max_bytes", 1.5),
            ("max_holes", True),
            ("max_asks", -1),
            ("wait", -0.1),
            ("wait", float("nan")),
            ("ask_again", 0),
            ("ask_again", "1"),
            ("wait", True),
            ("give_up", "hope"),
        ],
    )
    def test_a_value_that_can_not_be_is_named(self, field: str, value: Any) -> None:
        with pytest.raises(ConfigError, match=f"GapPolicy.{field} is "):
            GapPolicy(**{field: value})


class Feed(RuleBasedStateMachine):
    """Any order, any repeats, any losses: the application meets every number once, or its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.next = 1
        self.received: set[int] = set()

    @rule(ahead=st.integers(-3, 14), count=st.integers(1, 6))
    def receive(self, ahead: int, count: int) -> None:
        position = self.desk.receiver.position
        assert position is not None
        first = max(1, position.seq + 1 + ahead)
        payloads = [b"%d" % n for n in range(first, first + count)]
        self.desk.buffer.receive(first, payloads, False, now=self.desk.now)
        self.received.update(range(first, first + count))

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.desk.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.5, 50.0]))
    def jump(self, seconds: float) -> None:
        self.desk.now += seconds
        self.desk.buffer.handle_timeout(now=self.desk.now)

    @invariant()
    def all_is_met_once_and_in_order(self) -> None:
        """P1, P2, I1: nothing that was delivered is said to be lost, nothing is skipped."""
        for event in self.desk.taken():
            if isinstance(event, int):
                assert event == self.next
                assert event in self.received
                self.next += 1
            else:
                assert isinstance(event, Lost)
                assert event.first == self.next
                self.next = event.last + 1
                assert self.next in self.received, "I7: given up to a message that is held"

    @invariant()
    def the_bounds_hold(self) -> None:
        """P3, and that a hole has a timer (P4)."""
        buffer = self.desk.buffer
        missing = buffer.missing()
        assert buffer.held_messages <= POLICY.max_ahead
        assert buffer.held_bytes <= POLICY.max_bytes
        assert sum(hole.last is not None for hole in missing) <= POLICY.max_holes
        assert (buffer.next_deadline() is None) is (not missing)
        for hole, following in pairwise(missing):
            assert hole.last is not None
            assert hole.first <= hole.last < following.first - 1

    def teardown(self) -> None:
        """P4: left alone, it comes to rest."""
        self.desk.pass_time(1000.0)
        assert self.desk.buffer.missing() == []
        assert self.desk.buffer.held_messages == 0
        self.all_is_met_once_and_in_order()


TestFeed = Feed.TestCase


@given(st.permutations(range(1, 9)))
def test_any_order_of_what_all_comes_is_the_right_order(order: list[int]) -> None:
    desk = Desk(replace(POLICY, max_holes=8))
    desk.receive(*order)
    assert desk.taken() == list(range(1, 9))
    assert desk.receiver.duplicates == 0


def test_a_config_says_how_much_is_held_beyond_a_gap() -> None:
    policy = GapPolicy.of(Config(max_gap=7, history_bytes=2 * MIB))
    assert (policy.max_ahead, policy.max_bytes) == (7, 2 * MIB)
    assert GapPolicy.of(Config.production()).max_ahead == 100

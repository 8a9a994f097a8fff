"""Channel: pins hold back rotation, lapse, and hold again (design 7)."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gapless.core.channel import Admission, Channel

from .parts import a_channel, fill


def publish(channel: Channel, *, now: float = 0.0, size: int = 1) -> Admission:
    """Publish one message, if there is room for it."""
    admission = channel.admit(size, now=now)
    if admission is Admission.ROOM:
        channel.append([b"x" * size], False, None, now=now)
    return admission


def full(*, overflow: str = "wait", acked: int = 0) -> Channel:
    """Eight messages of eight, and a reader that has taken some of them."""
    channel = a_channel(overflow=overflow)
    fill(channel, 8)
    channel.pin("ann", acked, now=0.0)
    return channel


class TestPins:
    def test_what_a_pin_needs_waits_is_rejected_or_rotated_as_set(self) -> None:
        assert publish(full(overflow="wait")) is Admission.WAIT
        assert publish(full(overflow="reject")) is Admission.REJECT
        assert publish(full(overflow="rotate")) is Admission.ROOM

    def test_what_was_taken_is_not_held_back(self) -> None:
        channel = full(acked=1)
        assert publish(channel) is Admission.ROOM
        assert publish(channel) is Admission.WAIT

    def test_an_ack_makes_room(self) -> None:
        channel = full()
        assert publish(channel) is Admission.WAIT
        assert channel.ack("ann", 2, now=0.5)
        assert publish(channel, now=0.5) is Admission.ROOM
        assert publish(channel, now=0.5) is Admission.ROOM
        assert publish(channel, now=0.5) is Admission.WAIT

    def test_only_an_ack_moves_a_pin_and_never_back(self) -> None:
        """Model item 9: a later subscribe neither raises nor lowers it."""
        channel = full(acked=2)
        channel.pin("ann", 8, now=0.0)
        channel.pin("ann", 0, now=0.0)
        assert not channel.ack("ann", 1, now=0.0)
        assert not channel.ack("ann", 2, now=0.0)
        assert not channel.ack("bob", 8, now=0.0), "who has no pin moves none"
        publish(channel)
        publish(channel)
        assert publish(channel) is Admission.WAIT
        assert channel.history.first == 3

    def test_unsubscribing_ends_it(self) -> None:
        channel = full()
        assert channel.is_pinned_by("ann")
        channel.unpin("ann")
        channel.unpin("ann")
        assert not channel.is_pinned_by("ann")
        assert publish(channel) is Admission.ROOM

    def test_the_slowest_of_several_counts(self) -> None:
        channel = full(acked=8)
        channel.pin("bob", 0, now=0.0)
        assert publish(channel) is Admission.WAIT
        channel.unpin("bob")
        assert publish(channel) is Admission.ROOM


class TestPatience:
    def test_a_pin_lapses_when_something_untaken_has_waited_too_long(self) -> None:
        channel = full()
        assert publish(channel, now=0.999) is Admission.WAIT
        assert channel.next_lapse() == 1.0
        assert publish(channel, now=1.0) is Admission.ROOM
        assert channel.losses.reason == "stalled"
        assert channel.next_lapse() is None

    def test_an_ack_that_moves_gives_new_patience(self) -> None:
        channel = full()
        channel.ack("ann", 1, now=0.9)
        publish(channel, now=0.9)
        assert channel.next_lapse() == 1.9
        assert publish(channel, now=1.8) is Admission.WAIT
        assert publish(channel, now=1.9) is Admission.ROOM

    def test_having_nothing_to_take_never_ends_it(self) -> None:
        """Model item 9: an idle reader that lost its pin lost messages at the next burst."""
        channel = full(acked=8)
        for _ in range(8):
            assert publish(channel, now=5000.0) is Admission.ROOM
        assert publish(channel, now=5000.0) is Admission.WAIT
        assert channel.next_lapse() == 5001.0

    def test_patience_begins_with_the_oldest_message_not_taken(self) -> None:
        channel = a_channel()
        channel.pin("ann", 0, now=0.0)
        fill(channel, 4, now=10.0)
        fill(channel, 4, now=10.8)
        channel.ack("ann", 4, now=10.1)
        for _ in range(4):
            publish(channel, now=10.9)
        assert channel.next_lapse() == 11.8

    def test_a_lapsed_pin_holds_again_once_it_acks_what_is_still_held(self) -> None:
        channel = full()
        publish(channel, now=1.0)
        assert channel.history.first == 2
        assert not channel.ack("ann", 1, now=1.5), "it held nothing back"
        assert publish(channel, now=1.5) is Admission.WAIT
        assert channel.losses.reason == "stalled"
        channel.ack("ann", 9, now=1.6)
        publish(channel, now=1.6)
        assert channel.losses.reason == "rotated"

    def test_a_lapsed_pin_that_is_too_far_behind_stays_lapsed(self) -> None:
        channel = full()
        for _ in range(4):
            publish(channel, now=1.0)
        channel.ack("ann", 2, now=1.1)
        assert publish(channel, now=1.1) is Admission.ROOM
        assert channel.next_lapse() is None

    def test_a_lapsed_pin_that_ends_no_longer_colours_the_reason(self) -> None:
        channel = full()
        publish(channel, now=1.0)
        channel.unpin("ann")
        publish(channel, now=1.0)
        assert channel.losses.reason == "rotated"

    def test_a_lapsed_pin_does_not_hide_one_that_holds(self) -> None:
        channel = full()
        channel.pin("bob", 0, now=0.0)
        channel.ack("bob", 1, now=0.9)
        assert publish(channel, now=1.0) is Admission.ROOM
        assert publish(channel, now=1.0) is Admission.WAIT


@dataclass
class ModelPin:
    acked: int
    moved_at: float
    lapsed: bool = False


class PinMachine(RuleBasedStateMachine):
    """Pins against brute force: every pin is asked, for every message, every time."""

    overflow = "wait"

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.channel = a_channel(history_messages=4, history_bytes=100, overflow=self.overflow)
        self.first = 1
        self.appended: list[float] = []
        self.pins: dict[str, ModelPin] = {}
        self.waits = False

    @property
    def head(self) -> int:
        return self.first + len(self.appended) - 1

    def _lapses_at(self, pin: ModelPin) -> float:
        return max(pin.moved_at, self.appended[0]) + 1.0

    def _holds(self, pin: ModelPin) -> bool:
        """Whether a pin needs the oldest message; marks it if it has lost its patience."""
        if pin.lapsed or pin.acked >= self.first:
            return False
        pin.lapsed = self.now >= self._lapses_at(pin)
        return not pin.lapsed

    @rule(count=st.integers(1, 3))
    def publish(self, count: int) -> None:
        expected = Admission.ROOM
        while len(self.appended) + count > 4:
            holding = [self._holds(pin) for pin in self.pins.values()]
            if True in holding and self.overflow != "rotate":
                expected = Admission.WAIT
                break
            del self.appended[0]
            self.first += 1
        admission = self.channel.admit(count, count, now=self.now)
        assert admission is expected
        self.waits = admission is Admission.WAIT
        if admission is Admission.ROOM:
            self.channel.append([b"x"] * count, False, None, now=self.now)
            self.appended += [self.now] * count

    @rule(owner=st.sampled_from("abc"), behind=st.integers(0, 4))
    def pin(self, owner: str, behind: int) -> None:
        acked = max(self.first - 1, self.head - behind)
        self.channel.pin(owner, acked, now=self.now)
        self.pins.setdefault(owner, ModelPin(acked, self.now))

    @rule(owner=st.sampled_from("abc"))
    def unpin(self, owner: str) -> None:
        self.channel.unpin(owner)
        self.pins.pop(owner, None)

    @rule(owner=st.sampled_from("abc"), behind=st.integers(0, 6))
    def ack(self, owner: str, behind: int) -> None:
        seq, pin = self.head - behind, self.pins.get(owner)
        moves = pin is not None and seq > pin.acked
        holding = [pin.acked for pin in self.pins.values() if not pin.lapsed]
        told = self.channel.ack(owner, seq, now=self.now)
        assert moves or not told
        if pin is not None and moves:
            if self.waits and not pin.lapsed and pin.acked == min(holding):
                assert told, "P4: somebody waits, and this may have made room"
            self.waits = self.waits and not told
            pin.acked, pin.moved_at = seq, self.now
            pin.lapsed = pin.lapsed and seq < self.first - 1

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_same_is_held(self) -> None:
        history = self.channel.history
        assert (history.first, history.head) == (self.first, self.head)
        assert len(history) <= 4, "P3"

    @invariant()
    def the_same_lapse_is_next(self) -> None:
        holding = [pin for pin in self.pins.values() if not pin.lapsed and pin.acked < self.first]
        lapses = [self._lapses_at(pin) for pin in holding if self.appended]
        assert self.channel.next_lapse() == min(lapses, default=None)


class RotatingMachine(PinMachine):
    overflow = "rotate"


TestPinsByBruteForce = PinMachine.TestCase
TestPinsByBruteForceWhereTheyAreOverridden = RotatingMachine.TestCase

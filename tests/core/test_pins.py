"""Pins: what they hold back, when they lapse, what they take; see also test_channel_pins.py."""

from gapless.core.history import History
from gapless.core.pins import PIN_BYTES, Pins


def pinned(*acked: int, messages: int = 8, patience: float = 1.0) -> tuple[History, Pins]:
    """Messages appended at time 0, and readers a, b, c … that have taken so many."""
    history = History(max_messages=100, max_bytes=10_000)
    for _ in range(messages):
        history.append(b"x", False, None, now=0.0)
    pins = Pins(history, patience)
    for owner, seq in zip("abcdef", acked, strict=False):
        pins.add(owner, seq, now=0.0)
    return history, pins


def lapsed(pins: Pins) -> bool:
    """Whether a reader is known to have stalled, now."""
    return pins.is_any_lapsed


class TestWhatIsNeeded:
    def test_without_a_pin_nothing_is(self) -> None:
        _, pins = pinned()
        assert pins.floor == 8
        assert not pins.holds(1, now=0.0)
        assert not pins.needs(1)
        assert pins.next_lapse() is None

    def test_everything_above_the_lowest_ack_is(self) -> None:
        _, pins = pinned(5, 3)
        assert (len(pins), "a" in pins, "c" in pins) == (2, True, False)
        assert pins.floor == 3
        assert not pins.holds(3, now=0.0)
        assert pins.holds(4, now=0.0)

    def test_a_second_pin_of_one_owner_changes_nothing(self) -> None:
        _, pins = pinned(5)
        pins.add("a", 2, now=0.5)
        assert pins.floor == 5

    def test_an_ack_moves_it_and_says_whether_that_may_have_made_room(self) -> None:
        _, pins = pinned(3, 5)
        assert not pins.ack("b", 6, now=0.0), "it was not the last"
        assert pins.ack("a", 6, now=0.0)
        assert not pins.ack("a", 6, now=0.0), "it has not moved"
        assert not pins.ack("z", 8, now=0.0), "it has no pin"
        assert pins.holds(7, now=0.0)
        assert pins.floor == 6

    def test_one_that_ends_needs_nothing(self) -> None:
        _, pins = pinned(3, 5)
        pins.remove("a")
        pins.remove("a")
        assert not pins.needs(5)
        assert pins.needs(6)
        pins.clear()
        assert not pins.needs(6)
        assert len(pins) == 0


class TestLapses:
    def test_a_pin_that_does_not_move_lapses_when_the_room_is_wanted(self) -> None:
        history, pins = pinned(0)
        assert pins.holds(1, now=0.999)
        assert not lapsed(pins)
        history.drop_oldest()
        assert pins.next_lapse() == 1.0
        assert not pins.holds(1, now=1.0)
        assert lapsed(pins)
        assert pins.next_lapse() is None

    def test_none_lapses_by_being_asked_what_it_needs(self) -> None:
        _, pins = pinned(0)
        assert pins.needs(1)
        assert not lapsed(pins)

    def test_for_memory_all_that_have_stalled_lapse_whatever_they_need(self) -> None:
        """Design 5: stalled pins are the last to go, and only those."""
        history, pins = pinned(0, 4)
        assert not pins.lapse_stalled(now=0.9)
        pins.ack("b", 5, now=0.9)
        assert pins.lapse_stalled(now=1.0)
        assert pins.floor == 5
        assert pins.needs(6)
        history.drop_through(5)
        assert not pins.lapse_stalled(now=1.0), "b's has not"
        assert pins.lapse_stalled(now=1.9)
        assert not pins.needs(6)

    def test_for_memory_none_lapses_that_has_nothing_to_take(self) -> None:
        _, pins = pinned(8)
        assert not pins.lapse_stalled(now=100.0)
        _, pins = pinned(0, messages=0)
        assert not pins.lapse_stalled(now=100.0)

    def test_a_lapsed_one_holds_again_once_it_acks_what_is_held(self) -> None:
        history, pins = pinned(0)
        pins.lapse_stalled(now=1.0)
        history.drop_through(3)
        assert not pins.ack("a", 2, now=1.0)
        assert lapsed(pins), "what it needs next is gone"
        assert not pins.ack("a", 3, now=1.0)
        assert not lapsed(pins)
        assert pins.needs(4)

    def test_a_lapsed_one_that_ends_is_not_counted_any_more(self) -> None:
        _, pins = pinned(0)
        pins.lapse_stalled(now=1.0)
        pins.remove("a")
        assert not lapsed(pins)


def test_p3_each_takes_the_same() -> None:
    _, pins = pinned(1, 2, 3)
    assert pins.memory == 3 * PIN_BYTES
    pins.remove("b")
    assert pins.memory == 2 * PIN_BYTES

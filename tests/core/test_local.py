"""LocalReader: the server's own reading — no wire, no inbox, the same promises; it always pins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.channel import Channel
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset
from gapless.core.local import LOCAL_BYTES, LocalReader
from gapless.core.position import Position, Since
from gapless.core.receiver import MESSAGE_BYTES

from .parts import a_channel, fill, settings


def drain(reader: LocalReader) -> list[object]:
    """Take everything; messages as their numbers."""
    taken: list[object] = []
    while True:
        at_message, ready = reader.is_at_message, reader.is_ready
        event: ChannelEvent | None = reader.next_event(now=0.0)
        assert at_message is isinstance(event, Message)
        assert ready is (event is not None)
        if event is None:
            return taken
        taken.append(event.seq if isinstance(event, Message) else event)


def reads(channel: Channel, since: Since) -> LocalReader:
    return LocalReader(channel, since, now=0.0)


@pytest.mark.parametrize(
    ("since", "taken"),
    [
        ("latest", [CaughtUp("news", Position("E1", 12))]),
        ("earliest", [5, 6, 7, 8, 9, 10, 11, 12, CaughtUp("news", Position("E1", 12))]),
        (Position("E1", 10), [11, 12, CaughtUp("news", Position("E1", 12))]),
        (
            Position("E1", 2),
            [
                Lost("news", "E1", 3, 4, "rotated"),
                *range(5, 13),
                CaughtUp("news", Position("E1", 12)),
            ],
        ),
        (
            Position("E1", 99),
            [
                Reset("news", Position("E1", 12), "ahead"),
                CaughtUp("news", Position("E1", 12)),
            ],
        ),
        (
            Position("E0", 10),
            [
                Reset("news", Position("E1", 4), "epoch"),
                *range(5, 13),
                CaughtUp("news", Position("E1", 12)),
            ],
        ),
    ],
)
def test_it_starts_where_it_is_told_and_says_what_it_can_not_have(
    since: Since, taken: list[object]
) -> None:
    channel = a_channel()
    fill(channel, 12)
    reader = reads(channel, since)
    assert drain(reader) == taken
    assert reader.position == Position("E1", 12)


def test_a_message_says_who_published_it() -> None:
    channel = a_channel()
    channel.append([b"a"], True, "@session", now=0.0)
    event = reads(channel, "earliest").next_event(now=0.0)
    assert event == Message("news", "E1", 1, b"a", True, "@session")


def test_what_comes_later_is_taken_when_it_comes() -> None:
    channel = a_channel()
    reader = reads(channel, "latest")
    drain(reader)
    fill(channel, 2)
    assert drain(reader) == [1, 2]


def test_it_always_pins_and_every_take_moves_the_pin() -> None:
    channel = a_channel()
    reader = reads(channel, "earliest")
    fill(channel, 8)
    drain(reader)
    fill(channel, 8)
    assert channel.admit(1, now=0.0).value == "wait"
    assert isinstance(reader.next_event(now=0.0), Message)
    assert channel.admit(1, now=0.0).value == "room"


def test_leaving_ends_the_pin() -> None:
    channel = a_channel()
    reader = reads(channel, "earliest")
    reader.leave()
    fill(channel, 20)
    assert not channel.is_pinned_by(reader)


def test_a_reader_that_lost_its_patience_goes_on_in_the_middle_and_is_told() -> None:
    """P2."""
    channel = a_channel()
    reader = reads(channel, "earliest")
    fill(channel, 8)
    drain(reader)
    fill(channel, 8)
    assert channel.admit(1, now=5.0).value == "room"
    channel.append([b"17"], False, None, now=5.0)
    assert drain(reader) == [Lost("news", "E1", 9, 13, "stalled"), 14, 15, 16, 17]


def test_a_new_epoch_is_a_reset_and_pins_anew() -> None:
    channel = a_channel()
    fill(channel, 5)
    reader = reads(channel, Position("E1", 2))
    channel.start_over("E2", 0, 1)
    fill(channel, 2)
    assert drain(reader) == [
        Reset("news", Position("E2", 0), "epoch"),
        1,
        2,
        CaughtUp("news", Position("E2", 2)),
    ]
    assert channel.is_pinned_by(reader)


def test_a_new_epoch_covers_a_marker_not_taken_yet() -> None:
    """P2: exactly one."""
    channel = a_channel()
    fill(channel, 12)
    reader = reads(channel, Position("E1", 0))
    channel.start_over("E2", 0, 1)
    assert drain(reader) == [
        Reset("news", Position("E2", 0), "epoch"),
        CaughtUp("news", Position("E2", 0)),
    ]


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.booleans()), max_size=30))
def test_all_is_met_in_order_or_in_one_marker(script: list[tuple[int, int, bool]]) -> None:
    channel = a_channel(overflow="rotate")
    reader, at, epochs = reads(channel, "earliest"), Position("E1", 0), 1
    for published, taken, renewed in script:
        if renewed:
            epochs += 1
            channel.start_over(f"E{epochs}", 0, 1)
        fill(channel, published)
        for _ in range(taken):
            match reader.next_event(now=0.0):
                case Message() as message:
                    assert message.position == Position(at.epoch, at.seq + 1)
                    at = message.position
                case Lost(_, epoch, first, last, _):
                    assert (epoch, first) == (at.epoch, at.seq + 1)
                    at = Position(epoch, last)
                case Reset(_, position, _):
                    at = position
                case CaughtUp(_, position):
                    assert position == at
                case None:
                    after = reader.next_read()
                    if after is None:
                        assert at == Position(channel.epoch, channel.head)
                    else:
                        # The store has lost it: then it is gone.
                        reader.handle_history([], False, after)
        assert reader.position == at or reader.is_ready or reader.next_read() is not None


class TestStore:
    """A history that begins at 6, and a store that still has 3 … 5."""

    def stored(self) -> tuple[Channel, LocalReader]:
        channel = Channel("news", 7, "E1", settings(), head=5, stored_first=3)
        fill(channel, 1)
        return channel, reads(channel, Position("E1", 2))

    def test_rule_6_what_is_not_held_is_read_from_the_store_once(self) -> None:
        _, reader = self.stored()
        assert drain(reader) == []
        assert (reader.next_read(), reader.next_read()) == (2, None)
        assert reader.memory == LOCAL_BYTES
        reader.handle_history([b"3", b"4"], True, 2)
        assert reader.memory == LOCAL_BYTES + 2 * (1 + MESSAGE_BYTES), "I8"
        assert reader.next_event(now=0.0) == Message("news", "E1", 3, b"3", True)
        assert reader.memory == LOCAL_BYTES + 1 + MESSAGE_BYTES
        assert drain(reader) == [4]
        assert reader.next_read() == 4, "the store gave less than it has"
        reader.handle_history([b"5"], False, 4)
        assert drain(reader) == [5, 6, CaughtUp("news", Position("E1", 6))]
        assert reader.memory == LOCAL_BYTES

    def test_what_the_store_no_longer_has_is_lost(self) -> None:
        """P2: whatever it claims to hold."""
        _, reader = self.stored()
        drain(reader)
        assert reader.next_read() == 2
        reader.handle_history([], False, 2)
        assert drain(reader) == [
            Lost("news", "E1", 3, 5, "rotated"),
            6,
            CaughtUp("news", Position("E1", 6)),
        ]

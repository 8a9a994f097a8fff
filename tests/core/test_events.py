"""What comes out: messages that know their place, and unions that are closed."""

from typing import get_args

import pytest

from gapless.core import events
from gapless.core.events import Append, CaughtUp, Lost, Message, ReadHistory, Reset, Settled
from gapless.core.position import Position


def test_a_message_knows_its_position_and_reads_as_text() -> None:
    message = Message("news", "E1", 7, "grüße".encode(), True)
    assert message.position == Position("E1", 7)
    assert message.text == "grüße"
    assert message.publisher is None


def test_binary_that_is_no_text_says_so() -> None:
    with pytest.raises(UnicodeDecodeError):
        _ = Message("news", "E1", 7, b"\xff").text


def test_markers_can_not_be_changed() -> None:
    for marker in (
        Lost("news", "E1", 1, 2, "rotated"),
        Reset("news", Position("E2", 0), "epoch"),
        CaughtUp("news", Position("E1", 2)),
        Settled("news", 1, 2, "accepted", "P1", 1),
    ):
        with pytest.raises(AttributeError):
            marker.channel = "other"  # type: ignore[misc]  # that is the point


def test_the_unions_name_every_case() -> None:
    """Consumers match them and end in `assert_never`; these are the cases they name."""
    assert {kind.__name__ for kind in get_args(events.ChannelEvent)} == {
        "Message",
        "Lost",
        "Reset",
        "CaughtUp",
    }
    assert {kind.__name__ for kind in get_args(events.SessionEvent)} == {
        "LinkUp",
        "LinkDown",
        "Goodbye",
        "CredentialsWanted",
        "Closed",
    }
    assert {kind.__name__ for kind in get_args(events.Command)} == {
        "OpenLink",
        "CloseLink",
        "Authorize",
        "Append",
        "ReadHistory",
    }


def test_commands_for_the_store_are_plain_data() -> None:
    append = Append(1, "news", "E1", 5, [b"a"], False, ("@s", "P1", 3))
    assert append == Append(1, "news", "E1", 5, [b"a"], False, ("@s", "P1", 3))
    assert hash(ReadHistory(2, "news", None, 0, 0)) == hash(ReadHistory(2, "news", None, 0, 0))

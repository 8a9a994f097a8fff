"""The notation: what machines take and give is written as JSON, and read back the same."""

import math
from dataclasses import dataclass, make_dataclass
from itertools import count

import msgspec.json
import pytest
from hypothesis import given, settings

from gapless.core.authorize import Grant
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import Append, LinkDown, Message, Settled
from gapless.core.frames import Ack, Data, Frame, Hello
from gapless.core.position import Position
from gapless.core.store import HistoryRead
from gapless.core.subscription import Subscription
from gapless.testing import Pair
from gapless.testing.notation import CantRead, Notation
from gapless.testing.redaction import Json, Redaction
from tests.transports.strategies import any_frame


def there_and_back(value: object) -> object:
    """Write a value, through JSON text, and read it."""
    text = msgspec.json.encode(Notation().write(value))
    written: Json = msgspec.json.decode(text)
    return Notation().read(written)


@settings(max_examples=60, deadline=None)
@given(any_frame)
def test_every_frame_comes_back(frame: Frame) -> None:
    assert there_and_back(frame) == frame


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        0.1,
        math.inf,
        "",
        "ß",
        "half \ud800",
        b"",
        b"text",
        b"\xff\x00",
        [1, [b"x"]],
        (1, "a", b"\xff"),
        Position("E1", 7),
        Ending(4003, "no", 1.5, 401),
        LinkDown(Ending(1006, "reset"), 12.5, 3),
        Message("a", "E1", 7, b"\x80", False, "@1"),
        Settled("a", 1, 3, "accepted", "E", 9),
        Grant("me", may_pin=True),
        Append(1, "a", "E1", 7, [b"x", b"y"], True, ("@1", "E2", 3)),
        HistoryRead(1, "E1", 1, 2, (b"x", b"y"), True),
        Config(history_age=4.5),
    ],
    ids=repr,
)
def test_every_kind_of_value_comes_back(value: object) -> None:
    back = there_and_back(value)

    assert back == value
    assert type(back) is type(value)


def test_a_number_with_a_name_is_the_number() -> None:
    assert there_and_back(Ending(Code.LOST, "")) == Ending(1006, "")


def test_the_bytes_kept_with_a_batch_are_not_written() -> None:
    frame = Data(1, 1, [b"x"], True, encoded={"memory:msgpack": b"secret"})

    assert "secret" not in str(Notation().write(frame))


def test_readers_are_numbered_as_they_come_and_outboxes_go_by_their_channel() -> None:
    class Special(Subscription):
        """A subclass is what it is derived from."""

    pair = Pair()
    notation = Notation()
    readers = [
        pair.peer.subscribe("a"),
        pair.subscribe("b"),
        Special("c", "latest", window=1024, requests=count(1)),
    ]
    pair.peer.publish("commands", "x")

    written = [notation.write(reader) for reader in readers]
    assert written == [{"reader": 1}, {"reader": 2}, {"reader": 3}]
    assert notation.write(readers[0]) == {"reader": 1}
    assert notation.read({"reader": 2}) is readers[1]
    assert notation.write(pair.client.outboxes[0]) == {"outbox": "commands"}


@dataclass
class Ack2:
    """Plain data, but none of ours."""

    id: int


def test_what_is_not_ours_is_written_as_unknown_and_can_not_be_read() -> None:
    notation = Notation()
    for value in ({1}, object(), Ack2(1), 2**70, {"a": 1}):
        written = notation.write(value)
        assert written == {"unknown": type(value).__name__}
        with pytest.raises(CantRead, match="can't be read"):
            notation.read(written)

    # Not even if it only has the name of one of ours.
    named: object = make_dataclass("Ack", [("id", int)])(1)
    assert notation.write(named) == {"unknown": "Ack"}
    assert notation.write(Ack(1, 2, 3)) != {"unknown": "Ack"}


@pytest.mark.parametrize(
    "written",
    [
        {"reader": 1},
        {"reader": 0},
        {"is": "Ack"},
        {"is": "Ack", "id": 1, "seq": 2, "limit": 3, "more": 4},
        {"is": "Nothing"},
        {"is": ["Ack"]},
        {"text": 1},
        {"is": "Config", "window": 0},
        {"outbox": "commands"},
    ],
    ids=str,
)
def test_what_was_never_written_can_not_be_read(written: Json) -> None:
    with pytest.raises(CantRead):
        Notation().read(written)


def test_what_is_private_goes_by_the_name_of_its_field_or_argument() -> None:
    notation = Notation(Redaction(channels=True))
    hello = Hello(1, "token-12", None, 100)

    written = notation.write(hello)
    assert written == {
        "is": "Hello",
        "version": 1,
        "token": {"~secret": [1, 8]},
        "credentials": None,
        "max_message": 100,
    }
    assert notation.write("orders", "channel") == {"~name": [1, 6]}
    assert notation.write("token-12 is old", "reason") == "00000001 is old"
    assert notation.write("latest", "since") == "latest"
    assert notation.write([b"one"], "payloads") == [{"~text": 3}]


def test_what_stands_for_something_is_read_as_the_stand_in() -> None:
    notation = Notation()

    assert notation.read({"~text": 3}) == b"xxx"
    assert notation.read({"~bytes": 2}) == b"\xff\xff"
    assert notation.read({"~secret": [5, 4]}) == "0005"

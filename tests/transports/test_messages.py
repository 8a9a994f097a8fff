"""Messages on an open connection when the library itself breaks: contained, and the end."""

from collections.abc import Generator

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Event

from gapless.core.closing import Code
from gapless.transports import Limits
from gapless.transports.frame_scout import Fault, Opcode
from gapless.transports.messages import MessageStream, Whole

from .support import BINARY, PING, TEXT, close_frame, ws


class BreaksOnBytes(Connection):
    """A library whose parser raises what it never promised."""

    broken = False

    def receive_data(self, data: bytes | None) -> None:
        if self.broken:
            raise IndexError("list index out of range")
        super().receive_data(data)


class BreaksOnEvents(Connection):
    """A library that raises behind its first event."""

    def events(self) -> Generator[Event, None, None]:
        for event in super().events():
            yield event
            raise UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range(128)")


class BreaksOnSending(Connection):
    """A library that can't even answer."""

    def send(self, event: Event) -> bytes:
        raise ValueError(event)


def a_stream(connection: Connection) -> MessageStream:
    kinds = {Opcode.TEXT, Opcode.BINARY}
    return MessageStream(connection, Limits(), takes=kinds, max_message=1000, now=0.0)


BROKEN = Fault(Code.PROTOCOL_ERROR, "a WebSocket frame is malformed")


def test_a_parser_that_raises_is_the_end() -> None:
    connection = BreaksOnBytes(ConnectionType.SERVER)
    stream = a_stream(connection)
    connection.broken = True
    assert stream.receive(ws(BINARY, b"x"), now=0.0) == [BROKEN]
    assert stream.close(1002, "malformed") == close_frame(1002, b"malformed", masked=False)


def test_what_came_before_it_raised_counts() -> None:
    stream = a_stream(BreaksOnEvents(ConnectionType.SERVER))
    items = stream.receive(ws(BINARY, b"x") + ws(BINARY, b"y"), now=0.0)
    assert items == [Whole(b"x", False), BROKEN]


def test_an_answer_that_cannot_be_made_is_none() -> None:
    stream = a_stream(BreaksOnSending(ConnectionType.SERVER))
    stream.receive(ws(PING, b"x"), now=0.0)
    assert stream.pong_to_send() == b""
    assert stream.close(1000, "") == b""
    assert stream.close_reply(1000) == b""


def test_both_kinds_of_message_where_both_are_taken() -> None:
    stream = a_stream(Connection(ConnectionType.SERVER))
    items = stream.receive(ws(TEXT, "é".encode()) + ws(BINARY, b"\xff"), now=0.0)
    assert items == [Whole("é".encode(), True), Whole(b"\xff", False)]


@pytest.mark.parametrize("role", [ConnectionType.SERVER, ConnectionType.CLIENT])
def test_a_message_passes(role: ConnectionType) -> None:
    other = {ConnectionType.SERVER: ConnectionType.CLIENT}.get(role, ConnectionType.SERVER)
    sender, receiver = a_stream(Connection(role)), a_stream(Connection(other))
    sent = sender.message("grüße".encode(), True) + sender.message(b"\xff", False)
    assert receiver.receive(sent, now=0.0) == [
        Whole("grüße".encode(), True),
        Whole(b"\xff", False),
    ]

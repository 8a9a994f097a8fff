"""The life of a WebSocket wire, both roles: frames, pongs, closes, deadlines, and the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core import frames
from gapless.core.closing import Code, Ending
from gapless.core.errors import InvalidState
from gapless.transports import (
    CodecError,
    FrameReceived,
    JsonCodec,
    Limits,
    MemoryWire,
    MsgpackCodec,
    WebSocketClient,
    WebSocketServer,
    Wire,
    WireEnded,
    WireOpened,
)

from .strategies import any_frame
from .support import (
    BINARY,
    CLOSE,
    JSON,
    MSGPACK,
    PING,
    PONG,
    TEXT,
    a_client,
    a_server,
    close_frame,
    codecs,
    cuts,
    ending_of,
    feed,
    is_finished,
    is_open,
    open_client,
    open_server,
    request,
    ws,
)

HELLO = frames.Hello(1, None, None, 1024)
ROLES = pytest.mark.parametrize("is_server", [True, False], ids=["server", "client"])
PROTOCOLS = pytest.mark.parametrize("protocol", [MSGPACK, JSON])


def a_pair() -> tuple[WebSocketClient, WebSocketServer]:
    """A client and a server that have shaken hands."""
    client, server = a_client(), a_server()
    server.receive_data(client.data_to_send(), now=0.0)
    client.receive_data(server.data_to_send(), now=0.0)
    assert is_open(client)
    assert is_open(server)
    return client, server


def opened(is_server: bool, limits: Limits | None = None) -> WebSocketServer | WebSocketClient:
    return open_server(limits=limits) if is_server else open_client(limits=limits)


def from_peer(is_server: bool, opcode: int, payload: bytes = b"") -> bytes:
    return ws(opcode, payload, masked=is_server)


class TestFrames:
    @given(sent=st.lists(any_frame, max_size=5), data=st.data())
    def test_frames_pass_both_ways_however_cut(
        self, sent: list[frames.Frame], data: st.DataObject
    ) -> None:
        client, server = a_pair()
        ways: list[tuple[Wire, Wire]] = [(client, server), (server, client)]
        for sender, receiver in ways:
            if sender is client:
                sender.send_frame(HELLO, now=0.0)
            for frame in sent:
                sender.send_frame(frame, now=0.0)
            written = sender.data_to_send()
            pieces = data.draw(cuts(written)) if written else []
            events = feed(receiver, pieces)
            received = [event.frame for event in events if isinstance(event, FrameReceived)]
            assert len(received) == len(events)
            assert received == ([HELLO, *sent] if sender is client else sent)
            assert receiver.buffered() == 0

    @PROTOCOLS
    def test_a_frame_s_size_is_that_of_its_message(self, protocol: str) -> None:
        codec = next(codec for codec in codecs() if codec.subprotocol == protocol)
        server, client = open_server(protocol=protocol), open_client(protocol=protocol)
        client.send_frame(frames.Close(1000, "é", None), now=0.0)
        (event,) = server.receive_data(client.data_to_send(), now=0.0)
        size = len(codec.encode(frames.Close(1000, "é", None)))
        assert event == FrameReceived(frames.Close(1000, "é", None), size)

    @PROTOCOLS
    def test_a_batch_is_encoded_once_for_all_readers(self, protocol: str) -> None:
        batch = frames.Data(1, 1, [b"x" * 100] * 100, True)
        readers = [open_server(protocol=protocol) for _ in range(3)]
        for reader in readers:
            reader.send_frame(batch, now=0.0)
        name = "json" if protocol == JSON else "msgpack"
        assert batch.encoded is not None
        cached = batch.encoded[f"ws:{name}"]
        assert [reader.data_to_send() for reader in readers] == [cached] * 3
        client = open_client(protocol=protocol)
        assert client.receive_data(cached, now=0.0) == [FrameReceived(batch, len(cached) - 4)]

    def test_a_cached_batch_is_written_without_a_copy(self) -> None:
        batch = frames.Data(1, 1, [b"x" * 100], False)
        reader = open_server()
        reader.send_frame(batch, now=0.0)
        assert batch.encoded is not None
        assert reader.data_to_send() is batch.encoded["ws:msgpack"]

    def test_each_form_has_its_own_bytes(self) -> None:
        batch = frames.Data(1, 1, [b"x"], False)
        memory = MemoryWire()
        for wire in (open_server(protocol=JSON), open_server(), memory):
            wire.send_frame(batch, now=0.0)
        assert batch.encoded is not None
        assert set(batch.encoded) == {"ws:json", "ws:msgpack", "memory:msgpack"}

    def test_a_client_s_frames_are_masked_and_not_cached(self) -> None:
        batch = frames.Data(1, 1, [b"x"], False)
        client = open_client()
        client.send_frame(batch, now=0.0)
        assert batch.encoded is None
        assert client.data_to_send()[1] & 0x80

    def test_sending_before_it_is_open_is_our_mistake(self) -> None:
        for wire in (a_client(), a_server()):
            with pytest.raises(InvalidState):
                wire.send_frame(HELLO, now=0.0)

    def test_text_that_is_not_utf8_changes_nothing(self) -> None:
        for wire in (open_server(), open_client()):
            with pytest.raises(CodecError):
                wire.send_frame(frames.Data(1, 1, [b"\xff"], True), now=0.0)
            assert is_open(wire)
            assert wire.data_to_send() == b""

    def test_what_is_buffered_is_counted(self) -> None:
        server = open_server()
        server.send_frame(frames.Ack(1, 2, 3), now=0.0)
        unsent = server.buffered()
        assert unsent > 0
        message = ws(BINARY, bytes(100))
        server.receive_data(message[:56], now=0.0)
        assert server.buffered() == unsent + 50
        assert len(server.data_to_send()) == unsent
        assert server.buffered() == 50


class TestFragments:
    @PROTOCOLS
    def test_a_message_in_fragments_with_pings_between(self, protocol: str) -> None:
        server = open_server(protocol=protocol)
        codec = next(codec for codec in codecs() if codec.subprotocol == protocol)
        opcode = TEXT if protocol == JSON else BINARY
        body = codec.encode(frames.Close(1000, "grüße", None))
        parts = [body[i : i + 1] for i in range(len(body))]
        wire = ws(opcode, b"", fin=False) + b"".join(
            ws(0, part, fin=False) + ws(PING, part) for part in parts
        )
        wire += ws(0, b"")
        events = feed(server, [wire])
        assert events == [FrameReceived(frames.Close(1000, "grüße", None), len(body))]
        assert server.data_to_send() == ws(PONG, parts[-1], masked=False)

    def test_the_whole_message_may_come_in_the_first_fragment(self) -> None:
        server = open_server()
        body = MsgpackCodec().encode(frames.Ping(1, 2))
        events = feed(server, [ws(BINARY, body, fin=False), ws(0, b"")])
        assert events == [FrameReceived(frames.Ping(1, 2), len(body))]


class TestPings:
    @ROLES
    def test_a_ping_is_answered_with_its_payload(self, is_server: bool) -> None:
        wire = opened(is_server)
        assert feed(wire, [from_peer(is_server, PING, b"abc")]) == []
        other = open_client() if is_server else open_server()
        assert feed(other, [wire.data_to_send()]) == []
        assert is_open(other)

    def test_row_6_only_the_latest_ping_is_answered(self) -> None:
        server = open_server()
        feed(server, [b"".join(ws(PING, b"%d" % i) for i in range(50))])
        assert server.data_to_send() == ws(PONG, b"49", masked=False)
        assert server.data_to_send() == b""

    @ROLES
    def test_an_unasked_pong_is_ignored(self, is_server: bool) -> None:
        wire = opened(is_server)
        assert feed(wire, [from_peer(is_server, PONG, b"x")]) == []
        assert wire.data_to_send() == b""

    def test_no_pong_behind_a_close(self) -> None:
        server = open_server()
        feed(server, [ws(PING, b"x") + close_frame(1000)])
        assert server.data_to_send() == ws(CLOSE, b"\x03\xe8", masked=False)


class TestClosing:
    def test_we_close_and_the_peer_answers(self) -> None:
        client, server = a_pair()
        server.close(Ending(Code.RESTART, "restarting"), now=5.0)
        assert not is_open(server)
        assert not is_finished(server)
        assert server.next_deadline() == 7.0
        events = client.receive_data(server.data_to_send(), now=5.0)
        assert events == [WireEnded(Ending(1012, "restarting"))]
        assert not is_finished(client), "the answer is not written yet"
        assert server.receive_data(client.data_to_send(), now=5.5) == []
        assert is_finished(client)
        assert is_finished(server)
        assert server.next_deadline() is client.next_deadline() is None
        assert server.buffered() == client.buffered() == 0

    @ROLES
    def test_frames_ahead_of_the_close_are_written(self, is_server: bool) -> None:
        wire = opened(is_server)
        other = open_client() if is_server else open_server()
        wire.send_frame(frames.Close(4001, "diverged", None), now=0.0)
        wire.close(Ending(Code.DIVERGED, "diverged"), now=0.0)
        events = feed(other, [wire.data_to_send()])
        assert [type(event) for event in events] == [FrameReceived, WireEnded]
        assert ending_of(events) == Ending(4001, "diverged")

    @ROLES
    def test_row_29_nothing_is_delivered_after_we_closed(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.close(Ending(1000, ""), now=0.0)
        late = MsgpackCodec().encode(frames.Ping(1, 1))
        assert feed(wire, [from_peer(is_server, BINARY, late)]) == []
        assert feed(wire, [from_peer(is_server, PING, b"x")]) == []
        wire.data_to_send()
        assert wire.data_to_send() == b""
        assert feed(wire, [close_frame(1000, masked=is_server)]) == []
        assert is_finished(wire)

    @ROLES
    def test_row_29_nothing_is_delivered_after_the_peer_closed(self, is_server: bool) -> None:
        late = MsgpackCodec().encode(frames.Ping(1, 1))
        end = close_frame(4000, b"fenced", masked=is_server)
        whole = opened(is_server)
        for wire, pieces in (
            (whole, [end + from_peer(is_server, BINARY, late)]),
            (opened(is_server), [end, from_peer(is_server, BINARY, late), b""]),
        ):
            assert feed(wire, pieces) == [WireEnded(Ending(4000, "fenced"))]
            wire.send_frame(HELLO, now=0.0)
            wire.close(Ending(1000, ""), now=0.0)
            assert len(wire.data_to_send()) == (4 if is_server else 8)
            assert is_finished(wire)
            assert wire.handle_timeout(now=99.0) == []

    @ROLES
    def test_row_29_no_close_reply(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.close(Ending(1000, ""), now=10.0)
        wire.data_to_send()
        assert wire.next_deadline() == 12.0
        assert wire.handle_timeout(now=11.9) == []
        assert not is_finished(wire)
        assert wire.handle_timeout(now=12.0) == []
        assert is_finished(wire)

    @ROLES
    def test_the_end_of_the_stream_is_a_close_reply(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.close(Ending(1000, ""), now=0.0)
        assert wire.receive_data(b"", now=0.0) == []
        assert is_finished(wire)
        assert wire.data_to_send() == b""

    @ROLES
    def test_a_fault_while_closing_makes_no_event(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.close(Ending(1000, ""), now=0.0)
        assert feed(wire, [b"\xff\xff" * 20]) == []
        assert not is_finished(wire)
        assert feed(wire, [close_frame(1000, masked=is_server)]) == [], "it is deaf by now"
        assert not is_finished(wire)
        assert wire.receive_data(b"", now=0.0) == []
        assert len(wire.data_to_send()) in (4, 8)
        assert is_finished(wire)

    @ROLES
    def test_closing_twice_is_closing_once(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.close(Ending(1000, ""), now=0.0)
        wire.close(Ending(1001, ""), now=1.0)
        assert wire.next_deadline() == 2.0
        assert len(wire.data_to_send()) in (4, 8)

    def test_a_close_without_a_code(self) -> None:
        server = open_server()
        assert feed(server, [ws(CLOSE)]) == [WireEnded(Ending(1005, ""))]
        assert server.data_to_send() == ws(CLOSE, masked=False)
        assert is_finished(server)

    def test_closes_that_cross(self) -> None:
        client, server = a_pair()
        client.close(Ending(1000, "client"), now=0.0)
        server.close(Ending(1001, "server"), now=0.0)
        ours, theirs = client.data_to_send(), server.data_to_send()
        assert client.receive_data(theirs, now=0.0) == []
        assert server.receive_data(ours, now=0.0) == []
        client.data_to_send()
        server.data_to_send()
        assert is_finished(client)
        assert is_finished(server)

    def test_an_unread_answer_is_dropped_at_the_deadline(self) -> None:
        server = open_server()
        server.receive_data(close_frame(1000), now=1.0)
        assert server.next_deadline() == 3.0
        assert server.handle_timeout(now=3.0) == []
        assert is_finished(server)
        assert server.data_to_send() == b""
        assert server.buffered() == 0

    @pytest.mark.parametrize(
        ("code", "sent"),
        [
            (1000, 1000),
            (1003, 1003),
            (1011, 1011),
            (1014, 1014),
            (3000, 3000),
            (4999, 4999),
            (0, 1001),
            (999, 1001),
            (1004, 1001),
            (1005, 1001),
            (1006, 1001),
            (1015, 1001),
            (2999, 1001),
            (5000, 1001),
            (65536, 1001),
            (-1, 1001),
        ],
    )
    def test_row_29_no_code_that_may_not_be_sent(self, code: int, sent: int) -> None:
        server = open_server()
        server.close(Ending(code, ""), now=0.0)
        assert server.data_to_send() == close_frame(sent, masked=False)

    @pytest.mark.parametrize(
        ("reason", "sent"),
        [
            ("x" * 123, b"x" * 123),
            ("x" * 124, b"x" * 123),
            ("é" * 62, "é".encode() * 61),
            ("x" + "😀" * 40, b"x" + "😀".encode() * 30),
            ("a\ud800b", b"a?b"),
        ],
    )
    def test_row_29_a_reason_is_cut_to_valid_utf8(self, reason: str, sent: bytes) -> None:
        server = open_server()
        server.close(Ending(1000, reason), now=0.0)
        assert server.data_to_send() == close_frame(1000, sent, masked=False)


class TestDeadlines:
    def test_row_3_an_unfinished_message_has_a_deadline(self) -> None:
        server = open_server(limits=Limits(message_timeout=30.0, slowest_rate=4096))
        assert server.next_deadline() is None
        server.receive_data(ws(BINARY, bytes(4096), fin=False), now=10.0)
        assert server.next_deadline() == 41.0
        assert server.handle_timeout(now=40.9) == []
        (event,) = server.handle_timeout(now=41.0)
        assert event == WireEnded(Ending(Code.TIMEOUT, "a message was begun and not finished"))
        assert server.data_to_send().startswith(b"\x88")
        assert server.buffered() == 0

    def test_row_3_only_bytes_of_the_message_move_it(self) -> None:
        server = open_server()
        server.receive_data(ws(BINARY, b"", fin=False), now=0.0)
        assert server.next_deadline() == 30.0
        server.receive_data(ws(PING) + ws(0, b"", fin=False), now=20.0)
        assert server.next_deadline() == 30.0
        server.receive_data(ws(0, bytes(2048), fin=False), now=29.0)
        assert server.next_deadline() == 30.5

    @pytest.mark.parametrize("begin", [b"\x82", b"\x82\xfe\x01", ws(PING, b"abc")[:-1]])
    def test_row_21_a_header_or_a_ping_that_never_ends(self, begin: bytes) -> None:
        server = open_server()
        server.receive_data(begin, now=1.0)
        assert server.next_deadline() == 31.0

    def test_a_complete_message_ends_it(self) -> None:
        server = open_server()
        message = ws(BINARY, MsgpackCodec().encode(HELLO))
        server.receive_data(message[:5], now=0.0)
        assert server.next_deadline() is not None
        server.receive_data(message[5:], now=1.0)
        assert server.next_deadline() is None

    def test_a_new_message_has_a_new_deadline(self) -> None:
        server = open_server()
        message = ws(BINARY, MsgpackCodec().encode(HELLO))
        server.receive_data(message[:1], now=0.0)
        for now in range(1, 100):
            assert len(server.receive_data(message[1:] + message[:1], now=float(now))) == 1
            assert server.next_deadline() == now + 30.0

    def test_i12_an_early_or_spurious_timeout_does_nothing(self) -> None:
        server = open_server()
        assert server.handle_timeout(now=1e9) == []
        server.receive_data(b"\x82", now=0.0)
        assert server.handle_timeout(now=29.0) == []
        assert is_open(server)


class TestEnd:
    @ROLES
    def test_row_35_the_end_of_the_stream(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.send_frame(HELLO, now=0.0)
        assert wire.receive_data(b"", now=0.0) == [
            WireEnded(Ending(Code.LOST, "the connection was lost"))
        ]
        assert is_finished(wire)
        assert wire.buffered() == 0
        assert wire.data_to_send() == b""
        assert wire.next_deadline() is None

    @ROLES
    def test_row_35_the_end_in_mid_message(self, is_server: bool) -> None:
        body = MsgpackCodec().encode(HELLO)
        message = from_peer(is_server, BINARY, body)
        for end in range(1, len(message)):
            events = feed(opened(is_server), [message[:end], b""])
            assert events == [
                WireEnded(Ending(Code.LOST, "the connection was lost in the middle of a message"))
            ]

    @ROLES
    def test_row_35_bytes_after_the_end(self, is_server: bool) -> None:
        wire = opened(is_server)
        wire.receive_data(b"", now=0.0)
        message = from_peer(is_server, BINARY, MsgpackCodec().encode(HELLO))
        assert feed(wire, [message, b"", request()]) == []
        wire.send_frame(HELLO, now=0.0)
        wire.close(Ending(1000, ""), now=0.0)
        assert wire.data_to_send() == b""
        assert wire.handle_timeout(now=1e9) == []

    def test_frames_come_before_the_close_in_the_same_bytes(self) -> None:
        server = open_server()
        body = MsgpackCodec().encode(HELLO)
        events = feed(server, [ws(BINARY, body) + close_frame(1001, b"bye")])
        assert events == [FrameReceived(HELLO, len(body)), WireEnded(Ending(1001, "bye"))]

    def test_everything_in_one_read(self) -> None:
        server = a_server()
        body = JsonCodec().encode(HELLO)
        events = feed(server, [request(protocol=JSON) + ws(TEXT, body) + close_frame(1000)])
        assert events == [
            WireOpened("/chat?x=1"),
            FrameReceived(HELLO, len(body)),
            WireEnded(Ending(1000, "")),
        ]

"""The table of testing.md 3.2 on an open wire: each input, its verdict, and at what cost.

Every stream here is fed whole, byte by byte and in pieces: the verdict must not depend on it (P9).
"""

import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from gapless.core.closing import Code, Ending
from gapless.core.frames import Data, Hello, Ping
from gapless.transports import FrameReceived, Limits, MsgpackCodec, WebSocketServer

from .support import (
    BINARY,
    CLOSE,
    JSON,
    MSGPACK,
    PING,
    PONG,
    TEXT,
    calls_of,
    close_frame,
    ending_of,
    feed,
    is_finished,
    is_open,
    open_client,
    open_server,
    same_however_cut,
    ws,
)

HELLO = ws(BINARY, MsgpackCodec().encode(Hello(1, None, None, 1024)))
A_PING = MsgpackCodec().encode(Ping(1, 1))
MIB = 1024 * 1024


def server_verdict(
    data: bytes, *, limits: Limits | None = None, protocol: str = MSGPACK
) -> tuple[Ending, bytes]:
    """The ending of a server wire fed with `data`, and the close frame it answers with."""

    def make() -> WebSocketServer:
        return open_server(limits=limits, protocol=protocol)

    events = same_however_cut(make, data)
    wire = make()
    feed(wire, [data])
    answer = wire.data_to_send()
    assert not is_finished(wire), "it waits for the peer to hang up"
    assert wire.next_deadline() == 2.0
    assert wire.receive_data(HELLO + b"\x00", now=0.0) == [], "it is fed no more"
    assert wire.receive_data(b"", now=0.0) == []
    assert is_finished(wire)
    assert wire.buffered() == 0
    return ending_of(events), answer


def assert_ends(data: bytes, code: int, *, protocol: str = MSGPACK) -> Ending:
    ending, answer = server_verdict(data, protocol=protocol)
    assert ending.code == code
    assert answer == close_frame(code, ending.reason.encode(), masked=False)
    return ending


class TestRow1And2Compression:
    def test_row_1_a_bomb_is_not_inflated(self) -> None:
        squeeze = zlib.compressobj(wbits=-15)
        bomb = squeeze.compress(bytes(64 * MIB)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        server = open_server()
        tracemalloc.start()
        events = feed(server, [HELLO, ws(BINARY, bomb[:-4], reserved=0x40)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert ending_of(events).code == Code.PROTOCOL_ERROR
        assert peak < MIB

    @pytest.mark.parametrize("bits", [0x40, 0x20, 0x10, 0x70])
    @pytest.mark.parametrize("opcode", [BINARY, TEXT, 0, PING, CLOSE])
    def test_row_2_reserved_bits(self, bits: int, opcode: int) -> None:
        ending = assert_ends(ws(opcode, b"\x03\xe8", reserved=bits), Code.PROTOCOL_ERROR)
        assert "reserved bit" in ending.reason


class TestRow3And4Fragments:
    def test_row_3_a_continuation_without_end(self) -> None:
        part = ws(0, bytes(1024), fin=False)
        data = HELLO + ws(BINARY, b"", fin=False) + part * 2000
        server = open_server()
        ending = ending_of(feed(server, [data]))
        assert ending.code == Code.TOO_BIG
        assert server.buffered() < 200

    def test_row_3_the_limit_is_on_the_message_not_its_fragments(self) -> None:
        max_frame = MsgpackCodec(1).max_frame
        for over, code in ((0, Code.INVALID_DATA), (1, Code.TOO_BIG)):
            server = open_server(max_message=1)
            half = max_frame // 2
            feed(server, [HELLO, ws(BINARY, bytes(half), fin=False)])
            events = feed(server, [ws(0, bytes(max_frame - half + over))])
            assert ending_of(events).code == code

    @pytest.mark.parametrize("payload", [b"", b"x"])
    def test_row_4_too_many_fragments(self, payload: bytes) -> None:
        limits = Limits(max_fragments=50)
        begin = HELLO + ws(BINARY, payload, fin=False)
        at = begin + ws(0, payload, fin=False) * 49
        assert feed(open_server(limits=limits), [at]) != []
        ending, _ = server_verdict(at + ws(0, payload, fin=False), limits=limits)
        assert ending == Ending(Code.POLICY, "a message has more than 50 fragments")

    def test_row_4_the_default_takes_4096(self) -> None:
        begin = HELLO + ws(BINARY, b"", fin=False)
        server = open_server()
        feed(server, [begin + ws(0, b"", fin=False) * 4095])
        assert is_open(server)
        assert ending_of(feed(server, [ws(0)])).code == Code.POLICY

    def test_row_4_one_byte_reads_cost_no_more_than_the_message(self) -> None:
        server = open_server()
        feed(server, [HELLO])
        message = ws(BINARY, bytes(8_000))
        tracemalloc.start()
        for i in range(len(message) - 1):
            server.receive_data(message[i : i + 1], now=0.0)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.buffered() == 7_999
        assert held < 2 * 8_000

    def test_row_4_one_byte_fragments_cost_no_more_than_the_message(self) -> None:
        server = open_server(limits=Limits(max_fragments=100_000))
        feed(server, [HELLO, ws(BINARY, b"", fin=False)])
        part = ws(0, b"x", fin=False)
        tracemalloc.start()
        for _ in range(12):
            server.receive_data(part * 400, now=0.0)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert server.buffered() == 4_800
        assert held < 2 * 4_800 + 10_000


class TestRow5Lengths:
    @pytest.mark.parametrize("length", [2**20 + 2**17, 2**31, 2**32, 2**62, 2**63 - 1])
    def test_row_5_a_huge_length_is_refused_before_a_byte_of_it(self, length: int) -> None:
        assert_ends(HELLO + ws(BINARY, b"", length=length), Code.TOO_BIG)

    @pytest.mark.parametrize("length", [2**63, 2**64 - 1])
    def test_row_5_a_length_above_63_bits(self, length: int) -> None:
        assert_ends(HELLO + ws(BINARY, b"", length=length), Code.PROTOCOL_ERROR)

    @pytest.mark.parametrize(("length", "wide"), [(0, 2), (125, 2), (0, 8), (126, 8), (65535, 8)])
    def test_row_5_a_length_written_too_wide(self, length: int, wide: int) -> None:
        assert_ends(ws(BINARY, bytes(length), wide=wide), Code.PROTOCOL_ERROR)

    @pytest.mark.parametrize("size", [0, 125, 126, 127, 65535, 65536])
    def test_every_width_is_read(self, size: int) -> None:
        body = MsgpackCodec().encode(Data(1, 1, [bytes(size)], False))
        events = feed(open_server(), [HELLO, ws(BINARY, body)])
        assert events[1:] == [FrameReceived(Data(1, 1, [bytes(size)], False), len(body))]

    def test_row_5_the_limit_is_exact(self) -> None:
        max_frame = MsgpackCodec().max_frame
        for length, code in ((max_frame, Code.LOST), (max_frame + 1, Code.TOO_BIG)):
            server = open_server()
            events = feed(server, [HELLO + ws(BINARY, b"", length=length), b""])
            assert ending_of(events).code == code

    def test_row_17_the_first_message_is_a_hello_of_8_kib(self) -> None:
        assert_ends(ws(BINARY, b"", length=8 * 1024 + 1), Code.TOO_BIG)
        server = open_server()
        feed(server, [ws(BINARY, b"", length=8 * 1024)])
        assert is_open(server)
        fragments = ws(BINARY, bytes(8000), fin=False) + ws(0, b"", length=193)
        assert_ends(fragments, Code.TOO_BIG)

    def test_a_client_s_first_message_has_the_usual_limit(self) -> None:
        client = open_client()
        body = MsgpackCodec().encode(Data(1, 1, [bytes(10_000)], False))
        assert len(feed(client, [ws(BINARY, body, masked=False)])) == 1


class TestRow6Controls:
    @pytest.mark.parametrize("opcode", [PING, PONG])
    def test_row_6_a_flood(self, opcode: int) -> None:
        assert feed(open_server(), [ws(opcode, b"x") * 100]) == []
        ending = assert_ends(ws(opcode, b"x") * 101, Code.POLICY)
        assert ending.reason == "too many pings and pongs"

    def test_row_6_the_bucket_refills(self) -> None:
        server = open_server(limits=Limits(control_burst=5, control_rate=2.0))
        assert feed(server, [ws(PING) * 5], now=0.0) == []
        assert feed(server, [ws(PING) * 4], now=2.0) == []
        assert feed(server, [ws(PING) * 5], now=100.0) == []
        assert feed(server, [ws(PING)], now=50.0) != [], "time that runs back refills nothing"

    def test_row_6_a_flood_is_answered_with_one_pong(self) -> None:
        server = open_server()
        written = 0
        for _ in range(10):
            feed(server, [ws(PING, bytes(125)) * 10])
            written += len(server.data_to_send())
        assert written == 10 * 127

    def test_row_6_closes_are_not_counted(self) -> None:
        server = open_server(limits=Limits(control_burst=1))
        events = feed(server, [ws(PING) + close_frame(1000)])
        assert ending_of(events) == Ending(1000, "")

    @pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
    def test_row_6_control_frames_are_short_and_whole(self, opcode: int) -> None:
        assert_ends(ws(opcode, bytes(126)), Code.PROTOCOL_ERROR)
        assert_ends(ws(opcode, b"", length=2**16), Code.PROTOCOL_ERROR)
        assert_ends(ws(opcode, b"\x03\xe8", fin=False), Code.PROTOCOL_ERROR)


class TestFraming:
    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    def test_an_unknown_opcode(self, opcode: int) -> None:
        assert_ends(HELLO + ws(opcode, b"x"), Code.PROTOCOL_ERROR)

    def test_an_unmasked_client(self) -> None:
        assert_ends(ws(BINARY, A_PING, masked=False), Code.PROTOCOL_ERROR)

    def test_a_masked_server(self) -> None:
        events = same_however_cut(open_client, ws(BINARY, A_PING))
        assert ending_of(events).code == Code.PROTOCOL_ERROR

    def test_a_message_within_a_message(self) -> None:
        begun = ws(BINARY, b"", fin=False)
        assert_ends(begun + ws(BINARY, b""), Code.PROTOCOL_ERROR)
        assert_ends(begun + ws(TEXT, b""), Code.PROTOCOL_ERROR)

    def test_a_continuation_of_nothing(self) -> None:
        assert_ends(HELLO + ws(0, b"x"), Code.PROTOCOL_ERROR)

    def test_the_wrong_kind_of_message(self) -> None:
        ending = assert_ends(ws(TEXT, b"{}"), Code.INVALID_DATA)
        assert ending.reason == "this subprotocol has no text messages"
        ending = assert_ends(ws(BINARY, b"{}"), Code.INVALID_DATA, protocol=JSON)
        assert ending.reason == "this subprotocol has no binary messages"

    def test_the_wrong_kind_is_refused_before_a_byte_of_it(self) -> None:
        assert_ends(ws(TEXT, b"", length=5000), Code.INVALID_DATA)

    def test_http_on_an_open_websocket(self) -> None:
        assert_ends(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Code.PROTOCOL_ERROR)

    def test_frames_before_the_fault_are_delivered(self) -> None:
        data = HELLO + ws(BINARY, A_PING) + ws(BINARY, A_PING, reserved=0x40) + ws(BINARY, A_PING)
        events = same_however_cut(open_server, data)
        assert [type(event) for event in events[:2]] == [FrameReceived] * 2
        assert len(events) == 3


class TestRow20And21Text:
    @pytest.mark.parametrize(
        "text", [b"\xff", b"{\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"abc\xc3"]
    )
    def test_row_20_a_text_message_that_is_not_utf8(self, text: bytes) -> None:
        ending = assert_ends(ws(TEXT, text), Code.INVALID_DATA, protocol=JSON)
        assert ending.reason == "text is not UTF-8"

    def test_row_20_utf8_cut_by_fragments_is_whole(self) -> None:
        body = '{"type":"close","code":1000,"reason":"😀"}'.encode()
        for place in range(1, len(body)):
            server = open_server(protocol=JSON)
            events = feed(server, [ws(TEXT, body[:place], fin=False) + ws(0, body[place:])])
            assert len(events) == 1
            assert is_open(server)

    def test_row_20_utf8_wrong_across_fragments(self) -> None:
        data = ws(TEXT, b"\xc3", fin=False) + ws(PING) + ws(0, b"\x28")
        assert_ends(data, Code.INVALID_DATA, protocol=JSON)

    def test_row_20_deep_nesting(self) -> None:
        body = b'{"type":"ping","x":' + b"[" * 7000
        ending = assert_ends(ws(TEXT, body), Code.INVALID_DATA, protocol=JSON)
        assert "nested too deeply" in ending.reason

    @pytest.mark.parametrize("body", [b"", b"\xc1", b"\x92\xa3ack\x01", b"\x80", A_PING + b"\x00"])
    def test_a_frame_that_is_malformed(self, body: bytes) -> None:
        ending, answer = server_verdict(ws(BINARY, body))
        assert ending.code == Code.INVALID_DATA
        assert answer.startswith(b"\x88")

    def test_a_batch_too_large_is_1009(self) -> None:
        body = MsgpackCodec().encode(Data(1, 1, [bytes(40_000)] * 2, False))
        assert ending_of(feed(open_server(), [HELLO + ws(BINARY, body)])).code == Code.TOO_BIG

    def test_row_31_a_token_is_not_in_the_reason(self) -> None:
        body = MsgpackCodec().encode(Hello(1, "secret-token", "secret-credentials", 1))
        ending, answer = server_verdict(ws(BINARY, body + b"\x00"))
        assert "secret" not in ending.reason
        assert b"secret" not in answer


class TestRow29Closes:
    @pytest.mark.parametrize(
        "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535]
    )
    def test_row_29_a_code_that_may_not_be_sent(self, code: int) -> None:
        assert_ends(close_frame(code), Code.PROTOCOL_ERROR)

    @pytest.mark.parametrize("code", [1000, 1003, 1007, 1013, 3000, 3999, 4000, 4999])
    def test_row_29_a_code_that_may(self, code: int) -> None:
        events = same_however_cut(open_server, close_frame(code, b"why"))
        assert ending_of(events) == Ending(code, "why")

    def test_row_29_half_a_code(self) -> None:
        assert_ends(ws(CLOSE, b"\x03"), Code.PROTOCOL_ERROR)

    @pytest.mark.parametrize("reason", [b"\xff", b"\xed\xa0\x80", b"abc\xc3"])
    def test_row_29_a_reason_that_is_not_utf8(self, reason: bytes) -> None:
        assert_ends(close_frame(1000, reason), Code.INVALID_DATA)

    def test_row_29_a_reason_of_123_bytes_and_one_more(self) -> None:
        events = same_however_cut(open_server, close_frame(1000, b"x" * 123))
        assert ending_of(events).reason == "x" * 123
        assert_ends(close_frame(1000, b"x" * 124), Code.PROTOCOL_ERROR)


def _pings(count: int) -> bytes:
    return ws(PING, b"x") * count


def _messages(count: int) -> bytes:
    return ws(BINARY, A_PING) * count


def _fragments(count: int) -> bytes:
    return ws(BINARY, b"", fin=False) + ws(0, b"x", fin=False) * count


def _calls(data: bytes) -> int:
    """How many function calls the interpreter makes for these bytes."""
    wire = open_server(limits=Limits(max_fragments=10**6, control_burst=10**6))
    feed(wire, [HELLO])
    return calls_of(lambda: feed(wire, [data]))


@pytest.mark.parametrize("make", [_pings, _messages, _fragments])
def test_i9_work_is_linear_in_the_frames(make: Callable[[int], bytes]) -> None:
    assert _calls(make(4_000)) < 4.2 * _calls(make(1_000))

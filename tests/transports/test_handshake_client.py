"""The client's handshake: what is asked, which answers pass, and what a person reads otherwise."""

from collections.abc import Callable

import pytest

from gapless.core.closing import CloseClass, Code, Ending
from gapless.core.errors import ConfigError, LocalProtocolError
from gapless.core.frames import Ping
from gapless.transports import (
    FrameReceived,
    Limits,
    MsgpackCodec,
    WebSocketClient,
    WireOpened,
    default_codecs,
)

from .support import (
    BINARY,
    JSON,
    MSGPACK,
    a_client,
    bytewise,
    cut,
    ending_of,
    feed,
    head,
    is_finished,
    is_open,
    response,
    ws,
)

WAYS: list[Callable[[bytes], list[bytes]]] = [
    lambda data: [data],
    bytewise,
    lambda data: cut(data, [len(data) // 2]),
]


def verdict(answer: Callable[[bytes], bytes], *, hang_up: bool = True) -> Ending:
    """The ending of the answer made for a request; the same however the answer is cut."""
    endings: list[Ending] = []
    for way in WAYS:
        wire = a_client()
        events = feed(wire, way(answer(wire.data_to_send())))
        if hang_up:
            events += wire.receive_data(b"", now=0.0)
        endings.append(ending_of(events))
        assert is_finished(wire)
        assert wire.data_to_send() == b""
        assert wire.next_deadline() is None
    assert endings == [endings[0]] * len(WAYS)
    return endings[0]


def status(line: str, *headers: tuple[str, str], body: bytes = b"") -> Ending:
    return verdict(lambda asked: head(f"HTTP/1.1 {line}", headers) + body, hang_up=False)


class TestRequest:
    def test_what_is_asked(self) -> None:
        wire = WebSocketClient(
            "example.com:8765",
            "/a?b=1",
            default_codecs(),
            now=0.0,
            origin="https://example.com",
        )
        asked = wire.data_to_send()
        assert asked.startswith(b"GET /a?b=1 HTTP/1.1\r\nHost: example.com:8765\r\n")
        assert f"Sec-WebSocket-Protocol: {MSGPACK}, {JSON}\r\n".encode() in asked
        assert b"Origin: https://example.com\r\n" in asked
        assert b"xtensions" not in asked
        assert wire.data_to_send() == b""

    @pytest.mark.parametrize("host", ["[::1]:80", "my_host", "192.0.2.1", "xn--bcher-kva.example"])
    def test_hosts_that_can_be_asked(self, host: str) -> None:
        asked = WebSocketClient(host, "/", default_codecs(), now=0.0).data_to_send()
        assert f"Host: {host}\r\n".encode() in asked

    @pytest.mark.parametrize(
        "host",
        ["", "h\r\nX: y", "h y", "h\0", "bücher.example", "h/x", "u@h", "h:x", "h:0", "a" * 300],
    )
    def test_row_24_a_host_that_would_inject(self, host: str) -> None:
        with pytest.raises(ConfigError, match="host"):
            WebSocketClient(host, "/", default_codecs(), now=0.0)

    def test_row_24_a_host_the_library_refuses(self) -> None:
        with pytest.raises(ConfigError, match="can't be made"):
            WebSocketClient("a..b", "/", default_codecs(), now=0.0)

    @pytest.mark.parametrize(
        "target",
        ["", "x", "/a b", "/a\r\nX: y", "/\n", "/\0", "/ä", "/a#b", "http://h/", "/" + "a" * 9000],
    )
    def test_row_24_a_target_that_would_inject(self, target: str) -> None:
        with pytest.raises(LocalProtocolError, match="target"):
            WebSocketClient("h", target, default_codecs(), now=0.0)

    @pytest.mark.parametrize("origin", ["", "x", "https://h\r\nX: y", "https://h/", "null"])
    def test_row_24_an_origin_that_would_inject(self, origin: str) -> None:
        with pytest.raises(ValueError, match="origin"):
            WebSocketClient("h", "/", default_codecs(), now=0.0, origin=origin)

    @pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "a,b", "ä"])
    def test_row_24_a_subprotocol_that_would_inject(self, name: str) -> None:
        codec = MsgpackCodec()
        codec.subprotocol = name
        with pytest.raises(ConfigError, match="subprotocol"):
            WebSocketClient("h", "/", [codec], now=0.0)

    def test_codecs_are_required(self) -> None:
        with pytest.raises(ConfigError, match="codecs"):
            WebSocketClient("h", "/", [], now=0.0)


class TestAccepted:
    @pytest.mark.parametrize("protocol", [MSGPACK, JSON])
    def test_a_good_answer_opens(self, protocol: str) -> None:
        for way in WAYS:
            wire = a_client()
            answer = response(wire.data_to_send(), ("X-Other", "y"), protocol=protocol)
            assert feed(wire, way(answer)) == [WireOpened("/chat?x=1")]
            assert is_open(wire)
            assert wire.next_deadline() is None

    def test_row_28_data_glued_to_the_101_is_delivered(self) -> None:
        ping = MsgpackCodec().encode(Ping(1, 2))
        for way in WAYS:
            wire = a_client()
            answer = response(wire.data_to_send()) + ws(BINARY, ping, masked=False)
            assert feed(wire, way(answer)) == [
                WireOpened("/chat?x=1"),
                FrameReceived(Ping(1, 2), len(ping)),
            ]


class TestRow28Refused:
    def test_row_28_a_wrong_accept(self) -> None:
        def answer(asked: bytes) -> bytes:
            return response(
                asked, ("Sec-WebSocket-Accept", "x" * 28), without=["Sec-WebSocket-Accept"]
            )

        ending = verdict(answer)
        assert ending.code == Code.NOT_GAPLESS
        assert ending.close_class is CloseClass.STOP

    @pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec-WebSocket-Accept"])
    def test_row_28_a_101_that_lacks_a_header(self, name: str) -> None:
        ending = verdict(lambda asked: response(asked, without=[name]))
        assert ending.code == Code.NOT_GAPLESS
        assert "handshake is invalid" in ending.reason

    @pytest.mark.parametrize(
        "protocol", ["chat", "", "gapless.v2.json", "\xff", f"{MSGPACK}, {JSON}"]
    )
    def test_row_28_an_unoffered_subprotocol(self, protocol: str) -> None:
        assert verdict(lambda asked: response(asked, protocol=protocol)).code == Code.NOT_GAPLESS

    def test_row_28_no_subprotocol(self) -> None:
        ending = verdict(lambda asked: response(asked, without=["Sec-WebSocket-Protocol"]))
        assert ending.code == Code.NOT_GAPLESS
        assert ending.reason == "the server speaks WebSocket, but not gapless"

    @pytest.mark.parametrize(
        "extension",
        [
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=99",
            "x",
            "",
            "\xff",
        ],
    )
    def test_row_2_and_28_an_unoffered_extension(self, extension: str) -> None:
        ending = verdict(lambda asked: response(asked, ("Sec-WebSocket-Extensions", extension)))
        assert ending.code == Code.NOT_GAPLESS

    @pytest.mark.parametrize("name", ["Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Upgrade"])
    def test_row_28_a_header_twice(self, name: str) -> None:
        ending = verdict(lambda asked: response(asked, (name, "x")))
        assert ending.code == Code.NOT_GAPLESS
        assert "two" in ending.reason

    def test_row_22_too_many_headers(self) -> None:
        extra = [(f"X-{i}", "y") for i in range(97)]
        assert "headers" in verdict(lambda asked: response(asked, *extra)).reason

    def test_row_22_too_long_a_head(self) -> None:
        ending = verdict(lambda asked: response(asked, ("X", "y" * 20_000)))
        assert ending.code == Code.NOT_GAPLESS
        assert "longer than 16384" in ending.reason

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer in HTTP"),
            (b"220 mail.example.com ESMTP\r\n", "does not answer in HTTP"),
            (b"\x15\x03\x03\x00\x02\x02\x16", "use wss://"),
            (b"\x00\x00\x00", "does not answer in HTTP"),
            (b"HTTP/2 200 OK\r\n\r\n", "does not answer in HTTP"),
            (b"HTTP/1.1 101\n\n", "carriage return"),
            (b"HTTP/1.1 abc\r\n\r\n", "handshake is invalid"),
            (b"HTTP/1.1 099 x\r\n\r\n", "handshake is invalid"),
            (b"HTTP/1.1 200 x\r\nContent-Length: x\r\n\r\n", "handshake is invalid"),
            (b"HTTP/1.1 200 x\r\n: x\r\n\r\n", "handshake is invalid"),
        ],
    )
    def test_what_is_no_websocket_server(self, data: bytes, words: str) -> None:
        ending = verdict(lambda asked: data)
        assert ending.code == Code.NOT_GAPLESS
        assert words in ending.reason


class TestStatus:
    @pytest.mark.parametrize("code", [100, 103, 200, 204])
    def test_a_web_server_is_not_a_websocket_server(self, code: int) -> None:
        ending = status(f"{code} x")
        assert ending.status == code
        assert ending.code == Code.NOT_GAPLESS
        assert ending.reason == (f"the server is not a WebSocket server: it answered HTTP {code}")

    @pytest.mark.parametrize("code", [301, 302, 307, 308])
    def test_row_28_redirects_are_not_followed(self, code: int) -> None:
        ending = status(f"{code} x", ("Location", "http://evil.net/"))
        assert ending.code == Code.NOT_GAPLESS
        assert ending.close_class is CloseClass.STOP
        assert "redirects" in ending.reason

    @pytest.mark.parametrize(
        ("code", "close_class"),
        [
            (400, CloseClass.STOP),
            (401, CloseClass.REFRESH_CREDENTIALS),
            (403, CloseClass.REFRESH_CREDENTIALS),
            (404, CloseClass.STOP),
            (408, CloseClass.RESUME),
            (418, CloseClass.STOP),
            (426, CloseClass.STOP),
            (429, CloseClass.RESUME),
            (500, CloseClass.RESUME),
            (503, CloseClass.RESUME),
            (599, CloseClass.RESUME),
        ],
    )
    def test_a_refusal_says_what_to_do_next(self, code: int, close_class: CloseClass) -> None:
        ending = status(f"{code} x")
        assert ending.status == code
        assert ending.close_class is close_class

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("7", 7.0),
            ("007", 7.0),
            ("3600", 3600.0),
            ("3601", 3600.0),
            ("9" * 5000, 3600.0),
            ("-1", None),
            ("1.5", None),
            ("1e3", None),
            ("\xb2", None),
            ("", None),
            ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ],
    )
    def test_row_30_retry_after_is_seconds_and_clamped(
        self, value: str, seconds: float | None
    ) -> None:
        for code in (403, 503):
            assert status(f"{code} x", ("Retry-After", value)).retry_after == seconds

    def test_the_servers_own_words_are_shown(self) -> None:
        body = b"pages of this origin may not connect\nmore"
        plain = ("Content-Type", "text/plain; charset=utf-8")
        length = ("Content-Length", str(len(body)))
        ending = status("403 x", plain, length, body=body)
        assert ending.reason.endswith("HTTP 403: pages of this origin may not connect")

    @pytest.mark.parametrize(
        ("headers", "body", "words"),
        [
            ([("Transfer-Encoding", "chunked")], b"3\r\nabc\r\n0\r\n\r\n", ": abc"),
            ([("Transfer-Encoding", "chunked")], b"3\r\nabc\r\nzz\r\n", ": abc"),
            ([("Transfer-Encoding", "chunked")], b"zz\r\n", "HTTP 404"),
            ([("Content-Length", "0")], b"", "HTTP 404"),
            ([("Content-Length", "3")], b"a\x1bb", "HTTP 404"),
            ([("Content-Length", "3")], b"\xff\xfe\xfd", ": \ufffd\ufffd\ufffd"),
            ([("Content-Length", "9000")], b"x" * 9000, ": " + "x" * 200),
            ([("Content-Length", "4")], b"\nabc", "HTTP 404"),
        ],
    )
    def test_a_body_in_any_shape(
        self, headers: list[tuple[str, str]], body: bytes, words: str
    ) -> None:
        ending = status("404 x", ("Content-Type", "Text/Plain"), *headers, body=body)
        assert ending.reason.endswith(words)

    def test_a_page_is_not_waited_for(self) -> None:
        ending = status("404 x", ("Content-Type", "text/html"), ("Content-Length", "5000"))
        assert ending.reason.endswith("HTTP 404")

    def test_words_that_do_not_come_are_waited_for_two_seconds(self) -> None:
        wire = a_client(limits=Limits(handshake_timeout=30.0))
        wire.data_to_send()
        refused = head("HTTP/1.1 403 x", [("Content-Type", "text/plain"), ("Content-Length", "9")])
        assert wire.receive_data(refused + b"no", now=1.0) == []
        assert wire.next_deadline() == 3.0
        assert wire.buffered() == 2
        ending = ending_of(wire.handle_timeout(now=3.0))
        assert ending.reason.endswith("HTTP 403: no")

    def test_words_cut_short_by_the_end_of_the_stream(self) -> None:
        wire = a_client()
        refused = head("HTTP/1.1 403 x", [("Content-Type", "text/plain"), ("Content-Length", "9")])
        assert wire.receive_data(refused + b"no", now=0.0) == []
        assert ending_of(wire.receive_data(b"", now=0.0)).reason.endswith("HTTP 403: no")


class TestTime:
    def test_a_silent_server(self) -> None:
        wire = a_client(limits=Limits(handshake_timeout=30.0))
        assert wire.next_deadline() == 30.0
        assert wire.handle_timeout(now=29.0) == []
        ending = ending_of(wire.handle_timeout(now=30.0))
        assert ending.code == Code.TIMEOUT
        assert ending.close_class is CloseClass.RESUME
        assert ending.reason == "the server did not answer the WebSocket handshake within 30 s"
        assert is_finished(wire)

    def test_row_35_the_end_in_mid_handshake(self) -> None:
        for begin in (b"", b"HTTP/1.1 101 Swi"):
            ending = verdict(lambda asked, begin=begin: begin)  # type: ignore[misc]
            assert ending.code == Code.LOST
            assert ending.reason == "the server hung up during the handshake"

"""The server's handshake: what passes, what is refused in words, and that all is answered."""

import pytest

from gapless.core.closing import Code, Ending
from gapless.core.errors import ConfigError
from gapless.transports import (
    Limits,
    OriginPolicy,
    WebSocketServer,
    WireEnded,
    WireOpened,
    default_codecs,
)

from .support import (
    JSON,
    KEY,
    MSGPACK,
    a_server,
    accept_token,
    bytewise,
    calls_of,
    ending_of,
    feed,
    head,
    is_finished,
    is_open,
    request,
    same_however_cut,
)


def refusal(data: bytes, *, policy: OriginPolicy | None = None) -> tuple[int, str, Ending]:
    """Refuse a request, however it is cut; return status, the line of text, and the ending."""

    def make() -> WebSocketServer:
        return a_server(policy=policy)

    ending = ending_of(same_however_cut(make, data))
    wire = make()
    feed(wire, [data])
    answer = wire.data_to_send()
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 ")
    assert b"\r\nConnection: close" in top
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in top + b"\r\n"
    assert body.endswith(b"\n")
    assert body.count(b"\n") == 1
    status = int(top[9:12])
    assert ending.status == status
    assert not is_open(wire)
    return status, body.decode().rstrip("\n"), ending


class TestAccepted:
    def test_the_answer_of_rfc_6455(self) -> None:
        for pieces in ([request()], bytewise(request())):
            wire = a_server()
            assert not is_open(wire)
            assert feed(wire, pieces) == [WireOpened("/chat?x=1")]
            assert is_open(wire)
            answer = wire.data_to_send()
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert f"Sec-WebSocket-Accept: {accept_token(KEY)}\r\n".encode() in answer
            assert f"Sec-WebSocket-Protocol: {MSGPACK}\r\n".encode() in answer
            assert b"xtensions" not in answer

    def test_the_clients_order_of_subprotocols_decides(self) -> None:
        for offered, chosen in (
            (f"{JSON}, {MSGPACK}", JSON),
            (f"{MSGPACK},{JSON}", MSGPACK),
            (f"chat ,\t{JSON}", JSON),
            (JSON, JSON),
        ):
            wire = a_server()
            feed(wire, [request(protocol=offered)])
            assert f"Sec-WebSocket-Protocol: {chosen}\r\n".encode() in wire.data_to_send()

    def test_several_header_lines_are_one_list(self) -> None:
        wire = a_server()
        feed(wire, [request(("Sec-WebSocket-Protocol", JSON), protocol="chat")])
        assert is_open(wire)

    def test_header_names_and_tokens_in_any_case(self) -> None:
        lines = [
            ("hOST", "example.com"),
            ("UPGRADE", "foo, WebSocket"),
            ("connection", "UPGRADE"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", MSGPACK),
        ]
        wire = a_server()
        feed(wire, [head("GET / HTTP/1.1", lines)])
        assert is_open(wire)

    @pytest.mark.parametrize(
        "offer",
        [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; server_max_window_bits=" + "9" * 5001,
            'x; y="a,b", permessage-deflate; server_max_window_bits=8',
            "\xff\xfe",
            ",,,;;;",
        ],
    )
    def test_row_2_extensions_are_declined_unread(self, offer: str) -> None:
        wire = a_server()
        feed(wire, [request(("Sec-WebSocket-Extensions", offer))])
        assert is_open(wire)
        assert b"xtensions" not in wire.data_to_send()

    def test_codecs_are_required(self) -> None:
        with pytest.raises(ConfigError, match="at least one codec"):
            WebSocketServer([], now=0.0)

    def test_a_server_of_one_codec_speaks_only_that(self) -> None:
        wire = WebSocketServer(default_codecs()[:1], now=0.0)
        feed(wire, [request(protocol=JSON)])
        assert b"gapless speaks gapless.v1.msgpack; offer" in wire.data_to_send()


class TestRefused:
    def test_a_plain_get(self) -> None:
        status, line, _ = refusal(head("GET / HTTP/1.1", [("Host", "x")]))
        assert (status, line) == (426, "this is a gapless server; connect with WebSocket")

    def test_a_426_says_what_to_upgrade_to(self) -> None:
        wire = a_server()
        feed(wire, [head("GET / HTTP/1.1", [("Host", "x")])])
        assert b"\r\nUpgrade: websocket\r\n" in wire.data_to_send()

    def test_a_missing_or_foreign_subprotocol(self) -> None:
        for data in (
            request(protocol="chat, superchat"),
            request(without=["Sec-WebSocket-Protocol"]),
        ):
            status, line, _ = refusal(data)
            assert status == 400
            assert line == (
                "gapless speaks gapless.v1.msgpack or gapless.v1.json; "
                "offer one of them as WebSocket subprotocol"
            )

    @pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "GETT", "CONNECT"])
    def test_another_method(self, method: str) -> None:
        status, line, _ = refusal(request(line=f"{method} / HTTP/1.1"))
        assert (status, line) == (405, "a WebSocket is opened with GET")

    @pytest.mark.parametrize("version", ["8", "0", "14", "13, 8", "x", ""])
    def test_another_version(self, version: str) -> None:
        data = request(("Sec-WebSocket-Version", version), without=["Sec-WebSocket-Version"])
        status, _, _ = refusal(data)
        assert status == 426

    def test_no_version(self) -> None:
        assert refusal(request(without=["Sec-WebSocket-Version"]))[0] == 426

    @pytest.mark.parametrize("name", ["Upgrade", "Connection"])
    def test_no_upgrade(self, name: str) -> None:
        assert refusal(request(without=[name]))[0] == 426
        assert refusal(request((name, "upgrades"), without=[name]))[0] == 426

    @pytest.mark.parametrize(
        "key",
        ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=!", "\xff" * 24, "A" * 24],
    )
    def test_a_key_that_is_not_16_bytes(self, key: str) -> None:
        data = request(("Sec-WebSocket-Key", key), without=["Sec-WebSocket-Key"])
        assert refusal(data)[0] == 400

    def test_no_key(self) -> None:
        assert refusal(request(without=["Sec-WebSocket-Key"]))[0] == 400

    @pytest.mark.parametrize(
        "name", ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Host", "Origin"]
    )
    def test_a_header_twice(self, name: str) -> None:
        value = {"Sec-WebSocket-Key": KEY, "Host": "example.com"}.get(name, "13")
        twice = [(name, value), (name, value)]
        assert refusal(request(*twice, without=[name]))[0] == 400

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Content-Length", "0"),
            ("Content-Length", "5"),
            ("Content-Length", "-1"),
            ("Transfer-Encoding", "chunked"),
            ("Transfer-Encoding", "gzip"),
        ],
    )
    def test_row_23_a_body_is_refused(self, name: str, value: str) -> None:
        assert refusal(request((name, value)))[0] == 400

    def test_row_23_both_lengths(self) -> None:
        both = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]
        assert refusal(request(*both))[0] == 400

    @pytest.mark.parametrize(
        "data",
        [
            request().replace(b"\r\n", b"\n"),
            request().replace(b"Upgrade\r\n", b"Upgrade\n", 1),
            request()[:-2] + b"\n",
            request().replace(b"Host: ", b"Host : "),
            request().replace(b"Host: ", b"Host\x00: "),
            request().replace(b"example.com", b"exa\rmple.com"),
            request().replace(b"example.com", b"exa\x00mple.com"),
            request()[:-2] + b"no colon\r\n\r\n",
            request()[:-2] + b": no name\r\n\r\n",
            request(line="GET  / HTTP/1.1"),
            request(line="GET /a b HTTP/1.1"),
            request(line="GET /\xe4 HTTP/1.1"),
            request(line="GET http://example.com/ HTTP/1.1"),
            request(line="GET * HTTP/1.1"),
            request(line="GET / HTTP/1.0"),
            request(line="GET / HTTP/2.0"),
            request(line="GET / HTTP/11"),
            request(line="GET /"),
            request(line="PRI * HTTP/2.0"),
            request(without=["Host"]),
            b"\r\n" + request(),
            b" " + request(),
            b"\x00",
            b"\xff\xff\xff\xff",
            b"get / HTTP/1.1\r\n\r\n",
            b"A\r\n\r\n",
        ],
    )
    def test_row_23_what_is_no_proper_request(self, data: bytes) -> None:
        status, line, ending = refusal(data)
        assert status in (400, 405)
        assert ending.code == Code.REJECTED
        assert line

    def test_tls_on_a_plain_port(self) -> None:
        _, line, _ = refusal(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert "TLS" in line

    def test_row_22_too_many_headers(self) -> None:
        ninety_four = [(f"X-{i}", "y") for i in range(94)]
        wire = a_server()
        feed(wire, [request(*ninety_four)])
        assert is_open(wire)
        assert refusal(request(*ninety_four, ("X", "y")))[0] == 431

    def test_row_22_too_long_a_head_whatever_the_chunks(self) -> None:
        room = 16 * 1024 - len(request(("X", "")))
        wire = a_server()
        feed(wire, [request(("X", "y" * room))])
        assert is_open(wire)
        assert refusal(request(("X", "y" * (room + 1))))[0] == 431
        assert refusal(b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000)[0] == 431

    def test_row_22_a_head_is_refused_as_soon_as_it_is_too_long(self) -> None:
        wire = a_server()
        assert feed(wire, [b"GET /", b"a" * (16 * 1024 - 6)]) == []
        assert wire.buffered() == 16 * 1024 - 1
        ending_of(feed(wire, [b"a"]))

    def test_row_22_work_is_linear_however_a_head_is_cut(self) -> None:
        """A byte at a time, and a list of subprotocols as long as the head may be."""

        def calls(names: int) -> int:
            offer = request(("Sec-WebSocket-Protocol", ",".join(["a"] * names)))
            return calls_of(lambda: feed(a_server(), bytewise(offer)))

        assert calls(4_000) < 4.2 * calls(1_000)


class TestRow27Origin:
    @pytest.mark.parametrize(
        "origin", ["https://evil.net", "null", "https://example.com", "", "http://example.com"]
    )
    def test_row_27_a_page_is_refused_by_default(self, origin: str) -> None:
        status, line, ending = refusal(request(("Origin", origin)))
        assert status == 403
        assert "the server is told which may" in line
        assert ending.code == Code.REJECTED
        if origin:
            assert origin in ending.reason
            assert origin not in line

    def test_row_27_the_list_opens_it(self) -> None:
        policy = OriginPolicy(["https://example.com"])
        wire = a_server(policy=policy)
        feed(wire, [request(("Origin", "https://example.com"))])
        assert is_open(wire)
        assert refusal(request(("Origin", "http://example.com")), policy=policy)[0] == 403

    def test_row_27_a_host_that_is_not_ours(self) -> None:
        policy = OriginPolicy(allowed_hosts=["localhost"])
        status, _, ending = refusal(request(), policy=policy)
        assert status == 421
        assert "example.com" in ending.reason

    def test_row_31_peer_text_is_escaped_in_the_ending(self) -> None:
        _, _, ending = refusal(request(("Origin", "x\x1b[2J\x9b")))
        assert ending.reason.isprintable()

    def test_row_31_no_header_of_a_bad_request_reaches_the_reason(self) -> None:
        data = request(("Authorization", "Bearer secret\x00"))
        _, line, ending = refusal(data)
        assert "secret" not in line + ending.reason


class TestRow21Slow:
    def test_row_21_a_handshake_has_a_deadline_and_is_answered(self) -> None:
        wire = a_server(limits=Limits(handshake_timeout=5.0))
        assert wire.next_deadline() == 5.0
        feed(wire, [request()[:-1]], now=4.9)
        assert wire.next_deadline() == 5.0, "trickling bytes don't move it"
        assert wire.handle_timeout(now=4.99) == []
        (event,) = wire.handle_timeout(now=5.0)
        assert isinstance(event, WireEnded)
        assert event.ending.code == Code.TIMEOUT
        assert event.ending.status == 408
        assert wire.data_to_send().startswith(b"HTTP/1.1 408 ")
        assert wire.buffered() == 0

    def test_row_21_a_refused_peer_has_two_seconds_to_read_it(self) -> None:
        wire = a_server()
        wire.receive_data(b"\x00", now=1.0)
        assert not is_finished(wire)
        assert wire.next_deadline() == 3.0
        assert wire.handle_timeout(now=3.0) == []
        assert is_finished(wire)
        assert wire.next_deadline() is None
        assert wire.data_to_send() == b""

    def test_row_21_the_answer_is_written_though_the_peer_has_hung_up(self) -> None:
        wire = a_server()
        wire.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", now=0.0)
        assert wire.receive_data(b"", now=0.0) == []
        assert not is_finished(wire)
        assert wire.data_to_send().startswith(b"HTTP/1.1 426 ")
        assert is_finished(wire)

    def test_row_35_the_end_in_mid_handshake(self) -> None:
        for data in (b"", request()[:30]):
            wire = a_server()
            feed(wire, [data] if data else [])
            assert ending_of(wire.receive_data(b"", now=0.0)).code == Code.LOST
            assert is_finished(wire)
            assert wire.data_to_send() == b""

    def test_closing_before_it_opened_drops_it(self) -> None:
        wire = a_server()
        wire.close(Ending(1001, "going"), now=0.0)
        assert is_finished(wire)
        assert wire.receive_data(request(), now=0.0) == []
        assert wire.data_to_send() == b""

"""Where the fuzzer begins: golden vectors, handshakes good and bad, the bad inputs, scripts.

The rows are those of testing.md 3.2. What grew out of these in long runs is the committed corpus.
"""

from collections.abc import Iterator

from gapless.core.frames import Data, Hello
from tests.transports.golden import FRAMES
from tests.transports.support import (
    JSON,
    close_frame,
    head,
    request,
    response,
    ws,
)

from .wires import ACCEPT, CODECS

_HELLO = CODECS[0].encode(Hello(1, None, None, 9))
_TEXT_HELLO = CODECS[1].encode(Hello(1, None, None, 9))
_RAW = 0x80
"""In the first byte of an input for the open wires: the rest is the stream itself."""


def seeds() -> dict[str, list[bytes]]:
    """By target: inputs to begin with."""
    return {
        "json": list(_codec(1)),
        "msgpack": list(_codec(0)),
        "server_wire": [bytes([kind]) + data for kind in (0, 1) for data in _requests()],
        "client_wire": list(_answers()),
        "open_wire": list(_streams()),
        "words": list(_words()),
        "session": [bytes([head, *script]) for head in range(4) for script in _SESSION],
        "hub": [bytes([head, *script]) for head in range(4) for script in _HUB],
    }


def _codec(which: int) -> Iterator[bytes]:
    codec = CODECS[which]
    for frame in FRAMES.values():
        yield codec.encode(frame)
    yield codec.encode(Data(1, 2**53 - 3, [b"x" * 101, b"y"], False))
    if which:
        yield b'{"type":"ping","number":1,"sent":1,"x":' + b"[" * 3000
        yield b'{"type":"ping","number":1e5,"sent":-1}'
        yield b'{"type":"ping","number":' + b"9" * 400 + b',"sent":NaN}'
        yield b'{"type":"text","id":1,"first":1,"payloads":["\\ud800"],"id":2}'
        yield b'{"type":"text","id":1,"first":1,"payloads":["\xff"]}'
    else:
        yield b"\x94\xa4ping\x01\x01" + b"\x91" * 3000
        yield b"\xdd\xff\xff\xff\xff\xa4ping"
        yield b"\x93\xa4ping\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\x01"
        yield b"\x94\xa4text\x01\x01\x91\xa1\xff"


def _requests() -> Iterator[bytes]:
    good = ws(2, _HELLO) + close_frame(1000)
    yield request() + good
    yield request(protocol=f"x, {JSON}") + ws(1, _TEXT_HELLO)
    yield request(("Origin", "https://example.com")) + good
    yield request(("Origin", "http://127.0.0.1"), without=["Host"])
    yield request(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=x"))
    yield request(("Content-Length", "5"), ("Transfer-Encoding", "chunked"))
    yield request(("Host", "evil"), ("X", "\xff"))
    yield request(line="GET http://x/ HTTP/1.1")
    yield request(line="POST / HTTP/1.0")
    yield request(line="GET / HTTP/9.9\xff")
    yield request(without=["Upgrade"])
    yield request(without=["Sec-WebSocket-Key"])
    yield request(protocol="chat")
    yield b"GET / HTTP/1.1\nHost: x\n\n"
    yield b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00"


def _answers() -> Iterator[bytes]:
    asked = request()
    token = _accept_of(asked)
    good = ws(2, _HELLO, masked=False) + close_frame(1000, masked=False)
    for answer in (
        response(asked) + good,
        response(asked, protocol=JSON) + ws(1, _TEXT_HELLO, masked=False),
        response(asked, protocol="chat"),
        response(asked, protocol="\xff"),
        response(asked, without=["Sec-WebSocket-Protocol"]),
        response(asked, ("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits")),
        response(asked, ("Sec-WebSocket-Extensions", "x; y=\xff")),
        response(asked, ("Upgrade", "websocket"), without=["Sec-WebSocket-Accept"]),
        response(asked, ("Connection", "\xff")),
        response(asked, without=["Connection"]),
        response(asked, line="HTTP/1.1 101"),
    ):
        yield answer.replace(token, ACCEPT)
    plain = ("Content-Type", "text/plain")
    for status in ("200 OK", "302 Found", "401 No", "503 Busy", "999 ?", "100 Continue"):
        length = ("Content-Length", "9")
        yield head(f"HTTP/1.1 {status}", [plain, length, ("Retry-After", "99999")]) + b"go away\n."
    chunked = [plain, ("Transfer-Encoding", "chunked")]
    yield head("HTTP/1.1 400 Bad", chunked) + b"5\r\nwrong\r\n0\r\n\r\n"
    yield head("HTTP/1.1 400 Bad", chunked) + b"zz\r\n"
    yield b"\x15\x03\x01\x00\x02"
    yield b"SSH-2.0-OpenSSH\r\n"


def _accept_of(asked: bytes) -> bytes:
    answer = response(asked)
    return answer.partition(b"Sec-WebSocket-Accept: ")[2].partition(b"\r\n")[0]


def _streams() -> Iterator[bytes]:
    hello = len(_HELLO).to_bytes(4, "big") + _HELLO
    yield bytes([_RAW | 15]) + hello + hello
    yield bytes([_RAW | 15]) + hello + b"\xff\xff\xff\xff" + hello
    yield bytes([15, 1, 8, 1, 2, 3])
    for kind, codec in ((0, CODECS[0]), (1, CODECS[1]), (2, CODECS[0]), (3, CODECS[1])):
        opcode, masked = 2 - kind % 2, kind < 2
        raw = bytes([_RAW | kind])
        framed = [ws(opcode, codec.encode(frame), masked=masked) for frame in FRAMES.values()]
        for first in range(0, len(framed), 5):
            yield raw + b"".join(framed[first : first + 5])
        good = codec.encode(Hello(1, None, None, 9))
        parts = ws(opcode, good[:3], fin=False, masked=masked) + ws(9, b"x", masked=masked)
        yield raw + parts + ws(0, good[3:], masked=masked)
        yield raw + ws(opcode, b"", fin=False, masked=masked) + ws(0, fin=False, masked=masked) * 7
        yield raw + ws(9, b"p", masked=masked) * 8
        for length in (126, 200, 2**16, 2**31, 2**62, 2**63):
            yield raw + ws(opcode, b"abc", masked=masked, length=length, wide=8)
        for code in (0, 1000, 1005, 1006, 1015, 3000, 5000):
            yield raw + close_frame(code, b"why", masked=masked) + ws(opcode, good, masked=masked)
        yield raw + close_frame(1000, b"\xff", masked=masked)
        yield raw + ws(8, b"\x03", masked=masked)
        yield raw + ws(opcode, b"\xff\xfe", masked=masked)
        yield raw + ws(opcode, good, masked=not masked)
        yield raw + ws(opcode, good, masked=masked, reserved=0x40)
        yield bytes([kind, 1, 8, 1, 2, 3, 4, 1, 0, 0, 2, 7, 9, 3, 0, 65, 66])


_TEXTS = (
    ("E1:42", "latest", "E1:-1", "E1:9007199254740992", ":1", "E1:\u0664", "E:1:2"),
    ("campaign/42", "@me", "", "a\x00b", "größe" * 60, "\u2028"),
    (
        "ws://example.com/",
        "wss://[::1]:9/x?y#z",
        "ws://bücher.example:80",
        "ws://u@h",
        "ws://h:99999",
        "ws://[::1",
        "ws://faß.de/",
    ),
    ("127.0.0.1:80", "[::1]:9", ":0", "9000", "h:99999", "ws://h:1/x"),
    ("example.com\nhttps://example.com", "127.0.0.1:8\nhttp://127.0.0.1:8", "h\nnull", "[::1]\nx"),
    ("secret\nsecret", "secret\nsecre", "\n", "a" * 5000, "ü\nü"),
    ("plain", "\x1b[2J", "a\tb\u202e", "\u0085"),
    (
        '{"url":"ws://example.com/","channel":"news","position":"E1:4","token":"t"}',
        '{"url":"ws://x/","channel":"news","position":"E1:4","token":null}',
        '{"url":1}',
        "[" * 3000,
        "{",
        '"\udcff"',
    ),
    (
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x82\x03abc\x81\x7e\x00\x05hello",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x82\x83aaaaabc\x89\x00",
        "GET / HTTP/1.1\r\n\r\nbody",
        "SSH-2.0",
    ),
    ("bücher", "a" * 64, "..", "xn--\u00fc"),
)


def _words() -> Iterator[bytes]:
    for kind, texts in enumerate(_TEXTS):
        for text in texts:
            yield bytes([kind]) + text.encode("utf-8", "surrogateescape")


# Numbers of acts in `client.py` and `hub.py`, each with what it draws behind it.
_JOINED = (0, 0, 0, 0, 0, 0, 0)
_LARGE = (15, *range(15), 5)
_FLOOD = (5, 0, 2, *_LARGE * 3, 0)
_THREE = (2, 1, 65, 0, 1, 66, 0, 1, 67, 0, 0)
_SAY = (10, 1, 3, 65, 66, 67, 0, 0)
_AGAIN = (13, 0, 0, 0, 8, 9, 0, 2, 1, 1)
_SESSION = (
    (*_JOINED, 5, 0, *_THREE, 11, 0, 0, 9, 1, 5, 0, *_THREE, 11, 0, 1, 0, 8, 2, 12, 0, 1),
    (*_JOINED, *_SAY, 1, 4, 0, 0, 1, 4, 0, 4, 0, 15, *_SAY * 2, 1, 13, 0, 0, 0, 8, 9, 0, 1, 15),
    (
        *_JOINED,
        *_SAY,
        1,
        4,
        0,
        0,
        *_SAY * 8,
        1,
        4,
        0,
        3,
        1,
        8,
        1,
        1,
        *_AGAIN,
        4,
        0,
        1,
        2,
        1,
        4,
        0,
        4,
    ),
    (*_JOINED, 9, 3, 2, 1, 5, 1, 3, 0, 0, 2, 0, 5, 1, *_THREE, 6, 11, 1, 1, 8, 4, 11, 0, 0, 9, 15),
    (16, 2, 0, 9, 0, 1, 1, 2, 0, 3, 0, 0, 0, 3, 5, 0, *_THREE, 13, 0, 0, 0, 8, 9, 0, 1, 2, 1, 7, 0),
    (*_JOINED, *_FLOOD * 2, 11, 0, 0, 3, 1, 3, 0, 0, 0, 3, 11, 0, 0, 15),
)
_PUBLISH = (11, 0, 0, 3, 65, 66, 67, 0, 0)
_HUB = (
    (4, 0, 0, 0, 0, 3, *_PUBLISH, 3, 7, 0, 0, 0, 1, 3, *_PUBLISH, 3, 14, 0, 0, 10, 3, 0, 1, 1, 2),
    (5, 0, 0, 0, 0, 3, 6, 0, 0, *_THREE, 3, 6, 0, 0, *_THREE, 3, 10, 8, 12, 1, 0, 0, 9, 16, 0, 1),
    (0, 1, 1, 0, 2, 1, 0, 0, 2, 1, 0, 0, 3, 4, 1, 1, 1, 0, 3, *_PUBLISH * 9, 3, 15, 7, 3, 10, 8, 3),
    (
        15,
        7,
        5,
        0,
        0,
        0,
        0,
        15,
        7,
        3,
        6,
        0,
        0,
        *_THREE,
        15,
        6,
        0,
        3,
        15,
        7,
        3,
        10,
        6,
        12,
        0,
        0,
        0,
        15,
    ),
    (4, 0, 0, 2, 3, 13, 0, 1, *_PUBLISH * 12, 3, 17, 15, 1, 0, 3, 10, 8, 3, 10, 9),
)

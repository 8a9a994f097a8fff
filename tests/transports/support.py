"""Peers, bytes and cuts for the tests of the wires: fakes of the other end, no mocks of ours."""

import base64
import hashlib
import itertools
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from gapless.core.closing import Ending
from gapless.transports import (
    JsonCodec,
    Limits,
    MemoryWire,
    MsgpackCodec,
    OriginPolicy,
    WebSocketClient,
    WebSocketServer,
    Wire,
    WireEnded,
    WireEvent,
    default_codecs,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MSGPACK = "gapless.v1.msgpack"
JSON = "gapless.v1.json"
MASK = b"\x37\xfa\x21\x3d"

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def request(
    *extra: tuple[str, str],
    line: str = "GET /chat?x=1 HTTP/1.1",
    without: Iterable[str] = (),
    protocol: str = MSGPACK,
) -> bytes:
    """A browser's or client's upgrade request; headers in `without` are left out."""
    headers = [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", protocol),
    ]
    dropped = {name.lower() for name in without}
    kept = [pair for pair in headers if pair[0].lower() not in dropped]
    return head(line, [*kept, *extra])


def head(line: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def accept_token(key: str) -> str:
    digest = hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def key_of(asked: bytes) -> str:
    """The key in a client's request."""
    return asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()


def response(
    asked: bytes,
    *extra: tuple[str, str],
    line: str = "HTTP/1.1 101 Switching Protocols",
    without: Iterable[str] = (),
    protocol: str = MSGPACK,
) -> bytes:
    """A server's good answer to the request `asked`."""
    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_token(key_of(asked))),
        ("Sec-WebSocket-Protocol", protocol),
    ]
    dropped = {name.lower() for name in without}
    kept = [pair for pair in headers if pair[0].lower() not in dropped]
    return head(line, [*kept, *extra])


def ws(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    masked: bool = True,
    reserved: int = 0,
    length: int | None = None,
    wide: int = 0,
) -> bytes:
    """A WebSocket frame: a client's if masked; `length` lies, `wide` writes it in 2 or 8 bytes."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | reserved | opcode
    bit = 0x80 if masked else 0
    if wide == 8 or (not wide and size > 0xFFFF):
        begin = bytes([first, bit | 127]) + struct.pack("!Q", size)
    elif wide == 2 or (not wide and size > 125):
        begin = bytes([first, bit | 126]) + struct.pack("!H", size)
    else:
        begin = bytes([first, bit | size])
    if not masked:
        return begin + payload
    return begin + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(payload))


def close_frame(code: int, reason: bytes = b"", *, masked: bool = True) -> bytes:
    return ws(CLOSE, struct.pack("!H", code) + reason, masked=masked)


def a_server(
    *,
    limits: Limits | None = None,
    policy: OriginPolicy | None = None,
    max_message: int = 1024 * 1024,
) -> WebSocketServer:
    return WebSocketServer(default_codecs(max_message), now=0.0, limits=limits, policy=policy)


def a_client(*, limits: Limits | None = None, max_message: int = 1024 * 1024) -> WebSocketClient:
    return WebSocketClient(
        "example.com", "/chat?x=1", default_codecs(max_message), now=0.0, limits=limits
    )


def open_server(
    *, protocol: str = MSGPACK, limits: Limits | None = None, max_message: int = 1024 * 1024
) -> WebSocketServer:
    """A server wire whose handshake is done."""
    server = a_server(limits=limits, max_message=max_message)
    server.receive_data(request(protocol=protocol), now=0.0)
    server.data_to_send()
    assert is_open(server)
    return server


def open_client(
    *, protocol: str = MSGPACK, limits: Limits | None = None, max_message: int = 1024 * 1024
) -> WebSocketClient:
    """A client wire whose handshake is done."""
    client = a_client(limits=limits, max_message=max_message)
    client.receive_data(response(client.data_to_send(), protocol=protocol), now=0.0)
    assert is_open(client)
    return client


def feed(wire: Wire, pieces: Iterable[bytes], *, now: float = 0.0) -> list[WireEvent]:
    events: list[WireEvent] = []
    for piece in pieces:
        events += wire.receive_data(piece, now=now)
    return events


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def calls_of(work: Callable[[], object]) -> int:
    """How many function calls the interpreter makes, and returns from, while it does this work."""
    count = 0

    def tick(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(tick)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut the data at these offsets; no piece is empty."""
    edges = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Random ways to cut the data."""
    places = st.lists(st.integers(0, max(0, len(data) - 1)), max_size=12)
    return places.map(lambda chosen: cut(data, chosen))


@dataclass(frozen=True)
class Outcome:
    """What a fresh wire makes of the bytes it is fed, and how it then stands."""

    events: list[WireEvent]
    answer: bytes | int
    held: int
    deadline: float | None
    after_the_end: list[WireEvent]


def outcome(make: Callable[[], Wire], pieces: Sequence[bytes]) -> Outcome:
    """Feed the pieces, then the end of the stream. Of a masked answer only the length counts."""
    wire = make()
    events = feed(wire, [piece for piece in pieces if piece])
    deadline, held, answer = wire.next_deadline(), wire.buffered(), wire.data_to_send()
    shown = len(answer) if isinstance(wire, WebSocketClient) else answer
    return Outcome(events, shown, held, deadline, wire.receive_data(b"", now=0.0))


def same_however_cut(make: Callable[[], Wire], data: bytes) -> list[WireEvent]:
    """Assert P9 for whole, byte by byte, halves and pairs; return the events, the end included."""
    whole = outcome(make, [data])
    ways = [bytewise(data), cut(data, [len(data) // 2]), cut(data, range(0, len(data), 2))]
    for pieces in ways:
        assert outcome(make, pieces) == whole
    return [*whole.events, *whole.after_the_end]


def ending_of(events: Sequence[WireEvent]) -> Ending:
    """The ending the events close with; nothing else may be an ending."""
    assert events, "nothing ended"
    assert isinstance(events[-1], WireEnded)
    assert not any(isinstance(event, WireEnded) for event in events[:-1])
    return events[-1].ending


def wires() -> list[Wire]:
    """One of each, open: checks that all are a `Wire`."""
    return [open_server(), open_client(), MemoryWire()]


def codecs(max_message: int = 1024 * 1024) -> list[MsgpackCodec | JsonCodec]:
    return [MsgpackCodec(max_message), JsonCodec(max_message)]


def is_open(wire: Wire) -> bool:
    """Ask anew: a type checker takes a property's last answer for the next one."""
    return wire.is_open


def is_finished(wire: Wire) -> bool:
    """Ask anew, see `is_open`."""
    return wire.is_finished

"""Targets: the wires, from the first byte and once they are open.

What a wire makes of bytes may not depend on how they are cut (P9, I11), and what it holds and
answers is bounded by what it was sent (P3, I9). A copy of a prepared wire is fed each way: a
client's key is drawn by wsproto, and a handshake is slow.
"""

import copy
from collections.abc import Callable, Sequence

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import Request

from gapless.core.closing import Ending
from gapless.core.frames import Ack, Data
from gapless.transports import (
    Codec,
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
    WireOpened,
)
from gapless.transports.handshake import MAX_HEAD, MAX_HEADERS, Accepted, Declined
from tests.transports.support import (
    Outcome,
    accept_token,
    key_of,
    outcome,
    ws,
)

from .caught import guarded
from .drawing import Draw, pieces
from .frames import draw_frame

Make = Callable[[], Wire]

MAX_MESSAGE = 100
SMALL = Limits(max_fragments=6, control_burst=6, max_hello=200)
CODECS = (MsgpackCodec(MAX_MESSAGE), JsonCodec(MAX_MESSAGE))
POLICY = OriginPolicy(["https://example.com"], ["example.com", "127.0.0.1"])
ACCEPT = b"@ACCEPT@"
"""Stands in an input for the token that answers the client's key."""

MOST_ANSWERED = 2048
"""Bytes a wire may say of its own: an HTTP answer, a close; pongs are no longer than the pings."""

_SHARED = {id(one): one for one in (*CODECS, SMALL, POLICY)}


def _copies(wire: Wire) -> Make:
    return lambda: copy.deepcopy(wire, dict(_SHARED))


def check_wire(make: Make, data: bytes) -> None:
    """Hold all that a wire promises about bytes, whatever they are."""
    whole = outcome(make, [data])
    for cut in pieces(data):
        other = outcome(make, cut)
        assert other == whole, f"split feeding differs: {_difference(whole, other)}"
    _check_events([*whole.events, *whole.after_the_end], len(data))
    assert whole.held <= _most_held(len(data)), f"{whole.held} bytes held"
    answered = whole.answer if isinstance(whole.answer, int) else len(whole.answer)
    assert answered <= MOST_ANSWERED + len(data), f"{answered} bytes answered"
    _check_in_use(make(), data)


def _most_held(size: int) -> int:
    return MOST_ANSWERED + min(size, MAX_HEAD + max(codec.max_frame for codec in CODECS))


def _difference(whole: Outcome, other: Outcome) -> str:
    pairs = [(name, getattr(whole, name), getattr(other, name)) for name in Outcome.__annotations__]
    return "; ".join(f"{name}: {one!r} and {two!r}" for name, one, two in pairs if one != two)


def _check_events(events: Sequence[WireEvent], size: int) -> None:
    """One opening at most and first, one ending at most and last, no more frames than bytes."""
    assert all(not isinstance(event, WireOpened) for event in events[1:])
    assert all(not isinstance(event, WireEnded) for event in events[:-1])
    assert len(events) <= size + 2
    for event in events:
        if isinstance(event, WireEnded):
            assert len(event.ending.reason) <= 600, "words without a bound"


def _check_in_use(wire: Wire, data: bytes) -> None:
    """In use, with sends, time and questions between, and then closed: nothing is left of it."""
    now, size = 0.0, max(1, len(data) // 3)
    events: list[WireEvent] = []
    for at in range(0, len(data), size):
        events += wire.receive_data(data[at : at + size], now=now)
        if wire.is_open:
            wire.send_frame(Ack(1, 2, 3), now=now)
            wire.send_frame(Data(1, 1, [b"x"], False), now=now)
        now += 0.25
        events += wire.handle_timeout(now=now)
        deadline = wire.next_deadline()
        assert deadline is None or deadline > now, "a deadline in the past (I12)"
        wire.data_to_send()
    wire.close(Ending(1000, ""), now=now)
    deadline = wire.next_deadline()
    if deadline is not None:
        events += wire.handle_timeout(now=deadline)
    wire.data_to_send()
    _check_events(events, len(data))
    assert wire.is_finished
    assert not wire.buffered()
    assert wire.next_deadline() is None, "a finished wire has a deadline (I20)"
    assert wire.receive_data(data or b"x", now=now) == [], "a finished wire speaks (I20)"


class ServerTarget:
    """A server's wire from the first byte: the request, then frames."""

    def __init__(self, makes: Sequence[Make] | None = None) -> None:
        """The input's first byte chooses among `makes`."""
        guarded_by_policy = WebSocketServer(CODECS, now=0.0, limits=SMALL, policy=POLICY)
        self._makes = makes or (
            _copies(WebSocketServer(CODECS, now=0.0, limits=SMALL)),
            _copies(guarded_by_policy),
        )

    def __call__(self, data: bytes) -> None:
        draw = Draw(data)
        make = draw.choice(self._makes)
        stream = draw.rest()
        guarded("h11", _h11_reads, _head_of(stream))
        check_wire(make, stream)


class ClientTarget:
    """A client's wire from the first byte: the answer, in which `@ACCEPT@` is the right token."""

    def __init__(self, make: Callable[[], Wire] | None = None) -> None:
        self._make = make or (
            lambda: WebSocketClient("example.com", "/chat?x=1", CODECS, now=0.0, limits=SMALL)
        )

    def __call__(self, data: bytes) -> None:
        wire = self._make()
        key = key_of(wire.data_to_send())
        stream = data.replace(ACCEPT, accept_token(key).encode())
        guarded("wsproto", _wsproto_reads, _head_of(stream))
        check_wire(_copies(wire), stream)


class OpenTarget:
    """An open wire of either role, in either codec, and a memory wire.

    The input's first byte chooses the wire, and whether the rest is the stream itself or choices
    that build one: good and bad frames, lies about length, wrong masks, fragments.
    """

    def __init__(
        self, makes: Sequence[tuple[Make, bool, bool]] | None = None, memory: Make | None = None
    ) -> None:
        """Each of `makes` comes with whether its peer masks, and speaks text."""
        self._makes = makes or (
            (lambda: _OpenServer(CODECS[0]), True, False),
            (lambda: _OpenServer(CODECS[1]), True, True),
            (lambda: _OpenClient(CODECS[0]), False, False),
            (lambda: _OpenClient(CODECS[1]), False, True),
        )
        self._memory = memory or (lambda: MemoryWire(CODECS[0], from_client=True, limits=SMALL))

    def __call__(self, data: bytes) -> None:
        draw = Draw(data)
        kind = draw.byte()
        if kind % 16 == 15:
            stream = draw.rest() if kind & 0x80 else _memory_stream(draw)
            check_wire(self._memory, stream)
            return
        make, masked, is_text = self._makes[kind % len(self._makes)]
        stream = draw.rest() if kind & 0x80 else _websocket_stream(draw, masked, is_text)
        check_wire(make, stream)


class _Agreed:
    """A handshake that is over with the first byte: a real one takes longer than all the rest."""

    held = 0
    is_refused = False

    def __init__(self, role: ConnectionType, codec: Codec) -> None:
        self._accepted = Accepted(Connection(role), codec, "/", b"", b"")

    def start(self) -> bytes:
        return b""

    def receive(self, data: bytes) -> Accepted:
        return self._accepted

    def end_of_stream(self) -> Declined:
        raise AssertionError("it was over with the first byte")

    def expire(self, seconds: float) -> Declined:
        raise AssertionError("it was over with the first byte")


class _OpenServer(WebSocketServer):
    def __init__(self, codec: Codec) -> None:
        handshake = _Agreed(ConnectionType.SERVER, codec)
        super(WebSocketServer, self).__init__(handshake, SMALL, now=0.0)
        self.receive_data(b"x", now=0.0)


class _OpenClient(WebSocketClient):
    def __init__(self, codec: Codec) -> None:
        handshake = _Agreed(ConnectionType.CLIENT, codec)
        super(WebSocketClient, self).__init__(handshake, SMALL, now=0.0)
        self.receive_data(b"x", now=0.0)


_OPCODES = (2, 2, 1, 1, 0, 8, 9, 10, 3, 11)
_CLOSES = (1000, 1001, 1005, 1006, 1015, 0, 999, 3000, 4000, 4999, 5000, 65535)


def _websocket_stream(draw: Draw, masked: bool, is_text: bool) -> bytes:
    """Frames as choices; a byte of 0 is a plain frame with what stands behind it."""
    codec = CODECS[is_text]
    parts: list[bytes] = []
    while not draw.is_over and len(parts) < 24:
        kind, opcode = draw.byte(), 1 if is_text else 2
        payload = codec.encode(draw_frame(draw)) if kind & 1 else draw.block()
        if kind & 2:
            opcode = draw.choice(_OPCODES)
        if opcode == 8 and kind & 4:
            payload = draw.choice(_CLOSES).to_bytes(2, "big") + payload[:125]
        odd = draw.byte() if kind & 8 else 0
        parts.append(
            ws(
                opcode,
                payload,
                fin=not kind & 16,
                masked=masked ^ (odd & 15 == 1),
                reserved=odd & 0x70 if odd & 15 == 2 else 0,
                length=draw.choice((0, 3, 200, 2**40, 2**63)) if odd & 15 == 3 else None,
                wide=draw.choice((2, 8)) if odd & 15 == 4 and len(payload) < 2**16 else 0,
            )
        )
        if kind & 32:
            parts.append(draw.block())
    return b"".join(parts)


def _memory_stream(draw: Draw) -> bytes:
    parts: list[bytes] = []
    while not draw.is_over and len(parts) < 24:
        kind = draw.byte()
        frame = CODECS[0].encode(draw_frame(draw)) if kind & 1 else draw.block()
        size = draw.number() & 0xFFFFFFFF if kind & 2 else len(frame)
        parts.append(size.to_bytes(4, "big") + frame)
    return b"".join(parts)


def _head_of(stream: bytes) -> bytes:
    head, end, _ = stream[:MAX_HEAD].partition(b"\r\n\r\n")
    return head + end if head.count(b"\n") <= MAX_HEADERS + 1 else b""


def _h11_reads(head: bytes) -> object:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    return connection.next_event()


def _wsproto_reads(head: bytes) -> object:
    connection = WSConnection(ConnectionType.CLIENT)
    names = [codec.subprotocol for codec in CODECS]
    asked = connection.send(Request(host="example.com", target="/", subprotocols=names))
    token = accept_token(key_of(asked)).encode()
    connection.receive_data(head.replace(ACCEPT, token))
    return list(connection.events())


server_target = ServerTarget()
client_target = ClientTarget()
open_target = OpenTarget()

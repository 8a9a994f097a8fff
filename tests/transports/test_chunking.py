"""P9, I11: any split of the byte stream gives the same events, the same errors, the same answer."""

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.frames import Frame, Hello
from gapless.transports import JsonCodec, Limits, MemoryWire, MsgpackCodec, WebSocketServer

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
    bytewise,
    cuts,
    open_client,
    open_server,
    outcome,
    request,
    response,
    same_however_cut,
    ws,
)

SMALL = Limits(max_fragments=6, control_burst=6, max_hello=64)
HELLO = Hello(1, None, None, 9)

opcodes = st.sampled_from([0, 0, TEXT, BINARY, BINARY, PING, PONG, CLOSE, 3, 11])
payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=8).map(str.encode),
    any_frame.map(MsgpackCodec().encode),
    any_frame.map(JsonCodec().encode),
    st.integers(990, 1020).map(lambda code: code.to_bytes(2, "big") + b"why"),
    st.just(b""),
)


@st.composite
def streams(draw: st.DrawFn, *, masked: bool) -> bytes:
    """Frames good and bad in any order: lies about length, wrong masks, reserved bits, rubbish."""
    parts: list[bytes] = []
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.integers(0, 19)) == 0:
            parts.append(draw(st.binary(max_size=12)))
            continue
        parts.append(
            ws(
                draw(opcodes),
                draw(payloads),
                fin=draw(st.integers(0, 3)) > 0,
                masked=masked ^ (draw(st.integers(0, 29)) == 0),
                reserved=draw(st.sampled_from([0] * 20 + [0x40, 0x20, 0x10])),
                length=draw(st.sampled_from([None] * 20 + [0, 3, 200, 2**40, 2**63])),
                wide=draw(st.sampled_from([0] * 20 + [8])),
            )
        )
    whole = b"".join(parts)
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


@st.composite
def conversations(draw: st.DrawFn, *, masked: bool, protocol: str) -> bytes:
    """A stream that begins well: some good frames, then anything."""
    codec = JsonCodec() if protocol == JSON else MsgpackCodec()
    opcode = TEXT if protocol == JSON else BINARY
    begin = [HELLO, *draw(st.lists(any_frame, max_size=3))]
    good = b"".join(ws(opcode, codec.encode(frame), masked=masked) for frame in begin)
    return good + draw(streams(masked=masked))


protocols = st.sampled_from([MSGPACK, JSON])


@given(data=st.data(), protocol=protocols)
def test_p9_an_open_server(data: st.DataObject, protocol: str) -> None:
    stream = data.draw(conversations(masked=True, protocol=protocol))

    def make() -> WebSocketServer:
        return open_server(protocol=protocol, limits=SMALL)

    same_however_cut(make, stream)
    assert outcome(make, data.draw(cuts(stream))) == outcome(make, [stream])


@given(data=st.data(), protocol=protocols)
def test_p9_an_open_client(data: st.DataObject, protocol: str) -> None:
    stream = data.draw(conversations(masked=False, protocol=protocol))
    whole, pieces = [stream], data.draw(cuts(stream))
    for other in (pieces, bytewise(stream)):
        assert outcome(lambda: open_client(protocol=protocol, limits=SMALL), other) == outcome(
            lambda: open_client(protocol=protocol, limits=SMALL), whole
        )


@given(data=st.data(), protocol=protocols)
def test_p9_a_server_from_the_first_byte(data: st.DataObject, protocol: str) -> None:
    stream = request(protocol=protocol) + data.draw(conversations(masked=True, protocol=protocol))
    same_however_cut(a_server, stream)
    assert outcome(a_server, data.draw(cuts(stream))) == outcome(a_server, [stream])


@given(data=st.data(), protocol=protocols)
def test_p9_a_client_from_the_first_byte(data: st.DataObject, protocol: str) -> None:
    stream = data.draw(conversations(masked=False, protocol=protocol))
    whole, cut_up = a_client(), a_client()
    good = response(whole.data_to_send(), protocol=protocol) + stream
    other = response(cut_up.data_to_send(), protocol=protocol) + stream
    pieces = data.draw(cuts(other))
    assert outcome(lambda: whole, [good]) == outcome(lambda: cut_up, pieces)


@given(data=st.data(), sent=st.lists(any_frame, max_size=4), rubbish=st.binary(max_size=20))
def test_p9_a_memory_wire(data: st.DataObject, sent: list[Frame], rubbish: bytes) -> None:
    codec = MsgpackCodec()
    encoded = [codec.encode(frame) for frame in sent]
    stream = b"".join(len(one).to_bytes(4, "big") + one for one in encoded) + rubbish
    same_however_cut(MemoryWire, stream)
    assert outcome(MemoryWire, data.draw(cuts(stream))) == outcome(MemoryWire, [stream])

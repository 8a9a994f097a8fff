"""I21: whatever bytes a peer sends, whenever, no call raises, and a wire that ended stays ended."""

from hypothesis import given
from hypothesis import strategies as st

from gapless.core.closing import Ending
from gapless.core.frames import Ack, Data, Hello
from gapless.transports import (
    Limits,
    MemoryWire,
    MsgpackCodec,
    OriginPolicy,
    Wire,
    WireEnded,
    WireEvent,
    WireOpened,
)

from .support import (
    BINARY,
    PING,
    a_client,
    a_server,
    close_frame,
    is_finished,
    is_open,
    open_client,
    open_server,
    request,
    response,
    ws,
)

SMALL = Limits(max_fragments=5, control_burst=5)
HELLO = MsgpackCodec().encode(Hello(1, None, None, 9))
GOOD = ws(BINARY, HELLO) + ws(PING, b"x") + ws(BINARY, HELLO, fin=False) + close_frame(1000, b"x")
POLICY = OriginPolicy(["https://example.com"], ["example.com"])

patches = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "repeat", "cut"]),
        st.integers(0, 2**16),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=5,
)


def mutate(data: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    mutated = bytearray(data)
    for kind, where, what in changes:
        place = where % (len(mutated) + 1)
        match kind:
            case "flip":
                mutated[place : place + len(what)] = what
            case "insert":
                mutated[place:place] = what
            case "delete":
                del mutated[place : place + len(what)]
            case "repeat":
                mutated[place:place] = mutated[place : place + 40] * len(what)
            case _:
                del mutated[place:]
    return bytes(mutated)


def torture(wire: Wire, data: bytes, step: int) -> None:
    """Feed the bytes in steps, with sends, timeouts and questions between; then the end."""
    events: list[WireEvent] = []
    now = 0.0
    for place in range(0, len(data), step):
        events += wire.receive_data(data[place : place + step], now=now)
        now += 0.25
        if is_open(wire):
            wire.send_frame(Ack(1, 2, 3), now=now)
            wire.send_frame(Data(1, 1, [b"x"], False), now=now)
        events += wire.handle_timeout(now=now)
        wire.data_to_send()
        assert wire.buffered() >= 0
    events += wire.receive_data(b"", now=now)
    wire.close(Ending(1000, ""), now=now)
    deadline = wire.next_deadline()
    if deadline is not None:
        events += wire.handle_timeout(now=deadline)
    wire.data_to_send()
    ended = [event for event in events if isinstance(event, WireEnded)]
    assert len(ended) == 1
    assert events[-1] is ended[0]
    assert sum(isinstance(event, WireOpened) for event in events) <= 1
    assert is_finished(wire)
    assert not is_open(wire)
    assert wire.next_deadline() is None
    assert wire.buffered() == 0
    assert wire.receive_data(data, now=now) == []


steps = st.sampled_from([1, 2, 7, 64, 10_000])


@given(changes=patches, step=steps)
def test_i21_a_mutated_request(changes: list[tuple[str, int, bytes]], step: int) -> None:
    extra = [
        ("Origin", "https://example.com"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=15"),
    ]
    data = mutate(request(*extra), changes) + GOOD
    torture(a_server(limits=SMALL, policy=POLICY), data, step)


@given(changes=patches, step=steps)
def test_i21_a_mutated_answer(changes: list[tuple[str, int, bytes]], step: int) -> None:
    wire = a_client(limits=SMALL)
    extra = [("Sec-WebSocket-Extensions", "x; y=1"), ("Content-Type", "text/plain")]
    asked = wire.data_to_send()
    for good in (response(asked), response(asked, *extra)):
        torture(a_client(limits=SMALL), mutate(good, changes) + GOOD, step)
    torture(wire, mutate(response(asked), changes) + GOOD, step)


@given(changes=patches, step=steps)
def test_i21_mutated_frames(changes: list[tuple[str, int, bytes]], step: int) -> None:
    torture(open_server(limits=SMALL), mutate(GOOD, changes), step)
    unmasked = ws(BINARY, HELLO, masked=False) + close_frame(1000, b"x", masked=False)
    torture(open_client(limits=SMALL), mutate(unmasked, changes), step)


@given(changes=patches, step=steps)
def test_i21_mutated_memory_frames(changes: list[tuple[str, int, bytes]], step: int) -> None:
    framed = len(HELLO).to_bytes(4, "big") + HELLO
    torture(MemoryWire(), mutate(framed * 3, changes), step)


@given(data=st.binary(max_size=300), step=steps)
def test_i21_rubbish(data: bytes, step: int) -> None:
    for wire in (a_server(), a_client(), open_server(), open_client(), MemoryWire()):
        torture(wire, data, step)

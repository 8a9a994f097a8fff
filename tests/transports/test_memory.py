"""The memory wire: the same frames, limits and endings, without a handshake."""

import pytest

from gapless.core import frames
from gapless.core.closing import Code, Ending
from gapless.transports import FrameReceived, JsonCodec, Limits, MemoryWire, MsgpackCodec, WireEnded

from .support import bytewise, cut, ending_of, feed, is_finished, is_open, same_however_cut

HELLO = frames.Hello(1, None, None, 9)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def encoded(frame: frames.Frame) -> bytes:
    return framed(MsgpackCodec().encode(frame))


def test_it_is_open_from_the_start() -> None:
    wire = MemoryWire()
    assert is_open(wire)
    assert not is_finished(wire)
    assert wire.next_deadline() is None
    assert wire.handle_timeout(now=1e9) == []
    assert wire.data_to_send() == b""


def test_frames_pass_however_cut() -> None:
    one, two = MemoryWire(), MemoryWire()
    sent: list[frames.Frame] = [HELLO, frames.Data(1, 1, [b"a", b"b"], True), frames.Ack(1, 2, 3)]
    for frame in sent:
        one.send_frame(frame, now=0.0)
    size = one.buffered()
    data = one.data_to_send()
    assert len(data) == size
    for pieces in ([data], bytewise(data), cut(data, range(0, len(data), 3))):
        two = MemoryWire()
        events = feed(two, pieces)
        assert [event.frame for event in events if isinstance(event, FrameReceived)] == sent
        assert (
            sum(event.size for event in events if isinstance(event, FrameReceived))
            == len(data) - 12
        )
        assert two.buffered() == 0


def test_another_codec() -> None:
    one, two = MemoryWire(JsonCodec()), MemoryWire(JsonCodec())
    one.send_frame(HELLO, now=0.0)
    assert b'"type":"hello"' in (data := one.data_to_send())
    assert len(feed(two, [data])) == 1


def test_a_batch_is_encoded_once() -> None:
    batch = frames.Data(1, 1, [b"x"], False, {"ws:msgpack": b"other"})
    readers = [MemoryWire(), MemoryWire()]
    for reader in readers:
        reader.send_frame(batch, now=0.0)
    assert batch.encoded is not None
    for reader in readers:
        assert reader.data_to_send() is batch.encoded["memory:msgpack"]


@pytest.mark.parametrize("length", [2**20 + 2**17, 2**31, 2**32 - 1])
def test_row_5_a_huge_length_is_refused_before_a_byte_of_it(length: int) -> None:
    events = same_however_cut(MemoryWire, encoded(HELLO) + length.to_bytes(4, "big"))
    assert ending_of(events).code == Code.TOO_BIG


def test_row_17_the_first_frame_of_a_client_is_a_hello_of_8_kib() -> None:
    prefix = (8 * 1024 + 1).to_bytes(4, "big")
    assert feed(MemoryWire(), [prefix]) == []
    ending = ending_of(feed(MemoryWire(from_client=True), [prefix]))
    assert ending == Ending(Code.TOO_BIG, "a frame is larger than 8192 bytes")
    assert len(feed(MemoryWire(from_client=True), [encoded(HELLO) + prefix])) == 1


@pytest.mark.parametrize("body", [b"", b"\xc1", b"{}", MsgpackCodec().encode(HELLO) + b"\x00"])
def test_a_malformed_frame_is_told_to_the_peer(body: bytes) -> None:
    same_however_cut(MemoryWire, framed(body))
    wire = MemoryWire()
    events = feed(wire, [encoded(HELLO) + framed(body) + encoded(HELLO)])
    assert len(events) == 2
    ending = ending_of(events)
    assert ending.code == Code.INVALID_DATA
    (told,) = feed(MemoryWire(), [wire.data_to_send()])
    assert isinstance(told, FrameReceived)
    assert told.frame == frames.Close(Code.INVALID_DATA, ending.reason, None)
    assert is_finished(wire)
    assert wire.buffered() == 0


def test_an_unfinished_frame_has_a_deadline() -> None:
    wire = MemoryWire(limits=Limits(message_timeout=30.0))
    wire.receive_data(encoded(HELLO) + b"\x00", now=5.0)
    assert wire.next_deadline() is not None
    assert wire.handle_timeout(now=34.9) == []
    assert ending_of(wire.handle_timeout(now=35.1)).code == Code.TIMEOUT
    assert not is_finished(wire)
    assert wire.next_deadline() == 37.1
    assert wire.handle_timeout(now=37.1) == [], "the peer doesn't read its close frame"
    assert is_finished(wire)
    assert wire.next_deadline() is None


def test_closing_hands_out_what_is_to_be_sent() -> None:
    wire = MemoryWire()
    close = frames.Close(1000, "bye", None)
    wire.send_frame(close, now=0.0)
    wire.close(Ending(1000, "bye"), now=0.0)
    wire.close(Ending(1001, "again"), now=1.0)
    assert not is_open(wire)
    assert not is_finished(wire)
    assert wire.next_deadline() == 2.0
    assert feed(wire, [encoded(HELLO), b""]) == []
    wire.send_frame(HELLO, now=0.0)
    assert wire.data_to_send() == encoded(close)
    assert is_finished(wire)
    assert wire.next_deadline() is None


def test_closing_with_nothing_to_send() -> None:
    wire = MemoryWire()
    wire.close(Ending(1000, ""), now=0.0)
    assert is_finished(wire)
    assert wire.next_deadline() is None


@pytest.mark.parametrize("end", [0, 1, 4, 9])
def test_row_35_the_end_of_the_stream(end: int) -> None:
    wire = MemoryWire()
    wire.send_frame(HELLO, now=0.0)
    events = feed(wire, [*([encoded(HELLO)[:end]] if end else []), b""])
    where = " in the middle of a frame" if end else ""
    assert events == [WireEnded(Ending(Code.LOST, f"the connection was lost{where}"))]
    assert is_finished(wire)
    assert wire.data_to_send() == b""
    assert feed(wire, [encoded(HELLO), b""]) == []

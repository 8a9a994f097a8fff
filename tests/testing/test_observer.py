"""Observers hear everything; a traced wire knows which frames a cut took along."""

import pytest

from gapless.core.closing import Code, Ending
from gapless.core.frames import Close, Frame, Ping
from gapless.testing import Observer, Pair
from gapless.testing.observer import TracedWire, TracedWires
from gapless.transports import FrameReceived, MemoryWire, WebSocketClient, default_codecs


def sizes(wire: TracedWire, frames: list[Frame]) -> list[int]:
    """Send frames one by one; the bytes of each."""
    found: list[int] = []
    for frame in frames:
        wire.send_frame(frame, now=0.0)
        found.append(len(wire.data_to_send()))
    return found


def test_a_frame_is_lost_unless_all_its_bytes_have_arrived() -> None:
    wire = TracedWire(MemoryWire())
    first, second = Ping(1, 0), Ping(2, 0)
    size, other = sizes(wire, [first, second])

    assert wire.lost(0) == [first, second]
    assert wire.lost(size - 1) == [first, second]
    assert wire.lost(size) == [second]
    assert wire.lost(size + other - 1) == [second]
    assert wire.lost(size + other) == []


def test_frames_written_together_are_lost_together() -> None:
    wire = TracedWire(MemoryWire())
    for number in (1, 2):
        wire.send_frame(Ping(number, 0), now=0.0)
    size = len(wire.data_to_send())

    assert wire.lost(size - 1) == [Ping(1, 0), Ping(2, 0)]
    assert wire.lost(size) == []


def test_a_traced_wire_says_what_goes_out_and_changes_nothing() -> None:
    plain, traced = MemoryWire(), TracedWire(MemoryWire())
    heard: list[Frame] = []
    traced.on_frame = heard.append
    for wire in (plain, traced):
        wire.send_frame(Ping(1, 0), now=0.0)

    assert heard == [Ping(1, 0)]
    assert traced.buffered() == plain.buffered() > 0
    data = plain.data_to_send()
    assert traced.data_to_send() == data
    assert traced.receive_data(data, now=0.0) == plain.receive_data(data, now=0.0)
    assert isinstance(plain.receive_data(data, now=0.0)[0], FrameReceived)
    assert traced.is_open
    assert traced.next_deadline() == plain.next_deadline()
    for wire in (plain, traced):
        wire.send_frame(Close(Code.DONE, "over", None), now=0.0)
        wire.close(Ending(Code.DONE, "over"), now=0.0)
        wire.data_to_send()
    assert traced.is_finished
    assert plain.is_finished


def test_a_traced_wire_lets_time_pass() -> None:
    wire = TracedWire(WebSocketClient("h", "/", default_codecs(), now=0.0))
    deadline = wire.next_deadline()
    assert deadline is not None

    assert wire.handle_timeout(now=deadline - 0.1) == []
    assert wire.handle_timeout(now=deadline) != []


def test_the_wires_of_an_endpoint_are_taken_once_each() -> None:
    wires = TracedWires(lambda now: MemoryWire())
    made = wires(1.0)

    assert wires.take() is made
    with pytest.raises(AssertionError):
        wires.take()


def test_an_observer_that_overrides_nothing_disturbs_nothing() -> None:
    def story(observer: Observer | None) -> list[str]:
        pair = Pair(seed=2, record=True)
        if observer is not None:
            pair.observers.append(observer)
        reader = pair.peer.subscribe("a", "earliest")
        pair.peer.start()
        pair.publish("a", "s1")
        pair.peer.publish("a", "p1")
        pair.run(1.0)
        pair.peer.take_all(reader)
        pair.peer.settled("a")
        pair.peer.events()
        pair.cut()
        pair.run(5.0)
        pair.peer.unsubscribe(reader)
        pair.run(1.0)
        return pair.transcript

    assert story(Observer()) == story(None)

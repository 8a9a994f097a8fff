"""A middlebox repeats or swallows data frames, and no message is lost silently (P2)."""

from random import Random

from gapless.core.frames import Data, Frame, Ping
from gapless.testing import Checker, Middlebox, Pair
from gapless.transports import MemoryWire
from gapless.transports.wire import FrameReceived


def arriving(box: Middlebox, frames: list[Frame]) -> list[Frame]:
    """The frames that come out behind the box, in one wire."""
    sender, receiver = MemoryWire(), box.wrap(MemoryWire())
    for frame in frames:
        sender.send_frame(frame, now=0.0)
    events = receiver.receive_data(sender.data_to_send(), now=0.0)
    return [event.frame for event in events if isinstance(event, FrameReceived)]


def meddled_with(box: Middlebox, seed: int) -> Pair:
    return Pair(
        seed=seed,
        new_client_wire=lambda now: box.wrap(MemoryWire()),
        new_server_wire=lambda now: box.wrap(MemoryWire(from_client=True)),
    )


def test_a_wire_repeats_or_swallows_data_frames_and_leaves_the_others_alone() -> None:
    frames: list[Frame] = [Data(1, 1, [b"a"], False), Ping(1, 1), Data(1, 2, [b"b"], False)]
    outcomes: set[int] = set()
    for seed in range(20):
        box = Middlebox(Random(seed), share=1.0)
        arrived = arriving(box, frames)
        assert [frame for frame in arrived if isinstance(frame, Ping)] == [Ping(1, 1)]
        outcomes.add(len(arrived))
        assert box.count == 2

    assert outcomes == {1, 5}


def test_a_middlebox_whose_share_is_0_does_nothing() -> None:
    box = Middlebox(Random(0), share=1.0)
    box.share = 0.0
    frames: list[Frame] = [Data(1, 1, [b"a"], False)]

    assert arriving(box, frames) == frames
    assert box.count == 0


def test_p2_what_it_swallows_is_noticed_and_read_all_the_same() -> None:
    for seed in range(6):
        box = Middlebox(Random(seed), share=0.2)
        pair = meddled_with(box, seed)
        checker = Checker(pair, meddled=True)
        reader = pair.peer.subscribe("a", "earliest")
        pair.peer.start()
        for number in range(40):
            pair.publish("a", f"m{number}")
            pair.run(0.2)
            pair.peer.take_all(reader)
        box.share = 0.0
        pair.run(120.0)
        pair.peer.take_all(reader)
        checker.finish()
        assert box.count

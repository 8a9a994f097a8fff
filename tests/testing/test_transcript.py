"""The transcript: one line for each frame, and for all that the world did."""

from gapless.core.events import CaughtUp, Lost, Message, Reset, Settled
from gapless.core.frames import Data, Ping
from gapless.core.position import Position
from gapless.testing import Line, Pair, Peer, Transcript

from .plants import Told


def a_line(link: int = 1) -> Line:
    return Pair().network.line("C1", link, "S", 1)


def reader() -> Told:
    return Told("a", "latest")


def peer() -> Peer:
    return Pair().peer


def test_nothing_is_written_unless_it_is_asked_for() -> None:
    pair = Pair()
    pair.peer.start()
    pair.publish("a", "m1")
    pair.run(1.0)

    assert pair.transcript == []


def test_a_frame_is_a_line_with_its_way_and_its_json() -> None:
    transcript = Transcript()
    transcript.on_frame(a_line(2), True, Ping(1, 0))
    transcript.on_frame(a_line(2), False, Data(7, 1, [b"one", "zwö".encode()], True))
    transcript.on_frame(a_line(2), False, Data(7, 3, [b"\xff"], False))

    assert transcript.lines == [
        'S→C1.2 ping {"number":1,"sent":0}',
        'C1.2→S text {"id":7,"first":1,"payloads":["one","zwö"]}',
        'C1.2→S data {"id":7,"first":3,"payloads":[["/w=="]]}',
    ]


def test_long_payloads_are_cut_short_and_their_size_is_said() -> None:
    transcript = Transcript()
    transcript.on_frame(a_line(), True, Data(7, 1, [b"x" * 40], True))
    transcript.on_frame(a_line(), True, Data(7, 2, [b"x" * 41, b"y"], True))

    assert transcript.lines[0].endswith(f'"payloads":["{"x" * 40}"]}}')
    assert transcript.lines[1] == (
        f'S→C1.1 text {{"id":7,"first":2,"payloads":["{"x" * 20}…" (41 bytes),"y"]}}'
    )


def test_connections_begin_and_end_with_what_was_lost_on_the_way() -> None:
    transcript = Transcript()
    transcript.on_line(a_line())
    transcript.on_lost(a_line(), [])
    transcript.on_lost(a_line(), [(False, Ping(1, 0)), (True, Data(7, 1, [b"x"], True))])

    assert transcript.lines == [
        "-- C1.1 connects to S",
        "-- C1.1 ends",
        "-- C1.1 ends; lost on the way: C1.1→S ping, S→C1.1 text",
    ]


def test_what_applications_publish_and_are_told() -> None:
    transcript = Transcript()
    transcript.on_published(peer(), "b", [b"p1"], 4)
    transcript.on_published(None, "b", [b"\xff", b"s" * 50], None)
    transcript.on_settled(peer(), Settled("b", 1, 2, "accepted", "E", 1))
    transcript.on_settled(peer(), Settled("b", 3, 3, "refused", "E", 3, "full"))
    transcript.on_settled(peer(), Settled("b", 4, 4, "unsent", "", 0))

    assert transcript.lines == [
        '-- C1 publishes to b: "p1" as its 4',
        f'-- S publishes to b: "\\xff" "{"s" * 20}…" (50 bytes)',
        "-- C1 is told b 1..2 accepted as E:1",
        "-- C1 is told b 3..3 refused as E:3 (full)",
        "-- C1 is told b 4..4 unsent",
    ]


def test_what_applications_take() -> None:
    transcript = Transcript()
    transcript.on_taken(peer(), reader(), Message("a", "E", 1, b"m1"))
    transcript.on_taken(peer(), reader(), Lost("a", "E", 2, 5, "rotated"))
    transcript.on_taken(peer(), reader(), Reset("a", Position("F", 3), "epoch"))
    transcript.on_taken(None, reader(), CaughtUp("a", Position("F", 3)))

    assert transcript.lines == [
        '-- C1 takes a 1 "m1"',
        "-- C1 takes a lost 2..5 rotated",
        "-- C1 takes a reset epoch to F:3",
        "-- S takes a caught up at F:3",
    ]


def test_a_pair_tells_its_story() -> None:
    pair = Pair(record=True)
    subscription = pair.peer.subscribe("a")
    pair.peer.start()
    pair.run(1.0)
    pair.peer.events()
    pair.note("a remark")
    pair.peer.unsubscribe(subscription)
    pair.cut()
    pair.restart_server()
    pair.peer.close(timeout=0.0)
    pair.peer.events()
    pair.kill_client(pair.peer)

    told = [line for line in pair.transcript if line.startswith("-- ")]
    assert told == [
        "-- C1 subscribes to a since latest",
        "-- C1.1 connects to S",
        "-- C1 is told LinkUp",
        "-- a remark",
        "-- C1 unsubscribes from a",
        "-- cut",
        "-- C1.1 ends",
        "-- S restarts",
        "-- C1 closes",
        "-- C1 is told LinkDown",
        "-- C1 is told Closed",
        "-- C1 dies",
    ]

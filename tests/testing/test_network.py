"""The network: bytes arrive in order, late, in pieces, or — after a cut — never."""

from random import Random

from gapless.testing import CALM, STORM, Line, Network, Pipe, Weather


def received(pipe: Pipe, until: float) -> list[tuple[float, bytes]]:
    """All chunks that arrive until then, each when it does."""
    chunks: list[tuple[float, bytes]] = []
    while (arrival := pipe.next_arrival()) is not None and arrival <= until:
        chunk = pipe.receive(now=arrival)
        if not chunk:
            break
        chunks.append((arrival, chunk))
    return chunks


def a_pipe(seed: int = 1, **weather: object) -> Pipe:
    return Pipe(Weather(**weather), Random(seed))  # type: ignore[arg-type]  # Weather's own fields


def a_line() -> Line:
    return Network(Random(1)).line("C1", 1, "S", 1)


def test_bytes_arrive_whole_and_in_order_however_they_are_cut_into_chunks() -> None:
    for seed in range(20):
        pipe = a_pipe(seed, latency=(0.0, 5.0), chunk=7, stalls=0.3, stall=2.0)
        for number in range(10):
            assert pipe.send(f"message {number};".encode(), now=float(number))
        chunks = received(pipe, 1e9)

        sent = b"".join(f"message {number};".encode() for number in range(10))
        assert b"".join(chunk for _, chunk in chunks) == sent, f"seed {seed}"
        assert [at for at, _ in chunks] == sorted(at for at, _ in chunks), f"seed {seed}"
        assert max(len(chunk) for _, chunk in chunks) <= 7, f"seed {seed}"
        assert pipe.arrived == len(sent)
        assert pipe.in_flight == 0


def test_a_chunk_of_one_is_a_byte_at_a_time() -> None:
    pipe = a_pipe(chunk=1)
    pipe.send(b"abc", now=0.0)

    assert [chunk for _, chunk in received(pipe, 1.0)] == [b"a", b"b", b"c"]


def test_nothing_arrives_before_its_latency_and_all_within_it() -> None:
    pipe = a_pipe(latency=(0.5, 0.6))
    pipe.send(b"x", now=10.0)
    arrival = pipe.next_arrival()

    assert arrival is not None
    assert 10.5 <= arrival <= 10.6
    assert pipe.receive(now=10.4) == b""
    assert pipe.receive(now=10.6) == b"x"


def test_a_stall_holds_a_chunk_up_longer_than_its_latency() -> None:
    pipe = a_pipe(latency=(0.0, 0.0), stalls=1.0, stall=4.0)
    pipe.send(b"x", now=0.0)
    arrival = pipe.next_arrival()

    assert arrival is not None
    assert 0.0 < arrival <= 4.0


def test_a_held_pipe_is_silent_until_it_is_let_go() -> None:
    pipe = a_pipe(latency=(0.1, 0.1))
    pipe.send(b"x", now=0.0)
    pipe.is_held = True

    assert pipe.next_arrival() is None
    assert pipe.receive(now=100.0) == b""
    pipe.is_held = False
    assert pipe.receive(now=100.0) == b"x"


def test_cut_after_lets_so_many_bytes_arrive_those_in_flight_included() -> None:
    pipe = a_pipe()
    pipe.send(b"abcdef", now=0.0)
    pipe.cut_after(4)
    before = pipe.is_worn_out

    assert pipe.receive(now=1.0) == b"abcd"
    assert (before, pipe.is_worn_out) == (False, True)
    pipe.send(b"ghi", now=1.0)
    assert pipe.receive(now=2.0) == b""
    assert pipe.arrived == 4


def test_a_pipe_that_is_full_has_no_room_until_something_arrives() -> None:
    pipe = a_pipe(buffer=4)
    room = [pipe.has_room]
    pipe.send(b"abcd", now=0.0)
    room.append(pipe.has_room)
    pipe.receive(now=1.0)
    room.append(pipe.has_room)

    assert room == [True, False, True]


def test_weather_that_cuts_lets_only_a_part_arrive_and_says_so() -> None:
    pipe = a_pipe(cuts=1.0)

    assert not pipe.send(b"abcdef", now=0.0)
    arrived = b"".join(chunk for _, chunk in received(pipe, 1.0))
    assert len(arrived) < 6
    assert b"abcdef".startswith(arrived)


def test_a_line_is_over_once_all_has_arrived_that_was_sent_before_the_cut() -> None:
    line = a_line()
    line.to_client.send(b"last words", now=0.0)
    line.is_cut = True

    assert not line.is_over
    assert line.to_client.receive(now=1.0) == b"last words"
    assert line.is_over


def test_a_line_is_over_at_once_when_a_direction_is_worn_out() -> None:
    line = a_line()
    line.to_client.send(b"never arrives", now=0.0)
    line.to_server.cut_after(0)

    assert line.is_over


def test_the_same_seed_is_the_same_weather() -> None:
    def story(seed: int) -> list[tuple[float, bytes]]:
        pipe = Pipe(STORM, Random(seed))
        for number in range(50):
            pipe.send(bytes([number]) * 300, now=number / 10)
        return received(pipe, 1e9)

    assert story(3) == story(3)
    assert story(3) != story(4)


def test_a_network_that_is_out_of_reach_refuses_and_a_bad_one_sometimes() -> None:
    calm = Network(Random(1), CALM)
    assert all(calm.connects() for _ in range(50))
    calm.is_reachable = False
    assert not any(calm.connects() for _ in range(50))

    bad = Network(Random(1), Weather(refusals=0.5))
    assert {bad.connects() for _ in range(50)} == {True, False}


def test_weather_counts_for_the_lines_made_from_then_on() -> None:
    network = Network(Random(1), Weather(latency=(5.0, 5.0)))
    before = network.line("C1", 1, "S", 1)
    network.weather = Weather(latency=(1.0, 1.0))
    after = network.line("C1", 2, "S", 2)
    for line in (before, after):
        line.to_server.send(b"x", now=0.0)

    assert before.to_server.next_arrival() == 5.0
    assert after.to_server.next_arrival() == 1.0

"""The bad network: untouched when calm, real cuts in mid-frame where the seed says, all counted."""

import asyncio
import contextlib
import itertools
import random
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.adapters.cli.frames import MAX_HEAD, FrameTracker
from gapless.adapters.cli.netproxy import NetProxy
from gapless.adapters.cli.weather import Forecast, Weather

CALM = Forecast(seed=0, cuts=0, stall=0, chunk=0)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
SEEDS = range(8)

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(payload: bytes, *, masked: bool = False) -> bytes:
    mask = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head = bytes([0x82, mask | size])
    elif size < 65536:
        head = bytes([0x82, mask | 126]) + struct.pack("!H", size)
    else:
        head = bytes([0x82, mask | 127]) + struct.pack("!Q", size)
    return head + (b"mask" if masked else b"") + payload


def frames(rng: random.Random, count: int, largest: int) -> list[bytes]:
    return [frame(rng.randbytes(rng.randrange(largest))) for _ in range(count)]


@contextlib.asynccontextmanager
async def proxied(
    forecast: Forecast, peer: Peer
) -> AsyncGenerator[tuple[NetProxy, tuple[str, int], list[str]]]:
    """A server that does as `peer` says, and a proxy before it."""
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        with contextlib.suppress(ConnectionError):
            await peer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()
    lines: list[str] = []
    proxy = NetProxy(forecast, target, lines.append)
    async with proxy.listen("127.0.0.1", 0) as address:
        yield proxy, address, lines
    await asyncio.gather(*served, return_exceptions=True)
    server.close()
    await server.wait_closed()


async def read_to_end(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Read until the connection ends; say whether it was reset."""
    data = bytearray()
    try:
        while piece := await reader.read(65536):
            data += piece
    except ConnectionResetError:
        return bytes(data), True
    return bytes(data), False


# --- frames


@given(
    sizes=st.lists(st.sampled_from([0, 1, 125, 126, 300, 65535, 65536, 70000]), max_size=5),
    masked=st.booleans(),
    cuts=st.lists(st.integers(0, 200_000), max_size=20),
)
def test_frames_are_found_however_the_bytes_are_split(
    sizes: list[int], masked: bool, cuts: list[int]
) -> None:
    head = ASK if masked else SWITCH
    first = frame(b"hello", masked=masked)
    rest = b"".join(frame(bytes(size), masked=masked) for size in sizes)
    data = head + first + rest
    tracker = FrameTracker(head[:4])
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    for start, end in itertools.pairwise(places):
        assert tracker.follow(data[start:end]) == end - start

    assert tracker.counted == len(rest)
    assert tracker.is_counting
    assert not tracker.is_inside


@given(budget=st.integers(0, 2000), seed=st.integers(0, 1000))
def test_following_stops_at_the_budget_or_in_the_next_frame(budget: int, seed: int) -> None:
    parts = frames(random.Random(seed), 10, 150)
    tracker = FrameTracker(b"HTTP/1.1 101")
    data = SWITCH + parts[0] + b"".join(parts[1:])
    before = len(SWITCH) + len(parts[0])

    done = tracker.follow(data, budget)

    if done < len(data):
        assert tracker.is_inside
        assert budget <= done - before <= budget + 2
    else:
        assert budget >= len(data) - before


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\nbody", b"\x00" * 10])
def test_what_is_no_websocket_counts_from_its_first_byte(data: bytes) -> None:
    tracker = FrameTracker(b"HTTP/1.1 101")

    assert tracker.follow(data) == len(data)

    assert tracker.is_counting
    assert tracker.is_inside


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.2 200 OK\r\n\r\nbody",
        b"HTTP/1.1 101 x\r\n\r\nbody",
        SWITCH[:14] + b"a" * (MAX_HEAD - 30) + SWITCH[14:] + b"x",
    ],
)
def test_p9_what_is_no_websocket_counts_the_same_however_it_is_split(data: bytes) -> None:
    whole, split = FrameTracker(b"HTTP/1.1 101"), FrameTracker(b"HTTP/1.1 101")
    whole.follow(data)

    for place in range(len(data)):
        split.follow(data[place : place + 1])

    assert whole.is_inside
    assert split.counted == whole.counted == len(data)


def test_an_endless_head_is_not_kept() -> None:
    tracker = FrameTracker(b"GET ")
    tracker.follow(b"GET /")

    for _ in range(100):
        tracker.follow(b"x" * 1000)

    assert tracker.is_counting


# --- weather


@pytest.mark.parametrize("seed", SEEDS)
def test_one_cut_falls_in_every_stretch(seed: int) -> None:
    weather = Weather(Forecast(seed=seed, cuts=20, cut_every=1000))
    places: list[int] = []

    while (left := weather.bytes_to_cut()) is not None:
        weather.receive_counted(left)
        assert weather.is_cut_due
        places.append(weather.counted)
        weather.handle_cut()

    assert [place // 1000 for place in places] == list(range(20)), f"seed {seed}"
    assert not weather.is_cut_due


def test_the_same_seed_draws_the_same_whatever_the_order_of_questions() -> None:
    one, two = (Weather(Forecast(seed=3, cuts=9, cut_every=100)) for _ in range(2))

    first = [(one.next_piece(9000), one.bytes_to_cut()) for _ in range(50)]
    for _ in range(50):
        two.receive_counted(500)
        two.next_stall()
    two.receive_counted(-two.counted)
    second = [(two.next_piece(9000), two.bytes_to_cut()) for _ in range(50)]

    assert first == second


@pytest.mark.parametrize("seed", SEEDS)
def test_stalls_are_never_longer_than_asked(seed: int) -> None:
    weather = Weather(Forecast(seed=seed, cut_every=10, stall=0.25))

    stalls: list[float] = []
    for _ in range(1000):
        weather.receive_counted(10)
        stalls.append(weather.next_stall())

    assert 0.2 < max(stalls) <= 0.25, f"seed {seed}"
    assert weather.stalls == sum(stall > 0 for stall in stalls)


def test_pieces_are_tiny_and_large() -> None:
    weather = Weather(Forecast(seed=1, chunk=4096))

    sizes = [weather.next_piece(100_000) for _ in range(2000)]

    assert min(sizes) == 1
    assert 2048 < max(sizes) <= 4096
    assert sum(size < 64 for size in sizes) > 500


# --- the proxy


def test_a_calm_proxy_forwards_untouched_and_keeps_half_closing() -> None:
    question, answer = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(5_000_000)
    got: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(-1))
        writer.write(answer)
        await writer.drain()

    async def main() -> None:
        async with proxied(CALM, peer) as (proxy, address, lines):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(question)
            writer.write_eof()
            assert await read_to_end(reader) == (answer, False)
            writer.close()
            assert (proxy.to_target, proxy.to_client) == (len(question), len(answer))
            assert lines == []

    asyncio.run(main())

    assert got == [question]


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_pieces_and_stalls_change_no_byte(chunk: int) -> None:
    answer = random.Random(chunk).randbytes(22_000)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1000) + answer)
        await writer.drain()

    async def main() -> None:
        forecast = Forecast(seed=chunk, cuts=0, cut_every=5000, stall=0.01, chunk=chunk)
        async with proxied(forecast, peer) as (proxy, address, _):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(bytes(1000))
            assert await read_to_end(reader) == (bytes(1000) + answer, False)
            writer.close()
            assert proxy.weather.stalls >= 4

    asyncio.run(main())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_cut_comes_in_mid_frame_and_resets_both_sides(seed: int) -> None:
    """N cuts are certain as soon as N stretches of payload are forwarded, whatever is on top."""
    rng = random.Random(seed)
    cuts = rng.choice([1, 5, 40])
    payload = rng.choice([300, 20_000, 400_000])
    ends: list[bool] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCH + frame(b"welcome") + b"".join(frames(rng, 4, 50)))
        writer.write(b"".join(frame(bytes(payload // 10)) for _ in range(10)))
        writer.write(frame(b"end"))
        try:
            await writer.drain()
            while await reader.read(1000):
                pass
            ends.append(False)
        except ConnectionResetError:
            ends.append(True)

    async def main() -> None:
        forecast = Forecast(seed=seed, cuts=cuts, cut_every=payload // cuts, stall=0.001)
        async with proxied(forecast, peer) as (proxy, address, lines):
            was_reset, number, received = True, 0, b""
            while was_reset:
                number += 1
                reader, writer = await asyncio.open_connection(*address)
                writer.write(ASK)
                if number > cuts:
                    writer.write_eof()
                received, was_reset = await read_to_end(reader)
                writer.close()
                tracker = FrameTracker(b"HTTP/1.1 101")
                tracker.follow(received)
                assert tracker.is_counting
                assert tracker.is_inside is was_reset
            assert received.endswith(b"end"), f"seed {seed}"
            assert proxy.weather.cuts == len(lines) == number - 1
            # Each connection forwards the whole payload unless it is cut, so all came.
            assert number - 1 == cuts, f"seed {seed}: {number - 1} of {cuts} cuts"

    asyncio.run(main())

    assert ends == [True] * cuts + [False]


def test_a_target_that_is_not_there_resets_the_client_and_says_so() -> None:
    async def main() -> None:
        gone = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
        target = gone.sockets[0].getsockname()
        gone.close()
        await gone.wait_closed()
        lines: list[str] = []
        async with NetProxy(CALM, target, lines.append).listen("127.0.0.1", 0) as address:
            reader, writer = await asyncio.open_connection(*address)
            assert await read_to_end(reader) == (b"", True)
            writer.close()
        assert lines == ["can't reach the target: connection refused"]

    asyncio.run(main())


def test_leaving_ends_connections_that_are_open() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reader.read()

    async def main() -> None:
        async with proxied(CALM, peer) as (_, address, _lines):
            reader, writer = await asyncio.open_connection(*address)
            await reader.readexactly(1)
        assert (await read_to_end(reader))[0] == b""
        writer.close()

    asyncio.run(main())


def test_a_reset_by_the_target_reaches_the_client() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.transport.abort()

    async def main() -> None:
        async with proxied(CALM, peer) as (_, address, _lines):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"xyz" * 100_000)
            assert await read_to_end(reader) == (b"", True)
            writer.close()

    asyncio.run(main())

"""The worked example of the page on writing an adapter: a client in a frame loop, on real sockets.

The page shows the file as it stands, and names all that an adapter for an async runtime is asked
for.
"""

import inspect
import re
import select
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gapless.adapters import driving, sockets
from gapless.adapters.blocking import Server, serve
from gapless.adapters.dialing import parse_url
from gapless.core.closing import Code
from gapless.core.config import Config
from gapless.core.events import CaughtUp, ChannelEvent, Closed, LinkDown, LinkUp, Lost, Message
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription
from gapless.transports import Limits

from .blocking_support import Cuttable, beside, forwarded, publish_numbers
from .frame_loop import LINGER, FrameClient
from .support import LIMIT, QUICK, free_port

pytestmark = pytest.mark.usefixtures("leaves_nothing")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "adapter.md").read_text(encoding="utf-8")
SOURCE = Path(__file__).with_name("frame_loop.py").read_text(encoding="utf-8")
MOST_LINES = 200
FRAME = 1 / 60


class Clock:
    """Time that frames make."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def frames(client: FrameClient, condition: Callable[[], bool]) -> None:
    """Play frames until something is true, each as soon as the network may have brought more."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it didn't become true"
        client.update()
        select.select([], [], [], 0.001)


@contextmanager
def playing(
    port: int,
    config: Config = QUICK,
    token: str | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[FrameClient, None, None]:
    """A client, which is closed behind the block."""
    client = FrameClient("127.0.0.1", port, config=config, token=token, clock=clock)
    try:
        yield client
    finally:
        client.close(timeout=0)
        frames(client, lambda: client.is_over)


def read(client: FrameClient, subscription: Subscription, count: int) -> list[ChannelEvent]:
    """Take so many messages and losses, as frames bring them."""
    taken: list[ChannelEvent] = []

    def look() -> bool:
        for event in client.take(subscription):
            if not isinstance(event, CaughtUp):
                taken.append(event)
            if len(taken) == count:
                break
        return len(taken) == count

    frames(client, look)
    return taken


def resumed_and_settled(client: FrameClient, times: int) -> None:
    """Play frames until the session was resumed so often and nothing is on its way."""
    frames(client, lambda: client.core.resumes >= times and client.core.is_settled)


def numbers(events: list[ChannelEvent]) -> list[int]:
    """Read what `publish_numbers` published; a loss is an error."""
    read: list[int] = []
    for event in events:
        assert isinstance(event, Message), event
        read.append(int(event.payload))
    return read


def test_it_reads_and_publishes() -> None:
    """P1, P6."""
    with serve() as server, playing(server.port) as client:
        messages = client.subscribe("campaign/42", "earliest")
        publish_numbers(server, "campaign/42", 1, 500)
        assert numbers(read(client, messages, 500)) == list(range(1, 501))

        assert client.publish("commands", "start") == 1
        assert client.publish("commands", b"x" * 900_000) == 2
        with server.subscribe("commands", "earliest", timeout=LIMIT) as commands:
            frames(client, lambda: client.core.is_settled)
            assert next(commands).text == "start"
            assert len(next(commands).payload) == 900_000
        settled = list(client.settled("commands"))
        assert {word.outcome for word in settled} == {"accepted"}
        assert settled[-1].last == 2

        client.close()
        frames(client, lambda: client.is_over)
        assert server.sessions == []
        up, closed = client.events()
        assert (type(up), type(closed)) == (LinkUp, Closed)


def test_two_way_traffic_survives_resets() -> None:
    """P1, P2, P6: nothing is lost, repeated or reordered."""
    with (
        serve() as server,
        forwarded(server.port) as wire,
        server.subscribe("commands", timeout=LIMIT) as commands,
    ):
        port = parse_url(wire.url).port
        with playing(port) as client:
            messages = client.subscribe("campaign/42", "earliest")
            taken: list[int] = []
            for cut in range(10):
                first = cut * 20 + 1
                publish_numbers(server, "campaign/42", first, first + 19)
                for number in range(first, first + 20):
                    assert client.publish("commands", b"%d" % number) == number
                taken += numbers(read(client, messages, 10))
                wire.cut()
                taken += numbers(read(client, messages, 10))
                resumed_and_settled(client, cut + 1)
                assert {word.outcome for word in client.settled("commands")} == {"accepted"}
            assert taken == list(range(1, 201))
            assert [int(next(commands).payload) for _ in range(200)] == list(range(1, 201))
            assert client.core.resumes >= 10


def test_what_the_server_no_longer_has_is_told_as_a_loss() -> None:
    """P2."""
    with serve(token="s3cret") as server, forwarded(server.port) as wire:
        server.configure("news", history_messages=5)
        port = parse_url(wire.url).port
        with playing(port, token="s3cret") as client:
            messages = client.subscribe("news", "earliest")
            frames(client, lambda: messages.is_confirmed)
            wire.take_down()
            frames(client, lambda: client.core.link is None)
            publish_numbers(server, "news", 1, 20)
            wire.restore()
            lost, *rest = read(client, messages, 6)
            assert isinstance(lost, Lost)
            assert (lost.first, lost.last) == (1, 15)
            assert numbers(rest) == list(range(16, 21))


def test_while_nothing_listens_it_dials_as_seldom_as_the_backoff_says() -> None:
    """I18: an hour of frames, in its own time."""
    clock, port = Clock(), free_port()
    with playing(port, config=Config(), clock=clock) as client:
        downs = 0
        for _ in range(10_000):
            clock.now += 0.36
            client.update()
            downs += sum(isinstance(event, LinkDown) for event in client.events())
        assert 3600 / 11 < downs < 3600 / 2
        assert client.core.state is SessionState.DOWN


def test_a_peer_that_falls_silent_is_left_and_found_again() -> None:
    """I19: it takes the heartbeat and its grace, in the frames' own time; no frame waits."""
    clock = Clock()
    with serve() as server, forwarded(server.port) as wire:
        port = parse_url(wire.url).port
        with playing(port, clock=clock) as client:
            messages = client.subscribe("news", "earliest")
            frames(client, lambda: messages.is_confirmed)
            wire.block()
            began = clock.now
            while client.core.link is not None:
                clock.now += 0.25
                client.update()
            *_, down = client.events()
            assert isinstance(down, LinkDown)
            assert down.ending.code == Code.SILENT
            assert 10 <= clock.now - began <= 41
            wire.restore()

            def moves_on() -> bool:
                clock.now += FRAME
                return client.core.link is not None

            frames(client, moves_on)
            assert client.core.resumes == 1
            server.publish("news", "again")
            (event,) = read(client, messages, 1)
            assert isinstance(event, Message)
            assert event.text == "again"


def test_what_nobody_takes_is_bounded_by_the_window() -> None:
    """P3: the server waits for credit, and it all comes once it is taken."""
    config = Config(max_message=1024)
    with serve() as server, playing(server.port, config=config) as client:
        messages = client.subscribe("news", "earliest")
        frames(client, lambda: messages.is_confirmed)
        for _ in range(50):
            server.publish_many("news", [b"x" * 1000] * 20)
        frames(client, lambda: messages.held_bytes > config.window // 2)
        for _ in range(20):
            client.update()
        assert messages.held_bytes <= config.window + 64 * 1024
        assert len(read(client, messages, 1000)) == 1000


def test_a_last_word_of_the_server_s_ends_it() -> None:
    """I20: nothing is dialled any more, no deadline remains."""
    with serve(token="s3cret") as server, playing(server.port, token="wrong") as client:
        frames(client, lambda: client.is_over)
        assert client.core.ending is not None
        assert client.core.ending.code == Code.UNAUTHORIZED
        assert client.core.next_deadline() is None


@contextmanager
def stuck(clock: Clock) -> Generator[tuple[Server, Cuttable, FrameClient], None, None]:
    """A client that closes while the network takes nothing, and its socket is full."""
    with (
        serve() as server,
        forwarded(server.port) as wire,
        playing(parse_url(wire.url).port, clock=clock) as client,
    ):
        channels = [f"commands/{number}" for number in range(40)]
        for channel in channels:
            client.publish(channel, "the first gives it credit")
        frames(client, lambda: client.core.is_settled)
        wire.block()
        for channel in channels:
            assert client.publish(channel, b"x" * 200_000)
        for _ in range(50):
            client.update()
        client.close(timeout=0)
        client.update()
        assert not client.is_over
        assert len(server.sessions) == 1
        yield server, wire, client
        wire.restore()


def test_what_a_full_socket_did_not_take_goes_out_before_it_is_closed() -> None:
    """The last word is behind it: the server ends the session and doesn't keep it for a lease."""
    clock = Clock()
    with stuck(clock) as (server, wire, client):
        wire.block("to client")

        def is_heard() -> bool:
            clock.now += 0.001
            return server.sessions == []

        frames(client, is_heard)


def test_a_peer_that_takes_nothing_holds_up_the_end_for_seconds_only() -> None:
    """I20: those the wire waits for an answer, and those the socket has for its last bytes."""
    clock = Clock()
    with stuck(clock) as (_, _, client):
        began = clock.now
        while not client.is_over:
            clock.now += 0.1
            client.update()
        assert LINGER < clock.now - began <= Limits().close_timeout + LINGER + 0.5


def test_a_server_that_drains_is_left_and_the_next_one_found() -> None:
    """Rule 9: what the server has is heard out, and the session goes on at the next one."""
    port = free_port()
    with playing(port) as client:
        messages = client.subscribe("news", "earliest")
        for word in ("one", "two"):
            with serve(port=port) as server:
                frames(client, lambda: client.core.link is not None)
                server.publish("news", word)
                with beside(server.close) as closed:
                    *_, event = read(client, messages, 1 if word == "one" else 2)
                    frames(client, closed.done)
            assert isinstance(event, Message)
            assert event.text == word


def test_the_page_shows_the_example_as_it_stands() -> None:
    assert f"```python\n{SOURCE}```\n" in PAGE


def test_the_example_is_as_short_as_the_page_says() -> None:
    docs = re.compile(r'^ *""".*?"""$', re.MULTILINE | re.DOTALL)
    code = [line for line in docs.sub("", SOURCE).splitlines() if line.strip()]
    (said,) = re.findall(r"(\d+) lines of code", PAGE)
    assert 100 < len(code) == int(said) < MOST_LINES


def test_the_page_names_all_that_a_runtime_does_its_own_way() -> None:
    """No more and no less: what a driver is asked for, and what the pump or the sockets leave."""
    tables = PAGE.split("## For an async runtime", 1)[1].split("### On plain sockets", 1)
    pump, plain = (set(re.findall(r"`(\w+)`", first_cells(one))) for one in tables)
    assert pump == needed(driving.Pump)
    assert plain == needed(sockets.SocketDriver)


def first_cells(text: str) -> str:
    """What stands in the first cells of a text's tables."""
    return "\n".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))


def needed(base: type) -> set[str]:
    """What a class must add to a base to be a `Driver`."""
    offered = {name for name, _ in inspect.getmembers(base, inspect.isfunction)}
    asked = {name for name, _ in inspect.getmembers(driving.Driver, inspect.isfunction)}
    abstract: frozenset[str] = getattr(base, "__abstractmethods__")  # noqa: B009  # no type has it
    return {name for name in abstract | (asked - offered) if not name.startswith("_")}

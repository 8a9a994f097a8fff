"""What the scenarios of the twelve transcripts are told with: a `Play`.

A play is a `Pair` that writes its story down, a `Checker` that judges every step of it, and the
frames that went over the wires, to make statements about. The same play can be given on other
wires: then the bytes differ, and what applications see must not (P9).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gapless.core.events import ChannelEvent, Lost, Message, Reset
from gapless.core.frames import Frame
from gapless.core.subscription import Subscription
from gapless.testing import Checker, Observer, Pair, Peer, Weather
from gapless.testing.network import Line
from gapless.transports import WebSocketClient, WebSocketServer, Wire, default_codecs

FrameT = TypeVar("FrameT", bound=Frame)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a play is given on: its wires, and how many bytes arrive at once.

    `many` is for a play of so many bytes that one at a time would take seconds.
    """

    name: str
    chunk: int
    many: int
    client: Callable[[float], Wire] | None = None
    server: Callable[[float], Wire] | None = None


def _web_client(now: float) -> Wire:
    return WebSocketClient("example.com", "/", default_codecs(), now=now)


def _web_server(now: float) -> Wire:
    return WebSocketServer(default_codecs(), now=now)


MEMORY = Stage("memory", 65536, 65536)
BYTEWISE = Stage("WebSocket, byte by byte", 1, 50, _web_client, _web_server)


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame as it was handed to a wire."""

    way: str
    link: str
    to_client: bool
    frame: Frame


class Frames(Observer):
    """Keeps all frames, in the order in which they were sent, and takes session events at once."""

    def __init__(self, pair: Pair) -> None:
        self.sent: list[Sent] = []
        self._pair = pair

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        link = f"{line.client}.{line.client_link}"
        way = f"{line.server}→{link}" if to_client else f"{link}→{line.server}"
        self.sent.append(Sent(way, link, to_client, frame))

    def on_step(self) -> None:
        for peer in self._pair.peers:
            peer.events()


class Play:
    """One scenario in progress.

    Args:
        stage: what it is given on.
        is_large: whether it has many bytes.
        settings: of the `Pair`.
    """

    def __init__(self, stage: Stage, *, is_large: bool = False, **settings: Any) -> None:
        self.stage = stage
        self.pair = Pair(
            seed=11,
            record=True,
            weather=Weather(chunk=stage.many if is_large else stage.chunk),
            new_client_wire=stage.client,
            new_server_wire=stage.server,
            **settings,
        )
        self.checker = Checker(self.pair)
        self._frames = Frames(self.pair)
        self.pair.observers.append(self._frames)
        self.taken: list[ChannelEvent] = []

    @property
    def peer(self) -> Peer:
        """The first client."""
        return self.pair.peer

    @property
    def lines(self) -> list[str]:
        """The story so far."""
        return self.pair.transcript

    def sent(
        self, kind: type[FrameT], link: str | None = None, *, to_client: bool | None = None
    ) -> list[FrameT]:
        """The frames of a kind that were sent, on one link, one way, or on any."""
        return [
            sent.frame
            for sent in self._frames.sent
            if isinstance(sent.frame, kind)
            and (link is None or sent.link == link)
            and (to_client is None or sent.to_client is to_client)
        ]

    # doing

    def until(self, condition: Callable[[], object]) -> None:
        """Run until the condition holds, which it must in a minute."""
        assert self.pair.run_until(condition, 60.0), "it never came to that"

    def until_sent(self, kind: type[Frame], count: int, *, to_client: bool) -> None:
        """Run until that many frames of a kind were sent: the last is on its way."""
        self.until(lambda: len(self.sent(kind, to_client=to_client)) >= count)

    def settle(self, seconds: float = 1.0) -> None:
        """Let everything arrive that is on its way, and acks that are due by time be sent."""
        self.pair.run(seconds)

    def connect(self, peer: Peer | None = None) -> None:
        """Start a client, and wait until a link carries its session and all is calm."""
        peer = peer or self.peer
        peer.start()
        self.until_linked(peer)

    def until_linked(self, peer: Peer | None = None) -> None:
        """Wait until a link carries a client's session and all is calm."""
        session = (peer or self.peer).session
        self.until(lambda: session.link is not None)
        self.settle()

    def take(
        self, subscription: Subscription, at_most: int = 1_000_000, peer: Peer | None = None
    ) -> list[ChannelEvent]:
        """Take what there is, as an application does that doesn't wait for more after it."""
        events = (peer or self.peer).take_all(subscription, at_most)
        self.taken += events
        return events

    def publish_each(self, channel: str, texts: list[str]) -> None:
        """Publish at the server one by one, each on its way before the next."""
        for text in texts:
            while self.pair.publish(channel, text) is None:
                self.settle(0.01)  # the store opens the channel
            self.settle(0.01)

    # judging

    def expect(self, *frames: str) -> None:
        """Assert that these frames were sent and no others: `C1.1→S hello`, …

        On another stage than memory bytes arrive later, and only each direction has its order.
        """
        found = [line for line in self.lines if not line.startswith("--")]
        names = [" ".join(line.split(" ", 2)[:2]) for line in found]
        if self.stage is MEMORY:
            assert names == list(frames), _difference(names, frames)
        for way in dict.fromkeys(name.split(" ")[0] for name in frames):
            mine = [name for name in names if name.startswith(way + " ")]
            assert mine == [name for name in frames if name.startswith(way + " ")]
        assert len(names) == len(frames)

    def finish(self) -> "Play":
        """Let the checker judge the end: all was delivered or reported, all has ended (P4, P6)."""
        self.settle()
        self.checker.finish()
        return self


def way(link: str, *names: str) -> list[str]:
    """Write frames of one direction: `way("C1.1→S", "hello", "subscribe")`."""
    return [f"{link} {name}" for name in names]


def texts(events: list[ChannelEvent], channel: str = "a") -> list[str]:
    """What a channel's messages among the events say."""
    messages = [event for event in events if isinstance(event, Message)]
    return [message.text for message in messages if message.channel == channel]


def losses(events: list[ChannelEvent]) -> list[tuple[int, int, str]]:
    """The losses among the events: (first, last, reason)."""
    return [(event.first, event.last, event.reason) for event in events if isinstance(event, Lost)]


def resets(events: list[ChannelEvent]) -> list[tuple[str, str]]:
    """The resets among the events: (position, reason)."""
    return [(str(event.position), event.reason) for event in events if isinstance(event, Reset)]


def named(prefix: str, first: int, last: int, size: int = 0) -> list[str]:
    """Texts `m1`, `m2`, …, filled up to a size."""
    return [f"{prefix}{number}".ljust(size, ".") for number in range(first, last + 1)]


def _difference(found: list[str], expected: tuple[str, ...]) -> str:
    for index, name in enumerate(expected):
        if index >= len(found) or found[index] != name:
            got = found[index] if index < len(found) else "nothing more"
            return f"frame {index + 1} must be {name!r}, and is {got!r}"
    return f"more than expected: {found[len(expected) :]}"

"""Joined: a client's endpoint and a hub's, joined by bytes handed over by hand."""

from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from gapless.core.authorize import Verifier, allow_anyone
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import Command, Message, OpenLink
from gapless.core.frames import Frame
from gapless.core.hub import Hub
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription
from gapless.transports import (
    MemoryWire,
    MsgpackCodec,
    WebSocketClient,
    WebSocketServer,
    Wire,
    default_codecs,
)
from gapless.transports.endpoint import Endpoint

CODECS = default_codecs()
LOST = Ending(Code.LOST, "connection reset")
PIECE = 1 << 16
WIRES = pytest.mark.parametrize("wire", ["websocket", "memory"])


def client_wire(wire: str) -> Callable[[float], Wire]:
    if wire == "memory":
        return lambda now: MemoryWire()
    return lambda now: WebSocketClient("example.com", "/", CODECS, now=now)


def server_wire(wire: str) -> Callable[[float], Wire]:
    if wire == "memory":
        return lambda now: MemoryWire(from_client=True)
    return lambda now: WebSocketServer(CODECS, now=now)


def counted_tokens() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"token-{next(numbers)}"


def memory(frame: Frame) -> bytes:
    """A frame as a memory wire carries it."""
    body = MsgpackCodec().encode(frame)
    return len(body).to_bytes(4, "big") + body


def commands(endpoint: Endpoint[ClientSession] | Endpoint[Hub], now: float) -> list[Command]:
    return list(iter(lambda: endpoint.poll_command(now=now), None))


def said(endpoint: Endpoint[ClientSession] | Endpoint[Hub], link: int, now: float) -> bytes:
    """All a link has to write now."""
    return b"".join(iter(lambda: endpoint.data_to_send(link, PIECE, now=now), b""))


class Joined:
    """A client's endpoint and a hub's, and the bytes between them.

    Attributes:
        cut_bytes: how the bytes are cut into pieces before they are handed over.
    """

    def __init__(
        self,
        wire: str = "websocket",
        *,
        config: Config | None = None,
        hub_config: Config | None = None,
        verify: Verifier | None = allow_anyone,
        credentials: str | None = None,
    ) -> None:
        self.now = 100.0
        self.session = ClientSession(
            config or Config(), rng=Random(1), credentials=credentials, wait=60.0
        )
        self.hub = Hub(
            hub_config or Config.production("hub"),
            rng=Random(2),
            new_token=counted_tokens(),
            verify=verify,
        )
        self.client = Endpoint(self.session, client_wire(wire))
        self.server = Endpoint(self.hub, server_wire(wire))
        self.client_commands: list[Command] = []
        self.server_commands: list[Command] = []
        self.client_link = self.server_link = 0
        self.cut_bytes: Callable[[bytes], list[bytes]] = lambda data: [data]

    def connect(self) -> None:
        """Dial when the client asks for it, and exchange all there is."""
        if self.session.state is SessionState.NEW:
            self.session.start(now=self.now)
        self.dial()
        self.exchange()

    def dial(self) -> None:
        asked: list[OpenLink] = []
        for _ in range(10):
            asked = [one for one in commands(self.client, self.now) if isinstance(one, OpenLink)]
            deadline = self.client.next_deadline()
            if asked or deadline is None:
                break
            self.now = max(self.now, deadline)
            self.client.handle_timeout(now=self.now)
        self.client_link = asked[-1].link
        self.server_link = self.server.accept_link(now=self.now)
        self.client.open_link(self.client_link, now=self.now)

    def up(self) -> bytes:
        return said(self.client, self.client_link, self.now)

    def down(self) -> bytes:
        return said(self.server, self.server_link, self.now)

    def deliver_up(self, data: bytes) -> None:
        for piece in self.cut_bytes(data) if data else ():
            self.server.receive_data(self.server_link, piece, now=self.now)

    def deliver_down(self, data: bytes) -> None:
        for piece in self.cut_bytes(data) if data else ():
            self.client.receive_data(self.client_link, piece, now=self.now)

    def hang_up(self) -> None:
        """The client's socket ends, without a word."""
        self.server.receive_data(self.server_link, b"", now=self.now)

    def poll(self) -> None:
        self.client_commands += commands(self.client, self.now)
        self.server_commands += commands(self.server, self.now)

    def exchange(self) -> None:
        """Hand over all bytes both ways until nobody has any."""
        for _ in range(1000):
            self.poll()
            while self.server.next_writable() is not None or self.client.next_writable():
                pass
            up, down = self.up(), self.down()
            if not up and not down:
                self.poll()
                return
            self.deliver_up(up)
            self.deliver_down(down)
        raise AssertionError("the two ends never fall silent")

    def subscribe(self, channel: str = "news") -> Subscription:
        subscription = self.session.subscribe(channel, "earliest", now=self.now)
        self.exchange()
        return subscription

    def taken(self, subscription: Subscription) -> list[bytes]:
        """Take all that is there; the payloads."""
        events = iter(lambda: self.session.next_message(subscription, now=self.now), None)
        return [event.payload for event in events if isinstance(event, Message)]

"""One end real, the other played by hand; and what a `Pair` said on its wires.

For the regression tests: the hand can say what no peer of ours would, at the worst moment.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import TypeVar

from gapless.core.authorize import Verifier, allow_anyone
from gapless.core.client import ClientSession
from gapless.core.closing import Ending
from gapless.core.config import Config
from gapless.core.events import (
    Append,
    ChannelEvent,
    CloseLink,
    Command,
    Lost,
    Message,
    OpenLink,
    ReadHistory,
    Reset,
    SessionEvent,
)
from gapless.core.frames import Close, Frame, Hello, Welcome
from gapless.core.hub import Hub
from gapless.core.subscription import Subscription
from gapless.testing import Line, Observer, Pair, Peer

from .list_store import ListStore
from .parts import LOST, counted

WELCOME = Welcome("@s", "token-2", False, 30_000, 120_000, 1024 * 1024, 128)

FrameT = TypeVar("FrameT", bound=Frame)


class HubByHand:
    """A real hub; its clients are played by hand."""

    def __init__(
        self,
        *,
        config: Config | None = None,
        verify: Verifier | None = allow_anyone,
        new_token: Callable[[], str] | None = None,
    ) -> None:
        self.now: float = 100.0
        self.hub = Hub(
            config or Config.production("hub"),
            rng=Random(1),
            new_token=new_token or counted("token-"),
            verify=verify,
        )
        self.commands: list[Command] = []

    def open(self, link: int) -> None:
        self.hub.handle_link_opened(link, now=self.now)

    def say(self, link: int, *frames: Frame, size: int = 50) -> None:
        for frame in frames:
            self.hub.receive_bytes(link, now=self.now)
            self.hub.receive_frame(link, frame, size=size, now=self.now)

    def hear(self, link: int) -> list[Frame]:
        """All the hub has to say on a link now."""
        while self.hub.next_writable() is not None:
            pass
        return list(iter(lambda: self.hub.next_frame(link, now=self.now), None))

    def greet(
        self, link: int, token: str | None = None, *behind: Frame, credentials: str | None = None
    ) -> Welcome:
        """Connect; what is said behind `hello` is heard with the rest."""
        self.open(link)
        self.say(link, Hello(1, token, credentials, 1024 * 1024), *behind)
        welcome = self.hub.next_frame(link, now=self.now)
        assert isinstance(welcome, Welcome), welcome
        return welcome

    def lose(self, link: int) -> None:
        self.hub.handle_link_lost(link, LOST, now=self.now)

    def endings(self) -> dict[int, Ending]:
        """How the hub has closed links so far."""
        while (command := self.hub.poll_command()) is not None:
            self.commands.append(command)
        closed = [command for command in self.commands if isinstance(command, CloseLink)]
        return {command.link: command.ending for command in closed}

    def entries(self, channel: str) -> list[bytes]:
        """What a channel holds."""
        found = self.hub.channels.find(channel)
        if found is None:
            return []
        history = found.history
        return [history.entry(seq)[0] for seq in range(history.first, history.head + 1)]


class ClientByHand:
    """A real client; its server is played by hand."""

    def __init__(
        self,
        *,
        config: Config | None = None,
        seed: int = 1,
        asks: bool = False,
        wait: float = 1e9,
    ) -> None:
        self.now: float = 100.0
        self.client = ClientSession(
            config or Config(), rng=Random(seed), wait=wait, asks_credentials=asks
        )
        self.commands: list[Command] = []
        self.link = 0

    def dial(self) -> list[Frame]:
        """Wait until the client dials, and hear what it says first."""
        if self.client.state.value == "new":
            self.client.start(now=self.now)
        for _ in range(100):
            dials = [command for command in self.polled() if isinstance(command, OpenLink)]
            if dials:
                break
            deadline = self.client.next_deadline()
            assert deadline is not None, "it doesn't dial"
            self.now = max(self.now, deadline)
            self.client.handle_timeout(now=self.now)
        else:
            raise AssertionError("it doesn't dial")
        self.link = dials[-1].link
        self.client.handle_link_opened(self.link, now=self.now)
        return self.hear()

    def connect(self, *behind: Frame) -> list[Frame]:
        """Dial, welcome, say more; hear the answer."""
        self.dial()
        self.say(WELCOME, *behind)
        return self.hear()

    def say(self, *frames: Frame) -> None:
        for frame in frames:
            self.client.receive_bytes(self.link, now=self.now)
            self.client.receive_frame(self.link, frame, size=50, now=self.now)

    def hear(self) -> list[Frame]:
        return list(iter(lambda: self.client.next_frame(self.link, now=self.now), None))

    def lose(self) -> None:
        self.client.handle_link_lost(self.link, LOST, now=self.now)

    def take(self, subscription: Subscription) -> list[ChannelEvent]:
        """Take all that is there."""
        client = self.client
        return list(iter(lambda: client.next_message(subscription, now=self.now), None))

    def events(self) -> list[SessionEvent]:
        """Take what happened to the session."""
        events: list[SessionEvent] = []
        while (event := self.client.next_event()) is not None:
            events.append(event)
        return events

    def polled(self) -> list[Command]:
        new: list[Command] = list(iter(self.client.poll_command, None))
        self.commands += new
        return new

    def endings(self) -> list[Ending]:
        """How the client has closed links so far."""
        self.polled()
        return [one.ending for one in self.commands if isinstance(one, CloseLink)]


class Wiretap(Observer):
    """Writes down the frames and lines of a pair."""

    def __init__(self, pair: Pair) -> None:
        self.frames: list[tuple[Line, bool, Frame]] = []
        self.lines: list[Line] = []
        pair.observers.append(self)

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        self.frames.append((line, to_client, frame))

    def on_line(self, line: Line) -> None:
        self.lines.append(line)

    def said(
        self, kind: type[FrameT], *, to_client: bool | None = None, line: Line | None = None
    ) -> list[FrameT]:
        """Frames of a kind; one way, on one line, if asked for."""
        return [
            frame
            for at, way, frame in self.frames
            if isinstance(frame, kind)
            if to_client is None or way is to_client
            if line is None or at is line
        ]

    def codes(self) -> list[int]:
        """The codes of all `close` frames."""
        return [frame.code for frame in self.said(Close)]


def started(pair: Pair) -> Wiretap:
    """Connect a pair's client."""
    tap = Wiretap(pair)
    pair.peer.start()
    pair.settle()
    assert pair.client.link is not None
    return tap


def publish(pair: Pair, channel: str, *payloads: bytes | str) -> None:
    """Publish at the server; there must be room."""
    for payload in payloads:
        assert pair.publish(channel, payload) is not None


def numbered(first: int, last: int, size: int = 0) -> list[bytes]:
    """Payloads that say their number."""
    return [f"m{number}".encode().ljust(size, b".") for number in range(first, last + 1)]


def shown(events: Iterable[ChannelEvent]) -> list[str]:
    """Messages and losses in short; marks of replay are left out."""
    words: list[str] = []
    for event in events:
        if isinstance(event, Message):
            words.append(event.payload.decode().rstrip("."))
        elif isinstance(event, Lost):
            words.append(f"lost {event.first}..{event.last}")
        elif isinstance(event, Reset):
            words.append(f"reset {event.reason}")
    return words


def names(first: int, last: int) -> list[str]:
    """What `shown` makes of `numbered`."""
    return [f"m{number}" for number in range(first, last + 1)]


def taking(
    pair: Pair, subscription: Subscription, *, peer: Peer | None = None, seconds: float = 60.0
) -> Iterator[list[ChannelEvent]]:
    """An application that takes all there is, every tenth of a second."""
    for _ in range(int(seconds * 10)):
        pair.run(0.1)
        yield (peer or pair.peer).take_all(subscription)


def taken_until(
    pair: Pair, subscription: Subscription, last: str, *, peer: Peer | None = None
) -> list[str]:
    """Take until a message has come, in a minute at most; what was taken, in short."""
    events: list[str] = []
    for more in taking(pair, subscription, peer=peer):
        events += shown(more)
        if last in events:
            return events
    raise AssertionError(f"{last} never came: {events}")


class DurableHubByHand(HubByHand):
    """A real hub with a store behind it, which answers when the test lets it."""

    def __init__(
        self, *, config: Config | None = None, verify: Verifier | None = allow_anyone
    ) -> None:
        super().__init__(config=config, verify=verify)
        self.store = ListStore()
        self.hub = Hub(
            self.hub.config,
            rng=Random(1),
            new_token=counted("token-"),
            verify=verify,
            durable=True,
        )

    def asked(self) -> list[Append | ReadHistory]:
        """What the hub has asked of the store since it was last looked at."""
        new: list[Command] = list(iter(self.hub.poll_command, None))
        self.commands += new
        return [command for command in new if isinstance(command, Append | ReadHistory)]

    def answer(self, *asked: Append | ReadHistory) -> None:
        """Let the store answer."""
        for command in asked:
            if isinstance(command, Append):
                self.hub.handle_appended(self.store.append(command), now=self.now)
            else:
                self.hub.handle_history(self.store.read_history(command), now=self.now)

    def serve(self) -> None:
        """Let the store answer all it is asked, and what it is asked then."""
        while asked := self.asked():
            self.answer(*asked)

    def fill(self, channel: str, *payloads: bytes) -> None:
        """Publish, one after the other, and have the store take each."""
        for payload in payloads:
            if self.hub.publish(channel, payload, now=self.now) is None:
                self.serve()
                assert self.hub.publish(channel, payload, now=self.now) is not None
            self.serve()

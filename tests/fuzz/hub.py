"""Target: a `Hub`, its application, its store, its clock and clients that say anything.

Every choice comes from the input. At each step: no call of a peer's raises (I21), sessions,
channels and histories keep their bounds (P3), no deadline stays in the past (I12), a session goes
only to who had its token and its principal (I14). What is sent keeps rule 3 and rule 5: no hole
that wasn't said, no batch begun beyond the reader's limit, no ack above what came (I4).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from gapless.core.authorize import Grant
from gapless.core.closing import Code, Ending
from gapless.core.config import KIB, Config
from gapless.core.credit import charge
from gapless.core.errors import LocalProtocolError
from gapless.core.events import Append, Authorize, CloseLink, Command, OpenLink, ReadHistory
from gapless.core.frames import (
    Ack,
    Data,
    Denied,
    Frame,
    Gone,
    Hello,
    Offer,
    Offered,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.store import AppendRefused
from tests.core.list_store import ListStore
from tests.core.parts import counted

from .client import Taken
from .drawing import Draw
from .frames import CHANNELS, EPOCHS, draw_data, draw_frame, draw_payload, draw_since, legal
from .machines import LOST, play, wait

Make = Callable[[bool], Hub]

CONFIG = Config(
    history_messages=8,
    history_bytes=64 * KIB,
    max_message=20_000,
    window=KIB,
    max_sessions=3,
    max_hub_channels=4,
    max_channels=3,
    lease=100.0,
)
PRINCIPALS = ("ann", "bob")
MOST_LINKS = 6


def a_hub(durable: bool) -> Hub:
    return Hub(CONFIG, rng=Random(2), new_token=counted("token-"), durable=durable)


@dataclass(slots=True)
class Reading:
    """What a hub sends under one id on one link."""

    next_seq: int
    limit: int
    sent: int = 0


@dataclass(slots=True)
class Client:
    """One link and what was said on it."""

    link: int
    hello: Hello | None = None
    principal: str | None = None
    session: str | None = None
    requests: int = 0
    asked: dict[int, Subscribe] = field(default_factory=dict[int, Subscribe])
    readings: dict[int, Reading] = field(default_factory=dict[int, Reading])
    offers: list[Offer] = field(default_factory=list[Offer])
    next_of: dict[int, int] = field(default_factory=dict[int, int])
    highest: dict[int, int] = field(default_factory=dict[int, int])


class Server:
    """One run."""

    def __init__(self, draw: Draw, make: Make) -> None:
        self.draw = draw
        self.now = 100.0
        head = draw.byte()
        self.hub = make(bool(head & 1))
        self.store = ListStore(counted("stored-"))
        self.clients: dict[int, Client] = {}
        self.last_link = 0
        self.gone: list[int] = []
        self.owners: dict[str, tuple[str, str | None]] = {}
        self.epochs: list[str] = [*EPOCHS]
        self.readers: dict[LocalReader, Taken] = {}
        self.waiting: list[Command] = []
        self._acts: tuple[Callable[[], None], ...] = (
            self._open,
            self._hello,
            self._verdict,
            self._drain,
            self._subscribe,
            self._offer,
            self._data_in_order,
            self._ack,
            self._any_frame,
            self._stale,
            self._wait,
            self._publish,
            self._read_locally,
            self._configure,
            self._lost,
            self._store,
            self._unsubscribe,
            self._drain_hub,
        )
        if head & 2:
            self._join()

    def run(self) -> None:
        play(self.draw, self._acts, self._check)

    # links

    def _client(self) -> Client | None:
        return self.draw.choice(list(self.clients.values())) if self.clients else None

    def _open(self) -> None:
        if len(self.clients) < MOST_LINKS:
            self.last_link += 1
            self.clients[self.last_link] = Client(self.last_link)
            self.hub.handle_link_opened(self.last_link, now=self.now)

    def _join(self) -> None:
        """A client connects and is welcomed, without further ado."""
        self._open()
        client = self.clients[self.last_link]
        self._hear(client, Hello(1, None, None, 20_000))
        self._grant(client, "ann", may_pin=True)
        self._say(client)

    def _hello(self) -> None:
        client = self._client()
        if client is not None:
            token = self.draw.choice((None, "stolen", *self.owners))
            version = self.draw.choice((1, 1, 1, 2))
            most = self.draw.choice((20_000, 50, 0))
            self._hear(client, Hello(version, token, None, most))

    def _verdict(self) -> None:
        client = self._client()
        if client is None:
            return
        if self.draw.below(4) == 3:
            self.hub.handle_authorized(client.link, None, now=self.now)
        else:
            self._grant(client, self.draw.choice(PRINCIPALS), may_pin=self.draw.flag())

    def _grant(self, client: Client, principal: str, *, may_pin: bool) -> None:
        if client.principal is None:
            client.principal = principal
        grant = Grant(client.principal, may_pin=may_pin)
        self.hub.handle_authorized(client.link, grant, now=self.now)

    def _lost(self) -> None:
        client = self._client()
        if client is not None:
            del self.clients[client.link]
            self.gone.append(client.link)
            ending = Ending(self.draw.choice((Code.LOST, Code.DONE)), "gone")
            self.hub.handle_link_lost(client.link, ending, now=self.now)

    def _hear(self, client: Client, frame: Frame) -> None:
        self.hub.receive_bytes(client.link, now=self.now)
        if isinstance(frame, Hello):
            client.hello = client.hello or frame
        elif isinstance(frame, Subscribe):
            client.asked[frame.request] = frame
        elif isinstance(frame, Offer):
            client.offers.append(frame)
        elif isinstance(frame, Data):
            last = frame.first + len(frame.payloads) - 1
            client.highest[frame.id] = max(last, client.highest.get(frame.id, 0))
        elif isinstance(frame, Gone):
            client.highest[frame.id] = max(frame.last, client.highest.get(frame.id, 0))
        elif isinstance(frame, Ack) and frame.id in client.readings:
            reading = client.readings[frame.id]
            reading.limit = max(reading.limit, frame.limit)
        self.hub.receive_frame(client.link, frame, size=100, now=self.now)

    # what clients say

    def _subscribe(self) -> None:
        client = self._client()
        if client is not None:
            client.requests += 1
            since = draw_since(self.draw, tuple(self.epochs[-4:]))
            limit = self.draw.choice((1024, 0, 40, 100_000))
            channel = self.draw.choice(CHANNELS)
            self._hear(client, Subscribe(client.requests, channel, since, limit))

    def _unsubscribe(self) -> None:
        client = self._client()
        if client is not None:
            self._hear(client, Unsubscribe(self.draw.below(4)))

    def _offer(self) -> None:
        client = self._client()
        if client is not None:
            epoch = self.draw.choice((None, None, *self.epochs[-4:]))
            number, channel = len(client.offers) + 1, self.draw.choice(CHANNELS)
            self._hear(client, Offer(number, channel, epoch, 1 + self.draw.below(3)))

    def _data_in_order(self) -> None:
        client = self._client()
        if client is not None and client.next_of:
            number = self.draw.choice(list(client.next_of))
            frame = legal(draw_data(self.draw, number, client.next_of[number]))
            if isinstance(frame, Data):
                client.next_of[number] += len(frame.payloads)
            self._hear(client, frame)

    def _ack(self) -> None:
        client = self._client()
        if client is not None and client.readings:
            number = self.draw.choice(list(client.readings))
            reading = client.readings[number]
            back = self.draw.below(4)
            limit = reading.limit + self.draw.choice((0, 1, 100, 5000))
            self._hear(client, Ack(number, max(0, reading.next_seq - 1 - back), limit))

    def _any_frame(self) -> None:
        client = self._client()
        if client is not None:
            self._hear(client, draw_frame(self.draw))

    def _stale(self) -> None:
        """Frames, verdicts and ends of links that are not there (I13)."""
        link = self.draw.choice((0, 10**9, *self.gone[-4:]))
        before = self._state()
        self.hub.receive_bytes(link, now=self.now)
        self.hub.receive_frame(link, draw_frame(self.draw), size=9, now=self.now)
        self.hub.handle_authorized(link, Grant("ann"), now=self.now)
        self.hub.handle_link_lost(link, LOST, now=self.now)
        assert self._state() == before, "a link that isn't there changed something (I13)"

    def _state(self) -> tuple[object, ...]:
        hub = self.hub
        channels = [(one.name, one.epoch, one.head) for one in hub.channels.named.values()]
        return hub.links, hub.sessions, channels, hub.next_deadline(), hub.has_output

    # what the hub says

    def _drain(self) -> None:
        for _ in range(200):
            link = self.hub.next_writable()
            if link is None:
                return
            client = self.clients.get(link)
            if client is not None:
                self._say(client)

    def _say(self, client: Client) -> None:
        for _ in range(64):
            frame = self.hub.next_frame(client.link, now=self.now)
            if frame is None:
                return
            if not isinstance(frame, Subscribed):
                assert legal(frame) == frame, f"no codec carries {frame}"
            self._said(client, frame)

    def _said(self, client: Client, frame: Frame) -> None:
        match frame:
            case Welcome():
                self._welcomed(client, frame)
            case Subscribed():
                self._subscribed(client, frame)
            case Offered():
                self.epochs.append(frame.epoch)
                client.next_of[frame.id] = frame.last + 1
                client.highest[frame.id] = max(frame.last, client.highest.get(frame.id, 0))
            case Data():
                reading = client.readings[frame.id]
                assert frame.first == reading.next_seq, f"{frame} instead of {reading.next_seq}"
                assert reading.sent < reading.limit, f"{frame} beyond the limit {reading.limit}"
                reading.next_seq += len(frame.payloads)
                reading.sent += charge(frame.payloads)
            case Gone():
                reading = client.readings[frame.id]
                assert frame.first == reading.next_seq, f"{frame} at {reading.next_seq}"
                reading.next_seq = frame.last + 1
            case Ack():
                assert frame.seq <= client.highest.get(frame.id, 0), f"{frame} above what came"
            case _:
                pass

    def _welcomed(self, client: Client, frame: Welcome) -> None:
        """I14: a session goes on only for who has its token and is its principal."""
        assert client.hello is not None
        assert client.session is None, "a second welcome"
        owner = self.owners.get(client.hello.token or "")
        if frame.resumed:
            assert owner == (frame.session, client.principal), f"{owner} taken over"
        else:
            assert frame.session not in {session for session, _ in self.owners.values()}
        assert frame.token not in self.owners, "a token given twice"
        client.session = frame.session
        self.owners[frame.token] = frame.session, client.principal

    def _subscribed(self, client: Client, frame: Subscribed) -> None:
        asked = client.asked[frame.request]
        if not isinstance(frame.outcome, Denied):
            self.epochs.append(frame.epoch)
            client.readings[frame.id] = Reading(frame.next_seq, asked.limit)

    # the server's application, store and clock

    def _publish(self) -> None:
        channel, many = self.draw.choice((*CHANNELS, *self.hub.sessions)), 1 + self.draw.below(3)
        payloads = [draw_payload(self.draw) for _ in range(many)]
        try:
            if many == 1:
                self.hub.publish(channel, payloads[0], self.draw.flag(), now=self.now)
            else:
                self.hub.publish_many(channel, payloads, now=self.now)
        except LocalProtocolError:
            return

    def _read_locally(self) -> None:
        try:
            if len(self.readers) < 3:
                since = draw_since(self.draw, tuple(self.epochs[-4:]))
                reader = self.hub.subscribe(self.draw.choice(CHANNELS), since, now=self.now)
                if reader is not None:
                    self.readers[reader] = Taken()
        except LocalProtocolError:
            return
        if self.readers:
            reader = self.draw.choice(list(self.readers))
            for _ in range(self.draw.below(16)):
                event = self.hub.next_message(reader, now=self.now)
                if event is None:
                    break
                self.readers[reader].take(event)
            if self.draw.below(8) == 7:
                self.hub.unsubscribe(reader, now=self.now)
                del self.readers[reader]
        self.hub.next_ready()

    def _configure(self) -> None:
        name, value = self.draw.choice(
            (
                ("patience", 0.0),
                ("patience", 50.0),
                ("overflow", "reject"),
                ("overflow", "rotate"),
                ("overflow", "wait"),
                ("history_age", 3.0),
                ("history_messages", 8),
                ("nothing", 1),
            )
        )
        try:
            self.hub.configure(self.draw.choice(CHANNELS), now=self.now, **{name: value})
        except LocalProtocolError:
            return

    def _store(self) -> None:
        """Carry out commands: some at once, the rest when this is chosen again."""
        while (command := self.hub.poll_command()) is not None:
            self.waiting.append(command)
        for _ in range(self.draw.below(8)):
            if not self.waiting:
                return
            self._carry_out(self.waiting.pop(0))

    def _carry_out(self, command: Command) -> None:
        match command:
            case Append():
                kind = self.draw.below(8)
                if command.payloads and kind > 5:
                    after = 1.0 if kind == 6 else None
                    refused = AppendRefused(command.request, "full", after)
                    self.hub.handle_appended(refused, now=self.now)
                else:
                    self.hub.handle_appended(self.store.append(command), now=self.now)
            case ReadHistory():
                self.hub.handle_history(self.store.read_history(command), now=self.now)
            case CloseLink():
                self.gone.append(command.link)
                client = self.clients.pop(command.link, None)
                if client is not None:
                    self._say(client)
                self.hub.handle_link_lost(command.link, command.ending, now=self.now)
            case Authorize():
                pass
            case OpenLink():
                raise AssertionError("a hub dials nobody")

    def _drain_hub(self) -> None:
        if self.draw.below(16) == 15:
            seconds = self.draw.choice((0.0, 1.0, 20.0))
            self.hub.drain(now=self.now, timeout=seconds, spread=self.draw.choice((0.0, 1.0)))

    def _wait(self) -> None:
        self.now = wait(self.draw, self.hub, self.now)

    # what holds

    def _check(self) -> None:
        hub = self.hub
        assert len(hub.sessions) <= CONFIG.max_sessions
        assert hub.links <= len(self.clients)
        public = [one for name, one in hub.channels.named.items() if name not in hub.sessions]
        assert len(public) <= CONFIG.max_hub_channels
        for channel in hub.channels.named.values():
            history = channel.history
            assert history.size <= CONFIG.history_bytes, f"{history.size} bytes (P3)"
            assert channel.head - history.first + 1 <= CONFIG.history_messages


class HubTarget:
    """One run with the input's choices."""

    def __init__(self, make: Make = a_hub) -> None:
        self._make = make

    def __call__(self, data: bytes) -> None:
        Server(Draw(data), self._make).run()


hub_target = HubTarget()

"""Pair: client, server and clock in one process, in virtual time.

    pair = Pair(seed=7)
    pair.client.start(now=pair.clock.now)
    pair.run_until(lambda: pair.client.link is not None)

Both ends run through the real `Endpoint` and the real wires; only the sockets are replaced, by a
seeded `Network`. A day of reconnecting takes milliseconds, and the same seed gives the same bytes.
More clients can be added; the server can be restarted, with or without what it remembered, and a
second one can take its place.

What applications do is best done through `pair.peer` (a `Peer`) and the pair's own `publish`,
`subscribe` and `take`: then the `observers` see it, and a `Checker` among them can judge it.
"""

from collections.abc import Callable, Iterator
from random import Random

from gapless.core.authorize import Verifier, allow_anyone
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import (
    Append,
    Authorize,
    ChannelEvent,
    CloseLink,
    Command,
    OpenLink,
    ReadHistory,
)
from gapless.core.export import Export
from gapless.core.frames import Frame
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.news import Ticket
from gapless.core.position import Since
from gapless.core.store import HistoryRead
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .clock import Clock
from .host import Host, Store
from .network import CALM, Line, Network, Pipe, Weather
from .observer import Observer, TracedWire
from .peer import Peer
from .promise import hold
from .transcript import Transcript

AnyEndpoint = Endpoint[ClientSession] | Endpoint[Hub]

MAX_STEPS = 1_000_000
MAX_ROUNDS = 10_000
WRITE = 65536


class Pair:
    """A client and a server joined by a network that can be bad.

    Args:
        seed: of the weather, the jitter and the tokens.
        client_config, hub_config: settings of the two ends.
        weather: of the network.
        verify: judges credentials; None: `commands` has an `Authorize` for each `hello`.
        verdict_delay: seconds a verdict of `verify` takes, at least and at most; None: no time.
        new_client_wire, new_server_wire: make the wires; memory by default.
        store: keeps the hub's messages, and answers after `store_delay`; None: the hub's memory.
        store_delay: seconds an answer of the store takes, at least and at most.
        record: whether `transcript` tells the story.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        client_config: Config | None = None,
        hub_config: Config | None = None,
        weather: Weather = CALM,
        verify: Verifier | None = allow_anyone,
        verdict_delay: tuple[float, float] | None = None,
        new_client_wire: Callable[[float], Wire] | None = None,
        new_server_wire: Callable[[float], Wire] | None = None,
        store: Store | None = None,
        store_delay: tuple[float, float] = (0.0005, 0.001),
        record: bool = False,
    ) -> None:
        self.rng = Random(seed)
        self.clock = Clock()
        self.network = Network(self.rng, weather)
        self.client_config = client_config or Config.production()
        self.hub_config = hub_config or Config.production("hub")
        self.commands: list[Command] = []
        self.observers: list[Observer] = []
        self.peers: list[Peer] = []
        self.hosts: list[Host] = []
        self.verify = verify
        self._verdict_delay = verdict_delay
        self._store = store
        self._store_delay = store_delay
        self._new_client_wire = new_client_wire or _client_wire
        self._new_server_wire = new_server_wire or _server_wire
        self._dials: list[tuple[float, Peer, int]] = []
        self._answers: list[tuple[float, Host, Append | ReadHistory | Authorize]] = []
        self._blocked: dict[tuple[AnyEndpoint, int], None] = {}
        self._tokens = 0
        self._named = 0
        self._transcript = Transcript()
        if record:
            self.observers.append(self._transcript)
        self.add_server()
        self.peer = self.add_client()
        self.client = self.peer.session

    @property
    def hub(self) -> Hub:
        """The hub of the server that takes new connections."""
        return self.hosts[-1].hub

    @property
    def server(self) -> Endpoint[Hub]:
        """The endpoint of the server that takes new connections."""
        return self.hosts[-1].endpoint

    @property
    def transcript(self) -> list[str]:
        """What happened so far, a line each; see `Transcript`. Empty unless `record` was set."""
        return self._transcript.lines

    # the server's application

    def publish(self, channel: str, payload: bytes | str) -> Ticket | None:
        """Publish from inside the server; None: there is no room now."""
        data = payload.encode() if isinstance(payload, str) else payload
        text = isinstance(payload, str)
        ticket = self.hub.publish(channel, data, text, now=self.clock.now)
        if ticket is not None:
            for observer in self.observers:
                observer.on_published(None, channel, [data], None)
        return ticket

    def subscribe(self, channel: str, since: Since = "latest") -> LocalReader | None:
        """Read a channel inside the server; None while the store opens it."""
        return self.hub.subscribe(channel, since, now=self.clock.now)

    def take(self, reader: LocalReader) -> ChannelEvent | None:
        """Take the next message or marker inside the server."""
        event = self.hub.next_message(reader, now=self.clock.now)
        if event is not None:
            for observer in self.observers:
                observer.on_taken(None, reader, event)
        return event

    def note(self, text: str) -> None:
        """Put a remark into the transcript."""
        for observer in self.observers:
            observer.on_note(text)

    # clients and servers

    def add_client(
        self,
        *,
        token: str | None = None,
        credentials: str | None = None,
        asks_credentials: bool = False,
        wait: float = float("inf"),
        restore: Export | None = None,
    ) -> Peer:
        """Add a client; `peer.start()` makes it connect."""
        session = ClientSession(
            self.client_config,
            rng=self.rng,
            token=token,
            credentials=credentials,
            asks_credentials=asks_credentials,
            wait=wait,
        )
        if restore is not None:
            session.restore(restore, now=self.clock.now)
        self._named += 1
        name, new_wire = f"C{self._named}", self._new_client_wire
        peer = Peer(name, session, new_wire, clock=self.clock, observers=self.observers)
        self.peers.append(peer)
        return peer

    def kill_client(self, peer: Peer) -> None:
        """A client's process dies: its sockets close, it says nothing."""
        self.note(f"{peer.name} dies")
        for line in list(peer.lines.values()):
            self._end_line(peer, line, tell_client=False)
        self.peers.remove(peer)
        self._dials = [dial for dial in self._dials if dial[1] is not peer]

    def add_server(self) -> Host:
        """Add a server, which takes all new connections; those before it keep their lines."""
        name = f"S{len(self.hosts) + 1}" if self.hosts else "S"
        host = Host(name, self._new_hub(), self._new_server_wire)
        self.hosts.append(host)
        return host

    def restart_server(self) -> None:
        """The newest server's process dies and comes back; only its store remembers."""
        old = self.hosts[-1]
        self.note(f"{old.name} restarts")
        for peer, line in self._lines_of(old):
            self._end_line(peer, line, tell_server=False)
        self._answers = [answer for answer in self._answers if answer[1] is not old]
        self.hosts[-1] = Host(old.name, self._new_hub(), self._new_server_wire)

    # the network

    def lines(self, peer: Peer | None = None) -> list[Line]:
        """A client's present lines, oldest first."""
        return list((peer or self.peer).lines.values())

    def cut(self, peer: Peer | None = None) -> None:
        """Cut every line of a client: what is in flight is lost, both ends notice."""
        peer = peer or self.peer
        self.note("cut")
        for line in self.lines(peer):
            self._end_line(peer, line)

    def cut_after(self, size: int, *, to_client: bool = True, peer: Peer | None = None) -> None:
        """Cut a client's lines once `size` more bytes have arrived one way: in mid-frame."""
        for line in self.lines(peer):
            (line.to_client if to_client else line.to_server).cut_after(size)

    def hold(self, is_held: bool, *, to_client: bool, peer: Peer | None = None) -> None:
        """Hold one direction of a client's present lines: silence; or let it go on."""
        for line in self.lines(peer):
            (line.to_client if to_client else line.to_server).is_held = is_held

    # running

    def run(self, seconds: float) -> None:
        """Let that much virtual time pass."""
        self._run(self.clock.now + seconds, lambda: False)

    def run_until(self, condition: Callable[[], object], timeout: float = 600.0) -> bool:
        """Run until the condition holds; False if `timeout` virtual seconds were not enough."""
        return self._run(self.clock.now + timeout, condition)

    def settle(self) -> None:
        """Run for as long as anything happens without time having to pass much (1 s)."""
        self.run(1.0)

    # internals

    def _run(self, end: float, condition: Callable[[], object]) -> bool:
        for _ in range(MAX_STEPS):
            self._pump()
            if condition():
                return True
            when = self._next_time()
            if when is None or when > end:
                self.clock.advance_to(end)
                return bool(condition())
            self._advance(when)
        raise AssertionError("a million steps and no end: the machines are spinning")

    def _new_token(self) -> str:
        self._tokens += 1
        return f"token-{self._tokens}"

    def _new_hub(self) -> Hub:
        return Hub(
            self.hub_config,
            rng=self.rng,
            new_token=self._new_token,
            verify=self.verify if self._verdict_delay is None else None,
            durable=self._store is not None,
        )

    def _lines_of(self, host: Host) -> list[tuple[Peer, Line]]:
        """A server's lines with their clients."""
        lines = [(peer, line) for peer in self.peers for line in peer.lines.values()]
        return [(peer, line) for peer, line in lines if host.lines.get(line.server_link) is line]

    def _host_of(self, line: Line) -> Host | None:
        for host in self.hosts:
            if host.lines.get(line.server_link) is line:
                return host
        return None

    # time

    def _next_time(self) -> float | None:
        times = [host.endpoint.next_deadline() for host in self.hosts]
        times += [peer.endpoint.next_deadline() for peer in self.peers]
        times += [when for when, _, _ in self._dials]
        times += [when for when, _, _ in self._answers]
        for peer in self.peers:
            for line in peer.lines.values():
                times += [line.to_client.next_arrival(), line.to_server.next_arrival()]
                times += [self.clock.now] if line.is_over else []
        return min((when for when in times if when is not None), default=None)

    def _advance(self, when: float) -> None:
        self.clock.advance_to(when)
        now = self.clock.now
        for peer in list(self.peers):
            for line in list(peer.lines.values()):
                self._deliver(peer, line, now)
        for dial in [dial for dial in self._dials if dial[0] <= now]:
            self._dials.remove(dial)
            self._connect(dial[1], dial[2])
        for answer in [answer for answer in self._answers if answer[0] <= now]:
            self._answers.remove(answer)
            self._answer(answer[1], answer[2])
        for host in self.hosts:
            _let_pass(host.endpoint, now)
        for peer in self.peers:
            _let_pass(peer.endpoint, now)

    def _deliver(self, peer: Peer, line: Line, now: float) -> None:
        host = self._host_of(line)
        data = line.to_server.receive(now=now)
        if data and host is not None:
            host.endpoint.receive_data(line.server_link, data, now=now)
        data = line.to_client.receive(now=now)
        if data:
            peer.endpoint.receive_data(line.client_link, data, now=now)
        if line.is_over:
            self._end_line(peer, line)

    def _answer(self, host: Host, command: Append | ReadHistory | Authorize) -> None:
        now = self.clock.now
        if isinstance(command, Authorize):
            assert self.verify is not None
            host.hub.handle_authorized(command.link, self.verify(command.credentials), now=now)
            return
        assert self._store is not None
        if isinstance(command, Append):
            host.hub.handle_appended(self._store.append(command), now=now)
        else:
            answer: HistoryRead = self._store.read_history(command)
            host.hub.handle_history(answer, now=now)

    # output

    def _pump(self) -> None:
        """Carry out commands and write, until nobody has anything to say."""
        for _ in range(MAX_ROUNDS):
            busy = False
            for peer in list(self.peers):
                busy |= self._pump_client(peer)
            for host in self.hosts:
                busy |= self._pump_server(host)
            if not busy:
                break
        else:
            raise AssertionError(f"{MAX_ROUNDS} rounds of output without time passing: a livelock")
        for observer in self.observers:
            observer.on_step()

    def _pump_client(self, peer: Peer) -> bool:
        now, busy = self.clock.now, False
        while (command := peer.endpoint.poll_command(now=now)) is not None:
            busy = True
            if isinstance(command, OpenLink):
                self._dials.append((now + self.rng.uniform(0.0005, 0.001), peer, command.link))
            elif isinstance(command, CloseLink):
                # What it has written still arrives, then the end.
                _hang_up(peer.lines.get(command.link), by_client=True)
        for link in self._writable(peer.endpoint):
            line = peer.lines.get(link)
            pipe = None if line is None else line.to_server
            busy |= self._write(peer.endpoint, link, line, pipe)
        return busy

    def _pump_server(self, host: Host) -> bool:
        busy = self._carry_out(host)
        for link in self._writable(host.endpoint):
            line = host.lines.get(link)
            pipe = None if line is None else line.to_client
            busy |= self._write(host.endpoint, link, line, pipe)
        # Writing asks the store, where a reader needs what the history no longer holds.
        return busy | self._carry_out(host)

    def _carry_out(self, host: Host) -> bool:
        now, busy = self.clock.now, False
        while (command := host.endpoint.poll_command(now=now)) is not None:
            busy = True
            if isinstance(command, CloseLink):
                _hang_up(host.lines.get(command.link), by_client=False)
            elif isinstance(command, Append | ReadHistory) and self._store is not None:
                self._answers.append((now + self.rng.uniform(*self._store_delay), host, command))
            elif isinstance(command, Authorize) and self.verify and self._verdict_delay:
                self._answers.append((now + self.rng.uniform(*self._verdict_delay), host, command))
            else:
                self.commands.append(command)
        return busy

    def _writable(self, endpoint: AnyEndpoint) -> Iterator[int]:
        """The links that could not send all before, then those that have come to have something.

        In this order, as a driver has it whose socket drains before it asks for anything else.
        """
        for link in [link for blocked, link in self._blocked if blocked is endpoint]:
            del self._blocked[endpoint, link]
            yield link
        yield from iter(endpoint.next_writable, None)

    def _write(
        self,
        endpoint: AnyEndpoint,
        link: int,
        line: Line | None,
        pipe: Pipe | None,
    ) -> bool:
        now, busy = self.clock.now, False
        while True:
            is_open = line is not None and not line.is_cut
            if is_open and pipe is not None and not pipe.has_room:
                self._blocked[endpoint, link] = None
                return busy
            data = endpoint.data_to_send(link, WRITE, now=now)
            if not data:
                return busy
            busy = True
            if is_open and line is not None and pipe is not None:
                line.is_cut = not pipe.send(data, now=now)
                for observer in self.observers:
                    observer.on_bytes(line, pipe is line.to_client, data, now=now)

    # lines

    def _connect(self, peer: Peer, link: int) -> None:
        now = self.clock.now
        if not self.network.connects():
            self.note(f"{peer.name} can't connect")
            refused = Ending(Code.LOST, "connection refused")
            peer.endpoint.handle_link_lost(link, refused, now=now)
            return
        host = self.hosts[-1]
        server_link = host.accept(now=now)
        line = self.network.line(peer.name, link, host.name, server_link)
        host.lines[server_link] = line
        for observer in self.observers:
            observer.on_line(line)
        self._trace(host.wires[server_link], line, to_client=True)
        peer.open_link(line)
        self._trace(peer.wires[link], line, to_client=False)

    def _trace(self, wire: TracedWire, line: Line, *, to_client: bool) -> None:
        def on_frame(frame: Frame) -> None:
            wire.forget((line.to_client if to_client else line.to_server).arrived)
            for observer in self.observers:
                observer.on_frame(line, to_client, frame)

        wire.on_frame = on_frame

    def _end_line(
        self, peer: Peer, line: Line, *, tell_client: bool = True, tell_server: bool = True
    ) -> None:
        line.is_cut = True
        host = self._host_of(line)
        del peer.lines[line.client_link]
        wire = peer.wires.pop(line.client_link)
        lost = [(False, frame) for frame in wire.lost(line.to_server.arrived)]
        if host is not None:
            del host.lines[line.server_link]
            wire = host.wires.pop(line.server_link)
            lost += [(True, frame) for frame in wire.lost(line.to_client.arrived)]
        for observer in self.observers:
            observer.on_lost(line, lost)
        ending = Ending(Code.LOST, "connection reset")
        now = self.clock.now
        # Who closed its socket hears no more of it.
        if tell_client and not line.closed_by_client:
            peer.endpoint.handle_link_lost(line.client_link, ending, now=now)
        if tell_server and host is not None and not line.closed_by_server:
            host.endpoint.handle_link_lost(line.server_link, ending, now=now)


def _hang_up(line: Line | None, *, by_client: bool) -> None:
    if line is not None:
        line.is_cut = True
        line.closed_by_client |= by_client
        line.closed_by_server |= not by_client


def _let_pass(endpoint: AnyEndpoint, now: float) -> None:
    deadline = endpoint.next_deadline()
    if deadline is None or deadline > now:
        return
    endpoint.handle_timeout(now=now)
    deadline = endpoint.next_deadline()
    late = f"a deadline {deadline} in the past at {now}, after its timeout was handled"
    hold(deadline is None or deadline >= now, "I12", late)


def _client_wire(now: float) -> Wire:
    return MemoryWire()


def _server_wire(now: float) -> Wire:
    return MemoryWire(from_client=True)

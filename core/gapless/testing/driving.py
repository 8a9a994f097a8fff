"""Driving: carries time, bytes and commands between the ends of a pair.

It does in virtual time what a driver does on an event loop, for all ends at once, and is the
sockets and the store between them. What a test calls is in `Pair`.
"""

from collections.abc import Callable, Iterator
from random import Random

from gapless.core.authorize import Verifier
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.events import Append, Authorize, CloseLink, Command, OpenLink, ReadHistory
from gapless.core.frames import Frame
from gapless.core.hub import Hub
from gapless.core.store import HistoryRead
from gapless.transports.endpoint import Endpoint

from .clock import Clock
from .host import Host, Store
from .network import Line, Network, Pipe, Weather
from .observer import Observer, TracedWire
from .peer import Peer
from .promise import hold

AnyEndpoint = Endpoint[ClientSession] | Endpoint[Hub]

MAX_STEPS = 1_000_000
MAX_ROUNDS = 10_000
WRITE = 65536


class Driving:
    """What happens while a pair runs.

    Args:
        rng: of the network and of every delay.
        weather: of the network.
        verify: judges credentials after `verdict_delay`.
        verdict_delay: seconds that takes, at least and at most; None: no time.
        store: carries out what durable hubs ask, after `store_delay`.
        store_delay: seconds that takes, at least and at most.
    """

    def __init__(
        self,
        rng: Random,
        weather: Weather,
        verify: Verifier | None,
        verdict_delay: tuple[float, float] | None,
        store: Store | None,
        store_delay: tuple[float, float],
    ) -> None:
        self.rng = rng
        self.clock = Clock()
        self.network = Network(rng, weather)
        self.commands: list[Command] = []
        self.observers: list[Observer] = []
        self.peers: list[Peer] = []
        self.hosts: list[Host] = []
        self.verify = verify
        self._verdict_delay = verdict_delay
        self._store = store
        self._store_delay = store_delay
        self._dials: list[tuple[float, Peer, int]] = []
        self._answers: list[tuple[float, Host, Append | ReadHistory | Authorize]] = []
        self._blocked: dict[tuple[AnyEndpoint, int], None] = {}
        self._applications: list[Callable[[], bool]] = []

    def note(self, text: str) -> None:
        """Put a remark into the transcript."""
        for observer in self.observers:
            observer.on_note(text)

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
            for serve in [*self._applications, *(peer.serve_applications for peer in self.peers)]:
                busy |= serve()
            for host in self.hosts:
                # Reading may ask the store.
                busy |= self._carry_out(host)
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
                for observer in self.observers:
                    observer.on_dial(peer, command.link)
            elif isinstance(command, CloseLink):
                self._dials = [dial for dial in self._dials if dial[1:] != (peer, command.link)]
                # What it has written still arrives, then the end.
                self._hang_up(peer.lines.get(command.link), command.ending, by_client=True)
                self._tell_over(peer, command.link, command.ending)
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
                self._hang_up(host.lines.get(command.link), command.ending, by_client=False)
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
            self._tell_over(peer, link, refused)
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
            self._tell_over(peer, line.client_link, ending)
        if tell_server and host is not None and not line.closed_by_server:
            host.endpoint.handle_link_lost(line.server_link, ending, now=now)

    def _tell_over(self, peer: Peer, link: int, ending: Ending) -> None:
        for observer in self.observers:
            observer.on_link_over(peer, link, ending)

    def _hang_up(self, line: Line | None, ending: Ending, *, by_client: bool) -> None:
        if line is None:
            return
        line.is_cut = True
        line.closed_by_client |= by_client
        line.closed_by_server |= not by_client
        for observer in self.observers:
            observer.on_closed(line, by_client, ending)


def _let_pass(endpoint: AnyEndpoint, now: float) -> None:
    deadline = endpoint.next_deadline()
    if deadline is None or deadline > now:
        return
    endpoint.handle_timeout(now=now)
    deadline = endpoint.next_deadline()
    late = f"a deadline {deadline} in the past at {now}, after its timeout was handled"
    hold(deadline is None or deadline >= now, "I12", late)

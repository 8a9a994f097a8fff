"""Pair: client, server and clock in one process, in virtual time.

    pair = Pair(seed=7)
    pair.client.start(now=pair.clock.now)
    pair.run_until(lambda: pair.client.link is not None)

Both ends run through the real `Endpoint` and the real wires; only the sockets are replaced, by a
seeded `Network`. A day of reconnecting takes milliseconds, and the same seed gives the same bytes.
More clients can be added; the hub can be restarted, with or without what it remembered.
"""

from collections.abc import Callable
from random import Random

from gapless.core.authorize import Verifier, allow_anyone
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import Append, CloseLink, Command, OpenLink, ReadHistory
from gapless.core.hub import Hub
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .clock import Clock
from .network import CALM, Line, Network, Weather

MAX_STEPS = 1_000_000


class Peer:
    """A client in a pair: its session, its endpoint and its present lines."""

    def __init__(self, session: ClientSession, new_wire: Callable[[float], Wire]) -> None:
        self.session = session
        self.endpoint = Endpoint(session, new_wire)
        self.lines: dict[int, Line] = {}


class Pair:
    """A client and a server joined by a network that can be bad.

    Args:
        seed: of the weather, the jitter and the tokens.
        client_config, hub_config: settings of the two ends.
        weather: of the network.
        verify: judges credentials.
        new_client_wire, new_server_wire: make the wires; memory by default.
        durable: the hub's store is the driver: `on_store` gets its commands.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        client_config: Config | None = None,
        hub_config: Config | None = None,
        weather: Weather = CALM,
        verify: Verifier | None = allow_anyone,
        new_client_wire: Callable[[float], Wire] | None = None,
        new_server_wire: Callable[[float], Wire] | None = None,
        durable: bool = False,
    ) -> None:
        self.rng = Random(seed)
        self.clock = Clock()
        self.network = Network(self.rng, weather)
        self.client_config = client_config or Config.production()
        self.hub_config = hub_config or Config.production("hub")
        self.commands: list[Command] = []
        self.on_store: Callable[[Append | ReadHistory], None] | None = None
        self._verify = verify
        self._durable = durable
        self._new_client_wire = new_client_wire or (lambda now: MemoryWire())
        self._new_server_wire = new_server_wire or (lambda now: MemoryWire(from_client=True))
        self._dials: list[tuple[float, Peer, int]] = []
        self._tokens = 0
        self._server_peers: dict[int, tuple[Peer, Line]] = {}
        self.peers: list[Peer] = []
        self.hub = self._new_hub()
        self.server = Endpoint(self.hub, self._new_server_wire)
        self.client = self.add_client().session

    # clients and servers

    def add_client(
        self, *, token: str | None = None, credentials: str | None = None, wait: float = 3600.0
    ) -> Peer:
        """Add a client; `peer.session.start(now=…)` makes it connect."""
        session = ClientSession(
            self.client_config, rng=self.rng, token=token, credentials=credentials, wait=wait
        )
        peer = Peer(session, self._new_client_wire)
        self.peers.append(peer)
        return peer

    def kill_client(self, peer: Peer) -> None:
        """A client's process dies: its sockets close, it says nothing."""
        for link in list(peer.lines):
            self._cut(peer, link, tell_client=False)
        self.peers.remove(peer)
        self._dials = [dial for dial in self._dials if dial[1] is not peer]

    def restart_server(self) -> None:
        """The server's process dies and comes back, remembering nothing."""
        for peer in self.peers:
            for link in list(peer.lines):
                self._cut(peer, link, tell_server=False)
        self._server_peers.clear()
        self.hub = self._new_hub()
        self.server = Endpoint(self.hub, self._new_server_wire)

    def cut(self, peer: Peer | None = None) -> None:
        """Cut every line of a client: what is in flight is lost, both ends notice."""
        peer = peer or self.peers[0]
        for link in list(peer.lines):
            self._cut(peer, link)

    def lines(self, peer: Peer | None = None) -> list[Line]:
        """A client's present lines, oldest first."""
        return list((peer or self.peers[0]).lines.values())

    # running

    def run(self, seconds: float) -> None:
        """Let that much virtual time pass."""
        end = self.clock.now + seconds
        for _ in range(MAX_STEPS):
            self._pump()
            when = self._next_time()
            if when is None or when > end:
                self.clock.advance_to(end)
                return
            self._advance(when)
        raise AssertionError("a million steps and no end: the machines are spinning")

    def run_until(self, condition: Callable[[], object], timeout: float = 600.0) -> bool:
        """Run until the condition holds; False if `timeout` virtual seconds were not enough."""
        end = self.clock.now + timeout
        for _ in range(MAX_STEPS):
            self._pump()
            if condition():
                return True
            when = self._next_time()
            if when is None or when > end:
                self.clock.advance_to(end)
                self._pump()
                return bool(condition())
            self._advance(when)
        raise AssertionError("a million steps and no end: the machines are spinning")

    def settle(self) -> None:
        """Run for as long as anything happens without time having to pass much (1 s)."""
        self.run(1.0)

    # internals

    def _new_token(self) -> str:
        self._tokens += 1
        return f"token-{self._tokens}"

    def _new_hub(self) -> Hub:
        return Hub(
            self.hub_config,
            rng=self.rng,
            new_token=self._new_token,
            verify=self._verify,
            durable=self._durable,
        )

    def _next_time(self) -> float | None:
        times = [self.server.next_deadline()]
        times += [peer.endpoint.next_deadline() for peer in self.peers]
        times += [when for when, _, _ in self._dials]
        for peer in self.peers:
            for line in peer.lines.values():
                times += [line.to_client.next_arrival(), line.to_server.next_arrival()]
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
        for endpoint in (self.server, *(peer.endpoint for peer in self.peers)):
            deadline = endpoint.next_deadline()
            if deadline is not None and deadline <= now:
                endpoint.handle_timeout(now=now)

    def _deliver(self, peer: Peer, line: Line, now: float) -> None:
        data = line.to_server.receive(now=now)
        if data:
            self.server.receive_data(line.server_link, data, now=now)
        data = line.to_client.receive(now=now)
        if data:
            peer.endpoint.receive_data(line.client_link, data, now=now)
        if line.is_cut and not line.to_client.in_flight and not line.to_server.in_flight:
            self._cut(peer, line.client_link)

    def _pump(self) -> None:
        """Carry out commands and write, until nobody has anything to say."""
        busy = True
        while busy:
            busy = False
            for peer in list(self.peers):
                busy |= self._pump_client(peer)
            busy |= self._pump_server()

    def _pump_client(self, peer: Peer) -> bool:
        now, busy = self.clock.now, False
        while (command := peer.endpoint.poll_command(now=now)) is not None:
            busy = True
            if isinstance(command, OpenLink):
                self._dials.append((now + self.rng.uniform(0.0005, 0.001), peer, command.link))
            elif isinstance(command, CloseLink):
                self._hang_up(peer, command.link)
        while (link := peer.endpoint.next_writable()) is not None:
            line = peer.lines.get(link)
            while data := peer.endpoint.data_to_send(link, 65536, now=now):
                busy = True
                if line is not None and not line.is_cut:
                    line.is_cut = not line.to_server.send(data, now=now)
        return busy

    def _pump_server(self) -> bool:
        now, busy = self.clock.now, False
        while (command := self.server.poll_command(now=now)) is not None:
            busy = True
            if isinstance(command, CloseLink):
                peer, line = self._server_peers.pop(command.link, (None, None))
                if peer is not None and line is not None and not line.is_cut:
                    line.is_cut = True
            elif isinstance(command, Append | ReadHistory) and self.on_store is not None:
                self.on_store(command)
            else:
                self.commands.append(command)
        while (link := self.server.next_writable()) is not None:
            _, line = self._server_peers.get(link, (None, None))
            while data := self.server.data_to_send(link, 65536, now=now):
                busy = True
                if line is not None and not line.is_cut:
                    line.is_cut = not line.to_client.send(data, now=now)
        return busy

    def _connect(self, peer: Peer, link: int) -> None:
        now = self.clock.now
        if not self.network.connects():
            refused = Ending(Code.LOST, "connection refused")
            peer.endpoint.handle_link_lost(link, refused, now=now)
            return
        server_link = self.server.accept_link(now=now)
        line = self.network.line(link, server_link)
        peer.lines[link] = line
        self._server_peers[server_link] = (peer, line)
        peer.endpoint.open_link(link, now=now)

    def _hang_up(self, peer: Peer, link: int) -> None:
        """The client closes its socket: what it has written still arrives, then the end."""
        line = peer.lines.get(link)
        if line is not None:
            line.is_cut = True

    def _cut(
        self, peer: Peer, link: int, *, tell_client: bool = True, tell_server: bool = True
    ) -> None:
        line = peer.lines.pop(link)
        line.is_cut = True
        self._server_peers.pop(line.server_link, None)
        lost = Ending(Code.LOST, "connection reset")
        now = self.clock.now
        if tell_client:
            peer.endpoint.handle_link_lost(link, lost, now=now)
        if tell_server:
            self.server.handle_link_lost(line.server_link, lost, now=now)

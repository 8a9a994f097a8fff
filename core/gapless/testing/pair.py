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

from collections.abc import Callable
from random import Random

from gapless.core.authorize import Verifier, allow_anyone
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.events import ChannelEvent
from gapless.core.export import Export
from gapless.core.hub import Hub
from gapless.core.local import LocalReader
from gapless.core.news import Ticket
from gapless.core.position import Since
from gapless.transports.endpoint import Endpoint
from gapless.transports.wire import Wire

from .driving import Driving
from .host import Host, Store, server_wire
from .network import CALM, Line, Weather
from .peer import Peer, client_wire
from .recorder import Recorder
from .transcript import Transcript


class Pair(Driving):
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
        new_recorder: makes the recorder of what each machine is given, by its name, `C1` or `S`; a
            server that restarts is another machine of the same name.
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
        new_recorder: Callable[[str], Recorder] | None = None,
    ) -> None:
        super().__init__(Random(seed), weather, verify, verdict_delay, store, store_delay)
        self.client_config = client_config or Config.production()
        self.hub_config = hub_config or Config.production("hub")
        self._new_client_wire = new_client_wire or client_wire
        self._new_server_wire = new_server_wire or server_wire
        self._new_recorder = new_recorder
        self._tokens = 0
        self._named = 0
        self._servers = 0
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

    def follow(
        self,
        channel: str,
        handle: Callable[[ChannelEvent], object],
        since: Since = "earliest",
    ) -> None:
        """Read a channel as the server's application does that waits for its messages.

        While the pair runs, every message and marker is taken as soon as it is there, and given to
        `handle`, which may publish in turn. A server that restarts begins to read anew.
        """
        readers: dict[Hub, LocalReader] = {}

        def hand_over() -> bool:
            reader = readers.get(self.hub)
            if reader is None:
                reader = self.subscribe(channel, since)
                if reader is None:
                    return False
                readers[self.hub] = reader
            event = self.take(reader)
            if event is not None:
                handle(event)
            return event is not None

        self._applications.append(hand_over)

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
        self._named += 1
        name = f"C{self._named}"
        recorder = None if self._new_recorder is None else self._new_recorder(name)
        new_session = ClientSession if recorder is None else recorder.client
        session = new_session(
            self.client_config,
            rng=self.rng,
            token=token,
            credentials=credentials,
            asks_credentials=asks_credentials,
            wait=wait,
        )
        if restore is not None:
            session.restore(restore, now=self.clock.now)
        peer = Peer(
            name,
            session,
            self._new_client_wire,
            clock=self.clock,
            observers=self.observers,
            new_endpoint=Endpoint if recorder is None else recorder.endpoint,
        )
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
        self._servers += 1
        host = self._new_host(f"S{self._servers}" if self._servers > 1 else "S")
        self.hosts.append(host)
        return host

    def restart_server(self) -> None:
        """The newest server's process dies and comes back; only its store remembers."""
        old = self.hosts[-1]
        self.note(f"{old.name} restarts")
        for peer, line in self._lines_of(old):
            self._end_line(peer, line, tell_server=False)
        self._answers = [answer for answer in self._answers if answer[1] is not old]
        self.hosts[-1] = self._new_host(old.name)

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

    # internals

    def _new_token(self) -> str:
        self._tokens += 1
        return f"token-{self._tokens}"

    def _new_host(self, name: str) -> Host:
        recorder = None if self._new_recorder is None else self._new_recorder(name)
        new_hub = Hub if recorder is None else recorder.hub
        hub = new_hub(
            self.hub_config,
            rng=self.rng,
            new_token=self._new_token,
            verify=self.verify if self._verdict_delay is None else None,
            durable=self._store is not None,
        )
        new_endpoint = Endpoint if recorder is None else recorder.endpoint
        return Host(name, hub, self._new_server_wire, new_endpoint)

"""One run: applications, servers and a network, all of them in virtual time and from one seed.

In safety mode faults happen to the end, and only what the `Checker` sees at each step counts. In
liveness mode they stop for a core of the system — the newest server and most of the clients — and
from then on it must make progress, whatever happens to the rest: faults that are everywhere and
uniform heal by luck, and hide what would hang for ever.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from gapless.core.authorize import Grant
from gapless.core.local import LocalReader
from gapless.testing import CALM, Checker, Faults, Line, Observer, Pair, Recorder
from gapless.transports import WebSocketClient, WebSocketServer, default_codecs
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire
from tests.core.list_store import ListStore

from .applications import CHANNELS, THIEF, Application, Applications
from .middlebox import MeddledWire, Meddling
from .peace import Peace
from .sometimes import Sometimes
from .swarm import PICKY, Swarm
from .tables import Pins, check_at_rest, check_left, pinned

DOOR = 300
"""Bytes after which a revolving door cuts a line, at most: a welcome fits, little behind it."""

MOMENTS = (0.0005, 0.002, 0.01, 0.01, 0.05, 0.05, 0.3, 1.0, 8.0)
PATIENCE = 600.0
"""Virtual seconds within which the core must have come to rest."""

QUIET = 12.0
"""Virtual seconds without news that are rest: pings have gone both ways meanwhile."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run was.

    Attributes:
        seed: of the run.
        hours: of virtual time.
        messages: messages and markers taken by applications.
        faults: things that were made to go wrong, and lines the weather cut.
        sometimes: how often each interesting state was seen.
    """

    seed: int
    hours: float
    messages: int
    faults: int
    sometimes: Counter[str]


def who(credentials: str | None) -> Grant:
    """Two principals; both may pin."""
    return Grant(THIEF if credentials == THIEF else "anyone", may_pin=True)


class World(Observer):
    """Everything there is in one run.

    Args:
        seed: of everything.
        record: whether `pair.transcript` tells the story.
        new_recorder: makes the recorder of what each machine is given; see `Pair`.
    """

    def __init__(
        self,
        seed: int,
        *,
        record: bool = False,
        new_recorder: Callable[[str], Recorder] | None = None,
    ) -> None:
        self.swarm = swarm = Swarm.draw(seed)
        self.dice = Random(f"world {seed}")
        self.meddling = Meddling(0.05 if swarm.has("middlebox") else 0.0)
        self.store = ListStore() if swarm.has("store") else None
        self.pair = Pair(
            seed=seed,
            client_config=swarm.client_config(),
            hub_config=swarm.hub_config(),
            weather=swarm.weather(),
            verify=who,
            verdict_delay=(0.0, 3.0) if swarm.has("slow verdicts") else None,
            new_client_wire=self._client_wire,
            new_server_wire=self._server_wire,
            store=self.store,
            store_delay=(0.0005, 2.0) if swarm.has("slow store") else (0.0005, 0.001),
            record=record,
            new_recorder=new_recorder,
        )
        self.trouble = Faults(self.pair, self.dice)
        self.checker = Checker(self.pair, meddled=swarm.has("middlebox"))
        self.sometimes = Sometimes(self.pair)
        self.pair.observers.append(self.sometimes)
        if not swarm.has("middlebox"):
            fair = not any(map(swarm.has, ("silence", "stalls", "clock jumps", "takeover races")))
            self.pair.observers.append(Peace(is_fair=fair))
        self.pair.observers += [Pins(self.pair), self]
        self.wires: list[MeddledWire] = []
        self.applications = Applications(self.pair, self.checker, self.sometimes, swarm, self.dice)
        self.readers: list[LocalReader] = []
        self.faults = 0
        self.doors = False
        self._restored = 0
        self._actions, self._weights = self._habits()

    def run(self) -> Report:
        """Live through it all.

        Raises:
            AssertionError: something that was promised didn't hold.
        """
        began = self.pair.clock.now
        for _ in range(self.swarm.steps):
            self.dice.choices(self._actions, self._weights)[0]()
            self.pair.run(self.dice.choice(MOMENTS))
            self.applications.look_after()
            self._forget_drained()
            self._check_middlebox()
        if self.swarm.mode == "liveness":
            self._come_to_rest()
        self._leave()
        hours = (self.pair.clock.now - began) / 3600
        faults = self.faults + self.meddling.count
        return Report(
            self.swarm.seed, hours, self.sometimes.messages, faults, self.sometimes.counts
        )

    def on_line(self, line: Line) -> None:
        """A revolving door lets in, and out again at once."""
        if self.doors:
            line.to_client.cut_after(self.dice.randrange(DOOR))

    # set-up

    def _client_wire(self, now: float) -> Wire:
        wire: Wire = MemoryWire()
        if self.swarm.has("websocket"):
            wire = WebSocketClient("example.com", "/", default_codecs(), now=now)
        return self._meddled(wire)

    def _server_wire(self, now: float) -> Wire:
        wire: Wire = MemoryWire(from_client=True)
        if self.swarm.has("websocket"):
            wire = WebSocketServer(default_codecs(), now=now)
        return self._meddled(wire)

    def _meddled(self, wire: Wire) -> Wire:
        if not self.swarm.has("middlebox"):
            return wire
        # Who sheds, or has two links, may owe nothing for what comes twice.
        is_strict = not self.swarm.has("crowded memory") and not self.swarm.has("moves")
        meddled = MeddledWire(wire, self.dice, self.meddling, is_strict=is_strict)
        self.wires.append(meddled)
        return meddled

    def _check_middlebox(self) -> None:
        """Both ends have done what they owe for what was meddled with."""
        lines = [line for peer in self.pair.peers for line in self.pair.lines(peer)]
        has_room = all(line.to_client.has_room and line.to_server.has_room for line in lines)
        traced = [wire for peer in self.pair.peers for wire in peer.wires.values()]
        traced += [wire for host in self.pair.hosts for wire in host.wires.values()]
        stand = {id(vars(wire)["_wire"]) for wire in traced}
        self.wires = [wire for wire in self.wires if id(wire) in stand]
        for wire in self.wires:
            wire.check(has_room=has_room)

    def _habits(self) -> tuple[list[Callable[[], None]], list[int]]:
        """All that can happen in this run, and how often."""
        apps, has = self.applications, self.swarm.has
        stored = self.store is not None
        habits: list[tuple[Callable[[], None], int]] = [
            (apps.subscribe, 10),
            (apps.unsubscribe, 3),
            (apps.publish, 10),
            (apps.server_publishes, 10),
            (apps.take, 2 if has("slow readers") else 12),
            (apps.settle, 4),
            (self._server_reads, 5 * has("server reads")),
            (apps.close, 2 * has("short sessions")),
            (apps.crash, 2 * has("crashes")),
            (apps.take_over, 2 * has("takeovers")),
            (apps.steal, 3 * has("thieves")),
            (apps.race, 3 * has("takeover races")),
            (self._cut, 5 * has("cuts")),
            (self._hold, 4 * has("silence")),
            (self._reach, 4 * has("unreachable")),
            (self._jump, 2 * has("clock jumps")),
            (self._turn, 3 * has("revolving doors")),
            (self._restart, 2 * has("restarts")),
            (self._move, 2 * has("moves")),
            (self._store_refuses, 4 * (stored and has("store refuses"))),
            (self._store_falls_back, 2 * (stored and has("store falls back"))),
        ]
        return [habit for habit, _ in habits], [weight for _, weight in habits]

    # the server's own reading

    def _server_reads(self) -> None:
        """The server begins to read a channel, or takes what there is, or stops."""
        if not self.readers or self.dice.random() < 0.3:
            reader = self.pair.subscribe(self.dice.choice(CHANNELS), "earliest")
            if reader is not None:
                self.readers.append(reader)
        elif self.dice.random() < 0.2:
            reader = self.readers.pop(self.dice.randrange(len(self.readers)))
            self.pair.hub.unsubscribe(reader, now=self.pair.clock.now)
        else:
            self._take_here()

    def _stop_reading(self) -> None:
        for reader in self.readers:
            self.pair.hub.unsubscribe(reader, now=self.pair.clock.now)
        self.readers.clear()

    def _take_here(self) -> bool:
        busy = False
        for reader in self.readers:
            while self.pair.take(reader) is not None:
                busy = True
        return busy

    # faults

    def _cut(self) -> None:
        self.faults += 1
        application = self._anyone()
        if application is not None:
            self.trouble.cut(application.peer)

    def _hold(self) -> None:
        self.faults += 1
        application = self._anyone()
        if application is not None:
            self.trouble.silence(application.peer)

    def _reach(self) -> None:
        self.faults += 1
        self.trouble.toggle_reachable()

    def _turn(self) -> None:
        """All connections are cut, now and as soon as they are made; or no longer."""
        self.faults += 1
        self.doors = not self.doors
        for application in self.applications.all if self.doors else ():
            self.pair.cut(application.peer)

    def _jump(self) -> None:
        self.faults += 1
        self.trouble.jump()

    def _restart(self) -> None:
        self.faults += 1
        self.readers.clear()
        self._change_mind()
        self.pair.restart_server()

    def _change_mind(self) -> None:
        """The next server may take larger messages than this one, or only smaller ones."""
        if self.swarm.has("picky servers"):
            most = self.dice.choice([PICKY, 20_000])
            self.pair.hub_config = replace(self.pair.hub_config, max_message=most)

    def _move(self) -> None:
        """Another server comes, and this one sends everybody there."""
        if len(self.pair.hosts) > 1:
            return
        self.faults += 1
        self._change_mind()
        old = self.pair.hub
        self._stop_reading()
        self.pair.add_server()
        timeout, spread = self.dice.choice([0.0, 1.0, 5.0]), self.dice.choice([0.0, 0.5])
        old.drain(now=self.pair.clock.now, timeout=timeout, spread=spread)

    def _store_refuses(self) -> None:
        assert self.store is not None
        self.faults += 1
        self.store.refusals.append(("full", self.dice.choice([None, 0.2])))

    def _store_falls_back(self) -> None:
        """The server is stopped for a backup to be restored, under a new name, and starts again."""
        if self.store is None or len(self.pair.hosts) > 1:
            return
        self.faults += 1
        self._restart()
        for name in CHANNELS:
            log = self.store.logs.get(name)
            if log is not None and log.messages:
                self._restored += 1
                self.store.fall_back(name, self.dice.randint(1, len(log.messages)))
                log.epoch = f"restored-{self._restored}"

    def _anyone(self) -> Application | None:
        return self.dice.choice(self.applications.all) if self.applications.all else None

    def _forget_drained(self) -> None:
        """A server that has sent everybody away exits."""
        if len(self.pair.hosts) > 1:
            old = self.pair.hosts[0]
            if old.hub.is_drained and not old.lines:
                self.pair.hosts.remove(old)

    # the end

    def _come_to_rest(self) -> None:
        """The faults stop for the core; it must come to rest. The others go on failing."""
        self.meddling.share = 0.0
        self.pair.network.weather = CALM
        self.pair.network.is_reachable = True
        self.doors = False
        if self.store is not None:
            self.store.refusals.clear()
        others = self._choose_others()
        quiet_since = self.pair.clock.now
        end = quiet_since + PATIENCE
        while self.pair.clock.now < end:
            for application in self.applications.all:
                is_held = application in others
                for to_client in (True, False):
                    self.pair.hold(is_held, to_client=to_client, peer=application.peer)
            self.pair.run(0.5)
            self.applications.look_after()
            self._forget_drained()
            self._check_middlebox()
            self._end_strangers(others)
            if self._take_all(others) or not self._is_quiet(others):
                quiet_since = self.pair.clock.now
            elif self.pair.clock.now >= quiet_since + QUIET:
                break
        for application in others:
            self.applications.kill(application)
        self.checker.finish()
        check_at_rest(self.pair)

    def _leave(self) -> None:
        """Everybody goes; after the lease nothing is left of them."""
        for application in list(self.applications.all):
            self.applications.kill(application)
        self._stop_reading()
        self.pair.run(self.swarm.hub_config().lease + self.swarm.hub_config().connect_timeout + 1)
        for host in self.pair.hosts:
            check_left(host.hub)

    def _choose_others(self) -> list[Application]:
        """Those that share a session with another one, and one that hangs for ever."""
        core: list[Application] = []
        others: list[Application] = []
        seen: set[str | None] = set()
        for application in self.applications.all:
            session = application.peer.session.id
            (others if session in seen and session is not None else core).append(application)
            seen.add(session)
        for application in list(others):
            # Two that want the same session would take it from each other for ever.
            others.remove(application)
            self.applications.kill(application)
        if len(core) > 1 and self.swarm.has("short patience"):
            others.append(core.pop())
        return others

    def _end_strangers(self, others: list[Application]) -> None:
        """Who resumed another's session without reading on as that one did, ends.

        The pins are the session's: with patience that never ends they would stand as long as it.
        """
        if not self.swarm.has("lossless"):
            return
        pins = pinned(self.pair.hub)
        for application in [one for one in self.applications.all if one not in others]:
            session = application.peer.session
            reads = {subscription.channel for subscription in session.subscriptions}
            if self._is_idle(application) and pins.get(session.id, set()) - reads - {session.id}:
                self.applications.kill(application)

    def _take_all(self, others: list[Application]) -> bool:
        busy = self._take_here()
        for application in self.applications.all:
            if application not in others:
                busy |= self.applications.take_all(application, 1_000_000)
                busy |= self.applications.settle_all(application)
        return busy

    def _is_quiet(self, others: list[Application]) -> bool:
        for application in self.applications.all:
            if application in others:
                continue
            session = application.peer.session
            if not self._is_idle(application) or not session.is_settled:
                return False
            if not all(subscription.is_live for subscription in session.subscriptions):
                return False
        return True

    def _is_idle(self, application: Application) -> bool:
        """Whether it is connected and nothing is on its way."""
        lines = self.pair.lines(application.peer)
        in_flight = any(line.to_client.in_flight + line.to_server.in_flight for line in lines)
        return application.peer.session.link is not None and not in_flight

"""Crowd: clients and a hub with little memory, busy with all that takes it; for P3 and P4."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

from gapless.core.budget import Shed
from gapless.core.config import KIB, Config
from gapless.core.errors import InvalidChannel, InvalidState, TooManyChannels
from gapless.core.local import LocalReader
from gapless.core.subscription import Subscription
from gapless.testing import CALM, Checker, Pair, Peer, Weather
from gapless.transports import WebSocketClient, WebSocketServer, default_codecs

from .list_store import ListStore

MOMENTS = (0.001, 0.01, 0.1, 1.0, 5.0)
SIZES = (0, 10, 100, 1000, 9000, 19_990)


class Crowd:
    """One run, all of it drawn from its seed; the checker looks at every step.

    Args:
        seed: of everything.
        is_slow: whether applications seldom take what has come.
    """

    def __init__(self, seed: int, *, is_slow: bool = False) -> None:
        self.dice = dice = Random(f"crowd {seed}")
        self.counts: Counter[str] = Counter()
        self.channels = [f"c{number}" for number in range(dice.choice([2, 6, 20]))]
        client = Config(
            memory_limit=dice.choice([80, 120, 200]) * KIB,
            window=dice.choice([16, 64]) * KIB,
            max_message=20_000,
            max_channels=20,
            history_bytes=dice.choice([40, 100]) * KIB,
            heartbeat=4.0,
            heartbeat_timeout=2.0,
            backoff_cap=2.0,
            cleanup_interval=dice.choice([1.0, 45.0]),
            aggressive_age=0.5,
            stale_age=5.0,
        )
        hub = replace(
            client,
            memory_limit=dice.choice([256, 300, 400]) * KIB,
            history_messages=dice.choice([20, 100]),
            history_age=dice.choice([None, None, 3.0]),
            overflow=dice.choice(["wait", "reject", "rotate"]),
            patience=dice.choice([0.3, 60.0]),
            lease=dice.choice([3.0, 120.0]),
        )
        has_store, is_framed = dice.random() < 0.3, dice.random() < 0.4
        self.pair = Pair(
            seed=seed,
            client_config=client,
            hub_config=hub,
            weather=self._weather(),
            store=ListStore() if has_store else None,
            new_client_wire=_client_wire if is_framed else None,
            new_server_wire=_server_wire if is_framed else None,
        )
        self.checker = Checker(self.pair)
        self.peers = [self.pair.peer, *(self.pair.add_client() for _ in range(dice.randint(0, 3)))]
        self.subscriptions: dict[Peer, list[Subscription]] = {peer: [] for peer in self.peers}
        self.readers: list[LocalReader] = []
        for peer in self.peers:
            peer.start()
        takes = [self.take] * (1 if is_slow else 4)
        self._habits: list[Callable[[], None]] = [
            *[self.subscribe] * 4,
            self.unsubscribe,
            *[self.publish] * 5,
            *[self.publish_here] * 5,
            *takes,
            *[self.settle] * 2,
            *[self.read_here] * dice.choice([0, 1]),
            self.take_here,
            lambda: self.pair.cut(dice.choice(self.peers)),
        ]

    def run(self, steps: int) -> None:
        """Be busy, then let everybody take all there is: everything must settle (P4)."""
        for _ in range(steps):
            self.dice.choice(self._habits)()
            self.pair.run(self.dice.choice(MOMENTS))
        self.pair.network.weather = CALM
        for _ in range(400):
            self._take_all()
            self.pair.run(1.0)
            if all(peer.session.is_settled for peer in self.peers):
                break
        for _ in range(10):
            self._take_all()
            self.pair.run(3.0)
        self.checker.finish()
        for kind, report in self.pair.hub.memory().kinds.items():
            self.counts[f"{kind.name} shed by the hub"] += report.victims
        for peer in self.peers:
            report = peer.session.memory().kinds[Shed.INBOX]
            self.counts["INBOX shed by a client"] += report.victims

    # habits

    def subscribe(self) -> None:
        peer = self.dice.choice(self.peers)
        since = self.dice.choice(["latest", "earliest"])
        try:
            name = self.dice.choice(self.channels)
            self.subscriptions[peer].append(peer.subscribe(name, since))  # type: ignore[arg-type]  # one of the two
        except (InvalidState, TooManyChannels):
            self.counts["refused"] += 1

    def unsubscribe(self) -> None:
        peer = self.dice.choice(self.peers)
        mine = self.subscriptions[peer]
        if mine:
            peer.unsubscribe(mine.pop(self.dice.randrange(len(mine))))

    def publish(self) -> None:
        peer, name = self.dice.choice(self.peers), self.dice.choice(self.channels)
        for _ in range(self.dice.randint(1, 20)):
            try:
                peer.publish(name, self._payload())
            except TooManyChannels:
                self.counts["refused"] += 1

    def publish_here(self) -> None:
        name = self.dice.choice([*self.channels, *self.pair.hub.sessions])
        try:
            for _ in range(self.dice.randint(1, 30)):
                if self.pair.publish(name, self._payload()) is None:
                    self.counts["waits"] += 1
        except InvalidChannel:
            self.counts["gone"] += 1

    def take(self) -> None:
        peer = self.dice.choice(self.peers)
        for subscription in self.subscriptions[peer]:
            if self.dice.random() < 0.5:
                peer.take_all(subscription, self.dice.randint(1, 50))

    def settle(self) -> None:
        peer = self.dice.choice(self.peers)
        for name in self.channels:
            peer.settled(name)

    def read_here(self) -> None:
        if self.readers and self.dice.random() < 0.5:
            self.pair.hub.unsubscribe(self.readers.pop(), now=self.pair.clock.now)
            return
        reader = self.pair.subscribe(self.dice.choice(self.channels), "earliest")
        if reader is not None:
            self.readers.append(reader)

    def take_here(self) -> None:
        for reader in self.readers:
            for _ in range(20):
                self.pair.take(reader)

    # internals

    def _weather(self) -> Weather:
        weather = CALM
        if self.dice.random() < 0.3:
            weather = replace(weather, cuts=0.01)
        if self.dice.random() < 0.3:
            weather = replace(weather, stalls=0.02, stall=3.0, latency=(0.001, 0.2))
        return weather

    def _payload(self) -> bytes:
        self.counts["payloads"] += 1
        number = self.counts["payloads"].to_bytes(4, "big")
        return number + self.dice.randbytes(self.dice.choice(SIZES))

    def _take_all(self) -> None:
        for peer in self.peers:
            for subscription in self.subscriptions[peer]:
                peer.take_all(subscription)
            for name in self.channels:
                peer.settled(name)
        for reader in self.readers:
            while self.pair.take(reader) is not None:
                pass


def _client_wire(now: float) -> WebSocketClient:
    return WebSocketClient("example.com", "/", default_codecs(), now=now)


def _server_wire(now: float) -> WebSocketServer:
    return WebSocketServer(default_codecs(), now=now)

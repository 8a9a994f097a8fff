"""Layer 2: client core, server core and a lossy link, against a plain list (testing.md 2.4).

Hypothesis chooses what applications, servers and the network do; the `Checker` judges every step.
In the end the faults stop, and within bounded virtual time everything must have been delivered or
reported lost, and every publish settled (P4, I17).
"""

from dataclasses import replace
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gapless.core.config import KIB, Config, Overflow
from gapless.core.position import Position, Since
from gapless.core.subscription import Phase, Subscription
from gapless.testing import CALM, Checker, Pair, Peer, Weather

from .list_store import ListStore

CHANNELS = ("a", "b", "c")
DRIZZLE = Weather(latency=(0.001, 0.02), chunk=40, buffer=2000)
SLEET = Weather(latency=(0.001, 0.3), chunk=600, stalls=0.02, stall=3.0, cuts=0.004, refusals=0.1)

channels = st.sampled_from(CHANNELS)
moments = st.sampled_from([0.0005, 0.002, 0.01, 0.05, 0.3])


class Story(RuleBasedStateMachine):
    """One client, sometimes two, on one server, sometimes two."""

    pair: Pair
    checker: Checker

    @initialize(
        seed=st.integers(0, 2**32),
        weather=st.sampled_from([CALM, DRIZZLE, SLEET]),
        history=st.sampled_from([2, 5, 40]),
        patience=st.sampled_from([0.0, 0.3, 60.0, 100_000.0]),
        overflow=st.sampled_from(["wait", "wait", "reject", "rotate"]),
        age=st.sampled_from([None, None, 5.0]),
        lease=st.sampled_from([3.0, 120.0]),
        durable=st.booleans(),
        crowded=st.booleans(),
    )
    def begin(
        self,
        seed: int,
        weather: Weather,
        history: int,
        patience: float,
        overflow: Overflow,
        age: float | None,
        lease: float,
        durable: bool,
        crowded: bool,
    ) -> None:
        config = Config(
            history_messages=6, window=KIB, heartbeat=4.0, heartbeat_timeout=2.0, backoff_cap=2.0
        )
        if crowded:
            # Three windows are more than the memory: unread messages are dropped and asked again.
            config = replace(config, window=64 * KIB, memory_limit=64 * KIB, max_message=20_000)
        hub_config = replace(
            config,
            history_messages=history,
            history_age=age,
            patience=patience,
            overflow=overflow,
            lease=lease,
            memory_limit=1_000_000_000,
            max_message=20_000,
        )
        self.store = ListStore() if durable else None
        self.pair = Pair(
            seed=seed,
            client_config=config,
            hub_config=hub_config,
            weather=weather,
            store=self.store,
        )
        self.checker = Checker(self.pair)
        self.size = 9_000 if crowded else 40
        self.numbers = count(1)
        self.old_token: str | None = None
        self.places: dict[str, Position] = {}
        self.pair.peer.start()

    @property
    def peers(self) -> list[Peer]:
        return self.pair.peers

    def peer(self, which: int) -> Peer:
        return self.peers[which % len(self.peers)]

    def payload(self, who: str, is_large: bool) -> bytes:
        name = f"{who}-{next(self.numbers)}".encode()
        return name.ljust(self.size, b".") if is_large else name

    # applications

    @rule(channel=channels, many=st.integers(1, 4), is_large=st.booleans())
    def server_publishes(self, channel: str, many: int, is_large: bool) -> None:
        for _ in range(many):
            self.pair.publish(channel, self.payload("S", is_large))

    @rule(which=st.integers(0, 1), channel=channels, is_text=st.booleans(), many=st.integers(1, 4))
    def client_publishes(self, which: int, channel: str, is_text: bool, many: int) -> None:
        peer = self.peer(which)
        for _ in range(many):
            payload = self.payload(peer.name, not is_text)
            peer.publish(channel, payload.decode() if is_text else payload)

    @rule(
        which=st.integers(0, 1),
        channel=channels,
        since=st.sampled_from(["latest", "earliest", "again"]),
    )
    def subscribe(self, which: int, channel: str, since: str) -> None:
        peer = self.peer(which)
        if channel in {subscription.channel for subscription in peer.session.subscriptions}:
            return
        place: Since = self.places.get(channel, "earliest")
        peer.subscribe(channel, place if since == "again" else _since(since))

    @rule(which=st.integers(0, 1), many=st.sampled_from([1, 3, 1000]))
    def take(self, which: int, many: int) -> None:
        for subscription in self.peer(which).session.subscriptions:
            self._take(self.peer(which), subscription, many)

    @rule(which=st.integers(0, 1))
    def settle(self, which: int) -> None:
        for channel in CHANNELS:
            self.peer(which).settled(channel)
        self.peer(which).events()

    @rule(which=st.integers(0, 1), again=st.booleans())
    def unsubscribe(self, which: int, again: bool) -> None:
        peer = self.peer(which)
        for subscription in peer.session.subscriptions[:1]:
            peer.unsubscribe(subscription)
            if again:
                place: Since = self.places.get(subscription.channel, "latest")
                peer.subscribe(subscription.channel, place)

    # time and the network

    @rule(seconds=moments)
    def pass_a_moment(self, seconds: float) -> None:
        self.pair.run(seconds)

    @rule(seconds=st.sampled_from([1.0, 8.0, 200.0]))
    def pass_time(self, seconds: float) -> None:
        self.pair.run(seconds)

    @rule(seconds=st.sampled_from([3.0, 40.0, 5000.0]))
    def sleep(self, seconds: float) -> None:
        """The host is suspended: all deadlines come late, at once."""
        self.pair.clock.advance(seconds)

    @rule(which=st.integers(0, 1))
    def cut(self, which: int) -> None:
        self.pair.cut(self.peer(which))

    @rule(size=st.integers(0, 300), to_client=st.booleans())
    def cut_in_mid_frame(self, size: int, to_client: bool) -> None:
        self.pair.cut_after(size, to_client=to_client)

    @rule(to_client=st.booleans(), garbage=st.sampled_from([b"\xff" * 8, b"\0\0\0\1\xc1"]))
    def corrupt(self, to_client: bool, garbage: bytes) -> None:
        """What arrives next is no frame. Between frames: within one, nothing would tell."""
        now = self.pair.clock.now
        for line in self.pair.lines():
            host = next((h for h in self.pair.hosts if line in h.lines.values()), None)
            if to_client and not line.to_client.in_flight:
                self.pair.peer.endpoint.receive_data(line.client_link, garbage, now=now)
            elif not to_client and host is not None and not line.to_server.in_flight:
                host.endpoint.receive_data(line.server_link, garbage, now=now)

    @rule(to_client=st.booleans(), is_held=st.booleans())
    def hold(self, to_client: bool, is_held: bool) -> None:
        self.pair.hold(is_held, to_client=to_client)

    @rule(is_reachable=st.booleans())
    def reach(self, is_reachable: bool) -> None:
        self.pair.network.is_reachable = is_reachable

    # servers and other clients

    @rule()
    def restart_server(self) -> None:
        self.pair.restart_server()

    @precondition(lambda self: len(self.pair.hosts) == 1)
    @rule(timeout=st.sampled_from([0.0, 1.0]), spread=st.sampled_from([0.0, 0.5]))
    def move_to_another_server(self, timeout: float, spread: float) -> None:
        old = self.pair.hosts[0]
        self.pair.add_server()
        old.hub.drain(now=self.pair.clock.now, timeout=timeout, spread=spread)

    @precondition(lambda self: self.store is not None)
    @rule(after=st.sampled_from([None, 0.2]))
    def store_refuses(self, after: float | None) -> None:
        assert self.store is not None
        self.store.refusals.append(("full", after))

    @rule()
    def note_token(self) -> None:
        self.old_token = self.pair.client.token

    @precondition(lambda self: len(self.peers) == 1)
    @rule(is_old=st.booleans())
    def take_over(self, is_old: bool) -> None:
        """A second client comes with the first one's token, or with one it had before."""
        token = self.old_token if is_old else self.pair.client.token
        self.pair.add_client(token=token).start()

    @precondition(lambda self: len(self.peers) == 2)
    @rule()
    def second_client_dies(self) -> None:
        self._kill(self.peers[1])

    # the end

    def teardown(self) -> None:
        if not hasattr(self, "pair"):
            return
        for peer in self.peers[1:]:
            self._kill(peer)
        if self.store is not None:
            self.store.refusals.clear()
        self.pair.network.weather = CALM
        self.pair.network.is_reachable = True
        for to_client in (True, False):
            self.pair.hold(False, to_client=to_client)
        for _ in range(600):
            self.pair.run(0.5)
            if not self._take_all() and self._is_quiet():
                break
        self.checker.finish()

    def _take_all(self) -> bool:
        """Do what applications do; True if there was something to do."""
        peer, busy = self.pair.peer, False
        for subscription in peer.session.subscriptions:
            if subscription.phase is Phase.ENDED:
                raise AssertionError(f"{subscription.channel} was refused: {subscription.refusal}")
            busy |= self._take(peer, subscription, 1_000_000)
        for channel in CHANNELS:
            busy |= bool(peer.settled(channel))
        peer.events()
        return busy

    def _is_quiet(self) -> bool:
        session = self.pair.client
        lines = self.pair.lines()
        calm = not any(line.to_client.in_flight + line.to_server.in_flight for line in lines)
        live = all(subscription.is_live for subscription in session.subscriptions)
        return calm and live and session.link is not None and session.is_settled

    def _take(self, peer: Peer, subscription: Subscription, many: int) -> bool:
        taken = peer.take_all(subscription, many)
        if subscription.position is not None:
            self.places[subscription.channel] = subscription.position
        return bool(taken)

    def _kill(self, peer: Peer) -> None:
        self.pair.kill_client(peer)
        self.checker.forget(peer)


def _since(word: str) -> Since:
    return "latest" if word == "latest" else "earliest"


TestStory = Story.TestCase

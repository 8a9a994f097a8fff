"""What applications do on their clients: subscribe, publish, take, close, crash and come back."""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random

from gapless.core.errors import TooManyChannels
from gapless.core.events import Closed, LinkUp
from gapless.core.position import Position, Since
from gapless.core.states import SessionState
from gapless.core.subscription import Subscription
from gapless.testing import Checker, Pair, Peer

from .sometimes import Sometimes
from .swarm import Swarm
from .tables import check_over

CHANNELS = ("a", "b", "c")
THIEF = "mallory"
"""Credentials of another principal."""

SINCE: tuple[Since, ...] = ("latest", "earliest", "earliest")


@dataclass(slots=True, eq=False)
class Application:
    """An application and what it keeps on its disk: places, and a session's token."""

    peer: Peer
    places: dict[str, Position] = field(default_factory=dict[str, Position])
    token: str | None = None
    credentials: str | None = None
    is_closing: bool = False
    full: set[str] = field(default_factory=set[str])


class Applications:
    """All of them, on a pair."""

    def __init__(
        self, pair: Pair, checker: Checker, sometimes: Sometimes, swarm: Swarm, dice: Random
    ) -> None:
        self.all: list[Application] = []
        self._pair = pair
        self._checker = checker
        self._sometimes = sometimes
        self._swarm = swarm
        self._dice = dice
        self._numbers = count(1)
        self._server_full: set[str] = set()
        self._stale: list[str] = []
        for number in range(swarm.clients):
            peer = pair.peer if number == 0 else pair.add_client()
            self._begin(Application(peer))

    def payload(self, who: str, most: int) -> bytes:
        """Make a message that there is only once, of `most` bytes at most if it is a large one."""
        name = f"{who}-{next(self._numbers)}".encode()
        is_large = (
            self._swarm.payload_size <= most and self._dice.random() < self._swarm.large_share
        )
        return name.ljust(self._swarm.payload_size, b".") if is_large else name

    # what an application does

    def subscribe(self) -> None:
        """One begins to read, from where it was or from somewhere else."""
        application = self._pick()
        if application is None:
            return
        name = self._dice.choice([*CHANNELS, "@me"])
        if name in {one.channel for one in application.peer.session.subscriptions}:
            return
        place: Since = self._dice.choice(SINCE)
        known = application.places.get(name)
        if known is not None and self._dice.random() < 0.6:
            # Sometimes its disk says more than the server ever gave, or can still have.
            more = 50 if self._dice.random() < self._swarm.ahead_share else 0
            place = Position(known.epoch, known.seq + more)
        with suppress(TooManyChannels):  # its outboxes may hold all the memory there is
            application.peer.subscribe(name, place)

    def unsubscribe(self) -> None:
        """One stops reading, and perhaps begins again at once."""
        application = self._pick()
        if application is None or not application.peer.session.subscriptions:
            return
        subscription = self._dice.choice(application.peer.session.subscriptions)
        application.peer.unsubscribe(subscription)
        if self._dice.random() < 0.5:
            place: Since = application.places.get(subscription.channel, "latest")
            with suppress(TooManyChannels):
                application.peer.subscribe(subscription.channel, place)

    def publish(self) -> None:
        """One publishes, a few messages."""
        application = self._pick()
        if application is None:
            return
        channel, peer = self._dice.choice(CHANNELS), application.peer
        for _ in range(self._dice.choice([1, 2, 10])):
            payload = self.payload(peer.name, peer.session.max_message)
            is_text = self._dice.random() < 0.5
            try:
                number = peer.publish(channel, payload.decode() if is_text else payload)
            except TooManyChannels:
                # There is no memory for one more.
                return
            if number is None:
                application.full.add(channel)
            elif channel in application.full:
                application.full.discard(channel)
                self._sometimes.see("backpressure at a client released")

    def server_publishes(self) -> None:
        """The server publishes, a few messages, or one to a client alone."""
        channel = self._dice.choice(CHANNELS)
        if self._dice.random() < 0.2 and self._pair.hub.sessions:
            channel = self._dice.choice(self._pair.hub.sessions)
        for _ in range(self._dice.choice([1, 3, 20])):
            if (
                self._pair.publish(channel, self.payload("S", self._pair.hub.config.max_message))
                is None
            ):
                self._server_full.add(channel)
            elif channel in self._server_full:
                self._server_full.discard(channel)
                self._sometimes.see("backpressure at the server released")

    def take(self) -> None:
        """One takes what it has, or some of it."""
        application = self._pick()
        if application is not None:
            self.take_all(application, self._dice.choice([1, 3, 1000]))

    def settle(self) -> None:
        """One looks at what became of its messages, and of its session."""
        application = self._pick()
        if application is not None:
            self.settle_all(application)

    def close(self) -> None:
        """One ends its session in good order; it will come back with a new one."""
        application = self._pick()
        if application is not None:
            application.is_closing = True
            application.peer.close(self._dice.choice([0.0, 2.0]))

    def crash(self) -> None:
        """A process dies, and comes back with what was on its disk."""
        if self.all:
            application = self._dice.choice(self.all)
            self.kill(application)
            self._revive(application)

    def take_over(self) -> None:
        """Another process comes with the token of one that is still there."""
        application = self._pick()
        if application is not None and len(self.all) < 4:
            token = self._dice.choice([application.token, application.peer.session.token])
            credentials = application.credentials
            peer = self._pair.add_client(token=token, credentials=credentials)
            self._begin(Application(peer, credentials=credentials))

    def steal(self) -> None:
        """A stranger comes with another's token, or somebody with one that is long used up."""
        if len(self.all) >= 4:
            return
        tokens = [one.peer.session.token or one.token for one in self.all] + self._stale[-8:]
        who = self._dice.choice([None, THIEF])
        token = self._dice.choice([token for token in tokens if token] or [None])
        peer = self._pair.add_client(token=token, credentials=who)
        self._begin(Application(peer, credentials=who))

    def race(self) -> None:
        """A session is taken over, and the old socket dies late: nobody read it any more."""
        application = self._pick()
        if application is None or application.peer.session.link is None or len(self.all) >= 4:
            return
        for line in self._pair.lines(application.peer):
            line.to_client.is_held = line.to_server.is_held = True
        token, credentials = application.peer.session.token, application.credentials
        peer = self._pair.add_client(token=token, credentials=credentials)
        self._begin(Application(peer, credentials=credentials))
        self._pair.run_until(lambda: peer.session.link, 1.0)
        self._pair.cut(application.peer)
        self._pair.run(0.01)
        self.kill(application)

    # for the world

    def kill(self, application: Application) -> None:
        """An application is gone for good."""
        self.all.remove(application)
        self._pair.kill_client(application.peer)
        if not application.is_closing or not application.peer.session.is_settled:
            self._checker.forget(application.peer)

    def look_after(self) -> None:
        """Those whose session is over come back with another one."""
        for application in list(self.all):
            if application.peer.session.state is SessionState.CLOSED:
                assert application.is_closing, "a session has ended by itself"
                self.take_all(application, 1_000_000)
                self.settle_all(application)
                check_over(application.peer.session)
                self.kill(application)
                self._revive(application)

    def take_all(self, application: Application, at_most: int) -> bool:
        """Take what there is; True if there was something."""
        busy = False
        for subscription in application.peer.session.subscriptions:
            busy |= self._take(application, subscription, at_most)
        return busy

    def settle_all(self, application: Application) -> bool:
        """Take all there is to know; True if there was something about messages."""
        peer, busy = application.peer, False
        for channel in CHANNELS:
            busy |= bool(peer.settled(channel))
        for event in peer.events():
            if isinstance(event, LinkUp):
                self._stale += [application.token] if application.token else []
                application.token = peer.session.token
            elif isinstance(event, Closed):
                assert application.is_closing, event
        return busy

    # internals

    def _pick(self) -> Application | None:
        able = [one for one in self.all if not one.is_closing]
        return self._dice.choice(able) if able else None

    def _begin(self, application: Application) -> None:
        self.all.append(application)
        application.peer.start()

    def _revive(self, application: Application) -> None:
        token = application.token if self._dice.random() < 0.5 else None
        credentials = application.credentials
        token = None if application.is_closing else token
        peer = self._pair.add_client(token=token, credentials=credentials)
        # A new session has another private channel.
        places = {name: at for name, at in application.places.items() if name != "@me"}
        self._begin(Application(peer, places, token, credentials))
        for name, place in places.items():
            if self._dice.random() < 0.8:
                with suppress(TooManyChannels):
                    peer.subscribe(name, place)

    def _take(self, application: Application, subscription: Subscription, at_most: int) -> bool:
        assert subscription.refusal is None, f"{subscription.channel}: {subscription.refusal}"
        taken = application.peer.take_all(subscription, at_most)
        if subscription.position is not None:
            application.places[subscription.channel] = subscription.position
        return bool(taken)

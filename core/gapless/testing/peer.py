"""Peer: a client of a `Pair` — its session, its endpoint, its lines, and its application.

The methods are what an application does, at the pair's time and seen by its observers. The session
may also be used directly, unseen.
"""

from collections.abc import Callable, Iterable

from gapless.core.client import ClientSession
from gapless.core.events import ChannelEvent, SessionEvent, Settled
from gapless.core.position import Since
from gapless.core.subscription import Subscription
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .clock import Clock
from .network import Line
from .observer import Observer, TracedWire, TracedWires

AT_ONCE = 1000
"""Messages an application is given before the others have their turn."""

NewEndpoint = Callable[[ClientSession, Callable[[float], Wire]], Endpoint[ClientSession]]


class Peer:
    """A client.

    Args:
        name: how transcripts call it: `C1`.
        session: its session.
        new_wire: makes the wire of a link.
        clock: the pair's.
        observers: who is told; the pair's own list.
        new_endpoint: makes its endpoint; a recorder's own, where the session is recorded.
    """

    def __init__(
        self,
        name: str,
        session: ClientSession,
        new_wire: Callable[[float], Wire],
        *,
        clock: Clock,
        observers: list[Observer],
        new_endpoint: NewEndpoint = Endpoint,
    ) -> None:
        self.name = name
        self.session = session
        self.lines: dict[int, Line] = {}
        self.wires: dict[int, TracedWire] = {}
        self._new_wires = TracedWires(new_wire)
        self.endpoint = new_endpoint(session, self._new_wires)
        self._clock = clock
        self._observers = observers
        self._applications: list[Callable[[], bool]] = []

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # the application

    def start(self) -> None:
        """Begin to connect."""
        self.session.start(now=self._clock.now)

    def close(self, timeout: float | None = None) -> None:
        """End the session; see `ClientSession.close`."""
        self._note(f"{self.name} closes")
        self.session.close(now=self._clock.now, timeout=timeout)

    def subscribe(self, channel: str, since: Since = "latest") -> Subscription:
        """Read a channel."""
        subscription = self.session.subscribe(channel, since, now=self._clock.now)
        self._note(f"{self.name} subscribes to {channel} since {since}")
        for observer in self._observers:
            observer.on_subscribed(self, subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop reading."""
        self._note(f"{self.name} unsubscribes from {subscription.channel}")
        self.session.unsubscribe(subscription, now=self._clock.now)
        for observer in self._observers:
            observer.on_unsubscribed(self, subscription)

    def take(self, subscription: Subscription) -> ChannelEvent | None:
        """Take the next message or marker; None: the application waits for more."""
        event = self.session.next_message(subscription, now=self._clock.now)
        if event is not None:
            for observer in self._observers:
                observer.on_taken(self, subscription, event)
        return event

    def take_all(self, subscription: Subscription, at_most: int = 1_000_000) -> list[ChannelEvent]:
        """Take what there is, up to `at_most` messages and markers."""
        events: list[ChannelEvent] = []
        while len(events) < at_most and (event := self.take(subscription)) is not None:
            events.append(event)
        return events

    def follow(
        self,
        channel: str,
        handle: Callable[[ChannelEvent], object],
        since: Since = "latest",
    ) -> Subscription:
        """Read a channel as an application does that waits for its messages.

        While the pair runs, every message and marker is taken as soon as it is there, and given to
        `handle`, as `async for event in messages.events()` would. It may publish in turn.
        """
        subscription = self.subscribe(channel, since)

        def hand_over() -> bool:
            for number in range(AT_ONCE):
                event = self.take(subscription)
                if event is None:
                    return number > 0
                handle(event)
            return True

        self._applications.append(hand_over)
        return subscription

    def follow_settled(self, channel: str, handle: Callable[[Settled], object]) -> None:
        """Give what becomes of messages published to a channel to `handle`, as soon as it is known.

        The same message isn't told by `settled` as well.
        """

        def hand_over() -> bool:
            told = self.settled(channel)
            for settled in told:
                handle(settled)
            return bool(told)

        self._applications.append(hand_over)

    def publish(self, channel: str, payload: bytes | str) -> int | None:
        """Publish; returns the message's number, or None: there is no room now."""
        data = payload.encode() if isinstance(payload, str) else payload
        text = isinstance(payload, str)
        number = self.session.publish(channel, data, text, now=self._clock.now)
        if number is not None:
            for observer in self._observers:
                observer.on_published(self, channel, [data], number)
        return number

    def settled(self, channel: str) -> list[Settled]:
        """Take what became of messages published to a channel."""
        return list(self._settlements(channel))

    def events(self) -> list[SessionEvent]:
        """Take what happened to the session."""
        events: list[SessionEvent] = []
        while (event := self.session.next_event()) is not None:
            for observer in self._observers:
                observer.on_event(self, event)
            events.append(event)
        return events

    # for Pair

    def open_link(self, line: Line) -> None:
        """The connection of a link is made."""
        self.lines[line.client_link] = line
        self.endpoint.open_link(line.client_link, now=self._clock.now)
        self.wires[line.client_link] = self._new_wires.take()

    def serve_applications(self) -> bool:
        """Give those who follow something what there is; False: nothing."""
        busy = False
        for hand_over in self._applications:
            busy |= hand_over()
        return busy

    # internals

    def _settlements(self, channel: str) -> Iterable[Settled]:
        while (settled := self.session.next_settled(channel)) is not None:
            for observer in self._observers:
                observer.on_settled(self, settled)
            yield settled

    def _note(self, text: str) -> None:
        for observer in self._observers:
            observer.on_note(text)


def client_wire(now: float) -> Wire:
    """Make a memory wire of a client."""
    return MemoryWire()

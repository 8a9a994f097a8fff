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


class Peer:
    """A client.

    Args:
        name: how transcripts call it: `C1`.
        session: its session.
        new_wire: makes the wire of a link.
        clock: the pair's.
        observers: who is told; the pair's own list.
    """

    def __init__(
        self,
        name: str,
        session: ClientSession,
        new_wire: Callable[[float], Wire],
        *,
        clock: Clock,
        observers: list[Observer],
    ) -> None:
        self.name = name
        self.session = session
        self.lines: dict[int, Line] = {}
        self.wires: dict[int, TracedWire] = {}
        self._new_wires = TracedWires(new_wire)
        self.endpoint = Endpoint(session, self._new_wires)
        self._clock = clock
        self._observers = observers

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

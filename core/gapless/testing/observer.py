"""Observer: who watches a `Pair` is told what its applications do and what its wires carry.

The invariant checker and the transcript are observers; so may be a test's own counter. `TracedWire`
stands around any wire and says which frames go out, and where in the stream of bytes they end.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gapless.core.closing import Ending
from gapless.core.events import ChannelEvent, SessionEvent, Settled
from gapless.core.frames import Frame
from gapless.core.local import LocalReader
from gapless.core.subscription import Subscription
from gapless.transports.wire import Wire, WireEvent

from .network import Line

if TYPE_CHECKING:
    from .peer import Peer


class Observer:
    """Hears everything and does nothing; override what is of interest."""

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        """An end has handed a frame to the wire; it may still be lost on the way."""

    def on_bytes(self, line: Line, to_client: bool, data: bytes, *, now: float) -> None:
        """An end has written bytes."""

    def on_line(self, line: Line) -> None:
        """A connection was made."""

    def on_dial(self, peer: "Peer", link: int) -> None:
        """A client has asked for a connection."""

    def on_link_over(self, peer: "Peer", link: int, ending: Ending) -> None:
        """A client's link has ended or never began, as the client has it."""

    def on_closed(self, line: Line, by_client: bool, ending: Ending) -> None:
        """An end has closed its socket, and why."""

    def on_lost(self, line: Line, lost: list[tuple[bool, Frame]]) -> None:
        """A connection is gone, and with it these frames: (to the client, the frame)."""

    def on_subscribed(self, peer: "Peer", subscription: Subscription) -> None:
        """An application has begun to read."""

    def on_unsubscribed(self, peer: "Peer", subscription: Subscription) -> None:
        """An application has stopped reading."""

    def on_taken(
        self, peer: "Peer | None", reader: Subscription | LocalReader, event: ChannelEvent
    ) -> None:
        """An application has taken a message or a marker; None: the server's own."""

    def on_published(
        self, peer: "Peer | None", channel: str, payloads: list[bytes], number: int | None
    ) -> None:
        """An application has published; `number` is the first one's, None for the server."""

    def on_settled(self, peer: "Peer", settled: Settled) -> None:
        """An application has been told what became of its messages."""

    def on_event(self, peer: "Peer", event: SessionEvent) -> None:
        """An application has taken a session event."""

    def on_note(self, text: str) -> None:
        """Something else happened that a reader of the story should know."""

    def on_step(self) -> None:
        """Everything has been carried out for now: a good moment to judge."""


class WrappedWire:
    """A wire that does what another one does; override what it shall do besides.

    Args:
        wire: the one that does the work.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def is_open(self) -> bool:
        """As the wire says."""
        return self._wire.is_open

    @property
    def is_finished(self) -> bool:
        """As the wire says."""
        return self._wire.is_finished

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        """Take bytes from the peer."""
        return self._wire.receive_data(data, now=now)

    def handle_timeout(self, *, now: float) -> list[WireEvent]:
        """Let time pass."""
        return self._wire.handle_timeout(now=now)

    def send_frame(self, frame: Frame, *, now: float) -> None:
        """Pass a frame on."""
        self._wire.send_frame(frame, now=now)

    def close(self, ending: Ending, *, now: float) -> None:
        """End the wire."""
        self._wire.close(ending, now=now)

    def next_deadline(self) -> float | None:
        """As the wire says."""
        return self._wire.next_deadline()

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written now."""
        return self._wire.data_to_send()

    def buffered(self) -> int:
        """As the wire says."""
        return self._wire.buffered()


class TracedWire(WrappedWire):
    """A wire that says what goes out."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.on_frame: Callable[[Frame], None] | None = None
        self._sent = 0
        self._unsent: list[Frame] = []
        self._on_the_way: list[tuple[int, Frame]] = []

    def lost(self, arrived: int) -> list[Frame]:
        """Name the frames sent of which less than all is among the first `arrived` bytes."""
        self.forget(arrived)
        return [frame for _, frame in self._on_the_way]

    def forget(self, arrived: int) -> None:
        """Drop the frames that are among the first `arrived` bytes."""
        self._on_the_way = [entry for entry in self._on_the_way if entry[0] > arrived]

    def send_frame(self, frame: Frame, *, now: float) -> None:
        """Pass a frame on, and say so."""
        super().send_frame(frame, now=now)
        self._unsent.append(frame)
        if self.on_frame is not None:
            self.on_frame(frame)

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written now; the frames in them end with the last."""
        data = super().data_to_send()
        self._sent += len(data)
        self._on_the_way += [(self._sent, frame) for frame in self._unsent]
        self._unsent.clear()
        return data


class TracedWires:
    """Makes the traced wires of an endpoint, and knows the one it made last.

    Args:
        new_wire: makes a wire at a time.
    """

    def __init__(self, new_wire: Callable[[float], Wire]) -> None:
        self._new_wire = new_wire
        self._latest: TracedWire | None = None

    def __call__(self, now: float) -> TracedWire:
        """Make the wire of a new link."""
        self._latest = TracedWire(self._new_wire(now))
        return self._latest

    def take(self) -> TracedWire:
        """Take the wire that was made last."""
        wire, self._latest = self._latest, None
        assert wire is not None
        return wire

"""Host: a server of a `Pair` — its hub, its endpoint, its lines, and the store behind it."""

from collections.abc import Callable
from typing import Protocol

from gapless.core.events import Append, ReadHistory
from gapless.core.hub import Hub
from gapless.core.store import Appended, AppendRefused, HistoryRead
from gapless.transports.endpoint import Endpoint
from gapless.transports.memory import MemoryWire
from gapless.transports.wire import Wire

from .network import Line
from .observer import TracedWire, TracedWires


class Store(Protocol):
    """What keeps the messages of durable hubs. It may serve several, and outlives them."""

    def append(self, command: Append) -> Appended | AppendRefused:
        """Carry out an `Append`."""
        ...

    def read_history(self, command: ReadHistory) -> HistoryRead:
        """Carry out a `ReadHistory`."""
        ...


class Host:
    """A server.

    Args:
        name: how transcripts call it: `S`.
        hub: its hub.
        new_wire: makes the wire of a link.
        new_endpoint: makes its endpoint; a recorder's own, where the hub is recorded.
    """

    def __init__(
        self,
        name: str,
        hub: Hub,
        new_wire: Callable[[float], Wire],
        new_endpoint: Callable[[Hub, Callable[[float], Wire]], Endpoint[Hub]] = Endpoint,
    ) -> None:
        self.name = name
        self.hub = hub
        self.lines: dict[int, Line] = {}
        self.wires: dict[int, TracedWire] = {}
        self._new_wires = TracedWires(new_wire)
        self.endpoint = new_endpoint(hub, self._new_wires)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def accept(self, *, now: float) -> int:
        """Take a connection; returns its link."""
        link = self.endpoint.accept_link(now=now)
        self.wires[link] = self._new_wires.take()
        return link


def server_wire(now: float) -> Wire:
    """Make a memory wire of a server."""
    return MemoryWire(from_client=True)

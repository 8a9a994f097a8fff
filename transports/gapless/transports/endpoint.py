"""Endpoint: a machine of core and the wires of its links, all an adapter sees.

The same class serves both ends: the machine is a `ClientSession` or a `Hub`. It turns bytes into
frames and back, at the moment the socket can take them, keeps each wire's deadlines beside core's,
and holds a link back from its driver until its last word is on the way. It does no I/O.

The integration loop of a driver:

1. `poll_command()` until None. `OpenLink`: dial, then `open_link`. `CloseLink`: write what
   `data_to_send` still has, then close the socket.
2. `next_writable()` until None: write `data_to_send(link, …)` until it is empty or the socket is
   full; then again when the socket can take more. Writing can bring new commands: poll once more.
3. Look at the machine's events, its ready subscriptions, outboxes, channels.
4. Wait for bytes (`receive_data`), the end of a socket (b"" or `handle_link_lost`), or
   `next_deadline()` (`handle_timeout`); then from 1.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from gapless.core.closing import Code, Ending
from gapless.core.events import CloseLink, Command
from gapless.core.frames import Frame
from gapless.core.timers import Timers

from .wire import FrameReceived, Wire, WireEvent, WireOpened


class Machine(Protocol):
    """What an endpoint needs of a `ClientSession` or a `Hub`."""

    def receive_bytes(self, link: int, *, now: float) -> None:
        """Note a sign of life."""
        ...

    def hold_bytes(self, link: int, size: int, *, now: float) -> None:
        """Note how many bytes a link's wire holds."""
        ...

    def receive_frame(self, link: int, frame: Frame, *, size: int = 0, now: float) -> None:
        """Take a frame."""
        ...

    def handle_link_opened(self, link: int, *, now: float) -> None:
        """Note that frames may flow."""
        ...

    def handle_link_lost(self, link: int, ending: Ending, *, now: float) -> None:
        """Note that the transport is gone."""
        ...

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass."""
        ...

    def next_deadline(self) -> float | None:
        """When time matters next."""
        ...

    def poll_command(self) -> Command | None:
        """Take the next command."""
        ...

    @property
    def has_output(self) -> bool:
        """Whether a link has come to have something to send."""
        ...

    def next_writable(self) -> int | None:
        """Take the next link with something to send."""
        ...

    def next_frame(self, link: int, *, now: float) -> Frame | None:
        """Build the next frame of a link."""
        ...


M = TypeVar("M", bound=Machine)


class Endpoint(Generic[M]):
    """A machine and its wires.

    Args:
        machine: a `ClientSession` or a `Hub`.
        new_wire: makes the wire of a new link; takes the time.
    """

    def __init__(self, machine: M, new_wire: Callable[[float], Wire]) -> None:
        self.machine = machine
        self._new_wire = new_wire
        self._wires: dict[int, Wire] = {}
        self._closing: dict[int, Ending] = {}
        self._stirred: dict[int, None] = {}
        self._writable: dict[int, None] = {}
        self._timers: Timers[int] = Timers()
        self._held: dict[int, int] = {}
        self._last_link = 0

    @property
    def links(self) -> int:
        """Links whose socket the driver still holds."""
        return len(self._wires)

    @property
    def has_output(self) -> bool:
        """Whether `next_writable` would name a link."""
        return bool(self._writable) or self.machine.has_output

    # inputs

    def accept_link(self, *, wire: Wire | None = None, now: float) -> int:
        """Take a connection that a server's driver has accepted; returns the link's id.

        Args:
            wire: speaks on it; None: one that `new_wire` makes.
            now: seconds.
        """
        self._last_link += 1
        self._add(self._last_link, self._new_wire(now) if wire is None else wire, now)
        return self._last_link

    def open_link(self, link: int, *, now: float) -> None:
        """Take the connection that a client's driver has dialled for `OpenLink(link)`."""
        self._add(link, self._new_wire(now), now)

    def receive_data(self, link: int, data: bytes, *, now: float) -> None:
        """Take bytes from a link's socket; b"" is the end of its stream."""
        wire = self._wires.get(link)
        if wire is None:
            return
        if data:
            self.machine.receive_bytes(link, now=now)
        events = wire.receive_data(data, now=now)
        if wire.buffered() < self._held.get(link, 0):
            # The frame that was unfinished is the machine's to count from now on, not the wire's.
            self._tell_held(link, wire, now)
        self._take(link, events, now)
        self._after(link, wire)
        self._tell_held(link, wire, now)

    def handle_link_lost(self, link: int, ending: Ending, *, now: float) -> None:
        """Note that a link's socket is gone, or that dialling it failed."""
        self._forget(link, now)
        self.machine.handle_link_lost(link, ending, now=now)

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass, for the machine and every wire."""
        self.machine.handle_timeout(now=now)
        for link in self._timers.pop_due(now):
            wire = self._wires.get(link)
            if wire is not None:
                self._take(link, wire.handle_timeout(now=now), now)
                self._after(link, wire)

    def next_deadline(self) -> float | None:
        """The earlier of the machine's and the wires'."""
        core, wires = self.machine.next_deadline(), self._timers.next_deadline()
        if core is None or wires is None:
            return wires if core is None else core
        return min(core, wires)

    # outputs

    def poll_command(self, *, now: float) -> Command | None:
        """Take the next thing the driver must do.

        A `CloseLink` appears once the link's last word has been taken by `data_to_send`, or the
        peer was too slow to hear it.
        """
        while (command := self.machine.poll_command()) is not None:
            if not isinstance(command, CloseLink):
                return command
            self._start_closing(command, now)
        while self._stirred:
            link = next(iter(self._stirred))
            del self._stirred[link]
            ending = self._closing.get(link)
            wire = self._wires.get(link)
            if ending is not None and (wire is None or wire.is_finished):
                self._forget(link, now)
                return CloseLink(link, ending)
        return None

    def next_writable(self) -> int | None:
        """Take the next link that has come to have something to send."""
        for link in self._writable:
            del self._writable[link]
            return link
        return self.machine.next_writable()

    def data_to_send(self, link: int, max_bytes: int, *, now: float) -> bytes:
        """Build the bytes to write now: about `max_bytes`, at least a frame; b"" if none.

        A batch goes out whole, so the result may exceed `max_bytes` by one batch.
        """
        wire = self._wires.get(link)
        if wire is None:
            return b""
        first = wire.data_to_send()
        parts = [first] if first else []
        size = len(first)
        while size < max_bytes and wire.is_open and link not in self._closing:
            frame = self.machine.next_frame(link, now=now)
            if frame is None:
                break
            wire.send_frame(frame, now=now)
            parts.append(wire.data_to_send())
            size += len(parts[-1])
        if link in self._closing:
            self._stirred[link] = None
        if self._held.get(link):
            self._tell_held(link, wire, now)
        # One batch alone is written as it is cached, without a copy for every reader.
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # internals

    def _add(self, link: int, wire: Wire, now: float) -> None:
        self._wires[link] = wire
        if wire.is_open:
            self.machine.handle_link_opened(link, now=now)
        self._after(link, wire)

    def _take(self, link: int, events: list[WireEvent], now: float) -> None:
        for event in events:
            if isinstance(event, FrameReceived):
                self.machine.receive_frame(link, event.frame, size=event.size, now=now)
            elif isinstance(event, WireOpened):
                self.machine.handle_link_opened(link, now=now)
            else:
                self._closing.setdefault(link, event.ending)
                self.machine.handle_link_lost(link, event.ending, now=now)

    def _after(self, link: int, wire: Wire) -> None:
        """A wire may have bytes of its own to send, a new deadline, or have come to its end."""
        if link in self._closing:
            self._stirred[link] = None
        if link in self._wires:
            self._writable[link] = None
            deadline = wire.next_deadline()
            if deadline is not None:
                self._timers.set(link, deadline)

    def _tell_held(self, link: int, wire: Wire, now: float) -> None:
        """What a wire holds is part of what its machine may hold (P3)."""
        held = wire.buffered()
        if link in self._wires and held != self._held.get(link, 0):
            self._held[link] = held
            self.machine.hold_bytes(link, held, now=now)

    def _start_closing(self, command: CloseLink, now: float) -> None:
        link, ending = command.link, command.ending
        wire = self._wires.get(link)
        if wire is None or ending.code == Code.SILENT:
            # A dead peer hears nothing any more: no last word, no wait for its reply.
            self._forget(link, now)
            self._closing[link] = ending
            self._stirred[link] = None
            return
        while wire.is_open and (frame := self.machine.next_frame(link, now=now)) is not None:
            wire.send_frame(frame, now=now)
        wire.close(ending, now=now)
        self._closing.setdefault(link, ending)
        self._after(link, wire)

    def _forget(self, link: int, now: float) -> None:
        self._wires.pop(link, None)
        if self._held.pop(link, 0):
            self.machine.hold_bytes(link, 0, now=now)
        self._closing.pop(link, None)
        self._stirred.pop(link, None)
        self._writable.pop(link, None)
        self._timers.set(link, None)

"""Driving an endpoint: what every runtime's driver does alike, and what it does its own way.

A driver serves one endpoint: a client's session, with a link or two, or a server's hub, with
thousands. `Driver` is what a session or a server asks of one. `Pump` is the part that needs no I/O:
carry out commands, write what can be written, tell the owner, set the timer. It runs after every
input.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from gapless.core.closing import Code
from gapless.core.events import CloseLink, OpenLink
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

from .waiting import Signal

WRITE_BUFFER = 64 * 1024
"""Bytes a socket may have waiting before its link is asked for no more: about one batch."""

LINGER = 5.0
"""Seconds a closing socket may take to write its last bytes."""

Question = TypeVar("Question", contravariant=True)
Answer = TypeVar("Answer")


class Driver(Protocol):
    """What sessions and servers ask of their runtime's driver.

    Attributes:
        on_change: called after each pump: look at what is ready.
    """

    on_change: Callable[[], None]

    def now(self) -> float:
        """The time, as the endpoint is told it: monotonic seconds."""
        ...

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        ...

    def wake(self) -> None:
        """Pump soon, once: many changes in one turn go out together."""
        ...

    def changed(self) -> None:
        """The owner took something: an ack may be due, now or by time."""
        ...

    def new_signal(self) -> Signal:
        """Make what the running task can await."""
        ...

    async def accept_stream(self, stream: socket.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        ...

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `shut` cancels it."""
        ...

    async def call(
        self, function: Callable[[Question], Awaitable[Answer] | Answer], question: Question
    ) -> Answer:
        """Call a function of the application's, plain or async."""
        ...

    async def rest(self) -> None:
        """Let other tasks run."""
        ...

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains."""
        ...


class Listener(Protocol):
    """A server's listening sockets.

    Attributes:
        port: that they share.
    """

    port: int

    def close(self) -> None:
        """Listen no more. Harmless if repeated."""
        ...


class Pump(ABC, Generic[M]):
    """Drives an endpoint; a runtime's driver says how bytes, tasks and time move.

    Args:
        endpoint: what is driven.
    """

    def __init__(self, endpoint: Endpoint[M]) -> None:
        self.endpoint = endpoint
        self.on_change: Callable[[], None] = _nothing

    @abstractmethod
    def now(self) -> float:
        """The time, as the endpoint is told it: monotonic seconds."""

    @abstractmethod
    def set_timer(self) -> None:
        """Have `fire` called at the endpoint's deadline."""

    @abstractmethod
    def open(self, link: int) -> None:
        """Dial for a link of a client's."""

    @abstractmethod
    def write(self, link: int, now: float) -> None:
        """Write what a link has to send, as far as its socket takes it."""

    @abstractmethod
    def close(self, link: int, *, at_once: bool) -> None:
        """Close a link's socket behind what is written, or drop it; or give up dialling."""

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        now = self.now()
        self._carry_out(now)
        while (link := self.endpoint.next_writable()) is not None:
            self.write(link, now)
        self._carry_out(now)
        self.on_change()
        self.set_timer()

    def receive(self, link: int, data: bytes) -> None:
        """Bytes came; b"" is the end of the stream: the socket stays open for a last word."""
        self.endpoint.receive_data(link, data, now=self.now())
        self.pump()

    def fire(self) -> None:
        """Time has passed."""
        self.endpoint.handle_timeout(now=self.now())
        self.pump()

    def changed(self) -> None:
        """The owner took something: an ack may be due, now or by time."""
        if self.endpoint.has_output:
            self.pump()
        else:
            self.set_timer()

    def _carry_out(self, now: float) -> None:
        while (command := self.endpoint.poll_command(now=now)) is not None:
            if isinstance(command, OpenLink):
                self.open(command.link)
            elif isinstance(command, CloseLink):
                self.close(command.link, at_once=command.ending.code == Code.SILENT)


def _nothing() -> None:
    """Nobody looks yet."""

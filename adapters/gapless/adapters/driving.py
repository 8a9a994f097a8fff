"""Driving an endpoint: what every runtime's driver does alike, and what it does its own way.

A driver serves one endpoint: a client's session, with a link or two, or a server's hub, with
thousands. `Driver` is what a session or a server asks of one. `Pump` is the part that needs no I/O:
carry out commands, write what can be written, tell the owner, set the timer. It runs after every
input.
"""

import socket as sockets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from gapless.core.closing import Code, Ending
from gapless.core.events import CloseLink, OpenLink
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

from .dialing import socket_failure
from .waiting import Signal

WRITE_BUFFER = 64 * 1024
"""Bytes a socket may have waiting before its link is asked for no more: about one batch."""

LINGER = 5.0
"""Seconds a closing socket may take to write its last bytes."""

Question = TypeVar("Question")
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

    async def accept_stream(self, stream: sockets.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        ...

    def start(self, job: Coroutine[Any, Any, None]) -> object:
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


class Socket(Protocol):
    """One link's socket.

    Attributes:
        link: its number; 0 until a server's endpoint has given it one.
        wire: what a server's endpoint is to speak on it; None: WebSocket.
    """

    link: int
    wire: Wire | None

    @property
    def can_write(self) -> bool:
        """Whether it takes more: less than a batch is waiting to be written."""
        ...

    def write(self, data: bytes) -> None:
        """Write behind what is waiting."""
        ...

    def close(self, *, at_once: bool) -> None:
        """Close it behind what is waiting, within `LINGER` seconds, or drop it."""
        ...


S = TypeVar("S", bound=Socket)


class Pump(ABC, Generic[M, S]):
    """Drives an endpoint; a runtime's driver says how bytes, tasks and time move.

    Args:
        endpoint: what is driven.
    """

    def __init__(self, endpoint: Endpoint[M]) -> None:
        self.endpoint = endpoint
        self.on_change: Callable[[], None] = _nothing
        self.is_shut = False
        # Those with a link, and all that are open: a closing socket has none any more.
        self._links: dict[int, S] = {}
        self.sockets: set[S] = set()

    # what a runtime does its own way

    @abstractmethod
    def now(self) -> float:
        """The time, as the endpoint is told it: monotonic seconds."""

    @abstractmethod
    def set_timer(self) -> None:
        """Have `fire` called at the endpoint's deadline; never once it is shut."""

    @abstractmethod
    def open(self, link: int) -> None:
        """Dial for a link of a client's."""

    @abstractmethod
    def give_up(self, link: int) -> None:
        """Stop dialling for a link, if it is dialled for."""

    @abstractmethod
    def all_closed(self) -> None:
        """No socket is open any more."""

    # inputs

    def link_made(self, socket: S) -> None:
        """A socket is open: a client's for its link, a server's for a new one."""
        self.sockets.add(socket)
        if self.is_shut:
            socket.close(at_once=True)
            return
        if socket.link:
            self.endpoint.open_link(socket.link, now=self.now())
        else:
            socket.link = self.endpoint.accept_link(wire=socket.wire, now=self.now())
        self._links[socket.link] = socket
        self.pump()

    def link_failed(self, link: int, failure: Ending) -> None:
        """Dialling for a link has failed."""
        self.endpoint.handle_link_lost(link, failure, now=self.now())
        self.pump()

    def receive(self, link: int, data: bytes) -> None:
        """Bytes came; b"" is the end of the stream: the socket stays open for a last word."""
        self.endpoint.receive_data(link, data, now=self.now())
        self.pump()

    def socket_drained(self, socket: S) -> None:
        """A socket can take more."""
        self._write(socket.link, self.now())
        self.pump()

    def socket_closed(self, socket: S, error: BaseException | None) -> None:
        """A socket is gone."""
        self.sockets.discard(socket)
        if self._links.pop(socket.link, None) is not None:
            self.endpoint.handle_link_lost(socket.link, socket_failure(error), now=self.now())
            self.pump()
        if not self.sockets:
            self.all_closed()

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

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        now = self.now()
        self._carry_out(now)
        while (link := self.endpoint.next_writable()) is not None:
            self._write(link, now)
        self._carry_out(now)
        self.on_change()
        self.set_timer()

    def drop_all(self) -> None:
        """Let nothing come any more, and drop every socket."""
        self.is_shut = True
        for socket in list(self.sockets):
            socket.close(at_once=True)
        self.set_timer()

    # internals

    def _carry_out(self, now: float) -> None:
        while (command := self.endpoint.poll_command(now=now)) is not None:
            if isinstance(command, OpenLink):
                self.open(command.link)
            elif isinstance(command, CloseLink):
                self.give_up(command.link)
                if (socket := self._links.pop(command.link, None)) is not None:
                    socket.close(at_once=command.ending.code == Code.SILENT)

    def _write(self, link: int, now: float) -> None:
        socket = self._links.get(link)
        while socket is not None and socket.can_write:
            if not (data := self.endpoint.data_to_send(link, WRITE_BUFFER, now=now)):
                return
            socket.write(data)


def _nothing() -> None:
    """Nobody looks yet."""

"""Plain sockets, TLS's too, for runtimes that can wait until one can be read or written.

`SocketDriver` needs little of its runtime: such waits, tasks, a pause and a look-up of names.
Nothing here blocks, and nothing is half done where a task may be cancelled: a socket is read and
written in one step each, behind the wait. A socket belongs to the task that opens it, then to the
one that reads it; however that ends, the socket is closed.
"""

import errno
import os
import socket
import ssl
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from traceback import walk_tb
from typing import Any, Protocol

from gapless.core.closing import Ending
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

from .dialing import dial_failure, stream_failure
from .driving import LINGER, Answer, Pump, Question
from .opening import OpenStream, Route

READ = 64 * 1024
"""Bytes read at a time, at most. More than a TLS record holds, so that none stays behind in TLS."""

BACKLOG = 512
"""Connections that may wait to be accepted."""

PAUSE = 1.0
"""Seconds without an accept where this process has no descriptor for another socket."""

NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket raises that can't be read or written without a wait. A TLS that wants the other
thing than it is asked for renegotiates; it is tried again until its other half has got on."""

Place = tuple[int, tuple[Any, ...]]
"""An address as sockets have it, behind its family."""


class Cancellable(Protocol):
    """A task, as its starter may end it."""

    def cancel(self) -> None:
        """End it where it waits. Harmless if repeated, or if it is done."""
        ...


class LinkSocket:
    """One link's socket. `link` is 0 until a server's endpoint has numbered it.

    Args:
        driver: whose it is.
        stream: connected; it doesn't block.
        link: its number.
        wire: what a server's endpoint is to speak on it.
    """

    def __init__(
        self,
        driver: "SocketDriver[Any]",
        stream: socket.socket,
        link: int = 0,
        wire: Wire | None = None,
    ) -> None:
        self.link = link
        self.wire = wire
        self._driver = driver
        self._stream = stream
        self._waiting = b""
        self._is_at_end = False
        self._is_closing = False
        with suppress(OSError):  # not every stream is TCP
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    @property
    def can_write(self) -> bool:
        """Whether it takes more: nothing is waiting to be written."""
        return not self._waiting

    @property
    def is_open(self) -> bool:
        """Whether there is a socket still."""
        return self._stream.fileno() >= 0

    def write(self, data: bytes) -> None:
        """Write behind what is waiting: nothing is."""
        try:
            sent = self._stream.send(data)
        except OSError:
            sent = 0  # not now, or never again: `_flush` sees which
        if sent < len(data):
            self._waiting = data[sent:]
            self._driver.attend(self._flush())

    def close(self, *, at_once: bool) -> None:
        """Close it behind what is waiting, within `LINGER` seconds, or drop it."""
        if at_once:
            self._drop(None)
        elif self.can_write:
            self._finish()
        else:
            self._is_closing = True
            self._driver.start(self._linger())

    async def read(self) -> None:
        """Pass on what comes until the stream ends or is closed: a task of its own."""
        try:
            while self.is_open and not self._is_at_end:
                await self._driver.readable(self._stream)
                self._receive()
        except BaseException:
            self._drop(None)
            raise

    def _receive(self) -> None:
        try:
            data = self._stream.recv(READ)
        except NOT_NOW:
            return
        except OSError as error:
            self._drop(error)
            return
        self._driver.receive(self.link, data)
        if not data:
            self._is_at_end = True
            self.close(at_once=False)

    async def _flush(self) -> None:
        """Write what the socket didn't take at once."""
        try:
            while self._waiting and self.is_open:
                await self._driver.writable(self._stream)
                self._send()
        except BaseException:
            self._drop(None)
            raise
        if self._is_closing:
            self._finish()
        elif self.is_open:
            self._driver.socket_drained(self)

    def _send(self) -> None:
        try:
            self._waiting = self._waiting[self._stream.send(self._waiting) :]
        except NOT_NOW:
            pass
        except OSError as error:
            self._drop(error)

    async def _linger(self) -> None:
        await self._driver.pause(LINGER)
        self._drop(None)

    def _finish(self) -> None:
        """Close it: everything is written. TLS says that this is the end."""
        if isinstance(self._stream, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self._stream.unwrap()
        self._drop(None)

    def _drop(self, error: OSError | None) -> None:
        if self.is_open:
            self._driver.let_go(self._stream)
            self._stream.close()
            self._driver.socket_closed(self, error)


class SocketDriver(Pump[M, LinkSocket]):
    """Drives an endpoint over plain sockets; a runtime says how to wait.

    Args:
        endpoint: what is driven.
        route: for a client.
    """

    def __init__(self, endpoint: Endpoint[M], route: Route | None = None) -> None:
        super().__init__(endpoint)
        self._route = route
        self._dials: dict[int, Cancellable] = {}

    # what a runtime does its own way

    @abstractmethod
    async def readable(self, stream: socket.socket) -> None:
        """Wait until a socket can be read, or `let_go` was called for it."""

    @abstractmethod
    async def writable(self, stream: socket.socket) -> None:
        """Wait until a socket can be written, or `let_go` was called for it."""

    @abstractmethod
    def let_go(self, stream: socket.socket) -> None:
        """End the waits for a socket: it is about to be closed."""

    @abstractmethod
    async def look_up(self, host: str | None, port: int) -> Sequence[Place]:
        """Find the addresses of a host; None: all of this machine's, to listen on."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait."""

    @abstractmethod
    def attend(self, job: Coroutine[Any, Any, None]) -> None:
        """Run what takes care of a socket; `shut` waits for it."""

    @abstractmethod
    def begin(self, job: Coroutine[Any, Any, None], timeout: float) -> Cancellable:
        """Run something beside, for `timeout` seconds at most; `shut` cancels it."""

    @abstractmethod
    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `shut` cancels it."""

    @abstractmethod
    async def call(
        self, function: Callable[[Question], Awaitable[Answer] | Answer], question: Question
    ) -> Answer:
        """Call a function of the application's, plain or async."""

    # for the pump, and for sessions and servers

    def open(self, link: int) -> None:
        """Dial for a link of a client's."""
        self._dials[link] = self.begin(self._connect(link), float("inf"))

    def give_up(self, link: int) -> None:
        """Stop dialling for a link."""
        if (dial := self._dials.pop(link, None)) is not None:
            dial.cancel()

    async def accept_stream(self, stream: socket.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        stream.setblocking(False)
        self.take(LinkSocket(self, stream, wire=wire))

    def take(self, socket: LinkSocket) -> None:
        """Read an open socket."""
        self.link_made(socket)
        if socket.is_open:
            self.attend(socket.read())

    # dialling

    async def _connect(self, link: int) -> None:
        try:
            outcome = await self._dial()
        finally:
            is_wanted = self._dials.pop(link, None) is not None
        if isinstance(outcome, Ending):
            self.link_failed(link, outcome)
        elif is_wanted:
            self.take(LinkSocket(self, outcome, link))
        else:
            outcome.close()

    async def _dial(self) -> socket.socket | Ending:
        """Connect; returns an open socket, or why there is none."""
        assert self._route is not None
        address, tls = self._route.address, self._route.tls
        if address is None:
            assert self._route.stream is not None
            return await self._ask(self._route.stream)
        try:
            stream = await self._reach(await self.look_up(address.host, address.port))
            return stream if tls is None else await self.secure(stream, tls, address.host)
        except (OSError, ValueError) as error:
            return dial_failure(error, address)

    async def _ask(self, function: OpenStream) -> socket.socket | Ending:
        """Have the application give a stream."""
        try:
            stream = await self.call(lambda _: function(), None)
            stream.setblocking(False)
        except Exception as error:
            return stream_failure(error)
        return stream

    async def _reach(self, places: Sequence[Place]) -> socket.socket:
        """Try a host's addresses one after the other."""
        errors: list[OSError] = []
        for family, where in places:
            stream = socket.socket(family, socket.SOCK_STREAM)
            try:
                stream.setblocking(False)
                code = stream.connect_ex(where)
                if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
                    await self.writable(stream)
                    code = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return stream
                errors.append(OSError(code, os.strerror(code)))
            except BaseException:
                stream.close()
                raise
            stream.close()
        raise errors[0] if len(errors) == 1 else OSError(", ".join(map(str, errors)))

    async def secure(
        self, stream: socket.socket, tls: ssl.SSLContext, host: str | None
    ) -> socket.socket:
        """Shake hands over a connected socket; it is closed if that fails.

        Args:
            stream: doesn't block.
            tls: settings.
            host: whose certificate is expected; None: this end is the server.

        Raises:
            OSError, ValueError: there is no TLS with the peer.
        """
        try:
            stream = tls.wrap_socket(
                stream,
                server_side=host is None,
                server_hostname=host,
                do_handshake_on_connect=False,
            )
            while True:
                try:
                    stream.do_handshake()
                    return stream
                except ssl.SSLWantReadError:
                    await self.readable(stream)
                except ssl.SSLWantWriteError:
                    await self.writable(stream)
        except BaseException as error:
            close_half_made(error)
            stream.close()
            raise


def close_half_made(error: BaseException) -> None:
    """Close the TLS socket that Python 3.11 leaves open where the peer has reset it already.

    It is in nobody's hands but those of the function that failed.
    """
    for frame, _ in walk_tb(error.__traceback__):
        made = frame.f_locals.get("self")
        if isinstance(made, ssl.SSLSocket):
            made.close()


class Listener:
    """A server's listening sockets."""

    def __init__(self, driver: SocketDriver[Any]) -> None:
        self.port = 0
        self._driver = driver
        self._sockets: list[socket.socket] = []

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None, patience: float) -> None:
        """Listen. A host with several addresses is listened on at one port.

        Args:
            host, port: where; port 0: any.
            tls: settings with a certificate.
            patience: seconds a TLS handshake may take.

        Raises:
            OSError: the address can't be listened on.
        """
        places = await self._driver.look_up(host or None, port)
        try:
            for family, where in dict.fromkeys(places):
                self._listen(family, (where[0], self.port or port, *where[2:]), needed=bool(host))
        except BaseException:
            self.close()
            raise
        for listening in self._sockets:
            self._driver.attend(self._accept(listening, tls, patience))

    def close(self) -> None:
        """Listen no more. Harmless if repeated."""
        for listening in self._sockets:
            if listening.fileno() >= 0:
                self._driver.let_go(listening)
                listening.close()

    def _listen(self, family: int, where: tuple[Any, ...], *, needed: bool) -> None:
        try:
            listening = socket.create_server(where, family=family, backlog=BACKLOG)
        except OSError as error:
            # All of this machine's addresses are those it has: many a container has no IPv6.
            if needed or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            return
        self._sockets.append(listening)
        listening.setblocking(False)
        self.port = listening.getsockname()[1]

    async def _accept(
        self, listening: socket.socket, tls: ssl.SSLContext | None, patience: float
    ) -> None:
        with listening:
            while listening.fileno() >= 0:
                await self._driver.readable(listening)
                try:
                    stream, _ = listening.accept()
                except (BlockingIOError, ConnectionError):
                    continue
                except OSError:
                    if listening.fileno() >= 0:
                        await self._driver.pause(PAUSE)
                    continue
                stream.setblocking(False)
                if tls is None:
                    self._driver.take(LinkSocket(self._driver, stream))
                else:
                    self._driver.begin(self._welcome(stream, tls), patience)

    async def _welcome(self, stream: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            stream = await self._driver.secure(stream, tls, None)
        except (OSError, ValueError):
            return
        self._driver.take(LinkSocket(self._driver, stream))

"""One link's socket: reading, a write buffer, TLS. What asyncio's transports do."""

import errno
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Any

from gapless.adapters.driving import LINGER, Pump
from gapless.transports.wire import Wire

from .loop import READ, WRITE, Loop

READ_SIZE = 64 * 1024
"""Bytes read at once at most."""


class LinkSocket:
    """One link's socket. `link` is 0 until a server's endpoint has numbered it."""

    def __init__(
        self,
        driver: Pump[Any, "LinkSocket"],
        loop: Loop,
        stream: socket.socket,
        link: int = 0,
        wire: Wire | None = None,
    ) -> None:
        self.link = link
        self.wire = wire
        self._driver = driver
        self._loop = loop
        self._stream = stream
        self._out = bytearray()
        self._events = READ
        self._is_held_up = False
        self._is_closing = False
        if stream.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.watch(stream, READ, self._ready)
        driver.link_made(self)

    @property
    def can_write(self) -> bool:
        """Whether nothing is waiting to be written."""
        return not self._out and not self._is_closing

    def write(self, data: bytes) -> None:
        """Write what the socket takes; the rest follows, when it takes more."""
        self._out += data
        self._send()

    def close(self, *, at_once: bool) -> None:
        """Close the socket behind what is waiting, or drop it."""
        if at_once:
            self._out.clear()
        elif not self._is_closing:
            self._loop.alarm(LINGER, self._lose)
        self._is_closing = True
        self._attend()

    def _ready(self, events: int) -> None:
        if self._out:
            self._send()
            if self.can_write:
                self._driver.socket_drained(self)
        if events & READ or self._is_held_up:
            self._receive()

    def _send(self) -> None:
        try:
            del self._out[: self._stream.send(self._out)]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._loop.post(partial(self._lose_behind, error))
            return
        self._attend()

    def _receive(self) -> None:
        """Read once. What TLS still holds decrypted the selector wouldn't tell of."""
        if self._is_closing or self not in self._driver.sockets:
            return
        self._is_held_up = False
        try:
            data = self._stream.recv(READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except ssl.SSLWantWriteError:
            self._is_held_up = True
            self._attend()
            return
        except OSError as error:
            self._lose(error)
            return
        self._driver.receive(self.link, data)
        if not data:
            self.close(at_once=False)
        elif isinstance(self._stream, ssl.SSLSocket) and self._stream.pending():
            self._loop.post(self._receive)

    def _attend(self) -> None:
        """Have the loop watch for what is waited for."""
        if self._is_closing and not self._out:
            self._loop.post(self._lose)
            return
        waits = bool(self._out) or self._is_held_up
        events = (0 if self._is_closing else READ) | (WRITE if waits else 0)
        if events != self._events:
            self._events = events
            self._loop.post(self._watch)

    def _watch(self) -> None:
        if self in self._driver.sockets and self._stream.fileno() < 0:
            self._lose(OSError(errno.EBADF, "the socket was closed elsewhere"))
        elif self in self._driver.sockets:
            self._loop.watch(self._stream, self._events, self._ready)

    def _lose_behind(self, error: OSError) -> None:
        """The peer has gone: what it said before is heard first, its goodbye above all."""
        with suppress(OSError):
            while self in self._driver.sockets and not self._is_closing:
                data = self._stream.recv(READ_SIZE)
                if not data:
                    break
                self._driver.receive(self.link, data)
        self._lose(error)

    def _lose(self, error: BaseException | None = None) -> None:
        if self not in self._driver.sockets:
            return
        self._loop.watch(self._stream, 0, self._ready)
        if isinstance(self._stream, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self._stream.unwrap()
        self._stream.close()
        self._driver.socket_closed(self, error)

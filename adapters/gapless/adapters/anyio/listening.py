"""Listening on anyio."""

import socket
import ssl
from typing import Any

import anyio

from .dialer import secure
from .driver import Driver, LinkSocket

PAUSE = 1.0
"""Seconds without an accept where there is no descriptor for another socket."""


class Listener:
    """A server's listening sockets."""

    def __init__(self, driver: Driver[Any]) -> None:
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
        flags = socket.AI_PASSIVE
        found = await anyio.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
        try:
            for family, *_, address in dict.fromkeys(found):
                where = (address[0], self.port or port)
                listening = socket.create_server(where, family=family, backlog=512)
                self._sockets.append(listening)
                listening.setblocking(False)
                self.port = listening.getsockname()[1]
        except BaseException:
            self.close()
            raise
        for listening in self._sockets:
            self._driver.tasks.start_soon(self._accept, listening, tls, patience)

    def close(self) -> None:
        """Listen no more. Harmless if repeated."""
        for listening in self._sockets:
            if listening.fileno() >= 0:
                anyio.notify_closing(listening)
                listening.close()

    async def _accept(
        self, listening: socket.socket, tls: ssl.SSLContext | None, patience: float
    ) -> None:
        with listening:
            while listening.fileno() >= 0:
                try:
                    await anyio.wait_readable(listening)
                    stream, _ = listening.accept()
                except anyio.ClosedResourceError:
                    return
                except (BlockingIOError, ConnectionError):
                    continue
                except OSError:
                    await anyio.sleep(PAUSE)
                    continue
                stream.setblocking(False)
                if tls is None:
                    self._driver.take(LinkSocket(self._driver, stream))
                else:
                    self._driver.start(self._welcome(stream, tls, patience))

    async def _welcome(self, stream: socket.socket, tls: ssl.SSLContext, patience: float) -> None:
        try:
            with anyio.fail_after(patience):
                stream = await secure(stream, tls, None)
        except (OSError, ValueError):
            return
        self._driver.take(LinkSocket(self._driver, stream))

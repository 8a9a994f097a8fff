"""Listening with plain sockets."""

import socket
import ssl
from typing import Any

from .driver import Driver
from .loop import READ, Job
from .streams import listen, secure

PAUSE = 0.1
"""Seconds until the next try when the system has no descriptor left for a connection."""


class Listener:
    """A server's listening sockets.

    Args:
        driver: whose server.
        tls: settings with a certificate.
        patience: seconds a TLS handshake may take.
    """

    def __init__(self, driver: Driver[Any], tls: ssl.SSLContext | None, patience: float) -> None:
        self.port = 0
        self._driver = driver
        self._tls = tls
        self._patience = patience
        self._jobs: list[Job] = []

    def open(self, host: str, port: int) -> None:
        """Listen. A host with several addresses is listened on at one port; 0: any.

        Raises:
            OSError: the address can't be listened on.
        """
        streams = listen(host, port)
        self.port = streams[0].getsockname()[1]
        self._jobs = [self._driver.loop.spawn(self._accept(stream)) for stream in streams]

    def close(self) -> None:
        """Listen no more. Harmless if repeated."""
        for job in self._jobs:
            job.cancel()

    async def _accept(self, listening: socket.socket) -> None:
        loop = self._driver.loop
        with listening:
            while True:
                try:
                    stream, _ = listening.accept()
                except BlockingIOError:
                    await loop.ready(listening, READ)
                except OSError:
                    await loop.rest(PAUSE)
                else:
                    stream.setblocking(False)
                    if self._tls is None:
                        self._driver.adopt(stream)
                    else:
                        greeting = loop.spawn(self._greet(stream, self._tls))
                        loop.alarm(self._patience, greeting.cancel)

    async def _greet(self, stream: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            secured = await secure(self._driver.loop, stream, tls, server_side=True)
        except (OSError, ValueError):
            return
        self._driver.adopt(secured)

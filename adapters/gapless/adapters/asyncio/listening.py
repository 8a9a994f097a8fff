"""Listening on asyncio."""

import asyncio
import ssl
from typing import Any

from .driver import Driver, LinkSocket


class Listener:
    """A server's listening sockets. Made by `listen`."""

    def __init__(self, driver: Driver[Any]) -> None:
        self.port = 0
        self._driver = driver
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None, patience: float) -> None:
        """Listen. A host with several addresses is listened on at one port.

        Args:
            host, port: where; port 0: any.
            tls: settings with a certificate.
            patience: seconds a TLS handshake may take.

        Raises:
            OSError: the address can't be listened on.
        """
        while self._server is None:
            server = await self._driver.loop.create_server(
                self._accept,
                host,
                port or self.port,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else patience,
                backlog=512,
                start_serving=False,
            )
            ports = [listening.getsockname()[1] for listening in server.sockets]
            self.port = ports[0]
            if len(set(ports)) == 1:
                self._server = server
            else:
                server.close()
        await self._server.start_serving()

    def close(self) -> None:
        """Listen no more. Harmless if repeated."""
        if self._server is not None:
            self._server.close()

    def _accept(self) -> LinkSocket:
        """Make a connection's protocol; asyncio calls this in the task of its TLS handshake."""
        handshake = asyncio.current_task()
        if handshake is not None:
            self._driver.adopt(handshake)
        return LinkSocket(self._driver)

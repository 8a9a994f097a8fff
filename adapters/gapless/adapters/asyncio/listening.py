"""Listening on asyncio."""

import asyncio
import ssl
from typing import Any

from .driver import Driver, LinkSocket


class Listener:
    """A server's listening sockets. Made by `listen`."""

    def __init__(self, server: asyncio.Server) -> None:
        self.port: int = server.sockets[0].getsockname()[1]
        self.close = server.close


async def listen(
    driver: Driver[Any], host: str, port: int, tls: ssl.SSLContext | None, patience: float
) -> Listener:
    """Listen. A host with several addresses is listened on at one port.

    Args:
        driver: gets the connections.
        host, port: where; port 0: any.
        tls: settings with a certificate.
        patience: seconds a TLS handshake may take.

    Raises:
        OSError: the address can't be listened on.
    """

    def accept() -> LinkSocket:
        # asyncio calls this in the task of a TLS handshake.
        if (handshake := asyncio.current_task()) is not None:
            driver.adopt(handshake)
        return LinkSocket(driver)

    options: dict[str, Any] = {} if tls is None else {"ssl_handshake_timeout": patience}
    while True:
        server = await driver.loop.create_server(
            accept, host, port, ssl=tls, backlog=512, start_serving=False, **options
        )
        ports = [listening.getsockname()[1] for listening in server.sockets]
        if len(set(ports)) == 1:
            break
        server.close()
        port = ports[0]
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return Listener(server)

"""Dialling on asyncio."""

import asyncio
import inspect

from gapless.adapters.dialing import dial_failure, stream_failure
from gapless.adapters.opening import Route
from gapless.core.closing import Ending

from .driver import LinkSocket


class Dialer:
    """Makes a client's connections: a host's addresses are tried one after the other.

    Not side by side (RFC 8305): cancelled, that leaves sockets and tasks behind in Python 3.11.
    """

    def __init__(self, route: Route) -> None:
        self._route = route

    async def __call__(self, protocol: LinkSocket) -> Ending | None:
        """Connect; returns once the socket is open, or why it isn't."""
        address = self._route.address
        if address is None:
            return await self._take_stream(protocol)
        try:
            connecting = asyncio.get_running_loop().create_connection(
                lambda: protocol,
                address.host,
                address.port,
                ssl=self._route.tls,
                server_hostname=address.host if self._route.tls is not None else None,
            )
            await protocol.driver.made(protocol, connecting)
        except (OSError, ValueError) as error:
            return dial_failure(error, address)
        return None

    async def _take_stream(self, protocol: LinkSocket) -> Ending | None:
        assert self._route.stream is not None
        try:
            stream = self._route.stream()
            stream = await stream if inspect.isawaitable(stream) else stream
        except Exception as error:
            return stream_failure(error)
        await protocol.driver.join(protocol, stream)
        return None

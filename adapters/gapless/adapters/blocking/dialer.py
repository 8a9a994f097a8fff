"""Dialling with plain sockets."""

import socket
from typing import cast

from gapless.adapters.dialing import dial_failure, stream_failure
from gapless.adapters.opening import Route
from gapless.core.closing import Ending

from .loop import Loop
from .streams import connect, secure


class Dialer:
    """Makes a client's connections."""

    def __init__(self, route: Route) -> None:
        self._route = route

    async def __call__(self, loop: Loop) -> socket.socket | Ending:
        """Connect; returns the socket, or why there is none."""
        address, tls = self._route.address, self._route.tls
        if address is None:
            return await self._take_stream(loop)
        try:
            stream = await connect(loop, address.host, address.port)
            return stream if tls is None else await secure(loop, stream, tls, host=address.host)
        except (OSError, ValueError) as error:
            return dial_failure(error, address)

    async def _take_stream(self, loop: Loop) -> socket.socket | Ending:
        assert self._route.stream is not None
        try:
            stream = cast(socket.socket, await loop.aside(self._route.stream))
            stream.setblocking(False)
        except Exception as error:
            return stream_failure(error)
        return stream

"""Dialling on asyncio."""

import asyncio
import inspect

from gapless.adapters.dialing import dial_failure, stream_failure
from gapless.adapters.opening import Route
from gapless.core.closing import Ending

from .tasks import join, made


async def dial(route: Route, protocol: asyncio.Protocol) -> Ending | None:
    """Connect; returns once the socket is open, or why it isn't.

    A host's addresses are tried one after the other, as the standard library does by itself. Not
    side by side (RFC 8305): cancelled, that leaves sockets and tasks behind in Python 3.11.
    """
    if route.stream is not None:
        try:
            stream = route.stream()
            stream = await stream if inspect.isawaitable(stream) else stream
            await join(protocol, stream)
        except Exception as error:
            return stream_failure(error)
        return None
    address = route.address
    assert address is not None
    loop = asyncio.get_running_loop()
    try:
        place = address.host, address.port
        await made(protocol, loop.create_connection(lambda: protocol, *place, ssl=route.tls))
    except (OSError, ValueError) as error:
        return dial_failure(error, address)
    return None

"""Dialling on anyio."""

import errno
import inspect
import os
import socket
import ssl

import anyio

from gapless.adapters.dialing import Address, dial_failure, stream_failure
from gapless.adapters.opening import Route
from gapless.core.closing import Ending


class Dialer:
    """Makes a client's connections: a host's addresses are tried one after the other."""

    def __init__(self, route: Route) -> None:
        self._route = route

    async def __call__(self) -> socket.socket | Ending:
        """Connect; returns an open socket, or why there is none."""
        address, tls = self._route.address, self._route.tls
        if address is None:
            return await self._take_stream()
        try:
            stream = await _reach(address)
            return stream if tls is None else await secure(stream, tls, address.host)
        except (OSError, ValueError) as error:
            return dial_failure(error, address)

    async def _take_stream(self) -> socket.socket | Ending:
        assert self._route.stream is not None
        try:
            stream = self._route.stream()
            stream = await stream if inspect.isawaitable(stream) else stream
            stream.setblocking(False)
        except Exception as error:
            return stream_failure(error)
        return stream


async def secure(stream: socket.socket, tls: ssl.SSLContext, host: str | None) -> socket.socket:
    """Shake hands over a connected socket, which is closed if that fails.

    Args:
        stream: doesn't block.
        tls: settings.
        host: whose certificate is expected; None: this end is the server.

    Raises:
        OSError, ValueError: there is no TLS with the peer.
    """
    try:
        stream = tls.wrap_socket(
            stream, server_side=host is None, server_hostname=host, do_handshake_on_connect=False
        )
        while True:
            try:
                stream.do_handshake()
                return stream
            except ssl.SSLWantReadError:
                await anyio.wait_readable(stream)
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(stream)
    except BaseException:
        stream.close()
        raise


async def _reach(address: Address) -> socket.socket:
    errors: list[OSError] = []
    kind = socket.SOCK_STREAM
    for family, *_, where in await anyio.getaddrinfo(address.host, address.port, type=kind):
        stream = socket.socket(family, kind)
        try:
            stream.setblocking(False)
            code = stream.connect_ex(where)
            if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
                await anyio.wait_writable(stream)
                code = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return stream
            errors.append(OSError(code, os.strerror(code)))
        except BaseException:
            stream.close()
            raise
        stream.close()
    raise errors[0] if len(errors) == 1 else OSError(", ".join(map(str, errors)))

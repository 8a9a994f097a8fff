"""Streams: connecting, listening and TLS without blocking, for the loop's jobs.

What fails or is cancelled here has closed its socket.
"""

import errno
import os
import socket
import ssl
from contextlib import ExitStack
from typing import Any, NamedTuple

from gapless.adapters.sockets import close_half_made

from .loop import READ, WRITE, Loop

TRIES = 10
"""How often a port is sought that is free at each of several addresses."""


class Place(NamedTuple):
    """Where a socket can be bound, or connected to."""

    family: int
    address: tuple[Any, ...]


async def connect(loop: Loop, host: str, port: int) -> socket.socket:
    """Connect to a host; its addresses are tried one after the other.

    Raises:
        OSError: none answered; several reasons become one, in asyncio's words.
    """
    failures: list[OSError] = []
    for place in await _look_up(loop, host, port):
        try:
            return await _connect(loop, socket.socket(place.family), place)
        except OSError as error:
            failures.append(error)
    if len({str(failure) for failure in failures}) == 1:
        raise failures[0]
    raise OSError(f"Multiple exceptions: {', '.join(str(failure) for failure in failures)}")


async def secure(
    loop: Loop,
    stream: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool = False,
    host: str | None = None,
) -> ssl.SSLSocket:
    """Do the TLS handshake.

    Args:
        loop: whose job this is.
        stream: a connected socket.
        context: settings.
        server_side: which end this is.
        host: the name that the peer's certificate must be for.

    Raises:
        OSError, ValueError: it failed.
    """
    try:
        stream = secured = context.wrap_socket(
            stream, server_side, do_handshake_on_connect=False, server_hostname=host
        )
        while True:
            try:
                secured.do_handshake()
                return secured
            except ssl.SSLWantReadError:
                await loop.ready(secured, READ)
            except ssl.SSLWantWriteError:
                await loop.ready(secured, WRITE)
    except BaseException as error:
        close_half_made(error)
        stream.close()
        raise


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen at all addresses of a host, at one port; 0: any.

    Raises:
        OSError: an address can't be listened on.
    """
    places = _find(host or None, port, socket.AI_PASSIVE)
    for left in reversed(range(1 if port or len(places) == 1 else TRIES)):
        try:
            return _bind(places, port, is_needed=bool(host))
        except OSError:
            if not left:
                raise
    raise AssertionError("it is tried once at least")


def _bind(places: list[Place], port: int, *, is_needed: bool) -> list[socket.socket]:
    with ExitStack() as opened:
        streams: list[socket.socket] = []
        for family, address in places:
            bound = (address[0], port, *address[2:])
            try:
                stream = socket.create_server(bound, family=family, backlog=512)
            except OSError as error:
                # All of this machine's addresses are those it has: many a container has no IPv6.
                if is_needed or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
                continue
            streams.append(opened.enter_context(stream))
            stream.setblocking(False)
            port = stream.getsockname()[1]
        if not streams:
            raise OSError(errno.EADDRNOTAVAIL, "there is no address to listen on")
        opened.pop_all()
        return streams


def _find(host: str | None, port: int, flags: int = 0) -> list[Place]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Place(family, address) for family, _, _, _, address in infos))


async def _look_up(loop: Loop, host: str, port: int) -> list[Place]:
    """Find a host's addresses; a name server is asked in a thread, and holds nobody up."""
    try:
        return _find(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await loop.aside(lambda: _find(host, port))


async def _connect(loop: Loop, stream: socket.socket, place: Place) -> socket.socket:
    try:
        stream.setblocking(False)
        try:
            stream.connect(place.address)
        except BlockingIOError:
            await loop.ready(stream, WRITE)
            number = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number)) from None
        return stream
    except BaseException:
        stream.close()
        raise

"""What stands between the two ends: real sockets, forwarded until it is told to do worse.

On a socket wire it listens and dials; on the memory wire it hands out one end of a pair and gives
the server one end of another. A cut is a reset on TCP (`SO_LINGER`), a close on a pair.
"""

import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, Self

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from gapless.adapters.server import Server

Way = Literal["to server", "to client"]
_RESET = struct.pack("ii", 1, 0)
_GONE = (OSError, ValueError, anyio.ClosedResourceError)


class _Link:
    """Two sockets: the one towards the client, and the one towards the server."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near = near
        self.far = far
        self.ways = 2
        for side in (near, far):
            side.setblocking(False)
            if side.family != socket.AF_UNIX:
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self, *, abrupt: bool) -> None:
        """Close both ends. Harmless if repeated."""
        for side in (self.near, self.far):
            if side.fileno() < 0:
                continue
            if abrupt:
                reset(side)
            anyio.notify_closing(side)
            side.close()


class Middle:
    """Forwards connections to a server.

    Attributes:
        target: where new connections go; None: nowhere.
        connections: how many were taken.
        piece: bytes forwarded at a time; 0: as they come.
    """

    def __init__(self, target: Server | None, tasks: TaskGroup, *, listens: bool) -> None:
        self.target = target
        self.connections = 0
        self.piece = 0
        self.port = 0
        self._tasks = tasks
        self._listens = listens
        self._listener: socket.socket | None = None
        self._links: set[_Link] = set()
        self._blocked: frozenset[Way] = frozenset()
        self._open = anyio.Event()
        self._is_down = False
        self._running = 0

    async def __aenter__(self) -> Self:
        if self._listens:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._start(self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            if self._listener is not None:
                anyio.notify_closing(self._listener)
                self._listener.close()
            self.cut()
            self.restore()
            while self._running:  # they end by themselves, at once
                await checkpoint()

    def cut(self) -> None:
        """Reset all connections, now. New ones get through."""
        for link in self._links:
            link.close(abrupt=True)

    def take_down(self) -> None:
        """Reset all connections, and each new one at once, until `restore`."""
        self._is_down = True
        self.cut()

    def block(self, *ways: Way) -> None:
        """Let no byte through that way, or neither way, until `restore`."""
        self._blocked = frozenset(ways or ("to server", "to client"))

    def restore(self) -> None:
        """Let everything through again."""
        self._is_down = False
        self._blocked = frozenset()
        self._open.set()
        self._open = anyio.Event()

    async def dial(self) -> socket.socket:
        """Connect a client to the server by two pairs of sockets; returns the client's end."""
        self.connections += 1
        if self._is_down or self.target is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        client, near = socket.socketpair()
        far, server = socket.socketpair()
        self._forward(_Link(near, far))
        try:
            await self.target.accept(server)
        except BaseException:
            client.close()
            raise
        return client

    async def _accept(self) -> None:
        assert self._listener is not None
        while True:
            await anyio.wait_readable(self._listener)
            try:
                near, _ = self._listener.accept()
            except BlockingIOError:
                continue
            self.connections += 1
            far = socket.socket()
            link = _Link(near, far)
            if self._is_down or self.target is None:
                link.close(abrupt=True)
                continue
            failure = far.connect_ex(("127.0.0.1", self.target.port))
            if failure not in (0, errno.EINPROGRESS):
                link.close(abrupt=True)
                continue
            await anyio.wait_writable(far)
            if far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                link.close(abrupt=True)
                continue
            self._forward(link)

    def _forward(self, link: _Link) -> None:
        self._links.add(link)
        self._start(lambda: self._copy(link, link.near, link.far, "to server"))
        self._start(lambda: self._copy(link, link.far, link.near, "to client"))

    def _start(self, job: Callable[[], Awaitable[None]]) -> None:
        self._running += 1
        self._tasks.start_soon(self._contained, job)

    async def _contained(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except _GONE:
            pass
        finally:
            self._running -= 1

    async def _copy(
        self, link: _Link, source: socket.socket, sink: socket.socket, way: Way
    ) -> None:
        try:
            while True:
                while way in self._blocked:
                    await self._open.wait()
                _check_open(source)
                await anyio.wait_readable(source)
                if way in self._blocked:
                    continue
                try:
                    data = source.recv(65536)
                except BlockingIOError:
                    continue
                if not data:
                    break
                await self._send(sink, data)
            sink.shutdown(socket.SHUT_WR)
        except _GONE:
            link.close(abrupt=True)
        finally:
            link.ways -= 1
            if not link.ways or source.fileno() < 0:
                self._links.discard(link)
                link.close(abrupt=False)

    async def _send(self, sink: socket.socket, data: bytes) -> None:
        size = self.piece or len(data)
        for start in range(0, len(data), size):
            rest = memoryview(data)[start : start + size]
            while rest:
                _check_open(sink)
                await anyio.wait_writable(sink)
                try:
                    rest = rest[sink.send(rest) :]
                except BlockingIOError:
                    continue


def reset(side: socket.socket) -> None:
    """Have a socket end with a reset when it is closed; a pair's can't."""
    if side.family != socket.AF_UNIX:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _check_open(side: socket.socket) -> None:
    """Don't wait for a socket that is closed: all such have one number, -1."""
    if side.fileno() < 0:
        raise anyio.ClosedResourceError

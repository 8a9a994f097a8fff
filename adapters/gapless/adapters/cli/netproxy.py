"""A bad network in front of any TCP server: cuts, stalls and tiny pieces, counted.

`NetProxy` owns a listening socket and copies between each connection it takes and one to the
target. A cut resets both sides at once (RST), in the middle of a frame. Writing waits for the
other side's room before more is read, so nothing piles up. What to do when is `Weather`'s; where
frames are, `FrameTracker`'s.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from .addresses import Address, spell_os_error
from .frames import FrameTracker
from .weather import Forecast, Weather

READ_SIZE = 256 * 1024
_RESET = struct.pack("ii", 1, 0)


class _Cut(Exception):
    """The place of a cut is reached."""


@dataclass(slots=True)
class _Link:
    """One connection through the proxy: the client's socket, the target's, and the time."""

    client: socket.socket
    target: socket.socket
    requests: FrameTracker
    answers: FrameTracker
    frozen_until: float = 0.0

    def is_counting(self, tracker: FrameTracker) -> bool:
        """Whether a direction counts: both do from the first frame of the answers on."""
        return self.answers.is_counting and tracker.is_counting


class NetProxy:
    """A listening proxy.

    Attributes:
        weather: what it does, and counts of what it did.
        connections: how many it has taken.
        to_client, to_target: bytes forwarded.
    """

    def __init__(self, forecast: Forecast, target: Address, report: Callable[[str], None]) -> None:
        """Prepare to forward to `target`; `report` is told of cuts and failures in words."""
        self.weather = Weather(forecast)
        self.connections = 0
        self.to_client = 0
        self.to_target = 0
        self._target = target
        self._report = report
        self._links: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listen(self, host: str, port: int) -> AsyncGenerator[Address]:
        """Forward what connects to host and port (0: any free one) until the context is left.

        Raises:
            OSError: the address can't be listened on.
        """
        listener = await _listen(host, port)
        accepting = asyncio.create_task(self._accept(listener))
        try:
            yield listener.getsockname()[:2]
        finally:
            accepting.cancel()
            for link in self._links:
                link.cancel()
            await asyncio.gather(accepting, *self._links, return_exceptions=True)
            listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors, or gone before it was taken
                self._report(f"can't take a connection: {spell_os_error(error)}")
                await asyncio.sleep(0.1)
                continue
            self.connections += 1
            task = asyncio.create_task(self._serve(client))
            self._links.add(task)
            task.add_done_callback(self._links.discard)

    async def _serve(self, client: socket.socket) -> None:
        """Carry one connection to its end."""
        with client:
            try:
                target = await _dial(self._target)
            except (OSError, UnicodeError) as error:
                _reset_on_close(client)
                why = spell_os_error(error) if isinstance(error, OSError) else str(error)
                self._report(f"can't reach the target: {why}")
                return
            with target:
                link = _Link(client, target, FrameTracker(b"GET "), FrameTracker(b"HTTP/1.1 101"))
                for side in (client, target):
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    await self._copy_both_ways(link)
                except* (_Cut, OSError):
                    _reset_on_close(client, target)

    async def _copy_both_ways(self, link: _Link) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(link, link.client, link.target))
            group.create_task(self._copy(link, link.target, link.client))

    async def _copy(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        """Copy until the source ends, then end the sink's input."""
        loop = asyncio.get_running_loop()
        calm = self.weather.forecast.is_calm
        to_client = sink is link.client
        while data := await loop.sock_recv(source, READ_SIZE):
            if calm:
                await loop.sock_sendall(sink, data)
                self._count(to_client, len(data))
            else:
                await self._copy_badly(link, data, to_client)
        with contextlib.suppress(OSError):  # it may have closed both ways already
            sink.shutdown(socket.SHUT_WR)

    async def _copy_badly(self, link: _Link, data: bytes, to_client: bool) -> None:
        """Copy piece by piece, with stalls; raise `_Cut` where one is due."""
        loop = asyncio.get_running_loop()
        weather = self.weather
        tracker = link.answers if to_client else link.requests
        sink = link.client if to_client else link.target
        start = 0
        while start < len(data):
            await self._wait_for_thaw(link)
            piece = data[start : start + weather.next_piece(len(data) - start)]
            size = self._follow(link, piece, to_client)
            if weather.is_cut_due and link.is_counting(tracker) and tracker.is_inside:
                with contextlib.suppress(OSError):  # what the buffer takes: a cut doesn't wait
                    self._count(to_client, sink.send(piece[:size]))
                weather.handle_cut()
                self._report(f"cut {weather.cuts} after {weather.counted} bytes")
                raise _Cut
            await loop.sock_sendall(sink, piece[:size])
            self._count(to_client, size)
            start += size
            await asyncio.sleep(0)

    def _follow(self, link: _Link, piece: bytes, to_client: bool) -> int:
        """Count a piece, up to the next cut; say how much of it to forward."""
        if not (to_client or link.answers.is_counting):
            return link.requests.follow(piece)
        tracker = link.answers if to_client else link.requests
        before = tracker.counted
        size = tracker.follow(piece, self.weather.bytes_to_cut())
        self.weather.receive_counted(tracker.counted - before)
        return size

    async def _wait_for_thaw(self, link: _Link) -> None:
        """Stall both ways of the link if a stall is due, or wait for one to end."""
        loop = asyncio.get_running_loop()
        stall = self.weather.next_stall()
        if stall:
            link.frozen_until = loop.time() + stall
        if (left := link.frozen_until - loop.time()) > 0:
            await asyncio.sleep(left)

    def _count(self, to_client: bool, size: int) -> None:
        if to_client:
            self.to_client += size
        else:
            self.to_target += size


async def _listen(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    listener = socket.create_server((str(address[0]), port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


async def _dial(address: Address) -> socket.socket:
    """Connect to the first address of a name that answers.

    Raises:
        OSError: none does.
    """
    loop = asyncio.get_running_loop()
    last = OSError("the name has no address")
    for family, kind, protocol, _, place in await loop.getaddrinfo(
        *address, type=socket.SOCK_STREAM
    ):
        target = socket.socket(family, kind, protocol)
        target.setblocking(False)
        try:
            await loop.sock_connect(target, place)
        except OSError as error:
            target.close()
            last = error
        except BaseException:
            target.close()
            raise
        else:
            return target
    raise last


def _reset_on_close(*sockets: socket.socket) -> None:
    """Make closing abrupt: what is on the way is dropped and the peer gets an RST."""
    for side in sockets:
        with contextlib.suppress(OSError):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

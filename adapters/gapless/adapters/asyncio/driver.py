"""The asyncio driver: dial, accept, read, write, timer. All decisions are the endpoint's.

Everything runs in the event loop's own callbacks; the only tasks are dials and questions.
"""

import asyncio
import socket
from typing import Any, cast

from gapless.adapters.driving import LINGER, WRITE_BUFFER, Pump
from gapless.adapters.opening import Route
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

from .dialer import dial
from .tasks import Tasks, join


class LinkSocket(asyncio.Protocol):
    """One link's socket. `link` is 0 until a server's endpoint has numbered it."""

    transport: asyncio.Transport

    def __init__(self, driver: "Driver[Any]", link: int = 0, wire: Wire | None = None) -> None:
        self.link = link
        self.wire = wire
        self.can_write = True
        self._driver = driver
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the link to the endpoint."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._driver.link_made(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self._driver.receive(self.link, data)

    def eof_received(self) -> None:
        """Pass the end of the stream on; the socket stays open for a last word."""
        self._driver.receive(self.link, b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the endpoint that the socket is gone."""
        if self._abort is not None:
            self._abort.cancel()
        self._driver.socket_closed(self, exc)

    def pause_writing(self) -> None:
        """Write no more for now."""
        self.can_write = False

    def resume_writing(self) -> None:
        """Go on writing."""
        self.can_write = True
        self._driver.socket_drained(self)

    def write(self, data: bytes) -> None:
        """Write behind what is waiting."""
        if not self.transport.is_closing():  # uvloop's raises where it has seen the peer go
            self.transport.write(data)

    def close(self, *, at_once: bool) -> None:
        """Close the socket behind what is written, or drop it."""
        if at_once:
            self.transport.abort()
        else:
            self.transport.close()
            self._abort = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)


class Driver(Pump[M, LinkSocket], Tasks):
    """Drives an endpoint on the running event loop.

    Args:
        endpoint: what is driven.
        route: where a client dials.
    """

    def __init__(self, endpoint: Endpoint[M], route: Route | None = None) -> None:
        super().__init__(endpoint)
        Tasks.__init__(self)
        self._route = route
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._gone = asyncio.Event()

    def now(self) -> float:
        """The time, as the endpoint is told it."""
        return self.loop.time()

    def open(self, link: int) -> None:
        """Dial for a link of a client's."""
        dial = self._dials[link] = self.start(self._dial(link))
        dial.add_done_callback(lambda _: self._dials.pop(link))

    def give_up(self, link: int) -> None:
        """Stop dialling for a link."""
        if (dial := self._dials.get(link)) is not None:
            dial.cancel()

    async def accept_stream(self, stream: socket.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        await join(LinkSocket(self, wire=wire), stream)

    def wake(self) -> None:
        """Pump soon, once: many changes in one turn of the loop go out together."""
        if self._soon is None:
            self._soon = self.loop.call_soon(self.pump)

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        super().pump()

    def set_timer(self) -> None:
        """Wake up at the endpoint's deadline."""
        deadline = None if self.is_shut else self.endpoint.next_deadline()
        if self._timer is not None:
            # uvloop's handle of a time that has passed doesn't say which.
            if deadline is not None and deadline >= getattr(self._timer, "when", self.now)():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self.loop.call_at(deadline, self.fire)

    def fire(self) -> None:
        """Time has passed."""
        self._timer = None
        super().fire()

    def all_closed(self) -> None:
        """No socket is open any more."""
        self._gone.set()

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._all_gone()
        except TimeoutError:
            pass
        finally:
            self.drop_all()
        await self._all_gone()

    async def _dial(self, link: int) -> None:
        assert self._route is not None
        if (failure := await dial(self._route, LinkSocket(self, link))) is not None:
            self.link_failed(link, failure)

    async def _all_gone(self) -> None:
        while self.sockets:
            self._gone.clear()
            await self._gone.wait()

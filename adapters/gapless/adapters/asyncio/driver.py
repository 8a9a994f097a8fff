"""The asyncio driver: dial, accept, pump, timer. All decisions are the endpoint's.

One driver serves one endpoint: a client's session, with a link or two, or a server's hub, with
thousands. `pump` is the whole of it: carry out commands, write what can be written, tell the owner,
set the timer. It runs after every input, in the event loop's own callbacks.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, cast

from gapless.adapters.dialing import socket_failure
from gapless.core.closing import Code, Ending
from gapless.core.events import CloseLink, OpenLink
from gapless.transports.endpoint import Endpoint, M

WRITE_BUFFER = 64 * 1024
"""Bytes a socket may have waiting before its link is asked for no more: about one batch."""

LINGER = 5.0
"""Seconds a closing socket may take to write its last bytes."""


class LinkProtocol(asyncio.Protocol):
    """One link's socket. `link` is 0 until a server's endpoint has numbered it."""

    transport: asyncio.Transport

    def __init__(self, driver: "Driver[Any]", link: int = 0) -> None:
        self.link = link
        self.is_paused = False
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

    def eof_received(self) -> bool:
        """Pass the end of the stream on; the socket stays open for a last word."""
        self._driver.receive(self.link, b"")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the endpoint that the socket is gone."""
        if self._abort is not None:
            self._abort.cancel()
        self._driver.socket_closed(self, exc)

    def pause_writing(self) -> None:
        """Write no more for now."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Go on writing."""
        self.is_paused = False
        self._driver.socket_drained(self)

    def close(self, *, at_once: bool) -> None:
        """Close the socket behind what is written, or drop it."""
        if at_once:
            self.transport.abort()
        else:
            self.transport.close()
            self._abort = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)


class Driver(Generic[M]):
    """Drives an endpoint on the running event loop.

    Args:
        endpoint: what is driven.
        on_change: called after each pump: look at what is ready.
        dial: makes a connection for a client: returns once the socket is open, or why it isn't.
    """

    def __init__(
        self,
        endpoint: Endpoint[M],
        on_change: Callable[[], None],
        dial: Callable[[LinkProtocol], Coroutine[Any, Any, Ending | None]] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.loop = asyncio.get_running_loop()
        self._on_change = on_change
        self._dial = dial
        self._links: dict[int, LinkProtocol] = {}
        self._sockets: set[LinkProtocol] = set()
        self._dials: dict[int, asyncio.Task[Ending | None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._gone = asyncio.Event()
        self._is_shut = False

    def now(self) -> float:
        """The time, as the endpoint is told it."""
        return self.loop.time()

    def accept(self) -> LinkProtocol:
        """Make the protocol of a connection that a server accepts."""
        return LinkProtocol(self)

    def link_made(self, protocol: LinkProtocol) -> None:
        """A socket is open: a client's for its link, a server's for a new one."""
        self._sockets.add(protocol)
        if self._is_shut:
            protocol.close(at_once=True)
            return
        if protocol.link:
            self.endpoint.open_link(protocol.link, now=self.now())
        else:
            protocol.link = self.endpoint.accept_link(now=self.now())
        self._links[protocol.link] = protocol
        self.pump()

    def receive(self, link: int, data: bytes) -> None:
        """Bytes came."""
        self.endpoint.receive_data(link, data, now=self.now())
        self.pump()

    def socket_drained(self, protocol: LinkProtocol) -> None:
        """A socket can take more."""
        self._write(protocol.link, self.now())
        self.pump()

    def socket_closed(self, protocol: LinkProtocol, error: BaseException | None) -> None:
        """A socket is gone."""
        self._sockets.discard(protocol)
        if self._links.pop(protocol.link, None) is not None:
            self.endpoint.handle_link_lost(protocol.link, socket_failure(error), now=self.now())
            self.pump()
        self._gone.set()

    def wake(self) -> None:
        """Pump soon, once: many changes in one turn of the loop go out together."""
        if self._soon is None:
            self._soon = self.loop.call_soon(self.pump)

    def changed(self) -> None:
        """The owner took something: an ack may be due, now or by time."""
        if self.endpoint.has_output:
            self.pump()
        else:
            self.set_timer()

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        now = self.now()
        self._carry_out(now)
        while (link := self.endpoint.next_writable()) is not None:
            self._write(link, now)
        self._carry_out(now)
        self._on_change()
        self.set_timer()

    def set_timer(self) -> None:
        """Wake up at the endpoint's deadline."""
        deadline = None if self._is_shut else self.endpoint.next_deadline()
        if self._timer is not None:
            if deadline is not None and deadline >= self._timer.when():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self.loop.call_at(deadline, self._fire)

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains."""
        for dial in self._dials.values():
            dial.cancel()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*self._dials.values(), return_exceptions=True)
                await self._all_gone()
        except TimeoutError:
            pass
        finally:
            self._is_shut = True
            for protocol in self._sockets:
                protocol.close(at_once=True)
            self.set_timer()
        await self._all_gone()

    def _fire(self) -> None:
        self._timer = None
        self.endpoint.handle_timeout(now=self.now())
        self.pump()

    def _carry_out(self, now: float) -> None:
        while (command := self.endpoint.poll_command(now=now)) is not None:
            if isinstance(command, OpenLink):
                self._open(command.link)
            elif isinstance(command, CloseLink):
                if (dial := self._dials.get(command.link)) is not None:
                    dial.cancel()
                if (protocol := self._links.pop(command.link, None)) is not None:
                    protocol.close(at_once=command.ending.code == Code.SILENT)

    def _write(self, link: int, now: float) -> None:
        protocol = self._links.get(link)
        while protocol is not None and not protocol.is_paused:
            if not (data := self.endpoint.data_to_send(link, WRITE_BUFFER, now=now)):
                return
            protocol.transport.write(data)

    def _open(self, link: int) -> None:
        assert self._dial is not None
        dial = self._dials[link] = self.loop.create_task(self._dial(LinkProtocol(self, link)))
        dial.add_done_callback(lambda done: self._dialled(link, done))

    def _dialled(self, link: int, dial: asyncio.Task[Ending | None]) -> None:
        del self._dials[link]
        if not dial.cancelled() and (failure := dial.result()) is not None:
            self.endpoint.handle_link_lost(link, failure, now=self.now())
            self.pump()

    async def _all_gone(self) -> None:
        while self._sockets:
            self._gone.clear()
            await self._gone.wait()

"""The asyncio driver: dial, accept, read, write, timer. All decisions are the endpoint's.

Everything runs in the event loop's own callbacks; the only tasks are dials and questions.
"""

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from gapless.adapters.asking import AskFailed
from gapless.adapters.driving import LINGER, WRITE_BUFFER, Pump
from gapless.core.closing import Ending
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Signal(asyncio.Future[None]):
    """What one task awaits, and another one sets."""

    def set(self) -> None:
        """End the wait."""
        if not self.done():
            self.set_result(None)


class LinkSocket(asyncio.Protocol):
    """One link's socket. `link` is 0 until a server's endpoint has numbered it."""

    transport: asyncio.Transport

    def __init__(self, driver: "Driver[Any]", link: int = 0, wire: Wire | None = None) -> None:
        self.link = link
        self.wire = wire
        self.can_write = True
        self.driver = driver
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the link to the endpoint."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.driver.link_made(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self.driver.receive(self.link, data)

    def eof_received(self) -> bool:
        """Pass the end of the stream on; the socket stays open for a last word."""
        self.driver.receive(self.link, b"")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the endpoint that the socket is gone."""
        if self._abort is not None:
            self._abort.cancel()
        self.driver.socket_closed(self, exc)

    def pause_writing(self) -> None:
        """Write no more for now."""
        self.can_write = False

    def resume_writing(self) -> None:
        """Go on writing."""
        self.can_write = True
        self.driver.socket_drained(self)

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


Dial = Callable[[LinkSocket], Coroutine[Any, Any, Ending | None]]
"""Makes a connection for a client: returns once the socket is open, or why it isn't."""


class Driver(Pump[M, LinkSocket]):
    """Drives an endpoint on the running event loop.

    Args:
        endpoint: what is driven.
        dial: for a client.
    """

    def __init__(self, endpoint: Endpoint[M], dial: Dial | None = None) -> None:
        super().__init__(endpoint)
        self.loop = asyncio.get_running_loop()
        self._dial = dial
        self._dials: dict[int, asyncio.Task[Ending | None]] = {}
        self._jobs: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.Handle | None = None
        self._due = 0.0
        self._soon: asyncio.Handle | None = None
        self._gone = asyncio.Event()

    def now(self) -> float:
        """The time, as the endpoint is told it."""
        return self.loop.time()

    def new_signal(self) -> Signal:
        """Make what the running task can await."""
        return Signal(loop=self.loop)

    def open(self, link: int) -> None:
        """Dial for a link of a client's."""
        assert self._dial is not None
        dial = self._dials[link] = self.loop.create_task(self._dial(LinkSocket(self, link)))
        dial.add_done_callback(lambda done: self._dialled(link, done))

    def give_up(self, link: int) -> None:
        """Stop dialling for a link."""
        if (dial := self._dials.get(link)) is not None:
            dial.cancel()

    async def accept_stream(self, stream: socket.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        await self.join(LinkSocket(self, wire=wire), stream)

    async def join(self, protocol: LinkSocket, stream: socket.socket) -> None:
        """Drive a connected socket."""
        stream.setblocking(False)
        await self.made(protocol, self.loop.connect_accepted_socket(lambda: protocol, stream))

    async def made(self, protocol: LinkSocket, connecting: Awaitable[Any]) -> None:
        """Wait until a socket is open."""
        try:
            await connecting
        except BaseException:
            # uvloop drops one that is open already without a word if the wait is cancelled.
            protocol.connection_lost(None)
            raise

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
            if deadline is not None and deadline >= self._due:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            # uvloop's handle of a time that has passed doesn't say which.
            self._timer, self._due = self.loop.call_at(deadline, self.fire), deadline

    def fire(self) -> None:
        """Time has passed."""
        self._timer = None
        super().fire()

    def all_closed(self) -> None:
        """No socket is open any more."""
        self._gone.set()

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `shut` cancels it."""
        self.adopt(self.loop.create_task(job))

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Have `shut` cancel a task."""
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def call(
        self, function: Callable[[Question], Awaitable[Answer] | Answer], question: Question
    ) -> Answer:
        """Call a function of the application's, plain or async, from a job."""
        try:
            answer = function(question)
            return cast(Answer, await answer if inspect.isawaitable(answer) else answer)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not this task was cancelled, but what it waited for: an answer like another.
            raise AskFailed("was cancelled") from None

    async def rest(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains."""
        tasks = [*self._dials.values(), *self._jobs]
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

    def _dialled(self, link: int, dial: asyncio.Task[Ending | None]) -> None:
        del self._dials[link]
        if not dial.cancelled() and (failure := dial.result()) is not None:
            self.link_failed(link, failure)

    async def _all_gone(self) -> None:
        while self.sockets:
            self._gone.clear()
            await self._gone.wait()

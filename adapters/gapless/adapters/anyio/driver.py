"""The anyio driver: dial, accept, read, write, timer. All decisions are the endpoint's.

Its tasks run in one task group, beside the block that `running` is: one reads each socket, one
writes what a socket didn't take at once, one waits for the deadline, one for `wake`. Sockets are
plain ones that don't block, TLS's too: what anyio is asked for is when they can be read or written,
so that nothing is half done at any point where a task may be cancelled.
"""

import inspect
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

import anyio

from gapless.adapters.asking import AskFailed
from gapless.adapters.driving import LINGER, Pump
from gapless.adapters.waiting import goodbye
from gapless.core.closing import Ending
from gapless.transports.endpoint import Endpoint, M
from gapless.transports.wire import Wire

READ = 64 * 1024
"""Bytes read at a time, at most."""

NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket raises that can't be read or written without a wait."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Signal:
    """What one task awaits, and another one sets."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """End the wait."""
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait until it is set."""
        return self._event.wait().__await__()


class LinkSocket:
    """One link's socket. `link` is 0 until a server's endpoint has numbered it.

    Args:
        driver: whose it is.
        stream: a connected socket that doesn't block.
        link: its number.
        wire: what a server's endpoint is to speak on it.
    """

    def __init__(
        self, driver: "Driver[Any]", stream: socket.socket, link: int = 0, wire: Wire | None = None
    ) -> None:
        self.link = link
        self.wire = wire
        self.can_write = True
        self._driver = driver
        self._stream = stream
        self._is_closing = False
        self._flushing = anyio.CancelScope()
        with suppress(OSError):  # not every stream is TCP
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    @property
    def is_open(self) -> bool:
        """Whether there is a socket still."""
        return self._stream.fileno() >= 0

    async def read(self) -> None:
        """Pass on what comes until the stream ends or is closed: a task of its own."""
        try:
            while self.is_open:
                await anyio.wait_readable(self._stream)
                try:
                    data = self._stream.recv(READ)
                except NOT_NOW:
                    continue
                except OSError as error:
                    self._drop(error)
                    return
                self._driver.receive(self.link, data)
                if not data:
                    self.close(at_once=False)
                    return
        except anyio.ClosedResourceError:
            return
        except BaseException:
            self._drop(None)
            raise

    def write(self, data: bytes) -> None:
        """Write behind what is waiting."""
        try:
            sent = self._stream.send(data)
        except OSError:
            sent = 0  # not now, or never again: `_flush` will see
        if sent < len(data):
            self.can_write = False
            self._flushing = anyio.CancelScope()
            self._driver.tasks.start_soon(self._flush, memoryview(data)[sent:])

    def close(self, *, at_once: bool) -> None:
        """Close the socket behind what is written, or drop it."""
        if at_once:
            self._drop(None)
        elif self.can_write:
            self._finish()
        else:
            self._is_closing = True
            self._flushing.deadline = self._driver.now() + LINGER

    async def _flush(self, data: memoryview) -> None:
        """Write what the socket didn't take at once."""
        error = None
        try:
            with self._flushing:
                while data:
                    await anyio.wait_writable(self._stream)
                    with suppress(*NOT_NOW):
                        data = data[self._stream.send(data) :]
        except anyio.ClosedResourceError:
            return
        except OSError as fault:
            error = fault
        finally:
            if data:
                self._drop(error)
        if self._is_closing:
            self._finish()
        elif self.is_open:
            self.can_write = True
            self._driver.socket_drained(self)

    def _finish(self) -> None:
        """Close the socket: everything is written. TLS says that this is the end."""
        if isinstance(self._stream, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self._stream.unwrap()
        self._drop(None)

    def _drop(self, error: OSError | None) -> None:
        if self.is_open:
            anyio.notify_closing(self._stream)
            self._stream.close()
            self._driver.socket_closed(self, error)


Dial = Callable[[], Coroutine[Any, Any, socket.socket | Ending]]
"""Makes a connection for a client: an open socket, or why there is none."""


class Driver(Pump[M, LinkSocket]):
    """Drives an endpoint in a task group.

    Args:
        endpoint: what is driven.
        dial: for a client.
    """

    def __init__(self, endpoint: Endpoint[M], dial: Dial | None = None) -> None:
        super().__init__(endpoint)
        self.tasks = anyio.create_task_group()
        self._dial = dial
        self._dials: dict[int, anyio.CancelScope] = {}
        self._jobs: set[anyio.CancelScope] = set()
        self._timer = anyio.CancelScope()
        self._soon = anyio.Event()
        self._gone = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Have the tasks run beside the block. What it raises, or one of them, comes out bare."""
        errors: list[BaseException] = []
        try:
            async with self.tasks:
                self.tasks.start_soon(self._keep_time)
                self.tasks.start_soon(self._keep_awake)
                try:
                    yield
                finally:
                    self.tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            cancelled = anyio.get_cancelled_exc_class()
            errors = [error for error in group.exceptions if not isinstance(error, cancelled)]
            if len(errors) != 1:
                raise
        if errors:
            raise errors[0]

    def now(self) -> float:
        """The time, as the endpoint is told it."""
        return anyio.current_time()

    def new_signal(self) -> Signal:
        """Make what the running task can await."""
        return Signal()

    def open(self, link: int) -> None:
        """Dial for a link of a client's."""
        self._dials[link] = self._begin(self._connect(link))

    def give_up(self, link: int) -> None:
        """Stop dialling for a link."""
        if (dial := self._dials.get(link)) is not None:
            dial.cancel()

    def take(self, socket: LinkSocket) -> None:
        """Read an open socket."""
        self.link_made(socket)
        if socket.is_open:
            self.tasks.start_soon(socket.read)

    async def accept_stream(self, stream: socket.socket, wire: Wire) -> None:
        """Take a connected socket as a link of a server's, which speaks `wire`."""
        stream.setblocking(False)
        self.take(LinkSocket(self, stream, wire=wire))

    def wake(self) -> None:
        """Pump soon, once: many changes in one turn of the loop go out together."""
        self._soon.set()

    def pump(self) -> None:
        """Carry out commands, write, tell the owner, set the timer."""
        if self._soon.is_set():
            self._soon = anyio.Event()
        super().pump()

    def set_timer(self) -> None:
        """Wake up at the endpoint's deadline, or before."""
        deadline = None if self.is_shut else self.endpoint.next_deadline()
        if deadline is not None and deadline < self._timer.deadline:
            self._timer.deadline = deadline

    def all_closed(self) -> None:
        """No socket is open any more."""
        self._gone.set()

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `shut` cancels it."""
        self._begin(job)

    async def call(
        self, function: Callable[[Question], Awaitable[Answer] | Answer], question: Question
    ) -> Answer:
        """Call a function of the application's, plain or async, from a job."""
        try:
            answer = function(question)
            return cast(Answer, await answer if inspect.isawaitable(answer) else answer)
        except anyio.get_cancelled_exc_class():
            if anyio.get_current_task().has_pending_cancellation():
                raise
            # Not this task was cancelled, but what it waited for: an answer like another.
            raise AskFailed("was cancelled") from None

    async def rest(self) -> None:
        """Let other tasks run."""
        await anyio.lowlevel.checkpoint()

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains.

        Cancelled, or called in a scope that is, it waits no longer than a goodbye takes.
        """
        for job in list(self._jobs):
            job.cancel()
        try:
            with anyio.move_on_after(timeout):
                await self._all_gone()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(goodbye(0.0), shield=True):
                await self._all_gone()
            raise
        finally:
            self.drop_all()

    # internals

    def _begin(self, job: Coroutine[Any, Any, None]) -> anyio.CancelScope:
        scope = anyio.CancelScope()
        self._jobs.add(scope)
        self.tasks.start_soon(self._run, scope, job)
        return scope

    async def _run(self, scope: anyio.CancelScope, job: Coroutine[Any, Any, None]) -> None:
        try:
            with scope:
                await job
        finally:
            self._jobs.remove(scope)

    async def _connect(self, link: int) -> None:
        assert self._dial is not None
        try:
            outcome = await self._dial()
        finally:
            dial = self._dials.pop(link)
        if isinstance(outcome, Ending):
            self.link_failed(link, outcome)
        elif dial.cancel_called:
            outcome.close()
        else:
            self.take(LinkSocket(self, outcome, link))

    async def _keep_time(self) -> None:
        while True:
            with self._timer:
                await anyio.sleep_forever()
            self._timer = anyio.CancelScope()
            self.fire()

    async def _keep_awake(self) -> None:
        while True:
            soon = self._soon
            await soon.wait()
            if soon is self._soon:
                self.pump()

    async def _all_gone(self) -> None:
        while self.sockets:
            if self._gone.is_set():
                self._gone = anyio.Event()
            await self._gone.wait()

"""The anyio driver: tasks, timer, waits. All decisions are the endpoint's.

Its tasks run in one task group, beside the block that `running` is: one reads each socket, one
writes what a socket didn't take at once, one waits for the deadline, one for `wake`.
"""

import asyncio
import inspect
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import anyio
import anyio.lowlevel

from gapless.adapters.asking import AskFailed
from gapless.adapters.driving import Answer, Question
from gapless.adapters.opening import Route
from gapless.adapters.sockets import Place, SocketDriver
from gapless.adapters.waiting import goodbye
from gapless.transports.endpoint import Endpoint, M


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


class Driver(SocketDriver[M]):
    """Drives an endpoint in a task group.

    Args:
        endpoint: what is driven.
        route: for a client.
    """

    def __init__(self, endpoint: Endpoint[M], route: Route | None = None) -> None:
        super().__init__(endpoint, route)
        self._time = _clock()
        self._tasks = anyio.create_task_group()
        self._jobs: set[anyio.CancelScope] = set()
        self._duties: set[anyio.CancelScope] = set()
        self._timer = anyio.CancelScope()
        self._soon = anyio.Event()
        self._gone = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Have the tasks run beside the block. What it raises, or one of them, comes out bare."""
        errors: list[BaseException] = []
        cancelled = anyio.get_cancelled_exc_class()
        try:
            async with self._tasks:
                self.attend(self._keep_time())
                self.attend(self._keep_awake())
                try:
                    yield
                except BaseException as error:
                    errors.append(error)
                finally:
                    _cancel(self._jobs | self._duties)
        except BaseExceptionGroup as faults:
            errors.extend(faults.exceptions)
        except cancelled as error:
            errors.append(error)
        # A fault cancels the block, and who is being cancelled may raise: what matters is not that.
        errors = [error for error in errors if not isinstance(error, cancelled)] or errors[:1]
        if len(errors) > 1:
            raise BaseExceptionGroup("in the block and beside it", errors)
        if errors:
            raise errors[0]

    def now(self) -> float:
        """The time, as the endpoint is told it."""
        return self._time()

    def new_signal(self) -> Signal:
        """Make what the running task can await."""
        return Signal()

    # waits

    async def readable(self, stream: socket.socket) -> None:
        """Wait until a socket can be read, or `let_go` was called for it."""
        with suppress(anyio.ClosedResourceError):
            await anyio.wait_readable(stream)

    async def writable(self, stream: socket.socket) -> None:
        """Wait until a socket can be written, or `let_go` was called for it."""
        with suppress(anyio.ClosedResourceError):
            await anyio.wait_writable(stream)

    def let_go(self, stream: socket.socket) -> None:
        """End the waits for a socket: it is about to be closed."""
        anyio.notify_closing(stream)

    async def look_up(self, host: str | None, port: int) -> Sequence[Place]:
        """Find the addresses of a host; None: all of this machine's, to listen on."""
        kind, flags = socket.SOCK_STREAM, socket.AI_PASSIVE
        with suppress(socket.gaierror):  # an address need not be looked up, which takes a thread
            numeric = flags | socket.AI_NUMERICHOST
            return [(f, at) for f, *_, at in socket.getaddrinfo(host, port, 0, kind, 0, numeric)]
        return [
            (f, at) for f, *_, at in await anyio.getaddrinfo(host, port, type=kind, flags=flags)
        ]

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    async def rest(self) -> None:
        """Let other tasks run."""
        await anyio.lowlevel.checkpoint()

    # timers and wake-ups

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

    # tasks

    def attend(self, job: Coroutine[Any, Any, None]) -> None:
        """Run what takes care of a socket; `shut` waits for it."""
        self._spawn(job, self._duties, float("inf"))

    def begin(self, job: Coroutine[Any, Any, None], timeout: float) -> anyio.CancelScope:
        """Run something beside, for `timeout` seconds at most; `shut` cancels it."""
        return self._spawn(job, self._jobs, self.now() + timeout)

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `shut` cancels it."""
        self._spawn(job, self._jobs, float("inf"))

    def _spawn(
        self, job: Coroutine[Any, Any, None], kin: set[anyio.CancelScope], deadline: float
    ) -> anyio.CancelScope:
        """Run a task. It goes on where the block is cancelled, until the peers are told."""
        scope = anyio.CancelScope(shield=True, deadline=deadline)
        kin.add(scope)
        self._tasks.start_soon(_run, job, scope, kin)
        return scope

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

    # the end

    async def shut(self, timeout: float) -> None:  # noqa: ASYNC109  # then it drops what is left
        """Stop: wait until every socket is closed, then drop what is left. No timer remains.

        Cancelled, or called in a scope that is, it waits no longer than a goodbye takes.
        """
        _cancel(self._jobs)
        try:
            with anyio.move_on_after(timeout):
                await self._all_gone()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(goodbye(0.0), shield=True):
                await self._all_gone()
            if not anyio.get_current_task().has_pending_cancellation():
                raise  # asyncio's own way to cancel says it once; a scope says it again
        finally:
            self.drop_all()

    def all_closed(self) -> None:
        """No socket is open any more."""
        self._gone.set()

    async def _all_gone(self) -> None:
        while self.sockets:
            if self._gone.is_set():
                self._gone = anyio.Event()
            await self._gone.wait()


def _clock() -> Callable[[], float]:
    """Find the running loop's clock: not at each call, and to be read behind the loop's end too."""
    loop = anyio.lowlevel.current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.time
    import trio

    return trio.lowlevel.current_clock().current_time


async def _run(
    job: Coroutine[Any, Any, None], scope: anyio.CancelScope, kin: set[anyio.CancelScope]
) -> None:
    try:
        with scope:
            # Eager tasks would begin inside the pump that starts them.
            await anyio.lowlevel.cancel_shielded_checkpoint()
            await job
    finally:
        kin.remove(scope)


def _cancel(scopes: set[anyio.CancelScope]) -> None:
    for scope in list(scopes):
        scope.cancel()

"""Tasks on asyncio: what runs beside a session or a server, and how a task waits."""

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from gapless.adapters.asking import AskFailed

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Signal(asyncio.Future[None]):
    """What one task awaits, and another one sets."""

    def set(self) -> None:
        """End the wait."""
        if not self.done():
            self.set_result(None)


class Tasks:
    """The tasks that belong to a driver."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[Any]] = set()

    def new_signal(self) -> Signal:
        """Make what the running task can await."""
        return Signal(loop=self.loop)

    def start(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; `shut` cancels it."""
        return self.adopt(self.loop.create_task(job))

    def adopt(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Have `shut` cancel a task."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

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


async def join(protocol: asyncio.Protocol, stream: socket.socket) -> None:
    """Drive a connected socket."""
    stream.setblocking(False)
    loop = asyncio.get_running_loop()
    await made(protocol, loop.connect_accepted_socket(lambda: protocol, stream))


async def made(protocol: asyncio.Protocol, connecting: Awaitable[object]) -> None:
    """Wait until a socket is open."""
    try:
        await connecting
    except BaseException:
        # uvloop drops one that is open already without a word if the wait for it is cancelled.
        protocol.connection_lost(None)
        raise

"""Hosts: the event loop a service runs in, and how calls from any thread get there.

Invariants:

1. What the service holds is touched in its loop's thread only. A call from another is handed over.
2. Nobody waits for ever: a call that comes too late raises `InvalidState`, one that the loop's end
   has overtaken, too.
3. The loop never waits for a thread of the application's.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from gapless.adapters.asyncio.tasks import Tasks
from gapless.core.errors import InvalidState

from .campaigns import Campaigns
from .subscribers import Caller

T = TypeVar("T")

CLOSED = "the service is closed; make another"


class Ground(Tasks):
    """A pool's runtime on asyncio."""

    def now(self) -> float:
        """The event loop's time."""
        return self.loop.time()

    def call_at(self, when: float, function: Callable[[], None], /) -> asyncio.TimerHandle:
        """Call a function once it is so late."""
        return self.loop.call_at(when, function)

    def start(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside, not before its turn: an eager task factory isn't asked."""
        return self.adopt(asyncio.Task(job, loop=self.loop))

    async def settle(self, excused: set[object]) -> None:
        """Wait until no task is left but this one and those excused."""
        excused = {*excused, asyncio.current_task()}
        while left := [task for task in self.tasks if task not in excused]:
            await asyncio.wait(left)


class Done(Awaitable[None]):
    """What is over already."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


Build = Callable[[Ground], "tuple[Campaigns, Caller]"]
"""Makes a service's parts in its loop."""


class LoopHost:
    """Runs a service in the running event loop."""

    def __init__(self, build: Build) -> None:
        self.ground = Ground()
        self.campaigns, self.caller = build(self.ground)
        self._thread = threading.get_ident()
        self._closing: asyncio.Task[None] | None = None
        self._excused: set[object] = set()

    @property
    def is_here(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.get_ident() == self._thread

    def ask(self, function: Callable[[], T]) -> T:
        """Run a function in the loop and return what it does."""
        loop = self.ground.loop
        if loop.is_closed():
            raise InvalidState(CLOSED)
        if self.is_here:
            return function()
        answer: Future[T] = Future()
        self._post(lambda: _answer(answer, function))
        return self._wait(answer)

    def tell(self, function: Callable[[], None]) -> None:
        """Run a function in the loop: at once if this is its thread, else soon."""
        if self.is_here and not self.ground.loop.is_closed():
            function()
        else:
            self._post(function)

    def close_from(self, where: object) -> Awaitable[None]:
        """Begin to close. From another thread: close, and return once it is done."""
        if self.ground.loop.is_closed():
            return Done()
        if self.is_here:
            return asyncio.shield(self.close(where))
        over: Future[None] = Future()
        self._post(lambda: self.close(where).add_done_callback(lambda _: over.set_result(None)))
        self._wait(over)
        return Done()

    def close(self, where: object) -> "asyncio.Task[None]":
        """Begin to close; in the loop. Who closes is in a callback `where`, or in none."""
        self._excused.add(where)
        self.campaigns.excuse(where)
        if self._closing is None:
            self._closing = self.ground.loop.create_task(self._close())
        return self._closing

    def _post(self, function: Callable[[], None]) -> None:
        try:
            self.ground.loop.call_soon_threadsafe(function)
        except RuntimeError:
            raise InvalidState(CLOSED) from None

    def _wait(self, answer: Future[T]) -> T:
        while True:
            try:
                return answer.result(timeout=1.0)
            except TimeoutError:
                if answer.done():
                    raise
                if self.ground.loop.is_closed():
                    raise InvalidState(CLOSED) from None

    async def _close(self) -> None:
        await self.campaigns.close()
        await self.ground.settle(self._excused)


class ThreadHost:
    """Runs a service in an event loop of its own, in a daemon thread."""

    def __init__(self, build: Build) -> None:
        self._ready: Future[LoopHost] = Future()
        self._stop: asyncio.Event
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(build)), name="gapless service", daemon=True
        )
        self._thread.start()
        self.host = self._ready.result()

    def close(self, where: object) -> None:
        """Close; returns once the thread has ended. Harmless if repeated."""
        host = self.host
        with suppress(InvalidState):
            host.tell(lambda: self._begin(where))
        if not host.is_here:
            self._thread.join()
            host.caller.close()

    def _begin(self, where: object) -> None:
        self.host.close(where).add_done_callback(lambda _: self._stop.set())

    async def _main(self, build: Build) -> None:
        self._stop = asyncio.Event()
        try:
            self._ready.set_result(LoopHost(build))
        except BaseException as error:
            self._ready.set_exception(error)
            return
        await self._stop.wait()


def _answer(answer: Future[T], function: Callable[[], T]) -> None:
    try:
        result = function()
    except BaseException as error:
        answer.set_exception(error)
    else:
        answer.set_result(result)

"""Pooling: carries out what core's `Pool` decides, on any runtime. It has no event loop of its own.

Each `Open` is a job that holds a session in its block until it is told to close, or the session
ends. Whoever has a lease waits for its session, then for its end.

Invariants:

1. Each `Open` is answered once, however its job ends: cancelled, also before its first step, too.
2. A key is free again only behind the block of its session: then its sockets are closed.
3. A job never runs code of the application's, but for what `connect` was given.
4. Behind `close` there is no job and no timer.
"""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from gapless.core.errors import InvalidState
from gapless.core.events import SessionEvent
from gapless.core.pool import (
    Close,
    Key,
    Lease,
    LeaseOpened,
    Open,
    Pool,
    PoolStats,
)

from .errors import SessionClosed
from .session import Session
from .waiting import Signal, Waiting

Connect = Callable[[Key], AbstractAsyncContextManager[Session]]
"""Gives the session of a key for as long as its block lasts."""

OnEvent = Callable[[Key, SessionEvent], None]
"""Is told what happens to the session of a key. It must not raise."""


class Cancellable(Protocol):
    """A job, or a timer."""

    def cancel(self) -> object:
        """Have it end early. Harmless if it is over."""
        ...


class Runtime(Protocol):
    """What a pool asks of its runtime."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def new_signal(self) -> Signal:
        """Make what the running task can await."""
        ...

    def start(self, job: Coroutine[Any, Any, None]) -> Cancellable:
        """Run something beside."""
        ...

    def call_at(self, when: float, function: Callable[[], None], /) -> Cancellable:
        """Call a function once it is so late."""
        ...


class Pooling:
    """Drives a pool of sessions.

    Args:
        runtime: runs its jobs and its timer.
        connect: makes sessions.
        pool: decides.
        on_event: follows the sessions.
    """

    def __init__(
        self, runtime: Runtime, connect: Connect, pool: Pool[Session], on_event: OnEvent
    ) -> None:
        self._runtime = runtime
        self._connect = connect
        self._pool = pool
        self._on_event = on_event
        self._jobs: dict[Key, _Job] = {}
        self._waiting: Waiting[object] = Waiting(runtime.new_signal)
        # What ended a lease that is not released yet.
        self._errors: dict[Lease[Session], Exception | None] = {}
        self._timer: Cancellable | None = None

    @property
    def sessions(self) -> list[Session]:
        """All that are open, in use or idle."""
        return [job.session for job in self._jobs.values() if job.session is not None]

    def stats(self) -> PoolStats:
        """Say what the pool holds, and has done."""
        return self._pool.stats()

    def claim(self, key: Key) -> Lease[Session]:
        """Take a share in the session of a key, at once; `ready` waits for it.

        Raises:
            PoolExhausted: as many other keys as there may be links are in use.
            InvalidState: the pool is closed.
        """
        lease = self._pool.acquire(key, now=self._runtime.now())
        self._look()
        return lease

    async def ready(self, lease: Lease[Session]) -> Session:
        """Wait for a lease's session.

        Raises:
            Exception: it can't be had; what `connect` raised.
            InvalidState: the lease was released, or the pool closed.
        """
        while not lease.is_ready:
            if lease.is_over:
                raise self._errors.get(lease) or InvalidState("the lease is over")
            await self._waiting.wait(lease)
        return lease.session

    async def ended(self, lease: Lease[Session]) -> Exception | None:
        """Wait until a lease is over; says why its session ended under it, if it did."""
        while not lease.is_over:
            await self._waiting.wait(lease)
        return self._errors.get(lease)

    async def acquire(self, key: Key) -> Lease[Session]:
        """Take a share in the session of a key, and wait for it. Cancelled, nothing is taken.

        Raises:
            PoolExhausted: as many other keys as there may be links are in use.
            InvalidState: the pool is closed.
            Exception: the session can't be had; what `connect` raised.
        """
        lease = self.claim(key)
        try:
            await self.ready(lease)
        except BaseException:
            self.release(lease)
            raise
        return lease

    def release(self, lease: Lease[Session]) -> None:
        """Give a share back. Harmless if repeated, or if the session has ended."""
        self._pool.release(lease, now=self._runtime.now())
        self._errors.pop(lease, None)
        self._waiting.wake(lease)
        self._look()

    async def close(self) -> None:
        """End every lease and every session; returns once they are gone. Harmless if repeated."""
        self._pool.close(now=self._runtime.now())
        self._look()
        while self._jobs:
            await self._waiting.wait(self)

    # internals

    def _look(self) -> None:
        """After each input: carry out commands, tell leases, set the timer."""
        while (command := self._pool.poll_command()) is not None:
            if isinstance(command, Open):
                job = self._jobs[command.key] = _Job(self._runtime.new_signal())
                job.start(self._runtime, self._hold(command.key, job))
            elif isinstance(command, Close):
                self._find(command.session).closing.set()
            else:
                self._jobs[command.key].cancel()
        while (event := self._pool.next_event()) is not None:
            if not isinstance(event, LeaseOpened):
                self._errors[event.lease] = event.error
            self._waiting.wake(event.lease)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := self._pool.next_deadline()) is not None:
            self._timer = self._runtime.call_at(deadline, self._time_out)

    def _find(self, session: Session) -> "_Job":
        return next(job for job in self._jobs.values() if job.session is session)

    def _time_out(self) -> None:
        self._timer = None
        self._pool.handle_timeout(now=self._runtime.now())
        self._look()

    async def _hold(self, key: Key, job: "_Job") -> None:
        """Carry out an `Open`: hold the session until it is to close, or ends."""
        job.has_begun = True
        error: Exception | None = InvalidState(f"the connect for {key} was given up")
        try:
            if job.is_cancelled:
                return
            async with self._connect(key) as session:
                job.session = session
                self._pool.handle_opened(key, session, now=self._runtime.now())
                self._look()
                watched = self._runtime.new_signal()
                self._runtime.start(self._watch(key, session, job.closing, watched))
                await job.closing
            await watched
            error = SessionClosed(session.core.ending)
        except Exception as failure:
            error = failure
        finally:
            del self._jobs[key]
            now = self._runtime.now()
            if job.session is None:
                assert error is not None
                self._pool.handle_failed(key, error, now=now)
            else:
                self._pool.handle_closed(job.session, error, now=now)
            self._look()
            self._waiting.wake(self)

    async def _watch(self, key: Key, session: Session, closing: Signal, watched: Signal) -> None:
        """Follow a session to its end."""
        try:
            async for event in session.events():
                self._on_event(key, event)
        finally:
            closing.set()
            watched.set()


class _Job:
    """The job of one `Open`."""

    def __init__(self, closing: Signal) -> None:
        self.closing = closing
        self.session: Session | None = None
        self.has_begun = self.is_cancelled = False
        self._handle: Cancellable | None = None

    def start(self, runtime: Runtime, job: Coroutine[Any, Any, None]) -> None:
        self._handle = runtime.start(job)

    def cancel(self) -> None:
        """End it early. Before its first step a runtime would drop it without a word."""
        self.is_cancelled = True
        if self.has_begun and self._handle is not None:
            self._handle.cancel()

"""The loop: what a thread does when it drives. One turn: prepare, select, see to what came.

Invariants:

- Everything here runs under `lock`, except the select itself. While one thread selects
  (`is_selecting`), the others may enter, and what they want of the loop they `post`.
- Only the thread that drives touches the selector and closes sockets, so no descriptor is closed,
  and given away anew, while the system still watches it. Who writes may be any thread.
- A job is a coroutine that awaits `Signal`s; it is stepped by whoever drives. Its first step always
  runs, so that what it was handed is closed by its own `finally`, however soon it is cancelled.
- What may block, a name server or a function of the application's, runs in a thread of its own,
  which touches nothing here but its own result.

Which thread drives is not decided here, but by the `Runner`.
"""

import heapq
import inspect
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from itertools import count
from typing import Any, Protocol, TypeVar

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

_LONGEST = 3600.0
"""Seconds of one select at most: the system counts milliseconds in 31 bits."""

Result = TypeVar("Result")
OnReady = Callable[[int], None]
"""Called with the events that a stream is ready for."""
Ready = list[tuple[selectors.SelectorKey, int]]
"""What a select brings."""


class Signal:
    """What a coroutine awaits, and somebody sets, once.

    Attributes:
        is_set: whether the wait is over.
        on_set: called when it ends.
    """

    __slots__ = ("is_set", "on_set")

    def __init__(self) -> None:
        self.is_set = False
        self.on_set: Callable[[], None] | None = None

    def set(self) -> None:
        """End the wait."""
        if not self.is_set:
            self.is_set = True
            if self.on_set is not None:
                self.on_set()

    def __await__(self) -> "Generator[Signal, None, None]":
        """Yield itself to whoever steps the coroutine, until it is set."""
        while not self.is_set:
            yield self


class Unlocked:
    """Gives a lock up for a block, and holds it again behind it, whatever comes in between."""

    def __init__(self, lock: "threading.RLock") -> None:
        self._lock = lock

    def __enter__(self) -> None:
        """Give it up; interrupted there, it holds it again."""
        try:
            self._lock.release()
        except BaseException:
            with suppress(RuntimeError):  # it isn't held by this thread
                self._lock.release()
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        """Take it again; a `KeyboardInterrupt` waits until that is done.

        One may come before it is held or just after: then it is given up, and taken anew.
        """
        interruption: BaseException | None = None
        while True:
            try:
                self._lock.acquire()
                break
            except BaseException as error:
                interruption = error
                with suppress(RuntimeError):  # it isn't held by this thread
                    self._lock.release()
        if interruption is not None:
            raise interruption


class Owner(Protocol):
    """Whose loop it is.

    Attributes:
        deadline: when to call `fire`; None: never.
        is_due: whether to call `pump` soon.
    """

    deadline: float | None
    is_due: bool

    def pump(self) -> None:
        """Send what there is."""
        ...

    def fire(self) -> None:
        """Time has passed."""
        ...


class Job:
    """A coroutine beside the calls: it is stepped when what it awaits is set."""

    def __init__(self, loop: "Loop", work: Coroutine[Any, Any, None]) -> None:
        self._loop = loop
        self._work = work
        loop.jobs[self] = None
        loop.post(self._step)

    def cancel(self) -> None:
        """End it where it stands. Harmless if it has ended."""
        self._loop.post(self._end)

    def _step(self) -> None:
        if self in self._loop.jobs:
            try:
                signal: Signal = self._work.send(None)
            except BaseException as end:
                del self._loop.jobs[self]
                if not isinstance(end, StopIteration):
                    raise
            else:
                signal.on_set = lambda: self._loop.post(self._step)

    def _end(self) -> None:
        if self in self._loop.jobs:
            del self._loop.jobs[self]
            self._work.close()


class Loop:
    """A selector, and what is to be done at its next turn.

    Args:
        lock: is held by whoever calls anything here.

    Attributes:
        owner: set before the first turn.
        is_selecting: whether a thread waits in the select, without the lock.
        driven: when somebody last drove.
        jobs: those that have not ended.
    """

    owner: Owner

    def __init__(self, lock: "threading.RLock") -> None:
        self._lock = lock
        self.is_selecting = False
        self.is_closed = False
        self.driven = self.now()
        self.jobs: dict[Job, None] = {}
        self._until = 0.0
        self._posted: deque[Callable[[], None]] = deque()
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._selector = selectors.DefaultSelector()
        self._ear, self._mouth = socket.socketpair()
        self._is_nudged = False
        self._ear.setblocking(False)
        self._selector.register(self._ear, READ)

    def now(self) -> float:
        """The time: monotonic seconds."""
        return time.monotonic()

    # from any thread, under the lock

    def post(self, callback: Callable[[], None]) -> None:
        """Have something called soon, by the thread that drives or the next that leaves a call."""
        self._posted.append(callback)
        self.nudge()

    def nudge(self) -> None:
        """End the select that a thread waits in, if one does."""
        if self.is_selecting and not self._is_nudged:
            self._is_nudged = True
            self._mouth.send(b"\0")

    def nudge_by(self, deadline: float | None) -> None:
        """See that nobody selects beyond a deadline."""
        if deadline is not None and deadline < self._until:
            self.nudge()

    def alarm(self, delay: float, callback: Callable[[], None]) -> None:
        """Have something called in so many seconds."""
        when = self.now() + delay
        heapq.heappush(self._alarms, (when, next(self._numbers), callback))
        self.nudge_by(when)

    def spawn(self, work: Coroutine[Any, Any, None]) -> Job:
        """Run a coroutine beside."""
        return Job(self, work)

    async def rest(self, delay: float = 0.0) -> None:
        """Wait for a turn, or so many seconds."""
        signal = Signal()
        if delay:
            self.alarm(delay, signal.set)
        else:
            self.post(signal.set)
        await signal

    async def aside(self, function: Callable[[], Result]) -> Result:
        """Call what may block in a thread of its own, which is left to itself on cancellation.

        A socket that comes too late is closed.

        Raises:
            TypeError: it gave an awaitable.
        """
        signal = Signal()
        results: list[Result] = []
        errors: list[BaseException] = []
        is_left = False

        def work() -> None:
            try:
                results.append(_plain(function()))
            except BaseException as error:  # who waits is told, whatever it is
                errors.append(error)
            with self._lock:
                signal.set()
                if is_left:
                    _drop(results)

        threading.Thread(target=work, name="gapless-aside", daemon=True).start()
        try:
            await signal
        except BaseException:
            is_left = True
            _drop(results)
            raise
        if errors:
            raise errors[0]
        return results[0]

    # from the thread that drives

    def watch(self, stream: socket.socket, events: int, on_ready: OnReady) -> None:
        """Have a function called whenever a stream is ready; no events: no more."""
        try:
            is_known = stream in self._selector.get_map()
        except ValueError:  # it was closed elsewhere, and is not watched
            return
        if not events:
            if is_known:
                self._selector.unregister(stream)
        elif is_known:
            self._selector.modify(stream, events, on_ready)
        else:
            self._selector.register(stream, events, on_ready)

    async def ready(self, stream: socket.socket, event: int) -> None:
        """Wait until a stream is ready; for jobs only."""
        signal = Signal()

        def set_signal(_: int) -> None:
            signal.set()

        self.watch(stream, event, set_signal)
        try:
            await signal
        finally:
            self.watch(stream, 0, set_signal)

    def settle(self) -> None:
        """Do all that is to be done without waiting."""
        while self._posted or self.owner.is_due:
            if self._posted:
                self._posted.popleft()()
            else:
                self.owner.pump()

    def prepare(self, until: float | None) -> None:
        """First part of a turn: do what waits for nothing, and note how long to select.

        Args:
            until: the latest that the caller is to be back.
        """
        self.settle()
        times = [self.now() + _LONGEST, until, self.owner.deadline]
        times += [when for when, *_ in self._alarms[:1]]
        self._until = min(when for when in times if when is not None)

    def select(self) -> Ready:
        """Second part: wait for something to happen, without the lock.

        What is raised here is an interruption by a signal handler; nothing is left half done.
        """
        self.is_selecting = True
        try:
            with Unlocked(self._lock):
                return self._selector.select(max(0.0, self._until - self.now()))
        finally:
            self.is_selecting = False

    def see_to(self, ready: Ready) -> None:
        """Last part: see to what has happened."""
        now = self.driven = self.now()
        if self._is_nudged:
            self._is_nudged = False
            with suppress(BlockingIOError):
                self._ear.recv(1)
        for key, events in ready:
            if key.data is not None:
                key.data(events)
        while self._alarms and self._alarms[0][0] <= now:
            heapq.heappop(self._alarms)[2]()
        if self.owner.deadline is not None and self.owner.deadline <= now:
            self.owner.fire()
        self.settle()

    def close(self) -> None:
        """End all jobs, close every stream. Harmless if repeated."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            while self.jobs or self._posted:
                for job in self.jobs:
                    job.cancel()
                while self._posted:
                    self._posted.popleft()()
        finally:
            self.jobs.clear()
            for key in list(self._selector.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()
            self._selector.close()
            self._mouth.close()


def _plain(result: Result) -> Result:
    """Refuse what would have to be awaited.

    Raises:
        TypeError: it is an awaitable.
    """
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("it gave an awaitable, which nobody here awaits; it may block instead")
    return result


def _drop(results: list[Any]) -> None:
    """Close the sockets that nobody will have."""
    for result in results:
        if isinstance(result, socket.socket):
            result.close()

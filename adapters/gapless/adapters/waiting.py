"""Waiting: tasks that wait for a thing of core's to change, and iterators made of such waits.

A wait for an event (`Waiting`) ends for all at once. A wait for room (`Turns`) ends for one at a
time: who has had its turn, however that ended, wakes the next, so that a crowd keeps its order and
doesn't look again at every change. How a task sleeps is the runtime's affair: a `Signal`.
"""

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Generator, Hashable
from typing import Any, Final, Generic, Protocol, TypeVar

CHANGE: Final = object()
"""The key of those who wait for anything at all to happen: no name of a channel."""

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Signal(Protocol):
    """What one task awaits, and another one sets, once."""

    def set(self) -> None:
        """End the wait. Harmless if repeated, or if nobody waits any more."""
        ...

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait until it is set."""
        ...


class Waiting(Generic[Key]):
    """Signals by what they wait for. A wait ends at the next `wake` of its key.

    Args:
        new_signal: makes one for the running task.
    """

    def __init__(self, new_signal: Callable[[], Signal]) -> None:
        self._new_signal = new_signal
        self._signals: dict[Key, dict[Signal, None]] = {}

    async def wait(self, key: Key) -> None:
        """Wait until `key` is woken."""
        signal = self._new_signal()
        self._signals.setdefault(key, {})[signal] = None
        try:
            await signal
        finally:
            self._drop(key, signal)

    def wake(self, key: Key) -> None:
        """End every wait for `key`."""
        for signal in self._signals.pop(key, ()):
            signal.set()

    def wake_all(self) -> None:
        """End every wait: whoever waits looks again."""
        for key in list(self._signals):
            self.wake(key)

    def _drop(self, key: Key, signal: Signal) -> None:
        signals = self._signals.get(key)
        if signals is not None:
            signals.pop(signal, None)
            if not signals:
                del self._signals[key]


class _Turn:
    """One who waits for room, and what wakes it."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal


class Turns(Generic[Key]):
    """Queues of those who wait for room, by what they wait for.

    Args:
        new_signal: makes one for the running task.

    Attributes:
        awaited: what somebody waits for; read only. Who comes for anything else may try at once.
    """

    def __init__(self, new_signal: Callable[[], Signal]) -> None:
        self._new_signal = new_signal
        self._queues: dict[Key, dict[_Turn, None]] = {}
        self.awaited: Collection[Key] = self._queues.keys()

    async def take(self, key: Key, attempt: Callable[[], Item | None]) -> Item:
        """Wait for one's turn at `key` and try, until the attempt gives something."""
        turn = _Turn(self._new_signal())
        self._queues.setdefault(key, {})[turn] = None
        try:
            while True:
                await turn.signal
                turn.signal = self._new_signal()
                found = attempt()
                if found is not None:
                    return found
        finally:
            queue = self._queues[key]
            del queue[turn]
            if not queue:
                del self._queues[key]
            self.wake(key)

    def wake(self, key: Key) -> None:
        """Give the first in a queue its turn."""
        queue = self._queues.get(key)
        if queue:
            next(iter(queue)).signal.set()

    def wake_all(self) -> None:
        """Give the first of every queue its turn; the others follow."""
        for key in list(self._queues):
            self.wake(key)


class Each(AsyncIterator[Item]):
    """Iterates over what a function returns, until that raises `StopAsyncIteration`.

    No generator: one ends for good at the first exception, and left half-way it lingers until the
    garbage collector finds it. This goes on after an exception and holds nothing.
    """

    def __init__(self, take: Callable[[], Coroutine[Any, Any, Item]]) -> None:
        self._take = take

    def __anext__(self) -> Coroutine[Any, Any, Item]:
        return self._take()


def goodbye(patience: float) -> float:
    """Say how long peers may take to answer a close, in seconds, by what its caller would wait."""
    return min(max(patience, 0.1), 2.0)

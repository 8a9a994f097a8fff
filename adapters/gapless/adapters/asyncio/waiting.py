"""Waiting: tasks that wait for a thing of core's to change, and iterators made of such waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Waiting(Generic[Key]):
    """Futures by what they wait for. A wait ends at the next `wake` of its key."""

    def __init__(self) -> None:
        self._futures: dict[Key, list[asyncio.Future[None]]] = {}

    async def wait(self, key: Key) -> None:
        """Wait until `key` is woken."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(key, []).append(future)
        try:
            await future
        finally:
            futures = self._futures.get(key)
            if futures is not None and future in futures:
                futures.remove(future)
                if not futures:
                    del self._futures[key]

    def wake(self, key: Key) -> None:
        """End every wait for `key`."""
        for future in self._futures.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def wake_all(self) -> None:
        """End every wait: whoever waits looks again."""
        for key in list(self._futures):
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

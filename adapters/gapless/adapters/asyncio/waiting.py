"""Waiting: tasks that wait for a thing of core's to change."""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


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

"""The blocking adapter, shown to the cases as one of coroutines: each call runs in a thread.

What a cancellation is elsewhere is the call's `timeout` here. Sessions and servers are driven by a
background thread of theirs, as nobody else calls while a case looks at something else.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, Final, Self

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

import gapless.adapters.blocking
from gapless.adapters.errors import ConnectError
from gapless.adapters.server import Server
from gapless.adapters.session import Session

from .runtime import Dial, Runtime

PATIENCE: Final = 9.0
"""Seconds of a call that nobody means to give up: less than a case may take."""

SOON: Final = 0.02
"""Seconds of a call that is to be given up."""

_LIMITED: Final = frozenset({"publish", "publish_many", "send", "restored", "accept"})
_UNLIMITED: Final = frozenset({"suspend", "export"})
_CONTEXTS: Final = frozenset({"subscribe", "publisher"})
_ITERATORS: Final = frozenset({"events", "alerts", "batches"})
_END: Final = object()


class Threads:
    """Makes calls in threads, and says how long each may take."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=64)
        self._seconds = ContextVar("seconds", default=PATIENCE)
        self._calls = 0
        self._last = 0

    def seconds(self) -> float:
        """How long the next call may take."""
        self._calls += 1
        return 0.001 if self._calls == self._last else self._seconds.get()

    def limit(self, seconds: float) -> Callable[[], None]:
        """Bound the calls of this task from now on; returns what ends that."""
        token = self._seconds.set(seconds)
        return lambda: self._seconds.reset(token)

    def expire_at(self, number: int) -> None:
        """Have the time be up for the `number`th call from now; 0: for none."""
        self._calls, self._last = 0, number

    def reached(self) -> bool:
        """Whether that call was made."""
        return self._calls >= self._last

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in a thread. Its own bound ends it, nothing else does."""
        loop = asyncio.get_running_loop()
        result: Any = _END
        with anyio.CancelScope(shield=True):
            result = await loop.run_in_executor(self._pool, _contained, partial(function, *args))
        if result is _END:
            raise StopAsyncIteration
        return result

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def _contained(function: Callable[[], Any]) -> Any:
    """Call it; an iteration's end can't be raised into a future."""
    try:
        return function()
    except StopIteration:
        return _END


class Shown:
    """A session, server, subscription or publisher of the blocking adapter, with coroutines."""

    def __init__(self, inner: Any, threads: Threads) -> None:
        self._inner = inner
        self._threads = threads

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        threads = self._threads
        if name in _LIMITED:
            return self._limited(found)
        if name in _UNLIMITED:
            return partial(threads.call, found)
        if name in _CONTEXTS:
            return self._context(found)
        if name in _ITERATORS:
            return lambda: ShownIterator(found, threads)
        return found

    def _limited(self, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        def call(*args: Any, **named: Any) -> Awaitable[Any]:
            seconds = self._threads.seconds()
            return self._threads.call(partial(function, *args, **named, timeout=seconds))

        return call

    def _context(self, function: Callable[..., Any]) -> Callable[..., "Shown"]:
        def call(*args: Any, **named: Any) -> Shown:
            seconds = self._threads.seconds()
            return Shown(function(*args, **named, timeout=seconds), self._threads)

        return call

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as the adapter's
        """Close it. If that is to be given up, its own timeout does it."""
        seconds = self._threads.seconds()
        if timeout is not None or seconds == PATIENCE:
            await self._threads.call(self._inner.close, timeout)
            return
        await self._threads.call(self._inner.close, seconds)
        raise TimeoutError

    async def __aenter__(self) -> Self:
        await self._threads.call(self._inner.__enter__)
        return self

    async def __aexit__(self, *error: Any) -> Any:
        seconds = self._threads.seconds()
        if seconds != PATIENCE:  # a publisher is told when it is made how long its exit may take
            vars(self._inner)["_timeout"] = seconds
        return await self._threads.call(self._inner.__exit__, *error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        seconds = self._threads.seconds()
        if (
            seconds != PATIENCE
        ):  # a subscription is told when it is made how long a message may take
            return (await self._threads.call(next, self._inner.batches(timeout=seconds)))[0]
        return await self._threads.call(next, self._inner)


class ShownIterator(AsyncIterator[Any]):
    """An iterator of the blocking adapter, made anew for each step: it holds nothing."""

    def __init__(self, make: Callable[..., Any], threads: Threads) -> None:
        self._make = make
        self._threads = threads

    async def __anext__(self) -> Any:
        return await self._threads.call(next, self._make(timeout=self._threads.seconds()))


class OnBlocking(Runtime):
    """The blocking adapter; the cases run on asyncio, in the main thread."""

    name = "blocking"
    module = gapless.adapters.blocking
    jumps = True

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._threads = Threads()
        real = time.monotonic
        try:
            anyio.run(main)
        finally:
            time.monotonic = real
            self._threads.close()

    def connect(self, place: str | Dial, **settings: Any) -> AbstractAsyncContextManager[Session]:
        seconds = self._threads.seconds()
        if seconds != PATIENCE:  # a connect has no `timeout`: these bound it
            settings["config"] = replace(settings["config"], connect_timeout=seconds)
            settings["wait"] = min(settings.get("wait", 0.0), seconds)
        if not isinstance(place, str):
            settings["url"] = partial(
                anyio.from_thread.run, place, token=anyio.lowlevel.current_token()
            )
        else:
            settings["url"] = place
        made = self.module.connect(**settings, background=True)
        return self._entered(made, is_hasty=seconds != PATIENCE)

    def serve(self, host: str | None, **settings: Any) -> AbstractAsyncContextManager[Server]:
        return self._entered(self.module.serve(host, **settings))

    @asynccontextmanager
    async def _entered(self, context: Any, *, is_hasty: bool = False) -> AsyncGenerator[Any, None]:
        call = self._threads.call
        try:
            inner = await call(context.__enter__)
        except ConnectError as error:
            if is_hasty:
                raise TimeoutError from error
            raise
        try:
            yield Shown(inner, self._threads)
        except BaseException as error:
            if not await call(context.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await call(context.__exit__, None, None, None)

    async def pause(self) -> None:
        await anyio.sleep(0.001)  # the threads get the interpreter

    async def give_up(
        self, call: Callable[[], Awaitable[object]], waits: Callable[[], bool] | None
    ) -> None:
        unlimited = self._threads.limit(SOON)
        try:
            with pytest.raises(TimeoutError):
                await call()
        finally:
            unlimited()
        assert waits is None or waits()

    async def give_up_at(self, number: int, play: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        self._threads.expire_at(number)
        try:
            await play()
        except (TimeoutError, ConnectError):  # a stream that was not given in time is the latter
            return True
        finally:
            was_made = self._threads.reached()
            self._threads.expire_at(0)
        return was_made

    async def settle(self) -> None:
        # A function of the application's runs to its end, in its thread, whoever asked for it.
        while any(thread.name == "gapless-aside" for thread in threading.enumerate()):
            await self.pause()

    def jump(self, seconds: float) -> None:
        before = time.monotonic
        time.monotonic = lambda: before() + seconds

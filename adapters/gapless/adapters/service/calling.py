"""Calling back: in the event loop, or in worker threads.

What `on_message` raises goes to `on_error`. What `on_error` raises, or what can't be told any more,
goes to the event loop's exception handler, or to `threading.excepthook`.
"""

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from gapless.adapters.asking import Ask, AskFailed
from gapless.adapters.asyncio.tasks import Tasks
from gapless.core.closing import Ending
from gapless.core.errors import GaplessError

from .subscribers import Item, OnError, OnMessage, Subscriber

TURN = 32
"""Messages told to plain callbacks before other tasks have their turn."""

IDLE = 10.0
"""Seconds a worker thread waits for another callback before it ends."""


class CallbackCancelled(GaplessError):
    """An async callback was cancelled, and not by the service."""


class InLoop:
    """Runs callbacks, plain or async, in the event loop."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def check(self, on_message: OnMessage, on_error: OnError) -> None:
        """Refuse what can't be called."""
        check_callables(on_message, on_error)

    def where(self) -> object:
        """The task this is called in."""
        return _current_task()

    async def run(self, subscriber: Subscriber, items: Sequence[Item]) -> None:
        """Tell a subscriber some items."""
        subscriber.where = _current_task()
        for number, item in enumerate(items, 1):
            if subscriber.is_over:
                return
            await self._tell(subscriber, item)
            if number % TURN == 0:
                await self._tasks.rest()

    def close(self) -> None:
        """Nothing is left behind."""

    async def _tell(self, subscriber: Subscriber, item: Item) -> None:
        try:
            if not isinstance(item, Exception):
                try:
                    await self._call(subscriber.on_message, item)
                    return
                except Exception as error:
                    item = error
            if subscriber.is_over:
                raise item
            await self._call(subscriber.on_error, item)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            context = {"message": "a callback of gapless failed", "exception": error}
            self._tasks.loop.call_exception_handler(context)

    async def _call(self, function: Callable[[Any], Awaitable[None] | None], item: Item) -> None:
        try:
            await self._tasks.call(function, item)
        except AskFailed:
            raise CallbackCancelled("the callback was cancelled") from None


class InThreads:
    """Runs plain callbacks in worker threads, made as they are needed.

    So many as callbacks run at once, and those that idle. Daemons: one that never returns keeps no
    interpreter from its end.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._changed = threading.Condition()
        self._work: deque[Callable[[], None]] = deque()
        self._idle: set[threading.Thread] = set()
        self._is_closed = False

    def check(self, on_message: OnMessage, on_error: OnError) -> None:
        """Refuse what can't be called here."""
        check_callables(on_message, on_error)
        for name, function in (("on_message", on_message), ("on_error", on_error)):
            if inspect.iscoroutinefunction(function):
                raise TypeError(f"{name} is async; runtime='thread' calls plain functions")

    def where(self) -> object:
        """The thread this is called in."""
        return threading.get_ident()

    async def run(self, subscriber: Subscriber, items: Sequence[Item]) -> None:
        """Tell a subscriber some items."""
        await self.call(lambda: _tell_all(subscriber, items))

    async def call(self, function: Callable[[], None]) -> None:
        """Run a function in a worker, and wait until it has returned. It must not raise."""
        done = self._tasks.new_signal()

        def work() -> None:
            function()
            with suppress(RuntimeError):  # the loop was closed without waiting for this one
                self._tasks.loop.call_soon_threadsafe(done.set)

        with self._changed:
            self._work.append(work)
            if len(self._work) > len(self._idle):
                threading.Thread(target=self._run, name="gapless callback", daemon=True).start()
            else:
                self._changed.notify()
        await done

    def close(self) -> None:
        """End the threads that idle, and wait for them; the others end behind their callback."""
        with self._changed:
            self._is_closed = True
            idle = list(self._idle)
            self._changed.notify_all()
        for thread in idle:
            thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Callable[[], None] | None:
        here = threading.current_thread()
        with self._changed:
            self._idle.add(here)
            self._changed.wait_for(lambda: self._work or self._is_closed, IDLE)
            self._idle.discard(here)
            return self._work.popleft() if self._work and not self._is_closed else None


def asking_in_threads(threads: InThreads, ask: Ask) -> Ask:
    """Ask a function for credentials in a worker: it may block."""

    async def answer(refused: Ending | None) -> str | None:
        found: Future[str | Awaitable[str | None] | None] = Future()

        def work() -> None:
            try:
                found.set_result(ask(refused))
            except Exception as error:
                found.set_exception(error)
            except BaseException as error:
                # In the loop it would end the loop.
                found.set_exception(AskFailed(f"failed with {type(error).__name__}: {error}"))

        await threads.call(work)
        credentials = found.result()
        if credentials is None or isinstance(credentials, str):
            return credentials
        return await credentials

    return answer


def check_callables(on_message: object, on_error: object) -> None:
    """Refuse what is no function.

    Raises:
        TypeError: it isn't.
    """
    for name, function in (("on_message", on_message), ("on_error", on_error)):
        if not callable(function):
            raise TypeError(f"{name} is {type(function).__name__}, not a function")


def _current_task() -> object:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _tell_all(subscriber: Subscriber, items: Sequence[Item]) -> None:
    subscriber.where = threading.get_ident()
    for item in items:
        if subscriber.is_over:
            break
        _tell(subscriber, item)
    subscriber.where = None


def _tell(subscriber: Subscriber, item: Item) -> None:
    try:
        if not isinstance(item, Exception):
            try:
                _call(subscriber.on_message, item)
                return
            except Exception as error:
                item = error
        if subscriber.is_over:
            raise item
        _call(subscriber.on_error, item)
    except BaseException as error:
        args = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(args))


def _call(function: Callable[[Any], object], item: Item) -> None:
    answer = function(item)
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError("a callback is async; runtime='thread' calls plain functions")

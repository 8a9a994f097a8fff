"""What the tests of the blocking adapter share: what they leave behind, and a wire to cut."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from gapless.adapters.blocking import Server, Session, Subscription

from .support import LIMIT, Forwarder

DESCRIPTORS = Path("/proc/self/fd")
Result = TypeVar("Result")


def open_descriptors() -> int:
    """How many descriptors this process has open, where that can be known."""
    return len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.exists() else 0


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until something is true."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it didn't become true"
        os.sched_yield()


@contextmanager
def beside(function: Callable[[], Result]) -> Generator["Future[Result]", None, None]:
    """Run something in a thread of its own; behind the block it has ended."""
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # whoever asks for the result gets it
            future.set_exception(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield future
    finally:
        thread.join(LIMIT)
        assert not thread.is_alive()


def all_at_once(*functions: Callable[[], object]) -> None:
    """Run each in a thread of its own, to its end."""
    with ExitStack() as threads:
        for future in [threads.enter_context(beside(function)) for function in functions]:
            future.result(LIMIT)


class Cuttable:
    """A `Forwarder`, which lives on an event loop, for threads.

    Attributes:
        url: where it listens.
    """

    def __init__(self, forwarder: Forwarder, loop: asyncio.AbstractEventLoop) -> None:
        self.url = forwarder.url
        self._forwarder = forwarder
        self._loop = loop

    @property
    def connections(self) -> int:
        """How many were taken."""
        return self._forwarder.connections

    def cut(self) -> None:
        """Reset all connections, now."""
        self.do(self._forwarder.cut)

    def take_down(self) -> None:
        """Reset all connections, and each new one at once, until `restore`."""
        self.do(self._forwarder.take_down)

    def block(self, *directions: str) -> None:
        """Let no byte through until `restore`."""
        self.do(lambda: self._forwarder.block(*directions))

    def restore(self) -> None:
        """Let everything through again."""
        self.do(self._forwarder.restore)

    def do(self, action: Callable[[], None]) -> None:
        """Do something on the forwarder's event loop."""

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(LIMIT)


@contextmanager
def forwarded(target: int, scheme: str = "ws") -> Generator[Cuttable, None, None]:
    """Put a wire that can be cut before a port."""
    made: Future[tuple[Cuttable, asyncio.Event]] = Future()

    async def forward() -> None:
        async with Forwarder(target, scheme) as forwarder:
            stop = asyncio.Event()
            made.set_result((Cuttable(forwarder, asyncio.get_running_loop()), stop))
            await stop.wait()

    with beside(lambda: asyncio.run(forward())):
        wire, stop = made.result(LIMIT)
        try:
            yield wire
        finally:
            wire.do(stop.set)


def take(messages: Subscription, count: int) -> list[int]:
    """Take so many of what `publish_numbers` published."""
    return [int(next(messages).payload) for _ in range(count)]


def publish_numbers(server: Server, channel: str, first: int, last: int) -> None:
    """Publish `first` … `last`, each as its decimal digits."""
    for number in range(first, last + 1):
        server.publish(channel, b"%d" % number, timeout=LIMIT)


def idle(end: Server | Session, seconds: float) -> None:
    """Let it look as if nobody had driven an end for so long."""
    end.runner.loop.driven -= seconds

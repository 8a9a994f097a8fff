"""A cell's world: one runtime, one wire; servers, sessions, and what stands between them.

`play` runs a case in a cell and holds what every case promises: it ends in time, and leaves no
task, thread or descriptor behind; an error that nobody caught is a failure, and so is a warning.
"""

import asyncio
import gc
import os
import socket
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

import anyio
import sniffio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from gapless.adapters.reading import Reading
from gapless.adapters.server import Server
from gapless.adapters.session import Session
from gapless.core.config import Config
from gapless.core.events import Message

from .middle import Middle
from .runtime import Runtime
from .wires import Wire, client_tls, server_tls

LIMIT: Final = 10.0
"""Seconds after which a case that waits for what doesn't come has failed."""

QUICK: Final = Config(backoff_base=0.001, backoff_cap=0.02, close_timeout=5.0)
"""A client that tries again almost at once."""

HUB: Final = replace(Config.production("hub"), close_timeout=5.0)

BRISK: Final = replace(HUB, close_timeout=0.0)
"""A hub that goes without waiting for anybody."""

Result = TypeVar("Result")


class Job(Generic[Result]):
    """A call that runs beside; made by `World.start`."""

    def __init__(self) -> None:
        self._done = anyio.Event()
        self._result: Result | None = None
        self._error: Exception | None = None
        self.is_collected = False

    @property
    def is_done(self) -> bool:
        """Whether the call has come to its end."""
        return self._done.is_set()

    async def result(self) -> Result:
        """Wait for its end; returns or raises what it returned or raised."""
        await self._done.wait()
        self.is_collected = True
        if self._error is not None:
            raise self._error
        return cast(Result, self._result)

    async def run(self, call: Callable[[], Awaitable[Result]]) -> None:
        """Make the call."""
        try:
            self._result = await call()
        except Exception as error:
            self._error = error
        finally:
            self._done.set()

    def check(self) -> None:
        """Raise an error that nobody has asked for."""
        if self._error is not None and not self.is_collected:
            raise self._error


class Held(Generic[Result]):
    """A context that is entered and left apart from others; made by `World.hold`."""

    def __init__(self, value: Result, leave: anyio.Event, life: Job[None]) -> None:
        self.value = value
        self._leave = leave
        self._life = life

    async def leave(self) -> None:
        """Leave it."""
        self._leave.set()
        await self._life.result()


Place = Server | Middle


class World:
    """What a case has at hand.

    Attributes:
        runtime, wire: the cell.
        module: the adapter.
    """

    def __init__(
        self, runtime: Runtime, wire: Wire, tasks: TaskGroup, limit: anyio.CancelScope
    ) -> None:
        self.runtime = runtime
        self.wire = wire
        self.module = runtime.module
        self._tasks = tasks
        self._limit = limit
        self._jobs: list[Job[Any]] = []

    def serve(self, config: Config = HUB, **settings: Any) -> AbstractAsyncContextManager[Server]:
        """Serve on this cell's wire."""
        if self.wire.is_secure:
            settings["ssl"] = server_tls()
        host = None if self.wire.is_memory else "127.0.0.1"
        return self.runtime.serve(host, config=config, **settings)

    async def stranger(self, server: Server) -> socket.socket:
        """Connect to a server without a word of TLS, or of anything."""
        if not self.wire.is_memory:
            return socket.create_connection(("127.0.0.1", server.port))
        ours, theirs = socket.socketpair()
        await server.accept(theirs)
        return ours

    def middle(self, target: Server | None) -> Middle:
        """Stand between clients and a server: an async context manager."""
        return Middle(target, self._tasks, listens=not self.wire.is_memory)

    def connect(
        self, place: Place, config: Config = QUICK, **settings: Any
    ) -> AbstractAsyncContextManager[Session]:
        """Connect to a server, or to one behind a middle."""
        if self.wire.is_secure:
            settings["ssl"] = client_tls()
        if not self.wire.is_memory:
            url = f"{self.wire.scheme}://127.0.0.1:{place.port}/"
            return self.runtime.connect(url, config=config, **settings)
        if isinstance(place, Middle):
            return self.runtime.connect(place.dial, config=config, **settings)

        async def dial() -> socket.socket:
            client, server = socket.socketpair()
            try:
                await place.accept(server)
            except BaseException:
                client.close()
                raise
            return client

        return self.runtime.connect(dial, config=config, **settings)

    def start(self, call: Callable[..., Awaitable[Result]], *args: Any) -> Job[Result]:
        """Make a call beside; an error of it that is not asked for fails the case."""
        job: Job[Result] = Job()
        self._jobs.append(job)
        self._tasks.start_soon(job.run, lambda: call(*args))
        return job

    async def hold(self, context: AbstractAsyncContextManager[Result]) -> Held[Result]:
        """Enter a context in a task of its own, for one that outlives another it began within."""
        entered, leave = anyio.Event(), anyio.Event()
        values: list[Result] = []

        async def live() -> None:
            try:
                async with context as value:
                    values.append(value)
                    entered.set()
                    await leave.wait()
            finally:
                entered.set()

        life = self.start(live)
        await entered.wait()
        if not values:
            await life.result()
        return Held(values[0], leave, life)

    async def pause(self, turns: int = 5) -> None:
        """Let everything else go on a little."""
        for _ in range(turns):
            await self.runtime.pause()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true."""
        while not condition():
            await self.runtime.pause()

    async def give_up(
        self,
        call: Callable[[], Awaitable[object]],
        waits: Callable[[], bool] | None = None,
    ) -> None:
        """Make a call and give it up while it waits: cancelled, or by its `timeout`."""
        await self.runtime.give_up(call, waits)

    def jump(self, seconds: float) -> None:
        """Have the clock, as the adapter reads it, jump ahead; the case's limit goes along."""
        self.runtime.jump(seconds)
        self._limit.deadline += seconds

    def end(self) -> None:
        """Raise what a job raised and nobody asked for."""
        for job in self._jobs:
            job.check()


async def enter(manager: AbstractAsyncContextManager[Result]) -> Result:
    """Enter a context that the case expects to refuse."""
    return await manager.__aenter__()


async def publish_numbers(server: Server, channel: str, numbers: Iterable[int]) -> None:
    """Publish numbers, each as its decimal digits."""
    for number in numbers:
        await server.publish(channel, b"%d" % number)


async def publish_batch(server: Server, channel: str, numbers: Iterable[int]) -> None:
    """Publish numbers in one call."""
    await server.publish_many(channel, [b"%d" % number for number in numbers])


async def take(messages: AsyncIterator[Message], count: int) -> list[int]:
    """Take so many messages, one by one; returns the numbers they carry."""
    return [int((await anext(messages)).payload) for _ in range(count)]


async def take_lists(messages: Reading, count: int) -> list[int]:
    """Take so many messages, in lists."""
    came: list[int] = []
    lists = messages.batches()
    while len(came) < count:
        came += [int(message.payload) for message in await anext(lists)]
    return came


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that holds on every runtime and every wire.

    Attributes:
        name: what it shows.
        feature: the row of the docs' table that it belongs to.
        play: shows it, or raises.
        is_main: run on every wire by the default `pytest`.
        needs_jumps: needs a clock that can jump.
    """

    name: str
    feature: str
    play: Callable[[World], Coroutine[Any, Any, None]]
    is_main: bool
    needs_jumps: bool


def play(case: Case, runtime: Runtime, wire: Wire) -> None:
    """Play a case in a cell.

    Raises:
        Exception: it doesn't hold there.
    """
    _warm_up(runtime)
    held = _holdings()
    faults: list[str] = []
    with _noting(faults):
        runtime.run(lambda: _main(case, runtime, wire, faults))
        gc.collect()
    assert not faults, faults
    left = _holdings() - held
    assert not left, f"left behind: {left}"


@cache
def _warm_up(runtime: Runtime) -> None:
    """Have a backend make what it keeps for the whole process, such as libuv's signal pipe."""
    runtime.run(checkpoint)


async def _main(case: Case, runtime: Runtime, wire: Wire, faults: list[str]) -> None:
    if sniffio.current_async_library() == "asyncio":

        def note(_: object, context: dict[str, Any]) -> None:
            if not runtime.is_excused(context):
                faults.append(repr(context))

        asyncio.get_running_loop().set_exception_handler(note)
    before = {task.id for task in anyio.get_running_tasks()}
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        try:
            with anyio.fail_after(LIMIT) as limit:
                world = World(runtime, wire, tasks, limit)
                await case.play(world)
                await runtime.settle()
            world.end()
        except BaseException as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    left = [task for task in anyio.get_running_tasks() if task.id not in before]
    assert not left, f"tasks left behind: {left}"


@contextmanager
def _noting(faults: list[str]) -> Generator[None, None, None]:
    """Note what would otherwise be printed at most: warnings, errors nobody catches."""
    unraisable, thread_error = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = lambda fault: faults.append(f"{fault.exc_value!r} in {fault.object!r}")
    threading.excepthook = lambda fault: faults.append(f"{fault.exc_value!r} in {fault.thread!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            warnings.simplefilter("error", RuntimeWarning)
            yield
    finally:
        sys.unraisablehook, threading.excepthook = unraisable, thread_error


def _holdings() -> set[str]:
    """The descriptors and threads of this process."""
    listing = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        descriptors = {f"descriptor {name}" for name in os.listdir(listing) if name != str(listing)}
    finally:
        os.close(listing)
    return descriptors | {f"thread {thread.name}" for thread in threading.enumerate()}

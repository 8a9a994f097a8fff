"""What a runtime is to the conformance suite: where its cells run, and how its calls are made.

Cases are written once, as coroutines. `Coroutines` is all that an adapter of coroutines needs; an
adapter of another kind is shown to the cases as one of coroutines by a class of its own.
"""

import socket
import types
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import ModuleType
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from gapless.adapters.server import Server
from gapless.adapters.session import Session

Result = TypeVar("Result")
Dial = Callable[[], Coroutine[Any, Any, socket.socket]]
"""Gives a client's end of a connected stream; runs where the cases run."""

TURNS: Final = 5
"""Turns of the loop after which a call that can go no further waits."""


class Runtime(ABC):
    """A runtime under test.

    Attributes:
        name: as results and docs call it.
        module: the adapter.
        jumps: whether its clock can be made to jump.
    """

    name: str
    module: ModuleType
    jumps: bool

    @abstractmethod
    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a cell to its end."""

    @abstractmethod
    def connect(self, place: str | Dial, **settings: Any) -> AbstractAsyncContextManager[Session]:
        """Connect with this adapter."""

    @abstractmethod
    def serve(self, host: str | None, **settings: Any) -> AbstractAsyncContextManager[Server]:
        """Serve with this adapter."""

    @abstractmethod
    async def pause(self) -> None:
        """Let everything else go on a little."""

    @abstractmethod
    async def give_up(
        self, call: Callable[[], Awaitable[object]], waits: Callable[[], bool] | None
    ) -> None:
        """Make a call and give it up while it waits, the way this runtime does that.

        Args:
            call: what is called. It must not have come to an end.
            waits: says that it has come as far as it can; None: it does so at once.
        """

    @abstractmethod
    async def give_up_at(self, number: int, play: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Play something, given up at its `number`th wait; say whether there was one."""

    async def settle(self) -> None:  # noqa: B027  # most have nothing to wait for
        """Wait for what the adapter says it leaves to end by itself."""

    def is_excused(self, context: dict[str, Any]) -> bool:
        """Whether what a loop's exception handler is told is the loop's own fault, and harmless."""
        return False

    def jump(self, seconds: float) -> None:
        """Have the clock, as the adapter reads it, jump ahead."""
        raise NotImplementedError


class Coroutines(Runtime):
    """A runtime whose adapter is made of coroutines, on a backend of anyio's."""

    backend: str

    def options(self) -> dict[str, Any]:
        """The backend's options for one cell."""
        return {}

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        anyio.run(main, backend=self.backend, backend_options=self.options())

    def connect(self, place: str | Dial, **settings: Any) -> AbstractAsyncContextManager[Session]:
        made: AbstractAsyncContextManager[Session] = self.module.connect(place, **settings)
        return made

    def serve(self, host: str | None, **settings: Any) -> AbstractAsyncContextManager[Server]:
        made: AbstractAsyncContextManager[Server] = self.module.serve(host, **settings)
        return made

    async def pause(self) -> None:
        await checkpoint()

    async def give_up(
        self, call: Callable[[], Awaitable[object]], waits: Callable[[], bool] | None
    ) -> None:
        scope = anyio.CancelScope()
        ended: list[object] = []

        async def run() -> None:
            with scope:
                ended.append(await call())

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            while waits is not None and not waits():
                await checkpoint()
            for _ in range(TURNS):
                await checkpoint()
            scope.cancel()
        assert not ended, "it didn't wait"

    async def give_up_at(self, number: int, play: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        waits = 0
        scope = anyio.CancelScope()

        def count() -> None:
            nonlocal waits
            waits += 1
            if waits == number:
                scope.cancel()

        with scope:
            await _counted(play(), count)
        return waits >= number


@types.coroutine
def _counted(
    inner: Coroutine[Any, Any, Result], count: Callable[[], None]
) -> Generator[Any, Any, Result]:
    """Await a coroutine, and count each time that it waits."""
    step: Callable[[], Any] = partial(inner.send, None)
    while True:
        try:
            awaited = step()
        except StopIteration as stop:
            result: Result = stop.value
            return result
        count()
        try:
            answer = yield awaited
        except BaseException as error:
            step = partial(inner.throw, error)
        else:
            step = partial(inner.send, answer)

"""The asyncio adapter, on the loop of the standard library."""

import asyncio
from typing import Any

import gapless.adapters.asyncio

from .runtime import Coroutines


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can jump, as that of a machine which was asleep."""

    _ahead = 0.0

    def time(self) -> float:
        return super().time() + self._ahead

    def jump(self, seconds: float) -> None:
        """Have the clock jump ahead."""
        self._ahead += seconds


class OnAsyncio(Coroutines):
    """The asyncio adapter."""

    name = "asyncio"
    module = gapless.adapters.asyncio
    jumps = True
    backend = "asyncio"

    def options(self) -> dict[str, Any]:
        return {"loop_factory": self.new_loop}

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Make a cell's loop."""
        return JumpingLoop()

    def jump(self, seconds: float) -> None:
        loop: Any = asyncio.get_running_loop()
        loop.jump(seconds)

"""The anyio adapter, on trio and on asyncio."""

from typing import Any

import trio
import trio.testing

import gapless.adapters.anyio

from .on_asyncio import OnAsyncio
from .runtime import Coroutines


class OnTrio(Coroutines):
    """The anyio adapter on trio, by a clock that goes as the real one does until it jumps."""

    name = "trio"
    module = gapless.adapters.anyio
    jumps = True
    backend = "trio"

    def options(self) -> dict[str, Any]:
        self._clock = trio.testing.MockClock(rate=1.0)
        return {"clock": self._clock}

    def jump(self, seconds: float) -> None:
        self._clock.jump(seconds)


class OnAnyio(OnAsyncio):
    """The anyio adapter on asyncio."""

    name = "anyio+asyncio"
    module = gapless.adapters.anyio

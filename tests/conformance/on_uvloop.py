"""The asyncio adapter, on uvloop."""

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop

from .on_asyncio import OnAsyncio


class _Timer:
    """A timer that knows when it is due by a clock that can jump."""

    def __init__(
        self,
        loop: "JumpingUvloop",
        when: float,
        callback: Callable[[], object],
        context: contextvars.Context | None,
    ) -> None:
        self._loop = loop
        self._when = when
        self._callback = callback
        self._context = context
        self._is_cancelled = False
        self._handle: Any = None
        loop.timers.add(self)
        self.arm()

    def arm(self) -> None:
        """Run out when it is due, and not before."""
        if self._handle is not None:
            self._handle.cancel()
        delay = max(0.0, self._when - self._loop.time())
        self._handle = self._loop.real_call_later(delay, self._run, context=self._context)

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self._is_cancelled = True
        self._loop.timers.discard(self)
        self._handle.cancel()

    def cancelled(self) -> bool:
        return self._is_cancelled

    def _run(self) -> None:
        self._loop.timers.discard(self)
        self._callback()


class JumpingUvloop(uvloop.Loop):
    """uvloop with a clock that can jump: its timers are set anew then, as libuv can't be told."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: set[_Timer] = set()
        self._ahead = 0.0

    def time(self) -> float:
        return super().time() + self._ahead

    def call_at(  # type: ignore[override]  # what it returns has a timer handle's methods
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        if when - self.time() < 0.0005:  # what is due has no time of its own there
            return self.call_soon(callback, *args, context=context)
        return _Timer(self, when, partial(callback, *args), context)

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def real_call_later(self, delay: float, callback: Any, *, context: Any) -> Any:
        """Set one of libuv's timers."""
        return super().call_later(delay, callback, context=context)

    def jump(self, seconds: float) -> None:
        """Have the clock jump ahead."""
        self._ahead += seconds
        for timer in list(self.timers):
            timer.arm()


class OnUvloop(OnAsyncio):
    """The asyncio adapter on uvloop."""

    name = "asyncio+uvloop"

    def is_excused(self, context: dict[str, Any]) -> bool:
        # A TLS connect that is cancelled in the turn in which the peer resets it: uvloop has made
        # the future of the handshake, waits for another one still, and never looks at it.
        is_unseen = context.get("message") == "Future exception was never retrieved"
        return is_unseen and isinstance(context.get("exception"), ConnectionResetError)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return JumpingUvloop()

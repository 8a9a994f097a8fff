"""Subscribers: who wants a campaign's messages, and what waits to be told them.

Invariants:

1. A subscriber's callbacks run one at a time and in order.
2. None begins once `is_over` is set, which any thread may do at any time.
3. What waits is one batch, its campaign's, and two errors: the newest of a try, and the final one.
   A campaign gives no next batch before all of its subscribers are done with this one.
4. Nothing here runs a callback while it looks at or changes what others see: it is the last thing a
   step does. So callbacks may call anything of the service's.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from gapless.adapters.pooling import Cancellable, Runtime
from gapless.core.events import Message

OnMessage = Callable[[Message], "Awaitable[None] | None"]
OnError = Callable[[Exception], "Awaitable[None] | None"]

Item = Message | Exception
"""What a callback is told: a message by `on_message`, an error by `on_error`."""


class Caller(Protocol):
    """Runs callbacks."""

    def check(self, on_message: OnMessage, on_error: OnError) -> None:
        """Refuse what can't be called.

        Raises:
            TypeError: it can't.
        """
        ...

    def where(self) -> object:
        """Say in which task or thread this is called, as `Subscriber.where` would be."""
        ...

    async def run(self, subscriber: "Subscriber", items: Sequence[Item]) -> None:
        """Tell a subscriber some items, one by one, while it is not over. Raises nothing."""
        ...

    def close(self) -> None:
        """Leave nothing behind, once the loop has ended."""
        ...


class Subscriber:
    """One `connect_to_campaign`.

    Args:
        on_message, on_error: the application's.
        runtime, caller: run them.
        on_change: called when it begins and ends to work.

    Attributes:
        is_over: nothing is to be told any more.
        where: the task or thread its callback runs in; None while none does.
        job: tells it what waits.
    """

    def __init__(
        self,
        on_message: OnMessage,
        on_error: OnError,
        runtime: Runtime,
        caller: Caller,
        on_change: Callable[["Subscriber"], None],
    ) -> None:
        self.on_message = on_message
        self.on_error = on_error
        self.is_over = False
        self.is_working = False
        self.where: object = None
        self._runtime = runtime
        self._caller = caller
        self._on_change = on_change
        self._batch: Sequence[Item] = ()
        self._try: Exception | None = None
        self._last: Exception | None = None
        self.job: Cancellable | None = None

    def give(self, batch: Sequence[Item]) -> None:
        """Tell it these, in order."""
        self._batch = batch
        self._begin()

    def tell(self, error: Exception) -> None:
        """Tell it of a try that failed. The newest counts: they would pile up behind a callback."""
        self._try = error
        self._begin()

    def end(self, error: Exception) -> None:
        """Tell it, behind all else, that this was the last."""
        self._last = error
        self._begin()

    def _begin(self) -> None:
        if not self.is_working:
            self.is_working = True
            self._on_change(self)
            self.job = self._runtime.start(self._work())

    async def _work(self) -> None:
        try:
            while not self.is_over and (items := self._next()):
                await self._caller.run(self, items)
        finally:
            self.is_working = False
            self._on_change(self)

    def _next(self) -> Sequence[Item]:
        if self._batch:
            batch, self._batch = self._batch, ()
            return batch
        errors = [error for error in (self._try, self._last) if error is not None]
        self._try = self._last = None
        return errors

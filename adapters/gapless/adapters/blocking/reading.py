"""Reading a channel from a thread: what a client's and a server's subscriptions have in common."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from gapless.adapters.reading import OnLost, Reading
from gapless.core.events import ChannelEvent, Lost, Message, Reset
from gapless.core.position import Position

from .runner import Runner

Item = TypeVar("Item")
Take = Callable[[], Awaitable[Item]]


class Each(Iterator[Item]):
    """Iterates over what a coroutine function returns. After an exception it goes on."""

    def __init__(self, runner: Runner, take: Take[Item], timeout: float | None) -> None:
        self._runner = runner
        self._take = take
        self._timeout = timeout

    def __next__(self) -> Item:
        """Take the next.

        Raises:
            TimeoutError: none came in time; nothing was taken.
        """
        try:
            step = cast(Coroutine[Any, Any, Item], self._take())
            return self._runner.run(step, self._timeout)
        except StopAsyncIteration:
            raise StopIteration from None


class Told(Exception):
    """A loss on its way to the application's function, which is not called under the lock."""

    def __init__(self, marker: Lost | Reset) -> None:
        self.marker = marker


def tell(marker: Lost | Reset) -> None:
    """Pass a loss on to where the lock isn't held."""
    raise Told(marker)


class _EachTelling(Each[Item]):
    """Iterates, and calls the application's function for a loss."""

    def __init__(
        self, runner: Runner, take: Take[Item], timeout: float | None, on_lost: OnLost | None
    ) -> None:
        super().__init__(runner, take, timeout)
        self._on_lost = on_lost

    def __next__(self) -> Item:
        """Take the next. What was lost before it is told, and the time begins anew."""
        while True:
            try:
                return super().__next__()
            except Told as told:
                marker = told.marker
            assert self._on_lost is not None
            self._on_lost(marker)


class BlockingReading(Iterator[Message]):
    """A context manager, and an iterator of messages. One reader at a time.

    A message is taken in the step that returns it: a wait that ended early has taken nothing.
    `on_lost` is called in the thread that reads, and may use the session.
    """

    def __init__(
        self, runner: Runner, inner: Reading, on_lost: OnLost | None, timeout: float | None
    ) -> None:
        self.channel = inner.channel
        self._runner = runner
        self._inner = inner
        self._on_lost = on_lost
        self._timeout = timeout
        self._messages = self._each(inner.__anext__, None)

    @property
    def position(self) -> Position | None:
        """The place up to which everything was taken; None before it is known."""
        return self._runner.ask(lambda: self._inner.position, is_last=True)

    def __enter__(self) -> Self:
        """Subscribe and wait for the answer.

        Raises:
            SubscribeRefused: there is no subscription to be had.
            SessionClosed: the session is over.
            InvalidState: it was entered before, or the session reads the channel already.
            TimeoutError: no answer came in time; it is not subscribed.
            NotDriven: nobody has called for longer than a heartbeat. Told once.
        """
        self._runner.run(self._inner.__aenter__(), self._timeout)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unsubscribe. What was received and not taken is dropped."""
        self._runner.run(self._inner.__aexit__(kind, error, trace), is_last=True)

    def __next__(self) -> Message:
        """Take the next message.

        Raises:
            MessagesLost: messages can't be had any more; iterating again continues after them.
            StreamReset: the channel's numbering began anew; iterating again continues after it.
            SubscribeRefused: the server has ended the subscription.
            SessionClosed: the session ended, and not by this end.
            Busy: somebody else is reading.
            InvalidState: it was not entered.
            TimeoutError: none came in time; iterating again goes on.
            NotDriven: nobody has called for longer than a heartbeat. Told once.
        """
        return next(self._messages)

    def events(self, *, timeout: float | None = None) -> Iterator[ChannelEvent]:
        """Take everything as it comes: `Message | Lost | Reset | CaughtUp`.

        Raises as iterating does, but no loss: that is one of the events.

        Args:
            timeout: seconds each may take; default: the subscription's.
        """
        return self._each(self._inner.events().__anext__, timeout)

    def batches(self, *, timeout: float | None = None) -> Iterator[list[Message]]:
        """Take messages in lists, as many as are there, without a wait for each.

        Raises as iterating does; a loss is raised where it happened, between two lists, and
        iterating again continues after it.

        Args:
            timeout: seconds each list may take; default: the subscription's.
        """
        return self._each(self._inner.batches().__anext__, timeout)

    def _each(self, take: Take[Item], timeout: float | None) -> Iterator[Item]:
        seconds = self._timeout if timeout is None else timeout
        return _EachTelling(self._runner, take, seconds, self._on_lost)

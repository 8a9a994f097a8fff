"""Reading a channel on any runtime: what a client's and a server's subscriptions have in common."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from gapless.core.errors import InvalidState
from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset
from gapless.core.position import Position

from .errors import Busy, loss_error
from .waiting import Each

OnLost = Callable[[Lost | Reset], None]


class Reading:
    """An async context manager, and an async iterator of messages. One reader at a time.

    A message is taken in the step that returns it: a cancelled wait takes nothing.
    """

    def __init__(self, channel: str, on_lost: OnLost | None) -> None:
        self.channel = channel
        self._on_lost = on_lost
        self._is_entered = False
        self._is_reading = False

    @property
    def position(self) -> Position | None:
        """The place up to which everything was taken; None before it is known."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Subscribe and wait for the answer.

        Raises:
            SubscribeRefused: there is no subscription to be had.
            SessionClosed: the session is over.
            InvalidState: it was entered before, or the session reads the channel already.
        """
        if self._is_entered:
            raise InvalidState(f"channel {self.channel!r}: enter once, then call subscribe() again")
        self._is_entered = True
        await self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unsubscribe. What was received and not taken is dropped."""
        self._leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Take the next message.

        Raises:
            MessagesLost: messages can't be had any more; iterating again continues after them.
            StreamReset: the channel's numbering began anew; iterating again continues after it.
            SubscribeRefused: the server has ended the subscription.
            SessionClosed: the session ended, and not by this end.
            Busy: somebody else is reading.
            InvalidState: it was not entered.
        """
        while True:
            event = await self._next()
            if isinstance(event, Message):
                return event
            self._report(event)

    def events(self) -> AsyncIterator[ChannelEvent]:
        """Take everything as it comes: `Message | Lost | Reset | CaughtUp`.

        Raises as iterating does, but no loss: that is one of the events.
        """
        return Each(self._next)

    def batches(self) -> AsyncIterator[list[Message]]:
        """Take messages in lists, as many as are there, without a wait for each.

        Raises as iterating does; a loss is raised where it happened, between two lists, and
        iterating again continues after it.
        """
        return Each(self._next_batch)

    async def _next_batch(self) -> list[Message]:
        return [await self.__anext__(), *self._take_batch()]

    async def _next(self) -> ChannelEvent:
        """Wait for the next message or marker, and take it in the step that returns it."""
        if not self._is_entered:
            raise InvalidState(
                f"channel {self.channel!r} isn't subscribed; enter it first, with a 'with' block"
            )
        if self._is_reading:
            raise Busy(self.channel)
        self._is_reading = True
        try:
            while (event := self._take()) is None:
                if self._is_over():
                    raise StopAsyncIteration
                await self._wait()
            return event
        finally:
            self._is_reading = False

    def _report(self, marker: Lost | Reset | CaughtUp) -> None:
        if isinstance(marker, CaughtUp):
            return
        if self._on_lost is None:
            raise loss_error(marker)
        self._on_lost(marker)

    async def _enter(self) -> None:
        raise NotImplementedError

    def _leave(self) -> None:
        raise NotImplementedError

    def _take(self) -> ChannelEvent | None:
        raise NotImplementedError

    def _take_batch(self) -> list[Message]:
        raise NotImplementedError

    def _is_over(self) -> bool:
        """Whether nothing more will come; raises if that isn't this end's doing."""
        raise NotImplementedError

    async def _wait(self) -> None:
        raise NotImplementedError

"""LocalReader: the server's own reading of one of its channels.

The same log and the same rules as a reader on a wire, without a wire: a cursor, a pin that always
holds, losses said before what follows. There is no inbox: a message is read from the history in the
step that takes it.
"""

from collections import deque

from .channel import Channel
from .events import CaughtUp, ChannelEvent, Lost, Message, Reset
from .frames import Partial, StartedOver
from .position import Position, Since


class LocalReader:
    """Reads a channel inside the server.

    Args:
        channel: what is read.
        since: where to start.
        now: seconds.
    """

    def __init__(self, channel: Channel, since: Since, *, now: float) -> None:
        self.channel = channel
        self._markers: deque[Lost | Reset] = deque()
        self._epoch = channel.epoch
        self._cursor = channel.head
        self._place(since)
        self._caught_up_at: int | None = channel.head
        channel.pin(self, self._cursor, now=now)

    @property
    def position(self) -> Position:
        """The place up to which everything was taken."""
        return Position(self._epoch, self._cursor)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take."""
        fresh = self._cursor < self.channel.head or self._caught_up_at is not None
        return bool(self._markers) or fresh or self._epoch != self.channel.epoch

    @property
    def is_at_message(self) -> bool:
        """Whether a message, not a marker, is to be taken next."""
        held = self.channel.history.first <= self._cursor + 1 <= self.channel.head
        marked = self._caught_up_at is not None and self._cursor >= self._caught_up_at
        return held and not marked and not self._markers and self._epoch == self.channel.epoch

    def next_event(self, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker; None if there is none."""
        channel = self.channel
        if self._epoch != channel.epoch:
            self._start_over("epoch", now)
        if self._markers:
            return self._markers.popleft()
        if self._caught_up_at is not None and self._cursor >= self._caught_up_at:
            self._caught_up_at = None
            return CaughtUp(channel.name, self.position)
        if self._cursor >= channel.head:
            return None
        if self._cursor + 1 < channel.history.first:
            first, self._cursor = self._cursor + 1, channel.middle()
            channel.ack(self, self._cursor, now=now)
            return Lost(channel.name, self._epoch, first, self._cursor, channel.dropped_reason)
        self._cursor += 1
        payload, text, publisher, _ = channel.history.entry(self._cursor)
        channel.ack(self, self._cursor, now=now)
        return Message(channel.name, self._epoch, self._cursor, payload, text, publisher)

    def leave(self) -> None:
        """Stop reading: the pin ends."""
        self.channel.unpin(self)

    def _place(self, since: Since) -> None:
        channel = self.channel
        self._cursor, outcome = channel.place(since, channel.history.first - 1)
        if isinstance(outcome, StartedOver):
            self._markers.append(Reset(channel.name, self.position, outcome.reason))
        elif isinstance(outcome, Partial):
            first, last, reason = outcome.first, outcome.last, outcome.reason
            self._markers.append(Lost(channel.name, self._epoch, first, last, reason))

    def _start_over(self, reason: str, now: float) -> None:
        channel = self.channel
        self._epoch = channel.epoch
        self._cursor = channel.history.first - 1
        self._caught_up_at = channel.head
        self._markers.clear()
        self._markers.append(Reset(channel.name, self.position, reason))
        channel.pin(self, self._cursor, now=now)

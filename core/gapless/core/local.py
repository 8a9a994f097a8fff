"""LocalReader: the server's own reading of one of its channels.

The same log and the same rules as a reader on a wire, without a wire: a cursor, a pin that always
holds, losses said before what follows. There is no inbox: a message is read from the history in the
step that takes it, or from the one batch that the store has read for a cursor below the history.
"""

from collections import deque

from .channel import Channel
from .events import CaughtUp, ChannelEvent, Lost, Message, Reset
from .fetch import Fetch
from .frames import Partial, StartedOver
from .position import Position, Since
from .receiver import MESSAGE_BYTES

LOCAL_BYTES = 2048
"""Bytes a reader takes beside what the store has read for it."""


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
        self._fetch = Fetch()
        self._fetched: deque[bytes] = deque()
        self._fetched_text = False
        self._place(since)
        self._caught_up_at: int | None = channel.head
        channel.pin(self, self._cursor, now=now)

    @property
    def memory(self) -> int:
        """Bytes it takes."""
        fetched = sum(map(len, self._fetched)) + MESSAGE_BYTES * len(self._fetched)
        return LOCAL_BYTES + self._fetch.held_bytes + fetched

    @property
    def position(self) -> Position:
        """The place up to which everything was taken."""
        return Position(self._epoch, self._cursor)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to take."""
        if self._markers or self._is_at_mark or self._epoch != self.channel.epoch:
            return True
        return self._cursor < self.channel.head and not self._waits

    @property
    def is_at_message(self) -> bool:
        """Whether a message, not a marker, is to be taken next."""
        if self._markers or self._is_at_mark or self._epoch != self.channel.epoch:
            return False
        if self._fetched or self._fetch.has(self._cursor):
            return True
        return self.channel.history.first <= self._cursor + 1 <= self.channel.head

    def next_read(self) -> int | None:
        """Say after which number the store should be read for this reader; asked for once."""
        return self._fetch.ask(self._cursor) if self._waits else None

    def handle_history(self, payloads: list[bytes], text: bool, after: int) -> None:
        """Take what the store read after `after`; nothing: it can't be had any more."""
        self._fetch.answer(after, payloads, text)

    def next_event(self, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker; None if there is none."""
        channel = self.channel
        if self._epoch != channel.epoch:
            self._start_over("epoch", now)
        if self._markers:
            return self._markers.popleft()
        if self._is_at_mark:
            self._caught_up_at = None
            return CaughtUp(channel.name, self.position)
        if self._cursor >= channel.head or self._waits:
            return None
        if self._fetch.has(self._cursor):
            payloads, self._fetched_text = self._fetch.take()
            self._fetched.extend(payloads)
        first = self._cursor + 1
        if not self._fetched and first < channel.history.first:
            self._cursor = channel.next_held(self._cursor)
            channel.ack(self, self._cursor, now=now)
            return Lost(channel.name, self._epoch, first, self._cursor, channel.losses.why(first))
        self._cursor = first
        channel.ack(self, first, now=now)
        if self._fetched:
            payload = self._fetched.popleft()
            return Message(channel.name, self._epoch, first, payload, self._fetched_text)
        payload, text, publisher, _ = channel.history.entry(first)
        return Message(channel.name, self._epoch, first, payload, text, publisher)

    def leave(self) -> None:
        """Stop reading: the pin ends."""
        self.channel.unpin(self)

    @property
    def _is_at_mark(self) -> bool:
        return self._caught_up_at is not None and self._cursor >= self._caught_up_at

    @property
    def _waits(self) -> bool:
        """Whether what comes next must be read from the store first."""
        channel, cursor = self.channel, self._cursor
        if self._fetched or not channel.first <= cursor + 1 < channel.history.first:
            return False
        return not self._fetch.has(cursor) and not self._fetch.is_refused(cursor)

    def _place(self, since: Since) -> None:
        channel = self.channel
        self._cursor, outcome = channel.place(since, channel.first - 1)
        if isinstance(outcome, StartedOver):
            self._markers.append(Reset(channel.name, self.position, outcome.reason))
        elif isinstance(outcome, Partial):
            first, last, reason = outcome.first, outcome.last, outcome.reason
            self._markers.append(Lost(channel.name, self._epoch, first, last, reason))

    def _start_over(self, reason: str, now: float) -> None:
        channel = self.channel
        self._epoch = channel.epoch
        self._cursor = channel.first - 1
        self._caught_up_at = channel.head
        self._fetch = Fetch()
        self._fetched.clear()
        self._markers.clear()
        self._markers.append(Reset(channel.name, self.position, reason))
        channel.pin(self, self._cursor, now=now)

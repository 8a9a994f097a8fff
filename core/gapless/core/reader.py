"""Reader: a cursor in a hub's channel, for one session on one link.

One log, one reader path (rule 6): a reader only reads the history by cursor; live means that the
head moved. Nothing is copied for it and nothing is merged, so a reader costs the same whether it
is a second or a thousand messages behind. What it can't have any more it is told with `gone`
before the data that follows: on a live link it goes on at the middle of the history, in the answer
to `subscribe` at the earliest held.
"""

import enum
from collections.abc import Hashable
from itertools import takewhile

from .channel import Channel
from .credit import MESSAGE_CHARGE
from .fetch import Fetch
from .frames import (
    Ack,
    Data,
    Ended,
    Frame,
    Gone,
    PinTerms,
    Subscribe,
    Subscribed,
)
from .position import Since
from .violation import Violation


class ReaderPhase(enum.Enum):
    """Where a reader stands: its answer is due, it reads, or its end is due."""

    ASKED = "asked"
    LIVE = "live"
    ENDING = "ending"
    ENDED = "ended"


class Reader:
    """One session's reading of one channel on its present link.

    Args:
        channel: what is read.
        owner: whose pin it moves.
        frame: the `subscribe` it answers.
        pins: whether it may hold back rotation.
        max_message: bytes of the largest payload the peer takes.
    """

    def __init__(
        self, channel: Channel, owner: Hashable, frame: Subscribe, *, pins: bool, max_message: int
    ) -> None:
        self.channel = channel
        self.request = frame.request
        self.name = frame.channel
        self.phase = ReaderPhase.ASKED
        self._owner = owner
        self._limit = frame.limit
        self._max_message = max_message
        self._sent = 0
        self._cursor = 0
        self._pins = pins
        self._since: Since = frame.since
        self._ended: Ended | None = None
        self._fetch = Fetch()

    @property
    def cursor(self) -> int:
        """The number of the last message sent or declared gone."""
        return self._cursor

    @property
    def held_bytes(self) -> int:
        """Bytes that the store has read for it and that are not sent yet."""
        return self._fetch.held_bytes

    @property
    def is_caught_up(self) -> bool:
        """Whether the reader has been sent all there is."""
        live = self.phase is ReaderPhase.LIVE and self._cursor < self.channel.head
        return not live and self.phase is not ReaderPhase.ASKED

    def next_read(self) -> int | None:
        """Say after which number the store should be read for this reader; asked for once."""
        below = self._cursor + 1 < self.channel.history.first
        if self.phase is not ReaderPhase.LIVE or not below or self._sent >= self._limit:
            return None
        return self._fetch.ask(self._cursor)

    # inputs

    def receive_ack(self, frame: Ack, *, now: float) -> None:
        """Take what the reader took, and how much more it can take."""
        if frame.seq > self._cursor:
            raise Violation(f"ack {frame.seq} beyond {self._cursor}, the last sent")
        self._limit = max(self._limit, frame.limit)

    def handle_history(self, payloads: list[bytes], text: bool, after: int) -> None:
        """Take what the store read after `after`; nothing: it can't be had any more."""
        self._fetch.answer(after, payloads, text)

    def handle_link_lost(self, *, now: float) -> None:
        """A reader ends with its link; its pin doesn't."""

    def next_deadline(self) -> float | None:
        """A reader has no timer."""
        return None

    def handle_timeout(self, *, now: float) -> None:
        """A reader has no timer."""

    def end(self, reason: str, again: bool) -> None:
        """Stop: the channel's numbering is over, or the subscription is."""
        if self.phase is ReaderPhase.LIVE:
            self.phase = ReaderPhase.ENDING
            self._ended = Ended(self.channel.id, reason, again)
        elif self.phase is ReaderPhase.ASKED:
            # Unanswered, its id was never given on the link: `ended` would be a violation.
            self.phase = ReaderPhase.ENDED

    # outputs

    def next_control(self, *, now: float) -> Frame | None:
        """Take the answer to `subscribe`, or the end of the subscription."""
        if self.phase is ReaderPhase.ASKED:
            self.phase = ReaderPhase.LIVE
            return self._answer(now)
        if self.phase is ReaderPhase.ENDING:
            self.phase = ReaderPhase.ENDED
            return self._ended
        return None

    def next_data(self, *, now: float) -> Frame | None:
        """Take the next batch there is credit for, or the `gone` before it."""
        if self.phase is not ReaderPhase.LIVE or self._cursor >= self.channel.head:
            return None
        first = self._cursor + 1
        is_fetched = first < self.channel.history.first
        if is_fetched and not self._fetch.has(self._cursor):
            return self._behind()
        if self._sent >= self._limit:
            return None
        if is_fetched:
            batch = Data(self.channel.id, first, *self._fetch.take())
        else:
            batch = self.channel.batch(first)
        if max(map(len, batch.payloads)) > self._max_message:
            return self._without_giants(batch)
        return self._send(batch)

    # internals

    def _answer(self, now: float) -> Subscribed:
        channel = self.channel
        channel.expire(now=now)
        self._cursor, outcome = channel.place(self._since, channel.first - 1)
        pin = None
        if self._pins:
            channel.pin(self._owner, self._cursor, now=now)
            settings = channel.settings
            pin = PinTerms(int(settings.patience * 1000), settings.history_messages)
        return Subscribed(
            self.request, channel.id, channel.epoch, self._cursor + 1, channel.head, pin, outcome
        )

    def _behind(self) -> Frame | None:
        """The history no longer holds what comes next: the store may, or it is gone."""
        channel = self.channel
        if channel.first <= self._cursor + 1 and not self._fetch.is_refused(self._cursor):
            return None
        first, self._cursor = self._cursor + 1, channel.next_held(self._cursor)
        return Gone(channel.id, first, self._cursor, channel.losses.why(first))

    def _send(self, batch: Data) -> Data:
        self._cursor = batch.first + len(batch.payloads) - 1
        self._sent += batch.size + MESSAGE_CHARGE * len(batch.payloads)
        return batch

    def _without_giants(self, batch: Data) -> Frame:
        """Send what comes before a message the peer can't take; then say it is gone."""
        fitting = list(takewhile(lambda one: len(one) <= self._max_message, batch.payloads))
        if fitting:
            return self._send(Data(batch.id, batch.first, fitting, batch.text))
        self._cursor += 1
        return Gone(self.channel.id, self._cursor, self._cursor, "too large")

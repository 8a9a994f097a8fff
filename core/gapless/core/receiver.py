"""Receiver: the inbound side of a channel — once, in order, or said to be lost.

A message moves the position only if it is the next; an older one is a duplicate, a later one a
gap, and neither changes anything (I6, I7): the answer to a gap is asking again from the position,
so an adversary's high number costs nothing. Besides messages only `receive_gone` and `restart`
move the position, and each leaves a marker in the inbox where the application will meet it, before
any later message (P2).

What is received and not yet taken is the inbox. Markers merge while nothing lies between them, so
their number is bounded by the number of messages.

It knows nothing of links, credit or acks, and can be used under any sequenced protocol.
"""

import enum
from collections import deque
from dataclasses import dataclass

from .credit import MESSAGE_CHARGE, charge
from .errors import InvalidState
from .events import CaughtUp, ChannelEvent, Lost, Message, Reset
from .position import Position

MESSAGE_BYTES = 48
"""Bytes a message in the inbox takes beside its payload."""

RUN_BYTES = 192
"""Bytes a run of messages takes in the inbox, or a marker."""

MARKERS = 3
"""Runs or markers that are counted with the owner: what is left when all messages are dropped."""

_MERGE = 128


class Verdict(enum.Enum):
    """What a batch was, seen from the position."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    GAP = "gap"


@dataclass(slots=True)
class Run:
    """Messages in the inbox: `payloads[index:]` are unread, numbered from `first` + index."""

    epoch: str
    first: int
    payloads: list[bytes]
    text: bool
    index: int = 0

    @property
    def last(self) -> int:
        """The number of the last message."""
        return self.first + len(self.payloads) - 1


class Receiver:
    """Dedup, gap detection and the inbox of one channel.

    Args:
        channel: the name put into messages and markers.
        position: where reading starts, or None if the sender will say.
    """

    __slots__ = (
        "_channel",
        "_epoch",
        "_held_bytes",
        "_held_messages",
        "_inbox",
        "_next",
        "_resets",
        "_taken_epoch",
        "_taken_seq",
        "duplicates",
        "lost",
        "taken_messages",
    )

    def __init__(self, channel: str, position: Position | None = None) -> None:
        self._channel = channel
        self._inbox: deque[Run | Lost | Reset | CaughtUp] = deque()
        self._epoch: str | None = None
        self._next = 1
        self._taken_epoch: str | None = None
        self._taken_seq = 0
        self._held_bytes = 0
        self._held_messages = 0
        self._resets = 0
        self.duplicates = 0
        self.lost = 0
        self.taken_messages = 0
        if position is not None:
            self.start(position)

    @property
    def position(self) -> Position | None:
        """The last message received, without a hole before it; None before `start`."""
        return None if self._epoch is None else Position(self._epoch, self._next - 1)

    @property
    def taken(self) -> Position | None:
        """The place up to which the application has taken everything; None before `start`."""
        return None if self._taken_epoch is None else Position(self._taken_epoch, self._taken_seq)

    @property
    def ack_seq(self) -> int:
        """What may be acknowledged in the epoch of the position: taken, never more (P5).

        While a `Reset` waits in the inbox that is the number the new epoch started at.
        """
        if self._resets:
            newest = next(item for item in reversed(self._inbox) if isinstance(item, Reset))
            return newest.position.seq
        return self._taken_seq

    @property
    def held_bytes(self) -> int:
        """Charged bytes in the inbox: payload + 32 a message."""
        return self._held_bytes

    @property
    def memory(self) -> int:
        """Bytes the inbox takes, with what it costs to hold it, above what its owner counts.

        So a peer that says what is lost takes no memory that isn't there (P3).
        """
        messages = (MESSAGE_BYTES - MESSAGE_CHARGE) * self._held_messages
        runs = max(0, len(self._inbox) - MARKERS)
        return self._held_bytes + messages + RUN_BYTES * runs

    @property
    def held_messages(self) -> int:
        """Messages in the inbox."""
        return self._held_messages

    @property
    def resets(self) -> int:
        """How many resets wait in the inbox."""
        return self._resets

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be taken, neither message nor marker."""
        return not self._inbox

    @property
    def is_at_marker(self) -> bool:
        """Whether a marker, not a message, is to be taken next."""
        return bool(self._inbox) and not isinstance(self._inbox[0], Run)

    def start(self, position: Position) -> None:
        """Adopt the place where reading starts; what was before is not missed."""
        self._epoch, self._next = position.epoch, position.seq + 1
        self._taken_epoch, self._taken_seq = position.epoch, position.seq

    def receive(self, first: int, payloads: list[bytes], text: bool) -> Verdict:
        """Take a batch numbered `first`, `first` + 1, … of the position's epoch.

        Raises:
            InvalidState: there is no position yet.
        """
        if self._epoch is None:
            raise InvalidState(f"channel {self._channel!r} has no position yet; start it first")
        expected = self._next
        if first != expected or not payloads:
            if first > expected:
                return Verdict.GAP
            known = expected - first
            self.duplicates += min(known, len(payloads))
            if known >= len(payloads):
                return Verdict.DUPLICATE
            payloads = payloads[known:]
        self._next = expected + len(payloads)
        self._held_messages += len(payloads)
        self._held_bytes += charge(payloads)
        self._store(expected, payloads, text)
        return Verdict.ACCEPTED

    def receive_gone(self, first: int, last: int, reason: str) -> Verdict:
        """Take the sender's word that `first` … `last` won't come.

        Raises:
            InvalidState: there is no position yet.
        """
        if self._epoch is None:
            raise InvalidState(f"channel {self._channel!r} has no position yet; start it first")
        if last < self._next:
            return Verdict.DUPLICATE
        if first > self._next:
            return Verdict.GAP
        was_caught_up = self._drop_caught_up()
        first = self._next
        self.lost += last - first + 1
        tail = self._inbox[-1] if self._inbox else None
        if isinstance(tail, Lost):
            self._inbox.pop()
            first, reason = tail.first, tail.reason
        self._inbox.append(Lost(self._channel, self._epoch, first, last, reason))
        self._next = last + 1
        if was_caught_up:
            # Behind the loss, not before it: so losses merge, and the mark isn't lost with them.
            self.mark_caught_up()
        return Verdict.ACCEPTED

    def restart(self, position: Position, reason: str) -> None:
        """Go on after `position`, which need not have anything to do with the old one."""
        while self._inbox and not isinstance(self._inbox[-1], Run):
            self._forget_marker(self._inbox.pop())
        self._inbox.append(Reset(self._channel, position, reason))
        self._resets += 1
        self._epoch, self._next = position.epoch, position.seq + 1

    def mark_caught_up(self) -> None:
        """Leave a `CaughtUp` at the position: the replay ends here."""
        position = self.position
        assert position is not None
        self._drop_caught_up()
        self._inbox.append(CaughtUp(self._channel, position))

    def drop_newest(self, size: int) -> int:
        """Forget the newest unread messages of a run, as many as free `size` charged bytes.

        The markers behind them go too, and the position goes back before them, so that they will be
        asked for again. Returns the charged bytes that became free: less than `size` if the run has
        no more, 0 if no message is held.
        """
        if not self._held_messages:
            return 0
        while True:
            item = self._inbox.pop()
            if isinstance(item, Run):
                break
            self._forget_marker(item)
        freed, keep = 0, len(item.payloads)
        while keep > item.index and freed < size:
            keep -= 1
            freed += len(item.payloads[keep]) + MESSAGE_CHARGE
        self._held_messages -= len(item.payloads) - keep
        self._held_bytes -= freed
        if keep > item.index:
            del item.payloads[keep:]
            self._inbox.append(item)
        position = self._end_of_inbox()
        self._epoch, self._next = position.epoch, position.seq + 1
        return freed

    def drop_all(self) -> None:
        """Forget the whole inbox: nobody will take it. What was taken stays."""
        self._inbox.clear()
        self._held_messages = self._held_bytes = self._resets = 0

    def next_event(self) -> ChannelEvent | None:
        """Take the next message or marker; None if the inbox is empty."""
        if not self._inbox:
            return None
        item = self._inbox[0]
        if not isinstance(item, Run):
            self._inbox.popleft()
            self._take_marker(item)
            return item
        payload = item.payloads[item.index]
        seq = item.first + item.index
        item.payloads[item.index] = b""  # taken: held by the application alone from now on
        item.index += 1
        if item.index == len(item.payloads):
            self._inbox.popleft()
        self._held_messages -= 1
        self._held_bytes -= len(payload) + MESSAGE_CHARGE
        self.taken_messages += 1
        self._taken_epoch, self._taken_seq = item.epoch, seq
        return Message(self._channel, item.epoch, seq, payload, item.text)

    def next_run(self) -> Run | None:
        """Take the messages up to the next marker at once, as numbers and payloads.

        None if the inbox is empty or a marker is next: `next_event` takes that.
        """
        if not self._inbox or not isinstance(self._inbox[0], Run):
            return None
        run = self._inbox[0]
        self._inbox.popleft()
        if run.index:
            run = Run(run.epoch, run.first + run.index, run.payloads[run.index :], run.text)
        self._held_messages -= len(run.payloads)
        self._held_bytes -= charge(run.payloads)
        self.taken_messages += len(run.payloads)
        self._taken_epoch, self._taken_seq = run.epoch, run.last
        return run

    def next_batch(self) -> list[Message]:
        """Take the messages up to the next marker at once; empty if there is none before it."""
        run = self.next_run()
        if run is None:
            return []
        channel, epoch, text = self._channel, run.epoch, run.text
        return [
            Message(channel, epoch, seq, payload, text)
            for seq, payload in enumerate(run.payloads, run.first)
        ]

    def _store(self, first: int, payloads: list[bytes], text: bool) -> None:
        tail = self._inbox[-1] if self._inbox else None
        if (
            isinstance(tail, Run)
            and not tail.index
            and tail.text is text
            and len(tail.payloads) + len(payloads) <= _MERGE
        ):
            tail.payloads.extend(payloads)
            return
        assert self._epoch is not None
        # A list of its own: the frame's may be shared by all readers of the channel (P7).
        self._inbox.append(Run(self._epoch, first, list(payloads), text))

    def _take_marker(self, marker: Lost | Reset | CaughtUp) -> None:
        if isinstance(marker, Lost):
            self._taken_seq = marker.last
        elif isinstance(marker, Reset):
            self._resets -= 1
            self._taken_epoch, self._taken_seq = marker.position.epoch, marker.position.seq

    def _forget_marker(self, marker: Run | Lost | Reset | CaughtUp) -> None:
        if isinstance(marker, Reset):
            self._resets -= 1
        elif isinstance(marker, Lost):
            self.lost -= marker.last - marker.first + 1

    def _drop_caught_up(self) -> bool:
        found = bool(self._inbox) and isinstance(self._inbox[-1], CaughtUp)
        if found:
            self._inbox.pop()
        return found

    def _end_of_inbox(self) -> Position:
        if self._inbox:
            item = self._inbox[-1]
            if isinstance(item, Run | Lost):
                return Position(item.epoch, item.last)
            return item.position
        assert self._taken_epoch is not None
        return Position(self._taken_epoch, self._taken_seq)

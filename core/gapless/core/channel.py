"""Channel: one log at the hub, and what happens at its bound (design section 7).

Messages above the lowest pin's ack are neither rotated nor aged nor shed (`Pins`); readers are
handed the same `Batches`.
"""

import enum
from collections.abc import Hashable
from dataclasses import dataclass, replace

from .batches import Batches
from .config import Overflow, check_setting
from .errors import ConfigError, MessageTooLarge
from .frames import Data, Live, Outcome, Partial, Recovered, StartedOver
from .history import History
from .losses import Losses
from .outbox import BATCH_BYTES, BATCH_MESSAGES
from .pins import Pins
from .position import Position, Since

EPOCHS_REMEMBERED = 8
"""Epochs a channel has left that it would know again."""

CHANNEL_BYTES = 2048
"""Bytes a channel takes beside its messages, pins and batches."""


class Admission(enum.Enum):
    """Whether a message can be appended now."""

    ROOM = "room"
    WAIT = "wait"
    REJECT = "reject"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How a channel keeps messages; see `Config` for units."""

    history_messages: int
    history_bytes: int
    history_age: float | None
    overflow: Overflow
    patience: float

    def changed(self, **fields: object) -> "ChannelSettings":
        """Copy with some fields changed.

        Raises:
            ConfigError: there is no such field, or its value is out of range.
        """
        for name, value in fields.items():
            if name not in self.__slots__:
                raise ConfigError(f"a channel has no {name!r}; it has {', '.join(self.__slots__)}")
            check_setting(name, value)
        return replace(self, **fields)  # type: ignore[arg-type]  # checked right above


class Channel:
    """A hub's channel.

    Args:
        name: its name.
        number: its id on the wire, the same for all readers.
        epoch: the incarnation of its numbering.
        settings: bounds, overflow, patience.
        head: the last number given before now.
        stored_first: the oldest number the store can still read.
    """

    def __init__(
        self,
        name: str,
        number: int,
        epoch: str,
        settings: ChannelSettings,
        *,
        head: int = 0,
        stored_first: int | None = None,
    ) -> None:
        self.name = name
        self.id = number
        self.epoch = epoch
        self.settings = settings
        self.history = History(
            max_messages=settings.history_messages,
            max_bytes=settings.history_bytes,
            max_age=settings.history_age,
            head=head,
        )
        self.losses = Losses()
        self.reader_count = 0
        self.is_told = True
        self._left: dict[str, None] = {}
        self._stored_first = stored_first
        self.pins = Pins(self.history, settings.patience)
        self.batches = Batches()
        self.in_flight = 0
        self.in_use = 0

    @property
    def head(self) -> int:
        """The number of the newest message."""
        return self.history.head

    @property
    def first(self) -> int:
        """The number of the oldest message that can be read, here or in the store."""
        if self._stored_first is None:
            return self.history.first
        return min(self._stored_first, self.history.first)

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost if the hub forgot the channel."""
        is_used = len(self.pins) or len(self.history) or self.reader_count or self.in_use
        return not is_used

    @property
    def memory(self) -> int:
        """Bytes it takes, but for its pins and batches."""
        return CHANNEL_BYTES + self.history.memory + self.in_flight

    @property
    def chunk_bounds(self) -> tuple[int, int]:
        """Messages and bytes to append at once, at most.

        A quarter of the history: what a pin leaves free, that can enter.
        """
        settings = self.settings
        messages = min(BATCH_MESSAGES, max(1, settings.history_messages // 4))
        return messages, min(BATCH_BYTES, max(1, settings.history_bytes // 4))

    def configure(self, settings: ChannelSettings) -> None:
        """Change bounds and policies; a smaller bound rotates at the next publish."""
        self.settings = settings
        self.history.max_messages = settings.history_messages
        self.history.max_bytes = settings.history_bytes
        self.history.max_age = settings.history_age
        self.pins.patience = settings.patience

    # pins

    def pin(self, owner: Hashable, acked: int, *, now: float) -> None:
        """Hold back rotation for a reader, unless it does already."""
        self.pins.add(owner, acked, now=now)

    def unpin(self, owner: Hashable) -> None:
        """End a reader's hold."""
        self.pins.remove(owner)

    def is_pinned_by(self, owner: Hashable) -> bool:
        """Whether a reader has a pin, lapsed or not."""
        return owner in self.pins

    def next_lapse(self) -> float | None:
        """When the first pin that holds the oldest message lapses, or None."""
        return self.pins.next_lapse()

    def ack(self, owner: Hashable, seq: int, *, now: float) -> bool:
        """Move a reader's pin; True if that may have made room: it was the last to hold back."""
        return self.pins.ack(owner, seq, now=now)

    # appending

    def admit(self, size: int, count: int = 1, *, now: float) -> Admission:
        """Make room for `count` messages of `size` bytes together, or say why there is none."""
        history = self.history
        if history.max_age is not None:
            self.expire(now=now)
        if size > history.max_bytes or count > history.max_messages:
            return Admission.TOO_LARGE
        first = history.first
        while not history.make_room(size, count, self.pins.floor):
            if self.pins.holds(history.first, now=now):
                if self.settings.overflow != "rotate":
                    self._note_dropped(first)
                    waits = self.settings.overflow == "wait"
                    return Admission.WAIT if waits else Admission.REJECT
                history.drop_oldest()
        self._note_dropped(first)
        return Admission.ROOM

    def admit_some(self, payloads: list[bytes], max_message: int, *, now: float) -> Admission:
        """Make room for as many of the payloads as can be appended together; cut off the others."""
        largest = min(max_message, self.settings.history_bytes)
        for index, payload in enumerate(payloads):
            if len(payload) > largest:
                del payloads[max(index, 1) :]
                break
        if len(payloads[0]) > largest:
            return Admission.TOO_LARGE
        verdict = self.admit(sum(map(len, payloads)), len(payloads), now=now)
        if verdict is Admission.REJECT:
            fitting = self.fitting(payloads)
            if fitting:
                del payloads[fitting:]
                verdict = Admission.ROOM
        return verdict

    def fitting(self, payloads: list[bytes]) -> int:
        """How many of the payloads, from the first on, fit beside what is held."""
        size = 0
        for count, payload in enumerate(payloads):
            size += len(payload)
            if not self.history.has_room(size, count + 1):
                return count
        return len(payloads)

    def append_now(self, payload: bytes, text: bool, *, now: float) -> int:
        """Admit and append one message of the hub's own, if that takes no more than a rotation.

        Returns its number, or 0: ask `admit`. The path of nearly every publish, in one step.
        """
        history = self.history
        if history.max_age is not None or len(payload) > history.max_bytes:
            return 0
        first = history.first
        fits = history.make_room(len(payload), 1, self.pins.floor)
        if history.first != first:
            self.losses.note("stalled" if self.pins.is_any_lapsed else "rotated", first)
        return history.append(payload, text, None, now=now) if fits else 0

    def append(
        self, payloads: list[bytes], text: bool, publisher: str | None, *, now: float
    ) -> int:
        """Append a batch that was admitted; returns the number of its last message."""
        if len(payloads) == 1:
            return self.history.append(payloads[0], text, publisher, now=now)
        return self.history.extend(payloads, text, publisher, now=now)

    def expire(self, *, now: float) -> None:
        """Drop what is too old and not pinned."""
        history = self.history
        while (at := history.expires_at()) is not None and at <= now:
            if self.pins.holds(history.first, now=now):
                return
            self.losses.note("expired", history.first)
            history.drop_oldest()

    def shed(self) -> bool:
        """Drop all that no pin needs, to free memory; False if there is nothing."""
        history = self.history
        if history.first > history.head or self.pins.needs(history.first):
            return False
        self.losses.note("shed", history.first)
        history.drop_through(self.pins.floor)
        return True

    def is_known_as(self, epoch: str) -> bool:
        """Whether a store that names this epoch means the present one.

        One that hasn't been told of an epoch made here still names one that was left.
        """
        return epoch == self.epoch or (not self.is_told and epoch in self._left)

    def was_called(self, epoch: str) -> bool:
        """Whether an epoch is the present one or was left: it never comes back."""
        return epoch == self.epoch or epoch in self._left

    def start_over(self, epoch: str, head: int, stored_first: int) -> None:
        """Begin a new epoch: the store is not the one the old numbers were made under."""
        self._left[self.epoch] = None
        if len(self._left) > EPOCHS_REMEMBERED:
            del self._left[next(iter(self._left))]
        self.epoch = epoch
        self.history.drop_through(self.history.head)
        self.history.renumber(head + 1)
        self._stored_first = stored_first
        self.losses.clear()
        self.batches.clear()
        self.pins.clear()

    def skip_to(self, seq: int) -> None:
        """Number the next message `seq`: what lies before it is in the store, not here."""
        self._stored_first = self.first
        self.history.drop_through(self.history.head)
        self.history.renumber(seq)
        self.batches.clear()

    def set_stored_first(self, seq: int) -> None:
        """Take from the store which number is the oldest it can read."""
        self._stored_first = seq

    # reading

    def batch(self, seq: int) -> Data:
        """Read the batch that starts at `seq`, which is held: one object for all its readers."""
        kept = self.batches.find(seq, self.head)
        if kept is not None:
            return kept
        payloads, text = self.history.batch(seq, BATCH_MESSAGES, BATCH_BYTES)
        batch = Data(self.id, seq, payloads, text)
        is_full = len(payloads) == BATCH_MESSAGES or seq + len(payloads) - 1 < self.head
        self.batches.keep(batch, is_full=is_full)
        return batch

    def place(self, since: Since, oldest: int) -> tuple[int, Outcome]:
        """Say after which number a reader begins, and what its position came to (rules 6, 10).

        `oldest` is the number before the oldest it can be given.
        """
        head = self.head
        if isinstance(since, Position):
            if since.epoch != self.epoch:
                return oldest, StartedOver("epoch")
            if since.seq > head:
                return head, StartedOver("ahead")
            if since.seq < oldest:
                return oldest, Partial(since.seq + 1, oldest, self.losses.why(since.seq + 1))
            cursor = since.seq
        else:
            cursor = head if since == "latest" else oldest
        return cursor, Recovered(head - cursor) if cursor < head else Live()

    def middle(self) -> int:
        """Where a reader that fell off the tail goes on: after this number."""
        history = self.history
        return history.first - 1 + len(history) // 2

    def next_held(self, cursor: int) -> int:
        """After which number a reader goes on that can't have what follows its cursor (rule 6).

        With the oldest that the store still has, or in the middle of the history.
        """
        stored, held = self.first - 1, self.history.first - 1
        return stored if cursor < stored < held else self.middle()

    # internals

    def _note_dropped(self, before: int) -> None:
        """Say why messages went, if any did since `before` was the oldest."""
        if self.history.first != before:
            self.losses.note("stalled" if self.pins.is_any_lapsed else "rotated", before)


def batch_too_large(name: str, count: int, size: int, settings: ChannelSettings) -> MessageTooLarge:
    """Make the error for a batch that no history of these bounds can hold."""
    return MessageTooLarge(
        f"{count} messages of {size} bytes together can't fit into channel {name!r}: its history "
        f"holds {settings.history_messages} messages, {settings.history_bytes} bytes"
    )

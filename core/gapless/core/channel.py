"""Channel: one log at the hub, its readers' pins, and what happens at its bound (design 7).

A pin is a reader that holds back rotation: messages above the lowest pin's ack are neither rotated
nor aged. It is moved only by its reader's acks, and it lapses while something untaken has waited
for `patience` seconds without an ack moving; having nothing to take never ends it. A lapsed pin
holds again once its reader acks a place that the history still reaches.

Lapses are found when they matter: when a publish needs the room. Nothing else depends on them.
"""

import enum
from collections.abc import Hashable
from dataclasses import dataclass, replace

from .config import Overflow, check_setting
from .errors import ConfigError
from .frames import Data, Live, Outcome, Partial, Recovered, StartedOver
from .history import History
from .outbox import BATCH_BYTES, BATCH_MESSAGES
from .position import Position, Since

EPOCHS_REMEMBERED = 8
"""Epochs a channel has left that it would know again."""

CACHED_BATCHES = 8
"""Batches kept so that readers a little behind the head are handed the same object."""


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


@dataclass(slots=True)
class Pin:
    """A reader's hold: everything above `acked` is needed, since `moved_at` at least."""

    acked: int
    moved_at: float
    lapsed: bool = False


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
        self.dropped_reason = "rotated"
        self.reader_count = 0
        self.is_told = True
        self._left: dict[str, None] = {}
        self._stored_first = stored_first
        self._pins: dict[Hashable, Pin] = {}
        self._floor = 0
        self._lapsed = 0
        self._batches: dict[int, tuple[Data, bool]] = {}

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
        return not self._pins and not len(self.history) and not self.reader_count

    def configure(self, settings: ChannelSettings) -> None:
        """Change bounds and policies; a smaller bound rotates at the next publish."""
        self.settings = settings
        self.history.max_messages = settings.history_messages
        self.history.max_bytes = settings.history_bytes
        self.history.max_age = settings.history_age

    # pins

    def pin(self, owner: Hashable, acked: int, *, now: float) -> None:
        """Hold back rotation for a reader, unless it does already."""
        if owner not in self._pins:
            self._floor = min(self._floor, acked) if self._pins else acked
            self._pins[owner] = Pin(acked, now)

    def unpin(self, owner: Hashable) -> None:
        """End a reader's hold."""
        pin = self._pins.pop(owner, None)
        if pin is not None and pin.lapsed:
            self._lapsed -= 1

    def is_pinned_by(self, owner: Hashable) -> bool:
        """Whether a reader has a pin, lapsed or not."""
        return owner in self._pins

    def ack(self, owner: Hashable, seq: int, *, now: float) -> bool:
        """Move a reader's pin; True if that may have made room: it was the last to hold back."""
        pin = self._pins.get(owner)
        if pin is None or seq <= pin.acked:
            return False
        # `_floor` is never above what is held back, and exact since somebody last found no room.
        held_back = not pin.lapsed and pin.acked <= self._floor
        pin.acked = seq
        pin.moved_at = now
        if pin.lapsed and seq >= self.history.first - 1:
            pin.lapsed = False
            self._lapsed -= 1
            self._floor = min(self._floor, seq)
        return held_back

    def next_lapse(self) -> float | None:
        """When the first pin that holds the oldest message lapses, or None."""
        first, head = self.history.first, self.history.head
        lapses = [
            self._lapses_at(pin)
            for pin in self._pins.values()
            if not pin.lapsed and pin.acked < first <= head
        ]
        return min(lapses, default=None)

    # appending

    def admit(self, size: int, count: int = 1, *, now: float) -> Admission:
        """Make room for `count` messages of `size` bytes together, or say why there is none."""
        history = self.history
        if history.max_age is not None:
            self.expire(now=now)
        if size > history.max_bytes or count > history.max_messages:
            return Admission.TOO_LARGE
        first = history.first
        while not history.make_room(size, count, self._floor if self._pins else history.head):
            if not self._may_drop(history.first, now):
                if self.settings.overflow != "rotate":
                    self._note_dropped(first)
                    waits = self.settings.overflow == "wait"
                    return Admission.WAIT if waits else Admission.REJECT
                history.drop_oldest()
        self._note_dropped(first)
        return Admission.ROOM

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
        fits = history.make_room(len(payload), 1, self._floor if self._pins else history.head)
        if history.first != first:
            self.dropped_reason = "stalled" if self._lapsed else "rotated"
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
            if not self._may_drop(history.first, now):
                return
            history.drop_oldest()
            self.dropped_reason = "expired"

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
        self._batches.clear()
        self._pins.clear()
        self._lapsed = 0
        self._floor = 0

    def skip_to(self, seq: int) -> None:
        """Number the next message `seq`: what lies before it is in the store, not here."""
        self._stored_first = self.first
        self.history.drop_through(self.history.head)
        self.history.renumber(seq)
        self._batches.clear()

    def set_stored_first(self, seq: int) -> None:
        """Take from the store which number is the oldest it can read."""
        self._stored_first = seq

    # reading

    def batch(self, seq: int) -> Data:
        """Read the batch that starts at `seq`, which is held: one object for all its readers."""
        cached = self._batches.get(seq)
        if cached is not None:
            batch, is_full = cached
            if is_full or seq + len(batch.payloads) - 1 == self.head:
                return batch
        payloads, text = self.history.batch(seq, BATCH_MESSAGES, BATCH_BYTES)
        batch = Data(self.id, seq, payloads, text)
        is_full = len(payloads) == BATCH_MESSAGES or seq + len(payloads) - 1 < self.head
        self._batches.pop(seq, None)
        self._batches[seq] = (batch, is_full)
        if len(self._batches) > CACHED_BATCHES:
            del self._batches[next(iter(self._batches))]
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
                return oldest, Partial(since.seq + 1, oldest, self.dropped_reason)
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
            self.dropped_reason = "stalled" if self._lapsed else "rotated"

    def _may_drop(self, seq: int, now: float) -> bool:
        """Whether no pin needs message `seq`, the oldest. Pins that have lapsed don't count."""
        if not self._pins or self._floor >= seq:
            return True
        holding: list[int] = []
        for pin in self._pins.values():
            if pin.lapsed:
                continue
            if pin.acked < seq and now >= self._lapses_at(pin):
                pin.lapsed = True
                self._lapsed += 1
                continue
            holding.append(pin.acked)
        self._floor = min(holding, default=self.head)
        return self._floor >= seq

    def _lapses_at(self, pin: Pin) -> float:
        """When the oldest message, which the pin needs, will have waited for `patience`."""
        since = self.history.appended_at(self.history.first)
        return max(pin.moved_at, since) + self.settings.patience

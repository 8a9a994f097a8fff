"""Pins: the readers of a channel that hold back rotation (design section 7).

A pin needs everything above its ack: that is neither rotated nor aged nor shed. It is moved only by
its reader's acks, and it lapses while something untaken has waited for `patience` seconds without
an ack moving; having nothing to take never ends it. A lapsed pin holds again once its reader acks a
place that the history still reaches.

Lapses are found when they matter: when a publish needs the room, or the hub the memory. Nothing
else depends on them. `_floor` is never above what is held back, and exact since `holds` last said
that something is, so that asking again costs nothing.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from .history import History

PIN_BYTES = 256
"""Bytes a pin takes."""


@dataclass(slots=True)
class Pin:
    """A reader's hold: everything above `acked` is needed, since `moved_at` at least."""

    acked: int
    moved_at: float
    lapsed: bool = False


class Pins:
    """All pins of one channel.

    Args:
        history: what they hold back.
        patience: seconds until a pin that doesn't move lapses.
    """

    __slots__ = ("_floor", "_history", "_lapsed", "_pins", "patience")

    def __init__(self, history: History, patience: float) -> None:
        self.patience = patience
        self._history = history
        self._pins: dict[Hashable, Pin] = {}
        self._floor = 0
        self._lapsed = 0

    def __len__(self) -> int:
        return len(self._pins)

    def __contains__(self, owner: Hashable) -> bool:
        return owner in self._pins

    @property
    def memory(self) -> int:
        """Bytes they take."""
        return PIN_BYTES * len(self._pins)

    @property
    def is_any_lapsed(self) -> bool:
        """Whether a reader is known to have stalled."""
        return self._lapsed > 0

    @property
    def floor(self) -> int:
        """A number up to which no pin needs anything: all, if there is none."""
        return self._floor if self._pins else self._history.head

    def next_lapse(self) -> float | None:
        """When the first pin that holds the oldest message lapses, or None."""
        first, head = self._history.first, self._history.head
        lapses = [
            self._lapses_at(pin)
            for pin in self._pins.values()
            if not pin.lapsed and pin.acked < first <= head
        ]
        return min(lapses, default=None)

    # commands

    def add(self, owner: Hashable, acked: int, *, now: float) -> None:
        """Hold back rotation for a reader, unless it does already."""
        if owner not in self._pins:
            self._floor = min(self._floor, acked) if self._pins else acked
            self._pins[owner] = Pin(acked, now)

    def remove(self, owner: Hashable) -> None:
        """End a reader's hold."""
        pin = self._pins.pop(owner, None)
        if pin is not None and pin.lapsed:
            self._lapsed -= 1

    def clear(self) -> None:
        """End all: what they held back is of a numbering that was left."""
        self._pins.clear()
        self._floor = self._lapsed = 0

    def ack(self, owner: Hashable, seq: int, *, now: float) -> bool:
        """Move a reader's pin; True if that may have made room: it was the last to hold back."""
        pin = self._pins.get(owner)
        if pin is None or seq <= pin.acked:
            return False
        held_back = not pin.lapsed and pin.acked <= self._floor
        pin.acked = seq
        pin.moved_at = now
        if pin.lapsed and seq >= self._history.first - 1:
            pin.lapsed = False
            self._lapsed -= 1
            self._floor = min(self._floor, seq)
        return held_back

    def holds(self, seq: int, *, now: float) -> bool:
        """Whether a pin needs message `seq`, the oldest. Who has stalled lapses here."""
        if not self._pins or self._floor >= seq:
            return False
        for pin in self._pins.values():
            if not pin.lapsed and pin.acked < seq and now >= self._lapses_at(pin):
                pin.lapsed = True
                self._lapsed += 1
        return self.needs(seq)

    def lapse_stalled(self, *, now: float) -> bool:
        """Let pins lapse that need the oldest message and have stalled; False if there is none."""
        first, head = self._history.first, self._history.head
        before = self._lapsed
        if first <= head and self._floor < head:
            self._floor = min(self._floor, first - 1)
            self.holds(first, now=now)
        return self._lapsed > before

    def needs(self, seq: int) -> bool:
        """Whether a pin that hasn't lapsed needs message `seq`, the oldest. None lapses here."""
        if not self._pins or self._floor >= seq:
            return False
        holding = [pin.acked for pin in self._pins.values() if not pin.lapsed]
        self._floor = min(holding, default=self._history.head)
        return self._floor < seq

    # internals

    def _lapses_at(self, pin: Pin) -> float:
        """When the oldest message, which the pin needs, will have waited for `patience`."""
        since = self._history.appended_at(self._history.first)
        return max(pin.moved_at, since) + self.patience

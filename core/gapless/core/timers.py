"""Deadlines of many things in one heap, cheap to move later, exact when they fire.

Moving a deadline later costs nothing: the old entry stays and fires early, finds it isn't time yet
and is set again. So a heartbeat moved by every read is one heap entry, not one a read.
Invariant (I12): after `pop_due(now)` the next deadline is later than `now`.
"""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

SMALL = 32
"""Entries of a heap that is swept at once."""

Key = TypeVar("Key", bound=Hashable)


class Timers(Generic[Key]):
    """At most one deadline per key; keys fire in the order of their deadlines."""

    __slots__ = ("_armed", "_count", "_heap")

    def __init__(self) -> None:
        self._armed: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._armed)

    def next_deadline(self) -> float | None:
        """The earliest time anything may be due; sooner than true if a key has moved on."""
        return self._heap[0][0] if self._heap else None

    def set(self, key: Key, deadline: float | None) -> None:
        """Arm a key, or disarm it with None. An earlier entry is kept and fires early."""
        if deadline is None:
            if self._armed.pop(key, None) is not None:
                self._tidy()
            return
        armed = self._armed.get(key)
        if armed is None or deadline < armed:
            self._armed[key] = deadline
            self._count += 1
            heapq.heappush(self._heap, (deadline, self._count, key))
            if len(self._heap) > 64 + 4 * len(self._armed):
                self._sweep()

    def pop_due(self, now: float) -> list[Key]:
        """Disarm and return every key whose time has come."""
        due: list[Key] = []
        while self._heap and self._heap[0][0] <= now:
            deadline, _, key = heapq.heappop(self._heap)
            if self._armed.get(key) == deadline:
                del self._armed[key]
                due.append(key)
        self._tidy()
        return due

    def _tidy(self) -> None:
        """Drop the earliest entries that nothing fires for; in a small heap, all such.

        So a session, which has few timers, keeps none of what is over.
        """
        heap, armed = self._heap, self._armed
        if len(heap) <= SMALL:
            if len(heap) != len(armed):
                self._sweep()
            return
        while heap and armed.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if self._armed.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)

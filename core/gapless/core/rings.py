"""Holders in rings: how a `MemoryBudget` finds whom to name, in constant time and little memory.

A holder stands in exactly one ring, linked through its own slots, so that it can leave or change
rings in no time and costs the same wherever it stands. The rings of one kind of holder are a
`Group`, which keeps the kind's sums too. Nothing here knows a threshold or the time.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Holder = TypeVar("Holder", bound=Hashable)

SHELVES = 51
"""One for each doubling of a size up to 2**50, the highest limit there can be."""


class Entry(Generic[Holder]):
    """A holder: six slots, a float, an int and a place in a dict are what it costs."""

    __slots__ = ("after", "before", "held", "holder", "ring", "since")

    def __init__(self, holder: Holder, ring: "Ring[Holder]", since: float) -> None:
        self.holder = holder
        self.ring = ring
        self.held = 0
        self.since = since
        self.before: Entry[Holder] | None = None
        self.after: Entry[Holder] | None = None

    def settle(self) -> None:
        """Go to the ring where it belongs, if it is another one; who was named isn't any more."""
        ring = self.ring.group.ring_for(self.held)
        if ring is not self.ring:
            self.stand_in(ring)

    def stand_in(self, ring: "Ring[Holder]") -> None:
        """Go to the end of a ring, and be as young as the last one there: so it stays sorted."""
        self.ring.remove(self)
        if ring.last is not None and ring.last.since > self.since:
            self.since = ring.last.since
        ring.append(self)


class Ring(Generic[Holder]):
    """Holders in a row, linked through themselves: any can leave in no time."""

    __slots__ = ("first", "group", "last")

    def __init__(self, group: "Group[Holder]") -> None:
        self.group = group
        self.first: Entry[Holder] | None = None
        self.last: Entry[Holder] | None = None

    def append(self, entry: Entry[Holder]) -> None:
        """Put at the end one that has left its ring."""
        entry.ring, entry.before, entry.after = self, self.last, None
        if self.last is None:
            self.first = entry
        else:
            self.last.after = entry
        self.last = entry

    def remove(self, entry: Entry[Holder]) -> None:
        """Take one out that stands here."""
        before, after = entry.before, entry.after
        if before is None:
            self.first = after
        else:
            before.after = after
        if after is None:
            self.last = before
        else:
            after.before = before


class Group(Generic[Holder]):
    """A kind: its sums, and its holders in rings: the empty, the named, and the rest on shelves.

    By age there is one shelf. By size there is one for each doubling, made when it is first needed,
    so that a holder changes shelves seldom, and the fullest is found to a factor of two.

    Args:
        by_size: whether the fullest is to be found; else the first in the row.

    Attributes:
        count: holders.
        held: bytes they hold.
        victims: how many were named.
        freed: bytes they released when named.
    """

    __slots__ = (
        "count",
        "empty",
        "freed",
        "held",
        "is_by_size",
        "named",
        "shelves",
        "victims",
    )

    def __init__(self, *, by_size: bool) -> None:
        self.is_by_size = by_size
        self.count = self.held = self.victims = self.freed = 0
        self.empty: Ring[Holder] = Ring(self)
        self.named: Ring[Holder] = Ring(self)
        self.shelves: dict[int, Ring[Holder]] = {} if by_size else {0: Ring(self)}

    def ring_for(self, held: int) -> Ring[Holder]:
        """Say where one belongs that holds so much and isn't named."""
        if not held:
            return self.empty
        if not self.is_by_size:
            return self.shelves[0]
        shelf = min(held.bit_length(), SHELVES) - 1
        ring = self.shelves.get(shelf)
        if ring is None:
            ring = self.shelves[shelf] = Ring(self)
        return ring

    def first(self) -> Entry[Holder] | None:
        """Say who is to be named next: of those that hold something and aren't."""
        for shelf in sorted(self.shelves, reverse=True):
            entry = self.shelves[shelf].first
            if entry is not None:
                return entry
        return None

    def fullest(self) -> Iterator[Holder]:
        """All that hold something and aren't named, by size the fullest first."""
        for shelf in sorted(self.shelves, reverse=True):
            entry = self.shelves[shelf].first
            while entry is not None:
                yield entry.holder
                entry = entry.after

"""MemoryBudget: an exact ledger of bytes held, and a plan of what to give up; it sheds nothing.

One hub or one pool owns a budget. Whatever takes memory is a *holder*, of one kind, charged before
it allocates and released when it lets go. When too much is held, the owner pulls victims, sheds
them and reports what came free by releasing it.

In this order they go::

    kind     what it is                  to get below     for its age   first among its kind
    FRAME    cached encoded frames       `cleanup`        yes           longest unused
    HISTORY  unpinned history            `cleanup`        yes           longest unused
    INBOX    unread, can be asked again  90 % of `limit`  no            fullest
    SESSION  sessions without a link     90 % of `limit`  no            longest unused
    PIN      stalled pins                90 % of `limit`  no            longest unused
    NEVER    outboxes, all else          never            no            -

Invariants:

- `held` is the sum of what the holders hold, at every step; no call that raises changes anything.
- A kind is touched only when no holder of the kinds above it is left to name for the same reason.
- What was named isn't named again before it has freed something or grown, or a clean-up is due. So
  the plan ends whatever the owner does (P4). Then it stands behind the others: as if just used.
- Each holder stands in exactly one ring. The ring of a kind by age is sorted by last use.
- Nobody is named for the sake of wanted bytes that wouldn't fit if all went.

Bounds (P3): at most 200 B a holder beside its key, for as many as there have been at once, and
about 3 kB for the budget, 15 kB where there have been holders of every size. Every call is O(1),
but that a clean-up puts back what was named since the last one.

Which bytes to charge to whom: docs/topics/memory.md.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Literal

from .errors import ConfigError, LocalProtocolError
from .rings import Entry, Group, Holder

Why = Literal["stale", "cleanup", "limit"]
"""What a victim is named for: its age, to get below `cleanup`, or to hold the limit."""


class Shed(IntEnum):
    """The kinds of holders, in the order in which they are shed."""

    FRAME = 0
    """Cached encoded frames: made again when wanted."""
    HISTORY = 1
    """Messages no pin needs: who comes later is told that they are lost."""
    INBOX = 2
    """Received and not taken: dropped, and asked for again."""
    SESSION = 3
    """Sessions without a link: who comes back begins a new one."""
    PIN = 4
    """Pins that have stalled: their reader loses what it held back."""
    NEVER = 5
    """Outboxes, and whatever else is counted and can't go."""


class Level(IntEnum):
    """How much is held, by the highest threshold it is *above*."""

    NORMAL = 0
    WARNING = 1
    CLEANUP = 2
    LIMIT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds and times; those of a client, unless said otherwise.

    Attributes:
        warning: bytes above which a holder with more than its share gets no credit.
        cleanup: bytes above which cached frames and unpinned history go.
        limit: bytes that are never to be exceeded: above, anything but `NEVER` goes.
        interval: seconds from one clean-up to the next.
        stale_age: seconds unused after which cached frames and unpinned history go in a clean-up,
            however much room there is; None: not for their age alone.
        aggressive_age: the same while more than `cleanup` is held, and whenever that is crossed.

    Raises:
        ConfigError: a value is out of range; the message names it.
    """

    warning: int = 15_000_000
    cleanup: int = 30_000_000
    limit: int = 60_000_000
    interval: float = 45.0
    stale_age: float | None = 300.0
    aggressive_age: float = 120.0

    def __post_init__(self) -> None:
        for name in ("warning", "cleanup", "limit"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2**50:
                raise ConfigError(
                    f"Limits.{name} is {value!r}; it must be a whole number, 1 … {2**50:,}"
                )
        for name in ("interval", "aggressive_age", "stale_age"):
            value = getattr(self, name)
            if name == "stale_age" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"Limits.{name} is {value!r}; it must be a number of seconds")
            if not 0.1 <= value <= _LONGEST:
                raise ConfigError(f"Limits.{name} is {value!r}; it must be 0.1 … {_LONGEST:,.0f} s")
        if self.cleanup < self.warning:
            raise ConfigError("Limits.cleanup is below Limits.warning")
        if self.limit < self.cleanup:
            raise ConfigError("Limits.limit is below Limits.cleanup")
        if self.stale_age is not None and self.stale_age < self.aggressive_age:
            raise ConfigError("Limits.stale_age is below Limits.aggressive_age")

    def level(self, held: int) -> Level:
        """The highest threshold that so many bytes are above."""
        if held <= self.warning:
            return Level.NORMAL
        if held <= self.cleanup:
            return Level.WARNING
        return Level.CLEANUP if held <= self.limit else Level.LIMIT

    @classmethod
    def hub(cls) -> "Limits":
        """Those of a hub."""
        return cls(warning=256_000_000, cleanup=512_000_000, limit=1_024_000_000)


@dataclass(frozen=True, slots=True)
class Victim(Generic[Holder]):
    """Shed this, all or part of it, and release what came free.

    Attributes:
        holder: whose memory is to go.
        kind: its kind.
        size: bytes it holds.
        why: what for.
    """

    holder: Holder
    kind: Shed
    size: int
    why: Why


@dataclass(frozen=True, slots=True)
class KindReport:
    """One kind.

    Attributes:
        holders: how many there are.
        held: bytes they hold.
        victims: how many were named since the budget began.
        freed: bytes that victims released in answer.
    """

    holders: int
    held: int
    victims: int
    freed: int


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What is held now, and what had to go.

    Attributes:
        held: bytes.
        peak: the most bytes held at once since the budget began.
        level: the threshold that is exceeded.
        limits: the thresholds.
        kinds: by kind, in the order of shedding.
    """

    held: int
    peak: int
    level: Level
    limits: Limits
    kinds: dict[Shed, KindReport]


class MemoryBudget(Generic[Holder]):
    """Counts bytes held, and says who is to let go of some.

    Args:
        limits: thresholds and times; None: a client's.
        now: when it begins, in seconds.
    """

    __slots__ = (
        "_at_limit",
        "_deadline",
        "_entries",
        "_groups",
        "_held",
        "_is_above",
        "_now",
        "_peak",
        "_stale_before",
        "_target",
        "limits",
    )

    def __init__(self, limits: Limits | None = None, *, now: float) -> None:
        self.limits = limits or Limits()
        self._target = self.limits.limit * 9 // 10
        self._entries: dict[Holder, Entry[Holder]] = {}
        self._groups: list[Group[Holder]] = [Group(by_size=kind in _BY_SIZE) for kind in Shed]
        self._held = self._peak = 0
        self._now = now
        self._deadline = now + self.limits.interval
        self._stale_before = _LONG_AGO
        self._is_above = self._at_limit = False

    @property
    def held(self) -> int:
        """Bytes held by all."""
        return self._held

    @property
    def level(self) -> Level:
        """The highest threshold that `held` is above."""
        return self.limits.level(self._held)

    def held_by(self, holder: Holder) -> int:
        """Bytes one holder holds.

        Raises:
            LocalProtocolError: the holder is not registered.
        """
        return self._entry(holder).held

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes more keep the limit. Ask before allocating."""
        return self._held + size <= self.limits.limit

    def may_credit(self, holder: Holder) -> bool:
        """Whether to let this holder's sender go on.

        Above `warning`, not if it holds more than its share: the limit by the number of its kind,
        empty ones included. So windows may promise more than there is, and nobody starves.

        Raises:
            LocalProtocolError: the holder is not registered.
        """
        entry = self._entry(holder)
        if self._held <= self.limits.warning:
            return True
        return entry.held * entry.ring.group.count <= self.limits.limit

    def report(self) -> MemoryReport:
        """Say what is held and what had to go."""
        kinds = {
            kind: KindReport(group.count, group.held, group.victims, group.freed)
            for kind, group in zip(Shed, self._groups, strict=True)
        }
        return MemoryReport(self._held, self._peak, self.level, self.limits, kinds)

    def fullest(self, kind: Shed) -> Iterator[Holder]:
        """Holders of a kind; of `INBOX` and `NEVER` the fullest first, to a factor of two."""
        return self._groups[kind].fullest()

    def next_deadline(self) -> float:
        """When the next clean-up is due."""
        return self._deadline

    # inputs

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass; begins a clean-up when due, one however late. Then pull `next_victim`."""
        self._advance(now)
        if self._now < self._deadline:
            return
        self._deadline = self._now + self.limits.interval
        self._at_limit = False
        for group in self._groups:
            while (entry := group.named.first) is not None:
                entry.since = self._now
                entry.settle()
        limits = self.limits
        age = limits.aggressive_age if self._held > limits.cleanup else limits.stale_age
        self._stale_before = _LONG_AGO if age is None else self._now - age

    # commands

    def register(
        self,
        holder: Holder,
        kind: Shed,
        size: int = 0,
        *,
        now: float,
        since: float | None = None,
    ) -> None:
        """Begin to count a holder, with `size` bytes at once.

        Args:
            holder: anything hashable.
            kind: what it is.
            size: bytes it holds already.
            since: when it was last used, if not now. One older than the last of its kind
                is taken to be as old as that one: register the oldest first.

        Raises:
            LocalProtocolError: it is registered already, or the size is negative.
        """
        if holder in self._entries:
            raise LocalProtocolError(f"{holder!r} is registered already; move it, or forget it")
        if size < 0:
            raise _misuse(holder, size)
        self._advance(now)
        group = self._groups[kind]
        entry = self._entries[holder] = Entry(holder, group.empty, self._past(since))
        group.empty.append(entry)
        group.count += 1
        if size:
            self._add(entry, size)

    def charge(self, holder: Holder, size: int, *, now: float) -> None:
        """Count `size` bytes more; never refused, so ask `has_room` first.

        An empty holder's age begins here; otherwise this is no use of it: see `touch`.

        Raises:
            LocalProtocolError: the holder is not registered, or the size is negative.
        """
        entry = self._entries.get(holder)
        if entry is None or size < 0:
            raise _misuse(holder, size)
        if now > self._now:
            self._now = now
        if size:
            if not entry.held:
                entry.since = self._now
            self._add(entry, size)

    def release(self, holder: Holder, size: int) -> None:
        """Count `size` bytes less.

        Raises:
            LocalProtocolError: the holder is not registered, the size is negative, or it is more
                than the holder holds.
        """
        entry = self._entries.get(holder)
        if entry is None or size < 0:
            raise _misuse(holder, size)
        if size > entry.held:
            raise LocalProtocolError(f"{holder!r} releases {size} bytes and holds {entry.held}")
        if not size:
            return
        ring, group = entry.ring, entry.ring.group
        entry.held -= size
        group.held -= size
        self._held -= size
        if ring is group.named:
            group.freed += size
            entry.since = self._now
            entry.settle()
        elif not entry.held or group.is_by_size:
            entry.settle()

    def touch(self, holder: Holder, *, now: float) -> None:
        """Note that the holder was used: it is the last of its kind to go.

        Raises:
            LocalProtocolError: the holder is not registered.
        """
        entry = self._entry(holder)
        self._advance(now)
        entry.since = self._now
        group = entry.ring.group
        if not group.is_by_size and entry.ring is group.shelves[0]:
            entry.stand_in(entry.ring)

    def move(self, holder: Holder, kind: Shed, *, now: float, since: float | None = None) -> None:
        """Make it one of another kind: a session that lost its link, a pin that stalled or is over.

        Args:
            since: when it was last used, if not now; as in `register`.

        Raises:
            LocalProtocolError: the holder is not registered.
        """
        entry = self._entry(holder)
        self._advance(now)
        old, new = entry.ring.group, self._groups[kind]
        old.count -= 1
        old.held -= entry.held
        new.count += 1
        new.held += entry.held
        entry.since = self._past(since)
        entry.ring.remove(entry)
        new.empty.append(entry)
        entry.settle()

    def forget(self, holder: Holder) -> int:
        """Release all it holds and count it no more; returns how many bytes that were.

        Raises:
            LocalProtocolError: the holder is not registered.
        """
        entry = self._entry(holder)
        held = entry.held
        self.release(holder, held)
        entry.ring.group.count -= 1
        entry.ring.remove(entry)
        del self._entries[holder]
        return held

    # outputs

    def next_victim(self, wanted: int = 0) -> Victim[Holder] | None:
        """Take the next holder to shed; None: nothing is to go, or nothing is left that could.

        Release what came free before you take the next: the plan stops where the goal is met.

        Args:
            wanted: bytes that are to be charged next: they count as if they were held.

        Raises:
            LocalProtocolError: `wanted` is negative.
        """
        if wanted < 0:
            raise _misuse(None, wanted)
        if not self._judge(wanted):
            return None
        for kind in _ORDER:
            group = self._groups[kind]
            entry = group.first()
            why = self._reason(entry, kind) if entry else None
            if entry and why:
                group.victims += 1
                entry.stand_in(group.named)
                return Victim(entry.holder, kind, entry.held, why)
        self._stale_before = _LONG_AGO
        return None

    # internals

    def _entry(self, holder: Holder) -> Entry[Holder]:
        entry = self._entries.get(holder)
        if entry is None:
            raise _misuse(holder)
        return entry

    def _advance(self, now: float) -> None:
        if now > self._now:
            self._now = now

    def _past(self, since: float | None) -> float:
        return since if since is not None and since < self._now else self._now

    def _add(self, entry: Entry[Holder], size: int) -> None:
        group = entry.ring.group
        entry.held += size
        group.held += size
        self._held += size
        if self._held > self._peak:
            self._peak = self._held
        if entry.ring is group.named:
            entry.since = self._now  # it holds something new: that was not asked for yet
            entry.settle()
        elif entry.held == size or group.is_by_size:
            entry.settle()

    def _judge(self, wanted: int) -> bool:
        """Say whether anything is to go, and set what for."""
        limits, kept = self.limits, self._groups[Shed.NEVER].held
        if kept + wanted > limits.limit:
            wanted = 0  # It wouldn't fit if all the others went: nobody is to suffer for that.
        need = self._held + wanted
        # Where 90 % can't be reached either, to go on to it would cost everything and gain little.
        target = self._target if kept + wanted <= self._target else limits.limit
        self._at_limit = need > (target if self._at_limit else limits.limit)
        was_above, self._is_above = self._is_above, need > limits.cleanup
        if self._is_above and not was_above:
            self._stale_before = max(self._stale_before, self._now - limits.aggressive_age)
        return self._is_above or self._at_limit or self._stale_before > _LONG_AGO

    def _reason(self, entry: Entry[Holder], kind: Shed) -> Why | None:
        is_cheap = kind <= Shed.HISTORY
        if is_cheap and entry.since < self._stale_before:
            return "stale"
        if self._at_limit:
            return "limit"
        return "cleanup" if is_cheap and self._is_above else None


def _misuse(holder: Hashable, size: int = 0) -> LocalProtocolError:
    if size < 0:
        return LocalProtocolError(f"{size} bytes; a size is not negative")
    return LocalProtocolError(f"{holder!r} is not registered")


_LONGEST = 30 * 86_400.0
_LONG_AGO = float("-inf")
_BY_SIZE = (Shed.INBOX, Shed.NEVER)
_ORDER = tuple(kind for kind in Shed if kind is not Shed.NEVER)

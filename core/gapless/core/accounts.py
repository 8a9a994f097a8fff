"""Accounts: what everything in a machine holds, booked as late as the budget allows, yet exact.

Whatever takes memory (a `Holding`) knows how much it takes. Telling a ledger at each change would
cost more than the change; so it is only noted that something changed (`stir`), and by how much the
whole may have grown (`grow`). Before that could matter everything is booked.

Invariants (P3):

- booked + unbooked ≥ what is held, at every step: growth is announced with or before it, as its
  upper bound; what shrank is noted late, which is safe.
- While that sum is within the slack, no threshold can have been crossed, and nobody need look:
  so the hot path is one addition and one comparison.
- Who was named and could shed nothing is asked again once it has grown, or may let go (`renew`):
  not at the next clean-up only, or the limit would not hold until then.
- `peak` is never above the limit but between steps, where it would be a fault: what is too much
  within a step goes in that step.
- After `settle` all is booked exactly, and the slack reaches to the next threshold; above
  `cleanup`, where there is something to do all the time, to a sixteenth of it.

Who is to go is the `MemoryBudget`'s to say, and shedding it the machine's.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Protocol

from .budget import KindReport, Limits, MemoryBudget, MemoryReport, Shed, Victim
from .config import Config


class Holding(Hashable, Protocol):
    """Something that takes memory."""

    @property
    def memory(self) -> int:
        """Bytes it takes now."""
        ...


class Accounts:
    """The books of a hub, or of a client's session.

    Args:
        config: the thresholds.

    Attributes:
        unbooked: bytes by which more may be held than is booked.
        slack: bytes that may be unbooked without a threshold having been crossed. Read only.
        stirred: holdings that may hold more or less than is booked for them. Who publishes adds
            to this and to `unbooked` without a call; all others `stir` and `grow`.
        relieve: sheds until so many bytes more fit; False: it can't. The machine sets it.
    """

    __slots__ = (
        "_budget",
        "_deadline",
        "_kinds",
        "_named",
        "_peak",
        "relieve",
        "slack",
        "stirred",
        "unbooked",
    )

    def __init__(self, config: Config) -> None:
        self._budget: MemoryBudget[Holding] = MemoryBudget(limits(config), now=float("-inf"))
        self._kinds: dict[Holding, Shed] = {}
        self.stirred: dict[Holding, None] = {}
        self._named: dict[Holding, None] = {}
        self.relieve: Callable[[int, float], bool] = _nothing_to_shed
        self.unbooked = 0
        self._peak = 0
        self.slack = self._room_to_look()
        self._deadline: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether a threshold may have been crossed: `settle`, and shed."""
        return self.unbooked > self.slack

    @property
    def is_any(self) -> bool:
        """Whether anything is counted."""
        return bool(self._kinds)

    @property
    def is_pressed(self) -> bool:
        """Whether more is held than `cleanup`."""
        return self._budget.held > self._budget.limits.cleanup

    def is_open(self, holding: Holding) -> bool:
        """Whether it is counted."""
        return holding in self._kinds

    @property
    def held(self) -> int:
        """Bytes held, exactly."""
        drift = sum(holding.memory - self._budget.held_by(holding) for holding in self.stirred)
        return self._budget.held + drift

    @property
    def excess(self) -> int:
        """Bytes held above what shedding comes down to, 90 % of the limit."""
        return self.held - self._budget.limits.limit * 9 // 10

    def report(self) -> MemoryReport:
        """Say what is held and what had to go.

        `peak` is the most that was found to be held, whenever that was looked at: above `cleanup`,
        to a sixteenth of it. What came within a step and had to go in it is no part of that.
        """
        report = self._budget.report()
        kinds, drift = dict(report.kinds), 0
        for holding in self.stirred:
            kind, more = self._kinds[holding], holding.memory - self._budget.held_by(holding)
            kinds[kind] = _more(kinds[kind], more)
            drift += more
        held = report.held + drift
        level = self._budget.limits.level(held)
        return replace(report, held=held, peak=max(self._peak, held), level=level, kinds=kinds)

    def fullest(self, kind: Shed) -> Iterator[Holding]:
        """Holdings of a kind as they are booked; see `MemoryBudget`."""
        return self._budget.fullest(kind)

    def next_deadline(self) -> float | None:
        """When the next clean-up is due; None while nothing is held."""
        return self._deadline if self._kinds else None

    def may_credit(self, holding: Holding) -> bool:
        """Whether to let this holding's sender go on: not above `warning`, with more than a share.

        Early by what is not booked yet, which the next clean-up mends.
        """
        budget = self._budget
        if budget.held + self.unbooked <= budget.limits.warning:
            return True
        holders = budget.report().kinds[self._kinds[holding]].holders
        return holding.memory * holders <= budget.limits.limit

    # commands

    def open(self, holding: Holding, kind: Shed, *, now: float) -> None:
        """Begin to count a holding."""
        if not self._kinds:
            self._budget.handle_timeout(now=now)
            self._deadline = self._budget.next_deadline()
        # Announced, too: what is booked counts against the slack only when that is measured anew.
        size = holding.memory
        self._budget.register(holding, kind, size, now=now)
        self._kinds[holding] = kind
        self.unbooked += size
        self._note_peak()

    def close(self, holding: Holding) -> None:
        """Count it no more. Harmless if called twice."""
        if self._kinds.pop(holding, None) is not None:
            self._budget.forget(holding)
            self.stirred.pop(holding, None)
            self._named.pop(holding, None)

    def move(self, holding: Holding, kind: Shed, *, now: float) -> None:
        """Make it one of another kind."""
        self._named.pop(holding, None)
        self._budget.move(holding, kind, now=now)
        self._kinds[holding] = kind

    def renew(self, holding: Holding, *, now: float) -> None:
        """Note that it may be able to shed what it couldn't when it was named."""
        if holding in self._named:
            del self._named[holding]
            self._budget.move(holding, self._kinds[holding], now=now)

    def touch(self, holding: Holding, *, now: float) -> None:
        """Note that it was used: the last of its kind to go. Of one not counted, nothing."""
        if holding in self._kinds:
            self._budget.touch(holding, now=now)

    def stir(self, holding: Holding) -> None:
        """Note that it may hold more or less than before; of one that isn't counted, nothing."""
        if holding in self._kinds:
            self.stirred[holding] = None

    def grow(self, size: int) -> None:
        """Announce that up to `size` bytes more are held, by holdings that are stirred."""
        self.unbooked += size

    def fits(self, size: int) -> bool:
        """Whether `size` bytes more cross no threshold for certain: then nobody need look."""
        return self.unbooked + size <= self.slack

    def settle(self, *, now: float) -> None:
        """Book everything."""
        budget = self._budget
        for holding in self.stirred:
            more = holding.memory - budget.held_by(holding)
            if more > 0:
                budget.charge(holding, more, now=now)
            elif more < 0:
                budget.release(holding, -more)
            if more:
                # The budget names it again by itself.
                self._named.pop(holding, None)
        self.stirred.clear()
        self.unbooked = 0
        self._note_peak()
        self.slack = self._room_to_look()

    def has_room(self, size: int, *, now: float) -> bool:
        """Whether `size` bytes more keep the limit; exact where it matters."""
        budget = self._budget
        if budget.held + self.unbooked + size <= budget.limits.limit:
            return True
        self.settle(now=now)
        return budget.has_room(size)

    def make_room(self, size: int, *, now: float) -> bool:
        """Shed until `size` bytes more keep the limit; False if they can't."""
        return self.has_room(size, now=now) or self.relieve(size, now)

    def next_victim(self, wanted: int = 0, *, now: float) -> Victim[Holding] | None:
        """Take the next holding to shed, all booked; None: nothing is to go, or could."""
        self.settle(now=now)
        victim = self._budget.next_victim(wanted)
        if victim is not None:
            self._named[victim.holder] = None
        return victim

    def handle_timeout(self, *, now: float) -> bool:
        """Let time pass; True if a clean-up is due: then take `next_victim` until None."""
        if self._deadline is None or now < self._deadline:
            return False
        self._budget.handle_timeout(now=now)
        self._named.clear()
        self._deadline = self._budget.next_deadline()
        return True

    def _note_peak(self) -> None:
        held = self._budget.held
        if self._peak < held <= self._budget.limits.limit:
            self._peak = held

    def _room_to_look(self) -> int:
        held, limits = self._budget.held, self._budget.limits
        if held <= limits.cleanup:
            return limits.cleanup - held
        return min(max(limits.limit - held, 0), limits.cleanup // 16)


def _nothing_to_shed(size: int, now: float) -> bool:
    return False


def limits(config: Config) -> Limits:
    """The thresholds and times of a machine with this config."""
    return Limits(
        warning=config.warning_bytes,
        cleanup=config.cleanup_bytes,
        limit=config.memory_limit,
        interval=config.cleanup_interval,
        stale_age=config.stale_age,
        aggressive_age=config.aggressive_age,
    )


def _more(report: KindReport, size: int) -> KindReport:
    return replace(report, held=report.held + size)

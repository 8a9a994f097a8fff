"""Pool: one session per address and credentials, shared by all who ask, bounded, closed when idle.

Bookkeeping only: it dials nothing and reads no clock. Callers `acquire` a lease on a key and
`release` it; the driver does what `poll_command` says and answers with `handle_*`; `next_event`
says which leases have got their session, or lost it. A key's place in the pool is a slot::

    state       open      opened    use      rest   drop         end
    waiting     opening   -         -        -      gone         -
    opening     -         idle      -        -      cancelling   gone
    idle        -         -         active   -      closing      gone
    active      -         -         -        idle   -            gone
    cancelling  -         closing   -        -      -            gone
    closing     -         -         -        -      -            gone

Invariants:

1. Links, the opening and closing ones included, are never more than `max_connections`: an `Open`
   is only commanded into free room, at the moment it is polled (P3).
2. Keys that have a session or wait for one are never more than that either. So whoever was let in
   waits for nothing but closes that are commanded already, and is never turned away later (P4).
3. Active has no `drop`: a session in use isn't closed to make room, nor by a timer. To make room
   the session that is idle for longest goes; with none, the opening that nobody has wanted for
   longest.
4. A key never has two links: its next one waits until the last is gone. So an answer that names
   the key is never ambiguous, and a session told to close is never handed out again.
5. Each lease that waits hears exactly one first event. A lease has at most one event waiting, the
   newest; one that was released hears nothing.

Bound: two slots for each of `max_connections`, and for each lease not released one entry and one
event. A call takes constant time, apart from telling the leases it concerns, each at most twice.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .config import Config
from .errors import ConfigError, InvalidState, PoolExhausted
from .states import SLOT, SlotState, SlotTrigger, advance

S = TypeVar("S")
"""The session type."""

L, X = SlotState, SlotTrigger


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """What a session is shared by: same server, same rights.

    Neither `repr` nor an error shows the credentials, or the part of the URL that may hold some
    (user, query, fragment).

    Attributes:
        url: the address, as the driver dials it. Compared as it is written.
        credentials: anything hashable.
    """

    url: str
    credentials: Hashable = None

    def __repr__(self) -> str:
        return f"Key({_SECRET.sub('', self.url)!r})"


class Lease(Generic[S]):
    """A caller's share in a session. Made by `Pool.acquire`, ended by `Pool.release`.

    Attributes:
        key: what it was acquired on.
    """

    # `slot` is the pool's own; all a lease says is read from it, so the two can't disagree.
    __slots__ = ("key", "slot")

    def __init__(self, slot: "_Slot[S]") -> None:
        self.key = slot.key
        self.slot: _Slot[S] | None = slot

    @property
    def is_ready(self) -> bool:
        """Whether it has a session now."""
        return self.slot is not None and self.slot.state is L.ACTIVE

    @property
    def is_over(self) -> bool:
        """Whether it never will again: released, its open failed, or its session ended."""
        return self.slot is None

    @property
    def session(self) -> S:
        """The session, for as long as the lease lasts.

        Raises:
            InvalidState: it is not there yet, or no more.
        """
        slot = self.slot
        if slot is None:
            raise InvalidState(f"the lease on {self.key} is over; acquire another")
        if slot.state is not L.ACTIVE:
            raise InvalidState(f"the lease on {self.key} has no session yet; wait for its event")
        return slot.session

    def __repr__(self) -> str:
        state = "over" if self.is_over else "ready" if self.is_ready else "waiting"
        return f"Lease({self.key}, {state})"


@dataclass(frozen=True, slots=True)
class Open:
    """Make a session; answer `handle_opened(key, session)` or `handle_failed(key, error)`."""

    key: Key


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody needs the session that is being opened: it may be given up.

    A hint. The `Open` is still to be answered once: failed, or opened, which `Close` follows.
    """

    key: Key


@dataclass(frozen=True, slots=True)
class Close(Generic[S]):
    """End a session; answer `handle_closed(session)`."""

    session: S


@dataclass(frozen=True, slots=True)
class LeaseOpened(Generic[S]):
    """The session that the lease waited for is there."""

    lease: Lease[S]


@dataclass(frozen=True, slots=True)
class LeaseFailed(Generic[S]):
    """The session that the lease waited for won't come, for a reason all its waiters share."""

    lease: Lease[S]
    error: Exception


@dataclass(frozen=True, slots=True)
class LeaseEnded(Generic[S]):
    """The session has ended under the lease, which may not have heard of its opening yet.

    `error` is what the driver knows of the reason; None: it ended in good order.
    """

    lease: Lease[S]
    error: Exception | None


PoolCommand = Open | Cancel | Close[S]
PoolEvent = LeaseOpened[S] | LeaseFailed[S] | LeaseEnded[S]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """What a pool holds, and has done.

    Attributes:
        total: links: opening, active, idle and closing.
        active: sessions with a lease.
        idle: sessions without.
        opening: opens not answered.
        closing: closes not answered, and opens that were cancelled.
        waiting: leases without a session.
        opened: sessions opened since the pool began.
        reused: leases that needed no session of their own, as there was one for them to share.
    """

    total: int
    active: int
    idle: int
    opening: int
    closing: int
    waiting: int
    opened: int
    reused: int


class Pool(Generic[S]):
    """Shares sessions, and bounds how many there are.

    Args:
        max_connections: links there may be at once.
        idle: seconds a session without leases is kept; 0: until the next `handle_timeout`.

    Raises:
        ConfigError: a value is out of range; the message names it.
    """

    def __init__(self, *, max_connections: int = 15, idle: float = 60.0) -> None:
        _check("max_connections", max_connections, 1, 2**20, whole=True)
        _check("idle", idle, 0, 30 * 86_400)
        self._max_connections = max_connections
        self._idle_seconds = idle
        self._now = float("-inf")
        self._has_ended = False
        # By key: who has a session or is to get one; and what is left of the one before.
        self._slots: dict[Key, _Slot[S]] = {}
        self._leaving: dict[Key, _Slot[S]] = {}
        # By identity: a session needn't be hashable, and an equal one is not the same.
        self._sessions: dict[int, _Slot[S]] = {}
        # Each in order of arrival; a plain dict is slow to find its first after many a `pop`.
        self._queue: OrderedDict[_Slot[S], None] = OrderedDict()
        self._idle: OrderedDict[_Slot[S], None] = OrderedDict()
        self._unwanted: OrderedDict[_Slot[S], None] = OrderedDict()
        self._due: OrderedDict[_Slot[S], None] = OrderedDict()
        self._events: OrderedDict[Lease[S], PoolEvent[S]] = OrderedDict()
        self._counts = dict.fromkeys(SlotState, 0)
        self._waiting = self._opened = self._reused = 0

    @classmethod
    def of(cls, config: Config) -> "Pool[S]":
        """Make one with as many connections as a config says."""
        return cls(max_connections=config.max_connections)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed and every link is gone."""
        return self._has_ended and not self._leaving

    def stats(self) -> PoolStats:
        """Say what it holds, and has done."""
        return PoolStats(
            total=self._links,
            active=self._counts[L.ACTIVE],
            idle=self._counts[L.IDLE],
            opening=self._counts[L.OPENING],
            closing=len(self._leaving),
            waiting=self._waiting,
            opened=self._opened,
            reused=self._reused,
        )

    # inputs

    def handle_opened(self, key: Key, session: S, *, now: float) -> None:
        """Take the session that `Open` asked for.

        Raises:
            InvalidState: no `Open` of this key is unanswered, or the pool has this session already.
        """
        now = self._clamp(now)
        slot = self._find_opening(key)
        if id(session) in self._sessions:
            raise InvalidState(f"the session opened for {key} is in the pool already")
        self._sessions[id(session)] = slot
        slot.session = session
        self._opened += 1
        self._advance(slot, X.OPENED)
        if slot.state is L.CLOSING:
            self._due[slot] = None
        elif slot.leases:
            self._advance(slot, X.USE)
            self._waiting -= len(slot.leases)
            self._reused += len(slot.leases) - 1
            self._events.update((lease, LeaseOpened(lease)) for lease in slot.leases)
        else:
            del self._unwanted[slot]
            self._keep(slot, now)

    def handle_failed(self, key: Key, error: Exception, *, now: float) -> None:
        """Note that what `Open` asked for can't be had; all who wait are told, the key forgotten.

        Raises:
            InvalidState: no `Open` of this key is unanswered.
        """
        self._clamp(now)
        slot = self._find_opening(key)
        self._dismiss(slot, lambda lease: LeaseFailed(lease, error))
        self._end(slot)

    def handle_closed(self, session: S, error: Exception | None = None, *, now: float) -> None:
        """Note that a session has ended, told to or by itself; its leases are told.

        Harmless if the pool doesn't have the session: its end may be seen from two sides.
        """
        self._clamp(now)
        slot = self._sessions.pop(id(session), None)
        if slot is not None:
            self._dismiss(slot, lambda lease: LeaseEnded(lease, error))
            self._end(slot)

    def next_deadline(self) -> float | None:
        """When an idle session is to be closed; None: there is none."""
        for slot in self._idle:
            return slot.since + self._idle_seconds
        return None

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass: close what was idle for too long."""
        now = self._clamp(now)
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            self._drop(next(iter(self._idle)))

    # commands

    def acquire(self, key: Key, *, now: float) -> Lease[S]:
        """Take a share in the session of a key. If it isn't ready, an event will say.

        Raises:
            PoolExhausted: as many other keys as there may be links are in use.
            InvalidState: the pool is closed.
            TypeError: the key is no `Key`.
        """
        self._clamp(now)
        if self._has_ended:
            raise InvalidState("the pool is closed; make another")
        slot = self._slots.get(key) or self._claim(key)
        lease = Lease(slot)
        slot.leases[lease] = None
        if slot.state is L.IDLE:
            del self._idle[slot]
            self._advance(slot, X.USE)
        if slot.state is L.ACTIVE:
            self._reused += 1
        else:
            self._waiting += 1
            self._unwanted.pop(slot, None)
        return lease

    def release(self, lease: Lease[S], *, now: float) -> None:
        """Give a share back, ready or not. Harmless if repeated, or if the session has ended.

        Raises:
            InvalidState: the lease is of another pool.
        """
        now = self._clamp(now)
        self._events.pop(lease, None)
        slot = lease.slot
        if slot is None:
            return
        if self._slots.get(slot.key) is not slot:
            raise InvalidState(f"{lease} is of another pool; release it there")
        lease.slot = None
        del slot.leases[lease]
        if slot.state is not L.ACTIVE:
            self._waiting -= 1
        if not slot.leases:
            self._rest(slot, now)

    def close(self, *, now: float) -> None:
        """End every lease, then every link. `is_closed` once the driver has answered; no timer.

        Harmless if repeated.
        """
        now = self._clamp(now)
        self._has_ended = True
        error = InvalidState("the pool is closed")
        for slot in list(self._slots.values()):
            if slot.state is L.ACTIVE:
                self._dismiss(slot, lambda lease: LeaseEnded(lease, error))
                self._rest(slot, now)
            else:
                self._dismiss(slot, lambda lease: LeaseFailed(lease, error))
            self._drop(slot)

    # outputs

    def poll_command(self) -> PoolCommand[S] | None:
        """Take the next thing the driver has to do; None: nothing."""
        if self._due:
            slot, _ = self._due.popitem(last=False)
            return Close(slot.session) if slot.state is L.CLOSING else Cancel(slot.key)
        if self._queue and self._links < self._max_connections:
            slot, _ = self._queue.popitem(last=False)
            self._advance(slot, X.OPEN)
            return Open(slot.key)
        return None

    def next_event(self) -> PoolEvent[S] | None:
        """Take what the next lease is to be told; None: nothing."""
        return self._events.popitem(last=False)[1] if self._events else None

    # internals

    @property
    def _links(self) -> int:
        return len(self._slots) - self._counts[L.WAITING] + len(self._leaving)

    def _clamp(self, now: float) -> float:
        if now > self._now:
            self._now = now
        return self._now

    def _advance(self, slot: "_Slot[S]", trigger: SlotTrigger) -> None:
        self._counts[slot.state] -= 1
        slot.state = advance(SLOT, slot.state, trigger)
        self._counts[slot.state] += 1

    def _find_opening(self, key: Key) -> "_Slot[S]":
        for slots, state in ((self._leaving, L.CANCELLING), (self._slots, L.OPENING)):
            slot = slots.get(key)
            if slot is not None and slot.state is state:
                return slot
        raise InvalidState(f"no Open of {key} is unanswered; answer each once")

    def _claim(self, key: object) -> "_Slot[S]":
        """Let a new key in; at the limit, in the place of one that isn't in use."""
        if not isinstance(key, Key):
            raise TypeError(f"a pool's key is a Key(url, credentials), not {type(key).__name__}")
        if len(self._slots) == self._max_connections:
            victim = next(iter(self._idle), None) or next(iter(self._unwanted), None)
            if victim is None:
                raise PoolExhausted(
                    f"all {self._max_connections} connections are in use; "
                    "release a lease, or raise Pool.max_connections"
                )
            self._drop(victim)
        slot: _Slot[S] = _Slot(key)
        self._counts[slot.state] += 1
        self._slots[key] = slot
        if key not in self._leaving:
            self._queue[slot] = None
        return slot

    def _keep(self, slot: "_Slot[S]", now: float) -> None:
        # All are kept equally long and `now` never runs back: in this order they are due.
        slot.since = now
        self._idle[slot] = None

    def _rest(self, slot: "_Slot[S]", now: float) -> None:
        """The last lease is gone."""
        if slot.state is L.ACTIVE:
            self._advance(slot, X.REST)
            self._keep(slot, now)
        elif slot.state is L.OPENING:
            # Not cancelled yet: who gives up waiting for a slow server often comes back.
            self._unwanted[slot] = None
        else:
            self._drop(slot)

    def _drop(self, slot: "_Slot[S]") -> None:
        """Let go of a slot without leases; its link, if it has one, counts until it is gone."""
        for order in (self._queue, self._idle, self._unwanted):
            order.pop(slot, None)
        del self._slots[slot.key]
        self._advance(slot, X.DROP)
        if slot.state is not L.GONE:
            self._leaving[slot.key] = slot
            self._due[slot] = None

    def _end(self, slot: "_Slot[S]") -> None:
        """A link is gone."""
        if self._leaving.get(slot.key) is slot:
            del self._leaving[slot.key]
            self._due.pop(slot, None)
            if (successor := self._slots.get(slot.key)) is not None:
                self._queue[successor] = None
        else:
            del self._slots[slot.key]
            self._idle.pop(slot, None)
            self._unwanted.pop(slot, None)
        self._advance(slot, X.END)

    def _dismiss(self, slot: "_Slot[S]", news: Callable[[Lease[S]], PoolEvent[S]]) -> None:
        """End all leases of a slot and tell them."""
        if slot.state is not L.ACTIVE:
            self._waiting -= len(slot.leases)
        for lease in slot.leases:
            lease.slot = None
            self._events[lease] = news(lease)
        slot.leases.clear()


class _Slot(Generic[S]):
    """A key's place."""

    __slots__ = ("key", "leases", "session", "since", "state")

    session: S
    since: float

    def __init__(self, key: Key) -> None:
        self.key = key
        self.state = L.WAITING
        self.leases: dict[Lease[S], None] = {}


def _check(name: str, value: object, low: int, high: int, *, whole: bool = False) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"Pool.{name} is {value!r}; it must be {low:,} … {high:,}")
    if whole and not isinstance(value, int):
        raise ConfigError(f"Pool.{name} is {value!r}; it must be a whole number")


_SECRET = re.compile(r"(?:^|(?<=//))[^/?#]*@|[?#].*", re.DOTALL)

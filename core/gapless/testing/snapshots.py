"""Snapshot: the whole state of a machine as one plain value, to compare, hash or write down.

    before = snapshot(client, hub, now=clock.now)
    ...
    assert snapshot(client, hub, now=clock.now) == before       # nothing has changed

Two machines with equal snapshots do the same from now on, whatever they are given. So that equal
states are equal values, whenever and however they came about,

- times are relative to `now`;
- objects are numbered in the order in which they are met;
- tokens, and what is derived from them (epochs, session ids, digests), are too, if `Names` made
  them;
- timers stand in the order in which they will fire, a history without what it has dropped;
- `LEFT_OUT` names the few fields that only count.

The order of a dict is part of its value: most are queues. That of a set is not.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from itertools import count
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeAlias

from gapless.core.accounts import Accounts
from gapless.core.ack import AckPolicy
from gapless.core.batches import Encodings
from gapless.core.catalog import Catalog
from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.dialer import Dialer
from gapless.core.events import LinkDown
from gapless.core.heartbeat import Heartbeat
from gapless.core.history import Entry, History
from gapless.core.hub import Hub
from gapless.core.link import Link
from gapless.core.outbox import Outbox
from gapless.core.pins import Pin
from gapless.core.receiver import Receiver
from gapless.core.reconnector import Reconnector
from gapless.core.relief import Buffers, Relief
from gapless.core.session import Session
from gapless.core.subscription import Subscription
from gapless.core.timers import Timers
from gapless.core.watch import Watch

Fields: TypeAlias = frozenset[tuple[type, str]]
"""Some fields, each with the class that has it."""

Plain: TypeAlias = "bool | int | float | str | tuple[Plain, ...] | None"
"""What a snapshot is made of: hashable, and JSON can carry it."""

LEFT_OUT: Mapping[type, frozenset[str]] = {
    Accounts: frozenset(Accounts.__slots__),
    Encodings: frozenset(Encodings.__slots__),
    Watch: frozenset(Watch.__slots__),
    Buffers: frozenset({"_heap"}),
    Receiver: frozenset({"duplicates", "lost", "taken_messages"}),
    Session: frozenset({"_passed_at"}),
    Subscription: frozenset({"gaps", "_lost_told"}),
    Outbox: frozenset({"accepted", "failed", "_faults", "_latency"}),
    Dialer: frozenset({"links", "resumes"}),
    ClientSession: frozenset({"_departed"}),
}
"""Fields that are no part of a snapshot, by the class that has them.

They count for `stats()` and `metrics()`, and nothing is decided by them. What the books of memory
say follows from what is held, but for one thing: which of two victims would be named first. So of
machines at their memory limit equal snapshots may shed in another order. Besides, of timers only
what is armed is told, not the heap's early entries, which wake a driver and do nothing; of what
wires hold not the heap that finds the largest; and of a history only what it holds, not where in
its list that begins.
"""

TIMES: Mapping[type, frozenset[str]] = {
    AckPolicy: frozenset({"_deadline"}),
    Catalog: frozenset({"_swept_at"}),
    Heartbeat: frozenset({"_heard", "_pinged"}),
    Hub: frozenset({"_now", "_leave_at", "_cut_at"}),
    Link: frozenset({"_attached_at", "_greet_by", "_pinged_at"}),
    LinkDown: frozenset({"retry_at"}),
    Outbox: frozenset({"_hold_until"}),
    Pin: frozenset({"moved_at"}),
    Relief: frozenset({"_ripe_at", "_goes_on_at"}),
    Reconnector: frozenset({"_give_up_at"}),
    Session: frozenset({"_now"}),
}
"""Fields that are points in time, besides those of timers and of the messages in a history."""


class Names:
    """A source of tokens that remembers them, so that a snapshot knows a name when it meets one.

        names = Names(make_token)
        hub = Hub(config, rng=rng, new_token=names)
        snapshot(hub, now=now, names=names)

    Args:
        new_token: makes the tokens.

    Attributes:
        known: what each name is, and of the how-manieth token.
    """

    def __init__(self, new_token: Callable[[], str]) -> None:
        self._new_token = new_token
        self.known: dict[str | bytes, tuple[str, int]] = {}
        self._count = 0

    def __call__(self) -> str:
        """Make a token."""
        token = self._new_token()
        digest = hashlib.sha256(token.encode())
        self._count += 1
        for kind, name in (
            ("token", token),
            ("digest", digest.digest()),
            ("epoch", digest.hexdigest()[:16]),
            ("session", "@" + digest.hexdigest()[:22]),
        ):
            self.known[name] = kind, self._count
        return token


def snapshot(
    *machines: object,
    now: float,
    names: Names | None = None,
    past: float | None = None,
    future: float | None = None,
    without: Fields = frozenset(),
) -> Plain:
    """Say all there is to say of some machines, and of what else is given, as one plain value.

    Machines are a `ClientSession`, a `Hub` with its sessions, any part of them; frames, stores and
    other plain objects may stand beside them. A callable is told by its name alone, a `Random` by
    a digest of its state.

    Args:
        machines: what to look at. Nothing is changed.
        now: seconds; what times are relative to.
        names: where tokens come from. None: names stand as they are.
        past: seconds; what is as long ago or longer is told without saying how long. A state space
            is only finite if ages that decide nothing are cut off. None: nothing is cut off.
        future: the same for what is as far away or further.
        without: more fields to leave out, where it is known that they decide nothing.

    Raises:
        TypeError: there is something whose state can't be told.
    """
    walk = _Walk(now, names, past, future, _tellers(without))
    return tuple(walk.value(machine) for machine in machines)


def digest(state: Plain) -> bytes:
    """Make 16 bytes of a snapshot, the same in every process; no two states share them."""
    return hashlib.blake2b(repr(state).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Walk:
    """One walk over some machines."""

    __slots__ = ("_aliases", "_future", "_known", "_now", "_numbers", "_past", "tellers")

    def __init__(
        self,
        now: float,
        names: Names | None,
        past: float | None,
        future: float | None,
        tellers: "_Tellers",
    ) -> None:
        self.tellers = tellers
        self._now = now
        self._known = None if names is None else names.known
        self._past = float("inf") if past is None else past
        self._future = float("inf") if future is None else future
        self._aliases: dict[int, int] = {}
        # The objects are kept beside their numbers: an id is only theirs while they live.
        self._numbers: dict[int, tuple[int, object]] = {}

    def value(self, thing: object) -> Plain:
        """Tell a value."""
        return self.tellers[type(thing)](self, thing)

    def time(self, when: float | None) -> Plain:
        """Tell a point in time."""
        if when is None:
            return None
        seconds = round(when - self._now, 6)
        if -self._past < seconds < self._future:
            return seconds + 0.0
        return "far away" if seconds > 0 else "long ago"

    def word(self, text: str) -> Plain:
        """Tell a text, which may be a name."""
        return text if self._known is None else self._name(text, text)

    def data(self, data: bytes) -> Plain:
        """Tell bytes, which may be a digest."""
        plain = ("bytes", data.decode("latin-1"))
        return plain if self._known is None else self._name(data, plain)

    def several(self, things: Iterable[object]) -> Plain:
        """Tell one after the other."""
        tellers = self.tellers
        return tuple([tellers[type(thing)](self, thing) for thing in things])

    def table(self, things: Mapping[Any, object]) -> Plain:
        """Tell a dict, in its order."""
        tellers = self.tellers
        told: list[Plain] = ["{}"]
        for key, thing in things.items():
            told.append(tellers[type(key)](self, key))
            told.append(tellers[type(thing)](self, thing))
        return tuple(told)

    def numbered(self, thing: object) -> tuple[int, bool]:
        """Give an object its number; and say whether it is met for the first time."""
        known = self._numbers.get(id(thing))
        if known is not None:
            return known[0], False
        number = len(self._numbers)
        self._numbers[id(thing)] = number, thing
        return number, True

    def config(self, config: Config) -> Plain:
        """Tell settings the first time, later only which."""
        number, is_new = self.numbered(config)
        told = "Config", number
        if not is_new:
            return told
        return (*told, *(self.value(setting) for setting in _fields(config, _OF_CONFIG).values()))

    def _name(self, value: str | bytes, plain: Plain) -> Plain:
        assert self._known is not None
        found = self._known.get(value)
        if found is None:
            return plain
        kind, token = found
        return kind, self._aliases.setdefault(token, len(self._aliases))


Teller: TypeAlias = Callable[[_Walk, Any], Plain]


class _Tellers(dict[type, Teller]):
    """How values of each type are told, found out when the first is met."""

    def __init__(self, without: Fields) -> None:
        super().__init__(_TELLERS)
        self._without = without

    def __missing__(self, kind: type[Any]) -> Teller:
        teller = self[kind] = self._find(kind)
        return teller

    def _find(self, kind: type[Any]) -> Teller:
        if issubclass(kind, Enum):
            words = {id(member): str(member) for member in kind}
            return lambda walk, thing: words[id(thing)]
        if hasattr(kind, "getstate"):
            return _tell_random
        for general, teller in _GENERAL.items():
            if issubclass(kind, general):
                return teller
        if not all("__slots__" in of.__dict__ or of.__dictoffset__ for of in kind.__mro__[:-1]):
            raise TypeError(f"what a {kind.__qualname__} is can't be told: it shows no fields")
        return _object_teller(kind, {name for of, name in self._without if issubclass(kind, of)})


@cache
def _tellers(without: Fields) -> _Tellers:
    return _Tellers(without)


def _object_teller(kind: type[Any], without: set[str]) -> Teller:
    """Tell an object by its fields; one that is equal to itself alone has a number besides."""
    times = _declared(TIMES, kind) - without
    special = _declared(LEFT_OUT, kind) | times | without
    has_identity = getattr(kind, "__eq__", None) is object.__eq__
    title, slots = kind.__qualname__, _slots(kind)

    def tell(walk: _Walk, thing: object) -> Plain:
        told: list[Plain] = [title]
        if has_identity:
            number, is_new = walk.numbered(thing)
            if not is_new:
                return title, number
            told.append(number)
        for name, value in _fields(thing, slots).items():
            if name not in special:
                told.append(name)
                # Most values are of these types, and stand for themselves.
                if value is None or value is True or value is False or type(value) is int:
                    told.append(value)
                else:
                    told.append(walk.tellers[type(value)](walk, value))
            elif name in times:
                told += name, walk.time(value)
        return tuple(told)

    return tell


def _tell_timers(walk: _Walk, timers: Timers[Any]) -> Plain:
    fields = _fields(timers, ("_armed", "_heap"))
    armed: dict[object, float] = fields["_armed"]
    order = [key for when, _, key in sorted(fields["_heap"]) if armed.get(key) == when]
    return "Timers", walk.several((key, walk.time(armed[key])) for key in dict.fromkeys(order))


def _tell_history(walk: _Walk, history: History) -> Plain:
    fields = dict(_fields(history, _OF_HISTORY))
    held: list[Entry | None] = fields.pop("_entries")
    del fields["_start"]
    told = [(*entry[:3], walk.time(entry[3])) for entry in held if entry is not None]
    return "History", walk.table(fields), walk.several(told)


def _tell_random(walk: _Walk, rng: Random) -> Plain:
    number, is_new = walk.numbered(rng)
    return ("Random", number, digest(repr(rng.getstate())).hex()) if is_new else ("Random", number)


def _tell_number(walk: _Walk, number: float) -> Plain:
    return number if abs(number) != float("inf") else str(number)


def _tell_set(walk: _Walk, things: Iterable[object]) -> Plain:
    return "set", tuple(sorted([walk.value(thing) for thing in things], key=repr))


def _tell_itself(walk: _Walk, thing: Any) -> Plain:
    told: Plain = thing
    return told


def _tell_callable(walk: _Walk, thing: Any) -> Plain:
    return "callable", str(thing.__qualname__)


_TELLERS: Mapping[type, Teller] = {
    type(None): _tell_itself,
    bool: _tell_itself,
    int: _tell_itself,
    float: _tell_number,
    str: _Walk.word,
    bytes: _Walk.data,
    list: _Walk.several,
    tuple: _Walk.several,
    dict: _Walk.table,
    set: _tell_set,
    frozenset: _tell_set,
    count: lambda walk, thing: repr(thing),
    FunctionType: _tell_callable,
    BuiltinFunctionType: _tell_callable,
    MethodType: _tell_callable,
    Names: lambda walk, thing: ("callable", "Names"),
    Config: _Walk.config,
    Timers: _tell_timers,
    History: _tell_history,
}

_GENERAL: Mapping[type, Teller] = {
    type: _tell_callable,
    tuple: _Walk.several,
    deque: _Walk.several,
    dict: _Walk.table,
}


_NONE: dict[str, Any] = {}


def _fields(thing: object, slots: tuple[str, ...]) -> Mapping[str, Any]:
    """The fields of an object and their values."""
    inside: dict[str, Any] = getattr(thing, "__dict__", _NONE)
    return {name: getattr(thing, name) for name in slots} | inside if slots else inside


def _slots(kind: type[Any]) -> tuple[str, ...]:
    """The slots of a class and of those it is made from."""
    names: list[str] = []
    for base in kind.__mro__:
        slots: str | Iterable[str] = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return tuple(sorted({*names} - {"__dict__", "__weakref__"}))


def _declared(table: Mapping[type, frozenset[str]], kind: type) -> frozenset[str]:
    """What a table says of a class and of those it is made from."""
    return frozenset[str]().union(*(names for of, names in table.items() if issubclass(kind, of)))


_OF_CONFIG = _slots(Config)
_OF_HISTORY = _slots(History)

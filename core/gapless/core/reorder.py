"""ReorderBuffer: holds what comes too early, for a protocol whose messages may overtake each other.

A gapless link never reorders, so a session repairs a gap by subscribing again and holds nothing.
This is for those who put a `Receiver` under another protocol. A message that is not the next is
held, a hole is a range and costs the same whatever its size, and for each hole there is one timer:

    open ──wait──▶ asked ──ask_again──▶ asked again … ──max_asks──▶ given up: lost, or reset

The position moves by the next message, by `receive_gone`, or by giving up to the lowest message
*held* — never by a high number alone (I7): what is further ahead than the bounds allow is dropped,
and asked for like a hole without an end. So an adversary's number moves nothing and holds nothing.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Literal

from .config import MIB, Config
from .credit import charge
from .errors import ConfigError
from .position import Position
from .receiver import Receiver, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GapPolicy:
    """How long to wait for what is missing, and how much to hold meanwhile.

    Attributes:
        max_ahead: messages: a number is held if it is at most so far above the next.
        max_bytes: charged bytes held at most: payload + 32 a message.
        max_holes: ranges missing at once.
        wait: seconds before a hole is asked for; it may close by itself.
        ask_again: seconds from one question to the next.
        max_asks: questions before a hole is given up.
        give_up: what the application is told then: `lost`, the numbers; or `reset`, for a protocol
            whose messages mean nothing without those before them.

    Raises:
        ConfigError: a value is out of range; the message names it.
    """

    max_ahead: int = 100
    max_bytes: int = MIB
    max_holes: int = 16
    wait: float = 0.2
    ask_again: float = 1.0
    max_asks: int = 3
    give_up: Literal["lost", "reset"] = "lost"

    @classmethod
    def of(cls, config: Config) -> "GapPolicy":
        """Hold as much as a config says."""
        return cls(max_ahead=config.max_gap, max_bytes=config.history_bytes)

    def __post_init__(self) -> None:
        for name in ("max_ahead", "max_bytes", "max_holes", "max_asks"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"GapPolicy.{name} is {value!r}; it must be a whole number from 1"
                )
        for name, least in (("wait", 0.0), ("ask_again", 0.001)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"GapPolicy.{name} is {value!r}; it must be a number of seconds")
            if not least <= value < float("inf"):
                raise ConfigError(f"GapPolicy.{name} is {value!r}; it must be from {least:g} s")
        if self.give_up not in ("lost", "reset"):
            raise ConfigError(f"GapPolicy.give_up is {self.give_up!r}; 'lost' or 'reset'")


@dataclass(frozen=True, slots=True)
class Missing:
    """Ask the sender for `first` … `last` again; `last` None: for all it has from `first` on."""

    first: int
    last: int | None


@dataclass(slots=True)
class _Hole:
    """How far the asking for one range has come."""

    ask_at: float
    asks: int = 0
    is_due: bool = False

    @property
    def is_given_up(self) -> bool:
        return self.ask_at == _NEVER


@dataclass(slots=True)
class _Held:
    """Messages that came too early, and the hole before them; None if they follow held ones."""

    first: int
    payloads: list[bytes]
    text: bool
    hole: _Hole | None

    @property
    def end(self) -> int:
        """The number behind the last message."""
        return self.first + len(self.payloads)


class ReorderBuffer:
    """A `Receiver` with patience.

    Args:
        receiver: where messages go in order; take them from it. It has been started.
        policy: bounds and times.
    """

    __slots__ = ("_behind", "_behind_last", "_bytes", "_held", "_policy", "receiver")

    def __init__(self, receiver: Receiver, policy: GapPolicy | None = None) -> None:
        self.receiver = receiver
        self._policy = policy or GapPolicy()
        self._held: list[_Held] = []
        self._bytes = 0
        self._behind: _Hole | None = None
        self._behind_last = 0

    @property
    def held_bytes(self) -> int:
        """Charged bytes held ahead of a hole; those in the inbox are the receiver's."""
        return self._bytes

    @property
    def held_messages(self) -> int:
        """Messages held ahead of a hole."""
        return sum(len(held.payloads) for held in self._held)

    def missing(self) -> list[Missing]:
        """The holes, oldest first; the last one has no end if something behind it was dropped."""
        return [missing for missing, _ in self._holes()]

    # inputs

    def receive(self, first: int, payloads: list[bytes], text: bool, *, now: float) -> Verdict:
        """Take a batch numbered `first`, `first` + 1, …: deliver it, hold it, or drop it.

        `GAP` says that it is not the next: what of it is within the bounds is held.
        """
        verdict = self.receiver.receive(first, payloads, text)
        if verdict is Verdict.GAP:
            self._hold(first, payloads, text, now)
        elif verdict is Verdict.ACCEPTED:
            self._deliver(now)
        return verdict

    def receive_gone(self, first: int, last: int, reason: str, *, now: float) -> Verdict:
        """Take the sender's word that `first` … `last` won't come; ignored ahead of a hole."""
        verdict = self.receiver.receive_gone(first, last, reason)
        if verdict is Verdict.ACCEPTED:
            self._deliver(now)
        return verdict

    def restart(self, position: Position, reason: str) -> None:
        """Go on after `position`; what is held belongs to another numbering."""
        self.receiver.restart(position, reason)
        self._held.clear()
        self._bytes, self._behind = 0, None

    def next_deadline(self) -> float | None:
        """When a hole is to be asked for or given up; None: never."""
        times = [hole.ask_at for _, hole in self._holes() if not hole.is_given_up]
        return min(times, default=None)

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass: ask for what is missing, ask again, or give it up."""
        for _, hole in self._holes():
            if now < hole.ask_at:
                continue
            if hole.asks < self._policy.max_asks:
                hole.asks += 1
                hole.is_due = True
                hole.ask_at = now + self._policy.ask_again
            else:
                hole.ask_at, hole.is_due = _NEVER, False
        if self._behind is not None and self._behind.is_given_up:
            # Nothing held says that there is anything: it was a number, and no more.
            self._behind = None
        self._give_up(now)

    # outputs

    def next_request(self) -> Missing | None:
        """Take the next range to ask the sender for."""
        for missing, hole in self._holes():
            if hole.is_due:
                hole.is_due = False
                return missing
        return None

    # internals

    @property
    def _next(self) -> int:
        position = self.receiver.position
        assert position is not None
        return position.seq + 1

    def _holes(self) -> list[tuple[Missing, _Hole]]:
        found: list[tuple[Missing, _Hole]] = []
        at = self._next
        for held in self._held:
            if held.hole is not None:
                found.append((Missing(at, held.first - 1), held.hole))
            at = held.end
        if self._behind is not None:
            found.append((Missing(at, None), self._behind))
        return found

    def _hold(self, first: int, payloads: list[bytes], text: bool, now: float) -> None:
        room = max(0, self._next + self._policy.max_ahead + 1 - first)
        if len(payloads) > room:
            self._drop(first + len(payloads) - 1, now)
            payloads = payloads[:room]
        for start, stop in self._new_parts(first, first + len(payloads)):
            part = payloads[start - first : stop - first]
            if not self._insert(start, part, text, now):
                self._drop(stop - 1, now)

    def _new_parts(self, first: int, end: int) -> list[tuple[int, int]]:
        """Say which of the numbers from `first` to before `end` aren't held; count the others."""
        parts: list[tuple[int, int]] = []
        at = first
        for held in self._held:
            if held.end <= at:
                continue
            if held.first >= end:
                break
            if held.first > at:
                parts.append((at, held.first))
            self.receiver.duplicates += min(held.end, end) - max(held.first, at)
            at = held.end
        if at < end:
            parts.append((at, end))
        return parts

    def _insert(self, first: int, payloads: list[bytes], text: bool, now: float) -> bool:
        """Hold what is new; False if that would be above a bound."""
        size = charge(payloads)
        index = bisect_left(self._held, first, key=lambda held: held.first)
        before = self._held[index - 1].end if index else self._next
        after = self._held[index] if index < len(self._held) else None
        opens = first > before
        closes = after is not None and after.first == first + len(payloads)
        holes = sum(held.hole is not None for held in self._held) + opens - closes
        if self._bytes + size > self._policy.max_bytes or holes > self._policy.max_holes:
            return False
        hole: _Hole | None = None
        if opens:
            split = None if after is None else after.hole
            hole = _Hole(now + self._policy.wait) if split is None else replace(split)
        if after is not None and closes:
            after.hole = None
        self._held.insert(index, _Held(first, payloads, text, hole))
        self._bytes += size
        return True

    def _drop(self, last: int, now: float) -> None:
        """Something up to `last` was dropped: ask for all that lies behind what is held."""
        self._behind_last = max(self._behind_last, last) if self._behind is not None else last
        if self._behind is None:
            self._behind = _Hole(now + self._policy.wait)

    def _deliver(self, now: float) -> None:
        """The position has moved: pass on what has become next, and start the next hole anew."""
        while self._held and self._held[0].first <= self._next:
            held = self._held.pop(0)
            self._bytes -= charge(held.payloads)
            self.receiver.receive(held.first, held.payloads, held.text)
        if self._held and not self._is_given_up:
            # It has become smaller, or the oldest: the sender gets its time for what is left.
            self._held[0].hole = _Hole(now + self._policy.wait)
        if self._behind is not None and self._next > self._behind_last:
            self._behind = None

    @property
    def _is_given_up(self) -> bool:
        hole = self._held[0].hole if self._held else None
        return hole is not None and hole.is_given_up

    def _give_up(self, now: float) -> None:
        """Move over the oldest holes that were asked for in vain, up to the lowest held message."""
        while self._is_given_up:
            position = self.receiver.position
            assert position is not None
            last = self._held[0].first - 1
            if self._policy.give_up == "lost":
                self.receiver.receive_gone(position.seq + 1, last, "gap")
            else:
                self.receiver.restart(Position(position.epoch, last), "gap")
            self._deliver(now)


_NEVER = float("inf")

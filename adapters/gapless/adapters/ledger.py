"""Ledger: who waits for which publish, without I/O.

Core says what became of messages as ranges of numbers; a ledger finds the receipts and publishers
they belong to. One a session, on every runtime.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from gapless.core.events import Settled

Waiter = TypeVar("Waiter", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted message, in its publisher's own numbering (not the channel's).

    Attributes:
        channel: where it was published.
        epoch: this publisher's numbering, made by the server.
        seq: 1, 2, 3 … within it.
    """

    channel: str
    epoch: str
    seq: int


@dataclass(slots=True, eq=False)
class Tally:
    """What became of everything one publisher sent: ranges of its own count from 1.

    Attributes:
        sent: messages sent so far.
        accepted: how many of them were accepted.
        failed: the others that are settled.
    """

    channel: str
    sent: int = 0
    accepted: int = 0
    settled: int = 0
    failed: list[Settled] = field(default_factory=list[Settled])
    _runs: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    @property
    def is_settled(self) -> bool:
        """Whether everything sent has ended in one of the four ways."""
        return self.settled >= self.sent

    def note_sent(self, number: int) -> None:
        """Note that the next message has the session's number `number` on its channel."""
        self.sent += 1
        if self._runs and self._runs[-1][1] + 1 == number:
            first, _, index = self._runs[-1]
            self._runs[-1] = (first, number, index)
        else:
            self._runs.append((number, number, self.sent))

    def note_settled(self, settled: Settled) -> bool:
        """Take what became of a range of the session's numbers; True if some were of here."""
        touched = False
        for first, last, index in self._runs:
            begin, end = max(first, settled.first), min(last, settled.last)
            if begin > end:
                continue
            touched = True
            count = end - begin + 1
            self.settled += count
            if settled.outcome == "accepted":
                self.accepted += count
            else:
                own = index + begin - first
                self.failed.append(replace(settled, first=own, last=own + count - 1))
        self._runs = [run for run in self._runs if run[1] > settled.last]
        return touched


class Ledger(Generic[Waiter]):
    """Single receipts and tallies waiting to be settled."""

    def __init__(self) -> None:
        self._receipts: dict[tuple[str, int], Waiter] = {}
        self._tallies: dict[str, list[Tally]] = {}

    def expect(self, channel: str, number: int, waiter: Waiter) -> None:
        """Wait for one message."""
        self._receipts[channel, number] = waiter

    def drop(self, channel: str, number: int) -> None:
        """Nobody waits for that message any more."""
        self._receipts.pop((channel, number), None)

    def open_tally(self, channel: str) -> Tally:
        """Count what a publisher sends."""
        tally = Tally(channel)
        self._tallies.setdefault(channel, []).append(tally)
        return tally

    def close_tally(self, tally: Tally) -> None:
        """Count no more."""
        tallies = self._tallies.get(tally.channel, [])
        if tally in tallies:
            tallies.remove(tally)

    def settle(self, settled: Settled) -> tuple[list[tuple[Waiter, Settled]], list[Tally]]:
        """Take a range; returns the receipts it settles, each alone, and the tallies touched."""
        tallies = [
            tally for tally in self._tallies.get(settled.channel, []) if tally.note_settled(settled)
        ]
        receipts: list[tuple[Waiter, Settled]] = []
        if self._receipts:
            for number in range(settled.first, settled.last + 1):
                waiter = self._receipts.pop((settled.channel, number), None)
                if waiter is not None:
                    seq = settled.seq + number - settled.first if settled.seq else 0
                    one = replace(settled, first=number, last=number, seq=seq)
                    receipts.append((waiter, one))
        return receipts, tallies

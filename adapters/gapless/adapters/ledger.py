"""Ledger: who waits for which publish, without I/O.

Core says what became of messages as ranges of numbers; a ledger finds the receipts and publishers
they belong to. One a session, on every runtime.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from gapless.core.errors import InvalidState
from gapless.core.events import Settled, SettledOutcome
from gapless.core.news import Ticket

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
class Answer:
    """Who waits for one message's receipt.

    Attributes:
        settled: what became of it, once that is known.
    """

    settled: Settled | None = None


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
                part = _part(settled, begin, end)
                self._note_failed(replace(part, first=own, last=own + count - 1))
        self._runs = [run for run in self._runs if run[1] > settled.last]
        return touched

    def _note_failed(self, part: Settled) -> None:
        """Keep ranges, not messages: what continues the last range becomes part of it."""
        before = self.failed[-1] if self.failed else None
        if before is not None and before.last + 1 == part.first:
            seq = before.seq + part.first - before.first if before.seq else 0
            if replace(before, first=part.first, last=part.last, seq=seq) == part:
                self.failed[-1] = replace(before, last=part.last)
                return
        self.failed.append(part)


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

    def open_tally(self, tally: Tally) -> None:
        """Count what a publisher sends."""
        self._tallies.setdefault(tally.channel, []).append(tally)

    def close_tally(self, tally: Tally) -> None:
        """Count no more. Harmless if called twice."""
        tallies = self._tallies.get(tally.channel, [])
        if tally in tallies:
            tallies.remove(tally)
            if not tallies:
                del self._tallies[tally.channel]

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
                    receipts.append((waiter, _part(settled, number, number)))
        return receipts, tallies


class Tickets:
    """What a server's own publisher sent and its store hasn't answered, with its tally."""

    def __init__(self, channel: str) -> None:
        self.tally = Tally(channel)
        self._pending: deque[Ticket] = deque()

    def next_pending(self) -> Ticket | None:
        """The oldest ticket without an answer, or None; those before it are settled now."""
        while self._pending and not self._pending[0].is_pending:
            ticket = self._pending.popleft()
            self._settle(ticket, "refused" if ticket.refused is not None else "accepted")
        return self._pending[0] if self._pending else None

    def note_sent(self, ticket: Ticket) -> None:
        """Note that a message was handed over."""
        self.tally.note_sent(self.tally.sent + 1)
        self._pending.append(ticket)
        self.next_pending()

    def give_up(self) -> None:
        """No answer will come any more: nobody can say."""
        while self._pending:
            self._settle(self._pending.popleft(), "unknown")

    def _settle(self, ticket: Ticket, outcome: SettledOutcome) -> None:
        number = self.tally.settled + 1
        code = ticket.refused or ""
        self.tally.note_settled(
            Settled(ticket.channel, number, number, outcome, ticket.epoch, ticket.seq, code)
        )


def check_entered(channel: str, is_entered: bool) -> None:
    """Refuse to begin a publisher again: its tally is of one block.

    Raises:
        InvalidState: it was entered before.
    """
    if is_entered:
        raise InvalidState(f"channel {channel!r}: enter once, then call publisher() again")


def encode_payload(payload: object) -> tuple[bytes, bool]:
    """Turn what an application publishes into bytes that won't change, and whether they are text.

    Text with lone surrogates comes out as bytes that are no UTF-8, which core refuses (`NotText`).

    Raises:
        TypeError: it is neither text nor bytes.
    """
    if isinstance(payload, str):
        return payload.encode("utf-8", "surrogatepass"), True
    if isinstance(payload, bytes):
        return payload, False
    if isinstance(payload, bytearray):
        return bytes(payload), False
    if isinstance(payload, memoryview):
        return payload.tobytes(), False
    what = type(payload).__name__
    raise TypeError(f"a payload is bytes or str, not {what}; encode it first, as json.dumps does")


def encode_batch(payloads: Sequence[bytes | str], text: bool) -> tuple[list[bytes], bool]:
    """Turn a batch that an application publishes into bytes, and whether they are text.

    Raises:
        TypeError: it is no sequence of payloads, one is neither text nor bytes, or only some are
            text.
    """
    if isinstance(payloads, str | bytes | bytearray | memoryview):
        raise TypeError("a batch is a list of payloads; publish() takes one message")
    encoded = [encode_payload(payload) for payload in payloads]
    kinds = {text or is_text for _, is_text in encoded}
    if len(kinds) > 1:
        raise TypeError("a batch is all text or all bytes; publish them as two")
    return [payload for payload, _ in encoded], kinds.pop() if kinds else text


def _part(settled: Settled, first: int, last: int) -> Settled:
    """Cut a range out of what was settled."""
    seq = settled.seq + first - settled.first if settled.seq else 0
    return replace(settled, first=first, last=last, seq=seq)

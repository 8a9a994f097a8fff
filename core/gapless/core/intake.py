"""Intake: the hub's side of one client's publishing to one channel, across links.

It keeps the publish cursor (rule 7): the publisher's epoch, made here, and the number of the last
message accepted. What comes is deduplicated and queued by a `Receiver` until the store has taken
it; the queue is bounded by credit. A refused message blocks: the cursor stays before it, what
follows is discarded silently until it comes again or the publisher's `gone` skips it. So a refusal
that is lost with its link is simply asked again. Any other hole means that the link loses frames:
it is ended, and the publisher offers again on the next.

`offered` waits for this publisher's appends in flight: else a message could be applied twice.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .ack import AckPolicy
from .backoff import MAX_HINT
from .closing import Code
from .credit import Credit, charge
from .events import Lost
from .frames import Ack, Data, Frame, Gone, Offer, Offered, Refused
from .outbox import BATCH_BYTES, BATCH_MESSAGES
from .position import Position
from .receiver import MESSAGE_BYTES, Receiver, Run, Verdict
from .violation import Violation

INTAKE_BYTES = 2304
"""Bytes an intake takes beside its queue, the first `MARKERS` of that included."""


class IntakePhase(enum.Enum):
    """Where an intake stands on the present link."""

    IDLE = "idle"
    OFFERED = "offered"
    RECALLING = "recalling"
    ANSWERING = "answering"
    OPEN = "open"
    BLOCKED = "blocked"


_TAKING = frozenset({IntakePhase.OPEN, IntakePhase.BLOCKED})


@dataclass(slots=True)
class Chunk:
    """Messages handed to the store, numbered by their publisher from `first` on."""

    first: int
    payloads: list[bytes]
    text: bool


class Intake:
    """One client's publishing to one channel.

    Args:
        name: the channel's name.
        owner: the session's id.
        window: bytes that may be on the way or queued.
        new_epoch: makes a name for a publisher's numbering.
        may_credit: whether memory lets the publisher go on.
    """

    def __init__(
        self,
        name: str,
        owner: str,
        *,
        window: int,
        new_epoch: Callable[[], str],
        may_credit: Callable[["Intake"], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self.owner = owner
        self.phase = IntakePhase.IDLE
        self.id = 0
        self.forbidden: str | None = None
        self._new_epoch = new_epoch
        self._may_credit = may_credit
        self._epoch: str | None = None
        self._accepted = 0
        self._receiver = Receiver(name)
        self._credit = Credit(window)
        self._acks = AckPolicy(count=1)
        self._offer: Offer | None = None
        self._run: Run | None = None
        self._in_flight: Chunk | None = None
        self._refusal: Refused | None = None
        self._is_asking = False

    @property
    def epoch(self) -> str | None:
        """The publisher's epoch; None before the first offer."""
        return self._epoch

    @property
    def accepted(self) -> int:
        """The publish cursor: the number of the last message accepted."""
        return self._accepted

    @property
    def memory(self) -> int:
        """Bytes it takes; what is in flight to the store is counted with the channel."""
        held = INTAKE_BYTES + self._receiver.memory
        if self._run is not None:
            held += _memory(self._run.payloads[self._run.index :])
        return held

    @property
    def held_bytes(self) -> int:
        """Charged bytes received and not yet accepted."""
        held = self._receiver.held_bytes
        if self._run is not None:
            held += charge(self._run.payloads[self._run.index :])
        if self._in_flight is not None:
            held += charge(self._in_flight.payloads)
        return held

    # inputs

    def receive_offer(self, frame: Offer, *, now: float) -> None:
        """Take an offer; it is answered once nothing is in flight."""
        self.phase = IntakePhase.OFFERED
        self.id = frame.id
        self._offer = frame
        self._forget_queue()

    def handle_recalled(self, epoch: str, last: int | None) -> None:
        """Take from the store how far it accepted the numbering `epoch`; None: it never saw it."""
        offer, self._is_asking = self._offer, False
        if self.phase is not IntakePhase.RECALLING or offer is None or offer.epoch != epoch:
            return
        self.phase = IntakePhase.ANSWERING
        if last is not None:
            self._epoch, self._accepted = epoch, last

    def receive_data(self, frame: Data, *, now: float) -> None:
        """Queue what is next; a duplicate is acked again, what follows a refusal discarded."""
        if self.phase not in _TAKING:
            raise Violation(f"data of {frame.id} before offered")
        if not self._credit.receive(charge(frame.payloads)):
            raise Violation(f"data for channel {self.name!r} beyond the limit")
        known = self._receiver.duplicates
        verdict = self._receiver.receive(frame.first, frame.payloads, frame.text)
        self._judge(verdict, frame.first)
        if verdict is Verdict.GAP or self._receiver.duplicates != known:
            self._acks.demand()

    def receive_gone(self, frame: Gone, *, now: float) -> None:
        """Take the publisher's word that it skips messages that were refused."""
        if self.phase not in _TAKING:
            raise Violation(f"gone of {frame.id} before offered")
        verdict = self._receiver.receive_gone(frame.first, frame.last, frame.reason)
        self._judge(verdict, frame.first)

    def handle_link_lost(self, *, now: float) -> None:
        """Forget the queue: the publisher offers it again."""
        self.phase = IntakePhase.IDLE
        self._offer = None
        self._forget_queue()

    def next_deadline(self) -> float | None:
        """An intake has no timer."""
        return None

    def handle_timeout(self, *, now: float) -> None:
        """An intake has no timer."""

    def handle_accepted(self) -> None:
        """The store has taken the chunk in flight."""
        chunk = self._in_flight
        assert chunk is not None
        self._in_flight = None
        self._accepted = chunk.first + len(chunk.payloads) - 1
        self._acks.demand()

    def handle_refused(self, code: str, retry_after: float | None) -> None:
        """The chunk in flight is refused: all that follows waits for the publisher."""
        chunk = self._in_flight
        assert chunk is not None
        self._in_flight = None
        if self.phase not in _TAKING:
            return
        self.phase = IntakePhase.BLOCKED
        after = None if retry_after is None else int(min(max(retry_after, 0.0), MAX_HINT) * 1000)
        last = chunk.first + len(chunk.payloads) - 1
        self._refusal = Refused(self.id, chunk.first, last, code, after)
        self._acks.demand()
        self._forget_queue(keep_refusal=True)

    # commands

    def shed(self, size: int, retry_after: float) -> bool:
        """Drop the newest of what is queued, to free `size` bytes or all; False: nothing is queued.

        The publisher sends it again. It is told once what was queued before is accepted: so a batch
        that there is no memory for as a whole is taken in parts (P4). Where an append is in flight
        nothing can be said of what follows it.
        """
        if self.phase not in _TAKING or self._in_flight is not None:
            return False
        if self._run is None:
            self._skip_gone()
        last = self._receiver.position
        if last is None or last.seq <= self._accepted:
            return False
        told = last.seq if self._refusal is None else max(last.seq, self._refusal.last)
        first = self._drop_newest(size) + 1
        self.phase = IntakePhase.BLOCKED
        self._refusal = Refused(self.id, first, told, "busy", int(retry_after * 1000))
        self._acks.demand()
        return True

    def prepare_answer(self, *, store_remembers: bool) -> str | None:
        """Go on towards `offered`; returns the epoch the store must be asked about, if any."""
        offer = self._offer
        if self.phase is not IntakePhase.OFFERED or self._in_flight is not None or offer is None:
            return None
        if store_remembers and offer.epoch is not None and offer.epoch != self._epoch:
            if self._is_asking:
                # About an offer before this one. The store is asked one thing at a time (P3).
                return None
            self.phase = IntakePhase.RECALLING
            self._is_asking = True
            return offer.epoch
        self.phase = IntakePhase.ANSWERING
        return None

    def next_chunk(self, max_messages: int, max_bytes: int) -> Chunk | None:
        """Look at what the store should take next; `take_chunk` hands it over."""
        if self._in_flight is not None or self.phase not in _TAKING:
            return None
        if self._run is None:
            self._skip_gone()
            self._run = self._receiver.next_run()
        run = self._run
        if run is None:
            return None
        size, stop = 0, run.index
        for payload in run.payloads[run.index : run.index + max_messages]:
            size += len(payload)
            if size > max_bytes and stop > run.index:
                break
            stop += 1
        return Chunk(run.first + run.index, run.payloads[run.index : stop], run.text)

    def take_chunk(self, chunk: Chunk) -> None:
        """The chunk is on its way to the store."""
        run = self._run
        assert run is not None
        run.index += len(chunk.payloads)
        if run.index == len(run.payloads):
            self._run = None
        self._in_flight = chunk

    def turn_away(self) -> None:
        """Answer an offer of a channel that isn't the client's, and refuse all it sends there."""
        self.prepare_answer(store_remembers=False)
        chunk = self.next_chunk(BATCH_MESSAGES, BATCH_BYTES)
        if chunk is not None:
            self.take_chunk(chunk)
            self.handle_refused(self.forbidden or "forbidden", None)

    # outputs

    def next_control(self, *, now: float) -> Frame | None:
        """Take the pending `offered`, `ack` or `refused`."""
        if self.phase is IntakePhase.ANSWERING:
            return self._answer()
        if self.phase not in _TAKING:
            return None
        held, limit = self.held_bytes, self._credit.announced
        if not held or self._may_credit(self):
            limit = self._credit.limit(held)
        if self._acks.is_due or limit - self._credit.announced >= self._credit.window // 4:
            self._acks.told()
            if limit > self._credit.announced:
                limit = self._credit.announce(held)
            return Ack(self.id, self._accepted, limit)
        refusal = self._refusal
        if refusal is None or refusal.first > self._accepted + 1:
            # It says that all before it is accepted.
            return None
        self._refusal = None
        return refusal

    def next_data(self, *, now: float) -> Frame | None:
        """An intake sends no data."""
        return None

    # internals

    def _judge(self, verdict: Verdict, first: int) -> None:
        """The refused message has come again or is skipped; or there is a hole before `first`."""
        if verdict is Verdict.ACCEPTED:
            self.phase = IntakePhase.OPEN
        elif verdict is Verdict.GAP and self.phase is IntakePhase.OPEN:
            words = f"{first} for channel {self.name!r} came behind a hole"
            raise Violation(words, Code.DIVERGED)

    def _answer(self) -> Offered:
        offer = self._offer
        assert offer is not None
        self._offer = None
        self.phase = IntakePhase.OPEN
        kind: Literal["known", "new"] = "known"
        if offer.epoch is None or offer.epoch != self._epoch:
            kind = "new"
            self._epoch, self._accepted = self._new_epoch(), 0
        assert self._epoch is not None
        self._receiver.start(Position(self._epoch, self._accepted))
        self._acks.told()
        limit = self._credit.restart(self.held_bytes)
        return Offered(offer.id, kind, self._epoch, self._accepted, limit)

    def _forget_queue(self, keep_refusal: bool = False) -> None:
        """Go back to what is accepted or in flight."""
        if not keep_refusal:
            self._refusal = None
        self._run = None
        self._receiver = Receiver(self.name)
        if self._epoch is not None:
            reached = self._accepted
            if self._in_flight is not None:
                reached += len(self._in_flight.payloads)
            self._receiver.start(Position(self._epoch, reached))

    def _drop_newest(self, size: int) -> int:
        """Drop so many bytes of what is queued; returns the number of the last message kept."""
        receiver, run = self._receiver, self._run
        while size > 0 and (freed := receiver.drop_newest(size)):
            size -= freed
        if size > 0 and run is not None:
            while size > 0 and len(run.payloads) > run.index:
                size -= len(run.payloads.pop()) + MESSAGE_BYTES
            self._receiver = receiver = Receiver(self.name)
            receiver.start(Position(run.epoch, run.first + len(run.payloads) - 1))
            if run.index == len(run.payloads):
                self._run = None
        position = receiver.position
        assert position is not None
        return position.seq

    def _skip_gone(self) -> None:
        """Move the cursor over what the publisher skips."""
        while self._receiver.is_at_marker:
            marker = self._receiver.next_event()
            assert isinstance(marker, Lost)
            self._accepted = marker.last


def _memory(payloads: list[bytes]) -> int:
    return sum(map(len, payloads)) + MESSAGE_BYTES * len(payloads)

"""Outbox: a client's publishing to one channel, across links.

Every message ends in exactly one way (rule 7, P6): accepted, refused, unknown (sent, and the
answer lost with the session) or unsent. The publisher's epoch is made by the hub. When the hub
has no cursor for ours it answers `new`: what was sent and not acked is then unknown, since nobody
can say, and nothing of it is sent again by itself; what was never sent goes on under the new epoch.

The numbers an application sees (`Settled.first`) count its publishes from 1 and never change; a
message's seq in an epoch is only final once it is accepted.

What was imported counts as sent, whatever its exporter did: another import of the same export may
have sent it. So it is offered under its own epoch first, and the hub's cursor makes it once; what
is published after the import stays out of that epoch, whose numbers the other one would use too.
"""

import enum
from collections import deque
from collections.abc import Iterator, MutableSequence
from dataclasses import replace
from itertools import takewhile

from .backoff import MAX_HINT
from .config import Config
from .credit import charge
from .events import Settled, SettledOutcome
from .export import ExportedOutbox
from .frames import Ack, Data, Frame, Gone, Offer, Offered, Refused
from .history import ENTRY_BYTES, History
from .violation import Violation

BATCH_MESSAGES = 128
"""Messages in a batch at most."""

BATCH_BYTES = 64 * 1024
"""Bytes of payload in a batch at most, unless it is one message alone."""


OUTBOX_BYTES = 2048
"""Bytes an outbox takes beside what it holds."""

SETTLED_BYTES = ENTRY_BYTES
"""Bytes that word of settled messages takes until the application takes it.

No more than one message took: so an answer of the server never takes memory that isn't there (P3).
"""

SOONEST = 0.1
"""Seconds: a message refused for now is sent again no sooner, whatever the server asks."""


class OfferPhase(enum.Enum):
    """Where an outbox stands on the present link.

    STAYING: the session has moved on, and what was sent is still answered on the link before (rule
    9). Nothing more is sent until it is.
    """

    IDLE = "idle"
    ASKED = "asked"
    OPEN = "open"
    STAYING = "staying"


class Outbox:
    """Messages of one client for one channel. Made by `ClientSession.publish`.

    Args:
        channel: its name.
        config: bounds of what is held.
        ids: gives the id of the next `offer`.
    """

    def __init__(self, channel: str, *, config: Config, ids: Iterator[int]) -> None:
        self.channel = channel
        self.phase = OfferPhase.IDLE
        self.id = 0
        self.epoch: str | None = None
        self.accepted = 0
        self.failed = 0
        self._faults = 0
        self._latency: tuple[float, int] | None = None
        self.is_barred = False
        self._largest = config.max_message
        self._ids = ids
        self._history = History(
            max_messages=config.history_messages, max_bytes=config.history_bytes
        )
        self._offset = 0
        self._cursor = 1
        self._sent_through = 0
        self._sent = 0
        self._limit = 0
        self._skipped_from: int | None = None
        self._hold_until: float | None = None
        self._imported_through = 0
        self._before = 0
        self._brought = 0
        self._is_closing = False
        self._settled: deque[Settled] = deque()
        self._unsettled: list[Settled] = []

    @property
    def published(self) -> int:
        """Messages published so far: the number of the newest."""
        return self._offset + self._history.head

    @property
    def count(self) -> int:
        """Messages published here or imported."""
        return self.published - self._before

    @property
    def held_bytes(self) -> int:
        """Bytes of payload not yet settled."""
        return self._history.size

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither messages nor word of any."""
        return not len(self._history) and not self._settled

    @property
    def held_messages(self) -> int:
        """Messages not yet settled."""
        return len(self._history)

    @property
    def memory(self) -> int:
        """Bytes it takes; while it holds nothing, nothing is counted: there are few outboxes."""
        if self.is_empty:
            return 0
        return OUTBOX_BYTES + self._history.memory + SETTLED_BYTES * len(self._settled)

    @property
    def is_settled(self) -> bool:
        """Whether every published message has ended in one of the four ways."""
        return not len(self._history)

    @property
    def is_unanswered(self) -> bool:
        """Whether something was sent on this link and not answered."""
        is_open = self.phase in (OfferPhase.OPEN, OfferPhase.STAYING)
        return is_open and self._cursor > self._history.first

    @property
    def is_restored(self) -> bool:
        """Whether everything imported has ended in one of the four ways."""
        return not self._imported_through

    def unsettled(self) -> list[Settled]:
        """Say what isn't accepted: what the end left, and what would become of the rest now."""
        return [*self._unsettled, *self.pending()]

    def pending(self) -> list[Settled]:
        """What would become of what is held if the session ended now."""
        first, head = self._history.first, self._history.head
        sent = max(self._sent_through, first - 1)
        number, epoch = self._offset + first, self.epoch or ""
        words: list[Settled] = []
        if sent >= first:
            last = self._offset + sent
            words.append(Settled(self.channel, number, last, "unknown", epoch, first))
        if head > sent:
            after, last = self._offset + sent + 1, self._offset + head
            words.append(Settled(self.channel, after, last, "unsent", "", 0))
        return words

    def has_room(self, size: int) -> bool:
        """Whether a message of `size` bytes can be published now.

        Settlements that the application hasn't taken count: they name messages one by one in the
        worst case.
        """
        return self._history.has_room(size) and len(self._settled) < self._history.max_messages

    # inputs

    def receive_offered(self, frame: Offered, *, now: float) -> None:
        """Take the hub's answer: where our numbering stands with it."""
        if self.phase is not OfferPhase.ASKED:
            raise Violation(f"a second offered for {frame.id}")
        if frame.kind == "known" and frame.epoch != self.epoch:
            raise Violation(f"offered knows epoch {frame.epoch!r}, not ours")
        if frame.kind == "new" and frame.last != 0:
            raise Violation(f"offered is new, but at {frame.last}")
        self.phase = OfferPhase.OPEN
        self._sent, self._limit = 0, frame.limit
        self._hold_until = None
        if frame.kind == "new":
            self._begin_epoch(frame.epoch)
            self._refuse_giants()
            return
        self._accept(min(frame.last, self._sent_through), now)
        if frame.last > self._sent_through:
            self._begin_epoch(None)
            return
        self._skipped_from = frame.last + 1 if frame.last + 1 < self._history.first else None
        self._cursor = self._history.first
        self._refuse_giants()

    def receive_ack(self, frame: Ack, *, now: float) -> None:
        """Take the hub's word that everything through `seq` is accepted."""
        if not self._is_open(frame.id):
            return
        if frame.seq > self._sent_through:
            raise Violation(f"ack {frame.seq} beyond {self._sent_through}, the last sent")
        self._limit = max(self._limit, frame.limit)
        self._accept(frame.seq, now)
        self._refuse_giants()

    def receive_refused(self, frame: Refused, *, now: float) -> bool:
        """Take a refusal: for now, and the message is sent again; or for good.

        Returns whether it was news; one that comes late, of what is settled, is not.
        """
        if not self._is_open(frame.id):
            return False
        if frame.last > self._sent_through:
            raise Violation(f"refused {frame.last} beyond {self._sent_through}, the last sent")
        if frame.first < self._history.first:
            return False
        self._accept(frame.first - 1, now)
        if frame.retry_after_ms is None:
            self._settle(frame.last, "refused", frame.code)
            self._skipped_from = frame.first if self._skipped_from is None else self._skipped_from
        else:
            self._hold_until = now + min(max(frame.retry_after_ms / 1000, SOONEST), MAX_HINT)
        self._cursor = self._history.first
        self._refuse_giants()
        return True

    def handle_link_lost(self, *, now: float) -> None:
        """Offer again on the next link."""
        self.phase = OfferPhase.IDLE
        self._hold_until = None
        self._refuse_if_barred()

    def next_deadline(self) -> float | None:
        """When a message refused for now is sent again."""
        return self._hold_until

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass."""
        if self._hold_until is not None and now >= self._hold_until:
            self._hold_until = None

    # commands

    def publish(self, payload: bytes, text: bool, *, now: float) -> int:
        """Hold a message until it is settled; returns its number. The caller checked the room."""
        self._history.append(payload, text, None, now=now)
        return self.published

    def take_limits(self, max_message: int, *, is_barred: bool) -> None:
        """Take what a welcome says: the largest payload, and whether the channel is one too many.

        What was published while that wasn't known is refused here, as the server would.
        """
        self._largest = max_message
        self.is_barred = is_barred
        if self.phase is OfferPhase.IDLE:
            self._refuse_if_barred()

    def restore(self, exported: ExportedOutbox, *, now: float) -> None:
        """Take over what another session held. Only for an outbox that is new; there is room.

        What never had an epoch was never sent, and never will be: nothing could tell two imports
        of it apart.
        """
        history = self._history
        history.renumber(exported.seq)
        self._offset = exported.first - exported.seq
        self._before = exported.first - 1
        self._settled.extend(exported.ended)
        for payload, text in exported.messages:
            history.append(payload, text, None, now=now)
        self._brought = self.published
        if exported.epoch is None or not exported.messages:
            self._settle(history.head, "unsent")
            self._begin_epoch(None)
        else:
            self.epoch = exported.epoch
            self._sent_through = self._imported_through = history.head

    def export(self) -> ExportedOutbox:
        """Copy what is held, how far it was sent, and untaken word of what was imported."""
        history = self._history
        entries = [history.entry(seq) for seq in range(history.first, history.head + 1)]
        return ExportedOutbox(
            self.channel,
            self.epoch,
            self._offset + history.first,
            history.first,
            max(0, self._sent_through - history.first + 1),
            tuple((payload, text) for payload, text, _, _ in entries),
            tuple(word for word in self._settled if word.first <= self._brought),
        )

    def hand_over(self) -> None:
        """Another session will say what becomes of what is held, and what became of the import."""
        self._is_closing = True
        while self._settled and self._settled[0].first <= self._brought:
            self._settled.popleft()
        self._unsettled += self.pending()
        self._history.drop_through(self._history.head)
        self._imported_through = 0

    def leave(self) -> None:
        """The end begins: from now on what isn't accepted is remembered for `unsettled`."""
        self._is_closing = True

    def stay(self) -> None:
        """Wait for the answers on the link that the session leaves."""
        self.phase = OfferPhase.STAYING

    def abandon(self) -> None:
        """The session is over: what was sent is unknown, what was not is unsent."""
        self._is_closing = True
        self._settle(self._sent_through, "unknown")
        self._settle(self._history.head, "unsent")
        self._end_import()

    # outputs

    def next_settled(self) -> Settled | None:
        """Take the next word on what became of messages, in their order."""
        return self._settled.popleft() if self._settled else None

    def take_faults(self) -> int:
        """Say how many messages were refused or became unknown since this was asked."""
        faults, self._faults = self._faults, 0
        return faults

    def take_latency(self) -> tuple[float, int] | None:
        """Say how long the last answer took, in seconds from publishing the oldest it accepts.

        And of how many messages it was. None: there was none since this was asked.
        """
        latency, self._latency = self._latency, None
        return latency

    def next_control(self, *, now: float) -> Frame | None:
        """Take the `offer`, once there is something to send."""
        if self.phase is not OfferPhase.IDLE or self.is_settled:
            return None
        self.phase = OfferPhase.ASKED
        self.id = next(self._ids)
        return Offer(self.id, self.channel, self.epoch, self._history.first)

    def next_data(self, *, now: float) -> Frame | None:
        """Take the next batch there is credit for, or the `gone` before it."""
        if self.phase is not OfferPhase.OPEN or self._hold_until is not None:
            return None
        newest = self._imported_through or self._history.head
        if self._cursor > newest or self._sent >= self._limit:
            return None
        if self._skipped_from is not None:
            first, self._skipped_from = self._skipped_from, None
            last = self._history.first - 1
            self._sent_through = max(self._sent_through, last)
            return Gone(self.id, first, last, "skipped")
        most = min(BATCH_MESSAGES, newest - self._cursor + 1)
        payloads, text = self._history.batch(self._cursor, most, BATCH_BYTES)
        if max(map(len, payloads)) > self._largest:
            payloads = list(takewhile(lambda payload: len(payload) <= self._largest, payloads))
            if not payloads:
                # Refused here, once all before it are settled: what is settled is so in order.
                return None
        frame = Data(self.id, self._cursor, payloads, text)
        self._cursor += len(payloads)
        self._sent += charge(payloads)
        self._sent_through = max(self._sent_through, self._cursor - 1)
        return frame

    # internals

    def _refuse_giants(self) -> None:
        """Refuse what the server wouldn't take, as far as nothing before it waits for an answer."""
        history = self._history
        self._end_import()
        if self.phase is OfferPhase.STAYING:
            # The limit is another server's than the one whose answer is waited for.
            return
        while len(history) and len(history.entry(history.first)[0]) > self._largest:
            first = history.first
            if first <= self._sent_through:
                # To a server that took more; whether it did, nobody can say now.
                self._settle(first, "unknown")
            else:
                self._settle(first, "refused", "too large")
            self._skipped_from = first if self._skipped_from is None else self._skipped_from
            self._end_import()

    def _end_import(self) -> None:
        """Once all that was imported is settled, number what was published since anew."""
        if 0 < self._imported_through < self._history.first:
            self._begin_epoch(None)

    def _refuse_if_barred(self) -> None:
        """Refuse everything: the server lets this session publish to fewer channels."""
        if self.is_barred:
            self._settle(self._sent_through, "unknown")
            self._settle(self._history.head, "refused", "too many channels")
            self._end_import()

    def _is_open(self, offer: int) -> bool:
        if self.phase is OfferPhase.ASKED and offer == self.id:
            raise Violation(f"an answer for {offer} before offered")
        return self.phase in (OfferPhase.OPEN, OfferPhase.STAYING) and offer == self.id

    def _begin_epoch(self, epoch: str | None) -> None:
        """Number what was never sent from 1; what was sent and not settled is unknown."""
        self._settle(self._sent_through, "unknown")
        self._offset += self._history.first - 1
        self._history.renumber(1)
        self._imported_through = 0
        self._cursor, self._sent_through, self._skipped_from = 1, 0, None
        self.epoch = epoch
        if epoch is None:
            self.phase = OfferPhase.IDLE

    def _accept(self, seq: int, now: float) -> None:
        """Settle as accepted, and note how long the oldest has waited for that."""
        before, history = self.accepted, self._history
        since = history.appended_at(history.first) if len(history) else now
        self._settle(seq, "accepted")
        if self.accepted != before:
            self._latency = now - since, self.accepted - before

    def _settle(self, seq: int, outcome: SettledOutcome, code: str = "") -> None:
        first = self._history.first
        count = self._history.drop_through(seq)
        if not count:
            return
        if outcome == "accepted":
            self.accepted += count
        elif outcome != "unsent":
            self.failed += count
            self._faults += count
        number = self._offset + first
        epoch, seq = (self.epoch or "", first) if outcome != "unsent" else ("", 0)
        settled = Settled(self.channel, number, number + count - 1, outcome, epoch, seq, code)
        _join(self._settled, settled)
        if self._is_closing and outcome != "accepted":
            _join(self._unsettled, settled)
        self._cursor = max(self._cursor, self._history.first)


def _join(words: MutableSequence[Settled], settled: Settled) -> None:
    """Append a word, or let the last one reach further."""
    if words and _continues(words[-1], settled):
        before = words.pop()
        settled = replace(settled, first=before.first, seq=before.seq)
    words.append(settled)


def _continues(earlier: Settled, later: Settled) -> bool:
    return (
        earlier.last + 1 == later.first
        and earlier.outcome == later.outcome
        and earlier.code == later.code
        and earlier.epoch == later.epoch
        and (earlier.outcome == "unsent" or earlier.seq + later.first - earlier.first == later.seq)
    )

"""Subscription: a client's reading of one channel, across links.

    WANTED ──subscribe sent──▶ ASKED ──subscribed──▶ LIVE
      ▲  ▲                       │ shed               │ shed
      │  │                   OVERTAKEN             SET_BACK
      │  └── half of the rest taken ┴─────────────────┘
      └──────── link lost; gap; ended (again)

Between `subscribe` and `subscribed` the channel's data is ignored and nothing is acked: the pair
is a barrier (rule 2). Repair is subscribing again from the position (rule 5), so a gap, a lost
link and a shed inbox all lead to WANTED, and the answer says what can't be had any more. While a
live channel is set back, what is taken is still acked, or a pin would lapse: only nothing more is
credited.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterator

from .ack import AckPolicy
from .credit import MESSAGE_CHARGE, Credit, charge
from .events import ChannelEvent, Lost, Message, Reset
from .frames import (
    Ack,
    Data,
    Denied,
    Ended,
    Frame,
    Gone,
    Live,
    Partial,
    PinTerms,
    Recovered,
    StartedOver,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from .position import Position, Since
from .receiver import Receiver, Verdict
from .violation import Violation

SUBSCRIPTION_BYTES = 2304
"""Bytes a subscription takes beside its inbox, the first `MARKERS` of that included."""

TOLD_WITHIN = 0.1
"""Seconds: where it pins, a reader tells what it took at least this often."""


class Phase(enum.Enum):
    """Where a subscription stands on the present link."""

    WANTED = "wanted"
    ASKED = "asked"
    LIVE = "live"
    SET_BACK = "set back"
    OVERTAKEN = "overtaken"
    LEAVING = "leaving"
    ENDED = "ended"


_CARRIED = frozenset({Phase.LIVE, Phase.SET_BACK})
"""The link carries the channel: its data is taken or discarded, and what is taken is acked."""

_SET_BACK = {
    Phase.ASKED: Phase.OVERTAKEN,
    Phase.OVERTAKEN: Phase.OVERTAKEN,
    Phase.LIVE: Phase.SET_BACK,
    Phase.SET_BACK: Phase.SET_BACK,
}
"""Where a shed inbox leads. A request on its way was overtaken: its position is no more."""


class Subscription:
    """One channel read by one session. Made by `ClientSession.subscribe`.

    Args:
        channel: its name.
        since: where reading starts.
        window: bytes that may be on the way or unread.
        requests: numbers the session's `subscribe` frames.
        may_credit: whether memory lets the sender go on.
    """

    def __init__(
        self,
        channel: str,
        since: Since,
        *,
        window: int,
        requests: Iterator[int],
        may_credit: Callable[["Subscription"], bool] = lambda _: True,
    ) -> None:
        self.channel = channel
        self.phase = Phase.WANTED
        self.request = 0
        self.id: int | None = None
        self.refusal: str | None = None
        self.is_confirmed = False
        self.is_waited_for = False
        self.gaps = 0
        self._requests = requests
        self._may_credit = may_credit
        self._is_withheld = False
        self._lost_told = 0
        self._since: Since = since
        self._receiver = Receiver(channel, since if isinstance(since, Position) else None)
        self._credit = Credit(window)
        self._acks = AckPolicy(size=max(1, window // 4))
        self._head: int | None = None
        self._ask_below: int | None = None

    @property
    def position(self) -> Position | None:
        """The place up to which the application has taken everything; None before it is known."""
        return self._receiver.taken

    @property
    def received(self) -> Position | None:
        """The place up to which everything was received."""
        return self._receiver.position

    @property
    def held_bytes(self) -> int:
        """Charged bytes received and not yet taken."""
        return self._receiver.held_bytes

    @property
    def memory(self) -> int:
        """Bytes it takes."""
        return SUBSCRIPTION_BYTES + self._receiver.memory

    @property
    def held_messages(self) -> int:
        """Messages received and not yet taken."""
        return self._receiver.held_messages

    def counts(self) -> Counter[str]:
        """Count messages received, taken, lost and dropped as duplicates, and gaps."""
        receiver = self._receiver
        return Counter(
            received=receiver.taken_messages + receiver.held_messages,
            taken=receiver.taken_messages,
            duplicates=receiver.duplicates,
            lost=receiver.lost,
            gaps=self.gaps,
        )

    @property
    def is_ready(self) -> bool:
        """Whether the application has something to take or to be told."""
        return not self._receiver.is_empty or self.phase is Phase.ENDED

    @property
    def is_live(self) -> bool:
        """Whether the present link carries the channel."""
        return self.phase is Phase.LIVE

    @property
    def wants_to_speak(self) -> bool:
        """Whether `next_control` has a frame now."""
        return self.phase in (Phase.WANTED, Phase.LEAVING) or (
            self.phase in _CARRIED and self._acks.is_due
        )

    # inputs

    def receive_subscribed(self, frame: Subscribed, *, now: float) -> None:
        """Take the answer to the newest `subscribe`; the session has matched the request."""
        outcome = frame.outcome
        if isinstance(outcome, Denied):
            self.phase = Phase.ENDED
            self.refusal = outcome.code
            return
        self._adopt(frame)
        self.phase, self.id, self.is_confirmed = Phase.LIVE, frame.id, True
        self._acks = self._ack_policy(frame.pin)
        self._acks.demand()
        self._head = frame.head
        self._mark_caught_up()

    def receive_data(self, frame: Data, *, now: float) -> None:
        """Take a batch; a violation if the sender had no credit to start it."""
        if self.phase not in _CARRIED:
            return
        size = charge(frame.payloads)
        within = self._credit.receive(size)
        if self.phase is Phase.SET_BACK:
            return
        if not within:
            raise Violation(f"data of channel {self.channel!r} beyond the limit")
        known = self._receiver.duplicates
        verdict = self._receiver.receive(frame.first, frame.payloads, frame.text)
        if verdict is Verdict.GAP:
            self.gaps += 1
            self.phase = Phase.WANTED
            return
        if self._receiver.duplicates != known:
            self._acks.demand()
        if self._head is not None:
            self._mark_caught_up()

    def receive_gone(self, frame: Gone, *, now: float) -> None:
        """Take a loss that the sender declares."""
        if self.phase is not Phase.LIVE:
            return
        verdict = self._receiver.receive_gone(frame.first, frame.last, frame.reason)
        if verdict is Verdict.GAP:
            self.gaps += 1
            self.phase = Phase.WANTED
        elif self._head is not None:
            self._mark_caught_up()

    def receive_ended(self, frame: Ended, *, now: float) -> None:
        """Take the end of the sender's side."""
        if self.phase not in _CARRIED:
            return
        if frame.again:
            self.phase = Phase.WANTED
        else:
            self.phase = Phase.ENDED
            self.refusal = frame.reason

    def handle_link_lost(self, *, now: float) -> None:
        """Subscribe again on the next link."""
        if self.phase is Phase.LEAVING:
            self.phase = Phase.ENDED
        elif self.phase is not Phase.ENDED:
            self.phase = Phase.WANTED
        self.id = None
        self._acks.told()

    def next_deadline(self) -> float | None:
        """When an ack is due by time."""
        return self._acks.next_deadline() if self.phase in _CARRIED else None

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass."""
        self._acks.handle_timeout(now=now)

    # commands

    def leave(self) -> None:
        """Unsubscribe: nothing more is taken."""
        told = self.phase in _CARRIED or self.phase in (Phase.ASKED, Phase.OVERTAKEN)
        told = told or (self.phase is Phase.WANTED and self.id is not None)
        self.phase = Phase.LEAVING if told else Phase.ENDED
        self._receiver.drop_all()

    def shed(self, size: int) -> int:
        """Drop newest unread messages, about `size` bytes, and set the position back."""
        resets = self._receiver.resets
        freed = self._receiver.drop_newest(size)
        if freed and self.phase in _SET_BACK:
            self.phase = _SET_BACK[self.phase]
            if self._receiver.resets < resets:
                # What is taken from now on is not of the numbering on the link.
                self.phase = Phase.OVERTAKEN
            rest = self._receiver.held_messages
            self._ask_below = rest // 2 if rest else None
            self._head = None
        return freed

    def take(self, *, now: float) -> ChannelEvent | None:
        """Take the next message or marker; None if there is none, and the application waits."""
        event = self._receiver.next_event()
        self.is_waited_for = event is None
        if isinstance(event, Message):
            self._note_taken(1, len(event.payload) + MESSAGE_CHARGE, now=now)
        elif isinstance(event, Lost | Reset):
            self._note_taken(1, 0, now=now)
        else:
            self._ask_again()
        return event

    def take_batch(self, *, now: float) -> list[Message]:
        """Take all messages up to the next marker; empty if there is none before it."""
        held = self._receiver.held_bytes
        batch = self._receiver.next_batch()
        if batch:
            self.is_waited_for = False
            self._note_taken(len(batch), held - self._receiver.held_bytes, now=now)
        return batch

    # outputs

    def take_faults(self) -> int:
        """Say how many messages were lost since this was asked."""
        before, self._lost_told = self._lost_told, self._receiver.lost
        return max(0, self._lost_told - before)

    def next_control(self, *, now: float) -> Frame | None:
        """Take the pending `unsubscribe`, `subscribe` or `ack`."""
        if self.phase is Phase.LEAVING:
            self.phase = Phase.ENDED
            return Unsubscribe(self.request)
        if self.phase is Phase.WANTED:
            return self._subscribe()
        if self.phase in _CARRIED and self._acks.is_due:
            self._acks.told()
            assert self.id is not None
            limit = self._credit.announced
            self._is_withheld = self.phase is Phase.LIVE and self._is_too_large
            if self.phase is Phase.LIVE and not self._is_withheld:
                limit = self._credit.announce(self._receiver.held_bytes)
            return Ack(self.id, self._receiver.ack_seq, limit)
        return None

    def next_data(self, *, now: float) -> Frame | None:
        """A subscription sends no data."""
        return None

    # internals

    @property
    def _is_too_large(self) -> bool:
        """Whether so much is held here, and by all, that the sender is to wait."""
        return self._receiver.held_bytes > 0 and not self._may_credit(self)

    def _subscribe(self) -> Subscribe:
        self.phase = Phase.ASKED
        self.request = next(self._requests)
        since = self._receiver.position or self._since
        limit = self._credit.restart(self._receiver.held_bytes)
        self._is_withheld = False
        return Subscribe(self.request, self.channel, since, limit)

    def _adopt(self, frame: Subscribed) -> None:
        """Check the answer against what was asked, and go where it says."""
        position, outcome = self._receiver.position, frame.outcome
        start = Position(frame.epoch, frame.next_seq - 1)
        replay = frame.head - start.seq
        if replay < 0 or frame.next_seq < 1:
            raise Violation(f"subscribed starts at {frame.next_seq}, beyond head {frame.head}")
        if isinstance(outcome, StartedOver):
            if position is None:
                raise Violation("subscribed says reset, but there was no position")
            self._receiver.restart(start, outcome.reason)
            return
        if isinstance(outcome, Live) and replay != 0:
            raise Violation(f"subscribed says live, but {replay} messages behind the head")
        if isinstance(outcome, Recovered) and replay != outcome.count:
            raise Violation(f"subscribed says {outcome.count} recovered, but {replay} follow")
        if position is None:
            if isinstance(outcome, Partial):
                raise Violation("subscribed says partial, but there was no position")
            self._receiver.start(start)
            return
        reached = position.seq
        if isinstance(outcome, Partial):
            if outcome.first != reached + 1 or outcome.last < outcome.first:
                raise Violation(f"subscribed loses from {outcome.first}, position {reached}")
            reached = outcome.last
        if start != Position(position.epoch, reached):
            raise Violation(f"subscribed continues after {start}, asked since {position}")
        if isinstance(outcome, Partial):
            self._receiver.receive_gone(outcome.first, outcome.last, outcome.reason)

    def _ack_policy(self, pin: PinTerms | None) -> AckPolicy:
        size = max(1, self._credit.window // 4)
        if pin is None:
            return AckPolicy(size=size)
        seconds = min(pin.patience_ms / 4000, TOLD_WITHIN)
        return AckPolicy(count=max(1, pin.history_count // 4), size=size, seconds=seconds)

    def _note_taken(self, count: int, size: int, *, now: float) -> None:
        self._acks.note(count, size, now=now)
        if self._is_withheld and not self._is_too_large:
            # The sender may have spent all it had: it must hear that it can go on (P4).
            self._acks.demand()
        self._ask_again()

    def _ask_again(self) -> None:
        """Ask for what was shed once half the rest is taken; if there was none, when waited for."""
        if self.phase not in (Phase.SET_BACK, Phase.OVERTAKEN):
            return
        below = self._ask_below
        if self.is_waited_for if below is None else self._receiver.held_messages <= below:
            self.phase = Phase.WANTED

    def _mark_caught_up(self) -> None:
        position = self._receiver.position
        if self._head is not None and position is not None and position.seq >= self._head:
            self._head = None
            self._receiver.mark_caught_up()

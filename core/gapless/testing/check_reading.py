"""What readers take: P1, P2, I1-I3 and I15, as an application sees them."""

from dataclasses import dataclass, field

from gapless.core.events import CaughtUp, ChannelEvent, Lost, Message, Reset
from gapless.core.frames import Denied, StartedOver, Subscribe, Subscribed
from gapless.core.local import LocalReader
from gapless.core.position import Position
from gapless.core.subscription import Subscription

from .logs import Logs
from .promise import hold

_LEGITIMATE = frozenset({"too large", "skipped", "shed"})
"""Losses that no pin prevents."""

FOR_EVER = 1_000_000.0
"""Seconds of patience that no test lives to see the end of."""


@dataclass(slots=True)
class Reading:
    """What one application has taken of one channel, and where its answers let it begin.

    Behind `pinned_after` its `session` has held everything for it, with patience `FOR_EVER`.
    """

    name: str
    position: Position | None
    starts: set[Position] = field(default_factory=set[Position])
    resets: set[Position] = field(default_factory=set[Position])
    messages: int = 0
    lost: int = 0
    session: str | None = None
    pinned_after: Position | None = None


class ReadingCheck:
    """Follows every reader.

    Args:
        logs: what was appended.
        lossless: channels of which nothing may be lost or reset.
    """

    def __init__(self, logs: Logs, lossless: frozenset[str]) -> None:
        self._logs = logs
        self._lossless = lossless
        self._readings: dict[Subscription | LocalReader, Reading] = {}
        self._current: dict[tuple[str, str], Subscription] = {}

    def begin(self, peer: str, subscription: Subscription) -> None:
        """An application reads from now on; its position is where it asked to start, if known."""
        name = f"{peer} on {subscription.channel}"
        self._readings[subscription] = Reading(name, subscription.position)
        self._current[peer, subscription.channel] = subscription

    def find(self, peer: str, channel: str) -> Reading | None:
        """What a client's application has taken by its present subscription of a channel."""
        subscription = self._current.get((peer, channel))
        return None if subscription is None else self._readings[subscription]

    def answered(
        self, peer: str, session: str | None, asked: Subscribe, answer: Subscribed
    ) -> None:
        """A server has answered a `subscribe`, for a session."""
        subscription = self._current.get((peer, asked.channel))
        if subscription is None or isinstance(answer.outcome, Denied):
            return
        reading, start = self._readings[subscription], Position(answer.epoch, answer.next_seq - 1)
        is_reset = isinstance(answer.outcome, StartedOver)
        starts = reading.resets if is_reset else reading.starts
        starts.add(start)
        self._note_pin(peer, session, asked, answer, reading)

    def _note_pin(
        self,
        peer: str,
        session: str | None,
        asked: Subscribe,
        answer: Subscribed,
        reading: Reading,
    ) -> None:
        """From its first pin on, nothing is lost while the session stands."""
        for (other, channel), subscription in self._current.items():
            if other != peer and channel == asked.channel:
                rival = self._readings[subscription]
                if rival.session == session:
                    # Two processes with one session have one pin: the faster one moves it.
                    rival.pinned_after = None
                    rival.session = "shared"
        patience = 0.0 if answer.pin is None else answer.pin.patience_ms / 1000
        if patience < FOR_EVER or reading.session == "shared":
            reading.pinned_after = None
        elif session != reading.session or reading.pinned_after is None:
            reading.pinned_after = Position(answer.epoch, answer.next_seq - 1)
        if reading.session != "shared":
            reading.session = session

    def take(self, reader: Subscription | LocalReader, event: ChannelEvent) -> None:
        """Judge what an application has taken."""
        reading = self._readings.get(reader)
        if reading is None:
            reading = self._readings[reader] = Reading(f"S on {event.channel}", None)
        if isinstance(event, Message):
            self._take_message(reading, event)
        elif isinstance(event, Lost):
            self._take_lost(reading, event)
        elif isinstance(event, Reset):
            self._take_reset(reading, event)
        else:
            self._take_mark(reading, event)
        now = f"{reader.position}, taken {reading.position}"
        hold(reader.position == reading.position, "I4", f"{reading.name}: the position is {now}")

    def _follow(self, reading: Reading, epoch: str, first: int, what: str) -> None:
        """What comes must be next: neither again nor past a hole."""
        if reading.position is None:
            start = Position(epoch, first - 1)
            known = not reading.starts or start in reading.starts
            hold(known, "P2", f"{reading.name} begins with {what}, told {reading.starts}")
            return
        where = f"{reading.name}: {what} after {reading.position}"
        hold(epoch == reading.position.epoch, "I15", where)
        hold(first > reading.position.seq, "P1", where)
        hold(first == reading.position.seq + 1, "P2", where)

    def _take_message(self, reading: Reading, message: Message) -> None:
        what = f"message {message.position}"
        self._follow(reading, message.epoch, message.seq, what)
        reading.position = message.position
        reading.messages += 1
        written = self._logs.find(message.epoch, message.seq)
        same = written is None or written == message.payload
        hold(same, "P1", f"{reading.name}: {what} is not what was appended")

    def _take_lost(self, reading: Reading, lost: Lost) -> None:
        what = f"lost {lost.first}..{lost.last} ({lost.reason})"
        self._follow(reading, lost.epoch, lost.first, what)
        hold(lost.last >= lost.first, "P2", f"{reading.name}: {what}")
        hold(lost.channel not in self._lossless, "I3", f"{reading.name}: {what}")
        held = reading.pinned_after
        if held is not None and held.epoch == lost.epoch and lost.reason not in _LEGITIMATE:
            hold(lost.first <= held.seq, "I3", f"{reading.name}: {what}, held since {held}")
        reading.position = Position(lost.epoch, lost.last)
        reading.lost += lost.last - lost.first + 1

    def _take_reset(self, reading: Reading, reset: Reset) -> None:
        what = f"reset ({reset.reason}) from {reading.position} to {reset.position}"
        hold(reset.channel not in self._lossless, "I3", f"{reading.name}: {what}")
        before = reading.position
        if before is not None and before.epoch == reset.position.epoch:
            hold(reset.reason == "ahead", "I15", f"{reading.name}: {what}")
        reading.position = reset.position

    def _take_mark(self, reading: Reading, mark: CaughtUp) -> None:
        if reading.position is None:
            self._follow(reading, mark.position.epoch, mark.position.seq + 1, "caught up")
            reading.position = mark.position
        where = f"{reading.name}: caught up at {mark.position}, taken {reading.position}"
        hold(mark.position == reading.position, "P2", where)

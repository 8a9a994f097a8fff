"""A middlebox that repeats, swallows or changes frames, which TCP never does.

No end may trust that this can't happen: numbers are checked on arrival, credit and acks against
what was sent, and the counts in pings say that something is missing when nothing else would. What
an end owes for it is noted here and asserted: an ack for what came twice (I6), the end of the link
for an ack of what was never sent (I5) and for data without credit (rule 3).
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from gapless.core.credit import charge
from gapless.core.frames import (
    Ack,
    Close,
    Data,
    Denied,
    Ended,
    Frame,
    Offer,
    Offered,
    Subscribe,
    Subscribed,
    Unsubscribe,
)
from gapless.testing.observer import WrappedWire
from gapless.transports.wire import FrameReceived, Wire, WireEvent

Mischief = Literal["copy", "swallow", "late copy", "lie"]
KINDS: tuple[Mischief, ...] = ("copy", "swallow", "late copy", "lie")

FAR = 1_000_000
"""How far an ack that lies is ahead."""


@dataclass(slots=True)
class Stream:
    """One id, one way: who asked for it, how much may come and has come."""

    channel: str
    request: int
    limit: int = 0
    received: int = 0


class MeddledWire(WrappedWire):
    """A wire behind a middlebox, which does one kind of mischief: two might cancel each other out.

    Args:
        wire: the wire itself.
        dice: decides what is meddled with.
        chance: how likely a frame is to be meddled with, at present.
        is_strict: whether what this end owes can be told from its frames alone.
    """

    def __init__(self, wire: Wire, dice: Random, chance: "Meddling", *, is_strict: bool) -> None:
        super().__init__(wire)
        self._dice = dice
        self._chance = chance
        self._kind = dice.choice(KINDS[: 4 if is_strict else 2])
        self._late: FrameReceived | None = None
        self._asked: dict[int, Stream] = {}
        self._coming: dict[int, Stream] = {}
        self._going: dict[int, Stream] = {}
        self._owes_ack: dict[int, None] = {}
        self._owes_close = ""
        self._has_closed = False

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        events: list[WireEvent] = []
        for event in super().receive_data(data, now=now):
            if isinstance(event, FrameReceived):
                events += self._meddle(event)
            else:
                events.append(event)
        return events

    def send_frame(self, frame: Frame, *, now: float) -> None:
        super().send_frame(frame, now=now)
        if isinstance(frame, Close):
            self._has_closed = True
        elif isinstance(frame, Ack):
            self._owes_ack.pop(frame.id, None)
            if frame.id in self._coming:
                self._coming[frame.id].limit = frame.limit
        elif isinstance(frame, Offered):
            self._answer(self._coming, frame.id, frame.id, frame.limit)
        elif isinstance(frame, Subscribed) and not isinstance(frame.outcome, Denied):
            self._answer(self._going, frame.request, frame.id)
        elif isinstance(frame, Offer):
            self._ask(self._going, frame.channel, frame.id)
        elif isinstance(frame, Subscribe):
            self._ask(self._coming, frame.channel, frame.request, frame.limit)
        else:
            self._end(frame)

    def check(self, *, has_room: bool) -> None:
        """Assert that this end has done what it owes; acks only if they can go out."""
        if self._has_closed or not self.is_open:
            return
        assert not self._owes_close, self._owes_close
        assert not (has_room and self._owes_ack), f"I6: no ack for a duplicate of {self._owes_ack}"

    # what this end and the other one say to each other

    def _ask(self, streams: dict[int, Stream], channel: str, request: int, limit: int = 0) -> None:
        """A newer question for a channel ends what was answered before."""
        for number in [key for key, one in streams.items() if one.channel == channel]:
            self._forget(streams, number)
        self._asked[request] = Stream(channel, request, limit)

    def _answer(
        self, streams: dict[int, Stream], request: int, number: int, limit: int = 0
    ) -> None:
        stream = self._asked.pop(request, None)
        if stream is not None:
            stream.limit = stream.limit or limit
            streams[number] = stream

    def _end(self, frame: Frame) -> None:
        for streams in (self._coming, self._going):
            for number, stream in list(streams.items()):
                is_it = isinstance(frame, Unsubscribe) and stream.request == frame.request
                if is_it or (isinstance(frame, Ended) and number == frame.id):
                    self._forget(streams, number)

    def _forget(self, streams: dict[int, Stream], number: int) -> None:
        del streams[number]
        self._owes_ack.pop(number, None)

    def _heard(self, frame: Frame) -> None:
        if isinstance(frame, Subscribed):
            if not isinstance(frame.outcome, Denied):
                self._answer(self._coming, frame.request, frame.id)
        elif isinstance(frame, Offered):
            self._answer(self._going, frame.id, frame.id)
        elif isinstance(frame, Offer):
            self._ask(self._coming, frame.channel, frame.id)
        elif isinstance(frame, Subscribe):
            self._ask(self._going, frame.channel, frame.request)
        elif isinstance(frame, Data) and frame.id in self._coming:
            self._coming[frame.id].received += charge(frame.payloads)
        else:
            self._end(frame)

    # mischief

    def _meddle(self, event: FrameReceived) -> list[WireEvent]:
        frame, late = event.frame, self._late
        self._heard(frame)
        before: list[WireEvent] = []
        if late is not None and not isinstance(frame, Data) and isinstance(late.frame, Data):
            # Meanwhile it was acked, perhaps.
            self._late = None
            if late.frame.id in self._coming:
                before = [late]
                self._repeat(late.frame)
        if self._owes_close or not self._chance.share:
            return [*before, event]
        if self._kind == "lie":
            return [*before, *self._lie(event)]
        often = 4 if self._kind == "late copy" else 1
        if self._dice.random() >= often * self._chance.share:
            return [*before, event]
        if not isinstance(frame, Data):
            return [*before, event]
        self._chance.count += 1
        if self._kind == "swallow":
            return before
        if self._kind == "late copy":
            self._late = event
            return [*before, event]
        return [*before, event, event]

    def _repeat(self, frame: Data) -> None:
        stream = self._coming[frame.id]
        if stream.received >= stream.limit:
            self._owes_close = "rule 3: data beyond the limit was taken"
        stream.received += charge(frame.payloads)
        self._owes_ack[frame.id] = None

    def _lie(self, event: FrameReceived) -> list[WireEvent]:
        frame = event.frame
        is_now = self._dice.random() < self._chance.share
        if isinstance(frame, Ack) and frame.id in self._going and is_now:
            self._chance.count += 1
            self._owes_close = f"I5: an ack of {frame.seq + FAR} was believed"
            return [FrameReceived(replace(frame, seq=frame.seq + FAR), event.size)]
        if isinstance(frame, Data) and frame.id in self._coming:
            stream = self._coming[frame.id]
            if stream.received >= stream.limit:
                self._chance.count += 1
                self._owes_close = "rule 3: data beyond the limit was taken"
                return [event, event]
        return [event]


class Meddling:
    """How much a middlebox meddles at present, and how often it has.

    Args:
        share: of the frames, that are meddled with.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.count = 0

"""A middlebox that repeats or swallows data frames, which TCP never does.

No end may trust that this can't happen: numbers are checked on arrival, and the counts in pings say
that something is missing when nothing else would.
"""

from random import Random

from gapless.core.frames import Data
from gapless.testing.observer import WrappedWire
from gapless.transports.wire import FrameReceived, Wire, WireEvent


class MeddledWire(WrappedWire):
    """A wire behind a middlebox.

    Args:
        wire: the wire itself.
        dice: decides what is meddled with.
        chance: how likely a data frame is to be meddled with, at present.
    """

    def __init__(self, wire: Wire, dice: Random, chance: "Meddling") -> None:
        super().__init__(wire)
        self._dice = dice
        self._chance = chance
        # One wire does one of them: together they could leave the counts as they should be.
        self._copies = 2 if dice.random() < 0.5 else 0

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        events: list[WireEvent] = []
        for event in super().receive_data(data, now=now):
            if self._is_meddled(event):
                self._chance.count += 1
                events += [event] * self._copies
            else:
                events.append(event)
        return events

    def _is_meddled(self, event: WireEvent) -> bool:
        is_data = isinstance(event, FrameReceived) and isinstance(event.frame, Data)
        return is_data and self._dice.random() < self._chance.share


class Meddling:
    """How much a middlebox meddles at present, and how often it has.

    Args:
        share: of the data frames, that are repeated or swallowed.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.count = 0

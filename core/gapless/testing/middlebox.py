"""A middlebox that repeats or swallows data frames, which TCP never does.

No end may trust that this can't happen: numbers are checked on arrival, and the counts in pings say
that something is missing when nothing else would.
"""

from random import Random

from gapless.core.frames import Data
from gapless.transports.wire import FrameReceived, Wire, WireEvent

from .observer import WrappedWire


class Middlebox:
    """Meddles with the data frames that arrive on the wires it stands around.

    A wire either repeats what is chosen or swallows it: both on one could leave the counts as they
    should be.

    Args:
        rng: decides what is meddled with.
        share: of the data frames, 0 … 1; may be changed at any time, 0 to stop.

    Attributes:
        count: how many frames were repeated or swallowed so far.
    """

    def __init__(self, rng: Random, share: float = 0.05) -> None:
        self.share = share
        self.count = 0
        self._rng = rng

    def wrap(self, wire: Wire) -> Wire:
        """Stand in front of a wire."""
        return _MeddledWire(wire, self, 2 if self._rng.random() < 0.5 else 0)

    def decide(self) -> bool:
        """Decide about one frame, and count it if it is to be meddled with."""
        struck = self._rng.random() < self.share
        self.count += struck
        return struck


class _MeddledWire(WrappedWire):
    """A wire behind a middlebox, of whose chosen data frames so many copies arrive."""

    def __init__(self, wire: Wire, box: Middlebox, copies: int) -> None:
        super().__init__(wire)
        self._box = box
        self._copies = copies

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        """Take bytes from the peer, and meddle with the frames in them."""
        events: list[WireEvent] = []
        for event in super().receive_data(data, now=now):
            is_data = isinstance(event, FrameReceived) and isinstance(event.frame, Data)
            events += [event] * (self._copies if is_data and self._box.decide() else 1)
        return events

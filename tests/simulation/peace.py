"""Two ends of ours never find fault with each other, unless something between them meddles.

A link that is closed for a fault is made again, and all arrives in the end: nothing else shows that
one of the two ends breaks the protocol.
"""

from gapless.core.closing import Code
from gapless.core.frames import Close, Frame
from gapless.testing.network import Line
from gapless.testing.observer import Observer

FAULTS = frozenset(
    {
        Code.PROTOCOL_ERROR,
        Code.INVALID_DATA,
        Code.POLICY,
        Code.TOO_BIG,
        Code.INTERNAL,
        Code.DIVERGED,
        Code.VIOLATION,
        Code.VERSION,
        Code.NOT_GAPLESS,
    }
)
"""Codes that blame the peer."""


class Peace(Observer):
    """Fails at the first link that is closed for a fault of the other end."""

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        if isinstance(frame, Close) and frame.code in FAULTS:
            who = "the server" if to_client else "the client"
            raise AssertionError(f"{who} closed with {frame.code}: {frame.reason}")

"""Two ends of ours never find fault with each other, unless something between them meddles.

Nor does one take the other for dead while the network is fair and no host sleeps (I13, I19).

A link that is closed for a fault is made again, and all arrives in the end: nothing else shows that
one of the two ends breaks the protocol.
"""

from gapless.core.closing import Code, Ending
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
    """Fails at the first link that is closed for a fault of the other end.

    Args:
        is_fair: whether everything that is sent arrives soon.
    """

    def __init__(self, *, is_fair: bool) -> None:
        self._is_fair = is_fair

    def on_closed(self, line: Line, by_client: bool, ending: Ending) -> None:
        is_held = line.to_client.is_held or line.to_server.is_held
        if ending.code == Code.SILENT and self._is_fair and not is_held:
            who = line.client if by_client else line.server
            raise AssertionError(f"I19: {who} took a peer for dead that hears and speaks")

    def on_frame(self, line: Line, to_client: bool, frame: Frame) -> None:
        if isinstance(frame, Close) and frame.code in FAULTS:
            who = "the server" if to_client else "the client"
            raise AssertionError(f"{who} closed with {frame.code}: {frame.reason}")

"""What a wire is: one byte stream of a link, bytes ⇄ frames, without I/O.

A wire reads no clock, opens nothing and never raises because of the peer (design 4.4): whatever
bytes come, the result is a list of events, and the last of them says how the wire ended. The
verdict and the events are the same for any chunking of the bytes (P9).
"""

from dataclasses import dataclass
from typing import Protocol

from gapless.core.closing import Ending
from gapless.core.frames import Frame


@dataclass(slots=True)
class WireOpened:
    """The handshake is done: frames may flow both ways.

    Attributes:
        target: what the client asked for (path and query); empty where the wire has none.
    """

    target: str


@dataclass(slots=True)
class FrameReceived:
    """A frame arrived; `size` is its length as encoded, in bytes, without the wire's framing."""

    frame: Frame
    size: int


@dataclass(slots=True)
class WireEnded:
    """The wire is over; no event follows."""

    ending: Ending


WireEvent = WireOpened | FrameReceived | WireEnded


class Wire(Protocol):
    """One byte stream: inputs, then outputs."""

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and nothing has ended the wire.

        A wire without a handshake is open from the start and yields no `WireOpened`.
        """
        ...

    @property
    def is_finished(self) -> bool:
        """Whether the socket may be closed: nothing is to be sent and nothing is waited for."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> list[WireEvent]:
        """Take bytes from the peer; b"" is the end of its stream."""
        ...

    def handle_timeout(self, *, now: float) -> list[WireEvent]:
        """Let time pass: deadlines of the handshake, an unfinished message, a close reply."""
        ...

    def send_frame(self, frame: Frame, *, now: float) -> None:
        """Encode a frame behind what is already to be sent. Ignored once the wire has ended.

        Raises:
            InvalidState: the wire is not open yet.
            CodecError: a payload of a text batch is not UTF-8; nothing is sent.
        """
        ...

    def close(self, ending: Ending, *, now: float) -> None:
        """Start the closing handshake, or drop the wire if it never opened. Idempotent.

        No event follows: who closed knows the ending; `is_finished` says when it is through.
        """
        ...

    def next_deadline(self) -> float | None:
        """The next time `handle_timeout` has something to do, or None."""
        ...

    def data_to_send(self) -> bytes:
        """Take all bytes that are to be written now."""
        ...

    def buffered(self) -> int:
        """Bytes held: unfinished messages in, unsent bytes out."""
        ...

"""A lane: what one channel has to say on a link, as a session sees it.

Four kinds share this face: `Subscription` and `Outbox` at the client, `Intake` and `Reader` at the
server. A lane queues nothing: what it has to send are flags and a cursor, read when the wire can
take a frame, so that nothing piles up behind a stalled link (design 4.3).
"""

from typing import Protocol, runtime_checkable

from .frames import Ack, Data, Frame, Gone


class Lane(Protocol):
    """Outputs and time, common to all lanes."""

    def __hash__(self) -> int:
        """Lanes are keys: each is only equal to itself."""
        ...

    def next_deadline(self) -> float | None:
        """When `handle_timeout` has something to do, or None."""
        ...

    def handle_timeout(self, *, now: float) -> None:
        """Let time pass."""
        ...

    def handle_link_lost(self, *, now: float) -> None:
        """Forget what belonged to the link."""
        ...

    def next_control(self, *, now: float) -> Frame | None:
        """Take the next frame that needs no credit, or None."""
        ...

    def next_data(self, *, now: float) -> Frame | None:
        """Take the next `Data`, or the `Gone` that must come before it, or None."""
        ...


@runtime_checkable
class Inbound(Lane, Protocol):
    """A lane that receives messages."""

    def receive_data(self, frame: Data, *, now: float) -> None:
        """Take a batch."""
        ...

    def receive_gone(self, frame: Gone, *, now: float) -> None:
        """Take the word that a range won't come."""
        ...


@runtime_checkable
class Outbound(Lane, Protocol):
    """A lane that sends messages."""

    def receive_ack(self, frame: Ack, *, now: float) -> None:
        """Take an ack and a limit."""
        ...

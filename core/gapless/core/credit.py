"""Credit: how much of a channel may be on the way. Counted apart from acks (rule 3).

The receiving end announces a limit: the charged bytes the sender may have sent since the count
began. A batch may start while sent < limit, so what is held never exceeds the window by more than
one batch, and a message larger than the window still passes. The limit never goes back: it grows
with what was received and left the inbox, whether taken, discarded or refused. If it grew with
what was *taken* only, one refused message would leave both ends waiting for ever.
"""

from collections.abc import Sequence

MESSAGE_CHARGE = 32
"""Bytes charged for a message beside its payload, so that empty messages aren't free."""


def charge(payloads: Sequence[bytes]) -> int:
    """Bytes of credit a batch costs."""
    return sum(map(len, payloads)) + MESSAGE_CHARGE * len(payloads)


class Credit:
    """The receiving end's count for one channel.

    Args:
        window: bytes that may be on the way or held.
    """

    __slots__ = ("_announced", "_received", "_window")

    def __init__(self, window: int) -> None:
        self._window = window
        self._received = 0
        self._announced = 0

    @property
    def window(self) -> int:
        """Bytes that may be on the way or held."""
        return self._window

    @property
    def announced(self) -> int:
        """The limit the sender was last told."""
        return self._announced

    def restart(self, held: int) -> int:
        """Begin both counts anew, at `subscribe` or `offer`; returns the first limit."""
        self._received = 0
        self._announced = max(0, self._window - held)
        return self._announced

    def receive(self, size: int) -> bool:
        """Charge a batch of `size` bytes; False if the sender had no credit to start it."""
        within = self._received < self._announced
        self._received += size
        return within

    def limit(self, held: int) -> int:
        """The limit to announce now, with `held` bytes unread."""
        return max(self._announced, self._received + self._window - held)

    def announce(self, held: int) -> int:
        """Take the limit that goes out in an ack or an offered."""
        self._announced = self.limit(held)
        return self._announced

"""When to try again: full jitter under a cap, forgotten only after a link has proved itself.

Invariant (I18): a wait is in [0, cap] and drawn *after* the clamp. 10 s of life clear the count,
a link that made progress halves it, a link that merely opened does neither — or a server that
accepts and closes would be dialled hundreds of times a second.
"""

from random import Random

MAX_HINT = 3600.0
"""Seconds: the longest wait a server's hint can ask for."""


class Backoff:
    """Counts failed tries and says how long to wait before the next.

    Args:
        base: seconds; retry n (0, 1, 2 …) waits U(0, min(cap, base * 2**n)).
        cap: seconds, the upper bound of every wait.
        stable_after: seconds of life after which a link clears the count.
        rng: the source of jitter.
        max_attempts: failures in a row after which `is_exhausted`; None: never.
    """

    __slots__ = ("_attempts", "_base", "_cap", "_max_attempts", "_rng", "_stable_after")

    def __init__(
        self,
        *,
        base: float,
        cap: float,
        stable_after: float,
        rng: Random,
        max_attempts: int | None = None,
    ) -> None:
        self._base = base
        self._cap = cap
        self._stable_after = stable_after
        self._rng = rng
        self._max_attempts = max_attempts
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """Failures counted and not yet forgiven."""
        return self._attempts

    @property
    def is_exhausted(self) -> bool:
        """Whether the attempt limit is reached."""
        return self._max_attempts is not None and self._attempts >= self._max_attempts

    def is_stable(self, lived: float) -> bool:
        """Whether a link that lived for so many seconds has proved itself."""
        return lived > 0 and lived >= self._stable_after

    def handle_link_ended(self, *, lived: float, progressed: bool) -> None:
        """Take what the link that just ended was worth.

        Args:
            lived: seconds it was open; 0 if it never opened.
            progressed: whether it carried anything but the handshake.
        """
        if self.is_stable(lived):
            self._attempts = 0
        elif progressed:
            self._attempts //= 2

    def nudge(self) -> None:
        """The network is back: the next wait is short again."""
        self._attempts = 0

    def next_delay(self, hint: float | None = None) -> float:
        """Draw the wait before the next try, in seconds, and count the failure behind it.

        Args:
            hint: seconds the server asked for. At most an hour of it is believed; the jitter
                comes on top, so that a herd told the same hint still spreads.
        """
        ceiling = min(self._cap, self._base * 2.0 ** min(self._attempts, 64))
        self._attempts += 1
        delay = self._rng.uniform(0.0, ceiling)
        if hint is not None:
            delay += min(max(hint, 0.0), MAX_HINT)
        return delay
